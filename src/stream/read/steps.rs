//! The steps of a reader: which request comes next, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::ETAG;
use reqwest::{Method, StatusCode};
use tokio::sync::watch;

use super::super::batch::{Batch, Items, JsonItems, is_json};
use super::super::error::StreamError;
use super::super::handle::{DurableStream, next_offset};
use super::super::http::{self, Answer, Request, names};
use super::super::identity::Origin;
use super::super::offset::Offset;
use super::super::retry::Backoff;
use super::events::Events;
use super::{Live, ReadOptions, Trouble};
use crate::system;

/// An SSE connection that lasts less is of no use, as is one over which nothing comes.
const SHORT: Duration = Duration::from_secs(1);

/// So many of those in a row, and [`Live::Auto`] turns to long-poll.
const MAX_USELESS: u32 = 3;

/// A long-poll request that ends sooner with nothing was not held by the server: the next one is
/// not sent at once.
const HASTY: Duration = Duration::from_millis(50);

#[derive(Debug)]
enum Phase {
    CatchUp,
    LongPoll,
    Sse(Option<Box<Events>>),
    Done,
}

#[derive(Debug)]
pub(super) struct Steps {
    stream: DurableStream,
    live: Live,
    phase: Phase,
    offset: Offset,
    cursor: Option<String>,
    /// Whether the stream is one of JSON; the first answer says so.
    json: bool,
    backoff: Backoff,
    /// To wait before the next request.
    pause: Duration,
    useless_connections: u32,
    trouble: watch::Sender<Option<Trouble>>,
    origin: watch::Sender<Origin>,
}

impl Steps {
    pub(super) fn new(stream: DurableStream, options: ReadOptions) -> Steps {
        Steps {
            backoff: stream.http.retry.backoff(),
            stream,
            live: options.live,
            phase: Phase::CatchUp,
            offset: options.offset,
            cursor: None,
            json: false,
            pause: Duration::ZERO,
            useless_connections: 0,
            trouble: watch::Sender::new(None),
            origin: watch::Sender::default(),
        }
    }

