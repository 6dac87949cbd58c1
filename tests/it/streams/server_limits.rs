//! What the server does not take, and who may do what.

use std::time::Duration;

use tailwater::server::{Error, Limits, Server, Token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::server_help::Streams;

const JSON: &str = "application/json";

async fn limited(change: impl FnOnce(&mut Limits)) -> Server {
    let mut limits = Limits::default();
    change(&mut limits);
    Server::builder().limits(limits).start().await.unwrap()
}

/// What a connection answers to bytes, until it is closed.
async fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
    let _ = read.await.expect("the connection is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn bodies_are_bounded() {
    let server = limited(|limits| limits.body = 1000).await;
    let streams = Streams::of(&server);
    assert_eq!(
        streams
            .put("s", "text/plain", &"x".repeat(1000))
            .await
            .status,
        201
    );
    let answer = streams.post("s", "text/plain", &"x".repeat(1001)).await;
    assert_eq!(answer.status, 413);
    assert!(
        answer.body.contains("larger than 1000 bytes"),
        "{}",
        answer.body
    );
    // Without a length, too.
    let head = "POST /v1/stream/s HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n\
                connection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let body = format!(
        "{head}300\r\n{0}\r\n300\r\n{0}\r\n0\r\n\r\n",
        "x".repeat(0x300)
    );
    assert!(
        raw(&server, body.as_bytes())
            .await
            .starts_with("HTTP/1.1 413 ")
    );
}

#[tokio::test]
async fn large_bodies_get_their_turn() {
    let server = limited(|limits| limits.body = 100 << 10).await;
    let streams = Streams::of(&server);
    streams.put("s", "text/plain", "").await;
    let body = "x".repeat(100 << 10);
    let all = (0..40).map(|_| {
        let (streams, body) = (streams.clone(), body.clone());
        tokio::spawn(async move { streams.post("s", "text/plain", &body).await.status })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), 204);
    }
    assert_eq!(streams.content("s").await.len(), 40 * (100 << 10));
}

#[tokio::test]
async fn headers_and_paths_are_bounded() {
    let server = limited(|limits| limits.header_timeout = Duration::from_millis(300)).await;
    let streams = Streams::of(&server);
    let many = "x: y\r\n".repeat(100);
    let request = format!("GET /health HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    assert!(
        raw(&server, request.as_bytes())
            .await
            .starts_with("HTTP/1.1 431 ")
    );
    let long = format!(
        "GET /health HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "y".repeat(100_000)
    );
    assert!(
        raw(&server, long.as_bytes())
            .await
            .starts_with("HTTP/1.1 431 ")
    );
    // Slow ones are given up.
    raw(&server, b"GET /health HTTP/1.1\r\nhost:").await;
    let answer = streams.get(&"p".repeat(1025)).await;
    assert_eq!(answer.status, 414);
}

