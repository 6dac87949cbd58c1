//! GET of results as a stream: snapshots, what followed, and waiting for more (long-poll).

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::follow::{self, Start};
use crate::server::http::problem::Problem;
use crate::server::http::read::{Ask, From, Live, ask, matches};
use crate::server::http::{App, cursor, headers, respond};
use crate::server::results::{Feed, Forgotten, Offset, Phase, Snapshot};

/// A result is as fresh as its source; who asks is not to be given what others got before.
const CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Reads results, of which there is at least one.
pub(super) async fn read(
    app: &Arc<App>,
    names: &[String],
    parts: &Parts,
) -> Result<Response, Problem> {
    let ask = ask(parts.uri.query().unwrap_or_default(), Offset::parse)?;
    if ask.from == From::Start {
        let (feed, snapshot) = begin(app, names).await?;
        return match ask.live {
            Some(Live::Sse) => {
                let start = Start::Snapshot(snapshot);
                Ok(follow::follow(app.clone(), feed, start, ask.cursor))
            }
            _ => Ok(all(&feed, &snapshot, &ask, &parts.headers)),
        };
    }
    let feed = app.registry().feed(names, app.long_poll).await?;
    let from = match ask.from {
        From::At(offset) => check(&feed, offset)?,
        From::Start | From::Now => feed.told(),
    };
    match ask.live {
        Some(Live::Sse) => Ok(follow::follow(
            app.clone(),
            feed,
            Start::After(from),
            ask.cursor,
        )),
        Some(Live::LongPoll) => long_poll(app, names, feed, from, &ask).await,
        None => catch_up(app, &feed, from, &ask, &parts.headers),
    }
}

/// Results with all their rows. Ones that are just replaced are looked for again.
async fn begin(app: &Arc<App>, names: &[String]) -> Result<(Arc<Feed>, Arc<Snapshot>), Problem> {
    loop {
        let feed = app.registry().feed(names, app.long_poll).await?;
        let snapshot = feed.snapshot().await;
        match (snapshot, feed.phase()) {
            // Of a query that was dropped there are no rows.
            (_, Phase::Dropped) => {
                let detail = "the query was dropped";
                return Err(Problem::new(StatusCode::NOT_FOUND, "dropped", detail));
            }
            (Ok(snapshot), _) => return Ok((feed, snapshot)),
            (Err(_), Phase::Replaced) => {}
            (Err(error), Phase::Open) => return Err(Problem::busy(error.to_string())),
        }
    }
}

/// Where the result is.
pub(super) async fn head(app: &Arc<App>, names: &[String]) -> Result<Response, Problem> {
    let feed = app.registry().feed(names, app.long_poll).await?;
    let mut response = respond(StatusCode::OK);
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    describe(out, &feed, feed.told(), false);
    if feed.phase() == Phase::Dropped {
        out.insert(headers::CLOSED, headers::TRUE);
    }
    out.insert(CACHE_CONTROL, NO_STORE);
    Ok(response)
}

/// The step of an offset, if what followed it is still there.
fn check(feed: &Feed, offset: Offset) -> Result<u64, Problem> {
    if feed.has_forgotten(offset) {
        return Err(gone());
    }
    if !feed.has_been(offset.epoch) {
        let detail = format!("the offset {offset} is behind the tail");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "beyond-tail", detail));
    }
    Ok(offset.epoch)
}

fn gone() -> Problem {
    Problem::new(
        StatusCode::GONE,
        "gone",
        "what followed the offset is no longer kept, or the result is another one by now",
    )
    .hint("read from offset -1, and put the rows of the snapshot in the place of all you have")
}

impl std::convert::From<Forgotten> for Problem {
    fn from(_: Forgotten) -> Problem {
        gone()
    }
}

/// Says where the content ends.
fn describe(out: &mut HeaderMap, feed: &Feed, epoch: u64, up_to_date: bool) {
    // It consists of digits and a line.
    if let Ok(offset) = HeaderValue::from_str(&feed.offset(epoch).to_string()) {
        out.insert(headers::NEXT_OFFSET, offset);
    }
    if up_to_date {
        out.insert(headers::UP_TO_DATE, headers::TRUE);
    }
}

fn content(body: Bytes, feed: &Feed, epoch: u64, up_to_date: bool) -> Response {
    let mut response = Response::new(Body::from(body));
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    describe(out, feed, epoch, up_to_date);
    response
}

