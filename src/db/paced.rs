//! Paced mutations: changes are visible at once, and are made to last when a strategy says so.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::action::OnMutate;
use super::context::{BoxError, Handler, MutationContext, handler};
use super::mutate::{MutateError, Mutator, OpenTransaction};
use super::transaction::{Transaction, TransactionState};
use super::{StreamDb, lock};

/// When paced mutations are committed. In every case one commit follows the other: the next begins when
/// the last is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// When no call came for some time: calls until then are one transaction. For text that is typed.
    Debounce(Duration),
    /// As `Debounce`, but the first call after such a time is committed at once.
    DebounceLeading(Duration),
    /// At once, and then at most once in some time: calls in between are one transaction. For a slider
    /// that is moved.
    Throttle(Duration),
    /// As `Throttle`, but the first call is not committed at once either: whenever the time is over
    /// since the first call that was not.
    ThrottleTrailing(Duration),
    /// Each call is a transaction of its own, and they are committed in order. For what must not be
    /// put together.
    Queue,
}

/// Tells when the calls so far are to be committed.
#[derive(Debug)]
struct Pace {
    strategy: Strategy,
    due: Option<Instant>,
    /// Before it, nothing is committed at once.
    not_before: Option<Instant>,
}

impl Pace {
    fn called(&mut self, now: Instant) {
        self.due = Some(match self.strategy {
            Strategy::Debounce(wait) => now + wait,
            Strategy::DebounceLeading(wait) => {
                let quiet_at = self.not_before.replace(now + wait);
                let is_quiet = quiet_at.is_none_or(|at| at <= now);
                // What is due already takes the call along.
                match is_quiet || self.due.is_some_and(|at| at <= now) {
                    true => now,
                    false => now + wait,
                }
            }
            Strategy::Throttle(_) => self
                .due
                .unwrap_or_else(|| self.not_before.map_or(now, |at| at.max(now))),
            Strategy::ThrottleTrailing(wait) => self.due.unwrap_or(now + wait),
            Strategy::Queue => now,
        });
    }

    fn committed(&mut self, now: Instant) {
        self.due = None;
        if let Strategy::Throttle(wait) = self.strategy {
            self.not_before = Some(now + wait);
        }
    }
}

/// What a worker does next.
enum Next {
    Commit(OpenTransaction),
    At(Instant),
    Wait,
    Stop,
}

struct State {
    pace: Pace,
    /// What calls are put together in. A call that is being made has a clone.
    open: Option<Arc<OpenTransaction>>,
    /// What is due, in order.
    queue: VecDeque<OpenTransaction>,
    working: bool,
    flushing: bool,
    dropped: bool,
}

impl State {
    /// The transaction that calls are put together in, if there is one.
    fn joinable(&self) -> Option<Arc<OpenTransaction>> {
        let open = self.open.as_ref();
        open.filter(|open| open.state() == TransactionState::Pending)
            .cloned()
    }

    fn next(&mut self, now: Instant) -> Next {
        if let Some(tx) = self.queue.pop_front() {
            return Next::Commit(tx);
        }
        let due = match self.pace.due {
            Some(_) if self.flushing || self.dropped => now,
            Some(due) => due,
            None if self.dropped => return Next::Stop,
            None => return Next::Wait,
        };
        if due > now {
            return Next::At(due);
        }
        match self.open.take().map(Arc::try_unwrap) {
            Some(Ok(tx)) => {
                self.pace.committed(now);
                self.flushing = false;
                Next::Commit(tx)
            }
            // A call is being made, and will tell.
            Some(Err(tx)) => {
                self.open = Some(tx);
                Next::Wait
            }
            None => {
                self.pace.due = None;
                self.flushing = false;
                if self.dropped { Next::Stop } else { Next::Wait }
            }
        }
    }
}

struct Inner {
    mutation: Handler,
    state: Mutex<State>,
    changed: Notify,
}

/// Changes that are visible at once and made to last by a [`Strategy`]; made by [`StreamDb::paced`].
///
/// When it is dropped, what was not committed yet is committed at once: who saw a change need not wait
/// for it to last.
pub struct Paced<P> {
    db: StreamDb,
    on_mutate: OnMutate<P>,
    inner: Arc<Inner>,
}

impl<P> fmt::Debug for Paced<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paced")
            .field("strategy", &lock(&self.inner.state).pace.strategy)
            .finish_non_exhaustive()
    }
}

impl<P> Drop for Paced<P> {
    fn drop(&mut self) {
        lock(&self.inner.state).dropped = true;
        self.inner.changed.notify_one();
    }
}

impl<P> Paced<P> {
    /// Makes the changes of a call visible, and gives the transaction that they are part of, perhaps
    /// with those of other calls.
    ///
    /// # Errors
    ///
    /// Of the function that makes the changes, which may also panic: then nothing of this call stays;
    /// and as [`StreamDb::transaction`].
    pub fn call(&self, parameter: P) -> Result<Transaction, MutateError> {
        let tx = self.join()?;
        let handle = tx.handle();
        let made = tx.mutate(|tx| (self.on_mutate)(tx, &parameter));
        let state = &mut *lock(&self.inner.state);
        if made.is_err() {
            drop(tx);
        } else {
            if state.pace.strategy == Strategy::Queue {
                state.queue.extend(Arc::into_inner(tx));
            } else {
                drop(tx);
                state.pace.called(Instant::now());
            }
            if !std::mem::replace(&mut state.working, true)
                && let Some(runtime) = self.db.inner.runtime.get()
            {
                runtime.spawn(work(self.inner.clone()));
            }
        }
        self.inner.changed.notify_one();
        made.map(|()| handle)
    }

