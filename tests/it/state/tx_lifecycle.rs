//! Transactions from their first change to their end: confirmed, failed, taken along, closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use serde_json::json;
use tailwater::db::{
    DbError, MutateError, Status, SubscribeOptions, TransactionError, TransactionState,
    append_mutations,
};
use tailwater::stream::Live;

use super::db_support::*;
use super::tx_support::*;
use crate::support::from;

fn rename(to: &str) -> impl FnOnce(&mut User) + use<> {
    let to = to.to_owned();
    move |user| user.name = to
}

#[tokio::test]
async fn a_transaction_goes_through_its_states() {
    let world = World::new().await;
    let db = ready(&world).await;
    let open = db.transaction().unwrap();
    let tx = open.handle();
    assert_eq!(
        (open.state(), open.id()),
        (TransactionState::Pending, tx.id())
    );
    open.insert(&ada()).unwrap();
    let (gate, function) = held();
    let tx = open.persist(function);
    assert_eq!(tx.state(), TransactionState::Persisting);
    assert_eq!(names(&db).len(), 1);
    gate.open();
    tx.is_persisted().await.unwrap();
    assert_eq!(tx.state(), TransactionState::Completed);
    assert!(names(&db).is_empty(), "nothing confirmed it");
    let error = tx.rollback().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("transaction {} is completed", tx.id())
    );
}

#[tokio::test]
async fn a_transaction_that_is_not_committed_is_rolled_back() {
    let world = World::new().await;
    let db = ready(&world).await;
    let open = db.transaction().unwrap();
    open.insert(&ada()).unwrap();
    let tx = open.handle();
    drop(open);
    let error = tx.is_persisted().await.unwrap_err();
    assert!(matches!(error, TransactionError::Dropped), "{error}");
    assert!(names(&db).is_empty());

    let open = db.transaction().unwrap();
    open.insert(&ada()).unwrap();
    let tx = open.handle();
    open.rollback();
    assert!(names(&db).is_empty());
    assert!(matches!(tx.error(), Some(TransactionError::RolledBack)));
    tx.rollback().unwrap();

    // Polled never, it is dropped, too.
    let open = db.transaction().unwrap();
    open.insert(&ada()).unwrap();
    let tx = open.handle();
    drop(open.commit(append_mutations));
    assert!(tx.is_persisted().await.is_err());
    assert!(names(&db).is_empty());
}

#[tokio::test]
async fn without_any_changes_the_function_is_not_called() {
    let world = World::new().await;
    let db = ready(&world).await;
    let open = db.transaction().unwrap();
    open.insert(&ada()).unwrap();
    open.delete::<User>("1").unwrap();
    open.commit(|_| async { panic!("there is nothing to do") })
        .await
        .unwrap();
    let done = db.mutate(|_| Ok(()), |_| async { panic!("nor here") });
    assert_eq!(done.unwrap().state(), TransactionState::Completed);
}

#[tokio::test]
async fn what_fails_in_a_function_leaves_the_calls_before_it() {
    let world = World::new().await;
    let db = ready(&world).await;
    let open = db.transaction().unwrap();
    open.insert(&ada()).unwrap();
    let error = open.mutate(|tx| {
        tx.update::<User>("1", rename("Countess"))?;
        tx.insert(&named("2", "Alan"))?;
        tx.insert(&named("2", "Alan"))
    });
    assert!(matches!(error, Err(MutateError::Mutation(_))));
    assert_eq!(names(&db), [("1".into(), "Ada".into())]);
    // What another transaction built on it goes with it.
    let mut other = None;
    let error = open.mutate(|tx| {
        tx.insert(&named("3", "Grace"))?;
        let tx = db.transaction()?;
        tx.update::<User>("3", rename("Hopper"))?;
        other = Some(tx);
        Err(MutateError::other("no"))
    });
    assert_eq!(error.unwrap_err().to_string(), "no");
    assert_eq!(names(&db), [("1".into(), "Ada".into())]);
    assert_eq!(other.unwrap().state(), TransactionState::Failed);
    open.commit(append_mutations).await.unwrap();
    assert_eq!(names(&db), [("1".into(), "Ada".into())]);
}

