//! The engine's thread: it owns the engine, runs closures on it, and tells who wants to know.

use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use smol_str::SmolStr;

use super::changes::ChangesKind;
use super::error::DbError;
use super::intake::Intake;
use super::live::Installed;
use super::lock;
use super::pending::Pending;
use super::shared::Shared;
use super::status::Status;
use crate::engine::{Engine, QueryId, WorkersError, read};
use crate::query::Query;
use crate::system;
use crate::view::{ChangeSet, Effect, View};

/// Something to be done on the engine's thread.
pub(super) type Command = Box<dyn FnOnce(&mut Core) + Send>;

/// A command that gives an answer, also if it panics: then the database has failed by the time of the
/// answer.
pub(super) fn command<R>(
    f: impl FnOnce(&mut Core) -> R + Send + 'static,
    answer: impl FnOnce(Result<R, DbError>) + Send + 'static,
) -> Command {
    Box::new(move |core| {
        let result = caught("the engine", || f(core));
        if let Err(error) = &result {
            core.fail(error.clone());
        }
        answer(result);
    })
}

/// What an effect does: it is told the step, what kind of change set it is, and the change set.
pub(super) type EffectFunction = Box<dyn FnMut(u64, ChangesKind, &Arc<ChangeSet>) + Send>;

/// What is told when an effect panicked.
pub(super) type EffectFailed = Box<dyn FnOnce(DbError) + Send>;

struct RunningEffect {
    function: EffectFunction,
    failed: EffectFailed,
    /// Whether it is told of changes, as the database is ready.
    begun: bool,
    /// Until then, what it will be told first.
    initial: Option<ChangeSet>,
}

/// What the engine's thread owns. Closures that run on it are given it.
pub(crate) struct Core {
    pub(super) engine: Engine,
    pub(super) shared: Arc<Shared>,
    pub(super) intake: Intake,
    pub(super) pending: Pending,
    effects: HashMap<QueryId, RunningEffect>,
    /// How often `now()` in queries is set.
    clock_tick: Duration,
    next_tick: Instant,
    /// When the events of the next step came in, if it is one of events.
    pub(super) arrived: Option<SystemTime>,
    /// How many look at what the steps of queries do.
    watched: usize,
    stopped: bool,
}

impl Core {
    pub(super) fn new(
        engine: Engine,
        shared: Arc<Shared>,
        intake: Intake,
        clock_tick: Duration,
    ) -> Core {
        Core {
            engine,
            shared,
            intake,
            pending: Pending::default(),
            effects: HashMap::new(),
            clock_tick,
            next_tick: system::now(),
            arrived: None,
            watched: 0,
            stopped: false,
        }
    }

    /// Does what comes, until it is told to stop or nobody is left to tell it anything.
    pub(super) fn run(&mut self, commands: &Receiver<Command>) {
        while !self.stopped {
            let command = match self.engine.has_clock() {
                true => {
                    commands.recv_timeout(self.next_tick.saturating_duration_since(system::now()))
                }
                false => commands.recv().map_err(RecvTimeoutError::from),
            };
            self.turn(command);
        }
        self.abandon_transactions();
    }

    /// Does one thing, or none when it is time for what is done by the clock.
    pub(super) fn turn(&mut self, command: Result<Command, RecvTimeoutError>) {
        let done = caught("the engine", || {
            match command {
                Ok(command) => command(self),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.stop(),
            }
            if system::now() >= self.next_tick {
                self.tick_if_needed();
            }
        });
        if let Err(error) = done {
            self.fail(error);
        }
    }

    #[cfg(all(test, feature = "serve"))]
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether it is time for what is done by the clock.
    #[cfg(all(test, feature = "serve"))]
    pub(super) fn is_due(&self) -> bool {
        self.engine.has_clock() && system::now() >= self.next_tick
    }

    /// Takes the time of the steps of queries as long as somebody looks at it.
    pub(super) fn watch_steps(&mut self, begins: bool) {
        self.watched = match begins {
            true => self.watched + 1,
            false => self.watched.saturating_sub(1),
        };
        self.engine.set_timing(self.watched > 0);
    }

    /// Ends the thread after a panic: the engine may be half way through something.
    fn fail(&mut self, error: DbError) {
        self.shared.set_status(Status::Error(error));
        self.stopped = true;
    }

    /// Ends the thread.
    pub(super) fn stop(&mut self) {
        self.end_transactions();
        self.stopped = true;
    }

    /// Makes a step of the engine, and tells all consumers what it changed.
    pub(crate) fn step(&mut self, step: impl FnOnce(&mut Engine) -> BTreeMap<QueryId, ChangeSet>) {
        let changed = step(&mut self.engine);
        self.publish(changed);
    }

    /// Tells all consumers what a step changed.
    pub(super) fn publish(&mut self, mut changed: BTreeMap<QueryId, ChangeSet>) {
        changed.retain(|_, changes| !changes.is_empty());
        let epoch = self.epoch();
        let arrived = self.arrived.take().unwrap_or_else(system::time);
        let mut told = Vec::new();
        // Effects come last: code of the application finds all subscriptions told.
        let mut of_effects = Vec::new();
        for (id, changes) in changed {
            let hub = lock(&self.shared.hubs).get(&id).cloned();
            match hub {
                Some(hub) => {
                    hub.publish(epoch, arrived, &Arc::new(changes));
                    told.push(hub);
                }
                None => of_effects.push((id, changes)),
            }
        }
        self.shared.told.store(epoch, Ordering::Release);
        #[cfg(feature = "server")]
        tracing::debug!(epoch, results = told.len(), "a step");
        told.iter().for_each(|hub| hub.show());
        for (id, failure) in self.engine.take_failures() {
            self.failed(id, failure.into());
        }
        if let Some(lost) = self.engine.lost() {
            self.fail(WorkersError::from(lost).into());
        }
        for (id, changes) in of_effects {
            match self.effects.get_mut(&id) {
                Some(effect) if !effect.begun => {
                    let initial = effect.initial.take();
                    effect.initial = Some(match initial {
                        Some(initial) => initial.then(&changes),
                        None => changes,
                    });
                }
                _ => self.call(id, ChangesKind::Delta, changes),
            }
        }
    }

