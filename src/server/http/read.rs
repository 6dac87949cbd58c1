//! GET: catching up with a stream, and waiting at its tail (long-poll).

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use tokio::time::timeout;

use super::{App, cursor, headers, problem, problem::Problem, respond, sse};
use crate::server::streams::chunk::Kind;
use crate::server::streams::command::Refusal;
use crate::server::streams::log::{Batch, Log, Tail};
use crate::server::streams::offset;
use crate::server::streams::path::{StreamPath, percent_decode};

/// Where to read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From<T> {
    Start,
    At(T),
    /// The tail.
    Now,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Live {
    LongPoll,
    Sse,
}

/// What the query of a URL asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask<T> {
    pub(crate) from: From<T>,
    pub(crate) live: Option<Live>,
    pub(crate) cursor: Option<u64>,
}

pub(crate) async fn read(
    app: &Arc<App>,
    path: &StreamPath,
    parts: &Parts,
) -> Result<Response, Problem> {
    let log = app.streams.find(path)?;
    let ask = ask(parts.uri.query().unwrap_or_default(), offset::parse)?;
    log.clock().touch();
    let tail = log.tail();
    let from = match ask.from {
        From::Start => 0,
        From::Now => tail.end,
        From::At(position) if position > tail.end => {
            return Err(problem::beyond_tail(position, tail.end));
        }
        From::At(position) => position,
    };
    match (ask.live, ask.from) {
        (Some(Live::Sse), _) => Ok(sse::follow(app.clone(), log, from, ask.cursor)),
        (Some(Live::LongPoll), _) => {
            long_poll(app, path, &log, from, ask.cursor, &parts.headers).await
        }
        (None, From::Now) => Ok(now(&log, tail)),
        (None, From::Start | From::At(_)) => {
            let batch = log.read(from, app.limits.chunk).await?;
            let cache = match (
                batch.reaches_tail() && !batch.is_final(),
                app.tokens.is_empty(),
            ) {
                // What is there may be more by the next time.
                (true, _) => "no-cache",
                (false, true) => "public, max-age=60, stale-while-revalidate=300",
                (false, false) => "private, max-age=60, stale-while-revalidate=300",
            };
            Ok(chunk(&log, &batch, cache, None, &parts.headers))
        }
    }
}

/// Reads the query of a URL; `parse` reads an offset.
pub(crate) fn ask<T>(query: &str, parse: fn(&str) -> Option<T>) -> Result<Ask<T>, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "bad-query", detail);
    let (mut offset, mut live, mut cursor) = (None, None, None);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = || {
            let text = percent_decode(value);
            text.map_err(|_| bad("a value of the query is not percent-encoded UTF-8"))
        };
        match name {
            "offset" if offset.is_some() => return Err(bad("`offset` is there more than once")),
            "offset" => offset = Some(value()?),
            "live" => live = Some(value()?),
            "cursor" => cursor = value()?.parse().ok(),
            // Others are for caches and for people.
            _ => {}
        }
    }
    let live = match live.as_deref() {
        None => None,
        Some("long-poll") => Some(Live::LongPoll),
        Some("sse") => Some(Live::Sse),
        Some(_) => return Err(bad("`live` is neither `long-poll` nor `sse`")),
    };
    let from = match offset.as_deref() {
        None if live.is_some() => {
            return Err(bad("`live` needs an `offset`").hint("-1 is the beginning, now the tail"));
        }
        None | Some("-1") => From::Start,
        Some("now") => From::Now,
        Some(text) => From::At(parse(text).ok_or_else(|| {
            bad("`offset` is no offset")
                .hint("use a `stream-next-offset`, -1 for the beginning, or now for the tail")
        })?),
    };
    Ok(Ask { from, live, cursor })
}

