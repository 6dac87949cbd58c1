//! The plan of a query that is served, and what its steps do.

use std::time::Duration;

use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;

use super::{answer, json, no_method};
use crate::plan::Explained;
use crate::server::auth::Right;
use crate::server::http::problem::Problem;
use crate::server::http::{App, preflight};

/// So long steps are looked at, unless the request says how long, and at most.
const SECONDS: f64 = 1.0;
const MOST_SECONDS: f64 = 10.0;

#[derive(Debug, PartialEq)]
struct Wanted {
    analyze: bool,
    seconds: f64,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Text,
    Dot,
}

impl Wanted {
    fn read(query: &str) -> Result<Wanted, Problem> {
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad-query", detail);
        let mut wanted = Wanted {
            analyze: false,
            seconds: SECONDS,
            format: Format::Json,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("analyze", "" | "true" | "1") => wanted.analyze = true,
                ("analyze", "false" | "0") => wanted.analyze = false,
                ("seconds", seconds) => {
                    let read = seconds
                        .parse::<f64>()
                        .ok()
                        .filter(|s| s.is_finite() && *s >= 0.0);
                    wanted.seconds = read
                        .ok_or_else(|| bad(format!("`seconds` is a number, not `{seconds}`")))?
                        .min(MOST_SECONDS);
                }
                ("format", "json") => wanted.format = Format::Json,
                ("format", "text") => wanted.format = Format::Text,
                ("format", "dot") => wanted.format = Format::Dot,
                (name, value) => {
                    let detail = format!("`{name}={value}` is not understood");
                    return Err(
                        bad(detail).hint("analyze=true, seconds=1, format=json, text or dot")
                    );
                }
            }
        }
        Ok(wanted)
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    query: &'a str,
    source: &'a str,
    /// Over which time the figures a second are.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(flatten)]
    explained: Explained,
}

pub(super) async fn explain(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let query = query.unwrap_or_default();
    answer(match *request.method() {
        Method::OPTIONS => Ok(preflight()),
        Method::GET | Method::HEAD => look(&app, &name, &query, request.headers()).await,
        _ => Err(no_method("GET, HEAD, OPTIONS")),
    })
}

async fn look(
    app: &App,
    name: &str,
    query: &str,
    headers: &axum::http::HeaderMap,
) -> Result<Response, Problem> {
    let entry = app.entry(headers, name, Right::Read)?;
    let wanted = Wanted::read(query)?;
    let live = app.registry().live(name, app.long_poll).await?;
    let plan = match wanted.analyze {
        true => live.analyze(Duration::from_secs_f64(wanted.seconds)).await,
        false => live.read_explanation().await,
    };
    let plan = plan.map_err(|error| Problem::busy(error.to_string()))?;
    let explained = Explained::new(live.ir(), plan);
    let (body, kind) = match wanted.format {
        Format::Json => {
            let answer = Answer {
                query: name,
                source: &entry.source.name,
                seconds: wanted.analyze.then_some(wanted.seconds),
                explained,
            };
            return Ok(json(serde_json::to_vec(&answer).unwrap_or_default()));
        }
        Format::Text => (explained.to_string(), "text/plain; charset=utf-8"),
        Format::Dot => (explained.to_dot(), "text/vnd.graphviz; charset=utf-8"),
    };
    let mut response = json(body.into_bytes());
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_read() {
        let wanted = Wanted::read("analyze=true&seconds=99&format=dot").unwrap();
        let most = Wanted {
            analyze: true,
            seconds: MOST_SECONDS,
            format: Format::Dot,
        };
        assert_eq!(wanted, most);
        for wrong in [
            "seconds=-1",
            "seconds=NaN",
            "seconds=x",
            "format=xml",
            "analyse=true",
        ] {
            assert!(Wanted::read(wrong).is_err(), "{wrong}");
        }
    }
}
