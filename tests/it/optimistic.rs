//! Pending transactions over what comes in: random interleavings of batches, mutations,
//! confirmations and rollbacks against a plain model, which composes every row from scratch; then
//! single cases.
//!
//! `TAILWATER_CASES` sets how many histories run, `TAILWATER_SEED` where they start.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use serde_json::{Value, json};
use tailwater::engine::{Engine, QueryId};
use tailwater::store::{Mutation, MutationError, MutationKind, TransactionId};
use tailwater::value::{self, Value as V};
use tailwater::view::ChangeSet;

use crate::histories::{Rows, check, fold, rows};
use crate::oracle::{self, COLLECTIONS, KEYS, Step};
use crate::support::*;

type Changed = BTreeMap<QueryId, ChangeSet>;

/// The collection whose rows may be no objects.
const CONFIG: &str = "config";

fn to_json(value: &V) -> Value {
    serde_json::from_str(&value.to_string()).unwrap()
}

fn of_json(value: &Value) -> V {
    value::from_json(&value.to_string()).unwrap()
}

/// The rows of all collections.
type Tables = BTreeMap<(String, String), Value>;

/// What came in and what is pending.
#[derive(Clone, Default)]
struct Model {
    stream: oracle::Store,
    /// What the stream has made of the rows.
    synced: Tables,
    /// In the order of their first mutation.
    pending: Vec<(TransactionId, Vec<Mutation>)>,
}

fn place(mutation: &Mutation) -> (String, String) {
    (mutation.collection.to_string(), mutation.key.to_string())
}

/// The row after a mutation.
fn edited(row: Option<Value>, kind: &MutationKind) -> Option<Value> {
    match kind {
        MutationKind::Insert(value) => Some(to_json(value)),
        MutationKind::Delete => None,
        MutationKind::Replace(value) => row.map(|_| to_json(value)),
        MutationKind::Update(fields) => row.map(|mut row| {
            if let Some(object) = row.as_object_mut() {
                for (name, value) in fields {
                    match value {
                        V::Missing => _ = object.remove(name.as_str()),
                        value => _ = object.insert(name.to_string(), to_json(value)),
                    }
                }
            }
            row
        }),
    }
}

