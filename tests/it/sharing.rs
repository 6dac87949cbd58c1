//! Queries share arrangements, start on the data that is there, and free what they held.

use tailwater::engine::{Engine, QueryId};
use tailwater::query::Query;

fn join(select: &str) -> Query {
    let text = format!(
        r#"{{"from": {{"type": "collectionRef", "collection": "orders", "alias": "o"}},
            "join": [{{"type": "inner", "from": {{"type": "collectionRef", "collection": "users", "alias": "u"}},
                "on": {{"type": "func", "name": "eq", "args": [{{"type": "ref", "path": ["o", "user"]}}, {{"type": "ref", "path": ["u", "id"]}}]}}}}],
            "select": {{"x": {{"type": "ref", "path": ["{select}", "n"]}}}}}}"#
    );
    Query::from_json(&text).unwrap()
}

fn put(collection: &str, key: usize, value: String) -> String {
    format!(
        r#"{{"type":"{collection}","key":"{key}","value":{value},"headers":{{"operation":"upsert"}}}}"#
    )
}

fn apply(engine: &mut Engine, messages: &[String]) {
    let batch = engine.decode(messages.iter().map(String::as_str)).unwrap();
    engine.apply(batch);
}

fn loaded() -> Engine {
    let mut engine = Engine::new();
    let users = (0..100).map(|i| put("users", i, format!(r#"{{"id":{i},"n":{i}}}"#)));
    let orders = (0..1000).map(|i| put("orders", i, format!(r#"{{"user":{},"n":{i}}}"#, i % 120)));
    apply(&mut engine, &users.chain(orders).collect::<Vec<_>>());
    engine
}

fn rows(engine: &Engine, query: QueryId) -> usize {
    engine.view(query).unwrap().len()
}

#[test]
fn a_late_query_starts_on_shared_arrangements() {
    let mut engine = loaded();
    let first = engine.install(&join("o")).unwrap();
    assert_eq!(engine.store().arrangement_count(), 2);
    let second = engine.install(&join("u")).unwrap();
    assert_eq!(
        engine.store().arrangement_count(),
        2,
        "the second query reads what the first one built"
    );
    assert_eq!((rows(&engine, first), rows(&engine, second)), (840, 840));
    apply(
        &mut engine,
        &[
            put("orders", 5000, r#"{"user":3,"n":0}"#.into()),
            put("users", 110, r#"{"id":110,"n":0}"#.into()),
        ],
    );
    assert_eq!((rows(&engine, first), rows(&engine, second)), (849, 849));
}

#[test]
fn dropping_queries_frees_their_arrangements() {
    let mut engine = loaded();
    for _ in 0..50 {
        let queries: Vec<QueryId> = ["o", "u"].map(|s| engine.install(&join(s)).unwrap()).into();
        assert_eq!(engine.store().arrangement_count(), 2);
        queries
            .iter()
            .for_each(|query| assert!(engine.uninstall(*query)));
        assert_eq!(engine.store().arrangement_count(), 0);
        assert!(queries.iter().all(|query| engine.view(*query).is_none()));
    }
    // What is gone is not kept up to date, and what comes again is right.
    apply(
        &mut engine,
        &[put("users", 3, r#"{"id":3000,"n":0}"#.into())],
    );
    let again = engine.install(&join("o")).unwrap();
    assert_eq!(rows(&engine, again), 831);
}

#[test]
fn a_bad_query_leaves_the_others_alone() {
    let mut engine = loaded();
    let good = engine.install(&join("o")).unwrap();
    let bad = Query::from_json(
        r#"{"from": {"type": "collectionRef", "collection": "orders", "alias": "o"},
            "where": [{"type": "ref", "path": ["order", "n"]}]}"#,
    );
    let error = engine.install(&bad.unwrap()).unwrap_err().to_string();
    assert_eq!(error, "`where[0].path`: unknown alias `order` (known: `o`)");
    apply(
        &mut engine,
        &[put("orders", 1, r#"{"user":119,"n":0}"#.into())],
    );
    assert_eq!(rows(&engine, good), 839);
}
