//! The client of Durable Streams: create, append, close, delete, read, stay up to date.
//!
//! A durable stream is an append-only log behind a URL. [`DurableStream`] is a handle of one; its
//! [`read`](DurableStream::read) gives batches as a [`futures_util::Stream`] that catches up and then
//! stays live; its [`producer`](DurableStream::producer) appends in batches, exactly once. The protocol
//! is Durable Streams 1.0 of the public repository `durable-streams/durable-streams`; only what
//! is in it is relied on, so that any server of it will do.
//!
//! ```
//! use futures_util::StreamExt;
//! use tailwater::stream::{CreateOptions, DurableStream, Live, Offset, ReadOptions, StreamError};
//!
//! # #[cfg(feature = "server")]
//! # async fn example() -> Result<(), StreamError> {
//! let stream = DurableStream::new("http://127.0.0.1:4437/v1/stream/greetings")?;
//! stream.create(CreateOptions::json()).await?;
//! stream.append(r#"{"hello":"world"}"#).await?;
//!
//! let mut batches = stream.read(ReadOptions::from(Offset::START).live(Live::Auto));
//! let batch = batches.next().await.expect("a live reader ends with its stream")?;
//! assert_eq!(batch.items.json().next(), Some(r#"{"hello":"world"}"#));
//! # Ok(())
//! # }
//! ```
//!
//! | file | what it is for |
//! |---|---|
//! | `offset`, `error`, `retry`, `provider` | places, failures, waiting, headers that are functions |
//! | `batch`, `sse` | JSON arrays and event streams, taken apart |
//! | `http` | one request and its answer |
//! | `handle` | create, append, close, delete, head |
//! | `identity` | which stream it is |
//! | `read` | the reader: requests (`steps`), one SSE connection (`events`) |
//! | `producer` | the idempotent producer: which batch when (`window`), its task (`run`), one without (`serial`) |
//!
//! Everything that waits runs on Tokio.

mod batch;
mod error;
mod handle;
mod http;
mod identity;
mod offset;
mod producer;
mod provider;
mod read;
mod retry;
mod sse;

pub use batch::{Batch, Items, JsonItems};
pub use error::StreamError;
pub use handle::{AppendOptions, CreateOptions, Created, DurableStream, Head, StreamBuilder};
pub(crate) use identity::Identity;
pub use offset::Offset;
pub(crate) use producer::SerialProducer;
pub use producer::{Producer, ProducerBuilder};
pub use provider::Provider;
pub use read::{Live, ReadOptions, Reader, Trouble};
pub use retry::RetryPolicy;

/// The events that pieces of bytes are, up to what is none.
#[cfg(feature = "fuzzing")]
pub(crate) fn sse_events<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<(String, String)> {
    let (mut parser, mut events) = (sse::Parser::default(), Vec::new());
    for piece in pieces {
        if parser.push(piece, &mut events).is_err() {
            break;
        }
    }
    let event = |event: sse::Event| (event.name, event.data);
    events.into_iter().map(event).collect()
}
