//! Histories of rows, and queries that follow them together with their models.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::differential::{Model, Plain, plain};
use crate::dataflow::{Dataflow, Diff, Feed, Origin, Runtime};
use crate::plan::Node;
use crate::schema::{Catalog, CollectionDef};
use crate::store::{Action, Changes, Store};
use crate::value::{Row, Value};

/// The rows of a collection that leave and come.
pub(super) fn each_row(
    changes: &BTreeMap<usize, Changes>,
    id: usize,
    mut f: impl FnMut(&Option<Row>, Diff),
) {
    for (old, new) in changes.get(&id).into_iter().flatten() {
        [(old, -1), (new, 1)]
            .into_iter()
            .filter(|(row, _)| row.is_some())
            .for_each(|(r, d)| f(r, d));
    }
}

/// Feeds a dataflow what concerns it; false if nothing does.
fn route(changes: &BTreeMap<usize, Changes>, feeds: &mut [Feed]) -> bool {
    let mut sent = false;
    for feed in feeds {
        let Origin::Scan(scan) = &feed.origin else {
            unreachable!("plans of this model have nothing in common");
        };
        let collection = scan.collection.id();
        each_row(changes, collection, |row, diff| {
            sent |= feed.offer(row, diff)
        });
    }
    sent
}

/// A store and a runtime as in an engine.
pub(super) struct World {
    pub(super) store: Store,
    pub(super) collections: [Arc<CollectionDef>; 3],
    pub(super) runtime: Runtime,
}

impl World {
    pub(super) fn new() -> World {
        let catalog = Arc::new(Catalog::open());
        let collections = ["a", "b", "c"].map(|name| catalog.by_name(name).unwrap());
        World {
            store: Store::new(catalog),
            collections,
            runtime: Runtime::default(),
        }
    }

    /// What a query that is installed now has to be told.
    fn all_rows(&self) -> BTreeMap<usize, Changes> {
        let rows = |c: &Arc<CollectionDef>| {
            self.store
                .rows(c)
                .map(|r| (None, Some(r.clone())))
                .collect()
        };
        self.collections.iter().map(|c| (c.id(), rows(c))).collect()
    }

    pub(super) fn install(&mut self, node: &Node) -> Dataflow {
        let mut dataflow = self.runtime.install(node, &mut self.store, 0);
        route(&self.all_rows(), &mut dataflow.feeds);
        self.runtime.begin(&mut dataflow);
        self.runtime.finish(&mut dataflow);
        dataflow
    }

    pub(super) fn apply<'a>(
        &mut self,
        actions: Vec<Action>,
        dataflows: impl Iterator<Item = &'a mut Dataflow>,
    ) -> BTreeMap<usize, Changes> {
        let changes = self.store.apply(actions);
        let touched: Vec<&mut Dataflow> = dataflows
            .filter_map(|d| route(&changes, &mut d.feeds).then_some(d))
            .collect();
        for dataflow in touched {
            self.runtime.begin(dataflow);
            self.runtime.finish(dataflow);
        }
        changes
    }

    /// Installs a query together with its model.
    pub(super) fn check(&mut self, node: &Node) -> Checked {
        let (dataflow, model) = (self.install(node), Model::new(node));
        let mut checked = Checked {
            node: node.clone(),
            dataflow,
            model,
            tuples: BTreeSet::new(),
        };
        checked.tick(&self.all_rows());
        checked
    }

    pub(super) fn tick(&mut self, actions: Vec<Action>, queries: &mut [Checked]) {
        let changes = self.apply(actions, queries.iter_mut().map(|q| &mut q.dataflow));
        queries.iter_mut().for_each(|query| query.tick(&changes));
    }
}

/// A query and its model.
pub(super) struct Checked {
    node: Node,
    pub(super) dataflow: Dataflow,
    model: Model,
    tuples: BTreeSet<Plain>,
}

