//! Random interleavings of synced batches and transactions over a real stream, against a plain model:
//! after each step what is visible is what came in with what is pending on top, everywhere, and a step
//! is one step for all who follow.
//!
//! `TAILWATER_CASES` sets how many histories run, `TAILWATER_SEED` where they start.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use serde_json::{Value, json};
use tailwater::db::{
    BoxError, MutateError, MutationContext, OpenTransaction, StreamDb, SubscribeOptions,
    Transaction, TransactionError, TransactionState,
};
use tailwater::store::Mutation;
use tokio::sync::oneshot;

use super::db_support::*;
use super::tx_support::*;
use crate::support::{agg, from, order, path};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const FIELDS: [&str; 3] = ["n", "m", "g"];

type Fields = BTreeMap<String, i64>;

#[derive(Clone, Debug)]
enum Edit {
    Insert(Fields),
    Update(Vec<(&'static str, Option<i64>)>),
    Delete,
}

impl Edit {
    fn apply(&self, row: Option<Fields>) -> Option<Fields> {
        match self {
            Edit::Insert(new) => Some(new.clone()),
            Edit::Delete => None,
            Edit::Update(fields) => row.map(|mut row| {
                for (name, value) in fields {
                    match value {
                        Some(value) => row.insert((*name).into(), *value),
                        None => row.remove(*name),
                    };
                }
                row
            }),
        }
    }

    fn mutation(&self, key: &str) -> Mutation {
        match self {
            Edit::Insert(fields) => Mutation::insert("item", key, row(&json!(fields))),
            Edit::Delete => Mutation::delete("item", key),
            Edit::Update(fields) => {
                let value = |value: Option<i64>| match value {
                    Some(value) => value.into(),
                    None => tailwater::value::Value::Missing,
                };
                Mutation::update("item", key, fields.iter().map(|(n, v)| (*n, value(*v))))
            }
        }
    }
}

/// A call: whose, of which row, and how the row was before and after.
#[derive(Clone, Debug)]
struct Call {
    tx: u64,
    key: &'static str,
    edit: Edit,
    before: Option<Fields>,
    after: Option<Fields>,
}

#[derive(Default)]
struct Model {
    synced: BTreeMap<&'static str, Fields>,
    /// In the order in which they were made.
    calls: Vec<Call>,
}

impl Model {
    fn fold<'a>(&self, key: &str, calls: impl IntoIterator<Item = &'a Call>) -> Option<Fields> {
        let synced = self.synced.get(key).cloned();
        let calls = calls.into_iter().filter(|call| call.key == key);
        calls.fold(synced, |row, call| call.edit.apply(row))
    }

    fn visible(&self, key: &str) -> Option<Fields> {
        self.fold(key, &self.calls)
    }

    fn all(&self) -> BTreeMap<String, Fields> {
        let row = |key: &&str| Some(((*key).to_owned(), self.visible(key)?));
        KEYS.iter().filter_map(row).collect()
    }

    /// The transaction and those that build on it.
    fn doomed(&self, tx: u64) -> BTreeSet<u64> {
        let mut doomed = BTreeSet::from([tx]);
        loop {
            let known = doomed.len();
            for (i, call) in self.calls.iter().enumerate() {
                if doomed.contains(&call.tx) {
                    let later = self.calls[i..].iter().filter(|later| later.key == call.key);
                    doomed.extend(later.map(|later| later.tx));
                }
            }
            if doomed.len() == known {
                return doomed;
            }
        }
    }

    fn drop(&mut self, txs: &BTreeSet<u64>) {
        self.calls.retain(|call| !txs.contains(&call.tx));
    }

    /// The rows that a transaction changed in the end.
    fn net(&self, tx: u64) -> Vec<&'static str> {
        let of = |key: &&&'static str| {
            let own: Vec<_> = self
                .calls
                .iter()
                .filter(|c| c.tx == tx && c.key == **key)
                .collect();
            own.first()
                .is_some_and(|first| first.before != own[own.len() - 1].after)
        };
        KEYS.iter().filter(of).copied().collect()
    }

    /// What it appends.
    fn events(&self, tx: u64) -> Vec<(&'static str, Option<Fields>)> {
        let event = |key: &'static str| {
            let last = self
                .calls
                .iter()
                .rposition(|c| c.tx == tx && c.key == key)
                .unwrap();
            (key, self.fold(key, &self.calls[..=last]))
        };
        self.net(tx).into_iter().map(event).collect()
    }

    fn sync(&mut self, key: &'static str, row: Option<Fields>) {
        match row {
            Some(row) => self.synced.insert(key, row),
            None => self.synced.remove(key),
        };
    }
}

