//! Readers that are slow: what they are told always adds up to the rows.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};
use tailwater::db::{ChangeSet, ChangesKind, LiveQuery, SubscribeOptions, Subscription};
use tailwater::value;
use tailwater::view::ChangeKind;

use super::db_support::*;
use crate::support::{agg, from, order_desc, path};

/// What a reader makes of change sets.
#[derive(Default)]
struct Fold {
    /// By position, of an ordered result; else by key.
    ordered: bool,
    rows: Vec<(String, String)>,
    epoch: u64,
    kinds: BTreeMap<&'static str, usize>,
}

impl Fold {
    fn apply(&mut self, set: &ChangeSet<value::Value>) {
        assert!(set.epoch() > self.epoch || set.kind() != ChangesKind::Delta);
        self.epoch = set.epoch();
        let kind = match set.kind() {
            ChangesKind::Initial => "initial",
            ChangesKind::Delta => "delta",
            ChangesKind::Resync => "resync",
        };
        *self.kinds.entry(kind).or_default() += 1;
        if set.kind() != ChangesKind::Delta {
            self.rows.clear();
        }
        let row =
            |c: &tailwater::db::Change<'_, value::Value>| (c.key(), c.value().unwrap().to_string());
        let previous = |c: &tailwater::db::Change<'_, value::Value>| {
            (c.key(), c.previous().unwrap().unwrap().to_string())
        };
        let mut left: Vec<_> = set
            .iter()
            .filter(|c| c.kind() != ChangeKind::Insert)
            .collect();
        let mut came: Vec<_> = set
            .iter()
            .filter(|c| c.kind() != ChangeKind::Delete)
            .collect();
        if self.ordered {
            left.sort_by_key(|c| std::cmp::Reverse(c.previous_index()));
            for change in left {
                let gone = self.rows.remove(change.previous_index().unwrap());
                assert_eq!(gone, previous(&change));
            }
            came.sort_by_key(|c| c.index());
            for change in came {
                self.rows.insert(change.index().unwrap(), row(&change));
            }
        } else {
            for change in left {
                let gone = previous(&change);
                let at = self
                    .rows
                    .iter()
                    .position(|row| *row == gone)
                    .expect("it was there");
                self.rows.remove(at);
            }
            self.rows.extend(came.iter().map(row));
            self.rows.sort();
        }
    }

    fn check(&self, query: &LiveQuery<value::Value>) {
        let read = query.read();
        let mut rows: Vec<(String, String)> = read
            .iter()
            .map(|row| (row.key(), row.value().unwrap().to_string()))
            .collect();
        if !self.ordered {
            rows.sort();
        }
        assert_eq!(self.rows, rows);
    }
}

struct Reader {
    subscription: Subscription<value::Value>,
    fold: Fold,
    /// How often it reads, in percent.
    eagerness: u32,
}

impl Reader {
    fn read(&mut self, most: usize) {
        for _ in 0..most {
            let Some(set) = self.subscription.try_next() else {
                return;
            };
            assert!(!set.is_empty() || set.kind() != ChangesKind::Delta);
            self.fold.apply(&set);
        }
    }
}

fn queries() -> Vec<Value> {
    let limited =
        json!({"from": from("t"), "orderBy": [order_desc("t.n")], "limit": 4, "offset": 1});
    let name = json!({"n": path("t.n")});
    vec![
        json!({"from": from("t")}),
        json!({"from": from("t"), "orderBy": [order_desc("t.n")]}),
        // A position may change that the value does not show, and the other way round.
        json!({"from": from("t"), "orderBy": [order_desc("t.n")], "select": {"g": path("t.g")}}),
        json!({"from": from("t"), "orderBy": [order_desc("t.g")], "select": name}),
        limited,
        json!({"from": from("t"), "groupBy": [path("t.g")],
            "select": {"g": path("t.g"), "sum": agg("sum", "t.n")}}),
        json!({"from": from("t"), "distinct": true, "select": {"g": path("t.g")}}),
    ]
}

async fn history(seed: u64) -> BTreeMap<&'static str, usize> {
    let world = World::new().await;
    let db = world.open();
    db.preload().await.unwrap();
    let mut random = Rng::with_seed(seed);
    let mut readers = Vec::new();
    for ir in queries() {
        let live = db.live(query(&ir)).unwrap();
        for (eagerness, apart, waiting) in [
            (100, 64, 65_536),
            (30, 2, 65_536),
            (10, 0, 65_536),
            (5, 0, 30),
            (20, 3, 10),
        ] {
            let options = SubscribeOptions {
                initial: random.bool(),
                apart,
                waiting,
            };
            let ordered = live.plan().ordered;
            readers.push(Reader {
                subscription: live.subscribe_with(&options),
                fold: Fold {
                    ordered,
                    ..Fold::default()
                },
                eagerness,
            });
        }
    }
    for step in 0..120 {
        let mut events: Vec<Value> = (0..random.usize(1..5))
            .map(|_| {
                let key = random.usize(..12).to_string();
                match random.u8(..10) {
                    0..3 => delete("t", &key),
                    _ => event(
                        "upsert",
                        "t",
                        &key,
                        json!({"n": random.u8(..6), "g": random.u8(..3)}),
                    ),
                }
            })
            .collect();
        let last = events.len() - 1;
        let txid = step.to_string();
        events[last] = with_txid(events[last].clone(), &txid);
        world.append(&events).await;
        db.await_txid(txid.as_str(), HANG).await.unwrap();
        if random.u8(..15) == 0 {
            let (offset, limit) = (random.usize(..4), random.usize(1..6));
            readers[random.usize(20..25)]
                .subscription
                .query()
                .set_window(offset, Some(limit))
                .unwrap();
        }
        for reader in &mut readers {
            if random.u32(..100) < reader.eagerness {
                reader.read(random.usize(1..4));
            }
        }
    }
    let mut kinds = BTreeMap::new();
    for mut reader in readers {
        reader.read(usize::MAX);
        reader.fold.check(reader.subscription.query());
        for (kind, count) in reader.fold.kinds {
            *kinds.entry(kind).or_default() += count;
        }
    }
    kinds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_sets_add_up_however_slow_the_reader() {
    let mut kinds = BTreeMap::new();
    for seed in 0..12 {
        for (kind, count) in history(seed).await {
            *kinds.entry(kind).or_insert(0) += count;
        }
    }
    for kind in ["initial", "delta", "resync"] {
        assert!(kinds[kind] > 10, "{kinds:?}");
    }
}

