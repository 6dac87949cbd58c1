//! Accounts and transfers: the sum over all accounts is 0 in every change set.
//!
//! A transfer takes from one account and gives to another in one transaction; a query that saw half
//! of one would show another sum.

use serde_json::{Value, json};
use tailwater::engine::{Engine, QueryId};
use tailwater::query::Query;

const ACCOUNTS: usize = 50;

fn path(path: &[&str]) -> Value {
    json!({"type": "ref", "path": path})
}

fn sum(of: Value) -> Value {
    json!({"type": "agg", "name": "sum", "args": [of]})
}

/// Accounts with their branches.
fn accounts() -> Value {
    let collection = |name: &str, alias: &str| json!({"type": "collectionRef", "collection": name, "alias": alias});
    let on = json!({"type": "func", "name": "eq", "args": [path(&["a", "branch"]), path(&["b", "$key"])]});
    json!({
        "from": collection("accounts", "a"),
        "join": [{"type": "inner", "from": collection("branches", "b"), "on": on}],
    })
}

fn by_region() -> Value {
    let mut query = accounts();
    query["groupBy"] = json!([path(&["b", "region"])]);
    query["select"] =
        json!({"region": path(&["b", "region"]), "cents": sum(path(&["a", "cents"]))});
    query
}

/// The sum of the regions' sums.
fn total_of_regions() -> Value {
    json!({
        "from": {"type": "queryRef", "query": by_region(), "alias": "r"},
        "select": {"total": sum(path(&["r", "cents"]))},
    })
}

/// The sum of the balances as floats.
fn total_of_floats() -> Value {
    let mut query = accounts();
    query["select"] = json!({"total": sum(path(&["a", "float"]))});
    query
}

fn put(collection: &str, key: usize, value: &Value, txid: &str) -> String {
    let headers = json!({"operation": "upsert", "txid": txid});
    json!({"type": collection, "key": key.to_string(), "value": value, "headers": headers})
        .to_string()
}

fn total(engine: &Engine, query: QueryId) -> String {
    engine
        .view(query)
        .unwrap()
        .nth(0)
        .unwrap()
        .value()
        .to_string()
}

#[test]
fn the_sum_is_zero_in_every_change_set() {
    let mut engine = Engine::new();
    let mut install = |query: Value| {
        engine
            .install(&Query::from_json(&query.to_string()).unwrap())
            .unwrap()
    };
    let (regions, of_regions, of_floats) = (
        install(by_region()),
        install(total_of_regions()),
        install(total_of_floats()),
    );
    let account = |key: usize, cents: i64, float: f64, txid: &str| {
        put(
            "accounts",
            key,
            &json!({"branch": (key % 7).to_string(), "cents": cents, "float": float}),
            txid,
        )
    };
    let branch = |key: usize, region: usize| {
        put(
            "branches",
            key,
            &json!({"region": format!("r{region}")}),
            "b",
        )
    };
    let mut messages: Vec<String> = (0..7).map(|i| branch(i, i % 3)).collect();
    messages.extend((0..ACCOUNTS).map(|i| account(i, 0, 0.0, "start")));

    let (mut cents, mut floats) = ([0i64; ACCOUNTS], [0f64; ACCOUNTS]);
    let mut rng = fastrand::Rng::with_seed(11);
    let mut moved = 0;
    for step in 0..2_000 {
        let batch = engine.decode(messages.iter().map(String::as_str)).unwrap();
        let changes = engine.apply(batch);
        moved += usize::from(changes.contains_key(&regions));
        for query in [of_regions, of_floats] {
            assert!(
                step == 0 || !changes.contains_key(&query),
                "the total moved in step {step}"
            );
            assert_eq!(total(&engine, query), r#"{"total":0}"#);
        }
        messages.clear();
        for transfer in 0..rng.usize(0..4) {
            let (from, to) = (rng.usize(0..ACCOUNTS), rng.usize(0..ACCOUNTS));
            // With the bits of a short float, every balance is exact.
            let (amount, fraction) = (rng.i64(0..1000), f64::from(rng.u32(0..1000) as f32 / 3.0));
            if from == to {
                continue;
            }
            floats[from] -= fraction;
            floats[to] += fraction;
            cents[from] -= amount;
            cents[to] += amount;
            let txid = format!("{step}-{transfer}");
            messages.extend([from, to].map(|i| account(i, cents[i], floats[i], &txid)));
        }
        if rng.u32(0..20) == 0 {
            // A branch moves to another region, and all its accounts with it.
            messages.push(branch(rng.usize(0..7), rng.usize(0..3)));
        }
    }
    assert!(moved > 500, "the regions did move: {moved}");
}
