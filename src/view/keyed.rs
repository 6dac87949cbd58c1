//! The rows of a result without an order, by key.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::change::Replaced;
use crate::dataflow::Updates;
use crate::plan::sort_key;
use crate::value::{Row, Tuple, hash_bytes};

/// A hash table of tuples by the keys of their rows.
#[derive(Debug, Default)]
pub(super) struct Keyed {
    table: HashTable<Slot>,
}

#[derive(Debug)]
struct Slot {
    tuple: Tuple,
    /// While a batch is applied: the change that took the tuple away, if one did.
    gone: Option<u32>,
}

fn hash(tuple: &[Option<Row>]) -> u64 {
    let part = |row: &Option<Row>| row.as_ref().map_or(0, |row| hash_bytes(row.key()));
    tuple.iter().fold(0, |hash: u64, row| (hash.rotate_left(5) ^ part(row)).wrapping_mul(ODD))
}

/// Spreads the bits of combined hashes.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

fn same_key(a: &[Option<Row>], b: &[Option<Row>]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| match (a, b) {
            (Some(a), Some(b)) => a.key() == b.key(),
            (None, None) => true,
            _ => false,
        })
}

impl Keyed {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// All tuples by key.
    pub(super) fn sorted(&self) -> impl Iterator<Item = &Tuple> {
        let mut rows: Vec<_> = self.table.iter().map(|s| (sort_key(&[], &s.tuple), &s.tuple)).collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        rows.into_iter().map(|(_, tuple)| tuple)
    }

    pub(super) fn apply(&mut self, updates: Updates) -> Vec<Replaced> {
        let mut changes: Vec<Replaced> = Vec::with_capacity(updates.len());
        let (mut came, mut left) = (Vec::new(), Vec::new());
        for (tuple, diff) in updates {
            if diff > 0 {
                came.push(tuple);
                continue;
            }
            let hash = hash(&tuple);
            let slot = self.table.find_mut(hash, |slot| same_key(&slot.tuple, &tuple));
            let slot = slot.expect("a tuple that leaves was there");
            let place = changes.len();
            slot.gone = Some(place as u32);
            left.push((hash, place));
            changes.push(Replaced { old: Some(tuple), ..Replaced::default() });
        }
        for tuple in came {
            let found = self.table.entry(hash(&tuple), |slot| same_key(&slot.tuple, &tuple), |slot| hash(&slot.tuple));
            match found {
                Entry::Occupied(mut entry) => {
                    let slot = entry.get_mut();
                    let place = slot.gone.take().expect("one tuple a key");
                    slot.tuple = tuple.clone();
                    changes[place as usize].new = Some(tuple);
                }
                Entry::Vacant(entry) => {
                    entry.insert(Slot { tuple: tuple.clone(), gone: None });
                    changes.push(Replaced { new: Some(tuple), ..Replaced::default() });
                }
            }
        }
        for (hash, place) in left {
            if changes[place].new.is_none() {
                let found = self.table.find_entry(hash, |slot| slot.gone == Some(place as u32));
                found.expect("the slot of a tuple that left").remove();
            }
        }
        if self.table.capacity() > 64 && self.table.len() < self.table.capacity() / 8 {
            self.table.shrink_to_fit(|slot| self::hash(&slot.tuple));
        }
        changes
    }
}
