//! The protocol's own tests, of the npm package `@durable-streams/server-conformance-tests`.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tailwater::server::{Server, ServerBuilder};
use tokio::process::Command;
use tokio::sync::Mutex;

use super::server_help::Dir;
use crate::peers::process::install;

/// So many passed when this was written.
const PASSED: u64 = 332;
/// Those that fail, by name.
const FAILURES: [&str; 0] = [];

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_in_memory() {
    run("memory", Server::builder()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_on_disk() {
    let dir = Dir::new();
    run("disk", Server::builder().data(dir.path())).await;
}

async fn run(name: &str, server: ServerBuilder) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    install(&folder);
    // Cases about time do not like company.
    static ONE: Mutex<()> = Mutex::const_new(());
    let _one = ONE.lock().await;
    let server = server
        .long_poll_timeout(Duration::from_secs(2))
        .start()
        .await
        .unwrap();
    let dir = Dir::new();
    let report = dir.path().join("report.json");
    let output = Command::new("node")
        .current_dir(&folder)
        .args([
            "node_modules/vitest/vitest.mjs",
            "run",
            "streams/conformance.test.mjs",
        ])
        // Some cases are hard work for Node; on a busy machine 5 seconds are not enough.
        .arg("--testTimeout=60000")
        .arg("--reporter=json")
        .arg(format!("--outputFile={}", report.display()))
        .env("SERVER_URL", server.url())
        .output()
        .await
        .expect("this test needs Node 20 or newer as `node`");
    server.shutdown().await;
    let report = std::fs::read_to_string(&report)
        .unwrap_or_else(|error| panic!("{name}: no report ({error}): {output:?}"));
    let report: Value = serde_json::from_str(&report).unwrap();
    let cases = report["testResults"].as_array().into_iter().flatten();
    let cases = cases.flat_map(|file| file["assertionResults"].as_array().into_iter().flatten());
    let failed: Vec<_> = cases.filter(|case| case["status"] == "failed").collect();
    let names: Vec<_> = failed
        .iter()
        .map(|case| case["fullName"].as_str().unwrap())
        .collect();
    assert_eq!(names, FAILURES, "{name}: {failed:#?}");
    assert!(
        report["numPassedTests"].as_u64() >= Some(PASSED),
        "{name}: {report}"
    );
}