/// The entity tag of what is between two places; `-` is before the snapshot.
fn tag(feed: &Feed, from: Option<u64>, end: u64, closed: bool) -> HeaderValue {
    let from = from.map_or("-".to_owned(), |from| from.to_string());
    let closed = if closed { ":c" } else { "" };
    let tag = format!("\"{}:{from}:{end}{closed}\"", feed.tag());
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Adds the tag, or says that the client has it.
fn tagged(mut response: Response, tag: HeaderValue, request: &HeaderMap) -> Response {
    let mut known = request.get_all(IF_NONE_MATCH).iter();
    if known.any(|header| matches(header, &tag)) {
        response = respond(StatusCode::NOT_MODIFIED);
    }
    response.headers_mut().insert(ETAG, tag);
    response.headers_mut().insert(CACHE_CONTROL, CACHE);
    response
}

/// All rows.
fn all(feed: &Feed, snapshot: &Arc<Snapshot>, ask: &Ask<Offset>, request: &HeaderMap) -> Response {
    let up_to_date = feed.told().max(feed.tail()) <= snapshot.epoch;
    let mut response = content(snapshot.body(), feed, snapshot.epoch, up_to_date);
    if ask.live.is_some() {
        let out = response.headers_mut();
        out.insert(headers::CURSOR, headers::number(cursor::after(ask.cursor)));
        out.insert(CACHE_CONTROL, NO_STORE);
        return response;
    }
    let tag = tag(feed, None, snapshot.epoch, false);
    tagged(response, tag, request)
}

fn catch_up(
    app: &App,
    feed: &Feed,
    from: u64,
    ask: &Ask<Offset>,
    request: &HeaderMap,
) -> Result<Response, Problem> {
    if ask.from == From::Now {
        let mut response = content(Bytes::from_static(b"[]"), feed, from, true);
        if feed.phase() == Phase::Dropped {
            response
                .headers_mut()
                .insert(headers::CLOSED, headers::TRUE);
        }
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
        return Ok(response);
    }
    // Before looking at what there is: nothing comes after the end.
    let phase = feed.phase();
    let range = feed.read(from, app.limits.chunk)?;
    let closed = range.complete && phase == Phase::Dropped;
    let tag = tag(feed, Some(from), range.end, closed);
    let mut response = content(range.body, feed, range.end, range.complete);
    if closed {
        response
            .headers_mut()
            .insert(headers::CLOSED, headers::TRUE);
    }
    Ok(tagged(response, tag, request))
}

async fn long_poll(
    app: &App,
    names: &[String],
    mut feed: Arc<Feed>,
    from: u64,
    ask: &Ask<Offset>,
) -> Result<Response, Problem> {
    let end = Instant::now() + app.long_poll;
    let mut stop = app.stop.clone();
    let mut follow = feed.follow();
    let cursor = headers::number(cursor::after(ask.cursor));
    loop {
        follow.see();
        let phase = feed.phase();
        if phase == Phase::Replaced {
            // The new one is the same result where only its source was opened again.
            let offset = feed.offset(from);
            feed = app.registry().feed(names, app.long_poll).await?;
            check(&feed, offset)?;
            follow = feed.follow();
            continue;
        }
        let range = feed.read(from, app.limits.chunk)?;
        if range.body.len() > 2 {
            let mut response = content(range.body, &feed, range.end, range.complete);
            let out = response.headers_mut();
            if range.complete && phase == Phase::Dropped {
                out.insert(headers::CLOSED, headers::TRUE);
            }
            out.insert(headers::CURSOR, cursor);
            out.insert(CACHE_CONTROL, NO_STORE);
            return Ok(response);
        }
        let waited = match phase {
            Phase::Dropped => Err(()),
            _ => tokio::select! {
                news = timeout_at(end, follow.changed()) => news.map_err(drop),
                _ = stop.wait_for(|stop| *stop) => Err(()),
            },
        };
        if waited.is_err() {
            let mut response = respond(StatusCode::NO_CONTENT);
            let out = response.headers_mut();
            describe(out, &feed, range.end, true);
            out.insert(CACHE_CONTROL, NO_STORE);
            if phase == Phase::Dropped {
                out.insert(headers::CLOSED, headers::TRUE);
            } else {
                out.insert(headers::CURSOR, cursor);
            }
            return Ok(response);
        }
    }
}
