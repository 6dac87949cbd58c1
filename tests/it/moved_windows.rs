//! `set_window`: a window that somebody scrolls.

use serde_json::{Value, json};
use tailwater::engine::WindowError;
use tailwater::view::Effect;

use crate::support::*;

fn n(n: i64) -> Value {
    json!({"n": n})
}

/// Rows of `t` whose keys are their values.
fn nine() -> World {
    let rows: Vec<Value> = (1..10).map(|i| put("t", &i.to_string(), n(i))).collect();
    World::of(&rows)
}

fn by_n() -> Value {
    json!({"from": from("t"), "orderBy": [order("t.n")]})
}

#[test]
fn a_window_moves_down_up_and_to_nothing() {
    let mut world = nine();
    let mut query = by_n();
    query["offset"] = 2.into();
    query["limit"] = 3.into();
    let query = world.install(&query);
    assert_eq!(world.keys(query), ["3", "4", "5"]);
    // Down, with a row in common.
    let expected = json!([
        left("3", n(3), 0),
        left("4", n(4), 1),
        came("6", n(6), 1),
        came("7", n(7), 2)
    ]);
    assert_eq!(world.window(query, 4, Some(3)), expected);
    // Up, with none.
    let expected = json!([
        left("5", n(5), 0),
        left("6", n(6), 1),
        left("7", n(7), 2),
        came("1", n(1), 0),
        came("2", n(2), 1),
        came("3", n(3), 2)
    ]);
    assert_eq!(world.window(query, 0, Some(3)), expected);
    let expected = json!([left("1", n(1), 0), came("4", n(4), 2)]);
    assert_eq!(world.window(query, 1, Some(3)), expected);
    assert_eq!(
        world.window(query, 1, Some(3)),
        json!([]),
        "it is there already"
    );
    // Longer at both ends, and shorter.
    let expected = json!([came("1", n(1), 0), came("5", n(5), 4)]);
    assert_eq!(world.window(query, 0, Some(5)), expected);
    let expected = json!([left("1", n(1), 0), left("2", n(2), 1), left("5", n(5), 4)]);
    assert_eq!(world.window(query, 2, Some(2)), expected);
    // To nothing, past the end, and to all that follows.
    let expected = json!([left("3", n(3), 0), left("4", n(4), 1)]);
    assert_eq!(world.window(query, 2, Some(0)), expected);
    assert_eq!(world.window(query, 50, Some(5)), json!([]));
    let expected = json!([came("8", n(8), 0), came("9", n(9), 1)]);
    assert_eq!(world.window(query, 7, None), expected);
    // It is as live as before.
    let changes = world.changes(query, &[put("t", "0", n(0))]);
    assert_eq!(changes, json!([came("7", n(7), 0)]));
    assert_eq!(world.keys(query), ["7", "8", "9"]);
}

#[test]
fn a_window_ends_past_the_end_and_offsets_do_not_overflow() {
    let mut world = nine();
    let query = world.install(&by_n());
    assert_eq!(
        world
            .window(query, usize::MAX, Some(usize::MAX))
            .as_array()
            .unwrap()
            .len(),
        9
    );
    assert_eq!(
        world.window(query, 8, Some(usize::MAX)),
        json!([came("9", n(9), 0)])
    );
}

#[test]
fn a_query_without_a_limit_gets_a_window() {
    let mut world = nine();
    let query = world.install(&by_n());
    let expected: Vec<Value> = (1..10)
        .filter(|i| !(4..=5).contains(i))
        .map(|i| left(&i.to_string(), n(i), i as usize - 1))
        .collect();
    assert_eq!(world.window(query, 3, Some(2)), json!(expected));
    let changes = world.changes(query, &[delete("t", "1")]);
    assert_eq!(changes, json!([left("4", n(4), 0), came("6", n(6), 1)]));
    let expected = json!([left("5", n(5), 0), came("7", n(7), 1)]);
    assert_eq!(world.window(query, 4, Some(2)), expected);
    // Without an order it goes by key, and nothing is said of positions.
    let query =
        world.install(&json!({"from": from("t"), "where": [func("lt", &[path("t.n"), val(5)])]}));
    assert_eq!(world.keys(query), ["2", "3", "4"]);
    assert_eq!(
        world.window(query, 1, Some(1)),
        json!([left("2", n(2), None), left("4", n(4), None)])
    );
    let expected = json!([came("2", n(2), None), left("3", n(3), None)]);
    assert_eq!(world.window(query, 0, Some(1)), expected);
    let changes = world.changes(query, &[put("t", "1", n(1))]);
    assert_eq!(
        changes,
        json!([came("1", n(1), None), left("2", n(2), None)])
    );
}

