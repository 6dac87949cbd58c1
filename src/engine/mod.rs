//! The engine: collections, queries, and batches that move them all in one step.

mod batch;
mod memory;
mod pending;
mod report;
#[cfg(test)]
mod work;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Serialize;
use thiserror::Error;

pub use batch::{Batch, BatchReader, Reject};
use memory::Memory;
pub use memory::{MemoryExceeded, MemoryScope, QueryFailure};
pub use report::{Bytes, CollectionMemory, IndexMemory, MemoryReport, OperatorMemory, QueryMemory};

use crate::dataflow::{Dataflow, Runtime};
use crate::plan::{Node, Plan};
use crate::query::{Query, QueryError};
use crate::schema::Catalog;
use crate::store::{Action, Changes, Store};
use crate::value::{Row, Tuple};
use crate::view::{ChangeSet, Effect, View, Watch};

/// Why a query was not installed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The query does not hold.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It needs more memory than there may be. Nothing of it is left.
    #[error(transparent)]
    Memory(#[from] MemoryExceeded),
}

/// Why a window was not moved.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowError {
    /// The query is not installed.
    #[error("there is no such query")]
    UnknownQuery,
    /// The query is an effect without a limit or an offset, of which no result is kept.
    #[error("the query has no window to be moved (give it a `limit`, or install it as a view)")]
    NoWindow,
    /// The window needs more memory than there may be. The query was dropped.
    #[error(transparent)]
    Memory(#[from] MemoryExceeded),
}

/// Names an installed query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct QueryId(u64);

/// Live queries over keyed collections.
///
/// It works on the caller's thread: [`Engine::apply`] returns when all results are up to date.
///
/// ```
/// use tailwater::engine::Engine;
/// use tailwater::query::Query;
///
/// let mut engine = Engine::new();
/// let adults = engine.install(&Query::from_json(
///     r#"{"from":{"type":"collectionRef","collection":"user","alias":"u"},
///         "where":[{"type":"func","name":"gt","args":[{"type":"ref","path":["u","age"]},{"type":"val","value":17}]}],
///         "select":{"name":{"type":"ref","path":["u","name"]}}}"#,
/// )?)?;
/// let batch = engine.decode([
///     r#"{"type":"user","key":"1","value":{"name":"Ada","age":36},"headers":{"operation":"insert"}}"#,
///     r#"{"type":"user","key":"2","value":{"name":"Bob","age":7},"headers":{"operation":"insert"}}"#,
/// ])?;
/// let changed = engine.apply(batch);
/// assert_eq!(changed[&adults].len(), 1);
/// let names: Vec<String> = engine.view(adults).unwrap().rows().map(|row| row.value().to_string()).collect();
/// assert_eq!(names, [r#"{"name":"Ada"}"#]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    runtime: Runtime,
    store: Store,
    queries: BTreeMap<QueryId, Installed>,
    /// Which feeds read a collection: the query and the feed's place in it.
    readers: Vec<Vec<(QueryId, usize)>>,
    next: u64,
    /// Milliseconds since 1970.
    clock: i64,
    /// The number of steps made. It is locked for writing while results are brought up to date.
    epoch: Arc<RwLock<u64>>,
    memory: Memory,
}

#[derive(Debug)]
struct Installed {
    dataflow: Dataflow,
    result: Materialized,
}

/// What is kept of a result.
#[derive(Debug)]
enum Materialized {
    View(Arc<RwLock<View>>),
    Nothing(Watch),
}

impl Default for Engine {
    fn default() -> Self {
        Engine::with_catalog(Arc::new(Catalog::open()))
    }
}

impl Engine {
    /// An engine without a schema: every event type is a collection.
    pub fn new() -> Engine {
        Engine::default()
    }

    /// An engine over the collections of a catalog.
    pub fn with_catalog(catalog: Arc<Catalog>) -> Engine {
        Engine {
            runtime: Runtime::default(),
            store: Store::new(catalog),
            queries: BTreeMap::new(),
            readers: Vec::new(),
            next: 0,
            clock: 0,
            epoch: Arc::default(),
            memory: Memory::default(),
        }
    }

