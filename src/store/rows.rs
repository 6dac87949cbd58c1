//! The rows of one collection by key, with the net effect of the batch that is being applied.

use super::Changes;
use crate::places::{KeyHash, Places, close_gaps};
use crate::value::Row;

/// The rows of one collection.
#[derive(Debug, Default)]
pub(super) struct Rows {
    places: Places,
    /// `None` in the places that are free.
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
    /// The places that the batch has touched, and those of them whose key it deleted last.
    touched: Bits,
    dead: Bits,
    changes: Vec<Change>,
    live: usize,
    /// What the rows themselves take.
    bytes: usize,
}

/// A place that the batch has touched.
#[derive(Debug)]
struct Change {
    at: u32,
    /// The row before the batch.
    old: Option<Row>,
}

/// A set of places.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Whether it was not there.
    fn insert(&mut self, at: u32) -> bool {
        let word = at as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let (before, bit) = (self.0[word], 1 << (at % 64));
        self.0[word] |= bit;
        before & bit == 0
    }

    /// Whether it was there.
    fn remove(&mut self, at: u32) -> bool {
        let (word, bit) = (at as usize / 64, 1 << (at % 64));
        let Some(word) = self.0.get_mut(word) else {
            return false;
        };
        let before = *word;
        *word &= !bit;
        before & bit != 0
    }
}

const LARGE_BATCH: usize = 16_384;

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// The bytes it takes on the heap, the rows included.
    pub(super) fn bytes(&self) -> usize {
        let bits = self.touched.0.capacity() + self.dead.0.capacity();
        self.places.bytes()
            + self.rows.capacity() * size_of::<Option<Row>>()
            + self.free.capacity() * size_of::<u32>()
            + bits * size_of::<u64>()
            + self.changes.capacity() * size_of::<Change>()
            + self.bytes
    }

    /// All rows; only between batches.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Row> {
        debug_assert!(self.changes.is_empty(), "a batch is being applied");
        self.rows.iter().flatten()
    }

    fn find(&self, key: &[u8], hash: KeyHash) -> Option<u32> {
        self.places.find(hash, |at| is_key(&self.rows, at, key))
    }

    /// The row of a key; only between batches.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Row> {
        debug_assert!(self.changes.is_empty(), "a batch is being applied");
        let at = self.find(key, KeyHash::of(key))?;
        self.rows[at as usize].as_ref()
    }

    /// Where the row with the key of another one is likely to be.
    pub(super) fn guess(&self, key: &Row) -> Option<u32> {
        self.places.guess(KeyHash::of_row(key))
    }

    /// Brings what a place holds into the cache. What it returns is to be looked at by somebody.
    pub(super) fn warm(&self, at: u32) -> usize {
        self.rows[at as usize].as_ref().map_or(0, Row::size)
    }

    /// Sets the row of its key.
    pub(super) fn put(&mut self, row: Row) {
        let (key, hash) = (row.key(), KeyHash::of_row(&row));
        let is = |at| is_key(&self.rows, at, key);
        let (next, free) = (self.rows.len() as u32, &mut self.free);
        let new = || free.pop().unwrap_or(next);
        let (at, is_new) = self.places.find_or_insert(hash, is, new);
        if is_new {
            if at == next {
                self.rows.push(None);
            }
            self.rows[at as usize] = Some(row);
            self.touched.insert(at);
            self.changes.push(Change { at, old: None });
            return;
        }
        let old = self.rows[at as usize].replace(row);
        if self.touched.insert(at) {
            self.changes.push(Change { at, old });
        } else {
            self.dead.remove(at);
        }
    }

    /// Removes the row with the key of another one.
    pub(super) fn delete(&mut self, key: &Row) {
        if let Some(at) = self.find(key.key(), KeyHash::of_row(key)) {
            self.kill(at);
        }
    }

    fn kill(&mut self, at: u32) {
        if self.touched.insert(at) {
            let old = self.rows[at as usize].clone();
            self.changes.push(Change { at, old });
        }
        self.dead.insert(at);
    }

    /// Removes all rows.
    pub(super) fn clear(&mut self) {
        for at in 0..self.rows.len() {
            if self.rows[at].is_some() {
                self.kill(at as u32);
            }
        }
    }

    /// Ends the batch: its net changes, as old and new row of a key that differ.
    pub(super) fn commit(&mut self) -> Changes {
        let mut changes = Vec::with_capacity(self.changes.len());
        let mut touched = std::mem::take(&mut self.changes);
        for Change { at, old } in touched.drain(..) {
            self.touched.remove(at);
            let new = match self.dead.remove(at) {
                true => {
                    self.remove(at);
                    None
                }
                false => self.rows[at as usize].clone(),
            };
            self.live = self.live + usize::from(new.is_some()) - usize::from(old.is_some());
            let size = |row: &Option<Row>| row.as_ref().map_or(0, Row::size);
            self.bytes = self.bytes + size(&new) - size(&old);
            if old != new {
                changes.push((old, new));
            }
        }
        // An exceptionally large batch gives its memory back, and so does a purge.
        if touched.capacity() <= LARGE_BATCH {
            self.changes = touched;
        }
        if self.rows.len() > 64 && self.live < self.rows.len() / 8 {
            self.shrink();
        }
        changes
    }

    fn remove(&mut self, at: u32) {
        if let Some(row) = self.rows[at as usize].take() {
            self.places.remove(KeyHash::of_row(&row), at);
            self.free.push(at);
        }
    }

    /// Closes the gaps.
    fn shrink(&mut self) {
        let to = close_gaps(&mut self.rows, Option::is_some);
        self.places.compact(&to);
        (self.free, self.touched, self.dead) = Default::default();
    }
}

