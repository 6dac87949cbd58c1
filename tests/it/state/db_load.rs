//! What is in the stream becomes rows: numbers 11 to 12, 14 to 16 and 19 to 32 of the state package.
//!
//! Number 13 is a feature of the state package's server, which puts an offset into each message;
//! offsets here belong to batches. Rows have no `_seq`: it is a device of TanStack DB's adapter.

use futures_util::StreamExt;
use serde_json::json;
use tailwater::db::{ChangesKind, DbError, StreamDb, SubscribeOptions};
use tailwater::stream::{CreateOptions, DurableStream, Live, Offset};
use tailwater::value::Value;
use tailwater::view::ChangeKind;

use super::db_support::*;

fn text(value: Option<Value>) -> Option<String> {
    value.map(|value| value.to_string())
}

#[tokio::test]
async fn b11_written_events_are_materialized() {
    let world = World::new().await;
    for (operation, key, value) in [
        ("insert", "theme", "light"),
        ("insert", "language", "en"),
        ("update", "theme", "dark"),
    ] {
        let event = event(operation, "config", key, json!(value));
        world.append(&[event]).await;
    }
    let db = world.open();
    db.preload().await.unwrap();
    let config = db.collection_named("config").unwrap();
    assert_eq!(text(config.get("theme").unwrap()).unwrap(), r#""dark""#);
    assert_eq!(text(config.get("language").unwrap()).unwrap(), r#""en""#);
}

#[tokio::test]
async fn b12_events_come_one_at_a_time() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let db = world.typed().open().unwrap();
    let users = db.collection::<User>().unwrap();
    let mut changes = users.subscribe();
    db.preload().await.unwrap();
    assert_eq!(changes.next().await.unwrap().len(), 1);
    world.append(&[user("insert", "2", "Alan")]).await;
    let set = changes.next().await.unwrap();
    assert_eq!((set.kind(), set.len()), (ChangesKind::Delta, 1));
    assert_eq!(users.len(), 2);
}

#[tokio::test]
async fn b14_types_live_side_by_side() {
    let world = World::new().await;
    let theme = event("insert", "config", "theme", json!({"value": "dark"}));
    world.append(&[user("insert", "1", "Ada"), theme]).await;
    let db = world.open();
    db.preload().await.unwrap();
    assert_eq!(db.collection_named("user").unwrap().len(), 1);
    let config = db.collection_named("config").unwrap();
    assert_eq!(
        text(config.get("theme").unwrap()).unwrap(),
        r#"{"value":"dark"}"#
    );
    assert_eq!(config.get("1").unwrap(), None);
}

#[tokio::test]
async fn b15_deletes_remove_rows() {
    let world = World::new().await;
    let events = [user("insert", "123", "Ada"), user("insert", "456", "Alan")];
    world.append(&events).await;
    world.append(&[delete("user", "123")]).await;
    let db = world.open();
    db.preload().await.unwrap();
    let users = db.collection_named("user").unwrap();
    assert!(!users.contains("123") && users.contains("456"));
    assert_eq!(users.len(), 1);
}

#[tokio::test]
async fn b16_reading_goes_on_from_a_stored_offset() {
    let world = World::new().await;
    let config = |operation, key, value| event(operation, "config", key, json!(value));
    let events = [
        config("insert", "theme", "dark"),
        config("insert", "language", "en"),
    ];
    world.append(&events).await;
    let first = world.open();
    first.preload().await.unwrap();
    let snapshot = first.snapshot().unwrap();
    assert_eq!(snapshot.offset(), first.offset());
    first.close();

    world.append(&[config("update", "theme", "light")]).await;
    world.append(&[config("insert", "fontSize", "14")]).await;
    let db = StreamDb::builder(world.stream.clone())
        .resume(snapshot)
        .open()
        .unwrap();
    db.preload().await.unwrap();
    let rows = db.collection_named("config").unwrap().read();
    let rows: Vec<String> = rows
        .iter()
        .map(|row| format!("{}={}", row.key(), row.value().unwrap()))
        .collect();
    assert_eq!(
        rows,
        [r#"fontSize="14""#, r#"language="en""#, r#"theme="light""#]
    );
}

#[tokio::test]
async fn b19_collections_are_there_before_anything_is_read() {
    let world = World::new().await;
    let events = [user("insert", "1", "Ada"), message("insert", "m1", "Hello")];
    world.append(&events).await;
    let db = world.typed().open().unwrap();
    let (users, messages) = (
        db.collection::<User>().unwrap(),
        db.collection::<Message>().unwrap(),
    );
    assert_eq!((users.len(), messages.len()), (0, 0));
    db.preload().await.unwrap();
    let ada = users.get("1").unwrap().unwrap();
    assert_eq!(
        (ada.id.as_str(), ada.name.as_str()),
        ("1", "Ada"),
        "the id is the key"
    );
    assert_eq!(ada.email.as_deref(), Some("ada@example.com"));
    assert_eq!(messages.rows().unwrap()[0].text, "Hello");
}

#[tokio::test]
async fn b20_the_offset_is_tracked() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let db = world.typed().open().unwrap();
    assert_eq!(db.offset(), Offset::START);
    db.preload().await.unwrap();
    assert_eq!(db.offset(), world.stream.head().await.unwrap().end);
}

#[tokio::test]
async fn b21_updates_replace_rows() {
    let world = World::new().await;
    let new = event(
        "update",
        "user",
        "1",
        json!({"name": "Ada", "email": "new@example.com"}),
    );
    world.append(&[user("insert", "1", "Ada"), new]).await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let ada = db.collection::<User>().unwrap().get("1").unwrap().unwrap();
    assert_eq!(ada.email.as_deref(), Some("new@example.com"));
}

#[tokio::test]
async fn b22_a_delete_needs_only_a_key() {
    let world = World::new().await;
    world
        .append(&[user("insert", "1", "Ada"), delete("user", "1")])
        .await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    assert_eq!(db.collection::<User>().unwrap().get("1").unwrap(), None);
}

#[tokio::test]
async fn b23_an_empty_stream_is_ready_too() {
    let world = World::new().await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    assert!(db.status().is_ready());
    let users = db.collection::<User>().unwrap();
    assert_eq!((users.len(), users.get("1").unwrap()), (0, None));
}

#[tokio::test]
async fn b24_unknown_event_types_are_ignored() {
    let world = World::new().await;
    let unknown = event("insert", "unknown", "x", json!("not even an object"));
    world.append(&[user("insert", "1", "Ada"), unknown]).await;
    let db = world.typed().strict(true).open().unwrap();
    db.preload().await.unwrap();
    assert_eq!(db.collection::<User>().unwrap().len(), 1);
    assert_eq!(db.dead_letters().total, 0);
    let error = db.collection_named("unknown").unwrap_err();
    assert!(
        matches!(error, DbError::UnknownCollection { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn b25_live_updates_arrive_after_preload() {
    for live in [Live::LongPoll, Live::Sse, Live::Auto] {
        let world = World::new().await;
        let db = world.typed().live(live).open().unwrap();
        db.preload().await.unwrap();
        let users = db.collection::<User>().unwrap();
        world.append(&[user("insert", "1", "Ada")]).await;
        eventually("the live update", || users.contains("1")).await;
        world.append(&[user("update", "1", "Grace")]).await;
        let name = || users.get("1").unwrap().unwrap().name;
        eventually("the second update", || name() == "Grace").await;
    }
}

#[tokio::test]
async fn b26_events_find_their_collections() {
    let world = World::new().await;
    let events = [
        message("insert", "m1", "a"),
        user("insert", "1", "Ada"),
        message("insert", "m2", "b"),
    ];
    world.append(&events).await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let users = db.collection::<User>().unwrap().rows().unwrap();
    assert_eq!(users.len(), 1);
    let messages = db.collection::<Message>().unwrap().rows().unwrap();
    let texts: Vec<&str> = messages.iter().map(|m| m.text.as_str()).collect();
    assert_eq!(texts, ["a", "b"]);
}

#[tokio::test]
async fn b27_operations_on_one_key_repeat() {
    let world = World::new().await;
    let events = [
        user("insert", "1", "A"),
        user("update", "1", "B"),
        user("update", "1", "C"),
        delete("user", "1"),
        user("insert", "1", "D"),
    ];
    world.append(&events).await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let users = db.collection::<User>().unwrap().rows().unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].name, "D");
}

#[tokio::test]
async fn b28_operations_on_several_keys_interleave() {
    let world = World::new().await;
    let events = [
        user("insert", "1", "A"),
        user("insert", "2", "B"),
        user("update", "1", "A2"),
        user("insert", "3", "C"),
        delete("user", "2"),
        user("update", "3", "C2"),
    ];
    for event in events {
        world.append(&[event]).await;
    }
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let users = db.collection::<User>().unwrap().rows().unwrap();
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["A2", "C2"]);
}

#[tokio::test]
async fn b29_the_first_rows_appear_in_one_step() {
    let world = World::new().await;
    for i in 0..10 {
        world.append(&[user("insert", &i.to_string(), "U")]).await;
    }
    let db = world.typed().open().unwrap();
    let users = db.collection::<User>().unwrap();
    let mut changes = users.subscribe_with(&SubscribeOptions {
        initial: false,
        ..SubscribeOptions::default()
    });
    db.preload().await.unwrap();
    let set = changes.try_next().unwrap();
    assert_eq!((set.len(), users.len()), (10, 10));
    assert!(changes.try_next().is_none());
}

#[tokio::test]
async fn b30_changes_have_key_kind_value_and_previous_value() {
    let world = World::new().await;
    world
        .append(&[user("insert", "1", "Ada"), user("insert", "2", "Alan")])
        .await;
    let db = world.typed().open().unwrap();
    let mut changes = db
        .collection::<User>()
        .unwrap()
        .subscribe_with(&SubscribeOptions {
            initial: false,
            ..SubscribeOptions::default()
        });
    db.preload().await.unwrap();
    let mut all = Vec::new();
    for next in [
        user("update", "1", "Grace"),
        delete("user", "1"),
        json!(null),
    ] {
        let set = changes.next().await.unwrap();
        let change = |c: tailwater::db::Change<'_, User>| {
            let previous = c.previous().unwrap().map(|user| user.name);
            (c.kind(), c.key(), c.value().unwrap().name, previous)
        };
        all.push(set.iter().map(change).collect::<Vec<_>>());
        if !next.is_null() {
            world.append(&[next]).await;
        }
    }
    let (one, two) = ("1".to_owned(), "2".to_owned());
    let insert = |key: String, name: &str| (ChangeKind::Insert, key, name.to_owned(), None);
    assert_eq!(all[0], [insert(one.clone(), "Ada"), insert(two, "Alan")]);
    let update = (
        ChangeKind::Update,
        one.clone(),
        "Grace".into(),
        Some("Ada".into()),
    );
    assert_eq!(all[1], [update]);
    let gone = (
        ChangeKind::Delete,
        one,
        "Grace".into(),
        Some("Grace".into()),
    );
    assert_eq!(all[2], [gone], "a delete tells the row as it was");
}

#[tokio::test]
async fn b31_a_live_batch_is_one_step() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "A")]).await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let users = db.collection::<User>().unwrap();
    let mut changes = users.subscribe();
    assert_eq!(changes.next().await.unwrap().kind(), ChangesKind::Initial);
    world
        .append(&[user("insert", "2", "B"), user("insert", "3", "C")])
        .await;
    assert_eq!(changes.next().await.unwrap().len(), 2);
    assert_eq!(users.len(), 3);
}

