//! PUT: creates a stream, empty or not, on its own or as a fork.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::{App, BASE, body, content, headers, problem::Problem, respond};
use crate::server::auth::Right;
use crate::server::streams::chunk::Kind;
use crate::server::streams::command::{Create, Refusal};
use crate::server::streams::path::StreamPath;

pub(crate) async fn create(
    app: &App,
    path: StreamPath,
    parts: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let headers = &parts.headers;
    let fork = headers::fork(headers, BASE, app.limits.path)?;
    let content_type = headers::content_type(headers)?;
    let mut create = Create {
        path,
        expiry: headers::expiry(headers)?,
        closed: headers::closed(headers),
        content: None,
        content_type,
        fork,
    };
    if let Some(fork) = &create.fork {
        app.allow(headers, &fork.source, Right::Read)?;
    }
    let body = body::collect(app, headers, body).await?;
    if !body.bytes.is_empty() {
        let kind = match (&create.content_type, &create.fork) {
            (Some(content_type), _) => Kind::of(content_type),
            (None, None) => Kind::Binary,
            (None, Some(fork)) => match app.streams.find(&fork.source) {
                Ok(source) => source.kind(),
                Err(Refusal::Kept) => return Err(Refusal::SourceKept.into()),
                Err(_) => return Err(Refusal::SourceMissing.into()),
            },
        };
        create.content = content(kind, &body.bytes)?;
    }
    let created = app.streams.create(create).await?;
    let status = if created.new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = respond(status);
    let out = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(created.log.content_type()) {
        out.insert(CONTENT_TYPE, content_type);
    }
    out.insert(headers::NEXT_OFFSET, headers::position(created.tail.end));
    if created.tail.is_closed() {
        out.insert(headers::CLOSED, headers::TRUE);
    }
    if created.new
        && let Some(location) = location(app, parts)
    {
        out.insert(LOCATION, location);
    }
    Ok(response)
}

/// The stream's URL, by the name under which the client knows this server.
fn location(app: &App, parts: &Parts) -> Option<HeaderValue> {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let path = parts.uri.path();
    let url = match host.or(authority) {
        Some(host) => format!("{}://{host}{path}", app.scheme),
        None => format!("{}://{}{path}", app.scheme, app.address),
    };
    HeaderValue::from_str(&url).ok()
}
