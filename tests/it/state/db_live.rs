//! Live results: rows on any thread, windows, several at one moment, effects.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tailwater::db::{ChangesKind, DbError, LiveQuery, StreamDb};
use tailwater::query::{RowTypeError, TypedQuery};
use tailwater::view::ChangeKind;

use super::db_support::*;
use crate::support::{agg, from, order_desc, path};

fn item(key: usize, n: i64) -> Value {
    event("upsert", "item", &key.to_string(), json!({"n": n}))
}

/// The items by `n`, the largest first.
fn by_n() -> Value {
    json!({"from": from("item"), "orderBy": [order_desc("item.n")]})
}

async fn items(world: &World, count: usize) -> StreamDb {
    let events: Vec<Value> = (0..count).map(|i| item(i, i as i64)).collect();
    world.append(&events).await;
    let db = world.open();
    db.preload().await.unwrap();
    db
}

#[derive(Debug, PartialEq, Deserialize)]
struct Item {
    n: u8,
}

/// A typed query as a builder makes one.
fn typed(ir: &Value) -> TypedQuery<Item> {
    TypedQuery::new(query(ir), |value| {
        serde_json::from_str(&value.to_string()).map_err(|error| RowTypeError {
            path: "n".into(),
            detail: error.to_string(),
        })
    })
}

#[tokio::test]
async fn rows_are_read_by_order_position_and_key() {
    let world = World::new().await;
    let db = items(&world, 10).await;
    let top = db.live(typed(&by_n())).unwrap();
    let ns: Vec<u8> = top.rows().unwrap().into_iter().map(|item| item.n).collect();
    assert_eq!(ns, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(top.nth(2).unwrap(), Some(Item { n: 7 }));
    assert_eq!(top.nth(10).unwrap(), None);
    assert_eq!(top.get("3").unwrap(), Some(Item { n: 3 }));
    assert_eq!((top.position("3"), top.position("x")), (Some(6), None));

    // The index by key follows.
    world.append(&[item(3, 20), item(10, 10)]).await;
    eventually("the change", || top.len() == 11).await;
    assert_eq!(top.get("3").unwrap(), Some(Item { n: 20 }));
    assert_eq!((top.position("3"), top.position("10")), (Some(0), Some(1)));
    world.append(&[delete("item", "3")]).await;
    eventually("the delete", || !top.contains("3")).await;
    assert_eq!(top.position("10"), Some(0));

    let unordered = db.live(query(&json!({"from": from("item")}))).unwrap();
    assert_eq!(unordered.position("10"), Some(2), "by key, as text");
    assert_eq!(unordered.read().nth(2).unwrap().key(), "10");
    assert_eq!(unordered.ir(), &query(&json!({"from": from("item")})));
    assert!(top.explain().to_string().contains("scan"));
}

#[tokio::test]
async fn keys_of_groups_and_joins_are_found() {
    let world = World::new().await;
    let db = items(&world, 3).await;
    let groups = json!({"from": from("item"), "groupBy": [path("item.n")],
        "select": {"n": path("item.n"), "count": agg("count", "item.n")}});
    let groups = db.live(query(&groups)).unwrap();
    let keys: Vec<String> = groups.read().iter().map(|row| row.key()).collect();
    assert_eq!(keys, ["[0]", "[1]", "[2]"]);
    assert!(keys.iter().all(|key| groups.contains(key)));
}

#[tokio::test]
async fn a_window_moves_and_subscribers_are_told() {
    let world = World::new().await;
    let db = items(&world, 10).await;
    let mut ir = by_n();
    ir["limit"] = json!(2);
    let page = db.live(typed(&ir)).unwrap();
    let mut changes = page.subscribe();
    assert_eq!(changes.try_next().unwrap().kind(), ChangesKind::Initial);
    page.set_window(1, Some(2)).unwrap();
    let ns: Vec<u8> = page
        .rows()
        .unwrap()
        .into_iter()
        .map(|item| item.n)
        .collect();
    assert_eq!(ns, [8, 7]);
    let set = changes.try_next().unwrap();
    let told: Vec<_> = set
        .iter()
        .map(|c| (c.kind(), c.key(), c.previous_index(), c.index()))
        .collect();
    let left = (ChangeKind::Delete, "9".to_owned(), Some(0), None);
    let came = (ChangeKind::Insert, "7".to_owned(), None, Some(1));
    assert_eq!(told, [left, came]);
    page.set_window(1, Some(2)).unwrap();
    assert!(changes.try_next().is_none(), "nothing changed");
}

#[tokio::test]
async fn rows_of_another_type_are_errors_that_name_them() {
    let world = World::new().await;
    let db = items(&world, 3).await;
    world.append(&[item(1, 1000)]).await;
    let top = db.live(typed(&by_n())).unwrap();
    eventually("the change", || top.rows().is_err()).await;
    let error = top.rows().unwrap_err().to_string();
    assert!(error.starts_with("row `1`: n: "), "{error}");
    assert!(top.get("1").is_err() && top.get("2").is_ok());
    // The others are there.
    let read = top.read();
    assert_eq!(read.iter().filter_map(|row| row.value().ok()).count(), 2);
    let set = top.subscribe().try_next().unwrap();
    assert_eq!(
        set.iter().filter(|change| change.value().is_err()).count(),
        1
    );
}

#[tokio::test]
async fn a_query_ends_with_its_last_handle() {
    let world = World::new().await;
    let db = items(&world, 3).await;
    let live = db.live(query(&by_n())).unwrap();
    let clone = live.clone();
    let subscription = clone.subscribe();
    assert_eq!(db.query_count().unwrap(), 1);
    drop((live, clone));
    assert_eq!(db.query_count().unwrap(), 1, "the subscription holds it");
    drop(subscription);
    assert_eq!(db.query_count().unwrap(), 0);
    let effect = db.effect(query(&by_n()), |_| {}).unwrap();
    assert_eq!(db.query_count().unwrap(), 1);
    drop(effect);
    assert_eq!(db.query_count().unwrap(), 0);
    // Collections stay, and there is one query for each.
    drop((
        db.collection_named("item").unwrap(),
        db.collection_named("item").unwrap(),
    ));
    assert_eq!(db.query_count().unwrap(), 1);
}

#[tokio::test]
async fn the_watch_holds_the_last_step() {
    let world = World::new().await;
    let db = items(&world, 1).await;
    let live = db.live(query(&by_n())).unwrap();
    let mut watch = live.watch();
    world.append(&[item(1, 1)]).await;
    watch.changed().await.unwrap();
    let epoch = *watch.borrow_and_update();
    assert_eq!((live.read().epoch(), live.len()), (epoch, 2));
}

#[tokio::test]
async fn a_query_is_answered_once() {
    let world = World::new().await;
    let db = items(&world, 3).await;
    let rows = db.query_once(typed(&by_n())).unwrap();
    assert_eq!(
        rows.values().unwrap(),
        [Item { n: 2 }, Item { n: 1 }, Item { n: 0 }]
    );
    assert_eq!(db.query_count().unwrap(), 0);
}

#[tokio::test]
async fn an_effect_is_told_all_rows_and_then_changes() {
    let world = World::new().await;
    world.append(&[item(0, 0), item(1, 1)]).await;
    let db = world.open();
    let log = Arc::new(Mutex::new(Vec::new()));
    let start = |name: &'static str| {
        let log = log.clone();
        db.effect(typed(&by_n()), move |set| {
            let changes = set
                .iter()
                .map(|c| (c.kind(), c.key(), c.value().unwrap().n))
                .collect();
            log.lock().unwrap().push((name, set.kind(), changes));
        })
    };
    let early = start("early").unwrap();
    db.preload().await.unwrap();
    let late = start("late").unwrap();
    world.append(&[delete("item", "0")]).await;
    eventually("both were told", || log.lock().unwrap().len() == 4).await;
    let insert = |n: u8| (ChangeKind::Insert, n.to_string(), n);
    let all: Vec<_> = vec![insert(0), insert(1)];
    let gone = vec![(ChangeKind::Delete, "0".to_owned(), 0)];
    let log = log.lock().unwrap();
    assert_eq!(log[0], ("early", ChangesKind::Initial, all.clone()));
    assert_eq!(log[1], ("late", ChangesKind::Initial, all));
    assert_eq!(log[2], ("early", ChangesKind::Delta, gone.clone()));
    assert_eq!(log[3], ("late", ChangesKind::Delta, gone));
    assert!(early.error().is_none() && late.error().is_none());
}

