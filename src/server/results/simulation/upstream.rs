//! The server that is read, and the ways to it: answers are late, lost, cut and refused.

use std::collections::BTreeMap;
use std::task::{Poll, Waker};
use std::time::Duration;

use axum::http::response::Builder;
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use fastrand::Rng;

use super::model::{Message, Says, State};
use crate::system::simulated::{self, Ask, Network};

/// A stream as it is, or as it was until another one took its place.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// What the server tells it by. One that went back has the same as before.
    pub(super) id: u64,
    /// All its messages, those that are no longer retained included.
    pub(super) log: Vec<Message>,
    /// The first message that is retained.
    pub(super) start: usize,
    /// What stands for those before it.
    prelude: Vec<Message>,
    pub(super) closed: bool,
}

impl Stream {
    pub(super) fn state(&self, upto: usize) -> State {
        State::of(&self.log[..upto])
    }

    /// Retains nothing before a message, and says instead what that came to.
    pub(super) fn truncate(&mut self, start: usize) {
        let state = self.state(start);
        let mut prelude = Vec::new();
        for (kind, rows) in state.rows.into_iter().enumerate() {
            prelude.push(Message::of(Says::Begin(Some(kind))));
            for (key, row) in rows {
                prelude.push(Message::of(Says::Put(kind, key, row)));
            }
            prelude.push(Message::of(Says::End(Some(kind))));
        }
        self.start = start;
        self.prelude = prelude;
    }
}

/// What an answer brought: of which stream, and how many of its messages are there after each.
#[derive(Clone, Debug)]
pub(super) struct Brought {
    pub(super) stream: usize,
    pub(super) upto: Vec<usize>,
}

pub(super) struct Upstream {
    random: Rng,
    /// All that ever were.
    pub(super) streams: Vec<Stream>,
    /// The one that is there, if any.
    pub(super) now: Option<usize>,
    pub(super) brought: Vec<Brought>,
    /// Nothing gets through.
    pub(super) away: bool,
    /// Nothing goes wrong on the way.
    pub(super) calm: bool,
    ids: u64,
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    due: Duration,
    over: Duration,
    waker: Waker,
}

pub(super) fn offset(upto: usize) -> String {
    format!("{upto:016}")
}

impl Upstream {
    pub(super) fn new(random: Rng) -> Upstream {
        Upstream {
            random,
            streams: Vec::new(),
            now: None,
            brought: Vec::new(),
            away: false,
            calm: false,
            ids: 0,
            waiting: BTreeMap::new(),
        }
    }

    /// A new stream with messages of an old one.
    pub(super) fn make(&mut self, log: Vec<Message>) {
        self.ids += 1;
        let id = self.ids;
        self.put(Stream {
            id,
            log,
            start: 0,
            prelude: Vec::new(),
            closed: false,
        });
    }

    /// Puts a stream in the place of the one there is.
    pub(super) fn put(&mut self, stream: Stream) {
        self.streams.push(stream);
        self.now = Some(self.streams.len() - 1);
        self.wake();
    }

    pub(super) fn stream(&mut self) -> Option<&mut Stream> {
        self.now.map(|now| &mut self.streams[now])
    }

    /// The last stream with an id.
    pub(super) fn of(&self, id: Option<&str>, upto: usize) -> Option<usize> {
        let fits = |s: &Stream| Some(format!("s{}", s.id)).as_deref() == id && s.log.len() >= upto;
        self.streams.iter().rposition(fits)
    }

    /// Lets those who wait look again.
    pub(super) fn wake(&self) {
        self.waiting.values().for_each(|w| w.waker.wake_by_ref());
    }

