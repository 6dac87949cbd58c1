//! The one thread that changes streams: it takes what is queued, judges it, writes it to disk in
//! one transaction, and only then shows it and answers.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::Registry;
use super::command::{Append, Appended, Create, Created, Refusal};
use super::disk::{Disk, DiskError};
use super::log::{Log, Phase, cost};
use super::path::StreamPath;
use super::state::{Most, Published, State};

/// A round takes so many commands, or so many bytes.
const ROUND_COMMANDS: usize = 1024;
const ROUND_BYTES: usize = 8 << 20;
/// Removed data is cleaned up when nobody waits, and at least every so many rounds.
const CLEAN_EVERY: u32 = 16;
const RECOVER_EVERY: Duration = Duration::from_millis(500);
/// Less room than this is none.
const LEAST_ROOM: usize = 64 << 10;

pub(crate) type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

#[derive(Debug)]
pub(crate) enum Command {
    Create(Box<Create>, Reply<Created>),
    Append(Append, Reply<Appended>),
    Delete(StreamPath, Reply<()>),
    /// End streams whose time is over.
    Sweep,
    /// End the writer, after what is queued before this.
    Stop,
    #[cfg(test)]
    Panic,
}

impl Command {
    fn bytes(&self) -> usize {
        let content = match self {
            Command::Create(create, _) => create.content.as_ref(),
            Command::Append(append, _) => append.content.as_ref(),
            _ => None,
        };
        content.map_or(0, |content| content.data.len())
    }
}

pub(super) fn lock(trouble: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    trouble.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers a request, or that nothing came of the round.
type Answer = Box<dyn FnOnce(bool)>;

fn answer<T: 'static>(reply: Reply<T>, result: Result<T, Refusal>) -> Answer {
    Box::new(move |done| {
        // Whoever asked may be gone.
        let _ = reply.send(if done {
            result
        } else {
            Err(Refusal::Unavailable)
        });
    })
}

pub(crate) struct Writer {
    queue: mpsc::Receiver<Command>,
    state: State,
    registry: Arc<Registry>,
    disk: Option<Arc<Disk>>,
    recent: Recent,
    most: Most,
    /// When the last try to recover failed.
    broken: Option<Instant>,
    /// The bytes of the round that could not be written, until as much can be.
    refused: Option<usize>,
    trouble: Arc<Mutex<Option<String>>>,
    /// There may be removed data to clean up.
    unclean: bool,
}

/// The chunks in memory that are also on disk, over all streams.
struct Recent {
    budget: usize,
    used: usize,
    order: VecDeque<(Weak<Log>, usize)>,
}

impl Recent {
    fn note(&mut self, published: &Published) {
        for chunk in &published.chunks {
            self.used += cost(chunk);
            self.order
                .push_back((Arc::downgrade(&published.log), cost(chunk)));
        }
    }

    fn shrink(&mut self) {
        while self.used > self.budget
            && let Some((log, cost)) = self.order.pop_front()
        {
            self.used -= cost;
            if let Some(log) = log.upgrade() {
                log.forget_oldest();
            }
        }
    }
}

impl Writer {
    /// A writer of the streams on disk, or of none. `recent` is how many bytes of what is on disk
    /// are kept in memory, too.
    pub(crate) fn open(
        queue: mpsc::Receiver<Command>,
        registry: Arc<Registry>,
        disk: Option<Arc<Disk>>,
        most: Most,
        recent: usize,
        trouble: Arc<Mutex<Option<String>>>,
    ) -> Result<Writer, DiskError> {
        let mut writer = Writer {
            queue,
            state: State::new(most, None),
            registry,
            disk,
            recent: Recent {
                budget: recent,
                used: 0,
                order: VecDeque::new(),
            },
            most,
            broken: None,
            refused: None,
            trouble,
            unclean: true,
        };
        if let Some(disk) = writer.disk.clone() {
            writer.load(&disk)?;
        }
        Ok(writer)
    }

    /// Works until it is told to stop, or nobody can ask any more.
    pub(crate) fn run(mut self) {
        let mut rounds = 0u32;
        let mut stop = false;
        while !stop && let Some(first) = self.queue.blocking_recv() {
            let mut bytes = first.bytes();
            let mut commands = vec![first];
            while commands.len() < ROUND_COMMANDS
                && bytes < ROUND_BYTES
                && let Ok(next) = self.queue.try_recv()
            {
                bytes += next.bytes();
                commands.push(next);
            }
            let round = AssertUnwindSafe(|| self.round(commands));
            match catch_unwind(round) {
                Ok(go_on) => stop = !go_on,
                Err(_) => {
                    tracing::error!("a round of the writer panicked");
                    // What the panic left of the state is only as good as a copy elsewhere.
                    stop = self.disk.is_none();
                    self.recover();
                }
            }
            rounds = rounds.wrapping_add(1);
            if self.queue.is_empty() || rounds.is_multiple_of(CLEAN_EVERY) {
                self.clean();
            }
        }
        if let Some(disk) = &self.disk {
            disk.close();
        }
    }