#[tokio::test]
async fn b32_values_that_are_no_objects_are_refused() {
    let world = World::new().await;
    let bad = event("insert", "user", "theme", json!("dark"));
    world
        .append(&[user("insert", "1", "Ada"), bad, user("insert", "2", "Alan")])
        .await;
    let reason = "collection `users` requires object values; got a string for key `theme`";

    let strict = world.typed().strict(true).open().unwrap();
    let error = strict.preload().await.unwrap_err();
    let DbError::Message(letter) = &error else {
        panic!("{error}")
    };
    assert_eq!((letter.index, letter.reason.as_str()), (1, reason));
    assert_eq!(
        error.to_string(),
        format!("message 1 after offset `-1`: {reason}")
    );

    let lenient = world.typed().open().unwrap();
    lenient.preload().await.unwrap();
    assert_eq!(lenient.collection::<User>().unwrap().len(), 2);
    let letters = lenient.dead_letters();
    assert_eq!((letters.total, letters.latest), (1, vec![letter.clone()]));
}

#[tokio::test]
async fn a_reset_and_a_snapshot_in_the_log_count() {
    let world = World::new().await;
    let control = |control: &str| json!({"headers": {"control": control}});
    world
        .append(&[
            user("insert", "1", "Old"),
            control("reset"),
            user("insert", "2", "New"),
        ])
        .await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let users = db.collection::<User>().unwrap();
    assert_eq!(users.rows().unwrap()[0].name, "New");

    let mut changes = users.subscribe();
    changes.next().await.unwrap();
    world
        .append(&[control("snapshot-start"), user("insert", "3", "Newer")])
        .await;
    world.append(&[control("snapshot-end")]).await;
    let set = changes.next().await.unwrap();
    assert_eq!(set.len(), 2, "one came and one left, in one step");
    assert_eq!(users.rows().unwrap()[0].name, "Newer");
}

