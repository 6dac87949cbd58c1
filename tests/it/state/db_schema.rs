//! Databases of a schema: its rules and transactions, keys that are numbers.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tailwater::Collection;
use tailwater::db::{MutateError, StreamDb, append_mutations};
use tailwater::query::Query;
use tailwater::schema::{Issue, Issues, StateSchema};
use tailwater::store::MutationError;
use tailwater::stream::ReadOptions;
use tailwater::value::Value;

use super::db_support::{HANG, World, event, with_txid};
use super::tx_support::row;
use futures_util::StreamExt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Collection)]
#[collection(name = "items", type = "item", key = "id")]
struct Item {
    id: i64,
    name: String,
    count: i64,
}

fn item(id: i64, name: &str, count: i64) -> Item {
    let name = name.into();
    Item { id, name, count }
}

fn named(item: &Item) -> Result<(), Issues> {
    assert_ne!(item.name, "panic");
    let mut issues = Issues::default();
    if item.name.is_empty() {
        issues.0.push(Issue::new("must not be empty").at(["name"]));
    }
    if item.count < 0 {
        issues
            .0
            .push(Issue::new("must not be negative").at(["count"]));
    }
    issues.into_result()
}

async fn ready(world: &World, schema: &StateSchema) -> StreamDb {
    let db = StreamDb::builder(world.stream.clone()).schema(schema);
    let db = db.txid_timeout(HANG).open().unwrap();
    db.preload().await.unwrap();
    db
}

fn rows(db: &StreamDb) -> Vec<Item> {
    db.collection::<Item>().unwrap().rows().unwrap()
}

/// The values of all events in the stream.
async fn values(world: &World) -> Vec<Json> {
    let mut reader = world.stream.read(ReadOptions::default());
    let mut values = Vec::new();
    while let Some(batch) = reader.next().await {
        for text in batch.unwrap().items.json() {
            let event: Json = serde_json::from_str(text).unwrap();
            values.push(event["value"].clone());
        }
    }
    values
}

#[track_caller]
fn breaks<T: std::fmt::Debug>(made: Result<T, MutateError>, message: &str) {
    let error = made.unwrap_err();
    let is_rules = matches!(error, MutateError::Mutation(MutationError::Rules { .. }));
    assert!(is_rules, "{error:?}");
    assert_eq!(error.to_string(), message);
}

#[tokio::test]
async fn rules_of_rust_types_hold_for_transactions() {
    let world = World::new().await;
    let schema = StateSchema::builder().collection_with(named);
    let db = ready(&world, &schema.build().unwrap()).await;
    let open = db.transaction().unwrap();
    open.insert(&item(1, "a", 1)).unwrap();
    breaks(
        open.insert(&item(2, "", -1)),
        "collection `items`, key `2`: name: must not be empty, count: must not be negative",
    );
    breaks(
        open.update::<Item>("1", |item| item.count = -5),
        "collection `items`, key `1`: count: must not be negative",
    );
    breaks(
        open.insert_named("items", "3", row(&json!({"name": "", "count": 1, "id": 3}))),
        "collection `items`, key `3`: name: must not be empty",
    );
    breaks(
        open.insert_named("items", "3", row(&json!({"name": "c", "id": 3}))),
        "collection `items`, key `3`: missing field `count`",
    );
    breaks(
        open.update_named("items", "1", [("name", Value::from(7))]),
        "collection `items`, key `1`: name: invalid type: integer `7`, expected a string",
    );
    breaks(
        open.insert(&item(4, "panic", 1)),
        "collection `items`, key `4`: its rules panicked",
    );
    // One by one or together, nothing is done by halves.
    breaks(
        open.mutate(|tx| {
            tx.insert(&item(5, "e", 1))?;
            tx.update::<Item>("5", |item| item.name.clear())
        }),
        "collection `items`, key `5`: name: must not be empty",
    );
    assert_eq!(rows(&db), [item(1, "a", 1)]);
    open.update_named("items", "1", [("count", Value::from(2))])
        .unwrap();
    open.commit(append_mutations).await.unwrap();
    assert_eq!(rows(&db), [item(1, "a", 2)]);
    assert_eq!(
        values(&world).await,
        [json!({"id": 1, "name": "a", "count": 2})]
    );
}

