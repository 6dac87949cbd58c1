//! Places in a list, found by hash.
//!
//! What is looked up by key lies in a list, in the order in which it came, and a table of eight bytes an
//! entry says where. Such a table grows without looking at the keys and without moving what they stand
//! for, and who reads everything goes through memory in order.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::value::{Row, Tuple, hash_bytes};

/// A hash of a key, as much of it as is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyHash(u32);

impl KeyHash {
    #[inline]
    pub(crate) fn of(key: &[u8]) -> KeyHash {
        KeyHash(hash_bytes(key) as u32)
    }

    /// As [`KeyHash::of`] the key of a row.
    #[inline]
    pub(crate) fn of_row(row: &Row) -> KeyHash {
        KeyHash(row.key_hash())
    }

    /// Of the keys of a tuple's rows.
    #[inline]
    pub(crate) fn of_tuple(tuple: &Tuple) -> KeyHash {
        match &tuple[..] {
            [Some(row)] => KeyHash::of_row(row),
            rows => KeyHash(rows.iter().fold(0, |hash: u32, row| {
                let part = row.as_ref().map_or(0, Row::key_hash);
                (hash.rotate_left(5) ^ part).wrapping_mul(0x9e37_79b9)
            })),
        }
    }

    /// What a table goes by.
    #[inline]
    pub(crate) fn spread(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

#[derive(Debug)]
struct Slot {
    hash: KeyHash,
    place: u32,
}

impl Slot {
    fn spread(&self) -> u64 {
        self.hash.spread()
    }
}

/// The places of keys.
#[derive(Debug, Default)]
pub(crate) struct Places(HashTable<Slot>);

impl Places {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What it takes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.0.allocation_size()
    }

    /// The place of a key; `is` tells whether a place is the key's.
    #[inline]
    pub(crate) fn find(&self, hash: KeyHash, is: impl Fn(u32) -> bool) -> Option<u32> {
        let is = |slot: &Slot| slot.hash == hash && is(slot.place);
        Some(self.0.find(hash.spread(), is)?.place)
    }

    /// A place whose key has this hash.
    #[inline]
    pub(crate) fn guess(&self, hash: KeyHash) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// As [`Places::find`]; a key that is not there is given the place that `new` says.
    #[inline]
    pub(crate) fn find_or_insert(
        &mut self,
        hash: KeyHash,
        is: impl Fn(u32) -> bool,
        new: impl FnOnce() -> u32,
    ) -> (u32, bool) {
        let is = |slot: &Slot| slot.hash == hash && is(slot.place);
        match self.0.entry(hash.spread(), is, Slot::spread) {
            Entry::Occupied(entry) => (entry.get().place, false),
            Entry::Vacant(entry) => {
                let place = new();
                entry.insert(Slot { hash, place });
                (place, true)
            }
        }
    }

    /// Forgets a place, which must be there.
    pub(crate) fn remove(&mut self, hash: KeyHash, place: u32) {
        let is = |slot: &Slot| slot.place == place;
        let found = self.0.find_entry(hash.spread(), is);
        found.expect("a place that is taken is known").remove();
    }

    /// Gives memory back after what is left has moved: `to` holds the new place of each old one.
    pub(crate) fn compact(&mut self, to: &[u32]) {
        for slot in self.0.iter_mut() {
            slot.place = to[slot.place as usize];
        }
        self.0.shrink_to_fit(Slot::spread);
    }
}

/// Closes the gaps in a list, and gives memory back; the new place of each old one.
pub(crate) fn close_gaps<T>(list: &mut Vec<T>, is_taken: impl Fn(&T) -> bool) -> Vec<u32> {
    let mut to = Vec::with_capacity(list.len());
    let mut count = 0;
    for item in list.iter() {
        to.push(count);
        count += u32::from(is_taken(item));
    }
    list.retain(is_taken);
    list.shrink_to_fit();
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_wherever_they_move() {
        let key = |n: u32| n.to_le_bytes();
        let hash = |n: u32| KeyHash::of(&key(n));
        let (mut places, mut list) = (Places::default(), Vec::new());
        for n in 0..5000 {
            let at = list.len() as u32;
            let found = places.find_or_insert(hash(n), |place| list[place as usize] == n, || at);
            assert_eq!(found, (at, true));
            list.push(n);
        }
        let known = |places: &Places, list: &[u32], n: u32| {
            places.find(hash(n), |place| list[place as usize] == n)
        };
        assert_eq!(known(&places, &list, 4999), Some(4999));
        assert_eq!(known(&places, &list, 5000), None);
        let full = places.bytes();
        for n in (0..5000).filter(|n| n % 50 != 3) {
            places.remove(hash(n), n);
        }
        let to = close_gaps(&mut list, |n| n % 50 == 3);
        places.compact(&to);
        assert_eq!((places.len(), list.len()), (100, 100));
        assert!(places.bytes() < full / 16);
        for n in 0..5000 {
            let expected = (n % 50 == 3).then_some(n / 50);
            assert_eq!(known(&places, &list, n), expected);
        }
    }
}
