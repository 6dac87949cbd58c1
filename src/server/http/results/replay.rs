//! `/v1/demo`: how far a replay is, and how it goes on.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;

use super::{answer, json, no_method};
use crate::server::auth::Right;
use crate::server::http::problem::Problem;
use crate::server::http::{App, body, preflight};
use crate::server::replay::{Player, Wish};

pub(super) async fn demo(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    answer(match app.served().player.clone() {
        Some(player) => serve(&app, &player, request).await,
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "no-replay",
            "nothing is replayed here",
        )
        .hint("`tailwater demo` replays a day of flights")),
    })
}

async fn serve(app: &App, player: &Player, request: Request<Body>) -> Result<Response, Problem> {
    let (parts, content) = request.into_parts();
    let default = &app.registry().places.default;
    let progress = match parts.method {
        Method::OPTIONS => return Ok(preflight()),
        Method::GET | Method::HEAD => {
            app.allow_source(&parts.headers, default, Right::Read)?;
            player.progress()
        }
        Method::POST => {
            app.allow_source(&parts.headers, default, Right::Write)?;
            let content = body::collect(app, &parts.headers, content).await?;
            let wish: Wish = serde_json::from_slice(&content.bytes).map_err(|error| {
                Problem::new(StatusCode::BAD_REQUEST, "bad-body", error.to_string())
                    .hint(r#"such as {"speed":600}, {"paused":true} or {"restart":true}"#)
            })?;
            player.wish(wish)
        }
        _ => return Err(no_method("GET, HEAD, POST, OPTIONS")),
    };
    Ok(json(serde_json::to_vec(&progress).unwrap_or_default()))
}
