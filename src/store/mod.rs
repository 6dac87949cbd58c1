//! The current rows of every collection, what is pending on top of them, and what a batch of messages
//! changes in them.
//!
//! The store stands outside of the dataflow: it is the source of retractions (key and new value
//! become the old row out, the new row in), of snapshots for new queries, and of the arrangements
//! that joins share.

mod arrangement;
mod decode;
mod edit;
mod mutation;
mod overlay;
mod route;
mod rows;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::{Rc, Weak};
use std::sync::Arc;

pub use arrangement::{Arrangement, Index};
pub use decode::{Action, DecodeError, Decoder};
pub use mutation::{Mutation, MutationError, MutationKind, TransactionId};
use overlay::{Overlay, Transactions};
pub use route::Router;
use rows::Rows;

use smallvec::SmallVec;

use crate::plan::{Expr, Scan};
use crate::schema::{Catalog, CollectionDef};
use crate::value::Row;

/// What a batch changed in one collection: the old and the new row of a key, which differ.
pub type Changes = Vec<(Option<Row>, Option<Row>)>;

/// So many changes are looked up together.
const CHUNK: usize = 64;

type Chunk = SmallVec<[Action; CHUNK]>;

/// The rows of all collections of a catalog.
#[derive(Debug)]
pub struct Store {
    catalog: Arc<Catalog>,
    collections: Vec<CollectionState>,
    /// A `reset` came that nothing followed yet.
    reset: bool,
    /// The open snapshots: of one collection each, or of whatever occurs.
    snapshots: BTreeMap<Option<usize>, Snapshot>,
    transactions: Transactions,
}

#[derive(Debug, Default)]
struct CollectionState {
    /// The visible rows: those that came in, with what is pending on top.
    rows: Rows,
    /// What came in under the keys of pending changes, and these; none without pending changes.
    overlay: Option<Box<Overlay>>,
    arrangements: Arrangements,
}

/// The arrangements of a collection, as long as somebody holds them.
#[derive(Debug, Default)]
struct Arrangements {
    all: BTreeMap<u64, Held>,
    router: Router<u64>,
    next: u64,
}

#[derive(Debug)]
struct Held {
    filter: Vec<Expr>,
    keys: Vec<Expr>,
    arrangement: Weak<RefCell<Arrangement>>,
}

impl Arrangements {
    fn find(&self, filter: &[Expr], keys: &[Expr]) -> Option<Rc<RefCell<Arrangement>>> {
        let mut held = self.all.values();
        held.find(|held| held.filter == filter && held.keys == keys)?
            .arrangement
            .upgrade()
    }

    fn insert(&mut self, filter: Vec<Expr>, keys: Vec<Expr>, new: &Rc<RefCell<Arrangement>>) {
        self.router.insert(&filter, self.next);
        let held = Held {
            filter,
            keys,
            arrangement: Rc::downgrade(new),
        };
        self.all.insert(self.next, held);
        self.next += 1;
    }

    /// Forgets what nobody holds any more.
    fn sweep(&mut self) {
        self.all.retain(|id, held| {
            let is_held = held.arrangement.strong_count() > 0;
            if !is_held {
                self.router.remove(&held.filter, *id);
            }
            is_held
        });
    }

    fn update(&self, changes: &Changes, scratch: &mut Vec<u8>) {
        let get = |id| self.all[&id].arrangement.upgrade();
        for arrangement in self.router.rest().iter().filter_map(|id| get(*id)) {
            arrangement.borrow_mut().update(changes);
        }
        if !self.router.is_indexed() {
            return;
        }
        for (old, new) in changes {
            if old.is_some() {
                self.router.of(old, scratch, |id| {
                    get(id).inspect(|arrangement| arrangement.borrow_mut().remove(old));
                });
            }
            if new.is_some() {
                self.router.of(new, scratch, |id| {
                    get(id).inspect(|arrangement| arrangement.borrow_mut().insert(new));
                });
            }
        }
    }
}

/// The rows of a snapshot that is still coming in, by collection and key.
#[derive(Debug, Default)]
struct Snapshot {
    collections: HashMap<usize, HashMap<Vec<u8>, Row>>,
    /// What the rows and their keys take.
    bytes: usize,
}

