//! The plain state that messages add up to: key/value maps, without queries.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use smol_str::SmolStr;
use thiserror::Error;

use super::message::{ChangeEvent, Control, Event, Operation};
use crate::value::Value;

/// Why a value was not read as a Rust type.
#[derive(Debug, Error)]
#[error("value of type `{event_type}`, key `{key}`: {source}")]
pub struct ValueTypeError {
    /// The event type.
    pub event_type: SmolStr,
    /// The row's key.
    pub key: SmolStr,
    /// What is wrong.
    pub source: serde_json::Error,
}

/// The current value of every key of every event type.
///
/// Mirrors `MaterializedState` of `@durable-streams/state`; unlike it, control messages may be
/// applied too: `reset` clears everything, and snapshot boundaries are of no consequence here.
///
/// ```
/// use tailwater::protocol::{Event, MaterializedState};
/// let mut state = MaterializedState::new();
/// state.apply(&Event::decode(
///     r#"{"type":"config","key":"theme","value":"dark","headers":{"operation":"insert"}}"#,
/// )?);
/// assert_eq!(state.get("config", "theme").unwrap().as_str(), Some("dark"));
/// assert_eq!(state.get_as::<String>("config", "theme")?.unwrap(), "dark");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MaterializedState {
    types: BTreeMap<SmolStr, BTreeMap<SmolStr, Value>>,
}

impl MaterializedState {
    /// An empty state.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies one message.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Change(ChangeEvent {
                event_type,
                key,
                operation,
                value,
                ..
            }) => {
                let rows = self.types.entry(event_type.clone()).or_default();
                match operation {
                    Operation::Delete => rows.remove(key),
                    _ => rows.insert(key.clone(), value.clone()),
                };
            }
            Event::Control(event) if event.control == Control::Reset => self.clear(),
            Event::Control(_) => {}
        }
    }

    /// Applies messages in order.
    pub fn apply_batch<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) {
        events.into_iter().for_each(|event| self.apply(event));
    }

    /// The value of a key.
    pub fn get(&self, event_type: &str, key: &str) -> Option<&Value> {
        self.types.get(event_type)?.get(key)
    }

    /// The value of a key as a Rust type.
    ///
    /// # Errors
    ///
    /// If the value is there, but is not one of the type.
    pub fn get_as<T: DeserializeOwned>(
        &self,
        event_type: &str,
        key: &str,
    ) -> Result<Option<T>, ValueTypeError> {
        let Some(value) = self.get(event_type, key) else {
            return Ok(None);
        };
        let typed = serde_json::to_value(value).and_then(serde_json::from_value);
        typed.map(Some).map_err(|source| ValueTypeError {
            event_type: event_type.into(),
            key: key.into(),
            source,
        })
    }

    /// All values of a type, by key; empty for a type that never came.
    pub fn get_type(&self, event_type: &str) -> &BTreeMap<SmolStr, Value> {
        static EMPTY: BTreeMap<SmolStr, Value> = BTreeMap::new();
        self.types.get(event_type).unwrap_or(&EMPTY)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.types.clear();
    }

    /// The number of types that came; one that lost all its keys still counts.
    pub fn type_count(&self) -> usize {
        self.types.len()
    }

    /// The types that came.
    pub fn types(&self) -> impl Iterator<Item = &SmolStr> {
        self.types.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_value_must_be_of_its_type() {
        let mut state = MaterializedState::new();
        let text = r#"{"type":"c","key":"k","value":{"n":[300]},"headers":{"operation":"insert"}}"#;
        state.apply(&Event::decode(text).unwrap());
        type Rows<T> = BTreeMap<String, Vec<T>>;
        let rows: Option<Rows<u64>> = state.get_as("c", "k").unwrap();
        assert_eq!(rows.unwrap()["n"], [300]);
        assert_eq!(state.get_as::<Rows<u8>>("c", "none").unwrap(), None);
        assert_eq!(
            state.get_as::<Rows<u8>>("c", "k").unwrap_err().to_string(),
            "value of type `c`, key `k`: invalid value: integer `300`, expected u8"
        );
    }

    #[test]
    fn a_reset_clears_and_snapshot_bounds_do_not() {
        let mut state = MaterializedState::new();
        for text in [
            r#"{"type":"c","key":"k","value":1,"headers":{"operation":"insert"}}"#,
            r#"{"headers":{"control":"snapshot-start"}}"#,
            r#"{"headers":{"control":"snapshot-end"}}"#,
        ] {
            state.apply(&Event::decode(text).unwrap());
        }
        assert_eq!(state.get("c", "k"), Some(&1.into()));
        state.apply(&Event::decode(r#"{"headers":{"control":"reset"}}"#).unwrap());
        assert_eq!(state.type_count(), 0);
    }
}
