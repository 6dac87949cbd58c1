//! What the stories of single cases are told with: queries and messages in few words, and an engine
//! whose results and change sets come as JSON.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tailwater::engine::{Engine, QueryId};
use tailwater::query::Query;
use tailwater::view::ChangeSet;

/// An address that is free, and that no other test takes while nobody listens there: it is below those
/// that systems give out.
pub(crate) fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let address = || {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (std::process::id().wrapping_mul(8) + number) % 20_000;
        format!("127.0.0.1:{port}")
    };
    let mut addresses = std::iter::repeat_with(address);
    let free = addresses.find(|address| TcpListener::bind(address).is_ok());
    free.expect("one is free")
}

/// A path, its steps parted by dots.
pub(crate) fn path(steps: &str) -> Value {
    json!({"type": "ref", "path": steps.split('.').collect::<Vec<_>>()})
}

pub(crate) fn val(value: impl Into<Value>) -> Value {
    json!({"type": "val", "value": value.into()})
}

pub(crate) fn func(name: &str, args: &[Value]) -> Value {
    json!({"type": "func", "name": name, "args": args})
}

pub(crate) fn agg(name: &str, of: &str) -> Value {
    json!({"type": "agg", "name": name, "args": [path(of)]})
}

pub(crate) fn eq(a: &str, b: &str) -> Value {
    func("eq", &[path(a), path(b)])
}

/// A collection under its own name.
pub(crate) fn from(collection: &str) -> Value {
    source(collection, collection)
}

pub(crate) fn source(collection: &str, alias: &str) -> Value {
    json!({"type": "collectionRef", "collection": collection, "alias": alias})
}

pub(crate) fn query_ref(query: &Value, alias: &str) -> Value {
    json!({"type": "queryRef", "query": query, "alias": alias})
}

pub(crate) fn union_all(queries: &[Value]) -> Value {
    json!({"type": "unionAll", "queries": queries})
}

pub(crate) fn join(kind: &str, source: Value, on: Value) -> Value {
    json!({"type": kind, "from": source, "on": on})
}

pub(crate) fn order(by: &str) -> Value {
    json!({"expression": path(by)})
}

pub(crate) fn order_desc(by: &str) -> Value {
    json!({"expression": path(by), "compareOptions": {"direction": "desc"}})
}

/// An included query, its rows as an array.
pub(crate) fn include(query: &Value) -> Value {
    json!({"type": "includesSubquery", "query": query, "materialization": "array"})
}

pub(crate) fn put(collection: &str, key: &str, value: Value) -> Value {
    json!({"type": collection, "key": key, "value": value, "headers": {"operation": "upsert"}})
}

pub(crate) fn delete(collection: &str, key: &str) -> Value {
    json!({"type": collection, "key": key, "headers": {"operation": "delete"}})
}

/// The change of a row that came; of an ordered result, where it stands.
pub(crate) fn came(key: &str, value: Value, index: impl Into<Option<usize>>) -> Value {
    with_place(
        json!({"type": "insert", "key": key, "value": value}),
        None,
        index.into(),
    )
}

/// The change of a row that left; of an ordered result, where it stood.
pub(crate) fn left(key: &str, value: Value, index: impl Into<Option<usize>>) -> Value {
    with_place(
        json!({"type": "delete", "key": key, "value": value}),
        index.into(),
        None,
    )
}

/// The change of a row that became another one, or moved from one position to another.
pub(crate) fn became(
    key: &str,
    old: Value,
    new: Value,
    moved: impl Into<Option<(usize, usize)>>,
) -> Value {
    let moved = moved.into();
    let change = json!({"type": "update", "key": key, "value": new, "previousValue": old});
    with_place(change, moved.map(|m| m.0), moved.map(|m| m.1))
}

fn with_place(mut change: Value, previous: Option<usize>, index: Option<usize>) -> Value {
    for (name, index) in [("previousIndex", previous), ("index", index)] {
        if let Some(index) = index {
            change[name] = index.into();
        }
    }
    change
}

pub(crate) fn as_json(changes: &ChangeSet) -> Value {
    serde_json::from_str(&serde_json::to_string(changes).unwrap()).unwrap()
}

pub(crate) fn parsed(query: &Value) -> Query {
    Query::from_json(&query.to_string()).unwrap()
}

/// Why a query is refused.
pub(crate) fn refusal(query: &Value) -> String {
    match Query::from_json(&query.to_string()) {
        Err(error) => error.to_string(),
        Ok(query) => Engine::new().install(&query).unwrap_err().to_string(),
    }
}

/// An engine that speaks JSON.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) engine: Engine,
}

impl World {
    /// An engine with rows.
    pub(crate) fn of(messages: &[Value]) -> World {
        let mut world = World::default();
        world.apply(messages);
        world
    }

    pub(crate) fn install(&mut self, query: &Value) -> QueryId {
        self.engine.install(&parsed(query)).unwrap()
    }

    /// Applies messages as one batch.
    pub(crate) fn apply(&mut self, messages: &[Value]) -> BTreeMap<QueryId, ChangeSet> {
        let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        let batch = self
            .engine
            .decode(texts.iter().map(String::as_str))
            .unwrap();
        self.engine.apply(batch)
    }

    /// What a batch changes in a result.
    pub(crate) fn changes(&mut self, of: QueryId, messages: &[Value]) -> Value {
        self.apply(messages).get(&of).map_or(json!([]), as_json)
    }

    /// What a later time changes in a result.
    pub(crate) fn clock(&mut self, of: QueryId, now: i64) -> Value {
        let changes = self.engine.set_clock(now);
        changes.get(&of).map_or(json!([]), as_json)
    }

    /// What another window changes in a result.
    pub(crate) fn window(&mut self, of: QueryId, offset: usize, limit: Option<usize>) -> Value {
        as_json(&self.engine.set_window(of, offset, limit).unwrap())
    }

    pub(crate) fn keys(&self, of: QueryId) -> Vec<String> {
        let view = self.engine.view(of).unwrap();
        view.rows().map(|row| row.key()).collect()
    }

    /// The values of a result's rows.
    pub(crate) fn rows(&self, of: QueryId) -> Value {
        let view = self.engine.view(of).unwrap();
        let value = |row: tailwater::view::ResultRow<'_>| -> Value {
            serde_json::from_str(&serde_json::to_string(&row.json()).unwrap()).unwrap()
        };
        view.rows().map(value).collect()
    }
}
