//! Effects: what is told of a result that nobody keeps, when, and for how long.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};
use tailwater::engine::QueryId;
use tailwater::view::{Effect, ResultRow};

use crate::support::*;

/// What an effect was told, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn say(&self, text: String) {
        self.0.borrow_mut().push(text);
    }

    fn take(&self) -> Vec<String> {
        self.0.take()
    }

    /// An effect that writes down everything.
    fn effect(&self) -> Effect {
        let [enter, update, exit] = [self.clone(), self.clone(), self.clone()];
        let text = |row: ResultRow<'_>| format!("{}={}", row.key(), row.value());
        Effect::new()
            .on_enter(move |row| enter.say(format!("enter {}", text(row))))
            .on_update(move |row, old| {
                update.say(format!("update {} was {}", text(row), old.value()))
            })
            .on_exit(move |row| exit.say(format!("exit {}", text(row))))
    }
}

impl World {
    fn watch(&mut self, query: &Value, effect: Effect) -> QueryId {
        self.engine.effect(&parsed(query), effect).unwrap()
    }
}

fn row(key: &str, n: i64) -> Value {
    put("t", key, json!({"n": n}))
}

/// The rows of `t` above a bound.
fn above(bound: i64) -> Value {
    json!({"from": from("t"), "where": [func("gt", &[path("t.n"), val(bound)])]})
}