/// How a mutation function is to end.
enum Decision {
    Append,
    /// With another field than foretold, by hand.
    AppendOther(Vec<Value>, String),
    Fail,
    Panic,
    Nothing,
}

async fn decided(
    context: MutationContext,
    decision: oneshot::Receiver<Decision>,
) -> Result<(), BoxError> {
    match decision.await? {
        Decision::Append => context.append_mutations().await,
        Decision::AppendOther(events, txid) => {
            let items = events.iter().map(|event| event.to_string().into());
            context.expect_txid(txid.as_str());
            context
                .stream()
                .append_all(items, Default::default())
                .await?;
            Ok(())
        }
        Decision::Fail => Err("decided".into()),
        Decision::Panic => panic!("decided"),
        Decision::Nothing => Ok(()),
    }
}

struct History<'a> {
    rng: Rng,
    world: &'a World,
    db: StreamDb,
    model: Model,
    open: Vec<OpenTransaction>,
    running: Vec<(Transaction, oneshot::Sender<Decision>)>,
    all: Folded,
    ordered: Folded,
    groups: Folded,
    txids: usize,
}

fn event_of(key: &str, fields: &Option<Fields>, txid: &str) -> Value {
    let event = match fields {
        Some(fields) => event("upsert", "item", key, json!(fields)),
        None => delete("item", key),
    };
    with_txid(event, txid)
}

fn ordered_query() -> Value {
    json!({"from": from("item"), "orderBy": [order("item.n")], "limit": 2})
}

fn groups_query() -> Value {
    json!({"from": from("item"), "groupBy": [path("item.g")],
        "select": {"g": path("item.g"), "count": agg("count", "item.$key")}})
}

impl<'a> History<'a> {
    async fn new(seed: u64, world: &'a World) -> History<'a> {
        let db = StreamDb::builder(world.stream.clone())
            .txid_timeout(HANG)
            .open()
            .unwrap();
        db.preload().await.unwrap();
        let apart = SubscribeOptions {
            apart: usize::MAX,
            ..SubscribeOptions::default()
        };
        let follow = |ir: &Value| Folded::new(db.live(query(ir)).unwrap().subscribe_with(&apart));
        History {
            rng: Rng::with_seed(seed),
            world,
            all: follow(&json!({"from": from("item")})),
            ordered: follow(&ordered_query()),
            groups: follow(&groups_query()),
            db,
            model: Model::default(),
            open: Vec::new(),
            running: Vec::new(),
            txids: 0,
        }
    }

    fn txid(&mut self) -> String {
        self.txids += 1;
        format!("synced {}", self.txids)
    }

    fn key(&mut self) -> &'static str {
        KEYS[self.rng.usize(..KEYS.len())]
    }

    fn fields(&mut self) -> Fields {
        let rng = &mut self.rng;
        let fields = FIELDS
            .iter()
            .filter(|_| rng.bool())
            .copied()
            .collect::<Vec<_>>();
        fields
            .into_iter()
            .map(|name| (name.into(), rng.i64(..3)))
            .collect()
    }

    fn edit(&mut self) -> Edit {
        match self.rng.u8(..4) {
            0 => Edit::Insert(self.fields()),
            1 => Edit::Delete,
            _ => {
                let name = FIELDS[self.rng.usize(..FIELDS.len())];
                let value = (self.rng.u8(..5) > 0).then(|| self.rng.i64(..3));
                Edit::Update(vec![(name, value)])
            }
        }
    }

    /// What a call is, if the rows that are visible admit it.
    fn call(&mut self, tx: u64) -> (Call, bool) {
        let (key, edit) = (self.key(), self.edit());
        let before = self.model.visible(key);
        let fits = before.is_some() != matches!(edit, Edit::Insert(_));
        let after = edit.apply(before.clone());
        let call = Call {
            tx,
            key,
            edit,
            before,
            after,
        };
        (call, fits)
    }

