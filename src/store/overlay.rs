//! The optimistic overlay: changes of pending transactions on top of the rows that came in.
//!
//! The visible row of a key is the synced one with the pending edits applied in the order of their
//! transactions, each to its own fields: so taking one back never disturbs another, and what comes
//! in meanwhile shows wherever no edit covers it. Only keys with pending edits have their synced row
//! kept aside; all other rows are in the store once, and pay nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::edit::Edit;
use super::{Action, Changes, Mutation, MutationError, Rows, Store, TransactionId};
use crate::schema::{CollectionDef, RowDecoder};
use crate::value::{Row, Value, ValueRef};

/// A row's key, encoded.
type Key = Box<[u8]>;

/// A key with pending edits.
#[derive(Clone, Debug)]
struct Pending {
    collection: Arc<CollectionDef>,
    /// A row of which only the key counts.
    key: Row,
    synced: Option<Row>,
    /// One of a transaction, in their order.
    edits: Vec<(Place, Edit)>,
    /// Whether the visible row is to be composed anew.
    dirty: bool,
}

/// Where a transaction stands among the others, and which it is.
type Place = (u64, TransactionId);

impl Pending {
    /// What it holds, twice its key included.
    fn heap(&self) -> usize {
        let edits = self.edits.iter().map(|(_, edit)| edit.heap());
        let room = self.edits.capacity() * size_of::<(Place, Edit)>();
        let synced = self.synced.as_ref().map_or(0, Row::size);
        self.key.key().len() + self.key.size() + synced + room + edits.sum::<usize>()
    }

    fn visible(&self) -> Option<Row> {
        self.edits
            .iter()
            .fold(self.synced.clone(), |row, (_, edit)| {
                edit.apply(row, &self.collection)
            })
    }

    /// Adds an edit; whether it is the transaction's first one here.
    fn add(&mut self, place: Place, edit: Edit) -> bool {
        let found = self.edits.binary_search_by_key(&place, |(place, _)| *place);
        match found {
            Ok(i) => {
                let known = &mut self.edits[i].1;
                *known = std::mem::replace(known, Edit::Delete).then(edit, &self.collection);
            }
            Err(i) => self.edits.insert(i, (place, edit)),
        }
        found.is_err()
    }
}

/// The keys of one collection that have pending edits.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    pending: HashMap<Key, Pending>,
    dirty: Vec<Key>,
    /// What is pending holds on the heap, apart from keys that are dirty.
    heap: usize,
}

impl Overlay {
    /// About what it takes on the heap.
    pub(super) fn bytes(&self) -> usize {
        // The table of the standard library is at most seven eighths full.
        let table = self.pending.capacity() * (size_of::<(Key, Pending)>() + 1) * 8 / 7;
        table + self.dirty.capacity() * size_of::<Key>() + self.heap
    }

    /// Takes over what came in of a key; false if nothing is pending on it.
    pub(super) fn sync(&mut self, key: &[u8], row: Option<&Row>) -> bool {
        let Some(pending) = self.pending.get_mut(key) else {
            return false;
        };
        touch(pending, &mut self.dirty, &mut self.heap);
        pending.synced = row.cloned();
        true
    }

    /// Forgets all that came in.
    pub(super) fn clear(&mut self) {
        for pending in self.pending.values_mut() {
            touch(pending, &mut self.dirty, &mut self.heap);
            pending.synced = None;
        }
    }

    /// Brings the visible rows of the keys that were touched up to date; whether nothing is pending
    /// any more.
    pub(super) fn settle(&mut self, rows: &mut Rows) -> bool {
        for key in self.dirty.drain(..) {
            let pending = self.pending.get_mut(&key).expect("it was touched");
            pending.dirty = false;
            match pending.visible() {
                Some(row) => rows.put(row),
                None => rows.delete(&pending.key),
            }
            match pending.edits.is_empty() {
                true => drop(self.pending.remove(&key)),
                false => self.heap += pending.heap(),
            }
        }
        self.pending.is_empty()
    }

    fn set(&mut self, key: Key, mut pending: Pending) {
        let known = self.pending.get(&key);
        self.heap -= known.filter(|known| !known.dirty).map_or(0, Pending::heap);
        if !std::mem::replace(&mut pending.dirty, true) {
            self.dirty.push(key.clone());
        }
        self.pending.insert(key, pending);
    }

    fn withdraw(&mut self, key: &[u8], place: Place) {
        let pending = self.pending.get_mut(key).expect("its edits are pending");
        touch(pending, &mut self.dirty, &mut self.heap);
        pending.edits.retain(|(p, _)| *p != place);
    }
}