    /// The collections.
    pub fn catalog(&self) -> &Arc<Catalog> {
        self.store.catalog()
    }

    /// The rows of the collections.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Plans a query and starts it on the rows that are there.
    ///
    /// # Errors
    ///
    /// If the query does not hold; the error says where. If it needs more memory than there may be
    /// ([`Engine::set_query_memory_limit`]). Other queries are not concerned.
    pub fn install(&mut self, query: &Query) -> Result<QueryId, InstallError> {
        let plan = Plan::new(query, self.store.catalog())?;
        let id = self.fresh();
        let mut dataflow = self.start(id, &plan.root)?;
        let mut view = View::new(Arc::new(plan));
        view.apply(&mut dataflow.output());
        let result = Materialized::View(Arc::new(RwLock::new(view)));
        Ok(self.admit(id, Installed { dataflow, result })?)
    }

    fn fresh(&mut self) -> QueryId {
        self.next += 1;
        QueryId(self.next - 1)
    }

    /// Starts a dataflow on the rows that are there, and lets the query read what changes.
    fn start(&mut self, id: QueryId, root: &Node) -> Result<Dataflow, MemoryExceeded> {
        let mut dataflow = self.runtime.install(root, &mut self.store, self.clock);
        self.allow(&mut dataflow);
        for (place, feed) in dataflow.feeds.iter_mut().enumerate() {
            let collection = feed.scan.collection.clone();
            for row in self.store.rows(&collection) {
                let row = Some(row.clone());
                if feed.scan.accepts(&row) {
                    feed.send(Tuple::from_elem(row, 1), 1);
                }
            }
            if self.readers.len() <= collection.id() {
                self.readers.resize_with(collection.id() + 1, Vec::new);
            }
            self.readers[collection.id()].push((id, place));
        }
        self.runtime.begin(&mut dataflow);
        self.runtime.finish(&dataflow);
        self.unless_stopped(id, dataflow)
    }

    /// Stops a dataflow, which nobody reads for any more.
    fn stop(&mut self, id: QueryId, dataflow: Dataflow) {
        self.runtime.drop_dataflow(dataflow);
        self.readers
            .iter_mut()
            .for_each(|readers| readers.retain(|(reader, _)| *reader != id));
    }

    /// Runs a query for its changes alone, without keeping its result. [`Engine::apply`] and the
    /// like list the changes under its id as they do those of a view, but without positions.
    ///
    /// # Errors
    ///
    /// As [`Engine::install`].
    pub fn effect(&mut self, query: &Query, effect: Effect) -> Result<QueryId, InstallError> {
        let plan = Plan::new(query, self.store.catalog())?;
        let id = self.fresh();
        let mut dataflow = self.start(id, &plan.root)?;
        let watch = Watch::new(Arc::new(plan), effect, &mut dataflow.output());
        let result = Materialized::Nothing(watch);
        Ok(self.admit(id, Installed { dataflow, result })?)
    }

    /// The result of a query as it is now, once.
    ///
    /// # Errors
    ///
    /// As [`Engine::install`].
    pub fn query_once(&mut self, query: &Query) -> Result<View, InstallError> {
        let plan = Plan::new(query, self.store.catalog())?;
        let id = self.fresh();
        let mut dataflow = self.start(id, &plan.root)?;
        let mut view = View::new(Arc::new(plan));
        view.apply(&mut dataflow.output());
        self.stop(id, dataflow);
        Ok(view)
    }

