//! What event helpers make: numbers 35 to 41.

use serde_json::{Value, json};
use tailwater::protocol::{ChangeEvent, Event};
use tailwater::schema::{EventBuilder, Events};

use super::rows::{self, Message, User, user};

fn users() -> Events<User> {
    rows::schema().events().unwrap()
}

/// An event as it goes over the wire, from where it comes back as it was.
fn wire(event: EventBuilder<'_, impl serde::Serialize>) -> Value {
    let event: ChangeEvent = event.build().unwrap();
    let text = serde_json::to_string(&event).unwrap();
    assert_eq!(Event::decode(&text).unwrap(), Event::Change(event));
    serde_json::from_str(&text).unwrap()
}

fn kyle() -> Value {
    json!({"id": "123", "name": "Kyle", "email": "kyle@example.com"})
}

fn ky() -> Value {
    json!({"id": "123", "name": "Ky", "email": "ky@example.com"})
}

#[test]
fn b35_insert_events_have_the_right_structure() {
    assert_eq!(
        wire(users().insert(&user("123", "Kyle")).key("123")),
        json!({"type": "user", "key": "123", "value": kyle(), "headers": {"operation": "insert"}})
    );
}

#[test]
fn b36_update_events_have_the_right_structure() {
    assert_eq!(
        wire(
            users()
                .update(&user("123", "Ky"))
                .old_value(&user("123", "Kyle"))
        ),
        json!({"type": "user", "key": "123", "value": ky(), "old_value": kyle(),
            "headers": {"operation": "update"}})
    );
}

#[test]
fn b37_update_events_go_without_an_old_value() {
    assert_eq!(
        wire(users().update(&user("123", "Ky"))),
        json!({"type": "user", "key": "123", "value": ky(), "headers": {"operation": "update"}})
    );
}

#[test]
fn b38_delete_events_have_the_right_structure() {
    assert_eq!(
        wire(users().delete().key("123").old_value(&user("123", "Kyle"))),
        json!({"type": "user", "key": "123", "old_value": kyle(),
            "headers": {"operation": "delete"}})
    );
}

#[test]
fn b39_delete_events_go_without_an_old_value() {
    assert_eq!(
        wire(users().delete().key("123")),
        json!({"type": "user", "key": "123", "headers": {"operation": "delete"}})
    );
}

#[test]
fn b40_each_collection_has_its_event_type() {
    let messages = rows::schema().events::<Message>().unwrap();
    let hello = Message {
        id: 18_446_744_073_709_551_615,
        text: "Hello".into(),
    };
    let event = wire(messages.insert(&hello));
    assert_eq!(event["type"], "message");
    // A number that names a row becomes text, exactly.
    assert_eq!(event["key"], "18446744073709551615");
    assert_eq!(event["value"]["id"], 18_446_744_073_709_551_615_u64);
    assert_eq!(wire(users().insert(&user("1", "A")))["type"], "user");
}

#[test]
fn b41_headers_are_kept_txid_and_timestamp_among_them() {
    let event = users()
        .insert(&user("123", "Kyle"))
        .txid("abc-123")
        .timestamp("2025-01-15T10:30:00.000Z")
        .header("actor", "system")
        .header("actor", "admin")
        .header("retries", 3)
        .build()
        .unwrap();
    assert_eq!(event.txid.as_deref(), Some("abc-123"));
    assert_eq!(event.timestamp.as_deref(), Some("2025-01-15T10:30:00.000Z"));
    assert_eq!(
        serde_json::to_value(&event).unwrap()["headers"],
        json!({"operation": "insert", "txid": "abc-123",
            "timestamp": "2025-01-15T10:30:00.000Z", "actor": "admin", "retries": 3})
    );
    // By whatever way they came.
    let same = users()
        .insert(&user("123", "Kyle"))
        .header("retries", 3)
        .header("timestamp", "2025-01-15T10:30:00.000Z")
        .header("txid", "abc-123")
        .header("actor", "admin")
        .build()
        .unwrap();
    assert_eq!(same, event);
}

#[test]
fn headers_that_would_not_be_understood_are_refused() {
    let users = users();
    let delete = || users.delete().key("1");
    for (event, expected) in [
        (
            delete().txid(""),
            "header `txid` must be a non-empty string",
        ),
        (
            delete().header("txid", 7),
            "header `txid` must be a non-empty string",
        ),
        (
            delete().timestamp("yesterday"),
            "header `timestamp` must be a time as of RFC 3339",
        ),
        (
            delete().header("control", "reset"),
            "header `control` must be left to control messages",
        ),
    ] {
        assert_eq!(
            event.build().unwrap_err().to_string(),
            format!("cannot create user delete event: {expected}")
        );
    }
}

#[test]
fn an_insert_has_no_old_value() {
    let (new, old) = (user("1", "A"), user("1", "B"));
    let error = users().insert(&new).old_value(&old).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot create user insert event: an insert has no 'oldValue'"
    );
}
