//! The system as a simulation has it: the clocks stand still until they are moved, files are in memory,
//! and requests go to a server of the simulation. All of it is of one thread.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::disk::Disk;

/// A request to the server of the simulation.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Tells it from all others.
    pub(crate) number: u64,
    pub(crate) head: bool,
    pub(crate) offset: Option<String>,
    pub(crate) live: bool,
}

/// The server of the simulation, with the ways to it.
pub(crate) trait Network {
    /// The answer, or why there is none. It is asked again when its waker was called.
    fn poll(&mut self, ask: &Ask, waker: &Waker) -> Poll<Result<reqwest::Response, String>>;
}

struct System {
    /// What the clocks began with.
    base: Instant,
    elapsed: Cell<Duration>,
    /// The time of day, in microseconds since 1970.
    micros: Cell<u64>,
    boot: Cell<u64>,
    /// The last number for the steps of a database in this process.
    last: Cell<u64>,
    sleepers: RefCell<Vec<(Duration, Waker)>>,
    disk: Disk,
    network: Rc<RefCell<dyn Network>>,
    asks: Cell<u64>,
}

thread_local! {
    static SYSTEM: RefCell<Option<Rc<System>>> = const { RefCell::new(None) };
}

fn system() -> Option<Rc<System>> {
    SYSTEM.with(|system| system.try_borrow().ok()?.clone())
}

/// Begins a simulation on this thread, which ends when this is dropped.
pub(crate) struct Simulation(Rc<System>);

impl Simulation {
    pub(crate) fn begin(disk: Disk, network: Rc<RefCell<dyn Network>>) -> Simulation {
        let system = Rc::new(System {
            base: Instant::now(),
            elapsed: Cell::default(),
            micros: Cell::new(1_700_000_000_000_000),
            boot: Cell::default(),
            last: Cell::default(),
            sleepers: RefCell::default(),
            disk,
            network,
            asks: Cell::default(),
        });
        SYSTEM.set(Some(system.clone()));
        Simulation(system)
    }

    /// Lets time pass, on both clocks.
    pub(crate) fn pass(&self, time: Duration) {
        self.0.elapsed.set(self.0.elapsed.get() + time);
        self.0
            .micros
            .set(self.0.micros.get() + time.as_micros() as u64);
        let now = self.0.elapsed.get();
        let mut sleepers = self.0.sleepers.borrow_mut();
        let due: Vec<Waker> = sleepers
            .extract_if(.., |(until, _)| *until <= now)
            .map(|(_, waker)| waker)
            .collect();
        drop(sleepers);
        due.into_iter().for_each(Waker::wake);
    }

    /// How long it is until somebody wakes.
    pub(crate) fn until_next(&self) -> Option<Duration> {
        let sleepers = self.0.sleepers.borrow();
        let next = sleepers.iter().map(|(until, _)| *until).min()?;
        Some(next.saturating_sub(self.0.elapsed.get()))
    }

    /// Sets the time of day.
    pub(crate) fn set_time(&self, micros: u64) {
        self.0.micros.set(micros);
    }

    pub(crate) fn micros(&self) -> u64 {
        self.0.micros.get()
    }

    /// What a process forgets when it ends; the system, too, if that ends.
    pub(crate) fn forget(&self, machine: bool) {
        self.0.last.set(0);
        self.0.sleepers.borrow_mut().clear();
        if machine {
            self.0.boot.set(self.0.boot.get() + 1);
        }
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        SYSTEM.set(None);
    }
}

pub(crate) fn is_on() -> bool {
    system().is_some()
}

pub(crate) fn now() -> Option<Instant> {
    system().map(|system| system.base + system.elapsed.get())
}

/// How long the simulation has been going on.
pub(crate) fn elapsed() -> Duration {
    system().map_or(Duration::ZERO, |system| system.elapsed.get())
}

pub(crate) fn time() -> Option<SystemTime> {
    system().map(|system| UNIX_EPOCH + Duration::from_micros(system.micros.get()))
}

pub(crate) fn boot() -> Option<String> {
    system().map(|system| format!("run {}", system.boot.get()))
}

/// The number that follows the last one of this process.
pub(crate) fn next_number(next: impl Fn(u64) -> u64) -> Option<u64> {
    let system = system()?;
    let number = next(system.last.get());
    system.last.set(number);
    Some(number)
}

pub(crate) fn disk() -> Option<Disk> {
    system().map(|system| system.disk.clone())
}

pub(crate) struct Sleep(Duration);

pub(crate) fn sleep(duration: Duration) -> Option<Sleep> {
    system().map(|system| Sleep(system.elapsed.get() + duration))
}

/// Calls a waker at a time.
pub(crate) fn wake_at(time: Duration, waker: &Waker) {
    if let Some(system) = system() {
        system.sleepers.borrow_mut().push((time, waker.clone()));
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if elapsed() >= self.0 || !is_on() {
            return Poll::Ready(());
        }
        wake_at(self.0, context.waker());
        Poll::Pending
    }
}

/// The answer to a request, if there is a simulation.
pub(crate) fn exchange(
    head: bool,
    query: &[(&'static str, String)],
) -> Option<impl Future<Output = Result<reqwest::Response, String>> + use<>> {
    let system = system()?;
    let number = system.asks.get();
    system.asks.set(number + 1);
    let value = |name| query.iter().find(|(n, _)| *n == name).map(|(_, v)| v);
    let ask = Ask {
        number,
        head,
        offset: value("offset").cloned(),
        live: value("live").is_some(),
    };
    Some(std::future::poll_fn(move |context| {
        let Some(network) = self::system().map(|system| system.network.clone()) else {
            return Poll::Ready(Err("the simulation is over".to_owned()));
        };
        network.borrow_mut().poll(&ask, context.waker())
    }))
}