#[tokio::test]
async fn a_failed_transaction_takes_later_ones_of_its_rows_along() {
    let world = World::new().await;
    world
        .append(&[user("insert", "1", "Ada"), user("insert", "2", "Alan")])
        .await;
    let db = ready(&world).await;
    let begin = |key: &str, name: &str| {
        let open = db.transaction().unwrap();
        open.update::<User>(key, rename(name)).unwrap();
        open
    };
    let first = begin("1", "first");
    let (gate, function) = held();
    let cause = begin("1", "cause").persist(function);
    let second = begin("1", "second");
    second.update::<User>("2", rename("second")).unwrap();
    let third = begin("2", "third");
    let apart = db.transaction().unwrap();
    apart.insert(&named("3", "apart")).unwrap();
    gate.fail("no");
    let error = third.handle().is_persisted().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "rolled back with transaction {}, which changed the same rows: no",
            cause.id()
        )
    );
    assert_eq!(second.state(), TransactionState::Failed);
    assert_eq!(first.state(), TransactionState::Pending);
    let rows = [("1", "first"), ("2", "Alan"), ("3", "apart")];
    assert_eq!(
        names(&db),
        rows.map(|(key, name)| (key.into(), name.into()))
    );
    let error = second.insert(&named("4", "late")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("transaction {} is failed", second.id())
    );
    assert!(matches!(
        third.commit(append_mutations).await,
        Err(TransactionError::Cascade { .. })
    ));
}

#[tokio::test]
async fn what_is_confirmed_changes_nothing() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let db = ready(&world).await;
    let all = db.live(query(&json!({"from": from("users")}))).unwrap();
    let apart = SubscribeOptions {
        apart: usize::MAX,
        ..SubscribeOptions::default()
    };
    let mut changes = Folded::new(all.subscribe_with(&apart));
    let (gate, opened) = gate();
    let (confirmed, is_confirmed) = tokio::sync::oneshot::channel();
    let open = db.transaction().unwrap();
    open.mutate(|tx| {
        tx.update::<User>("1", rename("Countess"))?;
        tx.insert(&named("2", "Alan"))
    })
    .unwrap();
    let tx = open.persist(|ctx| async move {
        ctx.append_mutations().await?;
        let _ = confirmed.send(());
        opened.await
    });
    is_confirmed.await.unwrap();
    assert_eq!(changes.follow(), 2, "the two calls");
    // The function goes on, and the stream already rules.
    assert_eq!(tx.state(), TransactionState::Persisting);
    assert_eq!(db.snapshot().unwrap().len(), 2);
    let confirmed = tx.rollback().unwrap_err();
    assert!(matches!(confirmed, MutateError::Over { .. }));
    world
        .append(&[with_txid(user("update", "2", "Turing"), "later")])
        .await;
    db.await_txid("later", HANG).await.unwrap();
    assert_eq!(changes.follow(), 1);
    gate.fail("too late");
    assert_eq!(tx.is_persisted().await.unwrap_err().to_string(), "too late");
    assert_eq!(changes.follow(), 0);
    assert_eq!(
        names(&db),
        [
            ("1".into(), "Countess".into()),
            ("2".into(), "Turing".into())
        ]
    );
}

#[tokio::test]
async fn rows_inside_a_snapshot_confirm_with_its_end() {
    let world = World::new().await;
    let db = ready(&world).await;
    let tx = db
        .mutate(
            |tx| tx.insert(&ada()),
            |ctx| async move { Ok(ctx.await_txid("inside").await?) },
        )
        .unwrap();
    let control = |control: &str| json!({"type": "user", "headers": {"control": control}});
    let inside = with_txid(event("insert", "user", "1", json!(ada())), "inside");
    world.append(&[control("snapshot-start"), inside]).await;
    world
        .append(&[with_txid(message("insert", "1", "hi"), "beside")])
        .await;
    db.await_txid("beside", HANG).await.unwrap();
    assert_eq!(tx.state(), TransactionState::Persisting);
    assert_eq!(names(&db).len(), 1);
    world.append(&[control("snapshot-end")]).await;
    tx.is_persisted().await.unwrap();
    assert_eq!(names(&db).len(), 1);
}

#[tokio::test]
async fn snapshots_have_what_came_in_only() {
    let world = World::new().await;
    world
        .append(&[user("insert", "1", "Ada"), user("insert", "2", "Alan")])
        .await;
    let db = ready(&world).await;
    let before = db.snapshot().unwrap();
    let open = db.transaction().unwrap();
    open.update::<User>("1", rename("Countess")).unwrap();
    open.delete::<User>("2").unwrap();
    open.insert(&named("3", "Grace")).unwrap();
    assert_eq!(
        names(&db),
        [
            ("1".into(), "Countess".into()),
            ("3".into(), "Grace".into())
        ]
    );
    assert_eq!(db.snapshot().unwrap(), before);
}

