//! Pending transactions, case by case: what is refused, what shows, and who hears of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};
use tailwater::engine::{Engine, QueryId};
use tailwater::schema::Catalog;
use tailwater::store::{Mutation, TransactionId};
use tailwater::value::{Value as V, from_json};
use tailwater::view::Effect;

use crate::support::*;

const A: TransactionId = TransactionId(9);
const B: TransactionId = TransactionId(4);

fn value(value: Value) -> V {
    from_json(&value.to_string()).unwrap()
}

fn user(key: &str, name: &str, age: i64) -> Value {
    put("user", key, json!({"name": name, "age": age}))
}

fn set(key: &str, field: &'static str, to: impl Into<V>) -> Mutation {
    Mutation::update("user", key, [(field, to.into())])
}

impl World {
    /// What mutations change in a result.
    fn mutate(&mut self, of: QueryId, tx: TransactionId, mutations: &[Mutation]) -> Value {
        let changes = self.engine.mutate(tx, mutations.to_vec()).unwrap();
        changes.get(&of).map_or(json!([]), as_json)
    }

    fn refused(&mut self, mutations: &[Mutation]) -> String {
        let refusal = self.engine.mutate(A, mutations.to_vec()).unwrap_err();
        refusal.to_string()
    }

    /// What confirming a transaction with messages changes in all results.
    fn confirm(&mut self, tx: TransactionId, messages: &[Value]) -> Vec<(QueryId, Value)> {
        let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        let batch = self.engine.decode(texts.iter().map(String::as_str));
        let changes = self.engine.apply_confirming(batch.unwrap(), [tx]);
        changes.iter().map(|(id, c)| (*id, as_json(c))).collect()
    }

    fn user(&self, key: &str) -> String {
        let collection = self.engine.catalog().by_name("user").unwrap();
        let row = self.engine.store().get(&collection, key);
        row.map_or("none".into(), |row| row.to_string())
    }
}

#[test]
fn what_does_not_suit_the_visible_rows_is_refused_as_a_whole() {
    let mut world = World::of(&[user("1", "Ada", 36), put("theme", "x", json!("dark"))]);
    let all = world.install(&json!({"from": from("user")}));
    let fine = [
        set("1", "age", 37),
        Mutation::insert("user", "2", value(json!({}))),
    ];
    let refused = |bad: Mutation| [&fine[..], &[bad]].concat();
    for (bad, message) in [
        (
            Mutation::insert("user", "2", value(json!({}))),
            "collection `user` has a row with key `2` already",
        ),
        (
            set("3", "age", 1),
            "collection `user` has no row with key `3`",
        ),
        (
            Mutation::replace("user", "3", value(json!({}))),
            "collection `user` has no row with key `3`",
        ),
        (
            Mutation::delete("users", "1"),
            "collection `users` has no row with key `1`",
        ),
        (
            Mutation::update("theme", "x", [("dark", V::from(true))]),
            "row `x` of collection `theme` is no object whose fields could be updated",
        ),
    ] {
        assert_eq!(world.refused(&refused(bad)), message);
    }
    assert_eq!(
        world.rows(all),
        json!([{"name": "Ada", "age": 36}]),
        "nothing was applied by half"
    );
    assert_eq!(world.engine.pending_conflicts(A), []);
    // Each mutation is judged by what the ones before it made visible.
    let again = [
        Mutation::delete("user", "1"),
        Mutation::insert("user", "1", value(json!({"name": "Bea"}))),
        set("1", "age", 5),
    ];
    assert_eq!(
        world.mutate(all, A, &again),
        json!([became(
            "1",
            json!({"name": "Ada", "age": 36}),
            json!({"name": "Bea", "age": 5}),
            None
        )])
    );
}

