//! Results as others read them: the unmodified npm clients in Node, and pages in Chromium.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tailwater::server::{Queries, Server};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::support::Site;
use crate::peers::process::install;

fn peers() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    install(&folder);
    folder
}

/// Runs a program that says a line of JSON for each of its checks, and must end well.
async fn run(program: &str, args: &[&str]) -> Vec<Value> {
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
        checks.extend(json.and_then(Result::ok));
        said = said + &line + "\n";
    }
    let status = child.wait().await.unwrap();
    assert!(
        status.success(),
        "{program} {args:?} ends with {status}:\n{said}"
    );
    checks
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
    let checks = run("serve/all.mjs", &[&site.url, "--checks", "6"]).await;
    assert!(checks.len() > 12, "{checks:#?}");
    server.shutdown().await;
}
