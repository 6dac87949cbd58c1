//! `now()`: results that change as time passes. `time_below.rs` has it in parts of queries.

use serde_json::{Value, json};

use crate::support::*;

const MINUTE: i64 = 60_000;

fn now() -> Value {
    func("now", &[])
}

fn ago(ms: i64) -> Value {
    func("subtract", &[now(), val(ms)])
}

/// An event at a minute.
fn event(key: &str, minute: i64) -> Value {
    put("e", key, json!({"at": minute * MINUTE}))
}

fn at(minute: i64) -> Value {
    json!({"at": minute * MINUTE})
}

fn events(condition: Value) -> Value {
    json!({"from": from("e"), "where": [condition]})
}

/// One event a minute, from the first to the tenth.
fn ten() -> World {
    let keys = ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10"];
    let rows: Vec<Value> = (1..).zip(keys).map(|(i, key)| event(key, i)).collect();
    World::of(&rows)
}

#[test]
fn the_last_five_minutes_slide() {
    let mut world = ten();
    world.engine.set_clock(8 * MINUTE);
    let ago = ago(5 * MINUTE);
    let after = world.install(&events(func("gt", &[path("e.at"), ago.clone()])));
    let from_ = world.install(&events(func("gte", &[path("e.at"), ago.clone()])));
    let past = func("lte", &[path("e.at"), now()]);
    let recent = world.install(&events(func(
        "and",
        &[func("gt", &[path("e.at"), ago]), past],
    )));
    assert_eq!(
        world.keys(after),
        ["04", "05", "06", "07", "08", "09", "10"]
    );
    assert_eq!(world.keys(from_)[0], "03", "the edge itself");
    assert_eq!(world.keys(recent), ["04", "05", "06", "07", "08"]);
    // A millisecond later the edge is passed.
    let changes = world.engine.set_clock(8 * MINUTE + 1);
    assert_eq!(changes.keys().collect::<Vec<_>>(), [&from_]);
    assert_eq!(as_json(&changes[&from_]), json!([left("03", at(3), None)]));
    // A minute later one leaves and one comes.
    let changes = world.engine.set_clock(9 * MINUTE);
    assert_eq!(as_json(&changes[&after]), json!([left("04", at(4), None)]));
    assert!(!changes.contains_key(&from_));
    let expected = json!([left("04", at(4), None), came("09", at(9), None)]);
    assert_eq!(as_json(&changes[&recent]), expected);
    // Events that come too late are not seen, and those of the future not yet.
    assert_eq!(
        world.changes(recent, &[event("11", 2), event("12", 12)]),
        json!([])
    );
    let changes = world.clock(recent, 100 * MINUTE);
    assert_eq!(
        changes.as_array().unwrap().len(),
        5,
        "a leap over everything: {changes}"
    );
    assert_eq!(world.rows(recent), json!([]));
    assert_eq!(world.rows(after), json!([]));
    // An event that moves into the window comes.
    let changes = world.changes(after, &[event("01", 99)]);
    assert_eq!(changes, json!([came("01", at(99), None)]));
}

#[test]
fn the_row_may_be_on_either_side() {
    let mut world = World::of(&[
        put("e", "a", json!({"at": 100, "for": 50})),
        put("e", "b", json!({"at": 200, "for": 5})),
    ]);
    let (start, length) = (path("e.at"), path("e.for"));
    let end = func("add", &[start.clone(), length.clone()]);
    // Five ways to say that it is not over yet.
    let conditions = [
        func("gt", &[end.clone(), now()]),
        func("lt", &[now(), end]),
        func(
            "gt",
            &[start.clone(), func("subtract", &[now(), length.clone()])],
        ),
        func(
            "lt",
            &[func("subtract", &[now(), start.clone()]), length.clone()],
        ),
        func("gt", &[length, func("subtract", &[now(), start])]),
    ];
    let queries = conditions.map(|condition| world.install(&events(condition)));
    let expect = |world: &World, keys: &[&str]| {
        queries
            .iter()
            .for_each(|query| assert_eq!(world.keys(*query), keys));
    };
    expect(&world, &["a", "b"]);
    world.engine.set_clock(149);
    expect(&world, &["a", "b"]);
    world.engine.set_clock(150);
    expect(&world, &["b"]);
    world.apply(&[
        put("e", "a", json!({"at": 100, "for": 51})),
        put("e", "c", json!({"at": 149, "for": 1})),
    ]);
    expect(&world, &["a", "b"]);
    world.engine.set_clock(205);
    expect(&world, &[]);
}

