//! Producers whose requests and answers get lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use serde_json::json;
use tailwater::stream::{DurableStream, ReadOptions, StreamError};

use super::super::hand_made::{Reply, Server};
use super::super::proxy::{Action, Proxy};
use super::super::servers::ServerUnderTest;
use super::super::support::{
    create_json, in_time, items_of, numbers, quick, quick_builder, read_to_end,
};

const NEVER: Duration = Duration::from_secs(3600);

async fn json_stream() -> (&'static ServerUnderTest, DurableStream) {
    let server = ServerUnderTest::reference().unwrap();
    let stream = server.stream();
    create_json(&stream, "", false).await;
    (server, stream)
}

async fn all(stream: &DurableStream) -> Vec<String> {
    let mut reader = stream.read(ReadOptions::default());
    read_to_end(&mut reader).await.0.messages
}

/// A handle whose connections are dealt with as planned, and the proxy that does so.
async fn behind(
    server: &ServerUnderTest,
    stream: &DurableStream,
    plan: Vec<Action>,
) -> (Proxy, DurableStream) {
    let proxy = Proxy::start(server.address(), plan).await;
    let builder = quick_builder(&proxy.url(&stream.url()), 100);
    let stream = builder.content_type("application/json").build().unwrap();
    (proxy, stream)
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_there_once() {
    for action in [
        Action::LoseAnswer,
        Action::Twice,
        Action::Cut(30),
        Action::Refuse,
    ] {
        let (server, stream) = json_stream().await;
        let plan = vec![
            action.clone(),
            action.clone(),
            Action::Forward,
            action.clone(),
        ];
        let (_proxy, through) = behind(server, &stream, plan).await;
        let producer = through.producer("p").linger(NEVER).max_in_flight(1);
        let producer = producer.max_batch_items(2).start().await.unwrap();
        for n in 0..10 {
            producer.append_json(&n).await.unwrap();
        }
        in_time(producer.flush()).await.unwrap();
        assert_eq!(all(&stream).await, numbers(0..10), "{action:?}");
    }
}

#[tokio::test]
async fn closing_when_the_answer_is_lost_closes_once() {
    for items in [0, 2] {
        let (server, stream) = json_stream().await;
        let (proxy, through) = behind(server, &stream, vec![Action::LoseAnswer]).await;
        let producer = through.producer("p").linger(NEVER).start().await.unwrap();
        for n in 0..items {
            producer.append_json(&n).await.unwrap();
        }
        let end = in_time(producer.close()).await.unwrap();
        let head = stream.head().await.unwrap();
        assert!(head.closed);
        assert!(end.is_none_or(|end| end == head.end));
        assert_eq!(all(&stream).await, numbers(0..items));
        assert_eq!(proxy.seen().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_there_once_and_in_order_over_connections_that_break() {
    let run = async |seed: u64| {
        let (server, stream) = json_stream().await;
        let mut rng = Rng::with_seed(seed);
        let plan = (0..60).map(|_| match rng.u8(..8) {
            0 => Action::LoseAnswer,
            1 => Action::Twice,
            2 => Action::Refuse,
            3 => Action::Cut(rng.usize(..1_000)),
            4 => Action::failure(503),
            5 => Action::failure(429),
            6 => Action::Pause(rng.usize(..1_000), Duration::from_millis(2)),
            _ => Action::Forward,
        });
        let (_proxy, through) = behind(server, &stream, plan.collect()).await;
        let producer = through.producer("p").max_batch_items(5).max_in_flight(4);
        let producer = producer.linger(Duration::ZERO).start().await.unwrap();
        for n in 0..300 {
            producer.append_json(&n).await.unwrap();
        }
        match seed % 2 {
            0 => in_time(producer.flush()).await.unwrap(),
            _ => in_time(producer.close()).await.unwrap(),
        };
        assert_eq!(all(&stream).await, numbers(0..300), "seed {seed}");
        assert_eq!(stream.head().await.unwrap().closed, seed % 2 == 1);
    };
    futures_util::stream::iter(0..30)
        .for_each_concurrent(6, run)
        .await;
}

#[tokio::test]
async fn a_batch_that_overtook_another_is_sent_again() {
    // The batch with sequence 1 is refused for a passing reason until a later one has met the gap.
    #[derive(Default)]
    struct State {
        log: Vec<String>,
        expected: u64,
        gaps: usize,
    }
    let state = Arc::new(Mutex::new(State::default()));
    let shared = state.clone();
    let server = Server::start(move |_, request| {
        let mut state = shared.lock().unwrap();
        let seq = request.header("producer-seq").expect("a producer asks");
        let seq: u64 = seq.parse().unwrap();
        if seq == 1 && state.gaps == 0 {
            return Reply::status(503);
        }
        if seq > state.expected {
            state.gaps += 1;
            let gap = Reply::status(409).header("producer-received-seq", &seq.to_string());
            return gap.header("producer-expected-seq", &state.expected.to_string());
        }
        if seq < state.expected {
            return Reply::status(204);
        }
        state.expected += 1;
        let items = items_of(std::str::from_utf8(&request.body).unwrap());
        state.log.extend(items);
        Reply::at(200, state.log.len())
    });
    let server = server.await;
    let stream = quick_builder(&server.url, 1_000).content_type("application/json");
    let producer = stream.build().unwrap().producer("p").max_in_flight(4);
    let producer = producer.max_batch_items(1).start().await.unwrap();
    for n in 0..20 {
        producer.append_json(&n).await.unwrap();
    }
    let end = in_time(producer.flush()).await.unwrap();
    assert_eq!(end.unwrap().as_str(), "20");
    let state = state.lock().unwrap();
    assert_eq!(state.log, numbers(0..20));
    assert!(state.gaps > 0);
}

/// A failed producer's error.
fn failure(error: StreamError) -> (u64, StreamError) {
    match error {
        StreamError::ProducerFailed {
            unacknowledged,
            source,
        } => (unacknowledged, *source),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_forgot_what_it_had_is_an_error() {
    let server = Server::start(|n, _| match n {
        0 => Reply::at(200, 1),
        _ => Reply::status(409).header("producer-expected-seq", "0"),
    });
    let server = server.await;
    let stream = quick_builder(&server.url, 3).content_type("application/json");
    let producer = stream.build().unwrap().producer("p").start().await.unwrap();
    producer.append("1").await.unwrap();
    in_time(producer.flush()).await.unwrap();
    producer.append("2").await.unwrap();
    let (unacknowledged, source) = failure(in_time(producer.flush()).await.unwrap_err());
    assert_eq!(unacknowledged, 1);
    assert!(
        matches!(
            source,
            StreamError::SequenceGap {
                expected: 0,
                sent: 1,
                ..
            }
        ),
        "{source:?}"
    );
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn attempts_of_a_producer_end() {
    let (server, stream) = json_stream().await;
    let few = quick_builder(&stream.url(), 10).content_type("application/json");
    let producer = few.build().unwrap().producer("p").linger(NEVER);
    let producer = producer.start().await.unwrap();
    server
        .inject(&stream.url(), json!({"status": 500, "count": 20}))
        .await;
    for n in 0..3 {
        producer.append_json(&n).await.unwrap();
    }
    let (unacknowledged, source) = failure(in_time(producer.flush()).await.unwrap_err());
    assert_eq!(unacknowledged, 3);
    assert!(
        matches!(&source, StreamError::Exhausted { attempts: 11, last }
            if last.status() == Some(500)),
        "{source:?}"
    );
    failure(producer.append("4").await.unwrap_err());
    failure(in_time(producer.close()).await.unwrap_err());
    assert!(producer.failure().is_some());
}

#[tokio::test]
async fn passing_failures_of_the_reference_server_are_survived() {
    let faults = [
        json!({"status": 500, "count": 3}),
        json!({"status": 429, "count": 2, "retryAfter": 0}),
        json!({"dropConnection": true, "count": 3}),
        json!({"delayMs": 20, "count": 3}),
    ];
    for fault in faults {
        let (server, stream) = json_stream().await;
        let producer = quick(&stream.url()).producer("p").max_batch_items(3);
        let producer = producer.start().await.unwrap();
        server.inject(&stream.url(), fault.clone()).await;
        for n in 0..50 {
            producer.append_json(&n).await.unwrap();
        }
        in_time(producer.flush()).await.unwrap();
        assert_eq!(all(&stream).await, numbers(0..50), "{fault}");
    }
}

#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    for status in [400, 401, 403, 404, 409, 410, 413] {
        let server = Server::start(move |_, _| Reply::status(status)).await;
        let stream = quick_builder(&server.url, 5).content_type("application/json");
        let producer = stream.build().unwrap().producer("p").auto_claim(true);
        let producer = producer.start().await.unwrap();
        producer.append("1").await.unwrap();
        let error = in_time(producer.flush()).await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert_eq!((server.asked().len(), failure(error).0), (1, 1));
    }
}
