//! Random histories of requests, against a model that copies where the server shares.
//!
//! `TAILWATER_STREAM_CASES` says how many histories.

use std::collections::BTreeMap;

use fastrand::Rng;
use tailwater::server::{Limits, Server};

use super::server_help::{Answer, Dir, Streams};

const NAMES: [&str; 6] = ["a", "b", "c/d", "c/e", "f", "g"];
const TYPES: [&str; 3] = ["application/json", "text/plain", "application/octet-stream"];

/// A stream as the model has it: its messages, or its bytes, one by one.
#[derive(Clone, Debug, Default)]
struct Stream {
    kind: usize,
    items: Vec<String>,
    closed: bool,
    closed_by: Option<(usize, u64, u64)>,
    seq: Option<String>,
    /// Epoch and number of each producer.
    producers: BTreeMap<usize, (u64, u64)>,
    /// The fork's source, and where it was forked.
    fork: Option<(usize, usize, usize)>,
    source: &'static str,
    kept: bool,
}

#[derive(Default)]
struct Model {
    streams: BTreeMap<usize, Stream>,
    names: BTreeMap<&'static str, usize>,
    next: usize,
}

impl Model {
    fn get(&self, name: &str) -> Result<(usize, &Stream), u16> {
        let id = *self.names.get(name).ok_or(404u16)?;
        match &self.streams[&id] {
            stream if stream.kept => Err(410),
            stream => Ok((id, stream)),
        }
    }

    fn forks(&self, id: usize) -> usize {
        self.streams
            .values()
            .filter(|stream| stream.fork.is_some_and(|fork| fork.0 == id))
            .count()
    }

    fn create(&mut self, name: &'static str, new: Stream) -> u16 {
        if let Some(id) = self.names.get(name) {
            let old = &self.streams[id];
            return match () {
                () if old.kept => 409,
                () if (old.kind, old.closed) != (new.kind, new.closed) => 409,
                () if old.fork.map(|(_, at, sub)| (at, sub))
                    != new.fork.map(|(_, at, sub)| (at, sub)) =>
                {
                    409
                }
                () if old.source != new.source => 409,
                () => 200,
            };
        }
        let mut new = new;
        if let Some((_, at, sub)) = new.fork {
            let source = match self.get(new.source) {
                Ok((id, source)) => {
                    new.fork = Some((id, at, sub));
                    source
                }
                Err(404) => return 404,
                Err(_) => return 409,
            };
            if source.kind != new.kind {
                return 409;
            }
            if at + sub > source.items.len() {
                return 400;
            }
            let own = std::mem::take(&mut new.items);
            new.items = source.items[..at + sub].to_vec();
            new.items.extend(own);
        }
        self.next += 1;
        self.names.insert(name, self.next);
        self.streams.insert(self.next, new);
        201
    }

    fn delete(&mut self, name: &'static str) -> u16 {
        let id = match self.get(name) {
            Ok((id, _)) => id,
            Err(status) => return status,
        };
        if self.forks(id) > 0 {
            self.streams.get_mut(&id).unwrap().kept = true;
            return 204;
        }
        let mut next = Some(id);
        while let Some(id) = next.take() {
            let stream = self.streams.remove(&id).unwrap();
            self.names.retain(|_, known| *known != id);
            if let Some((source, ..)) = stream.fork
                && self.streams.get(&source).is_some_and(|source| source.kept)
                && self.forks(source) == 0
            {
                next = Some(source);
            }
        }
        204
    }

