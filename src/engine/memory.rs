//! Limits of memory, and what happens when more is needed.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::flows::FlowId;
use super::report::Bytes;
use super::{Engine, Materialized, QueryId, WindowError, read};
use crate::dataflow::Stopped;

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

/// The limits, and what they are compared with.
#[derive(Debug, Default)]
pub(super) struct Memory {
    limit: Option<usize>,
    query_limit: Option<usize>,
    /// What each flow held after its last step, with its result, and all together; only under a limit.
    held: BTreeMap<FlowId, usize>,
    sum: usize,
    failures: Vec<(QueryId, QueryFailure)>,
}

impl Memory {
    pub(super) fn query_limit(&self) -> Option<usize> {
        self.query_limit
    }

    fn set(&mut self, flow: FlowId, bytes: usize) {
        self.sum += bytes;
        self.sum -= self.held.insert(flow, bytes).unwrap_or(0);
    }

    /// Remembers why a query that is not there any more was dropped.
    pub(super) fn fail(&mut self, id: QueryId, error: MemoryExceeded) {
        self.failures.push((id, error.into()));
    }

    /// Whether a query may take so much, and everything so much.
    fn fits(
        &self,
        own: usize,
        all: usize,
        at: impl FnOnce() -> String,
    ) -> Result<(), MemoryExceeded> {
        let query = (MemoryScope::Query, self.query_limit, own);
        let engine = (MemoryScope::Engine, self.limit, all);
        let too_much =
            |&(_, limit, needed): &(_, Option<usize>, _)| limit.is_some_and(|l| needed > l);
        match [query, engine].into_iter().find(too_much) {
            Some((scope, Some(limit), needed)) => Err(MemoryExceeded {
                scope,
                limit,
                needed,
                at: at(),
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

    pub(super) fn stopped(&self, stopped: Stopped) -> MemoryExceeded {
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

fn largest(operators: impl IntoIterator<Item = (String, usize)>) -> String {
    let largest = operators.into_iter().max_by_key(|(_, bytes)| *bytes);
    largest.map(|(name, _)| name).unwrap_or_default()
}

impl Engine {
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
        self.store.bytes() + self.flows.runtime().bytes() + self.memory.sum
    }

    fn limits_changed(&mut self) {
        if !self.memory.is_limited() {
            (self.memory.held, self.memory.sum) = Default::default();
        }
        self.flows.set_limit(None, 0);
        let all: Vec<FlowId> = self.flows.ids().collect();
        for flow in &all {
            self.flows.dataflow(*flow).set_limit(None, 0);
        }
        self.account(all);
    }

    /// The bytes of the result that is kept of a flow.
    pub(super) fn result_bytes(&self, flow: FlowId) -> usize {
        match self.results.get(&flow) {
            Some(Materialized::View(view, _)) => read(view).bytes(),
            _ => 0,
        }
    }

    /// Where most of a flow's bytes are.
    fn largest(&self, flow: FlowId) -> String {
        let operators = self.operators_and_result(flow).into_iter();
        largest(operators.map(|operator| (operator.name, operator.bytes)))
    }

    /// What a flow holds, which is noted, and with it what it may take in its next step.
    fn measure(&mut self, flow: FlowId) -> usize {
        let (beside, limit) = (self.result_bytes(flow), self.memory.query_limit);
        let dataflow = self.flows.dataflow(flow);
        dataflow.set_limit(limit, beside);
        let bytes = dataflow.bytes() + beside;
        self.memory.set(flow, bytes);
        bytes
    }

    /// Sets what may be taken while something is started.
    pub(super) fn allow(&mut self) {
        if self.memory.limit.is_some() {
            self.flows.set_limit(self.memory.with_slack(), self.held());
        }
    }

    /// Lets a query stay that has made its first step, if it fits.
    pub(super) fn admit(&mut self, id: QueryId, flow: FlowId) -> Result<FlowId, MemoryExceeded> {
        self.flows.dataflow(flow).shrink();
        if self.memory.is_limited() {
            // Parts that it has in common with others may be new.
            for common in self.flows.commons() {
                self.measure(common);
            }
            let own = self.measure(flow);
            let fits = self.memory.fits(own, self.held(), || self.largest(flow));
            if let Err(error) = fits {
                self.queries.remove(&id);
                self.drop_result(flow);
                return Err(error);
            }
        }
        Ok(flow)
    }

    /// Forgets what flows held that do not run any more.
    pub(super) fn forget_stopped(&mut self) {
        let Memory { held, sum, .. } = &mut self.memory;
        held.retain(|flow, bytes| {
            let runs = self.flows.runs(*flow);
            *sum -= if runs { 0 } else { *bytes };
            runs
        });
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
            let biggest = self.memory.held.iter();
            let Some((&flow, _)) = biggest.max_by_key(|(flow, bytes)| (**bytes, **flow)) else {
                break;
            };
            let error = exceeded(limit, held, self.largest(flow));
            self.drop_flow(flow, &error);
            dropped = true;
            held = self.held();
        }
        self.flows.set_limit(self.memory.with_slack(), held);
        dropped
    }

    /// Drops the queries whose result a flow is, or is part of.
    fn drop_flow(&mut self, flow: FlowId, error: &MemoryExceeded) {
        for result in self.flows.results_of(flow) {
            let owners = match self.results.get(&result) {
                Some(Materialized::View(_, owners)) => owners.clone(),
                Some(Materialized::Nothing(_, owner)) => vec![*owner],
                None => Vec::new(),
            };
            for owner in owners {
                self.queries.remove(&owner);
                self.memory.fail(owner, error.clone());
            }
            self.drop_result(result);
        }
    }

    /// After a step: drops the queries that were stopped in it, and says whether there were any.
    pub(super) fn drop_stopped(&mut self, touched: &[FlowId]) -> bool {
        // Without a limit nothing is stopped, and a step asks nobody.
        if !self.memory.is_limited() {
            return false;
        }
        let mut dropped = false;
        for flow in touched.iter().copied().chain(self.flows.commons()) {
            if !self.flows.runs(flow) {
                continue;
            }
            if let Some(stopped) = self.flows.dataflow(flow).stopped() {
                let error = self.memory.stopped(stopped);
                self.drop_flow(flow, &error);
                dropped = true;
            }
        }
        dropped
    }

    /// After a step of some flows: drops those that took too much, and says whether there were any.
    pub(super) fn account(&mut self, touched: impl IntoIterator<Item = FlowId>) -> bool {
        let touched: Vec<FlowId> = touched.into_iter().collect();
        for flow in &touched {
            self.flows.dataflow(*flow).shrink();
        }
        if !self.memory.is_limited() {
            return false;
        }
        let mut dropped = self.drop_stopped(&touched);
        for flow in touched.into_iter().chain(self.flows.commons()) {
            if !self.flows.runs(flow) {
                continue;
            }
            let own = self.measure(flow);
            let fits = self.memory.fits(own, 0, || self.largest(flow));
            if let Err(error) = fits {
                self.drop_flow(flow, &error);
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
