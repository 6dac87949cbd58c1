//! A database on a durable stream: it reads the stream, keeps collections, and live queries on them.
//!
//! ```
//! use futures_util::StreamExt;
//! use tailwater::db::{DbError, StreamDb};
//! use tailwater::query::Query;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let db = StreamDb::builder("http://127.0.0.1:4437/v1/stream/tickets").open()?;
//! db.preload().await?;
//! let open = db.live(Query::from_json(
//!     r#"{"from":{"type":"collectionRef","collection":"ticket","alias":"t"},
//!         "where":[{"type":"func","name":"eq","args":[
//!             {"type":"ref","path":["t","state"]},{"type":"val","value":"open"}]}]}"#,
//! )?)?;
//! println!("{} tickets are open", open.len());
//! let mut changes = open.subscribe();
//! while let Some(set) = changes.next().await {
//!     for change in set.iter() {
//!         println!("{:?} {}: {}", change.kind(), change.key(), change.value()?);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A thread of its own owns the engine. A tokio task reads the stream and gives it the batches: nothing
//! is visible before the stream was read up to date, which then is one step, as is each batch that
//! follows. Rows are read on any thread. What waits for the engine's thread, such as
//! [`StreamDb::live`], takes microseconds unless the engine is at work; from effects and hooks, which
//! run on that thread, it is refused.
//!
//! Rows are as their events have them; where a collection is declared, the event's key is also the value
//! of the primary key's field, unless that has the number that the key is the text of. Nothing else is added (the `_seq` of the npm package is a device of its
//! adapter).
//! # Changes
//!
//! A change is visible at once and made to last in the background. How a mutation travels:
//!
//! 1. [`Mutator`]'s methods give it to the engine's thread, which puts it on top of the rows that came
//!    in, as one step of all live queries; see [`Engine::mutate`](crate::engine::Engine::mutate).
//! 2. The transaction's mutation function runs on the tokio runtime. Mostly it appends events to the
//!    stream with a txid, as [`append_mutations`] does.
//! 3. The stream brings the events back. In the step that takes them in, the change on top is dropped:
//!    where it was foretold rightly, nothing changes. If the function fails instead, the change is taken
//!    back, and so are later ones of the same rows, which may build on it.
//!
//! ```
//! use tailwater::db::{StreamDb, append_mutations};
//! use tailwater::value::from_json;
//!
//! # async fn example(db: StreamDb) -> Result<(), Box<dyn std::error::Error>> {
//! let row = from_json(r#"{"title":"it rains in","state":"open"}"#)?;
//! let made = db.mutate(|tx| tx.insert_named("ticket", "7", row), append_mutations)?;
//! assert!(db.collection_named("ticket")?.contains("7"));
//! made.is_persisted().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`StreamDb::transaction`] takes several calls and is committed by hand, an [`Action`] is a change
//! with a parameter, [`Paced`] puts many calls together, and a [`CollectionHandle`] is changed directly
//! where [`Builder::on_mutate`] said how. When the database is closed, or the stream is read no further,
//! all that is pending is taken back.
//!
//! # The files
//!
//! | file | what it is for |
//! |---|---|
//! | `error`, `status` | what can go wrong, how far a database is |
//! | `changes`, `rows` | change sets and rows as values of Rust types |
//! | `dead_letters`, `txids`, `snapshot` | messages not taken, transactions seen, rows to start from |
//! | `threads` | what threads meet with |
//! | `shared` | what all threads see |
//! | `core`, `intake` | the engine's thread, how batches become steps |
//! | `sync` | the task that reads the stream |
//! | `keep` | what is on disk, to start again from |
//! | `transaction`, `pending` | how far transactions are, on all threads and on the engine's |
//! | `mutate`, `context` | making changes, mutation functions |
//! | `action`, `paced` | ways to call them |
//! | `live`, `effect`, `collection` | handles of what runs |
//! | `builder` | how a database is opened |

