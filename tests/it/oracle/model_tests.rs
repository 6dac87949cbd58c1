//! The evaluator over unions, spreads, conditions and recursion. What says TanStack was
//! shown by TanStack DB 0.15.2 for the same query over the same rows (fields in order of names, keys
//! as this project writes them); the rest was worked out by hand.

use super::{Store, evaluate};
use serde_json::{Value, json};

pub(super) fn store() -> Store {
    let put = |collection: &str, value: Value| {
        let headers = json!({"operation": "insert"});
        json!({"type": collection, "key": value["id"], "value": value, "headers": headers})
    };
    let mut store = Store::default();
    store.apply(&[
        put("a", json!({"id": "1", "g": "x", "n": 1, "o": {"p": 1}})),
        put("a", json!({"id": "2", "g": null, "n": 2})),
        put("a", json!({"id": "3", "n": 3})),
        put("a", json!({"id": "4", "g": "x", "n": null})),
        put("a", json!({"id": "5", "g": "y"})),
        put("b", json!({"id": "p", "k": "x", "m": 5})),
        put("b", json!({"id": "q", "k": null, "m": 6})),
        put("b", json!({"id": "r", "k": "y", "m": 7})),
        put("b", json!({"id": "s", "k": "x", "m": null})),
        // A cycle of three, and a way out of it.
        put("edge", json!({"id": "1", "from": "u", "to": "v"})),
        put("edge", json!({"id": "2", "from": "v", "to": "w"})),
        put("edge", json!({"id": "3", "from": "w", "to": "u"})),
        put("edge", json!({"id": "4", "from": "w", "to": "z"})),
        put("edge", json!({"id": "5", "from": null, "to": "u"})),
    ]);
    store
}

pub(super) fn from(collection: &str, alias: &str) -> Value {
    json!({"type": "collectionRef", "collection": collection, "alias": alias})
}

/// A column: `"a.n"`.
pub(super) fn col(path: &str) -> Value {
    json!({"type": "ref", "path": path.split('.').collect::<Vec<_>>()})
}

pub(super) fn val(value: Value) -> Value {
    json!({"type": "val", "value": value})
}

pub(super) fn func(name: &str, args: &[Value]) -> Value {
    json!({"type": "func", "name": name, "args": args})
}

pub(super) fn eq(a: &str, b: &str) -> Value {
    func("eq", &[col(a), col(b)])
}

pub(super) fn agg(name: &str, arg: Value) -> Value {
    json!({"type": "agg", "name": name, "args": [arg]})
}

fn union_all(queries: Value) -> Value {
    json!({"type": "unionAll", "queries": queries})
}

fn union_from() -> Value {
    json!({"type": "unionFrom", "sources": [from("a", "a"), from("b", "b")]})
}

/// An include linked by two columns, with further fields.
pub(super) fn include(parent: &str, child: &str, query: Value, more: Value) -> Value {
    let mut include = json!({
        "type": "includesSubquery",
        "materialization": "array",
        "query": query,
        "correlationField": col(parent),
        "childCorrelationField": col(child),
    });
    let more = more.as_object().unwrap().clone();
    include.as_object_mut().unwrap().extend(more);
    include
}

/// "key value" of every row.
pub(super) fn shown(query: Value) -> Vec<String> {
    let rows = evaluate(&query, &store()).into_iter();
    rows.map(|(key, value)| format!("{key} {value}")).collect()
}

/// A select over "a", without the rows' keys.
fn selected(select: Value) -> Vec<String> {
    let rows = evaluate(&json!({"from": from("a", "a"), "select": select}), &store());
    rows.into_iter()
        .map(|(_, value)| value.to_string())
        .collect()
}

#[test]
fn tanstack_unions_of_sources() {
    assert_eq!(
        shown(json!({"from": union_from()}))[3..6],
        [
            r#"["a","4"] {"a":{"g":"x","id":"4","n":null}}"#,
            r#"["a","5"] {"a":{"g":"y","id":"5"}}"#,
            r#"["b","p"] {"b":{"id":"p","k":"x","m":5}}"#,
        ]
    );
    assert_eq!(
        shown(json!({
            "from": union_from(),
            "where": [func("gt", &[col("a.n"), val(json!(1))])],
            "select": {"x": col("a.id"), "y": col("b.m"), "k": col("a.$key")},
        })),
        [
            r#"["a","2"] {"k":"2","x":"2"}"#,
            r#"["a","3"] {"k":"3","x":"3"}"#
        ]
    );
    let join = json!([{"type": "inner", "from": from("a", "z"), "on": eq("a.g", "z.g")}]);
    assert_eq!(
        shown(json!({"from": union_from(), "join": join}))
            .last()
            .unwrap(),
        r#"["[\"a\",\"5\"]","5"] {"a":{"g":"y","id":"5"},"z":{"g":"y","id":"5"}}"#
    );
}

