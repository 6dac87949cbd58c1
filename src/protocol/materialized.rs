//! The plain state that messages add up to: key/value maps, without queries.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::message::{ChangeEvent, Control, Event, Operation};
use crate::value::Value;

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
/// # Ok::<(), tailwater::protocol::MessageError>(())
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

    fn event(operation: &str, event_type: &str, key: &str, value: &str) -> Event {
        Event::decode(&format!(
            r#"{{"type":"{event_type}","key":"{key}","value":{value},"headers":{{"operation":"{operation}"}}}}"#
        ))
        .unwrap()
    }

    // The seven cases of the reference's key-value test.

    #[test]
    fn inserts_updates_and_deletes() {
        let mut state = MaterializedState::new();
        state.apply(&event("insert", "config", "theme", "\"dark\""));
        assert_eq!(state.get("config", "theme"), Some(&"dark".into()));
        state.apply(&event("update", "config", "theme", "\"light\""));
        assert_eq!(state.get("config", "theme"), Some(&"light".into()));
        state.apply(&event("delete", "config", "theme", "null"));
        assert_eq!(state.get("config", "theme"), None);
        assert_eq!(state.type_count(), 1);
    }

    #[test]
    fn types_live_side_by_side() {
        let mut state = MaterializedState::new();
        let events = [
            event("insert", "user", "123", r#"{"name":"A"}"#),
            event("insert", "user", "124", r#"{"name":"B"}"#),
            event("insert", "config", "theme", "\"dark\""),
        ];
        state.apply_batch(&events);
        assert_eq!(state.get_type("user").len(), 2);
        assert_eq!(state.get_type("none").len(), 0);
        assert_eq!(state.types().collect::<Vec<_>>(), ["config", "user"]);
    }

    #[test]
    fn replays_from_scratch() {
        let mut state = MaterializedState::new();
        let events = [
            event("insert", "c", "k", "1"),
            event("update", "c", "k", "2"),
        ];
        state.apply_batch(&events);
        state.clear();
        assert_eq!(state.type_count(), 0);
        state.apply_batch(&events);
        assert_eq!(state.get("c", "k"), Some(&2.into()));
        state.apply(&Event::decode(r#"{"headers":{"control":"reset"}}"#).unwrap());
        assert_eq!(state.get("c", "k"), None);
    }
}
