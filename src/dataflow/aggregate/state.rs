//! What is kept of the values of a group, and the aggregates that are read from it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use smallvec::SmallVec;

use super::bag::Bag;
use super::moments::Moments;
use crate::dataflow::exact_sum::ExactSum;
use crate::plan::{self, Expr, OrderKey, sort_key};
use crate::query::{AggregateFunction, Datum, direction_of, quantile_of, to_number};
use crate::value::{
    Direction, Heap, Nulls, SeqBuilder, SortKey, Tuple, Value, ValueRef, btree_bytes, share,
};

/// What is to be kept of the values of an argument. Several aggregates may be read from one.
#[derive(Debug, PartialEq)]
pub(super) enum Keep {
    Count,
    Sum,
    /// Each value and how often it came.
    Values,
    Moments,
    /// The numbers in order.
    Numbers,
    /// The tuples in one of the orders that there are.
    Ordered(usize),
}

/// How an aggregate is read from what is kept.
#[derive(Debug)]
pub(super) enum Read {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    CountDistinct,
    Stddev,
    /// Null without a number from 0 to 1.
    Quantile(Option<f64>),
    All,
    First,
    Last,
}

/// What an aggregate needs, and how it is read from that. An order that is not among those that there
/// are is added.
pub(super) fn needs(wanted: &plan::Aggregate, orders: &mut Vec<Vec<OrderKey>>) -> (Keep, Read) {
    let constant = |i: usize| match wanted.args.get(i) {
        Some(Expr::Const(value)) => Some(value),
        _ => None,
    };
    let mut ordered = || {
        let order = wanted.args.get(1).map(|expr| OrderKey {
            expr: expr.clone(),
            direction: constant(2).and_then(direction_of).unwrap_or(Direction::Asc),
            nulls: Nulls::First,
            collation: None,
        });
        let order: Vec<OrderKey> = order.into_iter().collect();
        let known = orders.iter().position(|known| *known == order);
        Keep::Ordered(known.unwrap_or_else(|| {
            orders.push(order);
            orders.len() - 1
        }))
    };
    match wanted.function {
        AggregateFunction::Count => (Keep::Count, Read::Count),
        AggregateFunction::Sum => (Keep::Sum, Read::Sum),
        AggregateFunction::Avg => (Keep::Sum, Read::Avg),
        AggregateFunction::Min => (Keep::Values, Read::Min),
        AggregateFunction::Max => (Keep::Values, Read::Max),
        AggregateFunction::CountDistinct => (Keep::Values, Read::CountDistinct),
        AggregateFunction::Stddev => (Keep::Moments, Read::Stddev),
        AggregateFunction::Median => (Keep::Numbers, Read::Quantile(Some(0.5))),
        AggregateFunction::Quantile => {
            let p = constant(1).and_then(quantile_of);
            (Keep::Numbers, Read::Quantile(p))
        }
        AggregateFunction::ArrayAgg => (ordered(), Read::All),
        AggregateFunction::First => (ordered(), Read::First),
        AggregateFunction::Last => (ordered(), Read::Last),
    }
}

/// Where a tuple stands in each order, computed when it is first asked for.
#[derive(Debug)]
pub(super) struct Standing<'a> {
    orders: &'a [Vec<OrderKey>],
    tuple: &'a Tuple,
    /// Empty until one is asked for.
    places: SmallVec<[Option<SortKey>; 1]>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(orders: &'a [Vec<OrderKey>], tuple: &'a Tuple) -> Standing<'a> {
        Standing {
            orders,
            tuple,
            places: SmallVec::new(),
        }
    }

    fn place(&mut self, order: usize) -> SortKey {
        self.places.resize(self.orders.len(), None);
        let place = || sort_key(&self.orders[order], self.tuple);
        self.places[order].get_or_insert_with(place).clone()
    }
}

/// What is kept of the values of an argument in one group.
#[derive(Debug)]
pub(super) enum State {
    Count(isize),
    Sum {
        count: isize,
        sum: ExactSum,
    },
    Values(Values),
    Moments(Box<Moments>),
    Numbers(Bag<Value>),
    /// Of tuples that have a value, as the rows are there anyway.
    Ordered(Bag<(SortKey, Tuple)>),
}

/// Each value and how often it came.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Most values are these, which take less room and time by themselves.
    integers: BTreeMap<i64, isize>,
    others: BTreeMap<Value, isize>,
    /// What the others hold on the heap.
    heap: usize,
}

