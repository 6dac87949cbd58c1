//! The idempotent producer.

use std::time::Duration;

use bytes::Bytes;
use tailwater::stream::{CreateOptions, DurableStream, Live, Offset, ReadOptions, StreamError};

use super::super::proxy::Proxy;
use super::super::servers::ServerUnderTest;
use super::super::support::{
    create_json, in_time, items_of, messages, numbers, quick, read_to_end,
};

/// Longer than any test: only what is full or flushed is sent.
const NEVER: Duration = Duration::from_secs(3600);

async fn json_stream(server: &ServerUnderTest) -> DurableStream {
    let stream = server.stream();
    create_json(&stream, "", false).await;
    stream
}

async fn all(stream: &DurableStream) -> Vec<String> {
    let mut reader = stream.read(ReadOptions::default());
    read_to_end(&mut reader).await.0.messages
}

/// A proxy before the server, and the stream by way of it.
async fn watched(server: &ServerUnderTest, stream: &DurableStream) -> (Proxy, DurableStream) {
    let proxy = Proxy::start(server.address(), []).await;
    let stream = quick(&proxy.url(&stream.url()));
    (proxy, stream)
}

/// The batches that were sent.
fn batches(proxy: &Proxy) -> Vec<Vec<String>> {
    let posts = proxy.seen().into_iter();
    let posts = posts.filter(|seen| seen.request.method == "POST");
    let text = |body| String::from_utf8(body).expect("text");
    posts
        .map(|seen| items_of(&text(seen.request.body)))
        .collect()
}

