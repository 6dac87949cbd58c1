//! Readers that come late, come back, or find another result: never a gap, never a duplicate.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tailwater::db::{LiveQuery, StreamDb};
use tailwater::query::Query;
use tailwater::server::Queries;
use tailwater::stream::{Live, Offset, ReadOptions, StreamError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::support::{Folded, Site, builder, delete, in_time, put, until};
use crate::support::{from, order, path, val};

fn all() -> Value {
    json!({"from": from("t"), "orderBy": [order("t.n")]})
}

fn even() -> Value {
    let even = json!({"type": "func", "name": "eq", "args": [path("t.even"), val(true)]});
    json!({"from": from("t"), "where": [even], "orderBy": [order("t.n")]})
}

fn row(n: u64) -> Value {
    put(
        "t",
        &n.to_string(),
        json!({"n": n, "even": n.is_multiple_of(2)}),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_kept_is_gone_and_the_snapshot_is_there() {
    let (server, site) = Site::start(Queries::new().keep_bytes(4000)).await;
    site.query("all", &all()).await;
    site.append(&[row(0)]).await;
    site.await_rows("all", |rows| rows.len() == 1).await;
    let offset = site
        .get("/v1/query/all?offset=now")
        .await
        .header("stream-next-offset")
        .to_owned();
    // A little is kept.
    site.append(&[row(1)]).await;
    site.await_rows("all", |rows| rows.len() == 2).await;
    let path = format!("/v1/query/all?offset={offset}");
    assert_eq!(site.get(&path).await.json().as_array().unwrap().len(), 1);
    for n in 2..100 {
        site.append(&[row(n), delete("t", &(n - 2).to_string())])
            .await;
    }
    site.await_rows("all", |rows| rows.len() == 2 && rows[1].0 == "99")
        .await;
    for live in ["", "&live=long-poll", "&live=sse"] {
        let answer = site.get(&format!("{path}{live}")).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (410, &json!("gone")),
            "{live}"
        );
    }
    let mut folded = Folded::default();
    let mut reader = site.result(&["all"]).read(ReadOptions::from(Offset::START));
    folded.take(&in_time(reader.next()).await.unwrap().unwrap());
    assert_eq!(folded.rows("all"), site.rows("all").await);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_longer_than_it_is_to_be() {
    let queries = Queries::new().keep_for(Duration::from_millis(1));
    let (server, site) = Site::start(queries).await;
    site.query("all", &all()).await;
    site.await_state("all", "live").await;
    let offset = site
        .get("/v1/query/all?offset=-1")
        .await
        .header("stream-next-offset")
        .to_owned();
    site.append(&[row(0)]).await;
    until(async || {
        let answer = site.get(&format!("/v1/query/all?offset={offset}")).await;
        (answer.status == 410).then_some(())
    })
    .await;
    server.shutdown().await;
}

/// The database of a result, as another Tailwater or a Rust program reads it.
async fn database(site: &Site, name: &str) -> (StreamDb, LiveQuery<tailwater::value::Value>) {
    let db = StreamDb::builder(site.result(&[name])).open().unwrap();
    in_time(db.preload()).await.unwrap();
    let all = Query::from_json(&json!({"from": from(name)}).to_string()).unwrap();
    let live = db.live(all).unwrap();
    (db, live)
}

fn keys(live: &LiveQuery<tailwater::value::Value>) -> Vec<String> {
    let mut keys: Vec<String> = live.read().iter().map(|row| row.key()).collect();
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_query_shows_in_one_step() {
    let (server, site) = Site::start(Queries::new()).await;
    site.query("q", &all()).await;
    let rows: Vec<Value> = (0..6).map(row).collect();
    site.append(&rows).await;
    site.await_rows("q", |rows| rows.len() == 6).await;
    let (db, live) = database(&site, "q").await;
    assert_eq!(live.len(), 6);
    let mut changes = live.subscribe();
    assert_eq!(in_time(changes.next()).await.unwrap().len(), 6);

    let mut raw = site
        .result(&["q"])
        .read(ReadOptions::from(Offset::START).live(Live::Sse));
    in_time(raw.next()).await.unwrap().unwrap();
    let body = json!({"query": even()});
    assert_eq!(
        site.send("PUT", "/v1/query/q", Some(&body)).await.status,
        200
    );
    let step = in_time(changes.next()).await.unwrap();
    let left: Vec<String> = step
        .iter()
        .map(|change| format!("{:?} {}", change.kind(), change.key()))
        .collect();
    assert_eq!(
        left,
        ["Delete 1", "Delete 3", "Delete 5"],
        "the rest stays as it is"
    );
    site.append(&[row(8), row(9)]).await;
    let step = in_time(changes.next()).await.unwrap();
    assert_eq!(
        (step.len(), keys(&live)),
        (1, ["0", "2", "4", "8"].map(String::from).to_vec())
    );
    assert!(db.status().is_ready());
    // Who reads without a database is told.
    let end = in_time(async {
        loop {
            match raw.next().await.unwrap() {
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    });
    assert!(matches!(end.await, StreamError::Gone { .. }));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_empty_by_now_is_empty_for_its_readers() {
    let (server, site) = Site::start(Queries::new()).await;
    site.query("q", &all()).await;
    site.append(&[row(1), row(3)]).await;
    site.await_rows("q", |rows| rows.len() == 2).await;
    let (_db, live) = database(&site, "q").await;
    assert_eq!(live.len(), 2);
    site.send("PUT", "/v1/query/q", Some(&json!({"query": even()})))
        .await;
    until(async || live.is_empty().then_some(())).await;
    site.append(&[row(2)]).await;
    until(async || (live.len() == 1).then_some(())).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_dropped_query_are_told() {
    let (server, site) = Site::start(Queries::new()).await;
    site.query("q", &all()).await;
    site.query("other", &even()).await;
    site.append(&[row(1)]).await;
    site.await_rows("q", |rows| rows.len() == 1).await;
    let offset = site
        .get("/v1/query/q?offset=now")
        .await
        .header("stream-next-offset")
        .to_owned();
    let mut readers = Vec::new();
    for (names, live) in [
        (&["q"][..], Live::Sse),
        (&["q"], Live::LongPoll),
        (&["q", "other"], Live::Sse),
    ] {
        let mut reader = site
            .result(names)
            .read(ReadOptions::from(Offset::START).live(live));
        let first = in_time(reader.next()).await.unwrap().unwrap();
        assert!(!first.closed);
        readers.push(reader);
    }
    assert_eq!(site.send("DELETE", "/v1/query/q", None).await.status, 204);
    for mut reader in readers {
        let closed = async {
            while let Some(batch) = reader.next().await {
                if batch.unwrap().closed {
                    return true;
                }
            }
            false
        };
        assert!(in_time(closed).await);
    }
    // Who asks a little later is told, too; who begins is not.
    let late = site
        .get(&format!("/v1/query/q?offset={offset}&live=long-poll"))
        .await;
    assert_eq!((late.status, late.header("stream-closed")), (204, "true"));
    assert_eq!(site.get("/v1/query/q?offset=-1").await.status, 404);
    // The name is free.
    site.query("q", &even()).await;
    assert_eq!(
        site.get(&format!("/v1/query/q?offset={offset}"))
            .await
            .status,
        410
    );
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_the_source_of_another_server() {
    let (near, site) = Site::start(Queries::new()).await;
    site.query("even", &even()).await;
    let rows: Vec<Value> = (0..10).map(row).collect();
    site.append(&rows).await;
    let upstream = format!("{}/v1/query/even", site.url);
    let (far, chained) = Site::start(Queries::new().upstream(upstream)).await;
    let large = json!({"type": "func", "name": "gt", "args": [path("even.n"), val(3)]});
    let query = json!({"from": from("even"), "where": [large], "orderBy": [order("even.n")]});
    chained.query("large", &query).await;
    chained.await_rows("large", |rows| rows.len() == 3).await;
    site.append(&[row(12), delete("t", "4")]).await;
    chained
        .await_rows("large", |rows| {
            rows.iter().map(|row| &*row.0).eq(["6", "8", "12"])
        })
        .await;
    far.shutdown().await;
    near.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_slows_nobody_and_is_told_that_it_missed_something() {
    let server = builder()
        .queries(Queries::new().keep_bytes(100_000))
        .start()
        .await
        .unwrap();
    let site = Site::at(&server.url());
    site.query("all", &all()).await;
    site.await_state("all", "live").await;
    // It asks and then takes nothing.
    let mut lazy = TcpStream::connect(server.address()).await.unwrap();
    let request = "GET /v1/query/all?offset=-1&live=sse HTTP/1.1\r\nhost: x\r\n\r\n";
    lazy.write_all(request.as_bytes()).await.unwrap();
    let mut reader = site
        .result(&["all"])
        .read(ReadOptions::from(Offset::START).live(Live::Sse));
    let mut folded = Folded::default();
    folded.take(&in_time(reader.next()).await.unwrap().unwrap());
    let text = "x".repeat(2000);
    for n in 0..10_000u64 {
        let n = n % 50;
        let value = json!({"n": n, "even": false, "text": format!("{n}{text}")});
        let batch: Vec<Value> = vec![
            put("t", &n.to_string(), value),
            delete("t", &((n + 1) % 50).to_string()),
        ];
        site.append(&batch).await;
        // The one that reads keeps up, as far as the server may put steps together.
        if n == 0 {
            folded.take(&in_time(reader.next()).await.unwrap().unwrap());
        }
    }
    site.append(&[put("t", "end", json!({"n": -1}))]).await;
    let seen_end = async {
        while folded.rows("all").first().is_none_or(|row| row.0 != "end") {
            match reader.next().await.unwrap() {
                Ok(batch) => folded.take(&batch),
                // It was too slow, too: it begins again.
                Err(StreamError::Gone { .. }) => {
                    folded = Folded::default();
                    reader = site
                        .result(&["all"])
                        .read(ReadOptions::from(Offset::START).live(Live::Sse));
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    in_time(seen_end).await;
    assert_eq!(folded.rows("all"), site.rows("all").await);
    // 20 MB went by, of which the server kept 100 kB: the rest is not sent any more.
    let mut taken = Vec::new();
    in_time(lazy.read_to_end(&mut taken)).await.unwrap();
    assert!(taken.len() < 12_000_000, "{}", taken.len());
    let offset = String::from_utf8_lossy(&taken);
    let offset = offset
        .rsplit("\"streamNextOffset\":\"")
        .next()
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let answer = site.get(&format!("/v1/query/all?offset={offset}")).await;
    assert_eq!(answer.status, 410, "{answer:?}");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_query_is_replaced_readers_begin_without_a_gap() {
    let (server, site) = Site::start(Queries::new()).await;
    site.query("q", &all()).await;
    site.append(&[row(1)]).await;
    site.await_rows("q", |rows| rows.len() == 1).await;
    let (done, ended) = tokio::sync::watch::channel(false);
    let mut readers = Vec::new();
    for path in ["/v1/query/q/rows", "/v1/query/q?offset=-1"].repeat(2) {
        let (site, ended) = (site.clone(), ended.clone());
        readers.push(tokio::spawn(async move {
            while !*ended.borrow() {
                let answer = site.get(path).await;
                assert_eq!(answer.status, 200, "{path}: {answer:?}");
            }
        }));
    }
    for limit in 1..500 {
        let query = json!({"from": from("t"), "orderBy": [order("t.n")], "limit": limit});
        let body = json!({"query": query});
        let answer = site.send("PUT", "/v1/query/q", Some(&body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    done.send_replace(true);
    for reader in readers {
        reader.await.unwrap();
    }
    server.shutdown().await;
}
