//! The tables, and histories of their rows.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::Dialect;
use crate::sql::judges::Tables;

pub(super) const TABLES: [&str; 3] = ["one", "two", "three"];
const KEYS: [&str; 8] = ["1", "2", "3", "4", "10", "a", "B", "x,y"];
pub(super) const DAYS: [&str; 6] = [
    "1969-12-31",
    "2023-12-31",
    "2024-01-31",
    "2024-02-29",
    "2024-03-01",
    "2025-12-29",
];
pub(super) const TIMES: [&str; 6] = [
    "1969-12-31T23:59:59.750Z",
    "2023-12-31T12:30:15.250Z",
    "2024-01-31T06:00:00Z",
    "2024-02-29T23:59:59Z",
    "2024-03-01T00:00:00Z",
    "2024-03-31T01:30:00Z",
];

pub(crate) fn tables(dialect: Dialect) -> Tables {
    let mut columns = json!({
        "i": "BIGINT", "j": "BIGINT", "x": "FLOAT8", "s": "VARCHAR", "p": "BOOLEAN", "day": "DATE", "tm": "TIMESTAMP",
    });
    if dialect == Dialect::Postgres {
        columns["o"] = json!("JSONB");
    }
    Tables::new(
        TABLES
            .iter()
            .map(|table| (table.to_string(), columns.clone()))
            .collect(),
    )
}

/// Batches of messages.
pub(crate) fn history(rng: &mut Rng) -> Vec<Vec<Value>> {
    let absent = rng.u8(0..3);
    (0..rng.usize(3..6))
        .map(|n| {
            let most = if n == 0 { 20 } else { 8 };
            (0..rng.usize(1..=most))
                .map(|_| message(rng, absent))
                .collect()
        })
        .collect()
}

fn message(rng: &mut Rng, absent: u8) -> Value {
    let (table, key) = (pick(rng, &TABLES), pick(rng, &KEYS));
    if rng.u8(0..4) == 0 {
        return json!({"type": table, "key": key, "headers": {"operation": "delete"}});
    }
    let mut value = Map::new();
    let fields = [
        ("i", json!(pick(rng, &[0, 1, 1, 2, 3, -1]))),
        ("j", json!(pick(rng, &[0, 1, 2, 2, 5, 10]))),
        (
            "x",
            json!(pick(rng, &[0.0, 1.0, 0.25, 0.5, 2.5, -0.75, -1.5])),
        ),
        (
            "s",
            json!(pick(
                rng,
                &["", "a", "b", "ab", "B", "Abc", "é", "a%b", "a_"]
            )),
        ),
        ("p", json!(pick(rng, &[true, true, false]))),
        ("day", json!(pick(rng, &DAYS))),
        ("tm", json!(pick(rng, &TIMES))),
        ("o", object(rng)),
    ];
    for (name, field) in fields {
        match (rng.u8(0..5), absent) {
            (0, 0) => _ = value.insert(name.into(), Value::Null),
            (0, 1) => {}
            (0, _) if rng.bool() => _ = value.insert(name.into(), Value::Null),
            (0, _) => {}
            _ => _ = value.insert(name.into(), field),
        }
    }
    json!({"type": table, "key": key, "value": value, "headers": {"operation": "upsert"}})
}

/// JSON with some of its fields.
fn object(rng: &mut Rng) -> Value {
    let mut object = Map::new();
    let fields = [
        ("n", json!(pick(rng, &[0, 1, 2]))),
        ("f", json!(pick(rng, &[0.5, 1.25]))),
        ("k", json!(pick(rng, &["", "a", "ab"]))),
        ("q", json!(rng.bool())),
        (
            "in",
            json!({"k": pick(rng, &["a", "b"]), "n": pick(rng, &[1, 5])}),
        ),
    ];
    for (name, field) in fields {
        if rng.u8(0..4) > 0 {
            object.insert(name.into(), field);
        }
    }
    object.into()
}

pub(super) fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}
