//! Recursive queries: what a change takes along, and what it leaves.

use serde_json::{Value, json};

use crate::support::*;

fn edge(a: &str, b: &str) -> Value {
    put("edge", &format!("{a}{b}"), json!({"from": a, "to": b}))
}

fn cut(a: &str, b: &str) -> Value {
    delete("edge", &format!("{a}{b}"))
}

/// `reach`: the pairs of which the second can be reached from the first.
fn reach() -> Value {
    let one =
        json!({"from": from("edge"), "select": {"a": path("edge.from"), "b": path("edge.to")}});
    let more = json!({"from": source("reach", "r"), "join": [join("inner", source("edge", "n"), eq("r.b", "n.from"))],
        "select": {"a": path("r.a"), "b": path("n.to")}});
    json!({"from": union_all(&[one, more])})
}

/// What can be reached from `a`, in order.
fn from_a() -> Value {
    json!({"withRecursive": {"reach": reach()}, "from": from("reach"),
        "where": [func("eq", &[path("reach.a"), val("a")])],
        "orderBy": [order("reach.b")], "select": {"b": path("reach.b")}})
}

fn named(names: &str) -> Value {
    names
        .chars()
        .map(|name| json!({"b": name.to_string()}))
        .collect()
}

#[test]
fn reachability_with_cycles_under_deletes() {
    let mut world = World::of(&[
        edge("a", "b"),
        edge("b", "c"),
        edge("c", "a"),
        edge("c", "d"),
    ]);
    let query = world.install(&from_a());
    assert_eq!(world.rows(query), named("abcd"));
    // The cycle must not hold itself up when what led to it is gone.
    world.apply(&[cut("a", "b")]);
    assert_eq!(world.rows(query), named(""));
    world.apply(&[edge("a", "c")]);
    assert_eq!(world.rows(query), named("acd"));
    // Another way to the same place changes nothing, nor does losing one of two.
    assert_eq!(world.changes(query, &[edge("a", "d")]), json!([]));
    assert_eq!(world.changes(query, &[cut("c", "d")]), json!([]));
    let key = |b: &str| json!({"a": "a", "b": b}).to_string();
    let changes = world.changes(query, &[edge("d", "e"), edge("e", "d")]);
    assert_eq!(changes, json!([came(&key("e"), json!({"b": "e"}), 3)]));
    let changes = world.changes(query, &[cut("a", "d")]);
    let expected = json!([
        left(&key("d"), json!({"b": "d"}), 2),
        left(&key("e"), json!({"b": "e"}), 3)
    ]);
    assert_eq!(changes, expected);
    // A loop of one, and one edge put in the place of another.
    let changes = world.changes(query, &[edge("c", "c"), cut("c", "a")]);
    assert_eq!(changes, json!([left(&key("a"), json!({"b": "a"}), 0)]));
    world.apply(&[cut("a", "c")]);
    assert_eq!(world.rows(query), json!([]));
}

/// `thread`: comments with their depth under their topic.
fn thread() -> Value {
    let top = json!({"from": from("comment"), "where": [func("isNull", &[path("comment.parent")])],
        "select": {"id": path("comment.id"), "depth": val(0)}});
    let replies = json!({"from": source("thread", "t"), "join": [join("inner", source("comment", "c"), eq("c.parent", "t.id"))],
        "select": {"id": path("c.id"), "depth": func("add", &[path("t.depth"), val(1)])}});
    json!({"from": union_all(&[top, replies])})
}

fn comment(id: i64, parent: impl Into<Option<i64>>) -> Value {
    put(
        "comment",
        &id.to_string(),
        json!({"id": id, "parent": parent.into()}),
    )
}

#[test]
fn a_tree_of_comments_with_depth() {
    let query = json!({"withRecursive": {"thread": thread()}, "from": from("thread"), "orderBy": [order("thread.id")]});
    let mut world = World::of(&[
        comment(1, None),
        comment(2, 1),
        comment(3, 2),
        comment(4, 3),
        comment(5, 1),
    ]);
    let query = world.install(&query);
    let depths = |world: &World| -> Vec<(i64, i64)> {
        let rows = world.rows(query);
        let pair = |row: &Value| (row["id"].as_i64().unwrap(), row["depth"].as_i64().unwrap());
        rows.as_array().unwrap().iter().map(pair).collect()
    };
    assert_eq!(depths(&world), [(1, 0), (2, 1), (3, 2), (4, 3), (5, 1)]);
    // A branch moves, with all that is below it.
    let moved = world.changes(query, &[comment(3, 1)]);
    assert_eq!(
        moved.as_array().unwrap().len(),
        4,
        "two rows leave, two come: {moved}"
    );
    assert_eq!(depths(&world), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 1)]);
    // Without its top it hangs in the air, until it comes back.
    world.apply(&[delete("comment", "1")]);
    assert_eq!(depths(&world), []);
    world.apply(&[comment(1, None)]);
    assert_eq!(depths(&world), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 1)]);
    // A cycle that no top leads to is not there.
    world.apply(&[comment(3, 4)]);
    assert_eq!(depths(&world), [(1, 0), (2, 1), (5, 1)]);
}

