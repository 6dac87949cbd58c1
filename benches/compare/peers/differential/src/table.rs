//! The current rows of a collection, and the dataflow's input that hears of their changes.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use differential_dataflow::{Data, VecCollection};
use timely::dataflow::Scope;

use crate::operators::{Input, T};

pub(crate) struct Table<K, D: Data, H> {
    rows: HashMap<K, D, H>,
    input: Option<Input<D>>,
}

impl<K, D: Data, H: Default> Default for Table<K, D, H> {
    fn default() -> Self {
        Table {
            rows: HashMap::default(),
            input: None,
        }
    }
}

impl<K: Hash + Eq, D: Data, H: BuildHasher + Default> Table<K, D, H> {
    /// Without a row, what was there goes.
    pub(crate) fn set(&mut self, key: K, row: Option<D>) {
        let Some(input) = &mut self.input else {
            match row {
                Some(row) => drop(self.rows.insert(key, row)),
                None => drop(self.rows.remove(&key)),
            }
            return;
        };
        let old = match row.clone() {
            Some(row) => self.rows.insert(key, row),
            None => self.rows.remove(&key),
        };
        input.replace(old, row);
    }

    /// The rows as a collection, those that are there first.
    pub(crate) fn input<'s>(&mut self, scope: Scope<'s, T>) -> VecCollection<'s, T, D, isize> {
        let (mut input, rows) = Input::new(scope);
        for row in self.rows.values() {
            input.replace(None, Some(row.clone()));
        }
        self.input = Some(input);
        rows
    }

    pub(crate) fn advance(&mut self, to: T) {
        if let Some(input) = &mut self.input {
            input.advance(to);
        }
    }
}
