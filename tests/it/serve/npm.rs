//! Results as others read them: the unmodified npm clients in Node, and pages in Chromium.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use tailwater::engine::Engine;
use tailwater::server::{Queries, Server};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::support::{Site, until};
use crate::peers::process::install;
use crate::streams::server_cli::Program;
use crate::streams::server_help::Dir;
use crate::support::{from, order_desc};

fn peers() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    install(&folder);
    folder
}

/// Runs a program that says a line of JSON for each of its checks, and must end well. It is heard line
/// by line, as it may ask for something.
async fn run(program: &str, args: &[&str], mut hear: impl FnMut(&Value)) -> Vec<Value> {
    let mut child = Command::new("node")
        .arg(peers().join(program))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this test needs Node 20 or newer as `node`");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut checks = Vec::new();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        let json = line
            .find('{')
            .map(|start| serde_json::from_str(&line[start..]));
        if let Some(Ok(check)) = json {
            hear(&check);
            checks.push(check);
        }
        said = said + &line + "\n";
    }
    let status = child.wait().await.unwrap();
    assert!(
        status.success(),
        "{program} {args:?} ends with {status}:\n{said}"
    );
    checks
}

/// Runs `npm` or `node`, which must end well.
async fn must(program: &str, args: &[&str], folder: &Path) {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output()
        .await;
    let output = output.expect("this test needs Node 20 or newer, with npm");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{program} {args:?}:\n{said}");
}

#[tokio::test]
async fn the_client_for_tanstack_db_passes_its_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/js");
    if !folder.join("node_modules/typescript").exists() {
        must("npm", &["ci", "--no-audit", "--no-fund"], &folder).await;
    }
    must("npm", &["test"], &folder).await;
}

#[tokio::test]
async fn the_page_folds_and_formats_as_it_must() {
    let names = ["editor", "format", "results", "stream"];
    let files = names.map(|name| format!("dashboard/{name}.test.mjs"));
    let mut args = vec!["--test"];
    args.extend(files.iter().map(String::as_str));
    must("node", &args, &peers()).await;
}

fn demo(address: &str) -> Program {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tailwater"));
    command.args(["demo", "--speed", "3000", "--listen", address]);
    Program::run(command)
}

