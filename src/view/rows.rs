//! The rows of a result at one moment.

use std::sync::Arc;

use super::change::{ChangeSet, Moved, Replaced, ResultRow};
use crate::plan::Plan;
use crate::value::Tuple;

/// The rows of a result as they were at one moment, in the order of the query; by key where it asks
/// for none. They are shared with the result: nothing of them was copied.
#[derive(Clone, Debug)]
pub struct ResultRows {
    plan: Arc<Plan>,
    tuples: Vec<Tuple>,
}

impl ResultRows {
    /// The tuples are in order already, if the plan asks for one.
    pub(super) fn new(plan: Arc<Plan>, tuples: Vec<Tuple>) -> ResultRows {
        ResultRows { plan, tuples }
    }

    /// Sorts the rows of a query that asks for no order. It is apart from copying them, which is done
    /// under a lock.
    #[cfg(feature = "http")]
    pub(crate) fn sorted(mut self) -> ResultRows {
        if !self.plan.ordered {
            self.tuples
                .sort_by_cached_key(|tuple| crate::plan::sort_key(&[], tuple));
        }
        self
    }

    /// The plan of the query.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.tuples.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.tuples.is_empty()
    }

    /// The rows.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ResultRow<'_>> + DoubleEndedIterator {
        let tuples = self.tuples.iter();
        tuples.map(|tuple| ResultRow::new(&self.plan, tuple))
    }

    /// The row at a position.
    pub fn nth(&self, position: usize) -> Option<ResultRow<'_>> {
        let tuple = self.tuples.get(position)?;
        Some(ResultRow::new(&self.plan, tuple))
    }

    /// The rows as what changed since there were none.
    pub fn into_changes(self) -> ChangeSet {
        let ordered = self.plan.ordered;
        let insert = |(index, tuple)| Replaced {
            old: None,
            new: Some(tuple),
            moved: ordered.then(|| {
                Box::new(Moved {
                    old_index: None,
                    new_index: Some(index),
                    reordered: false,
                })
            }),
        };
        let changes = self.tuples.into_iter().enumerate().map(insert).collect();
        ChangeSet::new(self.plan, ordered, changes)
    }
}