/// To be called before it changes.
fn touch(pending: &mut Pending, dirty: &mut Vec<Key>, heap: &mut usize) {
    if !std::mem::replace(&mut pending.dirty, true) {
        *heap -= pending.heap();
        dirty.push(pending.key.key().into());
    }
}

/// The pending transactions.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    known: HashMap<TransactionId, Transaction>,
    /// How many there ever were.
    count: u64,
}

#[derive(Debug)]
struct Transaction {
    place: Place,
    /// What it has edits of: collections and keys.
    keys: Vec<(usize, Key)>,
}

impl Store {
    /// Adds mutations to a pending transaction, all of them or none, and says what that changes in
    /// the visible rows, by collection.
    ///
    /// They apply on top of what came in and of the transactions whose first mutation was earlier.
    ///
    /// # Errors
    ///
    /// At the first mutation that does not suit the rows visible by then.
    pub fn mutate(
        &mut self,
        tx: TransactionId,
        mutations: impl IntoIterator<Item = Mutation>,
    ) -> Result<BTreeMap<usize, Changes>, MutationError> {
        let known = self.transactions.known.get(&tx);
        let place = known.map_or((self.transactions.count, tx), |known| known.place);
        let mut decoder = RowDecoder::default();
        let mut staged: BTreeMap<(usize, Key), Pending> = BTreeMap::new();
        let mut keys = Vec::new();
        for mutation in mutations {
            let collection = self.catalog.by_name(&mutation.collection).ok_or_else(|| {
                let collection = mutation.collection.clone();
                MutationError::UnknownCollection { collection }
            })?;
            let key = Row::of([ValueRef::Str(&mutation.key)]);
            let at = (collection.id(), Key::from(key.key()));
            let pending = staged.entry(at.clone()).or_insert_with(|| {
                self.pending(at.0, &at.1)
                    .cloned()
                    .unwrap_or_else(|| Pending {
                        synced: self.visible(at.0, &at.1).cloned(),
                        collection: collection.clone(),
                        key,
                        edits: Vec::new(),
                        dirty: false,
                    })
            });
            let visible = pending.visible();
            let edit = mutation.edit(&collection, visible.as_ref(), &mut decoder)?;
            if pending.add(place, edit) {
                keys.push(at);
            }
        }
        if !keys.is_empty() {
            let known = self.transactions.known.entry(tx).or_insert_with(|| {
                self.transactions.count += 1;
                Transaction {
                    place,
                    keys: Vec::new(),
                }
            });
            known.keys.append(&mut keys);
        }
        for ((collection, key), pending) in staged {
            let overlay = &mut self.state(collection).overlay;
            overlay.get_or_insert_default().set(key, pending);
        }
        Ok(self.commit())
    }

    /// Applies a batch and forgets the mutations of some transactions, in one step: what a
    /// transaction foretold and the batch confirms does not change at all. Transactions that have
    /// no mutations do not matter.
    pub fn apply_confirming(
        &mut self,
        batch: impl IntoIterator<Item = Action>,
        txs: impl IntoIterator<Item = TransactionId>,
    ) -> BTreeMap<usize, Changes> {
        for tx in txs {
            let Some(transaction) = self.transactions.known.remove(&tx) else {
                continue;
            };
            for (collection, key) in &transaction.keys {
                let overlay = self.state(*collection).overlay.as_mut();
                let overlay = overlay.expect("its edits are pending");
                overlay.withdraw(key, transaction.place);
            }
        }
        self.apply(batch)
    }

    /// The pending transactions that came later than this one and touch a row that it touches, in
    /// their order.
    pub fn pending_conflicts(&self, tx: TransactionId) -> Vec<TransactionId> {
        let mut later = BTreeSet::new();
        if let Some(transaction) = self.transactions.known.get(&tx) {
            for (collection, key) in &transaction.keys {
                let edits = self.pending(*collection, key).into_iter();
                let places = edits.flat_map(|p| &p.edits).map(|(place, _)| *place);
                later.extend(places.filter(|place| *place > transaction.place));
            }
        }
        later.into_iter().map(|(_, tx)| tx).collect()
    }

    /// Whether a pending transaction touches a row, be it there or not.
    pub fn is_pending(&self, collection: &CollectionDef, key: &str) -> bool {
        let key = Row::of([ValueRef::Str(key)]);
        self.pending(collection.id(), key.key()).is_some()
    }

    /// The visible row of a key.
    pub fn get(&self, collection: &CollectionDef, key: &str) -> Option<Value> {
        let key = Row::of([ValueRef::Str(key)]);
        let row = self.visible(collection.id(), key.key())?;
        Some(collection.columns().fields(row).value())
    }

