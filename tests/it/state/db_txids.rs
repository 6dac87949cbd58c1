//! Waiting for transactions: numbers 63 to 67 of the state package.

use std::time::Duration;

use serde_json::json;
use tailwater::db::DbError;
use tailwater::stream::Live;

use super::db_support::*;

#[tokio::test]
async fn b63_a_txid_resolves_when_its_rows_are_visible() {
    let world = World::new().await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let users = db.collection::<User>().unwrap();
    let wait = db.await_txid("tx-1", HANG);
    let write = async {
        world
            .append(&[with_txid(user("insert", "1", "Ada"), "tx-1")])
            .await;
    };
    let (seen, ()) = tokio::join!(wait, write);
    seen.unwrap();
    assert!(users.contains("1"));
}

#[tokio::test]
async fn b64_a_txid_that_was_seen_resolves_at_once() {
    let world = World::new().await;
    world
        .append(&[with_txid(user("insert", "1", "Ada"), "tx-1")])
        .await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    for _ in 0..2 {
        db.await_txid("tx-1", Duration::ZERO).await.unwrap();
    }
}

#[tokio::test]
async fn b65_a_txid_that_does_not_come_times_out() {
    let world = World::new().await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let error = db
        .await_txid("tx-9", Duration::from_millis(100))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "timeout waiting for txid `tx-9`: it did not come within 100ms"
    );
}

#[tokio::test]
async fn b66_a_mutation_waits_for_its_txid() {
    let world = World::new().await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let add_user = async |name: &str| {
        let event = with_txid(user("insert", name, name), name);
        db.stream().append_json(&event).await?;
        db.await_txid(name, HANG).await
    };
    add_user("ada").await.unwrap();
    assert!(db.collection::<User>().unwrap().contains("ada"));
}

#[tokio::test]
async fn b67_several_wait_for_one_txid() {
    let world = World::new().await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let wait = || db.await_txid("tx-1", HANG);
    let write = async {
        world
            .append(&[with_txid(user("insert", "1", "Ada"), "tx-1")])
            .await;
    };
    let (a, b, c, ()) = tokio::join!(wait(), wait(), wait(), write);
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
}

#[tokio::test]
async fn txids_of_unknown_types_count_and_those_of_refused_messages_do_not() {
    let world = World::new().await;
    let unknown = with_txid(event("insert", "unknown", "1", json!({})), "of unknown");
    let refused = with_txid(event("insert", "user", "1", json!(7)), "of refused");
    world.append(&[unknown, refused]).await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    db.await_txid("of unknown", Duration::ZERO).await.unwrap();
    let error = db
        .await_txid("of refused", Duration::ZERO)
        .await
        .unwrap_err();
    assert!(matches!(error, DbError::TxidTimeout { .. }), "{error}");
}

#[tokio::test]
async fn waiters_before_the_first_step_are_answered_by_it() {
    let world = World::new().await;
    world
        .append(&[with_txid(user("insert", "1", "Ada"), "tx-1")])
        .await;
    let db = world.typed().open().unwrap();
    let (seen, loaded) = tokio::join!(db.await_txid("tx-1", HANG), db.preload());
    seen.unwrap();
    loaded.unwrap();
}

#[tokio::test]
async fn closing_rejects_waiters() {
    let world = World::new().await;
    let db = world.typed().open().unwrap();
    db.preload().await.unwrap();
    let (seen, ()) = tokio::join!(db.await_txid("tx-1", HANG), async { db.close() });
    assert_eq!(seen.unwrap_err().to_string(), "stream db closed");
    let late = db.await_txid("tx-2", HANG).await.unwrap_err();
    assert!(matches!(late, DbError::Closed), "{late}");
}

#[tokio::test]
async fn the_end_and_errors_reach_waiters() {
    let world = World::new().await;
    let ended = world.typed().live(Live::Off).open().unwrap();
    let (seen, _) = tokio::join!(ended.await_txid("tx-1", HANG), ended.preload());
    let text = "the stream has ended, and txid `tx-1` was not in it";
    assert_eq!(seen.unwrap_err().to_string(), text);

    let failing = world.typed().on_batch(|_| panic!("no")).open().unwrap();
    let (seen, _) = tokio::join!(failing.await_txid("tx-1", HANG), failing.preload());
    assert!(matches!(seen, Err(DbError::Panicked { .. })));
}
