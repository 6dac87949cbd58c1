//! Pages of other origins: what they learn, and what they may do.

use serde_json::json;
use tailwater::server::{Error, Queries, Server, Token};

use super::support::{Site, builder, from};

async fn start(cors: &[&str], tokens: Vec<Token>) -> (Server, Site) {
    let builder = builder().cors(cors.iter().copied()).tokens(tokens);
    let server = builder.queries(Queries::new()).start().await.unwrap();
    let site = Site::at(&server);
    (server, site)
}

/// What a page of an origin is told that it may read.
async fn told(site: &Site, path: &str, origin: &str) -> (u16, Option<String>, String) {
    let answer = site.send("GET", path, &[("origin", origin)], None).await;
    let allowed = answer
        .header("access-control-allow-origin")
        .map(str::to_owned);
    let resource = answer
        .header("cross-origin-resource-policy")
        .unwrap()
        .to_owned();
    (answer.status, allowed, resource)
}

#[tokio::test]
async fn pages_of_this_machine_and_listed_ones_read() {
    let (server, site) = start(&["https://app.example.org"], Vec::new()).await;
    for path in [
        "/v1/query",
        "/health",
        "/v1/stream/events?offset=-1",
        "/nothing",
    ] {
        for (origin, reads) in [
            ("http://localhost:5173", true),
            ("https://app.example.org", true),
            ("http://app.example.org", false),
            ("https://example.org", false),
            ("null", false),
        ] {
            let (_, allowed, resource) = told(&site, path, origin).await;
            assert_eq!(
                allowed.as_deref(),
                reads.then_some(origin),
                "{path} {origin}"
            );
            assert_eq!(resource == "cross-origin", reads, "{path} {origin}");
        }
        let answer = site.get(path).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            None,
            "no page asks"
        );
        assert!(
            answer
                .headers
                .get_all("vary")
                .iter()
                .any(|vary| vary == "origin")
        );
    }
    let preflight = site
        .send(
            "OPTIONS",
            "/v1/query",
            &[("origin", "https://app.example.org")],
            None,
        )
        .await;
    assert_eq!(
        preflight.header("access-control-allow-origin"),
        Some("https://app.example.org")
    );
    assert!(
        preflight
            .header("access-control-allow-methods")
            .unwrap()
            .contains("POST")
    );
    let preflight = site
        .send(
            "OPTIONS",
            "/v1/query",
            &[("origin", "https://evil.org")],
            None,
        )
        .await;
    assert_eq!(preflight.header("access-control-allow-origin"), None);
    server.shutdown().await;
}

#[tokio::test]
async fn pages_from_elsewhere_change_nothing_without_tokens() {
    let (server, site) = start(&["https://app.example.org"], Vec::new()).await;
    let query = json!({"name": "q", "query": {"from": from("t", "t")}});
    for (origin, allowed) in [
        ("https://evil.org", false),
        ("null", false),
        ("https://app.example.org", true),
        ("http://127.0.0.1:8080", true),
    ] {
        for (method, path, body) in [
            ("PUT", "/v1/stream/s", json!([])),
            ("POST", "/v1/stream/events", json!([1])),
            ("POST", "/v1/query", query.clone()),
        ] {
            let answer = site
                .send(method, path, &[("origin", origin)], Some(&body))
                .await;
            assert_eq!(
                answer.status == 403,
                !allowed,
                "{origin} {path}: {answer:?}"
            );
            if !allowed {
                assert_eq!(answer.code(), "foreign-origin");
            }
        }
    }
    // A name that was made to lead here is none of the server's.
    for (host, status) in [
        ("evil.org", 403),
        ("localhost:1", 200),
        ("app.example.org", 200),
    ] {
        let answer = site.send("GET", "/v1/query", &[("host", host)], None).await;
        assert_eq!(answer.status, status, "{host}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn all_pages_read_if_that_is_chosen() {
    let (server, site) = start(&["*"], Vec::new()).await;
    let (status, allowed, resource) = told(&site, "/v1/query", "https://anything.org").await;
    assert_eq!(
        (status, allowed.as_deref(), &*resource),
        (200, Some("*"), "cross-origin")
    );
    server.shutdown().await;
    // With tokens, pages need one, whatever their origin is.
    let (server, site) = start(&[], vec![Token::new("t").read().write()]).await;
    assert_eq!(
        told(&site, "/v1/query", "https://anything.org").await.0,
        401
    );
    let body = json!({"name": "q", "query": {"from": from("t", "t")}});
    let origin = [("origin", "https://anything.org")];
    let site = site.with_token("t");
    assert_eq!(
        site.send("POST", "/v1/query", &origin, Some(&body))
            .await
            .status,
        201
    );
    server.shutdown().await;
    let wrong = Server::builder().cors(["example.org/x"]).start().await;
    assert!(matches!(wrong, Err(Error::Origin { .. })), "{wrong:?}");
}
