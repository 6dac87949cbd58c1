//! A server that is killed keeps what it acknowledged, and a full disk costs nothing else.
//!
//! `TAILWATER_CRASHES` says how often the server is killed.

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::server_cli::Program;
use super::server_help::{Dir, Streams, try_send};

const JSON: &str = "application/json";
const STREAMS: [&str; 3] = ["a", "b/c", "d"];
const PRODUCERS: u64 = 12;

/// What a producer knows was taken: the next number to send.
type Next = HashMap<(u64, &'static str), u64>;

/// Appends `[producer, number]` to a stream until the server is gone.
async fn produce(streams: Streams, path: &'static str, producer: u64, mut next: u64) -> u64 {
    loop {
        let request = streams
            .request("POST", path)
            .header("content-type", JSON)
            .header("producer-id", format!("p{producer}"))
            .header("producer-epoch", "0")
            .header("producer-seq", next)
            .body(format!("[[{producer},{next}]]"));
        match try_send(request).await {
            Ok(answer) if matches!(answer.status, 200 | 204) => next += 1,
            Ok(answer) => panic!("{path} {producer} {next}: {answer:?}"),
            Err(_) => return next,
        }
    }
}

/// Follows a stream; the last offset that was seen.
async fn follow(streams: Streams, path: &'static str) -> String {
    let mut offset = "now".to_owned();
    loop {
        let request = streams.request("GET", &format!("{path}?live=long-poll&offset={offset}"));
        match try_send(request).await {
            Ok(answer) => offset = answer.next().to_owned(),
            Err(_) => return offset,
        }
    }
}

/// Forks and closes streams until the server is gone; the names of those that are certain.
async fn fork(streams: Streams, round: u64, done: Arc<AtomicU64>) {
    for number in 0.. {
        let path = format!("fork-{round}-{number}");
        let fork = [
            ("stream-forked-from", "/v1/stream/a"),
            ("content-type", JSON),
        ];
        let request = fork
            .iter()
            .fold(streams.request("PUT", &path), |request, (name, value)| {
                request.header(*name, *value)
            });
        if try_send(request.body("\"own\"")).await.is_err() {
            return;
        }
        let close = streams
            .request("POST", &path)
            .header("stream-closed", "true");
        if try_send(close).await.is_err() {
            return;
        }
        done.store(number + 1, Ordering::SeqCst);
        sleep(Duration::from_millis(20)).await;
    }
}

/// Checks that each producer's numbers are there once and in order, at least those below `next`.
async fn check(streams: &Streams, next: &mut Next) -> usize {
    let mut all = 0;
    for path in STREAMS {
        let content: Vec<(u64, u64)> =
            serde_json::from_str(&format!("[{}]", streams.content(path).await)).unwrap();
        let mut found = HashMap::<u64, u64>::new();
        for (producer, number) in &content {
            let expected = found.entry(*producer).or_default();
            assert_eq!(number, expected, "{path}: producer {producer}");
            *expected += 1;
        }
        for producer in 0..PRODUCERS {
            let found = found.get(&producer).copied().unwrap_or(0);
            let acknowledged = next.get(&(producer, path)).copied().unwrap_or(0);
            // The last one may have been taken without the answer getting through.
            assert!(
                found == acknowledged || found == acknowledged + 1,
                "{path}: producer {producer} was told {acknowledged}, but there are {found}"
            );
        }
        all += content.len();
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_kill_9() {
    let crashes = std::env::var("TAILWATER_CRASHES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(5);
    let dir = Dir::new();
    let args = ["--data", dir.path().to_str().unwrap()];
    let mut next = Next::new();
    let mut forks = Vec::new();
    let mut total = 0;
    for round in 0..crashes {
        let program = Program::start(&args);
        let streams = Streams::at(&program.url);
        for path in STREAMS {
            let answer = streams.put(path, JSON, "").await;
            assert_eq!(answer.status, if round == 0 { 201 } else { 200 });
        }
        let mut producers = JoinSet::new();
        for producer in 0..PRODUCERS {
            for path in STREAMS {
                let number = next.get(&(producer, path)).copied().unwrap_or(0);
                let streams = streams.clone();
                producers.spawn(async move {
                    (
                        (producer, path),
                        produce(streams, path, producer, number).await,
                    )
                });
            }
        }
        let done = Arc::new(AtomicU64::new(0));
        let forking = tokio::spawn(fork(streams.clone(), round, done.clone()));
        let readers = STREAMS.map(|path| (path, tokio::spawn(follow(streams.clone(), path))));
        sleep(Duration::from_millis(300 + 170 * (round % 7))).await;
        program.kill();
        next.extend(producers.join_all().await);
        forking.await.unwrap();
        forks.extend(
            (0..done.load(Ordering::SeqCst)).map(|number| format!("fork-{round}-{number}")),
        );

        let program = Program::start(&args);
        let streams = Streams::at(&program.url);
        total = check(&streams, &mut next).await;
        for (path, reader) in readers {
            let seen = reader.await.unwrap();
            let tail = streams.ask("HEAD", path, &[], "").await;
            assert!(
                seen == "now" || tail.next() >= seen.as_str(),
                "{path}: {seen} {tail:?}"
            );
        }
        let source = streams.content("a").await;
        for path in &forks {
            let head = streams.ask("HEAD", path, &[], "").await;
            assert_eq!(
                head.header("stream-closed"),
                Some("true"),
                "{path}: {head:?}"
            );
        }
        for path in forks.iter().rev().take(3) {
            let content = streams.content(path).await;
            let inherited = content.strip_suffix("\"own\"").expect(path);
            assert!(
                source.starts_with(inherited.trim_end_matches(',')),
                "{path}"
            );
        }
        program.kill();
    }
    let acknowledged: u64 = next.values().sum();
    println!(
        "{crashes} crashes, {acknowledged} acknowledged, {total} there, {} forks",
        forks.len()
    );
    assert!(
        acknowledged > crashes * 20 && !forks.is_empty(),
        "{acknowledged} {}",
        forks.len()
    );
}

/// The largest file is limited, which the server notices as it would notice a full disk.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_appends_and_loses_none() {
    let dir = Dir::new();
    let path = dir.path().to_str().unwrap();
    // The log is on that disk, too.
    std::fs::create_dir_all(path).unwrap();
    let log = dir.path().join("log");
    std::fs::write(&log, [b'-'; 5000]).unwrap();
    let mut command = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -S -f 6000; exec \"$@\" 2>>\"$LOG\"";
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_tailwater"), "serve"]);
    command
        .args(["--listen", "127.0.0.1:0", "--data", path])
        .env("LOG", log);
    let program = Program::run(command);
    let streams = Streams::at(&program.url);
    assert_eq!(streams.put("s", JSON, "").await.status, 201);
    let filler = "x".repeat(20_000);
    let (mut taken, mut refused) = (Vec::new(), 0);
    for number in 0..400 {
        let answer = streams
            .post("s", JSON, &format!("[{number},\"{filler}\"]"))
            .await;
        match answer.status {
            204 => taken.push(number),
            503 => refused += 1,
            _ => panic!("{answer:?}"),
        }
        if refused == 5 {
            break;
        }
    }
    assert!(
        refused == 5 && taken.len() > 50,
        "{} taken, {refused} refused",
        taken.len()
    );
    let numbers = |content: String| -> Vec<i64> {
        let all: Vec<Value> = serde_json::from_str(&format!("[{content}]")).unwrap();
        all.iter().filter_map(Value::as_i64).collect()
    };
    // It is still there for readers.
    assert_eq!(numbers(streams.content("s").await), taken);
    let health = async || {
        let answer = reqwest::get(format!("{}/health", program.url))
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let told: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        (status, told)
    };
    let (status, told) = health().await;
    assert_eq!(status, 503);
    assert_eq!(told["status"].as_str(), Some("the disk takes nothing"));
    // There is room again, which is noticed without anybody trying.
    let id = program.id().to_string();
    let limit = |bytes: &str| {
        let limit = format!("--fsize={bytes}:");
        let set = Command::new("prlimit")
            .args(["--pid", &id, &limit])
            .status();
        set.is_ok_and(|status| status.success())
    };
    let is_well = async || {
        while health().await.0 != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    if limit("unlimited") {
        is_well().await;
        assert_eq!(streams.post("s", JSON, "[999]").await.status, 204);
        taken.push(999);
        // A disk that does not even take what is written over something else.
        limit("4096");
        assert_eq!(streams.post("s", JSON, "[0]").await.status, 503);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(health().await.0, 503);
        limit("unlimited");
        is_well().await;
        assert_eq!(streams.post("s", JSON, "[1000]").await.status, 204);
        taken.push(1000);
    }
    program.kill();
    let program = Program::start(&["--data", path]);
    let streams = Streams::at(&program.url);
    let found = numbers(streams.content("s").await);
    assert_eq!(found[..taken.len().min(found.len())], taken[..]);
    assert_eq!(streams.post("s", JSON, "[1001]").await.status, 204);
}

/// Nobody has to wait for the answer of a killed server.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_again_at_once() {
    let dir = Dir::new();
    let args = ["--data", dir.path().to_str().unwrap()];
    let ready = AtomicBool::new(false);
    for _ in 0..3 {
        let program = Program::start(&args);
        let streams = Streams::at(&program.url);
        let status = streams.put("s", JSON, "").await.status;
        assert_eq!(
            status,
            if ready.swap(true, Ordering::SeqCst) {
                200
            } else {
                201
            }
        );
        program.kill();
    }
}