#[test]
fn today_is_a_day_of_the_zone() {
    // In Vienna, 31 March 2024 has 23 hours: from 23:00 to 22:00 UTC.
    const START: i64 = 1_711_839_600_000;
    const END: i64 = START + 23 * 60 * MINUTE;
    let day = func("dateTrunc", &[val("day"), now(), val("Europe/Vienna")]);
    let query = json!({"from": from("e"), "where": [func("gte", &[path("e.at"), day])]});
    let rows = [("a", START - 1), ("b", START), ("c", END - 1), ("d", END)];
    let mut world = World::of(&rows.map(|(key, at)| put("e", key, json!({"at": at}))));
    world.engine.set_clock(START - 1);
    let query = world.install(&query);
    assert_eq!(world.keys(query), ["a", "b", "c", "d"]);
    assert_eq!(
        world.clock(query, START),
        json!([left("a", json!({"at": START - 1}), None)])
    );
    assert_eq!(world.clock(query, END - 1), json!([]));
    let changes = world.clock(query, END);
    let expected = json!([
        left("b", json!({"at": START}), None),
        left("c", json!({"at": END - 1}), None)
    ]);
    assert_eq!(changes, expected);
}

#[test]
fn the_clock_stands_inside_of_or_and_not() {
    let row = |key: &str, at: i64, pinned: bool| put("e", key, json!({"at": at, "pinned": pinned}));
    let mut world = World::of(&[
        row("a", 10, false),
        row("b", 10, true),
        row("c", 30, false),
        put("e", "d", json!({"pinned": false})),
    ]);
    let recent = func("gt", &[path("e.at"), ago(10)]);
    let pinned = func("eq", &[path("e.pinned"), val(true)]);
    let shown = world.install(&events(func("or", &[recent.clone(), pinned])));
    let old = world.install(&events(func("not", std::slice::from_ref(&recent))));
    let unknown = world.install(&events(func("isNull", &[recent])));
    assert_eq!(world.keys(shown), ["a", "b", "c"]);
    assert_eq!(world.keys(old), [""; 0], "of `d` nothing is known");
    assert_eq!(world.keys(unknown), ["d"]);
    let changed = world.engine.set_clock(20);
    let row = |at: i64, pinned: bool| json!({"at": at, "pinned": pinned});
    assert_eq!(
        as_json(&changed[&shown]),
        json!([left("a", row(10, false), None)])
    );
    let expected = json!([
        came("a", row(10, false), None),
        came("b", row(10, true), None)
    ]);
    assert_eq!(as_json(&changed[&old]), expected);
    let changes = world.changes(
        shown,
        &[put("e", "b", row(10, false)), put("e", "d", row(20, false))],
    );
    let expected = json!([
        left("b", row(10, true), None),
        came("d", row(20, false), None)
    ]);
    assert_eq!(changes, expected);
    assert_eq!(world.keys(unknown), [""; 0]);
}

#[test]
fn the_clock_never_goes_back_and_who_comes_late_sees_the_same() {
    let mut world = ten();
    let query = events(func("gt", &[path("e.at"), ago(5 * MINUTE)]));
    assert!(!world.engine.has_clock());
    let early = world.install(&query);
    assert!(world.engine.has_clock());
    assert_eq!(world.keys(early).len(), 10);
    assert_eq!(world.clock(early, 12 * MINUTE).as_array().unwrap().len(), 7);
    assert_eq!(world.clock(early, 9 * MINUTE), json!([]));
    assert_eq!(world.clock(early, 12 * MINUTE), json!([]));
    assert_eq!(world.engine.clock(), 12 * MINUTE);
    assert_eq!(world.keys(early), ["08", "09", "10"]);
    let late = world.install(&query);
    assert_eq!(world.keys(late), ["08", "09", "10"]);
    let changed = world.engine.set_clock(13 * MINUTE);
    for query in [early, late] {
        assert_eq!(as_json(&changed[&query]), json!([left("08", at(8), None)]));
    }
    let plain = world.install(&json!({"from": from("e")}));
    world.engine.uninstall(early);
    assert!(world.engine.has_clock());
    world.engine.uninstall(late);
    assert!(
        !world.engine.has_clock(),
        "`{plain:?}` does not look at the clock"
    );
    // Without a reader the clock goes on all the same.
    world.engine.set_clock(14 * MINUTE);
    let late = world.install(&query);
    assert_eq!(world.keys(late), ["10"]);
}

