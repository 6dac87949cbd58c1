//! A query that is served: what readers follow of it, and how it is described.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::log::{Phase, ResultLog, lock};
use super::source::State;
use super::sources::SourceUse;
use crate::db::{DbError, LiveQuery};
use crate::engine::MemoryReport;
use crate::query::QueryFile;
use crate::value::Value;

/// Where a query comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    File,
    Http,
    /// It is tried out: nobody but those who try it knows of it.
    Trial,
}

/// The result of a query that was started, or why it was not.
pub(super) type StartedLog = Result<Arc<ResultLog>, DbError>;

/// A query that is served.
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    pub(crate) file: QueryFile,
    pub(crate) origin: Origin,
    pub(crate) source: SourceUse,
    /// What the query returns, once the source was read up to date.
    pub(super) log: watch::Sender<Option<Arc<ResultLog>>>,
    /// Why the file as it is now is not what is served.
    pub(super) file_error: Mutex<Option<String>>,
    /// Why it does not run.
    pub(super) error: Mutex<Option<String>>,
    /// When somebody read it last, if it is tried out.
    pub(super) used: Mutex<Instant>,
}

impl Entry {
    pub(crate) fn log(&self) -> Option<Arc<ResultLog>> {
        self.log.borrow().clone()
    }

    /// Ends what readers follow now.
    pub(super) fn set(&self, log: Option<Arc<ResultLog>>, phase: Phase) {
        if let Some(old) = self.log.send_replace(log) {
            old.end(phase);
        }
    }

    /// Takes the place of what readers follow now, whether it runs or not.
    pub(super) fn follow(&self, log: StartedLog) {
        let (log, error) = match log {
            Ok(log) => (Some(log), None),
            Err(error) => (None, Some(error.to_string())),
        };
        *lock(&self.error) = error;
        self.set(log, Phase::Replaced);
    }

    /// Why it does not run, if it does not.
    pub(super) fn failure(&self) -> Option<String> {
        let log = self.log();
        let failed = log.as_ref().and_then(|log| log.failed());
        let failed = failed.map(ToString::to_string);
        failed.or_else(|| lock(&self.error).clone())
    }

    /// How far it is.
    pub(crate) fn state(&self) -> State {
        let log = self.log();
        let mut status = self.source.state();
        if log.is_none() && status.state == "live" {
            status.state = "loading";
        }
        if let Some(error) = self.failure() {
            status.state = "error";
            status.error = Some(error);
        }
        status
    }

    /// Whether it does not run, or not as its file says.
    pub(crate) fn is_wrong(&self) -> bool {
        lock(&self.file_error).is_some() || self.state().state == "error"
    }

    /// What `GET /v1/query` says of it.
    pub(crate) fn describe(&self, memory: &Memory) -> Description<'_> {
        let log = self.log();
        let live = log.as_ref().and_then(|log| log.live());
        let status = self.state();
        let plan = live.as_ref().map(|live| live.plan());
        let query = self.file.query.to_json().ok();
        Description {
            name: &self.name,
            source: &self.source.name,
            status,
            rows: live.as_ref().map(|live| live.len()),
            bytes: live
                .as_ref()
                .and_then(|live| memory.query(&self.source.name, live)),
            changes: log.as_ref().map_or(0, |log| log.changes()),
            last_change: log.as_ref().and_then(|log| log.changed()),
            readers: log.as_ref().map_or(0, |log| log.followers()),
            ordered: plan.as_ref().is_some_and(|plan| plan.ordered),
            columns: plan.map_or(Vec::new(), |plan| plan.fields()),
            origin: self.origin,
            file_error: lock(&self.file_error).clone(),
            skipped: self.source.dead_letters().total,
            view: self.file.view.as_ref(),
            query: query.and_then(|text| RawValue::from_string(text).ok()),
        }
    }
}

/// What each source takes in memory.
pub(crate) struct Memory(pub(crate) BTreeMap<String, MemoryReport>);

impl Memory {
    /// The bytes of a query of a source.
    pub(crate) fn query(&self, source: &str, live: &LiveQuery<Value>) -> Option<usize> {
        let queries = &self.0.get(source)?.queries;
        let query = queries.iter().find(|query| query.id == live.id());
        query.map(|query| query.bytes)
    }
}

/// A query as people and pages want to know it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Description<'a> {
    name: &'a str,
    source: &'a str,
    pub(crate) status: State,
    pub(crate) rows: Option<usize>,
    /// What it takes in memory, without what its collections take.
    bytes: Option<usize>,
    pub(crate) changes: u64,
    last_change: Option<u64>,
    pub(crate) readers: usize,
    ordered: bool,
    columns: Vec<String>,
    origin: Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_error: Option<String>,
    /// Messages of the source that were wrong.
    skipped: u64,
    view: Option<&'a serde_json::Value>,
    query: Option<Box<RawValue>>,
}
