//! What can go wrong with a database.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use thiserror::Error;

use super::dead_letters::DeadLetter;
use crate::engine::{InstallError, MemoryExceeded, QueryFailure, WindowError, WorkersError};
use crate::query::{QueryError, RowTypeError};
use crate::schema::SchemaError;
use crate::stream::StreamError;

/// Why a database did not do what it was asked for, or why it reads no further.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum DbError {
    /// Reading the stream failed, and repeating it did not help.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The stream holds something else than JSON messages.
    #[error("the stream {url} is not one of JSON messages")]
    NotJson {
        /// The stream.
        url: String,
    },
    /// A message is wrong, and the database is strict.
    #[error(transparent)]
    Message(#[from] DeadLetter),
    /// The query does not hold.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The query needs more memory than there may be
    /// ([`Builder::query_memory_limit`](super::Builder::query_memory_limit)).
    #[error(transparent)]
    Memory(#[from] MemoryExceeded),
    /// The workers do not start, or one was lost.
    #[error(transparent)]
    Workers(#[from] WorkersError),
    /// The collections do not hold.
    #[error(transparent)]
    Schema(#[from] Arc<SchemaError>),
    /// Two collections have one name.
    #[error("duplicate collection `{name}`")]
    DuplicateCollection {
        /// The name.
        name: SmolStr,
    },
    /// The database has no such collection.
    #[error("there is no collection `{name}` of events of type `{event_type}`")]
    UnknownCollection {
        /// The collection's name.
        name: SmolStr,
        /// The `type` of its events.
        event_type: SmolStr,
    },
    /// The window was not moved.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// Queries of another database were to be read together with this one's.
    #[error("a live query belongs to another stream db")]
    ForeignQuery,
    /// The stream was not yet read up to date.
    #[error("the stream db is not ready")]
    NotReady,
    /// [`StreamDb::close`](super::StreamDb::close) was called.
    #[error("stream db closed")]
    Closed,
    /// The database has read everything, and nothing will follow.
    #[error("the stream has ended, and txid `{txid}` was not in it")]
    Ended {
        /// The transaction that was waited for.
        txid: SmolStr,
    },
    /// A transaction was not seen in time.
    #[error("timeout waiting for txid `{txid}`: it did not come within {after:?}")]
    TxidTimeout {
        /// The transaction.
        txid: SmolStr,
        /// How long was waited.
        after: Duration,
    },
    /// Code of the application, or of the engine, panicked.
    #[error("{what} panicked: {message}")]
    Panicked {
        /// What panicked.
        what: SmolStr,
        /// What it said.
        message: String,
    },
    /// Something was called that waits for the engine, from code that the engine waits for.
    #[error("an effect or a hook of a stream db cannot wait for that stream db")]
    Callback,
    /// There is no tokio runtime to read the stream on.
    #[error("a stream db needs a tokio runtime to read its stream")]
    NoRuntime,
    /// The tokio runtime that read the stream was shut down.
    #[error("the tokio runtime that read the stream was shut down")]
    Stopped,
    /// The engine's thread could not be started.
    #[error("the thread of the stream db did not start: {0}")]
    Thread(#[source] Arc<std::io::Error>),
    /// A snapshot does not fit the database.
    #[error("the snapshot does not fit: {0}")]
    Snapshot(String),
}

impl From<InstallError> for DbError {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Query(error) => DbError::Query(error),
            InstallError::Memory(error) => DbError::Memory(error),
            InstallError::Workers(reason) => WorkersError::Invalid(reason).into(),
        }
    }
}

impl From<QueryFailure> for DbError {
    fn from(failure: QueryFailure) -> Self {
        match failure {
            QueryFailure::Memory(error) => DbError::Memory(error),
        }
    }
}

/// A result row that is not a value of the query's Rust type.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("row `{key}`: {source}")]
pub struct RowError {
    /// The row's key.
    pub key: String,
    /// What is wrong with it.
    pub source: RowTypeError,
}
