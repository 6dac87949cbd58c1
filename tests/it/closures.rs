//! Rust functions inside of queries.

use serde_json::{Value as Json, json};
use tailwater::engine::QueryId;
use tailwater::query::{Entry, Expr, Query};
use tailwater::value::{Value, ValueRef};

use crate::support::*;

fn ref_(path: &str) -> Expr {
    Expr::Ref(path.split('.').map(Into::into).collect())
}

fn int(value: &Value) -> i128 {
    match value.as_ref() {
        ValueRef::Int(i) => i,
        other => panic!("{other} is no integer"),
    }
}

/// Whether the first argument is a prime number; it panics where that is no integer.
fn is_prime(args: &[Value]) -> Value {
    let n = int(&args[0]);
    (n > 1 && (2..n).all(|d| n % d != 0)).into()
}

fn row(key: &str, n: Json) -> Json {
    put("t", key, json!({"n": n, "g": "x"}))
}

fn install(world: &mut World, query: &Query) -> QueryId {
    world.engine.install(query).unwrap()
}

#[test]
fn a_closure_is_a_condition() {
    let mut query = parsed(&json!({"from": from("t")}));
    query
        .filters
        .push(Expr::closure("prime", [ref_("t.n")], is_prime));
    let mut world = World::of(&[row("a", json!(7)), row("b", json!(8))]);
    let id = install(&mut world, &query);
    assert_eq!(world.keys(id), ["a"]);
    let changes = world.changes(id, &[row("a", json!(9)), row("b", json!(11))]);
    let value = |n: i64| json!({"n": n, "g": "x"});
    assert_eq!(
        changes,
        json!([left("a", value(7), None), came("b", value(11), None)])
    );
}

#[test]
fn a_closure_makes_a_field() {
    let mut query = parsed(&json!({"from": from("t"), "orderBy": [order("t.n")]}));
    let digits = Expr::closure("digits", [ref_("t.n"), Expr::Value(2.into())], |args| {
        let (mut n, base, mut digits) = (int(&args[0]), int(&args[1]), Vec::new());
        while n > 0 {
            digits.push(Value::Int(n % base));
            n /= base;
        }
        digits.into()
    });
    query.select = Some(Expr::Object(vec![Entry::Field("bits".into(), digits)]));
    let mut world = World::of(&[row("a", json!(6)), row("b", json!(1))]);
    let id = install(&mut world, &query);
    assert_eq!(world.rows(id), json!([{"bits": [1]}, {"bits": [0, 1, 1]}]));
    let changes = world.changes(id, &[row("b", json!(2))]);
    let bits = |bits: &[i64]| json!({"bits": bits});
    assert_eq!(
        changes,
        json!([became("b", bits(&[1]), bits(&[0, 1]), (0, 0))])
    );
}

#[test]
fn a_closure_is_a_condition_on_groups() {
    let mut query = parsed(&json!({"from": from("t"), "groupBy": [path("t.g")],
        "select": {"g": path("t.g"), "n": agg("sum", "t.n")}}));
    let sum = parsed(&json!({"from": from("t"), "select": {"n": agg("sum", "t.n")}}));
    let Some(Expr::Object(entries)) = sum.select else {
        panic!("an object");
    };
    query.having.push(Expr::closure(
        "prime",
        [entries[0].expr().clone()],
        is_prime,
    ));
    let mut world = World::default();
    let id = install(&mut world, &query);
    let group = |n: i64| json!({"g": "x", "n": n});
    let key = r#"["x"]"#;
    let changes = world.changes(id, &[row("a", json!(3)), row("b", json!(4))]);
    assert_eq!(changes, json!([came(key, group(7), None)]));
    let changes = world.changes(id, &[row("b", json!(1))]);
    assert_eq!(changes, json!([left(key, group(7), None)]));
    assert_eq!(
        world.changes(id, &[delete("t", "b")]),
        json!([came(key, group(3), None)])
    );
}

#[test]
fn a_panic_counts_as_null_and_hurts_nothing_else() {
    let prime = Expr::closure("prime", [ref_("t.n")], is_prime);
    let mut filtered = parsed(&json!({"from": from("t")}));
    filtered.filters.push(prime.clone());
    let mut selected = parsed(&json!({"from": from("t")}));
    selected.select = Some(Expr::Object(vec![
        Entry::Field("n".into(), ref_("t.n")),
        Entry::Field("prime".into(), prime),
    ]));
    let mut world = World::of(&[row("a", json!("seven")), row("b", json!(7))]);
    let ids = [&filtered, &selected].map(|query| install(&mut world, query));
    let plain = world.install(&json!({"from": from("t")}));
    assert_eq!(world.keys(ids[0]), ["b"]);
    let shown = json!([{"n": "seven", "prime": null}, {"n": 7, "prime": true}]);
    assert_eq!(world.rows(ids[1]), shown);
    // In one batch with rows that are in order, and again.
    for text in ["eight", "nine"] {
        world.apply(&[
            row("c", json!(text)),
            row("d", json!(5)),
            row("e", json!(6)),
        ]);
        assert_eq!(world.keys(ids[0]), ["b", "d"]);
        let shown = json!([
            {"n": "seven", "prime": null}, {"n": 7, "prime": true}, {"n": text, "prime": null},
            {"n": 5, "prime": true}, {"n": 6, "prime": false}
        ]);
        assert_eq!(world.rows(ids[1]), shown);
    }
    let changes = world.changes(ids[0], &[row("a", json!(2)), delete("t", "c")]);
    assert_eq!(changes, json!([came("a", json!({"n": 2, "g": "x"}), None)]));
    assert_eq!(world.keys(plain), ["a", "b", "d", "e"]);
}

#[test]
fn a_closure_sees_missing_and_null_apart() {
    let kind = Expr::closure("kind", [ref_("t.n")], |args| match args[0] {
        Value::Missing => "missing".into(),
        Value::Null => "null".into(),
        _ => Value::Missing,
    });
    let mut query = parsed(&json!({"from": from("t")}));
    query.select = Some(Expr::Object(vec![Entry::Field("kind".into(), kind)]));
    let mut world = World::of(&[
        put("t", "a", json!({})),
        row("b", Json::Null),
        row("c", json!(1)),
    ]);
    let id = install(&mut world, &query);
    assert_eq!(
        world.rows(id),
        json!([{"kind": "missing"}, {"kind": "null"}, {}])
    );
}
