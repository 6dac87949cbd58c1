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

use super::Updates;
use super::operator::Unary;
use crate::places::{KeyHash, Places, close_gaps};
use crate::plan::{Aggregate as Wanted, Expr, OrderKey, encode_all, encoded_all};
use crate::value::{Row, SeqBuilder, Tuple, Value, ValueRef, encode, single};
pub(super) use sliding::Sliding;
use state::{Keep, Read, Standing, State, needs};

/// One row a group: the array of its values as key, the values, the aggregates.
pub(super) struct Aggregate {
    keys: Vec<Expr>,
    arguments: Vec<Argument>,
    outputs: Vec<Output>,
    /// The orders in which tuples are kept.
    orders: Vec<Vec<OrderKey>>,
    /// What several arguments keep together.
    together: Vec<Together>,
    /// Whether what comes in a tick is to be looked at before what leaves.
    sequential: bool,
    groups: Vec<Group>,
    free: Vec<u32>,
    places: Places,
    touched: Vec<u32>,
    /// What the groups that are not touched hold on the heap, the rows included that were made of them.
    heap: usize,
    builder: SeqBuilder,
    key_builder: SeqBuilder,
    scratch: Vec<u8>,
    key: Vec<u8>,
}

/// Whether tuples are kept for an aggregate, and not only what is computed of them.
pub(super) fn keeps_tuples(wanted: &Wanted) -> bool {
    matches!(needs(wanted, &mut Vec::new()).0, Keep::Ordered(_))
}

/// An expression that aggregates are computed of, and what is kept of its values.
struct Argument {
    expr: Expr,
    /// Where the group's states of it start.
    start: usize,
    keeps: Vec<Keep>,
    /// Whether it is enough to know that there is a value.
    is_of_any: bool,
    /// The orders in which it keeps tuples, one bit each, if it keeps nothing else.
    orders: u64,
}

/// Tuples in one order that have values of several arguments. Each of these keeps only those in which
/// others are missing: so the last row of each group is kept once, whatever is asked of it.
struct Together {
    order: usize,
    arguments: Vec<usize>,
    state: usize,
}

/// The bit of an order in sets of them; of very many orders the last ones have none, and what is kept in
/// these is never kept together.
fn bit(order: usize) -> u64 {
    u32::try_from(order)
        .ok()
        .and_then(|order| 1u64.checked_shl(order))
        .unwrap_or(0)
}

/// The orders of what is kept, one bit each; 0 if it is not all tuples in some order.
fn orders_of(keeps: &[Keep]) -> u64 {
    let bit = |keep: &Keep| match keep {
        Keep::Ordered(order) => Some(bit(*order)).filter(|bit| *bit != 0),
        _ => None,
    };
    let bits = keeps
        .iter()
        .try_fold(0, |bits, keep| Some(bits | bit(keep)?));
    bits.unwrap_or(0)
}

/// Lets arguments that keep tuples in the same order do so together, in states from `start` on.
fn together(
    arguments: &[Argument],
    outputs: &mut [Output],
    orders: usize,
    start: usize,
) -> Vec<Together> {
    let mut all = Vec::new();
    for order in (0..orders).filter(|order| bit(*order) != 0) {
        let keep = Keep::Ordered(order);
        let of = arguments.iter().enumerate();
        let of = of.filter(|(_, argument)| argument.keeps.contains(&keep));
        let of: Vec<usize> = of.map(|(i, _)| i).collect();
        if of.len() < 2 {
            continue;
        }
        let state = start + all.len();
        let is_kept = |output: &&mut Output| arguments[output.argument].keeps[output.state] == keep;
        for output in outputs.iter_mut().filter(is_kept) {
            output.together = Some(state);
        }
        all.push(Together {
            order,
            arguments: of,
            state,
        });
    }
    all
}

/// How an aggregate is made.
struct Output {
    read: Read,
    argument: usize,
    /// Which of the argument's states it is read from.
    state: usize,
    /// Which of the group's states has more of it.
    together: Option<usize>,
}

