//! What goes wrong is told, contained, and never a hang.

use futures_util::StreamExt;
use serde_json::json;
use tailwater::db::{DbError, Status, StreamDb};
use tailwater::stream::{CreateOptions, DurableStream, Live, RetryPolicy, StreamError};

use super::db_support::*;

#[tokio::test]
async fn a_missing_stream_is_an_error_everywhere() {
    let world = World::new().await;
    let url = world.server.stream_url("missing");
    let db = StreamDb::builder(url).open().unwrap();
    let tickets = db.collection_named("ticket").unwrap();
    let mut changes = tickets.subscribe();
    for _ in 0..2 {
        let error = db.preload().await.unwrap_err();
        let not_found = matches!(error, DbError::Stream(StreamError::NotFound { .. }));
        assert!(not_found, "{error}");
    }
    assert!(matches!(
        tickets.status(),
        Status::Error(DbError::Stream(_))
    ));
    assert!(changes.next().await.is_none());
    let error = db.await_txid("x", HANG).await.unwrap_err();
    assert!(matches!(error, DbError::Stream(_)), "{error}");
    assert!(matches!(
        db.query_once(all("ticket")),
        Err(DbError::NotReady)
    ));
    assert!(db.query_count().is_ok(), "the engine goes on");
}

fn all(collection: &str) -> tailwater::query::Query {
    query(&json!({"from": {"type": "collectionRef", "collection": collection, "alias": "r"}}))
}

#[tokio::test]
async fn a_closed_stream_is_ready_and_ended() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let db = world.typed().open().unwrap();
    let users = db.collection::<User>().unwrap();
    let mut changes = users.subscribe();
    db.preload().await.unwrap();
    world.append(&[user("insert", "2", "Alan")]).await;
    world.stream.close().await.unwrap();
    let mut count = 0;
    while let Some(set) = changes.next().await {
        count += set.len();
    }
    assert_eq!((count, users.len()), (2, 2));
    assert!(matches!(db.status(), Status::Ended) && users.is_ready());
    assert_eq!(db.query_once(all("users")).unwrap().len(), 2);
}

#[tokio::test]
async fn a_stream_that_was_closed_before_is_ready_and_ended() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    world.stream.close().await.unwrap();
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    eventually("the end", || matches!(db.status(), Status::Ended)).await;
    assert_eq!(db.collection::<User>().unwrap().len(), 1);
}

#[tokio::test]
async fn a_database_that_does_not_follow_is_ready_and_ended() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let db = world.typed().live(Live::Off).open().unwrap();
    db.preload().await.unwrap();
    assert_eq!(db.collection::<User>().unwrap().len(), 1);
    eventually("the end", || matches!(db.status(), Status::Ended)).await;
}

#[tokio::test]
async fn bad_messages_are_counted_and_only_the_last_are_kept() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let end = world.stream.head().await.unwrap().end;
    let long = json!({"foo": "ä".repeat(2000)});
    let wrong = event("insret", "user", "2", json!({}));
    world
        .append(&[
            json!({"foo": 1}),
            json!([1]),
            wrong,
            long,
            user("insert", "3", "C"),
        ])
        .await;
    let db = world.typed().keep_dead_letters(3).open().unwrap();
    db.preload().await.unwrap();
    assert_eq!(db.collection::<User>().unwrap().len(), 2);
    let letters = db.dead_letters();
    assert_eq!(letters.total, 4);
    let reasons: Vec<&str> = letters.latest.iter().map(|l| l.reason.as_str()).collect();
    let expected = [
        "a message must be an object, not an array",
        "field `headers.operation` must be one of `insert`, `update`, `upsert`, `delete`, not `insret`",
        "field `headers` is missing",
    ];
    assert_eq!(reasons, expected);
    assert!(letters.latest[2].text.len() <= 1024);

    // The offset and the index lead to the message.
    let db = world.typed().offset(end.clone()).open().unwrap();
    db.preload().await.unwrap();
    let letter = &db.dead_letters().latest[0];
    assert_eq!(
        (&letter.offset, letter.index, letter.text.as_str()),
        (&end, 0, r#"{"foo":1}"#)
    );
}

