//! What the operators of a dataflow hold, and how much more they may.
//!
//! The books are kept by difference: before a step an operator's input is on the way, after it the
//! output is, and its state has grown or not. So what is left is known while a tick runs, and an
//! operator that may bring out much more than came in asks as it goes. One that takes too much stops
//! the dataflow: from then on nothing flows in it, and its owner must not show what came out.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::{Diff, Updates};
use crate::value::{Heap, Tuple};

/// What a tuple takes on its way: the change, and as much room in a container that grows.
pub(super) const TUPLE: usize = 2 * size_of::<(Tuple, Diff)>();

/// What changes take on their way. All tuples are of one length.
fn on_the_way(updates: &Updates) -> usize {
    let heap = updates.first().map_or(0, |(tuple, _)| tuple.heap());
    updates.capacity() * size_of::<(Tuple, Diff)>() + updates.len() * heap
}

/// How many bytes are left: negative if too many were taken, `isize::MAX` without a limit.
pub(super) type Left = Rc<Cell<isize>>;

pub(super) fn unlimited() -> Left {
    Rc::new(Cell::new(isize::MAX))
}

/// Whether operators are to take the time.
pub(super) type Timing = Rc<Cell<bool>>;

/// A limit, and how far it is to it; nothing is far from no limit.
pub(super) fn left(limit: Option<usize>, held: usize) -> isize {
    let signed = |bytes: usize| isize::try_from(bytes).unwrap_or(isize::MAX);
    limit.map_or(isize::MAX, |limit| signed(limit) - signed(held))
}

/// The books of one dataflow.
#[derive(Clone)]
pub(super) struct Budget(Rc<Shared>);

struct Shared {
    left: Left,
    /// What is left of that of all dataflows.
    whole: Left,
    timing: Timing,
    stopped: RefCell<Option<Stopped>>,
    gauges: RefCell<Vec<Rc<Gauge>>>,
}

/// An operator, the bytes that it holds, and what it did.
struct Gauge {
    name: String,
    bytes: Cell<usize>,
    did: Cell<Did>,
}

/// What an operator did since it was built.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Did {
    /// The changes that came in; those of a source count only as they go out.
    pub(crate) came: u64,
    /// The changes that went out.
    pub(crate) went: u64,
    /// The ticks in which it had something to do.
    pub(crate) ticks: u64,
    /// How long it worked while times were taken.
    pub(crate) nanos: u64,
}

/// What an operator does, holds and did.
#[derive(Clone, Debug)]
pub(crate) struct OperatorFigures {
    pub(crate) name: String,
    pub(crate) bytes: usize,
    pub(crate) did: Did,
}

/// How the books of a dataflow stood at some time.
#[derive(Clone, Copy)]
pub(super) struct Balance {
    left: isize,
    whole: isize,
    held: usize,
}

/// Why a dataflow was stopped.
#[derive(Clone, Debug)]
pub(crate) struct Stopped {
    /// The operator that took what was not left.
    pub(crate) operator: String,
    /// Whether it was what is left of the dataflow's own; else of that of all.
    pub(crate) own: bool,
    /// How many bytes there were too few, when it was stopped.
    pub(crate) missing: usize,
}

impl Budget {
    pub(super) fn new(whole: Left, timing: Timing) -> Budget {
        Budget(Rc::new(Shared {
            left: unlimited(),
            whole,
            timing,
            stopped: RefCell::default(),
            gauges: RefCell::default(),
        }))
    }

    /// The books of one more operator.
    pub(super) fn meter(&self, name: String) -> Meter {
        let gauge = Rc::new(Gauge {
            name,
            bytes: Cell::new(0),
            did: Cell::default(),
        });
        self.0.gauges.borrow_mut().push(gauge.clone());
        Meter {
            budget: self.clone(),
            gauge,
        }
    }

    /// Sets what is left, between ticks.
    pub(super) fn set_left(&self, left: isize) {
        self.0.left.set(left);
    }

    /// How the books stand between ticks.
    pub(super) fn balance(&self) -> Balance {
        Balance {
            left: self.0.left.get(),
            whole: self.0.whole.get(),
            held: self.bytes(),
        }
    }

