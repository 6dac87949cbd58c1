//! The HTTP face of queries: which there are, and their results.

mod check;
mod draft;
mod explain;
mod follow;
mod list;
mod metrics;
mod page;
mod read;
mod register;
mod replay;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};

use super::problem::Problem;
use super::{App, headers, preflight};
use crate::db::DbError;
use crate::server::auth::{Right, Wanted};
use crate::server::replay::Player;
use crate::server::results::{Entry, FindError, RegisterError, Registry};
use crate::server::streams::path::percent_decode;

/// What queries are answered from.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) registry: Arc<Registry>,
    /// What is replayed, if anything is.
    pub(crate) player: Option<Arc<Player>>,
}

/// The routes of queries and of the page.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/query", any(all))
        .route("/v1/query/{name}", any(one))
        .route("/v1/query/{name}/rows", any(rows))
        .route("/v1/query/{name}/explain", any(explain::explain))
        .route("/v1/check", any(check::check))
        .route("/v1/trial", any(draft::trial))
        .route("/v1/file", any(draft::file))
        .route("/v1/collections", get(check::collections))
        .route("/v1/changes", any(changes))
        .route("/v1/dashboard", get(list::dashboard))
        .route("/v1/dead-letters", get(list::dead_letters))
        .route("/v1/demo", any(replay::demo))
        .route("/metrics", get(metrics::metrics))
        .route("/", get(page::index))
        .route("/assets/{*file}", get(page::asset))
}

impl App {
    fn served(&self) -> &Served {
        // The routes are there only if it is.
        self.results.get().expect("queries are served")
    }

    fn registry(&self) -> &Arc<Registry> {
        &self.served().registry
    }

    /// Whether a request may do something with what a source says as a whole.
    fn allow_source(&self, headers: &HeaderMap, source: &str, right: Right) -> Result<(), Problem> {
        let header = headers::authorization(headers);
        Ok(self.tokens.check_source(header, source, right)?)
    }

    /// Whether a request may read a query's result, or drop it.
    fn allow_query(&self, headers: &HeaderMap, entry: &Entry, right: Right) -> Result<(), Problem> {
        let wanted = Wanted {
            name: &entry.name,
            source: &entry.source.name,
        };
        // Who drops one sees none of it.
        let query = (right == Right::Read).then_some(&entry.file.query);
        let header = headers::authorization(headers);
        Ok(self.tokens.check_query(header, wanted, query, right)?)
    }

    /// The query of a name, if the request may read or change it.
    fn entry(&self, headers: &HeaderMap, name: &str, right: Right) -> Result<Arc<Entry>, Problem> {
        match self.registry().entry(name) {
            Some(entry) => {
                self.allow_query(headers, &entry, right)?;
                Ok(entry)
            }
            None => {
                // Which names there are is told only to those who may know.
                let source = &self.registry().places.default;
                let header = headers::authorization(headers);
                self.tokens
                    .check_query(header, Wanted { name, source }, None, right)?;
                Err(FindError::Missing(name.to_owned()).into())
            }
        }
    }
}

