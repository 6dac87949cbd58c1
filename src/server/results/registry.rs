//! The queries that are served, by name, and the sources that they read.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::timeout;

use super::feed::Feed;
use super::log::{Keep, Phase, ResultLog, lock};
use super::source::{Source, State};
use super::store;
use crate::db::{DbError, LiveQuery, StreamDb};
use crate::plan::Plan;
use crate::query::{QueryError, QueryFile};
use crate::schema::Catalog;
use crate::stream::{DurableStream, RetryPolicy, StreamError};
use crate::value::Value;

/// So long the readers of a dropped query are told that it was dropped.
const TOLD: Duration = Duration::from_secs(60);
/// So many queries are served at most.
const MOST: usize = 10_000;
/// Names have so many characters at most.
const NAME: usize = 128;

/// Where a query comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    File,
    Http,
}

/// Why a query was not registered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("`{0}` is no name of a query")]
    Name(String),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("another query has the name `{0}`")]
    Exists(String),
    #[error("`{0}` comes from a file")]
    File(String),
    #[error("there are {MOST} queries, as many as this server takes")]
    TooMany,
    #[error("`{name}` is no source: {error}")]
    Source { name: String, error: StreamError },
    #[error(transparent)]
    Db(DbError),
    #[error("the query cannot be kept: {0}")]
    Store(#[from] std::io::Error),
}

impl From<DbError> for RegisterError {
    fn from(error: DbError) -> RegisterError {
        match error {
            DbError::Query(error) => RegisterError::Query(error),
            other => RegisterError::Db(other),
        }
    }
}

/// Why results cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FindError {
    #[error("there is no query `{0}`")]
    Missing(String),
    #[error("`{0}` and `{1}` do not read the same source")]
    Sources(String, String),
    #[error("the source of `{0}` was not read up to date yet")]
    NotReady(String),
}

/// A query that is served.
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    pub(crate) file: QueryFile,
    pub(crate) origin: Origin,
    pub(crate) source: Arc<Source>,
    /// What the query returns, once the source was read up to date.
    log: watch::Sender<Option<Arc<ResultLog>>>,
    /// Why the file as it is now is not what is served.
    file_error: Mutex<Option<String>>,
    /// Why it does not run.
    error: Mutex<Option<String>>,
}

impl Entry {
    pub(crate) fn log(&self) -> Option<Arc<ResultLog>> {
        self.log.borrow().clone()
    }

    /// Ends what readers follow now.
    fn set(&self, log: Option<Arc<ResultLog>>, phase: Phase) {
        if let Some(old) = self.log.send_replace(log) {
            old.end(phase);
        }
    }

    /// What `GET /v1/query` says of it.
    pub(crate) fn describe(&self) -> Description<'_> {
        let log = self.log();
        let live = log.as_ref().and_then(|log| log.live());
        let mut status = self.source.state();
        if let Some(error) = &*lock(&self.error) {
            status.state = "error";
            status.error = Some(error.clone());
        }
        let plan = live.as_ref().map(|live| live.plan());
        let query = self.file.query.to_json().ok();
        Description {
            name: &self.name,
            source: &self.source.name,
            status,
            rows: live.as_ref().map(|live| live.len()),
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

/// A query as people and pages want to know it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Description<'a> {
    name: &'a str,
    source: &'a str,
    pub(crate) status: State,
    pub(crate) rows: Option<usize>,
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

/// A query file that does not hold, and of which nothing is served.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Broken {
    file: String,
    error: String,
}

/// Where sources are.
pub(crate) struct Places {
    /// What queries read that do not say.
    pub(crate) default: String,
    /// The URL below which the server's own streams are, with a slash at the end.
    pub(crate) own: String,
    /// The token that reads them, if they ask for one.
    pub(crate) own_token: Option<String>,
    /// The token for the source that queries read that do not say.
    pub(crate) upstream_token: Option<String>,
    pub(crate) catalog: Arc<Catalog>,
}

impl Places {
    /// Whether a source is a stream of the server itself.
    pub(crate) fn is_own(name: &str) -> bool {
        !name.contains("://")
    }

