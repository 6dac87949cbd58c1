//! Change events of one collection, checked before they are made.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use smol_str::{SmolStr, ToSmolStr};
use thiserror::Error;

use super::row_rules::RowRules;
use super::state_schema::Rules;
use super::validate::Issues;
use crate::protocol::{ChangeEvent, Operation};
use crate::value::{Value, ValueRef, from_json};

/// Why an event was not made.
#[derive(Debug)]
pub struct EventError {
    /// The collection's event type.
    pub event_type: SmolStr,
    /// What the event would do.
    pub operation: Operation,
    /// What is wrong.
    pub fault: EventFault,
}

/// What is wrong with an event.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EventFault {
    /// A value breaks the rules of its collection.
    #[error("{issues}")]
    Validation {
        /// Whether it is the value before.
        old_value: bool,
        /// What is wrong with it.
        issues: Issues,
    },
    /// There is a value, but no key.
    #[error("must provide either 'key' or a value with a non-empty '{primary_key}' field")]
    NoKey {
        /// The field that names rows.
        primary_key: SmolStr,
    },
    /// A delete of nothing.
    #[error("must provide either 'key' or 'oldValue' with a non-empty '{primary_key}' field")]
    NothingToDelete {
        /// The field that names rows.
        primary_key: SmolStr,
    },
    /// An insert has no value before.
    #[error("an insert has no 'oldValue'")]
    OldValueOfInsert,
    /// Rows are objects; this is what came.
    #[error("rows must be objects, not {0}")]
    NotAnObject(&'static str),
    /// A header that means something else to the protocol.
    #[error("header `{name}` must be {expected}")]
    Header {
        /// The header.
        name: SmolStr,
        /// What it must be.
        expected: &'static str,
    },
    /// The value has no JSON form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EventError {
            event_type,
            operation,
            fault,
        } = self;
        match fault {
            EventFault::Validation { old_value, .. } => {
                let part = if *old_value { " (oldValue)" } else { "" };
                write!(
                    f,
                    "Validation failed for {event_type} {operation}{part}: {fault}"
                )
            }
            _ => write!(f, "cannot create {event_type} {operation} event: {fault}"),
        }
    }
}

impl std::error::Error for EventError {}

/// Makes the change events of one collection; given by
/// [`StateSchema::events`](super::StateSchema::events), which shows it in use.
pub struct Events<T> {
    event_type: SmolStr,
    primary_key: SmolStr,
    row_rules: Option<RowRules>,
    rules: Option<Rules<T>>,
}

impl<T> Clone for Events<T> {
    fn clone(&self) -> Self {
        Events {
            event_type: self.event_type.clone(),
            primary_key: self.primary_key.clone(),
            row_rules: self.row_rules.clone(),
            rules: self.rules.clone(),
        }
    }
}

impl<T> fmt::Debug for Events<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("event_type", &self.event_type)
            .field("primary_key", &self.primary_key)
            .finish_non_exhaustive()
    }
}

impl<T: Serialize> Events<T> {
    pub(super) fn new(
        event_type: SmolStr,
        primary_key: SmolStr,
        row_rules: Option<RowRules>,
        rules: Option<Rules<T>>,
    ) -> Self {
        Events {
            event_type,
            primary_key,
            row_rules,
            rules,
        }
    }

    /// An event that creates a row.
    pub fn insert<'a>(&'a self, value: &'a T) -> EventBuilder<'a, T> {
        self.event(Operation::Insert, Some(value))
    }

    /// An event that replaces a row.
    pub fn update<'a>(&'a self, value: &'a T) -> EventBuilder<'a, T> {
        self.event(Operation::Update, Some(value))
    }

    /// An event that creates or replaces a row.
    pub fn upsert<'a>(&'a self, value: &'a T) -> EventBuilder<'a, T> {
        self.event(Operation::Upsert, Some(value))
    }

    /// An event that removes a row: the one of a key, or of an old value.
    pub fn delete(&self) -> EventBuilder<'_, T> {
        self.event(Operation::Delete, None)
    }

    /// A value as JSON, if it keeps the rules of its type.
    fn text(&self, value: Option<&T>, old_value: bool) -> Result<Option<String>, EventFault> {
        let Some(value) = value else { return Ok(None) };
        if let Some(rules) = &self.rules {
            rules(value).map_err(|issues| EventFault::Validation { old_value, issues })?;
        }
        Ok(Some(serde_json::to_string(value)?))
    }

    fn event<'a>(&'a self, operation: Operation, value: Option<&'a T>) -> EventBuilder<'a, T> {
        EventBuilder {
            events: self,
            operation,
            value,
            old_value: None,
            key: None,
            headers: Vec::new(),
        }
    }
}

/// A change event in the making.
#[derive(Debug)]
pub struct EventBuilder<'a, T> {
    events: &'a Events<T>,
    operation: Operation,
    value: Option<&'a T>,
    old_value: Option<&'a T>,
    key: Option<SmolStr>,
    headers: Vec<(SmolStr, Value)>,
}