    async fn step(&mut self) -> String {
        match self.rng.u8(..12) {
            0..=2 => self.sync().await,
            3 if self.open.len() < 4 => {
                self.open.push(self.db.transaction().unwrap());
                "begin".into()
            }
            3..=6 if !self.open.is_empty() => self.mutate(),
            7 if !self.open.is_empty() => self.mutate_and_fail(),
            8 => self.roll_back(),
            9 if !self.open.is_empty() => self.commit(),
            10.. if !self.running.is_empty() => self.decide().await,
            _ => self.sync().await,
        }
    }

    async fn sync(&mut self) -> String {
        let txid = self.txid();
        let mut events = Vec::new();
        for _ in 0..self.rng.usize(1..4) {
            let (key, fields) = (self.key(), self.fields());
            let row = (self.rng.u8(..4) > 0).then_some(fields);
            events.push(event_of(key, &row, &txid));
            self.model.sync(key, row);
        }
        self.world.append(&events).await;
        self.db.await_txid(txid, HANG).await.unwrap();
        format!("sync {events:?}")
    }

    fn mutate(&mut self) -> String {
        let at = self.rng.usize(..self.open.len());
        let (call, fits) = self.call(self.open[at].id());
        let done = self.open[at].apply([call.edit.mutation(call.key)]);
        assert_eq!(done.is_ok(), fits, "{call:?}: {done:?}");
        let told = format!("{call:?} is {done:?}");
        if fits {
            self.model.calls.push(call);
        }
        told
    }