#[tokio::test]
async fn rules_of_rust_types_are_not_asked_of_what_comes_in() {
    let world = World::new().await;
    let schema = StateSchema::builder().collection_with(named);
    let db = ready(&world, &schema.build().unwrap()).await;
    let value = json!({"id": 1, "name": "", "count": 0});
    let came = with_txid(event("insert", "item", "1", value), "t");
    world.append(&[came]).await;
    db.await_txid("t", HANG).await.unwrap();
    assert_eq!(rows(&db), [item(1, "", 0)]);
    assert!(db.dead_letters().latest.is_empty());
    // Who changes the row makes it right.
    let open = db.transaction().unwrap();
    breaks(
        open.update::<Item>("1", |item| item.count = 1),
        "collection `items`, key `1`: name: must not be empty",
    );
    open.update::<Item>("1", |item| item.name = "a".into())
        .unwrap();
    open.commit(append_mutations).await.unwrap();
    assert_eq!(rows(&db), [item(1, "a", 0)]);
}

#[cfg(feature = "json-schema")]
#[tokio::test]
async fn a_json_schema_holds_for_both() {
    let world = World::new().await;
    let rules = json!({
        "properties": {"count": {"minimum": 0}},
        "required": ["id", "name", "count"],
    });
    let schema = StateSchema::builder().collection_with_schema::<Item>(&rules);
    let db = ready(&world, &schema.build().unwrap()).await;
    let open = db.transaction().unwrap();
    breaks(
        open.insert(&item(1, "a", -1)),
        "collection `items`, key `1`: count: -1 is less than the minimum of 0 (`minimum`)",
    );
    open.insert(&item(1, "a", 1)).unwrap();
    // An update is judged with the fields that it leaves alone.
    open.update_named("items", "1", [("count", Value::from(2))])
        .unwrap();
    breaks(
        open.update_named("items", "1", [("name", Value::Missing)]),
        "collection `items`, key `1`: \"name\" is a required property (`required`)",
    );
    open.commit(append_mutations).await.unwrap();
    let wrong = with_txid(event("insert", "item", "2", json!({"count": 1})), "t");
    let right = event(
        "insert",
        "item",
        "3",
        json!({"name": "c", "count": 3, "id": 3}),
    );
    world.append(&[wrong, with_txid(right, "u")]).await;
    db.await_txid("u", HANG).await.unwrap();
    assert_eq!(rows(&db), [item(1, "a", 2), item(3, "c", 3)]);
    assert_eq!(db.dead_letters().total, 1);
}

#[tokio::test]
async fn a_key_that_is_a_number_is_one_everywhere() {
    let world = World::new().await;
    let schema = StateSchema::builder().collection::<Item>().build().unwrap();
    let db = ready(&world, &schema).await;
    let seven = db
        .live(Query::from::<Item>("i").filter(|i| i.id.eq(7).or(i.id.gt(8))))
        .unwrap();
    let tx = db.transaction().unwrap();
    for id in [7, 8, 10] {
        tx.insert(&item(id, "a", 0)).unwrap();
    }
    assert_eq!(seven.rows().unwrap(), [item(10, "a", 0), item(7, "a", 0)]);
    assert_eq!(tx.get::<Item>("7").unwrap(), Some(item(7, "a", 0)));
    tx.update::<Item>("7", |item| item.count = 1).unwrap();
    tx.commit(append_mutations).await.unwrap();
    let events = schema.events::<Item>().unwrap();
    let event = events.update(&item(10, "b", 2)).txid("t").build().unwrap();
    world.stream.append_json(&event).await.unwrap();
    db.await_txid("t", HANG).await.unwrap();

    let expected = [item(10, "b", 2), item(7, "a", 1)];
    let resumed = StreamDb::builder(world.stream.clone()).schema(&schema);
    let resumed = resumed.resume(db.snapshot().unwrap()).open().unwrap();
    resumed.preload().await.unwrap();
    for db in [&db, &resumed, &ready(&world, &schema).await] {
        let query = Query::from::<Item>("i").filter(|i| i.id.ne(8));
        assert_eq!(db.query_once(query).unwrap().values().unwrap(), expected);
        let items = db.collection::<Item>().unwrap();
        assert_eq!(items.get("7").unwrap(), Some(item(7, "a", 1)));
        assert_eq!(items.len(), 3);
    }
    assert_eq!(seven.rows().unwrap(), expected);
    assert_eq!(values(&world).await[0], json!(item(7, "a", 1)));

    let tx = db.transaction().unwrap();
    let error = tx.update::<Item>("7", |item| item.id = 9).unwrap_err();
    assert!(matches!(
        error,
        MutateError::Mutation(MutationError::KeyChange { .. })
    ));
    tx.delete::<Item>("7").unwrap();
    tx.commit(append_mutations).await.unwrap();
    assert_eq!(rows(&db).len(), 2);
}
