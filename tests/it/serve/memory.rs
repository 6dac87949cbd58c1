//! What results take in memory, and what becomes of those that take too much.

use serde_json::{Value, json};
use tailwater::server::Queries;

use super::support::{Site, builder, put, until};
use crate::support::from;

fn all() -> Value {
    json!({"from": from("t")})
}

fn cross() -> Value {
    let other = json!({"type": "collectionRef", "collection": "t", "alias": "other"});
    json!({"from": from("t"), "join": [{"type": "cross", "from": other}]})
}

fn rows(from: usize, to: usize) -> Vec<Value> {
    (from..to)
        .map(|i| put("t", &i.to_string(), json!({"n": i})))
        .collect()
}

/// The value of a figure.
fn figure(metrics: &str, name: &str) -> Option<f64> {
    let mut lines = metrics.lines();
    lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[tokio::test]
async fn a_query_that_explodes_is_an_error_until_it_is_changed() {
    let (server, site) = Site::start(Queries::new().query_memory_limit(8 << 20)).await;
    site.append(&rows(0, 10)).await;
    site.query("all", &all()).await;
    site.query("pairs", &cross()).await;
    site.await_rows("pairs", |rows| rows.len() == 100).await;
    site.append(&rows(10, 2000)).await;
    let query = site.await_state("pairs", "error").await;
    let error = query["status"]["error"].as_str().unwrap();
    assert!(
        error.starts_with("the memory limit of a query of 8 MiB is exceeded"),
        "{error}"
    );
    assert_eq!(
        (&query["rows"], &query["bytes"]),
        (&Value::Null, &Value::Null)
    );
    for path in ["/v1/query/pairs/rows", "/v1/query/pairs?offset=-1"] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, 507, "{answer:?}");
        assert!(answer.body.contains("8 MiB"), "{answer:?}");
    }
    // The others go on, and it stays as it is.
    site.await_rows("all", |rows| rows.len() == 2000).await;
    site.append(&rows(2000, 2001)).await;
    site.await_rows("all", |rows| rows.len() == 2001).await;
    assert_eq!(site.describe("all").await["status"]["state"], "live");
    assert_eq!(site.describe("pairs").await["status"]["state"], "error");

    let body = json!({"name": "more", "query": cross()});
    let answer = site.send("POST", "/v1/query", Some(&body)).await;
    assert_eq!(answer.status, 507, "{answer:?}");
    assert!(
        answer.body.contains("8 MiB") && answer.body.contains("join"),
        "{answer:?}"
    );
    assert_eq!(site.describe("more").await, Value::Null);

    let body = json!({"query": all()});
    assert_eq!(
        site.send("PUT", "/v1/query/pairs", Some(&body))
            .await
            .status,
        200
    );
    site.await_rows("pairs", |rows| rows.len() == 2001).await;
    assert_eq!(site.describe("pairs").await["status"]["state"], "live");
    server.shutdown().await;
}

/// What was served of the old stream is not served on, nor held.
#[tokio::test]
async fn a_query_that_explodes_on_a_new_stream_is_an_error() {
    let far = builder().start().await.unwrap();
    let (source, url) = (Site::at(&far.url()), far.stream_url("events"));
    let stream = async |method: &str, rows: Option<Vec<Value>>| {
        let body = rows.map(Value::from);
        let answer = source.send(method, "/v1/stream/events", body.as_ref());
        assert!(answer.await.status < 300);
    };
    stream("PUT", Some(rows(0, 10))).await;
    let queries = Queries::new().upstream(url).query_memory_limit(8 << 20);
    let (near, site) = Site::start(queries).await;
    site.query("pairs", &cross()).await;
    site.await_rows("pairs", |rows| rows.len() == 100).await;
    site.query("all", &all()).await;
    // A stream that comes at once is one that the same database reads again.
    let missing = async || {
        let all = site.describe("all").await;
        let error = all["status"]["error"].as_str().unwrap_or_default();
        error.contains("no stream").then_some(())
    };
    stream("DELETE", None).await;
    until(&missing).await;
    stream("PUT", Some(rows(0, 2000))).await;
    site.await_state("pairs", "error").await;
    for path in ["/v1/query/pairs/rows", "/v1/query/pairs?offset=-1"] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, 507, "{answer:?}");
    }
    // It runs again when there is less of it.
    stream("DELETE", None).await;
    until(&missing).await;
    stream("PUT", Some(rows(0, 3))).await;
    site.await_state("pairs", "live").await;
    site.await_rows("pairs", |rows| rows.len() == 9).await;
    near.shutdown().await;
    far.shutdown().await;
}

#[tokio::test]
async fn memory_is_listed_and_measured() {
    let (server, site) = Site::start(Queries::new()).await;
    site.append(&rows(0, 1000)).await;
    site.query("all", &all()).await;
    site.await_rows("all", |rows| rows.len() == 1000).await;
    let bytes = site.describe("all").await["bytes"].as_u64().unwrap();
    assert!((10_000..1_000_000).contains(&bytes), "{bytes}");
    let metrics = until(async || {
        let metrics = site.get("/metrics").await.body;
        figure(&metrics, "tailwater_query_memory_bytes{query=\"all\"}").map(|_| metrics)
    })
    .await;
    let of_query = figure(&metrics, "tailwater_query_memory_bytes{query=\"all\"}");
    assert_eq!(of_query, Some(bytes as f64));
    let labels = "{source=\"events\",collection=\"t\"}";
    let figure = |name: &str| figure(&metrics, &format!("{name}{labels}"));
    assert_eq!(figure("tailwater_collection_rows"), Some(1000.0));
    assert!(
        figure("tailwater_collection_memory_bytes").unwrap() > 20_000.0,
        "{metrics}"
    );
    server.shutdown().await;
}

#[tokio::test]
async fn under_a_limit_of_a_source_the_biggest_result_goes() {
    let (server, site) = Site::start(Queries::new().memory_limit(6 << 20)).await;
    let some = json!({"from": from("t"), "where": [{"type": "func", "name": "lt", "args": [
        {"type": "ref", "path": ["t", "n"]}, {"type": "val", "value": 3}]}]});
    site.query("some", &some).await;
    site.query("pairs", &cross()).await;
    site.append(&rows(0, 1000)).await;
    let query = site.await_state("pairs", "error").await;
    let error = query["status"]["error"].as_str().unwrap();
    assert!(
        error.starts_with("the memory limit of 6 MiB is exceeded"),
        "{error}"
    );
    site.await_rows("some", |rows| rows.len() == 3).await;
    server.shutdown().await;
}