    /// Tells the readers of a query, or its effect, that it was dropped.
    fn failed(&mut self, id: QueryId, error: DbError) {
        if let Some(hub) = lock(&self.shared.hubs).remove(&id) {
            hub.fail(error);
        } else if let Some(effect) = self.effects.remove(&id) {
            (effect.failed)(error);
        }
    }

    /// Tells effects that have not begun what there is.
    pub(super) fn begin_effects(&mut self) {
        let mut initial = BTreeMap::new();
        for (id, effect) in &mut self.effects {
            effect.begun = true;
            initial.extend(effect.initial.take().map(|changes| (*id, changes)));
        }
        for (id, changes) in initial {
            self.call(id, ChangesKind::Initial, changes);
        }
    }

    /// The last step.
    pub(super) fn epoch(&self) -> u64 {
        *read(self.engine.epoch())
    }

    fn call(&mut self, id: QueryId, kind: ChangesKind, changes: ChangeSet) {
        let Some(mut effect) = self.effects.remove(&id) else {
            return;
        };
        let epoch = self.epoch();
        let changes = Arc::new(changes);
        match caught("an effect", || (effect.function)(epoch, kind, &changes)) {
            Ok(()) => drop(self.effects.insert(id, effect)),
            Err(error) => {
                self.engine.uninstall(id);
                (effect.failed)(error);
            }
        }
    }

    /// Sets the time that `now()` stands for.
    fn tick(&mut self) {
        let now = system::time().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_millis() as i64);
        self.step(|engine| engine.set_clock(now));
        #[cfg(all(test, feature = "serve"))]
        super::simulated::ticked(self);
        self.next_tick = system::now() + self.clock_tick;
    }

    /// As [`Core::tick`], if a query depends on it.
    pub(super) fn tick_if_needed(&mut self) {
        if self.engine.has_clock() {
            self.tick();
        }
    }

    /// Starts a query.
    pub(super) fn install(&mut self, query: Query) -> Result<Installed, DbError> {
        self.tick();
        let id = self.engine.install(&query)?;
        let view = self.engine.shared_view(id).expect("it is installed");
        let installed = Installed::new(id, query, view);
        lock(&self.shared.hubs).insert(id, installed.hub.clone());
        Ok(installed)
    }

    /// Starts an effect. It is told of the rows that are there, at once or when the database is ready.
    pub(super) fn install_effect(
        &mut self,
        query: &Query,
        function: EffectFunction,
        failed: EffectFailed,
    ) -> Result<QueryId, DbError> {
        self.tick();
        let initial = Rc::new(RefCell::new(None));
        let slot = Rc::downgrade(&initial);
        let id = self.engine.effect(
            query,
            Effect::new().on_batch(move |changes| {
                if let Some(slot) = slot.upgrade() {
                    *slot.borrow_mut() = Some(changes.clone());
                }
            }),
        )?;
        let effect = RunningEffect {
            function,
            failed,
            begun: false,
            initial: initial.take(),
        };
        self.effects.insert(id, effect);
        if self.shared.was_ready() {
            self.begin_effects();
        }
        Ok(id)
    }

    /// The result of a query as it is now.
    pub(super) fn query_once(&mut self, query: &Query) -> Result<View, DbError> {
        if !self.shared.was_ready() {
            return Err(DbError::NotReady);
        }
        self.tick();
        Ok(self.engine.query_once(query)?)
    }

    /// Stops a query or an effect.
    pub(super) fn uninstall(&mut self, id: QueryId) {
        self.engine.uninstall(id);
        self.effects.remove(&id);
        lock(&self.shared.hubs).remove(&id);
    }
}

/// Runs code that may panic, which then becomes an error.
pub(super) fn caught<R>(what: &str, f: impl FnOnce() -> R) -> Result<R, DbError> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| DbError::Panicked {
        what: SmolStr::from(what),
        message: message(&*panic),
    })
}

/// What a panic said.
pub(super) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it did not say why".into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::db::{DbError, Status, StreamDb};
    use crate::query::Query;

    const HANG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_panic_on_the_thread_is_an_error_everywhere_and_no_hang() {
        let db = StreamDb::builder("http://127.0.0.1:1/").open().unwrap();
        let all = r#"{"from":{"type":"collectionRef","collection":"t","alias":"t"}}"#;
        let live = db.live(Query::from_json(all).unwrap()).unwrap();
        let mut changes = live.subscribe();
        let failed = |result: Result<(), DbError>| {
            let text = result.unwrap_err().to_string();
            assert_eq!(text, "the engine panicked: it broke");
        };
        let (seen, ()) = tokio::join!(db.await_txid("x", HANG), async {
            failed(db.inner.ask(|_| panic!("it broke")));
        });
        failed(seen);
        failed(db.preload().await);
        failed(db.live(Query::from_json(all).unwrap()).map(drop));
        assert!(matches!(live.status(), Status::Error(_)));
        assert!(changes.next_timeout(HANG).is_none());
        assert!(live.is_empty());
    }
}
