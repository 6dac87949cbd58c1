//! The evaluator against results worked out by hand.

use super::{Store, evaluate, same_rows};
use serde_json::{Value, json};

/// The rows most examples use: `g` is "x", null, missing, "x", 1; `n` is 1, 2, 3, null, 1.5.
fn store() -> Store {
    let put = |collection: &str, key: &str, value: Value| {
        let headers = json!({"operation": "insert"});
        json!({"type": collection, "key": key, "value": value, "headers": headers})
    };
    let mut store = Store::default();
    store.apply(&[
        put("a", "1", json!({"g": "x", "n": 1})),
        put("a", "2", json!({"g": null, "n": 2, "o": null})),
        put("a", "3", json!({"n": 3, "o": {"p": 0}})),
        put("a", "4", json!({"g": "x", "n": null, "o": {"p": null}})),
        put("a", "10", json!({"g": 1, "n": 1.5})),
        put("b", "p", json!({"k": "x", "m": 5})),
        put("b", "q", json!({"k": null, "m": 6})),
        put("b", "r", json!({"m": 7})),
        put("b", "s", json!({"k": 1.0, "m": null})),
    ]);
    store
}

fn subquery(alias: &str, query: Value) -> Value {
    json!({"type": "queryRef", "alias": alias, "query": query})
}

fn collection(name: &str, alias: &str) -> Value {
    json!({"type": "collectionRef", "collection": name, "alias": alias})
}

/// A column: `"a.n"`.
fn col(path: &str) -> Value {
    json!({"type": "ref", "path": path.split('.').collect::<Vec<_>>()})
}

fn val(value: Value) -> Value {
    json!({"type": "val", "value": value})
}

fn func(name: &str, args: &[Value]) -> Value {
    json!({"type": "func", "name": name, "args": args})
}

fn agg(name: &str, arg: Value) -> Value {
    json!({"type": "agg", "name": name, "args": [arg]})
}

fn order(expression: Value, direction: &str) -> Value {
    json!({"expression": expression, "compareOptions": {"direction": direction}})
}

/// A query over collection "a" as `a`, with these clauses.
fn over_a(clauses: Value) -> Value {
    let mut query = json!({"from": collection("a", "a")});
    query
        .as_object_mut()
        .unwrap()
        .extend(clauses.as_object().unwrap().clone());
    query
}

/// A join of `a` with `b` on `a.g = b.k`.
fn join_b(kind: &str) -> Value {
    json!({"type": kind, "from": collection("b", "b"), "on": func("eq", &[col("a.g"), col("b.k")])})
}

