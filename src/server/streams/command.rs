//! What can be asked of the writer, what it answers, and why it refuses.

use std::sync::Arc;

use bytes::Bytes;

use super::chunk::Kind;
use super::expiry::Expiry;
use super::log::{Log, Tail};
use super::path::StreamPath;
use super::record::Claim;

/// Content as it will be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) kind: Kind,
    /// How many positions it takes, at least one.
    pub(crate) count: u64,
    pub(crate) data: Bytes,
}

#[derive(Clone, Debug)]
pub(crate) struct Create {
    pub(crate) path: StreamPath,
    /// Of a fork, none is its source's.
    pub(crate) content_type: Option<String>,
    pub(crate) expiry: Expiry,
    pub(crate) closed: bool,
    pub(crate) content: Option<Content>,
    pub(crate) fork: Option<ForkOf>,
}

/// What to fork, and where.
#[derive(Clone, Debug)]
pub(crate) struct ForkOf {
    pub(crate) source: StreamPath,
    /// None is the tail.
    pub(crate) offset: Option<u64>,
    pub(crate) sub_offset: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Append {
    /// The stream's id. If another one has its name by now, that is not the one that was meant.
    pub(crate) stream: u64,
    pub(crate) content: Option<Content>,
    pub(crate) close: bool,
    pub(crate) seq: Option<String>,
    pub(crate) claim: Option<Claim>,
}

#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) log: Arc<Log>,
    pub(crate) tail: Tail,
    /// It was not there before.
    pub(crate) new: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) end: u64,
    pub(crate) closed: bool,
    /// The producer's epoch and its highest sequence number.
    pub(crate) producer: Option<(u64, u64)>,
    /// It had been appended before.
    pub(crate) duplicate: bool,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such stream.
    Missing,
    /// It was deleted, and its data is kept for its forks.
    Kept,
    /// Another stream has this name; what differs.
    Exists(&'static str),
    /// The name belongs to a deleted stream, whose data is kept for its forks.
    NameKept,
    SourceMissing,
    SourceKept,
    /// The fork's content type is not its source's.
    SourceType {
        source: String,
    },
    /// The fork would start behind the source's tail.
    BeyondSource {
        position: u64,
        tail: u64,
    },
    /// Forks of forks of forks …
    TooDeep {
        most: usize,
    },
    Closed {
        end: u64,
    },
    /// `Stream-Seq` is not greater than the last one.
    Seq {
        last: String,
    },
    /// The producer was replaced by one with a later epoch.
    StaleEpoch {
        known: u64,
    },
    /// A later epoch has to start at 0.
    EpochStart {
        seq: u64,
    },
    Gap {
        expected: u64,
        received: u64,
    },
    TooManyStreams {
        most: usize,
    },
    TooManyProducers {
        most: usize,
    },
    /// The disk or the writer is not in order. Whether it was done is not known.
    Unavailable,
}
