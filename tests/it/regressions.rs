//! Cases that went wrong once and that random histories do not reach.

use serde_json::{Value, json};
use tailwater::engine::{Engine, QueryId};
use tailwater::query::Query;

fn path(path: &[&str]) -> Value {
    json!({"type": "ref", "path": path})
}

fn func(name: &str, args: &[Value]) -> Value {
    json!({"type": "func", "name": name, "args": args})
}

fn from(collection: &str) -> Value {
    json!({"type": "collectionRef", "collection": collection, "alias": collection})
}

fn put(collection: &str, key: &str, value: Value) -> Value {
    json!({"type": collection, "key": key, "value": value, "headers": {"operation": "upsert"}})
}

fn control(name: &str, of: Option<&str>) -> Value {
    let mut message = json!({"headers": {"control": name}});
    if let Some(collection) = of {
        message["type"] = collection.into();
    }
    message
}

fn install(engine: &mut Engine, query: &Value) -> Result<QueryId, String> {
    let query = Query::from_json(&query.to_string()).map_err(|e| e.to_string())?;
    engine.install(&query).map_err(|e| e.to_string())
}

fn apply(engine: &mut Engine, messages: &[Value]) {
    let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
    let batch = engine.decode(texts.iter().map(String::as_str)).unwrap();
    engine.apply(batch);
}

fn keys(engine: &Engine, query: QueryId) -> Vec<String> {
    engine
        .view(query)
        .unwrap()
        .rows()
        .map(|row| row.key())
        .collect()
}

#[test]
fn select_that_refers_to_itself_is_refused() {
    for select in [
        json!({"a": path(&["$selected", "a"])}),
        json!({"a": path(&["$selected", "b"]), "b": path(&["$selected", "a"])}),
        json!({"a": {"b": func("not", &[path(&["$selected"])])}}),
    ] {
        let error = install(
            &mut Engine::new(),
            &json!({"from": from("u"), "select": select}),
        );
        assert!(
            error
                .unwrap_err()
                .starts_with("`select`: `$selected` cannot stand inside `select`")
        );
    }
}

#[test]
fn keys_differ_where_json_does_not() {
    let mut engine = Engine::new();
    // Infinity, -Infinity, NaN, null, missing, and objects that look like their stand-ins.
    let huge = func(
        "multiply",
        &[path(&["u", "a"]), json!({"type": "val", "value": 1e308})],
    );
    let value = func("caseWhen", &[path(&["u", "raw"]), path(&["u", "o"]), huge]);
    let grouped = json!({"from": from("u"), "groupBy": [value], "select": {"n": {"type": "agg", "name": "count", "args": [path(&["u", "$key"])]}}});
    let distinct = json!({"from": from("u"), "distinct": true, "select": {"x": value}});
    let queries = [grouped, distinct].map(|q| install(&mut engine, &q).unwrap());
    apply(
        &mut engine,
        &[
            put("u", "1", json!({"a": 100})),
            put("u", "2", json!({"a": -100})),
            put("u", "3", json!({"a": "q"})),
            put("u", "4", json!({"raw": true, "o": null})),
            put("u", "5", json!({"raw": true})),
            put("u", "6", json!({"raw": true, "o": {"$missing": true}})),
            put("u", "7", json!({"raw": true, "o": {"$number": "NaN"}})),
        ],
    );
    for query in queries {
        let mut found = keys(&engine, query);
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 7, "{found:?}");
    }
}

#[test]
fn a_snapshot_speaks_for_its_own_collection_only() {
    let mut engine = Engine::new();
    let [u, m] = ["u", "m"].map(|c| install(&mut engine, &json!({"from": from(c)})).unwrap());
    apply(
        &mut engine,
        &[put("m", "0", json!({})), put("u", "0", json!({}))],
    );
    apply(
        &mut engine,
        &[
            control("snapshot-start", Some("u")),
            put("m", "1", json!({})),
            put("u", "1", json!({})),
        ],
    );
    assert_eq!(
        (keys(&engine, u), keys(&engine, m)),
        (vec!["0".into()], vec!["0".into(), "1".into()])
    );
    // Snapshots of two collections may overlap, and an end of another one ends neither.
    apply(
        &mut engine,
        &[
            control("snapshot-start", Some("m")),
            put("m", "2", json!({})),
            put("u", "2", json!({})),
            control("snapshot-end", Some("other")),
            control("snapshot-end", Some("u")),
        ],
    );
    assert_eq!(keys(&engine, u), ["1", "2"]);
    assert_eq!(keys(&engine, m), ["0", "1"]);
    assert!(engine.store().in_snapshot());
    apply(&mut engine, &[control("snapshot-end", Some("m"))]);
    assert_eq!(keys(&engine, m), ["2"]);
    // An empty snapshot that says of what it is clears that.
    apply(
        &mut engine,
        &[
            control("snapshot-start", Some("m")),
            control("snapshot-end", Some("m")),
        ],
    );
    assert_eq!(keys(&engine, m), [""; 0]);
}

