//! Appending so that every item is in the stream once, whatever has to be sent twice.

mod run;
mod serial;
mod window;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::error::StreamError;
use super::handle::{DurableStream, check, join, to_json};
use super::http::{Request, names};
use super::offset::Offset;
use run::{Command, Runner};
pub(crate) use serial::SerialProducer;
use window::{Limits, MAX_NUMBER, Window};

/// How many items may wait for the producer's task, besides those in batches.
const QUEUE: usize = 1024;

/// An idempotent producer: batches items, sends several batches at once, and repeats what was not
/// acknowledged; the server takes each batch once, by the producer's id, epoch and sequence.
///
/// Items are in the stream in the order of the calls. [`append`](Self::append) returns when an item is
/// queued; [`flush`](Self::flush) when all items before it are acknowledged. What cannot be
/// delivered makes the producer fail: from then on every call says why.
///
/// A writer that starts anew takes another id or a higher epoch: under the same ones its first batches
/// are repetitions to the server, which takes them for what it has.
///
/// An id has one producer at a time. A new one that begins under a higher epoch fences the old one off;
/// with [`auto_claim`](ProducerBuilder::auto_claim) a producer that finds itself fenced off claims the
/// next epoch and sends again what was not acknowledged. If the answer to a batch was lost just then,
/// the batch is in the stream twice; that is the one case.
///
/// Clones are the same producer. When the last one is dropped, what was queued is still sent, as long as
/// the runtime runs; flush to know.
///
/// ```
/// # async fn example() -> Result<(), tailwater::stream::StreamError> {
/// # use tailwater::stream::DurableStream;
/// let stream = DurableStream::new("http://127.0.0.1:4437/v1/stream/events")?;
/// let producer = stream.producer("importer-1").start().await?;
/// for n in 0..100_000 {
///     producer.append_json(&n).await?;
/// }
/// producer.flush().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Producer {
    commands: mpsc::Sender<Command>,
    shared: Arc<Mutex<Shared>>,
    content_type: Arc<str>,
    url: Arc<str>,
}

/// What the task tells without being asked.
#[derive(Debug, Default)]
struct Shared {
    epoch: u64,
    closed: bool,
    failure: Option<StreamError>,
}

/// Options of a [`Producer`].
#[derive(Clone, Debug)]
pub struct ProducerBuilder {
    stream: DurableStream,
    id: String,
    epoch: u64,
    auto_claim: bool,
    max_batch_bytes: usize,
    max_batch_items: usize,
    linger: Duration,
    max_in_flight: usize,
}

impl DurableStream {
    /// A producer for this stream, with an id that no other writer of the stream uses.
    pub fn producer(&self, id: impl Into<String>) -> ProducerBuilder {
        ProducerBuilder {
            stream: self.clone(),
            id: id.into(),
            epoch: 0,
            auto_claim: false,
            max_batch_bytes: 1 << 20,
            max_batch_items: 10_000,
            linger: Duration::from_millis(5),
            max_in_flight: 5,
        }
    }
}

impl ProducerBuilder {
    /// The epoch to begin with: 0 by default, higher after each restart of a writer.
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// Whether to claim the next epoch when the server knows a later one. False by default.
    pub fn auto_claim(mut self, claim: bool) -> Self {
        self.auto_claim = claim;
        self
    }

    /// The most bytes of a batch; a larger item is a batch of its own. 1 MiB by default.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.max_batch_bytes = bytes;
        self
    }

    /// The most items of a batch. 10,000 by default.
    pub fn max_batch_items(mut self, items: usize) -> Self {
        self.max_batch_items = items;
        self
    }

    /// How long a batch that is not full waits for more items. 5 ms by default.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// How many batches may be on their way at once. 5 by default.
    pub fn max_in_flight(mut self, batches: usize) -> Self {
        self.max_in_flight = batches;
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    ///
    /// [`StreamError::InvalidArgument`] that names the option.
    pub fn validate(&self) -> Result<(), StreamError> {
        if self.id.is_empty() {
            return Err(StreamError::invalid("id", "must not be empty"));
        }
        if self.epoch > MAX_NUMBER {
            return Err(StreamError::invalid("epoch", "must be below 2^53"));
        }
        for (name, value) in [
            ("max_batch_bytes", self.max_batch_bytes),
            ("max_batch_items", self.max_batch_items),
            ("max_in_flight", self.max_in_flight),
        ] {
            if value == 0 {
                return Err(StreamError::invalid(name, "must be above zero"));
            }
        }
        Ok(())
    }

    /// Starts the producer as a task of the current Tokio runtime. Sends nothing but, where the
    /// stream's content type is not known yet, a HEAD request.
    ///
    /// # Errors
    ///
    /// [`StreamError::InvalidArgument`], and those of [`DurableStream::head`].
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime, as everything here that waits.
    pub async fn start(self) -> Result<Producer, StreamError> {
        self.validate()?;
        let content_type: Arc<str> = self.stream.content_type().await?.into();
        let limits = Limits {
            batch_bytes: self.max_batch_bytes,
            batch_items: self.max_batch_items,
            in_flight: self.max_in_flight,
        };
        let shared = Arc::new(Mutex::new(Shared {
            epoch: self.epoch,
            ..Shared::default()
        }));
        let url = self.stream.url().into();
        let (commands, queue) = mpsc::channel(QUEUE);
        let runner = Runner {
            window: Window::new(limits, self.epoch, self.auto_claim),
            stream: self.stream,
            id: self.id,
            content_type: content_type.clone(),
            linger: self.linger,
            shared: shared.clone(),
        };
        tokio::spawn(runner.run(queue));
        Ok(Producer {
            commands,
            shared,
            content_type,
            url,
        })
    }
}

