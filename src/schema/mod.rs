//! Collections: their names, event types, columns and rules, and the events that change them.
//!
//! A [`StateSchema`] declares the collections of a stream, by Rust types or by JSON; its
//! [`Events`] make change events, its [`Catalog`] is what an engine reads them with. Rules of Rust
//! types are checked where rows are written: where events are made, and where a transaction changes
//! rows; those of a JSON Schema where events are read, too.
//!
//! Rows are positional: a [`CollectionDef`] gives each field name a column the first time it is seen,
//! and columns are never taken back, so that rows written earlier stay valid.

mod catalog;
mod collection;
mod decoder;
mod error;
mod events;
mod row_rules;
mod rows;
mod state_schema;
mod validate;

pub use catalog::Catalog;
pub use collection::{Collection, key_text};
pub use decoder::RowDecoder;
pub use error::SchemaError;
pub use events::{EventBuilder, EventError, EventFault, Events};
pub use rows::{
    CollectionDef, Columns, Fields, KEY_COLUMN, ORIGIN_COLUMN, RowError, SYNCED_COLUMN,
};
pub use state_schema::{StateSchema, StateSchemaBuilder};
#[cfg(feature = "garde")]
pub use validate::garde;
pub use validate::{Issue, Issues, Validate};