#[test]
fn a_key_is_not_part_of_a_grouped_row() {
    let query = json!({"from": from("u"), "groupBy": [path(&["u"])], "select": {"k": path(&["u", "$key"])}});
    let error = install(&mut Engine::new(), &query).unwrap_err();
    assert!(
        error.contains("`u.$key` is neither grouped by nor inside an aggregate"),
        "{error}"
    );
}

#[test]
fn keys_of_nested_joins_are_bounded() {
    let mut query = json!({"from": from("u")});
    let mut error = None;
    for depth in 0..20 {
        let alias = |side: &str| format!("{side}{depth}");
        let source =
            |side: &str, q: &Value| json!({"type": "queryRef", "query": q, "alias": alias(side)});
        let on = func(
            "eq",
            &[path(&[&alias("l"), "$key"]), path(&[&alias("r"), "$key"])],
        );
        let right =
            json!({"from": {"type": "collectionRef", "collection": "u", "alias": alias("c")}});
        query = json!({"from": source("l", &query), "join": [{"type": "inner", "from": source("r", &right), "on": on}]});
        error = install(&mut Engine::new(), &query).err();
        if error.is_some() {
            break;
        }
    }
    assert!(error.unwrap().contains("nested more than 8 deep"));
}

#[test]
fn a_tick_that_changes_both_sides_of_one_key_is_not_quadratic_in_work() {
    // Every right change meets the left side as it was; that must not be found by comparing all
    // left changes with all left rows. With n = 20,000 the comparison alone would take minutes.
    let mut engine = Engine::new();
    let on = func("eq", &[path(&["e", "k"]), path(&["u", "k"])]);
    let query =
        json!({"from": from("e"), "join": [{"type": "inner", "from": from("u"), "on": on}]});
    let query = install(&mut engine, &query).unwrap();
    apply(&mut engine, &[put("u", "0", json!({"k": 1}))]);
    let mut messages = vec![
        put("u", "1", json!({"k": 1})),
        put("u", "2", json!({"k": 1})),
    ];
    messages.extend((0..20_000).map(|i| put("e", &i.to_string(), json!({"k": 1}))));
    apply(&mut engine, &messages);
    assert_eq!(engine.view(query).unwrap().len(), 60_000);
}

#[test]
fn results_are_right_after_a_purge_gave_memory_back() {
    let u = |field: &str| path(&["u", field]);
    let agg = |name: &str| json!({"type": "agg", "name": name, "args": [u("n")]});
    let on = func(
        "and",
        &[
            func("eq", &[u("g"), path(&["v", "g"])]),
            func("gt", &[u("n"), path(&["v", "n"])]),
        ],
    );
    let queries = [
        json!({"from": from("u"), "groupBy": [u("g")], "select": {"g": u("g"), "n": agg("count"), "s": agg("sum"), "m": agg("min")}}),
        json!({"from": from("u"), "distinct": true, "select": {"g": u("g")}}),
        json!({"from": from("u"), "join": [{"type": "full", "from": from("v"), "on": on}]}),
    ];
    let mut engine = Engine::new();
    let live = queries
        .each_ref()
        .map(|query| install(&mut engine, query).unwrap());
    let row = |i: i64| json!({"g": i % 5000, "n": i * 7 % 100});
    let mut rng = fastrand::Rng::with_seed(2);
    for _ in 0..3 {
        let rows =
            |name: &'static str, n: i64| (0..n).map(move |i| put(name, &i.to_string(), row(i)));
        apply(
            &mut engine,
            &rows("u", 6000).chain(rows("v", 300)).collect::<Vec<_>>(),
        );
        let gone =
            |i: i64| json!({"type": "u", "key": i.to_string(), "headers": {"operation": "delete"}});
        apply(&mut engine, &(10..6000).map(gone).collect::<Vec<_>>());
        for _ in 0..50 {
            let i = rng.i64(0..6000);
            apply(&mut engine, &[put("u", &i.to_string(), row(i + 1))]);
        }
        for (query, live) in queries.iter().zip(live) {
            let fresh = install(&mut engine, query).unwrap();
            let rows = |id| -> Vec<_> {
                engine
                    .view(id)
                    .unwrap()
                    .rows()
                    .map(|row| (row.key(), row.value()))
                    .collect()
            };
            assert_eq!(rows(live), rows(fresh), "{query}");
        }
    }
}