/// A failed producer's error: how many items it did not deliver, and why.
fn failure(error: StreamError) -> (u64, StreamError) {
    match error {
        StreamError::ProducerFailed {
            unacknowledged,
            source,
        } => (unacknowledged, *source),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn items_are_in_the_order_of_the_calls(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let producer = stream
        .producer("p")
        .max_batch_items(7)
        .linger(Duration::ZERO);
    let producer = producer.max_in_flight(8).start().await.unwrap();
    for n in 0..2_000 {
        producer.append_json(&n).await.unwrap();
    }
    in_time(producer.flush()).await.unwrap();
    assert_eq!(all(&stream).await, numbers(0..2_000));
}

pub(super) async fn batches_are_bounded_by_items(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let (proxy, through) = watched(server, &stream).await;
    let producer = through.producer("p").max_batch_items(4).linger(NEVER);
    let producer = producer.max_in_flight(1).start().await.unwrap();
    for n in 0..10 {
        producer.append_json(&n).await.unwrap();
    }
    in_time(producer.flush()).await.unwrap();
    assert_eq!(
        batches(&proxy),
        [numbers(0..4), numbers(4..8), numbers(8..10)]
    );
}

pub(super) async fn batches_are_bounded_by_bytes(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let (proxy, through) = watched(server, &stream).await;
    let producer = through.producer("p").max_batch_bytes(10).linger(NEVER);
    let producer = producer.max_in_flight(1).start().await.unwrap();
    // What is larger than a batch is a batch of its own.
    for item in ["1111", "2222", "3333", "444444444444", "5555", "666666"] {
        producer.append(item).await.unwrap();
    }
    in_time(producer.flush()).await.unwrap();
    let expected = [
        vec!["1111", "2222"],
        vec!["3333"],
        vec!["444444444444"],
        vec!["5555", "666666"],
    ];
    assert_eq!(batches(&proxy), expected);
}

pub(super) async fn a_batch_does_not_wait_longer_than_it_lingers(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let producer = stream.producer("p").linger(Duration::from_millis(1));
    let producer = producer.start().await.unwrap();
    let mut reader = stream.read(ReadOptions::from(Offset::START).live(Live::LongPoll));
    for n in numbers(0..3) {
        producer.append(n.clone()).await.unwrap();
        assert_eq!(messages(&mut reader, 1).await, [n]);
    }
}

pub(super) async fn flushing_tells_the_end(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let producer = stream.producer("p").linger(NEVER).start().await.unwrap();
    assert_eq!(in_time(producer.flush()).await.unwrap(), None);
    producer.append("1").await.unwrap();
    let end = in_time(producer.flush()).await.unwrap();
    assert_eq!(end, Some(stream.head().await.unwrap().end));
    assert_eq!(in_time(producer.flush()).await.unwrap(), end, "again");
}

pub(super) async fn bytes_are_produced(server: &ServerUnderTest) {
    let stream = server.stream();
    stream.create(CreateOptions::default()).await.unwrap();
    let producer = stream.producer("p").max_batch_items(3).start().await;
    let producer = producer.unwrap();
    for byte in 0..=255 {
        producer.append(Bytes::from(vec![byte])).await.unwrap();
    }
    in_time(producer.flush()).await.unwrap();
    let mut reader = stream.read(ReadOptions::default());
    let bytes = reader.collect_bytes().await.unwrap();
    assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
}

pub(super) async fn the_same_batch_again_is_a_success_without_effect(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    for _ in 0..2 {
        let producer = stream.producer("p").linger(NEVER).start().await.unwrap();
        producer.append("1").await.unwrap();
        producer.append("2").await.unwrap();
        in_time(producer.flush()).await.unwrap();
    }
    assert_eq!(all(&stream).await, ["1", "2"]);
}

pub(super) async fn an_older_epoch_is_fenced_off(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let old = stream.producer("p").start().await.unwrap();
    old.append("1").await.unwrap();
    in_time(old.flush()).await.unwrap();
    let new = stream.producer("p").epoch(3).start().await.unwrap();
    new.append("2").await.unwrap();
    in_time(new.flush()).await.unwrap();

    old.append("3").await.unwrap();
    old.append("4").await.unwrap();
    let error = in_time(old.flush()).await.unwrap_err();
    assert_eq!(error.status(), Some(403));
    let (unacknowledged, source) = failure(error);
    assert!(
        matches!(
            source,
            StreamError::Fenced {
                epoch: 0,
                current: 3,
                ..
            }
        ),
        "{source:?}"
    );
    assert_eq!(unacknowledged, 2);
    assert_eq!(old.epoch(), 0);
    // From then on every call says so.
    failure(old.append("5").await.unwrap_err());
    failure(in_time(old.close()).await.unwrap_err());
    failure(old.failure().unwrap());

    new.append("6").await.unwrap();
    in_time(new.flush()).await.unwrap();
    assert_eq!(all(&stream).await, ["1", "2", "6"]);
}

pub(super) async fn a_fenced_producer_claims_the_next_epoch(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let other = stream.producer("p").epoch(3).start().await.unwrap();
    other.append("0").await.unwrap();
    in_time(other.flush()).await.unwrap();
    let claiming = stream.producer("p").auto_claim(true).max_batch_items(1);
    let claiming = claiming.start().await.unwrap();
    for n in 1..20 {
        claiming.append_json(&n).await.unwrap();
    }
    in_time(claiming.flush()).await.unwrap();
    assert_eq!(claiming.epoch(), 4);
    assert_eq!(all(&stream).await, numbers(0..20));
    other.append("20").await.unwrap();
    let (_, source) = failure(in_time(other.flush()).await.unwrap_err());
    assert!(
        matches!(
            source,
            StreamError::Fenced {
                epoch: 3,
                current: 4,
                ..
            }
        ),
        "{source:?}"
    );
}

pub(super) async fn closing_takes_the_last_batch_along(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let (proxy, through) = watched(server, &stream).await;
    let producer = through.producer("p").linger(NEVER).start().await.unwrap();
    producer.append("1").await.unwrap();
    producer.append("2").await.unwrap();
    let end = in_time(producer.close()).await.unwrap();
    let head = stream.head().await.unwrap();
    assert!(head.closed);
    assert_eq!(end, Some(head.end));
    assert_eq!(batches(&proxy), [["1", "2"]], "in one step");
    // Closing again changes nothing, and nothing can follow.
    assert_eq!(in_time(producer.close()).await.unwrap(), end);
    let error = producer.append("3").await.unwrap_err();
    assert!(matches!(error, StreamError::Closed { .. }), "{error:?}");
    assert_eq!(in_time(producer.flush()).await.unwrap(), end);
    assert_eq!(batches(&proxy).len(), 1);
    assert_eq!(all(&stream).await, ["1", "2"]);
}

pub(super) async fn closing_without_items_closes(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let producer = stream.producer("p").start().await.unwrap();
    let end = in_time(producer.close()).await.unwrap();
    let head = stream.head().await.unwrap();
    assert_eq!((end, head.closed), (Some(head.end), true));
    // Behind what was flushed, too.
    let stream = json_stream(server).await;
    let producer = stream.producer("p").start().await.unwrap();
    producer.append("1").await.unwrap();
    in_time(producer.flush()).await.unwrap();
    in_time(producer.close()).await.unwrap();
    assert!(stream.head().await.unwrap().closed);
    assert_eq!(all(&stream).await, ["1"]);
}

pub(super) async fn a_stream_that_another_closed_fails_the_producer(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let producer = stream.producer("p").linger(NEVER).start().await.unwrap();
    producer.append("1").await.unwrap();
    in_time(producer.flush()).await.unwrap();
    let end = stream.close().await.unwrap();
    for n in numbers(2..5) {
        producer.append(n).await.unwrap();
    }
    let (unacknowledged, source) = failure(in_time(producer.flush()).await.unwrap_err());
    assert_eq!(unacknowledged, 3);
    assert!(
        matches!(&source, StreamError::Closed { end: Some(at), .. } if *at == end),
        "{source:?}"
    );
    let (unacknowledged, _) = failure(producer.append("6").await.unwrap_err());
    assert_eq!(unacknowledged, 3);
    failure(in_time(producer.close()).await.unwrap_err());
    assert_eq!(all(&stream).await, ["1"]);
    // Nor can another producer close it again with items.
    let other = stream.producer("q").linger(NEVER).start().await.unwrap();
    other.append("7").await.unwrap();
    let (_, source) = failure(in_time(other.close()).await.unwrap_err());
    assert!(matches!(source, StreamError::Closed { .. }), "{source:?}");
}

pub(super) async fn a_stream_that_is_deleted_fails_the_producer(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let producer = stream.producer("p").max_batch_items(2).linger(NEVER);
    let producer = producer.start().await.unwrap();
    stream.delete().await.unwrap();
    for n in 0..5 {
        // The producer may know already.
        if producer.append_json(&n).await.is_err() {
            break;
        }
    }
    let (unacknowledged, source) = failure(in_time(producer.flush()).await.unwrap_err());
    assert!((2..=5).contains(&unacknowledged), "{unacknowledged}");
    assert!(matches!(source, StreamError::NotFound { .. }), "{source:?}");
    assert!(source.to_string().contains(&stream.url()));
    failure(producer.append("6").await.unwrap_err());
}

pub(super) async fn refused_items_do_no_harm(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let producer = stream.producer("p").linger(NEVER).start().await.unwrap();
    for item in ["1", "2],[3", "", "[4]", "{", "5"] {
        let _ = producer.append(item).await;
    }
    let error = producer.append("6,7").await.unwrap_err();
    assert!(matches!(error, StreamError::InvalidArgument { .. }));
    in_time(producer.flush()).await.unwrap();
    assert_eq!(all(&stream).await, ["1", "[4]", "5"]);
}

pub(super) async fn what_was_queued_is_sent_when_nobody_holds_the_producer(
    server: &ServerUnderTest,
) {
    let stream = json_stream(server).await;
    let producer = stream.producer("p").linger(NEVER).max_batch_items(2);
    let producer = producer.start().await.unwrap();
    for n in 0..5 {
        producer.clone().append_json(&n).await.unwrap();
    }
    drop(producer);
    let mut reader = stream.read(ReadOptions::from(Offset::START).live(Live::LongPoll));
    assert_eq!(messages(&mut reader, 5).await, numbers(0..5));
}
