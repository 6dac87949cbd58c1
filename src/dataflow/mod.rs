//! Plans as dataflows. The only place that names timely and differential.
//!
//! Every query is a dataflow with a clock of its own: one tick is one batch that concerns it, so a
//! query that a change does not touch costs nothing. The data are differential's `(tuple, diff)`;
//! as all changes of a container share one time, it travels with the container. The operators of
//! the hot path are our own, one a file, as pure state machines over one tick's changes, which the
//! tests compare with differential's operators.
//!
//! `builder` puts operators together on a `fabric`. Where there are several workers, or a recursion, these are
//! timely's `streams`, which know how far each of them is. Otherwise they are the `steps` of one thread, which
//! needs no such knowledge: it was four fifths of what a change of one row took.

mod aggregate;
mod budget;
mod builder;
mod clock;
mod distinct;
mod exact_sum;
mod exchange;
mod fabric;
mod include;
mod join;
mod local;
#[cfg(test)]
mod model;
mod operator;
mod outlet;
mod over;
mod project;
mod recursive;
mod runtime;
mod steps;
mod streams;
mod union;
mod window;
pub(crate) mod workers;

use timely::dataflow::Stream;

use crate::plan::Scan;
use crate::value::{Row, Tuple, single};
pub(crate) use budget::{Did, OperatorFigures, Stopped};
pub(crate) use runtime::{Dataflow, Runtime};
pub(crate) use window::Ordered;

/// A query's clock: the number of the batch that concerns it.
pub(crate) type Time = u64;
/// How many times a tuple came, or left where negative.
pub(crate) type Diff = isize;
/// Changes of one tick.
pub(crate) type Updates = Vec<(Tuple, Diff)>;

type Tuples<'s> = Stream<'s, Time, Updates>;

/// What a dataflow reads, and what waits for its next tick.
pub(crate) struct Feed {
    /// What it reads.
    pub(crate) origin: Origin,
    buffer: Updates,
}

/// What a dataflow reads.
#[derive(Clone)]
pub(crate) enum Origin {
    /// The rows of a collection that pass a filter.
    Scan(Scan),
    /// The tuples of another dataflow, by the number of a [`crate::plan::Node::Common`].
    Common(u64),
}

impl Feed {
    fn new(origin: Origin) -> Feed {
        Feed {
            origin,
            buffer: Updates::new(),
        }
    }

    fn accepts(&self, row: &Option<Row>) -> bool {
        matches!(&self.origin, Origin::Scan(scan) if scan.accepts(row))
    }

    /// Sends a row of the collection that is read, if it passes the filter; whether it does.
    #[inline]
    pub(crate) fn offer(&mut self, row: &Option<Row>, diff: Diff) -> bool {
        let passes = self.accepts(row);
        if let Some(row) = row
            && passes
        {
            self.send(single(row.clone()), diff);
        }
        passes
    }

    /// As [`Feed::offer`], of a row that nobody else needs.
    #[inline]
    pub(crate) fn give(&mut self, row: Row, diff: Diff) -> bool {
        let row = Some(row);
        let passes = self.accepts(&row);
        if passes {
            self.send(Tuple::from_buf_and_len([row, None], 1), diff);
        }
        passes
    }

    /// How many changes wait for the next tick.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Sends a change of this tick. The tuple must be one of the origin.
    #[inline]
    pub(crate) fn send(&mut self, tuple: Tuple, diff: Diff) {
        self.buffer.push((tuple, diff));
    }
}

/// Whether updates hold each tuple only once, for assertions.
fn is_net(updates: &Updates) -> bool {
    let mut once = updates.clone();
    differential_dataflow::consolidation::consolidate(&mut once);
    once.len() == updates.len()
}

/// When a tick's updates hold each tuple only once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Net {
    Never,
    /// When a single feed had something: what meets in a join does so once.
    OneFeed,
    Always,
}
