//! All that there is in a simulation: the server, its queries and their readers.

mod checks;
mod trouble;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use super::super::entry::Origin;
use super::super::log::Keep;
use super::super::registry::{FindError, Registry};
use super::super::sources::{Places, Resources, Snapshots};
use super::model::{ASKED, Asked, DUE, State};
use super::reader::{Came, Reader};
use super::upstream::{Brought, Upstream};
use crate::db::simulated as engines;
use crate::query::QueryFile;
use crate::schema::Catalog;
use crate::system::disk::Disk;
use crate::system::simulated::Simulation;
use checks::same;

/// What results are to show after a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Shown {
    /// So many messages of a stream; none before anything is shown.
    of: Option<(usize, usize)>,
    /// Whether a reset at the end has taken effect.
    finished: bool,
    clock: i64,
}

/// What an engine is at.
#[derive(Default)]
struct Engine {
    last: Option<Shown>,
    /// What the messages come from that it takes in, and its position before the first one.
    takes: Option<(u64, Brought)>,
    /// Whether nothing was shown before them.
    loading: bool,
}

/// A process of the server.
struct Process {
    registry: Arc<Registry>,
    runtime: Runtime,
}

impl Process {
    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// How much goes wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    /// Nothing but connections, and all of the past is kept: no reader is ever told that something is gone.
    Calm,
    /// As `Calm`, but the server is killed.
    Killed,
    /// All of it.
    Wild,
}

/// What was seen, over all runs.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) steps: u64,
    pub(super) kills: u64,
    pub(super) machines: u64,
    pub(super) read: u64,
    pub(super) gone: u64,
    pub(super) snapshots: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Tally) {
        self.steps += other.steps;
        self.kills += other.kills;
        self.machines += other.machines;
        self.read += other.read;
        self.gone += other.gone;
        self.snapshots += other.snapshots;
    }
}

pub(super) struct World {
    pub(super) random: Rng,
    pub(super) mood: Mood,
    simulation: Simulation,
    disk: Disk,
    pub(super) upstream: Rc<RefCell<Upstream>>,
    process: Option<Process>,
    readers: Vec<Reader>,
    /// The queries that are served, each of which is the n-th of all there are.
    queries: BTreeMap<&'static str, usize>,
    engines: BTreeMap<usize, Engine>,
    /// What each step was, in whatever process, by count and number.
    history: BTreeMap<(u64, u64), Shown>,
    states: BTreeMap<(usize, usize, bool), Rc<State>>,
    /// Up to which step results were looked at, by their number.
    seen: BTreeMap<u64, u64>,
    /// What has happened, in words.
    pub(super) words: Vec<String>,
    txids: u64,
    full: bool,
    pub(super) tally: Tally,
}

