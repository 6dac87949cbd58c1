//! A published log: what readers see of a stream. It changes only after what changed is safe.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

use super::chunk::{Chunk, Kind};
use super::disk::Disk;
use super::expiry::{Clock, Expiry};
use super::frames::Frames;

/// How far a log goes, and what has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The position behind the last message or byte.
    pub(crate) end: u64,
    pub(crate) phase: Phase,
}

/// What has become of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Nothing will be appended any more.
    Closed,
    /// Deleted, with its data kept for its forks.
    Kept,
    Deleted,
}

impl Tail {
    pub(crate) fn is_closed(self) -> bool {
        self.phase == Phase::Closed
    }

    pub(crate) fn is_gone(self) -> bool {
        matches!(self.phase, Phase::Kept | Phase::Deleted)
    }
}

/// What of a stream never changes.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) id: u64,
    /// When it was created, in microseconds since 1970; with the id, the stream's entity tag.
    pub(crate) created: i64,
    pub(crate) content_type: String,
    pub(crate) expiry: Expiry,
}

/// Where a fork's data comes from below the position at which it was forked.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) log: Arc<Log>,
    pub(crate) until: u64,
}

/// A log that cannot be read, as the disk or its content is not in order.
#[derive(Debug, thiserror::Error)]
#[error("stream {stream} cannot be read at position {position}: {reason}")]
pub(crate) struct ReadError {
    stream: u64,
    position: u64,
    reason: String,
}

/// What readers see of a stream.
#[derive(Debug)]
pub(crate) struct Log {
    id: u64,
    created: i64,
    kind: Kind,
    content_type: String,
    clock: Clock,
    base: Option<Base>,
    /// On disk, `recent` holds only the last chunks.
    disk: Option<Arc<Disk>>,
    recent: Mutex<VecDeque<Chunk>>,
    tail: watch::Sender<Tail>,
    forks: AtomicU32,
    frames: Mutex<Frames>,
}

