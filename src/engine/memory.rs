//! What the collections and queries take in memory, and what happens when it is too much.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

use super::{Engine, Installed, Materialized, QueryId, WindowError, read};
use crate::dataflow::{Dataflow, Stopped};
use crate::plan::Expr;
use crate::schema::CollectionDef;
use crate::store::{Arrangement, CollectionSize};

/// What an engine takes in memory, by collection and by query.
///
/// The figures are counted where the memory is taken: the room of tables and lists as it is, the
/// bytes of rows and keys as they were asked for. A row's bytes count once: in its collection, or in
/// the operator of a query that made it. What recursive queries keep is estimated from the number of
/// their records, ordered maps (`min`, `max`, `countDistinct`, conditions on the clock) from that of
/// their entries. Not counted are the plans and the frame of a query (some ten kilobytes), and what
/// the allocator needs for itself.
///
/// ```
/// use tailwater::engine::Engine;
/// use tailwater::query::Query;
///
/// let mut engine = Engine::new();
/// let all = engine.install(&Query::from_json(
///     r#"{"from":{"type":"collectionRef","collection":"user","alias":"u"}}"#,
/// )?)?;
/// let ada = r#"{"type":"user","key":"1","value":{"name":"Ada"},"headers":{"operation":"insert"}}"#;
/// engine.apply(engine.decode([ada])?);
///
/// let report = engine.memory();
/// assert_eq!((report.collections[0].name.as_str(), report.collections[0].rows), ("user", 1));
/// let query = report.queries.iter().find(|query| query.id == all).unwrap();
/// assert_eq!(query.rows, 1);
/// assert!(report.total > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemoryReport {
    /// The collections that had rows at some time.
    pub collections: Vec<CollectionMemory>,
    /// The bytes of snapshots (`snapshot-start`) that have not ended, whose rows are not visible.
    pub snapshots: usize,
    /// The queries, effects included.
    pub queries: Vec<QueryMemory>,
    /// The bytes of buffers that are kept to be used again.
    pub buffers: usize,
    /// The sum of all bytes.
    pub total: usize,
}

/// What a collection takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CollectionMemory {
    /// Its name.
    pub name: String,
    /// The number of rows.
    pub rows: usize,
    /// The bytes of the rows, of the table that finds them by key, and of pending changes.
    pub bytes: usize,
    /// What joins find its rows by. They are shared by the queries, and go with the last one.
    pub indexes: Vec<IndexMemory>,
}

/// What an index of a collection takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexMemory {
    /// The expressions that its key is made of.
    pub keys: Vec<String>,
    /// The conditions that its rows meet.
    pub filter: Vec<String>,
    /// The number of rows in it.
    pub rows: usize,
    /// Its bytes, without the rows themselves.
    pub bytes: usize,
}

/// What a query takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueryMemory {
    /// Which query it is.
    pub id: QueryId,
    /// The number of rows in its result; 0 of an effect, which keeps none.
    pub rows: usize,
    /// The bytes of its operators and of its result.
    pub bytes: usize,
    /// The operators, as the plan explains them, in the order of the data; at last the `result`.
    pub operators: Vec<OperatorMemory>,
}

/// What an operator of a query takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OperatorMemory {
    /// What it does, as [`Plan::explain`](crate::plan::Plan::explain) says it.
    pub name: String,
    /// The bytes that it holds.
    pub bytes: usize,
}

impl CollectionMemory {
    /// The bytes of the rows and of the indexes.
    pub fn all_bytes(&self) -> usize {
        self.bytes + self.indexes.iter().map(|index| index.bytes).sum::<usize>()
    }

    /// The bytes for each row, those of the indexes included; 0 without rows.
    pub fn bytes_per_row(&self) -> usize {
        self.all_bytes().checked_div(self.rows).unwrap_or(0)
    }
}

/// What a memory limit is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemoryScope {
    /// Of each query: [`Engine::set_query_memory_limit`].
    Query,
    /// Of everything: [`Engine::set_memory_limit`].
    Engine,
}

/// More memory was needed than there may be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct MemoryExceeded {
    /// What the limit is of.
    pub scope: MemoryScope,
    /// The limit in bytes.
    pub limit: usize,
    /// At least so many bytes were needed.
    pub needed: usize,
    /// Where most was needed: the operator of the query as the plan explains it, `result`, or
    /// `collections`.
    pub at: String,
}

