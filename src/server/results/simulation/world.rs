//! All that there is in a simulation, and what is known of how it has to be.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use super::super::log::Keep;
use super::super::registry::{FindError, Origin, Registry};
use super::super::sources::{Places, Resources, Snapshots};
use super::model::{ASKED, Asked, DUE, Message, Rows, Says, State};
use super::reader::{Came, Reader};
use super::upstream::{Brought, Upstream, offset};
use crate::db::simulated::{self as engines, Did, Step};
use crate::query::QueryFile;
use crate::schema::Catalog;
use crate::system::disk::Disk;
use crate::system::simulated::Simulation;

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

    /// Takes note of what the engines did, and looks at what they show.
    fn observe(&mut self) -> Checked {
        if self.disk.is_dead() {
            self.say("it is killed while it writes");
            self.kill(false);
            return Ok(());
        }
        let done = engines::take_done();
        let any = !done.is_empty();
        for (engine, did) in done {
            self.note(engine, did)?;
        }
        if any {
            self.check_rows()?;
        }
        Ok(())
    }

    fn note(&mut self, engine: usize, did: Did) -> Checked {
        let known = self.engines.entry(engine).or_default();
        match did {
            Did::Takes {
                cursor,
                position,
                loading,
            } => {
                let number: Option<usize> = cursor.and_then(|cursor| cursor.parse().ok());
                let brought = &self.upstream.borrow().brought;
                let brought = number.and_then(|number| brought.get(number)).cloned();
                known.takes = brought.map(|brought| (position, brought));
                known.loading = loading;
            }
            Did::Turned => known.takes = None,
            // Nobody sees it before all steps are made again.
            Did::Ticked(step) if step.again => {}
            Did::Ticked(step) => {
                let shown = known.last.unwrap_or_default();
                let clock = step.clock;
                self.record(engine, &step, Shown { clock, ..shown })?;
            }
            Did::Stepped(step) => {
                let (mut of, mut finished) = (None, std::mem::take(&mut known.loading));
                if let Some((before, brought)) = &known.takes {
                    let taken =
                        usize::try_from(step.position - before).map_err(|e| e.to_string())?;
                    let upto = brought.upto.get(taken).ok_or_else(|| {
                        format!("it counts {taken} messages of {}", brought.upto.len() - 1)
                    })?;
                    of = Some((brought.stream, *upto));
                } else if let Ok(upto) = step.offset.parse::<usize>() {
                    // From a snapshot.
                    self.tally.snapshots += 1;
                    let stream = self.upstream.borrow().of(step.id.as_deref(), upto);
                    let stream = stream.ok_or("a snapshot is of a stream that never was")?;
                    of = Some((stream, upto));
                }
                // A reset that took effect has taken effect.
                finished |= known
                    .last
                    .is_some_and(|last| last.of == of && last.finished);
                let clock = step.clock;
                let shown = Shown {
                    of,
                    finished,
                    clock,
                };
                self.record(engine, &step, shown)?;
            }
        }
        Ok(())
    }

    fn record(&mut self, engine: usize, step: &Step, shown: Shown) -> Checked {
        self.tally.steps += 1;
        let (incarnation, epoch) = (step.incarnation, step.epoch);
        let place = (incarnation, epoch);
        if let Some(before) = self.history.get(&place).copied()
            && self.state(before).rows != self.state(shown).rows
        {
            return Err(format!(
                "step {epoch} of {incarnation} was {before:?}, and is {shown:?} now"
            ));
        }
        self.words
            .push(format!("  step {epoch} of {incarnation}: {shown:?}"));
        self.history.insert(place, shown);
        self.engines.entry(engine).or_default().last = Some(shown);
        Ok(())
    }

    // What has to be there.

    fn state(&mut self, shown: Shown) -> Rc<State> {
        let Some((stream, upto)) = shown.of else {
            return Rc::default();
        };
        let upstream = &self.upstream;
        let state = self.states.entry((stream, upto, shown.finished));
        let made = || {
            let mut state = upstream.borrow().streams[stream].state(upto);
            if shown.finished {
                state.finish();
            }
            Rc::new(state)
        };
        state.or_insert_with(made).clone()
    }

    /// What a query is to give at a step.
    fn due(&mut self, name: &str, incarnation: u64, epoch: u64) -> Rows {
        let places = (incarnation, 0)..=(incarnation, epoch);
        let shown = self.history.range(places).next_back();
        let shown = shown.map(|(_, shown)| *shown).unwrap_or_default();
        let asked = &ASKED[self.queries[name]];
        (asked.gives)(&self.state(shown), shown.clock)
    }

    /// Compares all results that are shown with a recomputation.
    fn check_rows(&mut self) -> Checked {
        let Some(process) = &self.process else {
            return Ok(());
        };
        for entry in process.registry.clone().entries() {
            let Some(log) = entry.log() else {
                continue;
            };
            if let Some(error) = log.failed() {
                return Err(format!("`{}` was stopped: {error}", entry.name));
            }
            let Some(live) = log.live() else {
                continue;
            };
            let epoch = live.epoch();
            if self.seen.insert(log.id, epoch) == Some(epoch) {
                continue;
            }
            let read = live.read();
            let rows: Result<Rows, String> = (read.iter())
                .map(|row| {
                    let value = row.value().map_err(|error| error.to_string())?;
                    let value: Value = serde_json::from_str(&value.to_string())
                        .map_err(|error| error.to_string())?;
                    Ok((row.key(), value))
                })
                .collect();
            let due = self.due(&entry.name, log.db.incarnation(), epoch);
            same(&entry.name, &rows?, &due)?;
        }
        Ok(())
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
            Err(FindError::NotReady(_)) => return Ok(false),
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

    // The stream.

    /// Appends some messages.
    pub(super) fn append(&mut self) {
        let mut messages = Vec::new();
        let random = &mut self.random;
        let now = self.simulation.micros() as i64 / 1000;
        let txid = (random.u32(..3) == 0).then(|| {
            self.txids += 1;
            format!("tx{}", self.txids)
        });
        let put = |random: &mut Rng| {
            let kind = usize::from(random.u32(..4) == 0);
            let value = match kind {
                0 => serde_json::json!({"g": random.i64(0..4), "n": random.i64(-9..10),
                    "at": now + random.i64(-9000..4000)}),
                _ => {
                    let name = ["a", "b", "c"][random.usize(..3)];
                    serde_json::json!({"id": random.i64(0..4), "name": name})
                }
            };
            let keys = [14, 5][kind];
            Says::Put(kind, format!("k{}", random.u32(..keys)), value)
        };
        for _ in 0..random.usize(1..5) {
            let kind = usize::from(random.u32(..4) == 0);
            match random.u32(..60) {
                0 => {
                    messages.push(Says::Reset);
                    messages.push(put(random));
                }
                1..3 => {
                    let of = (random.u32(..3) > 0).then_some(kind);
                    messages.push(Says::Begin(of));
                    for _ in 0..random.usize(..5) {
                        messages.push(put(random));
                    }
                    messages.push(Says::End(of));
                }
                3 => messages.push(Says::Bad("17")),
                4 => messages.push(Says::Bad(r#"{"type":"item","key":"k1","headers":{}}"#)),
                5..18 => messages.push(Says::Delete(kind, format!("k{}", random.u32(..14)))),
                _ => messages.push(put(random)),
            }
        }
        let operations = ["insert", "update", "upsert"];
        let operation = operations[random.usize(..3)];
        let messages: Vec<Message> = (messages.into_iter())
            .map(|says| Message {
                txid: txid.clone().filter(|_| !matches!(says, Says::Bad(_))),
                says,
                operation,
            })
            .collect();
        let count = messages.len();
        let mut upstream = self.upstream.borrow_mut();
        let Some(stream) = upstream.stream().filter(|stream| !stream.closed) else {
            return;
        };
        stream.log.extend(messages);
        let end = stream.log.len();
        upstream.wake();
        drop(upstream);
        self.say(format!("{count} messages are appended, up to {end}"));
    }

    /// Does something to the stream as a whole.
    pub(super) fn upset(&mut self) -> Checked {
        let mut upstream = self.upstream.borrow_mut();
        let Some(stream) = upstream.stream().cloned() else {
            upstream.make(Vec::new());
            drop(upstream);
            self.say("there is a stream again");
            return Ok(());
        };
        let end = stream.log.len();
        let words = match self.random.u32(..6) {
            0 => {
                upstream.now = None;
                upstream.wake();
                "the stream is deleted".to_owned()
            }
            1 => {
                upstream.make(Vec::new());
                "the stream is another one".to_owned()
            }
            2 if end > 0 => {
                let upto = self.random.usize(..end);
                if stream.state(upto).is_reset() {
                    // When that takes effect is left open.
                    return Ok(());
                }
                upstream.make(stream.log[..upto].to_vec());
                format!("a fork of the stream, of {upto} messages, is in its place")
            }
            3 => {
                let start = self.random.usize(stream.start..=end);
                if stream.state(start).is_settled() {
                    let mut stream = stream;
                    stream.truncate(start);
                    upstream.put(stream);
                }
                format!("messages before {start} are no longer there")
            }
            4 if end > stream.start => {
                let upto = self.random.usize(stream.start..end);
                if stream.state(upto).is_reset() {
                    return Ok(());
                }
                let mut stream = stream;
                stream.log.truncate(upto);
                stream.closed = false;
                upstream.put(stream);
                drop(upstream);
                self.say(format!("the stream goes back to {upto}"));
                // Nobody notices who comes when it has gone on.
                return self.settle();
            }
            5 if self.random.bool() => {
                upstream.stream().expect("it is there").closed = true;
                upstream.wake();
                "the stream is closed".to_owned()
            }
            _ => return Ok(()),
        };
        drop(upstream);
        self.say(words);
        Ok(())
    }

    // Time and trouble.

    pub(super) fn pass(&mut self, time: Duration) -> Checked {
        self.say(format!("{time:?} pass"));
        self.simulation.pass(time);
        self.turn(2)
    }

    pub(super) fn pass_to_next(&mut self) -> Checked {
        let next = self.simulation.until_next().unwrap_or_default();
        self.pass(next.min(Duration::from_secs(30)))
    }

    /// Sets the time of day, forth or back.
    pub(super) fn jump(&mut self) {
        let by = self.random.i64(-4_000_000_000..4_000_000_000);
        let micros = self.simulation.micros().saturating_add_signed(by);
        self.simulation.set_time(micros);
        self.say(format!("the clock is set by {by} µs"));
    }

    pub(super) fn toggle_network(&mut self) {
        let mut upstream = self.upstream.borrow_mut();
        upstream.away = !upstream.away;
        upstream.wake();
        let away = upstream.away;
        drop(upstream);
        self.say(match away {
            true => "nothing gets through to the stream any more",
            false => "the way to the stream is open again",
        });
    }

    pub(super) fn toggle_disk(&mut self) {
        self.full = !self.full;
        self.disk.set_full(self.full);
        self.say(match self.full {
            true => "the disk is full",
            false => "there is room on the disk again",
        });
    }

    pub(super) fn arm(&mut self) {
        let operations = self.random.u32(..12);
        self.disk.kill_after(operations);
        self.say(format!("it is to be killed at the {operations}th write"));
    }

    /// Lets all trouble end: then all has to become as it is to be.
    pub(super) fn settle(&mut self) -> Checked {
        self.say("all trouble ends");
        self.full = false;
        self.disk.set_full(false);
        {
            let mut upstream = self.upstream.borrow_mut();
            upstream.away = false;
            upstream.calm = true;
            if upstream.now.is_none() {
                upstream.make(Vec::new());
            }
            upstream.wake();
        }
        let mut settled = None;
        for _ in 0..800 {
            if !self.is_up() {
                self.start()?;
            }
            self.turn(8)?;
            let mut which = 0;
            while which < engines::count() {
                which = match self.work(which)? {
                    true => 0,
                    false => which + 1,
                };
            }
            settled = self.is_settled()?;
            if settled.is_none() {
                break;
            }
            self.pass_to_next()?;
        }
        self.upstream.borrow_mut().calm = false;
        if let Some(why) = settled {
            return Err(format!("it does not come to rest: {why}"));
        }
        for which in 0..self.readers.len() {
            for _ in 0..200 {
                if !self.read(which)? {
                    break;
                }
            }
            let reader = &self.readers[which];
            let stream = self.upstream.borrow().now.expect("it is there");
            let upto = self.upstream.borrow().streams[stream].log.len();
            for name in reader.names.clone() {
                if name == DUE {
                    continue;
                }
                let asked = &ASKED[self.queries[name]];
                let state = self.state(Shown {
                    of: Some((stream, upto)),
                    finished: true,
                    clock: 0,
                });
                let rows = &self.readers[which].rows[name];
                same(name, rows, &(asked.gives)(&state, 0))
                    .map_err(|error| format!("the reader {which} at the end: {error}"))?;
            }
        }
        Ok(())
    }

    /// Why not all is as it is to be, if it is not.
    fn is_settled(&mut self) -> Result<Option<String>, String> {
        let Some(process) = &self.process else {
            return Ok(Some("there is no server".into()));
        };
        let registry = process.registry.clone();
        let upstream = self.upstream.borrow();
        let stream = upstream.now.expect("it is there");
        let (log, start) = (
            &upstream.streams[stream].log,
            upstream.streams[stream].start,
        );
        let upto = log.len();
        // Those of a snapshot that has not ended are not visible.
        let settled = State::of(log).is_settled();
        let txids: Vec<(usize, String)> = (log.iter().enumerate().skip(start))
            .filter(|(_, m)| settled && matches!(m.says, Says::Put(..) | Says::Delete(..)))
            .filter_map(|(at, message)| Some((at, message.txid.clone()?)))
            .collect();
        drop(upstream);
        for entry in registry.entries() {
            let state = entry.state();
            if state
                .error
                .as_deref()
                .is_some_and(|e| e.contains("panicked"))
            {
                return Err(format!("`{}`: {:?}", entry.name, state.error));
            }
            if !matches!(state.state, "live" | "ended") {
                return Ok(Some(format!("`{}` is {}", entry.name, state.state)));
            }
            let Some(log) = entry.log() else {
                return Ok(Some(format!("`{}` has no log", entry.name)));
            };
            if entry.name.as_ref() == DUE {
                continue;
            }
            let Some(live) = log.live() else {
                return Ok(Some(format!("`{}` is not live", entry.name)));
            };
            let rows: Rows = (live.read().iter())
                .map(|row| {
                    let value = row.value().map(|value| value.to_string());
                    let value = value.unwrap_or_default();
                    (row.key(), serde_json::from_str(&value).unwrap_or_default())
                })
                .collect();
            let shown = Shown {
                of: Some((stream, upto)),
                finished: true,
                clock: 0,
            };
            let due = (ASKED[self.queries[&*entry.name]].gives)(&self.state(shown), 0);
            if rows != due {
                return Ok(Some(format!(
                    "`{}` has {} rows of {}, read to {} of {upto}",
                    entry.name,
                    rows.len(),
                    due.len(),
                    log.db.offset()
                )));
            }
            // Rows may be equal by chance.
            if log.db.offset().to_string() != offset(upto) {
                let read = log.db.offset();
                return Ok(Some(format!(
                    "`{}` was read to {read} of {upto}",
                    entry.name
                )));
            }
            if let Some((at, txid)) = txids.iter().find(|(_, txid)| !log.db.has_seen(txid)) {
                return Ok(Some(format!("{txid} of message {at} was not seen")));
            }
        }
        Ok(None)
    }
}

fn file(asked: &Asked) -> QueryFile {
    match asked.text.starts_with('{') {
        true => QueryFile::from_json(asked.text).expect("it is a query"),
        false => QueryFile::from_sql(asked.text).expect("it is a query"),
    }
}

fn same(name: &str, rows: &Rows, due: &Rows) -> Checked {
    match rows == due {
        true => Ok(()),
        false => Err(format!("`{name}` is\n    {rows:?}\n  and not\n    {due:?}")),
    }
}
