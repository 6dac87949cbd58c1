//! The task that reads the stream and hands it to the engine, batch by batch.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{oneshot, watch};

use super::core::{Command, Core, command};
use super::error::DbError;
use super::lock;
use super::shared::Shared;
use super::status::Status;
use crate::stream::{
    Batch, DurableStream, Identity, Live, Offset, ReadOptions, Reader, StreamError, Trouble,
};
use crate::system;

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
    /// Whether it asks which stream it is, so that another one under the same URL is not taken for it.
    pub(super) identify: bool,
    pub(super) schema_version: u64,
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
        let status = match self.begin().await {
            Ok((identity, offset)) => self.follow(identity, offset).await,
            Err(status) => status,
        };
        if let Some(status) = status {
            self.shared.set_status(status);
        }
    }

    /// Finds out which stream it is, and takes over what was kept of it.
    async fn begin(&self) -> Result<(Identity, Offset), Option<Status>> {
        if !self.identify {
            let offset = lock(&self.shared.offset).clone();
            return Ok((Identity::default(), offset));
        }
        let identity = self.identify().await.map_err(Some)?;
        let (now, version) = (identity.clone(), self.schema_version);
        let restored = self.ask(move |core| core.restore(&now, version));
        Ok((identity, restored.await.ok_or(None)?))
    }

    async fn identify(&self) -> Result<Identity, Status> {
        let (tell, trouble) = watch::channel(None);
        *lock(&self.shared.trouble) = Some(trouble);
        let identity = self.stream.identify(&tell).await;
        let identity = identity.map_err(|error| Status::Error(error.into()))?;
        lock(&self.shared.stream_id).clone_from(&identity.id);
        Ok(identity)
    }

    /// Reads to the end, again from the start where the stream is another one: what the status is
    /// then, if the engine did not set it.
    async fn follow(&self, mut identity: Identity, mut offset: Offset) -> Option<Status> {
        let mut pause = AGAIN;
        loop {
            let from_start = offset == Offset::START;
            let began = system::now();
            let (status, read) = self.read(&identity, offset).await;
            match status {
                // The server no longer has what followed. At its start it has all that counts: a
                // stream that is a result begins with a snapshot.
                Some(Status::Error(DbError::Stream(error)))
                    if (read || !from_start) && self.is_gone(&error) =>
                {
                    *lock(&self.shared.again) = Some(Trouble {
                        since: system::time(),
                        error,
                    });
                    // A server that never has what follows is not to be read all the time.
                    if system::now() - began < AGAIN_MOST {
                        system::sleep(pause).await;
                        pause = (pause * 2).min(AGAIN_MOST);
                    } else {
                        pause = AGAIN;
                    }
                    let _ = self.commands.send(Box::new(Core::begin_again));
                    offset = Offset::START;
                    if self.identify {
                        identity = match self.identify().await {
                            Ok(identity) => identity,
                            Err(status) => return Some(status),
                        };
                        let now = identity.clone();
                        self.ask(move |core| core.set_identity(&now)).await?;
                    }
                }
                status => return status,
            }
        }
    }

    /// Whether reading from the start helps against an error that came at an offset.
    fn is_gone(&self, error: &StreamError) -> bool {
        match error {
            StreamError::Gone { .. } => true,
            // It is not what it was.
            StreamError::InvalidOffset { .. } => self.identify,
            _ => false,
        }
    }

    /// Reads to the end: what the status is then, if the engine did not set it, and whether
    /// anything was read.
    async fn read(&self, identity: &Identity, offset: Offset) -> (Option<Status>, bool) {
        let mut reader = self.stream.read(ReadOptions::from(offset).live(self.live));
        *lock(&self.shared.trouble) = Some(reader.trouble());
        let mut any = false;
        let status = self.take_all(identity, &mut reader, &mut any).await;
        (status, any)
    }

    async fn take_all(
        &self,
        identity: &Identity,
        reader: &mut Reader,
        any: &mut bool,
    ) -> Option<Status> {
        let mut trouble = reader.trouble();
        let mut connections = 0;
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
                    let is_new = reader.origin().connections != connections;
                    connections = reader.origin().connections;
                    // The server was away, and may have come back with something else.
                    let was_away = trouble.has_changed().unwrap_or(false);
                    trouble.mark_unchanged();
                    if self.identify {
                        let is_same = match (&identity.id, reader.origin().id) {
                            (Some(id), Some(now)) if !was_away => Ok(now == *id),
                            (Some(_), _) if is_new || was_away => {
                                self.is_same(identity, &batch).await
                            }
                            (None, _) if was_away => self.is_same(identity, &batch).await,
                            _ => Ok(true),
                        };
                        match is_same {
                            Ok(true) => {}
                            Ok(false) => {
                                settle(&mut taking).await?;
                                let url = self.stream.url();
                                return Some(Status::Error(StreamError::Gone { url }.into()));
                            }
                            Err(error) => return Some(Status::Error(error.into())),
                        }
                    }
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

    /// Whether a batch is of the stream that was read so far, as the server says when it is asked.
    async fn is_same(&self, identity: &Identity, batch: &Batch) -> Result<bool, StreamError> {
        // The server may go away before it answers; the reader does not ask it anything meanwhile.
        let (tell, trouble) = watch::channel(None);
        let of_reader = lock(&self.shared.trouble).replace(trouble);
        let now = self.stream.identify(&tell).await;
        *lock(&self.shared.trouble) = of_reader;
        now.map(|now| now.id == identity.id && now.reaches(&batch.offset))
    }

    /// Asks the engine's thread; `None` if it has ended.
    async fn ask<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Core) -> R + Send + 'static,
    ) -> Option<R> {
        ask(&self.commands, f).await
    }

    /// Hands a batch to the engine, which answers whether to go on.
    fn give(&self, batch: Batch) -> Option<oneshot::Receiver<bool>> {
        let (reply, answer) = oneshot::channel();
        let arrived = system::time();
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

/// Asks the engine's thread; `None` if it has ended.
pub(super) async fn ask<R: Send + 'static>(
    commands: &Sender<Command>,
    f: impl FnOnce(&mut Core) -> R + Send + 'static,
) -> Option<R> {
    let (reply, answer) = oneshot::channel();
    let command = command(f, move |result| drop(reply.send(result)));
    commands.send(command).ok()?;
    answer.await.ok()?.ok()
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