#[test]
fn values_that_are_no_numbers_compare_as_elsewhere() {
    let mut world = World::of(&[
        put("e", "a", json!({"at": "soon"})),
        put("e", "b", json!({"at": null})),
        put("e", "c", json!({})),
        put("e", "d", json!({"at": 1.5})),
        put("e", "e", json!({"at": 2})),
    ]);
    let query = world.install(&events(func("eq", &[path("e.at"), now()])));
    let until = world.install(&events(func("lt", &[path("e.at"), now()])));
    world.engine.set_clock(1);
    assert_eq!((world.keys(query), world.keys(until)), (vec![], vec![]));
    assert_eq!(
        world.clock(query, 2),
        json!([came("e", json!({"at": 2}), None)])
    );
    assert_eq!(world.keys(until), ["d"]);
    assert_eq!(
        world.clock(query, 3),
        json!([left("e", json!({"at": 2}), None)])
    );
    assert_eq!(world.keys(until), ["d", "e"]);
}

#[test]
fn elsewhere_the_clock_is_refused() {
    let later = func("gt", &[path("e.at"), now()]);
    let joined = join(
        "inner",
        from("u"),
        func(
            "and",
            &[eq("e.id", "u.id"), func("gt", &[path("u.at"), now()])],
        ),
    );
    let grouped = json!({"from": from("e"), "groupBy": [path("e.id")], "select": {"id": path("e.id")}, "having": [later]});
    let inner = json!({"from": from("e"), "select": {"now": now()}});
    let not_here =
        "`now` can only stand in `where` (what has no row to come or go cannot follow the time)";
    for (query, place) in [
        (
            json!({"from": from("e"), "select": {"a": path("e.a"), "late": later}}),
            "select",
        ),
        (grouped, "having[0]"),
        (
            json!({"from": from("e"), "groupBy": [later], "select": {"n": agg("count", "e.id")}}),
            "groupBy[0]",
        ),
        (
            json!({"from": from("e"), "orderBy": [order("e.id"), {"expression": ago(1)}]}),
            "orderBy[1].expression",
        ),
        (json!({"from": from("e"), "join": [joined]}), "join[0].on"),
        (json!({"from": query_ref(&inner, "x")}), "from.query.select"),
    ] {
        assert_eq!(refusal(&query), format!("`{place}`: {not_here}"));
    }
    let hint = "(as in gt(e.at, subtract(now(), 300000)))";
    for (condition, error) in [
        (
            now(),
            "`now` can only stand in a comparison: `eq`, `gt`, `gte`, `lt` or `lte`",
        ),
        (
            func("isNull", &[now()]),
            "`now` can only stand in a comparison: `eq`, `gt`, `gte`, `lt` or `lte`",
        ),
        (
            func("in", &[path("e.at"), func("array", &[now()])]),
            "`now` can only stand in a comparison: `eq`, `gt`, `gte`, `lt` or `lte`",
        ),
        (
            func("gt", &[func("add", &[path("e.at"), now()]), now()]),
            "`now` can only stand on one side of a comparison",
        ),
        (
            func("gt", &[now(), val(5)]),
            "a comparison with `now` must refer to a row",
        ),
        (
            func(
                "gt",
                &[path("e.at"), func("multiply", &[now(), path("e.x")])],
            ),
            "the side of a comparison on which `now` stands cannot refer to rows",
        ),
    ] {
        assert_eq!(
            refusal(&events(condition)),
            format!("`where[0]`: {error} {hint}")
        );
    }
    // A function called like it takes no arguments.
    assert_eq!(
        refusal(&events(func("now", &[val(1)]))),
        "`where[0].args`: `now` takes no arguments, not 1"
    );
}
