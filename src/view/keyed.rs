//! The rows of a result without an order.

use super::change::{Replaced, pair};
use crate::dataflow::Updates;
use crate::places::{KeyHash, Places, close_gaps};
use crate::plan::sort_key;
use crate::value::{Heap, Tuple, hash_handles, share};

/// A set of tuples. It goes by the content hashes that rows carry in their handles, so that neither
/// a change nor a growing table looks at the rows themselves.
#[derive(Debug, Default)]
pub(super) struct Keyed {
    places: Places,
    /// Empty in the places that are free.
    tuples: Vec<Tuple>,
    free: Vec<u32>,
    /// What the tuples hold on the heap.
    heap: usize,
}

fn hash_of(tuple: &Tuple) -> KeyHash {
    KeyHash::from_hash(hash_handles(tuple))
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
        for (tuple, diff) in updates.iter() {
            let hash = hash_of(tuple);
            if *diff > 0 {
                self.insert(share(tuple), hash);
            } else {
                self.remove(tuple, hash);
            }
        }
        if self.tuples.len() > 64 && self.places.len() < self.tuples.len() / 8 {
            let to = close_gaps(&mut self.tuples, is_there);
            self.places.compact(&to);
            self.free = Vec::new();
        }
        pair(updates)
    }

    fn insert(&mut self, tuple: Tuple, hash: KeyHash) {
        self.heap += tuple.heap();
        let place = match self.free.pop() {
            Some(place) => {
                self.tuples[place as usize] = tuple;
                place
            }
            None => {
                self.tuples.push(tuple);
                (self.tuples.len() - 1) as u32
            }
        };
        self.places.insert(hash, place);
    }

    fn remove(&mut self, tuple: &Tuple, hash: KeyHash) {
        let is = |place: u32| self.tuples[place as usize] == *tuple;
        let place = self.places.find(hash, is);
        let place = place.expect("a tuple that leaves was there");
        self.places.remove(hash, place);
        let tuple = std::mem::take(&mut self.tuples[place as usize]);
        self.heap -= tuple.heap();
        self.free.push(place);
    }
}
