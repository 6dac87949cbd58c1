//! Where dataflows run: on the caller's thread, or on several workers.

use std::cell::{RefCell, RefMut};

use super::budget::OperatorFigures;
use super::local::{Local, Running};
use super::operator::SMALL;
use super::outlet::Outlet;
use super::steps::Stepped;
use super::workers::{Leader, Lost, Remote};
use super::{Feed, Stopped, Updates};
use crate::plan::Node;
use crate::store::Store;

/// What runs dataflows.
pub(crate) struct Runtime(Place);

enum Place {
    Here(Local),
    Workers(Leader),
}

/// A running dataflow.
pub(crate) struct Dataflow {
    pub(crate) feeds: Vec<Feed>,
    body: Body,
}

enum Body {
    Steps(Box<Stepped>),
    Streams(Box<Running>),
    Workers(Remote, RefCell<Updates>),
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let several = matches!(self.0, Place::Workers(_));
        f.debug_struct("Runtime")
            .field("several", &several)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Dataflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataflow")
            .field("feeds", &self.feeds.len())
            .finish_non_exhaustive()
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Runtime(Place::Here(Local::default()))
    }
}

fn never() -> bool {
    false
}

impl Runtime {
    pub(crate) fn on_workers(leader: Leader) -> Runtime {
        Runtime(Place::Workers(leader))
    }

    /// Whether there is one worker, on this thread.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self.0, Place::Here(_))
    }

    /// Whether a plan can run on all workers.
    ///
    /// # Errors
    ///
    /// If one is in another process, and the plan calls a Rust function.
    pub(crate) fn check(&self, root: &Node) -> Result<(), String> {
        match &self.0 {
            Place::Here(_) => Ok(()),
            Place::Workers(leader) => leader.check(root),
        }
    }

    /// Why nothing works any more, if a worker was lost.
    pub(crate) fn lost(&self) -> Option<Lost> {
        match &self.0 {
            Place::Here(_) => None,
            Place::Workers(leader) => leader.lost(),
        }
    }

    /// Builds the dataflow of a plan's nodes, its clock standing at a time in milliseconds. Its first
    /// tick must bring all current rows.
    pub(crate) fn install(&mut self, root: &Node, store: &mut Store, now: i64) -> Dataflow {
        let (body, origins) = match &mut self.0 {
            Place::Here(local) if Stepped::can(root) => {
                let (pool, budget) = (local.pool.clone(), local.budget());
                let (stepped, origins) = Stepped::new(root, store, now, pool, budget);
                (Body::Steps(Box::new(stepped)), origins)
            }
            Place::Here(local) => {
                let (running, origins) = local.install(root, store, now);
                (Body::Streams(Box::new(running)), origins)
            }
            Place::Workers(leader) => {
                let (remote, origins) = leader.install(root, now);
                (Body::Workers(remote, RefCell::default()), origins)
            }
        };
        let feeds = origins.into_iter().map(Feed::new).collect();
        Dataflow { feeds, body }
    }

    /// Prepares a feed for so many changes as may come to it in one tick.
    pub(crate) fn make_room(&self, feed: &mut Feed, count: usize) {
        if let Place::Here(local) = &self.0 {
            local.pool.make_room(&mut feed.buffer, count);
        }
    }

    /// Begins a dataflow's tick with what was fed to it. Several may run at once; they are finished
    /// in the order in which they were begun.
    pub(crate) fn begin(&mut self, dataflow: &mut Dataflow) {
        let feeds = dataflow.feeds.iter_mut().map(|feed| &mut feed.buffer);
        match (&mut self.0, &mut dataflow.body) {
            (_, Body::Steps(stepped)) => stepped.begin(feeds),
            (Place::Here(local), Body::Streams(running)) => local.begin(running, feeds),
            (Place::Workers(leader), Body::Workers(remote, _)) => {
                leader.begin(remote, feeds.map(std::mem::take).collect());
            }
            _ => unreachable!("dataflows stay where they are"),
        }
    }

    /// Works until the dataflow's tick is done.
    pub(crate) fn finish(&mut self, dataflow: &mut Dataflow) {
        match (&mut self.0, &mut dataflow.body) {
            (_, Body::Steps(stepped)) => stepped.finish(),
            (Place::Here(local), Body::Streams(running)) => local.finish(running, never),
            (Place::Workers(leader), Body::Workers(remote, output)) => {
                leader.finish(remote, output.get_mut());
            }
            _ => unreachable!("dataflows stay where they are"),
        }
    }

    /// Lets the dataflow's clock stand at another time; whether that changes anything.
    pub(crate) fn set_clock(&mut self, dataflow: &mut Dataflow, now: i64) -> bool {
        match (&mut self.0, &mut dataflow.body) {
            (_, Body::Steps(stepped)) => stepped.set_clock(now),
            (Place::Here(local), Body::Streams(running)) => local.set_clock(running, now, never),
            (Place::Workers(leader), Body::Workers(remote, output)) => {
                leader.set_clock(remote, now, output.get_mut())
            }
            _ => unreachable!("dataflows stay where they are"),
        }
    }

    /// Moves the window of the result, in a tick of its own; false if there is none that could be
    /// moved.
    pub(crate) fn set_window(
        &mut self,
        dataflow: &mut Dataflow,
        offset: usize,
        limit: Option<usize>,
    ) -> bool {
        match (&mut self.0, &mut dataflow.body) {
            (_, Body::Steps(stepped)) => stepped.set_window(offset, limit),
            (Place::Here(local), Body::Streams(running)) => {
                local.set_window(running, offset, limit, never)
            }
            (Place::Workers(leader), Body::Workers(remote, output)) => {
                leader.set_window(remote, offset, limit, output.get_mut())
            }
            _ => unreachable!("dataflows stay where they are"),
        }
    }

    /// Removes a dataflow and frees all it held.
    pub(crate) fn drop_dataflow(&mut self, dataflow: Dataflow) {
        match (&mut self.0, dataflow.body) {
            (_, Body::Steps(_)) => {}
            (Place::Here(local), Body::Streams(running)) => local.drop_dataflow(*running, never),
            (Place::Workers(leader), Body::Workers(remote, _)) => leader.drop_dataflow(&remote),
            _ => unreachable!("dataflows stay where they are"),
        }
    }
}

