//! A subscriber: takes what its query said in a tick into its own copy of the result.

use std::cell::RefMut;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use differential_dataflow::Data;
use differential_dataflow::consolidation::consolidate;
use serde_json::Value;

use crate::operators::{Changes, Output, T};

pub(crate) trait Live {
    /// The first time for which the query may say more.
    fn reached(&self) -> T;
    fn settle(&mut self);
    /// The rows as JSON.
    fn lines(&self) -> Vec<String>;
}

/// A copy of a result, by what tells its rows apart.
pub(crate) trait Rows<K, D: 'static>: Default {
    fn put(&mut self, key: K, row: D);
    fn remove(&mut self, key: &K);
    fn rows(&self) -> impl Iterator<Item = &D>;
}

impl<K: Hash + Eq, D: 'static, H: BuildHasher + Default> Rows<K, D> for HashMap<K, D, H> {
    fn put(&mut self, key: K, row: D) {
        self.insert(key, row);
    }

    fn remove(&mut self, key: &K) {
        HashMap::remove(self, key);
    }

    fn rows(&self) -> impl Iterator<Item = &D> {
        self.values()
    }
}

/// A result in order: its key tells the place, with ties broken.
impl<K: Ord, D: 'static> Rows<K, D> for BTreeMap<K, D> {
    fn put(&mut self, key: K, row: D) {
        self.insert(key, row);
    }

    fn remove(&mut self, key: &K) {
        BTreeMap::remove(self, key);
    }

    fn rows(&self) -> impl Iterator<Item = &D> {
        self.values()
    }
}

struct Subscriber<D, K, M, F, L> {
    out: Output<D>,
    key: F,
    line: L,
    rows: M,
    keys: PhantomData<K>,
}

/// The subscriber of an output. Rows compare by their key first.
pub(crate) fn subscriber<M, D, K>(
    out: Output<D>,
    key: impl Fn(&D) -> K + 'static,
    line: impl Fn(&D) -> Value + 'static,
) -> Box<dyn Live>
where
    D: Data,
    K: PartialEq + 'static,
    M: Rows<K, D> + 'static,
{
    Box::new(Subscriber {
        out,
        key,
        line,
        rows: M::default(),
        keys: PhantomData,
    })
}

impl<D, K, M, F, L> Live for Subscriber<D, K, M, F, L>
where
    D: Data,
    K: PartialEq,
    M: Rows<K, D>,
    F: Fn(&D) -> K,
    L: Fn(&D) -> Value,
{
    fn reached(&self) -> T {
        self.out.reached()
    }

    fn settle(&mut self) {
        let rows = &mut self.rows;
        settle(&self.out, &self.key, |key, row| match row {
            Some(row) => rows.put(key, row),
            None => rows.remove(&key),
        });
    }

    fn lines(&self) -> Vec<String> {
        let line = |row| (self.line)(row).to_string();
        self.rows.rows().map(line).collect()
    }
}

/// Consolidates a tick's output; every key that changed is given once, with its new row or none.
/// Rows with the same key are neighbours because every row type compares by its key first.
fn settle<D: Data, K: PartialEq>(
    out: &Output<D>,
    key: impl Fn(&D) -> K,
    mut change: impl FnMut(K, Option<D>),
) {
    let mut changes: RefMut<'_, Changes<D>> = out.changes();
    consolidate(&mut *changes);
    let mut left = changes.drain(..).peekable();
    while let Some((row, r)) = left.next() {
        let this = key(&row);
        match left.next_if(|(next, _)| key(next) == this) {
            Some((next, _)) => change(this, Some(if r > 0 { row } else { next })),
            None => change(this, (r > 0).then_some(row)),
        }
    }
}