    fn stream(&self, name: &str) -> Result<DurableStream, StreamError> {
        let (url, token) = match Places::is_own(name) {
            true => (format!("{}{name}", self.own), &self.own_token),
            // Nobody is given the token by naming a server of theirs.
            false if name == self.default => (name.to_owned(), &self.upstream_token),
            false => (name.to_owned(), &None),
        };
        let mut stream = DurableStream::builder(url).retry(RetryPolicy {
            max_retries: None,
            max_delay: Duration::from_secs(2),
            ..RetryPolicy::default()
        });
        if let Some(token) = token {
            stream = stream.header("authorization", format!("Bearer {token}"));
        }
        stream.build()
    }
}

/// What was the result of a query that was dropped.
struct Dropped {
    since: Instant,
    log: Arc<ResultLog>,
}

/// The queries that are served.
pub(crate) struct Registry {
    pub(crate) places: Places,
    keep: Keep,
    /// Where queries that came over HTTP are kept.
    kept: Option<PathBuf>,
    entries: Mutex<BTreeMap<Arc<str>, Arc<Entry>>>,
    sources: Mutex<BTreeMap<String, Arc<Source>>>,
    /// The results of dropped queries, for their readers.
    dropped: Mutex<BTreeMap<Arc<str>, Dropped>>,
    /// Feeds that somebody reads, by the results in them.
    feeds: Mutex<HashMap<Vec<u64>, Weak<Feed>>>,
    broken: Mutex<BTreeMap<String, String>>,
    dashboard: Mutex<Option<serde_json::Value>>,
    /// Held while a query is registered or dropped.
    changing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    pub(crate) fn new(places: Places, keep: Keep, kept: Option<PathBuf>) -> Arc<Registry> {
        Arc::new(Registry {
            places,
            keep,
            kept,
            entries: Mutex::default(),
            sources: Mutex::default(),
            dropped: Mutex::default(),
            feeds: Mutex::default(),
            broken: Mutex::default(),
            dashboard: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// All queries, by name.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        lock(&self.entries).values().cloned().collect()
    }

    pub(crate) fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        lock(&self.entries).get(name).cloned()
    }

    /// All sources, by name.
    pub(crate) fn sources(&self) -> Vec<Arc<Source>> {
        lock(&self.sources).values().cloned().collect()
    }

    pub(crate) fn broken(&self) -> Vec<Broken> {
        let broken = lock(&self.broken);
        let broken = broken.iter().map(|(file, error)| Broken {
            file: file.clone(),
            error: error.clone(),
        });
        broken.collect()
    }

    pub(crate) fn dashboard(&self) -> Option<serde_json::Value> {
        lock(&self.dashboard).clone()
    }

    pub(super) fn set_dashboard(&self, dashboard: Option<serde_json::Value>) {
        *lock(&self.dashboard) = dashboard;
    }

    /// The name of the source that a query reads.
    pub(crate) fn source_name<'a>(&'a self, file: &'a QueryFile) -> &'a str {
        file.source.as_deref().unwrap_or(&self.places.default)
    }

    fn source(self: &Arc<Registry>, name: &str) -> Result<Arc<Source>, RegisterError> {
        let mut sources = lock(&self.sources);
        if let Some(source) = sources.get(name) {
            return Ok(source.clone());
        }
        let stream = self.places.stream(name);
        let stream = stream.map_err(|error| RegisterError::Source {
            name: name.to_owned(),
            error,
        })?;
        let catalog = self.places.catalog.clone();
        let source = Arc::new(Source::new(
            name.to_owned(),
            stream,
            Places::is_own(name),
            catalog,
        ));
        sources.insert(name.to_owned(), source.clone());
        tokio::spawn(source.clone().run(Arc::downgrade(self)));
        Ok(source)
    }

    /// Serves a query; true if there was none of the name. Of one that is served already under the
    /// name, `replace` says whether to put this one in its place.
    pub(crate) async fn register(
        self: &Arc<Registry>,
        name: &str,
        file: QueryFile,
        origin: Origin,
        replace: bool,
    ) -> Result<bool, RegisterError> {
        let _changing = self.changing.lock().await;
        check_name(name)?;
        let old = self.entry(name);
        if let Some(old) = &old {
            if origin == Origin::Http && old.origin == Origin::File {
                return Err(RegisterError::File(name.to_owned()));
            }
            if old.file == file && old.origin == origin {
                *lock(&old.file_error) = None;
                return Ok(false);
            }
            if !replace {
                return Err(RegisterError::Exists(name.to_owned()));
            }
        } else if lock(&self.entries).len() >= MOST {
            return Err(RegisterError::TooMany);
        }
        Plan::new(&file.query, &self.places.catalog)?;
        let source = self.source(self.source_name(&file))?;
        let entry = Arc::new(Entry {
            name: name.into(),
            file,
            origin,
            source: source.clone(),
            log: watch::Sender::new(None),
            file_error: Mutex::default(),
            error: Mutex::default(),
        });
        let _starting = source.starting.lock().await;
        if let Some(db) = source.db() {
            self.start(&entry, &db).await?;
        }
        if origin == Origin::Http
            && let Some(kept) = &self.kept
        {
            store::put(kept, name, &entry.file)?;
        }
        lock(&self.entries).insert(entry.name.clone(), entry.clone());
        lock(&self.dropped).remove(name);
        if let Some(old) = &old {
            old.set(None, Phase::Replaced);
        }
        Ok(old.is_none())
    }

    /// Takes note that a file does not hold. What was served of it before goes on.
    pub(super) fn report(&self, file: &str, name: &str, error: String) {
        tracing::warn!(file, error, "a query file does not hold");
        match self
            .entry(name)
            .filter(|entry| entry.origin == Origin::File)
        {
            Some(entry) => *lock(&entry.file_error) = Some(error),
            None => drop(lock(&self.broken).insert(file.to_owned(), error)),
        }
    }

    /// Takes note that a file holds, or is gone.
    pub(super) fn mend(&self, file: &str) {
        lock(&self.broken).remove(file);
    }

    /// Serves a query no longer; false if there is none of the name.
    pub(crate) async fn drop_query(
        &self,
        name: &str,
        origin: Origin,
    ) -> Result<bool, RegisterError> {
        let _changing = self.changing.lock().await;
        let Some(entry) = self.entry(name) else {
            return Ok(false);
        };
        if entry.origin != origin {
            return Err(RegisterError::File(name.to_owned()));
        }
        if origin == Origin::Http
            && let Some(kept) = &self.kept
        {
            store::remove(kept, name)?;
        }
        let _starting = entry.source.starting.lock().await;
        lock(&self.entries).remove(name);
        if let Some(log) = entry.log() {
            let since = Instant::now();
            lock(&self.dropped).insert(entry.name.clone(), Dropped { since, log });
        }
        entry.set(None, Phase::Dropped);
        Ok(true)
    }

    async fn start(&self, entry: &Arc<Entry>, db: &StreamDb) -> Result<(), RegisterError> {
        let (db, name, keep) = (db.clone(), entry.name.clone(), self.keep);
        let query = entry.file.query.clone();
        let start = move || ResultLog::start(&db, name, &query, keep);
        let started = tokio::task::spawn_blocking(start).await;
        let log = started.unwrap_or(Err(DbError::Closed))?;
        entry.set(Some(log), Phase::Replaced);
        Ok(())
    }

    /// Starts all queries of a source on its new database.
    pub(super) async fn start_all(&self, source: &str, db: &StreamDb) {
        for entry in self.entries() {
            if entry.source.name == source {
                let started = self.start(&entry, db).await;
                *lock(&entry.error) = started.err().map(|error| error.to_string());
            }
        }
    }

    /// The feed of some queries, whose names are not repeated. Waits for some time until their
    /// source was read up to date.
    pub(crate) async fn feed(
        &self,
        names: &[String],
        wait: Duration,
    ) -> Result<Arc<Feed>, FindError> {
        let mut logs = Vec::with_capacity(names.len());
        for name in names {
            logs.push(self.log(name, &names[0], wait).await?);
        }
        let key: Vec<u64> = logs.iter().map(|log| log.generation).collect();
        let mut feeds = lock(&self.feeds);
        if let Some(feed) = feeds.get(&key).and_then(Weak::upgrade) {
            return Ok(feed);
        }
        let feed = Arc::new(Feed::new(logs));
        feeds.insert(key, Arc::downgrade(&feed));
        Ok(feed)
    }

    /// The rows of a query as they are now. Waits for some time until they are there.
    pub(crate) async fn live(
        &self,
        name: &str,
        wait: Duration,
    ) -> Result<LiveQuery<Value>, FindError> {
        let log = self.log(name, name, wait).await?;
        log.live()
            .ok_or_else(|| FindError::Missing(name.to_owned()))
    }

    async fn log(
        &self,
        name: &str,
        first: &str,
        wait: Duration,
    ) -> Result<Arc<ResultLog>, FindError> {
        let Some(entry) = self.entry(name) else {
            let dropped = lock(&self.dropped);
            let log = dropped.get(name).map(|dropped| dropped.log.clone());
            return log.ok_or_else(|| FindError::Missing(name.to_owned()));
        };
        if let Some(first) = self.entry(first)
            && !Arc::ptr_eq(&first.source, &entry.source)
        {
            return Err(FindError::Sources(
                first.name.to_string(),
                entry.name.to_string(),
            ));
        }
        let mut log = entry.log.subscribe();
        let there = timeout(wait, log.wait_for(Option::is_some)).await;
        let there = there.ok().and_then(|log| log.ok()?.clone());
        there.ok_or_else(|| FindError::NotReady(name.to_owned()))
    }

    /// Forgets what is too old.
    pub(crate) fn sweep(&self) {
        for entry in self.entries() {
            if let Some(log) = entry.log() {
                log.sweep();
            }
        }
        lock(&self.dropped).retain(|_, dropped| dropped.since.elapsed() < TOLD);
        let mut feeds = lock(&self.feeds);
        feeds.retain(|_, feed| match feed.upgrade() {
            Some(feed) => {
                feed.sweep();
                true
            }
            None => false,
        });
    }

    /// Ends all sources.
    pub(crate) fn close(&self) {
        self.sources().iter().for_each(|source| source.close());
    }
}

/// Names are part of URLs and of file names.
fn check_name(name: &str) -> Result<(), RegisterError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let right =
        !name.is_empty() && name.len() <= NAME && !name.starts_with('.') && name.bytes().all(fits);
    match right {
        true => Ok(()),
        false => Err(RegisterError::Name(name.to_owned())),
    }
}
