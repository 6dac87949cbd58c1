//! Upserts, and inserts of keys that are there: numbers 52 to 57.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tailwater::engine::Engine;
use tailwater::protocol::ChangeEvent;
use tailwater::schema::{EventBuilder, Events};

use super::rows::{self, User, user};

fn users() -> Events<User> {
    rows::schema().events().unwrap()
}

/// The names of the users that events add up to, by key; the same all at once or one by one.
fn names<'a>(events: impl IntoIterator<Item = EventBuilder<'a, User>>) -> BTreeMap<String, String> {
    let texts: Vec<String> = events
        .into_iter()
        .map(|event| {
            let event: ChangeEvent = event.build().unwrap();
            serde_json::to_string(&event).unwrap()
        })
        .collect();
    let [at_once, one_by_one] = [texts.len(), 1].map(|size| {
        let mut engine = Engine::with_catalog(Arc::new(rows::schema().catalog()));
        for texts in texts.chunks(size) {
            let batch = engine.decode(texts.iter().map(String::as_str)).unwrap();
            engine.apply(batch);
        }
        let users = engine.catalog().by_name("users").unwrap();
        let columns = users.columns();
        let rows = engine.store().rows(&users).map(|row| {
            let row = columns.fields(row).value();
            let text = |field| row.get(field).as_str().unwrap().to_owned();
            (text("id"), text("name"))
        });
        rows.collect::<BTreeMap<_, _>>()
    });
    assert_eq!(at_once, one_by_one);
    at_once
}

fn expected(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    let row = |(key, name): &(&str, &str)| (key.to_string(), name.to_string());
    rows.iter().map(row).collect()
}

#[test]
fn b52_upsert_events_have_the_right_structure() {
    let event = users().upsert(&user("123", "Kyle")).build().unwrap();
    let json: Value = serde_json::to_value(&event).unwrap();
    assert_eq!(
        json,
        json!({"type": "user", "key": "123",
            "value": {"id": "123", "name": "Kyle", "email": "kyle@example.com"},
            "headers": {"operation": "upsert"}})
    );
}

#[test]
fn b53_an_upsert_of_an_unknown_key_inserts() {
    assert_eq!(
        names([users().upsert(&user("1", "Kyle"))]),
        expected(&[("1", "Kyle")])
    );
}

#[test]
fn b54_an_upsert_of_a_known_key_updates() {
    let users = users();
    assert_eq!(
        names([
            users.insert(&user("1", "Kyle")),
            users.upsert(&user("1", "Ky"))
        ]),
        expected(&[("1", "Ky")])
    );
}

#[test]
fn b55_of_several_upserts_the_last_wins() {
    let users = users();
    assert_eq!(
        names([
            users.upsert(&user("1", "A")),
            users.upsert(&user("1", "B")),
            users.upsert(&user("1", "C"))
        ]),
        expected(&[("1", "C")])
    );
}

#[test]
fn b56_of_several_inserts_the_last_wins() {
    let users = users();
    assert_eq!(
        names([users.insert(&user("1", "A")), users.insert(&user("1", "B"))]),
        expected(&[("1", "B")])
    );
}

#[test]
fn b57_upserts_and_inserts_go_together() {
    let users = users();
    assert_eq!(
        names([
            users.insert(&user("1", "A")),
            users.upsert(&user("2", "B")),
            users.upsert(&user("1", "C")),
            users.insert(&user("3", "D")),
            users.update(&user("2", "E")),
        ]),
        expected(&[("1", "C"), ("2", "E"), ("3", "D")])
    );
}
