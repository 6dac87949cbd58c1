//! The cost of a change follows the change and not the data, shown by counting steps: an update of
//! one row takes about as many among twenty times the rows.
//!
//! Every query is installed alone on the loaded engine, and every kind of change is made at many
//! places. What counts is the step count that four in five stay below: hash tables that grow are
//! slow once in a while. `TAILWATER_WORK_ROWS` sets how many rows there are (a million takes
//! minutes), `TAILWATER_WORK=1` prints the steps.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Engine, QueryId};
use crate::query::Query;
use crate::work;

const SMALL: i64 = 10_000;
const LARGE: i64 = 200_000;
/// The logarithm of a million is one and a half times that of `SMALL`.
const GROWTH: f64 = 1.6;
/// Steps that may come on top: a sorted set may have a level more, of at most 32 children, and each
/// change looks for several places in it.
const SLACK: f64 = 250.0;
/// How often each kind of change is made: often enough for a third of the places to be among the four
/// in five, as near a window a change costs more than behind it.
const TIMES: i64 = 30;

fn path(path: &str) -> Value {
    json!({"type": "ref", "path": path.split('.').collect::<Vec<_>>()})
}

fn val(value: impl Into<Value>) -> Value {
    json!({"type": "val", "value": value.into()})
}

fn func(name: &str, args: &[Value]) -> Value {
    json!({"type": "func", "name": name, "args": args})
}

fn from(collection: &str) -> Value {
    json!({"type": "collectionRef", "collection": collection, "alias": collection})
}

fn agg(name: &str) -> Value {
    json!({"type": "agg", "name": name, "args": [path("t.v")]})
}

fn by(path_: &str, direction: &str) -> Value {
    json!([{"expression": path(path_), "compareOptions": {"direction": direction}}])
}

fn join(kind: &str) -> Value {
    let on = func("eq", &[path("t.g"), path("p.g")]);
    json!({"from": from("t"), "join": [{"type": kind, "from": from("p"), "on": on}]})
}

/// The children of a parent: some of the ten.
fn include(offset: i64, limit: i64) -> Value {
    let child = json!({"from": from("t"), "where": [func("eq", &[path("t.g"), path("p.g")])],
        "orderBy": by("t.v", "desc"), "offset": offset, "limit": limit, "select": {"v": path("t.v")}});
    json!({"from": from("p"), "select": {"g": path("p.g"),
        "top": {"type": "includesSubquery", "query": child, "materialization": "array"}}})
}

/// Where in the trees each node stands.
fn depths() -> Value {
    let roots = json!({"from": from("n"), "where": [func("isNull", &[path("n.up")])],
        "select": {"id": path("n.id"), "depth": val(0)}});
    let on = func("eq", &[path("n.up"), path("d.id")]);
    let below = json!({"from": {"type": "collectionRef", "collection": "depths", "alias": "d"},
        "join": [{"type": "inner", "from": from("n"), "on": on}],
        "select": {"id": path("n.id"), "depth": func("add", &[path("d.depth"), val(1)])}});
    json!({"withRecursive": {"depths": {"from": {"type": "unionAll", "queries": [roots, below]}}},
        "from": from("depths")})
}