mod action;
mod builder;
mod changes;
mod collection;
mod context;
mod core;
mod dead_letters;
mod effect;
mod error;
mod intake;
mod keep;
mod live;
mod mutate;
mod paced;
mod pending;
mod rows;
mod shared;
#[cfg(all(test, feature = "serve"))]
pub(crate) mod simulated;
mod snapshot;
mod status;
mod sync;
mod threads;
mod transaction;
mod txids;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, mpsc};
use std::thread::ThreadId;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

pub use action::Action;
pub use builder::{Builder, IntoStream};
pub use changes::{Change, ChangeSet, ChangesKind};
pub use collection::CollectionHandle;
pub use context::{BoxError, MutationContext, PendingMutation, append_mutations};
pub use dead_letters::{DeadLetter, DeadLetters};
pub use effect::EffectHandle;
pub use error::{DbError, RowError};
#[cfg(feature = "fuzzing")]
pub(crate) use keep::rows_of;
pub use keep::{Keep, Kept};
#[cfg(feature = "serve")]
pub(crate) use live::Sink;
pub use live::{LiveQuery, SubscribeOptions, Subscription, Together};
pub use mutate::{MutateError, Mutator, OpenTransaction};
pub use paced::{Paced, Strategy};
pub use rows::{Row, Rows};
pub use snapshot::Snapshot;
pub use status::Status;
pub use transaction::{Transaction, TransactionError, TransactionState};

use self::core::{Command, Core, command};
use action::Handlers;
use live::Installed;
use shared::Shared;

use crate::engine::{MemoryReport, read};
use crate::query::{Query, RowFunction, TypedQuery};
use crate::schema::Collection;
use crate::stream::{DurableStream, Live, Offset, SerialProducer, Trouble};
use crate::value::{Value, from_value};

/// A database on a durable stream. Cheap to clone; clones, live queries and effects keep it open.
#[derive(Clone, Debug)]
pub struct StreamDb {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    /// The number of steps; see [`crate::engine::Engine::epoch`].
    epoch: Arc<RwLock<u64>>,
    engine_thread: ThreadId,
    stream: DurableStream,
    live: Live,
    strict: bool,
    keep: Option<Keep>,
    identify: bool,
    schema_version: u64,
    handlers: Handlers,
    /// How long a transaction is waited for, if nothing else is said.
    txid_timeout: Duration,
    /// The one that the stream is read on.
    runtime: OnceLock<Handle>,
    /// Held while a transaction's events are made and appended.
    appending: tokio::sync::Mutex<SerialProducer>,
    task: Mutex<Option<AbortHandle>>,
    /// The queries of all rows of a collection, by its name.
    collections: Mutex<HashMap<SmolStr, Arc<Installed>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    /// Runs a closure on the engine's thread and waits for what it gives.
    pub(crate) fn ask<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Core) -> R + Send + 'static,
    ) -> Result<R, DbError> {
        if std::thread::current().id() == self.engine_thread {
            return Err(DbError::Callback);
        }
        let (reply, answer) = mpsc::sync_channel(1);
        let command = command(f, move |result| drop(reply.send(result)));
        let _ = self.commands.send(command);
        #[cfg(all(test, feature = "serve"))]
        simulated::drive();
        // Without an answer, the thread has ended.
        answer.recv().unwrap_or_else(|_| Err(self.shared.reason()))
    }

    /// As [`Inner::ask`], without blocking.
    pub(crate) async fn request<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Core) -> R + Send + 'static,
    ) -> Result<R, DbError> {
        let (reply, answer) = oneshot::channel();
        let command = command(f, move |result| drop(reply.send(result)));
        let _ = self.commands.send(command);
        answer.await.unwrap_or_else(|_| Err(self.shared.reason()))
    }

    /// Runs a closure on the engine's thread some time soon, if it still runs.
    pub(crate) fn tell(&self, f: impl FnOnce(&mut Core) + Send + 'static) {
        let _ = self.commands.send(Box::new(f));
    }

    fn start(&self) -> Result<(), DbError> {
        let mut task = lock(&self.task);
        if task.is_some() {
            return Ok(());
        }
        let runtime = Handle::try_current().map_err(|_| DbError::NoRuntime)?;
        if !self.shared.set_status(Status::Loading) {
            return Ok(());
        }
        let runtime = self.runtime.get_or_init(|| runtime);
        let sync = sync::SyncTask {
            shared: self.shared.clone(),
            commands: self.commands.clone(),
            stream: self.stream.clone(),
            live: self.live,
            strict: self.strict,
            identify: self.identify,
            schema_version: self.schema_version,
        };
        *task = Some(runtime.spawn(sync.run()).abort_handle());
        if let Some(keep) = self.keep.clone() {
            let writing = keep::KeepTask {
                shared: self.shared.clone(),
                commands: self.commands.clone(),
                stream: self.stream.clone(),
                keep,
                schema_version: self.schema_version,
            };
            runtime.spawn(writing.run());
        }
        Ok(())
    }

    fn close(&self) {
        self.shared.set_status(Status::Closed);
        if let Some(task) = &*lock(&self.task) {
            task.abort();
        }
        self.tell(Core::stop);
    }

    /// Whether a collection of a Rust type is one of the database.
    fn check<T: Collection>(&self) -> Result<(), DbError> {
        self.check_named(T::NAME, T::EVENT_TYPE)
    }

    fn check_named(&self, name: &str, event_type: &str) -> Result<(), DbError> {
        let known = self.shared.catalog.by_name(name);
        match known.is_some_and(|known| known.event_type() == event_type) {
            true => Ok(()),
            false => Err(DbError::UnknownCollection {
                name: name.into(),
                event_type: event_type.into(),
            }),
        }
    }
}

