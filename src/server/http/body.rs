//! Request bodies, bounded in size, in time, and in how much of them is held at once.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt as _;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::App;
use super::problem::Problem;

/// A body this small needs no permission.
const SMALL: usize = 64 << 10;
/// Permits are for so many bytes.
pub(crate) const UNIT: usize = 1 << 10;
/// A client may pause for so long.
const PAUSE: Duration = Duration::from_secs(20);
/// So long a large body may wait for others to be done.
const WAIT: Duration = Duration::from_secs(10);

/// A body, and the permission to hold it.
pub(crate) struct Collected<'a> {
    pub(crate) bytes: Vec<u8>,
    _permit: Option<SemaphorePermit<'a>>,
}

/// Reads a body to its end.
pub(crate) async fn collect<'a>(
    app: &'a App,
    headers: &HeaderMap,
    body: Body,
) -> Result<Collected<'a>, Problem> {
    collect_up_to(app, headers, body, app.limits.body).await
}

/// Reads a body to its end, which is not longer than so many bytes.
pub(crate) async fn collect_up_to<'a>(
    app: &'a App,
    headers: &HeaderMap,
    body: Body,
    most: usize,
) -> Result<Collected<'a>, Problem> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > most) {
        return Err(too_large(most));
    }
    let mut bytes = Vec::with_capacity(declared.unwrap_or(0).min(SMALL));
    let mut permit = None;
    let mut frames = body.into_data_stream();
    loop {
        if permit.is_none() && declared.unwrap_or(bytes.len()) > SMALL {
            let units = declared.unwrap_or(most).div_ceil(UNIT) as u32;
            let permits = timeout(WAIT, app.uploads.acquire_many(units)).await;
            permit = permits.ok().and_then(Result::ok);
            if permit.is_none() {
                return Err(Problem::busy("too many large bodies are on their way"));
            }
        }
        let frame = timeout(PAUSE, frames.next()).await.map_err(|_| {
            Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "slow",
                "the rest of the body did not come",
            )
        })?;
        match frame {
            None => {
                return Ok(Collected {
                    bytes,
                    _permit: permit,
                });
            }
            Some(Ok(frame)) if bytes.len() + frame.len() > most => return Err(too_large(most)),
            Some(Ok(frame)) => bytes.extend_from_slice(&frame),
            Some(Err(error)) => {
                let detail = format!("the body could not be read: {error}");
                return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-body", detail));
            }
        }
    }
}

fn too_large(most: usize) -> Problem {
    let detail = format!("the body is larger than {most} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
        .hint("send less at once; events can be split into several appends")
}
