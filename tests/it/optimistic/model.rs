//! A plain model of rows with pending transactions on top: every row composed from scratch.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tailwater::store::{Mutation, MutationKind, TransactionId};
use tailwater::value::{self, Value as V};

use crate::oracle::{self, COLLECTIONS};
use crate::support::*;

/// The collection whose rows may be no objects.
pub(super) const CONFIG: &str = "config";

pub(super) fn to_json(value: &V) -> Value {
    serde_json::from_str(&value.to_string()).unwrap()
}

pub(super) fn of_json(value: &Value) -> V {
    value::from_json(&value.to_string()).unwrap()
}

/// The rows of all collections.
pub(super) type Tables = BTreeMap<(String, String), Value>;

/// What came in and what is pending.
#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) stream: oracle::Store,
    /// What the stream has made of the rows.
    pub(super) synced: Tables,
    /// In the order of their first mutation.
    pub(super) pending: Vec<(TransactionId, Vec<Mutation>)>,
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
    pub(super) fn sync(&mut self, feed: impl FnOnce(&mut oracle::Store)) {
        feed(&mut self.stream);
        let names = COLLECTIONS.iter().map(|(name, _)| *name).chain([CONFIG]);
        let table = |name: &'static str| {
            let rows = self.stream.rows(name).into_iter();
            rows.map(move |(key, row)| ((name.to_owned(), key), row.to_json().unwrap()))
        };
        self.synced = names.flat_map(table).collect();
    }

    pub(super) fn mutations(&self) -> impl Iterator<Item = &Mutation> {
        self.pending.iter().flat_map(|(_, mutations)| mutations)
    }

    pub(super) fn visible(&self) -> Tables {
        let mut tables = self.synced.clone();
        for mutation in self.mutations() {
            let at = place(mutation);
            let row = tables.remove(&at);
            tables.extend(edited(row, &mutation.kind).map(|row| (at, row)));
        }
        tables
    }

    pub(super) fn pending_keys(&self) -> BTreeSet<(String, String)> {
        self.mutations().map(place).collect()
    }

    /// What queries see. Where rows come from stands in fields of their own, for queries that ask.
    pub(super) fn shown(&self, visible: &Tables, with_origin: bool) -> oracle::Store {
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
    pub(super) fn mutate(
        &mut self,
        tx: TransactionId,
        mutations: &[Mutation],
    ) -> Result<(), &'static str> {
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

    pub(super) fn forget(&mut self, txs: &[TransactionId]) {
        self.pending.retain(|(tx, _)| !txs.contains(tx));
    }

    pub(super) fn conflicts(&self, tx: TransactionId) -> Vec<TransactionId> {
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
    pub(super) fn confirming(&self, tx: TransactionId) -> Vec<Value> {
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
