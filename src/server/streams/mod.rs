//! Durable streams without HTTP: who may change them, what readers see, how they are kept.
//!
//! One thread, the writer, owns all that changes. It takes the commands that are queued as one
//! round, writes the round to disk in one transaction, and only then publishes it: an answer means
//! that the data is safe, and nobody reads what could still be lost. Readers never ask the
//! writer: they find a published log by its name, and follow its tail.

pub(crate) mod chunk;
pub(crate) mod command;
pub(crate) mod disk;
pub(crate) mod expiry;
pub(crate) mod frames;
pub(crate) mod log;
pub(crate) mod offset;
pub(crate) mod path;
pub(crate) mod record;
mod state;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use command::{Append, Appended, Create, Created, Refusal};
use disk::{Disk, DiskError};
use log::{Log, Phase};
use path::StreamPath;
pub(crate) use state::Most;
use writer::{Command, Reply, Writer};

/// So many commands wait at most; who comes later waits for room.
const QUEUE: usize = 1024;

/// The streams that readers can see, by name.
#[derive(Debug, Default)]
pub(crate) struct Registry(RwLock<HashMap<StreamPath, Arc<Log>>>);

impl Registry {
    fn insert(&self, path: StreamPath, log: Arc<Log>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path, log);
    }

    /// Removes the name, unless another stream has it by now.
    fn remove(&self, path: &StreamPath, log: &Arc<Log>) {
        let mut streams = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if streams
            .get(path)
            .is_some_and(|known| Arc::ptr_eq(known, log))
        {
            streams.remove(path);
        }
    }

    fn all(&self) -> impl Iterator<Item = Arc<Log>> {
        let streams = self.0.read().unwrap_or_else(PoisonError::into_inner);
        streams.values().cloned().collect::<Vec<_>>().into_iter()
    }

    fn replace<'a>(&self, logs: impl Iterator<Item = (&'a StreamPath, &'a Arc<Log>)>) {
        let logs = logs
            .map(|(path, log)| (path.clone(), log.clone()))
            .collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = logs;
    }

    fn get(&self, path: &StreamPath) -> Option<Arc<Log>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned()
    }

    fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// All streams of a server.
#[derive(Debug)]
pub(crate) struct Streams {
    queue: mpsc::Sender<Command>,
    registry: Arc<Registry>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Streams {
    /// Starts the writer of streams on disk, or in memory. `recent` is how many bytes of what is
    /// on disk are kept in memory, too.
    pub(crate) fn open(
        disk: Option<Arc<Disk>>,
        most: Most,
        recent: usize,
    ) -> Result<Streams, DiskError> {
        let (queue, commands) = mpsc::channel(QUEUE);
        let registry = Arc::new(Registry::default());
        let trouble = Arc::<Mutex<_>>::default();
        let writer = Writer::open(
            commands,
            registry.clone(),
            disk,
            most,
            recent,
            trouble.clone(),
        )?;
        thread::Builder::new()
            .name("tailwater-log".into())
            .spawn(move || writer.run())?;
        Ok(Streams {
            queue,
            registry,
            trouble,
        })
    }

    /// Finds a stream to read or append to.
    pub(crate) fn find(&self, path: &StreamPath) -> Result<Arc<Log>, Refusal> {
        let log = self.registry.get(path).ok_or(Refusal::Missing)?;
        match log.tail().phase {
            Phase::Deleted => Err(Refusal::Missing),
            Phase::Kept => Err(Refusal::Kept),
            // The writer has not got round to it yet.
            _ if log.clock().is_over() && log.forks() > 0 => Err(Refusal::Kept),
            _ if log.clock().is_over() => Err(Refusal::Missing),
            Phase::Open | Phase::Closed => Ok(log),
        }
    }

    /// How many streams there are, those included that are kept for their forks.
    pub(crate) fn count(&self) -> usize {
        self.registry.len()
    }

    pub(crate) async fn create(&self, create: Create) -> Result<Created, Refusal> {
        self.ask(|reply| Command::Create(Box::new(create), reply))
            .await
    }

    pub(crate) async fn append(&self, append: Append) -> Result<Appended, Refusal> {
        self.ask(|reply| Command::Append(append, reply)).await
    }

    pub(crate) async fn delete(&self, path: StreamPath) -> Result<(), Refusal> {
        self.ask(|reply| Command::Delete(path, reply)).await
    }

    /// Ends streams whose time is over, unless the writer is busy.
    pub(crate) fn sweep(&self) {
        let _ = self.queue.try_send(Command::Sweep);
    }

    /// Ends the writer after what is queued, and waits until it is gone.
    pub(crate) async fn stop(&self) {
        if self.queue.send(Command::Stop).await.is_ok() {
            self.queue.closed().await;
        }
    }

    /// Whether changes are possible.
    pub(crate) fn is_alive(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Why the disk takes nothing, as long as it does not.
    pub(crate) fn trouble(&self) -> Option<String> {
        writer::lock(&self.trouble).clone()
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        let sent = self.queue.send(command(reply)).await;
        sent.map_err(|_| Refusal::Unavailable)?;
        answer.await.unwrap_or(Err(Refusal::Unavailable))
    }
}
