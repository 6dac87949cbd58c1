//! Operators on timely's streams: where there are loops, or several workers.
//!
//! Every stream carries at most one container of changes a tick: feeds send all of a tick at once,
//! and operators answer each container with one. So an operator of one input may act when its
//! container arrives; one of two inputs waits until the tick is complete on both.

use std::cell::RefCell;
use std::rc::Rc;

use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Input as _;
use timely::dataflow::operators::vec::input::Handle;
use timely::dataflow::operators::{CapabilitySet, Concatenate};

use super::budget::Meter;
use super::builder::Builder;
use super::exchange::{Target, exchange};
use super::fabric::Fabric;
use super::operator::{Binary, Pool, Unary};
use super::{Diff, Time, Tuples, Updates, recursive};
use crate::plan::Recursive;
use crate::value::Tuple;

/// The streams of one dataflow.
pub(super) struct Streams<'s> {
    pub(super) scope: Scope<'s, Time>,
    pub(super) pool: Pool,
}

impl<'s> Fabric for Streams<'s> {
    type Tuples = Tuples<'s>;
    type Entry = Handle<Time, (Tuple, Diff)>;

    fn peers(&self) -> usize {
        self.scope.peers()
    }

    fn input(&mut self) -> (Self::Entry, Tuples<'s>) {
        self.scope.new_input()
    }

    fn exchange(&mut self, tuples: Tuples<'s>, target: Target) -> Tuples<'s> {
        exchange(tuples, target)
    }

    fn unary(&mut self, tuples: Tuples<'s>, meter: Meter, operator: impl Unary) -> Tuples<'s> {
        unary(tuples, meter, self.pool.clone(), operator)
    }

    fn eager(&mut self, tuples: Tuples<'s>, meter: Meter, operator: impl Unary) -> Tuples<'s> {
        unary_eager(tuples, meter, operator, self.scope.index() == 0)
    }

    fn binary(
        &mut self,
        left: Tuples<'s>,
        right: Tuples<'s>,
        meter: Meter,
        operator: impl Binary,
    ) -> Tuples<'s> {
        binary(left, right, meter, self.pool.clone(), operator)
    }

    fn valve<O: Unary>(
        &mut self,
        tuples: Tuples<'s>,
        meter: Meter,
        operator: Rc<RefCell<O>>,
    ) -> (Self::Entry, Tuples<'s>) {
        let (handle, injected) = self.scope.new_input();
        let tuples = self.unary(tuples, meter, operator);
        (handle, self.scope.concatenate([tuples, injected]))
    }

    fn recursive(builder: &mut Builder<'_, Self>, recursive: &Recursive, meter: Meter) {
        recursive::build(recursive, meter, builder);
    }
}

/// Runs `operator` on the changes of each tick.
fn unary<'s>(tuples: Tuples<'s>, meter: Meter, pool: Pool, operator: impl Unary) -> Tuples<'s> {
    let mut operator: Box<dyn Unary> = Box::new(operator);
    meter.hold(operator.bytes());
    let name = meter.name().to_owned();
    tuples.unary(Pipeline, &name, move |_, _| {
        move |input, output| {
            input.for_each(|capability, data| {
                let mut changes = pool.get();
                meter.step([data], &mut changes, |[data], changes| {
                    operator.step(data, changes);
                    operator.bytes()
                });
                pool.put(data);
                if !changes.is_empty() {
                    output.session(&capability).give_container(&mut changes);
                } else {
                    pool.put(&mut changes);
                }
            });
        }
    })
}

/// The changes of one input that wait for the other one.
#[derive(Default)]
struct Waiting {
    ticks: Vec<(Time, Updates)>,
}

impl Waiting {
    fn push(&mut self, time: Time, data: &mut Updates) {
        debug_assert!(
            self.ticks.iter().all(|(t, _)| *t != time),
            "one container a tick"
        );
        self.ticks.push((time, std::mem::take(data)));
    }

