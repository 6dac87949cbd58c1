//! Wraps a state machine over ticks into a timely operator.
//!
//! Every stream carries at most one container of changes a tick: feeds send all of a tick at once,
//! and operators answer each container with one. So an operator of one input may act when its
//! container arrives; one of two inputs waits until the tick is complete on both.

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::generic::Operator;

use std::cell::RefCell;
use std::rc::Rc;

use super::budget::Meter;
use super::{Diff, Time, Tuples, Updates};
use crate::value::Tuple;

/// Containers to use again: large ones come fresh from the system otherwise, page by page.
#[derive(Clone, Default)]
pub(super) struct Pool(Rc<RefCell<Vec<Updates>>>);

impl Pool {
    pub(super) fn get(&self) -> Updates {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// A container for one that may wait long for its tick: a small one, if there is any.
    pub(super) fn get_small(&self) -> Updates {
        let small = |updates: &mut Updates| updates.capacity() <= SMALL;
        self.0.borrow_mut().pop_if(small).unwrap_or_default()
    }

    /// What the containers take.
    pub(super) fn bytes(&self) -> usize {
        let room = self.0.borrow().iter().map(Vec::capacity).sum::<usize>();
        room * size_of::<(Tuple, Diff)>()
    }

    /// Takes an empty container and keeps it, unless it was for an exceptionally large tick. What is not
    /// taken, timely keeps for the next tick, which may never come.
    pub(super) fn put(&self, updates: &mut Updates) {
        debug_assert!(updates.is_empty(), "what is given back was processed");
        let (updates, mut pool) = (std::mem::take(updates), self.0.borrow_mut());
        if (1..=MAX_POOLED).contains(&updates.capacity()) && pool.len() < MAX_POOLED_COUNT {
            pool.push(updates);
        }
    }
}

const MAX_POOLED: usize = 8192;
/// Each dataflow has some containers that wait: they have so much room at most.
pub(super) const SMALL: usize = 64;
const MAX_POOLED_COUNT: usize = 16;

/// What becomes of the changes of one input in one tick.
pub(super) trait Unary: 'static {
    /// Takes the changes of a tick, leaving `input` empty, and appends what they cause.
    fn step(&mut self, input: &mut Updates, output: &mut Updates);

    /// The bytes that its state takes on the heap: of rows those that it made itself. It costs the
    /// same however many there are.
    fn bytes(&self) -> usize;
}

/// An operator that somebody else has a hand on, too.
impl<O: Unary> Unary for Rc<RefCell<O>> {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        self.borrow_mut().step(input, output);
    }

    fn bytes(&self) -> usize {
        self.borrow().bytes()
    }
}

/// What becomes of the changes of two inputs in one tick.
pub(super) trait Binary: 'static {
    /// Takes the changes of a tick, leaving both inputs empty, and appends what they cause.
    fn step(&mut self, left: &mut Updates, right: &mut Updates, output: &mut Updates);

    /// As [`Unary::bytes`].
    fn bytes(&self) -> usize;
}

/// Runs `operator` on the changes of each tick.
pub(super) fn unary<'s>(
    tuples: Tuples<'s>,
    meter: Meter,
    pool: Pool,
    operator: impl Unary,
) -> Tuples<'s> {
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
pub(super) fn unary_eager<'s>(
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
pub(super) fn binary<'s>(
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
