//! Sources that fail and come back, queries that do not hold.

use serde_json::json;
use tailwater::server::{Queries, Server};

use super::support::{Site, builder, put, until};
use crate::streams::server_cli::Program;
use crate::streams::server_help::Dir;
use crate::support::{free_address, from};

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_stale_while_the_source_is_away() {
    let dir = Dir::new();
    let upstream = async |address: &str| {
        let server = Server::builder().listen(address).data(dir.path());
        server.start().await.unwrap()
    };
    let far = upstream("127.0.0.1:0").await;
    let address = far.address().to_string();
    let source = Site::at(&far.url());
    let url = far.stream_url("events");
    let (near, site) = Site::start(Queries::new().upstream(&url)).await;
    site.query("all", &json!({"from": from("t")})).await;
    // There is no such stream yet.
    let error = site.await_state("all", "error").await;
    assert_eq!(error["status"]["error"], format!("no stream at {url}"));
    assert_eq!(site.get("/v1/query/all?offset=-1").await.status, 503);
    let first = json!([put("t", "1", json!({}))]);
    let created = source.send("PUT", "/v1/stream/events", Some(&first));
    assert_eq!(created.await.status, 201);
    site.await_state("all", "live").await;
    site.await_rows("all", |rows| rows.len() == 1).await;
    let offset = site
        .get("/v1/query/all?offset=now")
        .await
        .header("stream-next-offset")
        .to_owned();

    far.shutdown().await;
    let stale = site.await_state("all", "stale").await;
    assert!(stale["status"]["error"].is_string(), "{stale}");
    assert_eq!(site.rows("all").await.len(), 1, "the rows are still there");

    let far = upstream(&address).await;
    site.await_state("all", "live").await;
    source.append(&[put("t", "2", json!({}))]).await;
    site.await_rows("all", |rows| rows.len() == 2).await;
    // It was one result all the time.
    let answer = site.get(&format!("/v1/query/all?offset={offset}")).await;
    assert_eq!(
        (answer.status, answer.json().as_array().unwrap().len()),
        (200, 1)
    );

    source.send("DELETE", "/v1/stream/events", None).await;
    until(async || {
        let stale = site.await_state("all", "stale").await;
        let error = stale["status"]["error"].as_str().unwrap_or_default();
        error.contains("no stream").then_some(())
    })
    .await;
    let first = json!([put("t", "7", json!({}))]);
    let created = source.send("PUT", "/v1/stream/events", Some(&first));
    assert_eq!(created.await.status, 201);
    site.await_state("all", "live").await;
    site.await_rows("all", |rows| rows.len() == 1 && rows[0].0 == "7")
        .await;
    near.shutdown().await;
    far.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_ends_stays_as_it_is() {
    let (server, site) = Site::start(Queries::new()).await;
    site.query("all", &json!({"from": from("t")})).await;
    site.append(&[put("t", "1", json!({}))]).await;
    let close = reqwest::Client::new()
        .post(format!("{}/v1/stream/events", site.url))
        .header("stream-closed", "true")
        .send();
    assert_eq!(close.await.unwrap().status(), 204);
    let ended = site.await_state("all", "ended").await;
    assert_eq!(ended["rows"], 1);
    assert_eq!(
        site.get("/v1/query/all?offset=-1")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        3
    );
    site.query("later", &json!({"from": from("t")})).await;
    assert_eq!(site.rows("later").await.len(), 1);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_message_and_one_bad_query_stop_nothing() {
    let (server, site) = Site::start(Queries::new()).await;
    site.query("all", &json!({"from": from("t")})).await;
    let bad = json!({"name": "bad", "query": {"from": from("t"), "limit": -1}});
    assert_eq!(site.send("POST", "/v1/query", Some(&bad)).await.status, 400);
    site.append(&[json!({"foo": 1}), put("t", "1", json!({"x": 1})), json!(7)])
        .await;
    site.await_rows("all", |rows| rows.len() == 1).await;
    let all = site.await_state("all", "live").await;
    assert_eq!((&all["rows"], &all["skipped"]), (&json!(1), &json!(2)));
    let letters = site.get("/v1/dead-letters").await.json();
    let source = &letters["sources"][0];
    assert_eq!(
        (&source["source"], &source["total"]),
        (&json!("events"), &json!(2))
    );
    let reasons: Vec<&str> = source["latest"]
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| letter["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "field `headers` is missing",
            "a message must be an object, not a number"
        ]
    );
    server.shutdown().await;
}

/// The server dies at any moment; a chained one shows its rows as stale, and goes on when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_heals_when_the_first_server_was_killed() {
    let dir = Dir::new();
    let data = dir.path().to_str().unwrap().to_owned();
    let listen = free_address();
    let start = || Program::start_at(&listen, &["--data", &data, "--long-poll-ms", "500"]);
    let first = tokio::task::block_in_place(start);
    let site = Site::at(&first.url);
    site.query("all", &json!({"from": from("t")})).await;
    let upstream = format!("{}/v1/query/all", site.url);
    let (far, chained) = Site::start(Queries::new().upstream(upstream)).await;
    chained.query("again", &json!({"from": from("all")})).await;
    site.append(&[put("t", "1", json!({}))]).await;
    chained.await_rows("again", |rows| rows.len() == 1).await;
    site.append(&[put("t", "2", json!({}))]).await;
    first.kill();
    chained.await_state("again", "stale").await;
    let second = tokio::task::block_in_place(start);
    site.append(&[put("t", "9", json!({}))]).await;
    until(async || {
        let keys: Vec<String> = chained
            .rows("again")
            .await
            .into_iter()
            .map(|row| row.0)
            .collect();
        (keys == ["1", "2", "9"]).then_some(())
    })
    .await;
    chained.await_state("again", "live").await;
    far.shutdown().await;
    drop(second);
}

