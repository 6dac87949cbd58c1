//! What the tests of the client share.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tailwater::stream::{
    Batch, CreateOptions, DurableStream, Items, JsonItems, Live, Reader, RetryPolicy,
    StreamBuilder, StreamError,
};

/// Every way to read.
pub(super) const MODES: [Live; 4] = [Live::Off, Live::LongPoll, Live::Sse, Live::Auto];

/// The ways to stay with a stream.
pub(super) const LIVE: [Live; 3] = [Live::LongPoll, Live::Sse, Live::Auto];

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// A handle that does not wait long before it tries again.
pub(super) fn quick(url: &str) -> DurableStream {
    quick_builder(url, 20).build().unwrap()
}

pub(super) fn quick_builder(url: &str, retries: u32) -> StreamBuilder {
    DurableStream::builder(url).retry(quick_policy(retries))
}

pub(super) fn quick_policy(retries: u32) -> RetryPolicy {
    RetryPolicy {
        max_retries: Some(retries),
        initial_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(5),
        multiplier: 2.0,
        jitter: false,
    }
}

/// Waits for something that is to happen.
pub(super) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, what).await;
    done.expect("this takes too long")
}

/// The next batch.
pub(super) async fn next(reader: &mut Reader) -> Batch {
    let batch = in_time(reader.next()).await;
    batch.expect("the reader goes on").expect("a batch")
}

/// The next error.
pub(super) async fn next_error(reader: &mut Reader) -> StreamError {
    let error = async {
        loop {
            let batch = reader.next().await;
            if let Err(error) = batch.expect("the reader goes on") {
                return error;
            }
        }
    };
    in_time(error).await
}

/// Whether the reader has ended.
pub(super) async fn ended(reader: &mut Reader) -> bool {
    in_time(reader.next()).await.is_none()
}

/// The next batch that has items.
pub(super) async fn next_items(reader: &mut Reader) -> Batch {
    let batch = async {
        loop {
            let batch = next(reader).await;
            if !batch.items.is_empty() {
                return batch;
            }
        }
    };
    in_time(batch).await
}

/// Reads until there are so many messages, and gives them.
pub(super) async fn messages(reader: &mut Reader, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(texts(&next_items(reader).await));
    }
    all
}

/// Reads to the end. Gives everything, and the last batch.
pub(super) async fn read_to_end(reader: &mut Reader) -> (Read, Batch) {
    let mut read = Read::default();
    let mut last = None;
    while let Some(batch) = in_time(reader.next()).await {
        let batch = batch.expect("a batch");
        read.take(&batch.items);
        last = Some(batch);
    }
    (read, last.expect("at least one batch"))
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) messages: Vec<String>,
    pub(super) bytes: Vec<u8>,
}

impl Read {
    pub(super) fn take(&mut self, items: &Items) {
        match items {
            Items::Json(items) => self.messages.extend(items.iter().map(str::to_owned)),
            Items::Bytes(bytes) => self.bytes.extend_from_slice(bytes),
        }
    }
}

pub(super) fn texts(batch: &Batch) -> Vec<String> {
    batch.items.json().map(str::to_owned).collect()
}

/// JSON messages of numbers.
pub(super) fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// The messages of an array.
pub(super) fn items_of(array: &str) -> Vec<String> {
    let items = JsonItems::parse(array.to_owned()).expect("an array");
    items.iter().map(str::to_owned).collect()
}

/// Creates a stream of JSON, with messages, open or closed.
pub(super) async fn create_json(stream: &DurableStream, array: &str, closed: bool) {
    let options = CreateOptions {
        data: Bytes::from(array.to_owned()),
        closed,
        ..CreateOptions::json()
    };
    stream.create(options).await.expect("the stream is new");
}