    /// What the server answers by now; none if the request waits.
    fn answer(&mut self, ask: &Ask, over: bool) -> Option<(Builder, Bytes)> {
        let of = |status| Response::builder().status(status);
        let refusal = |status: StatusCode| Some((of(status), Bytes::new()));
        let Some(number) = self.now else {
            return refusal(StatusCode::NOT_FOUND);
        };
        let stream = &self.streams[number];
        let end = stream.log.len();
        let response = |upto: usize| {
            of(StatusCode::OK)
                .header("content-type", "application/json")
                .header("etag", format!("\"s{}:0:{upto}\"", stream.id))
                .header("stream-next-offset", offset(upto))
        };
        if ask.head {
            let response = match stream.closed {
                true => response(end).header("stream-closed", "true"),
                false => response(end),
            };
            return Some((response, Bytes::new()));
        }
        let asked = ask.offset.as_deref().unwrap_or("-1");
        let (from, begins) = match asked {
            "-1" => (stream.start, true),
            at => match at.parse::<usize>() {
                Ok(from) => (from, false),
                Err(_) => return refusal(StatusCode::BAD_REQUEST),
            },
        };
        if from < stream.start {
            return refusal(StatusCode::GONE);
        }
        if from > end {
            return refusal(StatusCode::BAD_REQUEST);
        }
        if ask.live && from == end && !stream.closed && !begins {
            if !over {
                return None;
            }
            let response = of(StatusCode::NO_CONTENT)
                .header("etag", format!("\"s{}:{end}:{end}\"", stream.id))
                .header("stream-next-offset", offset(end))
                .header("stream-up-to-date", "true")
                .header("stream-cursor", self.brought.len().to_string());
            self.brought.push(Brought {
                stream: number,
                upto: vec![end],
            });
            return Some((response, Bytes::new()));
        }
        let most = match self.random.bool() {
            true => end,
            false => from + self.random.usize(0..=6),
        };
        let to = most.min(end);
        let prelude: &[Message] = if begins { &stream.prelude } else { &[] };
        let messages = prelude.iter().chain(&stream.log[from..to]);
        let texts: Vec<String> = messages.map(Message::text).collect();
        let mut upto = vec![from; prelude.len() + 1];
        upto.extend(from + 1..=to);
        let mut response = response(to).header("stream-cursor", self.brought.len().to_string());
        if to == end {
            response = response.header("stream-up-to-date", "true");
            if stream.closed {
                response = response.header("stream-closed", "true");
            }
        }
        self.brought.push(Brought {
            stream: number,
            upto,
        });
        Some((response, Bytes::from(format!("[{}]", texts.join(",")))))
    }

    /// Sends an answer on its way, on which something may happen to it.
    fn send(&mut self, response: Builder, body: Bytes) -> Result<reqwest::Response, String> {
        let fate = if self.calm {
            100
        } else {
            self.random.u32(..100)
        };
        let body = match fate {
            0..4 => return Err("the connection broke before the answer".into()),
            4..10 => {
                let cut = body.slice(..self.random.usize(0..=body.len()));
                let broken = std::io::Error::other("the connection broke in the answer");
                let pieces = [Ok(cut), Err(broken)];
                reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
            }
            10..12 => reqwest::Body::from(body.slice(..body.len().saturating_sub(1))),
            _ => reqwest::Body::from(body),
        };
        let response = response.body(body).map_err(|error| error.to_string())?;
        Ok(response.into())
    }
}

impl Network for Upstream {
    fn poll(&mut self, ask: &Ask, waker: &Waker) -> Poll<Result<reqwest::Response, String>> {
        let now = simulated::elapsed();
        let random = &mut self.random;
        let waiting = self.waiting.entry(ask.number).or_insert_with(|| {
            let due = now + Duration::from_millis(random.u64(..30));
            let over = due + Duration::from_millis(random.u64(1000..20_000));
            simulated::wake_at(due, waker);
            simulated::wake_at(over, waker);
            let waker = waker.clone();
            Waiting { due, over, waker }
        });
        waiting.waker.clone_from(waker);
        let over = now >= waiting.over;
        if now < waiting.due {
            return Poll::Pending;
        }
        let answer = if self.away {
            Err("nothing gets through".to_owned())
        } else {
            match if self.calm {
                100
            } else {
                self.random.u32(..100)
            } {
                0..3 => Ok((Response::builder().status(503), Bytes::new())),
                3 => Ok((
                    Response::builder().status(429).header("retry-after", "2"),
                    Bytes::new(),
                )),
                _ => match self.answer(ask, over) {
                    Some(answer) => Ok(answer),
                    None => return Poll::Pending,
                },
            }
        };
        self.waiting.remove(&ask.number);
        Poll::Ready(answer.and_then(|(response, body)| self.send(response, body)))
    }
}