#[tokio::test]
async fn a_source_that_is_none_is_said_at_once() {
    let queries = Queries::new().upstream("ftp://example.org/x");
    let error = builder().queries(queries).start().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("must begin with http:// or https://"),
        "{error}"
    );
    for url in ["127.0.0.1:4437/v1/stream/x", "nonsense"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tailwater"));
        let output = command.args(["serve", "--upstream", url]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("must be a URL"), "{said}");
    }
}

/// A server on a port that stays the same, with a directory that does not.
struct Upstream {
    address: String,
}

impl Upstream {
    fn new() -> Upstream {
        Upstream {
            address: free_address(),
        }
    }

    fn start(&self, dir: &Dir) -> Program {
        let args = [
            "--data",
            dir.path().to_str().unwrap(),
            "--long-poll-ms",
            "500",
        ];
        tokio::task::block_in_place(|| Program::start_at(&self.address, &args))
    }

    fn site(&self) -> Site {
        Site::at(&format!("http://{}", self.address))
    }

    /// A server of queries over it, in memory or with a directory.
    async fn follow(&self, data: Option<&Dir>) -> (Server, Site) {
        let url = format!("http://{}/v1/stream/events", self.address);
        let mut server = builder().queries(Queries::new().upstream(url));
        if let Some(dir) = data {
            server = server.data(dir.path());
        }
        let server = server.start().await.unwrap();
        let site = Site::at(&server.url());
        (server, site)
    }
}

fn rows_of(numbers: std::ops::Range<u64>, of: &str) -> Vec<serde_json::Value> {
    let row = |n| put("t", &format!("{of}{n:03}"), json!({"n": n}));
    numbers.map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_stream_under_the_same_name_is_not_taken_for_it() {
    let (one, other, data) = (Dir::new(), Dir::new(), Dir::new());
    let upstream = Upstream::new();
    for data in [None, Some(&data)] {
        let far = upstream.start(&one);
        upstream.site().append(&rows_of(0..5, "a")).await;
        let (near, site) = upstream.follow(data).await;
        site.query("all", &json!({"from": from("t")})).await;
        site.await_rows("all", |rows| rows.len() == 5 && rows[0].0 == "a000")
            .await;
        far.kill();
        site.await_state("all", "stale").await;
        // It has more messages, so that the offset is one of it, too.
        let far = upstream.start(&other);
        upstream.site().append(&rows_of(0..50, "b")).await;
        site.await_rows("all", |rows| rows.len() == 50 && rows[0].0 == "b000")
            .await;
        site.await_state("all", "live").await;
        near.shutdown().await;
        far.kill();
    }
    // So it is when both were away.
    let far = upstream.start(&one);
    let (near, site) = upstream.follow(Some(&data)).await;
    site.await_state("all", "live").await;
    site.await_rows("all", |rows| rows.len() == 5 && rows[0].0 == "a000")
        .await;
    near.shutdown().await;
    far.kill();
}

fn copy(from: &Dir, to: &Dir) {
    std::fs::create_dir_all(to.path()).unwrap();
    let file = "streams.redb";
    std::fs::copy(from.path().join(file), to.path().join(file)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_goes_back_is_read_again() {
    let (dir, backup) = (Dir::new(), Dir::new());
    let upstream = Upstream::new();
    let far = upstream.start(&dir);
    upstream.site().append(&rows_of(0..5, "a")).await;
    far.kill();
    copy(&dir, &backup);
    let far = upstream.start(&dir);
    upstream.site().append(&rows_of(5..20, "a")).await;
    let (near, site) = upstream.follow(None).await;
    site.query("all", &json!({"from": from("t")})).await;
    site.await_rows("all", |rows| rows.len() == 20).await;
    far.kill();
    site.await_state("all", "stale").await;
    let far = upstream.start(&backup);
    site.await_rows("all", |rows| rows.len() == 5).await;
    upstream.site().append(&rows_of(7..8, "a")).await;
    site.await_rows("all", |rows| rows.len() == 6 && rows[5].0 == "a007")
        .await;
    site.await_state("all", "live").await;
    near.shutdown().await;
    far.kill();
}

/// What is wrong is told at once, in numbers, and so is that it is over.
#[tokio::test(flavor = "multi_thread")]
async fn health_tells_of_sources_and_queries() {
    let dir = Dir::new();
    let upstream = Upstream::new();
    let far = upstream.start(&dir);
    upstream.site().append(&rows_of(0..5, "a")).await;
    let (near, site) = upstream.follow(None).await;
    site.query("all", &json!({"from": from("t")})).await;
    site.await_state("all", "live").await;
    let health = async |status: &str| {
        until(async || {
            let answer = site.get("/health").await;
            assert_eq!(answer.status, 200);
            let health = answer.json();
            (health["status"] == status).then_some(health)
        })
        .await
    };
    assert_eq!(health("ok").await["problems"], json!([]));
    far.kill();
    let told = health("degraded").await;
    assert_eq!(told["problems"], json!(["1 of 1 sources cannot be read"]));
    let far = upstream.start(&dir);
    health("ok").await;
    near.shutdown().await;
    far.kill();
}
