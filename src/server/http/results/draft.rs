//! Queries that are tried out, and kept as files if they are good.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{answer, json, no_method};
use crate::query::QueryFile;
use crate::server::auth::Right;
use crate::server::http::problem::Problem;
use crate::server::http::{App, body, preflight};
use crate::server::results::{
    FindError, RegisterError, SaveError, check, check_name, save, take_file,
};
use crate::server::streams::path::percent_decode;

/// A query's text, in SQL or JSON, that is to run as long as somebody reads it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial {
    text: String,
    #[serde(default)]
    source: Option<String>,
}

/// A query's text that is to be a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFile {
    name: String,
    text: String,
    #[serde(default)]
    replace: bool,
}

impl From<SaveError> for Problem {
    fn from(error: SaveError) -> Problem {
        let detail = error.to_string();
        match error {
            SaveError::NoFolder => Problem::new(StatusCode::CONFLICT, "no-folder", detail)
                .hint("start the server with --queries DIR, or register the query"),
            SaveError::Reserved => Problem::new(StatusCode::BAD_REQUEST, "bad-name", detail),
            SaveError::Exists(_) => Problem::new(StatusCode::CONFLICT, "exists", detail)
                .hint(r#"use another name, or say "replace": true"#),
            SaveError::Io(_) => Problem::busy(detail),
        }
    }
}

async fn collect<T: DeserializeOwned>(
    app: &App,
    parts: &Parts,
    content: Body,
    example: &str,
) -> Result<T, Problem> {
    let content = body::collect(app, &parts.headers, content).await?;
    serde_json::from_slice(&content.bytes).map_err(|error| {
        let detail = format!("the body is not understood: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "bad-body", detail).hint(format!("such as {example}"))
    })
}

fn read(text: &str) -> Result<QueryFile, Problem> {
    check::read(text)
        .map_err(|fault| Problem::new(StatusCode::BAD_REQUEST, "bad-query", fault.text()))
}

/// Runs a query until nobody reads its result any more.
pub(super) async fn trial(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    answer(match parts.method {
        Method::OPTIONS => Ok(preflight()),
        Method::POST => begin(&app, &parts, body).await,
        _ => Err(no_method("POST, OPTIONS")),
    })
}

async fn begin(app: &Arc<App>, parts: &Parts, content: Body) -> Result<Response, Problem> {
    let example = r#"{"text":"SELECT …"}"#;
    let trial: Trial = collect(app, parts, content, example).await?;
    let mut file = read(&trial.text)?;
    if trial.source.is_some() {
        file.source = trial.source;
    }
    let registry = app.registry();
    app.allow_source(&parts.headers, &registry.source_name(&file)?, Right::Write)?;
    let name = registry.try_out(file).await?;
    let entry = registry.entry(&name);
    let entry = entry.ok_or_else(|| FindError::Missing(name.clone()))?;
    let described = serde_json::to_vec(&entry.describe(&registry.memory().await));
    let mut response = json(described.unwrap_or_default());
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// The files of queries: reads one, or writes one into the folder of queries.
pub(super) async fn file(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    answer(match parts.method {
        Method::OPTIONS => Ok(preflight()),
        Method::GET | Method::HEAD => show(&app, &parts, query.as_deref().unwrap_or("")).await,
        Method::POST => write(&app, &parts, body).await,
        _ => Err(no_method("GET, HEAD, POST, OPTIONS")),
    })
}

/// The text of the file that a query comes from.
async fn show(app: &App, parts: &Parts, query: &str) -> Result<Response, Problem> {
    let missing = || {
        let detail = "no file of a query is named, or it is not there";
        Problem::new(StatusCode::NOT_FOUND, "no-file", detail).hint("such as /v1/file?name=top")
    };
    let name = query
        .strip_prefix("name=")
        .and_then(|name| percent_decode(name).ok());
    let name = name.ok_or_else(missing)?;
    // Names have no slash, so that no other file is read.
    let entry = app.entry(&parts.headers, &name, Right::Read)?;
    let folder = app.registry().folder().ok_or_else(missing)?.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let file = save::files(&folder, &entry.name).into_iter().next()?;
        let text = std::fs::read_to_string(folder.join(&file)).ok()?;
        Some(json!({ "file": file, "text": text }))
    });
    let read = read.await.ok().flatten().ok_or_else(missing)?;
    Ok(json(read.to_string().into_bytes()))
}

async fn write(app: &Arc<App>, parts: &Parts, content: Body) -> Result<Response, Problem> {
    let example = r#"{"name":"top","text":"SELECT …"}"#;
    let new: NewFile = collect(app, parts, content, example).await?;
    let registry = app.registry();
    let file = read(&new.text)?;
    app.allow_source(&parts.headers, &registry.source_name(&file)?, Right::Write)?;
    // What nothing is known of, as its file does not hold, is as the default source.
    let old = registry.source_of(&new.name);
    let old = old.as_ref().unwrap_or(&registry.places.default);
    app.allow_source(&parts.headers, old, Right::Write)?;
    check_name(&new.name)?;
    let folder = registry.folder().ok_or(SaveError::NoFolder)?.to_owned();
    check::check(&new.text, &file, &registry.places.catalog)
        .map_err(|fault| Problem::new(StatusCode::BAD_REQUEST, "bad-query", fault.text()))?;
    if !new.replace && registry.entry(&new.name).is_some() {
        return Err(RegisterError::Exists(new.name).into());
    }
    let written = tokio::task::spawn_blocking(move || {
        let file = save::write(&folder, &new.name, &new.text, new.replace)?;
        Ok::<_, SaveError>((file, new.text))
    });
    let written = written
        .await
        .map_err(|_| Problem::busy("the file cannot be written"))?;
    let (file, text) = written?;
    // Who is told so finds it there.
    take_file(registry, &file, &text).await;
    let mut response = json(json!({ "file": file }).to_string().into_bytes());
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}
