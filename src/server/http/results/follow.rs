//! Server-sent events: following results over one connection.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::server::frame::{self, Control};
use crate::server::http::{App, cursor};
use crate::server::results::{Feed, Follow, Phase, Snapshot};

/// Where following begins.
pub(super) enum Start {
    /// With all rows.
    Snapshot(Arc<Snapshot>),
    After(u64),
}

/// Follows results.
pub(super) fn follow(
    app: Arc<App>,
    feed: Arc<Feed>,
    start: Start,
    client: Option<u64>,
) -> Response {
    let (from, snapshot) = match start {
        Start::Snapshot(snapshot) => (snapshot.epoch, Some(snapshot)),
        Start::After(from) => (from, None),
    };
    let session = Session {
        end: Instant::now() + app.sse_lifetime,
        follow: feed.follow(),
        stop: app.stop.clone(),
        cursor: client.map_or(0, |client| cursor::after(Some(client))),
        app,
        feed,
        from,
        snapshot,
        greeted: false,
        done: false,
    };
    let events = stream::unfold(session, async |mut session| {
        let events = session.next().await?;
        Some((stream::iter(events.map(Ok::<_, Infallible>)), session))
    });
    let mut response = Response::new(Body::from_stream(events.flatten()));
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Pieces of one or two events; those in the middle are shared by all readers.
type Events = [Bytes; 4];

/// A connection. It makes an event when there is room for one, so a client that does not read
/// holds up nothing but itself. If what it would read next is forgotten by then, the connection
/// ends, and the next request is told so.
struct Session {
    app: Arc<App>,
    feed: Arc<Feed>,
    follow: Follow,
    stop: watch::Receiver<bool>,
    /// The step after which it goes on.
    from: u64,
    /// What is sent first.
    snapshot: Option<Arc<Snapshot>>,
    /// The least cursor to send.
    cursor: u64,
    /// Whether it was told that it is connected.
    greeted: bool,
    end: Instant,
    done: bool,
}

impl Session {
    /// The next events, or the end of the connection.
    async fn next(&mut self) -> Option<Events> {
        loop {
            if self.done || *self.stop.borrow() || Instant::now() >= self.end {
                return None;
            }
            self.follow.see();
            // Before looking at what there is: nothing comes after the end.
            let phase = self.feed.phase();
            if let Some(snapshot) = self.snapshot.take() {
                self.greeted = true;
                let up_to_date = self.feed.told().max(self.feed.tail()) <= snapshot.epoch;
                let control = self.control(snapshot.epoch, up_to_date, false);
                return Some(data(snapshot.body(), frame::control(&control, None)));
            }
            let from = self.from;
            match self.feed.shared(from) {
                Ok(Some(range)) => {
                    self.from = range.end;
                    if range.body.len() == 2 {
                        continue;
                    }
                    let up_to_date = range.complete && self.feed.tail() <= range.end;
                    let control = self.control(range.end, up_to_date, false);
                    self.greeted = true;
                    return Some(data(
                        range.body,
                        frame::control(&control, Some(range.arrived)),
                    ));
                }
                Ok(None) if phase == Phase::Dropped => {
                    self.done = true;
                    let control = self.control(from, true, true);
                    return Some(alone(frame::control(&control, None)));
                }
                Ok(None) if phase == Phase::Open => {}
                Ok(None) | Err(_) => return None,
            }
            if !self.greeted {
                self.greeted = true;
                let control = self.control(from, true, false);
                return Some(alone(frame::control(&control, None)));
            }
            tokio::select! {
                () = self.follow.changed() => {}
                _ = self.stop.changed() => {}
                () = sleep_until(self.end) => {}
                () = sleep(self.app.keep_alive) => {
                    return Some(alone(Bytes::from_static(frame::KEEP_ALIVE)));
                }
            }
        }
    }

    fn control(&self, epoch: u64, up_to_date: bool, closed: bool) -> Control {
        Control {
            next: self.feed.offset(epoch).to_string(),
            cursor: self.cursor.max(cursor::current()),
            up_to_date,
            closed,
        }
    }
}

/// A data event of a JSON text, which has no line breaks, and what follows it.
fn data(body: Bytes, control: Bytes) -> Events {
    let head = Bytes::from_static(b"event: data\ndata:");
    [head, body, Bytes::from_static(b"\n\n"), control]
}

fn alone(event: Bytes) -> Events {
    [event, Bytes::new(), Bytes::new(), Bytes::new()]
}