#[test]
fn a_schema_knows_the_collections_and_their_keys() {
    let schema = r#"{"collections":{"user":{"type":"person","primaryKey":"id"}}}"#;
    let catalog = Arc::new(Catalog::from_json(schema).unwrap());
    let mut world = World {
        engine: Engine::with_catalog(catalog),
    };
    let insert = |row| Mutation::insert("user", "1", value(row));
    assert_eq!(
        world.refused(&[Mutation::insert("person", "1", V::Null)]),
        "unknown collection `person`"
    );
    assert_eq!(
        world.refused(&[insert(json!([]))]),
        "collection `user`, key `1`: collection `user` requires object values; got an array for key `1`"
    );
    world.engine.mutate(A, [insert(json!({"n": 1}))]).unwrap();
    assert_eq!(world.user("1"), r#"{"id":"1","n":1}"#);
    for other in [V::from("2"), V::from(1), V::Missing] {
        assert_eq!(
            world.refused(&[set("1", "id", other)]),
            "field `id` is the key of collection `user`: it stays `1`"
        );
    }
    let same = [("id", V::from("1")), ("n", V::from(2))];
    world
        .engine
        .mutate(B, [Mutation::update("user", "1", same)])
        .unwrap();
    assert_eq!(world.user("1"), r#"{"id":"1","n":2}"#);
}

#[test]
fn an_update_covers_its_own_fields_only() {
    let mut world = World::of(&[user("1", "Ada", 36)]);
    let all = world.install(&json!({"from": from("user")}));
    world.mutate(all, A, &[set("1", "age", 37)]);
    world.mutate(all, B, &[set("1", "age", 40), set("1", "nick", "A")]);
    world.mutate(all, A, &[set("1", "name", V::Missing)]);
    assert_eq!(world.user("1"), r#"{"age":40,"nick":"A"}"#);
    assert_eq!(
        world.changes(all, &[user("1", "Eda", 1)]),
        json!([]),
        "pending changes cover all of it"
    );
    assert_eq!(
        (
            world.engine.pending_conflicts(A),
            world.engine.pending_conflicts(B)
        ),
        (vec![B], vec![])
    );
    world.engine.rollback([A]);
    assert_eq!(world.user("1"), r#"{"age":40,"name":"Eda","nick":"A"}"#);
    world.apply(&[delete("user", "1")]);
    assert_eq!(world.user("1"), "none", "there is nothing to update");
    world.apply(&[user("1", "Ida", 2)]);
    assert_eq!(world.user("1"), r#"{"age":40,"name":"Ida","nick":"A"}"#);
    world.engine.rollback([B]);
    assert_eq!(world.user("1"), r#"{"age":2,"name":"Ida"}"#);
}

#[test]
fn an_update_of_an_insert_that_is_rolled_back_applies_to_nothing() {
    let mut world = World::default();
    let all = world.install(&json!({"from": from("user")}));
    let insert = Mutation::insert("user", "1", value(json!({"name": "Ada"})));
    world.mutate(all, A, &[insert]);
    world.mutate(all, B, &[set("1", "age", 37)]);
    let gone = left("1", json!({"name": "Ada", "age": 37}), None);
    let changes = world.engine.rollback([A]);
    assert_eq!(as_json(&changes[&all]), json!([gone]));
    assert_eq!(world.engine.rollback([A]).len(), 0);
    let came = came("1", json!({"name": "Eda", "age": 37}), None);
    assert_eq!(world.changes(all, &[user("1", "Eda", 1)]), json!([came]));
}

#[test]
fn a_confirmation_reaches_those_who_ask_for_it_and_nobody_else() {
    let mut world = World::of(&[user("1", "Ada", 36), user("2", "Bea", 7)]);
    let u = |field: &str| path(&format!("user.{field}"));
    let plain = [
        json!({"from": from("user")}),
        json!({"from": from("user"), "orderBy": [order("user.age")], "limit": 1}),
        json!({"from": from("user"), "groupBy": [u("age")], "select": {"rows": {"type": "agg", "name": "arrayAgg", "args": [path("user")]}}}),
        json!({"from": from("user"), "distinct": true, "select": {"user": path("user")}}),
    ];
    for query in &plain {
        world.install(query);
    }
    let log = Rc::new(RefCell::new(0));
    let calls = log.clone();
    let effect = Effect::new()
        .skip_initial()
        .on_batch(move |_| *calls.borrow_mut() += 1);
    world.engine.effect(&parsed(&plain[0]), effect).unwrap();
    let state = json!({"name": u("name"), "synced": u("$synced"), "origin": u("$origin")});
    let asking = world.install(&json!({"from": from("user"), "select": state}));
    let local = json!({"name": "Ada", "synced": false, "origin": "local"});
    let remote = json!({"name": "Ada", "synced": true, "origin": "remote"});

    assert_eq!(
        world.mutate(asking, A, &[set("1", "age", 37)]),
        json!([became("1", remote.clone(), local.clone(), None)])
    );
    assert_eq!(*log.borrow(), 1);
    let confirmed = world.confirm(A, &[user("1", "Ada", 37)]);
    assert_eq!(
        confirmed,
        [(asking, json!([became("1", local, remote, None)]))]
    );
    assert_eq!(*log.borrow(), 1);
    // A mutation that changes no value is one all the same.
    let idle = world.engine.mutate(B, [set("2", "age", 7)]).unwrap();
    assert_eq!(idle.keys().collect::<Vec<_>>(), [&asking]);
}

#[test]
fn rows_that_are_not_there_come_from_nowhere() {
    let mut world = World::of(&[put("a", "1", json!({"b": "2"}))]);
    let on = join("left", from("b"), eq("a.b", "b.$key"));
    let select =
        json!({"own": path("a.$origin"), "synced": path("b.$synced"), "other": path("b.$origin")});
    let query = world.install(&json!({"from": from("a"), "join": [on], "select": select}));
    assert_eq!(world.rows(query), json!([{"own": "remote"}]));
    let insert = Mutation::insert("b", "2", value(json!({})));
    world.mutate(query, A, &[insert]);
    assert_eq!(
        world.rows(query),
        json!([{"own": "remote", "synced": false, "other": "local"}])
    );
}

#[test]
fn an_update_does_nothing_to_what_has_no_fields_any_more() {
    let mut world = World::of(&[put("theme", "x", json!({"dark": true}))]);
    let select = json!({"theme": path("t"), "synced": path("t.$synced")});
    let all = world.install(&json!({"from": source("theme", "t"), "select": select}));
    world.mutate(
        all,
        A,
        &[Mutation::update("theme", "x", [("dark", V::from(1))])],
    );
    world.apply(&[put("theme", "x", json!("light"))]);
    assert_eq!(
        world.rows(all),
        json!([{"theme": "light", "synced": false}])
    );
    world.mutate(all, A, &[Mutation::replace("theme", "x", V::from("dim"))]);
    assert_eq!(world.rows(all), json!([{"theme": "dim", "synced": false}]));
    world.engine.rollback([A]);
    assert_eq!(world.rows(all), json!([{"theme": "light", "synced": true}]));
}

#[test]
fn where_a_row_comes_from_is_asked_of_collections() {
    let inner = json!({"from": from("user"), "select": {"n": path("user.n")}});
    let of_query = json!({"from": query_ref(&inner, "q"), "select": {"s": path("q.$synced")}});
    assert_eq!(
        refusal(&of_query),
        "`select.s.path`: subquery `q` has no field `$synced` (known: `n`)"
    );
    let grouped = json!({"from": from("user"), "groupBy": [path("user")], "select": {"s": path("user.$synced")}});
    assert!(
        refusal(&grouped).contains("`user.$synced` is neither grouped by nor inside an aggregate")
    );
}

#[test]
fn a_snapshot_and_a_reset_go_below_what_is_pending() {
    let control = |name: &str| json!({"headers": {"control": name}});
    let mut world = World::of(&[user("1", "Ada", 36), user("2", "Bea", 7)]);
    let all = world.install(&json!({"from": from("user"), "select": {"name": path("user.name")}}));
    let insert = Mutation::insert("user", "3", value(json!({"name": "new"})));
    world.mutate(all, A, &[set("1", "name", "Eda"), insert]);
    let batch = [
        control("snapshot-start"),
        user("1", "Ida", 1),
        control("snapshot-end"),
    ];
    let gone = left("2", json!({"name": "Bea"}), None);
    assert_eq!(world.changes(all, &batch), json!([gone]));
    let gone = left("1", json!({"name": "Eda"}), None);
    let came = came("4", json!({"name": "Dan"}), None);
    assert_eq!(
        world.changes(all, &[control("reset"), user("4", "Dan", 3)]),
        json!([gone, came])
    );
    world.engine.rollback([A]);
    assert_eq!(world.rows(all), json!([{"name": "Dan"}]));
}