/// Counts a value that came or left; whether it is the first, or was the last, of its kind.
fn count<K: Ord>(counts: &mut BTreeMap<K, isize>, value: K, diff: isize) -> bool {
    match counts.entry(value) {
        Entry::Vacant(entry) => {
            entry.insert(diff);
            true
        }
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += diff;
            *entry.get() == 0 && (entry.remove(), true).1
        }
    }
}

impl Values {
    fn add(&mut self, value: ValueRef<'_>, diff: isize) {
        if let ValueRef::Int(i) = value
            && let Ok(i) = i64::try_from(i)
        {
            count(&mut self.integers, i, diff);
            return;
        }
        let (value, before) = (value.to_owned(), self.others.len());
        let heap = value.heap();
        if count(&mut self.others, value, diff) {
            match self.others.len() > before {
                true => self.heap += heap,
                false => self.heap -= heap,
            }
        }
    }

    fn len(&self) -> usize {
        self.integers.len() + self.others.len()
    }

    fn least(&self) -> Value {
        let integer = self.integers.keys().next();
        least_or_greatest(integer, self.others.keys().next(), Ordering::is_lt)
    }

    fn greatest(&self) -> Value {
        let integer = self.integers.keys().next_back();
        least_or_greatest(integer, self.others.keys().next_back(), Ordering::is_gt)
    }

    fn heap(&self) -> usize {
        let integers = btree_bytes::<(i64, isize)>(self.integers.len());
        integers + btree_bytes::<(Value, isize)>(self.others.len()) + self.heap
    }
}

/// Of two values the one that comes first, by what tells how it compares with the other; null if there
/// are none.
fn least_or_greatest(
    integer: Option<&i64>,
    other: Option<&Value>,
    is_first: fn(Ordering) -> bool,
) -> Value {
    let integer = integer.map(|i| Value::int(i128::from(*i)));
    match (integer, other) {
        (Some(integer), Some(other)) if is_first(integer.cmp(other)) => integer,
        (_, Some(other)) => other.clone(),
        (integer, None) => integer.unwrap_or(Value::Null),
    }
}

impl Keep {
    /// What is kept of no values.
    pub(super) fn nothing(&self) -> State {
        match self {
            Keep::Count => State::Count(0),
            Keep::Sum => State::Sum {
                count: 0,
                sum: ExactSum::default(),
            },
            Keep::Values => State::Values(Values::default()),
            Keep::Moments => State::Moments(Box::default()),
            Keep::Numbers => State::Numbers(Bag::default()),
            Keep::Ordered(_) => State::Ordered(Bag::default()),
        }
    }

    /// Whether the value itself does not matter, only that there is one.
    pub(super) fn is_of_any(&self) -> bool {
        matches!(self, Keep::Count | Keep::Ordered(_))
    }

    /// Whether a value must have come before it may leave, also within a tick.
    pub(super) fn is_sequential(&self) -> bool {
        matches!(self, Keep::Numbers | Keep::Ordered(_))
    }
}

impl State {
    /// Adds a value that is neither null nor missing, so many times, or takes it away. The value is
    /// not looked at where [`Keep::is_of_any`].
    #[inline]
    pub(super) fn add(
        &mut self,
        keep: &Keep,
        value: ValueRef<'_>,
        standing: &mut Standing<'_>,
        diff: isize,
    ) {
        match self {
            State::Count(count) => *count += diff,
            State::Sum { count, sum } => {
                *count += diff;
                match value {
                    ValueRef::Int(_) | ValueRef::Float(_) => sum.add(value, diff),
                    other => sum.add(to_number(other).as_ref(), diff),
                }
            }
            State::Values(values) => values.add(value, diff),
            State::Moments(moments) => moments.add(to_number(value).as_ref(), diff),
            State::Numbers(numbers) => match value {
                ValueRef::Int(_) => numbers.add(value.to_owned(), diff),
                ValueRef::Float(f) if !f.is_nan() => numbers.add(value.to_owned(), diff),
                _ => {}
            },
            State::Ordered(tuples) => {
                if let Keep::Ordered(order) = keep {
                    let place = standing.place(*order);
                    tuples.add((place, share(standing.tuple)), diff);
                }
            }
        }
    }

    /// What it holds on the heap.
    pub(super) fn heap(&self) -> usize {
        match self {
            State::Count(_) => 0,
            State::Sum { sum, .. } => sum.heap(),
            State::Values(values) => values.heap(),
            State::Moments(moments) => moments.bytes(),
            State::Numbers(numbers) => numbers.bytes(),
            State::Ordered(tuples) => tuples.bytes(),
        }
    }

