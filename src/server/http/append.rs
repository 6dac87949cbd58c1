//! POST: appends to a stream, closes it, or both.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::{App, body, content, headers, problem::Problem, respond};
use crate::server::streams::chunk::essence;
use crate::server::streams::command::Append;
use crate::server::streams::path::StreamPath;

pub(crate) async fn append(
    app: &App,
    path: &StreamPath,
    parts: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let headers = &parts.headers;
    let bad = |code, detail: &str| Problem::new(StatusCode::BAD_REQUEST, code, detail);
    let mut append = Append {
        stream: 0,
        content: None,
        close: headers::closed(headers),
        seq: headers::seq(headers)?,
        claim: headers::claim(headers)?,
    };
    let log = app.streams.find(path)?;
    append.stream = log.id();
    let body = body::collect(app, headers, body).await?;
    if body.bytes.is_empty() && !append.close {
        return Err(bad("empty", "the body is empty")
            .hint("send what is to be appended, or `stream-closed: true` to close the stream"));
    }
    if !body.bytes.is_empty() {
        let content_type = headers::content_type(headers)?;
        let content_type = content_type.ok_or_else(|| {
            bad("content-type", "the header `content-type` is missing")
                .hint(format!("the stream's is {}", log.content_type()))
        })?;
        if essence(&content_type) != essence(log.content_type()) {
            let detail = format!("the stream's content type is {}", log.content_type());
            return Err(Problem::new(StatusCode::CONFLICT, "content-type", detail));
        }
        append.content = content(log.kind(), &body.bytes)?;
        if append.content.is_none() {
            return Err(bad("empty", "the array is empty")
                .hint("send the messages that are to be appended as its elements"));
        }
    }
    let has_content = append.content.is_some();
    let appended = app.streams.append(append).await?;
    let accepted = appended.producer.is_some() && has_content && !appended.duplicate;
    let mut response = respond(if accepted {
        StatusCode::OK
    } else {
        StatusCode::NO_CONTENT
    });
    let end = headers::position(appended.end);
    // The batch in which queries take it in has this offset, too.
    tracing::debug!(offset = end.to_str().unwrap_or_default(), "appended");
    let out = response.headers_mut();
    out.insert(headers::NEXT_OFFSET, end);
    if appended.closed {
        out.insert(headers::CLOSED, headers::TRUE);
    }
    if let Some((epoch, seq)) = appended.producer {
        out.insert(headers::PRODUCER_EPOCH, HeaderValue::from(epoch));
        out.insert(headers::PRODUCER_SEQ, HeaderValue::from(seq));
    }
    Ok(response)
}
