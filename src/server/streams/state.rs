//! The rules: what commands do to streams. Nothing here is seen before it is published.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::chunk::{Chunk, essence};
use super::command::{Append, Appended, Content, Create, Created, ForkOf, Refusal};
use super::disk::{Disk, Loaded, Row};
use super::expiry::Expiry;
use super::log::{Base, Identity, Log, Phase, Tail};
use super::path::StreamPath;
use super::record::{Claim, Fork, Producer, Record};

/// Readers follow the chain of forks at each read.
const FORK_DEPTH: usize = 64;
/// Producers may be forgotten when they were silent for so long and room is needed.
const PRODUCER_SECONDS: u64 = 7 * 24 * 60 * 60;
const DEFAULT_TYPE: &str = "application/octet-stream";

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

    pub(crate) fn create(&mut self, create: Create) -> Result<Created, Refusal> {
        if let Some(&id) = self.paths.get(&create.path) {
            if self.streams[&id].log.clock().is_over() && !self.streams[&id].record.kept {
                self.end(id);
            }
        }
        if let Some(id) = self.paths.get(&create.path) {
            let stream = &self.streams[id];
            if stream.record.kept {
                return Err(Refusal::NameKept);
            }
            if let Some(difference) = difference(&stream.record, &create) {
                return Err(Refusal::Exists(difference));
            }
            stream.log.clock().touch();
            return Ok(Created {
                log: stream.log.clone(),
                tail: stream.tail(),
                new: false,
            });
        }
        if self.streams.len() >= self.most.streams {
            return Err(Refusal::TooManyStreams {
                most: self.most.streams,
            });
        }
        let record = self.record(&create)?;
        let start = record.fork.as_ref().map_or(0, Fork::position);
        let id = self.next_id;
        self.next_id += 1;
        let log = self.log(
            id,
            &record,
            Tail {
                end: start,
                phase: Phase::Open,
            },
        );
        if let Some(source) = record
            .fork
            .as_ref()
            .and_then(|fork| self.streams.get_mut(&fork.source))
        {
            source.set_forks(source.forks + 1);
        }
        let mut stream = Stream {
            log,
            path: create.path.clone(),
            record,
            end: start,
            producers: HashMap::new(),
            forks: 0,
            deadline: None,
        };
        let chunk = create.content.map(|content| stream.append(content));
        let created = Created {
            log: stream.log.clone(),
            tail: stream.tail(),
            new: true,
        };
        self.paths.insert(create.path, id);
        self.streams.insert(id, stream);
        self.watch(id);
        self.changes.created = true;
        let change = self.changes.streams.entry(id).or_default();
        change.created = true;
        change.chunks.extend(chunk);
        Ok(created)
    }

    /// The record of a stream that is to be created.
    fn record(&self, create: &Create) -> Result<Record, Refusal> {
        let mut record = Record {
            path: create.path.as_str().to_owned(),
            content_type: create
                .content_type
                .clone()
                .unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
            created: jiff::Timestamp::now().as_microsecond(),
            asked: create.expiry.clone(),
            expiry: create.expiry.clone(),
            fork: None,
            closed: create.closed,
            closed_by: None,
            seq: None,
            kept: false,
        };
        let Some(ForkOf {
            source,
            offset,
            sub_offset,
        }) = &create.fork
        else {
            return Ok(record);
        };
        let id = *self.paths.get(source).ok_or(Refusal::SourceMissing)?;
        let stream = &self.streams[&id];
        match () {
            () if stream.record.kept => return Err(Refusal::SourceKept),
            () if stream.log.clock().is_over() => return Err(Refusal::SourceMissing),
            () => {}
        }
        let source_type = &stream.record.content_type;
        let wrong_type = || {
            Err(Refusal::SourceType {
                source: source_type.clone(),
            })
        };
        match &create.content_type {
            None => record.content_type = source_type.clone(),
            Some(own) if essence(own) != essence(source_type) => return wrong_type(),
            Some(_) => {}
        }
        if create
            .content
            .as_ref()
            .is_some_and(|content| content.kind != stream.log.kind())
        {
            return wrong_type();
        }
        let offset = offset.unwrap_or(stream.end);
        let position = offset.saturating_add(*sub_offset);
        if position > stream.end {
            return Err(Refusal::BeyondSource {
                position,
                tail: stream.end,
            });
        }
        let mut depth = 1;
        let mut log = &stream.log;
        while let Some(base) = log.base() {
            log = &base.log;
            depth += 1;
        }
        if depth > FORK_DEPTH {
            return Err(Refusal::TooDeep { most: FORK_DEPTH });
        }
        if create.expiry == Expiry::Never {
            record.expiry = stream.record.expiry.clone();
        }
        record.fork = Some(Fork {
            source: id,
            source_path: source.as_str().to_owned(),
            offset,
            sub_offset: *sub_offset,
        });
        Ok(record)
    }

    pub(crate) fn append(&mut self, append: Append) -> Result<Appended, Refusal> {
        let Append {
            stream: id,
            content,
            close,
            seq,
            claim,
        } = append;
        let stream = self.streams.get_mut(&id).ok_or(Refusal::Missing)?;
        if stream.record.kept {
            return Err(Refusal::Kept);
        }
        if stream.log.clock().is_over() {
            return Err(if stream.forks > 0 {
                Refusal::Kept
            } else {
                Refusal::Missing
            });
        }
        stream.log.clock().touch();
        let known = claim
            .as_ref()
            .and_then(|claim| stream.producers.get(&*claim.producer));
        let verdict = claim.as_ref().map(|claim| judge(claim, known));
        let closed = stream.record.closed;
        let mut appended = Appended {
            end: stream.end,
            closed,
            producer: None,
            duplicate: true,
        };
        match (&claim, verdict) {
            (_, Some(Verdict::Stale { known })) => return Err(Refusal::StaleEpoch { known }),
            // A retry of what closed the stream, or of what came before.
            (Some(claim), Some(Verdict::Duplicate { highest }))
                if !closed || !close || stream.record.closed_by.as_ref() == Some(claim) =>
            {
                appended.producer = Some((claim.epoch, highest));
                return Ok(appended);
            }
            (None, _) if closed && close && content.is_none() => return Ok(appended),
            _ if closed => return Err(Refusal::Closed { end: stream.end }),
            (_, Some(Verdict::EpochStart)) => {
                let seq = claim.map_or(0, |claim| claim.seq);
                return Err(Refusal::EpochStart { seq });
            }
            (_, Some(Verdict::Gap { expected })) => {
                let received = claim.map_or(0, |claim| claim.seq);
                return Err(Refusal::Gap { expected, received });
            }
            _ => {}
        }
        if let (Some(seq), Some(last)) = (&seq, &stream.record.seq)
            && seq.as_bytes() <= last.as_bytes()
        {
            return Err(Refusal::Seq { last: last.clone() });
        }
        if let Some(claim) = &claim {
            let name: Arc<str> = claim.producer.as_str().into();
            let now = jiff::Timestamp::now().as_second().max(0) as u64;
            let most = self.most.producers;
            if !stream.producers.contains_key(&name) && stream.producers.len() >= most {
                stream
                    .producers
                    .retain(|_, known| known.used + PRODUCER_SECONDS > now);
                if stream.producers.len() >= most {
                    return Err(Refusal::TooManyProducers { most });
                }
            }
            let producer = Producer {
                epoch: claim.epoch,
                seq: claim.seq,
                used: now,
            };
            stream.producers.insert(name.clone(), producer);
            self.changes
                .streams
                .entry(id)
                .or_default()
                .producers
                .insert(name);
            appended.producer = Some((claim.epoch, claim.seq));
        }
        let change = self.changes.streams.entry(id).or_default();
        if seq.is_some() {
            stream.record.seq = seq;
            change.record = true;
        }
        if close {
            stream.record.closed = true;
            stream.record.closed_by = claim;
            change.record = true;
        }
        if let Some(content) = content {
            change.chunks.push(stream.append(content));
        }
        appended.end = stream.end;
        appended.closed = close;
        appended.duplicate = false;
        Ok(appended)
    }

    pub(crate) fn delete(&mut self, path: &StreamPath) -> Result<(), Refusal> {
        let id = *self.paths.get(path).ok_or(Refusal::Missing)?;
        let stream = &self.streams[&id];
        if stream.record.kept {
            return Err(Refusal::Kept);
        }
        let over = stream.log.clock().is_over();
        self.end(id);
        if over { Err(Refusal::Missing) } else { Ok(()) }
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

/// In what a stream differs from the one that is to be created.
fn difference(record: &Record, create: &Create) -> Option<&'static str> {
    let fork = match (&record.fork, &create.fork) {
        (None, None) => true,
        (Some(fork), Some(asked)) => {
            fork.source_path == asked.source.as_str()
                && asked.offset.is_none_or(|offset| offset == fork.offset)
                && asked.sub_offset == fork.sub_offset
        }
        _ => false,
    };
    let content_type = match &create.content_type {
        Some(asked) => essence(asked) == essence(&record.content_type),
        None => create.fork.is_some() || essence(&record.content_type) == DEFAULT_TYPE,
    };
    match () {
        () if !content_type => Some("Content-Type"),
        () if create.expiry != record.asked => Some("Stream-TTL or Stream-Expires-At"),
        () if create.closed != record.closed => Some("Stream-Closed"),
        () if !fork => Some("Stream-Forked-From, Stream-Fork-Offset or Stream-Fork-Sub-Offset"),
        () => None,
    }
}

/// What a producer's claim amounts to.
enum Verdict {
    Next,
    Duplicate { highest: u64 },
    Stale { known: u64 },
    EpochStart,
    Gap { expected: u64 },
}

fn judge(claim: &Claim, known: Option<&Producer>) -> Verdict {
    match known {
        None if claim.seq == 0 => Verdict::Next,
        None => Verdict::Gap { expected: 0 },
        Some(known) if claim.epoch < known.epoch => Verdict::Stale { known: known.epoch },
        Some(known) if claim.epoch > known.epoch => match claim.seq {
            0 => Verdict::Next,
            _ => Verdict::EpochStart,
        },
        Some(known) if claim.seq <= known.seq => Verdict::Duplicate { highest: known.seq },
        Some(known) if claim.seq == known.seq + 1 => Verdict::Next,
        Some(known) => Verdict::Gap {
            expected: known.seq + 1,
        },
    }
}