impl fmt::Display for MemoryExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.scope {
            MemoryScope::Query => "of a query ",
            MemoryScope::Engine => "",
        };
        write!(
            f,
            "the memory limit {of}of {} is exceeded: at least {} are needed, most of it by `{}`",
            Bytes(self.limit),
            Bytes(self.needed),
            self.at
        )
    }
}

/// Why a running query was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueryFailure {
    /// It needed more memory than there may be.
    #[error(transparent)]
    Memory(#[from] MemoryExceeded),
}

/// A number of bytes, for people: `512 MiB`.
///
/// ```
/// use tailwater::engine::Bytes;
/// assert_eq!(Bytes(900).to_string(), "900 bytes");
/// assert_eq!(Bytes(512 << 20).to_string(), "512 MiB");
/// assert_eq!(Bytes(1_600_000_000).to_string(), "1.5 GiB");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        let (mut amount, mut unit) = (self.0 as f64, "bytes");
        for larger in UNITS {
            if amount < 1024.0 {
                break;
            }
            (amount, unit) = (amount / 1024.0, larger);
        }
        match (amount * 10.0).round() % 10.0 {
            0.0 => write!(f, "{amount:.0} {unit}"),
            _ => write!(f, "{amount:.1} {unit}"),
        }
    }
}

/// The limits, and what they are compared with.
#[derive(Debug, Default)]
pub(super) struct Memory {
    limit: Option<usize>,
    query_limit: Option<usize>,
    /// What each query held after its last step, and all together; only under a limit.
    held: BTreeMap<QueryId, usize>,
    sum: usize,
    failures: Vec<(QueryId, QueryFailure)>,
}

impl Memory {
    fn set(&mut self, id: QueryId, bytes: usize) {
        self.sum += bytes;
        self.sum -= self.held.insert(id, bytes).unwrap_or(0);
    }

    pub(super) fn forget(&mut self, id: QueryId) {
        self.sum -= self.held.remove(&id).unwrap_or(0);
    }

    /// Remembers why a query that is not there any more was dropped.
    pub(super) fn fail(&mut self, id: QueryId, error: MemoryExceeded) {
        self.forget(id);
        self.failures.push((id, error.into()));
    }

    /// What a query holds, which is noted, and with it what it may take in its next step. It is too
    /// much if there is an error.
    fn measure(&mut self, id: QueryId, installed: &mut Installed) -> Result<(), MemoryExceeded> {
        let beside = installed.result_bytes();
        installed.dataflow.set_limit(self.query_limit, beside);
        let needed = installed.dataflow.bytes() + beside;
        self.set(id, needed);
        match self.query_limit {
            Some(limit) if needed > limit => Err(MemoryExceeded {
                scope: MemoryScope::Query,
                limit,
                needed,
                at: installed.largest(),
            }),
            _ => Ok(()),
        }
    }

    fn is_limited(&self) -> bool {
        self.limit.is_some() || self.query_limit.is_some()
    }

    /// How much more than the limit of everything may be taken for a moment: who is stopped within a
    /// step shall be one that explodes, and not just the one that comes last.
    fn with_slack(&self) -> Option<usize> {
        self.limit.map(|limit| limit.saturating_add(limit / 8))
    }

    fn stopped(&self, stopped: Stopped) -> MemoryExceeded {
        let (scope, limit, allowed) = match stopped.own {
            true => (MemoryScope::Query, self.query_limit, self.query_limit),
            false => (MemoryScope::Engine, self.limit, self.with_slack()),
        };
        MemoryExceeded {
            scope,
            limit: limit.unwrap_or(usize::MAX),
            needed: allowed
                .unwrap_or(usize::MAX)
                .saturating_add(stopped.missing),
            at: stopped.operator,
        }
    }
}

impl Installed {
    fn rows(&self) -> usize {
        match &self.result {
            Materialized::View(view) => read(view).len(),
            Materialized::Nothing(_) => 0,
        }
    }

    fn result_bytes(&self) -> usize {
        match &self.result {
            Materialized::View(view) => read(view).bytes(),
            Materialized::Nothing(_) => 0,
        }
    }

    fn operators(&self) -> Vec<OperatorMemory> {
        let operators = self.dataflow.operators().into_iter();
        let result = ("result".to_owned(), self.result_bytes());
        let named = |(name, bytes)| OperatorMemory { name, bytes };
        operators.chain([result]).map(named).collect()
    }

    /// Where most of its bytes are.
    fn largest(&self) -> String {
        let largest = self.operators().into_iter().max_by_key(|o| o.bytes);
        largest.map(|operator| operator.name).unwrap_or_default()
    }
}