impl Checked {
    /// Compares after a tick that brought `changes`.
    pub(super) fn tick(&mut self, changes: &BTreeMap<usize, Changes>) {
        let mut seen = BTreeSet::new();
        for (tuple, diff) in self.dataflow.output().drain(..) {
            let tuple = plain(&tuple);
            assert!(
                seen.insert(tuple.clone()),
                "{tuple:?} comes twice in a tick of {:?}",
                self.node
            );
            let fits = match diff {
                1 => self.tuples.insert(tuple.clone()),
                -1 => self.tuples.remove(&tuple),
                _ => false,
            };
            assert!(fits, "{diff} of {tuple:?} in {:?}", self.node);
        }
        self.model.tick(changes);
        let equal = self
            .model
            .tuples
            .iter()
            .eq(self.tuples.iter().map(|tuple| (tuple, &1)));
        let tick = self.model.time;
        let (ours, model) = (&self.tuples, &self.model.tuples);
        let gone: Vec<_> = model
            .iter()
            .filter(|(t, n)| **n != 1 || !ours.contains(*t))
            .collect();
        let extra: Vec<_> = ours.iter().filter(|t| !model.contains_key(*t)).collect();
        assert!(
            equal,
            "tick {tick} of {:?}: lacks {gone:?}, has {extra:?}",
            self.node
        );
    }
}

/// Random batches over few keys and values. A row is: key, small number, small number, number, and
/// the key of a row of any collection.
pub(super) struct History {
    pub(super) rng: fastrand::Rng,
    /// The collections that change.
    collections: Vec<usize>,
    /// How many keys there are.
    keys: u32,
    /// The last fields of each key.
    fields: BTreeMap<(usize, u32), [Value; 4]>,
}

impl History {
    /// A history of the first collections of a world.
    pub(super) fn new(world: &World, collections: usize, keys: u32, seed: u64) -> History {
        let changing = world.collections.iter().take(collections);
        let collections = changing.map(|c| c.id()).collect();
        History {
            rng: fastrand::Rng::with_seed(seed),
            collections,
            keys,
            fields: BTreeMap::new(),
        }
    }

    fn field(&mut self, column: usize) -> Value {
        let rng = &mut self.rng;
        let most = match column {
            0 => 3,
            1 => 4,
            2 => 20,
            _ => return key(rng.u32(..self.keys)),
        };
        match rng.u32(..12) {
            0 => Value::Null,
            1 => Value::Missing,
            2 => Value::float(rng.i32(-most..most) as f64 / 2.0),
            _ => Value::from(rng.i32(0..most)),
        }
    }

    /// A row of which often only one field is new.
    fn row(&mut self, collection: usize) -> Row {
        let number = self.rng.u32(..self.keys);
        let known = self
            .fields
            .remove(&(collection, number))
            .filter(|_| self.rng.bool());
        let fields = match known {
            Some(mut fields) => {
                let column = self.rng.usize(..4);
                fields[column] = self.field(column);
                fields
            }
            None => std::array::from_fn(|column| self.field(column)),
        };
        self.fields.insert((collection, number), fields.clone());
        std::iter::once(key(number)).chain(fields).collect()
    }

    pub(super) fn batch(&mut self) -> Vec<Action> {
        let only = self
            .rng
            .choice(self.collections.clone())
            .filter(|_| self.rng.bool());
        let size = *self.rng.choice(&[1, 2, 3, 6, 20]).unwrap();
        let mut actions = Vec::new();
        for _ in 0..size {
            let collection = only.or_else(|| self.rng.choice(self.collections.clone()));
            let collection = collection.expect("a collection changes");
            let row = self.row(collection);
            actions.push(match self.rng.u32(..10) {
                0..2 => Action::Delete {
                    collection,
                    key: row,
                },
                _ => Action::Put { collection, row },
            });
        }
        match self.rng.u32(..40) {
            0 => actions.insert(0, Action::Reset),
            1 => {
                actions.insert(0, Action::SnapshotStart(only));
                actions.push(Action::SnapshotEnd(only));
            }
            _ => {}
        }
        actions
    }
}

fn key(number: u32) -> Value {
    format!("k{number}").into()
}
