//! The engine: collections, queries, and batches that move them all in one step.

mod analyze;
mod batch;
mod flows;
mod memory;
mod pending;
mod report;
mod share;
#[cfg(test)]
mod work;

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Serialize;
use thiserror::Error;

pub use crate::dataflow::workers::{Lost, Workers, WorkersError, follow};
use analyze::Timing;
pub use batch::{Batch, BatchReader, Reject};
use memory::Memory;
pub use memory::{MemoryExceeded, MemoryScope, QueryFailure};
pub use report::{Bytes, CollectionMemory, IndexMemory, MemoryReport, OperatorMemory, QueryMemory};

use crate::dataflow::workers::Leader;
use crate::plan::{Node, Plan};
use crate::query::{Query, QueryError};
use crate::schema::Catalog;
use crate::store::{Action, Changes, Store};
use crate::view::{ChangeSet, Effect, View, Watch};
use flows::{FlowId, Flows, Ground};
use share::hash_of;

/// Why a query was not installed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The query does not hold.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It cannot run on workers of other processes.
    #[error("{0}")]
    Workers(String),
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
    store: Store,
    flows: Flows,
    queries: BTreeMap<QueryId, FlowId>,
    results: BTreeMap<FlowId, Materialized>,
    /// The results that are kept, by the hash of their plan.
    by_plan: HashMap<u64, Vec<FlowId>>,
    next: u64,
    /// Milliseconds since 1970.
    clock: i64,
    /// The number of steps made. It is locked for writing while results are brought up to date.
    epoch: Arc<RwLock<u64>>,
    memory: Memory,
    timing: Timing,
}

