//! Hooks, and what is asked of the server: numbers 17 and 18 of the state package.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tailwater::db::{Status, StreamDb};
use tailwater::stream::Live;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::db_support::*;

/// A server that notes the request lines it gets and gives what a function makes of each: the messages,
/// where they end, and whether that is all.
async fn server<F: Future<Output = (Value, &'static str, bool)> + Send>(
    answer: impl Fn(String) -> F + Clone + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/stream", listener.local_addr().unwrap());
    let lines = Arc::new(Mutex::new(Vec::new()));
    let notes = lines.clone();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let (notes, answer) = (notes.clone(), answer.clone());
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(connection.read_u8().await.ok()?);
                }
                let line = String::from_utf8_lossy(&request).lines().next()?.to_owned();
                notes.lock().unwrap().push(line.clone());
                let (messages, end, all) = answer(line).await;
                let body = messages.to_string();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                     stream-next-offset: {end}\r\n{}connection: close\r\n\r\n{body}",
                    body.len(),
                    if all {
                        "stream-up-to-date: true\r\n"
                    } else {
                        ""
                    },
                );
                connection.write_all(answer.as_bytes()).await.ok()
            });
        }
    });
    (url, lines)
}

/// A server that has nothing.
async fn recorder() -> (String, Arc<Mutex<Vec<String>>>) {
    server(async |line: String| {
        if line.contains("live=") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        (json!([]), "0_0", true)
    })
    .await
}

#[tokio::test]
async fn nothing_is_visible_before_all_is_read() {
    let may_end = Arc::new(tokio::sync::Notify::new());
    let wait = may_end.clone();
    let (url, lines) = server(move |line: String| {
        let wait = wait.clone();
        async move {
            if line.contains("offset=-1") {
                return (json!([user("insert", "1", "Ada")]), "1", false);
            }
            wait.notified().await;
            (json!([user("insert", "2", "Alan")]), "2", true)
        }
    })
    .await;
    let (send, batches) = std::sync::mpsc::channel();
    let db = StreamDb::builder(url)
        .live(Live::Off)
        .on_batch(move |batch| send.send(batch.offset.to_string()).unwrap())
        .open()
        .unwrap();
    let users = db.collection_named("user").unwrap();
    let mut changes = users.subscribe();
    let check = async {
        eventually("the first batch", || batches.try_recv().is_ok()).await;
        eventually("the second request", || lines.lock().unwrap().len() == 2).await;
        // The engine's thread is done with the batch when it answers.
        db.query_count().unwrap();
        assert!(users.is_empty() && changes.try_next().is_none());
        assert!(matches!(db.status(), Status::Loading));
        assert_eq!(db.offset().as_str(), "1");
        may_end.notify_one();
    };
    let (loaded, ()) = tokio::join!(db.preload(), check);
    loaded.unwrap();
    assert_eq!(changes.try_next().unwrap().len(), 2);
}

#[tokio::test]
async fn b17_the_live_mode_reaches_the_requests() {
    let (url, lines) = recorder().await;
    let db = StreamDb::builder(url).live(Live::LongPoll).open().unwrap();
    assert!(lines.lock().unwrap().is_empty(), "opening sends nothing");
    db.preload().await.unwrap();
    eventually("the second request", || lines.lock().unwrap().len() > 1).await;
    let lines = lines.lock().unwrap();
    assert!(!lines[0].contains("live="), "{}", lines[0]);
    assert!(lines[1].contains("live=long-poll"), "{}", lines[1]);
}

#[tokio::test]
async fn b18_without_live_mode_there_is_one_request() {
    let (url, lines) = recorder().await;
    let db = StreamDb::builder(url).live(Live::Off).open().unwrap();
    db.preload().await.unwrap();
    eventually("the end", || db.status().is_over()).await;
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].contains("live="), "{}", lines[0]);
}

#[tokio::test]
async fn preload_reads_once() {
    let (url, lines) = recorder().await;
    let db = StreamDb::builder(url).live(Live::Off).open().unwrap();
    let (a, b) = tokio::join!(db.preload(), db.preload());
    a.unwrap();
    b.unwrap();
    db.clone().preload().await.unwrap();
    assert_eq!(lines.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn hooks_see_batches_and_events_before_they_are_visible() {
    let world = World::new().await;
    let unknown = event("insert", "unknown", "u", json!({}));
    let reset = json!({"headers": {"control": "reset"}});
    world
        .append(&[user("insert", "1", "Ada"), unknown, reset])
        .await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let note = |log: &Arc<Mutex<Vec<String>>>| {
        let log = log.clone();
        move |text: String| log.lock().unwrap().push(text)
    };
    let (before, on_event, after) = (note(&log), note(&log), note(&log));
    let db = world
        .typed()
        .live(Live::Off)
        .on_before_batch(move |batch| before(format!("before {}", batch.items.json().len())))
        .on_event(move |change| on_event(format!("{} {}", change.event_type, change.key)))
        .on_batch(move |batch| after(format!("after {}", batch.up_to_date)))
        .open()
        .unwrap();
    db.preload().await.unwrap();
    let log = log.lock().unwrap();
    assert_eq!(*log, ["before 3", "user 1", "unknown u", "after true"]);
}