impl Model {
    /// Feeds the stream.
    fn sync(&mut self, feed: impl FnOnce(&mut oracle::Store)) {
        feed(&mut self.stream);
        let names = COLLECTIONS.iter().map(|(name, _)| *name).chain([CONFIG]);
        let table = |name: &'static str| {
            let rows = self.stream.rows(name).into_iter();
            rows.map(move |(key, row)| ((name.to_owned(), key), row.to_json().unwrap()))
        };
        self.synced = names.flat_map(table).collect();
    }

    fn mutations(&self) -> impl Iterator<Item = &Mutation> {
        self.pending.iter().flat_map(|(_, mutations)| mutations)
    }

    fn visible(&self) -> Tables {
        let mut tables = self.synced.clone();
        for mutation in self.mutations() {
            let at = place(mutation);
            let row = tables.remove(&at);
            tables.extend(edited(row, &mutation.kind).map(|row| (at, row)));
        }
        tables
    }

    fn pending_keys(&self) -> BTreeSet<(String, String)> {
        self.mutations().map(place).collect()
    }

    /// What queries see. Where rows come from stands in fields of their own, for queries that ask.
    fn shown(&self, visible: &Tables, with_origin: bool) -> oracle::Store {
        let mut store = oracle::Store::default();
        store.set_clock(self.stream.clock());
        let pending = self.pending_keys();
        let row = |(at, row): (&(String, String), &Value)| {
            let mut row = row.clone();
            let pending = pending.contains(at);
            if let Some(object) = row.as_object_mut()
                && with_origin
            {
                let origin = if pending { "local" } else { "remote" };
                object.insert("$synced".into(), (!pending).into());
                object.insert("$origin".into(), origin.into());
            }
            put(&at.0, &at.1, row)
        };
        store.apply(&visible.iter().map(row).collect::<Vec<_>>());
        store
    }

    /// Adds mutations, all or none; `Err` says what is wrong with the first that does not suit.
    fn mutate(&mut self, tx: TransactionId, mutations: &[Mutation]) -> Result<(), &'static str> {
        let before = self.pending.clone();
        let mut add = |mutation: &Mutation| {
            let at = place(mutation);
            let here = self.mutations().filter(|m| place(m) == at);
            let row = here.fold(self.synced.get(&at).cloned(), |row, m| edited(row, &m.kind));
            match (row, &mutation.kind) {
                (Some(_), MutationKind::Insert(_)) => return Err("duplicate"),
                (None, MutationKind::Insert(_)) => {}
                (None, _) => return Err("unknown"),
                (Some(row), MutationKind::Update(_)) if !row.is_object() => {
                    return Err("no fields");
                }
                (Some(_), _) => {}
            }
            match self.pending.iter_mut().find(|(known, _)| *known == tx) {
                Some((_, known)) => known.push(mutation.clone()),
                None => self.pending.push((tx, vec![mutation.clone()])),
            }
            Ok(())
        };
        let done = mutations.iter().try_for_each(&mut add);
        if done.is_err() {
            self.pending = before;
        }
        done
    }

    fn forget(&mut self, txs: &[TransactionId]) {
        self.pending.retain(|(tx, _)| !txs.contains(tx));
    }

    fn conflicts(&self, tx: TransactionId) -> Vec<TransactionId> {
        let mut earlier = self.pending.iter().skip_while(|(other, _)| *other != tx);
        let Some((_, own)) = earlier.next() else {
            return Vec::new();
        };
        let own: BTreeSet<_> = own.iter().map(place).collect();
        let meets = |mutations: &[Mutation]| mutations.iter().any(|m| own.contains(&place(m)));
        let later = earlier.filter(|(_, mutations)| meets(mutations));
        later.map(|(tx, _)| *tx).collect()
    }

    /// The messages that make the synced rows what a transaction makes of them.
    fn confirming(&self, tx: TransactionId) -> Vec<Value> {
        let mut alone = self.clone();
        alone.pending.retain(|(other, _)| *other == tx);
        let (after, touched) = (alone.visible(), alone.mutations().map(place));
        let message = |at: (String, String)| match after.get(&at) {
            Some(row) => put(&at.0, &at.1, row.clone()),
            None => delete(&at.0, &at.1),
        };
        touched.map(message).collect()
    }
}

/// A live query, and the result that its change sets add up to.
struct Live {
    id: QueryId,
    query: Value,
    name: String,
    ordered: bool,
    /// Whether it depends on where rows come from.
    asks_origin: bool,
    /// Whether it depends on the values of rows alone.
    plain: bool,
    folded: Rows,
}

/// The engine beside the model.
struct History {
    engine: Engine,
    model: Model,
    /// The visible rows after the last step.
    visible: Tables,
    live: Vec<Live>,
    rng: Rng,
    /// Whether scalars come and go, too.
    config: bool,
    log: Vec<String>,
}

