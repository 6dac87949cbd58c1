//! Streams on disk outlive their server.

use std::time::{Duration, Instant};

use tailwater::server::{Error, Limits, Server};

use super::server_help::{Dir, Streams};

const JSON: &str = "application/json";

async fn start(dir: &Dir) -> (Server, Streams) {
    let mut limits = Limits::default();
    // So little that nearly all is read from the disk.
    (limits.recent, limits.chunk) = (1000, 500);
    let server = Server::builder()
        .data(dir.path())
        .limits(limits)
        .start()
        .await
        .unwrap();
    let streams = Streams::of(&server);
    (server, streams)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_there_after_a_restart() {
    let dir = Dir::new();
    let (server, streams) = start(&dir).await;
    let producer = |seq| {
        [
            ("content-type", JSON),
            ("producer-id", "p"),
            ("producer-epoch", "1"),
            ("producer-seq", seq),
        ]
    };
    streams
        .ask(
            "PUT",
            "s",
            &[
                ("content-type", "application/json; v=1"),
                ("stream-ttl", "60"),
            ],
            "",
        )
        .await;
    for number in 0..100 {
        let text = format!("[{number},{{\"n\":{number}}}]");
        streams.post("s", JSON, &text).await;
    }
    streams
        .ask(
            "POST",
            "s",
            &[("content-type", JSON), ("stream-seq", "m")],
            "\"seq\"",
        )
        .await;
    for seq in ["0", "1"] {
        assert_eq!(
            streams
                .ask("POST", "s", &producer(seq), "\"p\"")
                .await
                .status,
            200
        );
    }
    let fork = [
        ("stream-forked-from", "/v1/stream/s"),
        ("stream-fork-sub-offset", "1"),
        ("stream-fork-offset", "0000000000000000_0000000000000042"),
    ];
    assert_eq!(streams.ask("PUT", "f", &fork, "\"own\"").await.status, 201);
    let closed = [
        ("content-type", "text/plain"),
        ("stream-closed", "true"),
        ("stream-expires-at", "2100-01-01T00:00:00+01:00"),
    ];
    streams.ask("PUT", "closed", &closed, "done").await;
    streams.put("gone", JSON, "[1]").await;
    streams.ask("DELETE", "gone", &[], "").await;
    let before = (streams.content("s").await, streams.content("f").await);
    let heads = async |streams: &Streams| {
        let mut heads = Vec::new();
        for path in ["s", "f", "closed", "gone"] {
            let answer = streams.ask("HEAD", path, &[], "").await;
            let names = [
                "etag",
                "content-type",
                "stream-next-offset",
                "stream-ttl",
                "stream-expires-at",
                "stream-closed",
            ];
            heads.push((
                answer.status,
                names.map(|name| answer.header(name).map(str::to_owned)),
            ));
        }
        heads
    };
    let heads_before = heads(&streams).await;
    server.shutdown().await;

    let (server, streams) = start(&dir).await;
    assert_eq!(
        (streams.content("s").await, streams.content("f").await),
        before
    );
    assert_eq!(heads(&streams).await, heads_before);
    // What was known still is.
    let seq = |seq| [("content-type", JSON), ("stream-seq", seq)];
    assert_eq!(streams.ask("POST", "s", &seq("m"), "1").await.status, 409);
    assert_eq!(
        streams
            .ask("POST", "s", &producer("1"), "\"p\"")
            .await
            .status,
        204
    );
    assert_eq!(
        streams
            .ask("POST", "s", &producer("2"), "\"p\"")
            .await
            .status,
        200
    );
    assert_eq!(streams.post("closed", "text/plain", "x").await.status, 409);
    assert_eq!(streams.ask("PUT", "f", &fork, "").await.status, 200);
    assert_eq!(streams.ask("PUT", "closed", &closed, "").await.status, 200);
    // A new stream is another one than any before.
    streams.put("gone", JSON, "[1]").await;
    assert_eq!(streams.ask("DELETE", "s", &[], "").await.status, 204);
    assert_eq!(streams.get("s").await.status, 410);
    server.shutdown().await;

    let (server, streams) = start(&dir).await;
    assert_eq!(streams.get("s").await.status, 410);
    assert_eq!(streams.content("f").await, before.1);
    assert_eq!(streams.ask("DELETE", "f", &[], "").await.status, 204);
    assert_eq!(streams.get("s").await.status, 404);
    server.shutdown().await;

    let (_server, streams) = start(&dir).await;
    for (path, status) in [("s", 404), ("f", 404), ("closed", 200), ("gone", 200)] {
        assert_eq!(streams.get(path).await.status, status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_runs_out_on_disk_too() {
    let dir = Dir::new();
    let (server, streams) = start(&dir).await;
    let ttl = |seconds| [("content-type", JSON), ("stream-ttl", seconds)];
    streams.ask("PUT", "short", &ttl("2"), "[1]").await;
    let fork = [
        ("stream-forked-from", "/v1/stream/short"),
        ("stream-ttl", "1000"),
    ];
    streams.ask("PUT", "fork", &fork, "").await;
    streams.ask("PUT", "other", &ttl("2"), "[1]").await;
    server.shutdown().await;
    // The window starts anew.
    let since = Instant::now();
    let (server, streams) = start(&dir).await;
    while streams.ask("HEAD", "other", &[], "").await.status == 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert_eq!(streams.get("short").await.status, 410);
    assert_eq!(streams.content("fork").await, "1");
    assert_eq!(streams.put("other", "text/plain", "").await.status, 201);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_for_one_server() {
    let dir = Dir::new();
    let (server, _) = start(&dir).await;
    let second = Server::builder().data(dir.path()).start().await;
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
    server.shutdown().await;
    start(&dir).await;
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let in_a_file = Server::builder().data(&file).start().await;
    assert!(
        matches!(in_a_file, Err(Error::Data { .. })),
        "{in_a_file:?}"
    );
}