/// Whichever is appended first, neither undoes what the other did to another field.
#[tokio::test]
async fn transactions_of_one_row_do_not_undo_each_other() {
    for turned in [false, true] {
        let world = World::new().await;
        world.append(&[user("insert", "1", "Ada")]).await;
        let db = ready(&world).await;
        let (gates, txs): (Vec<_>, Vec<_>) = [0, 1]
            .map(|i| {
                let (gate, opened) = gate();
                let tx = db.mutate(
                    |tx| {
                        tx.update::<User>("1", |user| match i {
                            0 => user.name = "Countess".into(),
                            _ => user.email = Some("c@x".into()),
                        })
                    },
                    |ctx| async move {
                        opened.await?;
                        ctx.append_mutations().await
                    },
                );
                (gate, tx.unwrap())
            })
            .into_iter()
            .unzip();
        let mut gates = gates;
        if turned {
            gates.reverse();
        }
        gates.into_iter().for_each(Gate::open);
        for tx in txs {
            tx.is_persisted().await.unwrap();
        }
        let other = ready(&world).await;
        for db in [db, other] {
            let row = db.collection::<User>().unwrap().get("1").unwrap().unwrap();
            assert_eq!(
                (row.name.as_str(), row.email.as_deref()),
                ("Countess", Some("c@x"))
            );
        }
    }
}

#[tokio::test]
async fn closing_takes_back_what_is_pending() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let db = ready(&world).await;
    let users = db.collection_named("users").unwrap();
    let mut changes = users.subscribe();
    changes.next().await.unwrap();
    let open = db.transaction().unwrap();
    open.update::<User>("1", rename("Countess")).unwrap();
    changes.next().await.unwrap();
    let (gate, function) = held();
    let running = db
        .mutate(|tx| tx.insert(&named("2", "Alan")), function)
        .unwrap();
    changes.next().await.unwrap();
    db.close();
    for tx in [&open.handle(), &running] {
        assert_eq!(
            tx.is_persisted().await.unwrap_err().to_string(),
            "stream db closed"
        );
    }
    // A subscription hears of it before it ends.
    let last = changes.next().await.unwrap();
    assert_eq!(last.len(), 2);
    assert!(changes.next().await.is_none());
    assert_eq!(
        users.get("1").unwrap().unwrap().get("name").as_str(),
        Some("Ada")
    );
    assert_eq!(users.len(), 1);
    let error = open.insert(&named("3", "Grace")).unwrap_err();
    assert!(matches!(error, MutateError::Db(DbError::Closed)), "{error}");
    assert!(matches!(
        open.commit(append_mutations).await,
        Err(TransactionError::Db(DbError::Closed))
    ));
    assert!(matches!(
        db.transaction(),
        Err(MutateError::Db(DbError::Closed))
    ));
    gate.open();
    tokio::task::yield_now().await;
    assert_eq!(running.state(), TransactionState::Failed);
    running.rollback().unwrap();
}

#[tokio::test]
async fn what_the_stream_confirmed_is_done_though_the_database_is_closed() {
    let world = World::new().await;
    let db = ready(&world).await;
    let (gate, opened) = gate();
    let (confirmed, is_confirmed) = tokio::sync::oneshot::channel();
    let tx = db
        .mutate(
            |tx| tx.insert(&ada()),
            |ctx| async move {
                ctx.append_mutations().await?;
                let _ = confirmed.send(());
                opened.await
            },
        )
        .unwrap();
    is_confirmed.await.unwrap();
    db.close();
    assert!(db.snapshot().is_err());
    assert_eq!(tx.state(), TransactionState::Persisting);
    gate.open();
    tx.is_persisted().await.unwrap();
    let error = tx.rollback().unwrap_err();
    assert!(matches!(error, MutateError::Over { .. }), "{error}");
}

