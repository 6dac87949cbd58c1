//! Queries inside of queries: as a source, and as a value.

use std::fmt;
use std::marker::PhantomData;

use super::column::{Column, ColumnSet, Path};
use super::expression::{Expression, ValueOf};
use super::kind::{Nullability, Optional, Required, Scalar};
use super::rows::ONLY;
use crate::query::{Expr, Materialization, Query, Source};

/// A query whose rows have the columns `C`, as a part of another query.
pub struct Subquery<C> {
    query: Query,
    columns: PhantomData<fn() -> C>,
}

impl<C> Clone for Subquery<C> {
    fn clone(&self) -> Self {
        Subquery::new(self.query.clone())
    }
}

impl<C> fmt::Debug for Subquery<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.query.fmt(f)
    }
}

impl<C> Subquery<C> {
    pub(super) fn new(query: Query) -> Self {
        Subquery {
            query,
            columns: PhantomData,
        }
    }

    pub(super) fn into_query(self) -> Query {
        self.query
    }
}

impl<C: ColumnSet> Subquery<C> {
    /// Where the columns are inside of a row.
    pub(super) fn inside(row: Path) -> Path {
        match C::IS_OBJECT {
            true => row,
            false => row.field(ONLY),
        }
    }

    pub(super) fn into_source(self, alias: &str) -> (Source, C) {
        let columns = C::at(Self::inside(Path::of(alias)));
        (Source::query(self.query, alias), columns)
    }
}

/// The rows of another query for each row: see [`include()`].
pub struct Include<T, N> {
    ir: Expr,
    marker: PhantomData<fn() -> (T, N)>,
}

impl<T, N> fmt::Debug for Include<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ir.fmt(f)
    }
}

impl<T: 'static, N: Nullability> Expression for Include<T, N> {
    type Type = T;
    type Null = N;
    type Kind = Scalar;
    type Columns = Column<T, N>;

    fn into_ir(self) -> Expr {
        self.ir
    }
}

fn included<C: ColumnSet, T, N>(
    query: Subquery<C>,
    materialization: Materialization,
) -> Include<T, N> {
    let only = (!C::IS_OBJECT).then(|| ONLY.into());
    Include {
        ir: Expr::include_as(query.query, materialization, only),
        marker: PhantomData,
    }
}

/// The rows of another query for each row, in a `select`: a `Vec`. The query's conditions may use
/// columns of the query around it.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use tailwater::{Collection, query::{Query, include}};
/// # #[derive(Serialize, Deserialize, Collection)]
/// # struct User { id: String, name: String }
/// # #[derive(Serialize, Deserialize, Collection)]
/// # struct Post { id: String, author: String, title: String }
/// let users = Query::from::<User>("u").select(|u| {
///     let posts = Query::from::<Post>("p")
///         .filter(|p| p.author.eq(u.id))
///         .select(|p| p.title);
///     (u.name, include(posts))
/// });
/// ```
pub fn include<C: ColumnSet>(query: impl Into<Subquery<C>>) -> Include<Vec<ValueOf<C>>, Required> {
    included(query.into(), Materialization::Array)
}

/// The first row of another query for each row, in a `select`: an `Option`. As [`include()`] else.
pub fn include_one<C: ColumnSet>(query: impl Into<Subquery<C>>) -> Include<ValueOf<C>, Optional> {
    included(query.into(), Materialization::Singleton)
}
