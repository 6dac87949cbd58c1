//! Indexes from a join key to rows.

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::Changes;
use crate::places::{KeyHash, Places, close_gaps};
use crate::plan::{Expr, join_key};
use crate::value::{Heap, Row, hash_handles};

/// From a key to the set of its entries. Every operation takes constant time, also for keys with
/// very many entries.
#[derive(Debug)]
pub struct Index<T> {
    places: Places,
    /// Without entries where it is free.
    buckets: Vec<Bucket<T>>,
    free: Vec<u32>,
    len: usize,
    /// What the buckets and the entries hold on the heap.
    heap: usize,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Index {
            places: Places::default(),
            buckets: Vec::new(),
            free: Vec::new(),
            len: 0,
            heap: 0,
        }
    }
}

#[derive(Debug)]
struct Bucket<T> {
    key: SmallVec<[u8; 16]>,
    entries: SmallVec<[T; 1]>,
    /// Where each entry stands, for removal, if there are many.
    places: Option<Box<HashTable<u32>>>,
}

impl<T> Default for Bucket<T> {
    fn default() -> Self {
        Bucket {
            key: SmallVec::new(),
            entries: SmallVec::new(),
            places: None,
        }
    }
}

/// From here on a bucket is searched by hash.
const LARGE: usize = 64;

#[expect(private_bounds, reason = "callers keep rows or tuples")]
impl<T: Clone + Eq + std::hash::Hash + Heap> Index<T> {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes it takes on the heap, without the rows themselves.
    pub fn bytes(&self) -> usize {
        let free = self.free.capacity() * size_of::<u32>();
        let buckets = self.buckets.capacity() * size_of::<Bucket<T>>();
        self.places.bytes() + buckets + free + self.heap
    }

    fn find(&self, key: &[u8]) -> Option<u32> {
        let is = |place: u32| self.buckets[place as usize].key[..] == *key;
        self.places.find(KeyHash::of(key), is)
    }

    /// The entries of a key.
    #[inline]
    pub fn get(&self, key: &[u8]) -> &[T] {
        let found = self.find(key);
        found.map_or(&[], |place| &self.buckets[place as usize].entries)
    }

    /// Adds an entry that is not there yet.
    pub fn insert(&mut self, key: &[u8], entry: T) {
        let (next, free) = (self.buckets.len() as u32, &mut self.free);
        let (place, is_new) = self.places.find_or_insert(
            KeyHash::of(key),
            |place| self.buckets[place as usize].key[..] == *key,
            || free.pop().unwrap_or(next),
        );
        if is_new && place == next {
            self.buckets.push(Bucket::default());
        }
        let bucket = &mut self.buckets[place as usize];
        let before = match is_new {
            true => {
                bucket.key = SmallVec::from_slice(key);
                0
            }
            false => bucket.heap(),
        };
        self.heap += entry.heap();
        self.len += 1;
        bucket.entries.push(entry);
        let len = bucket.entries.len();
        if bucket.places.is_some() {
            bucket.add_place(len - 1);
        } else if len >= LARGE {
            (0..len).for_each(|place| bucket.add_place(place));
        }
        self.heap += bucket.heap() - before;
    }

    /// Removes an entry; false if it is not there.
    pub fn remove(&mut self, key: &[u8], entry: &T) -> bool {
        let Some(place) = self.find(key) else {
            return false;
        };
        let bucket = &mut self.buckets[place as usize];
        self.heap -= bucket.heap();
        let removed = bucket.remove(entry);
        if removed {
            self.heap -= entry.heap();
            self.len -= 1;
        }
        if !bucket.entries.is_empty() {
            self.heap += bucket.heap();
        } else {
            *bucket = Bucket::default();
            self.places.remove(KeyHash::of(key), place);
            self.free.push(place);
            if self.buckets.len() > 64 && self.places.len() < self.buckets.len() / 8 {
                let to = close_gaps(&mut self.buckets, |bucket| !bucket.entries.is_empty());
                self.places.compact(&to);
                self.free = Vec::new();
            }
        }
        removed
    }
}

impl<T> Bucket<T> {
    /// What it holds on the heap, without what its entries do.
    fn heap(&self) -> usize {
        let entries = match self.entries.spilled() {
            true => self.entries.capacity() * size_of::<T>(),
            false => 0,
        };
        let places = self.places.as_ref().map_or(0, |places| {
            size_of::<HashTable<u32>>() + places.allocation_size()
        });
        self.key.heap() + entries + places
    }
}

impl<T: Clone + Eq + std::hash::Hash> Bucket<T> {
    fn add_place(&mut self, place: usize) {
        let entries = &self.entries;
        let hash = hash_handles(&entries[place]);
        let places = self.places.get_or_insert_default();
        places.insert_unique(hash, place as u32, |&p| hash_handles(&entries[p as usize]));
    }