impl History {
    fn new(seed: u64, queries: &[Value], config: bool) -> Result<History, String> {
        let mut engine = Engine::new();
        let mut live = Vec::new();
        for query in queries {
            let id = engine.install(&parsed(query)).map_err(|e| e.to_string())?;
            let name = query.to_string();
            let asks_origin = name.contains("$synced") || name.contains("$origin");
            live.push(Live {
                id,
                asks_origin,
                plain: !asks_origin && !name.contains(r#""now""#),
                name,
                query: query.clone(),
                ordered: query.get("orderBy").is_some(),
                folded: rows(&engine, id),
            });
        }
        let mut history = History {
            engine,
            model: Model::default(),
            visible: Tables::new(),
            live,
            rng: Rng::with_seed(seed),
            config,
            log: Vec::new(),
        };
        history.see(BTreeMap::new())?;
        Ok(history)
    }

    /// Compares everything after a step.
    fn see(&mut self, changed: Changed) -> Result<(), String> {
        let visible = self.model.visible();
        let before = std::mem::replace(&mut self.visible, visible);
        let visible = &self.visible;
        self.see_store(&before)?;
        let needed = [false, true].map(|asks| self.live.iter().any(|l| l.asks_origin == asks));
        let shown = [false, true].map(|o| match needed[usize::from(o)] {
            true => self.model.shown(visible, o),
            false => oracle::Store::default(),
        });
        for live in &mut self.live {
            let (asks, name) = (live.asks_origin, &live.name);
            let expected = oracle::evaluate(&live.query, &shown[usize::from(asks)]);
            check(name, &rows(&self.engine, live.id), &expected)?;
            let changes = changed.get(&live.id).map(as_json);
            if changes.is_some() && before == *visible && live.plain {
                return Err(format!("{name}: nothing changed, and yet {changes:?}"));
            }
            let changes = changes.unwrap_or(json!([]));
            let changes = changes.as_array().unwrap();
            fold(&mut live.folded, changes, !live.ordered).map_err(|e| format!("{name}: {e}"))?;
            let mut expected = expected;
            if !live.ordered {
                expected.sort_by(|a, b| a.0.cmp(&b.0));
                let idle = |change: &&Value| change.get("previousValue") == change.get("value");
                if let Some(idle) = changes.iter().find(idle) {
                    return Err(format!("{name}: a change that changes nothing: {idle}"));
                }
            }
            check(&format!("{name}, folded"), &live.folded, &expected)?;
        }
        Ok(())
    }

    /// Compares the rows that changed or have something pending.
    fn see_store(&self, before: &Tables) -> Result<(), String> {
        let (store, visible) = (self.engine.store(), &self.visible);
        let pending = self.model.pending_keys();
        let all = before.keys().chain(visible.keys());
        let changed = all.filter(|at| before.get(*at) != visible.get(*at));
        for at in changed.chain(&pending).collect::<BTreeSet<_>>() {
            let collection = self.engine.catalog().by_name(&at.0).unwrap();
            let same = |name: &str, found: Option<V>, expected: Option<&Value>| {
                let row = |value| vec![(format!("{at:?}"), value)];
                let found = found.map_or(Rows::new(), |found| row(to_json(&found)));
                let expected = expected.map_or(Rows::new(), |expected| row(expected.clone()));
                check(name, &found, &expected)
            };
            same("visible", store.get(&collection, &at.1), visible.get(at))?;
            same(
                "synced",
                store.synced(&collection, &at.1),
                self.model.synced.get(at),
            )?;
            if store.is_pending(&collection, &at.1) != pending.contains(at) {
                return Err(format!("is {at:?} pending?"));
            }
        }
        for (name, _) in COLLECTIONS {
            let collection = self.engine.catalog().by_name(name).unwrap();
            let count = visible.keys().filter(|at| at.0 == name).count();
            if store.len(&collection) != count {
                return Err(format!("{name} has {} rows", store.len(&collection)));
            }
        }
        for (tx, _) in &self.model.pending {
            let found = self.engine.pending_conflicts(*tx);
            if found != self.model.conflicts(*tx) {
                return Err(format!("conflicts of {tx}: {found:?}"));
            }
        }
        Ok(())
    }

    fn some_tx(&mut self) -> Option<TransactionId> {
        let count = self.model.pending.len();
        (count > 0).then(|| self.model.pending[self.rng.usize(..count)].0)
    }

    fn value(&mut self, collection: usize) -> Value {
        match COLLECTIONS.get(collection) {
            Some((_, columns)) => oracle::row(&mut self.rng, columns),
            None => [json!("dark"), json!(1), json!({"a": 1}), json!({"b": null})]
                [self.rng.usize(..4)]
            .clone(),
        }
    }

    /// A mutation that mostly suits the rows that are visible.
    fn mutation(&mut self) -> Mutation {
        let count = COLLECTIONS.len() + usize::from(self.config);
        let collection = self.rng.usize(..count);
        let name = COLLECTIONS.get(collection).map_or(CONFIG, |(name, _)| name);
        let key = KEYS[self.rng.usize(..4)];
        let value = self.value(collection);
        let row = self.visible.get(&(name.to_owned(), key.to_owned()));
        let other = self.rng.u32(..20);
        match (row, other) {
            (None, 1..) | (Some(_), 0) => Mutation::insert(name, key, of_json(&value)),
            (_, 0..=3) => Mutation::delete(name, key),
            (_, 4..=5) => Mutation::replace(name, key, of_json(&value)),
            (Some(row), 6..=17) if !row.is_object() => {
                Mutation::replace(name, key, of_json(&value))
            }
            _ => {
                let fields = COLLECTIONS.get(collection).map_or(2, |(_, c)| c.len());
                let keep = self.rng.usize(1..=2);
                let mut set = Vec::new();
                for _ in 0..keep {
                    let field = self.rng.usize(..fields);
                    let field = COLLECTIONS
                        .get(collection)
                        .map_or(["a", "b"][field % 2], |(_, c)| c[field].0);
                    let value = value.get(field).map_or(V::Missing, of_json);
                    set.push((field, value));
                }
                Mutation::update(name, key, set)
            }
        }
    }

    fn mutate(&mut self) -> Result<(), String> {
        let new = TransactionId(self.rng.u64(..));
        let tx = match self.some_tx() {
            Some(tx) if self.rng.bool() => tx,
            _ => new,
        };
        let count = self.rng.usize(1..=3);
        let mutations: Vec<_> = (0..count).map(|_| self.mutation()).collect();
        self.log.push(format!("mutate {tx} {mutations:?}"));
        let expected = self.model.mutate(tx, &mutations);
        let changed = match (self.engine.mutate(tx, mutations), expected) {
            (Ok(changed), Ok(())) => changed,
            (Err(MutationError::DuplicateKey { .. }), Err("duplicate"))
            | (Err(MutationError::UnknownKey { .. }), Err("unknown"))
            | (Err(MutationError::NoFields { .. }), Err("no fields")) => BTreeMap::new(),
            (found, expected) => return Err(format!("{found:?}, expected {expected:?}")),
        };
        self.see(changed)
    }

    /// Takes some transactions back; most often one.
    fn rollback(&mut self) -> Result<(), String> {
        let mut txs: Vec<_> = self.some_tx().into_iter().collect();
        match self.rng.u32(..4) {
            0 => txs.push(TransactionId(7)),
            1 => {
                let cascade: Vec<_> = txs
                    .iter()
                    .flat_map(|tx| self.model.conflicts(*tx))
                    .collect();
                txs.extend(cascade);
            }
            _ => {}
        }
        self.log.push(format!("rollback {txs:?}"));
        self.model.forget(&txs);
        let changed = self.engine.rollback(txs);
        self.see(changed)
    }

    /// Applies a batch that confirms some transactions.
    fn batch(&mut self, messages: &[Value], txs: Vec<TransactionId>) -> Result<(), String> {
        self.log
            .push(format!("batch {} ends {txs:?}", json!(messages)));
        self.model.sync(|stream| stream.apply(messages));
        self.model.forget(&txs);
        let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        let batch = self.engine.decode(texts.iter().map(String::as_str));
        let changed = match batch.map_err(|e| e.to_string())? {
            batch if txs.is_empty() => self.engine.apply(batch),
            batch => self.engine.apply_confirming(batch, txs),
        };
        self.see(changed)
    }

    fn confirm(&mut self) -> Result<(), String> {
        let Some(tx) = self.some_tx() else {
            return Ok(());
        };
        let messages = self.model.confirming(tx);
        self.batch(&messages, vec![tx])
    }

    fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        for step in steps {
            for _ in 0..self.rng.usize(..=3) {
                match self.rng.u32(..100) {
                    0..60 => self.mutate(),
                    60..78 => self.rollback(),
                    _ => self.confirm(),
                }?;
            }
            match step {
                Step::Batch(messages) => {
                    let mut messages = messages.clone();
                    if self.config {
                        let key = KEYS[self.rng.usize(..4)];
                        let value = self.value(COLLECTIONS.len());
                        let message = match self.rng.u32(..4) {
                            0 => delete(CONFIG, key),
                            _ => put(CONFIG, key, value),
                        };
                        messages.insert(self.rng.usize(..=messages.len()), message);
                    }
                    let unconfirmed = self.some_tx().filter(|_| self.rng.u32(..10) == 0);
                    self.batch(&messages, unconfirmed.into_iter().collect())?;
                }
                Step::Clock(ms) => {
                    self.log.push(format!("clock {ms}"));
                    self.model.sync(|stream| stream.set_clock(*ms));
                    let changed = self.engine.set_clock(*ms);
                    self.see(changed)?;
                }
                Step::Window { .. } => {}
            }
        }
        self.log.push("finish".into());
        self.model.sync(oracle::Store::finish);
        let changed = self.engine.finish();
        self.see(changed)?;
        // Without anything pending, what came in is what is there.
        while self.some_tx().is_some() {
            self.rollback()?;
        }
        Ok(())
    }
}