    /// Takes what is held more than at an earlier balance, and changes that wait, as all that was taken since.
    pub(super) fn settle(&self, since: &Balance, waiting: &Updates) {
        if self.stopped().is_none() {
            let grown = self.bytes() as isize - since.held as isize;
            let taken = grown.saturating_add_unsigned(on_the_way(waiting));
            self.0.left.set(since.left.saturating_sub(taken));
            self.0.whole.set(since.whole.saturating_sub(taken));
        }
    }

    pub(super) fn stopped(&self) -> Option<Stopped> {
        self.0.stopped.borrow().clone()
    }

    pub(super) fn bytes(&self) -> usize {
        let gauges = self.0.gauges.borrow();
        gauges.iter().map(|gauge| gauge.bytes.get()).sum()
    }

    /// The operators with what they hold and did, in the order in which they were built.
    pub(super) fn operators(&self) -> Vec<OperatorFigures> {
        let gauges = self.0.gauges.borrow();
        let operator = |gauge: &Rc<Gauge>| OperatorFigures {
            name: gauge.name.clone(),
            bytes: gauge.bytes.get(),
            did: gauge.did.get(),
        };
        gauges.iter().map(operator).collect()
    }
}

/// The books of one operator.
#[derive(Clone)]
pub(super) struct Meter {
    budget: Budget,
    gauge: Rc<Gauge>,
}

impl Meter {
    pub(super) fn name(&self) -> &str {
        &self.gauge.name
    }

    /// Takes bytes; false if they are not there, and then all that follows is for nothing.
    #[inline]
    pub(super) fn spend(&self, bytes: usize) -> bool {
        self.take(bytes as isize)
    }

    #[inline]
    fn take(&self, bytes: isize) -> bool {
        let Shared { left, whole, .. } = &*self.budget.0;
        left.set(left.get().saturating_sub(bytes));
        whole.set(whole.get().saturating_sub(bytes));
        if (left.get() | whole.get()) < 0 {
            self.stop();
            return false;
        }
        true
    }

    #[cold]
    fn stop(&self) {
        let Shared { left, whole, .. } = &*self.budget.0;
        self.budget.0.stopped.borrow_mut().get_or_insert(Stopped {
            operator: self.gauge.name.clone(),
            own: left.get() < 0,
            missing: left.get().min(whole.get()).unsigned_abs(),
        });
    }

    /// Whether nothing flows any more.
    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.budget.0.stopped.borrow().is_some()
    }

    /// Says what the operator holds.
    pub(super) fn hold(&self, bytes: usize) {
        self.gauge.bytes.set(bytes);
    }

    /// Takes what comes into the dataflow.
    pub(super) fn enter(&self, updates: &Updates) {
        self.spend(on_the_way(updates));
        self.went(updates);
    }

    /// Counts what goes out of an operator that has no steps.
    pub(super) fn went(&self, updates: &Updates) {
        let mut did = self.gauge.did.get();
        did.went += updates.len() as u64;
        did.ticks += 1;
        self.gauge.did.set(did);
    }

    /// Runs a step on changes that come in and those that go out, which tells what the operator
    /// holds after it. All of them are dropped if the dataflow is stopped.
    #[inline]
    pub(super) fn step<const N: usize>(
        &self,
        mut input: [&mut Updates; N],
        output: &mut Updates,
        step: impl FnOnce([&mut Updates; N], &mut Updates) -> usize,
    ) {
        if !self.is_stopped() {
            let came: usize = input.iter().map(|updates| on_the_way(updates)).sum();
            let rows: usize = input.iter().map(|updates| updates.len()).sum();
            let Shared {
                left,
                whole,
                timing,
                ..
            } = &*self.budget.0;
            let before = (left.get(), whole.get());
            let begun = timing.get().then(Instant::now);
            let held = step(input.each_mut().map(|updates| &mut **updates), output);
            let mut did = self.gauge.did.get();
            did.came += rows as u64;
            did.went += output.len() as u64;
            did.ticks += 1;
            if let Some(begun) = begun {
                did.nanos += begun.elapsed().as_nanos() as u64;
            }
            self.gauge.did.set(did);
            if !self.is_stopped() {
                // What it took as it went is known better now.
                left.set(before.0);
                whole.set(before.1);
                let grown = held as isize - self.gauge.bytes.replace(held) as isize;
                self.take(on_the_way(output) as isize + grown - came as isize);
            }
        }
        if self.is_stopped() {
            input.into_iter().for_each(|updates| updates.clear());
            output.clear();
        }
    }
}
