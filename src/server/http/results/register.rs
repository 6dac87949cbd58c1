//! Queries that come, change and go over HTTP.

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json;
use crate::plan::Plan;
use crate::query::{Query, QueryFile};
use crate::server::auth::{Denied, Registering, Right, Wanted};
use crate::server::http::headers::authorization;
use crate::server::http::problem::Problem;
use crate::server::http::{App, body, respond};
use crate::server::results::{Entry, FindError, Origin, RegisterError};

/// A query as JSON has 1 MiB at most; in a text, each of its characters may be escaped.
const MOST: usize = 2 << 20;

/// What a request says of a query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    #[serde(default)]
    name: Option<String>,
    query: Box<RawValue>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    view: Option<serde_json::Value>,
}

impl Registration {
    async fn read(app: &App, parts: &Parts, content: Body) -> Result<Registration, Problem> {
        // Nothing is read for strangers.
        app.tokens.check_known(authorization(&parts.headers))?;
        let most = app.limits.body.min(MOST);
        let content = body::collect_up_to(app, &parts.headers, content, most).await?;
        serde_json::from_slice(&content.bytes).map_err(|error| {
            let detail = format!("the body is no registration of a query: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "bad-body", detail)
                .hint(r#"such as {"name":"all","query":{"from":{…}}}"#)
        })
    }

    fn file(&self) -> Result<QueryFile, Problem> {
        // A text is SQL.
        let query = match serde_json::from_str::<String>(self.query.get()) {
            Ok(sql) => Query::from_sql(&sql)
                .map_err(|error| error.to_string())
                .and_then(as_kept),
            Err(_) => Query::from_json(self.query.get()).map_err(|error| error.to_string()),
        };
        let query =
            query.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad-query", error))?;
        let mut file = QueryFile::new(query);
        file.source.clone_from(&self.source);
        if let Some(view) = &self.view {
            file = file.with_view(view.clone()).map_err(|error| {
                Problem::new(StatusCode::BAD_REQUEST, "bad-view", error.to_string())
            })?;
        }
        Ok(file)
    }
}

/// A query that is the same once it is kept as JSON, where it must not be too deep.
fn as_kept(query: Query) -> Result<Query, String> {
    let kept = query.to_json().and_then(|json| Query::from_json(&json));
    match kept {
        Ok(_) => Ok(query),
        Err(error) => Err(format!(
            "the statement becomes a query that is refused: {error}"
        )),
    }
}

/// Serves a new query.
pub(super) async fn post(app: &Arc<App>, parts: &Parts, body: Body) -> Result<Response, Problem> {
    let registration = Registration::read(app, parts, body).await?;
    let Some(name) = registration.name.clone() else {
        let status = StatusCode::BAD_REQUEST;
        return Err(
            Problem::new(status, "bad-body", "the field `name` is missing")
                .hint("the result is read at /v1/query/NAME"),
        );
    };
    register(app, &name, &registration, parts, false).await
}

/// Serves a query under a name, in the place of one that has it.
pub(super) async fn put(
    app: &Arc<App>,
    name: String,
    parts: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let registration = Registration::read(app, parts, body).await?;
    if registration
        .name
        .as_ref()
        .is_some_and(|other| *other != name)
    {
        let status = StatusCode::BAD_REQUEST;
        return Err(Problem::new(
            status,
            "bad-body",
            "`name` is not the one in the address",
        ));
    }
    register(app, &name, &registration, parts, true).await
}

async fn register(
    app: &Arc<App>,
    name: &str,
    registration: &Registration,
    parts: &Parts,
    replace: bool,
) -> Result<Response, Problem> {
    let registry = app.registry();
    let mut file = registration.file()?;
    let source = registry.source_name(&file)?;
    let (header, default) = (authorization(&parts.headers), &registry.places.default);
    let wanted = Wanted {
        name,
        source: &source,
    };
    let registering = app.tokens.register(header, wanted, default)?;
    let old = registry.entry(name);
    if let Registering::Named(rows) = registering {
        if old.is_none() {
            room(app, header)?;
        }
        file.query = rows.apply(file.query).map_err(RegisterError::Query)?;
        let plan =
            Plan::new(&file.query, &registry.places.catalog).map_err(RegisterError::Query)?;
        if !rows.hold_in_plan(&plan, &registry.places.catalog) {
            tracing::error!(
                name,
                "a query would have shown rows that its token is not for"
            );
            return Err(Denied::OtherRows.into());
        }
    }
    if let Some(old) = &old {
        app.allow_query(&parts.headers, old, Right::Write)?;
        if !replace && old.file != file {
            return Err(RegisterError::Exists(name.to_owned()).into());
        }
    }
    let registered = registry.register(name, file, Origin::Http, old.as_ref());
    let new = registered.await?;
    let entry = registry.entry(name);
    let entry = entry.ok_or_else(|| FindError::Missing(name.to_owned()))?;
    entry.source.made().await;
    let mut response =
        json(serde_json::to_vec(&entry.describe(&registry.memory().await)).unwrap_or_default());
    if new {
        *response.status_mut() = StatusCode::CREATED;
    }
    // The name has no characters that a header or a URL could not have.
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/query/{name}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Whether a token that is for some names may have one query more.
fn room(app: &App, header: Option<&[u8]>) -> Result<(), Problem> {
    let own = |entry: &Arc<Entry>| {
        let wanted = Wanted {
            name: &entry.name,
            source: &entry.source.name,
        };
        let allowed = app.tokens.check_query(header, wanted, None, Right::Write);
        entry.origin == Origin::Http && allowed.is_ok()
    };
    let most = app.limits.queries_per_token;
    match app
        .registry()
        .entries()
        .iter()
        .filter(|entry| own(entry))
        .count()
        >= most
    {
        true => {
            let detail = format!("the token has {most} queries, as many as one may have");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-queries", detail);
            Err(problem.hint("drop some with DELETE /v1/query/NAME"))
        }
        false => Ok(()),
    }
}

/// Serves a query no longer.
pub(super) async fn delete(app: &App, name: &str, parts: &Parts) -> Result<Response, Problem> {
    let entry = app.entry(&parts.headers, name, Right::Write)?;
    // What is tried out ends as what was registered does.
    let origin = match entry.origin {
        Origin::Trial => Origin::Trial,
        Origin::File | Origin::Http => Origin::Http,
    };
    match app.registry().drop_query(&entry, origin)? {
        true => Ok(respond(StatusCode::NO_CONTENT)),
        false => Err(FindError::Missing(name.to_owned()).into()),
    }
}