#[test]
fn the_payroll_of_an_org_chart() {
    let person = |name: &str, boss: &str, pay: i64| {
        put("p", name, json!({"name": name, "boss": boss, "pay": pay}))
    };
    let own =
        json!({"from": from("p"), "select": {"boss": path("p.name"), "name": path("p.name")}});
    let below = json!({"from": source("under", "u"), "join": [join("inner", from("p"), eq("p.boss", "u.name"))],
        "select": {"boss": path("u.boss"), "name": path("p.name")}});
    let query = json!({"withRecursive": {"under": {"from": union_all(&[own, below])}}, "from": from("under"),
        "join": [join("inner", from("p"), eq("p.name", "under.name"))], "groupBy": [path("under.boss")],
        "select": {"boss": path("under.boss"), "heads": agg("count", "p.name"), "pay": agg("sum", "p.pay")},
        "orderBy": [order_desc("$selected.pay")]});
    let mut world = World::of(&[
        person("ann", "", 9),
        person("bob", "ann", 5),
        person("cat", "ann", 4),
        person("dan", "bob", 3),
    ]);
    let query = world.install(&query);
    let team = |boss: &str, heads: i64, pay: i64| json!({"boss": boss, "heads": heads, "pay": pay});
    let expected = json!([
        team("ann", 4, 21),
        team("bob", 2, 8),
        team("cat", 1, 4),
        team("dan", 1, 3)
    ]);
    assert_eq!(world.rows(query), expected);
    let changes = world.changes(query, &[person("dan", "cat", 3)]);
    let key = |name: &str| json!([name]).to_string();
    let expected = json!([
        became(&key("cat"), team("cat", 1, 4), team("cat", 2, 7), (2, 1)),
        became(&key("bob"), team("bob", 2, 8), team("bob", 1, 5), (1, 2))
    ]);
    assert_eq!(changes, expected, "the sum above them stays the same");
    let changes = world.changes(query, &[person("dan", "cat", 10)]);
    let expected = json!([
        became(&key("ann"), team("ann", 4, 21), team("ann", 4, 28), (0, 0)),
        became(&key("cat"), team("cat", 2, 7), team("cat", 2, 14), (1, 1)),
        became(&key("dan"), team("dan", 1, 3), team("dan", 1, 10), (3, 2))
    ]);
    assert_eq!(changes, expected);
}

#[test]
fn two_queries_refer_to_each_other() {
    let zero = json!({"from": from("zero"), "select": {"n": path("zero.n")}});
    let next = |of: &str| {
        json!({"from": source(of, "p"), "join": [join("inner", from("next"), eq("next.of", "p.n"))],
        "select": {"n": path("next.n")}})
    };
    let query = |of: &str| {
        json!({"withRecursive": {"even": {"from": union_all(&[zero.clone(), next("odd")])}, "odd": next("even")},
        "from": source(of, "x"), "orderBy": [order("x.n")]})
    };
    let mut world = World::of(&[put("zero", "0", json!({"n": 0}))]);
    let rows: Vec<Value> = (1..=6)
        .map(|n| put("next", &n.to_string(), json!({"of": n - 1, "n": n})))
        .collect();
    world.apply(&rows);
    let [even, odd] = ["even", "odd"].map(|of| world.install(&query(of)));
    let numbers = |numbers: &[i64]| -> Value { numbers.iter().map(|n| json!({"n": n})).collect() };
    assert_eq!(world.rows(even), numbers(&[0, 2, 4, 6]));
    assert_eq!(world.rows(odd), numbers(&[1, 3, 5]));
    world.apply(&[delete("next", "4")]);
    assert_eq!(
        (world.rows(even), world.rows(odd)),
        (numbers(&[0, 2]), numbers(&[1, 3]))
    );
    // From three to five in one step: what was even is odd now.
    world.apply(&[put("next", "x", json!({"of": 2, "n": 5}))]);
    assert_eq!(
        (world.rows(even), world.rows(odd)),
        (numbers(&[0, 2, 6]), numbers(&[1, 3, 5]))
    );
}