#[tokio::test]
async fn an_effect_begins_with_what_there_is_when_the_database_is_ready() {
    let world = World::new().await;
    world.append(&[item(0, 0), item(1, 1)]).await;
    let db = world.open();
    let log = Arc::new(Mutex::new(Vec::new()));
    let notes = log.clone();
    // Without any rows there is a row already, which says 0.
    let count = query(&json!({"from": from("item"), "select": {"n": agg("count", "item.n")}}));
    let count = db.effect(count, move |set| {
        for change in set.iter() {
            let value = change.value().unwrap().to_string();
            notes
                .lock()
                .unwrap()
                .push((set.kind(), change.kind(), value));
        }
    });
    assert!(log.lock().unwrap().is_empty());
    db.preload().await.unwrap();
    let said = (
        ChangesKind::Initial,
        ChangeKind::Insert,
        r#"{"n":2}"#.to_owned(),
    );
    assert_eq!(*log.lock().unwrap(), [said]);
    drop(count);
}

#[tokio::test]
async fn an_effect_that_panics_stops_alone() {
    let world = World::new().await;
    let db = items(&world, 1).await;
    let (told, tell) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let counter = tell.clone();
    let bad = db
        .effect(query(&by_n()), move |set| {
            *counter.lock().unwrap() += 1;
            assert!(set.kind() == ChangesKind::Initial, "no more changes");
        })
        .unwrap();
    let counter = told.clone();
    let good = db
        .effect(query(&by_n()), move |_| *counter.lock().unwrap() += 1)
        .unwrap();
    let live = db.live(query(&by_n())).unwrap();
    for i in 1..3 {
        world.append(&[item(i, 1)]).await;
        eventually("the change", || live.len() == i + 1).await;
    }
    eventually("the good effect", || *told.lock().unwrap() == 3).await;
    assert_eq!(*tell.lock().unwrap(), 2);
    let error = bad.error().unwrap().to_string();
    assert_eq!(error, "an effect panicked: no more changes");
    assert!(good.error().is_none() && db.status().is_ready());
    assert_eq!(db.query_count().unwrap(), 2);
}

