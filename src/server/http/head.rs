//! HEAD and DELETE: what a stream is, and its end.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::{App, headers, problem::Problem, read, respond};
use crate::server::streams::expiry::Expiry;
use crate::server::streams::path::StreamPath;

/// Describes a stream; that is no use of it.
pub(crate) fn head(app: &App, path: &StreamPath) -> Result<Response, Problem> {
    let log = app.streams.find(path)?;
    let tail = log.tail();
    let mut response = respond(StatusCode::OK);
    let out = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(log.content_type()) {
        out.insert(CONTENT_TYPE, content_type);
    }
    out.insert(headers::NEXT_OFFSET, headers::position(tail.end));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    out.insert(ETAG, read::tag(&log, 0, tail.end, tail.is_closed()));
    if tail.is_closed() {
        out.insert(headers::CLOSED, headers::TRUE);
    }
    match log.clock().expiry() {
        Expiry::Never => {}
        Expiry::Ttl(seconds) => {
            out.insert(headers::TTL, headers::number(*seconds));
        }
        Expiry::At { text, .. } => {
            if let Ok(text) = HeaderValue::from_str(text) {
                out.insert(headers::EXPIRES_AT, text);
            }
        }
    }
    Ok(response)
}

/// Deletes a stream.
pub(crate) async fn delete(app: &App, path: StreamPath) -> Result<Response, Problem> {
    app.streams.delete(path).await?;
    Ok(respond(StatusCode::NO_CONTENT))
}
