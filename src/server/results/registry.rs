//! The queries that are served, by name, and the sources that they read.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use super::entry::{Entry, Memory, Origin, StartedLog};
use super::feed::Feed;
use super::log::{Keep, Phase, ResultLog, lock};
use super::source::Source;
use super::sources::{Places, Sources};
use super::store;
use crate::db::{DbError, LiveQuery, StreamDb};
use crate::plan::Plan;
use crate::query::{Query, QueryError, QueryFile};
use crate::system;
use crate::value::Value;

/// So long the readers of a dropped query are told that it was dropped.
const TOLD: Duration = Duration::from_secs(60);
/// What readers of a result share is kept so long after the last of them.
const IDLE: Duration = Duration::from_secs(10);
/// So many queries are served at most.
const MOST: usize = 10_000;
/// Names have so many characters at most.
const NAME: usize = 128;

/// Why a query was not registered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error(
        "`{0}` is no name of a query: it has up to 128 letters, digits, `-`, `_` and `.`, and no `.` in front"
    )]
    Name(String),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("another query has the name `{0}`")]
    Exists(String),
    #[error("`{0}` comes from a file")]
    File(String),
    #[error("there are {MOST} queries, as many as this server takes")]
    TooMany,
    #[error("{0} queries are tried out, as many as this server takes at once")]
    TooManyTrials(usize),
    #[error("`{name}` is no source: {reason}")]
    Source { name: String, reason: String },
    #[error("{0} sources are read, as many as this server takes")]
    TooManySources(usize),
    #[error("queries that run on several processes have one source, and that is `{0}`")]
    OneSource(String),
    #[error("the query `{0}` was changed by somebody else meanwhile")]
    Changed(String),
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
    #[error("the source of `{0}` was not read up to date yet{1}")]
    NotReady(String, String),
    #[error("`{0}` was stopped: {1}")]
    Failed(String, String),
}

/// A query file that does not hold, and of which nothing is served.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Broken {
    file: String,
    error: String,
}

/// What was the result of a query that was dropped.
struct Dropped {
    since: Instant,
    source: String,
    query: Query,
    /// None if the source was not read up to date.
    log: Option<Arc<ResultLog>>,
}

/// A feed, and when somebody read it last.
struct Shared {
    used: Instant,
    feed: Arc<Feed>,
}

/// Queries that were started before their source was read.
#[derive(Default)]
pub(super) struct Early(Vec<(Arc<Entry>, StartedLog)>);

/// The queries that are served.
pub(crate) struct Registry {
    pub(crate) places: Places,
    keep: Keep,
    /// Where queries that came over HTTP are kept.
    kept: Option<PathBuf>,
    /// The folder of query files.
    folder: Option<PathBuf>,
    /// How long after its last reader a query is dropped that is tried out.
    pub(super) trial_idle: Duration,
    entries: Mutex<BTreeMap<Arc<str>, Arc<Entry>>>,
    /// Held while an entry and what is kept of it change, so that they agree.
    changing: Mutex<()>,
    sources: Arc<Sources>,
    /// The results of dropped queries, for their readers.
    dropped: Mutex<BTreeMap<Arc<str>, Dropped>>,
    /// Feeds that somebody reads or has read lately, by the results in them.
    feeds: Mutex<HashMap<Vec<u64>, Shared>>,
    broken: Mutex<BTreeMap<String, String>>,
    dashboard: Mutex<Option<serde_json::Value>>,
    /// Whether the queries are there that are to be there from the start.
    loaded: watch::Sender<bool>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    pub(crate) fn new(
        places: Places,
        keep: Keep,
        kept: Option<PathBuf>,
        folder: Option<PathBuf>,
        trial_idle: Duration,
    ) -> Arc<Registry> {
        Arc::new(Registry {
            places,
            keep,
            kept,
            folder,
            trial_idle,
            entries: Mutex::default(),
            changing: Mutex::default(),
            sources: Arc::default(),
            dropped: Mutex::default(),
            feeds: Mutex::default(),
            broken: Mutex::default(),
            dashboard: Mutex::default(),
            loaded: watch::Sender::new(false),
        })
    }

