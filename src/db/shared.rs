//! What all threads of a database see.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::dead_letters::DeadLetterBox;
use super::error::DbError;
use super::keep::{Kept, next_incarnation};
use super::live::Hub;
use super::lock;
use super::status::Status;
use super::txids::Txids;
use crate::engine::QueryId;
use crate::schema::Catalog;
use crate::stream::{Offset, Trouble};

/// What the engine's thread, the sync task and the handles have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) catalog: Arc<Catalog>,
    status: watch::Sender<Status>,
    was_ready: AtomicBool,
    /// How many transactions have changes that are visible and not confirmed.
    pending: AtomicUsize,
    /// The last step that all live queries were told of.
    pub(super) told: AtomicU64,
    /// When the newest event happened that was taken in, by the last `timestamp` of each batch: in
    /// milliseconds since 1970, `i64::MIN` if none said so.
    event_time: AtomicI64,
    /// What keeps the stream from being read at present.
    pub(super) trouble: Mutex<Option<watch::Receiver<Option<Trouble>>>>,
    /// Why the stream is read again from its start, until all of it is there: rows are older.
    pub(super) again: Mutex<Option<Trouble>>,
    pub(super) txids: Txids,
    /// Which stream it is, if that is known.
    pub(super) stream_id: Mutex<Option<String>>,
    /// Up to where the stream was taken in.
    pub(super) offset: Mutex<Offset>,
    /// How many bytes of messages were taken in.
    pub(super) read_bytes: AtomicU64,
    pub(super) kept: Mutex<Kept>,
    /// In which count the steps have their numbers.
    incarnation: AtomicU64,
    /// The first step that was made again, before which nothing is known; 0 if none was.
    first_step: AtomicU64,
    pub(super) dead_letters: DeadLetterBox,
    /// Who is told of the changes of which live query.
    pub(super) hubs: Mutex<BTreeMap<QueryId, Arc<Hub>>>,
}

impl Shared {
    pub(super) fn new(catalog: Arc<Catalog>, offset: Offset, dead_letters: usize) -> Shared {
        Shared {
            catalog,
            status: watch::Sender::default(),
            was_ready: AtomicBool::new(false),
            pending: AtomicUsize::new(0),
            told: AtomicU64::new(0),
            event_time: AtomicI64::new(i64::MIN),
            trouble: Mutex::default(),
            again: Mutex::default(),
            txids: Txids::default(),
            stream_id: Mutex::default(),
            offset: Mutex::new(offset),
            read_bytes: AtomicU64::new(0),
            kept: Mutex::default(),
            incarnation: AtomicU64::new(next_incarnation(0)),
            first_step: AtomicU64::new(0),
            dead_letters: DeadLetterBox::new(dead_letters),
            hubs: Mutex::default(),
        }
    }

    /// Steps of the same incarnation and number are the same, in whatever process.
    pub(super) fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    pub(super) fn set_incarnation(&self, incarnation: u64) {
        self.incarnation.store(incarnation, Ordering::Release);
    }

    pub(super) fn first_step(&self) -> u64 {
        self.first_step.load(Ordering::Acquire)
    }

    /// Takes note of the first step that is made again; later ones change nothing.
    pub(super) fn set_first_step(&self, epoch: u64) {
        let (order, unset) = (Ordering::AcqRel, 0);
        let _ = (self.first_step).compare_exchange(unset, epoch, order, Ordering::Acquire);
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(super) fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Whether the rows were all that the stream had, once.
    pub(super) fn was_ready(&self) -> bool {
        self.was_ready.load(Ordering::Acquire)
    }

    /// Goes on to a status, if that may follow, and tells everybody; whether it did.
    pub(super) fn set_status(&self, status: Status) -> bool {
        let changed = self.status.send_if_modified(|old| {
            let may = old.may_become(&status);
            if may {
                *old = status.clone();
                self.was_ready.fetch_or(status.is_ready(), Ordering::AcqRel);
            }
            may
        });
        if changed {
            if status.is_over() {
                self.txids.end(&status);
            }
            self.wake();
        }
        changed
    }

    /// Takes note of when an event happened; what is no time says nothing.
    pub(super) fn see_event_time(&self, timestamp: &str) {
        if let Ok(time) = timestamp.parse::<jiff::Timestamp>() {
            self.event_time
                .fetch_max(time.as_millisecond(), Ordering::Relaxed);
        }
    }

    /// When the newest event happened, if events say so.
    #[cfg(feature = "serve")]
    pub(super) fn event_time(&self) -> Option<i64> {
        let time = self.event_time.load(Ordering::Relaxed);
        (time != i64::MIN).then_some(time)
    }

    fn wake(&self) {
        let hubs: Vec<Arc<Hub>> = lock(&self.hubs).values().cloned().collect();
        hubs.iter().for_each(|hub| hub.wake());
    }

    /// Takes note of how many transactions have pending changes, once all consumers know of these.
    pub(super) fn set_pending(&self, count: usize) {
        self.pending.store(count, Ordering::Release);
        if count == 0 && self.status.borrow().is_over() {
            self.wake();
        }
    }

    /// Whether no result will change any more.
    pub(super) fn is_over(&self) -> bool {
        self.status.borrow().is_over() && self.pending.load(Ordering::Acquire) == 0
    }

    /// Why the engine does not answer.
    pub(super) fn reason(&self) -> DbError {
        self.status().error().unwrap_or(DbError::Closed)
    }
}
