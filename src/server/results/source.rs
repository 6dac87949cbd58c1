//! A stream that queries read: its database, opened again when it fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::watch;

use super::log::lock;
use super::registry::{Early, Registry};
use super::sources::Resources;
use crate::db::{DbError, DeadLetters, Keep, Kept, Status, StreamDb};
use crate::schema::Catalog;
use crate::stream::{CreateOptions, DurableStream, Identity, Live, StreamError};
use crate::system;

/// After a failure that does not pass by itself, the stream is opened again after so long, and after
/// twice as long each time it fails again.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_MOST: Duration = Duration::from_secs(10);
/// So long it is waited for that the stream is there. It is a matter of milliseconds.
const MADE: Duration = Duration::from_secs(5);

/// How far a source is, and with it each of its queries.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct State {
    pub(crate) state: &'static str,
    /// In milliseconds since 1970.
    pub(crate) since: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// What a source is made of.
pub(super) struct Origin {
    /// As queries name it.
    pub(super) name: String,
    pub(super) stream: DurableStream,
    /// Whether the stream is to be made if it is missing.
    pub(super) own: bool,
    pub(super) catalog: Arc<Catalog>,
    pub(super) schema_version: u64,
    pub(super) limits: Resources,
    /// What of it is kept on disk.
    pub(super) keep: Option<Keep>,
}

/// A stream that queries read.
pub(crate) struct Source {
    /// As queries name it.
    pub(crate) name: String,
    stream: DurableStream,
    own: bool,
    /// Whether it was tried to make the stream, if it is the server's own.
    made: watch::Sender<bool>,
    catalog: Arc<Catalog>,
    schema_version: u64,
    limits: Resources,
    keep: Option<Keep>,
    /// The database that was read up to date last. It stays while a new one is read.
    ready: watch::Sender<Option<StreamDb>>,
    now: Mutex<Now>,
    closed: AtomicBool,
    /// Held while queries are started, so that none is started on a database that is replaced.
    pub(super) starting: tokio::sync::Mutex<()>,
}

struct Now {
    since: SystemTime,
    /// The database that is being read or was read last.
    db: Option<StreamDb>,
    error: Option<String>,
    /// What was told of what is kept.
    reported: Kept,
}

impl Source {
    pub(super) fn new(origin: Origin) -> Source {
        Source {
            name: origin.name,
            stream: origin.stream,
            own: origin.own,
            made: watch::Sender::new(!origin.own),
            catalog: origin.catalog,
            schema_version: origin.schema_version,
            limits: origin.limits,
            keep: origin.keep,
            ready: watch::Sender::new(None),
            now: Mutex::new(Now {
                since: system::time(),
                db: None,
                error: None,
                reported: Kept::default(),
            }),
            closed: AtomicBool::new(false),
            starting: tokio::sync::Mutex::default(),
        }
    }

    /// The database, once it was read up to date.
    pub(super) fn db(&self) -> Option<StreamDb> {
        self.ready.borrow().clone()
    }

    /// Waits until the stream is there, so that who registered a query can append to what it reads.
    pub(crate) async fn made(&self) {
        let mut made = self.made.subscribe();
        // Without it, the state of the source tells why.
        let _ = system::timeout(MADE, made.wait_for(|made| *made)).await;
    }

    /// How far it is.
    pub(crate) fn state(&self) -> State {
        let now = lock(&self.now);
        let rows = self.ready.borrow().is_some();
        let state = |state, since: SystemTime, error| State {
            state,
            since: since
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis() as u64,
            error,
        };
        if let Some(error) = &now.error {
            let name = if rows { "stale" } else { "error" };
            return state(name, now.since, Some(error.clone()));
        }
        let trouble = now.db.as_ref().and_then(StreamDb::trouble);
        match (now.db.as_ref().map(StreamDb::status), trouble) {
            (Some(Status::Ended), _) if rows => state("ended", now.since, None),
            (_, Some(trouble)) => {
                let name = if rows { "stale" } else { "connecting" };
                state(name, trouble.since, Some(trouble.error.to_string()))
            }
            (Some(Status::Ready), None) if rows => state("live", now.since, None),
            (Some(Status::Loading), None) if rows => state("stale", now.since, None),
            // When it was read, too, until the queries are started.
            (Some(Status::Loading | Status::Ready | Status::Ended), None) => {
                state("loading", now.since, None)
            }
            _ => state("connecting", now.since, None),
        }
    }

    /// The steps that its queries made since it was opened.
    pub(crate) fn steps(&self) -> u64 {
        self.db().map_or(0, |db| db.told())
    }

    /// When the newest of its events happened, in milliseconds since 1970, if they say so.
    pub(crate) fn event_time(&self) -> Option<i64> {
        self.db()?.event_time()
    }

    /// The messages that were wrong since it was last opened.
    pub(crate) fn dead_letters(&self) -> DeadLetters {
        let db = lock(&self.now).db.clone();
        db.map_or_else(DeadLetters::default, |db| db.dead_letters())
    }

