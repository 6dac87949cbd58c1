//! What a dataflow on this thread brings out, and what it takes for that.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use differential_dataflow::consolidation::consolidate;

use super::budget::{self, Balance, Budget, OperatorFigures, Stopped};
use super::operator::Pool;
use super::{Net, Updates, is_net};

/// The changes that came out of a dataflow, and its books.
pub(super) struct Outlet {
    pub(super) changes: Rc<RefCell<Updates>>,
    pub(super) net: Net,
    /// How many inlets had something in the last tick.
    pub(super) fed: usize,
    /// How many operators will bring out something in the first tick, whatever comes in.
    pub(super) eager: usize,
    pub(super) budget: Budget,
    pub(super) pool: Pool,
    /// How the output stands while what is there comes in parts.
    pub(super) parts: Option<Parts>,
}

/// Ticks that together are the first one.
pub(super) struct Parts {
    /// What was left before them.
    balance: Balance,
    /// How many changes the output had when they were last consolidated.
    consolidated: usize,
    /// How many ticks have ended.
    ended: usize,
}

/// So many changes more are kept before they are consolidated; few without optimisation, so that tests
/// come there.
const CONSOLIDATE: usize = if cfg!(debug_assertions) { 4 } else { 65_536 };

impl Outlet {
    /// Begins a tick in which so many inlets have something.
    pub(super) fn begin(&mut self, fed: usize) {
        self.fed = fed + std::mem::take(&mut self.eager);
    }

    /// Begins ticks that together are the first one.
    pub(super) fn begin_parts(&mut self) {
        self.parts = Some(Parts {
            balance: self.budget.balance(),
            consolidated: 0,
            ended: 0,
        });
    }

    /// Ends a tick with some of what is there.
    pub(super) fn end_part(&mut self) {
        let Some(parts) = &mut self.parts else { return };
        let mut changes = self.changes.borrow_mut();
        if changes.len() > 2 * parts.consolidated + CONSOLIDATE {
            net(&mut changes);
            parts.consolidated = changes.len();
        }
        parts.ended += 1;
        self.budget.settle(&parts.balance, &changes);
    }

    /// Ends the last of such ticks.
    pub(super) fn end_parts(&mut self) {
        if let Some(parts) = self.parts.take()
            && parts.ended > 0
        {
            let mut changes = self.changes.borrow_mut();
            net(&mut changes);
            self.budget.settle(&parts.balance, &changes);
        }
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
        self.pool.put_large(&mut self.changes.borrow_mut());
    }

    /// What the last tick brought out: at most one change of a tuple, its diff 1 or -1. To be
    /// emptied by the caller.
    pub(super) fn take(&self) -> RefMut<'_, Updates> {
        let mut updates = self.changes.borrow_mut();
        let net = self.net == Net::Always || (self.net == Net::OneFeed && self.fed <= 1);
        if !net && updates.len() > 1 {
            consolidate(&mut updates);
        }
        debug_assert!(is_net(&updates), "the plan says when it is net");
        updates
    }
}

/// Consolidates the output of several ticks, in which rows only came: without one that leaves, each
/// tuple is there once.
fn net(changes: &mut Updates) {
    if changes.iter().any(|(_, diff)| *diff < 0) {
        consolidate(changes);
    }
}