/// What the queries return over the first events of the day.
fn recompute(events: usize) -> BTreeMap<String, Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packed = std::fs::read(root.join("data/flights/day.jsonl.gz")).unwrap();
    let mut day = String::new();
    MultiGzDecoder::new(&packed[..])
        .read_to_string(&mut day)
        .unwrap();
    let mut engine = Engine::new();
    let batch = engine.decode(day.lines().take(events)).unwrap();
    engine.apply(batch);
    let mut results = BTreeMap::new();
    for (name, file) in crate::flights::queries() {
        let id = engine.install(&file.query).unwrap();
        let view = engine.view(id).unwrap();
        let rows: Vec<_> = view.rows().map(|row| json!(row)).collect();
        results.insert(name, Value::Array(rows));
    }
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_demo_shows_what_a_recomputation_gives() {
    let demo = demo("127.0.0.1:0");
    let site = Site::at(&demo.url);
    for events in [1000, 2500] {
        site.send("POST", "/v1/demo", Some(&json!({"paused": false})))
            .await;
        until(async || {
            let progress = site.get("/v1/demo").await.json();
            (progress["events"].as_u64() >= Some(events)).then_some(())
        })
        .await;
        site.send("POST", "/v1/demo", Some(&json!({"paused": true})))
            .await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let events = site.get("/v1/demo").await.json()["events"]
            .as_u64()
            .unwrap();
        let expected = recompute(events as usize);
        assert_eq!(expected.len(), 17);
        for (name, rows) in expected {
            let path = format!("/v1/query/{name}/rows");
            until(async || (site.get(&path).await.json()["rows"] == rows).then_some(())).await;
        }
    }
    site.send("POST", "/v1/demo", Some(&json!({"paused": false})))
        .await;
    let checks = run("dashboard/page.mjs", &[&site.url, "page"], |_| {}).await;
    assert!(checks.len() > 5, "{checks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_when_the_server_is_away_and_when_it_is_back() {
    let mut program = Some(demo("127.0.0.1:0"));
    let url = program.as_ref().unwrap().url.clone();
    let address = url.strip_prefix("http://").unwrap();
    let args = [url.as_str(), "away"];
    let checks = run("dashboard/page.mjs", &args, |line| {
        match line["wait"].as_str() {
            Some("stop") => program.take().unwrap().kill(),
            Some("start") => program = Some(demo(address)),
            _ => {}
        }
    });
    assert!(checks.await.len() > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_an_editor_and_shows_plans() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.path()).unwrap();
    let joined =
        "FROM \"order\" AS o JOIN person AS p ON p.name = 'P' || o.person WHERE o.amount > 2";
    for (name, sql) in [
        (
            "spent",
            format!(
                "SELECT p.city, sum(o.amount) AS spent {joined} GROUP BY p.city ORDER BY spent DESC LIMIT 5"
            ),
        ),
        ("orders", format!("SELECT p.name, o.amount {joined}")),
    ] {
        std::fs::write(dir.path().join(format!("{name}.sql")), sql).unwrap();
    }
    let folder = dir.path().to_str().unwrap();
    let program = Program::start_at("127.0.0.1:0", &["--queries", folder]);
    let site = Site::at(&program.url);
    let mut rows = Vec::new();
    for key in 0..30 {
        let city = ["London", "Paris", "Rome"][key % 3];
        let person = json!({"name": format!("P{key}"), "city": city});
        rows.push(
            json!({"type": "person", "key": key.to_string(), "value": person,
            "headers": {"operation": "insert"}}),
        );
        let order = json!({"person": (key % 7).to_string(), "amount": key});
        rows.push(
            json!({"type": "order", "key": key.to_string(), "value": order,
            "headers": {"operation": "insert"}}),
        );
    }
    site.append(&rows).await;
    site.await_state("spent", "live").await;
    let checks = run("dashboard/page.mjs", &[&site.url, "editor"], |_| {}).await;
    assert!(checks.len() > 12, "{checks:#?}");
    // What was saved, then replaced, is a file like those that were there.
    let saved = std::fs::read_to_string(dir.path().join("per-city.sql")).unwrap();
    assert_eq!(
        saved,
        "SELECT city, count(*) AS persons FROM person GROUP BY city\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_for_a_token() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.path()).unwrap();
    let tokens = dir.path().join("tokens.json");
    std::fs::write(&tokens, r#"[{"token":"s3cret","rights":"read-write"}]"#).unwrap();
    let queries = concat!(env!("CARGO_MANIFEST_DIR"), "/queries/flights");
    let program = Program::start_at(
        "127.0.0.1:0",
        &["--tokens", tokens.to_str().unwrap(), "--queries", queries],
    );
    run(
        "dashboard/page.mjs",
        &[&program.url, "token", "s3cret"],
        |_| {},
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_clients_and_a_page_follow_results() {
    let server = Server::builder()
        .long_poll_timeout(Duration::from_secs(5))
        // So that connections end and begin again.
        .sse_lifetime(Duration::from_secs(3))
        .queries(Queries::new())
        .start()
        .await
        .unwrap();
    let site = Site::at(&server.url());
    let checks = run("serve/all.mjs", &[&site.url, "--checks", "6"], |_| {}).await;
    assert!(checks.len() > 12, "{checks:#?}");
    server.shutdown().await;
}

/// The server that keeps the results is ended and killed in turn, while the source changes; what it
/// keeps of the past is little.
#[tokio::test(flavor = "multi_thread")]
async fn unmodified_clients_follow_through_restarts_and_retention() {
    let far = Server::builder().start().await.unwrap();
    let folder = Dir::new();
    std::fs::create_dir_all(folder.path()).unwrap();
    let rows = json!({"from": from("event")});
    let top = json!({"from": from("event"), "orderBy": [order_desc("event.n")], "limit": 6});
    for (name, query) in [("rows", rows), ("top", top)] {
        let file = folder.path().join(format!("{name}.json"));
        std::fs::write(file, query.to_string()).unwrap();
    }
    let queries = folder.path().to_str().unwrap().to_owned();
    let upstream = far.stream_url("source");
    let start = |address: &str| {
        let args = [
            "--upstream",
            &upstream,
            "--queries",
            &queries,
            "--keep-bytes",
            "3000",
            "--keep-seconds",
            "2",
            "--sse-seconds",
            "2",
            "--long-poll-ms",
            "700",
        ];
        Program::start_at(address, &args)
    };
    let far_url = far.url();
    let driving = tokio::spawn(async move {
        let mut drive = Command::new("node")
            .arg(peers().join("serve/drive.mjs"))
            .args([&far_url, "source", "event", "--every", "40"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // It ends with its input, which waiting would close.
        let _input = drive.stdin.take();
        drive.wait().await
    });
    let mut program = start("127.0.0.1:0");
    let url = program.url.clone();
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let readers = [("rows", "sse"), ("rows", "long-poll"), ("top", "auto")];
    let mut readers: tokio::task::JoinSet<_> = readers
        .into_iter()
        .map(|(name, mode)| {
            let url = url.clone();
            async move {
                // Far more than there is time for before the last restart.
                let args = [url.as_str(), name, mode, "--checks", "150"];
                run("serve/state-db.mjs", &args, |_| {}).await
            }
        })
        .collect();
    for restart in 0..4 {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        if restart % 2 == 0 {
            program.kill();
        } else {
            program.terminate();
        }
        program = start(&address);
    }
    while let Some(reader) = readers.join_next().await {
        assert!(reader.unwrap().len() >= 150);
    }
    driving.abort();
    far.shutdown().await;
}
