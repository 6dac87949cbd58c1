//! Clients that ask for more than their part.

use serde_json::json;
use tailwater::server::{Limits, Queries, Server, Token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::support::{Site, builder, from, in_time, raw};

async fn start(tokens: Vec<Token>, change: impl FnOnce(&mut Limits)) -> (Server, Site) {
    let mut limits = Limits::default();
    change(&mut limits);
    let builder = builder().tokens(tokens).limits(limits);
    let server = builder
        .queries(Queries::new().stream("s"))
        .start()
        .await
        .unwrap();
    let site = Site::at(&server);
    (server, site)
}

/// A reader that waits, once it was told that it is connected.
async fn follow(server: &Server, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = format!(
        "GET /v1/query/q?offset=now&live=sse HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(7).any(|part| part == b"control") {
        let mut part = [0; 4096];
        let read = in_time(stream.read(&mut part)).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..read]);
    }
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_token_are_bounded() {
    let tokens = vec![Token::new("a").read().write(), Token::new("b").read()];
    let (server, nobody) = start(tokens, |limits| limits.readers_per_client = 2).await;
    let [a, b] = ["a", "b"].map(|token| nobody.with_token(token));
    assert_eq!(
        a.register("q", json!({"from": from("t", "t")}))
            .await
            .status,
        201
    );
    let held = (follow(&server, "a").await, follow(&server, "a").await);
    let answer = a.get("/v1/query/q?offset=now&live=sse").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (429, "too-many-requests")
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.body.contains("one connection"), "{answer:?}");
    assert_eq!(
        a.get("/v1/stream/s?offset=now&live=long-poll").await.status,
        429
    );
    // Others, and requests that do not wait, are not concerned.
    drop(follow(&server, "b").await);
    assert_eq!(a.get("/v1/query/q/rows").await.status, 200);
    assert_eq!(b.get("/v1/query/q/rows").await.status, 200);
    drop(held);
    in_time(async {
        while a.get("/v1/query/q?offset=-1&live=long-poll").await.status == 429 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_an_address_are_bounded() {
    let (server, site) = start(Vec::new(), |limits| limits.requests_per_client = 1).await;
    // A request that is not at its end.
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    let head = "PUT /v1/stream/x HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n1";
    slow.write_all(head.as_bytes()).await.unwrap();
    in_time(async {
        while site.get("/v1/query").await.status != 429 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    slow.write_all(b"2").await.unwrap();
    in_time(async {
        while site.get("/v1/query").await.status != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The server's own reading is none of it.
    assert_eq!(
        site.register("q", json!({"from": from("t", "t")}))
            .await
            .status,
        201
    );
    assert_eq!(site.get("/v1/query/q/rows").await.status, 200);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_an_address_are_bounded() {
    let (server, _) = start(Vec::new(), |limits| limits.connections_per_client = 2).await;
    let connect = || TcpStream::connect(server.address());
    let held = (connect().await.unwrap(), connect().await.unwrap());
    let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = raw(&server, request).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("content-length: {}", body.len())),
        "{answer}"
    );
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["code"], "too-many-connections");
    drop(held);
    in_time(async {
        while !raw(&server, request).await.starts_with("HTTP/1.1 200 ") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_of_a_token_are_bounded() {
    let tokens = vec![
        Token::new("admin").read().write(),
        Token::new("a")
            .read_queries(["a-*"])
            .register_queries(["a-*"]),
        Token::new("b")
            .read_queries(["b-*"])
            .register_queries(["b-*"]),
    ];
    let (server, nobody) = start(tokens, |limits| limits.queries_per_token = 2).await;
    let [admin, a, b] = ["admin", "a", "b"].map(|token| nobody.with_token(token));
    let all = || json!({"from": from("t", "t")});
    for (site, name, status) in [
        (&a, "a-1", 201),
        (&a, "a-2", 201),
        (&a, "a-3", 429),
        (&b, "b-1", 201),
        (&admin, "a-3", 201),
    ] {
        let answer = site.register(name, all()).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
    }
    let answer = a.register("a-4", all()).await;
    assert_eq!(answer.code(), "too-many-queries");
    assert!(answer.body.contains("DELETE"), "{answer:?}");
    let replace = json!({"query": {"from": from("t", "t"), "limit": 1}});
    assert_eq!(
        a.send("PUT", "/v1/query/a-1", &[], Some(&replace))
            .await
            .status,
        200
    );
    for name in ["a-1", "a-2"] {
        assert_eq!(
            a.send("DELETE", &format!("/v1/query/{name}"), &[], None)
                .await
                .status,
            204
        );
    }
    assert_eq!(a.register("a-4", all()).await.status, 201);
    server.shutdown().await;
}
