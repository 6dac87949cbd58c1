//! Who is told of the changes of a live query.

use std::collections::VecDeque;
use std::fmt;
use std::sync::OnceLock;
use std::task::Waker;
use std::time::SystemTime;

use tokio::sync::watch;

use super::super::changes::ChangesKind;
use super::super::error::DbError;
use super::super::lock;
use super::super::threads::{Arc, Condvar, Mutex, MutexGuard, Weak};
use crate::view::ChangeSet;

/// What is told every step of a query at once, on the engine's thread, and must not wait there.
pub(crate) trait Sink: Send + Sync {
    /// Takes what a step changed. It is not to be shown before [`Sink::show`].
    fn take(&self, epoch: u64, arrived: SystemTime, changes: &Arc<ChangeSet>);

    /// All queries were told of the step.
    fn show(&self);

    /// The query was dropped: nothing will follow.
    fn fail(&self, error: &DbError);
}

/// The readers of one live query.
#[derive(Default)]
pub(in crate::db) struct Hub {
    queues: Mutex<Vec<Weak<Queue>>>,
    sinks: Mutex<Vec<Weak<dyn Sink>>>,
    /// The step that last changed the result.
    changed: watch::Sender<u64>,
    /// Why the query was dropped.
    failed: OnceLock<DbError>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// Tells all readers what a step changed, on events that arrived at some time.
    pub(in crate::db) fn publish(&self, epoch: u64, arrived: SystemTime, changes: &Arc<ChangeSet>) {
        for sink in self.sinks() {
            sink.take(epoch, arrived, changes);
        }
        for queue in self.queues() {
            queue.push(epoch, changes);
        }
        self.changed.send_replace(epoch);
    }

    /// Tells all readers that the query was dropped.
    pub(in crate::db) fn fail(&self, error: DbError) {
        let error = self.failed.get_or_init(|| error);
        self.sinks().iter().for_each(|sink| sink.fail(error));
        self.wake();
    }

    /// Why the query was dropped, if it was.
    pub(super) fn failed(&self) -> Option<&DbError> {
        self.failed.get()
    }

    /// Lets all readers look again, as the status changed.
    pub(in crate::db) fn wake(&self) {
        for queue in self.queues() {
            queue.wake(lock(&queue.state));
        }
    }

    /// Lets the sinks show a step that all queries were told of.
    pub(in crate::db) fn show(&self) {
        self.sinks().iter().for_each(|sink| sink.show());
    }

    fn sinks(&self) -> Vec<Arc<dyn Sink>> {
        lock(&self.sinks).iter().filter_map(Weak::upgrade).collect()
    }

    #[cfg(feature = "serve")]
    pub(super) fn attach(&self, sink: Weak<dyn Sink>) {
        lock(&self.sinks).push(sink);
    }

    fn queues(&self) -> Vec<Arc<Queue>> {
        let mut all = lock(&self.queues);
        let mut live = Vec::with_capacity(all.len());
        all.retain(|queue| queue.upgrade().map(|queue| live.push(queue)).is_some());
        live
    }

