//! Queries as data: the intermediate representation (IR) that files, the wire and builders share.
//!
//! It is TanStack DB's own query IR (0.15) with collections named by their id; [`Query::from_json`]
//! reads it and says what is wrong where.

pub mod builder;
mod error;
mod file;
mod function;
mod ir;
mod over;
mod parse;
mod tree;
mod typed_query;
mod write;

pub use builder::{closure, col, include, include_one, lit, now, text, when};
pub use error::QueryError;
pub use file::QueryFile;
pub use function::{AggregateFunction, Function};
pub(crate) use function::{Datum, MAX_MADE, direction_of, quantile_of, to_number, to_text, weight};
pub use ir::{
    Closure, Entry, Expr, Include, Join, JoinKind, Materialization, NativeFunction, OrderBy, Query,
    Source,
};
pub use over::{Frame, Over, OverFunction};
pub use typed_query::{RowFunction, RowTypeError, TypedQuery};