impl Log {
    pub(crate) fn new(
        identity: Identity,
        base: Option<Base>,
        disk: Option<Arc<Disk>>,
        tail: Tail,
    ) -> Log {
        Log {
            id: identity.id,
            created: identity.created,
            kind: Kind::of(&identity.content_type),
            content_type: identity.content_type,
            clock: Clock::start(identity.expiry),
            base,
            disk,
            recent: Mutex::default(),
            tail: watch::Sender::new(tail),
            forks: AtomicU32::new(0),
            frames: Mutex::default(),
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Tells this stream from all others, also from those of its name before it.
    pub(crate) fn tag(&self) -> String {
        format!("{:x}-{:x}", self.created, self.id)
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn content_type(&self) -> &str {
        &self.content_type
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn base(&self) -> Option<&Base> {
        self.base.as_ref()
    }

    /// How many streams were forked from this one and are still there.
    pub(crate) fn forks(&self) -> u32 {
        self.forks.load(Ordering::Relaxed)
    }

    pub(crate) fn set_forks(&self, forks: u32) {
        self.forks.store(forks, Ordering::Relaxed);
    }

    pub(crate) fn tail(&self) -> Tail {
        *self.tail.borrow()
    }

    /// Follows the tail.
    pub(crate) fn follow(&self) -> watch::Receiver<Tail> {
        self.tail.subscribe()
    }

    pub(crate) fn followers(&self) -> usize {
        self.tail.receiver_count()
    }

    pub(crate) fn frames(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows new chunks, which follow the tail, and wakes those who follow it.
    pub(crate) fn publish(&self, chunks: Vec<Chunk>, tail: Tail) {
        self.recent().extend(chunks);
        self.frames().clear();
        self.tail.send_replace(tail);
    }

    /// Takes a state over that came about behind our back; what is older comes from the disk.
    pub(crate) fn replace(&self, tail: Tail) {
        if self.tail() != tail {
            self.recent().clear();
            self.publish(Vec::new(), tail);
        }
    }

    /// Drops the oldest chunk from memory.
    pub(crate) fn forget_oldest(&self) {
        self.recent().pop_front();
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<Chunk>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads whole appends from a position on: as many as fit into so many bytes, and at least
    /// one, up to the tail.
    pub(crate) async fn read(self: &Arc<Log>, from: u64, most: usize) -> Result<Batch, ReadError> {
        let mut batch = Batch::new(from, self.tail(), self.kind, most);
        while let Some(missing) = self.fill(&mut batch) {
            let Missing { log, until } = missing;
            let Some(disk) = log.disk.clone() else {
                return Err(log.error(batch.end, "its data is not in memory"));
            };
            let id = log.id;
            let from = batch.end;
            let read = tokio::task::spawn_blocking(move || {
                disk.read(id, until, &mut batch).map(|()| batch)
            });
            batch = match read.await {
                Ok(Ok(batch)) => batch,
                Ok(Err(error)) => return Err(log.error(from, error)),
                Err(error) => return Err(log.error(from, error)),
            };
            if batch.end == from && !batch.full {
                return Err(log.error(from, "its data is not on disk"));
            }
        }
        Ok(batch)
    }

    /// As `read`, if that needs no disk.
    pub(crate) fn read_recent(self: &Arc<Log>, from: u64, most: usize) -> Option<Batch> {
        let mut batch = Batch::new(from, self.tail(), self.kind, most);
        match self.fill(&mut batch) {
            None => Some(batch),
            Some(_) => None,
        }
    }

    /// Adds what is in memory to the batch. Returns what has to come from the disk first.
    fn fill(self: &Arc<Log>, batch: &mut Batch) -> Option<Missing> {
        while !batch.full && batch.end < batch.tail.end {
            let (log, until) = self.owner(batch.end, batch.tail.end);
            let recent = log.recent();
            let first = recent.partition_point(|chunk| chunk.end <= batch.end);
            if recent
                .get(first)
                .is_none_or(|chunk| chunk.start > batch.end)
            {
                drop(recent);
                return Some(Missing {
                    log: log.clone(),
                    until,
                });
            }
            for chunk in recent.range(first..) {
                if chunk.start >= until || !batch.push(chunk, until) {
                    break;
                }
            }
        }
        None
    }

    /// The log that holds the data at a position, and to where it does.
    fn owner(self: &Arc<Log>, position: u64, until: u64) -> (&Arc<Log>, u64) {
        let (mut log, mut until) = (self, until);
        while let Some(base) = log.base.as_ref().filter(|base| position < base.until) {
            until = until.min(base.until);
            log = &base.log;
        }
        (log, until)
    }

    fn error(&self, position: u64, reason: impl ToString) -> ReadError {
        ReadError {
            stream: self.id,
            position,
            reason: reason.to_string(),
        }
    }
}

struct Missing {
    log: Arc<Log>,
    until: u64,
}

/// What a chunk costs in memory, about.
pub(crate) fn cost(chunk: &Chunk) -> usize {
    chunk.data.len() + 128
}

/// A range of a stream, as read.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// The tail when it was read.
    pub(crate) tail: Tail,
    kind: Kind,
    chunks: Vec<Bytes>,
    bytes: usize,
    most: usize,
    full: bool,
}

impl Batch {
    fn new(from: u64, tail: Tail, kind: Kind, most: usize) -> Batch {
        Batch {
            start: from,
            end: from,
            tail,
            kind,
            chunks: Vec::new(),
            bytes: 0,
            most,
            full: false,
        }
    }

    /// Adds the part of the chunk that follows, up to a position, if it fits.
    pub(crate) fn push(&mut self, chunk: &Chunk, until: u64) -> bool {
        let part = chunk.part(self.kind, self.end, until);
        if !self.chunks.is_empty() && self.bytes + part.data.len() > self.most {
            self.full = true;
            return false;
        }
        self.end = part.end;
        self.bytes += part.data.len();
        self.chunks.push(part.data);
        self.full = self.bytes >= self.most;
        !self.full
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether nothing follows for now.
    pub(crate) fn reaches_tail(&self) -> bool {
        self.end >= self.tail.end
    }

    /// Whether nothing follows, ever.
    pub(crate) fn is_final(&self) -> bool {
        self.reaches_tail() && self.tail.is_closed()
    }

    /// The content: an array of messages, or bytes.
    pub(crate) fn body(&self) -> Bytes {
        match (self.kind, self.chunks.as_slice()) {
            (Kind::Text | Kind::Binary, [one]) => one.clone(),
            (Kind::Text | Kind::Binary, many) => many.concat().into(),
            (Kind::Json, chunks) => {
                let mut body = BytesMut::with_capacity(self.bytes + chunks.len() + 2);
                body.extend_from_slice(b"[");
                for (index, chunk) in chunks.iter().enumerate() {
                    if index > 0 {
                        body.extend_from_slice(b",");
                    }
                    body.extend_from_slice(chunk);
                }
                body.extend_from_slice(b"]");
                body.freeze()
            }
        }
    }
}