#[test]
fn tanstack_unions_of_queries() {
    let some = json!([
        {"from": from("a", "a"), "select": {"x": col("a.id"), "n": col("a.n")}},
        {"from": from("b", "b"), "select": {"x": col("b.id"), "m": col("b.m")}},
    ]);
    assert_eq!(
        shown(json!({
            "from": union_all(some),
            "orderBy": [{"expression": col("x"), "compareOptions": {"direction": "desc"}}],
            "limit": 5,
        })),
        [
            r#"[1,"s"] {"m":null,"x":"s"}"#,
            r#"[1,"r"] {"m":7,"x":"r"}"#,
            r#"[1,"q"] {"m":6,"x":"q"}"#,
            r#"[1,"p"] {"m":5,"x":"p"}"#,
            r#"[0,"5"] {"x":"5"}"#,
        ]
    );
    let joined = json!({
        "from": from("b", "b"),
        "join": [{"type": "inner", "from": from("a", "c"), "on": eq("b.k", "c.g")}],
    });
    let mixed = json!([{"from": from("a", "a")}, joined]);
    let rows = shown(json!({"from": union_all(mixed)}));
    assert_eq!(rows.len(), 10);
    assert_eq!(
        rows[7],
        r#"[1,"[\"r\",\"5\"]"] {"b":{"id":"r","k":"y","m":7},"c":{"g":"y","id":"5"}}"#
    );
    let grouped = json!([
        {"from": from("a", "a"), "groupBy": [col("a.g")],
            "select": {"g": col("a.g"), "c": agg("count", col("a.id"))}},
        {"from": from("b", "b"), "select": {"g": col("b.k")}},
    ]);
    assert_eq!(
        shown(json!({"from": union_all(grouped)}))[..5],
        [
            r#"[0,"[null]"] {"c":1,"g":null}"#,
            r#"[0,"[{\"$missing\":true}]"] {"c":1}"#,
            r#"[0,"[\"x\"]"] {"c":2,"g":"x"}"#,
            r#"[0,"[\"y\"]"] {"c":1,"g":"y"}"#,
            r#"[1,"p"] {"g":"x"}"#,
        ]
    );
}

#[test]
fn tanstack_unions_are_joined_grouped_and_made_distinct() {
    let union = union_all(json!([
        {"from": from("a", "a"), "select": {"x": col("a.id"), "g": col("a.g")}},
        {"from": from("b", "b"), "select": {"x": col("b.id"), "g": col("b.k")}},
    ]));
    let join = json!([{"type": "inner", "from": from("a", "z"), "on": eq("g", "z.g")}]);
    let rows = shown(json!({"from": union, "join": join}));
    assert_eq!(rows.len(), 10);
    assert_eq!(
        rows[4],
        r#"["[0,\"5\"]","5"] {"g":"y","x":"5","z":{"g":"y","id":"5"}}"#
    );
    let columns = union_all(json!([
        {"from": from("a", "a"), "select": {"g": col("a.g")}},
        {"from": from("b", "b"), "select": {"g": col("b.k")}},
    ]));
    let mut rows = shown(json!({"from": columns, "distinct": true}));
    rows.sort();
    assert_eq!(
        rows,
        [
            r#"{"g":"x"} {"g":"x"}"#,
            r#"{"g":"y"} {"g":"y"}"#,
            r#"{"g":null} {"g":null}"#,
            "{} {}",
        ]
    );
    let inner = json!({"type": "queryRef", "alias": "u", "query": {"from": columns}});
    assert_eq!(
        shown(json!({
            "from": inner,
            "groupBy": [col("u.g")],
            "select": {"g": col("u.g"), "c": agg("count", col("u.g"))},
        })),
        [
            r#"[null] {"c":0,"g":null}"#,
            r#"[{"$missing":true}] {"c":0}"#,
            r#"["x"] {"c":4,"g":"x"}"#,
            r#"["y"] {"c":2,"g":"y"}"#,
        ]
    );
}

