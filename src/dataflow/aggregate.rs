//! Group by: count, sum, avg, min and max of each group, updated in place.
//!
//! A change costs the same whatever the size of its group: counts and sums are adjusted, and the
//! values of `min` and `max` are kept in an ordered multiset.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hashbrown::HashTable;

use super::Updates;
use super::exact_sum::ExactSum;
use super::operator::Unary;
use crate::plan::{Aggregate as Wanted, Expr};
use crate::query::{AggregateFunction, to_number};
use crate::value::{Array, Row, Seq, SeqBuilder, Tuple, Value, ValueRef, hash_bytes};

/// One row a group: the array of its values as key, the values, the aggregates.
pub(super) struct Aggregate {
    keys: Vec<Expr>,
    arguments: Vec<Argument>,
    /// Which argument each aggregate is computed of.
    outputs: Vec<(AggregateFunction, usize)>,
    groups: Vec<Group>,
    free: Vec<u32>,
    index: HashTable<u32>,
    touched: Vec<u32>,
    builder: SeqBuilder,
    scratch: Vec<u8>,
    key: Vec<u8>,
}

/// An expression that aggregates are computed of, and what they need to know of it.
struct Argument {
    expr: Expr,
    sum: bool,
    extremes: bool,
}

struct Group {
    /// The packed values of the group.
    key: Box<[u8]>,
    rows: isize,
    states: Box<[State]>,
    emitted: Option<Row>,
    touched: bool,
}

#[derive(Default, Clone)]
struct State {
    /// How many values are neither null nor missing.
    count: isize,
    sum: ExactSum,
    extremes: BTreeMap<Value, isize>,
}

impl Aggregate {
    pub(super) fn new(keys: Vec<Expr>, wanted: Vec<Wanted>) -> Self {
        let mut arguments: Vec<Argument> = Vec::new();
        let mut outputs = Vec::new();
        for Wanted { function, mut args } in wanted {
            let argument = args.swap_remove(0);
            let place = arguments
                .iter()
                .position(|a| a.expr == argument)
                .unwrap_or_else(|| {
                    arguments.push(Argument {
                        expr: argument,
                        sum: false,
                        extremes: false,
                    });
                    arguments.len() - 1
                });
            match function {
                AggregateFunction::Count => {}
                AggregateFunction::Sum | AggregateFunction::Avg => arguments[place].sum = true,
                AggregateFunction::Min | AggregateFunction::Max => arguments[place].extremes = true,
            }
            outputs.push((function, place));
        }
        let mut aggregate = Aggregate {
            keys,
            arguments,
            outputs,
            groups: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            touched: Vec::new(),
            builder: SeqBuilder::default(),
            scratch: Vec::new(),
            key: Vec::new(),
        };
        if aggregate.is_global() {
            // It is there without any rows, and its first tick says so.
            aggregate.read_key(&[]);
            aggregate.group();
        }
        aggregate
    }

    fn is_global(&self) -> bool {
        self.keys.is_empty()
    }

    fn read_key(&mut self, tuple: &[Option<Row>]) {
        self.key.clear();
        self.keys
            .iter()
            .for_each(|key| key.push_to(tuple, &mut self.builder));
        self.builder.finish(&mut self.key);
    }