/// What is kept of a result, and for which queries.
#[derive(Debug)]
enum Materialized {
    /// Queries with the same plan have the same result.
    View(Arc<RwLock<View>>, Vec<QueryId>),
    Nothing(Watch, QueryId),
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
            store: Store::new(catalog),
            flows: Flows::default(),
            queries: BTreeMap::new(),
            results: BTreeMap::new(),
            by_plan: HashMap::new(),
            next: 0,
            clock: 0,
            epoch: Arc::default(),
            memory: Memory::default(),
            timing: Timing::default(),
        }
    }

    /// An engine over the collections of a catalog, whose queries run on several workers: on this
    /// machine, or on several ones of which this is the first. Steps take longer, as they go to
    /// another thread and back, and much work is done in less time.
    ///
    /// # Errors
    ///
    /// If the processes cannot reach each other, or this one is not the first: see [`follow`].
    pub fn with_workers(catalog: Arc<Catalog>, workers: &Workers) -> Result<Engine, WorkersError> {
        if !workers.is_first() {
            let message = "only process 0 has the sources and the results: `follow` it";
            return Err(WorkersError::Invalid(message.into()));
        }
        let mut engine = Engine::with_catalog(catalog);
        if workers.count() > 1 {
            let leader = Leader::start(engine.catalog(), workers)?;
            engine.flows = Flows::on_workers(leader);
        }
        Ok(engine)
    }

    /// Why results do not change any more: a worker was lost. An engine that is started anew, on the
    /// rows of this one or of the stream, goes on.
    pub fn lost(&self) -> Option<Lost> {
        self.flows.runtime().lost()
    }

    fn plan(&self, query: &Query) -> Result<Plan, InstallError> {
        let plan = Plan::new(query, self.store.catalog())?;
        let checked = self.flows.runtime().check(&plan.root);
        checked.map_err(InstallError::Workers)?;
        Ok(plan)
    }

    /// The collections.
    pub fn catalog(&self) -> &Arc<Catalog> {
        self.store.catalog()
    }

    /// The rows of the collections.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Plans a query and starts it on the rows that are there. What it has in common with queries
    /// that are installed already is computed and kept once for all of them.
    ///
    /// # Errors
    ///
    /// If the query does not hold; the error says where. If it needs more memory than there may be
    /// ([`Engine::set_query_memory_limit`]). Other queries are not concerned.
    pub fn install(&mut self, query: &Query) -> Result<QueryId, InstallError> {
        let plan = self.plan(query)?;
        let id = self.fresh();
        match self.same(&plan) {
            Some((flow, owners)) => {
                owners.push(id);
                self.queries.insert(id, flow);
            }
            None => drop(self.materialize(id, Arc::new(plan))?),
        }
        Ok(id)
    }

    /// The flow of a plan that runs already, and whose it is.
    fn same(&mut self, plan: &Plan) -> Option<(FlowId, &mut Vec<QueryId>)> {
        let flows = self.by_plan.get(&hash_of(plan))?;
        let is_same = |id: &&FlowId| match &self.results[id] {
            Materialized::View(view, _) => **read(view).plan() == *plan,
            Materialized::Nothing(..) => false,
        };
        let flow = *flows.iter().find(is_same)?;
        match self.results.get_mut(&flow) {
            Some(Materialized::View(_, owners)) => Some((flow, owners)),
            _ => None,
        }
    }

    /// Starts a flow for a query and keeps its result, if that fits.
    fn materialize(&mut self, id: QueryId, plan: Arc<Plan>) -> Result<FlowId, MemoryExceeded> {
        let flow = self.start(&plan.root)?;
        let mut view = View::new(plan);
        view.apply(&mut self.flows.dataflow(flow).output());
        self.keep(id, flow, Arc::new(RwLock::new(view)));
        self.admit(id, flow)
    }

    fn keep(&mut self, id: QueryId, flow: FlowId, view: Arc<RwLock<View>>) {
        let hash = hash_of(&**read(&view).plan());
        self.by_plan.entry(hash).or_default().push(flow);
        self.queries.insert(id, flow);
        self.results
            .insert(flow, Materialized::View(view, vec![id]));
    }

    /// Stops keeping a result.
    fn release(&mut self, flow: FlowId) -> Option<Materialized> {
        let result = self.results.remove(&flow)?;
        self.timing.forget(flow);
        if let Materialized::View(view, _) = &result {
            let hash = hash_of(&**read(view).plan());
            if let Some(flows) = self.by_plan.get_mut(&hash) {
                flows.retain(|other| *other != flow);
                if flows.is_empty() {
                    self.by_plan.remove(&hash);
                }
            }
        }
        Some(result)
    }

    fn fresh(&mut self) -> QueryId {
        self.next += 1;
        QueryId(self.next - 1)
    }

    /// Starts a flow on the rows that are there, if it fits.
    fn start(&mut self, root: &Node) -> Result<FlowId, MemoryExceeded> {
        self.allow();
        let mut ground = Ground {
            store: &mut self.store,
            now: self.clock,
            limit: self.memory.query_limit(),
        };
        let started = self.flows.start(root, &mut ground);
        started.map_err(|stopped| {
            self.forget_stopped();
            self.memory.stopped(stopped)
        })
    }

    /// Runs a query for its changes alone, without keeping its result. [`Engine::apply`] and the
    /// like list the changes under its id as they do those of a view, but without positions.
    ///
    /// # Errors
    ///
    /// As [`Engine::install`].
    pub fn effect(&mut self, query: &Query, effect: Effect) -> Result<QueryId, InstallError> {
        let plan = Arc::new(self.plan(query)?);
        let id = self.fresh();
        let flow = self.start(&plan.root)?;
        let watch = Watch::new(plan, effect, &mut self.flows.dataflow(flow).output());
        self.queries.insert(id, flow);
        self.results.insert(flow, Materialized::Nothing(watch, id));
        self.admit(id, flow)?;
        Ok(id)
    }

    /// The result of a query as it is now, once.
    ///
    /// # Errors
    ///
    /// As [`Engine::install`].
    pub fn query_once(&mut self, query: &Query) -> Result<View, InstallError> {
        let plan = Arc::new(self.plan(query)?);
        self.allow();
        let mut ground = Ground {
            store: &mut self.store,
            now: self.clock,
            limit: self.memory.query_limit(),
        };
        let tuples = self.flows.once(&plan.root, &mut ground);
        let mut tuples = tuples.map_err(|stopped| self.memory.stopped(stopped))?;
        let mut view = View::new(plan);
        view.apply(&mut tuples);
        Ok(view)
    }

    /// Moves the window of a result to another offset and limit, and says which rows come into it
    /// and which leave. It costs what the window is long; only for a query without limit and offset
    /// the first move costs what the result is long, and so it does for a query whose result was the
    /// same as that of others until now. Then [`Engine::shared_view`] gives another view than before.
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
        let flow = *self.queries.get(&id).ok_or(WindowError::UnknownQuery)?;
        let flow = self.part_from_others(id, flow)?;
        if self.flows.set_window(flow, offset, limit) {
            if self.flows.dataflow(flow).stopped().is_some() {
                self.account([flow]);
                return Err(self.failure(id));
            }
            let result = self.release(flow).expect("a query has a result");
            let epoch = self.epoch.clone();
            let mut epoch = write(&epoch);
            *epoch += 1;
            match result {
                Materialized::View(view, _) => {
                    write(&view).set_window(offset, limit);
                    self.keep(id, flow, view);
                }
                nothing => drop(self.results.insert(flow, nothing)),
            }
            let changes = self.take_changes(flow);
            drop(epoch);
            self.call(flow, &changes);
            self.account([flow]);
            return match self.queries.contains_key(&id) {
                true => Ok(changes),
                false => Err(self.failure(id)),
            };
        }
        let Some(Materialized::View(view, _)) = self.results.get(&flow) else {
            return Err(WindowError::NoWindow);
        };
        let view = view.clone();
        let mut plan = Plan::clone(read(&view).plan());
        plan.root = Node::Window {
            input: Box::new(plan.root),
            partition: Vec::new(),
            order: plan.order.clone(),
            offset,
            limit,
        };
        self.drop_result(flow);
        let flow = self.start(&plan.root).inspect_err(|error| {
            self.queries.remove(&id);
            self.memory.fail(id, error.clone());
        })?;
        let epoch = self.epoch.clone();
        let mut epoch = write(&epoch);
        *epoch += 1;
        let mut tuples = self.flows.dataflow(flow).output();
        let changes = write(&view).replace(Arc::new(plan), &mut tuples);
        drop((tuples, epoch));
        self.keep(id, flow, view);
        self.admit(id, flow).inspect_err(|error| {
            self.memory.fail(id, error.clone());
        })?;
        Ok(changes)
    }

    /// Gives a query a flow and a result of its own, if it has these in common with others.
    fn part_from_others(&mut self, id: QueryId, flow: FlowId) -> Result<FlowId, MemoryExceeded> {
        let Some(Materialized::View(view, owners)) = self.results.get_mut(&flow) else {
            return Ok(flow);
        };
        if owners.len() == 1 {
            return Ok(flow);
        }
        owners.retain(|owner| *owner != id);
        let plan = read(view).plan().clone();
        self.materialize(id, plan).inspect_err(|error| {
            self.queries.remove(&id);
            self.memory.fail(id, error.clone());
        })
    }

    /// Stops a flow that is a result, and forgets the result.
    fn drop_result(&mut self, flow: FlowId) {
        self.release(flow);
        self.flows.stop(flow, &mut self.store);
        self.forget_stopped();
    }

    /// The time that `now()` stands for, in milliseconds since 1970; 0 at first.
    pub fn clock(&self) -> i64 {
        self.clock
    }

    /// Whether a query depends on the clock, so that time alone may change its result.
    pub fn has_clock(&self) -> bool {
        self.flows.has_clock()
    }

    /// Moves the clock to a time in milliseconds since 1970, as one step for all queries, and says
    /// what that changes in which result. The clock never goes back: an earlier time changes nothing.
    pub fn set_clock(&mut self, now: i64) -> BTreeMap<QueryId, ChangeSet> {
        if now <= self.clock {
            return BTreeMap::new();
        }
        self.clock = now;
        self.make_room();
        let touched = self.flows.set_clock(now);
        self.settle(touched)
    }

    /// Whether a recursion in a query was ended by `maxRounds`, so that rows may be missing.
    pub fn is_cut(&self, id: QueryId) -> bool {
        self.queries
            .get(&id)
            .is_some_and(|flow| self.flows.is_cut(*flow))
    }

    /// Stops a query and frees what it held; false if it is not installed.
    pub fn uninstall(&mut self, id: QueryId) -> bool {
        let Some(flow) = self.queries.remove(&id) else {
            return false;
        };
        if let Some(Materialized::View(_, owners)) = self.results.get_mut(&flow)
            && owners.len() > 1
        {
            owners.retain(|owner| *owner != id);
            return true;
        }
        self.drop_result(flow);
        true
    }

    /// The result of a query; none of an effect.
    pub fn view(&self, id: QueryId) -> Option<impl Deref<Target = View> + '_> {
        match &self.results[self.queries.get(&id)?] {
            Materialized::View(view, _) => Some(read(view)),
            Materialized::Nothing(..) => None,
        }
    }

    /// The result of a query, to be read on other threads while the engine works; none of an
    /// effect. The engine holds the lock for writing only while it brings the result up to date.
    pub fn shared_view(&self, id: QueryId) -> Option<Arc<RwLock<View>>> {
        match &self.results[self.queries.get(&id)?] {
            Materialized::View(view, _) => Some(view.clone()),
            Materialized::Nothing(..) => None,
        }
    }

    /// As [`Engine::shared_view`], but of a result that is kept for this query alone from now on,
    /// even if other queries have the same: so that its window can be moved.
    pub fn own_view(&mut self, id: QueryId) -> Option<Arc<RwLock<View>>> {
        let flow = *self.queries.get(&id)?;
        self.part_from_others(id, flow).ok()?;
        self.shared_view(id)
    }

    /// The number of steps made: of batches, moves of the clock, moves of a window. Whoever holds the
    /// lock for reading sees all shared views as they are after the same step.
    pub fn epoch(&self) -> &Arc<RwLock<u64>> {
        &self.epoch
    }

    /// Makes the next step have the number that follows this one.
    #[cfg(feature = "http")]
    pub(crate) fn go_to(&mut self, epoch: u64) {
        *write(&self.epoch) = epoch;
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
        self.make_room();
        let touched = self.flows.step(changes);
        self.settle(touched)
    }

    /// Brings some results up to date with their flows.
    fn settle(&mut self, mut touched: Vec<FlowId>) -> BTreeMap<QueryId, ChangeSet> {
        // What was stopped shows nothing of the step, nor does what reads it.
        if self.drop_stopped(&touched) {
            touched.retain(|flow| self.results.contains_key(flow));
        }
        let mut changed = Vec::new();
        let epoch = self.epoch.clone();
        let mut epoch = write(&epoch);
        *epoch += 1;
        for flow in &touched {
            let changes = self.take_changes(*flow);
            if !changes.is_empty() {
                changed.push((*flow, changes));
            }
        }
        drop(epoch);
        if self.account(touched) {
            changed.retain(|(flow, _)| self.results.contains_key(flow));
        }
        let mut results = BTreeMap::new();
        for (flow, changes) in changed {
            match &self.results[&flow] {
                Materialized::View(_, owners) => {
                    results.extend(owners.iter().map(|id| (*id, changes.clone())));
                }
                Materialized::Nothing(_, id) => drop(results.insert(*id, changes)),
            }
        }
        // Callbacks see all results as they are after the batch.
        for (id, changes) in &results {
            self.call(self.queries[id], changes);
        }
        results
    }

    /// Brings a result up to date with its flow.
    fn take_changes(&mut self, flow: FlowId) -> ChangeSet {
        let begun = self.timing.begin();
        let mut output = self.flows.dataflow(flow).output();
        let changes = match &self.results[&flow] {
            Materialized::View(view, _) => write(view).apply(&mut output),
            Materialized::Nothing(watch, _) => watch.changes(&mut output),
        };
        self.timing.end(flow, begun);
        changes
    }

    fn call(&mut self, flow: FlowId, changes: &ChangeSet) {
        if let Some(Materialized::Nothing(watch, _)) = self.results.get_mut(&flow) {
            watch.call(changes);
        }
    }

    /// How many parts of queries are computed once for several of them.
    pub fn common_count(&self) -> usize {
        self.flows.common_count()
    }
}

/// Readers leave nothing half changed, so that a lock is as good after a panic as before.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
