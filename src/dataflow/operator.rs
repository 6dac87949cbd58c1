//! Wraps a state machine over ticks into a timely operator.

use differential_dataflow::AsCollection;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::CapabilitySet;
use timely::progress::frontier::MutableAntichain;

use super::{Time, Tuples, Updates};

/// What becomes of the changes of one input in one tick.
pub(super) trait Unary: 'static {
    /// Takes the changes of a tick, leaving `input` empty, and appends what they cause.
    fn step(&mut self, input: &mut Updates, output: &mut Updates);
}

/// What becomes of the changes of two inputs in one tick.
pub(super) trait Binary: 'static {
    /// Takes the changes of a tick, leaving both inputs empty, and appends what they cause.
    fn step(&mut self, left: &mut Updates, right: &mut Updates, output: &mut Updates);
}

/// Changes that wait for their time to be complete. Times are few: mostly one.
#[derive(Default)]
struct Pending {
    times: Vec<(Time, Updates)>,
    spare: Vec<Updates>,
}

impl Pending {
    fn push(&mut self, data: &mut Vec<(super::Tuple, Time, super::Diff)>) {
        for (tuple, time, diff) in data.drain(..) {
            let place = match self.times.iter().rposition(|(t, _)| *t == time) {
                Some(place) => place,
                None => {
                    self.times.push((time, self.spare.pop().unwrap_or_default()));
                    self.times.len() - 1
                }
            };
            self.times[place].1.push((tuple, diff));
        }
    }

    fn first(&self) -> Option<Time> {
        self.times.iter().map(|(time, _)| *time).min()
    }

    fn take(&mut self, time: Time) -> Updates {
        match self.times.iter().position(|(t, _)| *t == time) {
            Some(place) => self.times.swap_remove(place).1,
            None => self.spare.pop().unwrap_or_default(),
        }
    }

    /// Keeps the memory of a tick for the next, unless it was an exceptionally large one.
    fn give_back(&mut self, updates: Updates) {
        if updates.capacity() <= 16 * super::BUFFER && self.spare.len() < 4 {
            self.spare.push(updates);
        }
    }
}

fn passed(frontier: &MutableAntichain<Time>, time: Time) -> bool {
    !frontier.less_equal(&time)
}

/// Runs `operator` on each tick's changes once they are complete. With `eager` it also runs on a
/// first tick that brings none.
pub(super) fn unary_by_time<'s>(
    tuples: Tuples<'s>,
    name: &str,
    operator: impl Unary,
    eager: bool,
) -> Tuples<'s> {
    let mut operator: Box<dyn Unary> = Box::new(operator);
    let (mut pending, mut output_buffer) = (Pending::default(), Updates::new());
    let stream = tuples.inner.unary_frontier(Pipeline, name, move |first, _| {
        let mut capabilities = CapabilitySet::<Time>::new();
        if eager {
            pending.times.push((*first.time(), Updates::new()));
            capabilities.insert(first);
        }
        move |(input, frontier), output| {
            input.for_each(|capability, data| {
                if let Some(capability) = capability.retain_least(0) {
                    capabilities.insert(capability);
                }
                pending.push(data);
            });
            while let Some(time) = pending.first()
                && passed(frontier, time)
            {
                let mut updates = pending.take(time);
                operator.step(&mut updates, &mut output_buffer);
                pending.give_back(updates);
                if !output_buffer.is_empty() {
                    let capability = capabilities.delayed(&time);
                    let drained = output_buffer.drain(..);
                    output.session(&capability).give_iterator(drained.map(|(d, r)| (d, time, r)));
                }
            }
            capabilities.downgrade(pending.first().as_slice());
        }
    });
    stream.as_collection()
}

/// Runs `operator` on each tick's changes of both inputs once they are complete.
pub(super) fn binary_by_time<'s>(
    left: Tuples<'s>,
    right: Tuples<'s>,
    name: &str,
    operator: impl Binary,
) -> Tuples<'s> {
    let mut operator: Box<dyn Binary> = Box::new(operator);
    let (mut lefts, mut rights) = (Pending::default(), Pending::default());
    let mut output_buffer = Updates::new();
    let stream = left.inner.binary_frontier(right.inner, Pipeline, Pipeline, name, move |_, _| {
        let mut capabilities = CapabilitySet::<Time>::new();
        move |(left, left_frontier), (right, right_frontier), output| {
            left.for_each(|capability, data| {
                if let Some(capability) = capability.retain_least(0) {
                    capabilities.insert(capability);
                }
                lefts.push(data);
            });
            right.for_each(|capability, data| {
                if let Some(capability) = capability.retain_least(0) {
                    capabilities.insert(capability);
                }
                rights.push(data);
            });
            let next = |lefts: &Pending, rights: &Pending| lefts.first().into_iter().chain(rights.first()).min();
            while let Some(time) = next(&lefts, &rights)
                && passed(left_frontier, time)
                && passed(right_frontier, time)
            {
                let (mut from_left, mut from_right) = (lefts.take(time), rights.take(time));
                operator.step(&mut from_left, &mut from_right, &mut output_buffer);
                lefts.give_back(from_left);
                rights.give_back(from_right);
                if !output_buffer.is_empty() {
                    let capability = capabilities.delayed(&time);
                    let drained = output_buffer.drain(..);
                    output.session(&capability).give_iterator(drained.map(|(d, r)| (d, time, r)));
                }
            }
            capabilities.downgrade(next(&lefts, &rights).as_slice());
        }
    });
    stream.as_collection()
}
