//! A subscriber: takes what its query said in a transaction into its own copy of the result.

use std::collections::{BTreeMap, HashMap};

use dbsp::typed_batch::{IndexedZSetReader, SpineSnapshot};
use dbsp::{DBData, OrdIndexedZSet, OutputHandle, RootCircuit, Stream};
use serde_json::Value;

/// The worker's thread makes them, this one reads them.
pub(crate) type Subscriber = Box<dyn Live + Send>;

pub(crate) trait Live {
    fn settle(&mut self);
    /// The rows as JSON.
    fn lines(&self) -> Vec<String>;
}

/// A result by key and row.
pub(crate) type Indexed<K, D> = Stream<RootCircuit, OrdIndexedZSet<K, D>>;
type Output<K, D> = OutputHandle<SpineSnapshot<OrdIndexedZSet<K, D>>>;

/// The subscriber of a result without order.
pub(crate) fn subscriber<K: DBData, D: DBData>(
    rows: &Indexed<K, D>,
    line: fn(&K, &D) -> Value,
) -> Subscriber {
    Box::new(Unordered {
        out: rows.accumulate_output(),
        line,
        rows: HashMap::new(),
    })
}

/// The subscriber of a result in the order of its keys.
pub(crate) fn ordered<K: DBData, D: DBData>(
    rows: &Indexed<K, D>,
    line: fn(&K, &D) -> Value,
) -> Subscriber {
    Box::new(Ordered {
        out: rows.accumulate_output(),
        line,
        rows: BTreeMap::new(),
    })
}

struct Unordered<K: DBData, D: DBData> {
    out: Output<K, D>,
    line: fn(&K, &D) -> Value,
    rows: HashMap<K, D>,
}

impl<K: DBData, D: DBData> Live for Unordered<K, D> {
    fn settle(&mut self) {
        for (key, row, weight) in self.out.concat().consolidate().iter() {
            if weight > 0 {
                self.rows.insert(key, row);
            } else if self.rows.get(&key) == Some(&row) {
                self.rows.remove(&key);
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let line = |(key, row)| (self.line)(key, row).to_string();
        self.rows.iter().map(line).collect()
    }
}

struct Ordered<K: DBData, D: DBData> {
    out: Output<K, D>,
    line: fn(&K, &D) -> Value,
    rows: BTreeMap<K, D>,
}

impl<K: DBData, D: DBData> Live for Ordered<K, D> {
    fn settle(&mut self) {
        for (key, row, weight) in self.out.concat().consolidate().iter() {
            if weight > 0 {
                self.rows.insert(key, row);
            } else if self.rows.get(&key) == Some(&row) {
                self.rows.remove(&key);
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let line = |(key, row)| (self.line)(key, row).to_string();
        self.rows.iter().map(line).collect()
    }
}