#[tokio::test]
async fn waiting_for_the_engine_from_an_effect_is_refused() {
    let world = World::new().await;
    let db = items(&world, 1).await;
    let rows = db.live(query(&by_n())).unwrap();
    let (inner, (send, receive)) = (db.clone(), std::sync::mpsc::channel());
    let effect = db.effect(query(&by_n()), move |_| {
        let refused = matches!(inner.live(query(&by_n())), Err(DbError::Callback));
        send.send((
            refused,
            rows.len(),
            inner.snapshot_of((&rows,)).unwrap().0.len(),
        ))
        .unwrap();
    });
    assert_eq!(receive.recv_timeout(HANG).unwrap(), (true, 1, 1));
    drop(effect);
}

#[tokio::test]
async fn now_moves_on() {
    let world = World::new().await;
    let soon = std::time::SystemTime::now() + Duration::from_millis(300);
    let soon = soon
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64;
    world
        .append(&[event("insert", "item", "1", json!({"due": soon}))])
        .await;
    let db = StreamDb::builder(world.stream.clone())
        .clock_tick(Duration::from_millis(10))
        .open()
        .unwrap();
    db.preload().await.unwrap();
    let now = json!({"type": "func", "name": "now", "args": []});
    let due = json!({"type": "func", "name": "lte", "args": [path("item.due"), now]});
    let due = db
        .live(query(&json!({"from": from("item"), "where": [due]})))
        .unwrap();
    // However busy the engine's thread is with other things.
    eventually("the time", || {
        db.query_count().unwrap() == 1 && due.len() == 1
    })
    .await;
}

/// The sum over two queries of each half of the accounts, as one step left it.
fn total(db: &StreamDb, [low, high]: [&LiveQuery<tailwater::value::Value>; 2]) -> (u64, i64) {
    let both = db.snapshot_of([low, high].as_slice()).unwrap();
    let sum = |rows: &tailwater::db::Rows<tailwater::value::Value>| -> i64 {
        let cents = |row: tailwater::db::Row<'_, tailwater::value::Value>| {
            row.value().unwrap().get("cents").as_f64().unwrap() as i64
        };
        rows.iter().map(cents).sum()
    };
    assert_eq!(both[0].epoch(), both[1].epoch());
    (both[0].epoch(), sum(&both[0]) + sum(&both[1]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_only_moves() {
    const ACCOUNTS: usize = 20;
    let world = World::new().await;
    let account = |i: usize, cents: i64| {
        event(
            "upsert",
            "account",
            &i.to_string(),
            json!({"low": i < ACCOUNTS / 2, "cents": cents}),
        )
    };
    let mut balances = [100; ACCOUNTS];
    let start: Vec<Value> = (0..ACCOUNTS).map(|i| account(i, 100)).collect();
    world.append(&start).await;
    let db = world.open();
    let half = |low: bool| {
        let is = json!({"type": "func", "name": "eq",
            "args": [path("account.low"), {"type": "val", "value": low}]});
        db.live(query(&json!({"from": from("account"), "where": [is]})))
            .unwrap()
    };
    let (low, high) = (half(true), half(false));
    db.preload().await.unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (db, low, high, done) = (db.clone(), low.clone(), high.clone(), done.clone());
            std::thread::spawn(move || {
                let mut epochs = std::collections::BTreeSet::new();
                while !done.load(Ordering::Relaxed) {
                    let (epoch, total) = total(&db, [&low, &high]);
                    assert_eq!(total, 100 * ACCOUNTS as i64);
                    epochs.insert(epoch);
                }
                epochs.len()
            })
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(7);
    for i in 0..300 {
        let (a, b) = (
            random.usize(..ACCOUNTS / 2),
            random.usize(ACCOUNTS / 2..ACCOUNTS),
        );
        let amount = random.i64(-50..50);
        balances[a] -= amount;
        balances[b] += amount;
        let txid = i.to_string();
        let transfer = [account(a, balances[a]), account(b, balances[b])];
        world
            .append(&transfer.map(|event| with_txid(event, &txid)))
            .await;
    }
    db.await_txid("299", HANG).await.unwrap();
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().unwrap() > 1, "it saw several steps");
    }
    let other = world.open();
    assert!(matches!(
        other.snapshot_of((&low, &high)),
        Err(DbError::ForeignQuery)
    ));
}
