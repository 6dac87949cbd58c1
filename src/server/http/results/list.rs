//! Which queries there are, and the rows of one as plain JSON.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::{answer, json};
use crate::server::auth::Right;
use crate::server::http::App;
use crate::server::http::headers::authorization;
use crate::server::http::problem::Problem;
use crate::server::results::{Broken, Description};
use crate::view::ResultRows;

#[derive(Serialize)]
struct List<'a> {
    queries: Vec<Description<'a>>,
    broken: Vec<Broken>,
}

/// All queries that the request may read.
pub(super) async fn list(app: &App, headers: &HeaderMap) -> Result<Response, Problem> {
    let registry = app.registry();
    let mut entries = registry.entries();
    let count = entries.len();
    entries.retain(|entry| app.allow_query(headers, entry, Right::Read).is_ok());
    let for_some = app.tokens.knows_queries(authorization(headers));
    if entries.is_empty() && !for_some && (count > 0 || !app.tokens.is_empty()) {
        // Says why, if that is why.
        app.allow_source(headers, &registry.places.default, Right::Read)?;
    }
    let memory = registry.memory().await;
    let list = List {
        queries: entries
            .iter()
            .map(|entry| entry.describe(&memory))
            .collect(),
        broken: match app.allow_source(headers, &registry.places.default, Right::Read) {
            Ok(()) => registry.broken(),
            Err(_) => Vec::new(),
        },
    };
    Ok(json(serde_json::to_vec(&list).unwrap_or_default()))
}

struct Rows<'a>(&'a ResultRows);

impl Serialize for Rows<'_> {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.0.iter())
    }
}

#[derive(Serialize)]
struct Result_<'a> {
    epoch: u64,
    rows: Rows<'a>,
}

/// The rows of a query.
pub(super) async fn rows(app: &App, headers: &HeaderMap, name: &str) -> Result<Response, Problem> {
    app.entry(headers, name, Right::Read)?;
    let live = app.registry().live(name, app.long_poll).await?;
    // Another query may have the name by now.
    app.entry(headers, name, Right::Read)?;
    let body = tokio::task::spawn_blocking(move || {
        let rows = live.read();
        let result = Result_ {
            epoch: rows.epoch(),
            rows: Rows(rows.untyped()),
        };
        serde_json::to_vec(&result).unwrap_or_default()
    });
    let body = body.await;
    body.map(json)
        .map_err(|_| Problem::busy("the rows cannot be written"))
}

/// The messages of sources that were wrong, as far as the request may read these.
pub(super) async fn dead_letters(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let sources = app.registry().sources();
    let mut denied = None;
    let mut list = Vec::new();
    for source in &sources {
        if let Err(problem) = app.allow_source(&headers, &source.name, Right::Read) {
            denied = Some(problem);
            continue;
        }
        let letters = source.dead_letters();
        let latest = letters.latest.iter().map(|letter| {
            json!({"offset": letter.offset.as_str(), "index": letter.index,
                   "text": letter.text, "reason": letter.reason})
        });
        let latest: Vec<_> = latest.collect();
        list.push(json!({"source": source.name, "total": letters.total, "latest": latest}));
    }
    answer(match denied {
        Some(problem) if list.is_empty() => Err(problem),
        _ => Ok(json(json!({"sources": list}).to_string().into_bytes())),
    })
}

/// The layout of the page.
pub(super) async fn dashboard(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let allowed = app.allow_source(&headers, &app.registry().places.default, Right::Read);
    let for_some = app.tokens.knows_queries(authorization(&headers));
    let allowed = match allowed {
        Err(_) if for_some => Ok(()),
        allowed => allowed,
    };
    answer(allowed.map(|()| {
        let mut layout = match app.registry().dashboard() {
            Some(serde_json::Value::Object(layout)) => layout,
            _ => serde_json::Map::new(),
        };
        if for_some && let Some(panels) = layout.get_mut("panels").and_then(|p| p.as_array_mut()) {
            let name = |panel: &serde_json::Value| panel["query"].as_str().map(str::to_owned);
            panels.retain(|panel| {
                name(panel).is_none_or(|name| app.entry(&headers, &name, Right::Read).is_ok())
            });
        }
        layout.entry("panels").or_insert(serde_json::Value::Null);
        layout.insert("demo".into(), json!(app.served().player.is_some()));
        layout.insert("folder".into(), json!(app.registry().folder().is_some()));
        json(serde_json::to_vec(&layout).unwrap_or_default())
    }))
}