struct Group {
    /// The value of the group as it is encoded, or its values by [`encode_all`].
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
        let (mut outputs, mut orders) = (Vec::new(), Vec::new());
        for wanted in wanted {
            let (keep, read) = needs(&wanted, &mut orders);
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
                        is_of_any: false,
                        orders: 0,
                    });
                    arguments.len() - 1
                });
            let keeps = &mut arguments[argument].keeps;
            let state = keeps.iter().position(|k| *k == keep).unwrap_or_else(|| {
                keeps.push(keep);
                keeps.len() - 1
            });
            outputs.push(Output {
                read,
                argument,
                state,
                together: None,
            });
        }
        let mut start = 0;
        for argument in &mut arguments {
            argument.start = start;
            argument.is_of_any = argument.keeps.iter().all(Keep::is_of_any);
            argument.orders = orders_of(&argument.keeps);
            start += argument.keeps.len();
        }
        let together = together(&arguments, &mut outputs, orders.len(), start);
        let mut keeps = arguments.iter().flat_map(|argument| &argument.keeps);
        let sequential = keeps.any(Keep::is_sequential);
        let mut aggregate = Aggregate {
            keys,
            arguments,
            outputs,
            orders,
            together,
            sequential,
            groups: Vec::new(),
            free: Vec::new(),
            places: Places::default(),
            touched: Vec::new(),
            heap: 0,
            builder: SeqBuilder::default(),
            key_builder: SeqBuilder::default(),
            scratch: Vec::new(),
            key: Vec::new(),
        };
        if aggregate.is_global() {
            // It is there without any rows, and its first tick says so.
            aggregate.group(&[]);
        }
        aggregate
    }

    fn is_global(&self) -> bool {
        self.keys.is_empty()
    }

    /// The group of a tuple, marked as touched.
    #[inline]
    fn group_of(&mut self, tuple: &Tuple) -> usize {
        // Most groups are by one column, which need not be copied.
        if let [Expr::Column { source, column, .. }] = self.keys[..] {
            let row = tuple[source].as_ref();
            return self.group(row.map_or(&[], |row| row.encoded(column)));
        }
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        match &self.keys[..] {
            [one] => encode(one.eval(tuple).as_ref(), &mut key),
            several => encode_all(several, tuple, &mut key),
        }
        let place = self.group(&key);
        self.key = key;
        place
    }

    /// The group of a key, marked as touched.
    fn group(&mut self, key: &[u8]) -> usize {
        let (next, free) = (self.groups.len() as u32, &mut self.free);
        let (place, is_new) = self.places.find_or_insert(
            KeyHash::of(key),
            |place| *self.groups[place as usize].key == *key,
            || free.pop().unwrap_or(next),
        );
        if is_new {
            let keeps = self.arguments.iter().flat_map(|argument| &argument.keeps);
            let together = self
                .together
                .iter()
                .map(|t| Keep::Ordered(t.order).nothing());
            let group = Group {
                key: key.into(),
                rows: 0,
                states: keeps.map(Keep::nothing).chain(together).collect(),
                emitted: None,
                touched: false,
            };
            match self.groups.get_mut(place as usize) {
                Some(free) => *free = group,
                None => self.groups.push(group),
            }
        } else {
            let group = &self.groups[place as usize];
            if !group.touched {
                self.heap -= group.heap();
            }
        }
        if !std::mem::replace(&mut self.groups[place as usize].touched, true) {
            self.touched.push(place);
        }
        place as usize
    }

    /// Brings a tuple into its group, or takes it out.
    fn change(&mut self, tuple: &Tuple, diff: isize) {
        let place = self.group_of(tuple);
        let group = &mut self.groups[place];
        group.rows += diff;
        let mut standing = Standing::new(&self.orders, tuple);
        let mut kept = 0;
        for Together {
            order,
            arguments,
            state,
        } in &self.together
        {
            let is_known = |i: &usize| self.arguments[*i].expr.is_known(tuple);
            if arguments.iter().all(is_known) {
                let keep = Keep::Ordered(*order);
                group.states[*state].add(&keep, ValueRef::Null, &mut standing, diff);
                kept |= bit(*order);
            }
        }
        for argument in &self.arguments {
            if argument.orders != 0 && argument.orders & !kept == 0 {
                continue;
            }
            let states = &mut group.states[argument.start..];
            let add = |value| {
                for (keep, state) in argument.keeps.iter().zip(states) {
                    if !matches!(keep, Keep::Ordered(order) if kept & bit(*order) != 0) {
                        state.add(keep, value, &mut standing, diff);
                    }
                }
            };
            if argument.is_of_any {
                if argument.expr.is_known(tuple) {
                    add(ValueRef::Null);
                }
                continue;
            }
            let value = argument.expr.eval(tuple);
            let value = value.as_ref();
            if !value.is_nullish() {
                add(value);
            }
        }
    }

    fn row(&mut self, place: usize) -> Row {
        let group = &self.groups[place];
        let each = |f: &mut dyn FnMut(&[u8])| match self.keys.len() {
            1 => f(&group.key),
            _ => encoded_all(&group.key).for_each(f),
        };
        each(&mut |value| self.key_builder.push_encoded(value));
        self.builder.push_array(&mut self.key_builder);
        each(&mut |value| self.builder.push_encoded(value));
        for output in &self.outputs {
            let argument = &self.arguments[output.argument];
            let state = &group.states[argument.start + output.state];
            let together = output.together.map(|state| &group.states[state]);
            state.push_to(&output.read, together, &argument.expr, &mut self.builder);
        }
        Row::new(&mut self.builder, &mut self.scratch)
    }

    fn remove(&mut self, place: usize) {
        let group = &mut self.groups[place];
        self.places.remove(KeyHash::of(&group.key), place as u32);
        (group.key, group.states) = Default::default();
        self.free.push(place as u32);
    }

    /// Gives memory back when hardly any of the groups there once were are left.
    fn compact(&mut self) {
        if self.groups.len() < 1024 || self.places.len() > self.groups.len() / 8 {
            return;
        }
        let to = close_gaps(&mut self.groups, |group| group.rows > 0);
        self.places.compact(&to);
        self.free = Vec::new();
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
                output.extend(old.map(|row| (single(row), -1)));
                output.extend(new.map(|row| (single(row), 1)));
            }
        }
        self.touched = touched;
        if !self.is_global() {
            self.compact();
        }
    }

    fn bytes(&self) -> usize {
        let groups = self.groups.capacity() * size_of::<Group>() + self.places.bytes();
        let places = (self.free.capacity() + self.touched.capacity()) * size_of::<u32>();
        groups + places + self.heap
    }
}
