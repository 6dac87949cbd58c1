//! What a server tells of its queries: plans, what their steps do, what a text is before it runs; and
//! queries that are tried out and saved.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tailwater::server::{Queries, Token};
use tailwater::stream::{Live, ReadOptions};

use super::support::{Site, builder, until};
use crate::streams::server_cli::Program;
use crate::streams::server_help::Dir;

fn person(key: usize, city: &str) -> Value {
    let value = json!({"name": format!("P{key}"), "city": city});
    json!({"type": "person", "key": key.to_string(), "value": value,
           "headers": {"operation": "upsert"}})
}

fn steps<'a>(plan: &'a Value, operator: &str, found: &mut Vec<&'a Value>) {
    if plan["operator"] == operator {
        found.push(plan);
    }
    for input in plan["inputs"].as_array().unwrap() {
        steps(input, operator, found);
    }
}

fn step<'a>(plan: &'a Value, operator: &str) -> &'a Value {
    let mut found = Vec::new();
    steps(plan, operator, &mut found);
    found
        .first()
        .unwrap_or_else(|| panic!("no {operator} in {plan:#}"))
}

#[tokio::test]
async fn plans_tell_what_steps_do() {
    let (server, site) = Site::start(Queries::new()).await;
    let sql = "SELECT p.city, count(*) AS n FROM visit AS v JOIN person AS p ON p.name = v.who \
               WHERE v.paid GROUP BY p.city ORDER BY n DESC LIMIT 3";
    site.query("cities", &json!(sql)).await;
    site.query("same", &json!(sql)).await;
    let visit = |key: usize, paid: bool| {
        let value = json!({"who": format!("P{}", key % 4), "paid": paid});
        json!({"type": "visit", "key": key.to_string(), "value": value,
               "headers": {"operation": "insert"}})
    };
    let people = [
        person(0, "A"),
        person(1, "B"),
        person(2, "A"),
        person(3, "C"),
    ];
    site.append(&people).await;
    let visits: Vec<Value> = (0..40).map(|key| visit(key, key < 20)).collect();
    site.append(&visits).await;
    until(async || (site.rows("cities").await.len() == 3).then_some(())).await;

    let answer = site.get("/v1/query/cities/explain").await.json();
    assert_eq!(answer["written"]["operator"], "window");
    assert_eq!(answer["plan"]["figures"], Value::Null);
    assert_eq!(answer["plan"]["sharedBy"], 2);
    let notes = answer["notes"].to_string();
    assert!(notes.contains("pushed into the scan of visit"), "{notes}");

    let path = "/v1/query/cities/explain?analyze=true&seconds=0.05";
    let answer = site.get(path).await.json();
    let plan = &answer["plan"];
    assert_eq!(plan["figures"]["rows"], 3);
    let join = step(plan, "join");
    // All people and the visits that were paid for.
    assert_eq!(join["figures"]["rowsIn"], 24);
    assert_eq!(join["figures"]["rowsOut"], 20);
    assert_eq!(join["clause"], "JOIN");
    let arranged = join["arrangements"].as_array().unwrap();
    let rows: Vec<u64> = arranged
        .iter()
        .map(|of| of["rows"].as_u64().unwrap())
        .collect();
    assert_eq!(rows.iter().sum::<u64>(), 24, "{arranged:?}");
    let aggregate = step(plan, "aggregate");
    assert_eq!(aggregate["figures"]["rowsIn"], 20);
    assert!(aggregate["figures"]["bytes"].as_u64() > Some(0));
    assert_eq!(aggregate["figures"]["perSecond"]["rowsOut"], 0.0);

    // While it is looked at, changes have rates and take time.
    let looking = tokio::spawn({
        let site = site.clone();
        async move {
            site.get("/v1/query/cities/explain?analyze=true&seconds=0.5")
                .await
                .json()
        }
    });
    let mut key = 100;
    while !looking.is_finished() {
        site.append(&[visit(key, true)]).await;
        key += 1;
    }
    let answer = looking.await.unwrap();
    let figures = &step(&answer["plan"], "join")["figures"];
    assert!(
        figures["perSecond"]["rowsOut"].as_f64() > Some(0.0),
        "{figures}"
    );
    assert!(
        figures["perSecond"]["busy"].as_f64() > Some(0.0),
        "{figures}"
    );
    assert!(figures["nanos"].as_u64() > Some(0), "{figures}");

    let text = site.get("/v1/query/cities/explain?format=text").await;
    assert!(text.body.starts_with("result  value:"), "{}", text.body);
    assert!(text.header("content-type").starts_with("text/plain"));
    let dot = site
        .get("/v1/query/cities/explain?format=dot&analyze&seconds=0")
        .await
        .body;
    assert!(
        dot.starts_with("digraph plan {") && dot.contains("cluster_written"),
        "{dot}"
    );
    assert_eq!(site.get("/v1/query/none/explain").await.status, 404);
    assert_eq!(
        site.get("/v1/query/cities/explain?seconds=x").await.status,
        400
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_text_is_looked_at_and_nothing_comes_of_it() {
    let (server, site) = Site::start(Queries::new()).await;
    site.query("all", &json!("SELECT name FROM person")).await;
    site.append(&[person(1, "London")]).await;
    site.await_state("all", "live").await;
    until(async || (site.rows("all").await.len() == 1).then_some(())).await;
    let check = async |text: &str| {
        let answer = site
            .send("POST", "/v1/check", Some(&json!({"text": text})))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let good = check("SELECT city, count(*) AS n FROM person GROUP BY city").await;
    assert_eq!(good["columns"], json!(["city", "n"]));
    assert_eq!(good["warnings"], json!([]));
    assert_eq!(good["query"]["from"]["collection"], "person");
    let wrong = check("SELECT uper(name)\nFROM person").await["error"].clone();
    assert_eq!(
        (&wrong["line"], &wrong["column"], &wrong["length"]),
        (&json!(1), &json!(8), &json!(4))
    );
    let doubtful = check("SELECT nmae FROM persons").await;
    assert!(
        doubtful["warnings"][0]["message"]
            .as_str()
            .unwrap()
            .contains("`persons`")
    );
    let collections = site.get("/v1/collections").await.json();
    assert_eq!(
        collections["collections"],
        json!([{"name": "person", "rows": 1, "columns": ["city", "name"]}])
    );
    assert_eq!(
        site.send("POST", "/v1/check", Some(&json!({})))
            .await
            .status,
        400
    );
    assert_eq!(site.get("/v1/check").await.status, 405);
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_tried_out_is_read_as_any_result_and_is_in_no_list() {
    let (server, site) = Site::start(Queries::new()).await;
    site.query("all", &json!("SELECT name FROM person")).await;
    site.append(&[person(1, "London"), person(2, "Rome")]).await;
    until(async || (site.rows("all").await.len() == 2).then_some(())).await;
    let text = json!({"text": "SELECT name FROM person WHERE city = 'Rome'"});
    let answer = site.send("POST", "/v1/trial", Some(&text)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let trial = answer.json();
    assert_eq!(
        (&trial["origin"], &trial["columns"]),
        (&json!("trial"), &json!(["name"]))
    );
    let name = trial["name"].as_str().unwrap();
    until(async || (site.rows(name).await.len() == 1).then_some(())).await;
    assert_eq!(site.describe(name).await, Value::Null);
    let metrics = site.get("/metrics").await.body;
    assert!(
        metrics.contains("query=\"all\"") && !metrics.contains(name),
        "{metrics}"
    );
    let path = format!("/v1/query/{name}");
    assert_eq!(site.send("DELETE", &path, None).await.status, 204);
    assert_eq!(site.send("DELETE", &path, None).await.status, 404);
    let wrong = json!({"text": "SELECT"});
    assert_eq!(
        site.send("POST", "/v1/trial", Some(&wrong)).await.status,
        400
    );
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_tried_out_ends_when_nobody_reads_it_any_more() {
    let queries = Queries::new().drop_trials_after(Duration::from_millis(300));
    let (server, site) = Site::start(queries).await;
    let trial = async |sql: &str| {
        let answer = site
            .send("POST", "/v1/trial", Some(&json!({"text": sql})))
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["name"].as_str().unwrap().to_owned()
    };
    let read = trial("SELECT name FROM person").await;
    let unread = trial("SELECT city FROM person").await;
    site.append(&[person(1, "London")]).await;
    let mut reader = (site.result(&[&read])).read(ReadOptions::default().live(Live::Sse));
    let (told, mut told_of) = (Arc::new(AtomicU64::new(0)), 0);
    let counts = told.clone();
    let following = tokio::spawn(async move {
        while let Some(Ok(_)) = reader.next().await {
            counts.fetch_add(1, Ordering::Relaxed);
        }
    });
    let gone = async |name: &str| {
        let list = site.get(&format!("/v1/query/{name}/rows")).await;
        list.status == 404
    };
    until(async || gone(&unread).await.then_some(())).await;
    // The one that is followed has outlived it, and goes on.
    for n in 2..5 {
        site.append(&[person(n, "Rome")]).await;
        until(async || (told.load(Ordering::Relaxed) > told_of).then_some(())).await;
        told_of = told.load(Ordering::Relaxed);
    }
    assert!(!gone(&read).await);
    assert!(!following.is_finished());
    following.abort();
    until(async || gone(&read).await.then_some(())).await;
    server.shutdown().await;
}

#[tokio::test]
async fn files_are_saved_and_read_by_those_who_may() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.path()).unwrap();
    let tokens = [
        Token::new("writes").read().write(),
        Token::new("reads").read(),
        Token::new("elsewhere").prefix("other").read().write(),
    ];
    let queries = Queries::new().folder(dir.path());
    let server = builder()
        .tokens(tokens)
        .queries(queries)
        .start()
        .await
        .unwrap();
    let nobody = Site::at(&server.url());
    let [writer, reader, elsewhere] =
        ["writes", "reads", "elsewhere"].map(|token| nobody.with_token(token));
    let new = json!({"name": "top", "text": "SELECT name FROM person"});
    let trial = json!({"text": "SELECT name FROM person"});
    for (site, status) in [(&nobody, 401), (&reader, 403), (&elsewhere, 403)] {
        for (path, body) in [("/v1/file", &new), ("/v1/trial", &trial)] {
            let answer = site.send("POST", path, Some(body)).await;
            assert_eq!(answer.status, status, "{path} {answer:?}");
        }
    }
    for (site, status) in [(&nobody, 401), (&elsewhere, 403), (&reader, 200)] {
        assert_eq!(
            site.send("POST", "/v1/check", Some(&trial)).await.status,
            status
        );
        assert_eq!(site.get("/v1/collections").await.status, status);
    }
    let saved = writer.send("POST", "/v1/file", Some(&new)).await;
    assert_eq!(
        (saved.status, saved.json()),
        (201, json!({"file": "top.sql"}))
    );
    writer.await_state("top", "live").await;
    let shown = reader.get("/v1/file?name=top").await.json();
    assert_eq!(
        shown,
        json!({"file": "top.sql", "text": "SELECT name FROM person\n"})
    );
    assert_eq!(elsewhere.get("/v1/file?name=top").await.status, 403);
    assert_eq!(elsewhere.get("/v1/query/top/explain").await.status, 403);
    assert_eq!(reader.get("/v1/query/top/explain").await.status, 200);
    assert_eq!(writer.get("/v1/file?name=..%2Ftop").await.status, 404);

    // Not a second time, not over the layout, not outside, and not what does not hold.
    let over = json!({"name": "top", "text": "SELECT city FROM person"});
    assert_eq!(
        writer.send("POST", "/v1/file", Some(&over)).await.status,
        409
    );
    for name in ["dashboard", "../top", "a/b", ".hidden", ""] {
        let body = json!({"name": name, "text": "SELECT name FROM person", "replace": true});
        let answer = writer.send("POST", "/v1/file", Some(&body)).await;
        assert_eq!(answer.status, 400, "{name} {answer:?}");
    }
    let wrong = json!({"name": "x", "text": "SELECT uper(a) FROM person"});
    assert_eq!(
        writer.send("POST", "/v1/file", Some(&wrong)).await.status,
        400
    );
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(names, ["top.sql"]);

    let mut over = over;
    over["replace"] = json!(true);
    assert_eq!(
        writer.send("POST", "/v1/file", Some(&over)).await.status,
        201
    );
    until(async || {
        let top = writer.describe("top").await;
        (top["columns"] == json!(["city"])).then_some(())
    })
    .await;
    server.shutdown().await;
}

#[tokio::test]
async fn without_a_folder_nothing_is_saved() {
    let (server, site) = Site::start(Queries::new()).await;
    let new = json!({"name": "top", "text": "SELECT name FROM person"});
    let answer = site.send("POST", "/v1/file", Some(&new)).await;
    assert_eq!(
        (answer.status, answer.json()["code"].clone()),
        (409, json!("no-folder"))
    );
    assert_eq!(site.get("/v1/dashboard").await.json()["folder"], false);
    server.shutdown().await;
}

/// All texts of some fields in a JSON value.
fn texts<'a>(value: &'a Value, names: &[&str], found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(text) if names.contains(&name.as_str()) => found.push(text),
                    _ => texts(field, names, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, names, found)),
        _ => {}
    }
}

#[tokio::test]
async fn figures_tell_how_late_results_are_and_the_example_dashboard_uses_no_others() {
    let (server, site) = Site::start(Queries::new()).await;
    site.query("all", &json!("SELECT name FROM person")).await;
    site.await_state("all", "live").await;
    let mut ada = person(1, "London");
    ada["headers"]["timestamp"] = json!("2013-05-23T10:00:00Z");
    site.append(&[ada]).await;
    site.append(&[json!({"type": "person", "headers": {"operation": "none"}})])
        .await;
    let lines = until(async || {
        let text = site.get("/metrics").await.body;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let skipped = "tailwater_source_skipped_messages_total{source=\"events\"} 1";
        lines.iter().any(|line| line == skipped).then_some(lines)
    })
    .await;
    for line in [
        "tailwater_query_rows{query=\"all\"} 1",
        "tailwater_query_changes_total{query=\"all\"} 1",
        "tailwater_query_live{query=\"all\"} 1",
        "tailwater_query_error{query=\"all\"} 0",
        "tailwater_query_event_time_seconds{query=\"all\"} 1369303200",
        "tailwater_query_arrival_lag_seconds_count{query=\"all\"} 1",
        "tailwater_query_arrival_lag_seconds_bucket{query=\"all\",le=\"+Inf\"} 1",
        "tailwater_source_live{source=\"events\"} 1",
        "tailwater_collection_rows{source=\"events\",collection=\"person\"} 1",
    ] {
        assert!(
            lines.iter().any(|found| found == line),
            "{line} in {lines:#?}"
        );
    }
    let value = |name: &str| {
        let line = lines.iter().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit_once(' '));
        value
            .unwrap_or_else(|| panic!("{name}"))
            .1
            .parse::<f64>()
            .unwrap()
    };
    assert!(value("tailwater_query_event_lag_seconds{query=\"all\"}") > 1e8);
    assert!(value("tailwater_query_memory_bytes{query=\"all\"}") > 0.0);

    // Each has a type, and names of histograms have three endings.
    let mut known: Vec<String> = Vec::new();
    for line in lines.iter().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        match kind {
            "histogram" => {
                known.extend(["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")))
            }
            _ => known.push(name.to_owned()),
        }
    }
    let dashboard = include_str!("../../../docs/grafana.json");
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let mut expressions = Vec::new();
    texts(&dashboard, &["expr", "definition"], &mut expressions);
    let mut used = 0;
    for expression in &expressions {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in words.filter(|word| word.starts_with("tailwater_")) {
            used += 1;
            assert!(
                known.iter().any(|known| known == name),
                "{name} in {expression}"
            );
        }
    }
    assert!(expressions.len() > 15 && used >= expressions.len());
    server.shutdown().await;
}

