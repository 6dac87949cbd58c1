//! What an operator is: a state machine over the changes of ticks.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Diff, Updates};
use crate::value::Tuple;

/// Containers to use again: large ones come fresh from the system otherwise, page by page.
#[derive(Clone, Default)]
pub(super) struct Pool(Rc<RefCell<Containers>>);

#[derive(Default)]
struct Containers {
    small: Vec<Updates>,
    large: Vec<Updates>,
}

impl Pool {
    /// A container for a tick that is being processed: a large one, if there is any.
    pub(super) fn get(&self) -> Updates {
        let Containers { small, large } = &mut *self.0.borrow_mut();
        large.pop().or_else(|| small.pop()).unwrap_or_default()
    }

    /// A container for one that may wait long for its tick: a small one, if there is any.
    pub(super) fn get_small(&self) -> Updates {
        self.0.borrow_mut().small.pop().unwrap_or_default()
    }

    /// Gives one that so many changes may come to a large container, if there is any.
    pub(super) fn make_room(&self, updates: &mut Updates, count: usize) {
        if count > SMALL
            && updates.capacity() <= SMALL
            && let Some(mut large) = self.0.borrow_mut().large.pop()
        {
            large.append(updates);
            std::mem::swap(updates, &mut large);
        }
    }

    /// What the containers take.
    pub(super) fn bytes(&self) -> usize {
        let Containers { small, large } = &*self.0.borrow();
        let room = small.iter().chain(large).map(Vec::capacity).sum::<usize>();
        room * size_of::<(Tuple, Diff)>()
    }

    /// Takes an empty container and keeps it, unless it was for an exceptionally large tick. What is not
    /// taken, timely keeps for the next tick, which may never come.
    pub(super) fn put(&self, updates: &mut Updates) {
        debug_assert!(updates.is_empty(), "what is given back was processed");
        let updates = std::mem::take(updates);
        let Containers { small, large } = &mut *self.0.borrow_mut();
        let pool = match updates.capacity() {
            0 => return,
            room if room <= SMALL => small,
            room if room <= MAX_POOLED => large,
            _ => return,
        };
        if pool.len() < MAX_POOLED_COUNT {
            pool.push(updates);
        }
    }

    /// As [`Pool::put`], of one that was emptied, unless it is small and may wait where it is.
    pub(super) fn put_large(&self, updates: &mut Updates) {
        if updates.is_empty() && updates.capacity() > SMALL {
            self.put(updates);
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
