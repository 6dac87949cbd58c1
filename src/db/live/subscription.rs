//! The changes of a live query, as a stream and as an iterator.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::Stream;

use super::super::changes::{ChangeSet, ChangesKind};
use super::LiveQuery;
use super::hub::{Found, Queue, Waiting};
use crate::view;

/// How a subscription begins, and what it does when its reader is slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// Whether it begins with all rows there are, as one change set, once the database is ready. True
    /// by default. Without, it begins with the next change.
    pub initial: bool,
    /// How many change sets are kept apart while the reader is slow. If more wait when it comes back,
    /// it gets them put together as one, with the net change of each key. 64 by default.
    pub apart: usize,
    /// How many changes may wait. If several steps have more, they are dropped, and the reader gets a
    /// [`ChangesKind::Resync`] with all rows instead. 65,536 by default.
    pub waiting: usize,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        SubscribeOptions {
            initial: true,
            apart: 64,
            waiting: 65_536,
        }
    }
}

/// The changes of a live query: a [`Stream`], and with [`Subscription::iter`] a blocking iterator.
///
/// Applied one after the other, the change sets make up the rows of the result, however slow the
/// reader is; see [`SubscribeOptions`]. It ends when nothing more will be read from the stream and all
/// that waits was given out; the query's [`status`](LiveQuery::status) says why.
pub struct Subscription<T> {
    query: LiveQuery<T>,
    queue: Arc<Queue>,
    apart: usize,
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}

impl<T> Subscription<T> {
    pub(super) fn new(query: LiveQuery<T>, options: &SubscribeOptions) -> Self {
        let queue = Arc::new(Queue::new(options.initial, options.waiting));
        query.inner.query.hub.add(&queue);
        // Only now, as what comes in between is not to be lost.
        queue.begin(query.inner.epoch());
        Subscription {
            query,
            queue,
            apart: options.apart,
        }
    }

    /// The query it belongs to.
    pub fn query(&self) -> &LiveQuery<T> {
        &self.query
    }

    /// What is there now; without anything, the lock, to wait for more, or `None` if it is over.
    fn take(&self) -> Result<ChangeSet<T>, Option<MutexGuard<'_, Waiting>>> {
        let shared = &self.query.inner.db.shared;
        let rows = || shared.was_ready().then(|| self.query.inner.rows());
        let failed = || self.query.inner.query.hub.failed().is_some();
        let over = || failed() || shared.is_over();
        let found = self.queue.take(self.apart, over, rows)?;
        Ok(match found {
            Found::All(kind, epoch, rows) => {
                self.changes(epoch, kind, Arc::new(rows.sorted().into_changes()))
            }
            Found::Step(epoch, changes) => self.changes(epoch, ChangesKind::Delta, changes),
        })
    }

    fn changes(
        &self,
        epoch: u64,
        kind: ChangesKind,
        changes: Arc<view::ChangeSet>,
    ) -> ChangeSet<T> {
        ChangeSet::new(epoch, kind, changes, self.query.row.clone())
    }

    /// The next change set if one is there.
    pub fn try_next(&mut self) -> Option<ChangeSet<T>> {
        self.take().ok()
    }

    /// Blocks the thread until a change set is there; `None` at the end. Not for async code.
    pub fn next_blocking(&mut self) -> Option<ChangeSet<T>> {
        self.wait(None)
    }

    /// As [`Subscription::next_blocking`], but gives up after some time.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<ChangeSet<T>> {
        self.wait(Some(Instant::now() + timeout))
    }

    fn wait(&self, until: Option<Instant>) -> Option<ChangeSet<T>> {
        loop {
            let state = match self.take() {
                Ok(changes) => return Some(changes),
                Err(state) => state?,
            };
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return None,
                Some(left) => {
                    let woken = self.queue.arrived.wait_timeout(state, left);
                    drop(woken.unwrap_or_else(PoisonError::into_inner));
                }
                None => {
                    let woken = self.queue.arrived.wait(state);
                    drop(woken.unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }

    /// The change sets, one after the other; blocks the thread until the next is there. Not for async
    /// code.
    pub fn iter(&mut self) -> impl Iterator<Item = ChangeSet<T>> {
        std::iter::from_fn(|| self.next_blocking())
    }
}

impl<T> Stream for Subscription<T> {
    type Item = ChangeSet<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ChangeSet<T>>> {
        match self.take() {
            Ok(changes) => Poll::Ready(Some(changes)),
            Err(None) => Poll::Ready(None),
            Err(Some(mut state)) => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