#[test]
fn a_recursion_is_used_twice_in_one_query() {
    // Pairs that reach each other.
    let back = func("and", &[eq("x.a", "y.b"), eq("x.b", "y.a")]);
    let query = json!({"withRecursive": {"reach": reach()}, "from": source("reach", "x"),
        "join": [join("inner", source("reach", "y"), back)],
        "select": {"a": path("x.a"), "b": path("x.b")}, "orderBy": [order("x.a"), order("x.b")]});
    let mut world = World::of(&[edge("a", "b"), edge("b", "c")]);
    let query = world.install(&query);
    assert_eq!(world.rows(query), json!([]));
    world.apply(&[edge("b", "a")]);
    let pairs = |names: &str| -> Value {
        let pair = |pair: &str| json!({"a": pair[..1], "b": pair[1..]});
        names.split(' ').map(pair).collect()
    };
    assert_eq!(world.rows(query), pairs("aa ab ba bb"));
    world.apply(&[edge("c", "b")]);
    assert_eq!(world.rows(query), pairs("aa ab ac ba bb bc ca cb cc"));
    world.apply(&[cut("a", "b")]);
    assert_eq!(world.rows(query), pairs("bb bc cb cc"));
}

#[test]
fn a_recursion_inside_of_an_include() {
    let child = json!({"withRecursive": {"reach": reach()}, "from": from("reach"), "where": [eq("reach.a", "s.name")],
        "orderBy": [order("reach.b")], "select": {"b": path("reach.b")}});
    let query =
        json!({"from": from("s"), "select": {"name": path("s.name"), "to": include(&child)}});
    let mut world = World::of(&[
        put("s", "1", json!({"name": "a"})),
        put("s", "2", json!({"name": "c"})),
        edge("a", "b"),
        edge("b", "c"),
    ]);
    let query = world.install(&query);
    let start = |name: &str, to: &str| json!({"name": name, "to": named(to)});
    assert_eq!(world.rows(query), json!([start("a", "bc"), start("c", "")]));
    let changes = world.changes(query, &[edge("c", "a")]);
    let expected = json!([
        became("1", start("a", "bc"), start("a", "abc"), None),
        became("2", start("c", ""), start("c", "abc"), None)
    ]);
    assert_eq!(changes, expected);
    let changes = world.changes(query, &[cut("a", "b")]);
    let expected = json!([
        became("1", start("a", "abc"), start("a", ""), None),
        became("2", start("c", "abc"), start("c", "a"), None)
    ]);
    assert_eq!(changes, expected);
}

