//! A system clock that is set, forth and back, under a server that runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use serde_json::json;
use tailwater::stream::{Live, ReadOptions};

use super::support::{Folded, Site, in_time, put, until};
use crate::streams::server_cli::Program;
use crate::streams::server_help::Dir;

/// Where Debian has the library that answers for the clock.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];
const DAY: i64 = 86_400_000;

fn library() -> PathBuf {
    let named = std::env::var_os("FAKETIME_LIBRARY").map(PathBuf::from);
    let found = LIBRARIES
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists());
    named
        .or(found)
        .expect("this needs libfaketime: install it, or name it in the variable FAKETIME_LIBRARY")
}

/// Sets the clock of the server, by so many days from what it is.
fn set(file: &Path, days: i64) {
    let part = file.with_extension("part");
    std::fs::write(&part, format!("{days:+}d\n")).unwrap();
    std::fs::rename(part, file).unwrap();
}

fn millis() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_millis() as i64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_misleads_nobody() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.path()).unwrap();
    let clock = dir.path().join("clock");
    set(&clock, 0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.path().join("data"))
        .env("LD_PRELOAD", library())
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let program = Program::run(command);
    let site = Site::at(&program.url);
    site.query("all", &json!("SELECT n FROM t")).await;
    let now = json!({"type": "func", "name": "now", "args": []});
    let at = json!({"type": "ref", "path": ["t", "at"]});
    let due = json!({"from": {"type": "collectionRef", "collection": "t", "alias": "t"},
        "where": [{"type": "func", "name": "lt", "args": [at, now]}], "select": {"at": at}});
    site.query("due", &due).await;
    let row = |n: i64, days: i64| {
        put(
            "t",
            &n.to_string(),
            json!({"n": n, "at": millis() + days * DAY}),
        )
    };
    site.append(&[row(0, -1), row(1, 5), row(2, 50)]).await;
    let is_due = async |count: usize| {
        until(async || (site.rows("due").await.len() == count).then_some(())).await;
    };
    is_due(1).await;
    // One stream ends at a time of day, one when nobody uses it.
    let far = "2100-01-01T00:00:00Z";
    let expires = |name: &'static str, value: &'static str| {
        let client = reqwest::Client::new();
        let request = client.put(format!("{}/v1/stream/{name}", site.url));
        let header = match name {
            "dated" => "stream-expires-at",
            _ => "stream-ttl",
        };
        request
            .header("content-type", "application/json")
            .header(header, value)
            .send()
    };
    for (name, value) in [("dated", far), ("idle", "3600")] {
        assert_eq!(expires(name, value).await.unwrap().status(), 201);
    }

    let mut reader = site
        .result(&["all"])
        .read(ReadOptions::default().live(Live::LongPoll));
    let mut folded = Folded::default();
    let mut offsets: Vec<String> = Vec::new();
    let mut rows = 3;
    let mut read = async |folded: &mut Folded, offsets: &mut Vec<String>, rows: usize| {
        while folded.rows("all").len() < rows {
            let batch = in_time(reader.next()).await.unwrap().unwrap();
            folded.take(&batch);
            offsets.push(batch.offset.to_string());
        }
    };
    read(&mut folded, &mut offsets, rows).await;
    // What is due by then becomes due, and stays so when the clock is back.
    for (days, count) in [(10, 2), (-30, 2), (100, 3), (0, 3), (-4000, 3)] {
        set(&clock, days);
        is_due(count).await;
        let n = rows as i64;
        site.append(&[row(n, 100_000)]).await;
        rows += 1;
        read(&mut folded, &mut offsets, rows).await;
        // What came in was seen at once, whatever time it was.
        let metrics = site.get("/metrics").await.body;
        let sum = metrics
            .lines()
            .find(|line| {
                line.starts_with("tailwater_query_arrival_lag_seconds_sum")
                    && line.contains("\"all\"")
            })
            .and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        assert!(
            sum.is_some_and(|sum| (0.0..60.0).contains(&sum)),
            "{days}: {metrics}"
        );
        for name in ["dated", "idle"] {
            let answer = site.send("HEAD", &format!("/v1/stream/{name}"), None).await;
            assert_eq!(answer.status, 200, "{name} after {days} days");
        }
        assert_eq!(site.get("/health").await.status, 200);
    }
    assert!(offsets.is_sorted(), "{offsets:?}");
    // One that ends at a time of day ends when it is that time.
    set(&clock, 40_000);
    until(async || {
        let answer = site.send("HEAD", "/v1/stream/dated", None).await;
        (answer.status != 200).then_some(())
    })
    .await;
    let idle = site.send("HEAD", "/v1/stream/idle", None).await;
    assert_eq!(idle.status, 200);
    set(&clock, -4000);
    site.append(&[row(rows as i64, 100_000)]).await;
    read(&mut folded, &mut offsets, rows + 1).await;
    assert!(offsets.is_sorted(), "{offsets:?}");
    program.kill();
}
