//! Messages as text into actions on rows.

use std::sync::Arc;

use thiserror::Error;

use crate::protocol::{Control, Message, MessageError, Operation};
use crate::schema::{Catalog, CollectionDef, RowDecoder, RowError};
use crate::value::Row;

/// What one message does to the store.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sets the row of its key.
    Put {
        /// The collection's number.
        collection: usize,
        /// The row.
        row: Row,
    },
    /// Removes the row of a key.
    Delete {
        /// The collection's number.
        collection: usize,
        /// A row of which only the key counts.
        key: Row,
    },
    /// Voids all rows, together with the change that follows.
    Reset,
    /// Begins a snapshot: of this collection, or of those that occur in it.
    SnapshotStart(Option<usize>),
    /// Ends a snapshot: the rows since its start replace all rows of their collections.
    SnapshotEnd(Option<usize>),
}

/// Why a message was not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is not a message of the State Protocol.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// It is of a new type, and there are too many.
    #[error("there are so many types of events that `{0}` cannot be another one")]
    TooManyCollections(String),
    /// Its value is not a row of its collection.
    #[error(transparent)]
    Row(#[from] RowError),
}

/// Decodes messages; keeps its buffers between calls. Several may share a catalog.
#[derive(Debug)]
pub struct Decoder {
    catalog: Arc<Catalog>,
    rows: RowDecoder,
    /// The collection of the last message: mostly that of the next one, too.
    last: Option<Arc<CollectionDef>>,
}

impl Decoder {
    /// A decoder for the collections of a catalog.
    pub fn new(catalog: Arc<Catalog>) -> Decoder {
        Decoder {
            catalog,
            rows: RowDecoder::default(),
            last: None,
        }
    }

    /// Decodes one message from JSON; `None` for an event type that a closed catalog does not know.
    ///
    /// # Errors
    ///
    /// If the text is not a message, or its value not a row of its collection.
    pub fn decode(&mut self, text: &str) -> Result<Option<Action>, DecodeError> {
        self.action(Message::decode(text)?)
    }

    /// As [`Decoder::decode`], for a message that is decoded already.
    ///
    /// # Errors
    ///
    /// If the message's value is not a row of its collection.
    pub fn action(&mut self, message: Message<'_>) -> Result<Option<Action>, DecodeError> {
        let change = match message {
            Message::Change(change) => change,
            Message::Control(Control::Reset, _) => return Ok(Some(Action::Reset)),
            Message::Control(control, event_type) => {
                let collection = match event_type.as_deref().map(|t| self.collection(t)) {
                    None => None,
                    Some(Some(collection)) => Some(collection.id()),
                    Some(None) => return self.unknown(event_type.as_deref().unwrap_or_default()),
                };
                return Ok(Some(match control {
                    Control::SnapshotStart => Action::SnapshotStart(collection),
                    _ => Action::SnapshotEnd(collection),
                }));
            }
        };
        let Some(collection) = self.collection(&change.event_type) else {
            return self.unknown(&change.event_type);
        };
        let id = collection.id();
        Ok(Some(match (change.operation, change.value) {
            (Operation::Delete, _) => Action::Delete {
                collection: id,
                key: self.rows.key_row(&change.key),
            },
            (_, Some(value)) => Action::Put {
                collection: id,
                row: self.rows.row(&collection, &change.key, value)?,
            },
            (_, None) => unreachable!("a decoded change that is no delete has a value"),
        }))
    }

    /// What comes of an event type that has no collection.
    fn unknown(&self, event_type: &str) -> Result<Option<Action>, DecodeError> {
        match self.catalog.is_open() {
            true => Err(DecodeError::TooManyCollections(event_type.to_owned())),
            false => Ok(None),
        }
    }

    fn collection(&mut self, event_type: &str) -> Option<Arc<CollectionDef>> {
        if self
            .last
            .as_ref()
            .is_none_or(|last| last.event_type() != event_type)
        {
            self.last = self.catalog.by_type(event_type);
        }
        self.last.clone()
    }
}
