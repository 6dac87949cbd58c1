//! Server-sent events: following a stream over one connection.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::{App, cursor, headers};
use crate::server::frame::{self, Control, Payload};
use crate::server::streams::chunk::Kind;
use crate::server::streams::frames::{Frame, Key};
use crate::server::streams::log::{Batch, Log, ReadError, Tail};
use crate::server::streams::offset;

/// An event holds about so much; many readers may each be in the middle of one.
const EVENT_BYTES: usize = 64 << 10;

/// Follows a log from a position on.
pub(crate) fn follow(app: Arc<App>, log: Arc<Log>, from: u64, client: Option<u64>) -> Response {
    let binary = log.kind() == Kind::Binary;
    let session = Session {
        end: Instant::now() + app.sse_lifetime,
        follow: log.follow(),
        stop: app.stop.clone(),
        cursor: client.map_or(0, |client| cursor::after(Some(client))),
        app,
        log,
        from,
        seen: None,
        done: false,
    };
    let events = stream::unfold(session, async |mut session| {
        let events = session.next().await?;
        Some((Ok::<_, Infallible>(events), session))
    });
    let mut response = Response::new(Body::from_stream(events));
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if binary {
        out.insert(headers::SSE_ENCODING, HeaderValue::from_static("base64"));
    }
    response
}

/// A connection. It makes an event when there is room for one, so a client that does not read
/// holds up nothing but itself.
struct Session {
    app: Arc<App>,
    log: Arc<Log>,
    follow: watch::Receiver<Tail>,
    stop: watch::Receiver<bool>,
    /// Where the next event starts.
    from: u64,
    /// The tail up to which all was sent that can be.
    seen: Option<Tail>,
    /// The least cursor to send.
    cursor: u64,
    end: Instant,
    done: bool,
}

impl Session {
    /// The next events, or the end of the connection.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let tail = *self.follow.borrow_and_update();
            if self.done || tail.is_gone() || *self.stop.borrow() || Instant::now() >= self.end {
                return None;
            }
            if self.seen != Some(tail) {
                let frame = match self.frame(tail).await {
                    Ok(frame) => frame,
                    Err(error) => {
                        tracing::error!(%error, "a connection ends, as a read failed");
                        return None;
                    }
                };
                self.from = frame.end;
                self.seen = frame.up_to_date.then_some(frame.tail);
                self.done = frame.closed;
                return Some(frame.events);
            }
            tokio::select! {
                // The log, which we hold, holds the other end.
                _ = self.follow.changed() => {}
                _ = self.stop.changed() => {}
                () = sleep_until(self.end) => {}
                () = sleep(self.app.keep_alive) => return Some(Bytes::from_static(frame::KEEP_ALIVE)),
            }
        }
    }

    /// The next range as events, from those who were here before if there were any.
    async fn frame(&self, tail: Tail) -> Result<Frame, ReadError> {
        let cursor = self.cursor.max(cursor::current());
        let key = Key {
            start: self.from,
            tail,
            cursor,
        };
        if let Some(frame) = self.log.frames().get(key) {
            return Ok(frame);
        }
        let mut most = EVENT_BYTES;
        let frame = loop {
            let batch = match self.log.read_recent(self.from, most) {
                Some(batch) => batch,
                None => self.log.read(self.from, most).await?,
            };
            let frame = encode(self.log.kind(), &batch, cursor);
            if frame.end > self.from || frame.up_to_date {
                break frame;
            }
            // The range ends within its first character; its end is in the next append.
            most = most.saturating_mul(2);
        };
        if self.log.followers() > 1 {
            self.log.frames().put(
                Key {
                    tail: frame.tail,
                    ..key
                },
                frame.clone(),
            );
        }
        Ok(frame)
    }
}

impl Drop for Session {
    /// Frames are for those who share them.
    fn drop(&mut self) {
        if self.log.followers() <= 2 {
            self.log.frames().clear();
        }
    }
}

fn encode(kind: Kind, batch: &Batch, cursor: u64) -> Frame {
    let body = batch.body();
    let closed = batch.is_final();
    let held = match kind {
        // The rest of a character may still come.
        Kind::Text if !closed => frame::unfinished(&body),
        _ => 0,
    };
    let data = &body[..body.len() - held];
    let payload = match kind {
        _ if batch.is_empty() || data.is_empty() => None,
        Kind::Json | Kind::Text => Some(Payload::Text(data)),
        Kind::Binary => Some(Payload::Binary(data)),
    };
    let end = batch.end - held as u64;
    let up_to_date = batch.reaches_tail();
    let control = Control {
        next: offset::to_text(end),
        cursor,
        up_to_date,
        closed,
    };
    Frame {
        events: frame::encode(payload, &control),
        end,
        tail: batch.tail,
        up_to_date,
        closed,
    }
}
