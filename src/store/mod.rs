//! The current rows of every collection, and what a batch of messages changes in them.
//!
//! The store stands outside of the dataflow: it is the source of retractions (key and new value
//! become the old row out, the new row in), of snapshots for new queries, and of the arrangements
//! that joins share.

mod arrangement;
mod decode;
mod rows;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::{Rc, Weak};
use std::sync::Arc;

pub use arrangement::{Arrangement, Index};
pub use decode::{Action, DecodeError, Decoder};
use rows::Rows;

use crate::plan::{Expr, Scan};
use crate::schema::{Catalog, CollectionDef};
use crate::value::Row;

/// What a batch changed in one collection: the old and the new row of a key, which differ.
pub type Changes = Vec<(Option<Row>, Option<Row>)>;

/// The rows of all collections of a catalog.
#[derive(Debug)]
pub struct Store {
    catalog: Arc<Catalog>,
    collections: Vec<CollectionState>,
    /// A `reset` came that nothing followed yet.
    reset: bool,
    /// The open snapshots: of one collection each, or of whatever occurs.
    snapshots: BTreeMap<Option<usize>, Snapshot>,
}

#[derive(Debug, Default)]
struct CollectionState {
    rows: Rows,
    arrangements: Vec<Weak<RefCell<Arrangement>>>,
}

/// The rows of a snapshot that is still coming in, by collection and key.
type Snapshot = HashMap<usize, HashMap<Vec<u8>, Row>>;

impl Store {
    /// An empty store.
    pub fn new(catalog: Arc<Catalog>) -> Store {
        Store {
            catalog,
            collections: Vec::new(),
            reset: false,
            snapshots: BTreeMap::new(),
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

    /// The number of rows of a collection.
    pub fn len(&self, collection: &CollectionDef) -> usize {
        self.collections
            .get(collection.id())
            .map_or(0, |state| state.rows.len())
    }

    /// All rows of a collection, in no order.
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
        for action in batch {
            self.act(action);
        }
        self.commit()
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
                self.snapshots
                    .insert(collection, rows.into_iter().collect());
            }
            Action::SnapshotEnd(collection) => {
                let Some(snapshot) = self.snapshots.remove(&collection) else {
                    return;
                };
                self.take_reset();
                for (collection, rows) in snapshot {
                    let state = self.state(collection);
                    state.rows.clear();
                    rows.into_values().for_each(|row| state.rows.put(row));
                }
            }
            Action::Put { collection, .. } | Action::Delete { collection, .. } => {
                let open = [Some(collection), None]
                    .into_iter()
                    .find(|of| self.snapshots.contains_key(of));
                match open.and_then(|of| self.snapshots.get_mut(&of)) {
                    Some(snapshot) => {
                        let rows = snapshot.entry(collection).or_default();
                        match action {
                            Action::Put { row, .. } => drop(rows.insert(row.key().to_vec(), row)),
                            Action::Delete { key, .. } => drop(rows.remove(key.key())),
                            _ => unreachable!("a change"),
                        }
                    }
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
        for (of, collections) in self.snapshots {
            actions.push(Action::SnapshotStart(of));
            for (id, rows) in collections {
                actions.extend(rows.into_values().map(put(id)));
            }
        }
        actions
    }

    fn change(&mut self, action: Action) {
        match action {
            Action::Put { collection, row } => self.state(collection).rows.put(row),
            Action::Delete { collection, key } => self.state(collection).rows.delete(&key),
            Action::Reset | Action::SnapshotStart(_) | Action::SnapshotEnd(_) => {
                unreachable!("control messages do not change rows by themselves")
            }
        }
    }

    fn take_reset(&mut self) {
        if std::mem::take(&mut self.reset) {
            self.collections
                .iter_mut()
                .for_each(|state| state.rows.clear());
        }
    }

    fn commit(&mut self) -> BTreeMap<usize, Changes> {
        let mut all = BTreeMap::new();
        for (id, state) in self.collections.iter_mut().enumerate() {
            let changes = state.rows.commit();
            if changes.is_empty() {
                continue;
            }
            state
                .arrangements
                .retain(|arrangement| match arrangement.upgrade() {
                    Some(arrangement) => {
                        arrangement.borrow_mut().update(&changes);
                        true
                    }
                    None => false,
                });
            all.insert(id, changes);
        }
        all
    }

    /// The rows of a scan by key: the arrangement that is there, or else a new one. It lives, and
    /// is kept up to date, as long as somebody holds it.
    pub fn arrange(&mut self, scan: &Scan, keys: &[Expr]) -> Rc<RefCell<Arrangement>> {
        let state = self.state(scan.collection.id());
        state
            .arrangements
            .retain(|arrangement| arrangement.strong_count() > 0);
        let mut known = state.arrangements.iter().filter_map(Weak::upgrade);
        if let Some(found) = known.find(|a| a.borrow().serves(&scan.filter, keys)) {
            return found;
        }
        let mut arrangement = Arrangement::new(scan.filter.clone(), keys.to_vec());
        state.rows.iter().for_each(|row| arrangement.insert(row));
        let arrangement = Rc::new(RefCell::new(arrangement));
        state.arrangements.push(Rc::downgrade(&arrangement));
        arrangement
    }

    /// The number of arrangements that are held by somebody.
    pub fn arrangement_count(&self) -> usize {
        let live = |state: &CollectionState| {
            state
                .arrangements
                .iter()
                .filter(|a| a.strong_count() > 0)
                .count()
        };
        self.collections.iter().map(live).sum()
    }
}
