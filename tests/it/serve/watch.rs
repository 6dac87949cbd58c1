//! `tailwater watch` of results that a server keeps.

use std::process::{Command, Output};

use serde_json::json;
use tailwater::server::Queries;

use super::support::{Site, put};
use crate::support::{from, order_desc, path};

async fn watch(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
    command.arg("watch").args(args);
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.unwrap().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_tables_in_their_order() {
    let (server, site) = Site::start(Queries::new()).await;
    let select = json!({"name": path("t.name"), "n": path("t.n")});
    let query = json!({"from": from("t"), "select": select, "orderBy": [order_desc("t.n")]});
    site.query("top", &query).await;
    site.query("all", &json!({"from": from("t")})).await;
    let row = |key: &str, n: u32| put("t", key, json!({"name": format!("<{key}>"), "n": n}));
    site.append(&[row("a", 1), row("b", 30), row("c", 2)]).await;
    site.await_rows("top", |rows| rows.len() == 3).await;
    let address = |name| format!("{}/v1/query/{name}", site.url);
    let output = watch(&["--plain", "--rows", "2", &address("top"), &address("all")]).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        text(&output.stdout),
        // JSON here sorts the fields of `select`.
        "top  2 of 3 rows\n n  name\n────────\n30  <b>\n 2  <c>\n\n\
         all  2 of 3 rows\n n  name\n────────\n 1  <a>\n30  <b>\n"
    );
    let output = watch(&["--plain", &address("none")]).await;
    assert_eq!(output.status.code(), Some(1));
    let says = format!("error: no stream at {}\n", address("none"));
    assert_eq!(text(&output.stderr), says);
    server.shutdown().await;
}

#[tokio::test]
async fn files_need_events_and_results_have_their_own() {
    for (args, says) in [
        (&["top.json"][..], "--events FILE, which is missing"),
        (
            &["http://127.0.0.1:1/v1/query/top", "--events", "-"],
            "leave out --events",
        ),
    ] {
        let output = watch(args).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(says), "{output:?}");
    }
}