type Checked = Result<(), String>;

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut random = Rng::with_seed(seed);
        // What others draw from on this thread.
        fastrand::seed(random.u64(..));
        let mood = match random.u32(..10) {
            0 => Mood::Calm,
            1..3 => Mood::Killed,
            _ => Mood::Wild,
        };
        let disk = Disk::new(random.fork());
        let upstream = Rc::new(RefCell::new(Upstream::new(random.fork())));
        upstream.borrow_mut().make(Vec::new());
        World {
            simulation: Simulation::begin(disk.clone(), upstream.clone()),
            random,
            mood,
            disk,
            upstream,
            process: None,
            readers: Vec::new(),
            queries: BTreeMap::new(),
            engines: BTreeMap::new(),
            history: BTreeMap::new(),
            states: BTreeMap::new(),
            seen: BTreeMap::new(),
            words: Vec::new(),
            txids: 0,
            full: false,
            tally: Tally::default(),
        }
    }

    pub(super) fn say(&mut self, words: impl Into<String>) {
        self.words.push(words.into());
    }

    // The server.

    fn places(&self) -> Places {
        let (every, after_bytes) = match self.mood {
            Mood::Wild => (Duration::from_secs(5), 1500),
            _ => (Duration::from_secs(5), 1 << 40),
        };
        Places {
            default: "http://upstream/v1/stream/events".into(),
            own: "http://own/v1/stream/".into(),
            own_token: None,
            upstream_token: None,
            catalog: Arc::new(Catalog::open()),
            schema_version: 0,
            limits: Resources::default(),
            snapshots: Some(Snapshots {
                directory: PathBuf::from("/sources"),
                every,
                after_bytes,
            }),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Starts the server, with the queries that it is to serve.
    pub(super) fn start(&mut self) -> Checked {
        self.say("the server is started");
        let keep = Keep {
            bytes: match self.mood {
                Mood::Wild => 2 << 10,
                _ => 1 << 30,
            },
            age: Duration::from_secs(600),
        };
        let process = Process {
            registry: Registry::new(self.places(), keep, None, None, Duration::from_secs(20)),
            runtime: Builder::new_current_thread().build().expect("a runtime"),
        };
        for which in self.queries.values() {
            let asked = &ASKED[*which];
            let work = process
                .registry
                .register(asked.name, file(asked), Origin::File, None);
            process.run(work).map_err(|error| error.to_string())?;
        }
        process.registry.set_loaded();
        self.process = Some(process);
        self.turn(5)
    }

    /// Ends the server, or the machine: all that is in memory is lost, and of files what may be.
    pub(super) fn kill(&mut self, machine: bool) {
        let Some(process) = self.process.take() else {
            return;
        };
        self.tally.kills += 1;
        self.tally.machines += u64::from(machine);
        self.say(match machine {
            true => "the machine goes down",
            false => "the server is killed",
        });
        self.disk.end_process();
        engines::kill();
        process.runtime.shutdown_background();
        drop(process.registry);
        engines::kill();
        if machine {
            self.disk.lose();
        }
        self.simulation.forget(machine);
        // The next one starts some time later.
        let moment = Duration::from_micros(self.random.u64(1..5000));
        self.simulation.pass(moment);
        self.engines.clear();
        self.seen.clear();
    }

    /// Lets tasks run for a while.
    pub(super) fn turn(&mut self, rounds: usize) -> Checked {
        if let Some(process) = &self.process {
            process.run(async {
                for _ in 0..rounds {
                    yield_now().await;
                }
            });
        }
        self.observe()
    }

    /// Lets one of the engines do one thing; whether there was something to do.
    pub(super) fn work(&mut self, which: usize) -> Result<bool, String> {
        let worked = engines::count() > 0 && engines::turn(which % engines::count());
        self.observe()?;
        Ok(worked)
    }

    // Queries and their readers.

    pub(super) fn register(&mut self) -> Checked {
        let which = self.random.usize(..ASKED.len());
        let asked = &ASKED[which];
        self.say(format!("`{}` is registered: {}", asked.name, asked.text));
        if let Some(process) = &self.process {
            let registry = &process.registry;
            let old = registry.entry(asked.name);
            let work = registry.register(asked.name, file(asked), Origin::File, old.as_ref());
            if let Err(error) = process.run(work) {
                // A source that is just failing.
                self.say(format!("  in vain: {error}"));
                return self.observe();
            }
        }
        if self.queries.insert(asked.name, which) != Some(which) {
            // What those have who read the other one is another matter.
            let held = |reader: &Reader| reader.names.contains(&asked.name);
            self.readers.retain(|reader| !held(reader));
        }
        self.observe()
    }

    pub(super) fn drop_query(&mut self) -> Checked {
        let names: Vec<&'static str> = self.queries.keys().copied().collect();
        if names.len() < 2 {
            return Ok(());
        }
        let name = names[self.random.usize(..names.len())];
        self.say(format!("`{name}` is dropped"));
        self.queries.remove(name);
        self.readers.retain(|reader| !reader.names.contains(&name));
        if let Some(process) = &self.process
            && let Some(entry) = process.registry.entry(name)
        {
            let dropped = process.registry.drop_query(&entry, Origin::File);
            dropped.map_err(|error| error.to_string())?;
        }
        self.observe()
    }

    pub(super) fn add_reader(&mut self) {
        let names: Vec<&'static str> = self.queries.keys().copied().collect();
        if names.is_empty() || self.readers.len() > 12 {
            return;
        }
        let mut read = vec![names[self.random.usize(..names.len())]];
        let other = names[self.random.usize(..names.len())];
        if self.random.u32(..3) == 0 && !read.contains(&other) {
            read.push(other);
        }
        let follows = self.random.bool();
        self.say(format!("a reader comes for {read:?}"));
        self.readers.push(Reader::new(read, follows));
    }

    pub(super) fn lose_reader(&mut self) {
        if !self.readers.is_empty() {
            let which = self.random.usize(..self.readers.len());
            let reader = self.readers.swap_remove(which);
            self.say(format!("the reader {which} of {:?} goes", reader.names));
        }
    }

    /// Lets a reader read; whether it got something.
    pub(super) fn read(&mut self, which: usize) -> Result<bool, String> {
        let Some(process) = &self.process else {
            return Ok(false);
        };
        let registry = process.registry.clone();
        let Some(reader) = self.readers.get(which) else {
            return Ok(false);
        };
        let names: Vec<String> = reader.names.iter().map(|n| (*n).to_owned()).collect();
        let feed = match process.run(registry.feed(&names, Duration::ZERO)) {
            Ok(feed) => feed,
            Err(FindError::NotReady(..)) => return Ok(false),
            Err(error) => return Err(format!("the reader {which}: {error}")),
        };
        let came = if reader.at.is_none() {
            let snapshot = process.run(feed.snapshot());
            self.observe()?;
            let Ok(snapshot) = snapshot else {
                return Ok(false);
            };
            let at = feed.offset(snapshot.epoch);
            Came::News(self.readers[which].begin(at, &snapshot.body())?)
        } else {
            let most = self.random.usize(1..600);
            self.readers[which].go_on(&feed, most)?
        };
        let at = self.readers[which].at;
        let words = format!(
            "  the reader {which} of {names:?}: {came:?} at {:?}",
            at.map(|at| at.epoch)
        );
        self.say(words);
        if came == Came::Gone {
            self.tally.gone += 1;
            self.readers[which].at = None;
            if self.mood != Mood::Wild && !names.iter().any(|name| name == DUE) {
                return Err(format!(
                    "the reader {which} of {names:?} is told that its offset is gone"
                ));
            }
            return Ok(true);
        }
        self.tally.read += 1;
        let at = at.ok_or("a reader that read is nowhere")?;
        for name in self.readers[which].names.clone() {
            let due = self.due(name, at.incarnation, at.epoch);
            same(name, &self.readers[which].rows[name], &due)
                .map_err(|error| format!("the reader {which} at {}: {error}", at.epoch))?;
        }
        Ok(came != Came::Nothing)
    }

    pub(super) fn readers(&self) -> usize {
        self.readers.len()
    }

    pub(super) fn sweep(&mut self) {
        if let Some(process) = &self.process {
            process.registry.sweep();
        }
    }
}

fn file(asked: &Asked) -> QueryFile {
    match asked.text.starts_with('{') {
        true => QueryFile::from_json(asked.text).expect("it is a query"),
        false => QueryFile::from_sql(asked.text).expect("it is a query"),
    }
}