    /// Judges the commands, makes the changes safe, shows them, and answers. False ends it.
    fn round(&mut self, commands: Vec<Command>) -> bool {
        let mut answers: Vec<Answer> = Vec::with_capacity(commands.len());
        let mut go_on = true;
        let bytes = commands.iter().map(Command::bytes).sum();
        let mut swept = false;
        let ready = self.broken.is_none_or(|since| {
            since.elapsed() > RECOVER_EVERY && self.is_recoverable() && self.recover()
        });
        for command in commands {
            match command {
                Command::Create(create, reply) => {
                    answers.push(answer(reply, self.state.create(*create)));
                }
                Command::Append(append, reply) => {
                    answers.push(answer(reply, self.state.append(append)));
                }
                Command::Delete(path, reply) => {
                    answers.push(answer(reply, self.state.delete(&path)));
                }
                Command::Sweep => {
                    self.state.sweep();
                    swept = true;
                }
                Command::Stop => go_on = false,
                #[cfg(test)]
                Command::Panic => panic!("a test asked for it"),
            }
        }
        let (rows, published) = self.state.take_changes();
        let done = ready
            && match &self.disk {
                Some(disk) if !rows.is_empty() => match disk.commit(&rows) {
                    Ok(()) => {
                        self.heal();
                        true
                    }
                    Err(error) => {
                        tracing::error!(%error, "changes cannot be written");
                        self.refused = Some(bytes);
                        self.tell(&error);
                        self.recover();
                        false
                    }
                },
                // Nobody may come to try it.
                Some(disk) if swept => match self.refused.map(|bytes| disk.has_room(bytes)) {
                    Some(Ok(())) => {
                        self.heal();
                        true
                    }
                    Some(Err(error)) => {
                        self.tell(&error);
                        self.recover();
                        true
                    }
                    None => true,
                },
                _ => true,
            };
        if done {
            self.publish(published);
        }
        for answer in answers {
            answer(done);
        }
        go_on
    }

    fn tell(&self, error: &DiskError) {
        *lock(&self.trouble) = Some(error.to_string());
    }

    fn heal(&mut self) {
        if self.refused.take().is_some() {
            *lock(&self.trouble) = None;
        }
    }

    fn publish(&mut self, published: Vec<Published>) {
        for published in published {
            if self.disk.is_some() {
                self.recent.note(&published);
            }
            let Published {
                path,
                log,
                chunks,
                tail,
                created,
            } = published;
            self.unclean |= tail.is_gone();
            if tail.phase == Phase::Deleted {
                self.registry.remove(&path, &log);
            }
            log.publish(chunks, tail);
            if created {
                self.registry.insert(path, log);
            }
        }
        self.recent.shrink();
    }

    /// Whether opening the file again is worth a try, as far as that can be told at once: all of it is
    /// read then, which takes a second for each GB.
    fn is_recoverable(&self) -> bool {
        let bytes = self.refused.unwrap_or(0).max(LEAST_ROOM);
        self.disk
            .as_ref()
            .is_some_and(|disk| disk.takes(bytes).is_ok())
    }

    /// Takes over what is on disk, as it may differ from what we think. True if that worked.
    fn recover(&mut self) -> bool {
        let Some(disk) = self.disk.clone() else {
            return false;
        };
        match disk.reopen().and_then(|()| self.load(&disk)) {
            Ok(()) => {
                self.broken = None;
                true
            }
            Err(error) => {
                tracing::error!(%error, "the disk cannot be read");
                self.refused.get_or_insert(0);
                self.tell(&error);
                self.broken = Some(Instant::now());
                false
            }
        }
    }

    fn load(&mut self, disk: &Arc<Disk>) -> Result<(), DiskError> {
        let (loaded, next_id) = disk.load()?;
        let known: HashMap<u64, Arc<Log>> =
            self.registry.all().map(|log| (log.id(), log)).collect();
        self.state = State::load(self.most, disk.clone(), loaded, next_id, known);
        self.registry.replace(self.state.logs());
        Ok(())
    }

    fn clean(&mut self) {
        let Some(disk) = self
            .disk
            .as_ref()
            .filter(|_| self.unclean && self.broken.is_none())
        else {
            return;
        };
        // One step now, and the next one when nobody waits again.
        loop {
            match disk.clean() {
                Ok(more) => self.unclean = more,
                Err(error) => {
                    tracing::error!(%error, "removed streams cannot be cleaned up");
                    self.recover();
                    return;
                }
            }
            if !self.unclean || !self.queue.is_empty() {
                return;
            }
        }
    }
}
