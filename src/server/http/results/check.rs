//! What people who write a query want to know: what it is, what is wrong with it, what there is.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{answer, json, no_method};
use crate::server::auth::Right;
use crate::server::http::problem::Problem;
use crate::server::http::{App, body, preflight};
use crate::server::results::check;

/// A query's text, in SQL or JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    text: String,
}

/// Says what a query is, or what is wrong with its text, and runs nothing.
pub(super) async fn check(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    answer(match parts.method {
        Method::OPTIONS => Ok(preflight()),
        Method::POST => look(&app, &parts, body).await,
        _ => Err(no_method("POST, OPTIONS")),
    })
}

async fn look(app: &App, parts: &Parts, content: Body) -> Result<Response, Problem> {
    let registry = app.registry();
    // What there is is told only to those who may read it.
    app.allow_source(&parts.headers, &registry.places.default, Right::Read)?;
    let content = body::collect(app, &parts.headers, content).await?;
    let draft: Draft = serde_json::from_slice(&content.bytes).map_err(|error| {
        let detail = format!("the body is no query to be checked: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "bad-body", detail)
            .hint(r#"such as {"text":"SELECT …"}"#)
    })?;
    let catalog = &registry.places.catalog;
    let checked =
        check::read(&draft.text).and_then(|file| check::check(&draft.text, &file, catalog));
    let body = match checked {
        Ok(checked) => serde_json::to_vec(&checked),
        Err(fault) => serde_json::to_vec(&json!({ "error": fault })),
    };
    Ok(json(body.unwrap_or_default()))
}

/// The collections, with the fields that their rows have had.
pub(super) async fn collections(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let registry = app.registry();
    let allowed = app.allow_source(&headers, &registry.places.default, Right::Read);
    if let Err(problem) = allowed {
        return answer(Err(problem));
    }
    let memory = registry.memory().await;
    let rows = |name: &str| {
        let of_all = memory.0.values().flat_map(|report| &report.collections);
        of_all
            .filter(|of| of.name == name)
            .map(|of| of.rows)
            .sum::<usize>()
    };
    let all = registry.places.catalog.collections();
    let described = all.iter().map(|collection| {
        let columns = collection.columns();
        let columns: Vec<&str> = columns.seen().collect();
        json!({"name": collection.name(), "rows": rows(collection.name()), "columns": columns})
    });
    let collections: Vec<_> = described.collect();
    json(
        json!({ "collections": collections })
            .to_string()
            .into_bytes(),
    )
}
