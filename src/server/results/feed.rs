//! One or several results of a source as one stream: what all readers of it share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::select_all;
use tokio::sync::watch;

use super::log::{Delta, Forgotten, Phase, ResultLog, Tail, lock};
use super::offset::Offset;
use super::render;
use crate::db::{DbError, StreamDb};
use crate::system;

/// A range that is shared holds about so much, unless a single step has more.
const FRAME_BYTES: usize = 64 << 10;
/// So much of the last ranges is kept for those who are just behind.
const CHAIN_BYTES: usize = 1 << 20;
/// A snapshot is used again until about so much has followed it, or a quarter of its size.
const SNAPSHOT_SLACK: usize = 64 << 10;
const SNAPSHOT_AGE: Duration = Duration::from_secs(5);
/// So many are held by readers at once, as long as what followed them is kept.
const MOST_SNAPSHOTS: usize = 2;

/// Results of a source that are read together.
pub(crate) struct Feed {
    /// At least one, all of one database.
    logs: Vec<Arc<ResultLog>>,
    incarnation: u64,
    set: u64,
    chain: Mutex<Chain>,
    snapshots: tokio::sync::Mutex<Snapshots>,
}

/// The snapshots that somebody may still be sent.
#[derive(Default)]
struct Snapshots {
    /// For those who come at about the same time, and when it was made.
    latest: Option<(Instant, Arc<Snapshot>)>,
    all: Vec<Weak<Snapshot>>,
}

/// All rows after a step.
pub(crate) struct Snapshot {
    pub(crate) epoch: u64,
    /// A JSON array.
    body: Bytes,
}

impl Snapshot {
    /// The content, which holds the snapshot as long as it is not sent.
    pub(crate) fn body(self: &Arc<Snapshot>) -> Bytes {
        struct Held(Arc<Snapshot>);
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.0.body
            }
        }
        Bytes::from_owner(Held(self.clone()))
    }
}

/// What steps in a row changed, never a part of one.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    start: u64,
    /// All up to this step is in it or was before it.
    pub(crate) end: u64,
    /// A JSON array of messages.
    pub(crate) body: Bytes,
    /// When the events of the last step came in, in milliseconds since 1970.
    pub(crate) arrived: f64,
    /// Whether nothing follows for now.
    pub(crate) complete: bool,
}

/// The last ranges, one behind the other, so that all who follow get the same ones.
#[derive(Default)]
struct Chain {
    ranges: VecDeque<Range>,
    bytes: usize,
}

