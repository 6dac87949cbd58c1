//! Queries share what they have in common, start on the data that is there, and free what they held.

use std::sync::Arc;

use serde_json::{Value, json};
use tailwater::engine::{Engine, QueryId};
use tailwater::query::Query;

use crate::histories;
use crate::oracle::{self, Step};

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

/// Other queries over parts of a query: itself, in another window, as a subquery, filtered, counted,
/// joined to itself.
fn variants(query: &Value) -> Vec<Value> {
    let sub = |query: &Value| json!({"type": "queryRef", "query": query, "alias": "part"});
    let key = json!({"type": "ref", "path": ["part", "$key"]});
    let count = json!({"type": "agg", "name": "count", "args": [key]});
    let mut variants = vec![
        query.clone(),
        query.clone(),
        json!({"from": sub(query)}),
        json!({"from": sub(query), "select": {"n": count}}),
        json!({"from": sub(query), "select": {"n": count, "last": {"type": "agg", "name": "max", "args": [key]}}}),
        json!({"from": sub(query), "select": {"key": key}, "distinct": true}),
        json!({"from": sub(&json!({"from": sub(query), "select": {"key": key}, "distinct": true})), "select": {"n": count}}),
        // Those that have it twice.
        json!({"from": {"type": "unionAll", "queries": [query, query]}}),
        json!({"from": sub(query), "join": [{
            "type": "full",
            "from": {"type": "queryRef", "query": query, "alias": "same"},
            "on": {"type": "func", "name": "eq", "args": [key, {"type": "ref", "path": ["same", "$key"]}]},
        }]}),
    ];
    if query.get("orderBy").is_some() {
        variants.push(oracle::with_window(query, 1, Some(2)));
    }
    variants
}

/// The queries of one engine come and go, and their windows move, while its rows change.
fn follow(seed: u64) -> Result<usize, String> {
    let case = oracle::case(seed);
    if case.start().is_some() {
        // Where time matters, nothing is shared.
        return Ok(0);
    }
    let variants = variants(&case.query);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut engine = Engine::new();
    let mut store = oracle::Store::default();
    let mut live: Vec<(QueryId, Value)> = Vec::new();
    let mut common = 0;
    for (i, step) in case.steps.iter().enumerate() {
        for _ in 0..rng.usize(0..4) {
            let query = rng.choice(&variants).expect("there are some");
            let parsed = Query::from_json(&query.to_string()).map_err(|e| e.to_string())?;
            // Not every query has a key, or may be a subquery.
            if let Ok(id) = engine.install(&parsed) {
                live.push((id, query.clone()));
            }
        }
        if !live.is_empty() && rng.u32(0..3) == 0 {
            let (id, _) = live.swap_remove(rng.usize(0..live.len()));
            assert!(engine.uninstall(id));
        }
        if let Some((id, query)) = rng.choice(&mut live)
            && query.get("singleResult").is_none()
            && rng.u32(0..4) == 0
        {
            let (offset, limit) = (rng.u64(0..3), rng.u64(0..4));
            engine
                .set_window(*id, offset as usize, Some(limit as usize))
                .unwrap();
            *query = oracle::with_window(query, offset, Some(limit));
        }
        if let Step::Batch(messages) = step {
            store.apply(messages);
            let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
            apply(&mut engine, &texts);
        }
        common = common.max(engine.common_count());
        for (id, query) in &live {
            let found = histories::rows(&engine, *id);
            let expected = oracle::evaluate(query, &store);
            histories::check(&format!("step {i}, {query}"), &found, &expected)?;
        }
    }
    live.into_iter()
        .for_each(|(id, _)| assert!(engine.uninstall(id)));
    assert_eq!((engine.query_count(), engine.common_count()), (0, 0));
    assert_eq!(engine.store().arrangement_count(), 0);
    Ok(common)
}

#[test]
fn queries_with_parts_in_common_are_all_right() {
    let cases = std::env::var("TAILWATER_CASES").map_or(4_000, |n| n.parse().expect("a number"));
    let mut shared = 0;
    for seed in 0..cases / 10 {
        match follow(seed) {
            Ok(common) => shared += common,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(
        shared > cases as usize / 20,
        "only {shared} parts were shared"
    );
}

#[test]
fn a_part_that_a_query_has_twice_is_computed_once() {
    let mut engine = loaded();
    let per_user = r#"{"from": {"type": "collectionRef", "collection": "orders", "alias": "o"},
        "groupBy": [{"type": "ref", "path": ["o", "user"]}],
        "select": {"user": {"type": "ref", "path": ["o", "user"]}, "n": {"type": "agg", "name": "count", "args": [{"type": "ref", "path": ["o", "n"]}]}}}"#;
    // Those who have most.
    let query = format!(
        r#"{{"from": {{"type": "queryRef", "query": {per_user}, "alias": "a"}},
            "join": [{{"type": "inner",
                "from": {{"type": "queryRef", "alias": "m", "query": {{"from": {{"type": "queryRef", "query": {per_user}, "alias": "b"}},
                    "select": {{"n": {{"type": "agg", "name": "max", "args": [{{"type": "ref", "path": ["b", "n"]}}]}}}}}}}},
                "on": {{"type": "func", "name": "eq", "args": [{{"type": "ref", "path": ["a", "n"]}}, {{"type": "ref", "path": ["m", "n"]}}]}}}}],
            "select": {{"user": {{"type": "ref", "path": ["a", "user"]}}}}}}"#
    );
    let most = engine.install(&Query::from_json(&query).unwrap()).unwrap();
    assert_eq!(engine.common_count(), 1, "the counts");
    let shown = engine.explain(most).unwrap().to_string();
    assert!(shown.contains("used: several times"), "{shown}");
    assert_eq!(rows(&engine, most), 40);
    apply(
        &mut engine,
        &[put("orders", 5000, r#"{"user":3,"n":0}"#.into())],
    );
    assert_eq!(rows(&engine, most), 1);
    assert!(engine.uninstall(most));
    assert_eq!(engine.common_count(), 0);
}

fn by_tenant(tenant: usize) -> Query {
    let text = format!(
        r#"{{"from": {{"type": "collectionRef", "collection": "orders", "alias": "o"}},
            "where": [{{"type": "func", "name": "eq", "args": [{{"type": "ref", "path": ["o", "user"]}}, {{"type": "val", "value": {tenant}}}]}}]}}"#
    );
    Query::from_json(&text).unwrap()
}