#[tokio::test]
async fn net_changes_are_told_once_a_key() {
    let world = World::new().await;
    let db = world.open();
    db.preload().await.unwrap();
    let live = db.live(query(&json!({"from": from("t")}))).unwrap();
    let options = SubscribeOptions {
        initial: false,
        apart: 1,
        ..SubscribeOptions::default()
    };
    let mut slow = live.subscribe_with(&options);
    let put = |key: &str, n: usize| event("upsert", "t", key, json!({"n": n}));
    for (i, event) in [
        put("a", 1),
        put("b", 1),
        put("a", 2),
        delete("t", "b"),
        put("c", 3),
    ]
    .iter()
    .enumerate()
    {
        let txid = i.to_string();
        world.append(&[with_txid(event.clone(), &txid)]).await;
        db.await_txid(txid.as_str(), HANG).await.unwrap();
    }
    let set = slow.try_next().unwrap();
    let told: Vec<_> = set
        .iter()
        .map(|c| (c.kind(), c.key(), c.value().unwrap().to_string()))
        .collect();
    let insert = |key: &str, n: usize| {
        (
            ChangeKind::Insert,
            key.to_owned(),
            format!(r#"{{"n":{n}}}"#),
        )
    };
    assert_eq!(told, [insert("a", 2), insert("c", 3)]);
    assert!(slow.try_next().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_on_a_thread_blocks_until_something_comes() {
    let world = World::new().await;
    let db = world.open();
    let live = db.collection_named("t").unwrap();
    let reader = {
        let mut changes = live.subscribe();
        std::thread::spawn(move || changes.iter().map(|set| set.len()).sum::<usize>())
    };
    db.preload().await.unwrap();
    for i in 0..50 {
        world
            .append(&[event("insert", "t", &i.to_string(), json!({}))])
            .await;
    }
    world.stream.close().await.unwrap();
    assert_eq!(
        tokio::task::spawn_blocking(|| reader.join().unwrap())
            .await
            .unwrap(),
        50
    );
}

#[tokio::test]
async fn one_step_is_never_too_much() {
    let world = World::new().await;
    let events: Vec<Value> = (0..20)
        .map(|i| event("insert", "t", &i.to_string(), json!({})))
        .collect();
    world.append(&events).await;
    let db = world.open();
    let live = db.collection_named("t").unwrap();
    let options = SubscribeOptions {
        initial: false,
        apart: 0,
        waiting: 5,
    };
    let mut changes = live.subscribe_with(&options);
    db.preload().await.unwrap();
    let set = changes.try_next().unwrap();
    assert_eq!((set.kind(), set.len()), (ChangesKind::Delta, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_come_and_lag_while_steps_are_made_miss_and_repeat_nothing() {
    let world = World::new().await;
    let db = world.open();
    db.preload().await.unwrap();
    let ordered = json!({"from": from("t"), "orderBy": [order_desc("t.n")]});
    let live = db.live(query(&ordered)).unwrap();
    let readers: Vec<_> = (0..3)
        .map(|seed| {
            let (live, db) = (live.clone(), db.clone());
            std::thread::spawn(move || {
                let mut random = Rng::with_seed(seed);
                let mut sets = 0;
                while !db.status().is_over() {
                    let options = SubscribeOptions {
                        initial: true,
                        apart: random.usize(..3),
                        waiting: random.usize(1..6),
                    };
                    let mut reader = Reader {
                        subscription: live.subscribe_with(&options),
                        fold: Fold {
                            ordered: true,
                            ..Fold::default()
                        },
                        eagerness: 100,
                    };
                    for _ in 0..random.usize(1..20) {
                        let Some(set) = reader.subscription.next_blocking() else {
                            reader.fold.check(&live);
                            break;
                        };
                        reader.fold.apply(&set);
                        sets += 1;
                    }
                }
                sets
            })
        })
        .collect();
    let mut random = Rng::with_seed(3);
    for _ in 0..500 {
        let key = random.usize(..12).to_string();
        let put = event("upsert", "t", &key, json!({"n": random.u16(..)}));
        world.append(&[put]).await;
    }
    world.stream.close().await.unwrap();
    for reader in readers {
        let sets = tokio::task::spawn_blocking(|| reader.join().unwrap());
        assert!(sets.await.unwrap() > 10);
    }
}
