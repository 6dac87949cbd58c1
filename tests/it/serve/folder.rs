//! Queries as files: a folder that is watched, and queries that are kept over a restart.

use std::fs;
use std::io::{BufRead, BufReader, Cursor};

use serde_json::{Value, json};
use tailwater::server::{Error, Queries, Replay};

use super::support::{Site, builder, put, until};
use crate::streams::server_help::Dir;
use crate::support::{agg, from, order_desc};

#[tokio::test(flavor = "multi_thread")]
async fn files_come_change_break_and_go() {
    let dir = Dir::new();
    fs::create_dir_all(dir.path()).unwrap();
    let write = |name: &str, content: &Value| {
        fs::write(dir.path().join(name), content.to_string()).unwrap();
    };
    let all = json!({"from": from("t")});
    write("all.json", &all);
    write("wrong.json", &json!({"from": from("t"), "wehre": []}));
    write(
        "dashboard.json",
        &json!({"title": "Ours", "panels": [{"query": "all"}]}),
    );
    fs::write(dir.path().join("notes.txt"), "no query").unwrap();
    let (server, site) = Site::start(Queries::new().folder(dir.path())).await;
    // The stream is there when the server says that it listens.
    let body = json!([]);
    let there = site.send("PUT", "/v1/stream/events", Some(&body)).await;
    assert_eq!(there.status, 200);
    site.append(&[
        put("t", "1", json!({"n": 1})),
        put("t", "2", json!({"n": 2})),
    ])
    .await;
    site.await_rows("all", |rows| rows.len() == 2).await;
    let list = site.get("/v1/query").await.json();
    assert_eq!(list["broken"][0]["file"], "wrong.json");
    let error = list["broken"][0]["error"].as_str().unwrap();
    assert_eq!(error, "unknown field `wehre` (did you mean `where`?)");
    assert_eq!(
        site.get("/v1/dashboard").await.json(),
        json!({"title": "Ours", "panels": [{"query": "all"}], "demo": false, "folder": true})
    );

    // A file of its own source, one that is mended, one that goes wrong.
    write("other.json", &json!({"source": "other", "from": from("u")}));
    write(
        "wrong.json",
        &json!({"from": from("t"), "orderBy": [order_desc("t.n")]}),
    );
    fs::write(dir.path().join("all.json"), "{").unwrap();
    until(async || {
        let list = site.get("/v1/query").await.json();
        (list["queries"].as_array().unwrap().len() == 3 && list["broken"] == json!([]))
            .then_some(())
    })
    .await;
    site.append_to("other", &[put("u", "9", json!({}))]).await;
    site.await_rows("other", |rows| rows.len() == 1).await;
    site.await_rows("wrong", |rows| {
        rows.iter().map(|row| &*row.0).eq(["2", "1"])
    })
    .await;
    let broken = until(async || {
        let all = site.describe("all").await;
        all["fileError"].is_string().then_some(all)
    })
    .await;
    assert!(
        broken["fileError"]
            .as_str()
            .unwrap()
            .contains("not valid JSON"),
        "{broken}"
    );
    assert_eq!(site.rows("all").await.len(), 2, "what was there goes on");

    let count = json!({"from": from("t"), "select": {"n": agg("count", "t.n")}});
    write("all.json", &count);
    site.await_rows("all", |rows| rows[0].1 == json!({"n": 2}))
        .await;
    assert_eq!(site.describe("all").await["fileError"], Value::Null);
    let body = json!({"query": all});
    let answer = site.send("PUT", "/v1/query/all", Some(&body)).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (409, &json!("file"))
    );
    assert_eq!(site.send("DELETE", "/v1/query/all", None).await.status, 409);

    fs::remove_file(dir.path().join("all.json")).unwrap();
    fs::remove_file(dir.path().join("dashboard.json")).unwrap();
    until(async || (site.get("/v1/query/all/rows").await.status == 404).then_some(())).await;
    let layout = site.get("/v1/dashboard").await.json();
    assert_eq!(
        layout,
        json!({"panels": null, "demo": false, "folder": true})
    );
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_requests_may_be_sql() {
    let dir = Dir::new();
    fs::create_dir_all(dir.path()).unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("big.sql", "-- title: Big ones\nSELECT n FROM t WHERE n > 1");
    write("bad.sql", "SELECT n FROM t WHERE");
    write("both.json", &json!({"from": from("t")}).to_string());
    write("both.sql", "SELECT n FROM t WHERE n > 2");
    let (server, site) = Site::start(Queries::new().folder(dir.path())).await;
    site.append(&[
        put("t", "1", json!({"n": 1})),
        put("t", "2", json!({"n": 2})),
    ])
    .await;
    site.await_rows("big", |rows| rows.len() == 1).await;
    site.await_rows("both", |rows| rows.len() == 2).await;
    assert_eq!(
        site.describe("big").await["view"],
        json!({"title": "Big ones"})
    );
    let list = site.get("/v1/query").await.json();
    let error = |i: usize| list["broken"][i]["error"].as_str().unwrap().to_owned();
    assert!(error(0).starts_with("expected: an expression"), "{list}");
    assert_eq!(list["broken"][1]["file"], "both.sql");
    assert_eq!(error(1), "`both.json` has the name already");

    // The other one takes its place.
    fs::remove_file(dir.path().join("both.json")).unwrap();
    site.await_rows("both", |rows| rows.is_empty()).await;
    fs::remove_file(dir.path().join("both.sql")).unwrap();
    until(async || (site.get("/v1/query/both/rows").await.status == 404).then_some(())).await;

    let body = json!({"name": "sum", "query": "SELECT sum(n) AS n FROM t"});
    assert_eq!(
        site.send("POST", "/v1/query", Some(&body)).await.status,
        201
    );
    site.await_rows("sum", |rows| rows[0].1 == json!({"n": 3}))
        .await;
    let body = json!({"name": "wrong", "query": "SELECT n FRM t"});
    let answer = site.send("POST", "/v1/query", Some(&body)).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (400, &json!("bad-query"))
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_said() {
    let queries = Queries::new().folder("/nowhere/at/all");
    let error = builder().queries(queries).start().await.unwrap_err();
    assert!(matches!(error, Error::Folder { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "the queries in /nowhere/at/all cannot be read"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_over_http_is_there_after_a_restart() {
    let (dir, files) = (Dir::new(), Dir::new());
    fs::create_dir_all(files.path()).unwrap();
    let start = async || {
        let server = builder()
            .data(dir.path())
            .queries(Queries::new().folder(files.path()))
            .start()
            .await
            .unwrap();
        let site = Site::at(&server.url());
        (server, site)
    };
    let (server, site) = start().await;
    let body = json!({"name": "all", "query": {"from": from("t")}, "view": {"title": "All"}});
    assert_eq!(
        site.send("POST", "/v1/query", Some(&body)).await.status,
        201
    );
    site.query("gone", &json!({"from": from("t")})).await;
    assert_eq!(
        site.send("DELETE", "/v1/query/gone", None).await.status,
        204
    );
    site.append(&[put("t", "1", json!({"n": 1}))]).await;
    site.await_rows("all", |rows| rows.len() == 1).await;
    let offset = site
        .get("/v1/query/all?offset=now")
        .await
        .header("stream-next-offset")
        .to_owned();
    server.shutdown().await;

    let (server, site) = start().await;
    site.await_state("all", "live").await;
    assert_eq!(site.rows("all").await.len(), 1);
    assert_eq!(site.describe("all").await["view"], json!({"title": "All"}));
    assert_eq!(site.describe("gone").await, Value::Null);
    // It is the same result, and readers go on where they were.
    let path = format!("/v1/query/all?offset={offset}");
    let answer = site.get(&path).await;
    assert_eq!((answer.status, answer.json()), (200, json!([])));
    site.append(&[put("t", "2", json!({"n": 2}))]).await;
    site.await_rows("all", |rows| rows.len() == 2).await;
    assert_eq!(site.get(&path).await.json()[0]["key"], "2");
    // A file takes the name over, for good.
    let file = files.path().join("all.json");
    fs::write(
        &file,
        json!({"from": from("t"), "orderBy": [order_desc("t.n")]}).to_string(),
    )
    .unwrap();
    until(async || (site.describe("all").await["origin"] == "file").then_some(())).await;
    server.shutdown().await;
    let (server, site) = start().await;
    let all = site.await_state("all", "live").await;
    assert_eq!(
        (&all["origin"], all.get("fileError")),
        (&json!("file"), None)
    );
    fs::remove_file(file).unwrap();
    until(async || (site.describe("all").await == Value::Null).then_some(())).await;
    server.shutdown().await;
    let (server, site) = start().await;
    assert_eq!(site.describe("all").await, Value::Null);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_played_paused_and_begun_again() {
    let event = |second: u64, key: &str| {
        let mut message = put("t", key, json!({"second": second}));
        message["headers"]["timestamp"] = json!(format!("2020-01-01T02:00:{second:02}+02:00"));
        message.to_string()
    };
    let lines = [
        event(0, "a"),
        event(10, "b"),
        event(20, "c"),
        event(50, "d"),
    ]
    .join("\n");
    let open =
        move || Ok(Box::new(BufReader::new(Cursor::new(lines.clone()))) as Box<dyn BufRead + Send>);
    let replay = Replay::new("events", open)
        .start_at("2020-01-01T00:00:10Z".parse().unwrap())
        .speed(0.0);
    let server = builder()
        .queries(Queries::new())
        .replay(replay)
        .start()
        .await
        .unwrap();
    let site = Site::at(&server.url());
    site.query("all", &json!({"from": from("t")})).await;
    // What was before the start is there at once.
    site.await_rows("all", |rows| rows.len() == 2).await;
    let progress = site.get("/v1/demo").await.json();
    let from = 1_577_836_810_000u64;
    assert_eq!(
        progress,
        json!({"speed": 0.0, "paused": false, "now": from, "from": from, "to": from + 40_000,
               "events": 2, "total": 4, "utcOffsetMinutes": 120})
    );
    assert_eq!(site.get("/v1/dashboard").await.json()["demo"], true);
    let wish = async |wish: Value| site.send("POST", "/v1/demo", Some(&wish)).await;
    assert_eq!(wish(json!({"sped": 1})).await.status, 400);
    let paused = wish(json!({"paused": true, "speed": 86400})).await.json();
    assert_eq!(
        (&paused["paused"], &paused["speed"]),
        (&json!(true), &json!(86400.0))
    );
    assert_eq!(site.get("/v1/demo").await.json()["now"], from);
    wish(json!({"paused": false})).await;
    site.await_rows("all", |rows| rows.len() == 4).await;
    assert_eq!(site.get("/v1/demo").await.json()["now"], from + 40_000);
    wish(json!({"speed": 0, "restart": true})).await;
    site.await_rows("all", |rows| rows.iter().map(|row| &*row.0).eq(["a", "b"]))
        .await;
    server.shutdown().await;
}
