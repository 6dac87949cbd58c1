//! The first worker: it has the sources and the results, on a thread of its own.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use timely::communication::Allocator;
use timely::dataflow::ProbeHandle;
use timely::worker::Worker;

use super::follower::run;
use super::orders::{Letter, NamedColumns, Order, Outbox, Text, post};
use super::{Crew, Health, Lost, Workers, WorkersError};
use crate::dataflow::local::{Local, Running};
use crate::dataflow::{Origin, Time, Updates};
use crate::plan::Node;
use crate::schema::{Catalog, Columns};
use crate::store::Store;

/// What the engine has of the first worker.
pub(crate) struct Leader {
    /// None once it is to end.
    tasks: Option<Sender<Task>>,
    answers: Receiver<Answer>,
    crew: Option<Crew>,
    has_others: bool,
}

/// What the engine has of a dataflow on workers.
pub(crate) struct Remote {
    id: usize,
    pub(crate) has_clock: bool,
    pub(crate) is_cut: bool,
}

enum Task {
    Install(Node, i64),
    Tick(usize, Vec<Updates>),
    Clock(usize, i64),
    Window(usize, usize, Option<usize>),
    Drop(usize),
}

enum Answer {
    Installed(Remote, Vec<Origin>),
    Done(Outcome),
}

/// What a task came to.
#[derive(Default)]
struct Outcome {
    /// Whether there was anything to do.
    any: bool,
    updates: Updates,
    is_cut: bool,
}

impl Leader {
    /// Starts the workers of this process and finds those of the others.
    pub(crate) fn start(catalog: &Arc<Catalog>, workers: &Workers) -> Result<Leader, WorkersError> {
        let (tasks, todo) = channel();
        let (done, answers) = channel();
        let ends = Mutex::new(Some((todo, done)));
        let (catalog, threads) = (catalog.clone(), workers.threads);
        let crew = Crew::start(workers, move |allocator, health| {
            let ends = match allocator.index() {
                0 => ends.lock().ok().and_then(|mut ends| ends.take()),
                _ => None,
            };
            match ends {
                Some((todo, done)) => {
                    Leading::new(allocator, &catalog, threads, health).run(&todo, &done)
                }
                None => run(allocator, &catalog, health),
            }
        })?;
        Ok(Leader {
            tasks: Some(tasks),
            answers,
            crew: Some(crew),
            has_others: workers.hosts.len() > 1,
        })
    }

    pub(crate) fn check(&self, root: &Node) -> Result<(), String> {
        match self.has_others {
            true => root.to_text().map(drop).map_err(|e| e.to_string()),
            false => Ok(()),
        }
    }

    pub(crate) fn lost(&self) -> Option<Lost> {
        self.crew
            .as_ref()
            .and_then(|crew| crew.health.lost.get().cloned())
    }

    fn tell(&self, task: Task) {
        // If it is gone, so is a worker, and that is reported.
        if let Some(tasks) = &self.tasks {
            let _ = tasks.send(task);
        }
    }

    fn outcome(&self, remote: &mut Remote, output: &mut Updates) -> bool {
        let Ok(Answer::Done(outcome)) = self.answers.recv() else {
            return false;
        };
        remote.is_cut = outcome.is_cut;
        output.extend(outcome.updates);
        outcome.any
    }

    pub(crate) fn install(&mut self, root: &Node, now: i64) -> (Remote, Vec<Origin>) {
        self.tell(Task::Install(root.clone(), now));
        match self.answers.recv() {
            Ok(Answer::Installed(remote, origins)) => (remote, origins),
            _ => {
                let nothing = Remote {
                    id: usize::MAX,
                    has_clock: false,
                    is_cut: false,
                };
                (nothing, Vec::new())
            }
        }
    }

    pub(crate) fn begin(&mut self, remote: &Remote, feeds: Vec<Updates>) {
        self.tell(Task::Tick(remote.id, feeds));
    }

    pub(crate) fn finish(&mut self, remote: &mut Remote, output: &mut Updates) {
        self.outcome(remote, output);
    }