impl Producer {
    /// Queues one item: a JSON text on a JSON stream, bytes on another one. Waits while too much is
    /// on its way.
    ///
    /// # Errors
    ///
    /// [`StreamError::InvalidArgument`] for an item that is empty or not one JSON value, which does
    /// not harm the producer; [`StreamError::ProducerFailed`] if an earlier item could not be
    /// delivered; [`StreamError::Closed`] after
    /// [`close`](Self::close).
    pub async fn append(&self, data: impl Into<Bytes>) -> Result<(), StreamError> {
        let data = data.into();
        if data.is_empty() {
            return Err(StreamError::invalid("data", "must not be empty"));
        }
        check(&self.content_type, &data)?;
        {
            let shared = self.shared();
            if let Some(failure) = &shared.failure {
                return Err(failure.clone());
            }
            if shared.closed {
                return Err(StreamError::Closed {
                    url: self.url.to_string(),
                    end: None,
                });
            }
        }
        self.command(Command::Append(data)).await
    }

    /// Queues a value as one JSON message.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub async fn append_json(&self, value: &impl Serialize) -> Result<(), StreamError> {
        self.append(to_json(value)?).await
    }

    /// Waits until everything appended before is acknowledged. Gives where the stream ended then, if
    /// the server said: `None` if nothing was ever appended, and an older end where it answered a
    /// batch that had to be sent twice without one.
    ///
    /// # Errors
    ///
    /// [`StreamError::ProducerFailed`] if something could not be delivered.
    pub async fn flush(&self) -> Result<Option<Offset>, StreamError> {
        self.ask(Command::Flush).await
    }

    /// Flushes and closes the stream, in one step with the last batch. Closing again is a success.
    /// Gives where the stream ends.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush); [`StreamError::Closed`] within it if somebody else closed the stream.
    pub async fn close(&self) -> Result<Option<Offset>, StreamError> {
        self.shared().closed = true;
        self.ask(Command::Close).await
    }

    /// Closes the stream behind one more item. On a producer that has closed it already, nothing is
    /// appended, and that is a success.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append) and [`close`](Self::close).
    pub async fn close_with(&self, data: impl Into<Bytes>) -> Result<Option<Offset>, StreamError> {
        if !self.shared().closed {
            self.append(data).await?;
        }
        self.close().await
    }

    /// The epoch in use: the one it was started with, or the last one it claimed.
    pub fn epoch(&self) -> u64 {
        self.shared().epoch
    }

    /// Why the producer has failed, if it has.
    pub fn failure(&self) -> Option<StreamError> {
        self.shared().failure.clone()
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StreamError>>) -> Command,
    ) -> Result<T, StreamError> {
        let (reply, answer) = oneshot::channel();
        self.command(command(reply)).await?;
        answer.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    async fn command(&self, command: Command) -> Result<(), StreamError> {
        let sent = self.commands.send(command).await;
        sent.map_err(|_| self.failure().unwrap_or_else(|| self.stopped()))
    }

    fn stopped(&self) -> StreamError {
        StreamError::Stopped {
            url: self.url.to_string(),
        }
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that appends items under an id, an epoch and a sequence.
fn request(
    stream: &DurableStream,
    content_type: &str,
    items: &[Bytes],
    (id, epoch, seq): (&str, u64, u64),
) -> Request {
    let mut request = stream.post(content_type, join(content_type, items));
    request.headers.extend([
        (names::PRODUCER_ID, id.to_owned()),
        (names::PRODUCER_EPOCH, epoch.to_string()),
        (names::PRODUCER_SEQ, seq.to_string()),
    ]);
    request
}