impl Engine {
    /// What everything takes in memory. It costs what there are collections, indexes, and operators
    /// of queries, however many rows they have.
    pub fn memory(&self) -> MemoryReport {
        let known = self.catalog().collections();
        let collections = self.store.sizes().map(|size| collection(&known, &size));
        let collections: Vec<_> = collections.collect();
        let query = |(id, installed): (&QueryId, &Installed)| {
            let operators = installed.operators();
            QueryMemory {
                id: *id,
                rows: installed.rows(),
                bytes: operators.iter().map(|operator| operator.bytes).sum(),
                operators,
            }
        };
        let queries: Vec<_> = self.queries.iter().map(query).collect();
        let (snapshots, buffers) = (self.store.snapshot_bytes(), self.runtime.bytes());
        let of_collections = collections.iter().map(CollectionMemory::all_bytes);
        let of_queries = queries.iter().map(|query| query.bytes);
        MemoryReport {
            total: of_collections.chain(of_queries).sum::<usize>() + snapshots + buffers,
            collections,
            snapshots,
            queries,
            buffers,
        }
    }

    /// Sets how many bytes everything may take, as [`Engine::memory`] counts them; `None`, as at the
    /// start, without a limit.
    ///
    /// - A query that does not fit is not installed: [`InstallError::Memory`](super::InstallError).
    /// - When more is needed, the query that holds most is dropped, of equals the newest, and so on
    ///   until the rest fits; [`Engine::take_failures`] tells. One that explodes within a step, like
    ///   a join of everything with everything, is stopped in the middle of it when an eighth more
    ///   than the limit is taken; nobody sees half of the step.
    /// - Rows of collections are never refused, as they would be lost. If they alone exceed the limit
    ///   no query is left, and [`Engine::over_limit`] tells.
    ///
    /// What changes on their way through a query take counts as long as a step runs.
    ///
    /// ```
    /// use tailwater::engine::{Engine, InstallError};
    /// use tailwater::query::Query;
    ///
    /// let mut engine = Engine::new();
    /// let rows: Vec<String> = (0..1000).map(|i| format!(
    ///     r#"{{"type":"n","key":"{i}","value":{{}},"headers":{{"operation":"insert"}}}}"#
    /// )).collect();
    /// engine.apply(engine.decode(rows.iter().map(String::as_str))?);
    /// engine.set_memory_limit(Some(8 << 20));
    /// let pairs = Query::from_json(
    ///     r#"{"from":{"type":"collectionRef","collection":"n","alias":"a"},
    ///         "join":[{"type":"cross","from":{"type":"collectionRef","collection":"n","alias":"b"}}]}"#,
    /// )?;
    /// let error = engine.install(&pairs).unwrap_err();
    /// assert!(matches!(error, InstallError::Memory(_)));
    /// assert!(error.to_string().starts_with("the memory limit of 8 MiB is exceeded"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_memory_limit(&mut self, bytes: Option<usize>) {
        self.memory.limit = bytes;
        self.limits_changed();
    }

    /// Sets how many bytes each query may take alone: its operators, its result, and what is on its
    /// way through them. Otherwise as [`Engine::set_memory_limit`]; indexes of collections, which
    /// queries share, do not count. One that takes more is dropped.
    pub fn set_query_memory_limit(&mut self, bytes: Option<usize>) {
        self.memory.query_limit = bytes;
        self.limits_changed();
    }

    /// The queries that were dropped since this was asked last, and why.
    pub fn take_failures(&mut self) -> Vec<(QueryId, QueryFailure)> {
        std::mem::take(&mut self.memory.failures)
    }

    /// Whether the limit of everything is exceeded though no query is left that could be dropped, and
    /// by how much.
    pub fn over_limit(&self) -> Option<MemoryExceeded> {
        let (limit, needed) = (self.memory.limit?, self.held());
        (needed > limit).then(|| exceeded(limit, needed, "collections".into()))
    }

    /// What everything takes, queries as they were after their last step.
    fn held(&self) -> usize {
        self.store.bytes() + self.runtime.bytes() + self.memory.sum
    }

    fn limits_changed(&mut self) {
        if !self.memory.is_limited() {
            (self.memory.held, self.memory.sum) = Default::default();
        }
        self.runtime.set_limit(None, 0);
        for installed in self.queries.values_mut() {
            installed.dataflow.set_limit(None, 0);
        }
        let all: Vec<QueryId> = self.queries.keys().copied().collect();
        self.account(all);
    }

    /// Sets what a dataflow that is new may take.
    pub(super) fn allow(&mut self, dataflow: &mut Dataflow) {
        dataflow.set_limit(self.memory.query_limit, 0);
        if self.memory.limit.is_some() {
            self.runtime
                .set_limit(self.memory.with_slack(), self.held());
        }
    }

    /// A dataflow after its first step; stopped if that took too much.
    pub(super) fn unless_stopped(
        &mut self,
        id: QueryId,
        dataflow: Dataflow,
    ) -> Result<Dataflow, MemoryExceeded> {
        match dataflow.stopped() {
            None => Ok(dataflow),
            Some(stopped) => {
                self.stop(id, dataflow);
                Err(self.memory.stopped(stopped))
            }
        }
    }

    /// Takes a query in that has made its first step, if it fits.
    pub(super) fn admit(
        &mut self,
        id: QueryId,
        mut installed: Installed,
    ) -> Result<QueryId, MemoryExceeded> {
        installed.dataflow.shrink();
        if self.memory.is_limited() {
            let mut fits = self.memory.measure(id, &mut installed);
            let needed = self.held();
            if let Some(limit) = self.memory.limit.filter(|limit| needed > *limit) {
                fits = fits.and(Err(exceeded(limit, needed, installed.largest())));
            }
            if let Err(error) = fits {
                self.memory.forget(id);
                self.stop(id, installed.dataflow);
                return Err(error);
            }
        }
        self.queries.insert(id, installed);
        Ok(id)
    }

    /// Before a step: drops what does not fit beside the collections as they are now, and says
    /// whether there was any.
    pub(super) fn make_room(&mut self) -> bool {
        let Some(limit) = self.memory.limit else {
            return false;
        };
        let mut dropped = false;
        let mut held = self.held();
        while held > limit {
            let biggest = self
                .memory
                .held
                .iter()
                .max_by_key(|(id, bytes)| (**bytes, **id));
            let Some((&id, _)) = biggest else {
                break;
            };
            let at = self.queries.get(&id).map(Installed::largest);
            let error = exceeded(limit, held, at.unwrap_or_default());
            self.drop_query(id, error);
            dropped = true;
            held = self.held();
        }
        self.runtime.set_limit(self.memory.with_slack(), held);
        dropped
    }

    fn drop_query(&mut self, id: QueryId, error: MemoryExceeded) {
        if let Some(installed) = self.queries.remove(&id) {
            self.stop(id, installed.dataflow);
        }
        self.memory.fail(id, error);
    }

    /// After a step of some queries: drops those that took too much, and says whether there were any.
    pub(super) fn account(&mut self, touched: impl IntoIterator<Item = QueryId>) -> bool {
        let mut dropped = false;
        for id in touched {
            let Some(installed) = self.queries.get_mut(&id) else {
                continue;
            };
            installed.dataflow.shrink();
            if !self.memory.is_limited() {
                continue;
            }
            let fits = match installed.dataflow.stopped() {
                Some(stopped) => Err(self.memory.stopped(stopped)),
                None => self.memory.measure(id, installed),
            };
            if let Err(error) = fits {
                self.drop_query(id, error);
                dropped = true;
            }
        }
        self.make_room() || dropped
    }

    /// Why a query was dropped just now.
    pub(super) fn failure(&self, id: QueryId) -> WindowError {
        let mut failures = self.memory.failures.iter().rev();
        match failures.find(|(failed, _)| *failed == id) {
            Some((_, QueryFailure::Memory(error))) => error.clone().into(),
            None => WindowError::UnknownQuery,
        }
    }
}

fn exceeded(limit: usize, needed: usize, at: String) -> MemoryExceeded {
    MemoryExceeded {
        scope: MemoryScope::Engine,
        limit,
        needed,
        at,
    }
}

fn collection(known: &[Arc<CollectionDef>], size: &CollectionSize<'_>) -> CollectionMemory {
    let name = known.get(size.id).map(|collection| collection.name());
    let texts = |exprs: &[Expr]| exprs.iter().map(ToString::to_string).collect();
    let live = size.arrangements.iter().filter_map(Weak::upgrade);
    let index = |arrangement: Rc<RefCell<Arrangement>>| {
        let arrangement = arrangement.borrow();
        IndexMemory {
            keys: texts(arrangement.keys()),
            filter: texts(arrangement.filter()),
            rows: arrangement.len(),
            bytes: arrangement.bytes(),
        }
    };
    CollectionMemory {
        name: name.map(ToString::to_string).unwrap_or_default(),
        rows: size.rows,
        bytes: size.bytes,
        indexes: live.map(index).collect(),
    }
}
