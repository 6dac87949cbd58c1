//! What is secret is in no error.

use std::error::Error;
use std::time::Duration;

use futures_util::StreamExt;
use tailwater::stream::{
    AppendOptions, CreateOptions, DurableStream, Live, Provider, ReadOptions, StreamBuilder,
    StreamError,
};

use super::super::hand_made::{Reply, Server};
use super::super::support::{in_time, quick_policy};
use crate::support::free_address;

const SECRET: &str = "s3cret";

/// A handle with secrets wherever they may be.
fn handle(url: &str) -> StreamBuilder {
    let url = url.replace("http://", &format!("http://user:{SECRET}@"));
    DurableStream::builder(format!("{url}?token={SECRET}"))
        .content_type("application/json")
        .param("key", SECRET)
        .param("other", Provider::function(|| SECRET.into()))
        .header("authorization", format!("Bearer {SECRET}"))
        .request_timeout(Duration::from_millis(500))
        .live_timeout(Duration::from_millis(500))
        .max_response_bytes(1_000)
        .retry(quick_policy(1))
}

/// All that is printed of an error.
fn print(error: &StreamError) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!("\n{inner} {inner:?}"));
        cause = inner.source();
    }
    text
}

/// Everything that can go wrong with a handle.
async fn errors(stream: &DurableStream) -> Vec<StreamError> {
    let sequence = AppendOptions {
        seq: Some("1".into()),
        close: false,
    };
    let mut errors: Vec<StreamError> = [
        stream.create(CreateOptions::json()).await.err(),
        stream.head().await.err(),
        stream.append("1").await.err(),
        stream.append("1,2").await.err(),
        stream.append_all(["1".into()], sequence).await.err(),
        stream.close().await.err(),
        stream.delete().await.err(),
    ]
    .into_iter()
    .flatten()
    .collect();
    // Deleting has made the handle forget its type.
    if let Ok(producer) = stream.producer("p").start().await {
        errors.extend(producer.append("1").await.err());
        errors.extend(in_time(producer.flush()).await.err());
        errors.extend(producer.failure());
    }
    for live in [Live::Off, Live::LongPoll, Live::Sse, Live::Auto] {
        let reader = stream.read(ReadOptions::default().live(live));
        let batches: Vec<_> = in_time(reader.take(5).collect()).await;
        errors.extend(batches.into_iter().filter_map(Result::err));
    }
    errors
}

#[tokio::test]
async fn secrets_are_in_no_error() {
    let mut replies: Vec<Reply> = [400, 401, 403, 404, 409, 410, 413, 429, 500]
        .map(Reply::status)
        .into();
    replies.extend([
        Reply::status(409).header("stream-closed", "true"),
        Reply::status(409).header("producer-expected-seq", "7"),
        Reply::status(403).header("producer-epoch", "7"),
        Reply::status(307).header("location", "/made/by/hand"),
        Reply::status(302).header("location", "http://"),
        Reply::status(200),
        Reply::nothing(),
        Reply::status(200).cut(20),
        Reply::status(200).cut(20).hold(),
        Reply::json(1, "[1").cut(120),
        Reply::json(1, "[1"),
        Reply::json(1, &"1".repeat(2_000)),
        Reply::events("event: control\ndata: {\n\n"),
    ]);
    // Nobody listens behind this.
    let nowhere = format!("http://{}/stream", free_address());
    let mut urls = vec![nowhere];
    for reply in replies {
        for catches_up in [false, true] {
            let reply = reply.clone();
            let server = Server::start(move |_, request| {
                match request.method == "GET" && request.live().is_empty() && catches_up {
                    true => Reply::json(1, "[1]"),
                    false => reply.clone(),
                }
            });
            urls.push(server.await.url);
        }
    }
    let mut printed = String::new();
    for url in urls {
        let builder = handle(&url);
        printed.push_str(&format!("{builder:?}"));
        let stream = builder.build().unwrap();
        printed.push_str(&format!("{stream:?}"));
        printed.extend(errors(&stream).await.iter().map(print));
    }
    let secret = printed.lines().find(|line| line.contains(SECRET));
    assert_eq!(secret, None);
    // That there is no error of a kind would say little.
    for kind in [
        "Closed",
        "Conflict",
        "Exhausted",
        "Fenced",
        "Gone",
        "InvalidArgument",
        "InvalidOffset",
        "NotFound",
        "Parse",
        "ProducerFailed",
        "SequenceConflict",
        "SequenceGap",
        "Status",
        "Timeout",
        "TooLarge",
        "Transport",
    ] {
        assert!(printed.contains(&format!("{kind} {{")), "{kind} is missing");
    }
}
