//! The HTTP face of streams: what a request asks for, and how the answer looks.

mod append;
mod body;
pub(crate) mod clients;
mod create;
mod cursor;
mod head;
mod headers;
mod idle;
mod json;
pub(crate) mod listener;
pub(crate) mod origin;
mod problem;
mod read;
#[cfg(feature = "serve")]
pub(crate) mod results;
mod sse;
pub(crate) mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tokio::sync::{Semaphore, watch};
use tracing::Instrument as _;

use super::Limits;
use super::auth::{Right, Tokens};
use super::streams::Streams;
use super::streams::chunk::Kind;
use super::streams::command::Content;
use super::streams::path::StreamPath;
use clients::Clients;
use origin::Origins;
use problem::Problem;

/// Where streams live.
pub(crate) const BASE: &str = "/v1/stream/";
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS");

/// What requests are served from.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) streams: Streams,
    pub(crate) tokens: Tokens,
    pub(crate) limits: Limits,
    pub(crate) long_poll: Duration,
    pub(crate) sse_lifetime: Duration,
    pub(crate) keep_alive: Duration,
    /// Turns true when the server is to end.
    pub(crate) stop: watch::Receiver<bool>,
    /// How much of large bodies may be held.
    uploads: Semaphore,
    pub(crate) origins: Origins,
    pub(crate) clients: Clients,
    pub(crate) address: SocketAddr,
    /// `http`, or `https`.
    pub(crate) scheme: &'static str,
    /// The queries that are answered, if any are to be.
    #[cfg(feature = "serve")]
    pub(crate) results: std::sync::OnceLock<results::Served>,
}

/// What of an app can be chosen.
pub(crate) struct Options {
    pub(crate) tokens: Tokens,
    pub(crate) limits: Limits,
    pub(crate) long_poll: Duration,
    pub(crate) sse_lifetime: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) origins: Origins,
    pub(crate) scheme: &'static str,
}

impl App {
    pub(crate) fn new(
        options: Options,
        streams: Streams,
        stop: watch::Receiver<bool>,
        address: SocketAddr,
    ) -> App {
        let Options {
            tokens,
            limits,
            long_poll,
            sse_lifetime,
            keep_alive,
            origins,
            scheme,
        } = options;
        // Room for a few of the largest, so that one does not hold all others up.
        let uploads = limits.body.div_ceil(body::UNIT).saturating_mul(8);
        let uploads = Semaphore::new(uploads.clamp(1, Semaphore::MAX_PERMITS));
        App {
            streams,
            tokens,
            limits,
            long_poll,
            sse_lifetime,
            keep_alive,
            stop,
            uploads,
            origins,
            clients: Clients::default(),
            address,
            scheme,
            #[cfg(feature = "serve")]
            results: std::sync::OnceLock::new(),
        }
    }

    pub(crate) fn allow(
        &self,
        headers: &HeaderMap,
        path: &StreamPath,
        right: Right,
    ) -> Result<(), Problem> {
        let header = headers::authorization(headers);
        Ok(self.tokens.check(header, path.as_str(), right)?)
    }
}

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let routes = Router::new()
        .route("/health", get(health))
        .route("/v1/stream/{*path}", any(stream));
    #[cfg(feature = "serve")]
    let routes = match app.results.get() {
        Some(_) => routes.merge(results::routes()),
        None => routes,
    };
    routes
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here")
                .hint(format!("streams are below {BASE}"))
        })
        .layer(from_fn_with_state(app.clone(), clients::bound))
        .layer(from_fn_with_state(app.clone(), origin::guard))
        .with_state(app)
        .layer(from_fn(traced))
}

/// Answers a request within a span of its own.
async fn traced(request: Request, next: Next) -> Response {
    let span = tracing::debug_span!(
        "request",
        method = %request.method(),
        // Without what is asked for: it may be long.
        path = request.uri().path(),
    );
    let begun = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let _entered = span.entered();
    let (status, elapsed) = (response.status().as_u16(), begun.elapsed());
    match status {
        500.. => tracing::warn!(status, ?elapsed, "answered"),
        _ => tracing::debug!(status, ?elapsed, "answered"),
    }
    response
}

async fn health(State(app): State<Arc<App>>) -> Response {
    // Everybody may ask: nothing is named.
    let failed = match (app.streams.is_alive(), app.streams.trouble()) {
        (false, _) => Some("the writer has stopped"),
        (true, Some(_)) => Some("the disk takes nothing"),
        (true, None) => None,
    };
    #[cfg_attr(not(feature = "serve"), expect(unused_mut))]
    let mut problems: Vec<String> = failed.iter().map(|&failed| failed.to_owned()).collect();
    #[cfg(feature = "serve")]
    if let Some(served) = app.results.get() {
        served.registry.find_problems(&mut problems);
    }
    let status = match failed {
        Some(failed) => failed,
        None if problems.is_empty() => "ok",
        None => "degraded",
    };
    let streams = app.streams.count();
    let body = serde_json::json!({ "status": status, "streams": streams, "problems": problems });
    let mut response = Response::new(Body::from(body.to_string()));
    if failed.is_some() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn stream(State(app): State<Arc<App>>, request: Request) -> Response {
    let answer = match *request.method() {
        Method::OPTIONS => Ok(preflight()),
        _ => serve(&app, request).await,
    };
    answer.unwrap_or_else(Problem::into_response)
}

async fn serve(app: &Arc<App>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let raw = parts.uri.path().strip_prefix(BASE).unwrap_or_default();
    let path = StreamPath::decode(raw, app.limits.path)?;
    let right = match parts.method {
        Method::GET | Method::HEAD => Right::Read,
        _ => Right::Write,
    };
    app.allow(&parts.headers, &path, right)?;
    match parts.method {
        Method::GET => read::read(app, &path, &parts).await,
        Method::HEAD => head::head(app, &path),
        Method::POST => append::append(app, &path, &parts, body).await,
        Method::PUT => create::create(app, path, &parts, body).await,
        Method::DELETE => head::delete(app, path).await,
        _ => {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Err(
                Problem::new(status, "method", "streams do not know this method")
                    .header(ALLOW, METHODS),
            )
        }
    }
}

/// The content of a body for a stream of a kind; none if there is nothing in it.
fn content(kind: Kind, body: &[u8]) -> Result<Option<Content>, Problem> {
    match kind {
        Kind::Json => json::messages(body),
        Kind::Text | Kind::Binary => Ok(Some(Content {
            kind,
            count: body.len() as u64,
            data: bytes::Bytes::copy_from_slice(body),
        })),
    }
}

/// A response without content.
pub(crate) fn respond(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Tells browsers what pages of other origins may send.
pub(crate) fn preflight() -> Response {
    let mut response = respond(StatusCode::NO_CONTENT);
    let out = response.headers_mut();
    out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    out.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "authorization, content-type, if-none-match, stream-seq, stream-ttl, \
             stream-expires-at, stream-closed, stream-forked-from, stream-fork-offset, \
             stream-fork-sub-offset, producer-id, producer-epoch, producer-seq",
        ),
    );
    out.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("3600"),
    );
    response
}
