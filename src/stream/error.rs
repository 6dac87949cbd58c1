//! What can go wrong with a stream, told apart by what a caller would do about it.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::offset::Offset;

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// Why a request to a stream failed.
///
/// Names the stream by its URL, without the query: parameters may hold tokens.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// 404: no stream is there, or not any more.
    #[error("no stream at {url}")]
    NotFound {
        /// The stream.
        url: String,
    },
    /// 410: the stream is deleted but for its forks, or the offset lies before what is retained.
    #[error("gone: {url} no longer holds what was asked for")]
    Gone {
        /// The stream.
        url: String,
    },
    /// The stream is closed: nothing can be appended any more.
    #[error("stream {url} is closed")]
    Closed {
        /// The stream.
        url: String,
        /// Where it ends, if the server said.
        end: Option<Offset>,
    },
    /// 409 to an append with a `Stream-Seq` that is not above the last one.
    #[error("sequence `{seq}` is not above the last one of {url}")]
    SequenceConflict {
        /// The stream.
        url: String,
        /// The sequence that was sent.
        seq: String,
    },
    /// 409 of another kind: a stream with another configuration, another content type.
    #[error("conflict at {url}: {detail}")]
    Conflict {
        /// The stream.
        url: String,
        /// What the server said.
        detail: String,
    },
    /// 400 to a read: the server does not know the offset.
    #[error("offset `{offset}` is not one of {url}: {detail}")]
    InvalidOffset {
        /// The stream.
        url: String,
        /// The offset that was sent.
        offset: Offset,
        /// What the server said.
        detail: String,
    },
    /// 403 to a producer: another one has claimed a later epoch.
    #[error("producer epoch {epoch} of {url} is fenced off by epoch {current}")]
    Fenced {
        /// The stream.
        url: String,
        /// The epoch of this producer.
        epoch: u64,
        /// The epoch the server knows.
        current: u64,
    },
    /// 409 to a producer: the server lacks batches that it had acknowledged.
    #[error("the server of {url} expects sequence {expected} of this producer, not {sent}")]
    SequenceGap {
        /// The stream.
        url: String,
        /// The sequence the server expects.
        expected: u64,
        /// The sequence that was sent.
        sent: u64,
    },
    /// The answer is not what the protocol says. A reader that is polled again reads the same
    /// place again.
    #[error("cannot read the answer of {url} at offset `{offset}`: {detail}")]
    Parse {
        /// The stream.
        url: String,
        /// Where reading was.
        offset: Offset,
        /// What is wrong.
        detail: String,
    },
    /// The answer is larger than the client was told to take.
    #[error("the answer of {url} exceeds {limit} bytes; raise `max_response_bytes`")]
    TooLarge {
        /// The stream.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// Another status that is no success.
    #[error("{url} answered {status}: {detail}")]
    Status {
        /// The stream.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        detail: String,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
    },
    /// The connection could not be made, or broke.
    #[error("cannot reach {url}: {detail}")]
    Transport {
        /// The stream.
        url: String,
        /// The causes, outermost first.
        detail: String,
        /// The error of the HTTP library, if it has one.
        source: Option<Source>,
    },
    /// Nothing came for too long.
    #[error("no answer of {url} within {after:?}")]
    Timeout {
        /// The stream.
        url: String,
        /// How long was waited.
        after: Duration,
    },
    /// All attempts failed.
    #[error("gave up after {attempts} attempts: {last}")]
    Exhausted {
        /// How many were made.
        attempts: u32,
        /// Why the last one failed.
        last: Box<StreamError>,
    },
    /// An option, a header or an item is not what it must be; nothing was sent.
    #[error("`{name}` {detail}")]
    InvalidArgument {
        /// Which one.
        name: String,
        /// What it must be.
        detail: String,
    },
    /// The function of a header or parameter failed.
    #[error("the function of `{name}` failed: {source}")]
    Provider {
        /// The header or parameter.
        name: String,
        /// Its error.
        source: Source,
    },
    /// The task of a producer is gone, as its runtime was shut down.
    #[error("the producer of {url} was stopped with its runtime")]
    Stopped {
        /// The stream.
        url: String,
    },
    /// A producer has failed; what it had not delivered is not in the stream, or not known to be.
    #[error("the producer has failed with {unacknowledged} items not acknowledged: {source}")]
    ProducerFailed {
        /// How many items were given to it and not acknowledged.
        unacknowledged: u64,
        /// Why.
        source: Box<StreamError>,
    },
}

impl StreamError {
    /// The HTTP status behind the error, where a server answered.
    pub fn status(&self) -> Option<u16> {
        Some(match self {
            StreamError::NotFound { .. } => 404,
            StreamError::Gone { .. } => 410,
            StreamError::Closed { .. }
            | StreamError::SequenceConflict { .. }
            | StreamError::Conflict { .. }
            | StreamError::SequenceGap { .. } => 409,
            StreamError::InvalidOffset { .. } => 400,
            StreamError::Fenced { .. } => 403,
            StreamError::Status { status, .. } => *status,
            StreamError::Exhausted { last, .. } => return last.status(),
            StreamError::ProducerFailed { source, .. } => return source.status(),
            _ => return None,
        })
    }

    /// Whether the same request may succeed later: broken connections, silence, 429 and 5xx.
    pub fn is_transient(&self) -> bool {
        match self {
            StreamError::Transport { .. } | StreamError::Timeout { .. } => true,
            StreamError::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    pub(super) fn invalid(name: impl Into<String>, detail: impl Into<String>) -> Self {
        StreamError::InvalidArgument {
            name: name.into(),
            detail: detail.into(),
        }
    }

    /// How long the server asked to wait before the next attempt.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            StreamError::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn transport(url: String, error: reqwest::Error) -> Self {
        // The URL of the request has the query, which may hold tokens.
        let error = error.without_url();
        let mut detail = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !detail.contains(&text) {
                detail.push_str(": ");
                detail.push_str(&text);
            }
            cause = inner.source();
        }
        StreamError::Transport {
            url,
            detail,
            source: Some(Arc::new(error)),
        }
    }
}
