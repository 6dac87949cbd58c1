//! Readers that follow a stream: what they see, what they share, and when they are ended.

use std::time::{Duration, Instant};

use reqwest::{Response, Version};
use tailwater::server::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::server_help::{Dir, Streams};

const SOON: Duration = Duration::from_secs(5);

/// Server-sent events, as they come.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn open(streams: &Streams, path: &str, offset: &str) -> Events {
        let request = streams.request("GET", &format!("{path}?live=sse&offset={offset}"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Events {
            response,
            text: String::new(),
        }
    }

    /// All that came, once a text did; or once the connection ended, if it did not.
    async fn until(&mut self, text: &str) -> &str {
        while !self.text.contains(text) {
            match timeout(SOON, self.response.chunk())
                .await
                .expect(text)
                .unwrap()
            {
                Some(chunk) => self.text += std::str::from_utf8(&chunk).unwrap(),
                None => break,
            }
        }
        &self.text
    }

    /// The payloads of the data events.
    fn data(&self) -> String {
        let events = self.text.split("\n\n").filter_map(|event| {
            let lines = event.strip_prefix("event: data\n")?.lines();
            let lines = lines.map(|line| line.strip_prefix("data:").unwrap());
            Some(lines.collect::<Vec<_>>().join("\n"))
        });
        events.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_see_the_same_events() {
    let server = Server::start().await.unwrap();
    let streams = Streams::of(&server);
    streams.put("s", "text/plain", "begin ").await;
    let mut readers = Vec::new();
    for _ in 0..200 {
        readers.push(Events::open(&streams, "s", "-1").await);
    }
    for number in 0..50 {
        assert_eq!(
            streams
                .post("s", "text/plain", &format!("{number} "))
                .await
                .status,
            204
        );
    }
    streams
        .ask("POST", "s", &[("stream-closed", "true")], "")
        .await;
    let expected = streams.content("s").await;
    for reader in &mut readers {
        let text = reader.until("no such text").await;
        assert!(
            text.ends_with("\"streamClosed\":true,\"upToDate\":true}\n\n"),
            "{text}"
        );
        assert_eq!(reader.data(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_of_http_2_is_enough() {
    let server = Server::start().await.unwrap();
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let url = server.stream_url("s");
    let created = client
        .put(&url)
        .header("content-type", "text/plain")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (created.status().as_u16(), created.version()),
        (201, Version::HTTP_2)
    );
    assert_eq!(created.headers()["location"], url);
    let live = client
        .get(format!("{url}?offset=-1&live=sse"))
        .send()
        .await
        .unwrap();
    let mut live = Events {
        response: live,
        text: String::new(),
    };
    live.until("upToDate").await;
    for number in 0..20 {
        let append = client.post(&url).header("content-type", "text/plain");
        append
            .body(number.to_string())
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
    }
    live.until("19\n").await;
    server.shutdown().await;
    // Appends that come close together may be one event.
    let all = live.until("no such text").await;
    let data = all.split("event: data\ndata:").skip(1);
    let text: String = data.filter_map(|event| event.lines().next()).collect();
    assert_eq!(
        text,
        (0..20).map(|number| number.to_string()).collect::<String>()
    );
}

#[tokio::test]
async fn events_never_split_characters() {
    let server = Server::start().await.unwrap();
    let streams = Streams::of(&server);
    streams.put("s", "text/plain", "").await;
    let mut reader = Events::open(&streams, "s", "-1").await;
    reader.until("upToDate").await;
    for bytes in [&b"a\xf0\x9f"[..], b"\x98", b"\x80b\xc3", b"\xa4\xff"] {
        streams
            .ask(
                "POST",
                "s",
                &[("content-type", "text/plain")],
                bytes.to_vec(),
            )
            .await;
        sleep(Duration::from_millis(50)).await;
    }
    streams
        .ask("POST", "s", &[("stream-closed", "true")], "")
        .await;
    reader.until("streamClosed").await;
    assert_eq!(reader.data(), "a😀bä\u{fffd}");
}

#[tokio::test]
async fn an_append_wakes_a_long_poll_and_others_do_not() {
    let server = Server::start().await.unwrap();
    let streams = Streams::of(&server);
    streams.put("s", "application/json", "[1,2]").await;
    let waits =
        |streams: Streams, path: &'static str| tokio::spawn(async move { streams.get(path).await });
    let waiting = waits(streams.clone(), "s?offset=now&live=long-poll");
    sleep(Duration::from_millis(100)).await;
    streams.put("other", "application/json", "[9]").await;
    sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    streams.post("s", "application/json", "[3,[4]]").await;
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "[3,[4]]"));
    assert!(answer.has("stream-cursor") && answer.has("stream-up-to-date"));

    // Deletion ends waiting, too.
    let waiting = waits(streams.clone(), "s?offset=now&live=long-poll");
    sleep(Duration::from_millis(100)).await;
    streams.ask("DELETE", "s", &[], "").await;
    assert_eq!(waiting.await.unwrap().status, 404);
}

#[tokio::test]
async fn connections_with_events_live_so_long() {
    let server = Server::builder()
        .sse_lifetime(Duration::from_millis(700))
        .sse_keep_alive(Duration::from_millis(200))
        .start()
        .await
        .unwrap();
    let streams = Streams::of(&server);
    streams.put("s", "text/plain", "").await;
    let since = Instant::now();
    let mut reader = Events::open(&streams, "s", "now").await;
    let text = reader.until("no such text").await;
    assert!(text.matches(": keep-alive\n\n").count() >= 2, "{text}");
    let took = since.elapsed();
    assert!(
        took >= Duration::from_millis(700) && took < SOON,
        "{took:?}"
    );

    let mut reader = Events::open(&streams, "s", "now").await;
    reader.until("upToDate").await;
    streams.ask("DELETE", "s", &[], "").await;
    assert!(!reader.until("no such text").await.contains("streamClosed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_live_readers_at_once() {
    let dir = Dir::new();
    let server = Server::builder().data(dir.path()).start().await.unwrap();
    let streams = Streams::of(&server);
    streams.put("s", "text/plain", "x").await;
    let mut reader = Events::open(&streams, "s", "-1").await;
    reader.until("upToDate").await;
    let polling = {
        let streams = streams.clone();
        tokio::spawn(async move { streams.get("s?offset=now&live=long-poll").await })
    };
    sleep(Duration::from_millis(100)).await;
    let since = Instant::now();
    server.shutdown().await;
    assert!(
        since.elapsed() < Duration::from_secs(2),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(polling.await.unwrap().status, 204);
    reader.until("no such text").await;
    // The directory is free again.
    Server::builder().data(dir.path()).start().await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_ends() {
    let server = Server::start().await.unwrap();
    let address = server.address();
    drop(server);
    let ended = async {
        while TcpStream::connect(address).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, ended).await.unwrap();
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_given_up() {
    let mut limits = tailwater::server::Limits::default();
    limits.write_timeout = Duration::from_millis(300);
    let server = Server::builder().limits(limits).start().await.unwrap();
    let streams = Streams::of(&server);
    streams.put("s", "application/octet-stream", "").await;
    let piece = vec![7u8; 8 << 20];
    for _ in 0..4 {
        let headers = [("content-type", "application/octet-stream")];
        assert_eq!(
            streams
                .ask("POST", "s", &headers, piece.clone())
                .await
                .status,
            204
        );
    }
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = "GET /v1/stream/s?offset=-1&live=sse HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    // What the buffers of the system held comes, but not all of the stream.
    let mut all = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut all))
        .await
        .expect("the connection ends");
    assert!(all.len() < 30 << 20, "{}", all.len());
}
