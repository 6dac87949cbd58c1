//! Conditions on the clock: tuples come and go as time passes.
//!
//! For each comparison, all tuples stand in the order of what is compared, so that a moving clock
//! looks only at those between where it was and where it is.

use std::collections::BTreeSet;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use differential_dataflow::consolidation::consolidate;

use super::Updates;
use super::operator::Unary;
use crate::plan::{ClockCondition, Comparison, Expr};
use crate::value::{Heap, Tuple, Value, ValueRef, btree_bytes};

/// The tuples for which a condition on the clock is true.
pub(super) struct Clock {
    condition: ClockCondition,
    /// The condition at the time that it is.
    predicate: Expr,
    consolidated: bool,
    indexes: Vec<Index>,
}

/// The tuples in the order of one comparison's side.
struct Index {
    comparison: Comparison,
    /// What the clock's side comes to.
    moment: Value,
    tuples: BTreeSet<(Value, Tuple)>,
    /// What the values and tuples hold on the heap.
    heap: usize,
}

impl Clock {
    pub(super) fn new(condition: ClockCondition, now: i64, consolidated: bool) -> Self {
        let index = |comparison: &Comparison| Index {
            comparison: comparison.clone(),
            moment: moment(comparison, now),
            tuples: BTreeSet::new(),
            heap: 0,
        };
        Clock {
            indexes: condition.comparisons.iter().map(index).collect(),
            predicate: condition.predicate.at_time(now),
            condition,
            consolidated,
        }
    }

    /// Lets the clock stand at another time, and says what that changes.
    pub(super) fn set(&mut self, now: i64, output: &mut Updates) {
        let mut met: Vec<&Tuple> = Vec::new();
        let several = self.indexes.len() > 1;
        for index in &mut self.indexes {
            let new = moment(&index.comparison, now);
            let old = std::mem::replace(&mut index.moment, new);
            index.met_since(&old, &mut met);
        }
        if several {
            met.sort_unstable();
            met.dedup();
        }
        let new = self.condition.predicate.at_time(now);
        for tuple in met {
            match (self.predicate.test(tuple), new.test(tuple)) {
                (false, true) => output.push((tuple.clone(), 1)),
                (true, false) => output.push((tuple.clone(), -1)),
                _ => {}
            }
        }
        self.predicate = new;
    }
}

impl Index {
    /// Where a tuple stands in the index.
    fn value(&self, tuple: &Tuple) -> Value {
        use ValueRef::{Array, Object, Str};
        let Comparison { expr, numbers, .. } = &self.comparison;
        let is_text = |e: &Expr| matches!(e.eval(tuple).as_ref(), Str(_) | Array(_) | Object(_));
        if numbers.iter().any(is_text) {
            // Among the values of another type than the moment's, which are always looked at.
            return Value::Bool(true);
        }
        expr.eval(tuple).into_value()
    }

    /// The tuples whose comparison may have another outcome than when the clock's side was `old`.
    fn met_since<'a>(&'a self, old: &Value, met: &mut Vec<&'a Tuple>) {
        let new = &self.moment;
        if new == old {
            return;
        }
        let mut look = |from: Bound<&Value>, to: Bound<&Value>| {
            // No tuple is the least one: it stands before all tuples of a value.
            let from = from.map(|value| (value.clone(), Tuple::new()));
            let inside = |value: &Value| match to {
                Included(end) => value <= end,
                Excluded(end) => value < end,
                Unbounded => true,
            };
            let tuples = self.tuples.range((from, Unbounded));
            let tuples = tuples.take_while(|(value, _)| inside(value));
            met.extend(tuples.map(|(_, tuple)| tuple));
        };
        // Values of the moment's own type compare in their order; others as JavaScript has it.
        match of_type(old).filter(|of| Some(of) == of_type(new).as_ref()) {
            None => look(Unbounded, Unbounded),
            Some((first, end)) => {
                look(Unbounded, Excluded(&first));
                look(Included(old.min(new)), Included(old.max(new)));
                look(Included(&end), Unbounded);
            }
        }
    }
}

fn moment(comparison: &Comparison, now: i64) -> Value {
    comparison.clock.at_time(now).eval(&[]).into_value()
}

/// Where the values of a number's or a string's type begin and end in the order of values.
fn of_type(value: &Value) -> Option<(Value, Value)> {
    match value {
        Value::Int(_) | Value::Float(_) => Some((Value::Float(f64::NEG_INFINITY), Value::from(""))),
        Value::Str(_) => Some((Value::from(""), Value::array([]))),
        _ => None,
    }
}

impl Unary for Clock {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        if !self.consolidated {
            consolidate(input);
        }
        for (tuple, diff) in input.drain(..) {
            for index in &mut self.indexes {
                let value = index.value(&tuple);
                // Of an unknown value, nothing ever becomes known.
                if value.as_ref().is_nullish() {
                    continue;
                }
                let entry = (value, tuple.clone());
                let heap = entry.heap();
                let there = match diff > 0 {
                    true => {
                        index.heap += heap;
                        index.tuples.insert(entry)
                    }
                    false => {
                        index.heap -= heap;
                        index.tuples.remove(&entry)
                    }
                };
                debug_assert!(there, "a tuple comes once, and leaves after that");
            }
            if self.predicate.test(&tuple) {
                output.push((tuple, diff));
            }
        }
    }

    fn bytes(&self) -> usize {
        let of = |index: &Index| btree_bytes::<(Value, Tuple)>(index.tuples.len()) + index.heap;
        self.indexes.iter().map(of).sum()
    }
}