#[test]
fn tanstack_spreads_and_dotted_names() {
    // The builder wrote `{...a, g: a.o.p}`: a missing value overrides as well.
    assert_eq!(
        selected(json!({"__SPREAD_SENTINEL__a__1": col("a"), "g": col("a.o.p")}))[..2],
        [
            r#"{"g":1,"id":"1","n":1,"o":{"p":1}}"#,
            r#"{"id":"2","n":2}"#
        ]
    );
    // `{...a.o, id: a.id}`: of nothing, nothing is spread.
    assert_eq!(
        selected(json!({"__SPREAD_SENTINEL__a.o__1": col("a.o"), "id": col("a.id")}))[..2],
        [r#"{"id":"1","p":1}"#, r#"{"id":"2"}"#]
    );
    assert_eq!(
        selected(
            json!({"d.p": col("a.g"), "d.q": col("a.n"), "z": {"...": col("a"), "q": val(json!(1))}})
        )[2..4],
        [
            r#"{"d":{"q":3},"z":{"id":"3","n":3,"q":1}}"#,
            r#"{"d":{"p":"x","q":null},"z":{"g":"x","id":"4","n":null,"q":1}}"#,
        ]
    );
    // Of two that have a field, the later wins: `{...a, ...b}` of a left join.
    let query = json!({
        "from": from("a", "a"),
        "join": [{"type": "left", "from": from("b", "b"), "on": eq("a.g", "b.k")}],
        "select": {"__SPREAD_SENTINEL__a__1": col("a"), "__SPREAD_SENTINEL__b__2": col("b")},
    });
    assert_eq!(
        shown(query)[1..4],
        [
            r#"["1","s"] {"g":"x","id":"s","k":"x","m":null,"n":1,"o":{"p":1}}"#,
            r#"["2",null] {"g":null,"id":"2","n":2}"#,
            r#"["3",null] {"id":"3","n":3}"#,
        ]
    );
}

#[test]
fn tanstack_conditional_selects() {
    let above = |n| func("gt", &[col("a.n"), val(json!(n))]);
    let branches = json!([
        {"condition": above(1), "value": {"big": col("a.n"), "g": col("a.g")}},
        {"condition": above(0), "value": {"one": col("a.n")}},
    ]);
    let with_default = json!({
        "type": "conditionalSelect",
        "branches": branches,
        "defaultValue": {"none": col("a.id")},
    });
    assert_eq!(
        selected(json!({"c": with_default})),
        [
            r#"{"c":{"one":1}}"#,
            r#"{"c":{"big":2,"g":null}}"#,
            r#"{"c":{"big":3}}"#,
            r#"{"c":{"none":"4"}}"#,
            r#"{"c":{"none":"5"}}"#,
        ]
    );
    let without = json!({"type": "conditionalSelect", "branches": [branches[0]]});
    assert_eq!(selected(json!({"c": without}))[0], r#"{"c":null}"#);
    let children = include("a.g", "b.k", json!({"from": from("b", "b")}), json!({}));
    let one = json!({"condition": above(1), "value": children});
    let either =
        json!({"type": "conditionalSelect", "branches": [one], "defaultValue": val(json!("no"))});
    assert_eq!(
        selected(json!({"c": either}))[..3],
        [r#"{"c":"no"}"#, r#"{"c":[]}"#, r#"{"c":[]}"#]
    );
}

/// Walks over "edge": its edges, and a step more of the walks of `name`, with `third` in `c`.
fn walks(name: &str, third: Option<[Value; 2]>) -> Value {
    let mut base = json!({"a": col("e.from"), "b": col("e.to")});
    let mut step = json!({"a": col("r.a"), "b": col("n.to")});
    if let Some([first, next]) = third {
        (base["c"], step["c"]) = (first, next);
    }
    json!({"from": union_all(json!([
        {"from": from("edge", "e"), "select": base},
        {
            "from": from(name, "r"),
            "join": [{"type": "inner", "from": from("edge", "n"), "on": eq("r.b", "n.from")}],
            "select": step,
        },
    ]))})
}

#[test]
fn recursion_ends_when_nothing_is_new() {
    let query =
        json!({"withRecursive": {"reach": walks("reach", None)}, "from": from("reach", "x")});
    let rows = shown(query);
    // Four ends from each of null and the cycle's three.
    assert_eq!(rows.len(), 16);
    assert_eq!(rows[0], r#"{"a":null,"b":"u"} {"a":null,"b":"u"}"#);
    assert_eq!(rows[7], r#"{"a":"u","b":"z"} {"a":"u","b":"z"}"#);
}

#[test]
fn a_recursion_that_counts_is_cut_off() {
    let counted = [val(json!(0)), func("add", &[col("r.c"), val(json!(1))])];
    let query = |rounds: u64| {
        json!({
            "withRecursive": {"walk": walks("walk", Some(counted.clone()))},
            "maxRounds": rounds,
            "from": from("walk", "x"),
            "where": [func("eq", &[col("x.a"), val(json!("u"))])],
            "select": {"b": col("x.b"), "c": col("x.c")},
        })
    };
    let steps = |rounds| -> Vec<String> {
        let rows = shown(query(rounds)).into_iter();
        rows.map(|row| row.split_once("} ").unwrap().1.to_owned())
            .collect()
    };
    // The body over nothing, then over the edges, then over walks of two.
    assert_eq!(steps(0), [r#"{"b":"v","c":0}"#]);
    assert_eq!(steps(1), [r#"{"b":"v","c":0}"#, r#"{"b":"w","c":1}"#]);
    assert_eq!(
        steps(2),
        [
            r#"{"b":"u","c":2}"#,
            r#"{"b":"v","c":0}"#,
            r#"{"b":"w","c":1}"#,
            r#"{"b":"z","c":2}"#,
        ]
    );
}

#[test]
fn recursive_queries_refer_to_each_other_and_are_seen_in_subqueries() {
    let step = |of: &str| {
        json!({
            "from": from(of, "r"),
            "join": [{"type": "inner", "from": from("edge", "n"), "on": eq("r.x", "n.from")}],
            "select": {"x": col("n.to")},
        })
    };
    let start = json!({
        "from": from("edge", "e"),
        "where": [func("isNull", &[col("e.from")])],
        "select": {"x": col("e.to")},
    });
    let query = json!({
        "withRecursive": {"even": {"from": union_all(json!([start, step("odd")]))}, "odd": step("even")},
        "from": {"type": "queryRef", "alias": "s", "query": {
            "from": from("odd", "o"),
            "join": [{"type": "inner", "from": from("even", "e"), "on": eq("o.x", "e.x")}],
            "select": {"x": col("o.x"), "k": col("e.$key")},
        }},
        "where": [func("not", &[func("eq", &[col("s.x"), val(json!("u"))])])],
        "orderBy": [{"expression": col("s.x")}],
    });
    // The cycle is odd, so that all of it, and the way out, is met both ways.
    assert_eq!(
        shown(query),
        ["v", "w", "z"].map(|x| {
            let key = json!([format!(r#"{{"x":"{x}"}}"#), format!(r#"{{"x":"{x}"}}"#)]);
            let row = json!({"k": format!(r#"{{"x":"{x}"}}"#), "x": x});
            format!("{key} {row}")
        })
    );
}

#[test]
fn now_is_the_clock_and_never_goes_back() {
    let mut store = store();
    let query = json!({
        "from": from("a", "a"),
        "where": [func("lt", &[func("subtract", &[func("now", &[]), col("a.n")]), val(json!(998))])],
        "select": {},
    });
    let mut at = |ms| {
        store.set_clock(ms);
        let rows = evaluate(&query, &store).into_iter();
        rows.map(|(key, _)| key).collect::<Vec<_>>().join(" ")
    };
    // A row without `n` counts as 0.
    assert_eq!(at(997), "1 2 3 4 5");
    assert_eq!(at(999), "2 3");
    assert_eq!(at(900), "2 3");
    assert_eq!(at(1000), "3");
}

#[test]
fn ordered_aggregates_go_by_row_key_in_the_end() {
    let ordered = |name: &str, args: &[Value]| json!({"type": "agg", "name": name, "args": args});
    let select = json!({
        "all": ordered("arrayAgg", &[col("a.id")]),
        "by": ordered("arrayAgg", &[col("a.id"), col("a.g"), val(json!("desc"))]),
        "first": ordered("first", &[col("a.n"), col("a.n"), val(json!("desc"))]),
        "last": ordered("last", &[col("a.id"), col("a.g")]),
        "q": ordered("quantile", &[col("a.n"), val(json!(0.25))]),
    });
    assert_eq!(
        shown(json!({"from": from("a", "a"), "select": select})),
        [
            r#"[] {"all":["1","2","3","4","5"],"by":["2","3","5","1","4"],"first":3,"last":"5","q":1.5}"#
        ]
    );
}