impl StreamDb {
    /// A database on the stream at a URL, or of a handle.
    pub fn builder(stream: impl IntoStream) -> Builder {
        Builder::new(stream)
    }

    /// Reads the stream up to date, and from then on stays with it, on the tokio runtime of the first
    /// call. Later calls wait for the same.
    ///
    /// # Errors
    ///
    /// What keeps the stream from being read, and [`DbError::Closed`].
    pub async fn preload(&self) -> Result<(), DbError> {
        self.inner.start()?;
        let mut status = self.watch_status();
        let status = status.wait_for(|status| status.is_ready() || status.is_over());
        let status = status.await.map_err(|_| DbError::Closed)?;
        match status.error() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Stops reading, takes back what is pending, and frees the collections. Rows of live queries stay
    /// readable as they are then; who waits for a transaction gets [`DbError::Closed`].
    pub fn close(&self) {
        self.inner.close();
    }

    /// Up to where the stream was taken in.
    pub fn offset(&self) -> Offset {
        lock(&self.inner.shared.offset).clone()
    }

    /// Which stream it read, if the server told.
    #[cfg(feature = "serve")]
    pub(crate) fn stream_id(&self) -> Option<String> {
        lock(&self.inner.shared.stream_id).clone()
    }

    /// How far the database is.
    pub fn status(&self) -> Status {
        self.inner.shared.status()
    }

    /// The status as a signal to wait for.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.inner.shared.watch_status()
    }

    /// What keeps the stream from being read at present, while that is tried again and again, or why it
    /// is read again from its start: the rows are as they were when it began. `None` while all is well,
    /// and before and after reading.
    pub fn trouble(&self) -> Option<Trouble> {
        let shared = &self.inner.shared;
        let trouble = lock(&shared.trouble);
        let trouble = trouble.as_ref().and_then(|now| now.borrow().clone());
        let trouble = trouble.or_else(|| lock(&shared.again).clone());
        trouble.filter(|_| !self.status().is_over())
    }

    /// What became of the snapshot that [`Builder::keep`] asks for.
    pub fn kept(&self) -> Kept {
        lock(&self.inner.shared.kept).clone()
    }