    /// What is known of the snapshot that is kept of it.
    pub(crate) fn kept(&self) -> Kept {
        let db = lock(&self.now).db.clone();
        db.map_or_else(Kept::default, |db| db.kept())
    }

    /// Tells in the log what became of what is kept, once.
    pub(super) fn report(&self) {
        let kept = self.kept();
        let mut now = lock(&self.now);
        let source = &self.name;
        if let Some(reason) = &kept.rejected
            && kept.rejected != now.reported.rejected
        {
            tracing::warn!(
                source,
                reason,
                "a snapshot was set aside, and the stream is replayed"
            );
        }
        if let Some(error) = &kept.error
            && kept.error != now.reported.error
        {
            tracing::warn!(source, error, "a snapshot cannot be written");
        }
        now.reported = kept;
    }

    /// Keeps the source going as long as there is a registry.
    pub(super) async fn run(self: Arc<Source>, registry: Weak<Registry>) {
        let mut again = AGAIN;
        let loaded = registry.upgrade().map(|registry| registry.loaded());
        if let Some(mut loaded) = loaded {
            // Without an answer, there is no registry any more.
            let _ = loaded.wait_for(|loaded| *loaded).await;
        }
        if self.own {
            // One that is there already may have been made with other options.
            match self.stream.create(CreateOptions::json()).await {
                Ok(_) | Err(StreamError::Conflict { .. }) => {}
                Err(error) => tracing::warn!(source = self.name, %error, "a stream cannot be made"),
            }
            self.made.send_replace(true);
        }
        while registry.strong_count() > 0 && !self.closed.load(Ordering::Acquire) {
            let error = match self.read(&registry).await {
                Ok(None) => {
                    self.await_reopened().await;
                    continue;
                }
                Ok(Some(DbError::Closed)) | Err(DbError::Closed) => return,
                Ok(Some(error)) => {
                    again = AGAIN;
                    error
                }
                Err(error) => error,
            };
            tracing::warn!(source = self.name, %error, "a source cannot be read");
            {
                let mut now = lock(&self.now);
                now.since = system::time();
                now.error = Some(error.to_string());
            }
            system::sleep(again).await;
            again = (again * 2).min(AGAIN_MOST);
        }
    }

    /// Waits until a stream that was closed is another one.
    async fn await_reopened(&self) {
        let id = lock(&self.now).db.as_ref().and_then(StreamDb::stream_id);
        let quiet = watch::Sender::new(None);
        loop {
            system::sleep(AGAIN_MOST).await;
            match system::timeout(AGAIN_MOST, self.stream.identify(&quiet)).await {
                Some(Ok(now)) if now == Identity::default() || (now.closed && now.id == id) => {}
                Some(Ok(_) | Err(StreamError::NotFound { .. } | StreamError::Gone { .. })) => {
                    return;
                }
                Some(Err(_)) | None => {}
            }
            if self.closed.load(Ordering::Acquire) {
                return;
            }
        }
    }

    /// Reads the stream until it fails or ends; an error before it was read up to date.
    async fn read(&self, registry: &Weak<Registry>) -> Result<Option<DbError>, DbError> {
        let mut db = StreamDb::builder(self.stream.clone())
            .catalog(self.catalog.clone())
            .live(Live::Auto)
            .identify()
            .schema_version(self.schema_version)
            .workers(self.limits.workers.clone());
        if let Some(keep) = &self.keep {
            db = db.keep(keep.clone());
        }
        if let Some(bytes) = self.limits.source {
            db = db.memory_limit(bytes);
        }
        if let Some(bytes) = self.limits.query {
            db = db.query_memory_limit(bytes);
        }
        let db = match self.limits.workers.is_cluster() {
            // It waits for the other processes.
            true => {
                let opened = system::blocking(move || db.open()).await;
                opened.unwrap_or(Err(DbError::Closed))?
            }
            false => db.open()?,
        };
        lock(&self.now).db = Some(db.clone());
        if self.closed.load(Ordering::Acquire) {
            db.close();
        }
        let mut early = Early::default();
        if db.has_steps() {
            let _starting = self.starting.lock().await;
            let Some(registry) = registry.upgrade() else {
                return Ok(None);
            };
            early = registry.start_early(&self.name, &db).await;
        }
        db.preload().await?;
        {
            let _starting = self.starting.lock().await;
            let Some(registry) = registry.upgrade() else {
                return Ok(None);
            };
            registry.start_all(&self.name, &db, early).await;
            self.ready.send_replace(Some(db.clone()));
            let mut now = lock(&self.now);
            now.since = system::time();
            now.error = None;
            tracing::info!(source = self.name, offset = %db.offset(), "a source was read up to date");
        }
        let mut status = db.watch_status();
        let over = status.wait_for(Status::is_over).await;
        Ok(match over.as_deref() {
            Ok(Status::Ended) => {
                lock(&self.now).since = system::time();
                None
            }
            Ok(status) => status.error(),
            Err(_) => Some(DbError::Closed),
        })
    }

    /// Ends it.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(db) = &lock(&self.now).db {
            db.close();
        }
        if let Some(db) = &*self.ready.borrow() {
            db.close();
        }
    }
}