/// The entity tag of a range.
pub(crate) fn tag(log: &Log, start: u64, end: u64, closed: bool) -> HeaderValue {
    let closed = if closed { ":c" } else { "" };
    let tag = format!("\"{}:{start}:{end}{closed}\"", log.tag());
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

/// A chunk, or that the client has it.
fn chunk(
    log: &Log,
    batch: &Batch,
    cache: &'static str,
    cursor: Option<u64>,
    request: &HeaderMap,
) -> Response {
    let tag = tag(log, batch.start, batch.end, batch.is_final());
    let known = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|value| matches(value, &tag));
    let mut response = if known {
        respond(StatusCode::NOT_MODIFIED)
    } else {
        let mut response = Response::new(Body::from(batch.body()));
        describe(
            &mut response,
            log,
            batch.end,
            batch.reaches_tail(),
            batch.is_final(),
        );
        response
    };
    let out = response.headers_mut();
    out.insert(ETAG, tag);
    out.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Some(cursor) = cursor {
        out.insert(headers::CURSOR, headers::number(cursor));
    }
    response
}

pub(crate) fn matches(header: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(header), Ok(tag)) = (header.to_str(), tag.to_str()) else {
        return false;
    };
    let mut tags = header.split(',').map(str::trim);
    tags.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// The headers that say what the content is and where it ends.
fn describe(response: &mut Response, log: &Log, next: u64, up_to_date: bool, closed: bool) {
    let out = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(log.content_type()) {
        out.insert(CONTENT_TYPE, content_type);
    }
    out.insert(headers::NEXT_OFFSET, headers::position(next));
    if up_to_date {
        out.insert(headers::UP_TO_DATE, headers::TRUE);
    }
    if closed {
        out.insert(headers::CLOSED, headers::TRUE);
    }
}

/// Where the tail is, without content.
fn now(log: &Log, tail: Tail) -> Response {
    let body = if log.kind() == Kind::Json { "[]" } else { "" };
    let mut response = Response::new(Body::from(body));
    describe(&mut response, log, tail.end, true, tail.is_closed());
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn long_poll(
    app: &App,
    path: &StreamPath,
    log: &Arc<Log>,
    from: u64,
    cursor: Option<u64>,
    request: &HeaderMap,
) -> Result<Response, Problem> {
    let mut follow = log.follow();
    let mut stop = app.stop.clone();
    let news = follow.wait_for(|tail| tail.end > from || tail.is_closed() || tail.is_gone());
    tokio::select! {
        _ = timeout(app.long_poll, news) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    let tail = log.tail();
    if tail.is_gone() {
        app.streams.find(path)?;
        // Another stream has the name by now.
        return Err(Refusal::Missing.into());
    }
    let cursor = cursor::after(cursor);
    if tail.end > from {
        let batch = log.read(from, app.limits.chunk).await?;
        return Ok(chunk(log, &batch, "no-store", Some(cursor), request));
    }
    let mut response = respond(StatusCode::NO_CONTENT);
    let out = response.headers_mut();
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // By it, who waits notices that another stream has taken the place of this one.
    out.insert(ETAG, tag(log, from, tail.end, tail.is_closed()));
    out.insert(headers::NEXT_OFFSET, headers::position(tail.end));
    out.insert(headers::UP_TO_DATE, headers::TRUE);
    if tail.is_closed() {
        out.insert(headers::CLOSED, headers::TRUE);
    } else {
        out.insert(headers::CURSOR, headers::number(cursor));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let read = |query| ask(query, offset::parse);
        let start = Ask {
            from: From::Start,
            live: None,
            cursor: None,
        };
        assert_eq!(read("").ok(), Some(start));
        assert_eq!(read("offset=-1&x=%").ok(), Some(start));
        assert_eq!(read("offset=%2d1").ok(), Some(start));
        let live = Ask {
            from: From::Now,
            live: Some(Live::Sse),
            cursor: Some(7),
        };
        assert_eq!(read("live=sse&cursor=7&offset=now").ok(), Some(live));
        for query in [
            "offset=",
            "offset",
            "offset=1",
            "offset=-1&offset=-1",
            "offset=now%0a",
            "offset=%",
            "live=sse",
            "live=poll&offset=-1",
        ] {
            assert!(read(query).is_err(), "{query}");
        }
    }

    #[test]
    fn tags_match_in_lists() {
        let tag = HeaderValue::from_static("\"a:0:1\"");
        for (header, same) in [
            ("\"a:0:1\"", true),
            ("\"b\", W/\"a:0:1\"", true),
            ("*", true),
            ("\"a:0:12\"", false),
            ("", false),
        ] {
            assert_eq!(
                matches(&HeaderValue::from_static(header), &tag),
                same,
                "{header}"
            );
        }
    }
}