    /// The group of the key that was read, marked as touched.
    fn group(&mut self) -> usize {
        let (groups, key) = (&mut self.groups, &self.key);
        let found = self.index.entry(
            hash_bytes(key),
            |&place| *groups[place as usize].key == **key,
            |&place| hash_bytes(&groups[place as usize].key),
        );
        let place = match found {
            hashbrown::hash_table::Entry::Occupied(entry) => *entry.get(),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                let group = Group {
                    key: key.clone().into(),
                    rows: 0,
                    states: vec![State::default(); self.arguments.len()].into(),
                    emitted: None,
                    touched: false,
                };
                let place = match self.free.pop() {
                    Some(place) => {
                        groups[place as usize] = group;
                        place
                    }
                    None => {
                        groups.push(group);
                        groups.len() as u32 - 1
                    }
                };
                entry.insert(place);
                place
            }
        };
        if !std::mem::replace(&mut self.groups[place as usize].touched, true) {
            self.touched.push(place);
        }
        place as usize
    }

    fn row(&mut self, place: usize) -> Row {
        let group = &self.groups[place];
        self.builder.push(ValueRef::Array(Array(&group.key)));
        let values = Seq::new(&group.key);
        (0..values.len()).for_each(|i| self.builder.push_encoded(values.encoded(i)));
        for (function, argument) in &self.outputs {
            self.builder
                .push(group.states[*argument].value(*function).as_ref());
        }
        Row::new(&mut self.builder, &mut self.scratch)
    }

    fn remove(&mut self, place: usize) {
        let group = &mut self.groups[place];
        let found = self
            .index
            .find_entry(hash_bytes(&group.key), |&p| p as usize == place);
        found.expect("every group is in the index").remove();
        group.states = Box::default();
        self.free.push(place as u32);
    }

    /// Gives memory back when hardly any of the groups there once were are left.
    fn compact(&mut self) {
        if self.groups.len() < 1024 || self.index.len() > self.groups.len() / 8 {
            return;
        }
        let live = std::mem::take(&mut self.groups)
            .into_iter()
            .filter(|group| group.rows > 0);
        self.groups = live.collect();
        (self.free, self.index) = Default::default();
        for (place, group) in self.groups.iter().enumerate() {
            let rehash = |&place: &u32| hash_bytes(&self.groups[place as usize].key);
            self.index
                .insert_unique(hash_bytes(&group.key), place as u32, rehash);
        }
    }
}

impl Unary for Aggregate {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        for (tuple, diff) in input.drain(..) {
            self.read_key(&tuple);
            let place = self.group();
            let group = &mut self.groups[place];
            group.rows += diff;
            for (argument, state) in self.arguments.iter().zip(&mut group.states) {
                if !argument.expr.is_known(&tuple) {
                    continue;
                }
                state.count += diff;
                if argument.sum || argument.extremes {
                    state.add(argument, argument.expr.eval(&tuple).as_ref(), diff);
                }
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        for place in touched.drain(..).map(|place| place as usize) {
            self.groups[place].touched = false;
            let there = self.groups[place].rows > 0 || self.is_global();
            let new = there.then(|| self.row(place));
            let old = std::mem::replace(&mut self.groups[place].emitted, new.clone());
            if !there {
                self.remove(place);
            }
            if old != new {
                let one = |row| Tuple::from_elem(Some(row), 1);
                output.extend(old.map(|row| (one(row), -1)));
                output.extend(new.map(|row| (one(row), 1)));
            }
        }
        self.touched = touched;
        if !self.is_global() {
            self.compact();
        }
    }
}

impl State {
    fn add(&mut self, argument: &Argument, value: ValueRef<'_>, diff: isize) {
        if argument.sum {
            match value {
                ValueRef::Int(_) | ValueRef::Float(_) => self.sum.add(value, diff),
                other => self.sum.add(to_number(other).as_ref(), diff),
            }
        }
        if argument.extremes {
            match self.extremes.entry(value.to_owned()) {
                Entry::Vacant(entry) => drop(entry.insert(diff)),
                Entry::Occupied(mut entry) => {
                    *entry.get_mut() += diff;
                    if *entry.get() == 0 {
                        entry.remove();
                    }
                }
            }
        }
    }

    fn value(&self, function: AggregateFunction) -> Value {
        let known = |entry: Option<(&Value, &isize)>| entry.map_or(Value::Null, |(v, _)| v.clone());
        match function {
            AggregateFunction::Count => Value::int(self.count as i128),
            AggregateFunction::Sum => self.sum.value(),
            AggregateFunction::Avg if self.count == 0 => Value::Null,
            AggregateFunction::Avg => {
                let sum = self
                    .sum
                    .value()
                    .as_ref()
                    .as_f64()
                    .expect("a sum is a number");
                Value::float(sum / self.count as f64)
            }
            AggregateFunction::Min => known(self.extremes.first_key_value()),
            AggregateFunction::Max => known(self.extremes.last_key_value()),
        }
    }
}