#[test]
fn queries_that_are_the_same_have_one_result() {
    let mut engine = loaded();
    let queries: Vec<QueryId> = (0..100)
        .map(|_| engine.install(&join("o")).unwrap())
        .collect();
    let view = |engine: &Engine, i: usize| engine.shared_view(queries[i]).unwrap();
    assert!(Arc::ptr_eq(&view(&engine, 0), &view(&engine, 99)));
    let batch = engine
        .decode([put("orders", 5000, r#"{"user":3,"n":0}"#.into()).as_str()])
        .unwrap();
    let changed = engine.apply(batch);
    assert_eq!(changed.len(), 100, "each is told");
    assert!(changed.values().all(|changes| changes.len() == 1));

    // One of them moves its window, and the others keep theirs.
    engine.set_window(queries[7], 0, Some(5)).unwrap();
    assert_eq!(
        (rows(&engine, queries[7]), rows(&engine, queries[8])),
        (5, 841)
    );
    assert!(!Arc::ptr_eq(&view(&engine, 7), &view(&engine, 8)));
    for query in &queries[1..] {
        assert!(engine.uninstall(*query));
    }
    assert_eq!(rows(&engine, queries[0]), 841);
    apply(
        &mut engine,
        &[put("orders", 5001, r#"{"user":3,"n":0}"#.into())],
    );
    assert_eq!(rows(&engine, queries[0]), 842);
}

#[test]
fn a_change_finds_the_queries_that_it_concerns_among_a_thousand() {
    let mut engine = loaded();
    let queries: Vec<QueryId> = (0..1000)
        .map(|i| engine.install(&by_tenant(i)).unwrap())
        .collect();
    assert_eq!(rows(&engine, queries[3]), 9);
    // From one to another.
    let batch = engine
        .decode([put("orders", 3, r#"{"user":4,"n":3}"#.into()).as_str()])
        .unwrap();
    let changed: Vec<QueryId> = engine.apply(batch).into_keys().collect();
    assert_eq!(changed, queries[3..5]);
    assert_eq!(
        (rows(&engine, queries[3]), rows(&engine, queries[4])),
        (8, 10)
    );
}

#[test]
fn a_part_is_common_as_long_as_two_queries_have_it() {
    let mut engine = loaded();
    let counted = |select: &str| {
        let sub = serde_json::to_value(
            serde_json::from_str::<Value>(&join("o").to_json().unwrap()).unwrap(),
        )
        .unwrap();
        let agg =
            json!({"type": "agg", "name": select, "args": [{"type": "ref", "path": ["s", "x"]}]});
        let query =
            json!({"from": {"type": "queryRef", "query": sub, "alias": "s"}, "select": {"x": agg}});
        Query::from_json(&query.to_string()).unwrap()
    };
    let sum = engine.install(&counted("sum")).unwrap();
    assert_eq!(engine.common_count(), 0);
    let max = engine.install(&counted("max")).unwrap();
    assert_eq!(engine.common_count(), 1, "the join");
    let third = engine.install(&join("u")).unwrap();
    assert_eq!(engine.common_count(), 1);
    let shown = engine.explain(max).unwrap().to_string();
    assert!(shown.contains("shared by: 3 queries"), "{shown}");
    apply(
        &mut engine,
        &[put("orders", 5000, r#"{"user":3,"n":7000}"#.into())],
    );
    let value = |engine: &Engine, id| engine.view(id).unwrap().nth(0).unwrap().value().to_string();
    assert_eq!(value(&engine, max), r#"{"x":7000}"#);
    for (query, left) in [(third, 1), (sum, 1), (max, 0)] {
        assert!(engine.uninstall(query));
        assert_eq!(engine.common_count(), left);
    }
    assert_eq!(engine.store().arrangement_count(), 0);
}

/// What both sides of a join say of nothing comes without an event, and meets.
#[test]
fn two_counts_of_nothing_meet_in_a_join() {
    let count = r#"{"from": {"type": "collectionRef", "collection": "none", "alias": "t"},
        "select": {"n": {"type": "agg", "name": "count", "args": [{"type": "ref", "path": ["t", "n"]}]}}}"#;
    let query = format!(
        r#"{{"from": {{"type": "queryRef", "alias": "a", "query": {count}}},
            "join": [{{"type": "full", "from": {{"type": "queryRef", "alias": "b", "query": {count}}},
                "on": {{"type": "func", "name": "eq", "args": [{{"type": "ref", "path": ["a", "n"]}}, {{"type": "ref", "path": ["b", "n"]}}]}}}}]}}"#
    );
    let query = Query::from_json(&query).unwrap();
    let mut engine = Engine::new();
    let both = [(); 2].map(|()| engine.install(&query).unwrap());
    // Now it is a part of two queries, of which one has a window.
    engine.set_window(both[0], 0, Some(1)).unwrap();
    assert_eq!(both.map(|id| rows(&engine, id)), [1, 1]);
    apply(&mut engine, &[put("none", 1, r#"{"n":0}"#.into())]);
    assert_eq!(both.map(|id| rows(&engine, id)), [1, 1]);
}
