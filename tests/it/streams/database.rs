//! Databases whose appends are cut off: what a transaction did is in the stream once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tailwater::db::{StreamDb, append_mutations};
use tailwater::stream::{Live, ReadOptions};
use tailwater::value::from_json;

use super::hand_made::{Reply, Server};
use super::proxy::{Action, Proxy};
use super::server_help::Dir;
use super::servers::ServerUnderTest;
use super::support::{create_json, in_time, quick_builder, read_to_end};

/// A database that reads and writes through a proxy.
struct World {
    stream: tailwater::stream::DurableStream,
    proxy: Proxy,
    db: StreamDb,
}

impl World {
    async fn new(server: &ServerUnderTest, retries: u32) -> World {
        let stream = server.stream();
        create_json(&stream, "", false).await;
        let proxy = Proxy::start(server.address(), []).await;
        let through = quick_builder(&proxy.url(&stream.url()), retries);
        let through = through.content_type("application/json").build().unwrap();
        let db = StreamDb::builder(through).live(Live::Sse).open().unwrap();
        in_time(db.preload()).await.unwrap();
        // From then on there are no connections but for appends.
        in_time(async {
            while !proxy.seen().iter().any(|seen| seen.request.live() == "sse") {
                tokio::task::yield_now().await;
            }
        })
        .await;
        World { stream, proxy, db }
    }

    /// Makes a row `{"n": n}` and tells whether that was confirmed.
    async fn insert(&self, n: u64) -> bool {
        let row = from_json(&json!({"n": n}).to_string()).unwrap();
        let tx = self.db.mutate(
            |tx| tx.insert_named("item", n.to_string(), row),
            append_mutations,
        );
        in_time(tx.unwrap().is_persisted()).await.is_ok()
    }

    /// The keys of all events in the stream.
    async fn keys(&self) -> Vec<String> {
        let mut reader = self.stream.read(ReadOptions::default());
        let messages = read_to_end(&mut reader).await.0.messages;
        let key = |text: &String| serde_json::from_str::<Value>(text).unwrap()["key"].clone();
        let keys = messages.iter().map(key);
        keys.map(|key| key.as_str().unwrap().to_owned()).collect()
    }

    /// The producers and their sequences, as the proxy saw them.
    fn claims(&self) -> Vec<(String, String)> {
        let seen = self.proxy.seen();
        let claim = |seen: &super::proxy::Seen| {
            let header = |name| seen.request.header(name).unwrap_or_default().to_owned();
            (header("producer-id"), header("producer-seq"))
        };
        seen.iter().map(claim).collect()
    }
}

fn servers() -> impl Iterator<Item = &'static ServerUnderTest> {
    [ServerUnderTest::reference(), ServerUnderTest::embedded()]
        .into_iter()
        .flatten()
}

#[tokio::test]
async fn events_are_there_once_though_the_answer_was_lost() {
    for server in servers() {
        for action in [Action::LoseAnswer, Action::Twice, Action::Cut(30)] {
            let world = World::new(server, 20).await;
            let plan = [action.clone(), Action::Forward, action.clone()];
            world.proxy.restart(plan);
            for n in 0..4 {
                assert!(world.insert(n).await, "{action:?}");
            }
            assert_eq!(world.keys().await, ["0", "1", "2", "3"], "{action:?}");
            let claims = world.claims();
            assert!(
                claims
                    .iter()
                    .all(|(id, _)| *id == claims[0].0 && !id.is_empty())
            );
        }
    }
}

/// What may have been appended or not is given up, and does not stand in the way of what follows.
#[tokio::test]
async fn a_lost_append_and_the_next_one_are_told_apart() {
    for server in servers() {
        let world = World::new(server, 1).await;
        world.proxy.restart([
            Action::Forward,
            Action::LoseAnswer,
            Action::Refuse,
            Action::Forward,
            Action::Refuse,
            Action::Refuse,
        ]);
        let went = [0, 1, 2, 3, 4].map(|n| world.insert(n));
        let mut confirmed = Vec::new();
        for insert in went {
            confirmed.push(insert.await);
        }
        assert_eq!(confirmed, [true, false, true, false, true]);
        assert_eq!(world.keys().await, ["0", "1", "2", "4"]);
        let seqs: Vec<String> = world.claims().into_iter().map(|claim| claim.1).collect();
        assert_eq!(seqs, ["0", "1", "0", "0"]);
    }
}

#[tokio::test]
async fn a_server_that_forgot_the_producer_is_told_of_another() {
    let world = World::new(ServerUnderTest::embedded().unwrap(), 20).await;
    let gap = Reply::status(409).header("producer-expected-seq", "0");
    let gap = gap.header("producer-received-seq", "1");
    world.proxy.restart([Action::Forward, Action::Answer(gap)]);
    for n in 0..3 {
        assert!(world.insert(n).await);
    }
    assert_eq!(world.keys().await, ["0", "1", "2"]);
    let claims = world.claims();
    let seqs: Vec<&str> = claims.iter().map(|claim| claim.1.as_str()).collect();
    assert_eq!(seqs, ["0", "1", "0", "1"]);
    assert_eq!(claims[0].0, claims[1].0);
    assert_ne!(claims[1].0, claims[2].0);
    assert_eq!(claims[2].0, claims[3].0);
}

/// A server that goes away just when it is asked which stream an event stream is of.
#[tokio::test]
async fn trouble_while_the_stream_is_identified_is_told() {
    let asked = AtomicU32::new(0);
    let server = Server::start(move |_, request| {
        let found = Reply::json(1, "[]").header("etag", "\"a:0:1\"");
        match (request.method.as_str(), request.live().as_str()) {
            ("HEAD", _) if asked.fetch_add(1, Ordering::Relaxed) > 0 => Reply::status(503),
            (_, "sse") => {
                let upto = r#"{"streamNextOffset":"1","upToDate":true}"#;
                Reply::events(&format!("event: control\ndata: {upto}\n\n")).hold()
            }
            _ => found,
        }
    })
    .await;
    let dir = Dir::new();
    let stream = quick_builder(&server.url, 1_000_000).build().unwrap();
    let db = StreamDb::builder(stream).keep(dir.path()).open().unwrap();
    in_time(db.preload()).await.unwrap();
    in_time(async {
        while !matches!(db.trouble(), Some(trouble) if trouble.error.status() == Some(503)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// Rows of a stream that is no more are not told to be live.
#[tokio::test]
async fn what_is_read_again_is_told_until_it_is_there() {
    let server = Server::start(|n, request| match request.live().as_str() {
        "" if n == 0 => Reply::json(
            1,
            r#"[{"type":"item","key":"1","value":{"n":1},"headers":{"operation":"upsert"}}]"#,
        ),
        // There is more all the time.
        "" => Reply::at(200, 0)
            .header("content-type", "application/json")
            .body("[]"),
        _ => Reply::status(410),
    })
    .await;
    let stream = quick_builder(&server.url, 1_000_000).build().unwrap();
    let db = StreamDb::builder(stream).open().unwrap();
    in_time(db.preload()).await.unwrap();
    server.wait_for(4).await;
    in_time(async {
        while !matches!(db.trouble(), Some(trouble) if trouble.error.status() == Some(410)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert!(db.status().is_ready());
}