impl<'a, T: Serialize> EventBuilder<'a, T> {
    /// The row's key; without it, that of the value, or of the old value of a delete. Numbers
    /// become text.
    pub fn key(mut self, key: impl Into<SmolStr>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The row as it was. Readers may compare or record it.
    pub fn old_value(mut self, old_value: &'a T) -> Self {
        self.old_value = Some(old_value);
        self
    }

    /// The transaction that the change belongs to.
    pub fn txid(self, txid: impl Into<SmolStr>) -> Self {
        self.header("txid", Value::Str(txid.into()))
    }

    /// When it happens, as RFC 3339.
    pub fn timestamp(self, timestamp: impl Into<SmolStr>) -> Self {
        self.header("timestamp", Value::Str(timestamp.into()))
    }

    /// A header; the last one of a name counts. `operation` stays what it is.
    pub fn header(mut self, name: impl Into<SmolStr>, value: impl Into<Value>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The event, if all is right with it.
    ///
    /// # Errors
    ///
    /// If a value breaks the rules of its collection or is no object, there is no key, or a header
    /// would not be understood.
    pub fn build(self) -> Result<ChangeEvent, EventError> {
        let (event_type, operation) = (self.events.event_type.clone(), self.operation);
        self.event().map_err(|fault| EventError {
            event_type,
            operation,
            fault,
        })
    }

    fn event(self) -> Result<ChangeEvent, EventFault> {
        let events = self.events;
        let value = events.text(self.value, false)?;
        let old_value = events.text(self.old_value, true)?;
        let draft = Draft {
            event_type: &events.event_type,
            primary_key: &events.primary_key,
            row_rules: events.row_rules.as_ref(),
            operation: self.operation,
        };
        draft.event(value, old_value, self.key, self.headers)
    }
}

/// An event of values of whatever type, once they are text.
struct Draft<'a> {
    event_type: &'a SmolStr,
    primary_key: &'a SmolStr,
    row_rules: Option<&'a RowRules>,
    operation: Operation,
}

impl Draft<'_> {
    fn event(
        &self,
        value: Option<String>,
        old_value: Option<String>,
        key: Option<SmolStr>,
        headers: Vec<(SmolStr, Value)>,
    ) -> Result<ChangeEvent, EventFault> {
        if self.operation == Operation::Insert && old_value.is_some() {
            return Err(EventFault::OldValueOfInsert);
        }
        let (new, old) = (object(value.as_deref())?, object(old_value.as_deref())?);
        let is_delete = self.operation == Operation::Delete;
        let named = if is_delete { &old } else { &new };
        let key = key.or_else(|| key_of(named.get(self.primary_key)));
        let key = key.filter(|key| !key.is_empty());
        self.check(value.as_deref(), key.as_deref(), false)?;
        self.check(old_value.as_deref(), key.as_deref(), true)?;
        let mut event = ChangeEvent {
            event_type: self.event_type.clone(),
            key: key.ok_or_else(|| self.no_key())?,
            operation: self.operation,
            value: new,
            old_value: old,
            txid: None,
            timestamp: None,
            headers: BTreeMap::new(),
        };
        for (name, value) in headers {
            set_header(&mut event, name, value)?;
        }
        Ok(event)
    }

    fn check(
        &self,
        text: Option<&str>,
        key: Option<&str>,
        old_value: bool,
    ) -> Result<(), EventFault> {
        match (self.row_rules, text) {
            (Some(rules), Some(text)) => rules
                .check(key, text)?
                .map_err(|issues| EventFault::Validation { old_value, issues }),
            _ => Ok(()),
        }
    }

    fn no_key(&self) -> EventFault {
        let primary_key = self.primary_key.clone();
        match self.operation {
            Operation::Delete => EventFault::NothingToDelete { primary_key },
            _ => EventFault::NoKey { primary_key },
        }
    }
}

fn object(text: Option<&str>) -> Result<Value, EventFault> {
    match text.map(from_json).transpose()? {
        None => Ok(Value::Missing),
        Some(object @ Value::Object(_)) => Ok(object),
        Some(other) => Err(EventFault::NotAnObject(other.as_ref().type_name())),
    }
}

fn key_of(field: ValueRef<'_>) -> Option<SmolStr> {
    match field {
        ValueRef::Str(key) => Some(key.into()),
        ValueRef::Int(_) | ValueRef::Float(_) | ValueRef::Bool(_) => Some(field.to_smolstr()),
        _ => None,
    }
}

fn set_header(event: &mut ChangeEvent, name: SmolStr, value: Value) -> Result<(), EventFault> {
    let expected = match (name.as_str(), value) {
        ("operation", _) => return Ok(()),
        ("txid", Value::Str(txid)) if !txid.is_empty() => {
            event.txid = Some(txid);
            return Ok(());
        }
        ("timestamp", Value::Str(time)) if time.parse::<jiff::Timestamp>().is_ok() => {
            event.timestamp = Some(time);
            return Ok(());
        }
        ("txid", _) => "a non-empty string",
        ("timestamp", _) => "a time as of RFC 3339",
        ("control", _) => "left to control messages",
        (_, value) => {
            event.headers.insert(name, value);
            return Ok(());
        }
    };
    Err(EventFault::Header { name, expected })
}
