//! Plain state: numbers 1 to 7.

use serde::Deserialize;
use tailwater::protocol::{Event, MaterializedState};
use tailwater::value::from_json;

fn event(operation: &str, event_type: &str, key: &str, value: &str) -> Event {
    Event::decode(&format!(
        r#"{{"type":"{event_type}","key":"{key}","value":{value},"headers":{{"operation":"{operation}"}}}}"#
    ))
    .unwrap()
}

fn state(events: &[Event]) -> MaterializedState {
    let mut state = MaterializedState::new();
    state.apply_batch(events);
    state
}

#[test]
fn b1_inserts_are_materialized() {
    let state = state(&[event("insert", "config", "theme", r#""dark""#)]);
    assert_eq!(state.get("config", "theme"), Some(&"dark".into()));
}

#[test]
fn b2_updates_are_materialized() {
    let update = r#"{"type":"config","key":"theme","value":"light","old_value":"other","headers":{"operation":"update"}}"#;
    let state = state(&[
        event("insert", "config", "theme", r#""dark""#),
        Event::decode(update).unwrap(),
    ]);
    assert_eq!(state.get("config", "theme"), Some(&"light".into()));
}

#[test]
fn b3_deletes_are_materialized() {
    let delete = r#"{"type":"config","key":"theme","headers":{"operation":"delete"}}"#;
    let state = state(&[
        event("insert", "config", "theme", r#""dark""#),
        Event::decode(delete).unwrap(),
    ]);
    assert_eq!(state.get("config", "theme"), None);
    assert!(state.get_type("config").is_empty());
}

#[test]
fn b4_types_live_side_by_side() {
    let state = state(&[
        event("insert", "user", "123", r#"{"name":"Kyle"}"#),
        event("insert", "config", "theme", r#""dark""#),
    ]);
    assert_eq!(
        state.get("user", "123"),
        Some(&from_json(r#"{"name":"Kyle"}"#).unwrap())
    );
    assert_eq!(state.get("config", "theme"), Some(&"dark".into()));
    assert_eq!(state.get("config", "123"), None);
}

#[test]
fn b5_all_rows_of_a_type_can_be_had() {
    let state = state(&[
        event("insert", "user", "123", r#"{"name":"Kyle"}"#),
        event("insert", "user", "456", r#"{"name":"Alice"}"#),
    ]);
    let rows: Vec<_> = state
        .get_type("user")
        .iter()
        .map(|(key, value)| (key.as_str(), value.get("name").as_str().unwrap()))
        .collect();
    assert_eq!(rows, [("123", "Kyle"), ("456", "Alice")]);
}

#[test]
fn b6_a_batch_is_applied() {
    let state = state(&[
        event("insert", "config", "theme", r#""dark""#),
        event("insert", "config", "language", r#""en""#),
    ]);
    assert_eq!(state.get("config", "theme"), Some(&"dark".into()));
    assert_eq!(state.get("config", "language"), Some(&"en".into()));
}

#[test]
fn b7_a_replay_starts_from_scratch() {
    let mut state = state(&[event("insert", "config", "old", "1")]);
    state.clear();
    state.apply_batch(&[
        event("insert", "config", "theme", r#""dark""#),
        event("update", "config", "theme", r#""light""#),
    ]);
    assert_eq!(state.get("config", "theme"), Some(&"light".into()));
    assert_eq!(state.get("config", "old"), None);
}

#[test]
fn types_that_came_are_counted_and_values_are_read_as_rust_types() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Theme {
        dark: bool,
    }
    let mut state = state(&[event("upsert", "config", "theme", r#"{"dark":true}"#)]);
    assert_eq!(
        state.get_as("config", "theme").unwrap(),
        Some(Theme { dark: true })
    );
    assert_eq!(state.get_as::<Theme>("config", "none").unwrap(), None);
    let error = state.get_as::<String>("config", "theme").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("value of type `config`, key `theme`: invalid type: map"),
        "{error}"
    );

    assert!(state.get_type("none").is_empty());
    assert_eq!(state.type_count(), 1);
    state.apply(&event("delete", "user", "1", "null"));
    state.apply(&event("delete", "config", "theme", "null"));
    assert_eq!(state.type_count(), 2);
    assert_eq!(state.types().collect::<Vec<_>>(), ["config", "user"]);
}