    /// The tuples that it keeps, and those that another one has, in their order.
    fn tuples<'s>(&'s self, together: Option<&'s State>) -> Vec<&'s Tuple> {
        let bags = [Some(self), together].into_iter().flatten();
        let mut tuples: Vec<_> = bags.flat_map(State::ordered).collect();
        // Both are sorted already, so that this merges them.
        tuples.sort();
        tuples.into_iter().map(|(_, tuple)| tuple).collect()
    }

    fn ordered(&self) -> impl Iterator<Item = &(SortKey, Tuple)> {
        let bag = match self {
            State::Ordered(bag) => Some(bag),
            _ => None,
        };
        bag.into_iter().flat_map(Bag::iter)
    }

    /// The first or the last tuple that it keeps, or that another one does.
    fn chosen<'s>(&'s self, read: &Read, together: Option<&'s State>) -> Option<&'s Tuple> {
        let end = |state: &'s State| match (state, read) {
            (State::Ordered(bag), Read::First) => bag.get(0),
            (State::Ordered(bag), _) => bag.get(bag.len().checked_sub(1)?),
            _ => None,
        };
        let ends = [Some(self), together].into_iter().flatten().filter_map(end);
        let chosen = match read {
            Read::First => ends.min(),
            _ => ends.max(),
        };
        chosen.map(|(_, tuple)| tuple)
    }

    /// Appends an aggregate of the values of an expression, of which another state may have more.
    pub(super) fn push_to(
        &self,
        read: &Read,
        together: Option<&State>,
        expr: &Expr,
        builder: &mut SeqBuilder,
    ) {
        match read {
            Read::First | Read::Last => match self.chosen(read, together) {
                Some(tuple) => expr.push_to(tuple, builder),
                None => builder.push(ValueRef::Null),
            },
            _ => builder.push(self.read(read, together, expr).as_ref()),
        }
    }

    /// An aggregate of the values of an expression, of which another state may have more.
    pub(super) fn read(&self, read: &Read, together: Option<&State>, expr: &Expr) -> Value {
        match (self, read) {
            (State::Count(count), Read::Count) => Value::int(*count as i128),
            (State::Sum { sum, .. }, Read::Sum) => sum.value(),
            (State::Sum { count: 0, .. }, Read::Avg) => Value::Null,
            (State::Sum { count, sum }, Read::Avg) => {
                let sum = sum.value().as_ref().as_f64();
                Value::float(sum.expect("a sum is a number") / *count as f64)
            }
            (State::Values(values), Read::Min) => values.least(),
            (State::Values(values), Read::Max) => values.greatest(),
            (State::Values(values), Read::CountDistinct) => Value::int(values.len() as i128),
            (State::Moments(moments), Read::Stddev) => moments.deviation(),
            (State::Numbers(numbers), Read::Quantile(p)) => {
                p.map_or(Value::Null, |p| quantile(numbers, p))
            }
            (State::Ordered(_), Read::All) => {
                let tuples = self.tuples(together);
                let values: Vec<Datum<'_>> = tuples.into_iter().map(|t| expr.eval(t)).collect();
                Value::array(values.iter().map(Datum::as_ref))
            }
            (State::Ordered(_), Read::First | Read::Last) => {
                let tuple = self.chosen(read, together);
                tuple.map_or(Value::Null, |tuple| expr.eval(tuple).into_value())
            }
            (state, read) => unreachable!("{read:?} is not read from {state:?}"),
        }
    }
}

/// As `percentile_cont` of SQL: between the two numbers around the position.
fn quantile(numbers: &Bag<Value>, p: f64) -> Value {
    let Some(last) = numbers.len().checked_sub(1) else {
        return Value::Null;
    };
    let position = p * last as f64;
    let below = (position.floor() as usize).min(last);
    let part = position - below as f64;
    let (Some(low), Some(high)) = (numbers.get(below), numbers.get((below + 1).min(last))) else {
        return Value::Null;
    };
    if part == 0.0 || low == high {
        return low.clone();
    }
    let (Some(low), Some(high)) = (low.as_ref().as_f64(), high.as_ref().as_f64()) else {
        return Value::Null;
    };
    let between = low + (high - low) * part;
    match between.is_finite() {
        true => Value::float(between),
        // The distance may be beyond the range of floats.
        false => match low * (1.0 - part) + high * part {
            between if between.is_nan() => Value::Null,
            between => Value::float(between),
        },
    }
}
