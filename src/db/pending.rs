//! What the engine's thread knows of transactions that are not over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smol_str::SmolStr;

use super::context::PendingMutation;
use super::core::Core;
use super::error::DbError;
use super::mutate::MutateError;
use super::status::Status;
use super::transaction::{Outcome, Shared, TransactionError, TransactionState};
use crate::engine::Engine;
use crate::protocol::{ChangeEvent, Operation};
use crate::schema::CollectionDef;
use crate::store::{Action, Mutation, TransactionId};
use crate::value::Value;
use crate::view::ChangeKind;

/// The transactions that are not over, by number.
#[derive(Default)]
pub(super) struct Pending {
    open: BTreeMap<u64, Open>,
    /// Which transaction a part belongs to.
    owners: BTreeMap<TransactionId, u64>,
    transactions: u64,
    parts: u64,
}

/// A transaction that is not over.
///
/// For the engine each call that mutates is a transaction of its own, a *part*: so it is on top of
/// what was visible when it was made, and can be taken back alone.
struct Open {
    tx: Arc<Shared>,
    parts: Vec<TransactionId>,
    log: Vec<Entry>,
    /// What confirms it and did not come yet.
    txids: BTreeSet<SmolStr>,
    /// Whether its events are in the stream, and on their way back.
    appended: bool,
}

/// What a part did to a row.
struct Entry {
    part: TransactionId,
    collection: Arc<CollectionDef>,
    key: SmolStr,
    before: Value,
    after: Value,
}

impl Pending {
    /// Takes note of transactions that were seen, and gives the numbers of those that are confirmed now.
    pub(super) fn confirmed_by(&mut self, txids: &[SmolStr]) -> Vec<u64> {
        let mut confirmed = Vec::new();
        for (id, open) in &mut self.open {
            let waits = !open.txids.is_empty();
            txids.iter().for_each(|txid| drop(open.txids.take(txid)));
            if waits && open.txids.is_empty() {
                confirmed.push(*id);
            }
        }
        confirmed
    }

    fn get(&self, tx: &Shared, state: TransactionState) -> Result<&Open, MutateError> {
        let open = self.open.get(&tx.id).filter(|_| tx.state() == state);
        open.ok_or_else(|| MutateError::Over {
            transaction: tx.id,
            state: tx.state(),
        })
    }

    /// Takes the parts of some transactions out.
    fn take_parts(&mut self, transactions: &[u64]) -> Vec<TransactionId> {
        let mut parts = Vec::new();
        for id in transactions {
            if let Some(open) = self.open.get_mut(id) {
                parts.append(&mut open.parts);
            }
        }
        for part in &parts {
            self.owners.remove(part);
        }
        parts
    }

    /// The other transactions that build on parts of one, directly or not.
    fn built_on(&self, engine: &Engine, id: u64, parts: &[TransactionId]) -> Vec<u64> {
        let mut others: Vec<u64> = Vec::new();
        let mut next = parts.to_vec();
        while let Some(part) = next.pop() {
            for later in engine.pending_conflicts(part) {
                let Some(&owner) = self.owners.get(&later) else {
                    continue;
                };
                if owner != id && !others.contains(&owner) {
                    others.push(owner);
                    next.extend(&self.open[&owner].parts);
                }
            }
        }
        others.sort_unstable();
        others
    }
}

impl Core {
    /// Whether rows can be changed: the stream is read, and all that was in it is visible.
    fn check_writable(&self) -> Result<(), MutateError> {
        match self.shared.status() {
            Status::Ready => Ok(()),
            Status::Idle | Status::Loading => Err(DbError::NotReady.into()),
            Status::Ended => Err(MutateError::Ended),
            Status::Error(error) => Err(error.into()),
            Status::Closed => Err(DbError::Closed.into()),
        }
    }

    /// Begins a transaction.
    pub(super) fn open_transaction(&mut self) -> Result<Arc<Shared>, MutateError> {
        self.check_writable()?;
        self.pending.transactions += 1;
        let tx = Shared::new(self.pending.transactions);
        let open = Open {
            tx: tx.clone(),
            parts: Vec::new(),
            log: Vec::new(),
            txids: BTreeSet::new(),
            appended: false,
        };
        self.pending.open.insert(tx.id, open);
        Ok(tx)
    }

    /// The visible row of a key.
    pub(super) fn row(&self, collection: &str, key: &str) -> Result<Option<Value>, MutateError> {
        let collection = self.collection(collection)?;
        Ok(self.engine.store().get(&collection, key))
    }

    fn collection(&self, name: &str) -> Result<Arc<CollectionDef>, MutateError> {
        let found = self.engine.catalog().by_name(name);
        found.ok_or_else(|| {
            let collection = name.into();
            crate::store::MutationError::UnknownCollection { collection }.into()
        })
    }

