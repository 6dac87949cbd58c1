//! What each target does with its bytes. A panic, an abort, a hang or a broken promise is a finding.

mod http;

use std::collections::{BTreeMap, BTreeSet};

use tailwater::engine::Engine;
use tailwater::fuzzing;
use tailwater::protocol::{Event, MaterializedState};
use tailwater::query::{Query, QueryFile};
use tailwater::view::View;

pub use http::http;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("events", events),
    ("query", query),
    ("sql", sql),
    ("sse", sse),
    ("http", http),
    ("snapshot", snapshot),
    ("kept", kept),
];

/// Bytes that a query may take; what needs more is refused or stopped.
const MEMORY: usize = 64 << 20;

/// The rows that queries are tried on: values of all types, and keys that join.
const ROWS: &str = r#"[
{"type":"t","key":"1","value":{"id":1,"a":"x","b":1.5,"n":null,"s":"2024-02-29T12:00:00Z","l":[1,"x",null],"o":{"p":{"q":-0.0}}},"headers":{"operation":"insert"}},
{"type":"t","key":"2","value":{"id":2,"a":"ÄÖ😀","b":-9007199254740993,"s":"P1D","l":[],"o":{}},"headers":{"operation":"insert"}},
{"type":"t","key":"3","value":{"id":"3","a":"","b":18446744073709551615,"c":true},"headers":{"operation":"insert"}},
{"type":"u","key":"1","value":{"id":1,"t":2,"a":"x","b":1e308,"d":false},"headers":{"operation":"insert"}},
{"type":"u","key":"2","value":{"id":2,"t":"3","a":"%_\\","b":0},"headers":{"operation":"insert"}},
{"type":"u","key":"3","value":{"id":3,"t":null,"b":1e-300},"headers":{"operation":"insert"}}]"#;
const CHANGES: &str = r#"[
{"type":"t","key":"1","headers":{"operation":"delete"}},
{"type":"t","key":"2","value":{"id":1,"a":"y","b":2},"headers":{"operation":"update"}},
{"type":"u","key":"2","value":{"id":2,"t":1,"a":"x"},"headers":{"operation":"upsert"}}]"#;

fn lines(data: &[u8]) -> Option<impl Iterator<Item = &str>> {
    Some(std::str::from_utf8(data).ok()?.lines())
}

/// Lines of messages and batches: what is taken is the same once written and read again, and the
/// engine has the rows that the plain state has.
pub fn events(data: &[u8]) {
    let Some(lines) = lines(data) else { return };
    let mut engine = Engine::new();
    let mut state = MaterializedState::new();
    let (mut types, mut controlled) = (BTreeSet::new(), false);
    for line in lines {
        let texts = match serde_json::from_str::<Vec<&serde_json::value::RawValue>>(line) {
            Ok(texts) => texts.iter().map(|text| text.get()).collect(),
            Err(_) => vec![line],
        };
        for text in &texts {
            if let Ok(event) = Event::decode(text) {
                let again = serde_json::to_string(&event).expect("an event is JSON");
                assert_eq!(Event::decode(&again).expect("as it was"), event, "{again}");
                match &event {
                    Event::Change(change) => drop(types.insert(change.event_type.clone())),
                    // What they void is told only once more has come.
                    Event::Control(_) => controlled = true,
                }
                state.apply(&event);
            }
        }
        let batch = engine.decode(
            texts
                .iter()
                .copied()
                .filter(|text| Event::decode(text).is_ok()),
        );
        match batch {
            Ok(batch) => drop(engine.apply(batch)),
            // A row that is too wide, for one; the plain state knows no such limits.
            Err(_) => return,
        }
    }
    for event_type in types.iter().filter(|_| !controlled) {
        let from = serde_json::json!({"type": "collectionRef", "collection": event_type.as_str(), "alias": "a"});
        let query = Query::from_json(&serde_json::json!({"from": from}).to_string());
        let view = engine
            .query_once(&query.expect("a query"))
            .expect("it can be planned");
        let rows: BTreeMap<String, String> = view
            .rows()
            .map(|row| (row.key(), row.value().to_string()))
            .collect();
        let expected: BTreeMap<String, String> = state
            .get_type(event_type)
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        assert_eq!(rows, expected, "{event_type}");
    }
}

/// Query JSON: what is taken is the same once written and read again, and runs.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(query) = Query::from_json(text) {
        written(&query);
        run(&query);
    }
    let _ = QueryFile::from_json(text).map_err(|error| error.to_string());
}

/// SQL: errors can be shown, and what is taken runs.
pub fn sql(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Query::from_sql(text) {
        Ok(query) => {
            written(&query);
            run(&query);
        }
        Err(error) => drop(error.to_string()),
    }
    let _ = QueryFile::from_sql(text).map_err(|error| error.to_string());
}

fn written(query: &Query) {
    let Ok(text) = query.to_json() else { return };
    match Query::from_json(&text) {
        Ok(again) => assert_eq!(&again, query, "{text}"),
        // SQL may be deeper than JSON.
        Err(error) if error.message.contains("recursion limit") => {}
        Err(error) => panic!("{error}: {text}"),
    }
}

/// Runs a query over rows that come before it and after it; the second is as the first.
fn run(query: &Query) {
    let mut engine = Engine::new();
    engine.set_query_memory_limit(Some(MEMORY));
    let texts = |text: &'static str| {
        serde_json::from_str::<Vec<&serde_json::value::RawValue>>(text).expect("JSON")
    };
    let batch = |engine: &Engine, text| {
        let texts = texts(text);
        engine
            .decode(texts.iter().map(|text| text.get()))
            .expect("messages")
    };
    let id = engine.install(query);
    let rows = batch(&engine, ROWS);
    engine.apply(rows);
    let changes = batch(&engine, CHANGES);
    engine.apply(changes);
    let Ok(id) = id else { return };
    if !engine.take_failures().is_empty() || engine.has_clock() || engine.is_cut(id) {
        return;
    }
    let Ok(once) = engine.query_once(query) else {
        return;
    };
    let shown = |view: &View| -> Vec<(String, String)> {
        view.rows()
            .map(|row| (row.key(), row.value().to_string()))
            .collect()
    };
    let live = engine.view(id).expect("it is installed");
    assert_eq!(shown(&live), shown(&once));
}

/// Server-sent events: however the bytes are cut, the events are the same.
pub fn sse(data: &[u8]) {
    let (cut, data) = data
        .split_first()
        .map_or((1, data), |(cut, rest)| (*cut, rest));
    let whole = fuzzing::sse([data].into_iter());
    let parts = fuzzing::sse(data.chunks(usize::from(cut % 32) + 1));
    assert_eq!(whole, parts);
}

/// What a database keeps on disk: bytes that are no snapshot are refused, and what is taken from others
/// is the same each time.
pub fn kept(data: &[u8]) {
    let [found, sealed] = fuzzing::kept(data);
    assert_eq!([&found, &sealed], fuzzing::kept(data).each_ref());
    if found.is_some() {
        assert_eq!(found, sealed);
    }
}

/// What a reader puts together from the messages of a result, snapshots among them.
pub fn snapshot(data: &[u8]) {
    let Some(lines) = lines(data) else { return };
    let mut engine = Engine::new();
    let all = Query::from_json(r#"{"from":{"type":"collectionRef","collection":"t","alias":"t"}}"#);
    let id = engine
        .install(&all.expect("a query"))
        .expect("it can be planned");
    for line in lines {
        if let Ok(batch) = engine.decode([line]) {
            engine.apply(batch);
        }
    }
    assert!(engine.view(id).is_some());
}