    fn first(&self) -> Option<Time> {
        self.ticks.iter().map(|(time, _)| *time).min()
    }

    fn take(&mut self, time: Time) -> Updates {
        let found = self.ticks.iter().position(|(t, _)| *t == time);
        found.map_or_else(Updates::new, |place| self.ticks.swap_remove(place).1)
    }
}

/// As [`unary`], but waits for the tick's end, and if it is `first` among the workers it runs in the
/// first tick even if that brings nothing.
fn unary_eager<'s>(
    tuples: Tuples<'s>,
    meter: Meter,
    operator: impl Unary,
    is_first: bool,
) -> Tuples<'s> {
    let mut operator: Box<dyn Unary> = Box::new(operator);
    meter.hold(operator.bytes());
    let name = meter.name().to_owned();
    let (mut waiting, mut changes) = (Waiting::default(), Updates::new());
    tuples.unary_frontier(Pipeline, &name, move |first, _| {
        let mut capabilities = CapabilitySet::<Time>::new();
        let mut start = is_first.then_some(*first.time());
        if is_first {
            capabilities.insert(first);
        }
        move |(input, frontier), output| {
            input.for_each(|capability, data| {
                if let Some(capability) = capability.retain_least(0) {
                    waiting.push(*capability.time(), data);
                    capabilities.insert(capability);
                }
            });
            while let Some(time) = start.into_iter().chain(waiting.first()).min()
                && !frontier.less_equal(&time)
            {
                start = None;
                let data = &mut waiting.take(time);
                meter.step([data], &mut changes, |[data], changes| {
                    operator.step(data, changes);
                    operator.bytes()
                });
                if !changes.is_empty() {
                    output
                        .session(&capabilities.delayed(&time))
                        .give_container(&mut changes);
                    changes.clear();
                }
            }
            capabilities.downgrade(start.into_iter().chain(waiting.first()).min().as_slice());
        }
    })
}

/// Runs `operator` on the changes of both inputs of each tick.
fn binary<'s>(
    left: Tuples<'s>,
    right: Tuples<'s>,
    meter: Meter,
    pool: Pool,
    operator: impl Binary,
) -> Tuples<'s> {
    let mut operator: Box<dyn Binary> = Box::new(operator);
    meter.hold(operator.bytes());
    let name = meter.name().to_owned();
    let (mut lefts, mut rights) = (Waiting::default(), Waiting::default());
    left.binary_frontier(right, Pipeline, Pipeline, &name, move |_, _| {
        let mut capabilities = CapabilitySet::<Time>::new();
        move |(left, left_frontier), (right, right_frontier), output| {
            left.for_each(|capability, data| {
                if let Some(capability) = capability.retain_least(0) {
                    lefts.push(*capability.time(), data);
                    capabilities.insert(capability);
                }
            });
            right.for_each(|capability, data| {
                if let Some(capability) = capability.retain_least(0) {
                    rights.push(*capability.time(), data);
                    capabilities.insert(capability);
                }
            });
            let next = |lefts: &Waiting, rights: &Waiting| {
                lefts.first().into_iter().chain(rights.first()).min()
            };
            while let Some(time) = next(&lefts, &rights)
                && !left_frontier.less_equal(&time)
                && !right_frontier.less_equal(&time)
            {
                let (mut from_left, mut from_right) = (lefts.take(time), rights.take(time));
                let mut changes = pool.get();
                meter.step(
                    [&mut from_left, &mut from_right],
                    &mut changes,
                    |[left, right], changes| {
                        operator.step(left, right, changes);
                        operator.bytes()
                    },
                );
                pool.put(&mut from_left);
                pool.put(&mut from_right);
                if !changes.is_empty() {
                    output
                        .session(&capabilities.delayed(&time))
                        .give_container(&mut changes);
                }
            }
            capabilities.downgrade(next(&lefts, &rights).as_slice());
        }
    })
}
