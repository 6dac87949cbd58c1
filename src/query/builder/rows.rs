//! What the rows of a query are, and how they are read.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use smol_str::SmolStr;

use super::column::ColumnSet;
use super::expression::{Expression, ValueOf};
use crate::query::{Expr, Query, RowTypeError};
use crate::value::{ValueRef, from_fields, from_value};

/// Rows are those of the sources: of one source its type, of several the tuple of their types.
#[derive(Clone, Copy, Debug)]
pub struct Whole;

/// Rows are groups, of which nothing is selected yet.
#[derive(Clone, Copy, Debug)]
pub struct Grouped;

/// Rows are the values of an expression, a tuple or a struct of expressions.
pub struct Selected<E>(PhantomData<fn() -> E>);

/// A query without a `select`.
#[diagnostic::on_unimplemented(
    message = "the query has a `select` already",
    label = "a query has one `select`"
)]
pub trait Unselected {}

impl Unselected for Whole {}
impl Unselected for Grouped {}

/// What a query's rows are, where that is settled.
#[diagnostic::on_unimplemented(
    message = "the rows of this query are not settled",
    label = "a query with `group_by` needs a `select`"
)]
pub trait Rows<S> {
    /// The Rust type of a row.
    type Row;
    /// The columns of the query as a source of another one.
    type Columns;

    /// The query, as a source or with the rows on their own.
    #[doc(hidden)]
    fn finish(query: Query, sources: S, nested: bool) -> (Query, Shape);
}

/// How a row's value is found in a result row.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub enum Shape {
    /// It is the row.
    Row,
    /// It is the row's only field.
    Only,
    /// It is the tuple of some fields.
    Fields(Vec<SmolStr>),
}

impl Shape {
    pub(super) fn read<T: DeserializeOwned>(&self, row: ValueRef<'_>) -> Result<T, RowTypeError> {
        Ok(match self {
            Shape::Row => from_value(row)?,
            Shape::Only => from_value(row.get(ONLY))?,
            Shape::Fields(names) => from_fields(row, names)?,
        })
    }
}

/// The field of rows that are one value.
pub(super) const ONLY: &str = "0";

/// What a result row is made of: an object as it is, or an object of one value.
pub(super) fn row<E: Expression>(expr: E) -> Expr {
    match E::IS_OBJECT {
        true => expr.into_ir(),
        false => Expr::object([(ONLY, expr.into_ir())]),
    }
}

fn shape<E: Expression>() -> Shape {
    match E::IS_OBJECT {
        true => Shape::Row,
        false => Shape::Only,
    }
}

impl<S, E: Expression> Rows<S> for Selected<E> {
    type Row = ValueOf<E>;
    type Columns = E::Columns;

    fn finish(query: Query, _: S, _: bool) -> (Query, Shape) {
        (query, shape::<E>())
    }
}

impl<A: ColumnSet> Rows<(A,)> for Whole {
    type Row = ValueOf<A>;
    type Columns = A;

    fn finish(query: Query, (columns,): (A,), _: bool) -> (Query, Shape) {
        let query = match A::IS_OBJECT {
            true => query,
            false => query.select_as(row(columns)),
        };
        (query, shape::<A>())
    }
}

/// The rows of several sources. Without a `select` they are objects of rows by alias; `select` says
/// whether they are to be tuples instead.
fn joined<S: Expression>(query: Query, sources: S, select: bool) -> (Query, Shape) {
    let joins = query.joins.iter().map(|join| &join.source);
    let aliases = [&query.from].into_iter().chain(joins);
    let aliases: Option<Vec<SmolStr>> = aliases.map(|s| s.alias().cloned()).collect();
    match aliases {
        Some(aliases) if !select => (query, Shape::Fields(aliases)),
        _ => (query.select_as(row(sources)), Shape::Row),
    }
}

macro_rules! whole {
    ($($name:ident)+) => {
        impl<$($name: ColumnSet),+> Rows<($($name,)+)> for Whole {
            type Row = ($(ValueOf<$name>,)+);
            type Columns = ($($name,)+);

            fn finish(query: Query, sources: ($($name,)+), nested: bool) -> (Query, Shape) {
                joined(query, sources, nested $(|| !$name::IS_OBJECT)+)
            }
        }
    };
}

whole!(A B);
whole!(A B C);
whole!(A B C D);
whole!(A B C D E);
whole!(A B C D E F);
whole!(A B C D E F G);
whole!(A B C D E F G H);
