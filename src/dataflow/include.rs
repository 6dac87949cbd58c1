//! Include: each parent's tuple with a row added that holds what is made of its children.
//!
//! Parents and children meet by context, the parent's values that the children depend on. The row
//! of a context is shared by all its parents, and made anew when one of its children changes: a
//! change costs what one parent shows and how many parents share it, however many others there are.

use differential_dataflow::consolidation::consolidate;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::budget::{Meter, TUPLE};
use super::operator::Binary;
use super::window::Ordered;
use super::{Diff, Updates};
use crate::plan::{Expr, Include as Plan, OrderKey, encode_all, sort_key};
use crate::query::{Materialization, to_text};
use crate::ranked::RankedSet;
use crate::store::Index;
use crate::value::{Heap, Row, Tuple, Value, ValueRef};

type Key = SmallVec<[u8; 24]>;

pub(super) struct Include {
    context: Vec<Expr>,
    child_context: Vec<Expr>,
    order: Vec<OrderKey>,
    value: Expr,
    materialization: Materialization,
    /// Whether the changes of parents and of children come consolidated.
    consolidated: [bool; 2],
    parents: Index<Tuple>,
    children: HashMap<Key, Children, foldhash::fast::RandomState>,
    childless: Row,
    /// What the children and their keys hold on the heap, and the rows that are made of them.
    heap: usize,
    meter: Meter,
}

/// The children of a context, and what is made of them.
struct Children {
    tuples: RankedSet<Ordered>,
    row: Row,
}

impl Children {
    fn bytes(&self) -> usize {
        self.tuples.bytes() + self.row.size()
    }
}

impl Include {
    pub(super) fn new(plan: &Plan, consolidated: [bool; 2], meter: Meter) -> Self {
        let mut include = Include {
            context: plan.context.clone(),
            child_context: plan.child_context.clone(),
            order: plan.order.clone(),
            value: plan.value.clone(),
            materialization: plan.materialization,
            consolidated,
            parents: Index::default(),
            children: HashMap::default(),
            childless: Row::of([]),
            heap: 0,
            meter,
        };
        include.childless = include.row(&RankedSet::default());
        include
    }

    /// What is made of children: a row without a key, as it is no part of its tuple's key.
    fn row(&self, children: &RankedSet<Ordered>) -> Row {
        let mut values = children
            .iter()
            .map(|ordered| self.value.eval(&ordered.tuple).into_value());
        let value = match self.materialization {
            Materialization::Array => {
                // As in JSON, an array has no holes.
                let whole = |value| match value {
                    Value::Missing => Value::Null,
                    value => value,
                };
                values.map(whole).collect::<Vec<_>>().into()
            }
            Materialization::Singleton => values.next().unwrap_or_default(),
            Materialization::Concat => {
                let texts = values.map(|value| to_text(value.as_ref()).into_owned());
                Value::from(texts.collect::<String>())
            }
        };
        Row::of([ValueRef::Missing, value.as_ref()])
    }

    fn row_of(&self, key: &[u8]) -> &Row {
        self.children
            .get(key)
            .map_or(&self.childless, |children| &children.row)
    }

    /// Applies the changes of the children, and lets their parents know.
    fn step_children(&mut self, children: &mut Updates, output: &mut Updates) {
        let mut keyed: Vec<(Key, Tuple, Diff)> = Vec::with_capacity(children.len());
        let mut scratch = Vec::new();
        for (tuple, diff) in children.drain(..) {
            scratch.clear();
            encode_all(&self.child_context, &tuple, &mut scratch);
            keyed.push((Key::from_slice(&scratch), tuple, diff));
        }
        keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for run in keyed.chunk_by(|a, b| a.0 == b.0) {
            let key = &run[0].0;
            let old = self.row_of(key).clone();
            let known = self.children.remove(key);
            if let Some(children) = &known {
                self.heap -= children.bytes() + key.heap();
            }
            let mut set = known.map(|c| c.tuples).unwrap_or_default();
            let ordered = |tuple: &Tuple| Ordered {
                place: sort_key(&self.order, tuple),
                tuple: tuple.clone(),
            };
            // A row that changed leaves its place before it takes it again.
            for (_, tuple, _) in run.iter().filter(|(.., diff)| *diff < 0) {
                let removed = set.remove(&ordered(tuple));
                debug_assert!(removed, "a tuple that leaves was there");
            }
            for (_, tuple, _) in run.iter().filter(|(.., diff)| *diff > 0) {
                let inserted = set.insert(ordered(tuple));
                debug_assert!(inserted, "a tuple comes once");
            }
            let new = self.row(&set);
            if new != old {
                for parent in self.parents.get(key) {
                    if !self.meter.spend(2 * TUPLE) {
                        return;
                    }
                    output.push((with(parent, &old), -1));
                    output.push((with(parent, &new), 1));
                }
            }
            if set.len() > 0 {
                let children = Children {
                    tuples: set,
                    row: new,
                };
                self.heap += children.bytes() + key.heap();
                if !self.meter.spend(children.row.size()) {
                    return;
                }
                self.children.insert(key.clone(), children);
            }
        }
        if self.children.capacity() > 64 && self.children.len() < self.children.capacity() / 8 {
            self.children.shrink_to_fit();
        }
    }

    fn step_parents(&mut self, parents: &mut Updates, output: &mut Updates) {
        let mut key = Vec::new();
        for (tuple, diff) in parents.drain(..) {
            key.clear();
            encode_all(&self.context, &tuple, &mut key);
            output.push((with(&tuple, self.row_of(&key)), diff));
            if diff > 0 {
                self.parents.insert(&key, tuple);
            } else {
                let removed = self.parents.remove(&key, &tuple);
                debug_assert!(removed, "a tuple that leaves was there");
            }
        }
    }
}

fn with(parent: &Tuple, row: &Row) -> Tuple {
    let mut tuple = parent.clone();
    tuple.push(Some(row.clone()));
    tuple
}

impl Binary for Include {
    fn step(&mut self, parents: &mut Updates, children: &mut Updates, output: &mut Updates) {
        for (updates, consolidated) in [&mut *parents, &mut *children]
            .into_iter()
            .zip(self.consolidated)
        {
            if !consolidated {
                consolidate(updates);
            }
        }
        self.step_children(children, output);
        self.step_parents(parents, output);
        if output.len() > 1 {
            consolidate(output);
        }
    }

    fn bytes(&self) -> usize {
        self.parents.bytes() + self.children.allocation_size() + self.heap
    }
}
