//! Requests that are too large, too many or no requests: each gets an answer that says so, and the
//! server goes on.

use serde_json::json;
use tailwater::server::{Limits, Queries};

use super::support::{Site, builder, from, raw, start};

const END: &str = "host: localhost\r\nconnection: close\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_queries_are_bounded() {
    let mut limits = Limits::default();
    limits.body = 4 << 20;
    let server = builder()
        .limits(limits)
        .queries(Queries::new())
        .start()
        .await
        .unwrap();
    let site = Site::at(&server);
    let query = json!({"from": from("t", "t"), "select": {"x": {"type": "val", "value": "x".repeat(1 << 20)}}});
    let answer = site.register("q", query).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad-query"));
    assert!(
        answer.body.contains("more than 1048576 bytes"),
        "{answer:?}"
    );
    let answer = site
        .register(
            "q",
            json!(format!("SELECT '{}' AS x FROM t", "x".repeat(1 << 20))),
        )
        .await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad-query"));
    // What is announced to be too large is not waited for.
    for (path, length) in [("/v1/query", 3 << 20), ("/v1/stream/events", 5 << 20)] {
        let head = format!("POST {path} HTTP/1.1\r\n{END}content-type: application/json\r\n");
        let request = format!("{head}content-length: {length}\r\n\r\n");
        let answer = raw(&server, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 413 ") && answer.contains("too-large"),
            "{answer}"
        );
    }
    for body in [
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
        format!("{{\"name\":\"q\",\"query\":{}", "[".repeat(100_000)),
    ] {
        for (method, path) in [
            ("POST", "/v1/query"),
            ("PUT", "/v1/query/q"),
            ("POST", "/v1/stream/events"),
        ] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\n{END}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = raw(&server, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        }
    }
    // What could not be read again after a restart is not taken.
    let sql = "SELECT a FROM t EXCEPT ".repeat(60) + "SELECT a FROM t";
    let answer = site.register("q", json!(sql)).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "bad-query"),
        "{answer:?}"
    );
    assert_eq!(
        site.register("q", json!({"from": from("t", "t")}))
            .await
            .status,
        201
    );
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_bounded() {
    let (server, site) = start(Vec::new()).await;
    for (head, status) in [
        (
            format!("GET /health HTTP/1.1\r\n{END}{}", "x: y\r\n".repeat(200)),
            "431",
        ),
        (
            format!(
                "GET /health HTTP/1.1\r\n{END}x: {}\r\n",
                "y".repeat(100_000)
            ),
            "431",
        ),
        (
            format!(
                "GET /health HTTP/1.1\r\n{END}{}: y\r\n",
                "x".repeat(100_000)
            ),
            "431",
        ),
        (
            format!("GET /v1/stream/{} HTTP/1.1\r\n{END}", "p".repeat(2000)),
            "414",
        ),
        (
            format!("GET /{} HTTP/1.1\r\n{END}", "p".repeat(100_000)),
            "4",
        ),
        (
            format!("GET /health?{} HTTP/1.1\r\n{END}", "live=&".repeat(4000)),
            "200",
        ),
        (
            format!(
                "PUT /v1/stream/a HTTP/1.1\r\n{END}content-length: 0\r\nstream-ttl: {}\r\n",
                "9".repeat(1000)
            ),
            "400",
        ),
        (
            format!(
                "PUT /v1/stream/a HTTP/1.1\r\n{END}content-length: 0\r\nstream-expires-at: {}\r\n",
                "9".repeat(1000)
            ),
            "400",
        ),
        (
            format!(
                "POST /v1/stream/shop/orders HTTP/1.1\r\n{END}content-length: 1\r\nproducer-id: {}\r\nproducer-epoch: 0\r\nproducer-seq: 0\r\n",
                "p".repeat(2000)
            ),
            "400",
        ),
        (
            format!(
                "POST /v1/stream/shop/orders HTTP/1.1\r\n{END}content-length: 99999999999999999999\r\n"
            ),
            "400",
        ),
        (
            format!(
                "POST /v1/stream/shop/orders HTTP/1.1\r\n{END}content-length: 18446744073709551614\r\n"
            ),
            "4",
        ),
        (
            format!(
                "GET /v1/stream/shop/orders?offset={} HTTP/1.1\r\n{END}",
                "9".repeat(5000)
            ),
            "400",
        ),
        (
            format!(
                "GET /v1/query/q?offset={} HTTP/1.1\r\n{END}",
                "9".repeat(5000)
            ),
            "404",
        ),
        (format!("{} / HTTP/1.1\r\n{END}", "G".repeat(50_000)), "4"),
        ("\0\u{1}\u{2}".to_owned(), "4"),
        ("GET / HTTP/9.9\r\n".to_owned(), "4"),
    ] {
        let shown: String = head.chars().take(80).collect();
        let answer = raw(&server, format!("{head}\r\n").as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{shown}: {answer}"
        );
    }
    assert_eq!(site.get("/health").await.status, 200);
    server.shutdown().await;
}
