//! Why a schema is refused.

use smol_str::SmolStr;
use thiserror::Error;

/// Names that a database over the collections needs for itself.
pub(super) const RESERVED: [&str; 5] = ["collections", "preload", "close", "utils", "actions"];

/// Why a schema, or a use of it, was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text is not JSON, or not of the shape of a schema.
    #[error("the schema is not valid: {0}")]
    Invalid(String),
    /// Two collections claim the events of one type.
    #[error(
        "duplicate event type `{event_type}`: used by both `{first}` and `{second}` collections"
    )]
    DuplicateEventType {
        /// The type claimed twice.
        event_type: SmolStr,
        /// The collection that has it.
        first: SmolStr,
        /// The collection that wants it too.
        second: SmolStr,
    },
    /// Two collections have one name.
    #[error("duplicate collection name `{0}`")]
    DuplicateName(SmolStr),
    /// A name that means something else.
    #[error("reserved collection name `{0}`: none may be one of {list}", list = RESERVED.join(", "))]
    Reserved(SmolStr),
    /// A name that is empty.
    #[error("collection `{collection}`: `{field}` must not be empty")]
    Empty {
        /// The collection.
        collection: SmolStr,
        /// The field of the schema.
        field: &'static str,
    },
    /// The rules of a collection's rows are not a JSON Schema.
    #[error("collection `{collection}`: `schema` is not a JSON Schema: {detail}")]
    Rules {
        /// The collection.
        collection: SmolStr,
        /// What is wrong with them.
        detail: String,
    },
    /// The schema has no such collection.
    #[error("unknown collection `{0}`")]
    Unknown(SmolStr),
    /// The schema's collection is not that of the Rust type.
    #[error("collection `{collection}`: `{field}` is `{declared}`, but `{got}` of the Rust type")]
    Mismatch {
        /// The collection.
        collection: SmolStr,
        /// The field of the schema.
        field: &'static str,
        /// What the schema says.
        declared: SmolStr,
        /// What the Rust type says.
        got: &'static str,
    },
    /// The rules of the collection are for another Rust type.
    #[error("collection `{0}`: its rules are for another Rust type")]
    OtherType(SmolStr),
}