impl Snapshot {
    fn put(&mut self, collection: usize, row: Row) {
        let rows = self.collections.entry(collection).or_default();
        self.bytes += row.key().len() + row.size();
        if let Some(old) = rows.insert(row.key().to_vec(), row) {
            self.bytes -= old.key().len() + old.size();
        }
    }

    fn delete(&mut self, collection: usize, key: &Row) {
        let rows = self.collections.entry(collection).or_default();
        if let Some(old) = rows.remove(key.key()) {
            self.bytes -= old.key().len() + old.size();
        }
    }

    fn bytes(&self) -> usize {
        let room = |rows: &HashMap<Vec<u8>, Row>| {
            // The table of the standard library is at most seven eighths full.
            rows.capacity() * (size_of::<(Vec<u8>, Row)>() + 1) * 8 / 7
        };
        self.bytes + self.collections.values().map(room).sum::<usize>()
    }
}

/// What a collection takes in memory.
pub(crate) struct CollectionSize<'s> {
    pub(crate) id: usize,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    arrangements: &'s Arrangements,
}

/// What an arrangement of a collection takes in memory, without the rows themselves.
pub(crate) struct IndexSize<'s> {
    pub(crate) keys: &'s [Expr],
    pub(crate) filter: &'s [Expr],
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

impl<'s> CollectionSize<'s> {
    pub(crate) fn indexes(&self) -> impl Iterator<Item = IndexSize<'s>> + use<'s> {
        self.arrangements.all.values().filter_map(|held| {
            let arrangement = held.arrangement.upgrade()?;
            let arrangement = arrangement.borrow();
            Some(IndexSize {
                keys: &held.keys,
                filter: &held.filter,
                rows: arrangement.len(),
                bytes: arrangement.bytes(),
            })
        })
    }
}

impl CollectionState {
    fn put(&mut self, row: Row) {
        let overlay = self.overlay.as_mut();
        if !overlay.is_some_and(|overlay| overlay.sync(row.key(), Some(&row))) {
            self.rows.put(row);
        }
    }

    fn delete(&mut self, key: &Row) {
        let overlay = self.overlay.as_mut();
        if !overlay.is_some_and(|overlay| overlay.sync(key.key(), None)) {
            self.rows.delete(key);
        }
    }

    fn clear(&mut self) {
        self.rows.clear();
        if let Some(overlay) = &mut self.overlay {
            overlay.clear();
        }
    }

    fn size(&self, id: usize) -> CollectionSize<'_> {
        let pending = self.overlay.as_ref().map_or(0, |overlay| overlay.bytes());
        CollectionSize {
            id,
            rows: self.rows.len(),
            bytes: self.rows.bytes() + pending,
            arrangements: &self.arrangements,
        }
    }

    fn commit(&mut self) -> Changes {
        if let Some(overlay) = &mut self.overlay
            && overlay.settle(&mut self.rows)
        {
            self.overlay = None;
        }
        self.rows.commit()
    }
}

impl Store {
    /// An empty store.
    pub fn new(catalog: Arc<Catalog>) -> Store {
        Store {
            catalog,
            collections: Vec::new(),
            reset: false,
            snapshots: BTreeMap::new(),
            transactions: Transactions::default(),
        }
    }