impl Runtime {
    /// Sets how many bytes there may be, and of these are held, in all dataflows and beside them.
    /// Several workers know no limits.
    pub(crate) fn set_limit(&mut self, limit: Option<usize>, held: usize) {
        if let Place::Here(local) = &mut self.0 {
            local.set_limit(limit, held);
        }
    }

    /// Lets operators take the time, or not. Several workers never do.
    pub(crate) fn set_timing(&mut self, on: bool) {
        if let Place::Here(local) = &mut self.0 {
            local.set_timing(on);
        }
    }

    /// The bytes of containers that wait for the next tick.
    pub(crate) fn bytes(&self) -> usize {
        match &self.0 {
            Place::Here(local) => local.bytes(),
            Place::Workers(_) => 0,
        }
    }
}

impl Dataflow {
    /// Nothing is known of several workers.
    fn outlet(&self) -> Option<&Outlet> {
        match &self.body {
            Body::Steps(stepped) => Some(&stepped.outlet),
            Body::Streams(running) => Some(&running.outlet),
            Body::Workers(..) => None,
        }
    }

    /// Sets how many bytes there may be, and how many of them are held beside its operators.
    pub(crate) fn set_limit(&self, limit: Option<usize>, beside: usize) {
        if let Some(outlet) = self.outlet() {
            outlet.set_limit(limit, beside);
        }
    }

    /// Why it was stopped. What it brings out from then on is wrong.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.outlet()?.stopped()
    }

    /// The bytes that its operators hold.
    pub(crate) fn bytes(&self) -> usize {
        self.outlet().map_or(0, Outlet::bytes)
    }

    /// What each of its operators does, holds and did; of several workers nothing is known.
    pub(crate) fn operators(&self) -> Vec<OperatorFigures> {
        self.outlet().map_or_else(Vec::new, Outlet::operators)
    }

    /// Begins with the rows that are there, and says whether it takes them in parts, tick by tick: not
    /// if it reads arrangements, which have all of them.
    pub(crate) fn begin_parts(&mut self) -> bool {
        match &mut self.body {
            Body::Steps(stepped) if stepped.takes_parts() => {
                stepped.outlet.begin_parts();
                true
            }
            _ => false,
        }
    }

    /// Ends a tick with some of the rows that are there.
    pub(crate) fn end_part(&mut self) {
        if let Body::Steps(stepped) = &mut self.body {
            stepped.outlet.end_part();
        }
    }

    /// Ends the last of such ticks: the output is what they brought out together.
    pub(crate) fn end_parts(&mut self) {
        if let Body::Steps(stepped) = &mut self.body {
            stepped.outlet.end_parts();
        }
    }

    /// Gives back the room that a large tick took on its way out.
    pub(crate) fn shrink(&self) {
        match &self.body {
            Body::Steps(stepped) => stepped.outlet.shrink(),
            Body::Streams(running) => running.outlet.shrink(),
            Body::Workers(_, output) => output.borrow_mut().shrink_to(SMALL),
        }
    }

    /// Whether it depends on the clock.
    pub(crate) fn has_clock(&self) -> bool {
        match &self.body {
            Body::Steps(stepped) => stepped.has_clock(),
            Body::Streams(running) => running.has_clock(),
            Body::Workers(remote, _) => remote.has_clock,
        }
    }

    /// Whether a recursion ended before its fixed point.
    pub(crate) fn is_cut(&self) -> bool {
        match &self.body {
            Body::Steps(_) => false,
            Body::Streams(running) => running.is_cut(),
            Body::Workers(remote, _) => remote.is_cut,
        }
    }

    /// What the last tick brought out: at most one change of a tuple, its diff 1 or -1. To be
    /// emptied by the caller.
    pub(crate) fn output(&self) -> RefMut<'_, Updates> {
        match &self.body {
            Body::Steps(stepped) => stepped.outlet.take(),
            Body::Streams(running) => running.outlet.take(),
            Body::Workers(_, output) => output.borrow_mut(),
        }
    }
}
