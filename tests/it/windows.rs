//! Windows over results that change: what rows enter and leave, and where they stand. Each case
//! went wrong in some engine of this kind.

use serde_json::{Value, json};

use crate::support::*;

fn n(n: impl Into<Value>) -> Value {
    json!({"n": n.into()})
}

fn row(key: &str, value: impl Into<Value>) -> Value {
    put("t", key, n(value))
}

/// The rows of `t` by `n`.
fn by_n(item: Value, offset: usize, limit: impl Into<Option<usize>>) -> Value {
    json!({"from": from("t"), "select": {"n": path("t.n")}, "orderBy": [item],
        "offset": offset, "limit": limit.into()})
}

fn five() -> World {
    World::of(&[
        row("a", 1),
        row("b", 2),
        row("c", 3),
        row("d", 4),
        row("e", 5),
    ])
}

#[test]
fn a_row_moves_across_an_offset_window() {
    let mut world = five();
    let query = world.install(&by_n(order("t.n"), 1, 2));
    assert_eq!(world.keys(query), ["b", "c"]);
    let changes = world.changes(query, &[row("a", 6)]);
    assert_eq!(changes, json!([left("b", n(2), 0), came("d", n(4), 1)]));
    let changes = world.changes(query, &[row("a", 0)]);
    assert_eq!(changes, json!([left("d", n(4), 1), came("b", n(2), 0)]));
    let changes = world.changes(query, &[row("a", 2.5)]);
    assert_eq!(changes, json!([left("b", n(2), 0), came("a", n(2.5), 0)]));
    let changes = world.changes(query, &[row("a", 2.6)]);
    assert_eq!(changes, json!([became("a", n(2.5), n(2.6), (0, 0))]));
    let changes = world.changes(query, &[row("a", 3.5)]);
    assert_eq!(changes, json!([became("a", n(2.6), n(3.5), (0, 1))]));
    assert_eq!(world.keys(query), ["c", "a"]);
}

#[test]
fn an_insert_before_the_offset_pushes_rows_on() {
    let mut world = five();
    let query = world.install(&by_n(order("t.n"), 2, 2));
    let changes = world.changes(query, &[row("x", 0)]);
    assert_eq!(changes, json!([left("d", n(4), 1), came("b", n(2), 0)]));
    // Two of them push everything out.
    let changes = world.changes(query, &[row("y", -1), row("z", -2)]);
    let expected = json!([
        left("b", n(2), 0),
        left("c", n(3), 1),
        came("x", n(0), 0),
        came("a", n(1), 1)
    ]);
    assert_eq!(changes, expected);
    // Behind the window nothing happens.
    assert_eq!(world.changes(query, &[row("w", 9)]), json!([]));
    assert_eq!(world.keys(query), ["x", "a"]);
}

#[test]
fn a_delete_before_a_short_last_page_in_descending_order() {
    let mut world = five();
    let query = world.install(&by_n(order_desc("t.n"), 3, 3));
    assert_eq!(world.keys(query), ["b", "a"]);
    let changes = world.changes(query, &[delete("t", "c")]);
    assert_eq!(changes, json!([left("b", n(2), 0)]));
    let changes = world.changes(query, &[delete("t", "a")]);
    assert_eq!(changes, json!([left("a", n(1), 0)]));
    assert_eq!(world.changes(query, &[delete("t", "e")]), json!([]));
    let changes = world.changes(query, &[row("f", 6), row("g", 7)]);
    assert_eq!(changes, json!([came("b", n(2), 0)]));
}

#[test]
fn ties_at_the_boundary_go_by_key() {
    let mut world = World::of(&["b", "c", "d"].map(|key| row(key, 1)));
    let query = world.install(&by_n(order("t.n"), 0, 2));
    assert_eq!(world.keys(query), ["b", "c"]);
    let changes = world.changes(query, &[row("a", 1)]);
    assert_eq!(changes, json!([left("c", n(1), 1), came("a", n(1), 0)]));
    assert_eq!(world.changes(query, &[row("e", 1)]), json!([]));
    let changes = world.changes(query, &[delete("t", "b")]);
    assert_eq!(changes, json!([left("b", n(1), 1), came("c", n(1), 1)]));
    // Ties go by key upwards in a descending order, too.
    let query = world.install(&by_n(order_desc("t.n"), 1, 2));
    assert_eq!(world.keys(query), ["c", "d"]);
}