#[test]
fn a_recursion_that_has_no_end_is_cut() {
    let start = json!({"from": from("start"), "select": {"n": path("start.n")}});
    let count =
        json!({"from": source("count", "c"), "select": {"n": func("add", &[path("c.n"), val(1)])}});
    let mut query = json!({"withRecursive": {"count": {"from": union_all(&[start, count])}},
        "from": from("count"), "orderBy": [order("count.n")]});
    let mut world = World::default();
    let long = world.install(&query);
    query["maxRounds"] = 3.into();
    let short = world.install(&query);
    assert!(
        !world.engine.is_cut(long) && !world.engine.is_cut(short),
        "nothing is there yet"
    );
    world.apply(&[put("start", "1", json!({"n": 1}))]);
    assert!(world.engine.is_cut(long) && world.engine.is_cut(short));
    // What it starts from, and what three rounds make of that.
    let expected = json!([{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]);
    assert_eq!(world.rows(short), expected);
    assert_eq!(world.engine.view(long).unwrap().len(), 1001);
    world.apply(&[delete("start", "1")]);
    assert!(
        !world.engine.is_cut(long) && !world.engine.is_cut(short),
        "what went on for ever is gone"
    );
    assert_eq!(world.rows(short), json!([]));
    // A fixed point that is reached in time is none that was cut.
    let mut tree = json!({"withRecursive": {"thread": thread()}, "from": from("thread")});
    let deep = [
        comment(1, None),
        comment(2, 1),
        comment(3, 2),
        comment(4, 3),
    ];
    world.apply(&deep);
    // The third round makes the last row, and a fourth would make none.
    let [part, whole] = [2, 3].map(|rounds| {
        tree["maxRounds"] = rounds.into();
        world.install(&tree)
    });
    let state = |world: &World, query| (world.keys(query).len(), world.engine.is_cut(query));
    assert_eq!(state(&world, part), (3, true));
    assert_eq!(state(&world, whole), (4, false));
    // A tree that is less deep is whole again, and a deep one is cut again.
    world.apply(&[comment(3, 1), comment(4, 1)]);
    assert_eq!(state(&world, part), (4, false));
    world.apply(&deep);
    assert_eq!(state(&world, part), (3, true));
}

#[test]
fn a_chain_of_five_hundred_breaks_in_the_middle() {
    let rows: Vec<Value> = (0..500)
        .map(|i| comment(i, (i > 0).then(|| i - 1)))
        .collect();
    let mut world = World::of(&rows);
    let query = json!({"withRecursive": {"thread": thread()}, "from": from("thread"), "orderBy": [order("thread.id")]});
    let query = world.install(&query);
    assert_eq!(world.engine.view(query).unwrap().len(), 500);
    let changes = world.changes(query, &[delete("comment", "250")]);
    assert_eq!(changes.as_array().unwrap().len(), 250);
    assert_eq!(
        changes[0],
        left(
            r#"{"depth":250,"id":250}"#,
            json!({"id": 250, "depth": 250}),
            250
        )
    );
    assert_eq!(world.engine.view(query).unwrap().len(), 250);
    // The rest hangs on elsewhere, a hundred higher.
    let changes = world.changes(query, &[comment(251, 150)]);
    assert_eq!(changes.as_array().unwrap().len(), 249);
    let last = world.rows(query)[498].clone();
    assert_eq!(last, json!({"id": 499, "depth": 399}));
}

#[test]
fn what_could_take_rows_back_is_refused() {
    let around = |body: Value| json!({"withRecursive": {"r": body}, "from": from("r")});
    let hint = "(what is made of the finished recursion may stand in the query around it)";
    let n = |of: &str| json!({"n": path(&format!("{of}.n"))});
    let grouped = json!({"from": from("r"), "groupBy": [path("r.n")], "select": n("r")});
    let limited =
        json!({"from": from("r"), "orderBy": [order("r.n")], "limit": 3, "select": n("r")});
    let outer = |kind: &str| json!({"from": from("t"), "join": [join(kind, from("r"), eq("t.n", "r.n"))], "select": n("t")});
    let parent = json!({"from": from("r"), "select": {"n": path("r.n"), "all": include(&json!({"from": from("t"), "where": [eq("t.n", "r.n")]}))}});
    let child = json!({"from": from("t"), "select": {"n": path("t.n"), "all": include(&json!({"from": from("r"), "where": [eq("t.n", "r.n")]}))}});
    let recent = json!({"from": from("r"), "where": [func("gt", &[path("r.n"), func("now", &[])])], "select": n("r")});
    for (body, place) in [
        (grouped, "under an aggregate"),
        (
            json!({"from": from("r"), "select": {"n": agg("count", "r.n")}}),
            "under an aggregate",
        ),
        (limited, "under a limit or an offset"),
        (outer("left"), "in a left join"),
        (outer("full"), "in a full join"),
        (parent, "in or under an included query"),
        (child, "in or under an included query"),
        (recent, "under a comparison with `now`"),
    ] {
        assert_eq!(
            refusal(&around(body)),
            format!("`withRecursive.r`: `r` cannot stand {place} within the recursion {hint}")
        );
    }
    let error = refusal(&json!({"from": from("t"), "maxRounds": 3}));
    assert_eq!(
        error,
        "`maxRounds`: there is no `withRecursive` it could speak of"
    );
}

#[test]
fn what_does_not_depend_on_the_recursion_may_do_anything_in_it() {
    // The edges of which there are at least two, counted, limited and joined from outside.
    let counts = json!({"from": from("edge"), "groupBy": [path("edge.from"), path("edge.to")],
        "select": {"a": path("edge.from"), "b": path("edge.to"), "n": agg("count", "edge.to")}});
    let often = json!({"from": query_ref(&counts, "c"), "where": [func("gt", &[path("c.n"), val(1)])],
        "select": {"a": path("c.a"), "b": path("c.b")}});
    let more = json!({"from": source("r", "r"), "join": [join("inner", query_ref(&often, "n"), eq("r.b", "n.a"))],
        "select": {"a": path("r.a"), "b": path("n.b")}});
    let query = json!({"withRecursive": {"r": {"from": union_all(&[often, more])}}, "from": from("r"), "orderBy": [order("r.a"), order("r.b")]});
    let mut world = World::default();
    let query = world.install(&query);
    let twice = |a: &str, b: &str| {
        ["1", "2"].map(|i| put("edge", &format!("{a}{b}{i}"), json!({"from": a, "to": b})))
    };
    world.apply(&[twice("a", "b"), twice("b", "c")].concat());
    let pair = |a: &str, b: &str| json!({"a": a, "b": b});
    assert_eq!(
        world.rows(query),
        json!([pair("a", "b"), pair("a", "c"), pair("b", "c")])
    );
    world.apply(&[delete("edge", "bc2")]);
    assert_eq!(world.rows(query), json!([pair("a", "b")]));
}
