//! Rust types as collections.

use serde::Serialize;
use serde::de::DeserializeOwned;
use smol_str::ToSmolStr;

use crate::value::{Value, ValueRef, to_value};

/// A Rust type whose values are the rows of a collection; derived with `#[derive(Collection)]`.
///
/// Its serde form is the row on the wire. One field, the primary key, names the row: its
/// [text](key_text) always equals the event's key. A key that is a number is one on the wire, too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a collection",
    note = "use `#[derive(tailwater::Collection)]`"
)]
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

/// The value of a key's field as the text that names the row: a string itself, anything else as
/// JSON.
pub fn key_text<T: Serialize + ?Sized>(key: &T) -> String {
    match to_value(key) {
        Ok(Value::Str(text)) => text.into(),
        Ok(value) => value.to_string(),
        Err(_) => String::new(),
    }
}

/// Whether the value of a key's field names the row of a key.
pub(super) fn names_row(value: ValueRef<'_>, key: &str) -> bool {
    match value {
        ValueRef::Str(text) => text == key,
        ValueRef::Int(_) | ValueRef::Float(_) | ValueRef::Bool(_) => value.to_smolstr() == key,
        _ => false,
    }
}
