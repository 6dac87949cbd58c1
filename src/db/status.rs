//! How far a database is.

use super::error::DbError;

/// How far a database is, and with it each of its live queries.
#[derive(Clone, Debug, Default)]
pub enum Status {
    /// [`StreamDb::preload`](super::StreamDb::preload) was not called yet.
    #[default]
    Idle,
    /// The stream is being read; no rows are visible yet.
    Loading,
    /// All that was in the stream is visible, and what comes will be.
    Ready,
    /// All that was in the stream is visible, and nothing will come: the stream is closed, or is
    /// not followed ([`Live::Off`](crate::stream::Live::Off)).
    Ended,
    /// Reading stopped. Rows stay as they were before.
    Error(DbError),
    /// The database was closed. Rows stay as they were before.
    Closed,
}

impl Status {
    /// Whether the rows are all that the stream has.
    pub fn is_ready(&self) -> bool {
        matches!(self, Status::Ready | Status::Ended)
    }

    /// Whether nothing more will be read.
    pub fn is_over(&self) -> bool {
        matches!(self, Status::Ended | Status::Error(_) | Status::Closed)
    }

    /// Why reading stopped before the end.
    pub fn error(&self) -> Option<DbError> {
        match self {
            Status::Error(error) => Some(error.clone()),
            Status::Closed => Some(DbError::Closed),
            _ => None,
        }
    }

    /// Whether the next status may follow this one.
    pub(super) fn may_become(&self, next: &Status) -> bool {
        match (self, next) {
            (Status::Closed, _) => false,
            (_, Status::Closed) => true,
            (Status::Ended | Status::Error(_), _) => false,
            (Status::Ready, Status::Loading) => false,
            _ => true,
        }
    }
}