#[test]
fn nulls_stand_last_where_they_are_asked_to() {
    let mut world = World::of(&[
        row("a", Value::Null),
        row("b", 2),
        put("t", "c", json!({})),
        row("d", 1),
    ]);
    let last = |direction: &str| {
        let options = json!({"direction": direction, "nulls": "last"});
        by_n(
            json!({"expression": path("t.n"), "compareOptions": options}),
            0,
            3,
        )
    };
    let up = world.install(&last("asc"));
    let down = world.install(&last("desc"));
    assert_eq!(world.keys(up), ["d", "b", "a"]);
    assert_eq!(world.keys(down), ["b", "d", "a"]);
    let null = n(Value::Null);
    let changes = world.changes(up, &[row("a", 3)]);
    assert_eq!(changes, json!([became("a", null.clone(), n(3), (2, 2))]));
    assert_eq!(world.keys(down), ["a", "b", "d"]);
    // Null and missing tie, so the key decides between `c` and `d`.
    let changes = world.changes(up, &[row("d", Value::Null)]);
    assert_eq!(
        changes,
        json!([left("d", n(1), 0), came("c", json!({}), 2)])
    );
    let changes = world.changes(up, &[delete("t", "c")]);
    assert_eq!(
        changes,
        json!([left("c", json!({}), 2), came("d", null, 2)])
    );
}

#[test]
fn a_limit_of_zero_shows_nothing() {
    let mut world = five();
    let query = world.install(&by_n(order("t.n"), 1, 0));
    assert_eq!(
        world.changes(query, &[row("x", 0), delete("t", "a")]),
        json!([])
    );
    assert_eq!(world.rows(query), json!([]));
    assert_eq!(world.window(query, 1, Some(1)), json!([came("b", n(2), 0)]));
}

#[test]
fn an_offset_past_the_end_shows_nothing_until_rows_reach_it() {
    let mut world = World::of(&[row("a", 1), row("b", 2)]);
    let query = world.install(&by_n(order("t.n"), 3, 2));
    assert_eq!(world.changes(query, &[row("c", 3)]), json!([]));
    let changes = world.changes(query, &[row("d", 4)]);
    assert_eq!(changes, json!([came("d", n(4), 0)]));
    let changes = world.changes(query, &[row("x", 0)]);
    assert_eq!(changes, json!([came("c", n(3), 0)]));
    let changes = world.changes(query, &["a", "b", "x"].map(|key| delete("t", key)));
    assert_eq!(changes, json!([left("c", n(3), 0), left("d", n(4), 1)]));
}

#[test]
fn a_position_changes_while_the_value_does_not() {
    let named = |key: &str, n: f64| put("t", key, json!({"n": n, "name": format!("Ms {key}")}));
    let name = |key: &str| json!({"name": format!("Ms {key}")});
    let mut world = World::of(&[named("a", 1.0), named("b", 2.0), named("c", 3.0)]);
    let query =
        json!({"from": from("t"), "select": {"name": path("t.name")}, "orderBy": [order("t.n")]});
    let query = world.install(&query);
    let changes = world.changes(query, &[named("a", 2.5)]);
    assert_eq!(changes, json!([became("a", name("a"), name("a"), (0, 1))]));
    // It stays between the same rows.
    assert_eq!(world.changes(query, &[named("a", 2.7)]), json!([]));
    assert_eq!(world.keys(query), ["b", "a", "c"]);
    let changes = world.changes(query, &[named("a", 1.0), named("c", 0.0)]);
    let expected = json!([
        became("c", name("c"), name("c"), (2, 0)),
        became("a", name("a"), name("a"), (1, 1))
    ]);
    assert_eq!(
        changes, expected,
        "rows that moved are told even where the position is the same"
    );
    assert_eq!(world.keys(query), ["c", "a", "b"]);
}

#[test]
fn a_group_is_emptied_by_two_statements_and_refilled() {
    let row = |key: &str, g: &str, n: i64| put("t", key, json!({"g": g, "n": n}));
    let group = |g: &str, count: i64, sum: i64| json!({"g": g, "count": count, "sum": sum});
    let query = json!({"from": from("t"), "groupBy": [path("t.g")],
        "select": {"g": path("t.g"), "count": agg("count", "t.n"), "sum": agg("sum", "t.n")}});
    let mut world = World::of(&[row("1", "x", 5), row("2", "x", 7), row("3", "y", 1)]);
    let query = world.install(&query);
    let x = r#"["x"]"#;
    let changes = world.changes(query, &[delete("t", "1")]);
    assert_eq!(
        changes,
        json!([became(x, group("x", 2, 12), group("x", 1, 7), None)])
    );
    let changes = world.changes(query, &[delete("t", "2")]);
    assert_eq!(changes, json!([left(x, group("x", 1, 7), None)]));
    let changes = world.changes(query, &[row("2", "x", 9)]);
    assert_eq!(changes, json!([came(x, group("x", 1, 9), None)]));
    // In one batch the group was never gone.
    let changes = world.changes(query, &[delete("t", "2"), row("4", "x", 3)]);
    assert_eq!(
        changes,
        json!([became(x, group("x", 1, 9), group("x", 1, 3), None)])
    );
    let changes = world.changes(query, &[delete("t", "4"), row("5", "x", 3)]);
    assert_eq!(changes, json!([]));
    assert_eq!(
        world.rows(query),
        json!([group("x", 1, 3), group("y", 1, 1)])
    );
}

