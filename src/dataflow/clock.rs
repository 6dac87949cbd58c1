//! Comparisons with the clock: tuples come and go as time passes.
//!
//! All tuples stand in the order of what is compared, so that a moving clock looks only at those
//! between where it was and where it is.

use std::collections::BTreeSet;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use differential_dataflow::consolidation::consolidate;

use super::Updates;
use super::operator::Unary;
use crate::plan::ClockCondition;
use crate::query::Datum;
use crate::value::{Tuple, Value, ValueRef};

/// The tuples that compare with the clock as asked for.
pub(super) struct Clock {
    condition: ClockCondition,
    /// The clock's side of the comparison.
    moment: Value,
    consolidated: bool,
    tuples: BTreeSet<(Value, Tuple)>,
}

impl Clock {
    pub(super) fn new(condition: ClockCondition, now: i64, consolidated: bool) -> Self {
        Clock {
            moment: moment(&condition, now),
            condition,
            consolidated,
            tuples: BTreeSet::new(),
        }
    }

    /// Whether a value of the tuples' side compares with a moment as asked for.
    fn test(&self, value: &Value, moment: &Value) -> bool {
        let sides = [value, moment];
        let result = self
            .condition
            .function
            .call(2, &|i| Datum::Ref(sides[i].as_ref()));
        matches!(result.as_ref(), ValueRef::Bool(true))
    }

    /// Lets the clock stand at another time, and says what that changes.
    pub(super) fn set(&mut self, now: i64, output: &mut Updates) {
        let new = moment(&self.condition, now);
        if new == self.moment {
            return;
        }
        let old = std::mem::replace(&mut self.moment, new);
        let new = &self.moment;
        let mut look = |from: Bound<&Value>, to: Bound<&Value>| {
            // No tuple is the least one: it stands before all tuples of a value.
            let none = |value: &Value| (value.clone(), Tuple::new());
            let from = from.map(none);
            let tuples = self.tuples.range((from, Unbounded));
            let inside = |value: &Value| match to {
                Included(end) => value <= end,
                Excluded(end) => value < end,
                Unbounded => true,
            };
            for (value, tuple) in tuples.take_while(|(value, _)| inside(value)) {
                match (self.test(value, &old), self.test(value, new)) {
                    (false, true) => output.push((tuple.clone(), 1)),
                    (true, false) => output.push((tuple.clone(), -1)),
                    _ => {}
                }
            }
        };
        // Values of the moment's own type compare in their order; others as JavaScript has it.
        let Some((first, end)) = of_type(&old).filter(|of| Some(of) == of_type(new).as_ref())
        else {
            return look(Unbounded, Unbounded);
        };
        look(Unbounded, Excluded(&first));
        look(Included((&old).min(new)), Included((&old).max(new)));
        look(Included(&end), Unbounded);
    }
}

fn moment(condition: &ClockCondition, now: i64) -> Value {
    condition.clock.at_time(now).eval(&[]).into_value()
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
            let value = self.condition.expr.eval(&tuple).into_value();
            let is_nan = matches!(value, Value::Float(f) if f.is_nan());
            if value.as_ref().is_nullish() || is_nan {
                continue;
            }
            if self.test(&value, &self.moment) {
                output.push((tuple.clone(), diff));
            }
            let entry = (value, tuple);
            let there = match diff > 0 {
                true => self.tuples.insert(entry),
                false => self.tuples.remove(&entry),
            };
            debug_assert!(there, "a tuple comes once, and leaves after that");
        }
    }
}