    /// Lets sources be read, as all queries are there that are to be there from the start: they see
    /// the steps that are made again.
    pub(super) fn set_loaded(&self) {
        self.loaded.send_replace(true);
    }

    pub(super) fn loaded(&self) -> watch::Receiver<bool> {
        self.loaded.subscribe()
    }

    /// All queries, by name.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        lock(&self.entries).values().cloned().collect()
    }

    /// All queries but those that are tried out, by name.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        let mut entries = self.all();
        entries.retain(|entry| entry.origin != Origin::Trial);
        entries
    }

    /// The folder of query files, if there is one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    pub(crate) fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        lock(&self.entries).get(name).cloned()
    }

    /// All sources, by name.
    pub(crate) fn sources(&self) -> Vec<Arc<Source>> {
        self.sources.all()
    }

    pub(crate) fn broken(&self) -> Vec<Broken> {
        let broken = lock(&self.broken);
        let broken = broken.iter().map(|(file, error)| Broken {
            file: file.clone(),
            error: error.clone(),
        });
        broken.collect()
    }

    /// How many query files do not hold as they are now, whether something is served of them or not.
    pub(crate) fn broken_files(&self) -> usize {
        let entries = self.entries();
        let old = entries
            .iter()
            .filter(|entry| lock(&entry.file_error).is_some());
        old.count() + lock(&self.broken).len()
    }

    pub(crate) fn dashboard(&self) -> Option<serde_json::Value> {
        lock(&self.dashboard).clone()
    }

    pub(super) fn set_dashboard(&self, dashboard: Option<serde_json::Value>) {
        *lock(&self.dashboard) = dashboard;
    }

    /// The one name of the source that a query reads.
    pub(crate) fn source_name(&self, file: &QueryFile) -> Result<String, RegisterError> {
        match &file.source {
            Some(source) => Places::name(source),
            None => Ok(self.places.default.clone()),
        }
    }

    /// The source of the query that has a name, or had it until just now.
    pub(crate) fn source_of(&self, name: &str) -> Option<String> {
        if let Some(entry) = self.entry(name) {
            return Some(entry.source.name.clone());
        }
        let dropped = lock(&self.dropped);
        dropped.get(name).map(|dropped| dropped.source.clone())
    }

    /// What had a name until just now: the source and the query.
    pub(crate) fn dropped(&self, name: &str) -> Option<(String, Query)> {
        let dropped = lock(&self.dropped);
        let dropped = dropped.get(name)?;
        Some((dropped.source.clone(), dropped.query.clone()))
    }

    /// Serves a query in the place of `old`, which is what has the name now. True if nothing has it.
    pub(crate) async fn register(
        self: &Arc<Registry>,
        name: &str,
        file: QueryFile,
        origin: Origin,
        old: Option<&Arc<Entry>>,
    ) -> Result<bool, RegisterError> {
        check_name(name)?;
        if let Some(old) = old {
            if origin == Origin::Http && old.origin == Origin::File {
                return Err(RegisterError::File(name.to_owned()));
            }
            if old.file == file && old.origin == origin {
                *lock(&old.file_error) = None;
                return Ok(false);
            }
        } else if lock(&self.entries).len() >= MOST {
            return Err(RegisterError::TooMany);
        }
        Plan::new(&file.query, &self.places.catalog)?;
        let source = self.source_name(&file)?;
        let registry = Arc::downgrade(self);
        let source = self.sources.open(&source, &self.places, registry)?;
        let entry = Arc::new(Entry {
            name: name.into(),
            file,
            origin,
            source,
            log: watch::Sender::new(None),
            file_error: Mutex::default(),
            error: Mutex::default(),
            used: Mutex::new(system::now()),
        });
        let _starting = entry.source.starting.lock().await;
        if let Some(db) = entry.source.db() {
            entry.follow(Ok(self.log_of(&entry, &db, false).await?));
        }
        self.put(entry.clone(), old)?;
        tracing::info!(
            query = name,
            source = entry.source.name,
            ?origin,
            "a query is served"
        );
        Ok(old.is_none())
    }

    /// Puts an entry in the place of another, if that is still there, and keeps what it says.
    fn put(&self, entry: Arc<Entry>, old: Option<&Arc<Entry>>) -> Result<(), RegisterError> {
        let _changing = lock(&self.changing);
        if self.entry(&entry.name).as_ref().map(Arc::as_ptr) != old.map(Arc::as_ptr) {
            entry.set(None, Phase::Replaced);
            return Err(RegisterError::Changed(entry.name.to_string()));
        }
        if let Some(kept) = &self.kept {
            match entry.origin {
                Origin::Http => store::put(kept, &entry.name, &entry.file)?,
                // From now on the file says what the query is.
                Origin::File => store::remove(kept, &entry.name)?,
                Origin::Trial => {}
            }
        }
        lock(&self.dropped).remove(&entry.name);
        lock(&self.entries).insert(entry.name.clone(), entry);
        if let Some(old) = old {
            old.set(None, Phase::Replaced);
        }
        Ok(())
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

    /// Serves a query no longer. False if it was gone already.
    pub(crate) fn drop_query(
        &self,
        entry: &Arc<Entry>,
        origin: Origin,
    ) -> Result<bool, RegisterError> {
        if entry.origin != origin {
            return Err(RegisterError::File(entry.name.to_string()));
        }
        let _changing = lock(&self.changing);
        let now = self.entry(&entry.name);
        if now.as_ref().map(Arc::as_ptr) != Some(Arc::as_ptr(entry)) {
            return Ok(false);
        }
        if origin == Origin::Http
            && let Some(kept) = &self.kept
        {
            store::remove(kept, &entry.name)?;
        }
        let mut entries = lock(&self.entries);
        entries.remove(&entry.name);
        let dropped = Dropped {
            since: system::now(),
            source: entry.source.name.clone(),
            query: entry.file.query.clone(),
            log: entry.log(),
        };
        lock(&self.dropped).insert(entry.name.clone(), dropped);
        drop(entries);
        entry.set(None, Phase::Dropped);
        tracing::info!(query = &*entry.name, "a query is served no longer");
        Ok(true)
    }

    async fn log_of(
        &self,
        entry: &Arc<Entry>,
        db: &StreamDb,
        early: bool,
    ) -> Result<Arc<ResultLog>, DbError> {
        let (db, name, keep) = (db.clone(), entry.name.clone(), self.keep);
        let query = entry.file.query.clone();
        let start = move || ResultLog::start(&db, name, &query, keep, early);
        let started = system::blocking(start).await;
        started.unwrap_or(Err(DbError::Closed))
    }

    /// Starts the queries of a source that there are before its new database is read, so that they
    /// see the steps that are made again.
    pub(super) async fn start_early(&self, source: &str, db: &StreamDb) -> Early {
        let mut early = Early::default();
        for entry in self.all() {
            if entry.source.name == source {
                let log = self.log_of(&entry, db, true).await;
                early.0.push((entry, log));
            }
        }
        early
    }

    /// Starts all queries of a source on its new database, once that is read.
    pub(super) async fn start_all(&self, source: &str, db: &StreamDb, early: Early) {
        let started: Vec<_> = early.0.iter().map(|(entry, _)| entry.clone()).collect();
        for (entry, log) in early.0 {
            entry.follow(log.inspect(|log| log.begin()));
        }
        for entry in self.all() {
            let is_new = || !started.iter().any(|known| Arc::ptr_eq(known, &entry));
            if entry.source.name == source && is_new() {
                entry.follow(self.log_of(&entry, db, false).await);
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
            let source = self.source_of(name);
            let source = source.ok_or_else(|| FindError::Missing(name.clone()))?;
            if Some(source) != self.source_of(&names[0]) {
                return Err(FindError::Sources(names[0].clone(), name.clone()));
            }
            logs.push(self.log(name, wait).await?);
        }
        if logs.iter().any(|log| !log.db.is_same(&logs[0].db)) {
            // The source is just being opened again.
            return Err(FindError::NotReady(names[0].clone(), String::new()));
        }
        let key: Vec<u64> = logs.iter().map(|log| log.id).collect();
        let mut feeds = lock(&self.feeds);
        let shared = feeds.entry(key).or_insert_with(|| Shared {
            used: system::now(),
            feed: Arc::new(Feed::new(logs)),
        });
        shared.used = system::now();
        Ok(shared.feed.clone())
    }

    /// The rows of a query as they are now. Waits for some time until they are there.
    pub(crate) async fn live(
        &self,
        name: &str,
        wait: Duration,
    ) -> Result<LiveQuery<Value>, FindError> {
        let end = system::now() + wait;
        loop {
            let left = end.saturating_duration_since(system::now());
            let log = self.log(name, left).await?;
            // None if it was replaced in the moment since.
            if let Some(live) = log.live() {
                return Ok(live);
            }
            tokio::task::yield_now().await;
        }
    }

    /// What all sources take in memory, as far as they answer.
    pub(crate) async fn memory(&self) -> Memory {
        let mut reports = BTreeMap::new();
        for source in self.sources() {
            if let Some(db) = source.db()
                && let Ok(report) = db.read_memory().await
            {
                reports.insert(source.name.clone(), report);
            }
        }
        Memory(reports)
    }

    async fn log(&self, name: &str, wait: Duration) -> Result<Arc<ResultLog>, FindError> {
        let end = system::now() + wait;
        loop {
            let Some(entry) = self.entry(name) else {
                let dropped = lock(&self.dropped);
                let log = dropped.get(name).and_then(|dropped| dropped.log.clone());
                return log.ok_or_else(|| FindError::Missing(name.to_owned()));
            };
            let mut log = entry.log.subscribe();
            let there = log.borrow_and_update().clone();
            if let Some(error) = entry.failure() {
                return Err(FindError::Failed(name.to_owned(), error));
            }
            if let Some(log) = there {
                return Ok(log);
            }
            // Another entry may have the name by now. Later, it is a change.
            if self.entry(name).map(|now| Arc::as_ptr(&now)) == Some(Arc::as_ptr(&entry))
                && system::timeout(end.saturating_duration_since(system::now()), log.changed())
                    .await
                    .is_none()
            {
                let error = entry.source.state().error;
                let reason = error.map_or(String::new(), |error| format!(": {error}"));
                return Err(FindError::NotReady(name.to_owned(), reason));
            }
        }
    }

    /// Forgets what is too old, and tells of what is kept.
    pub(crate) fn sweep(&self) {
        self.sources().iter().for_each(|source| source.report());
        for entry in self.all() {
            if let Some(log) = entry.log() {
                log.sweep();
            }
            if entry.origin == Origin::Trial {
                self.end_unread(&entry);
            }
        }
        lock(&self.dropped).retain(|_, dropped| system::now() - dropped.since < TOLD);
        // Whoever reads one holds it.
        lock(&self.feeds).retain(|_, shared| {
            if Arc::strong_count(&shared.feed) > 1 {
                shared.used = system::now();
            }
            shared.feed.sweep();
            system::now() - shared.used < IDLE
        });
    }

    /// Says in numbers what is not as it should be.
    pub(crate) fn find_problems(&self, problems: &mut Vec<String>) {
        let mut tell = |count: usize, of: usize, what: &str| {
            if count > 0 {
                problems.push(format!("{count} of {of} {what}"));
            }
        };
        let sources = self.sources();
        let away = sources
            .iter()
            .filter(|source| source.state().error.is_some());
        tell(away.count(), sources.len(), "sources cannot be read");
        let unkept = sources
            .iter()
            .filter(|source| source.kept().error.is_some());
        tell(unkept.count(), sources.len(), "snapshots cannot be written");
        let entries = self.entries();
        let stopped = entries.iter().filter(|entry| entry.failure().is_some());
        tell(stopped.count(), entries.len(), "queries do not run");
        let files = self.broken_files();
        if files > 0 {
            problems.push(format!("{files} query files do not hold"));
        }
    }

    /// Ends all sources.
    pub(crate) fn close(&self) {
        self.sources().iter().for_each(|source| source.close());
    }
}

/// Names are part of URLs and of file names.
pub(crate) fn check_name(name: &str) -> Result<(), RegisterError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let right =
        !name.is_empty() && name.len() <= NAME && !name.starts_with('.') && name.bytes().all(fits);
    match right {
        true => Ok(()),
        false => Err(RegisterError::Name(name.to_owned())),
    }
}