    fn append(
        &mut self,
        name: &str,
        items: &[String],
        close: bool,
        seq: Option<&str>,
        claim: Option<(usize, u64, u64)>,
    ) -> u16 {
        let id = match self.get(name) {
            Ok((id, _)) => id,
            Err(status) => return status,
        };
        let stream = self.streams.get_mut(&id).unwrap();
        if items.is_empty() && !close {
            return 400;
        }
        if let Some((producer, epoch, number)) = claim {
            let known = stream.producers.get(&producer).copied();
            let (stale, duplicate) = match known {
                Some((known, last)) => (epoch < known, epoch == known && number <= last),
                None => (false, false),
            };
            let expected = match known {
                Some((known, last)) if known == epoch => last + 1,
                _ => 0,
            };
            match () {
                () if stale => return 403,
                () if duplicate && (!stream.closed || !close || stream.closed_by == claim) => {
                    return 204;
                }
                () if stream.closed => return 409,
                () if number == expected => {}
                () if known.is_some_and(|(known, _)| epoch > known) => return 400,
                () => return 409,
            }
        } else if stream.closed {
            return if items.is_empty() { 204 } else { 409 };
        }
        if let Some(seq) = seq {
            if stream.seq.as_deref().is_some_and(|last| seq <= last) {
                return 409;
            }
            stream.seq = Some(seq.to_owned());
        }
        if let Some((producer, epoch, number)) = claim {
            stream.producers.insert(producer, (epoch, number));
        }
        stream.items.extend_from_slice(items);
        if close {
            stream.closed = true;
            stream.closed_by = claim;
        }
        if claim.is_some() && !items.is_empty() {
            200
        } else {
            204
        }
    }
}

/// Random items of a kind, and the body that stands for them.
fn items(rng: &mut Rng, kind: usize) -> (Vec<String>, String) {
    let count = rng.usize(0..5);
    let item = |rng: &mut Rng| match kind {
        0 => ["1", "\"a,]\\\"\"", "[2,{\"x\":[]}]", "{\"k\":\"v\"}"][rng.usize(0..4)].to_owned(),
        _ => rng.alphanumeric().to_string(),
    };
    let items: Vec<_> = (0..count).map(|_| item(rng)).collect();
    let body = match (kind, items.as_slice()) {
        (_, []) => String::new(),
        (0, [one]) if !one.starts_with('[') && rng.bool() => one.clone(),
        (0, many) => format!("[{}]", many.join(", ")),
        (_, many) => many.concat(),
    };
    (items, body)
}

fn offset(position: usize) -> String {
    format!("{:016}_{position:016}", 0)
}

async fn step(rng: &mut Rng, model: &mut Model, streams: &Streams) -> (String, u16, Answer) {
    let name = NAMES[rng.usize(0..NAMES.len())];
    let kind = model.get(name).map_or(0, |(_, stream)| stream.kind);
    match rng.usize(0..10) {
        0 | 1 => {
            let kind = if rng.u8(0..3) == 0 {
                rng.usize(0..3)
            } else {
                0
            };
            let (items, body) = items(rng, kind);
            let closed = rng.u8(0..8) == 0;
            let mut headers = vec![("content-type", TYPES[kind].to_owned())];
            let mut new = Stream {
                kind,
                items,
                closed,
                ..Stream::default()
            };
            if closed {
                headers.push(("stream-closed", "true".to_owned()));
            }
            if rng.bool() {
                new.source = NAMES[rng.usize(0..NAMES.len())];
                let length = model
                    .get(new.source)
                    .map_or(3, |(_, source)| source.items.len());
                let (at, sub) = (rng.usize(0..=length), rng.usize(0..3));
                new.fork = Some((0, at, sub));
                headers.push(("stream-forked-from", format!("/v1/stream/{}", new.source)));
                headers.push(("stream-fork-offset", offset(at)));
                headers.push(("stream-fork-sub-offset", sub.to_string()));
            }
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let answer = streams.ask("PUT", name, &headers, body).await;
            (
                format!("create {name} {new:?}"),
                model.create(name, new),
                answer,
            )
        }
        2 if rng.bool() => {
            let answer = streams.ask("DELETE", name, &[], "").await;
            (format!("delete {name}"), model.delete(name), answer)
        }
        _ => {
            let (items, body) = items(rng, kind);
            let close = rng.u8(0..12) == 0;
            let seq = (rng.u8(0..6) == 0).then(|| rng.u32(0..100).to_string());
            let claim = rng.bool().then(|| {
                let producer = rng.usize(0..2);
                let known = model
                    .get(name)
                    .ok()
                    .and_then(|(_, s)| s.producers.get(&producer).copied());
                let (epoch, last) = known.unwrap_or((0, 0));
                match rng.u8(0..8) {
                    0 => (producer, epoch + 1, rng.u64(0..2)),
                    1 => (producer, epoch.saturating_sub(1), last),
                    2 => (producer, epoch, last + 2),
                    3 => (producer, epoch, last),
                    _ => (producer, epoch, known.map_or(0, |_| last + 1)),
                }
            });
            let mut headers = vec![("content-type", TYPES[kind].to_owned())];
            headers.extend(close.then(|| ("stream-closed", "true".to_owned())));
            headers.extend(seq.iter().map(|seq| ("stream-seq", seq.clone())));
            if let Some((producer, epoch, number)) = claim {
                headers.push(("producer-id", producer.to_string()));
                headers.push(("producer-epoch", epoch.to_string()));
                headers.push(("producer-seq", number.to_string()));
            }
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let answer = streams.ask("POST", name, &headers, body).await;
            let status = model.append(name, &items, close, seq.as_deref(), claim);
            (
                format!("append {name} {items:?} {headers:?}"),
                status,
                answer,
            )
        }
    }
}

