//! The rows of an ordered result, with positions.

use super::change::{Moved, Replaced, pair};
use crate::dataflow::{Ordered, Updates};
use crate::plan::Plan;
use crate::ranked::RankedSet;
use crate::value::{Tuple, share};

/// The tuples of a result in its order.
#[derive(Debug, Default)]
pub(super) struct OrderedRows {
    tuples: RankedSet<Ordered>,
}

impl OrderedRows {
    pub(super) fn len(&self) -> usize {
        self.tuples.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.tuples.bytes()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Tuple> {
        self.tuples.iter().map(|ordered| &ordered.tuple)
    }

    pub(super) fn get(&self, position: usize) -> Option<&Tuple> {
        self.tuples.get(position).map(|ordered| &ordered.tuple)
    }

    /// The position of a tuple that is there.
    pub(super) fn position(&self, tuple: &Tuple, plan: &Plan) -> usize {
        self.tuples.rank(&ordered(tuple, plan))
    }

    pub(super) fn apply(&mut self, updates: &mut Updates, plan: &Plan) -> Vec<Replaced> {
        let mut changes = pair(updates);
        let ordered = |tuple: &Option<Tuple>| Some(ordered(tuple.as_ref()?, plan));
        let places: Vec<_> = changes
            .iter()
            .map(|c| (ordered(&c.old), ordered(&c.new)))
            .collect();
        // Positions before the batch are those before anything leaves, positions after it those
        // when everything has come.
        for (change, (old, new)) in changes.iter_mut().zip(&places) {
            change.moved = Some(Box::new(Moved {
                old_index: old.as_ref().map(|old| self.tuples.rank(old)),
                new_index: None,
                reordered: matches!((old, new), (Some(old), Some(new)) if old != new),
            }));
        }
        for old in places.iter().filter_map(|(old, _)| old.as_ref()) {
            let removed = self.tuples.remove(old);
            debug_assert!(removed, "a tuple that leaves was there");
        }
        for new in places.iter().filter_map(|(_, new)| new.as_ref()) {
            let inserted = self.tuples.insert(new.clone());
            debug_assert!(inserted, "one tuple a key");
        }
        for (change, (_, new)) in changes.iter_mut().zip(&places) {
            let moved = change.moved.as_mut().expect("positions before the batch");
            moved.new_index = new.as_ref().map(|new| self.tuples.rank(new));
        }
        changes
    }
}

fn ordered(tuple: &Tuple, plan: &Plan) -> Ordered {
    Ordered {
        place: plan.sort_key(tuple),
        tuple: share(tuple),
    }
}