fn queries(n: i64) -> Vec<(String, Value)> {
    let mut queries: Vec<(String, Value)> = Vec::new();
    let mut add = |name: &str, query: Value| queries.push((name.into(), query));
    add(
        "filter",
        json!({"from": from("t"), "where": [func("gt", &[path("t.v"), val(n / 2)])]}),
    );
    for kind in ["inner", "left", "right", "full"] {
        add(&format!("{kind} join"), join(kind));
    }
    let aggregates = ["count", "sum", "avg", "min", "max", "stddev"];
    let aggregates = aggregates
        .iter()
        .chain(&["countDistinct", "median", "first", "last"]);
    for name in aggregates {
        let groups = json!({"from": from("t"), "groupBy": [path("t.g")], "select": {"g": path("t.g"), "x": agg(name)}});
        add(&format!("{name} of small groups"), groups);
        let whole = json!({"from": from("t"), "select": {"x": agg(name)}});
        add(&format!("{name} of everything"), whole);
    }
    add(
        "distinct",
        json!({"from": from("t"), "distinct": true, "select": {"g": path("t.g")}}),
    );
    let ordered = |direction| json!({"from": from("t"), "orderBy": by("t.v", direction)});
    let window = |direction, offset: i64, limit: i64| {
        let mut query = ordered(direction);
        query["offset"] = offset.into();
        query["limit"] = limit.into();
        query
    };
    add("order without limit", ordered("asc"));
    add("order with limit", window("asc", 0, 10));
    add("order with offset", window("desc", n / 2, 10));
    let part =
        |from_: &str, field: &str| json!({"from": from(from_), "select": {"x": path(field)}});
    add(
        "union of queries",
        json!({"from": {"type": "unionAll", "queries": [part("t", "t.v"), part("p", "p.w")]}}),
    );
    add(
        "union of sources",
        json!({"from": {"type": "unionFrom", "sources": [from("t"), from("p")]}}),
    );
    add("include", include(0, 3));
    add("include with offset", include(5, 3));
    add("recursion", depths());
    let recent = func(
        "gt",
        &[
            path("t.at"),
            func("subtract", &[func("now", &[]), val(1000)]),
        ],
    );
    add("clock", json!({"from": from("t"), "where": [recent]}));
    let recent = func("or", &[recent, func("eq", &[path("t.v"), val(3)])]);
    add(
        "clock in an or",
        json!({"from": from("t"), "where": [recent]}),
    );
    queries
}

/// The rows: `t` of n, ten of them for each of `p`; `n` is a forest of trees with ten nodes each.
struct World {
    engine: Engine,
    n: i64,
}

impl World {
    fn new(n: i64) -> World {
        let mut world = World {
            engine: Engine::new(),
            n,
        };
        for start in (0..n).step_by(10_000) {
            let t = (start..start + 10_000).map(|i| put("t", i, world.t(i)));
            let p = (start / 10..start / 10 + 1000).map(|i| put("p", i, p(i)));
            let n = (start / 10..start / 10 + 1000).map(|i| put("n", i, node(i, i - 1)));
            let messages: Vec<String> = t.chain(p).chain(n).collect();
            world.apply(&messages);
        }
        world
    }

    /// A row of `t`; each has another `v`, in no order.
    fn t(&self, i: i64) -> Value {
        json!({"g": i / 10, "v": i * 7919 % self.n, "at": i})
    }

    /// The steps of a batch.
    fn apply(&mut self, messages: &[String]) -> u64 {
        let batch = self.engine.decode(messages.iter().map(String::as_str));
        let batch = batch.expect("messages that are right");
        work::of(|| self.engine.apply(batch)).0
    }

    /// Changes at one place, each with what kind it is.
    fn changes(&self, i: i64) -> Vec<(&'static str, String)> {
        let n = self.n;
        let i = i * 7907 % (n - 20) + 10;
        let changed = |field: &str, value: i64| {
            let mut row = self.t(i);
            row[field] = value.into();
            put("t", i, row)
        };
        let mut parent = p(i / 10);
        parent["w"] = "other".into();
        let leaf = i / 100 * 10 + 9;
        vec![
            ("to the front", changed("v", -i)),
            ("to the middle", changed("v", n / 2)),
            ("to the end", changed("v", n + i)),
            ("to another group", changed("g", (i / 10 + 5) % (n / 10))),
            ("to no group", changed("g", n)),
            ("back", put("t", i, self.t(i))),
            ("deleted", delete("t", i)),
            ("inserted", put("t", i, self.t(i))),
            ("partner changed", put("p", i / 10, parent)),
            ("partner deleted", delete("p", i / 10)),
            ("partner inserted", put("p", i / 10, p(i / 10))),
            (
                "subtree moved",
                put("n", leaf - 4, node(leaf - 4, leaf - 9)),
            ),
            ("subtree back", put("n", leaf - 4, node(leaf - 4, leaf - 5))),
            ("node deleted", delete("n", leaf - 3)),
            (
                "node inserted",
                put("n", leaf - 3, node(leaf - 3, leaf - 4)),
            ),
        ]
    }