fn keys(query: &Value) -> Vec<String> {
    evaluate(query, &store())
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

/// "key value" of every row.
fn shown(query: &Value) -> Vec<String> {
    evaluate(query, &store())
        .into_iter()
        .map(|(key, value)| format!("{key} {value}"))
        .collect()
}

#[test]
fn rows_of_one_source_come_by_key_as_text() {
    assert_eq!(keys(&over_a(json!({}))), ["1", "10", "2", "3", "4"]);
    assert_eq!(keys(&over_a(json!({"limit": 2, "offset": 1}))), ["10", "2"]);
    assert_eq!(
        keys(&over_a(
            json!({"singleResult": true, "orderBy": [order(col("a.n"), "desc")]})
        )),
        ["4"]
    );
    assert_eq!(keys(&over_a(json!({"limit": 0}))), [""; 0]);
}

#[test]
fn where_keeps_only_true() {
    let kept = |condition| keys(&over_a(json!({"where": [condition]})));
    assert_eq!(kept(col("a.n")), [""; 0]);
    assert_eq!(
        kept(func("not", &[func("gt", &[col("a.n"), val(json!(1))])])),
        ["1"]
    );
    assert_eq!(kept(func("isNull", &[col("a.g")])), ["2"]);
    assert_eq!(
        kept(json!({"expression": func("isUndefined", &[col("a.g")])})),
        ["3"]
    );
    // null.p is null; nothing.p is missing
    assert_eq!(kept(func("isNull", &[col("a.o.p")])), ["2", "4"]);
    assert_eq!(kept(func("isUndefined", &[col("a.o.p")])), ["1", "10"]);
    assert_eq!(kept(func("eq", &[col("a.$key"), val(json!("10"))])), ["10"]);
    let both = over_a(json!({"where": [
        func("gt", &[col("a.n"), val(json!(1))]),
        func("lt", &[col("a.n"), val(json!(3))]),
    ]}));
    assert_eq!(keys(&both), ["10", "2"]);
}

#[test]
fn select_leaves_missing_out_at_any_depth() {
    let select =
        json!({"g": col("a.g"), "z": {"p": col("a.o.p"), "w": {"g": col("a.g")}}, "a": col("a")});
    let query =
        over_a(json!({"select": select, "where": [func("gte", &[col("a.n"), val(json!(2))])]}));
    assert_eq!(
        shown(&query),
        [
            r#"2 {"a":{"g":null,"n":2,"o":null},"g":null,"z":{"p":null,"w":{"g":null}}}"#,
            r#"3 {"a":{"n":3,"o":{"p":0}},"z":{"p":0,"w":{}}}"#,
        ]
    );
}

#[test]
fn order_places_nulls_regardless_of_direction_and_ties_go_by_key() {
    let ordered = |direction: &str, nulls: Value| {
        let options = json!({"direction": direction, "nulls": nulls});
        let item = json!({"expression": col("a.g"), "compareOptions": options});
        keys(&over_a(json!({"orderBy": [item]})))
    };
    assert_eq!(ordered("asc", json!(null)), ["2", "3", "10", "1", "4"]);
    assert_eq!(ordered("desc", json!("first")), ["2", "3", "1", "4", "10"]);
    assert_eq!(ordered("desc", json!("last")), ["1", "4", "10", "2", "3"]);
    let two = over_a(json!({
        "orderBy": [order(col("a.g"), "desc"), order(col("a.n"), "desc")],
        "limit": 3,
        "offset": 1
    }));
    assert_eq!(keys(&two), ["2", "4", "1"]);
    let selected = over_a(json!({
        "select": {"s": func("add", &[col("a.n"), val(json!(1))])},
        "orderBy": [order(col("$selected.s"), "asc")]
    }));
    assert_eq!(
        shown(&selected),
        [
            r#"4 {"s":1}"#,
            r#"1 {"s":2}"#,
            r#"10 {"s":2.5}"#,
            r#"2 {"s":3}"#,
            r#"3 {"s":4}"#
        ]
    );
}

#[test]
fn outer_joins_keep_the_unmatched_and_null_keys_match_nothing() {
    let joined = |kind| keys(&over_a(json!({"join": [join_b(kind)]})));
    assert_eq!(
        joined("inner"),
        [r#"["1","p"]"#, r#"["10","s"]"#, r#"["4","p"]"#]
    );
    assert_eq!(
        joined("left"),
        [
            r#"["1","p"]"#,
            r#"["10","s"]"#,
            r#"["2",null]"#,
            r#"["3",null]"#,
            r#"["4","p"]"#
        ]
    );
    assert_eq!(
        joined("right"),
        [
            r#"[null,"q"]"#,
            r#"[null,"r"]"#,
            r#"["1","p"]"#,
            r#"["10","s"]"#,
            r#"["4","p"]"#
        ]
    );
    assert_eq!(joined("full").len(), 7);
    assert_eq!(joined("full"), joined("outer"));
    assert_eq!(
        keys(&over_a(
            json!({"join": [{"type": "cross", "from": collection("b", "b")}]})
        ))
        .len(),
        20
    );
}

#[test]
fn an_unmatched_alias_is_missing_and_left_out() {
    let unmatched = json!([
        func("isUndefined", &[col("b")]),
        func("isUndefined", &[col("b.m")])
    ]);
    let query = over_a(json!({"join": [join_b("left")], "where": unmatched, "limit": 1}));
    assert_eq!(
        shown(&query),
        [r#"["2",null] {"a":{"g":null,"n":2,"o":null}}"#]
    );
    let select = json!({"b": col("b"), "key": col("b.$key"), "n": col("a.n")});
    let query = over_a(json!({"join": [join_b("left")], "select": select, "offset": 2}));
    assert_eq!(
        shown(&query),
        [
            r#"["2",null] {"n":2}"#,
            r#"["3",null] {"n":3}"#,
            r#"["4","p"] {"b":{"k":"x","m":5},"key":"p","n":null}"#
        ]
    );
}

#[test]
fn the_rest_of_an_on_condition_decides_about_matching() {
    let on = func(
        "and",
        &[
            func("eq", &[col("a.g"), col("b.k")]),
            func("gt", &[col("a.n"), val(json!(1))]),
        ],
    );
    let query = over_a(json!({"join": [{"type": "left", "from": collection("b", "b"), "on": on}]}));
    assert_eq!(
        keys(&query),
        [
            r#"["1",null]"#,
            r#"["10","s"]"#,
            r#"["2",null]"#,
            r#"["3",null]"#,
            r#"["4",null]"#
        ]
    );
    let mut old_form = json!({"type": "inner", "from": collection("b", "b")});
    (old_form["left"], old_form["right"]) = (col("a.g"), col("b.k"));
    assert_eq!(
        keys(&over_a(json!({"join": [old_form]}))),
        keys(&over_a(json!({"join": [join_b("inner")]})))
    );
}

#[test]
fn join_keys_are_flat_over_the_sources() {
    let on = func(
        "eq",
        &[col("b.m"), func("add", &[col("c.n"), val(json!(2))])],
    );
    let second = json!({"type": "full", "from": collection("a", "c"), "on": on});
    let query = over_a(json!({"join": [join_b("inner"), second]}));
    assert_eq!(
        keys(&query),
        [
            r#"[null,null,"1"]"#,
            r#"[null,null,"10"]"#,
            r#"[null,null,"2"]"#,
            r#"[null,null,"4"]"#,
            r#"["1","p","3"]"#,
            r#"["10","s",null]"#,
            r#"["4","p","3"]"#,
        ]
    );
}

#[test]
fn groups_tell_null_from_missing() {
    let select = json!({
        "c": agg("count", col("a.n")),
        "g": col("a.g"),
        "s": agg("sum", col("a.n")),
        "v": agg("avg", col("a.n"))
    });
    let query = over_a(json!({"groupBy": [col("a.g")], "select": select}));
    assert_eq!(
        shown(&query),
        [
            r#"[null] {"c":1,"g":null,"s":2,"v":2}"#,
            r#"[{"$missing":true}] {"c":1,"s":3,"v":3}"#,
            r#"[1] {"c":1,"g":1,"s":1.5,"v":1.5}"#,
            r#"["x"] {"c":1,"g":"x","s":1,"v":1}"#,
        ]
    );
    let bare = over_a(json!({"groupBy": [col("a.g"), func("isNull", &[col("a.n")])], "limit": 2}));
    assert_eq!(
        shown(&bare),
        [
            r#"[null,false] {"__key_0":null,"__key_1":false}"#,
            r#"[{"$missing":true},false] {"__key_1":false}"#
        ]
    );
}

#[test]
fn having_and_order_see_keys_aggregates_and_selected() {
    let clauses = |having: Value, order_by: Value| {
        over_a(json!({
            "groupBy": [col("a.g")],
            "select": {
                "m": agg("max", col("a.n")),
                "t": func("concat", &[col("a.g"), val(json!("!"))])
            },
            "having": [having],
            "orderBy": [order_by]
        }))
    };
    let by_count = clauses(
        func("gte", &[agg("count", col("a.$key")), val(json!(1))]),
        order(agg("count", col("a.$key")), "desc"),
    );
    assert_eq!(
        keys(&by_count),
        [r#"["x"]"#, "[null]", r#"[{"$missing":true}]"#, "[1]"]
    );
    let by_key = clauses(
        func("gt", &[col("$selected.m"), val(json!(1))]),
        order(col("a.g"), "desc"),
    );
    assert_eq!(
        shown(&by_key),
        [
            r#"[null] {"m":2,"t":"!"}"#,
            r#"[{"$missing":true}] {"m":3,"t":"!"}"#,
            r#"[1] {"m":1.5,"t":"1!"}"#
        ]
    );
}

#[test]
fn an_aggregate_without_group_by_is_always_one_row() {
    let none = func("eq", &[col("a.n"), val(json!(99))]);
    let select = json!({
        "c": agg("count", col("a.n")),
        "m": agg("min", col("a.n")),
        "s": func("add", &[agg("sum", col("a.n")), val(json!(1))])
    });
    assert_eq!(
        shown(&over_a(json!({"select": select}))),
        [r#"[] {"c":4,"m":1,"s":8.5}"#]
    );
    let empty = over_a(json!({"select": select, "where": [none]}));
    assert_eq!(shown(&empty), [r#"[] {"c":0,"m":null,"s":1}"#]);
    let gone = over_a(json!({
        "select": select,
        "where": [none],
        "having": [func("gt", &[agg("count", col("a.n")), val(json!(0))])]
    }));
    assert_eq!(keys(&gone), [""; 0]);
}

#[test]
fn distinct_rows_are_keyed_by_their_text() {
    let query = over_a(json!({"select": {"g": col("a.g")}, "distinct": true}));
    assert_eq!(
        shown(&query),
        [
            r#"{"g":null} {"g":null}"#,
            "{} {}",
            r#"{"g":1} {"g":1}"#,
            r#"{"g":"x"} {"g":"x"}"#
        ]
    );
    let nested = over_a(json!({
        "select": {"g": {"u": func("isUndefined", &[col("a.g")])}, "k": val(json!(1.0))},
        "distinct": true
    }));
    assert_eq!(
        keys(&nested),
        [r#"{"g":{"u":false},"k":1}"#, r#"{"g":{"u":true},"k":1}"#]
    );
    let whole = json!({
        "from": subquery("s", over_a(json!({"select": {"g": col("a.g")}}))),
        "distinct": true,
        "orderBy": [order(col("s.g"), "desc")],
        "limit": 3
    });
    // Equal under the order; the row {} is the shorter one.
    assert_eq!(keys(&whole), ["{}", r#"{"g":null}"#, r#"{"g":"x"}"#]);
}

#[test]
fn a_subquery_has_its_own_key_and_window() {
    let grouped = over_a(json!({
        "groupBy": [col("a.g")],
        "select": {"g": col("a.g"), "c": agg("count", col("a.$key"))}
    }));
    let on = func("eq", &[col("b.k"), col("s.g")]);
    let query = json!({
        "from": subquery("s", grouped),
        "join": [{"type": "inner", "from": collection("b", "b"), "on": on}],
        "select": {"c": col("s.c"), "k": col("s.$key")}
    });
    assert_eq!(
        shown(&query),
        [
            r#"["[1]","s"] {"c":1,"k":"[1]"}"#,
            r#"["[\"x\"]","p"] {"c":2,"k":"[\"x\"]"}"#
        ]
    );
    let top = over_a(json!({"orderBy": [order(col("a.n"), "desc")], "limit": 3}));
    let query = json!({"from": subquery("s", top), "select": {"n": col("s.n")}});
    assert_eq!(
        shown(&query),
        [r#"2 {"n":2}"#, r#"3 {"n":3}"#, r#"4 {"n":null}"#]
    );
    let joined = over_a(json!({"join": [join_b("inner")]}));
    let on = func("eq", &[col("s.a.n"), col("z.n")]);
    let outer = json!({
        "from": subquery("s", joined),
        "join": [{"type": "left", "from": collection("a", "z"), "on": on}],
        "select": {"m": col("s.b.m")}
    });
    assert_eq!(
        keys(&outer),
        [
            r#"["[\"1\",\"p\"]","1"]"#,
            r#"["[\"10\",\"s\"]","10"]"#,
            r#"["[\"4\",\"p\"]",null]"#
        ]
    );
}

#[test]
fn rows_are_the_same_when_their_numbers_are() {
    let rows = |n: Value| vec![("1".to_owned(), json!({"n": [n]}))];
    assert!(same_rows(&rows(json!(1)), &rows(json!(1.0))));
    assert!(!same_rows(
        &rows(json!(9007199254740993u64)),
        &rows(json!(9007199254740992.0))
    ));
    assert!(!same_rows(&rows(json!(null)), &[]));
}
