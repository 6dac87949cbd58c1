//! The rows of a result without an order.

use hashbrown::HashTable;

use super::change::{Replaced, pair};
use crate::dataflow::Updates;
use crate::plan::sort_key;
use crate::value::{Heap, Tuple, hash_handles, share};

/// A set of tuples. It goes by the content hashes that rows carry in their handles, so that neither
/// a change nor a growing table looks at the rows themselves.
#[derive(Debug, Default)]
pub(super) struct Keyed {
    tuples: HashTable<Tuple>,
    /// What the tuples hold on the heap.
    heap: usize,
}

impl Keyed {
    pub(super) fn len(&self) -> usize {
        self.tuples.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.tuples.allocation_size() + self.heap
    }

    /// All tuples in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Tuple> {
        self.tuples.iter()
    }

    /// All tuples by key.
    pub(super) fn sorted(&self) -> impl Iterator<Item = &Tuple> {
        let mut rows: Vec<_> = self
            .tuples
            .iter()
            .map(|tuple| (sort_key(&[], tuple), tuple))
            .collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        rows.into_iter().map(|(_, tuple)| tuple)
    }

    pub(super) fn apply(&mut self, updates: &mut Updates) -> Vec<Replaced> {
        for (tuple, diff) in updates.iter() {
            let hash = hash_handles(tuple);
            if *diff > 0 {
                let tuple = share(tuple);
                self.heap += tuple.heap();
                self.tuples.insert_unique(hash, tuple, hash_handles);
            } else {
                let found = self.tuples.find_entry(hash, |known| known == tuple);
                let (tuple, _) = found.expect("a tuple that leaves was there").remove();
                self.heap -= tuple.heap();
            }
        }
        if self.tuples.capacity() > 64 && self.tuples.len() < self.tuples.capacity() / 8 {
            self.tuples.shrink_to_fit(hash_handles);
        }
        pair(updates)
    }
}
