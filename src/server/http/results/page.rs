//! The page: files that are part of the program.

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::server::http::problem::Problem;

/// The files of the page, with their content types.
const FILES: &[(&str, &str, &[u8])] = &[];

pub(super) async fn index() -> Response {
    file("index.html")
}

pub(super) async fn asset(Path(name): Path<String>) -> Response {
    file(&name)
}

fn file(name: &str) -> Response {
    let Some((_, kind, content)) = FILES.iter().find(|(known, ..)| *known == name) else {
        let detail = "there is no such file of the page";
        return Problem::new(StatusCode::NOT_FOUND, "not-found", detail).into_response();
    };
    let mut response = Response::new(Body::from(*content));
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Nothing on the page comes from elsewhere, and nothing of it goes there.
    let policy = "default-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'";
    out.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
