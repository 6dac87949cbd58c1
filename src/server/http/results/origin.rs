//! Which pages may change what a server without tokens does.
//!
//! A browser on this machine lets every page that it shows send requests to it. Tokens keep them out; a
//! server without any takes changes of queries from pages of this machine alone, and under no other
//! name, so that no page makes it read what only this machine can reach.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::server::http::App;
use crate::server::http::problem::Problem;

pub(super) async fn check(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let own = app.address.ip();
    if !reads && app.tokens.is_empty() && own.is_loopback() && !is_local(request.headers()) {
        let detail = "a page from elsewhere may not change queries of a server without tokens";
        return Problem::new(StatusCode::FORBIDDEN, "foreign-origin", detail)
            .hint("start the server with --tokens FILE, and let the page send one")
            .into_response();
    }
    next.run(request).await
}

/// Whether a request comes from a page of this machine, or from no page at all.
fn is_local(headers: &HeaderMap) -> bool {
    let host = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let origin =
        host(ORIGIN).map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    [origin, host(HOST)]
        .into_iter()
        .flatten()
        .all(is_local_host)
}

/// Whether a host, maybe with a port, is this machine.
fn is_local_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine_are_known() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:4437",
            "127.1.2.3",
            "[::1]:80",
        ] {
            assert!(is_local_host(host), "{host}");
        }
        for host in [
            "",
            "null",
            "example.org",
            "localhost.example.org:80",
            "10.0.0.1",
            "[::2]:80",
            "?",
        ] {
            assert!(!is_local_host(host), "{host}");
        }
    }
}
