//! Pages of which origins may do what.
//!
//! A browser lets every page that it shows send requests to every server that it can reach; what
//! the answer is, a page learns only if the server allows it. Pages of this machine may, and those
//! of origins that are listed.
//!
//! A server without tokens that this machine alone can reach takes nothing but reading from pages of
//! other origins, and nothing at all under a foreign name, so that no page that is shown here reads
//! or changes what is meant for this machine.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HOST, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::{App, headers};
use crate::server::Error;

/// The origins whose pages may learn what answers say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    any: bool,
    listed: Vec<String>,
}

impl Origins {
    /// Those of this machine, and some more; `*` is all.
    pub(crate) fn new(listed: Vec<String>) -> Result<Origins, Error> {
        let mut origins = Origins::default();
        for origin in listed {
            if origin == "*" {
                origins.any = true;
                continue;
            }
            let host = origin.split_once("://").map(|(_, host)| host);
            let plain = |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
            if !host.is_some_and(plain) || HeaderValue::from_str(&origin).is_err() {
                return Err(Error::Origin { origin });
            }
            origins.listed.push(origin.to_ascii_lowercase());
        }
        Ok(origins)
    }

    /// Whether pages of an origin may learn what answers say.
    fn allow(&self, origin: &str) -> bool {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        self.any || is_local_host(host) || self.lists(|listed| listed.eq_ignore_ascii_case(origin))
    }

    /// Whether the server may be asked under a name.
    fn allow_host(&self, host: &str) -> bool {
        let named = |listed: &str| {
            let own = listed.split_once("://").map_or(listed, |(_, host)| host);
            own.eq_ignore_ascii_case(host)
        };
        // A name without a dot is none that a page from elsewhere could have.
        let plain = !name(host).contains(['.', ':', '?']);
        self.any || plain || is_local_host(host) || self.lists(named)
    }

    fn lists(&self, what: impl Fn(&str) -> bool) -> bool {
        self.listed.iter().any(|listed| what(listed))
    }
}

/// A header's value as text; what is no text is no host and no origin.
fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.map(|value| value.to_str().unwrap_or("?"))
}

/// Refuses what pages of other origins may not do, and tells browsers what they may.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = match refuse(&app, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    common(response.headers_mut(), &app.origins, origin);
    response
}

fn refuse(app: &App, request: &Request) -> Option<Problem> {
    // Pages have no tokens unless they are given some.
    if !app.tokens.is_empty() || !app.address.ip().is_loopback() {
        return None;
    }
    let origins = &app.origins;
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    let host = text(request.headers().get(HOST));
    if let Some(host) = [host, authority]
        .into_iter()
        .flatten()
        .find(|host| !origins.allow_host(host))
    {
        let detail = format!("a server without tokens does not answer under the name `{host}`");
        let problem = Problem::new(StatusCode::FORBIDDEN, "foreign-host", detail);
        return Some(
            problem
                .hint("use localhost, start it with --tokens FILE, or with --cors and the origin"),
        );
    }
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let origin = text(request.headers().get(ORIGIN));
    if !reads && origin.is_some_and(|origin| !origins.allow(origin)) {
        let detail = "a page from elsewhere may not change what a server without tokens has";
        let problem = Problem::new(StatusCode::FORBIDDEN, "foreign-origin", detail);
        return Some(problem.hint("start the server with --tokens FILE, and let the page send one, or with --cors and its origin"));
    }
    None
}

/// A host without its port.
fn name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Whether a host, maybe with a port, is this machine.
fn is_local_host(host: &str) -> bool {
    let name = name(host);
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// The headers of all responses.
fn common(out: &mut HeaderMap, origins: &Origins, origin: Option<HeaderValue>) {
    out.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let allowed = match origins.any {
        true => Some(HeaderValue::from_static("*")),
        false => origin.filter(|origin| text(Some(origin)).is_some_and(|text| origins.allow(text))),
    };
    if !origins.any {
        out.append(VARY, HeaderValue::from_static("origin"));
    }
    let resource = if allowed.is_some() {
        "cross-origin"
    } else {
        "same-origin"
    };
    out.insert(headers::RESOURCE_POLICY, HeaderValue::from_static(resource));
    let Some(allowed) = allowed else {
        return;
    };
    out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    out.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "stream-next-offset, stream-cursor, stream-up-to-date, stream-closed, stream-ttl, \
             stream-expires-at, stream-sse-data-encoding, producer-epoch, producer-seq, \
             producer-expected-seq, producer-received-seq, etag, location, retry-after",
        ),
    );
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

    #[test]
    fn origins_are_listed_or_of_this_machine() {
        let origins = |listed: &[&str]| {
            Origins::new(listed.iter().map(|origin| (*origin).to_owned()).collect())
        };
        for wrong in [
            "",
            "example.org",
            "https://",
            "https://a/b",
            "https://a@b",
            "a://\n",
        ] {
            assert!(origins(&[wrong]).is_err(), "{wrong}");
        }
        let some = origins(&["https://example.org", "http://a.b:81"]).unwrap();
        for (origin, allowed) in [
            ("https://example.org", true),
            ("HTTPS://EXAMPLE.ORG", true),
            ("http://example.org", false),
            ("https://example.org:444", false),
            ("https://example.org.evil", false),
            ("http://a.b:81", true),
            ("http://a.b", false),
            ("http://localhost:5173", true),
            ("null", false),
            ("?", false),
        ] {
            assert_eq!(some.allow(origin), allowed, "{origin}");
        }
        for (host, allowed) in [
            ("example.org", true),
            ("a.b:81", true),
            ("tailwater:4437", true),
            ("evil.org", false),
            ("[::2]:80", false),
            ("?", false),
        ] {
            assert_eq!(some.allow_host(host), allowed, "{host}");
        }
        assert!(origins(&["*"]).unwrap().allow("null"));
    }
}