#[tokio::test]
async fn an_append_is_followed_from_its_request_to_change_sets() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.path()).unwrap();
    let log = dir.path().join("log");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tailwater"));
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("TAILWATER_LOG", "tailwater=trace")
        .env("NO_COLOR", "1")
        .stderr(std::fs::File::create(&log).unwrap());
    let program = Program::run(command);
    let site = Site::at(&program.url);
    site.query("all", &json!("SELECT name FROM person")).await;
    site.await_state("all", "live").await;
    site.append(&[person(1, "London"), person(2, "Rome")]).await;
    until(async || (site.rows("all").await.len() == 2).then_some(())).await;
    let text = std::fs::read_to_string(&log).unwrap();
    // A line that has all of some texts, and what stands behind the last of them up to a space.
    let find = |texts: &[&str]| {
        let mut lines = text.lines();
        let line = lines.find(|line| texts.iter().all(|text| line.contains(text)));
        let line = line.unwrap_or_else(|| panic!("{texts:?} in {text}"));
        let (_, behind) = line.split_once(texts[texts.len() - 1]).unwrap();
        let end = behind.find([' ', '}']).unwrap_or(behind.len());
        behind[..end].to_owned()
    };
    let path = "path=\"/v1/stream/events\"";
    let offset = find(&["DEBUG request{method=POST", path, "appended offset="]);
    let offset = offset.trim_matches('"');
    let batch = format!("offset={offset}}}");
    let epoch = find(&["DEBUG batch{", &batch, "a step epoch="]);
    let set = format!("epoch={epoch} changes=");
    assert_eq!(find(&["TRACE batch{", &batch, "query=\"all\"", &set]), "2");
    assert!(text.contains("INFO") && text.contains("a query is served query=\"all\""));
    let (status, _) = program.terminate();
    assert_eq!(status, Some(0));
}
