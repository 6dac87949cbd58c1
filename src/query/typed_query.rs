//! A query together with the Rust type of its rows.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::ir::Query;
use crate::value::{DecodeError, Value, ValueRef};

/// Why a result row is not a value of the query's Rust type.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{path}: {detail}")]
pub struct RowTypeError {
    /// Where in the row, with dots; `row` for the whole.
    pub path: String,
    /// What is wrong.
    pub detail: String,
}

impl From<DecodeError> for RowTypeError {
    fn from(error: DecodeError) -> RowTypeError {
        RowTypeError {
            path: match error.path.is_empty() {
                true => "row".to_owned(),
                false => error.path,
            },
            detail: error.detail,
        }
    }
}

/// What turns a result row into a value of a Rust type.
pub type RowFunction<T> = Arc<dyn Fn(ValueRef<'_>) -> Result<T, RowTypeError> + Send + Sync>;

/// A query whose result rows are values of a Rust type: what the builder makes, and what a live
/// result is made of.
///
/// An IR [`Query`] is one too, with [`Value`] as its rows.
pub struct TypedQuery<T> {
    ir: Query,
    row: RowFunction<T>,
}

impl<T> TypedQuery<T> {
    /// A query, and how its rows become values.
    pub fn new(
        ir: Query,
        row: impl Fn(ValueRef<'_>) -> Result<T, RowTypeError> + Send + Sync + 'static,
    ) -> Self {
        TypedQuery {
            ir,
            row: Arc::new(row),
        }
    }

    /// The query as data.
    pub fn ir(&self) -> &Query {
        &self.ir
    }

    /// How a result row becomes a value.
    pub fn row(&self) -> &RowFunction<T> {
        &self.row
    }

    /// The same query with its rows turned into something else.
    pub fn map<U>(self, function: impl Fn(T) -> U + Send + Sync + 'static) -> TypedQuery<U>
    where
        T: 'static,
    {
        let row = self.row;
        TypedQuery::new(self.ir, move |value| row(value).map(&function))
    }
}

impl<T> Clone for TypedQuery<T> {
    fn clone(&self) -> Self {
        TypedQuery {
            ir: self.ir.clone(),
            row: self.row.clone(),
        }
    }
}

impl<T> fmt::Debug for TypedQuery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedQuery").field(&self.ir).finish()
    }
}

impl From<Query> for TypedQuery<Value> {
    fn from(ir: Query) -> Self {
        TypedQuery::new(ir, |value| Ok(value.to_owned()))
    }
}