impl From<FindError> for Problem {
    fn from(error: FindError) -> Problem {
        let detail = error.to_string();
        match error {
            FindError::Missing(_) => Problem::new(StatusCode::NOT_FOUND, "no-query", detail)
                .hint("GET /v1/query lists all"),
            FindError::Sources(..) => Problem::new(StatusCode::BAD_REQUEST, "sources", detail)
                .hint("follow the queries of each source over a connection of its own"),
            FindError::NotReady(..) => {
                Problem::busy(detail).hint("GET /v1/query tells how far it is")
            }
            FindError::Failed(..) => {
                Problem::new(StatusCode::INSUFFICIENT_STORAGE, "memory", detail)
                    .hint("change the query, or raise the limit")
            }
        }
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Problem {
        let detail = error.to_string();
        let (status, code, hint) = match &error {
            RegisterError::Name(_) => (StatusCode::BAD_REQUEST, "bad-name", ""),
            RegisterError::Query(_) => (StatusCode::BAD_REQUEST, "bad-query", ""),
            RegisterError::Exists(_) => (
                StatusCode::CONFLICT,
                "exists",
                "PUT /v1/query/NAME replaces it",
            ),
            RegisterError::File(_) => (
                StatusCode::CONFLICT,
                "file",
                "change or remove its file instead",
            ),
            RegisterError::Changed(_) => (StatusCode::CONFLICT, "changed", "look at it again"),
            RegisterError::TooMany | RegisterError::TooManyTrials(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-queries", "")
            }
            RegisterError::TooManySources(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-sources", "")
            }
            RegisterError::OneSource(_) => (
                StatusCode::CONFLICT,
                "one-source",
                "start a server for each source",
            ),
            RegisterError::Source { .. } => (
                StatusCode::BAD_REQUEST,
                "bad-source",
                "use the path of a stream of this server, or a URL",
            ),
            RegisterError::Db(DbError::Memory(_)) => (
                StatusCode::INSUFFICIENT_STORAGE,
                "memory",
                "ask for less, or raise the limit",
            ),
            RegisterError::Db(_) | RegisterError::Store(_) => return Problem::busy(detail),
        };
        let problem = Problem::new(status, code, detail);
        match hint {
            "" => problem,
            hint => problem.hint(hint),
        }
    }
}

fn answer(result: Result<Response, Problem>) -> Response {
    result.unwrap_or_else(Problem::into_response)
}

fn no_method(allowed: &'static str) -> Problem {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Problem::new(status, "method", "this address does not know the method")
        .header(ALLOW, HeaderValue::from_static(allowed))
}

/// A response of JSON that is not to be kept.
fn json(body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn all(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    answer(match parts.method {
        Method::OPTIONS => Ok(preflight()),
        Method::GET | Method::HEAD => list::list(&app, &parts.headers).await,
        Method::POST => register::post(&app, &parts, body).await,
        _ => Err(no_method("GET, HEAD, POST, OPTIONS")),
    })
}

async fn one(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    answer(match parts.method {
        Method::OPTIONS => Ok(preflight()),
        Method::GET => read(&app, &[name], &parts).await,
        Method::HEAD => head(&app, name, &parts).await,
        Method::PUT => register::put(&app, name, &parts, body).await,
        Method::DELETE => register::delete(&app, &name, &parts).await,
        _ => Err(no_method("GET, HEAD, PUT, DELETE, OPTIONS")),
    })
}

async fn rows(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Response {
    answer(match *request.method() {
        Method::OPTIONS => Ok(preflight()),
        Method::GET | Method::HEAD => list::rows(&app, request.headers(), &name).await,
        _ => Err(no_method("GET, HEAD, OPTIONS")),
    })
}

async fn changes(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    answer(match parts.method {
        Method::OPTIONS => Ok(preflight()),
        Method::GET => match names(query.as_deref().unwrap_or_default()) {
            Ok(names) => read(&app, &names, &parts).await,
            Err(problem) => Err(problem),
        },
        _ => Err(no_method("GET, OPTIONS")),
    })
}

/// The names in `query=a&query=b`, each once.
fn names(query: &str) -> Result<Vec<String>, Problem> {
    let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, "bad-query", detail);
    let mut names: Vec<String> = Vec::new();
    for pair in query.split('&') {
        if let Some(value) = pair.strip_prefix("query=") {
            let name = percent_decode(value);
            let name = name.map_err(|_| bad("a name of a query is not percent-encoded UTF-8"))?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    match names.is_empty() {
        true => Err(bad("no query is named").hint("such as /v1/changes?query=a&query=b&offset=-1")),
        false => Ok(names),
    }
}

async fn read(app: &Arc<App>, names: &[String], parts: &Parts) -> Result<Response, Problem> {
    allow_reading_all(app, names, &parts.headers)?;
    let response = read::read(app, names, parts).await?;
    // It may have been waited for, and another query have a name by now.
    allow_reading_all(app, names, &parts.headers)?;
    Ok(response)
}

async fn head(app: &Arc<App>, name: String, parts: &Parts) -> Result<Response, Problem> {
    allow_reading(app, &name, &parts.headers)?;
    read::head(app, &[name]).await
}

fn allow_reading_all(app: &App, names: &[String], headers: &HeaderMap) -> Result<(), Problem> {
    names
        .iter()
        .try_for_each(|name| allow_reading(app, name, headers))
}

/// A query that was dropped is still to be read for a while by those who could.
fn allow_reading(app: &App, name: &str, headers: &HeaderMap) -> Result<(), Problem> {
    let registry = app.registry();
    match (registry.entry(name), registry.dropped(name)) {
        (None, Some((source, query))) => {
            let header = headers::authorization(headers);
            let wanted = Wanted {
                name,
                source: &source,
            };
            Ok(app
                .tokens
                .check_query(header, wanted, Some(&query), Right::Read)?)
        }
        _ => app.entry(headers, name, Right::Read).map(drop),
    }
}