#[test]
fn a_key_is_deleted_in_one_batch_and_comes_again_in_the_next() {
    let mut world = five();
    let query = world.install(&by_n(order("t.n"), 0, 3));
    let changes = world.changes(query, &[delete("t", "b")]);
    assert_eq!(changes, json!([left("b", n(2), 1), came("d", n(4), 2)]));
    let changes = world.changes(query, &[row("b", 3.5)]);
    assert_eq!(changes, json!([left("d", n(4), 2), came("b", n(3.5), 2)]));
    // In one batch it is an update.
    let changes = world.changes(query, &[delete("t", "b"), row("b", 2)]);
    assert_eq!(changes, json!([became("b", n(3.5), n(2), (2, 1))]));
    assert_eq!(
        world.changes(query, &[delete("t", "b"), row("b", 2)]),
        json!([])
    );
}

#[test]
fn one_of_several_join_contributors_is_deleted() {
    let order = |user: &str| json!({"user": user});
    let joined = join("inner", from("o"), eq("o.user", "u.id"));
    let customers = json!({"from": from("u"), "join": [joined], "distinct": true,
        "select": {"id": path("u.id")}});
    let mut world = World::of(&[
        put("u", "1", json!({"id": "ada"})),
        put("o", "1", order("ada")),
        put("o", "2", order("ada")),
        put("o", "3", order("eve")),
    ]);
    let query = world.install(&customers);
    let ada = json!({"id": "ada"});
    let key = r#"{"id":"ada"}"#;
    assert_eq!(world.changes(query, &[delete("o", "1")]), json!([]));
    assert_eq!(world.rows(query), json!([ada]));
    let changes = world.changes(query, &[delete("o", "2")]);
    assert_eq!(changes, json!([left(key, ada.clone(), None)]));
    let changes = world.changes(query, &[put("o", "3", order("ada"))]);
    assert_eq!(changes, json!([came(key, ada, None)]));
    // One contributor takes the place of another.
    let messages = [delete("o", "3"), put("o", "4", order("ada"))];
    assert_eq!(world.changes(query, &messages), json!([]));
}

#[test]
fn rows_of_a_full_join_come_and_go_on_the_right_before_the_left_comes() {
    let row = |collection: &str, key: &str, n: i64| put(collection, key, json!({"g": 1, "n": n}));
    let query = json!({"from": from("l"), "join": [join("full", from("r"), eq("l.g", "r.g"))],
        "select": {"l": path("l.n"), "r": path("r.n")}});
    let mut world = World::default();
    let query = world.install(&query);
    let changes = world.changes(query, &[row("r", "1", 10)]);
    let alone = r#"[null,"1"]"#;
    assert_eq!(changes, json!([came(alone, json!({"r": 10}), None)]));
    let changes = world.changes(query, &[delete("r", "1")]);
    assert_eq!(changes, json!([left(alone, json!({"r": 10}), None)]));
    let changes = world.changes(query, &[row("r", "2", 20), delete("r", "2")]);
    assert_eq!(changes, json!([]));
    let changes = world.changes(query, &[row("l", "a", 1)]);
    assert_eq!(
        changes,
        json!([came(r#"["a",null]"#, json!({"l": 1}), None)])
    );
    let changes = world.changes(query, &[row("r", "3", 30)]);
    let expected = json!([
        left(r#"["a",null]"#, json!({"l": 1}), None),
        came(r#"["a","3"]"#, json!({"l": 1, "r": 30}), None)
    ]);
    assert_eq!(changes, expected);
    let changes = world.changes(query, &[delete("l", "a")]);
    let expected = json!([
        came(r#"[null,"3"]"#, json!({"r": 30}), None),
        left(r#"["a","3"]"#, json!({"l": 1, "r": 30}), None)
    ]);
    assert_eq!(changes, expected);
    let changes = world.changes(query, &[delete("r", "3")]);
    assert_eq!(
        changes,
        json!([left(r#"[null,"3"]"#, json!({"r": 30}), None)])
    );
    assert_eq!(world.rows(query), json!([]));
}