    /// The steps of all kinds of changes under a query.
    fn measure(&mut self, query: QueryId, has_window: bool) -> BTreeMap<&'static str, Vec<u64>> {
        let mut steps = BTreeMap::<_, Vec<u64>>::new();
        for i in 0..TIMES {
            for (kind, message) in self.changes(i * i * 31 + i) {
                let taken = self.apply(&[message]);
                steps.entry(kind).or_default().push(taken);
            }
            if self.engine.has_clock() {
                let now = self.engine.clock() + 3;
                let taken = work::of(|| self.engine.set_clock(now)).0;
                steps.entry("clock moved").or_default().push(taken);
            }
            let offset = self.n as usize / 3 + 3 * i as usize;
            if has_window {
                let moved = || self.engine.set_window(query, offset, Some(10));
                let taken = work::of(moved).0;
                steps.entry("window moved").or_default().push(taken);
            }
        }
        steps
    }

    fn run(&mut self) -> BTreeMap<(String, &'static str), u64> {
        let mut steps_of = BTreeMap::new();
        self.engine.set_clock(self.n);
        for (name, query) in queries(self.n) {
            let query = Query::from_json(&query.to_string()).unwrap();
            let id = self.engine.install(&query).unwrap();
            for (kind, mut steps) in self.measure(id, name.starts_with("order with ")) {
                steps.sort_unstable();
                steps_of.insert((name.clone(), kind), steps[steps.len() * 4 / 5]);
            }
            self.engine.uninstall(id);
        }
        steps_of
    }
}

fn p(i: i64) -> Value {
    json!({"g": i, "w": format!("partner {i}")})
}

/// A node; the first of ten is a root.
fn node(i: i64, up: i64) -> Value {
    let up = if i % 10 == 0 { Value::Null } else { up.into() };
    json!({"id": i, "up": up})
}

fn put(collection: &str, key: i64, value: Value) -> String {
    json!({"type": collection, "key": key.to_string(), "value": value, "headers": {"operation": "upsert"}}).to_string()
}

fn delete(collection: &str, key: i64) -> String {
    json!({"type": collection, "key": key.to_string(), "headers": {"operation": "delete"}})
        .to_string()
}

#[test]
fn a_change_costs_no_more_among_many_times_the_data() {
    let rows = std::env::var("TAILWATER_WORK_ROWS");
    let rows = rows.map_or(LARGE, |rows| rows.parse().expect("a number"));
    let small = World::new(SMALL).run();
    let large = World::new(rows).run();
    let mut wrong = Vec::new();
    for ((query, kind), few) in &small {
        let many = large[&(query.clone(), *kind)];
        if std::env::var_os("TAILWATER_WORK").is_some() {
            println!("{query:28} {kind:18} {few:8} {many:8}");
        }
        if many as f64 > *few as f64 * GROWTH + SLACK {
            wrong.push(format!("{query}, {kind}: {few} steps, then {many}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_change_that_costs_what_the_data_is_long_is_seen() {
    let mut world = World::new(SMALL);
    let query = json!({"from": from("t"), "select": {"x": agg("arrayAgg")}});
    let query = Query::from_json(&query.to_string()).unwrap();
    world.engine.install(&query).unwrap();
    let steps = world.apply(&[put("t", 7, json!({"v": -1}))]);
    assert!(steps > SMALL as u64, "{steps}");
}