/// Runs histories, each of queries and steps that are made for a seed.
fn histories(cases: u64, config: bool, make: impl Fn(u64) -> (Vec<Value>, Vec<Step>)) {
    let number =
        |name: &str, default| std::env::var(name).map_or(default, |v| v.parse().expect("a number"));
    let (first, cases) = (
        number("TAILWATER_SEED", 0),
        number("TAILWATER_CASES", cases),
    );
    for seed in first..first + cases {
        let (queries, steps) = make(seed);
        let mut history = History::new(seed, &queries, config).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| history.run(&steps)));
        let log = history.log.join("\n");
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("seed {seed}:\n{log}\n{error}"),
            Err(_) => panic!("seed {seed}: a panic, after\n{log}"),
        }
    }
}

#[test]
fn results_of_any_query_equal_a_recomputation() {
    histories(500, false, |seed| {
        let case = oracle::case(seed);
        let start = case.start().map(Step::Clock);
        let steps = start.into_iter().chain(case.steps).collect();
        (vec![case.query], steps)
    });
}

/// The batches of a seed.
fn batches(seed: u64) -> Vec<Step> {
    let batches = oracle::history(&mut Rng::with_seed(seed));
    batches.into_iter().map(Step::Batch).collect()
}

/// Queries that ask where rows come from, and some that do not.
fn fixed() -> Vec<Value> {
    let key = eq("o.link", "p.$key");
    let joined = |kind: &str| {
        json!({"from": source("orders", "o"), "join": [join(kind, source("people", "p"), key.clone())],
            "select": {"n": path("o.n"), "g": path("p.g"), "own": path("o.$synced"), "other": path("p.$origin")}})
    };
    let children = json!({"from": source("orders", "o"), "where": [key], "orderBy": [order("o.n")], "limit": 2,
        "select": {"n": path("o.n"), "synced": path("o.$synced")}});
    vec![
        json!({"from": from("people"), "where": [func("gt", &[path("people.n"), val(1)])]}),
        joined("inner"),
        joined("full"),
        json!({"from": from("people"), "groupBy": [path("people.g")],
            "select": {"g": path("people.g"), "n": agg("count", "people.$key"), "sum": agg("sum", "people.n")}}),
        json!({"from": from("orders"), "orderBy": [order_desc("orders.n")], "offset": 1, "limit": 3}),
        json!({"from": from("people"), "groupBy": [path("people.$origin")],
            "select": {"origin": path("people.$origin"), "n": agg("count", "people.$key")}}),
        json!({"from": from("orders"), "where": [func("not", &[path("orders.$synced")])],
            "orderBy": [order("orders.g")], "select": {"g": path("orders.g")}}),
        json!({"from": source("people", "p"), "select": {"g": path("p.g"), "orders": include(&children)}}),
        json!({"from": from("visits"), "distinct": true,
            "select": {"g": path("visits.g"), "synced": path("visits.$synced")}}),
        json!({"from": from("visits"), "orderBy": [order("visits.$synced"), order("visits.n")], "limit": 4,
            "select": {"n": path("visits.n")}}),
        json!({"from": from(CONFIG)}),
        json!({"from": from("edges")}),
    ]
}

#[test]
fn several_queries_move_together() {
    histories(250, true, |seed| (fixed(), batches(seed)));
}

#[test]
fn the_store_is_what_came_in_with_what_is_pending_on_top() {
    histories(2_000, true, |seed| (Vec::new(), batches(seed)));
}
