//! A query's result: ordered rows by key, and what each batch changed in them.

mod change;
mod effect;
mod keyed;
mod ordered;

use std::sync::Arc;

pub use change::{Change, ChangeKind, ChangeSet, ResultRow};
pub use effect::Effect;
pub(crate) use effect::Watch;
use keyed::Keyed;
use ordered::OrderedRows;

use crate::dataflow::Updates;
use crate::plan::Plan;

/// The materialised result of a query.
#[derive(Debug)]
pub struct View {
    plan: Arc<Plan>,
    rows: Rows,
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
        View { plan, rows }
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
        // A row alone that keeps its position has not moved; among others it may have all the same.
        let alone =
            self.plan.ordered && changes.iter().filter(|change| change.shifts()).count() == 1;
        changes.retain(|change| match (&change.old, &change.new) {
            (Some(old), Some(new)) => {
                let stays =
                    |m: &change::Moved| !m.reordered || (alone && m.old_index == m.new_index);
                let moved = change.moved.as_ref().is_some_and(|m| !stays(m));
                // Else only columns changed that the query does not show.
                moved || !self.plan.output.same(old, new)
            }
            _ => true,
        });
        ChangeSet::new(self.plan.clone(), self.plan.ordered, changes)
    }

    /// Becomes the result of the same plan with its window moved.
    pub(crate) fn set_window(&mut self, offset: usize, limit: Option<usize>) {
        self.plan = Arc::new(self.plan.with_window(offset, limit));
    }

    /// Becomes the result of another plan, of which `updates` are all tuples.
    pub(crate) fn replace(&mut self, plan: Arc<Plan>, updates: &mut Updates) -> ChangeSet {
        let tuples: Vec<_> = match &self.rows {
            Rows::Keyed(rows) => rows.sorted().cloned().collect(),
            Rows::Ordered(rows) => rows.iter().cloned().collect(),
        };
        updates.extend(tuples.into_iter().map(|tuple| (tuple, -1)));
        differential_dataflow::consolidation::consolidate(updates);
        self.plan = plan;
        self.apply(updates)
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
