//! The rules: what commands do to streams. Nothing here is seen before it is published.

mod append;
mod create;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::chunk::Chunk;
use super::command::{Content, Refusal};
use super::disk::{Disk, Loaded, Row};
use super::log::{Base, Identity, Log, Phase, Tail};
use super::path::StreamPath;
use super::record::{Fork, Producer, Record};

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) streams: usize,
    /// For each stream.
    pub(crate) producers: usize,
}

/// All streams, as the writer knows them.
#[derive(Debug)]
pub(crate) struct State {
    streams: HashMap<u64, Stream>,
    paths: HashMap<StreamPath, u64>,
    deadlines: BTreeSet<(Instant, u64)>,
    next_id: u64,
    most: Most,
    disk: Option<Arc<Disk>>,
    changes: Changes,
}

#[derive(Debug)]
struct Stream {
    log: Arc<Log>,
    path: StreamPath,
    record: Record,
    end: u64,
    producers: HashMap<Arc<str>, Producer>,
    forks: u32,
    deadline: Option<Instant>,
}

impl Stream {
    fn tail(&self) -> Tail {
        let phase = match () {
            () if self.record.kept => Phase::Kept,
            () if self.record.closed => Phase::Closed,
            () => Phase::Open,
        };
        Tail {
            end: self.end,
            phase,
        }
    }

    /// Refuses what is asked of a stream that is no longer there, or only for its forks.
    fn check(&self) -> Result<(), Refusal> {
        let over = self.log.clock().is_over();
        match () {
            () if self.record.kept || (over && self.forks > 0) => Err(Refusal::Kept),
            () if over => Err(Refusal::Missing),
            () => Ok(()),
        }
    }

    fn set_forks(&mut self, forks: u32) {
        self.forks = forks;
        self.log.set_forks(forks);
    }

    fn append(&mut self, content: Content) -> Chunk {
        let start = self.end;
        self.end += content.count;
        Chunk {
            start,
            end: self.end,
            data: content.data,
        }
    }
}

/// What a round changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    streams: BTreeMap<u64, Change>,
    created: bool,
}

/// What a round changed of a stream.
#[derive(Debug, Default)]
struct Change {
    created: bool,
    record: bool,
    chunks: Vec<Chunk>,
    producers: BTreeSet<Arc<str>>,
    /// The stream is gone; so it had to be kept here.
    removed: Option<Box<Stream>>,
}

/// What readers get to see of a change.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) path: StreamPath,
    pub(crate) log: Arc<Log>,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) tail: Tail,
    pub(crate) created: bool,
}

impl State {
    pub(crate) fn new(most: Most, disk: Option<Arc<Disk>>) -> State {
        State {
            streams: HashMap::new(),
            paths: HashMap::new(),
            deadlines: BTreeSet::new(),
            next_id: 1,
            most,
            disk,
            changes: Changes::default(),
        }
    }

    /// The state on disk. Logs that are known go on as they are, so that readers keep them.
    pub(crate) fn load(
        most: Most,
        disk: Arc<Disk>,
        loaded: Vec<Loaded>,
        next_id: u64,
        mut known: HashMap<u64, Arc<Log>>,
    ) -> State {
        let mut state = State::new(most, Some(disk));
        state.next_id = next_id;
        for Loaded {
            id,
            record,
            end,
            producers,
        } in loaded
        {
            let path = StreamPath::trusted(&record.path);
            let start = record.fork.as_ref().map_or(0, Fork::position);
            let log = known.remove(&id).unwrap_or_else(|| {
                let tail = Tail {
                    end: start,
                    phase: Phase::Open,
                };
                state.log(id, &record, tail)
            });
            if let Some(source) = record
                .fork
                .as_ref()
                .and_then(|fork| state.streams.get_mut(&fork.source))
            {
                source.set_forks(source.forks + 1);
            }
            log.set_forks(0);
            let end = end.unwrap_or(start);
            let stream = Stream {
                log,
                path: path.clone(),
                record,
                end,
                producers,
                forks: 0,
                deadline: None,
            };
            stream.log.replace(stream.tail());
            state.paths.insert(path, id);
            state.streams.insert(id, stream);
            state.watch(id);
        }
        // These were removed, although we heard otherwise.
        for log in known.into_values() {
            log.replace(Tail {
                end: log.tail().end,
                phase: Phase::Deleted,
            });
        }
        state
    }