fn is_key(rows: &[Option<Row>], at: u32, key: &[u8]) -> bool {
    let row = rows[at as usize].as_ref();
    row.is_some_and(|row| row.key() == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn row(key: &str, n: i64) -> Row {
        [Value::from(key), Value::from(n)].into_iter().collect()
    }

    impl Rows {
        fn unset(&mut self, key: &str) {
            self.delete(&row(key, 0));
        }
    }

    #[test]
    fn a_batch_nets_out_per_key() {
        let mut rows = Rows::default();
        rows.put(row("a", 1));
        rows.put(row("a", 2));
        rows.put(row("b", 1));
        rows.unset("b");
        rows.unset("c");
        assert_eq!(rows.commit(), [(None, Some(row("a", 2)))]);
        assert_eq!(rows.len(), 1);
        rows.unset("a");
        rows.put(row("a", 2));
        assert_eq!(rows.commit(), []);
        rows.clear();
        rows.put(row("a", 3));
        rows.put(row("b", 1));
        assert_eq!(
            rows.commit(),
            [
                (Some(row("a", 2)), Some(row("a", 3))),
                (None, Some(row("b", 1)))
            ]
        );
        assert_eq!(rows.bytes, row("a", 3).size() + row("b", 1).size());
        rows.clear();
        assert_eq!(rows.commit().len(), 2);
        assert_eq!((rows.len(), rows.iter().count(), rows.bytes), (0, 0, 0));
    }

    #[test]
    fn a_purge_gives_places_and_memory_back() {
        let mut rows = Rows::default();
        let name = |i: usize| format!("k{i}");
        (0..1000).for_each(|i| rows.put(row(&name(i), 1)));
        rows.commit();
        let full = rows.bytes();
        (10..1000).for_each(|i| rows.unset(&name(i)));
        assert_eq!(rows.commit().len(), 990);
        // What a batch of usual size needs is kept.
        assert!(rows.bytes() < full / 3, "{} of {full}", rows.bytes());
        for i in 0..10 {
            let key = Value::from(name(i));
            let found = rows.get(row(&name(i), 0).key());
            assert_eq!(found, Some(&row(&name(i), 1)), "{key:?}");
        }
        // Places that are free are taken before new ones.
        rows.unset("k3");
        rows.commit();
        rows.put(row("new", 1));
        rows.commit();
        assert_eq!((rows.rows.len(), rows.iter().count()), (10, 10));
        assert_eq!(rows.get(row("k3", 0).key()), None);
    }
}