    /// Makes changes of a transaction visible, all of them or none, in one step.
    pub(super) fn mutate(
        &mut self,
        tx: &Shared,
        mutations: Vec<Mutation>,
    ) -> Result<TransactionId, MutateError> {
        self.check_writable()?;
        self.pending.get(tx, TransactionState::Pending)?;
        self.pending.parts += 1;
        let part = TransactionId(self.pending.parts);
        let mut entries: BTreeMap<(usize, SmolStr), Entry> = BTreeMap::new();
        for mutation in &mutations {
            let collection = self.collection(&mutation.collection)?;
            let key = mutation.key.clone();
            if key.is_empty() {
                let collection = collection.name().clone();
                return Err(MutateError::EmptyKey { collection });
            }
            let store = self.engine.store();
            entries
                .entry((collection.id(), key.clone()))
                .or_insert_with(|| Entry {
                    part,
                    before: store.get(&collection, &key).unwrap_or_default(),
                    after: Value::Missing,
                    collection,
                    key,
                });
        }
        self.tick_if_needed();
        let changes = self.engine.mutate(part, mutations)?;
        let store = self.engine.store();
        for entry in entries.values_mut() {
            entry.after = store.get(&entry.collection, &entry.key).unwrap_or_default();
        }
        let open = self.pending.open.get_mut(&tx.id).expect("it is open");
        open.parts.push(part);
        open.log.extend(entries.into_values());
        self.pending.owners.insert(part, tx.id);
        self.shared.set_pending(self.pending.owners.len());
        self.publish(changes);
        Ok(part)
    }

    /// Takes parts of a transaction back that is still open, and other transactions that build on them.
    pub(super) fn revert(&mut self, tx: &Shared, parts: &[TransactionId]) {
        let Some(open) = self.pending.open.get_mut(&tx.id) else {
            return;
        };
        open.parts.retain(|part| !parts.contains(part));
        open.log.retain(|entry| !parts.contains(&entry.part));
        for part in parts {
            self.pending.owners.remove(part);
        }
        let others = self.pending.built_on(&self.engine, tx.id, parts);
        let mut gone = self.pending.take_parts(&others);
        gone.extend(parts);
        self.withdraw(gone);
        self.cascade(tx.id, &others, &TransactionError::RolledBack);
    }

    /// Ends the time in which a transaction can be added to, and says what it changed. Without any
    /// change it is completed.
    pub(super) fn begin_commit(
        &mut self,
        tx: &Arc<Shared>,
    ) -> Result<Vec<PendingMutation>, MutateError> {
        let open = self.pending.get(tx, TransactionState::Pending)?;
        let mutations = net(&open.log);
        if mutations.is_empty() {
            let (tx, result) = (tx.clone(), Ok(()));
            self.finish(Outcome { tx, result });
        } else {
            tx.persist();
        }
        Ok(mutations)
    }

    /// Lets a transaction be confirmed by what comes with a txid; at once if that came already.
    pub(super) fn expect_txid(&mut self, tx: &Shared, txid: SmolStr) {
        let Some(open) = self.pending.open.get_mut(&tx.id) else {
            return;
        };
        if !self.shared.txids.has(&txid) {
            open.txids.insert(txid);
        }
        if open.txids.is_empty() {
            self.confirm(&[tx.id], Vec::new());
        }
    }

    /// Applies a batch that confirms some transactions.
    pub(super) fn confirm(&mut self, transactions: &[u64], batch: Vec<Action>) {
        let parts = self.pending.take_parts(transactions);
        self.step(|engine| engine.apply_confirming(batch, parts));
        #[cfg(all(test, feature = "serve"))]
        super::simulated::stepped(self);
        self.shared.set_pending(self.pending.owners.len());
        for id in transactions {
            self.pending.open[id].tx.confirm();
        }
    }

    /// What of a transaction's changes is to be appended, as they look now: on top of what came in and
    /// of earlier transactions, and with those of later ones that are appended already.
    pub(super) fn events(
        &self,
        tx: &Shared,
        mutations: &[PendingMutation],
        txid: &SmolStr,
    ) -> Result<Vec<ChangeEvent>, MutateError> {
        self.pending.get(tx, TransactionState::Persisting)?;
        let is_appended = |part| {
            let owner = self.pending.owners.get(&part);
            owner.is_some_and(|owner| self.pending.open[owner].appended)
        };
        let mut events = Vec::with_capacity(mutations.len());
        for mutation in mutations {
            let collection = self.collection(&mutation.collection)?;
            let store = self.engine.store();
            let row = store.as_of(&collection, &mutation.key, mutation.part, is_appended);
            let row = row.unwrap_or_else(|| mutation.new.clone());
            let (operation, value) = match (mutation.kind, row) {
                (ChangeKind::Insert, Some(row)) => (Operation::Insert, row),
                (ChangeKind::Update, Some(row)) => (Operation::Update, row),
                (ChangeKind::Delete, None) => (Operation::Delete, Value::Missing),
                // Another change of the row is what counts.
                _ => continue,
            };
            events.push(ChangeEvent {
                event_type: collection.event_type().clone(),
                key: mutation.key.clone(),
                operation,
                value,
                old_value: mutation.old.clone().unwrap_or_default(),
                txid: Some(txid.clone()),
                timestamp: None,
                headers: BTreeMap::new(),
            });
        }
        Ok(events)
    }