impl Feed {
    /// A feed of results of one database.
    pub(crate) fn new(logs: Vec<Arc<ResultLog>>) -> Feed {
        let mixed = |mix: u64, log: &Arc<ResultLog>| {
            (mix.rotate_left(5) ^ log.hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        Feed {
            incarnation: logs[0].db.incarnation(),
            set: logs.iter().fold(0, mixed),
            logs,
            chain: Mutex::default(),
            snapshots: tokio::sync::Mutex::default(),
        }
    }

    fn db(&self) -> &StreamDb {
        &self.logs[0].db
    }

    /// Tells it from all others: of the same names before it, and of other queries.
    pub(crate) fn tag(&self) -> String {
        format!("{}-{:x}", self.incarnation, self.set)
    }

    pub(crate) fn offset(&self, epoch: u64) -> Offset {
        Offset {
            incarnation: self.incarnation,
            epoch,
            set: self.set,
        }
    }

    /// The last step that can be read.
    pub(crate) fn told(&self) -> u64 {
        let ends = self.logs.iter().filter_map(|log| log.ended_at());
        ends.fold(self.db().told(), u64::min)
    }

    /// Whether a step may have been given out as an offset.
    pub(crate) fn has_been(&self, epoch: u64) -> bool {
        let last = self.logs[0].live().map(|live| live.epoch());
        epoch <= last.unwrap_or_else(|| self.told())
    }

    /// Whether an offset is of other results, or what followed it is no longer there.
    pub(crate) fn has_forgotten(&self, offset: Offset) -> bool {
        offset != self.offset(offset.epoch) || !self.keeps(offset.epoch)
    }

    /// Whether all that followed a step is still there.
    pub(crate) fn keeps(&self, epoch: u64) -> bool {
        self.logs.iter().all(|log| log.forgotten() <= epoch)
    }

    /// What has become of the results: the worst of it.
    pub(crate) fn phase(&self) -> Phase {
        let phases = self.logs.iter().map(|log| log.tail().phase);
        let rank = |phase: &Phase| match phase {
            Phase::Open => 0,
            Phase::Dropped => 1,
            Phase::Replaced => 2,
        };
        phases.max_by_key(rank).unwrap_or(Phase::Dropped)
    }

    /// The last step that changed one of the results.
    pub(crate) fn tail(&self) -> u64 {
        let tails = self.logs.iter().map(|log| log.tail().epoch);
        tails.max().unwrap_or(0)
    }

    /// Follows the results.
    pub(crate) fn follow(&self) -> Follow {
        Follow(self.logs.iter().map(|log| log.follow()).collect())
    }

    /// Reads on from a step: whole steps, as many as fit into so many bytes, and at least one.
    pub(crate) fn read(&self, from: u64, most: usize) -> Result<Range, Forgotten> {
        self.range(from, self.told(), most)
    }

    fn range(&self, from: u64, upto: u64, most: usize) -> Result<Range, Forgotten> {
        let mut deltas: Vec<(u64, usize, Arc<Delta>)> = Vec::new();
        for (index, log) in self.logs.iter().enumerate() {
            let between = log.between(from, upto)?.into_iter();
            deltas.extend(between.map(|delta| (delta.epoch, index, delta)));
        }
        // By step, and within one in the order in which the results were asked for.
        deltas.sort_by_key(|(epoch, index, _)| (*epoch, *index));
        let mut body = BytesMut::with_capacity(256);
        body.put_u8(b'[');
        let (mut end, mut arrived, mut complete) = (from, 0.0, true);
        for (epoch, index, delta) in &deltas {
            if *epoch > end && body.len() > most {
                complete = false;
                break;
            }
            let text = delta.text(&self.logs[*index].name);
            if body.len() > 1 {
                body.put_u8(b',');
            }
            body.put_slice(&text);
            (end, arrived) = (*epoch, delta.arrived);
        }
        body.put_u8(b']');
        Ok(Range {
            start: from,
            end: if complete { end.max(upto) } else { end },
            body: body.freeze(),
            arrived,
            complete,
        })
    }

    /// As [`Feed::read`], if there is anything, and the same for all who follow.
    pub(crate) fn shared(&self, from: u64) -> Result<Option<Range>, Forgotten> {
        let mut chain = lock(&self.chain);
        let next = chain.ranges.partition_point(|range| range.start < from);
        if let Some(range) = chain.ranges.get(next)
            && range.start == from
        {
            return Ok(Some(range.clone()));
        }
        // Up to where the others are, so that this reader goes on with them.
        let within = next.checked_sub(1).map(|last| chain.ranges[last].end);
        let upto = match within.filter(|end| *end > from) {
            Some(end) => Some(end),
            None => chain.ranges.get(next).map(|range| range.start),
        };
        if let Some(upto) = upto {
            drop(chain);
            let range = self.range(from, upto, FRAME_BYTES)?;
            // Between ranges there may be steps that changed nothing here.
            return Ok(Some(Range {
                complete: false,
                ..range
            }));
        }
        let told = self.told();
        if self.tail() <= from || told <= from {
            return Ok(None);
        }
        let range = self.range(from, told, FRAME_BYTES)?;
        if range.body.len() == 2 {
            return Ok(None);
        }
        if chain.ranges.back().is_some_and(|last| last.end != from) {
            *chain = Chain::default();
        }
        chain.bytes += range.body.len();
        chain.ranges.push_back(range.clone());
        while chain.bytes > CHAIN_BYTES && chain.ranges.len() > 1 {
            let first = chain.ranges.pop_front();
            chain.bytes -= first.map_or(0, |first| first.body.len());
        }
        Ok(Some(range))
    }

    /// All rows after a step of late. It is made once for all who ask at about the same time.
    pub(crate) async fn snapshot(self: &Arc<Feed>) -> Result<Arc<Snapshot>, DbError> {
        let mut snapshots = self.snapshots.lock().await;
        let latest = snapshots.latest.as_ref().map(|(_, latest)| latest.clone());
        if let Some(latest) = latest.filter(|latest| self.is_fresh(latest)) {
            return Ok(latest);
        }
        // Readers that take long hold theirs: the next ones get one that is held anyway.
        snapshots.all.retain(|snapshot| snapshot.strong_count() > 0);
        if snapshots.all.len() >= MOST_SNAPSHOTS
            && let Some(held) = snapshots.all.last().and_then(Weak::upgrade)
            && self.keeps(held.epoch)
        {
            return Ok(held);
        }
        let feed = self.clone();
        let made = system::blocking(move || feed.make_snapshot()).await;
        let made = made.unwrap_or(Err(DbError::Closed)).map(Arc::new)?;
        snapshots.latest = Some((system::now(), made.clone()));
        snapshots.all.push(Arc::downgrade(&made));
        Ok(made)
    }

    fn is_fresh(&self, snapshot: &Snapshot) -> bool {
        let weight = |log: &Arc<ResultLog>| log.weight_after(snapshot.epoch);
        self.keeps(snapshot.epoch)
            && self.logs.iter().map(weight).sum::<usize>()
                <= SNAPSHOT_SLACK.max(snapshot.body.len() / 4)
    }

    fn make_snapshot(&self) -> Result<Snapshot, DbError> {
        let live: Option<Vec<_>> = self.logs.iter().map(|log| log.live()).collect();
        let live = live.ok_or(DbError::Closed)?;
        let queries: Vec<_> = live.iter().collect();
        let results = self.db().snapshot_of(&*queries)?;
        let epoch = results[0].epoch();
        let rows: Vec<_> = (self.logs.iter().zip(&results))
            .map(|(log, rows)| (&*log.name, rows.untyped()))
            .collect();
        let mut body = BytesMut::from(&b"["[..]);
        body.put(render::snapshot(&rows, epoch));
        body.put_u8(b']');
        Ok(Snapshot {
            epoch,
            body: body.freeze(),
        })
    }

    /// Forgets the snapshot, which is for those who come at about the same time.
    pub(crate) fn sweep(&self) {
        if let Ok(mut snapshots) = self.snapshots.try_lock() {
            let old = |latest: &mut (Instant, _)| system::now() - latest.0 > SNAPSHOT_AGE;
            snapshots.latest.take_if(old);
        }
    }
}

/// Waits for news of results.
pub(crate) struct Follow(Vec<watch::Receiver<Tail>>);

impl Follow {
    /// Takes note of what there is, so that only later news count.
    pub(crate) fn see(&mut self) {
        for tail in &mut self.0 {
            tail.borrow_and_update();
        }
    }

    /// Waits until something changed since [`Follow::see`].
    pub(crate) async fn changed(&mut self) {
        match &mut self.0[..] {
            // The log, which the reader holds, holds the other end.
            [one] => drop(one.changed().await),
            many => drop(select_all(many.iter_mut().map(|tail| Box::pin(tail.changed()))).await),
        }
    }
}
