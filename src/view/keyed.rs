//! The rows of a result without an order.

use super::change::{Replaced, same_key};
use crate::dataflow::Updates;
use crate::places::{KeyHash, Places, close_gaps};
use crate::plan::sort_key;
use crate::value::{Heap, Tuple, share};

/// A set of tuples with different keys. It goes by the hashes of keys that rows carry in their handles,
/// so that a growing table does not look at the rows themselves.
#[derive(Debug, Default)]
pub(super) struct Keyed {
    places: Places,
    /// Empty in the places that are free.
    tuples: Vec<Tuple>,
    free: Vec<u32>,
    /// What the tuples hold on the heap.
    heap: usize,
}

fn is_there(tuple: &Tuple) -> bool {
    !tuple.is_empty()
}

impl Keyed {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let tuples = self.tuples.capacity() * size_of::<Tuple>();
        self.places.bytes() + tuples + self.free.capacity() * size_of::<u32>() + self.heap
    }

    /// All tuples in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Tuple> {
        self.tuples.iter().filter(|tuple| is_there(tuple))
    }

    /// All tuples by key.
    pub(super) fn sorted(&self) -> impl Iterator<Item = &Tuple> {
        let mut rows: Vec<_> = self
            .iter()
            .map(|tuple| (sort_key(&[], tuple), tuple))
            .collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        rows.into_iter().map(|(_, tuple)| tuple)
    }

    pub(super) fn apply(&mut self, updates: &mut Updates) -> Vec<Replaced> {
        let mut changes = Vec::with_capacity(updates.len());
        // What comes takes the place of the tuple with its key, so that of those that leave only the
        // ones without a successor are still there afterwards.
        let mut leaving = updates.len();
        for (tuple, _) in updates.iter_mut().filter(|(_, diff)| *diff > 0) {
            let tuple = std::mem::take(tuple);
            let old = self.put(&tuple);
            leaving -= 1 + usize::from(old.is_some());
            changes.push(Replaced {
                old,
                new: Some(tuple),
                moved: None,
            });
        }
        if leaving > 0 {
            for (tuple, _) in updates.iter().filter(|(_, diff)| *diff < 0) {
                changes.extend(self.remove(tuple).map(|old| Replaced {
                    old: Some(old),
                    ..Replaced::default()
                }));
            }
        }
        updates.clear();
        if self.tuples.len() > 64 && self.places.len() < self.tuples.len() / 8 {
            let to = close_gaps(&mut self.tuples, is_there);
            self.places.compact(&to);
            self.free = Vec::new();
        }
        changes
    }

    /// Sets the tuple of its key; the one that was there.
    fn put(&mut self, tuple: &Tuple) -> Option<Tuple> {
        let (next, free) = (self.tuples.len() as u32, &mut self.free);
        let (place, is_new) = self.places.find_or_insert(
            KeyHash::of_tuple(tuple),
            |place| same_key(&self.tuples[place as usize], tuple),
            || free.pop().unwrap_or(next),
        );
        self.heap += tuple.heap();
        if place == next {
            self.tuples.push(share(tuple));
            return None;
        }
        let old = std::mem::replace(&mut self.tuples[place as usize], share(tuple));
        self.heap -= old.heap();
        (!is_new).then_some(old)
    }

    /// Takes a tuple out, unless another one has taken its place.
    fn remove(&mut self, tuple: &Tuple) -> Option<Tuple> {
        let hash = KeyHash::of_tuple(tuple);
        let is = |place: u32| same_key(&self.tuples[place as usize], tuple);
        let place = self.places.find(hash, is);
        let place = place.expect("a tuple that leaves was there");
        if self.tuples[place as usize] != *tuple {
            return None;
        }
        self.places.remove(hash, place);
        self.free.push(place);
        let old = std::mem::take(&mut self.tuples[place as usize]);
        self.heap -= old.heap();
        Some(old)
    }
}
