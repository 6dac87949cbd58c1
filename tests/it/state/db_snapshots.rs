//! Starting from rows that were stored, instead of from the whole log.

use serde_json::json;
use tailwater::db::{DbError, Snapshot, StreamDb};
use tailwater::schema::Catalog;
use tailwater::stream::Live;

use super::db_support::*;

#[tokio::test]
async fn a_snapshot_and_the_tail_are_the_whole() {
    let world = World::new().await;
    world
        .append(&[
            user("insert", "1", "A"),
            user("insert", "2", "B"),
            message("insert", "m", "x"),
        ])
        .await;
    let first = world.typed().schema_version(3).open().unwrap();
    assert!(matches!(first.snapshot(), Err(DbError::NotReady)));
    first.preload().await.unwrap();
    let text = serde_json::to_string(&first.snapshot().unwrap()).unwrap();
    drop(first);

    world
        .append(&[
            delete("user", "1"),
            user("update", "2", "B2"),
            user("insert", "3", "C"),
        ])
        .await;
    let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
    assert_eq!((snapshot.len(), snapshot.schema_version()), (3, 3));
    let mut read = 0;
    let (count, counted) = std::sync::mpsc::channel();
    let resumed = world
        .typed()
        .schema_version(3)
        .on_event(move |_| count.send(()).unwrap())
        .resume(snapshot)
        .open()
        .unwrap();
    let users = resumed.collection::<User>().unwrap();
    assert!(
        users.is_empty(),
        "nothing is visible before the tail was read"
    );
    resumed.preload().await.unwrap();
    let fresh = world.typed().open().unwrap();
    fresh.preload().await.unwrap();
    assert_eq!(
        users.rows().unwrap(),
        fresh.collection::<User>().unwrap().rows().unwrap()
    );
    assert_eq!(resumed.collection::<Message>().unwrap().len(), 1);
    while counted.try_recv().is_ok() {
        read += 1;
    }
    assert_eq!(read, 3, "only the tail was read");
}

#[tokio::test]
async fn numbers_and_scalars_survive() {
    let world = World::new().await;
    let value =
        json!({"big": 9_007_199_254_740_993_i64, "small": 5e-324, "nested": [null, {"a": "ü"}]});
    let events = [
        event("insert", "t", "1", value),
        event("insert", "t", "2", json!("text")),
    ];
    world.append(&events).await;
    let rows = |db: &StreamDb| db.collection_named("t").unwrap().rows().unwrap();
    let first = world.open();
    first.preload().await.unwrap();
    let text = serde_json::to_string(&first.snapshot().unwrap()).unwrap();
    let snapshot = serde_json::from_str(&text).unwrap();
    let resumed = StreamDb::builder(world.stream.clone())
        .resume(snapshot)
        .open()
        .unwrap();
    resumed.preload().await.unwrap();
    let texts = |db| rows(db).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&resumed), texts(&first));
    assert!(texts(&resumed)[0].contains("9007199254740993"));
}

#[tokio::test]
async fn snapshots_that_do_not_fit_are_refused() {
    let world = World::new().await;
    let db = StreamDb::builder(world.stream.clone())
        .collection::<User>()
        .live(Live::Off)
        .open()
        .unwrap();
    db.preload().await.unwrap();
    let snapshot = db.snapshot().unwrap();
    let fails = |builder: tailwater::db::Builder| {
        let error = builder.resume(snapshot.clone()).open().unwrap_err();
        assert!(matches!(error, DbError::Snapshot(_)), "{error}");
        error.to_string()
    };
    let builder = || StreamDb::builder(world.stream.clone());
    assert_eq!(
        fails(builder().collection::<User>().schema_version(1)),
        "the snapshot does not fit: it was made with schema version 0, not 1"
    );
    assert_eq!(
        fails(world.typed()),
        "the snapshot does not fit: it has no collection `messages` of events of type `message`"
    );
    assert_eq!(
        fails(builder()),
        "the snapshot does not fit: it has the rows of some event types only"
    );
    let schema = r#"{"collections":{"users":{"type":"person","primaryKey":"id"}}}"#;
    let other = builder().catalog(Catalog::from_json(schema).unwrap());
    assert!(fails(other).contains("events of type `person`"));
}

#[tokio::test]
async fn an_offset_that_the_stream_does_not_know_is_an_error() {
    let world = World::new().await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let mut text = serde_json::to_value(db.snapshot().unwrap()).unwrap();
    text["offset"] = json!("nonsense");
    let snapshot = serde_json::from_value(text).unwrap();
    let resumed = world.typed().resume(snapshot).open().unwrap();
    assert!(matches!(resumed.preload().await, Err(DbError::Stream(_))));
}
