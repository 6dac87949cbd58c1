//! The current rows of a collection, and the dataflow's input that hears of their changes.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use differential_dataflow::{Data, VecCollection};
use timely::dataflow::Scope;

use crate::operators::{Input, T};

pub(crate) struct Table<K, D: Data, H> {
    rows: HashMap<K, D, H>,
    input: Option<Input<D>>,
    /// Whether the input has been given the rows that were there before it.
    fed: bool,
}

impl<K, D: Data, H: Default> Default for Table<K, D, H> {
    fn default() -> Self {
        Table {
            rows: HashMap::default(),
            input: None,
            fed: false,
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

    /// The rows as a collection. Those that are there go in when time advances: what is sent while a
    /// dataflow is being built would be lost.
    pub(crate) fn input<'s>(&mut self, scope: Scope<'s, T>) -> VecCollection<'s, T, D, isize> {
        let (input, rows) = Input::new(scope);
        self.input = Some(input);
        rows
    }

    pub(crate) fn advance(&mut self, to: T) {
        let Some(input) = &mut self.input else {
            return;
        };
        if !std::mem::replace(&mut self.fed, true) {
            for row in self.rows.values() {
                input.replace(None, Some(row.clone()));
            }
        }
        input.advance(to);
    }
}
