//! The stream of one result: what its last steps changed, kept for those who come back.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use foldhash::quality::FixedState;
use tokio::sync::watch;

use super::lag::Lag;
use super::render;
use crate::db::{DbError, LiveQuery, Sink, StreamDb};
use crate::plan::Node;
use crate::query::Query;
use crate::system;
use crate::value::Value;
use crate::view::ChangeSet;

/// How much of a result's past is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) bytes: usize,
    pub(crate) age: Duration,
}

/// Up to where there is something to read, and what has become of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The last step that changed the result.
    pub(crate) epoch: u64,
    pub(crate) phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Another result has the name by now: readers begin again.
    Replaced,
    /// The query was dropped: nothing will follow.
    Dropped,
}

/// What one step changed.
#[derive(Debug)]
pub(crate) struct Delta {
    pub(crate) epoch: u64,
    /// When the events came in that changed it, in milliseconds since 1970.
    pub(crate) arrived: f64,
    kept_since: Instant,
    weight: usize,
    changes: Mutex<Option<Arc<ChangeSet>>>,
    text: OnceLock<Bytes>,
}

impl Delta {
    /// The messages, with commas between them. They are written when the first reader asks.
    pub(crate) fn text(&self, name: &str) -> Bytes {
        let written = self.text.get_or_init(|| {
            let changes = lock(&self.changes).take();
            changes.map_or(Bytes::new(), |changes| {
                render::delta(name, self.epoch, &changes)
            })
        });
        written.clone()
    }

    /// About how many bytes it is.
    pub(crate) fn weight(&self) -> usize {
        self.text.get().map_or(self.weight, Bytes::len)
    }
}

/// What followed an offset is no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forgotten;

/// The result of a query with its latest past.
pub(crate) struct ResultLog {
    pub(crate) name: Arc<str>,
    /// Tells it from all others of this process.
    pub(crate) id: u64,
    /// Of the name and the query: it is the same in another process, if the result is.
    pub(crate) hash: u64,
    pub(crate) db: StreamDb,
    /// None when the query was dropped.
    live: Mutex<Option<LiveQuery<Value>>>,
    deltas: Mutex<Deltas>,
    keep: Keep,
    tail: watch::Sender<Tail>,
    /// The row changes so far.
    changes: AtomicU64,
    /// When the last one was made, in milliseconds since 1970; 0 before the first.
    changed: AtomicU64,
    /// How late changes were.
    pub(crate) lag: Lag,
    /// Why the engine dropped the query.
    failed: OnceLock<DbError>,
}

#[derive(Debug, Default)]
struct Deltas {
    kept: VecDeque<Arc<Delta>>,
    weight: usize,
    /// The last step that is not known here any more.
    forgotten: u64,
    /// After which step it ended, if it did.
    ended: Option<u64>,
}

impl Deltas {
    fn forget_first(&mut self) {
        if let Some(first) = self.kept.pop_front() {
            self.weight -= first.weight;
            self.forgotten = first.epoch;
        }
    }
}

