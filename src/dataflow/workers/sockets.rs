//! The connections between the processes of a cluster.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use timely::communication::allocator::ProcessBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::logging::CommunicationSetup;
use timely::communication::{AllocatorBuilder, Hooks};

use super::{Built, Health, Workers, WorkersError};

/// So long the processes wait for each other.
const TOGETHER: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(50);
/// What processes say first: this, the version of what follows, and who they are.
const HELLO: u64 = u64::from_le_bytes(*b"tailwate");
const VERSION: u64 = 1;

/// Connects this process with all others.
pub(super) fn connect(workers: &Workers, health: &Arc<Health>) -> Result<Built, WorkersError> {
    let end = Instant::now() + TOGETHER;
    let mut sockets: Vec<Option<TcpStream>> = workers.hosts.iter().map(|_| None).collect();
    // Each waits for those after it, and looks for those before it.
    let listener = TcpListener::bind(&workers.hosts[workers.process][..])
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|error| unreachable(workers, workers.process, &error))?;
    for (process, socket) in sockets.iter_mut().enumerate().take(workers.process) {
        *socket = Some(find(workers, process, end)?);
    }
    while let Some(missing) = (workers.process + 1..sockets.len()).find(|i| sockets[*i].is_none()) {
        match listener.accept() {
            Ok((socket, _)) => {
                if let Ok((process, socket)) = welcome(workers, socket) {
                    sockets[process] = Some(socket);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < end => {
                sleep(AGAIN);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let late = io::Error::new(io::ErrorKind::TimedOut, "it did not come in time");
                return Err(unreachable(workers, missing, &late));
            }
            Err(error) => return Err(unreachable(workers, missing, &error)),
        }
    }
    let hooks = Hooks {
        log_fn: notice(health),
        ..Hooks::default()
    };
    let threads = ProcessBuilder::new_typed_vector(workers.threads, hooks.refill.clone(), None);
    let (builders, guard) = initialize_networking_from_sockets(
        threads,
        sockets,
        workers.process,
        workers.threads,
        hooks,
    )
    .map_err(|error| unreachable(workers, workers.process, &error))?;
    let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
    Ok((builders, Box::new(guard)))
}

fn unreachable(workers: &Workers, process: usize, error: &io::Error) -> WorkersError {
    WorkersError::Unreachable {
        process,
        host: workers.hosts[process].clone(),
        reason: error.to_string(),
    }
}

/// What a process says of itself.
fn hello(workers: &Workers) -> [u64; 5] {
    [
        HELLO,
        VERSION,
        workers.hosts.len() as u64,
        workers.threads as u64,
        workers.process as u64,
    ]
}

fn exchange_hellos(workers: &Workers, socket: &mut TcpStream) -> io::Result<[u64; 5]> {
    socket.set_nonblocking(false)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    for word in hello(workers) {
        socket.write_all(&word.to_le_bytes())?;
    }
    let mut theirs = [0; 5];
    for word in &mut theirs {
        let mut bytes = [0; 8];
        socket.read_exact(&mut bytes)?;
        *word = u64::from_le_bytes(bytes);
    }
    socket.set_read_timeout(None)?;
    let ours = hello(workers);
    if theirs[..4] != ours[..4] {
        let same = "it has another number of hosts or workers, or another version";
        return Err(io::Error::new(io::ErrorKind::InvalidData, same));
    }
    Ok(theirs)
}

/// Finds a process that comes before this one.
fn find(workers: &Workers, process: usize, end: Instant) -> Result<TcpStream, WorkersError> {
    loop {
        let connected = resolve(&workers.hosts[process])
            .and_then(|address| TcpStream::connect_timeout(&address, Duration::from_secs(5)));
        let greeted = connected.and_then(|mut socket| {
            let theirs = exchange_hellos(workers, &mut socket)?;
            match theirs[4] == process as u64 {
                true => Ok(socket),
                false => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("process {} is there", theirs[4]),
                )),
            }
        });
        match greeted {
            Ok(socket) => return Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::InvalidData || Instant::now() >= end => {
                return Err(unreachable(workers, process, &error));
            }
            Err(_) => sleep(AGAIN),
        }
    }
}

fn resolve(host: &str) -> io::Result<std::net::SocketAddr> {
    let mut addresses = host.to_socket_addrs()?;
    addresses
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// Takes in a process that comes after this one.
fn welcome(workers: &Workers, mut socket: TcpStream) -> io::Result<(usize, TcpStream)> {
    let theirs = exchange_hellos(workers, &mut socket)?;
    let process = theirs[4] as usize;
    match (workers.process + 1..workers.hosts.len()).contains(&process) {
        true => Ok((process, socket)),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

type Notice = Arc<
    dyn Fn(
            CommunicationSetup,
        ) -> Option<
            timely::logging_core::Logger<timely::communication::logging::CommunicationEventBuilder>,
        > + Send
        + Sync,
>;

/// Lets each thread of a connection have something that notices when the thread panics, which is
/// how timely says that a connection is broken.
fn notice(health: &Arc<Health>) -> Notice {
    let health = health.clone();
    Arc::new(move |setup| {
        let canary = Canary {
            remote: setup.remote,
            health: health.clone(),
        };
        let ignore = move |_: &Duration, _: &mut Option<_>| {
            let _ = &canary;
        };
        Some(timely::logging_core::Logger::new(
            Instant::now(),
            Duration::ZERO,
            ignore,
        ))
    })
}

struct Canary {
    remote: Option<usize>,
    health: Arc<Health>,
}

impl Drop for Canary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let process = self.remote.map_or("another".into(), |i| i.to_string());
            self.health
                .lose(format!("the connection to process {process} was lost"));
        }
    }
}