    /// The row of a key as it came in, without what is pending.
    pub fn synced(&self, collection: &CollectionDef, key: &str) -> Option<Value> {
        let key = Row::of([ValueRef::Str(key)]);
        let row = match self.pending(collection.id(), key.key()) {
            Some(pending) => pending.synced.as_ref(),
            None => self.visible(collection.id(), key.key()),
        }?;
        Some(collection.columns().fields(row).value())
    }

    /// The row of a key as a transaction leaves it: with its mutations, those of transactions before
    /// it, and of the later ones those of some. The outer option is `None` if it has no mutation of
    /// the row.
    pub fn as_of(
        &self,
        collection: &CollectionDef,
        key: &str,
        tx: TransactionId,
        with: impl Fn(TransactionId) -> bool,
    ) -> Option<Option<Value>> {
        let key = Row::of([ValueRef::Str(key)]);
        let pending = self.pending(collection.id(), key.key())?;
        let last = pending.edits.iter().position(|((_, of), _)| *of == tx)?;
        let (before, after) = pending.edits.split_at(last + 1);
        let after = after.iter().filter(|((_, of), _)| with(*of));
        let row = before
            .iter()
            .chain(after)
            .fold(pending.synced.clone(), |row, (_, edit)| {
                edit.apply(row, collection)
            });
        Some(row.map(|row| collection.columns().fields(&row).value()))
    }

    /// All rows of a collection as they came in, in no order, without what is pending.
    pub fn synced_rows(&self, collection: &CollectionDef) -> impl Iterator<Item = &Row> {
        let state = self.collections.get(collection.id());
        let overlay = state.and_then(|state| state.overlay.as_deref());
        let is_synced =
            move |row: &&Row| overlay.is_none_or(|o| !o.pending.contains_key(row.key()));
        let rows = state.into_iter().flat_map(|state| state.rows.iter());
        let pending = overlay.into_iter().flat_map(|o| o.pending.values());
        rows.filter(is_synced)
            .chain(pending.filter_map(|pending| pending.synced.as_ref()))
    }

    fn visible(&self, collection: usize, key: &[u8]) -> Option<&Row> {
        self.collections.get(collection)?.rows.get(key)
    }

    fn pending(&self, collection: usize, key: &[u8]) -> Option<&Pending> {
        let overlay = self.collections.get(collection)?.overlay.as_ref()?;
        overlay.pending.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Catalog;

    fn pending(store: &Store) -> usize {
        let overlays = store.collections.iter().filter_map(|c| c.overlay.as_ref());
        overlays.map(|overlay| overlay.pending.len()).sum()
    }

    #[test]
    fn nothing_is_kept_of_transactions_that_ended() {
        let mut store = Store::new(Arc::new(Catalog::open()));
        for i in 0..10 {
            let insert = |key: u64| Mutation::insert("t", key.to_string(), Value::from(1));
            let done = store.mutate(TransactionId(i), [insert(i), insert(100 + i)]);
            assert_eq!(done.unwrap()[&0].len(), 2);
        }
        assert_eq!(pending(&store), 20);
        let overlay = store.collections[0].overlay.as_deref().unwrap();
        let held: usize = overlay.pending.values().map(Pending::heap).sum();
        assert_eq!(overlay.heap, held);
        store.apply_confirming([], (0..9).map(TransactionId));
        assert_eq!(pending(&store), 2);
        let overlay = store.collections[0].overlay.as_deref().unwrap();
        let held: usize = overlay.pending.values().map(Pending::heap).sum();
        assert_eq!(overlay.heap, held);
        store.apply_confirming([], [TransactionId(9), TransactionId(10)]);
        assert_eq!(store.collections[0].rows.len(), 0);
        assert!(store.collections.iter().all(|c| c.overlay.is_none()));
        assert!(store.transactions.known.is_empty());
    }

    #[test]
    fn a_refused_call_is_no_first_mutation() {
        let mut store = Store::new(Arc::new(Catalog::open()));
        let [a, b] = [1, 2].map(TransactionId);
        let insert = |key: &str| Mutation::insert("t", key, Value::from(1));
        let refused = store.mutate(a, [insert("x"), insert("x")]);
        assert!(refused.is_err() && store.transactions.known.is_empty());
        assert_eq!(pending(&store), 0);
        store.mutate(a, []).unwrap();
        store.mutate(b, [insert("x")]).unwrap();
        let last = Mutation::replace("t", "x", Value::from(2));
        store.mutate(a, [last]).unwrap();
        assert_eq!(
            (store.pending_conflicts(b), store.pending_conflicts(a)),
            (vec![a], vec![])
        );
    }
}