#[tokio::test]
async fn the_stream_may_be_up_to_date_within_a_snapshot() {
    let world = World::new().await;
    let control = |control: &str| json!({"headers": {"control": control}});
    world
        .append(&[
            user("insert", "1", "A"),
            control("snapshot-start"),
            user("insert", "2", "B"),
        ])
        .await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let users = db.collection::<User>().unwrap();
    assert_eq!(users.rows().unwrap()[0].name, "A");
    // A snapshot that begins here would lose the rows that wait for the end.
    let resumed = world.typed().resume(db.snapshot().unwrap()).open().unwrap();
    world
        .append(&[user("insert", "3", "C"), control("snapshot-end")])
        .await;
    resumed.preload().await.unwrap();
    for db in [db, resumed] {
        let users = db.collection::<User>().unwrap();
        eventually("the end of the snapshot", || users.len() == 2).await;
        assert_eq!(users.rows().unwrap()[0].name, "B");
    }
}

#[tokio::test]
async fn what_was_reset_before_the_first_step_is_never_shown() {
    let world = World::new().await;
    world
        .append(&[
            user("insert", "1", "A"),
            json!({"headers": {"control": "reset"}}),
        ])
        .await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    assert!(db.collection::<User>().unwrap().is_empty());
}

#[tokio::test]
async fn an_offset_to_begin_at_skips_what_came_before() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "A")]).await;
    let end = world.stream.head().await.unwrap().end;
    world.append(&[user("insert", "2", "B")]).await;
    let db = world.typed().offset(end).open().unwrap();
    db.preload().await.unwrap();
    let users = db.collection::<User>().unwrap();
    assert!(users.len() == 1 && users.contains("2"));
}

#[tokio::test]
async fn a_database_opens_before_its_stream_is_there() {
    let world = World::new().await;
    let url = world.server.stream_url("later");
    let db = StreamDb::builder(url.as_str()).open().unwrap();
    let later = DurableStream::new(url).unwrap();
    later.create(CreateOptions::json()).await.unwrap();
    db.preload().await.unwrap();
}
