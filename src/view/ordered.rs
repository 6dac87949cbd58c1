//! The rows of an ordered result, with positions.

use std::collections::HashMap;

use super::change::Replaced;
use crate::dataflow::{Ordered, Updates};
use crate::plan::{Plan, key_of};
use crate::ranked::RankedSet;
use crate::value::{SortKey, Tuple, Value};

/// The tuples of a result in its order.
#[derive(Debug, Default)]
pub(super) struct OrderedRows {
    tuples: RankedSet<Ordered>,
}

impl OrderedRows {
    pub(super) fn len(&self) -> usize {
        self.tuples.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Tuple> {
        self.tuples.iter().map(|ordered| &ordered.tuple)
    }

    pub(super) fn get(&self, position: usize) -> Option<&Tuple> {
        self.tuples.get(position).map(|ordered| &ordered.tuple)
    }

    pub(super) fn apply(&mut self, updates: Updates, plan: &Plan) -> Vec<Replaced> {
        let mut changes: Vec<(Replaced, SortKey)> = Vec::with_capacity(updates.len());
        let (mut came, mut left): (Vec<Ordered>, Vec<Ordered>) = (Vec::new(), Vec::new());
        for (tuple, diff) in updates {
            let ordered = Ordered { place: plan.sort_key(&tuple), tuple };
            if diff > 0 { came.push(ordered) } else { left.push(ordered) }
        }
        // Positions before the batch are those before anything leaves.
        let mut by_key: HashMap<Value, usize> = HashMap::new();
        for ordered in &left {
            if !came.is_empty() {
                by_key.insert(key_of(&ordered.tuple), changes.len());
            }
            let old_index = Some(self.tuples.rank(ordered));
            let replaced = Replaced { old: Some(ordered.tuple.clone()), old_index, ..Replaced::default() };
            changes.push((replaced, ordered.place.clone()));
        }
        for ordered in &left {
            let removed = self.tuples.remove(ordered);
            debug_assert!(removed, "a tuple that leaves was there");
        }
        for ordered in &came {
            let inserted = self.tuples.insert(ordered.clone());
            debug_assert!(inserted, "one tuple a key");
        }
        // Positions after the batch are those when everything has come.
        for ordered in came {
            let new_index = Some(self.tuples.rank(&ordered));
            let old = if by_key.is_empty() { None } else { by_key.get(&key_of(&ordered.tuple)) };
            match old {
                Some(&place) => {
                    let (replaced, place) = &mut changes[place];
                    replaced.reordered = *place != ordered.place;
                    replaced.new = Some(ordered.tuple);
                    replaced.new_index = new_index;
                }
                None => {
                    let replaced = Replaced { new: Some(ordered.tuple), new_index, ..Replaced::default() };
                    changes.push((replaced, ordered.place));
                }
            }
        }
        changes.into_iter().map(|(replaced, _)| replaced).collect()
    }
}
