//! The conformance adapter, driven over its standard input and output as the suite does.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tailwater::server::Server;

/// Cargo builds examples together with the tests.
fn adapter() -> PathBuf {
    let tests = std::env::current_exe().expect("a path");
    let target = tests.ancestors().nth(2).expect("…/deps/it-…");
    target.join("examples/conformance-adapter")
}

#[test]
fn the_adapter_answers_a_line_for_a_line() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::start()).expect("a server");
    let mut process = Command::new(adapter())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`cargo build --example conformance-adapter` builds it");
    let mut input = process.stdin.take().expect("piped");
    let mut output = BufReader::new(process.stdout.take().expect("piped")).lines();
    let mut ask = |command: Value| -> Value {
        writeln!(input, "{command}").expect("it reads");
        let line = output.next().expect("it answers").expect("a line");
        serde_json::from_str(&line).expect("JSON")
    };

    let init = ask(json!({"type": "init", "serverUrl": server.url()}));
    for feature in [
        "batching",
        "sse",
        "longPoll",
        "auto",
        "dynamicHeaders",
        "strictZeroValidation",
    ] {
        assert_eq!(init["features"][feature], true, "{feature}");
    }
    let path = "/v1/stream/adapter";
    let json_type = "application/json";
    let created = ask(json!({"type": "create", "path": path, "contentType": json_type}));
    assert_eq!(created["status"], 201, "{created}");
    let appended =
        ask(json!({"type": "append", "path": path, "data": r#"{"n":9007199254740993}"#}));
    assert_eq!(appended["status"], 200, "{appended}");
    let batch = json!({"type": "idempotent-append-batch", "path": path, "items": ["[1]", "2"],
        "producerId": "p", "epoch": 0, "autoClaim": false, "maxInFlight": 5});
    assert_eq!(ask(batch)["success"], true);
    for live in [json!(false), json!(true), json!("long-poll"), json!("sse")] {
        let read =
            ask(json!({"type": "read", "path": path, "live": live, "waitForUpToDate": true}));
        let data: String = read["chunks"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|chunk| chunk["data"].as_str())
            .collect();
        assert_eq!(data, r#"[{"n":9007199254740993},[1],2]"#, "{read}");
        assert_eq!(
            (&read["upToDate"], &read["streamClosed"]),
            (&json!(true), &json!(false))
        );
    }
    let missing = ask(json!({"type": "read", "path": "/v1/stream/none"}));
    assert_eq!(
        (&missing["errorCode"], &missing["status"]),
        (&json!("NOT_FOUND"), &json!(404))
    );
    assert!(
        missing["message"]
            .as_str()
            .is_some_and(|text| text.contains("/v1/stream/none"))
    );
    assert_eq!(ask(json!({"type": "shutdown"}))["success"], true);
    assert!(process.wait().expect("it ends").success());
}
