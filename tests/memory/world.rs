//! Rows and queries to measure.

use serde_json::{Value, json};
use tailwater::engine::{Batch, Engine};
use tailwater::query::Query;

pub(crate) const ROWS: usize = 20_000;

pub(crate) fn path(path: &str) -> Value {
    json!({"type": "ref", "path": path.split('.').collect::<Vec<_>>()})
}

pub(crate) fn val(value: impl Into<Value>) -> Value {
    json!({"type": "val", "value": value.into()})
}

pub(crate) fn func(name: &str, args: &[Value]) -> Value {
    json!({"type": "func", "name": name, "args": args})
}

pub(crate) fn from(collection: &str) -> Value {
    json!({"type": "collectionRef", "collection": collection, "alias": collection})
}

fn agg(name: &str, of: &str) -> Value {
    json!({"type": "agg", "name": name, "args": [path(of)]})
}

pub(crate) fn query(json: &Value) -> Query {
    Query::from_json(&json.to_string()).expect("a query")
}

/// The queries, each with a name.
pub(crate) fn queries() -> Vec<(&'static str, Value)> {
    let join = |kind: &str| {
        let on = func("eq", &[path("event.user"), path("user.id")]);
        json!({"from": from("event"), "join": [{"type": kind, "from": from("user"), "on": on}]})
    };
    let group = |aggregates: &[(&str, &str)]| {
        let mut select = json!({"lang": path("event.lang")});
        for (name, of) in aggregates {
            select[format!("{name} {of}")] = agg(name, of);
        }
        json!({"from": from("event"), "groupBy": [path("event.lang")], "select": select})
    };
    let by_time =
        json!([{"expression": path("event.at"), "compareOptions": {"direction": "desc"}}]);
    let mut joined_and_joined = join("inner");
    joined_and_joined["join"]
        .as_array_mut()
        .unwrap()
        .push(json!({
        "type": "left", "from": {"type": "collectionRef", "collection": "user", "alias": "other"},
        "on": func("eq", &[path("user.friend"), path("other.id")])}));
    let children = json!({"from": from("event"), "where": [func("eq", &[path("event.user"), path("user.id")])],
        "orderBy": by_time, "limit": 3, "select": {"text": path("event.text")}});
    let mut theta = join("left");
    theta["join"][0]["on"] = func(
        "and",
        &[
            theta["join"][0]["on"].clone(),
            func("gt", &[path("event.n"), path("user.n")]),
        ],
    );
    vec![
        ("all", json!({"from": from("event")})),
        (
            "filter",
            json!({"from": from("event"), "where": [func("gt", &[path("event.n"), val(500)])]}),
        ),
        (
            "projection",
            json!({"from": from("event"), "select": {"text": path("event.text"),
            "twice": func("add", &[path("event.n"), path("event.n")])}, "distinct": true}),
        ),
        ("inner join", join("inner")),
        ("left join", join("left")),
        ("left join with a condition", theta),
        ("two joins", joined_and_joined),
        (
            "sums",
            group(&[("count", "event.n"), ("sum", "event.n"), ("avg", "event.n")]),
        ),
        (
            "extremes",
            group(&[("min", "event.n"), ("max", "event.text")]),
        ),
        (
            "median",
            group(&[("median", "event.n"), ("stddev", "event.n")]),
        ),
        (
            "many groups",
            json!({"from": from("event"), "groupBy": [path("event.text")],
            "select": {"text": path("event.text"), "least": agg("min", "event.n")}}),
        ),
        (
            "ordered",
            json!({"from": from("event"), "orderBy": by_time}),
        ),
        (
            "window",
            json!({"from": from("event"), "orderBy": by_time, "limit": 50, "offset": 10}),
        ),
        (
            "distinct",
            json!({"from": from("event"), "distinct": true, "select": {"user": path("event.user")}}),
        ),
        (
            "include",
            json!({"from": from("user"), "select": {"name": path("user.name"),
            "last": {"type": "includesSubquery", "query": children, "materialization": "array"}}}),
        ),
        (
            "union",
            json!({"from": {"type": "unionAll", "queries": [
            {"from": from("event"), "select": {"text": path("event.text")}},
            {"from": from("user"), "select": {"text": path("user.name")}}]}}),
        ),
        (
            "clock",
            json!({"from": from("event"), "where": [
            func("gt", &[path("event.at"), func("subtract", &[func("now", &[]), val(1000)])])]}),
        ),
    ]
}

pub(crate) fn event(key: usize, n: usize) -> String {
    json!({"type": "event", "key": format!("event-{key}"), "headers": {"operation": "upsert"}, "value": {
        "user": format!("user-{}", key % (ROWS / 10)), "lang": format!("l{}", n % 40), "n": n % 1000,
        "at": n, "text": format!("what somebody said at {n} was about {}", key % 977)}})
    .to_string()
}

pub(crate) fn user(key: usize, n: usize) -> String {
    json!({"type": "user", "key": format!("user-{key}"), "headers": {"operation": "upsert"}, "value": {
        "id": format!("user-{key}"), "name": format!("somebody by the name of {n}"), "n": n % 1000,
        "friend": format!("user-{}", (key + n) % (ROWS / 10))}})
    .to_string()
}

pub(crate) fn delete(collection: &str, key: usize) -> String {
    json!({"type": collection, "key": format!("{collection}-{key}"), "headers": {"operation": "delete"}})
        .to_string()
}

pub(crate) fn batch(engine: &Engine, messages: &[String]) -> Batch {
    let messages = messages.iter().map(String::as_str);
    engine.decode(messages).expect("messages that are right")
}

pub(crate) fn apply(engine: &mut Engine, messages: &[String]) {
    let batch = batch(engine, messages);
    engine.apply(batch);
}

/// The rows at the start, or new values for all of them.
pub(crate) fn load(engine: &mut Engine, round: usize) {
    for start in (0..ROWS).step_by(1000) {
        let value = |key| key * 7919 % ROWS + round * 13;
        let events = (start..start + 1000).map(|key| event(key, value(key)));
        let users = (start / 10..start / 10 + 100).map(|key| user(key, value(key)));
        let messages: Vec<String> = events.chain(users).collect();
        apply(engine, &messages);
    }
}

/// Deletes all rows but a few.
pub(crate) fn purge(engine: &mut Engine) {
    for start in (0..ROWS).step_by(1000) {
        let events = (start..start + 1000).filter(|key| key % 1000 != 0);
        let users = (start / 10..start / 10 + 100).filter(|key| key % 1000 != 0);
        let messages: Vec<String> = events
            .map(|key| delete("event", key))
            .chain(users.map(|key| delete("user", key)))
            .collect();
        apply(engine, &messages);
    }
}
