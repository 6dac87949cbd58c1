//! The task that reads the stream and hands it to the engine, batch by batch.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt;
use tokio::sync::oneshot;

use super::core::{Command, Core, command};
use super::error::DbError;
use super::lock;
use super::shared::Shared;
use super::status::Status;
use crate::stream::{Batch, DurableStream, Live, Offset, ReadOptions, Reader, StreamError};

/// A stream that has to be read from its start again so soon is waited for so long, and twice as long
/// each time, until it was followed for some time.
const AGAIN: Duration = Duration::from_millis(20);
const AGAIN_MOST: Duration = Duration::from_secs(10);

/// What the task works with.
pub(super) struct SyncTask {
    pub(super) shared: Arc<Shared>,
    pub(super) commands: Sender<Command>,
    pub(super) stream: DurableStream,
    pub(super) live: Live,
    /// Whether an answer that cannot be read ends it.
    pub(super) strict: bool,
}

/// Tells when the task ends because its runtime does, and ends what waits for the stream.
impl Drop for SyncTask {
    fn drop(&mut self) {
        // Nothing, if it was over before.
        self.shared.set_status(Status::Error(DbError::Stopped));
        let _ = self.commands.send(Box::new(Core::end_transactions));
    }
}

impl SyncTask {
    pub(super) async fn run(self) {
        let mut offset = lock(&self.shared.offset).clone();
        let mut pause = AGAIN;
        let status = loop {
            let from_start = offset == Offset::START;
            let began = Instant::now();
            let (status, read) = self.read(offset).await;
            match status {
                // The server no longer has what followed. At its start it has all that counts: a
                // stream that is a result begins with a snapshot.
                Some(Status::Error(DbError::Stream(StreamError::Gone { .. })))
                    if read || !from_start =>
                {
                    // A server that never has what follows is not to be read all the time.
                    if began.elapsed() < AGAIN_MOST {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(AGAIN_MOST);
                    } else {
                        pause = AGAIN;
                    }
                    let _ = self.commands.send(Box::new(Core::begin_again));
                    offset = Offset::START;
                }
                status => break status,
            }
        };
        if let Some(status) = status {
            self.shared.set_status(status);
        }
    }

    /// Reads to the end: what the status is then, if the engine did not set it, and whether
    /// anything was read.
    async fn read(&self, offset: Offset) -> (Option<Status>, bool) {
        let mut reader = self.stream.read(ReadOptions::from(offset).live(self.live));
        *lock(&self.shared.trouble) = Some(reader.trouble());
        let mut any = false;
        let status = self.take_all(&mut reader, &mut any).await;
        (status, any)
    }

    async fn take_all(&self, reader: &mut Reader, any: &mut bool) -> Option<Status> {
        // The next batch is fetched while the engine takes the last one.
        let mut taking = None;
        let mut failure = None;
        loop {
            let batch = tokio::select! {
                biased;
                // Nothing may come for long, and that the engine goes no further is told at once.
                go_on = settle(&mut taking), if taking.is_some() => {
                    go_on?;
                    continue;
                }
                batch = reader.next() => batch,
            };
            match batch {
                Some(Ok(batch)) => {
                    failure = None;
                    *any = true;
                    settle(&mut taking).await?;
                    taking = Some(self.give(batch)?);
                }
                // The reader tries the same place again, for some time.
                Some(Err(error @ StreamError::Parse { .. })) if !self.strict => {
                    failure = Some(error);
                }
                Some(Err(error)) => {
                    settle(&mut taking).await?;
                    return Some(Status::Error(error.into()));
                }
                None => break,
            }
        }
        settle(&mut taking).await?;
        Some(failure.map_or(Status::Ended, |error| Status::Error(error.into())))
    }

    /// Hands a batch to the engine, which answers whether to go on.
    fn give(&self, batch: Batch) -> Option<oneshot::Receiver<bool>> {
        let (reply, answer) = oneshot::channel();
        let arrived = SystemTime::now();
        let take = command(
            move |core| core.take(&batch, arrived),
            |taken| {
                // The task may have been stopped meanwhile.
                let _ = reply.send(taken.unwrap_or(false));
            },
        );
        self.commands.send(take).ok()?;
        Some(answer)
    }
}

/// Waits for the engine to have taken a batch; `None` if it is not to get another.
async fn settle(taking: &mut Option<oneshot::Receiver<bool>>) -> Option<()> {
    if let Some(answer) = taking {
        let go_on = answer.await.is_ok_and(|go_on| go_on);
        *taking = None;
        go_on.then_some(())
    } else {
        Some(())
    }
}