#[tokio::test]
async fn connections_are_bounded() {
    let server = limited(|limits| limits.connections = 2).await;
    let address = server.address();
    let held = (
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    );
    let answer = raw(&server, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(held);
    let freed = async {
        loop {
            let request = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            let answer = raw(&server, request).await;
            if answer.starts_with("HTTP/1.1 200 ") {
                return answer;
            }
        }
    };
    let answer = timeout(Duration::from_secs(5), freed).await.unwrap();
    assert!(
        answer.ends_with("{\"problems\":[],\"status\":\"ok\",\"streams\":0}"),
        "{answer}"
    );
}

#[tokio::test]
async fn streams_and_producers_are_bounded() {
    let server = limited(|limits| (limits.streams, limits.producers) = (2, 2)).await;
    let streams = Streams::of(&server);
    for (path, status) in [("a", 201), ("b", 201), ("c", 429), ("a", 200)] {
        assert_eq!(streams.put(path, JSON, "").await.status, status, "{path}");
    }
    for (producer, status) in [("p", 200), ("q", 200), ("r", 429), ("q", 204)] {
        let headers = [
            ("content-type", JSON),
            ("producer-id", producer),
            ("producer-epoch", "0"),
            ("producer-seq", "0"),
        ];
        let answer = streams.ask("POST", "a", &headers, "1").await;
        assert_eq!(answer.status, status, "{producer}: {answer:?}");
    }
    streams.ask("DELETE", "b", &[], "").await;
    assert_eq!(streams.put("c", JSON, "").await.status, 201);
}

#[tokio::test]
async fn responses_are_chunks_of_whole_appends() {
    let server = limited(|limits| limits.chunk = 10).await;
    let streams = Streams::of(&server);
    streams.put("s", "text/plain", "12345").await;
    for text in ["67890", "a", "long long long long", "b"] {
        streams.post("s", "text/plain", text).await;
    }
    streams
        .ask("POST", "s", &[("stream-closed", "true")], "")
        .await;
    let mut offset = "-1".to_owned();
    for (text, last) in [
        ("1234567890", false),
        ("a", false),
        ("long long long long", false),
        ("b", true),
    ] {
        let answer = streams.get(&format!("s?offset={offset}")).await;
        assert_eq!(answer.body, text);
        assert_eq!(
            (answer.has("stream-up-to-date"), answer.has("stream-closed")),
            (last, last)
        );
        // What cannot change may be kept.
        assert!(
            answer
                .header("cache-control")
                .unwrap()
                .starts_with("public, max-age=60")
        );
        offset = answer.next().to_owned();
    }
}

#[tokio::test]
async fn tokens_decide_who_may_do_what() {
    let server = Server::builder()
        .tokens([
            Token::new("reader").prefix("a").read(),
            Token::new("writer").prefix("a").write(),
            Token::new("admin").read().write(),
        ])
        .start()
        .await
        .unwrap();
    let nobody = Streams::of(&server);
    let [reader, writer, admin, stranger] =
        ["reader", "writer", "admin", "nobody"].map(|token| nobody.with_token(token));
    for streams in [&nobody, &stranger] {
        let answer = streams.get("a/s").await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(reader.put("a/s", JSON, "").await.status, 403);
    assert_eq!(writer.put("a/s", JSON, "[1]").await.status, 201);
    assert_eq!(writer.post("a/s", JSON, "[2]").await.status, 204);
    assert_eq!(writer.get("a/s").await.status, 403);
    assert_eq!(writer.put("ab", JSON, "").await.status, 403);
    let answer = reader.get("a/s?offset=-1").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "[1,2]"));
    // What some may not see is not for shared caches.
    admin
        .ask("POST", "a/s", &[("stream-closed", "true")], "")
        .await;
    let answer = reader.get("a/s?offset=-1").await;
    assert!(
        answer
            .header("cache-control")
            .unwrap()
            .starts_with("private"),
        "{answer:?}"
    );

    // Forking is reading, too.
    let fork = [("stream-forked-from", "/v1/stream/a/s")];
    assert_eq!(writer.ask("PUT", "a/f", &fork, "").await.status, 403);
    assert_eq!(admin.ask("PUT", "a/f", &fork, "").await.status, 201);
    assert_eq!(admin.ask("DELETE", "a/f", &[], "").await.status, 204);

    // Health and preflights need none.
    assert_eq!(nobody.ask("OPTIONS", "a/s", &[], "").await.status, 204);
    let health = reqwest::get(format!("{}/health", server.url()))
        .await
        .unwrap();
    assert_eq!(health.status(), 200);
}

#[tokio::test]
async fn an_open_server_is_for_this_machine() {
    let public = Server::builder().listen("0.0.0.0:0").start().await;
    assert!(matches!(public, Err(Error::Public { .. })), "{public:?}");
    Server::builder()
        .listen("0.0.0.0:0")
        .allow_public(true)
        .start()
        .await
        .unwrap();
    let token = Token::new("s3cret").read();
    Server::builder()
        .listen("0.0.0.0:0")
        .tokens([token])
        .start()
        .await
        .unwrap();
    let odd = Server::builder()
        .tokens([Token::new("a b").read()])
        .start()
        .await;
    assert!(matches!(odd, Err(Error::Token { index: 0, .. })), "{odd:?}");
    let taken = Server::start().await.unwrap();
    let again = Server::builder()
        .listen(taken.address().to_string())
        .start()
        .await;
    assert!(matches!(again, Err(Error::Listen { .. })), "{again:?}");
}