#[test]
fn rows_that_enter_have_their_included_rows() {
    let child =
        json!({"from": from("c"), "where": [eq("c.p", "p.n")], "select": {"x": path("c.x")}});
    let query = json!({"from": from("p"), "orderBy": [order("p.n")], "limit": 1,
        "select": {"n": path("p.n"), "all": include(&child)}});
    let mut world = World::of(&[
        put("p", "a", n(1)),
        put("p", "b", n(2)),
        put("c", "1", json!({"p": 1, "x": "one"})),
        put("c", "2", json!({"p": 2, "x": "two"})),
    ]);
    let query = world.install(&query);
    let parent = |n: i64, all: &[&str]| {
        let all: Vec<Value> = all.iter().map(|x| json!({"x": x})).collect();
        json!({"n": n, "all": all})
    };
    let expected = json!([
        left("a", parent(1, &["one"]), 0),
        came("b", parent(2, &["two"]), 0)
    ]);
    assert_eq!(world.window(query, 1, Some(1)), expected);
    let changes = world.changes(query, &[put("c", "3", json!({"p": 2, "x": "more"}))]);
    let expected = became(
        "b",
        parent(2, &["two"]),
        parent(2, &["two", "more"]),
        (0, 0),
    );
    assert_eq!(changes, json!([expected]));
    // The children of a row that is not shown change unseen, and are there when it comes.
    let changes = world.changes(query, &[delete("c", "1")]);
    assert_eq!(changes, json!([]));
    assert_eq!(
        world.window(query, 0, None),
        json!([came("a", parent(1, &[]), 0)])
    );
}

#[test]
fn the_window_of_groups_moves() {
    let row = |key: &str, g: &str| put("t", key, json!({"g": g}));
    let query = json!({"from": from("t"), "groupBy": [path("t.g")], "limit": 1,
        "select": {"g": path("t.g"), "n": agg("count", "t.g")}, "orderBy": [order_desc("$selected.n")]});
    let mut world = World::of(&[
        row("1", "x"),
        row("2", "x"),
        row("3", "x"),
        row("4", "y"),
        row("5", "y"),
        row("6", "z"),
    ]);
    let query = world.install(&query);
    let group = |g: &str, n: i64| json!({"g": g, "n": n});
    assert_eq!(world.rows(query), json!([group("x", 3)]));
    let expected = json!([
        left(r#"["x"]"#, group("x", 3), 0),
        came(r#"["y"]"#, group("y", 2), 0)
    ]);
    assert_eq!(world.window(query, 1, Some(1)), expected);
    let changes = world.changes(query, &[row("7", "y"), row("8", "y")]);
    let expected = json!([
        left(r#"["y"]"#, group("y", 2), 0),
        came(r#"["x"]"#, group("x", 3), 0)
    ]);
    assert_eq!(changes, expected, "the groups change places");
    assert_eq!(world.window(query, 0, Some(3)).as_array().unwrap().len(), 2);
    assert_eq!(
        world.rows(query),
        json!([group("y", 4), group("x", 3), group("z", 1)])
    );
}

#[test]
fn the_window_of_a_union_moves() {
    let named = |collection: &str| json!({"from": from(collection), "select": {"n": path(&format!("{collection}.n"))}});
    let query =
        json!({"from": union_all(&[named("t"), named("u")]), "orderBy": [order("n")], "limit": 2});
    let mut world = World::of(&[
        put("t", "a", n(1)),
        put("t", "b", n(3)),
        put("u", "a", n(2)),
        put("u", "b", n(4)),
    ]);
    let query = world.install(&query);
    assert_eq!(world.rows(query), json!([n(1), n(2)]));
    assert_eq!(world.keys(query), [r#"[0,"a"]"#, r#"[1,"a"]"#]);
    let expected = json!([left(r#"[0,"a"]"#, n(1), 0), came(r#"[0,"b"]"#, n(3), 1)]);
    assert_eq!(world.window(query, 1, Some(2)), expected);
    let changes = world.changes(query, &[delete("u", "a")]);
    let expected = json!([left(r#"[1,"a"]"#, n(2), 0), came(r#"[1,"b"]"#, n(4), 1)]);
    assert_eq!(changes, expected);
}

#[test]
fn windows_that_cannot_be_moved_are_refused() {
    let mut world = nine();
    let query = world.install(&by_n());
    assert!(world.engine.uninstall(query));
    let error = world.engine.set_window(query, 0, None).unwrap_err();
    assert_eq!(error, WindowError::UnknownQuery);
    assert_eq!(error.to_string(), "there is no such query");
    let effect = world
        .engine
        .effect(&parsed(&by_n()), Effect::new())
        .unwrap();
    let error = world.engine.set_window(effect, 0, Some(1)).unwrap_err();
    assert_eq!(error, WindowError::NoWindow);
    let text = "the query has no window to be moved (give it a `limit`, or install it as a view)";
    assert_eq!(error.to_string(), text);
    // An effect with a window has one to be moved.
    let mut first = by_n();
    first["limit"] = 1.into();
    let effect = world.engine.effect(&parsed(&first), Effect::new()).unwrap();
    let expected = json!([left("1", n(1), None), came("2", n(2), None)]);
    assert_eq!(world.window(effect, 1, Some(1)), expected);
}
