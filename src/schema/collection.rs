//! Rust types as collections.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A Rust type whose values are the rows of a collection; derived with `#[derive(Collection)]`.
///
/// Its serde form is the row on the wire. One field, the primary key, names the row: on the wire it
/// always equals the event's key.
pub trait Collection: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The collection's name, which queries use.
    const NAME: &'static str;
    /// The `type` of its events.
    const EVENT_TYPE: &'static str;
    /// The primary key's field, as it is named on the wire.
    const PRIMARY_KEY: &'static str;

    /// The columns of a source of this collection, for conditions and selections: a struct with a
    /// field for each of the type's.
    type Columns;

    /// The columns of the source that a query calls `alias`.
    fn columns(alias: &str) -> Self::Columns;

    /// The row's key as text: that of the primary key's field.
    fn key(&self) -> String;
}
