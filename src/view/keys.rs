//! The rows of a result by the text of their keys.

use hashbrown::HashTable;

use super::change::Replaced;
use crate::plan::Plan;
use crate::value::{Heap, Tuple, hash_bytes, share};

/// The tuples of a result, found by key.
#[derive(Debug)]
pub(super) struct Keys {
    tuples: HashTable<(u64, Tuple)>,
    /// What the tuples hold on the heap.
    heap: usize,
}

impl Keys {
    pub(super) fn new(tuples: &[Tuple], plan: &Plan) -> Keys {
        let mut keys = Keys {
            tuples: HashTable::with_capacity(tuples.len()),
            heap: 0,
        };
        tuples.iter().for_each(|tuple| keys.insert(tuple, plan));
        keys
    }

    pub(super) fn bytes(&self) -> usize {
        self.tuples.allocation_size() + self.heap
    }

    pub(super) fn get(&self, key: &str, plan: &Plan) -> Option<&Tuple> {
        let is = |(_, tuple): &(u64, Tuple)| plan.key_text(tuple) == key;
        let found = self.tuples.find(hash_bytes(key.as_bytes()), is);
        found.map(|(_, tuple)| tuple)
    }

    fn insert(&mut self, tuple: &Tuple, plan: &Plan) {
        let hash = hash_bytes(plan.key_text(tuple).as_bytes());
        let entry = (hash, share(tuple));
        self.heap += entry.1.heap();
        self.tuples.insert_unique(hash, entry, |(hash, _)| *hash);
    }

    pub(super) fn apply(&mut self, changes: &[Replaced], plan: &Plan) {
        for old in changes.iter().filter_map(|change| change.old.as_ref()) {
            let hash = hash_bytes(plan.key_text(old).as_bytes());
            let found = self.tuples.find_entry(hash, |(_, tuple)| tuple == old);
            let (entry, _) = found.expect("a tuple that leaves was there").remove();
            self.heap -= entry.1.heap();
        }
        for new in changes.iter().filter_map(|change| change.new.as_ref()) {
            self.insert(new, plan);
        }
        if self.tuples.capacity() > 64 && self.tuples.len() < self.tuples.capacity() / 8 {
            self.tuples.shrink_to_fit(|(hash, _)| *hash);
        }
    }
}