    /// Takes note that a transaction's events are in the stream.
    pub(super) fn set_appended(&mut self, tx: &Shared) {
        if let Some(open) = self.pending.open.get_mut(&tx.id) {
            open.appended = true;
        }
    }

    /// Ends a transaction as its mutation function did.
    pub(super) fn finish(&mut self, outcome: Outcome) {
        let tx = &outcome.tx;
        match &outcome.result {
            Err(error) if !tx.is_confirmed() => self.roll_back(tx, error.clone()),
            _ => {
                let parts = self.pending.take_parts(&[tx.id]);
                self.withdraw(parts);
                self.pending.open.remove(&tx.id);
            }
        }
        // Dropping the outcome tells how it ended.
    }

    /// Fails a transaction, and the later ones that build on it.
    pub(super) fn roll_back(&mut self, tx: &Shared, error: TransactionError) {
        let Some(open) = self.pending.open.get(&tx.id) else {
            return;
        };
        let others = self.pending.built_on(&self.engine, tx.id, &open.parts);
        let mut gone = self.pending.take_parts(&[tx.id]);
        gone.extend(self.pending.take_parts(&others));
        self.withdraw(gone);
        self.pending.open.remove(&tx.id);
        self.cascade(tx.id, &others, &error);
        tx.settle(Err(error));
    }

    fn cascade(&mut self, transaction: u64, others: &[u64], cause: &TransactionError) {
        let cause = Arc::new(cause.clone());
        for id in others {
            let Some(open) = self.pending.open.remove(id) else {
                continue;
            };
            let cause = cause.clone();
            open.tx
                .settle(Err(TransactionError::Cascade { transaction, cause }));
        }
    }

    /// Drops parts from what is visible.
    fn withdraw(&mut self, parts: Vec<TransactionId>) {
        if !parts.is_empty() {
            self.tick_if_needed();
            self.step(|engine| engine.rollback(parts));
        }
        self.shared.set_pending(self.pending.owners.len());
    }

    /// Fails all transactions, as the stream is read no further; but those that it has confirmed.
    pub(super) fn end_transactions(&mut self) {
        let all: Vec<u64> = self.pending.open.keys().copied().collect();
        let parts = self.pending.take_parts(&all);
        self.withdraw(parts);
        self.abandon_transactions();
    }

    /// As [`Core::end_transactions`], but rows stay as they are.
    pub(super) fn abandon_transactions(&mut self) {
        self.pending.owners.clear();
        let error = match self.shared.status() {
            Status::Ended => TransactionError::Ended,
            status => status.error().unwrap_or(DbError::Closed).into(),
        };
        for (_, open) in std::mem::take(&mut self.pending.open) {
            if !open.tx.is_confirmed() {
                open.tx.settle(Err(error.clone()));
            }
        }
        self.shared.set_pending(0);
    }
}

/// What is left of the changes of a transaction, one of each row, in the order in which the rows were
/// first touched.
fn net(log: &[Entry]) -> Vec<PendingMutation> {
    let mut places: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    let mut rows: Vec<(&Entry, &Entry)> = Vec::new();
    for entry in log {
        let row = (entry.collection.id(), entry.key.as_str());
        match places.get(&row) {
            Some(&place) => rows[place].1 = entry,
            None => {
                places.insert(row, rows.len());
                rows.push((entry, entry));
            }
        }
    }
    let is_there = |value: &Value| *value != Value::Missing;
    let mutation = |(first, last): (&Entry, &Entry)| {
        let kind = match (is_there(&first.before), is_there(&last.after)) {
            (false, true) => ChangeKind::Insert,
            (true, false) => ChangeKind::Delete,
            (true, true) if first.before != last.after => ChangeKind::Update,
            _ => return None,
        };
        Some(PendingMutation {
            collection: first.collection.name().clone(),
            key: first.key.clone(),
            kind,
            old: Some(first.before.clone()).filter(is_there),
            new: Some(last.after.clone()).filter(is_there),
            part: last.part,
        })
    };
    rows.into_iter().filter_map(mutation).collect()
}