#[tokio::test]
async fn strict_stops_before_the_batch_and_rows_stay() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let db = world.typed().strict(true).open().unwrap();
    let users = db.collection::<User>().unwrap();
    db.preload().await.unwrap();
    let offset = db.offset();
    world
        .append(&[user("insert", "2", "Alan"), json!({"foo": 1})])
        .await;
    eventually("the error", || matches!(users.status(), Status::Error(_))).await;
    assert_eq!(users.len(), 1, "nothing of the batch is visible");
    assert_eq!(db.offset(), offset);
    assert!(db.preload().await.is_err());
}

#[tokio::test]
async fn a_stream_that_is_not_json_is_refused() {
    let world = World::new().await;
    let stream = DurableStream::new(world.server.stream_url("text")).unwrap();
    stream
        .create(CreateOptions::with_content_type("text/plain"))
        .await
        .unwrap();
    stream.append("hello").await.unwrap();
    let db = StreamDb::builder(stream).open().unwrap();
    let error = db.preload().await.unwrap_err();
    assert!(matches!(error, DbError::NotJson { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_goes_away_is_an_error_when_patience_ends() {
    let world = World::new().await;
    let stream = DurableStream::builder(world.server.stream_url("state"))
        .retry(RetryPolicy {
            max_retries: Some(1),
            ..RetryPolicy::default()
        })
        .build()
        .unwrap();
    world.append(&[user("insert", "1", "Ada")]).await;
    let db = StreamDb::builder(stream).open().unwrap();
    db.preload().await.unwrap();
    let users = db.collection_named("user").unwrap();
    world.server.shutdown().await;
    eventually("the error", || {
        matches!(db.status(), Status::Error(DbError::Stream(_)))
    })
    .await;
    assert_eq!(users.len(), 1, "rows stay");
}

#[tokio::test]
async fn a_hook_that_panics_stops_reading_and_is_named() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let db = world
        .typed()
        .on_event(|event| panic!("I do not like {}", event.key))
        .open()
        .unwrap();
    let error = db.preload().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the hook `on_event` panicked: I do not like 1"
    );
    assert!(db.live(all("users")).is_ok(), "the engine goes on");
}

#[tokio::test]
async fn close_is_final_and_rows_stay() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let users = db.collection::<User>().unwrap();
    let mut changes = users.subscribe();
    db.close();
    db.close();
    assert!(matches!(users.status(), Status::Closed));
    assert_eq!(users.rows().unwrap().len(), 1);
    assert_eq!(
        changes.next().await.unwrap().len(),
        1,
        "what was there is given out"
    );
    assert!(changes.next().await.is_none());
    assert!(matches!(db.preload().await, Err(DbError::Closed)));
    assert!(matches!(db.live(all("users")), Err(DbError::Closed)));
    assert!(matches!(db.snapshot(), Err(DbError::Closed)));
    assert!(matches!(users.set_window(0, Some(1)), Err(DbError::Closed)));
}

#[tokio::test]
async fn a_database_that_was_closed_before_it_read_stays_closed() {
    let world = World::new().await;
    let db = world.typed().open().unwrap();
    db.close();
    assert!(matches!(db.preload().await, Err(DbError::Closed)));
    assert!(matches!(db.status(), Status::Closed));
}

#[test]
fn the_end_of_the_runtime_is_told() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let db = world.typed().open().unwrap();
    let users = db.collection::<User>().unwrap();
    let mut changes = users.subscribe();
    runtime.block_on(db.preload()).unwrap();
    runtime.shutdown_timeout(HANG);
    assert_eq!(
        changes.next_timeout(HANG).unwrap().len(),
        0,
        "the rows of the beginning: none"
    );
    assert!(changes.next_timeout(HANG).is_none());
    assert!(matches!(users.status(), Status::Error(DbError::Stopped)));
}

#[tokio::test]
async fn collections_that_do_not_hold_are_refused() {
    let world = World::new().await;
    let twice = world.typed().collection::<User>().open().unwrap_err();
    assert_eq!(twice.to_string(), "duplicate collection `users`");
    let url = StreamDb::builder("not a url").open().unwrap_err();
    assert!(
        matches!(url, DbError::Stream(StreamError::InvalidArgument { .. })),
        "{url}"
    );
    let query = world.typed().open().unwrap().live(all("user")).unwrap_err();
    assert!(query.to_string().contains("`users`"), "{query}");
    // Without collections, each is called as its events are.
    let other = world.open().collection::<User>().unwrap_err();
    let text = "there is no collection `users` of events of type `user`";
    assert_eq!(other.to_string(), text);
}