    pub(crate) fn set_clock(
        &mut self,
        remote: &mut Remote,
        now: i64,
        output: &mut Updates,
    ) -> bool {
        self.tell(Task::Clock(remote.id, now));
        self.outcome(remote, output)
    }

    pub(crate) fn set_window(
        &mut self,
        remote: &mut Remote,
        offset: usize,
        limit: Option<usize>,
        output: &mut Updates,
    ) -> bool {
        self.tell(Task::Window(remote.id, offset, limit));
        self.outcome(remote, output)
    }

    pub(crate) fn drop_dataflow(&mut self, remote: &Remote) {
        self.tell(Task::Drop(remote.id));
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(crew) = self.crew.take() {
            // Whoever wanted to know asked before.
            let _ = crew.join();
        }
    }
}

/// The first worker on its thread.
struct Leading<'a> {
    local: Local,
    store: Store,
    running: BTreeMap<usize, Running>,
    next: usize,
    health: &'a Health,
    orders: Orders,
}

impl Leading<'_> {
    fn new<'a>(
        allocator: Allocator,
        catalog: &Arc<Catalog>,
        threads: usize,
        health: &'a Health,
    ) -> Leading<'a> {
        let config = timely::WorkerConfig::default();
        let mut local = Local::new(Worker::new(config, allocator, Some(Instant::now())));
        let (outbox, _, probe) = post(&mut local.worker);
        let orders = Orders {
            outbox,
            probe,
            time: 0,
            peers: local.worker.peers(),
            threads,
            catalog: catalog.clone(),
            columns: Vec::new(),
        };
        Leading {
            local,
            store: Store::new(catalog.clone()),
            running: BTreeMap::new(),
            next: 0,
            health,
            orders,
        }
    }

    fn run(mut self, tasks: &Receiver<Task>, answers: &Sender<Answer>) {
        let mut held = None;
        while let Some(task) = held.take().or_else(|| tasks.recv().ok()) {
            let told = match task {
                Task::Install(plan, now) => {
                    let (remote, origins) = self.install(plan, now);
                    answers.send(Answer::Installed(remote, origins))
                }
                Task::Tick(id, feeds) => {
                    // Those that wait already run beside it.
                    let mut ids = vec![id];
                    self.begin(id, feeds);
                    while held.is_none() {
                        match tasks.try_recv() {
                            Ok(Task::Tick(id, feeds)) => {
                                ids.push(id);
                                self.begin(id, feeds);
                            }
                            Ok(other) => held = Some(other),
                            Err(_) => break,
                        }
                    }
                    let outcomes = ids.into_iter().map(|id| self.finish(id));
                    outcomes
                        .map(Answer::Done)
                        .try_for_each(|done| answers.send(done))
                }
                Task::Clock(id, now) => answers.send(Answer::Done(self.set_clock(id, now))),
                Task::Window(id, offset, limit) => {
                    answers.send(Answer::Done(self.set_window(id, offset, limit)))
                }
                Task::Drop(id) => {
                    if let Some(running) = self.running.remove(&id) {
                        let health = self.health;
                        self.local.drop_dataflow(running, || health.is_lost());
                    }
                    Ok(())
                }
            };
            if told.is_err() {
                break;
            }
        }
        self.end();
    }

    fn install(&mut self, plan: Node, now: i64) -> (Remote, Vec<Origin>) {
        self.orders.tell_columns(&mut self.local, self.health);
        self.orders.install(&plan, now);
        let (running, origins) = self.local.install(&plan, &mut self.store, now);
        let remote = Remote {
            id: self.next,
            has_clock: running.has_clock(),
            is_cut: false,
        };
        self.running.insert(self.next, running);
        self.next += 1;
        (remote, origins)
    }

    fn begin(&mut self, id: usize, mut feeds: Vec<Updates>) {
        // What is made of whole rows needs the names of all their columns.
        self.orders.tell_columns(&mut self.local, self.health);
        if let Some(running) = self.running.get_mut(&id) {
            self.local.begin(running, &mut feeds);
        }
    }

    fn finish(&mut self, id: usize) -> Outcome {
        let health = self.health;
        let Some(running) = self.running.get(&id) else {
            return Outcome::default();
        };
        self.local.finish(running, || health.is_lost());
        self.outcome(id, true)
    }

    fn set_clock(&mut self, id: usize, now: i64) -> Outcome {
        let health = self.health;
        let Some(running) = self.running.get_mut(&id) else {
            return Outcome::default();
        };
        let any = self.local.set_clock(running, now, || health.is_lost());
        self.outcome(id, any)
    }

    fn set_window(&mut self, id: usize, offset: usize, limit: Option<usize>) -> Outcome {
        let health = self.health;
        let Some(running) = self.running.get_mut(&id) else {
            return Outcome::default();
        };
        let lost = || health.is_lost();
        let any = self.local.set_window(running, offset, limit, lost);
        self.outcome(id, any)
    }

    fn outcome(&mut self, id: usize, any: bool) -> Outcome {
        // Half a tick is nothing.
        if self.health.is_lost() {
            return Outcome::default();
        }
        let Some(running) = self.running.get_mut(&id) else {
            return Outcome::default();
        };
        let updates = std::mem::take(&mut *running.outlet.take());
        Outcome {
            any,
            updates,
            is_cut: running.is_cut(),
        }
    }

    /// Lets the others end.
    fn end(self) {
        let Leading {
            mut local,
            running,
            health,
            orders,
            ..
        } = self;
        health.ended.store(true, Ordering::Release);
        let Orders { outbox, probe, .. } = orders;
        drop((outbox, running));
        if health.is_lost() {
            // What it shares with the connections is broken, and panics when it is dropped.
            return std::mem::forget(local);
        }
        while !probe.done() && !health.is_lost() {
            local.worker.step_or_park(Some(Duration::from_millis(50)));
        }
    }
}

