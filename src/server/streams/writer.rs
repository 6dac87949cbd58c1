//! The one thread that changes streams: it takes what is queued, judges it, writes it to disk in
//! one transaction, and only then shows it and answers.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::Registry;
use super::command::{Append, Appended, Create, Created, Refusal};
use super::disk::{Disk, DiskError, Row};
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

    fn refuse(self) {
        // Whoever asked may be gone.
        match self {
            Command::Create(_, reply) => drop(reply.send(Err(Refusal::Unavailable))),
            Command::Append(_, reply) => drop(reply.send(Err(Refusal::Unavailable))),
            Command::Delete(_, reply) => drop(reply.send(Err(Refusal::Unavailable))),
            _ => {}
        }
    }
}

pub(super) fn lock(told: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
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
    trouble: Option<Trouble>,
    /// What is told of it.
    told: Arc<Mutex<Option<String>>>,
    /// There may be removed data to clean up.
    unclean: bool,
}

/// The disk does not take what it is to take.
struct Trouble {
    /// As many bytes as could not be written.
    bytes: usize,
    /// Until then nothing is tried.
    not_before: Instant,
    /// Whether the file could not be opened again, so that we may be ahead of it.
    closed: bool,
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
        told: Arc<Mutex<Option<String>>>,
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
            trouble: None,
            told,
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
                    if !stop && let Err(error) = self.recover() {
                        self.fail(0, &error);
                    }
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
        let ready = self.is_ready(bytes);
        let mut swept = false;
        for command in commands {
            match command {
                Command::Stop => go_on = false,
                #[cfg(test)]
                Command::Panic => panic!("a test asked for it"),
                _ if !ready => command.refuse(),
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
            }
        }
        let (rows, published) = self.state.take_changes();
        let done = rows.is_empty() || self.write(&rows, bytes);
        if done {
            self.publish(published);
        }
        for answer in answers {
            answer(done);
        }
        if swept && done {
            // Nobody may come to try it.
            self.try_room();
        }
        go_on
    }

    /// Whether it may be tried to write so many bytes.
    fn is_ready(&mut self, bytes: usize) -> bool {
        let (Some(trouble), Some(disk)) = (&self.trouble, &self.disk) else {
            return true;
        };
        if Instant::now() < trouble.not_before {
            return false;
        }
        let closed = trouble.closed;
        // What only removes something is to make room.
        if (bytes > 0 || closed)
            && let Err(error) = disk.takes(bytes.max(LEAST_ROOM))
        {
            self.wait(&error);
            return false;
        }
        if closed && let Err(error) = self.recover() {
            self.fail(0, &error);
            return false;
        }
        if let Some(trouble) = &mut self.trouble {
            trouble.closed = false;
        }
        true
    }

    /// Whether the changes are on disk.
    fn write(&mut self, rows: &[Row], bytes: usize) -> bool {
        let Some(disk) = &self.disk else {
            return true;
        };
        match disk.commit(rows) {
            Ok(()) => {
                if self.trouble.as_ref().is_some_and(|t| bytes >= t.bytes) {
                    self.heal();
                }
                true
            }
            Err(error) => {
                tracing::error!(%error, "changes cannot be written");
                self.fail(bytes, &error);
                false
            }
        }
    }

    /// Ends the trouble if there is room for what was refused.
    fn try_room(&mut self) {
        let (Some(trouble), Some(disk)) = (&self.trouble, &self.disk) else {
            return;
        };
        let bytes = trouble.bytes;
        match disk.takes(bytes) {
            Err(error) => self.wait(&error),
            Ok(()) => match disk.has_room(bytes) {
                Ok(()) => self.heal(),
                Err(error) => self.fail(bytes, &error),
            },
        }
    }

    fn heal(&mut self) {
        self.trouble = None;
        *lock(&self.told) = None;
    }

    fn tell(&self, error: &DiskError) {
        *lock(&self.told) = Some(error.to_string());
    }

    /// There is no room yet.
    fn wait(&mut self, error: &DiskError) {
        self.tell(error);
        if let Some(trouble) = &mut self.trouble {
            trouble.not_before = Instant::now() + RECOVER_EVERY;
        }
    }

    /// Notes that so many bytes could not be written, and takes over what is on disk.
    fn fail(&mut self, bytes: usize, error: &DiskError) {
        self.tell(error);
        let begun = Instant::now();
        let recovered = self.recover();
        if let Err(error) = &recovered {
            tracing::error!(%error, "the disk cannot be read");
        }
        // All of the file is read then, a second for each GB, and meanwhile nobody can read it.
        let pause = begun.elapsed() * 4;
        let pause = match (&recovered, &self.trouble) {
            (Ok(()), None) => Duration::ZERO,
            (Ok(()), Some(_)) => pause,
            (Err(_), _) => pause.max(RECOVER_EVERY),
        };
        let before = self.trouble.as_ref().map_or(LEAST_ROOM, |t| t.bytes);
        self.trouble = Some(Trouble {
            bytes: bytes.max(before),
            not_before: Instant::now() + pause,
            closed: recovered.is_err(),
        });
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

    /// Takes over what is on disk, as it may differ from what we think.
    fn recover(&mut self) -> Result<(), DiskError> {
        let disk = self.disk.clone().ok_or(DiskError::Closed)?;
        disk.reopen()?;
        self.load(&disk)
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
        let not_yet = |trouble: &Trouble| trouble.closed || Instant::now() < trouble.not_before;
        let Some(disk) = self.disk.clone() else {
            return;
        };
        // One step now, and the next one when nobody waits again.
        while self.unclean && !self.trouble.as_ref().is_some_and(not_yet) {
            match disk.clean() {
                Ok(more) => self.unclean = more,
                Err(error) => {
                    tracing::error!(%error, "removed streams cannot be cleaned up");
                    return self.fail(0, &error);
                }
            }
            if !self.queue.is_empty() {
                return;
            }
        }
    }
}
