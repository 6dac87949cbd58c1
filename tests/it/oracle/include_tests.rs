//! The evaluator over includes; TanStack stands for the same as in `model_tests`.

use super::evaluate;
use super::model_tests::{agg, col, eq, from, func, include, shown, store};
use serde_json::{Value, json};

/// What an include in the field `b` gives for the rows of "a".
fn included(include: Value) -> Vec<String> {
    let query = json!({"from": from("a", "a"), "select": {"b": include}});
    let rows = evaluate(&query, &store()).into_iter();
    rows.map(|(_, row)| row.get("b").map_or("missing".into(), Value::to_string))
        .collect()
}

#[test]
fn tanstack_includes() {
    let b = || json!({"from": from("b", "b")});
    let ids = || json!({"from": from("b", "b"), "select": {"id": col("b.id")}});
    assert_eq!(
        included(include(
            "a.g",
            "b.k",
            ids(),
            json!({"materialization": "collection"})
        )),
        [
            r#"[{"id":"p"},{"id":"s"}]"#,
            "[]",
            "[]",
            r#"[{"id":"p"},{"id":"s"}]"#,
            r#"[{"id":"r"}]"#
        ]
    );
    // Order, limit and offset are per parent; the other condition stands beside.
    let mut top = json!({
        "from": from("b", "b"),
        "orderBy": [{"expression": col("b.m"), "compareOptions": {"direction": "desc"}}],
        "limit": 1,
        "select": {"id": col("b.id"), "an": col("a.n")},
    });
    let filter = func("gt", &[col("b.m"), col("a.n")]);
    let beside = include(
        "a.g",
        "b.k",
        top.clone(),
        json!({"parentFilters": [filter]}),
    );
    let found = included(beside);
    assert_eq!(found, [r#"[{"an":1,"id":"p"}]"#, "[]", "[]", "[]", "[]"]);
    // All three forms say the same.
    top["where"] = json!([eq("a.g", "b.k"), filter]);
    let mut inside = include("a.g", "b.k", top, json!({}));
    for name in ["correlationField", "childCorrelationField"] {
        inside.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(included(inside), found);

    let second = json!({
        "from": from("b", "b"),
        "orderBy": [{"expression": col("b.id"), "compareOptions": {"direction": "desc"}}],
        "limit": 1,
        "offset": 1,
        "select": {"id": col("b.id")},
    });
    assert_eq!(
        included(include("a.g", "b.k", second, json!({}))),
        [r#"[{"id":"p"}]"#, "[]", "[]", r#"[{"id":"p"}]"#, "[]"]
    );
    let mut one = b();
    one["orderBy"] = json!([{"expression": col("b.m")}]);
    one["singleResult"] = json!(true);
    assert_eq!(
        included(include(
            "a.g",
            "b.k",
            one,
            json!({"materialization": "singleton"})
        ))[..2],
        [r#"{"id":"s","k":"x","m":null}"#, "missing"]
    );
}

#[test]
fn tanstack_includes_of_scalars() {
    let scalar = |column: &str, materialization: &str| {
        let query = json!({"from": from("b", "b"), "select": {"__includes_scalar__": col(column)}});
        let more =
            json!({"scalarField": "__includes_scalar__", "materialization": materialization});
        included(include("a.g", "b.k", query, more))
    };
    assert_eq!(
        scalar("b.m", "array"),
        ["[5,null]", "[]", "[]", "[5,null]", "[7]"]
    );
    assert_eq!(
        scalar("b.id", "concat"),
        [r#""ps""#, r#""""#, r#""""#, r#""ps""#, r#""r""#]
    );
    assert_eq!(
        scalar("b.m", "singleton"),
        ["5", "missing", "missing", "5", "7"]
    );
}

#[test]
fn tanstack_includes_of_aggregates_and_distinct_rows() {
    let sums = json!({"t": agg("sum", col("b.m")), "c": agg("count", col("b.id"))});
    let global = json!({"from": from("b", "b"), "select": sums});
    assert_eq!(
        included(include("a.g", "b.k", global, json!({}))),
        [
            r#"[{"c":2,"t":5}]"#,
            "[]",
            "[]",
            r#"[{"c":2,"t":5}]"#,
            r#"[{"c":1,"t":7}]"#
        ]
    );
    let groups = json!({
        "from": from("b", "b"),
        "groupBy": [col("b.m")],
        "select": {"m": col("b.m"), "c": agg("count", col("b.id"))},
    });
    assert_eq!(
        included(include("a.g", "b.k", groups, json!({})))[0],
        r#"[{"c":1,"m":null},{"c":1,"m":5}]"#
    );
    let distinct = json!({"from": from("b", "b"), "distinct": true, "select": {"m": col("b.k")}});
    assert_eq!(
        included(include("a.g", "b.k", distinct, json!({}))),
        [
            r#"[{"m":"x"}]"#,
            "[]",
            "[]",
            r#"[{"m":"x"}]"#,
            r#"[{"m":"y"}]"#
        ]
    );
}

#[test]
fn tanstack_nested_includes_see_all_parents() {
    let inner = json!({"from": from("a", "c"), "select": {"id": col("c.id"), "pid": col("a.id")}});
    let query = json!({
        "from": from("b", "b"),
        "select": {"id": col("b.id"), "as": include("b.k", "c.g", inner, json!({}))},
    });
    let rows = included(include("a.g", "b.k", query, json!({})));
    let both = |id: &str, pid: &str| {
        format!(r#"{{"as":[{{"id":"1","pid":"{pid}"}},{{"id":"4","pid":"{pid}"}}],"id":"{id}"}}"#)
    };
    assert_eq!(rows[0], format!("[{},{}]", both("p", "1"), both("s", "1")));
    assert_eq!(rows[3], format!("[{},{}]", both("p", "4"), both("s", "4")));
    assert_eq!(rows[4], r#"[{"as":[{"id":"5","pid":"5"}],"id":"r"}]"#);

    // Over a join, and as a value of a subquery.
    let query = json!({
        "from": from("a", "a"),
        "join": [{"type": "left", "from": from("b", "z"), "on": eq("a.g", "z.k")}],
        "select": {"bs": include("z.id", "b.id", json!({
            "from": from("b", "b"),
            "select": {"i": col("b.id"), "p": col("a.id")},
        }), json!({}))},
    });
    assert_eq!(
        shown(query)[1..3],
        [
            r#"["1","s"] {"bs":[{"i":"s","p":"1"}]}"#,
            r#"["2",null] {"bs":[]}"#
        ]
    );
}

#[test]
fn groups_are_parents_by_their_keys() {
    let child = json!({"from": from("b", "b"), "select": {"i": col("b.id")}});
    let query = json!({
        "from": from("a", "a"),
        "groupBy": [col("a.g")],
        "select": {
            "bs": include("a.g", "b.k", child, json!({})),
            "n": agg("count", col("a.id")),
        },
    });
    assert_eq!(
        shown(query),
        [
            r#"[null] {"bs":[],"n":1}"#,
            r#"[{"$missing":true}] {"bs":[],"n":1}"#,
            r#"["x"] {"bs":[{"i":"p"},{"i":"s"}],"n":2}"#,
            r#"["y"] {"bs":[{"i":"r"}],"n":1}"#,
        ]
    );
}