/// What tells the other workers what to do.
struct Orders {
    outbox: Outbox,
    probe: ProbeHandle<Time>,
    time: Time,
    peers: usize,
    /// The workers of a process; those from there on are in other ones.
    threads: usize,
    catalog: Arc<Catalog>,
    /// The columns that the others know.
    columns: Vec<Arc<Columns>>,
}

impl Orders {
    fn send(&mut self, to: std::ops::Range<usize>, order: &Order) {
        for target in to {
            let order = Some(order.clone());
            self.outbox.send_batch(&mut Letter { target, order });
        }
        self.time += 1;
        self.outbox.advance_to(self.time);
    }

    fn send_text(&mut self, text: &Text) {
        let text = serde_json::to_string(text).expect("orders have string keys");
        self.send(self.threads..self.peers, &Order::Text(text.into()));
    }

    fn install(&mut self, plan: &Node, now: i64) {
        self.send(
            1..self.threads,
            &Order::Install(Arc::new(plan.clone()), now),
        );
        if self.peers > self.threads {
            let plan = plan.to_text().expect("plans are checked before");
            self.send_text(&Text::Install { plan, now });
        }
    }

    /// Tells other processes of new columns, and waits until they know them.
    fn tell_columns(&mut self, local: &mut Local, health: &Health) {
        if self.peers == self.threads {
            return;
        }
        let mut news = Vec::new();
        for collection in self.catalog.collections() {
            let columns = collection.columns();
            let known = self.columns.get(collection.id());
            if known.is_some_and(|known| Arc::ptr_eq(known, &columns)) {
                continue;
            }
            news.push(NamedColumns {
                collection: collection.id(),
                name: collection.name().to_string(),
                columns: Columns::clone(&columns),
            });
            match self.columns.get_mut(collection.id()) {
                Some(known) => *known = columns,
                None => self.columns.push(columns),
            }
        }
        if news.is_empty() {
            return;
        }
        self.send_text(&Text::Columns(news));
        let time = self.time;
        while self.probe.less_than(&time) && !health.is_lost() {
            local.worker.step_or_park(Some(Duration::from_millis(50)));
        }
    }
}
