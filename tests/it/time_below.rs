//! `now()` in subqueries, joined sources and included queries: what stands above them follows.

use serde_json::{Value, json};

use crate::support::*;

fn ago(ms: i64) -> Value {
    func("subtract", &[func("now", &[]), val(ms)])
}

#[test]
fn counts_go_down_as_time_passes() {
    let row = |key: &str, page: &str, at: i64| put("e", key, json!({"page": page, "at": at}));
    let recent = json!({"from": from("e"), "where": [func("gt", &[path("e.at"), ago(10)])]});
    let query = json!({"from": query_ref(&recent, "r"), "groupBy": [path("r.page")],
        "select": {"page": path("r.page"), "n": agg("count", "r.at")}, "orderBy": [order_desc("$selected.n")]});
    let mut world = World::of(&[
        row("1", "home", 1),
        row("2", "home", 2),
        row("3", "home", 5),
        row("4", "shop", 3),
        row("5", "shop", 4),
    ]);
    let query = world.install(&query);
    let group = |page: &str, n: i64| json!({"page": page, "n": n});
    assert_eq!(
        world.rows(query),
        json!([group("home", 3), group("shop", 2)])
    );
    let (home, shop) = (r#"["home"]"#, r#"["shop"]"#);
    let changes = world.clock(query, 11);
    assert_eq!(
        changes,
        json!([became(home, group("home", 3), group("home", 2), (0, 0))])
    );
    let changes = world.clock(query, 12);
    assert_eq!(
        changes,
        json!([became(home, group("home", 2), group("home", 1), (0, 1))])
    );
    let changes = world.clock(query, 14);
    assert_eq!(changes, json!([left(shop, group("shop", 2), 0)]));
    let changes = world.changes(query, &[row("6", "shop", 14), row("7", "shop", 4)]);
    assert_eq!(changes, json!([came(shop, group("shop", 1), 1)]));
    world.engine.set_clock(24);
    assert_eq!(world.rows(query), json!([]));
}

#[test]
fn a_joined_source_follows_the_time() {
    let seen = json!({"from": from("s"), "where": [func("gt", &[path("s.at"), ago(10)])]});
    let joined = join("left", query_ref(&seen, "seen"), eq("u.id", "seen.user"));
    let query = json!({"from": from("u"), "join": [joined], "select": {"id": path("u.id"), "at": path("seen.at")}});
    let mut world = World::of(&[
        put("u", "1", json!({"id": "ada"})),
        put("s", "x", json!({"user": "ada", "at": 5})),
    ]);
    let query = world.install(&query);
    let changes = world.clock(query, 15);
    let (online, offline) = (json!({"id": "ada", "at": 5}), json!({"id": "ada"}));
    let expected = json!([
        came(r#"["1",null]"#, offline.clone(), None),
        left(r#"["1","x"]"#, online, None)
    ]);
    assert_eq!(changes, expected);
    // A condition over the joined rows does so, too.
    let recent = func(
        "gt",
        &[
            path("s.at"),
            func("subtract", &[func("now", &[]), path("u.patience")]),
        ],
    );
    let patient = json!({"from": from("u"), "join": [join("inner", from("s"), eq("u.id", "s.user"))],
        "where": [recent], "select": {"id": path("u.id")}});
    let patient = world.install(&patient);
    assert_eq!(
        world.rows(patient),
        json!([]),
        "5 > 15 - 0 is false: nothing counts as 0"
    );
    let changes = world.changes(
        patient,
        &[put("u", "1", json!({"id": "ada", "patience": 20}))],
    );
    assert_eq!(
        changes,
        json!([came(r#"["1","x"]"#, offline.clone(), None)])
    );
    assert_eq!(world.clock(patient, 24), json!([]));
    assert_eq!(
        world.clock(patient, 25),
        json!([left(r#"["1","x"]"#, offline, None)])
    );
}

#[test]
fn included_rows_follow_the_time() {
    let recent = func("gt", &[path("m.at"), ago(10)]);
    let child = json!({"from": from("m"), "where": [eq("m.room", "r.id"), recent], "orderBy": [order_desc("m.at")],
        "limit": 2, "select": {"at": path("m.at")}});
    let query = json!({"from": from("r"), "select": {"id": path("r.id"), "new": include(&child)}});
    let message = |key: &str, at: i64| put("m", key, json!({"room": 1, "at": at}));
    let mut world = World::of(&[
        put("r", "1", json!({"id": 1})),
        put("r", "2", json!({"id": 2})),
        message("a", 1),
        message("b", 2),
        message("c", 3),
    ]);
    let query = world.install(&query);
    let room = |at: &[i64]| json!({"id": 1, "new": at.iter().map(|at| json!({"at": at})).collect::<Vec<_>>()});
    assert_eq!(
        world.rows(query),
        json!([room(&[3, 2]), {"id": 2, "new": []}])
    );
    assert_eq!(
        world.clock(query, 11),
        json!([]),
        "the one that leaves was beyond the limit"
    );
    assert_eq!(
        world.clock(query, 12),
        json!([became("1", room(&[3, 2]), room(&[3]), None)])
    );
    assert_eq!(
        world.clock(query, 99),
        json!([became("1", room(&[3]), room(&[]), None)])
    );
}