    /// Moves the window of a result to another offset and limit, and says which rows come into it
    /// and which leave. It costs what the window is long; only for a query without limit and offset
    /// the first move costs what the result is long.
    ///
    /// # Errors
    ///
    /// If the query is not installed, or is an effect without a window. If the window needs more
    /// memory than there may be; then the query is dropped.
    pub fn set_window(
        &mut self,
        id: QueryId,
        offset: usize,
        limit: Option<usize>,
    ) -> Result<ChangeSet, WindowError> {
        let installed = self.queries.get_mut(&id).ok_or(WindowError::UnknownQuery)?;
        if installed.dataflow.set_window(offset, limit) {
            self.runtime.begin(&mut installed.dataflow);
            self.runtime.finish(&installed.dataflow);
            if installed.dataflow.stopped().is_some() {
                self.account([id]);
                return Err(self.failure(id));
            }
            let mut epoch = write(&self.epoch);
            *epoch += 1;
            if let Materialized::View(view) = &installed.result {
                write(view).set_window(offset, limit);
            }
            let changes = installed.take_changes();
            drop(epoch);
            installed.call(&changes);
            self.account([id]);
            return match self.queries.contains_key(&id) {
                true => Ok(changes),
                false => Err(self.failure(id)),
            };
        }
        let Materialized::View(view) = &installed.result else {
            return Err(WindowError::NoWindow);
        };
        let mut plan = Plan::clone(read(view).plan());
        plan.root = Node::Window {
            input: Box::new(plan.root),
            partition: Vec::new(),
            order: plan.order.clone(),
            offset,
            limit,
        };
        let Installed { dataflow, result } = self.queries.remove(&id).expect("it is installed");
        let Materialized::View(view) = &result else {
            unreachable!("effects are refused")
        };
        self.stop(id, dataflow);
        let mut dataflow = match self.start(id, &plan.root) {
            Ok(dataflow) => dataflow,
            Err(error) => {
                self.memory.fail(id, error.clone());
                return Err(error.into());
            }
        };
        let mut epoch = write(&self.epoch);
        *epoch += 1;
        let changes = write(view).replace(Arc::new(plan), &mut dataflow.output());
        drop(epoch);
        if let Err(error) = self.admit(id, Installed { dataflow, result }) {
            self.memory.fail(id, error.clone());
            return Err(error.into());
        }
        Ok(changes)
    }

    /// The time that `now()` stands for, in milliseconds since 1970; 0 at first.
    pub fn clock(&self) -> i64 {
        self.clock
    }

    /// Whether a query depends on the clock, so that time alone may change its result.
    pub fn has_clock(&self) -> bool {
        self.queries.values().any(|q| q.dataflow.has_clock())
    }

    /// Moves the clock to a time in milliseconds since 1970, as one step for all queries, and says
    /// what that changes in which result. The clock never goes back: an earlier time changes nothing.
    pub fn set_clock(&mut self, now: i64) -> BTreeMap<QueryId, ChangeSet> {
        if now <= self.clock {
            return BTreeMap::new();
        }
        self.clock = now;
        self.make_room();
        let mut touched = Vec::new();
        for (id, installed) in &mut self.queries {
            if self.runtime.set_clock(&mut installed.dataflow, now) {
                touched.push(*id);
            }
        }
        self.settle(touched)
    }

    /// Whether a recursion in a query was ended by `maxRounds`, so that rows may be missing.
    pub fn is_cut(&self, id: QueryId) -> bool {
        self.queries.get(&id).is_some_and(|q| q.dataflow.is_cut())
    }

    /// Stops a query and frees what it held; false if it is not installed.
    pub fn uninstall(&mut self, id: QueryId) -> bool {
        let Some(installed) = self.queries.remove(&id) else {
            return false;
        };
        self.stop(id, installed.dataflow);
        self.memory.forget(id);
        true
    }

