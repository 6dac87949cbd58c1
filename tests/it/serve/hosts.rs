//! A server whose queries run on several processes.

use std::process::{Child, Command};

use serde_json::json;

use super::support::{Site, put};
use crate::streams::server_cli::Program;
use crate::streams::server_help::Dir;
use crate::support::free_address;

/// A process that computes for the server, and is killed when this is dropped.
struct Helper(Child);

impl Helper {
    fn start(hosts: &str) -> Helper {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
        command.args(["serve", "--hosts", hosts, "--process", "1"]);
        Helper(command.spawn().unwrap())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that dies leaves the rows as they are, and whoever comes in its place is taken in.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_process_makes_results_stale_until_there_is_another_one() {
    let dir = Dir::new();
    let list: String = (0..2).map(|_| free_address() + "\n").collect();
    std::fs::create_dir_all(dir.path()).unwrap();
    let file = dir.path().join("hosts.txt");
    std::fs::write(&file, list).unwrap();
    let hosts = file.to_str().unwrap().to_owned();

    let helper = Helper::start(&hosts);
    let args = ["--hosts", &hosts, "--process", "0"];
    let server = tokio::task::block_in_place(|| Program::start_at("127.0.0.1:0", &args));
    let site = Site::at(&server.url);
    let sums = json!({
        "from": {"type": "collectionRef", "collection": "t", "alias": "t"},
        "groupBy": [{"type": "ref", "path": ["t", "g"]}],
        "select": {
            "g": {"type": "ref", "path": ["t", "g"]},
            "sum": {"type": "agg", "name": "sum", "args": [{"type": "ref", "path": ["t", "n"]}]},
        },
    });
    site.query("sums", &sums).await;
    let rows = |from: i64| {
        (from..from + 100).map(|n| put("t", &n.to_string(), json!({"g": n % 7, "n": n})))
    };
    let total = |rows: &[(String, serde_json::Value)]| {
        let sums = rows.iter().map(|(_, row)| row["sum"].as_i64().unwrap());
        (rows.len(), sums.sum::<i64>())
    };
    site.append(&rows(0).collect::<Vec<_>>()).await;
    site.await_state("sums", "live").await;
    site.await_rows("sums", |rows| total(rows) == (7, 4950))
        .await;

    // There is one source, as the other processes work for it.
    let other = json!({"name": "other", "query": sums, "source": "others"});
    let refused = site.send("POST", "/v1/query", Some(&other)).await;
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (409, Some("one-source"))
    );

    drop(helper);
    site.append(&rows(100).collect::<Vec<_>>()).await;
    let stale = site.await_state("sums", "stale").await;
    let said = stale["status"]["error"].as_str().unwrap();
    assert!(said.contains("process 1 was lost"), "{said}");
    assert_eq!(total(&site.rows("sums").await), (7, 4950));

    let _helper = Helper::start(&hosts);
    site.await_state("sums", "live").await;
    site.await_rows("sums", |rows| total(rows) == (7, 19900))
        .await;
}
