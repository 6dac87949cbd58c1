//! One SSE connection: bytes become events, events become batches.

use std::collections::VecDeque;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::BytesMut;
use reqwest::Response;
use serde::Deserialize;

use super::super::batch::{Batch, Items, JsonItems};
use super::super::error::StreamError;
use super::super::http::{self, Http, names};
use super::super::offset::Offset;
use super::super::sse::{Event, Parser};

/// The data of a control event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Control {
    stream_next_offset: String,
    stream_cursor: Option<String>,
    #[serde(default)]
    up_to_date: bool,
    #[serde(default)]
    stream_closed: bool,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Events {
    response: Response,
    parser: Parser,
    /// Parsed and not yet looked at.
    events: VecDeque<Event>,
    held: Held,
    base64: bool,
    /// Where the last control event ended.
    offset: Offset,
    pub(super) opened: Instant,
    /// Whether a batch came.
    pub(super) heard: bool,
    /// Whether what follows the parsed events is not UTF-8.
    broken: bool,
}

/// The content since the last control event. Nobody may see it before the next one.
#[derive(Debug)]
enum Held {
    Json(JsonItems),
    Bytes(BytesMut),
}

impl Held {
    fn new(json: bool) -> Held {
        match json {
            true => Held::Json(JsonItems::default()),
            false => Held::Bytes(BytesMut::new()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Held::Json(items) => items.text_len(),
            Held::Bytes(bytes) => bytes.len(),
        }
    }

    fn take(&mut self) -> Items {
        match self {
            Held::Json(items) => Items::Json(std::mem::take(items)),
            Held::Bytes(bytes) => Items::Bytes(bytes.split().freeze()),
        }
    }
}

impl Events {
    pub(super) fn new(response: Response, json: bool, offset: Offset) -> Events {
        let encoding = http::text(response.headers(), names::SSE_ENCODING);
        Events {
            base64: encoding.is_some_and(|e| e.trim().eq_ignore_ascii_case("base64")),
            response,
            parser: Parser::default(),
            events: VecDeque::new(),
            held: Held::new(json),
            offset,
            opened: Instant::now(),
            heard: false,
            broken: false,
        }
    }

    /// The next batch; `None` if the server has ended the connection. Content without its control event
    /// is dropped then: it comes again.
    pub(super) async fn next(&mut self, http: &Http) -> Result<Option<Batch>, StreamError> {
        let mut parsed = Vec::new();
        loop {
            while let Some(event) = self.events.pop_front() {
                if let Some(batch) = self.take(event).map_err(|detail| StreamError::Parse {
                    url: http.name(),
                    offset: self.offset.clone(),
                    detail,
                })? {
                    return Ok(Some(batch));
                }
            }
            if self.broken {
                return Err(StreamError::Parse {
                    url: http.name(),
                    offset: self.offset.clone(),
                    detail: "an event is not UTF-8".into(),
                });
            }
            if self.held.len() + self.parser.held() > http.max_response_bytes {
                return Err(StreamError::TooLarge {
                    url: http.name(),
                    limit: http.max_response_bytes,
                });
            }
            let piece = http
                .next_piece(&mut self.response, http.live_timeout)
                .await?;
            let Some(piece) = piece else {
                return Ok(None);
            };
            self.broken = self.parser.push(&piece, &mut parsed).is_err();
            self.events.extend(parsed.drain(..));
        }
    }

    /// Takes an event. Errors say what is wrong with it.
    fn take(&mut self, event: Event) -> Result<Option<Batch>, String> {
        match event.name.as_str() {
            "data" => self.hold(event.data).map(|()| None),
            "control" => {
                let control: Control = serde_json::from_str(&event.data)
                    .map_err(|error| format!("a control event: {error}"))?;
                self.offset = Offset::from(control.stream_next_offset);
                self.heard = true;
                Ok(Some(Batch {
                    items: self.held.take(),
                    offset: self.offset.clone(),
                    cursor: control.stream_cursor,
                    up_to_date: control.up_to_date || control.stream_closed,
                    closed: control.stream_closed,
                }))
            }
            // Later versions may bring others.
            _ => Ok(None),
        }
    }

    fn hold(&mut self, mut data: String) -> Result<(), String> {
        match &mut self.held {
            Held::Json(items) => {
                let more = JsonItems::parse(data)
                    .map_err(|error| format!("a data event is not a JSON array: {error}"))?;
                items.append(more);
            }
            Held::Bytes(bytes) if self.base64 => {
                data.retain(|c| c != '\n' && c != '\r');
                let decoded = BASE64_STANDARD
                    .decode(data)
                    .map_err(|error| format!("a data event is not base64: {error}"))?;
                bytes.extend_from_slice(&decoded);
            }
            Held::Bytes(bytes) => bytes.extend_from_slice(data.as_bytes()),
        }
        Ok(())
    }
}
