//! What is known of a stream besides its content, as it stands on disk.

use serde::{Deserialize, Serialize};

use super::expiry::Expiry;

/// A stream's own description.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) path: String,
    /// As it was given, with its parameters.
    pub(crate) content_type: String,
    /// In microseconds since 1970.
    pub(crate) created: i64,
    /// What the creator asked for; a fork's may be its source's.
    pub(crate) asked: Expiry,
    pub(crate) expiry: Expiry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fork: Option<Fork>,
    #[serde(default)]
    pub(crate) closed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed_by: Option<Claim>,
    /// The last `Stream-Seq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<String>,
    /// Deleted, with its data kept for its forks.
    #[serde(default)]
    pub(crate) kept: bool,
}

/// Where a fork comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fork {
    pub(crate) source: u64,
    pub(crate) source_path: String,
    pub(crate) offset: u64,
    pub(crate) sub_offset: u64,
}

impl Fork {
    /// From here on the fork's data is its own.
    pub(crate) fn position(&self) -> u64 {
        self.offset + self.sub_offset
    }
}

/// What a producer says of an append: which one it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) producer: String,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

/// What a stream knows of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: u64,
    /// The highest that was accepted.
    pub(crate) seq: u64,
    /// When, in seconds since 1970.
    pub(crate) used: u64,
}
