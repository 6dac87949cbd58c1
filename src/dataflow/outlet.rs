//! What a dataflow on this thread brings out, and what it takes for that.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use differential_dataflow::consolidation::consolidate;

use super::budget::{self, Budget, OperatorFigures, Stopped};
use super::operator::SMALL;
use super::{Net, Updates};

/// The changes that came out of a dataflow, and its books.
pub(super) struct Outlet {
    pub(super) changes: Rc<RefCell<Updates>>,
    pub(super) net: Net,
    /// How many inlets had something in the last tick.
    pub(super) fed: usize,
    /// How many operators will bring out something in the first tick, whatever comes in.
    pub(super) eager: usize,
    pub(super) budget: Budget,
}

impl Outlet {
    /// Begins a tick in which so many inlets have something.
    pub(super) fn begin(&mut self, fed: usize) {
        self.fed = fed + std::mem::take(&mut self.eager);
    }

    /// Sets how many bytes there may be, and how many of them are held beside its operators.
    pub(super) fn set_limit(&self, limit: Option<usize>, beside: usize) {
        let held = self.budget.bytes() + beside;
        self.budget.set_left(budget::left(limit, held));
    }

    /// Why the dataflow was stopped. What it brings out from then on is wrong.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        self.budget.stopped()
    }

    /// The bytes that its operators hold.
    pub(super) fn bytes(&self) -> usize {
        self.budget.bytes()
    }

    /// What each of its operators does, holds and did.
    pub(super) fn operators(&self) -> Vec<OperatorFigures> {
        self.budget.operators()
    }

    /// Gives back the room that a large tick took on its way out.
    pub(super) fn shrink(&self) {
        shrink(&mut self.changes.borrow_mut());
    }

    /// What the last tick brought out: at most one change of a tuple, its diff 1 or -1. To be
    /// emptied by the caller.
    pub(super) fn take(&self) -> RefMut<'_, Updates> {
        let mut updates = self.changes.borrow_mut();
        let net = self.net == Net::Always || (self.net == Net::OneFeed && self.fed <= 1);
        if !net && updates.len() > 1 {
            consolidate(&mut updates);
        }
        updates
    }
}

/// Gives back the room of a container that was emptied, unless it is small.
pub(super) fn shrink(updates: &mut Updates) {
    if updates.is_empty() && updates.capacity() > SMALL {
        *updates = Updates::new();
    }
}