    pub(super) fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.trouble.subscribe()
    }

    pub(super) fn origin(&self) -> watch::Receiver<Origin> {
        self.origin.subscribe()
    }

    /// Notes that the server answers.
    fn hear(&mut self) {
        if self.trouble.borrow().is_some() {
            self.trouble.send_replace(None);
        }
    }

    /// The next batch; `None` when there will be none.
    pub(super) async fn next(&mut self) -> Option<Result<Batch, StreamError>> {
        loop {
            if !self.pause.is_zero() {
                system::sleep(self.pause).await;
                self.pause = Duration::ZERO;
            }
            let step = match &mut self.phase {
                Phase::Done => return None,
                Phase::CatchUp => self.request(None).await,
                Phase::LongPoll => self.request(Some("long-poll")).await,
                Phase::Sse(None) => self.connect().await,
                Phase::Sse(Some(events)) => match events.next(&self.stream.http).await {
                    // Servers end connections so that others can share what they fetch.
                    Ok(None) if events.heard && events.opened.elapsed() >= SHORT => {
                        self.phase = Phase::Sse(None);
                        self.useless_connections = 0;
                        Ok(None)
                    }
                    Ok(None) => Err(StreamError::Transport {
                        url: self.stream.url(),
                        detail: "the event stream ended early".into(),
                        source: None,
                    }),
                    other => other,
                },
            };
            match step {
                Ok(None) => {}
                Ok(Some(batch)) => {
                    self.accept(&batch);
                    return Some(Ok(batch));
                }
                Err(error) => {
                    if let Some(error) = self.fail(error) {
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    /// Notes where a batch ends, and what is to follow.
    fn accept(&mut self, batch: &Batch) {
        self.hear();
        if batch.offset != self.offset || batch.up_to_date || batch.closed {
            self.backoff = self.stream.http.retry.backoff();
        } else {
            // A server that has more but gives nothing is not to be asked all the time.
            let longest = self.stream.http.retry.max_delay;
            self.pause = self.backoff.next_delay().unwrap_or(longest);
        }
        self.offset = batch.offset.clone();
        if batch.cursor.is_some() {
            self.cursor.clone_from(&batch.cursor);
        }
        if batch.closed {
            self.phase = Phase::Done;
        } else if batch.up_to_date && matches!(self.phase, Phase::CatchUp) {
            self.phase = match self.live {
                Live::Off => Phase::Done,
                Live::LongPoll => Phase::LongPoll,
                Live::Sse | Live::Auto => Phase::Sse(None),
            };
        }
    }

    /// Takes a failure. Gives the error that the caller is to see, if it is to see one.
    fn fail(&mut self, error: StreamError) -> Option<StreamError> {
        self.trouble
            .send_modify(|trouble| Trouble::go_on(trouble, &error));
        if let Phase::Sse(connection) = &mut self.phase {
            // What was given out counts; the rest comes again over the next connection.
            match connection.take() {
                Some(events) if events.heard && events.opened.elapsed() >= SHORT => {
                    self.useless_connections = 0;
                }
                None if !is_held_back(&error) => {}
                _ => self.useless_connections += 1,
            }
            if self.live == Live::Auto && self.useless_connections >= MAX_USELESS {
                self.phase = Phase::LongPoll;
            }
        }
        if matches!(error, StreamError::Parse { .. }) {
            match self.backoff.next_delay() {
                Some(pause) => self.pause = pause,
                None => self.phase = Phase::Done,
            }
            return Some(error);
        }
        match self.backoff.delay_after(error) {
            Ok(pause) => {
                self.pause = pause;
                None
            }
            Err(error) => {
                self.phase = Phase::Done;
                Some(error)
            }
        }
    }

    /// One catch-up or long-poll request.
    async fn request(&mut self, live: Option<&'static str>) -> Result<Option<Batch>, StreamError> {
        let request = self.get(live);
        let sent = system::now();
        let answer = self.stream.http.send_once(&request).await?;
        let took = system::now() - sent;
        if let Some(content_type) = http::content_type(&answer.headers) {
            self.json = is_json(content_type);
            self.stream.learn(content_type);
        }
        // Not all servers tell it where they have nothing to send.
        if answer.status != StatusCode::NO_CONTENT || answer.headers.contains_key(ETAG) {
            self.origin
                .send_modify(|origin| origin.hear(&answer.headers));
        }
        let batch = self.batch(answer)?;
        if live.is_some() && batch.items.is_empty() && took < HASTY {
            self.pause = self.stream.http.retry.initial_delay;
        }
        Ok(Some(batch))
    }

    fn get(&self, live: Option<&'static str>) -> Request {
        let mut request = self.stream.http.request(Method::GET);
        request.query.push(("offset", self.offset.as_str().into()));
        if let Some(live) = live {
            request.query.push(("live", live.into()));
            request.timeout = self.stream.http.live_timeout;
            if let Some(cursor) = &self.cursor {
                request.query.push(("cursor", cursor.clone()));
            }
        }
        request
    }

    fn batch(&self, answer: Answer) -> Result<Batch, StreamError> {
        let timed_out = answer.status == StatusCode::NO_CONTENT;
        let closed = http::is_true(&answer.headers, names::CLOSED);
        let offset = match next_offset(&answer) {
            Some(offset) => offset,
            None if timed_out => self.offset.clone(),
            None => return Err(self.stream.no_offset(self.offset.clone())),
        };
        Ok(Batch {
            items: self.items(answer.body)?,
            offset,
            cursor: http::text(&answer.headers, names::CURSOR).map(str::to_owned),
            up_to_date: timed_out || closed || http::is_true(&answer.headers, names::UP_TO_DATE),
            closed,
        })
    }

    fn items(&self, body: Bytes) -> Result<Items, StreamError> {
        if !self.json {
            return Ok(Items::Bytes(body));
        }
        if body.is_empty() {
            return Ok(Items::Json(JsonItems::default()));
        }
        let parsed = String::from_utf8(body.into())
            .map_err(|error| error.to_string())
            .and_then(|text| JsonItems::parse(text).map_err(|error| error.to_string()));
        parsed.map(Items::Json).map_err(|error| StreamError::Parse {
            url: self.stream.url(),
            offset: self.offset.clone(),
            detail: format!("the body is not a JSON array: {error}"),
        })
    }

    async fn connect(&mut self) -> Result<Option<Batch>, StreamError> {
        let request = self.get(Some("sse"));
        let opened = self.stream.http.open(&request).await;
        match opened {
            Ok(response) => {
                let content_type = http::content_type(response.headers()).unwrap_or_default();
                if content_type.trim_start().starts_with("text/event-stream") {
                    self.origin.send_modify(|origin| {
                        origin.hear(response.headers());
                        origin.connections += 1;
                    });
                    let events = Events::new(response, self.json, self.offset.clone());
                    self.phase = Phase::Sse(Some(Box::new(events)));
                    self.hear();
                    return Ok(None);
                }
                if self.live == Live::Auto {
                    self.phase = Phase::LongPoll;
                    return Ok(None);
                }
                Err(StreamError::Parse {
                    url: self.stream.url(),
                    offset: self.offset.clone(),
                    detail: format!("expected `text/event-stream`, got `{content_type}`"),
                })
            }
            // A server without SSE. If something else is wrong, long-poll finds it too.
            Err(error)
                if self.live == Live::Auto
                    && matches!(error.status(), Some(400 | 405 | 406 | 415 | 501)) =>
            {
                self.phase = Phase::LongPoll;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a connection did not come about as it is behind a proxy that waits for its end.
fn is_held_back(error: &StreamError) -> bool {
    matches!(error, StreamError::Timeout { .. }) || matches!(error.status(), Some(502 | 504))
}