/// All streams, from a random position on.
async fn compare(rng: &mut Rng, model: &Model, streams: &Streams) {
    for name in NAMES {
        let head = streams.ask("HEAD", name, &[], "").await;
        let stream = match model.get(name) {
            Ok((_, stream)) => stream,
            Err(status) => {
                assert_eq!(head.status, status, "{name}");
                continue;
            }
        };
        assert_eq!(head.next(), offset(stream.items.len()), "{name}");
        assert_eq!(head.has("stream-closed"), stream.closed, "{name}");
        let glue = if stream.kind == 0 { "," } else { "" };
        assert_eq!(
            streams.content(name).await,
            stream.items.join(glue),
            "{name}"
        );
        let from = rng.usize(0..=stream.items.len());
        let answer = streams
            .get(&format!("{name}?offset={}", offset(from)))
            .await;
        let end: usize = answer.next()[17..].parse().unwrap();
        let part = stream.items[from..end].join(glue);
        let part = if stream.kind == 0 {
            format!("[{part}]")
        } else {
            part
        };
        assert_eq!(answer.body, part, "{name} from {from}");
        assert_eq!(answer.has("stream-up-to-date"), end == stream.items.len());
        assert_eq!(
            answer.has("stream-closed"),
            end == stream.items.len() && stream.closed
        );
    }
}

async fn history(seed: u64, dir: Option<&Dir>) {
    let mut rng = Rng::with_seed(seed);
    let mut limits = Limits::default();
    limits.chunk = rng.usize(1..40);
    limits.recent = [0, 500, 1 << 20][rng.usize(0..3)];
    let start = async || {
        let builder = Server::builder().limits(limits.clone());
        let builder = dir
            .iter()
            .fold(builder, |builder, dir| builder.data(dir.path()));
        let server = builder.start().await.unwrap();
        let streams = Streams::of(&server);
        (server, streams)
    };
    let (mut server, mut streams) = start().await;
    let mut model = Model::default();
    for number in 0..150 {
        let (what, expected, answer) = step(&mut rng, &mut model, &streams).await;
        assert_eq!(
            answer.status, expected,
            "seed {seed}, step {number}: {what}: {answer:?}"
        );
        if rng.u8(0..20) == 0 {
            compare(&mut rng, &model, &streams).await;
        }
        if dir.is_some() && rng.u8(0..50) == 0 {
            server.shutdown().await;
            (server, streams) = start().await;
        }
    }
    compare(&mut rng, &model, &streams).await;
}

fn cases() -> u64 {
    std::env::var("TAILWATER_STREAM_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(20)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_in_memory() {
    for seed in 0..cases() {
        history(seed, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_on_disk() {
    for seed in 0..cases() {
        history(1_000_000 + seed, Some(&Dir::new())).await;
    }
}
