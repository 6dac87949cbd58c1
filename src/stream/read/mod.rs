//! Reading: catch up with what is there, then stay with what comes.

mod events;
mod steps;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::BytesMut;
use futures_util::stream::{BoxStream, Stream, StreamExt, unfold};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::batch::{Batch, Items, JsonItems};
use super::error::StreamError;
use super::handle::DurableStream;
use super::identity::Origin;
use super::offset::Offset;
use crate::system;
use steps::Steps;

/// What happens when everything there is was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Live {
    /// The reader ends.
    #[default]
    Off,
    /// Long-poll: a request waits at the server until something comes.
    LongPoll,
    /// Server-sent events: one connection that stays open.
    Sse,
    /// Server-sent events, and long-poll where their connections do not last, as behind proxies
    /// that hold them back.
    Auto,
}

/// Where to read from, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Where to begin; [`Offset::START`] by default.
    pub offset: Offset,
    /// What to do at the end.
    pub live: Live,
}

impl ReadOptions {
    /// Reads from an offset up to what is there.
    pub fn from(offset: impl Into<Offset>) -> Self {
        ReadOptions {
            offset: offset.into(),
            live: Live::Off,
        }
    }

    /// The same, and stays with what comes.
    pub fn live(self, live: Live) -> Self {
        ReadOptions { live, ..self }
    }
}

/// The batches of a stream, as a [`Stream`](futures_util::Stream).
///
/// Every item of the stream from the given offset on comes exactly once and in order, whatever breaks
/// on the way: a batch is given out only when the server has said where it ends, and reading goes on
/// from there. Empty batches are given out too: they say that the server was heard, and whether the
/// reader is up to date.
///
/// Ends behind a batch that is [`closed`](Batch::closed), without live mode behind one that is
/// [`up_to_date`](Batch::up_to_date), and behind every error but [`StreamError::Parse`]; after that
/// one it can be polled again and reads the same place anew.
///
/// ```
/// # async fn example() -> Result<(), tailwater::stream::StreamError> {
/// use futures_util::StreamExt;
/// use tailwater::stream::{DurableStream, Live, Offset, ReadOptions};
/// let stream = DurableStream::new("http://127.0.0.1:4437/v1/stream/events")?;
/// let mut batches = stream.read(ReadOptions::from(Offset::START).live(Live::Auto));
/// while let Some(batch) = batches.next().await {
///     let batch = batch?;
///     for message in batch.items.json() {
///         println!("{message}");
///     }
///     println!("read up to {}", batch.offset);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Reader {
    batches: BoxStream<'static, Result<Batch, StreamError>>,
    trouble: watch::Receiver<Option<Trouble>>,
    origin: watch::Receiver<Origin>,
    url: String,
}

/// Why a reader hears nothing: it tries again and again.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// When the first attempt failed; until then the reader was up to date.
    pub since: SystemTime,
    /// What the last attempt came to.
    pub error: StreamError,
}

impl Trouble {
    /// Notes one more attempt that failed.
    pub(super) fn go_on(trouble: &mut Option<Trouble>, error: &StreamError) {
        let first = trouble.take().map(|trouble| trouble.since);
        *trouble = Some(Trouble {
            since: first.unwrap_or_else(system::time),
            error: error.clone(),
        });
    }
}

impl Reader {
    pub(super) fn new(stream: DurableStream, options: ReadOptions) -> Reader {
        let url = stream.url();
        let steps = Steps::new(stream, options);
        let (trouble, origin) = (steps.trouble(), steps.origin());
        let batches = unfold(steps, |mut steps| async {
            let batch = steps.next().await?;
            Some((batch, steps))
        });
        Reader {
            // It may be asked again when it has ended, as `collect_json` does.
            batches: batches.fuse().boxed(),
            trouble,
            origin,
            url,
        }
    }

    /// What keeps the reader from being up to date while it tries again, as a signal to wait for;
    /// `None` while the server answers. It moves only while the reader is polled.
    pub fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.trouble.clone()
    }

    /// What the answer said that brought the last batch.
    pub(crate) fn origin(&self) -> Origin {
        self.origin.borrow().clone()
    }

    /// Reads up to date, and gives all JSON messages as values of a type.
    ///
    /// # Errors
    ///
    /// Of reading, and [`StreamError::Parse`] for the first message that is no such value.
    pub async fn collect_json<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, StreamError> {
        let mut values = Vec::new();
        while let Some(batch) = self.next_until_up_to_date().await {
            let (batch, done) = batch?;
            for text in batch.items.json() {
                values.push(serde_json::from_str(text).map_err(|e| StreamError::Parse {
                    url: self.url.clone(),
                    offset: batch.offset.clone(),
                    detail: format!("a message before this offset: {e}"),
                })?);
            }
            if done {
                break;
            }
        }
        Ok(values)
    }

    /// Reads up to date, and gives all bytes. The messages of a JSON stream come as one array.
    ///
    /// # Errors
    ///
    /// Of reading.
    pub async fn collect_bytes(&mut self) -> Result<Vec<u8>, StreamError> {
        let mut bytes = BytesMut::new();
        let mut messages: Option<JsonItems> = None;
        while let Some(batch) = self.next_until_up_to_date().await {
            let (batch, done) = batch?;
            match batch.items {
                Items::Json(items) => messages.get_or_insert_default().append(items),
                Items::Bytes(piece) => bytes.extend_from_slice(&piece),
            }
            if done {
                break;
            }
        }
        Ok(match messages {
            Some(messages) => messages.to_array().into_bytes(),
            None => bytes.into(),
        })
    }

    /// Reads up to date, and gives everything as text.
    ///
    /// # Errors
    ///
    /// Of reading, and [`StreamError::Parse`] if it is not UTF-8.
    pub async fn collect_text(&mut self) -> Result<String, StreamError> {
        String::from_utf8(self.collect_bytes().await?).map_err(|error| StreamError::Parse {
            url: self.url.clone(),
            offset: Offset::START,
            detail: error.to_string(),
        })
    }

    async fn next_until_up_to_date(&mut self) -> Option<Result<(Batch, bool), StreamError>> {
        let batch = self.next().await?;
        Some(batch.map(|batch| {
            let done = batch.up_to_date || batch.closed;
            (batch, done)
        }))
    }
}

impl Stream for Reader {
    type Item = Result<Batch, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_next_unpin(context)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("url", &self.url).finish()
    }
}