    /// Commits what was not committed yet without waiting any longer.
    pub fn flush(&self) {
        let state = &mut *lock(&self.inner.state);
        state.flushing = state.pace.due.is_some();
        self.inner.changed.notify_one();
    }

    /// The transaction that a call is to be part of.
    fn join(&self) -> Result<Arc<OpenTransaction>, MutateError> {
        if let Some(open) = lock(&self.inner.state).joinable() {
            return Ok(open);
        }
        // The engine is not waited for under the lock: an effect may call, too.
        let tx = Arc::new(self.db.transaction()?);
        let state = &mut *lock(&self.inner.state);
        if state.pace.strategy == Strategy::Queue {
            return Ok(tx);
        }
        Ok(state.joinable().unwrap_or_else(|| {
            state.open = Some(tx.clone());
            state.pace.due = None;
            tx
        }))
    }
}

async fn work(inner: Arc<Inner>) {
    loop {
        let next = lock(&inner.state).next(Instant::now());
        match next {
            Next::Commit(tx) => {
                let mutation = inner.mutation.clone();
                let tx = tx.start(Box::new(move |context| mutation(context)));
                // Whoever made the calls hears of an error.
                let _ = tx.is_persisted().await;
            }
            Next::At(due) => tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = inner.changed.notified() => {}
            },
            Next::Wait => inner.changed.notified().await,
            Next::Stop => return,
        }
    }
}

impl StreamDb {
    /// Paced mutations: a function that makes the changes of a call at once, and one that makes those of
    /// all calls in a transaction last.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tailwater::db::{MutateError, Strategy, StreamDb, append_mutations};
    /// # fn example(db: StreamDb) -> Result<(), MutateError> {
    /// let set_volume = db.paced(
    ///     Strategy::Debounce(Duration::from_millis(300)),
    ///     |tx, volume: &i64| tx.update_named("settings", "1", [("volume", (*volume).into())]),
    ///     append_mutations,
    /// );
    /// for volume in 1..=11 {
    ///     set_volume.call(volume)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn paced<P, F>(
        &self,
        strategy: Strategy,
        on_mutate: impl Fn(&Mutator, &P) -> Result<(), MutateError> + Send + Sync + 'static,
        mutation: impl Fn(MutationContext) -> F + Send + Sync + 'static,
    ) -> Paced<P>
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let pace = Pace {
            strategy,
            due: None,
            not_before: None,
        };
        let state = State {
            pace,
            open: None,
            queue: VecDeque::new(),
            working: false,
            flushing: false,
            dropped: false,
        };
        Paced {
            db: self.clone(),
            on_mutate: Arc::new(on_mutate),
            inner: Arc::new(Inner {
                mutation: handler(mutation),
                state: Mutex::new(state),
                changed: Notify::new(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(100);

    fn pace(strategy: Strategy) -> (Pace, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let pace = Pace {
            strategy,
            due: None,
            not_before: None,
        };
        (pace, move |ms| start + Duration::from_millis(ms))
    }

    #[test]
    fn debounce_waits_for_quiet() {
        let (mut pace, at) = pace(Strategy::Debounce(WAIT));
        pace.called(at(0));
        assert_eq!(pace.due, Some(at(100)));
        pace.called(at(90));
        assert_eq!(pace.due, Some(at(190)));
        pace.committed(at(190));
        assert_eq!(pace.due, None);
        pace.called(at(191));
        assert_eq!(pace.due, Some(at(291)));
    }

    #[test]
    fn throttle_begins_at_once_and_then_keeps_its_distance() {
        let (mut pace, at) = pace(Strategy::Throttle(WAIT));
        pace.called(at(0));
        assert_eq!(pace.due, Some(at(0)));
        pace.committed(at(1));
        pace.called(at(10));
        pace.called(at(50));
        assert_eq!(pace.due, Some(at(101)));
        pace.committed(at(101));
        pace.called(at(500));
        assert_eq!(pace.due, Some(at(500)));
    }

    #[test]
    fn a_debounce_that_leads_begins_at_once_and_then_waits_for_quiet() {
        let (mut pace, at) = pace(Strategy::DebounceLeading(WAIT));
        pace.called(at(0));
        pace.called(at(1));
        assert_eq!(pace.due, Some(at(1)), "it takes along what is due");
        pace.committed(at(1));
        pace.called(at(50));
        pace.called(at(60));
        assert_eq!(pace.due, Some(at(160)));
        pace.committed(at(160));
        // Quiet is counted from the last call.
        pace.called(at(161));
        assert_eq!(pace.due, Some(at(161)));
    }

    #[test]
    fn a_throttle_that_trails_waits_first() {
        let (mut pace, at) = pace(Strategy::ThrottleTrailing(WAIT));
        pace.called(at(0));
        pace.called(at(90));
        assert_eq!(pace.due, Some(at(100)));
        pace.committed(at(100));
        pace.called(at(110));
        assert_eq!(pace.due, Some(at(210)));
    }

    #[test]
    fn a_queue_does_not_wait() {
        let (mut pace, at) = pace(Strategy::Queue);
        pace.called(at(5));
        assert_eq!(pace.due, Some(at(5)));
    }
}