    fn mutate_and_fail(&mut self) -> String {
        let at = self.rng.usize(..self.open.len());
        let open = self.open.swap_remove(at);
        let known = self.model.calls.len();
        let failed = open.mutate(|tx| {
            for _ in 0..3 {
                let (call, fits) = self.call(tx.id());
                let done = tx.apply([call.edit.mutation(call.key)]);
                assert_eq!(done.is_ok(), fits, "{call:?}: {done:?}");
                if fits {
                    self.model.calls.push(call);
                    self.check("inside of a call that fails");
                }
            }
            Err(MutateError::other("no"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no");
        self.model.calls.truncate(known);
        self.open.push(open);
        "a call that fails".into()
    }

    /// Takes note that a transaction failed, with those that it takes along.
    fn failed(&mut self, tx: u64, handles: &[Transaction]) {
        let doomed = self.model.doomed(tx);
        self.model.drop(&doomed);
        for handle in handles {
            if handle.id() != tx && doomed.contains(&handle.id()) {
                let error = handle.error();
                let along = matches!(
                    error, Some(TransactionError::Cascade { transaction, .. }) if transaction == tx
                );
                assert!(along, "{handle:?}: {error:?}");
            } else if handle.id() != tx {
                assert!(handle.error().is_none(), "{handle:?}");
            }
        }
        self.open
            .retain(|open| open.state() == TransactionState::Pending);
        self.running
            .retain(|(tx, _)| tx.state() == TransactionState::Persisting);
    }

    fn handles(&self) -> Vec<Transaction> {
        let open = self.open.iter().map(OpenTransaction::handle);
        open.chain(self.running.iter().map(|(tx, _)| tx.clone()))
            .collect()
    }

    fn roll_back(&mut self) -> String {
        let handles = self.handles();
        if handles.is_empty() {
            return "nothing".into();
        }
        let tx = self.rng.choice(&handles).unwrap().clone();
        tx.rollback().unwrap();
        self.failed(tx.id(), &handles);
        format!("roll back {tx:?}")
    }

    fn commit(&mut self) -> String {
        let at = self.rng.usize(..self.open.len());
        let open = self.open.swap_remove(at);
        let is_empty = self.model.net(open.id()).is_empty();
        let (decision, function) = oneshot::channel();
        let tx = open.persist(move |context| decided(context, function));
        if is_empty {
            assert_eq!(tx.state(), TransactionState::Completed);
            self.model.drop(&BTreeSet::from([tx.id()]));
        } else {
            assert_eq!(tx.state(), TransactionState::Persisting);
            self.running.push((tx.clone(), decision));
        }
        format!("commit {tx:?}")
    }

    async fn decide(&mut self) -> String {
        let handles = self.handles();
        let at = self.rng.usize(..self.running.len());
        let (tx, function) = self.running.swap_remove(at);
        let id = tx.id();
        let what = self.rng.u8(..10);
        let mut events = self.model.events(id);
        let decision = match what {
            0 => Decision::Fail,
            1 => Decision::Panic,
            2 => Decision::Nothing,
            3..=5 => {
                let txid = self.txid();
                for (_, fields) in &mut events {
                    fields.get_or_insert_default().insert("n".into(), 7);
                }
                let events = events.iter().map(|(key, row)| event_of(key, row, &txid));
                Decision::AppendOther(events.collect(), txid)
            }
            _ => Decision::Append,
        };
        assert!(function.send(decision).is_ok());
        let done = tx.is_persisted().await;
        assert_eq!(done.is_err(), what < 2, "{done:?}");
        if done.is_err() {
            self.failed(id, &handles);
            return format!("fail {tx:?}");
        }
        if what > 2 {
            let appended = |(key, row): &(&'static str, Option<Fields>)| {
                // A row that is gone under an update is not appended.
                let mut calls = self
                    .model
                    .calls
                    .iter()
                    .filter(|c| c.tx == id && c.key == *key);
                what < 6 || row.is_some() || calls.next_back().unwrap().after.is_none()
            };
            events.retain(appended);
            for (key, row) in events {
                self.model.sync(key, row);
            }
        }
        self.model.drop(&BTreeSet::from([id]));
        format!("complete {tx:?} by {what}")
    }

    fn check(&mut self, what: &str) {
        let rows: BTreeMap<String, Value> = self
            .model
            .all()
            .into_iter()
            .map(|(key, fields)| (key, json!(fields)))
            .collect();
        for folded in [&mut self.all, &mut self.ordered, &mut self.groups] {
            let sets = folded.follow();
            assert!(sets <= 1, "{what}: {sets} change sets");
        }
        assert_eq!(self.all.rows, rows, "{what}");
        let collection = self.db.collection_named("item").unwrap().read();
        let shown = collection.iter().map(|row| {
            let value = row.value().unwrap().to_string();
            (row.key(), serde_json::from_str(&value).unwrap())
        });
        assert_eq!(shown.collect::<BTreeMap<_, Value>>(), rows, "{what}");
        // By `n`, then by key; nothing comes first.
        let mut order: Vec<_> = rows
            .iter()
            .map(|(key, row)| (row["n"].as_i64(), key, row))
            .collect();
        order.sort_by_key(|(n, key, _)| (*n, *key));
        let first = order.into_iter().take(2);
        let first: BTreeMap<_, _> = first
            .map(|(_, key, row)| (key.clone(), row.clone()))
            .collect();
        assert_eq!(self.ordered.rows, first, "{what}");
        let mut groups: BTreeMap<Option<i64>, usize> = BTreeMap::new();
        for row in rows.values() {
            *groups.entry(row["g"].as_i64()).or_default() += 1;
        }
        let counted = self.groups.rows.values();
        let counted =
            counted.map(|row| (row["g"].as_i64(), row["count"].as_u64().unwrap() as usize));
        assert_eq!(counted.collect::<BTreeMap<_, _>>(), groups, "{what}");
        let synced = serde_json::to_value(self.db.snapshot().unwrap()).unwrap();
        let synced = &synced["collections"]["item"]["rows"];
        let synced = if synced.is_null() {
            json!({})
        } else {
            synced.clone()
        };
        assert_eq!(synced, json!(self.model.synced), "{what}");
    }
}

fn number(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(default, |set| set.parse().expect("a number"))
}

#[tokio::test]
async fn what_is_visible_is_what_came_in_with_what_is_pending_on_top() {
    let start = number("TAILWATER_SEED", 0);
    // Each has a server and a database of its own, which takes its time.
    for seed in start..start + number("TAILWATER_CASES", 120) / 10 {
        let world = World::new().await;
        let mut history = History::new(seed, &world).await;
        for i in 0..60 {
            let what = history.step().await;
            history.check(&format!("seed {seed}, step {i}: {what}"));
        }
    }
}