    /// The result of a query; none of an effect.
    pub fn view(&self, id: QueryId) -> Option<impl Deref<Target = View> + '_> {
        match &self.queries.get(&id)?.result {
            Materialized::View(view) => Some(read(view)),
            Materialized::Nothing(_) => None,
        }
    }

    /// The result of a query, to be read on other threads while the engine works; none of an
    /// effect. The engine holds the lock for writing only while it brings the result up to date.
    pub fn shared_view(&self, id: QueryId) -> Option<Arc<RwLock<View>>> {
        match &self.queries.get(&id)?.result {
            Materialized::View(view) => Some(view.clone()),
            Materialized::Nothing(_) => None,
        }
    }

    /// The number of steps made: of batches, moves of the clock, moves of a window. Whoever holds the
    /// lock for reading sees all shared views as they are after the same step.
    pub fn epoch(&self) -> &Arc<RwLock<u64>> {
        &self.epoch
    }

    /// The number of installed queries, effects included.
    pub fn query_count(&self) -> usize {
        self.queries.len()
    }

    /// Applies a batch as one step to all collections and all queries, and says what changed in
    /// which result. Results that did not change are not listed.
    pub fn apply(
        &mut self,
        batch: impl IntoIterator<Item = Action>,
    ) -> BTreeMap<QueryId, ChangeSet> {
        let changes = self.store.apply(batch);
        self.step(changes)
    }

    /// Ends the input: a `reset` that nothing followed takes effect.
    pub fn finish(&mut self) -> BTreeMap<QueryId, ChangeSet> {
        let changes = self.store.finish();
        self.step(changes)
    }

    fn step(&mut self, changes: BTreeMap<usize, Changes>) -> BTreeMap<QueryId, ChangeSet> {
        let mut touched = Vec::new();
        for (collection, changes) in changes {
            for (id, place) in self.readers.get(collection).into_iter().flatten() {
                if route(&changes, installed(&mut self.queries, *id), *place) {
                    touched.push(*id);
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
        self.run(touched)
    }

    /// Runs a tick of some queries.
    fn run(&mut self, mut touched: Vec<QueryId>) -> BTreeMap<QueryId, ChangeSet> {
        if self.make_room() {
            touched.retain(|id| self.queries.contains_key(id));
        }
        for id in &touched {
            self.runtime
                .begin(&mut installed(&mut self.queries, *id).dataflow);
        }
        for id in &touched {
            self.runtime
                .finish(&installed(&mut self.queries, *id).dataflow);
        }
        self.settle(touched)
    }

    /// Brings the results of some queries up to date with their dataflows.
    fn settle(&mut self, touched: Vec<QueryId>) -> BTreeMap<QueryId, ChangeSet> {
        let mut results = BTreeMap::new();
        let epoch = self.epoch.clone();
        let mut epoch = write(&epoch);
        *epoch += 1;
        for id in &touched {
            let installed = installed(&mut self.queries, *id);
            if installed.dataflow.stopped().is_some() {
                continue;
            }
            let changes = installed.take_changes();
            if !changes.is_empty() {
                results.insert(*id, changes);
            }
        }
        drop(epoch);
        if self.account(touched) {
            results.retain(|id, _| self.queries.contains_key(id));
        }
        // Callbacks see all results as they are after the batch.
        for (id, changes) in &results {
            installed(&mut self.queries, *id).call(changes);
        }
        results
    }
}

impl Installed {
    /// Brings the result up to date with the dataflow.
    fn take_changes(&mut self) -> ChangeSet {
        let mut output = self.dataflow.output();
        match &mut self.result {
            Materialized::View(view) => write(view).apply(&mut output),
            Materialized::Nothing(watch) => watch.changes(&mut output),
        }
    }

    fn call(&mut self, changes: &ChangeSet) {
        if let Materialized::Nothing(watch) = &mut self.result {
            watch.call(changes);
        }
    }
}

/// Readers leave nothing half changed, so that a lock is as good after a panic as before.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn installed(queries: &mut BTreeMap<QueryId, Installed>, id: QueryId) -> &mut Installed {
    queries.get_mut(&id).expect("readers are installed")
}

/// Sends a query what concerns it; false if nothing does.
fn route(changes: &Changes, installed: &mut Installed, place: usize) -> bool {
    let feed = &mut installed.dataflow.feeds[place];
    let mut sent = false;
    let mut send = |row: &Option<Row>, diff| {
        if row.is_some() && feed.scan.accepts(row) {
            feed.send(Tuple::from_elem(row.clone(), 1), diff);
            sent = true;
        }
    };
    for (old, new) in changes {
        send(old, -1);
        send(new, 1);
    }
    sent
}