    fn remove(&mut self, entry: &T) -> bool {
        let Some(places) = &mut self.places else {
            let Some(place) = self.entries.iter().position(|e| e == entry) else {
                return false;
            };
            self.entries.swap_remove(place);
            return true;
        };
        let entries = &self.entries;
        let Ok(found) = places.find_entry(hash_handles(entry), |&p| entries[p as usize] == *entry)
        else {
            return false;
        };
        let place = found.remove().0 as usize;
        // The last entry takes the freed place.
        let last = self.entries.len() - 1;
        if place != last {
            let hash = hash_handles(&self.entries[last]);
            let moved = places.find_mut(hash, |&p| p as usize == last);
            *moved.expect("every entry of a large bucket has a place") = place as u32;
        }
        self.entries.swap_remove(place);
        let len = self.entries.len();
        if len < LARGE / 2 {
            self.places = None;
        } else if len < places.capacity() / 8 {
            let entries = &self.entries;
            places.shrink_to_fit(|&p| hash_handles(&entries[p as usize]));
        }
        if len < self.entries.capacity() / 8 {
            self.entries.shrink_to_fit();
        }
        true
    }
}

/// The rows of one scan by join key, shared by all queries that join on it.
///
/// It shows the state after the batch that is being processed.
#[derive(Debug)]
pub struct Arrangement {
    filter: Vec<Expr>,
    keys: Vec<Expr>,
    /// As tuples of one row.
    index: Index<Option<Row>>,
    scratch: Vec<u8>,
}

impl Arrangement {
    pub(super) fn new(filter: Vec<Expr>, keys: Vec<Expr>) -> Self {
        Arrangement {
            filter,
            keys,
            index: Index::default(),
            scratch: Vec::new(),
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The bytes it takes on the heap, without the rows themselves.
    pub fn bytes(&self) -> usize {
        self.index.bytes()
    }

    /// The rows of a key, none of them `None`.
    #[inline]
    pub fn get(&self, key: &[u8]) -> &[Option<Row>] {
        self.index.get(key)
    }

    fn accepts(&self, row: &Option<Row>) -> bool {
        let tuple = std::slice::from_ref(row);
        self.filter.iter().all(|p| p.test(tuple))
    }

    pub(super) fn insert(&mut self, row: &Option<Row>) {
        if self.accepts(row)
            && let Some(key) = join_key(&self.keys, std::slice::from_ref(row), &mut self.scratch)
        {
            self.index.insert(key, row.clone());
        }
    }

    pub(super) fn remove(&mut self, row: &Option<Row>) {
        if self.accepts(row)
            && let Some(key) = join_key(&self.keys, std::slice::from_ref(row), &mut self.scratch)
        {
            let removed = self.index.remove(key, row);
            debug_assert!(removed, "a row that leaves was there");
        }
    }

    pub(super) fn update(&mut self, changes: &Changes) {
        for (old, new) in changes {
            if old.is_some() {
                self.remove(old);
            }
            if new.is_some() {
                self.insert(new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn an_index_is_a_map_of_sets() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut index = Index::<u32>::default();
        let mut model: BTreeMap<u8, BTreeSet<u32>> = BTreeMap::new();
        for step in 0..60_000 {
            // Sizes swing around that of large buckets.
            let (key, entry) = (rng.u8(0..5), rng.u32(0..120));
            let set = model.entry(key).or_default();
            if rng.u32(0..10) < if step / 2_000 % 2 == 0 { 7 } else { 3 } {
                if set.insert(entry) {
                    index.insert(&[key], entry);
                }
            } else {
                assert_eq!(index.remove(&[key], &entry), set.remove(&entry));
            }
            let mut found = index.get(&[key]).to_vec();
            found.sort_unstable();
            assert!(found.iter().eq(set.iter()));
            if step % 100 == 0 {
                let heap: usize = index.buckets.iter().map(Bucket::heap).sum();
                assert_eq!(index.heap, heap);
                assert_eq!(
                    index.len(),
                    model.values().map(BTreeSet::len).sum::<usize>()
                );
            }
        }
    }

    #[test]
    fn what_many_entries_took_is_given_back() {
        let mut index = Index::<u32>::default();
        (0..100_000).for_each(|entry| index.insert(b"key", entry));
        (1..100_000).for_each(|entry| assert!(index.remove(b"key", &entry)));
        assert!(index.bytes() < 4096, "{}", index.bytes());
        assert!(index.remove(b"key", &0) && index.is_empty());
    }
}