    /// The streams by name.
    pub(crate) fn logs(&self) -> impl Iterator<Item = (&StreamPath, &Arc<Log>)> {
        self.streams
            .values()
            .map(|stream| (&stream.path, &stream.log))
    }

    fn log(&self, id: u64, record: &Record, tail: Tail) -> Arc<Log> {
        let identity = Identity {
            id,
            created: record.created,
            content_type: record.content_type.clone(),
            expiry: record.expiry.clone(),
        };
        let base = record.fork.as_ref().and_then(|fork| {
            let source = self.streams.get(&fork.source)?;
            Some(Base {
                log: source.log.clone(),
                until: fork.position(),
            })
        });
        Arc::new(Log::new(identity, base, self.disk.clone(), tail))
    }

    /// Notes when the stream may be over.
    fn watch(&mut self, id: u64) {
        let Some(stream) = self
            .streams
            .get_mut(&id)
            .filter(|stream| !stream.record.kept)
        else {
            return;
        };
        stream.deadline = stream
            .log
            .clock()
            .left()
            .and_then(|left| Instant::now().checked_add(left));
        self.deadlines
            .extend(stream.deadline.map(|deadline| (deadline, id)));
    }

    /// Ends the streams whose time is over.
    pub(crate) fn sweep(&mut self) {
        let now = Instant::now();
        while let Some(&(deadline, id)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(deadline, id));
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            stream.deadline = None;
            if stream.log.clock().is_over() {
                self.end(id);
            } else {
                self.watch(id);
            }
        }
    }

    pub(crate) fn delete(&mut self, path: &StreamPath) -> Result<(), Refusal> {
        let id = *self.paths.get(path).ok_or(Refusal::Missing)?;
        self.streams[&id].check()?;
        self.end(id);
        Ok(())
    }

    /// Ends a stream. Its data stays as long as it has forks, and goes with the last one.
    fn end(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if let Some(deadline) = stream.deadline.take() {
            self.deadlines.remove(&(deadline, id));
        }
        if stream.forks > 0 {
            stream.record.kept = true;
            self.changes.streams.entry(id).or_default().record = true;
            return;
        }
        let mut next = Some(id);
        while let Some(stream) = next.take().and_then(|id| self.streams.remove_entry(&id)) {
            let (id, stream) = stream;
            self.paths.remove(&stream.path);
            if let Some(fork) = &stream.record.fork
                && let Some(source) = self.streams.get_mut(&fork.source)
            {
                source.set_forks(source.forks.saturating_sub(1));
                if source.record.kept && source.forks == 0 {
                    next = Some(fork.source);
                }
            }
            self.changes.streams.entry(id).or_default().removed = Some(Box::new(stream));
        }
    }

    /// What changed since this was last asked: for the disk, and for readers.
    pub(crate) fn take_changes(&mut self) -> (Vec<Row>, Vec<Published>) {
        let changes = std::mem::take(&mut self.changes);
        let (mut rows, mut published) = (Vec::new(), Vec::new());
        if changes.created {
            rows.push(Row::NextId(self.next_id));
        }
        for (id, change) in changes.streams {
            let (stream, gone) = match (&change.removed, self.streams.get(&id)) {
                (Some(stream), _) => (&**stream, true),
                (None, Some(stream)) => (stream, false),
                (None, None) => continue,
            };
            if gone && change.created {
                continue;
            }
            let tail = if gone {
                rows.push(Row::Remove(id));
                Tail {
                    end: stream.log.tail().end,
                    phase: Phase::Deleted,
                }
            } else {
                if change.created || change.record {
                    rows.push(Row::Record(id, Box::new(stream.record.clone())));
                }
                rows.extend(
                    change
                        .chunks
                        .iter()
                        .map(|chunk| Row::Chunk(id, chunk.clone())),
                );
                let producers = change.producers.into_iter();
                rows.extend(producers.filter_map(|name| {
                    let producer = *stream.producers.get(&name)?;
                    Some(Row::Producer(id, name, producer))
                }));
                stream.tail()
            };
            published.push(Published {
                path: stream.path.clone(),
                log: stream.log.clone(),
                chunks: if gone { Vec::new() } else { change.chunks },
                tail,
                created: change.created,
            });
        }
        (rows, published)
    }
}
