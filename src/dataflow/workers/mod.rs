//! Several workers: threads of this process, and of others on other machines.
//!
//! All workers run the same dataflows; tuples move to the worker that keeps what they meet (see
//! `exchange`). One worker, the first thread of the first process, has the sources and the results:
//! a thread that the engine tells what to install and what changed. It passes plans on to the others
//! (see `orders`), which otherwise only work and wait.

mod follower;
mod leader;
mod orders;
mod sockets;

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::Thread;

use thiserror::Error;
use timely::CommunicationConfig;
use timely::communication::{Allocator, AllocatorBuilder, WorkerGuards, initialize_from};

pub use follower::follow;
pub(crate) use leader::{Leader, Remote};

/// How many workers there are, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// The threads of each process.
    threads: usize,
    /// Where each process is reached by the others, as `HOST:PORT`; nothing for a single process.
    hosts: Vec<String>,
    /// Which of them this one is.
    process: usize,
}

/// Why workers do not start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WorkersError {
    /// The numbers do not make sense.
    #[error("{0}")]
    Invalid(String),
    /// The processes cannot reach each other.
    #[error("process {process} at `{host}`: {reason}")]
    Unreachable {
        /// The process, from 0.
        process: usize,
        /// Where it should be.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// The system gives no thread.
    #[error("no thread for a worker: {0}")]
    Thread(String),
    /// A worker was lost while it worked.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// A worker that is there no more, so that nothing can be computed any more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Lost(String);

/// One thread.
impl Default for Workers {
    fn default() -> Workers {
        Workers::threads(1)
    }
}

impl Workers {
    /// Threads of this process, at least one.
    pub fn threads(threads: usize) -> Workers {
        Workers {
            threads: threads.max(1),
            hosts: Vec::new(),
            process: 0,
        }
    }

    /// Threads of each of several processes. `hosts` says where each is reached by the others, as
    /// `HOST:PORT`, the same list for all of them; `process` is which of them this one is, from 0.
    /// The network between them must be trusted: whoever reaches a port is believed.
    ///
    /// # Errors
    ///
    /// If there is no such process in the list, or the list has what is no address or one twice.
    pub fn cluster(
        threads: usize,
        hosts: impl IntoIterator<Item = String>,
        process: usize,
    ) -> Result<Workers, WorkersError> {
        let hosts: Vec<String> = hosts.into_iter().collect();
        if process >= hosts.len() {
            let message = format!(
                "there is no process {process} among {} hosts (they count from 0)",
                hosts.len()
            );
            return Err(WorkersError::Invalid(message));
        }
        for (i, host) in hosts.iter().enumerate() {
            let parts = host.rsplit_once(':');
            let is_whole = |(name, port): (&str, &str)| {
                let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
                is_name && port.parse::<u16>().is_ok_and(|port| port > 0)
            };
            if !parts.is_some_and(is_whole) {
                let message = format!("process {i}: `{host}` is not HOST:PORT");
                return Err(WorkersError::Invalid(message));
            }
            if let Some(first) = hosts[..i].iter().position(|known| known == host) {
                let message = format!("processes {first} and {i} are both at `{host}`");
                return Err(WorkersError::Invalid(message));
            }
        }
        Ok(Workers {
            threads: threads.max(1),
            hosts,
            process,
        })
    }

    /// The other processes, each with where it is reached.
    pub fn others(&self) -> impl Iterator<Item = (usize, &str)> {
        let hosts = self.hosts.iter().map(String::as_str).enumerate();
        hosts.filter(|(process, _)| *process != self.process)
    }

    /// Whether there are several processes.
    pub fn is_cluster(&self) -> bool {
        self.hosts.len() > 1
    }

    /// Whether this process has the sources and the results.
    pub fn is_first(&self) -> bool {
        self.process == 0
    }

    /// The number of workers in all processes.
    pub fn count(&self) -> usize {
        self.threads * self.hosts.len().max(1)
    }
}

/// What the threads of a process know of each other.
#[derive(Default)]
struct Health {
    lost: OnceLock<Lost>,
    ended: AtomicBool,
    threads: Mutex<Vec<Thread>>,
}

impl Health {
    /// Takes note of a worker that is there no more, and wakes those that wait for it.
    fn lose(&self, what: String) {
        if !self.ended.load(Ordering::Acquire) {
            let _ = self.lost.set(Lost(what));
        }
        let threads = self.threads.lock().unwrap_or_else(|e| e.into_inner());
        threads.iter().for_each(Thread::unpark);
    }

    fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// The calling thread is woken when a worker is lost.
    fn join(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(|e| e.into_inner());
        threads.push(std::thread::current());
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&self.lost.get()).finish()
    }
}

/// The allocators of the workers of this process, and what holds their connections.
type Built = (Vec<AllocatorBuilder>, Box<dyn Any + Send>);

/// The workers of this process.
struct Crew {
    health: Arc<Health>,
    guards: WorkerGuards<()>,
    connections: Box<dyn Any + Send>,
}

impl Crew {
    /// Starts the threads, each with its part in what they have in common.
    fn start(
        workers: &Workers,
        run: impl Fn(Allocator, &Health) + Send + Sync + 'static,
    ) -> Result<Crew, WorkersError> {
        let health = Arc::new(Health::default());
        let (builders, connections) = match workers.hosts.len() {
            0 | 1 => {
                let config = CommunicationConfig::Process(workers.threads);
                config.try_build().map_err(WorkersError::Invalid)?
            }
            _ => sockets::connect(workers, &health)?,
        };
        let seen = health.clone();
        let guards = initialize_from(builders, Box::new(()), move |allocator| {
            seen.join();
            run(allocator, &seen);
        });
        Ok(Crew {
            health,
            guards: guards.map_err(WorkersError::Thread)?,
            connections,
        })
    }

    /// Waits until all threads have ended.
    fn join(self) -> Result<(), Lost> {
        for ended in self.guards.join() {
            if ended.is_err() {
                self.health.lose("a worker panicked".into());
            }
        }
        match self.health.lost.get() {
            None => Ok(()),
            Some(lost) => {
                // Its threads have panicked, which it would pass on.
                std::mem::forget(self.connections);
                Err(lost.clone())
            }
        }
    }
}