#[test]
fn rows_enter_change_and_leave() {
    let (mut world, log) = (World::of(&[row("a", 1), row("b", 5)]), Log::default());
    let id = world.watch(&above(3), log.effect());
    assert_eq!(
        log.take(),
        [r#"enter b={"n":5}"#],
        "what is there comes first"
    );
    world.apply(&[row("a", 4)]);
    assert_eq!(log.take(), [r#"enter a={"n":4}"#]);
    world.apply(&[row("b", 9), row("a", 2), row("c", 7)]);
    let expected = [
        r#"exit a={"n":4}"#,
        r#"update b={"n":9} was {"n":5}"#,
        r#"enter c={"n":7}"#,
    ];
    assert_eq!(log.take(), expected, "one batch, by key");
    world.apply(&[row("d", 3), row("b", 9)]);
    assert_eq!(log.take(), [""; 0], "nothing that concerns it");
    world.apply(&[delete("t", "c")]);
    assert_eq!(log.take(), [r#"exit c={"n":7}"#]);
    assert!(world.engine.view(id).is_none(), "no result is kept");
}

#[test]
fn the_initial_rows_may_be_skipped() {
    let (mut world, log) = (World::of(&[row("a", 5), row("b", 6)]), Log::default());
    world.watch(&above(3), log.effect().skip_initial());
    assert_eq!(log.take(), [""; 0]);
    world.apply(&[row("a", 7), delete("t", "b")]);
    assert_eq!(
        log.take(),
        [r#"update a={"n":7} was {"n":5}"#, r#"exit b={"n":6}"#]
    );
}

#[test]
fn a_batch_over_two_collections_is_told_once() {
    let joined = join("inner", from("u"), eq("t.n", "u.n"));
    let query = json!({"from": from("t"), "join": [joined], "select": {"n": path("t.n"), "u": path("u.name")}});
    let (mut world, log) = (World::default(), Log::default());
    let batches = log.clone();
    let effect = log
        .effect()
        .on_batch(move |changes| batches.say(format!("batch of {}", changes.len())));
    let id = world.watch(&query, effect);
    assert_eq!(log.take(), [""; 0], "nothing is there, so nothing is told");
    let user = |key: &str, n: i64, name: &str| put("u", key, json!({"n": n, "name": name}));
    let changed = world.apply(&[
        row("a", 1),
        user("x", 1, "Ada"),
        row("b", 2),
        user("y", 2, "Eve"),
    ]);
    let expected = [
        "batch of 2",
        r#"enter ["a","x"]={"n":1,"u":"Ada"}"#,
        r#"enter ["b","y"]={"n":2,"u":"Eve"}"#,
    ];
    assert_eq!(log.take(), expected);
    assert_eq!(
        changed[&id].len(),
        2,
        "`apply` lists the changes of effects, too"
    );
    // Both sides of one row change: it is one update, from the old pair to the new one.
    world.apply(&[
        row("a", 3),
        user("x", 3, "Ida"),
        delete("t", "b"),
        user("y", 2, "Eva"),
    ]);
    let expected = [
        "batch of 2",
        r#"update ["a","x"]={"n":3,"u":"Ida"} was {"n":1,"u":"Ada"}"#,
        r#"exit ["b","y"]={"n":2,"u":"Eve"}"#,
    ];
    assert_eq!(log.take(), expected);
}

#[test]
fn a_row_that_leaves_the_window_exits() {
    let (mut world, log) = (
        World::of(&[row("a", 1), row("b", 2), row("c", 3)]),
        Log::default(),
    );
    let best = json!({"from": from("t"), "orderBy": [order_desc("t.n")], "limit": 2});
    let id = world.watch(&best, log.effect().skip_initial());
    world.apply(&[row("a", 9)]);
    assert_eq!(log.take(), [r#"enter a={"n":9}"#, r#"exit b={"n":2}"#]);
    // A row that only moves within the window has not changed.
    world.apply(&[row("d", 0)]);
    assert_eq!(log.take(), [""; 0]);
    world.apply(&[row("c", 10)]);
    assert_eq!(log.take(), [r#"update c={"n":10} was {"n":3}"#]);
    world.window(id, 1, Some(2));
    assert_eq!(log.take(), [r#"enter b={"n":2}"#, r#"exit c={"n":10}"#]);
}

#[test]
fn what_a_batch_undoes_is_not_told() {
    let (mut world, log) = (World::of(&[row("a", 5)]), Log::default());
    world.watch(&above(3), log.effect().skip_initial());
    world.apply(&[row("b", 7), delete("t", "b")]);
    world.apply(&[row("a", 6), row("a", 1), row("a", 5)]);
    world.apply(&[delete("t", "a"), row("a", 5)]);
    assert_eq!(log.take(), [""; 0]);
    world.apply(&[delete("t", "a"), row("a", 6)]);
    assert_eq!(log.take(), [r#"update a={"n":6} was {"n":5}"#]);
}

#[test]
fn changes_that_the_query_does_not_show_are_not_told() {
    let (mut world, log) = (World::default(), Log::default());
    let mut query = above(3);
    query["select"] = json!({"big": func("gt", &[path("t.n"), val(10)])});
    world.watch(&query, log.effect());
    world.apply(&[row("a", 5)]);
    world.apply(&[row("a", 6)]);
    world.apply(&[row("a", 11)]);
    let expected = [
        r#"enter a={"big":false}"#,
        r#"update a={"big":true} was {"big":false}"#,
    ];
    assert_eq!(log.take(), expected);
}

#[test]
fn effects_are_apart_from_each_other() {
    let mut world = World::of(&[row("a", 5)]);
    let logs = [Log::default(), Log::default(), Log::default()];
    let ids = [3, 3, 6].map(above);
    let ids: Vec<QueryId> = ids
        .iter()
        .zip(&logs)
        .map(|(q, log)| world.watch(q, log.effect()))
        .collect();
    let taken = || logs.each_ref().map(|log| log.take().join(", "));
    assert_eq!(taken(), [r#"enter a={"n":5}"#, r#"enter a={"n":5}"#, ""]);
    world.apply(&[row("a", 7)]);
    let update = r#"update a={"n":7} was {"n":5}"#;
    assert_eq!(taken(), [update, update, r#"enter a={"n":7}"#]);
    assert!(world.engine.uninstall(ids[0]));
    assert!(!world.engine.uninstall(ids[0]), "it is gone");
    world.apply(&[row("a", 1)]);
    let exit = r#"exit a={"n":7}"#;
    assert_eq!(taken(), ["", exit, exit]);
}

#[test]
fn time_that_passes_is_told() {
    let recent = func(
        "gt",
        &[path("t.n"), func("subtract", &[func("now", &[]), val(10)])],
    );
    let (mut world, log) = (World::of(&[row("a", 5), row("b", 8)]), Log::default());
    world.watch(
        &json!({"from": from("t"), "where": [recent]}),
        log.effect().skip_initial(),
    );
    world.engine.set_clock(15);
    assert_eq!(log.take(), [r#"exit a={"n":5}"#]);
}

#[test]
fn a_query_run_once_leaves_nothing_behind() {
    let joined = join("inner", from("u"), eq("t.n", "u.n"));
    let query = json!({"from": from("t"), "join": [joined], "select": {"n": path("t.n")}, "orderBy": [order_desc("t.n")]});
    let mut world = World::of(&[row("a", 1), row("b", 2), row("c", 3)]);
    world.apply(&["a", "b", "c"].map(|key| put("u", key, json!({"n": 2}))));
    let view = world.engine.query_once(&parsed(&query)).unwrap();
    assert_eq!(
        (view.len(), world.engine.store().arrangement_count()),
        (3, 0)
    );
    assert_eq!(view.nth(0).unwrap().key(), r#"["b","a"]"#);
    assert!(
        world.apply(&[row("a", 2)]).is_empty(),
        "nobody reads any more"
    );
    assert_eq!(view.len(), 3, "the result stands as it was");
    assert_eq!(world.engine.query_once(&parsed(&query)).unwrap().len(), 6);
    // A live query keeps its own arrangements, and one that is run once shares them.
    let live = world.install(&query);
    assert_eq!(world.engine.store().arrangement_count(), 2);
    assert_eq!(world.engine.query_once(&parsed(&query)).unwrap().len(), 6);
    assert_eq!(world.engine.store().arrangement_count(), 2);
    assert!(world.engine.uninstall(live));
    assert_eq!(world.engine.store().arrangement_count(), 0);
    let clocked =
        json!({"from": from("t"), "where": [func("gt", &[path("t.n"), func("now", &[])])]});
    assert_eq!(world.engine.query_once(&parsed(&clocked)).unwrap().len(), 3);
    assert!(!world.engine.has_clock());
}
