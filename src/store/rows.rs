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
    /// The batch being applied, counted so that slots need no cleaning between batches.
    batch: u32,
    touched: Vec<Touched>,
}

#[derive(Debug)]
struct Slot {
    /// The current row, or the last one if the key was deleted in this batch.
    row: Row,
    /// The batch that touched the slot last, and its place in `touched` then.
    batch: u32,
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
    fn touch<'t>(&mut self, batch: u32, touched: &'t mut Vec<Touched>) -> &'t mut Touched {
        if self.batch != batch {
            self.batch = batch;
            self.touched = touched.len() as u32;
            touched.push(Touched { old: Some(self.row.clone()), row: self.row.clone(), live: true });
        }
        &mut touched[self.touched as usize]
    }
}

fn hash(slot: &Slot) -> u64 {
    hash_bytes(slot.row.key())
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// All rows; only between batches.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Row> {
        debug_assert!(self.touched.is_empty(), "a batch is being applied");
        self.table.iter().map(|slot| &slot.row)
    }

    /// Sets the row of its key.
    pub(super) fn put(&mut self, row: Row) {
        match self.table.entry(hash_bytes(row.key()), |slot| slot.row.key() == row.key(), hash) {
            TableEntry::Vacant(entry) => {
                let touched = self.touched.len() as u32;
                self.touched.push(Touched { old: None, row: row.clone(), live: true });
                entry.insert(Slot { row, batch: self.batch, touched });
            }
            TableEntry::Occupied(mut entry) => {
                let touched = entry.get_mut().touch(self.batch, &mut self.touched);
                touched.row = row.clone();
                touched.live = true;
                entry.get_mut().row = row;
            }
        }
    }

    /// Removes the row of a key; `key` is a row whose key it is.
    pub(super) fn delete(&mut self, key: &Row) {
        let found = self.table.find_mut(hash_bytes(key.key()), |slot| slot.row.key() == key.key());
        if let Some(slot) = found {
            slot.touch(self.batch, &mut self.touched).live = false;
        }
    }

    /// Removes all rows.
    pub(super) fn clear(&mut self) {
        for slot in self.table.iter_mut() {
            slot.touch(self.batch, &mut self.touched).live = false;
        }
    }

    /// Ends the batch: its net changes, as old and new row of a key that differ.
    pub(super) fn commit(&mut self) -> Changes {
        let mut changes = Vec::with_capacity(self.touched.len());
        for Touched { old, row, live } in self.touched.drain(..) {
            if !live {
                let found = self.table.find_entry(hash_bytes(row.key()), |slot| slot.row.key() == row.key());
                found.expect("a touched key has a slot").remove();
            }
            let new = live.then_some(row);
            self.live = self.live + usize::from(new.is_some()) - usize::from(old.is_some());
            if old != new {
                changes.push((old, new));
            }
        }
        self.batch += 1;
        if self.batch == u32::MAX {
            // When the count starts over, slots of long ago must not look touched.
            self.table.iter_mut().for_each(|slot| slot.batch = u32::MAX);
            self.batch = 0;
        }
        // A purge gives its memory back.
        if self.table.capacity() > 64 && self.table.len() < self.table.capacity() / 8 {
            self.table.shrink_to_fit(hash);
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
        assert_eq!(rows.commit(), [(Some(row("a", 2)), Some(row("a", 3))), (None, Some(row("b", 1)))]);
        rows.clear();
        assert_eq!(rows.commit().len(), 2);
        assert_eq!((rows.len(), rows.iter().count()), (0, 0));
    }
}
