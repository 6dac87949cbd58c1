//! Group by: the aggregates of each group, updated in place.
//!
//! A change costs at most the logarithm of its group's size: counts and sums are adjusted, and the
//! values of `min`, `median`, `first` and the like are kept in order. Only `arrayAgg` costs what its
//! result is long.

mod bag;
mod moments;
mod sliding;
mod state;
#[cfg(test)]
mod tests;

use hashbrown::HashTable;

use super::Updates;
use super::operator::Unary;
use crate::plan::{Aggregate as Wanted, Expr};
use crate::value::{Array, Row, Seq, SeqBuilder, Tuple, Value, ValueRef, hash_bytes};
pub(super) use sliding::Sliding;
use state::{Keep, Read, State, needs};

/// One row a group: the array of its values as key, the values, the aggregates.
pub(super) struct Aggregate {
    keys: Vec<Expr>,
    arguments: Vec<Argument>,
    /// Which of a group's states each aggregate is read from.
    outputs: Vec<(Read, usize)>,
    /// Whether what comes in a tick is to be looked at before what leaves.
    sequential: bool,
    groups: Vec<Group>,
    free: Vec<u32>,
    index: HashTable<u32>,
    touched: Vec<u32>,
    /// What the groups that are not touched hold on the heap, the rows included that were made of them.
    heap: usize,
    builder: SeqBuilder,
    scratch: Vec<u8>,
    key: Vec<u8>,
}

/// An expression that aggregates are computed of, and what is kept of its values.
struct Argument {
    expr: Expr,
    /// Where the group's states of it start.
    start: usize,
    keeps: Vec<Keep>,
    /// Whether it is enough to know that there is a value.
    counted: bool,
}

struct Group {
    /// The packed values of the group.
    key: Box<[u8]>,
    rows: isize,
    states: Box<[State]>,
    emitted: Option<Row>,
    touched: bool,
}

impl Group {
    fn heap(&self) -> usize {
        let states = self.states.iter().map(State::heap).sum::<usize>();
        let emitted = self.emitted.as_ref().map_or(0, Row::size);
        self.key.len() + size_of_val(&*self.states) + states + emitted
    }
}

impl Aggregate {
    pub(super) fn new(keys: Vec<Expr>, wanted: Vec<Wanted>) -> Self {
        let mut arguments: Vec<Argument> = Vec::new();
        let mut outputs = Vec::new();
        for wanted in wanted {
            let (keep, read) = needs(&wanted);
            let expr = wanted
                .args
                .into_iter()
                .next()
                .unwrap_or(Expr::Const(Value::Null));
            let argument = arguments
                .iter()
                .position(|a| a.expr == expr)
                .unwrap_or_else(|| {
                    arguments.push(Argument {
                        expr,
                        start: 0,
                        keeps: Vec::new(),
                        counted: false,
                    });
                    arguments.len() - 1
                });
            let keeps = &mut arguments[argument].keeps;
            let kept = keeps.iter().position(|k| *k == keep).unwrap_or_else(|| {
                keeps.push(keep);
                keeps.len() - 1
            });
            outputs.push((read, argument, kept));
        }
        let mut start = 0;
        for argument in &mut arguments {
            argument.start = start;
            argument.counted = argument.keeps.iter().all(|keep| *keep == Keep::Count);
            start += argument.keeps.len();
        }
        let outputs = outputs
            .into_iter()
            .map(|(read, argument, kept)| (read, arguments[argument].start + kept))
            .collect();
        let mut keeps = arguments.iter().flat_map(|argument| &argument.keeps);
        let sequential = keeps.any(Keep::is_sequential);
        let mut aggregate = Aggregate {
            keys,
            arguments,
            outputs,
            sequential,
            groups: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            touched: Vec::new(),
            heap: 0,
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
        let (groups, key, arguments) = (&mut self.groups, &self.key, &self.arguments);
        let found = self.index.entry(
            hash_bytes(key),
            |&place| *groups[place as usize].key == **key,
            |&place| hash_bytes(&groups[place as usize].key),
        );
        let place = match found {
            hashbrown::hash_table::Entry::Occupied(entry) => {
                let place = *entry.get();
                let group = &groups[place as usize];
                if !group.touched {
                    self.heap -= group.heap();
                }
                place
            }
            hashbrown::hash_table::Entry::Vacant(entry) => {
                let group = Group {
                    key: key.clone().into(),
                    rows: 0,
                    states: arguments
                        .iter()
                        .flat_map(|argument| argument.keeps.iter().map(Keep::nothing))
                        .collect(),
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

    /// Brings a tuple into its group, or takes it out.
    fn change(&mut self, tuple: &Tuple, diff: isize) {
        self.read_key(tuple);
        let place = self.group();
        let group = &mut self.groups[place];
        group.rows += diff;
        for argument in &self.arguments {
            let states = &mut group.states[argument.start..];
            if argument.counted {
                if argument.expr.is_known(tuple) {
                    states[0].count(diff);
                }
                continue;
            }
            let value = argument.expr.eval(tuple);
            let value = value.as_ref();
            if !value.is_nullish() {
                for (keep, state) in argument.keeps.iter().zip(states) {
                    state.add(keep, value, tuple, diff);
                }
            }
        }
    }

    fn row(&mut self, place: usize) -> Row {
        let group = &self.groups[place];
        self.builder.push(ValueRef::Array(Array(&group.key)));
        let values = Seq::new(&group.key);
        (0..values.len()).for_each(|i| self.builder.push_encoded(values.encoded(i)));
        for (read, state) in &self.outputs {
            self.builder.push(group.states[*state].read(read).as_ref());
        }
        Row::new(&mut self.builder, &mut self.scratch)
    }

    fn remove(&mut self, place: usize) {
        let group = &mut self.groups[place];
        let found = self
            .index
            .find_entry(hash_bytes(&group.key), |&p| p as usize == place);
        found.expect("every group is in the index").remove();
        (group.key, group.states) = Default::default();
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
        if self.sequential {
            for coming in [true, false] {
                for (tuple, diff) in input.iter().filter(|(_, diff)| (*diff > 0) == coming) {
                    self.change(tuple, *diff);
                }
            }
            input.clear();
        } else {
            for (tuple, diff) in input.drain(..) {
                self.change(&tuple, diff);
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        for place in touched.drain(..).map(|place| place as usize) {
            self.groups[place].touched = false;
            let there = self.groups[place].rows > 0 || self.is_global();
            let new = there.then(|| self.row(place));
            let old = std::mem::replace(&mut self.groups[place].emitted, new.clone());
            match there {
                true => self.heap += self.groups[place].heap(),
                false => self.remove(place),
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

    fn bytes(&self) -> usize {
        let groups = self.groups.capacity() * size_of::<Group>() + self.index.allocation_size();
        let places = (self.free.capacity() + self.touched.capacity()) * size_of::<u32>();
        groups + places + self.heap
    }
}