    pub(super) fn add(&self, queue: &Arc<Queue>) {
        lock(&self.queues).push(Arc::downgrade(queue));
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// What waits for one reader.
#[derive(Debug)]
pub(super) struct Queue {
    /// How many changes may wait.
    limit: usize,
    pub(super) state: Mutex<Waiting>,
    pub(super) arrived: Condvar,
}

#[derive(Debug)]
pub(super) struct Waiting {
    /// What the reader knows already: changes of this step and those before are not for it.
    pub(super) base: u64,
    /// Whether the reader is to be told all rows, and why.
    pub(super) all: Option<ChangesKind>,
    pub(super) steps: VecDeque<(u64, Arc<ChangeSet>)>,
    /// The number of changes in the steps.
    pub(super) changes: usize,
    pub(super) waker: Option<Waker>,
}

impl Waiting {
    /// Forgets what the reader knows already: it starts again after a step.
    pub(super) fn start(&mut self, epoch: u64) {
        self.base = epoch;
        self.steps.retain(|(step, _)| *step > epoch);
        self.changes = self.steps.iter().map(|(_, changes)| changes.len()).sum();
    }
}

/// What a reader finds.
pub(super) enum Found<R> {
    /// All rows as they are after a step, and why.
    All(ChangesKind, u64, R),
    /// What changed up to a step.
    Step(u64, Arc<ChangeSet>),
}

impl Queue {
    pub(super) fn new(initial: bool, limit: usize) -> Queue {
        Queue {
            limit,
            state: Mutex::new(Waiting {
                base: 0,
                all: initial.then_some(ChangesKind::Initial),
                steps: VecDeque::new(),
                changes: 0,
                waker: None,
            }),
            arrived: Condvar::new(),
        }
    }

    /// Begins after a step.
    pub(super) fn begin(&self, epoch: u64) {
        lock(&self.state).start(epoch);
    }

    /// What is there now for the reader; without anything, the lock, to wait for more, or `None` if
    /// nothing will come. `rows` gives the rows as they are after a step, if they may be seen.
    pub(super) fn take<R>(
        &self,
        apart: usize,
        over: impl Fn() -> bool,
        rows: impl Fn() -> Option<(u64, R)>,
    ) -> Result<Found<R>, Option<MutexGuard<'_, Waiting>>> {
        let mut state = lock(&self.state);
        loop {
            // Before looking at what there is: nothing is published after the end.
            let over = over();
            if let Some(kind) = state.all {
                let Some((epoch, rows)) = rows() else {
                    return Err((!over).then_some(state));
                };
                state.all = None;
                state.start(epoch);
                return Ok(Found::All(kind, epoch, rows));
            }
            let next = if state.steps.len() > apart {
                state.changes = 0;
                let steps = std::mem::take(&mut state.steps);
                let epoch = steps.back().map(|(epoch, _)| *epoch);
                let merged = ChangeSet::merge(steps.into_iter().map(|step| step.1));
                epoch.zip(merged.map(Arc::new))
            } else {
                let step = state.steps.pop_front();
                state.changes -= step.as_ref().map_or(0, |(_, changes)| changes.len());
                step
            };
            match next {
                // The changes of several steps may cancel out.
                Some((_, changes)) if changes.is_empty() => continue,
                Some((epoch, changes)) => return Ok(Found::Step(epoch, changes)),
                None => return Err((!over).then_some(state)),
            }
        }
    }

    fn push(&self, epoch: u64, changes: &Arc<ChangeSet>) {
        let mut state = lock(&self.state);
        if epoch <= state.base {
            return;
        }
        if state.all.is_none() {
            state.changes += changes.len();
            state.steps.push_back((epoch, changes.clone()));
            // One step is never too much: it is there already.
            if state.changes > self.limit && state.steps.len() > 1 {
                // What is dropped here is in the rows that the reader is told instead.
                state.steps = VecDeque::new();
                state.changes = 0;
                state.all = Some(ChangesKind::Resync);
            }
        }
        self.wake(state);
    }

    fn wake(&self, mut state: MutexGuard<'_, Waiting>) {
        let waker = state.waker.take();
        drop(state);
        self.arrived.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::query::Query;

    /// A step is visible a moment before it is published: a reader that begins in between has its rows.
    #[test]
    fn a_step_that_the_reader_has_seen_is_not_for_it() {
        let all = r#"{"from":{"type":"collectionRef","collection":"t","alias":"t"}}"#;
        let view = Engine::new().query_once(&Query::from_json(all).unwrap());
        let changes = Arc::new(view.unwrap().to_rows().into_changes());
        let steps = |queue: &Queue| -> Vec<u64> {
            let state = lock(&queue.state);
            state.steps.iter().map(|(step, _)| *step).collect()
        };
        let queue = Queue::new(false, 10);
        queue.push(4, &changes);
        queue.push(5, &changes);
        queue.begin(4);
        assert_eq!(steps(&queue), [5]);
        queue.begin(6);
        queue.push(6, &changes);
        queue.push(7, &changes);
        assert_eq!(steps(&queue), [7]);
    }
}