    /// The collections of the store.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    fn state(&mut self, collection: usize) -> &mut CollectionState {
        if self.collections.len() <= collection {
            self.collections
                .resize_with(collection + 1, CollectionState::default);
        }
        &mut self.collections[collection]
    }

    /// The number of rows of a collection that are visible.
    pub fn len(&self, collection: &CollectionDef) -> usize {
        self.collections
            .get(collection.id())
            .map_or(0, |state| state.rows.len())
    }

    /// All visible rows of a collection, in no order: what came in, with the changes of pending
    /// transactions on top.
    pub fn rows(&self, collection: &CollectionDef) -> impl Iterator<Item = &Row> {
        self.collections
            .get(collection.id())
            .into_iter()
            .flat_map(|state| state.rows.iter())
    }

    /// Applies a batch as one step and says what it changed, by collection.
    ///
    /// Whatever the batch repeats, undoes or says of unknown keys, a key has at most one old and
    /// one new row in the result, and they differ. `reset` takes effect with the change that
    /// follows it, and a snapshot with its end, so that no reader sees the empty state between.
    pub fn apply(&mut self, batch: impl IntoIterator<Item = Action>) -> BTreeMap<usize, Changes> {
        let mut batch = batch.into_iter();
        let mut chunk = Chunk::new();
        loop {
            chunk.extend(batch.by_ref().take(CHUNK));
            if chunk.is_empty() {
                return self.commit();
            }
            self.warm(&chunk);
            chunk.drain(..).for_each(|action| self.act(action));
        }
    }

    /// Looks up where a chunk will change rows. One look-up by itself waits for memory again and again;
    /// the processor does many at once as long as nothing is written between them.
    fn warm(&self, chunk: &Chunk) {
        if chunk.len() < CHUNK / 4 {
            return;
        }
        let guess = |action: &Action| {
            let (Action::Put {
                collection,
                row: key,
            }
            | Action::Delete { collection, key }) = action
            else {
                return None;
            };
            let rows = &self.collections.get(*collection)?.rows;
            Some((rows, rows.guess(key)?))
        };
        let found: SmallVec<[_; CHUNK]> = chunk.iter().filter_map(guess).collect();
        let warmed: usize = found.iter().map(|(rows, at)| rows.warm(*at)).sum();
        std::hint::black_box(warmed);
    }

    /// Applies a `reset` that the input ended with.
    pub fn finish(&mut self) -> BTreeMap<usize, Changes> {
        self.take_reset();
        self.commit()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Reset => {
                self.snapshots.clear();
                self.reset = true;
            }
            Action::SnapshotStart(collection) => {
                let rows = collection.map(|id| (id, HashMap::new()));
                let snapshot = Snapshot {
                    collections: rows.into_iter().collect(),
                    bytes: 0,
                };
                self.snapshots.insert(collection, snapshot);
            }
            Action::SnapshotEnd(collection) => {
                let Some(snapshot) = self.snapshots.remove(&collection) else {
                    return;
                };
                self.take_reset();
                for (collection, rows) in snapshot.collections {
                    let state = self.state(collection);
                    state.clear();
                    for row in rows.into_values() {
                        state.put(row);
                    }
                }
            }
            Action::Put { collection, .. } | Action::Delete { collection, .. } => {
                let open = [Some(collection), None]
                    .into_iter()
                    .find(|of| self.in_snapshot() && self.snapshots.contains_key(of));
                match open.and_then(|of| self.snapshots.get_mut(&of)) {
                    Some(snapshot) => match action {
                        Action::Put { row, .. } => snapshot.put(collection, row),
                        Action::Delete { key, .. } => snapshot.delete(collection, &key),
                        _ => unreachable!("a change"),
                    },
                    None => {
                        self.take_reset();
                        self.change(action);
                    }
                }
            }
        }
    }

    /// Whether a snapshot was begun that has not ended; its rows are not visible.
    pub fn in_snapshot(&self) -> bool {
        !self.snapshots.is_empty()
    }

    /// Whether the rows do not tell all that was read: a snapshot has not ended, or nothing has
    /// followed a `reset`.
    pub fn is_unsettled(&self) -> bool {
        self.reset || self.in_snapshot()
    }

    /// What makes an empty store the same as this one. A `reset` that nothing followed takes effect.
    pub fn into_actions(mut self) -> Vec<Action> {
        self.finish();
        let put = |collection: usize| move |row: Row| Action::Put { collection, row };
        let mut actions = Vec::new();
        for (id, state) in self.collections.iter().enumerate() {
            actions.extend(state.rows.iter().cloned().map(put(id)));
        }
        // The one of whatever occurs comes first: it is the last to take a row.
        for (of, snapshot) in self.snapshots {
            actions.push(Action::SnapshotStart(of));
            for (id, rows) in snapshot.collections {
                if rows.is_empty() {
                    // It occurs in the snapshot, and will have no rows.
                    let key = Row::of([]);
                    actions.push(Action::Delete {
                        collection: id,
                        key,
                    });
                }
                actions.extend(rows.into_values().map(put(id)));
            }
        }
        actions
    }

    fn change(&mut self, action: Action) {
        match action {
            Action::Put { collection, row } => self.state(collection).put(row),
            Action::Delete { collection, key } => self.state(collection).delete(&key),
            Action::Reset | Action::SnapshotStart(_) | Action::SnapshotEnd(_) => {
                unreachable!("control messages do not change rows by themselves")
            }
        }
    }

    fn take_reset(&mut self) {
        if std::mem::take(&mut self.reset) {
            self.collections.iter_mut().for_each(CollectionState::clear);
        }
    }

    fn commit(&mut self) -> BTreeMap<usize, Changes> {
        let (mut all, mut scratch) = (BTreeMap::new(), Vec::new());
        for (id, state) in self.collections.iter_mut().enumerate() {
            let changes = state.commit();
            if !changes.is_empty() {
                state.arrangements.update(&changes, &mut scratch);
                all.insert(id, changes);
            }
        }
        all
    }

    /// The rows of a scan by key: the arrangement that is there, or else a new one. It lives, and
    /// is kept up to date, as long as somebody holds it.
    pub fn arrange(&mut self, scan: &Scan, keys: &[Expr]) -> Rc<RefCell<Arrangement>> {
        let state = self.state(scan.collection.id());
        if let Some(found) = state.arrangements.find(&scan.filter, keys) {
            return found;
        }
        state.arrangements.sweep();
        let mut arrangement = Arrangement::new(scan.filter.clone(), keys.to_vec());
        for row in state.rows.iter() {
            arrangement.insert(&Some(row.clone()));
        }
        let arrangement = Rc::new(RefCell::new(arrangement));
        let (filter, keys) = (scan.filter.clone(), keys.to_vec());
        state.arrangements.insert(filter, keys, &arrangement);
        arrangement
    }

    /// Forgets the arrangements of a collection that nobody holds any more.
    pub(crate) fn release(&mut self, collection: &CollectionDef) {
        self.state(collection.id()).arrangements.sweep();
    }

    /// What each collection takes.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = CollectionSize<'_>> {
        let collections = self.collections.iter().enumerate();
        collections.map(|(id, state)| state.size(id))
    }

    /// The bytes of snapshots that have not ended.
    pub(crate) fn snapshot_bytes(&self) -> usize {
        self.snapshots.values().map(Snapshot::bytes).sum()
    }

    /// The bytes of all of it.
    pub(crate) fn bytes(&self) -> usize {
        let index = |index: IndexSize<'_>| index.bytes;
        let size = |c: CollectionSize<'_>| c.bytes + c.indexes().map(index).sum::<usize>();
        self.snapshot_bytes() + self.sizes().map(size).sum::<usize>()
    }

    /// The number of arrangements that are held by somebody.
    pub fn arrangement_count(&self) -> usize {
        let live = |state: &CollectionState| {
            let all = state.arrangements.all.values();
            all.filter(|held| held.arrangement.strong_count() > 0)
                .count()
        };
        self.collections.iter().map(live).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A collection that only leaves in it is as empty after the snapshot.
    #[test]
    fn an_open_snapshot_is_the_same_after_a_copy() {
        let catalog = Arc::new(Catalog::open());
        let mut decoder = Decoder::new(catalog.clone());
        let mut act = |text: &str| decoder.decode(text).unwrap().unwrap();
        let mut change = |operation: &str| {
            act(&format!(
                r#"{{"type":"user","key":"1","value":{{}},"headers":{{"operation":"{operation}"}}}}"#
            ))
        };
        let (came, left) = (change("insert"), change("delete"));
        let mut control =
            |control: &str| act(&format!(r#"{{"headers":{{"control":"{control}"}}}}"#));
        let (start, end) = (control("snapshot-start"), control("snapshot-end"));
        let mut store = Store::new(catalog.clone());
        store.apply([came]);
        store.apply([start, left]);
        let mut copy = Store::new(catalog.clone());
        copy.apply(store.into_actions());
        let user = &catalog.collections()[0];
        assert_eq!(copy.len(user), 1);
        copy.apply([end]);
        assert_eq!(copy.len(user), 0);
    }
}
