//! A query's result: ordered rows by key, and what each batch changed in them.

mod change;
mod effect;
mod keyed;
mod keys;
mod merge;
mod ordered;
mod rows;

use std::sync::Arc;

pub use change::{Change, ChangeKind, ChangeSet, ResultRow};
pub use effect::Effect;
pub(crate) use effect::Watch;
use keyed::Keyed;
use keys::Keys;
use ordered::OrderedRows;
pub use rows::ResultRows;

use crate::dataflow::Updates;
use crate::plan::Plan;
use crate::value::Tuple;

/// The materialised result of a query.
#[derive(Debug)]
pub struct View {
    plan: Arc<Plan>,
    rows: Rows,
    /// The rows by key, once somebody asked for it.
    keys: Option<Keys>,
    /// How many row changes it made.
    changed: u64,
}

#[derive(Debug)]
enum Rows {
    /// Without an order, rows are sorted by key when they are read.
    Keyed(Keyed),
    Ordered(OrderedRows),
}

impl View {
    /// An empty result of a plan.
    pub fn new(plan: Arc<Plan>) -> View {
        let rows = if plan.ordered {
            Rows::Ordered(OrderedRows::default())
        } else {
            Rows::Keyed(Keyed::default())
        };
        View {
            plan,
            rows,
            keys: None,
            changed: 0,
        }
    }

    /// The plan of the query.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Applies what a batch brought out of the dataflow: at most one change of a tuple. Empties
    /// `updates`.
    pub(crate) fn apply(&mut self, updates: &mut Updates) -> ChangeSet {
        let mut changes = match &mut self.rows {
            Rows::Keyed(rows) => rows.apply(updates),
            Rows::Ordered(rows) => rows.apply(updates, &self.plan),
        };
        if let Some(keys) = &mut self.keys {
            keys.apply(&changes, &self.plan);
        }
        change::retain_visible(&mut changes, &self.plan);
        self.changed += changes.len() as u64;
        ChangeSet::new(self.plan.clone(), self.plan.ordered, changes)
    }

    /// Becomes the result of the same plan with its window moved.
    pub(crate) fn set_window(&mut self, offset: usize, limit: Option<usize>) {
        self.plan = Arc::new(self.plan.with_window(offset, limit));
    }

    /// Becomes the result of another plan, of which `updates` are all tuples.
    pub(crate) fn replace(&mut self, plan: Arc<Plan>, updates: &mut Updates) -> ChangeSet {
        updates.extend(self.tuples().into_iter().map(|tuple| (tuple, -1)));
        differential_dataflow::consolidation::consolidate(updates);
        self.plan = plan;
        self.apply(updates)
    }

    /// The bytes that it takes on the heap, without the rows themselves.
    pub(crate) fn bytes(&self) -> usize {
        let rows = match &self.rows {
            Rows::Keyed(rows) => rows.bytes(),
            Rows::Ordered(rows) => rows.bytes(),
        };
        rows + self.keys.as_ref().map_or(0, Keys::bytes)
    }

    /// All tuples: in the order of the query, or in none.
    fn tuples(&self) -> Vec<Tuple> {
        match &self.rows {
            Rows::Keyed(rows) => rows.iter().cloned().collect(),
            Rows::Ordered(rows) => rows.iter().cloned().collect(),
        }
    }

    /// The rows as they are now, to keep while the result moves on. It copies a handle a row.
    pub fn to_rows(&self) -> ResultRows {
        ResultRows::new(self.plan.clone(), self.tuples())
    }

    /// From now on keeps the rows by key, so that [`View::get`] and [`View::position`] need not
    /// search. It costs a handle a row, and the text of each changed row's key.
    pub fn index_keys(&mut self) {
        if self.keys.is_none() {
            self.keys = Some(Keys::new(&self.tuples(), &self.plan));
        }
    }

    /// Whether the rows are kept by key.
    pub fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    fn find(&self, key: &str) -> Option<&Tuple> {
        let is = |tuple: &&Tuple| self.plan.key_text(tuple) == key;
        match (&self.keys, &self.rows) {
            (Some(keys), _) => keys.get(key, &self.plan),
            (None, Rows::Keyed(rows)) => rows.iter().find(is),
            (None, Rows::Ordered(rows)) => rows.iter().find(is),
        }
    }

    /// The row of a key as text.
    pub fn get(&self, key: &str) -> Option<ResultRow<'_>> {
        let tuple = self.find(key)?;
        Some(ResultRow::new(&self.plan, tuple))
    }

    /// Where the row of a key stands in the order of the query; by key where it asks for none.
    pub fn position(&self, key: &str) -> Option<usize> {
        let tuple = self.find(key)?;
        match &self.rows {
            Rows::Keyed(rows) => rows.sorted().position(|other| other == tuple),
            Rows::Ordered(rows) => Some(rows.position(tuple, &self.plan)),
        }
    }

    /// How many rows were inserted, updated and deleted since the result began, its first rows
    /// included.
    pub fn changed(&self) -> u64 {
        self.changed
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Keyed(rows) => rows.len(),
            Rows::Ordered(rows) => rows.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows in the order of the query; by key where it asks for none.
    pub fn rows(&self) -> impl Iterator<Item = ResultRow<'_>> {
        let (sorted, ordered) = match &self.rows {
            Rows::Keyed(rows) => (Some(rows.sorted()), None),
            Rows::Ordered(rows) => (None, Some(rows.iter())),
        };
        let tuples = sorted
            .into_iter()
            .flatten()
            .chain(ordered.into_iter().flatten());
        tuples.map(|tuple| ResultRow::new(&self.plan, tuple))
    }

    /// The row at a position of the order.
    pub fn nth(&self, position: usize) -> Option<ResultRow<'_>> {
        match &self.rows {
            Rows::Keyed(_) => self.rows().nth(position),
            Rows::Ordered(rows) => rows
                .get(position)
                .map(|tuple| ResultRow::new(&self.plan, tuple)),
        }
    }
}
