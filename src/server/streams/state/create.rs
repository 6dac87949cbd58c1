//! Creating streams, on their own and as forks.

use std::collections::HashMap;

use super::{State, Stream};
use crate::server::streams::chunk::essence;
use crate::server::streams::command::{Create, Created, ForkOf, Refusal};
use crate::server::streams::expiry::Expiry;
use crate::server::streams::log::{Phase, Tail};
use crate::server::streams::record::{Fork, Record};

/// Readers follow the chain of forks at each read.
const FORK_DEPTH: usize = 64;
const DEFAULT_TYPE: &str = "application/octet-stream";

impl State {
    pub(crate) fn create(&mut self, create: Create) -> Result<Created, Refusal> {
        if let Some(&id) = self.paths.get(&create.path)
            && let stream = &self.streams[&id]
            && stream.log.clock().is_over()
            && !stream.record.kept
        {
            self.end(id);
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
        stream.check().map_err(|refusal| match refusal {
            Refusal::Kept => Refusal::SourceKept,
            _ => Refusal::SourceMissing,
        })?;
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
