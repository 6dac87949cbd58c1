//! The rows of one collection by key, with the net effect of the batch that is being applied.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;

use super::Changes;
use crate::value::{Row, hash_bytes};

/// The rows of one collection.
#[derive(Debug, Default)]
pub(super) struct Rows {
    table: HashTable<Slot>,
    live: usize,
    /// What the rows themselves take.
    bytes: usize,
    touched: Vec<Touched>,
}

#[derive(Debug)]
struct Slot {
    /// The current row, or the last one if the key was deleted in this batch.
    row: Row,
    /// Of the key, so that a growing table need not look at the rows.
    hash: u32,
    /// The slot's place in `touched` in the batch that touched it last.
    touched: u32,
}

#[derive(Debug)]
struct Touched {
    old: Option<Row>,
    /// The last row the key had in the batch; the new one, if the key is live.
    row: Row,
    live: bool,
}

impl Slot {
    /// What the batch has done to the slot so far; nothing at first.
    fn touch<'t>(&mut self, touched: &'t mut Vec<Touched>) -> &'t mut Touched {
        // A place left over from another batch holds another key's row, if any.
        let known = touched
            .get(self.touched as usize)
            .is_some_and(|t| t.row.is_same(&self.row));
        if !known {
            self.touched = touched.len() as u32;
            touched.push(Touched {
                old: Some(self.row.clone()),
                row: self.row.clone(),
                live: true,
            });
        }
        &mut touched[self.touched as usize]
    }
}

/// The hash that the table goes by, made of what a slot stores of it.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn key_hash(row: &Row) -> u32 {
    hash_bytes(row.key()) as u32
}

const LARGE_BATCH: usize = 16_384;

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// The bytes it takes on the heap, the rows included.
    pub(super) fn bytes(&self) -> usize {
        let touched = self.touched.capacity() * size_of::<Touched>();
        self.table.allocation_size() + touched + self.bytes
    }

    /// All rows; only between batches.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Row> {
        debug_assert!(self.touched.is_empty(), "a batch is being applied");
        self.table.iter().map(|slot| &slot.row)
    }

    /// The row of a key; only between batches.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Row> {
        debug_assert!(self.touched.is_empty(), "a batch is being applied");
        let hash = hash_bytes(key) as u32;
        let found = self.table.find(spread(hash), |slot| slot.row.key() == key);
        found.map(|slot| &slot.row)
    }

    /// Sets the row of its key.
    pub(super) fn put(&mut self, row: Row) {
        let hash = key_hash(&row);
        let same = |slot: &Slot| slot.hash == hash && slot.row.key() == row.key();
        match self
            .table
            .entry(spread(hash), same, |slot| spread(slot.hash))
        {
            TableEntry::Vacant(entry) => {
                let touched = self.touched.len() as u32;
                self.touched.push(Touched {
                    old: None,
                    row: row.clone(),
                    live: true,
                });
                entry.insert(Slot { row, hash, touched });
            }
            TableEntry::Occupied(mut entry) => {
                let touched = entry.get_mut().touch(&mut self.touched);
                touched.row = row.clone();
                touched.live = true;
                entry.get_mut().row = row;
            }
        }
    }

    /// Removes the row of a key; `key` is a row whose key it is.
    pub(super) fn delete(&mut self, key: &Row) {
        let found = self
            .table
            .find_mut(spread(key_hash(key)), |slot| slot.row.key() == key.key());
        if let Some(slot) = found {
            slot.touch(&mut self.touched).live = false;
        }
    }

    /// Removes all rows.
    pub(super) fn clear(&mut self) {
        for slot in self.table.iter_mut() {
            slot.touch(&mut self.touched).live = false;
        }
    }

    /// Ends the batch: its net changes, as old and new row of a key that differ.
    pub(super) fn commit(&mut self) -> Changes {
        let mut changes = Vec::with_capacity(self.touched.len());
        for Touched { old, row, live } in self.touched.drain(..) {
            if !live {
                let found = self
                    .table
                    .find_entry(spread(key_hash(&row)), |slot| slot.row.is_same(&row));
                found.expect("a touched key has a slot").remove();
            }
            let new = live.then_some(row);
            self.live = self.live + usize::from(new.is_some()) - usize::from(old.is_some());
            let size = |row: &Option<Row>| row.as_ref().map_or(0, Row::size);
            self.bytes = self.bytes + size(&new) - size(&old);
            if old != new {
                changes.push((old, new));
            }
        }
        // A purge gives its memory back, and so does an exceptionally large batch.
        if self.touched.capacity() > LARGE_BATCH {
            self.touched = Vec::new();
        }
        if self.table.capacity() > 64 && self.table.len() < self.table.capacity() / 8 {
            self.table.shrink_to_fit(|slot| spread(slot.hash));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn row(key: &str, n: i64) -> Row {
        [Value::from(key), Value::from(n)].into_iter().collect()
    }

    #[test]
    fn a_batch_nets_out_per_key() {
        let mut rows = Rows::default();
        rows.put(row("a", 1));
        rows.put(row("a", 2));
        rows.put(row("b", 1));
        rows.delete(&row("b", 0));
        rows.delete(&row("c", 0));
        assert_eq!(rows.commit(), [(None, Some(row("a", 2)))]);
        assert_eq!(rows.len(), 1);
        rows.delete(&row("a", 0));
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
}