impl ResultLog {
    /// Starts a query and keeps its result. Waits for the engine. One that is started before the
    /// database was read is to be told where it [begins](ResultLog::begin).
    pub(crate) fn start(
        db: &StreamDb,
        name: Arc<str>,
        query: &Query,
        keep: Keep,
        early: bool,
    ) -> Result<Arc<ResultLog>, DbError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let live = db.live::<Value>(query.clone())?;
        let log = Arc::new(ResultLog {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            hash: hash(&name, query, &live),
            name,
            db: db.clone(),
            live: Mutex::new(Some(live.clone())),
            deltas: Mutex::default(),
            keep,
            tail: watch::Sender::new(Tail {
                epoch: 0,
                phase: Phase::Open,
            }),
            changes: AtomicU64::new(0),
            changed: AtomicU64::new(0),
            lag: Lag::default(),
            failed: OnceLock::new(),
        });
        let sink: Arc<dyn Sink> = log.clone();
        let start = live.attach(Arc::downgrade(&sink))?;
        if !early {
            let mut deltas = lock(&log.deltas);
            deltas.forgotten = deltas.forgotten.max(start);
        }
        Ok(log)
    }

    /// Makes one that was started before its database was read begin where that begins: with the first
    /// step that was made again, or else with all that was read.
    pub(crate) fn begin(&self) {
        let first = match self.db.first_step() {
            0 => self.db.told(),
            first => first,
        };
        let mut deltas = lock(&self.deltas);
        while (deltas.kept.front()).is_some_and(|delta| delta.epoch <= first) {
            deltas.forget_first();
        }
        deltas.forgotten = deltas.forgotten.max(first);
        drop(deltas);
        self.changes.store(0, Ordering::Relaxed);
        self.changed.store(0, Ordering::Relaxed);
    }

    /// The result itself, unless the query was dropped.
    pub(crate) fn live(&self) -> Option<LiveQuery<Value>> {
        lock(&self.live).clone()
    }

    /// Why the engine dropped the query, if it did.
    pub(crate) fn failed(&self) -> Option<&DbError> {
        self.failed.get()
    }

    pub(crate) fn tail(&self) -> Tail {
        *self.tail.borrow()
    }

    pub(crate) fn follow(&self) -> watch::Receiver<Tail> {
        self.tail.subscribe()
    }

    /// Those who wait for news.
    pub(crate) fn followers(&self) -> usize {
        self.tail.receiver_count()
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// When the last change was made, in milliseconds since 1970.
    pub(crate) fn changed(&self) -> Option<u64> {
        let changed = self.changed.load(Ordering::Relaxed);
        (changed > 0).then_some(changed)
    }

    /// The last step of which nothing is kept.
    pub(crate) fn forgotten(&self) -> u64 {
        lock(&self.deltas).forgotten
    }

    /// The steps behind one, up to another.
    pub(crate) fn between(&self, after: u64, upto: u64) -> Result<Vec<Arc<Delta>>, Forgotten> {
        let deltas = lock(&self.deltas);
        if after < deltas.forgotten {
            return Err(Forgotten);
        }
        let first = deltas.kept.partition_point(|delta| delta.epoch <= after);
        let kept = deltas.kept.range(first..);
        Ok(kept
            .take_while(|delta| delta.epoch <= upto)
            .cloned()
            .collect())
    }

    /// About how many bytes followed a step.
    pub(crate) fn weight_after(&self, epoch: u64) -> usize {
        let deltas = lock(&self.deltas);
        let first = deltas.kept.partition_point(|delta| delta.epoch <= epoch);
        deltas.kept.range(first..).map(|delta| delta.weight()).sum()
    }

    /// Forgets what is too old.
    pub(crate) fn sweep(&self) {
        let mut deltas = lock(&self.deltas);
        while let Some(first) = deltas.kept.front()
            && system::now() - first.kept_since > self.keep.age
        {
            deltas.forget_first();
        }
    }

    /// After which step it ended, if it did.
    pub(crate) fn ended_at(&self) -> Option<u64> {
        lock(&self.deltas).ended
    }

    /// Ends it, and tells its readers. What is kept stays readable for those who have it.
    pub(crate) fn end(&self, phase: Phase) {
        let mut deltas = lock(&self.deltas);
        let last = deltas.kept.back().map_or(0, |delta| delta.epoch);
        deltas.ended.get_or_insert(last.max(self.db.told()));
        drop(deltas);
        lock(&self.live).take();
        self.tail.send_modify(|tail| tail.phase = phase);
    }
}

impl Sink for ResultLog {
    fn take(&self, epoch: u64, arrived: SystemTime, changes: &Arc<ChangeSet>) {
        let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let weight = changes.weight();
        let delta = Delta {
            epoch,
            arrived: since_1970(arrived).as_secs_f64() * 1000.0,
            kept_since: system::now(),
            weight,
            changes: Mutex::new(Some(changes.clone())),
            text: OnceLock::new(),
        };
        self.changes
            .fetch_add(changes.len() as u64, Ordering::Relaxed);
        self.lag.took(arrived);
        tracing::trace!(
            query = &*self.name,
            epoch,
            changes = changes.len(),
            "a change set"
        );
        let now = since_1970(system::time()).as_millis();
        self.changed.store(now as u64, Ordering::Relaxed);
        let mut deltas = lock(&self.deltas);
        if deltas.ended.is_some() {
            return;
        }
        deltas.weight += weight;
        deltas.kept.push_back(Arc::new(delta));
        // The last one always stays: those who are up to date need it.
        while deltas.weight > self.keep.bytes && deltas.kept.len() > 1 {
            deltas.forget_first();
        }
    }

    fn show(&self) {
        let last = lock(&self.deltas).kept.back().map(|delta| delta.epoch);
        if let Some(epoch) = last {
            self.tail.send_modify(|tail| tail.epoch = epoch);
        }
    }

    fn fail(&self, error: &DbError) {
        self.failed.get_or_init(|| error.clone());
        self.end(Phase::Dropped);
    }
}

/// Of what makes a result what it is. What reads the clock is never the same again.
fn hash(name: &str, query: &Query, live: &LiveQuery<Value>) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(name.as_bytes());
    hasher.write_u8(0xff);
    hasher.write(query.to_json().unwrap_or_default().as_bytes());
    if live
        .plan()
        .root
        .any(&mut |node| matches!(node, Node::Clock { .. }))
    {
        hasher.write_u64(RandomState::new().hash_one(0));
    }
    hasher.finish()
}

/// Nothing is changed by halves under these locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