    /// Whether steps may be made again that were made before: queries that are to be there then have
    /// to be started before the stream is read.
    #[cfg(feature = "serve")]
    pub(crate) fn has_steps(&self) -> bool {
        self.inner.keep.as_ref().is_some_and(Keep::has_steps)
    }

    /// In which count the steps have their numbers: the same numbers are the same steps, in whatever
    /// process. To be asked when the database is ready.
    #[cfg(feature = "serve")]
    pub(crate) fn incarnation(&self) -> u64 {
        self.inner.shared.incarnation()
    }

    /// The first step that was made again: nothing is known of those before it. 0 if none was.
    #[cfg(feature = "serve")]
    pub(crate) fn first_step(&self) -> u64 {
        self.inner.shared.first_step()
    }

    /// Whether it is a clone of another.
    #[cfg(feature = "serve")]
    pub(crate) fn is_same(&self, other: &StreamDb) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The last step that all live queries were told of; see [`LiveQuery::attach`].
    #[cfg(feature = "serve")]
    pub(crate) fn told(&self) -> u64 {
        self.inner
            .shared
            .told
            .load(std::sync::atomic::Ordering::Acquire)
    }

    /// When the newest event happened that was taken in, in milliseconds since 1970.
    #[cfg(feature = "serve")]
    pub(crate) fn event_time(&self) -> Option<i64> {
        self.inner.shared.event_time()
    }

    /// The stream, to append to.
    pub fn stream(&self) -> &DurableStream {
        &self.inner.stream
    }

    /// What the collections and queries take in memory. Waits for the engine.
    ///
    /// # Errors
    ///
    /// If the database was closed or has failed.
    pub fn memory(&self) -> Result<MemoryReport, DbError> {
        self.inner.ask(|core| core.engine.memory())
    }

    /// As [`StreamDb::memory`], without blocking.
    #[cfg(feature = "serve")]
    pub(crate) async fn read_memory(&self) -> Result<MemoryReport, DbError> {
        self.inner.request(|core| core.engine.memory()).await
    }

    /// The messages that were not taken.
    pub fn dead_letters(&self) -> DeadLetters {
        self.inner.shared.dead_letters.get()
    }

    /// Waits until a transaction is visible: until a step was made with a message that has this `txid`.
    /// At once if one was made already; the latest 65,536 transactions are remembered.
    ///
    /// # Errors
    ///
    /// [`DbError::TxidTimeout`] after the time given, or that of [`Builder::txid_timeout`]; [`DbError::Ended`] and
    /// [`DbError::Closed`] if it cannot come any more.
    pub async fn await_txid(
        &self,
        txid: impl Into<SmolStr>,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<(), DbError> {
        let txid: SmolStr = txid.into();
        let after = timeout.into().unwrap_or(self.inner.txid_timeout);
        let seen = self.inner.shared.txids.wait(txid.clone());
        match tokio::time::timeout(after, seen).await {
            Ok(seen) => seen,
            Err(_) => Err(DbError::TxidTimeout { txid, after }),
        }
    }

    /// Starts a query whose result is kept up to date.
    ///
    /// # Errors
    ///
    /// If the query does not hold, or the database was closed.
    pub fn live<T>(&self, query: impl Into<TypedQuery<T>>) -> Result<LiveQuery<T>, DbError> {
        LiveQuery::install(&self.inner, query.into())
    }

    /// The result of a query as it is now.
    ///
    /// # Errors
    ///
    /// If the query does not hold, or the database is not ready.
    pub fn query_once<T>(&self, query: impl Into<TypedQuery<T>>) -> Result<Rows<T>, DbError> {
        let query = query.into();
        let ir = query.ir().clone();
        let (epoch, rows) = self.inner.ask(move |core| {
            let view = core.query_once(&ir)?;
            Ok::<_, DbError>((*read(core.engine.epoch()), view.to_rows()))
        })??;
        Ok(Rows::new(epoch, rows, query.row().clone()))
    }

    /// Calls a function with what each step changes in the result of a query, which itself is not kept:
    /// first with all rows that are there once the database is ready ([`ChangesKind::Initial`]), if
    /// there are any. Change sets have no positions.
    ///
    /// The function runs on the engine's thread when all results are up to date, so that it cannot wait
    /// for the database. If it panics, the effect stops and [says so](EffectHandle::error).
    ///
    /// # Errors
    ///
    /// If the query does not hold, or the database was closed.
    pub fn effect<T: 'static>(
        &self,
        query: impl Into<TypedQuery<T>>,
        function: impl FnMut(&ChangeSet<T>) + Send + 'static,
    ) -> Result<EffectHandle, DbError> {
        EffectHandle::start(&self.inner, &query.into(), function)
    }