#[tokio::test]
async fn when_reading_ends_nothing_stays_pending() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let strict = world.typed().strict(true).open().unwrap();
    let plain = ready(&world).await;
    strict.preload().await.unwrap();
    let begin = |db: &tailwater::db::StreamDb| {
        let open = db.transaction().unwrap();
        open.insert(&named("2", "Alan")).unwrap();
        open
    };
    let (of_strict, of_plain) = (begin(&strict), begin(&plain));
    world.append(&[json!({"headers": {}})]).await;
    // Though nothing more comes.
    let failed = of_strict.handle();
    let failed = tokio::time::timeout(HANG / 2, failed.is_persisted()).await;
    let error = failed.unwrap().unwrap_err();
    assert!(
        matches!(error, TransactionError::Db(DbError::Message(_))),
        "{error}"
    );
    assert_eq!(names(&strict).len(), 1);
    assert!(matches!(
        strict.transaction(),
        Err(MutateError::Db(DbError::Message(_)))
    ));

    world.stream.close().await.unwrap();
    let error = of_plain.handle().is_persisted().await.unwrap_err();
    assert!(matches!(error, TransactionError::Ended), "{error}");
    assert_eq!(names(&plain).len(), 1);
    assert!(matches!(plain.transaction(), Err(MutateError::Ended)));
    assert!(matches!(plain.status(), Status::Ended));
}

#[tokio::test]
async fn a_database_that_is_not_ready_takes_no_changes() {
    let world = World::new().await;
    let db = world.typed().live(Live::Off).open().unwrap();
    let error = db.transaction().unwrap_err();
    assert!(
        matches!(error, MutateError::Db(DbError::NotReady)),
        "{error}"
    );
}

#[tokio::test]
async fn a_runtime_that_ends_leaves_nothing_pending() {
    let world = World::new().await;
    let (db, tx) = {
        let stream = world.stream.clone();
        let run = move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let made = runtime.block_on(async {
                let db = tailwater::db::StreamDb::builder(stream)
                    .collection::<User>()
                    .open()
                    .unwrap();
                db.preload().await.unwrap();
                let tx = db.mutate(|tx| tx.insert(&ada()), |_| std::future::pending());
                (db, tx.unwrap())
            });
            runtime.shutdown_background();
            made
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    };
    let error = tx.is_persisted().await.unwrap_err();
    assert!(
        matches!(error, TransactionError::Db(DbError::Stopped)),
        "{error}"
    );
    assert!(names(&db).is_empty());
}

#[tokio::test]
async fn effects_see_changes_and_cannot_wait_for_others() {
    let world = World::new().await;
    let db = ready(&world).await;
    let refused = Arc::new(AtomicBool::new(false));
    let (slot, inner) = (refused.clone(), db.clone());
    let effect = db
        .effect(query(&json!({"from": from("users")})), move |_| {
            let error = inner.transaction();
            let is_callback = matches!(error, Err(MutateError::Db(DbError::Callback)));
            slot.store(is_callback, Ordering::Relaxed);
        })
        .unwrap();
    let open = db.transaction().unwrap();
    open.insert(&ada()).unwrap();
    assert!(
        refused.load(Ordering::Relaxed),
        "it was told before the call returned"
    );
    assert!(effect.error().is_none());
}

/// Many threads change few rows, and what remains is what the stream says.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_end_as_the_stream_says() {
    let world = World::new().await;
    let keys = ["0", "1", "2"];
    let events: Vec<_> = keys.iter().map(|key| user("insert", key, "x")).collect();
    world.append(&events).await;
    let db = ready(&world).await;
    let bump = db.action(
        |tx, (n, key): &(usize, &'static str)| {
            tx.update::<User>(*key, |user| match n % 2 {
                0 => user.name = n.to_string(),
                _ => user.email = Some(n.to_string()),
            })
        },
        |ctx, (n, _)| async move {
            match n % 5 {
                0 => Err("no".into()),
                _ => ctx.append_mutations().await,
            }
        },
    );
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let bump = bump.clone();
            tokio::spawn(async move {
                let mut all = Vec::new();
                for i in 0..20 {
                    let tx = bump.call((task * 20 + i, keys[(task + i) % 3])).unwrap();
                    if i % 3 == 0 {
                        let _ = tx.is_persisted().await;
                    }
                    all.push(tx);
                }
                for tx in all {
                    let _ = tx.is_persisted().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let other = ready(&world).await;
    let rows = |db: &tailwater::db::StreamDb| db.collection::<User>().unwrap().rows().unwrap();
    eventually("both to agree", || rows(&db) == rows(&other)).await;
    assert!(rows(&db).iter().any(|user| user.name != "x"));
}
