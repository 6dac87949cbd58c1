//! Collections: their names, event types and columns.
//!
//! Rows are positional: a [`CollectionDef`] gives each field name a column the first time it is seen,
//! and columns are never taken back, so that rows written earlier stay valid.

mod catalog;
mod collection;
mod rows;

pub use catalog::{Catalog, SchemaError};
pub use collection::{Collection, key_text};
pub use rows::{CollectionDef, Columns, Fields, KEY_COLUMN, RowDecoder, RowError};