    /// Reads several live queries as they are after the same step: a tuple of references, or a slice.
    ///
    /// # Errors
    ///
    /// [`DbError::ForeignQuery`] if one is of another database.
    pub fn snapshot_of<Q: Together>(&self, queries: Q) -> Result<Q::Rows, DbError> {
        if !queries.belong_to(self) {
            return Err(DbError::ForeignQuery);
        }
        let epoch = read(&self.inner.epoch);
        let (at, rows) = (*epoch, queries.read());
        drop(epoch);
        Ok(queries.typed(at, rows))
    }

    /// All rows of a collection.
    ///
    /// # Errors
    ///
    /// [`DbError::UnknownCollection`] if the database has none of this name and event type.
    pub fn collection<T: Collection>(&self) -> Result<CollectionHandle<T>, DbError> {
        let row: RowFunction<T> = Arc::new(|value| Ok(from_value(value)?));
        self.collection_as(T::NAME, T::EVENT_TYPE, row)
    }

    /// All rows of a collection that is not a Rust type.
    ///
    /// # Errors
    ///
    /// [`DbError::UnknownCollection`] if the database has none of this name.
    pub fn collection_named(&self, name: &str) -> Result<CollectionHandle<Value>, DbError> {
        let collection = self.inner.shared.catalog.by_name(name);
        let event_type = collection.map_or(SmolStr::default(), |c| c.event_type().clone());
        self.collection_as(name, &event_type, Arc::new(|value| Ok(value.to_owned())))
    }

    fn collection_as<T>(
        &self,
        name: &str,
        event_type: &str,
        row: RowFunction<T>,
    ) -> Result<CollectionHandle<T>, DbError> {
        self.inner.check_named(name, event_type)?;
        let known = lock(&self.inner.collections).get(name).cloned();
        let query = match known {
            Some(query) => query,
            None => {
                // Not under the lock, which an effect may ask for while this waits for the engine.
                let all = Query::from_collection(name, name);
                let query = Arc::new(Installed::start(&self.inner, all)?);
                let mut collections = lock(&self.inner.collections);
                let first = collections
                    .entry(name.into())
                    .or_insert_with(|| query.clone());
                if !Arc::ptr_eq(first, &query) {
                    self.inner.tell(query.uninstall());
                }
                first.clone()
            }
        };
        let query = LiveQuery::of(&self.inner, query, row);
        Ok(CollectionHandle::new(name.into(), query))
    }

    /// The number of queries that run: of live queries, collections that were asked for, and effects.
    ///
    /// # Errors
    ///
    /// If the database was closed.
    pub fn query_count(&self) -> Result<usize, DbError> {
        self.inner.ask(|core| core.engine.query_count())
    }

    /// The rows of all collections and where to go on reading, to start from the next time; see
    /// [`Builder::resume`].
    ///
    /// # Errors
    ///
    /// [`DbError::NotReady`] before all rows are there.
    pub fn snapshot(&self) -> Result<Snapshot, DbError> {
        let version = self.inner.schema_version;
        self.inner.ask(move |core| core.snapshot(version))?
    }
}

/// What a panic left under a lock is as good as before: nothing is changed by halves there.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
