//! How a database is opened.

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::ThreadId;
use std::time::Duration;

use serde_json::{Value, json};
use smol_str::SmolStr;

use super::action::Handlers;
use super::context::{BoxError, MutationContext, handler};
use super::core::Core;
use super::error::DbError;
use super::intake::{Hooks, Intake};
use super::keep::{Keep, Keeping};
use super::shared::Shared;
use super::snapshot::Snapshot;
use super::{Inner, StreamDb};
use crate::engine::{Engine, Workers};
use crate::protocol::RawChange;
use crate::schema::{Catalog, Collection, StateSchema};
use crate::store::Store;
use crate::stream::{Batch, DurableStream, Live, Offset, StreamError};

/// Where a database reads from: a URL or a handle of a stream.
pub trait IntoStream {
    #[doc(hidden)]
    fn into_stream(self) -> Result<DurableStream, StreamError>;
}

impl IntoStream for DurableStream {
    fn into_stream(self) -> Result<DurableStream, StreamError> {
        Ok(self)
    }
}

impl IntoStream for &str {
    fn into_stream(self) -> Result<DurableStream, StreamError> {
        DurableStream::new(self)
    }
}

impl IntoStream for &String {
    fn into_stream(self) -> Result<DurableStream, StreamError> {
        DurableStream::new(self)
    }
}

impl IntoStream for String {
    fn into_stream(self) -> Result<DurableStream, StreamError> {
        DurableStream::new(self)
    }
}

struct Declared {
    name: &'static str,
    event_type: &'static str,
    primary_key: &'static str,
}

/// Options of a [`StreamDb`].
pub struct Builder {
    stream: Result<DurableStream, StreamError>,
    collections: Vec<Declared>,
    catalog: Option<Arc<Catalog>>,
    live: Live,
    offset: Offset,
    strict: bool,
    dead_letters: usize,
    clock_tick: Duration,
    memory_limit: Option<usize>,
    query_memory_limit: Option<usize>,
    workers: Workers,
    schema_version: u64,
    snapshot: Option<Snapshot>,
    keep: Option<Keep>,
    identify: bool,
    hooks: Hooks,
    handlers: Handlers,
    txid_timeout: Duration,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(super) fn new(stream: impl IntoStream) -> Builder {
        Builder {
            stream: stream.into_stream(),
            collections: Vec::new(),
            catalog: None,
            live: Live::Auto,
            offset: Offset::START,
            strict: false,
            dead_letters: 100,
            clock_tick: Duration::from_secs(1),
            memory_limit: None,
            query_memory_limit: None,
            workers: Workers::threads(1),
            schema_version: 0,
            snapshot: None,
            keep: None,
            identify: false,
            hooks: Hooks::default(),
            handlers: Handlers::default(),
            txid_timeout: Duration::from_secs(5),
        }
    }

    /// Adds a collection. With any, events of other types are ignored; without, every event type is a
    /// collection of that name.
    pub fn collection<T: Collection>(mut self) -> Builder {
        self.collections.push(Declared {
            name: T::NAME,
            event_type: T::EVENT_TYPE,
            primary_key: T::PRIMARY_KEY,
        });
        self
    }

    /// The collections, where they are not Rust types. Instead of [`Builder::collection`].
    pub fn catalog(mut self, catalog: impl Into<Arc<Catalog>>) -> Builder {
        self.catalog = Some(catalog.into());
        self
    }

    /// The collections of a schema, with its rules: a transaction that would break them is refused, with
    /// [`MutationError::Rules`](crate::store::MutationError::Rules) and nothing changed. An update is judged by
    /// the row as a whole. Of what comes in, rules of Rust types are not asked, as who writes answers for
    /// them; rows that break a JSON Schema become [dead letters](StreamDb::dead_letters). Instead of
    /// [`Builder::collection`] and [`Builder::catalog`].
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use tailwater::db::{DbError, MutateError, StreamDb, append_mutations};
    /// # use tailwater::schema::{Collection, Issue, StateSchema};
    /// # #[derive(Serialize, Deserialize)]
    /// # struct User { id: String, name: String }
    /// # impl Collection for User {
    /// #     const NAME: &'static str = "users";
    /// #     const EVENT_TYPE: &'static str = "user";
    /// #     const PRIMARY_KEY: &'static str = "id";
    /// #     type Columns = ();
    /// #     fn columns(_: &str) {}
    /// #     fn key(&self) -> String { self.id.clone() }
    /// # }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let schema = StateSchema::builder()
    ///     .collection_with(|user: &User| match user.name.as_str() {
    ///         "" => Err(Issue::new("must not be empty").at(["name"]).into()),
    ///         _ => Ok(()),
    ///     })
    ///     .build()?;
    /// let db = StreamDb::builder("http://127.0.0.1:4437/v1/stream/users").schema(&schema).open()?;
    /// db.preload().await?;
    /// let nobody = User { id: "1".into(), name: "".into() };
    /// let error = db.mutate(|tx| tx.insert(&nobody), append_mutations).unwrap_err();
    /// assert_eq!(error.to_string(), "collection `users`, key `1`: name: must not be empty");
    /// # Ok(())
    /// # }
    /// ```
    pub fn schema(self, schema: &StateSchema) -> Builder {
        self.catalog(schema.catalog())
    }

    /// What happens when the stream was read up to date; [`Live::Auto`] by default.
    pub fn live(mut self, live: Live) -> Builder {
        self.live = live;
        self
    }

    /// Where to begin to read, if not at the start. What came before is as if it never had been; to
    /// skip what is known already, see [`Builder::resume`].
    pub fn offset(mut self, offset: impl Into<Offset>) -> Builder {
        self.offset = offset.into();
        self
    }

    /// Stops at the first message that is wrong, with [`DbError::Message`]. By default such messages
    /// are skipped and kept as [dead letters](StreamDb::dead_letters).
    pub fn strict(mut self, strict: bool) -> Builder {
        self.strict = strict;
        self
    }

    /// How many of the messages that were skipped are kept; 100 by default.
    pub fn keep_dead_letters(mut self, count: usize) -> Builder {
        self.dead_letters = count;
        self
    }

    /// How often `now()` in queries moves on, at most every millisecond; every second by default.
    pub fn clock_tick(mut self, every: Duration) -> Builder {
        self.clock_tick = every.clamp(Duration::from_millis(1), Duration::from_secs(86_400));
        self
    }

    /// A number that snapshots carry, to be changed when rows of older snapshots would not do any
    /// more; 0 by default.
    pub fn schema_version(mut self, version: u64) -> Builder {
        self.schema_version = version;
        self
    }

    /// Starts with the rows of a snapshot and reads only what came after it.
    pub fn resume(mut self, snapshot: Snapshot) -> Builder {
        self.snapshot = Some(snapshot);
        self
    }

    /// Keeps a snapshot in a directory, and starts from it the next time: only what came after it is
    /// read then. It is written now and then, in the background, while the database runs, and holds the
    /// rows, where they are in the stream, the latest transactions for
    /// [`await_txid`](StreamDb::await_txid), and the dead letters; what is pending is not in it.
    ///
    /// A snapshot that does not fit is set aside, as `snapshot.rejected`, and the stream is read from its
    /// start: if it is damaged or of another format, of another stream, of a stream that has been made
    /// anew or no longer has what followed, or of another schema. Where rules of rows changed, change
    /// [`Builder::schema_version`], too. [`StreamDb::kept`] tells what became of it. It goes before
    /// [`Builder::resume`] and [`Builder::offset`].
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use tailwater::db::StreamDb;
    ///
    /// let db = StreamDb::builder("http://127.0.0.1:4437/v1/stream/orders")
    ///     .keep("/var/lib/orders")
    ///     .open()?;
    /// db.preload().await?;
    /// println!("{:?}", db.kept());
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep(mut self, keep: impl Into<Keep>) -> Builder {
        self.keep = Some(keep.into());
        self.identify = true;
        self
    }

    /// Asks the server which stream it is, so that another one that has the URL later is noticed.
    #[cfg(feature = "serve")]
    pub(crate) fn identify(mut self) -> Builder {
        self.identify = true;
        self
    }

    /// Calls a function with each batch before its messages are looked at. Hooks run on the engine's
    /// thread, so that they cannot wait for the database; if one panics, reading stops with
    /// [`DbError::Panicked`].
    pub fn on_before_batch(mut self, hook: impl FnMut(&Batch) + Send + 'static) -> Builder {
        self.hooks.before_batch = Some(Box::new(hook));
        self
    }

    /// Calls a function with each change message, of unknown types too, before it is visible.
    pub fn on_event(mut self, hook: impl FnMut(&RawChange<'_>) + Send + 'static) -> Builder {
        self.hooks.event = Some(Box::new(hook));
        self
    }

    /// Calls a function with each batch when its messages were looked at, before they are visible.
    pub fn on_batch(mut self, hook: impl FnMut(&Batch) + Send + 'static) -> Builder {
        self.hooks.batch = Some(Box::new(hook));
        self
    }

    /// How long a transaction is waited for, if nothing else is said; 5 seconds by default.
    pub fn txid_timeout(mut self, timeout: Duration) -> Builder {
        self.txid_timeout = timeout;
        self
    }

    /// The mutation function of direct changes of collections, such as
    /// [`CollectionHandle::insert`](super::CollectionHandle::insert); mostly
    /// [`append_mutations`](super::append_mutations). Without any, direct changes are refused.
    ///
    /// ```
    /// # use tailwater::db::{DbError, StreamDb, append_mutations};
    /// # use tailwater::value::from_json;
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let db = StreamDb::builder("http://127.0.0.1:4437/v1/stream/todos")
    ///     .on_mutate(append_mutations)
    ///     .open()?;
    /// db.preload().await?;
    /// let todos = db.collection_named("todo")?;
    /// todos.insert("1", from_json(r#"{"text":"sleep"}"#)?)?.is_persisted().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_mutate<F>(
        mut self,
        mutation: impl Fn(MutationContext) -> F + Send + Sync + 'static,
    ) -> Builder
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.handlers.default = Some(handler(mutation));
        self
    }

    /// As [`Builder::on_mutate`], of one collection, by its name. It goes before the one of all.
    pub fn on_mutate_of<F>(
        mut self,
        collection: impl Into<SmolStr>,
        mutation: impl Fn(MutationContext) -> F + Send + Sync + 'static,
    ) -> Builder
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let handler = handler(mutation);
        self.handlers.of.insert(collection.into(), handler);
        self
    }

    fn make_catalog(&mut self) -> Result<Arc<Catalog>, DbError> {
        if let Some(catalog) = self.catalog.take() {
            return Ok(catalog);
        }
        if self.collections.is_empty() {
            return Ok(Arc::new(Catalog::open()));
        }
        let mut collections = serde_json::Map::new();
        for declared in &self.collections {
            let entry = json!({"type": declared.event_type, "primaryKey": declared.primary_key});
            if collections.insert(declared.name.into(), entry).is_some() {
                return Err(DbError::DuplicateCollection {
                    name: declared.name.into(),
                });
            }
        }
        let schema = json!({"collections": Value::Object(collections)}).to_string();
        let catalog = Catalog::from_json(&schema).map_err(Arc::new)?;
        Ok(Arc::new(catalog))
    }

    /// How many bytes the collections and queries may take together. When it is more, the query that
    /// holds most is dropped, and so on: see [`Engine::set_memory_limit`](crate::engine::Engine::set_memory_limit).
    /// The [status](super::LiveQuery::status) of a dropped query is the error; the database and other
    /// queries go on. Without a limit by default.
    pub fn memory_limit(mut self, bytes: usize) -> Builder {
        self.memory_limit = Some(bytes);
        self
    }

    /// How many bytes each query may take; one that needs more is refused or dropped alone. Without a
    /// limit by default.
    pub fn query_memory_limit(mut self, bytes: usize) -> Builder {
        self.query_memory_limit = Some(bytes);
        self
    }

    /// Lets queries run on several workers, of which this process has the first. Limits of memory know
    /// nothing of what is kept there.
    pub fn workers(mut self, workers: Workers) -> Builder {
        self.workers = workers;
        self
    }

    /// Opens the database and starts its thread. Nothing is sent before
    /// [`preload`](StreamDb::preload) is called.
    ///
    /// # Errors
    ///
    /// If the URL is none, the collections do not hold, the snapshot does not fit them, or the workers
    /// do not start.
    pub fn open(mut self) -> Result<StreamDb, DbError> {
        let catalog = self.make_catalog()?;
        let stream = self.stream?;
        let mut rows = Vec::new();
        let mut offset = self.offset;
        if let Some(snapshot) = self.snapshot {
            snapshot.check(&catalog, self.schema_version)?;
            offset = snapshot.offset();
            rows = snapshot.into_actions(&catalog)?;
        }
        let shared = Arc::new(Shared::new(catalog, offset.clone(), self.dead_letters));
        let (commands, inbox) = mpsc::channel();
        let (ready, started) = mpsc::channel();
        let url = stream.url();
        let (hooks, strict, clock_tick) = (self.hooks, self.strict, self.clock_tick);
        let core_shared = shared.clone();
        let limits = (self.memory_limit, self.query_memory_limit);
        let workers = self.workers;
        let keeping = self.keep.clone();
        let make = move || {
            let mut store = Store::new(core_shared.catalog.clone());
            store.apply(rows);
            let keeping = keeping.map(|keep| Keeping::new(keep, &url));
            let intake = Intake::new(store, offset, hooks, strict, url, keeping);
            let mut engine = Engine::with_workers(core_shared.catalog.clone(), &workers)?;
            engine.set_memory_limit(limits.0);
            engine.set_query_memory_limit(limits.1);
            Ok::<_, DbError>(Core::new(engine, core_shared, intake, clock_tick))
        };
        let run = move || {
            let mut core: Core = match make() {
                Ok(core) => core,
                Err(error) => return drop(ready.send(Err(error))),
            };
            if ready.send(Ok(core.engine.epoch().clone())).is_err() {
                return;
            }
            #[cfg(all(test, feature = "serve"))]
            if crate::system::simulated::is_on() {
                return super::simulated::adopt(core, inbox);
            }
            core.run(&inbox);
        };
        let engine_thread = start(run).map_err(|error| DbError::Thread(Arc::new(error)))?;
        let epoch = started.recv().map_err(|_| DbError::Closed)??;
        Ok(StreamDb {
            inner: Arc::new(Inner {
                shared,
                commands,
                epoch,
                engine_thread,
                stream,
                live: self.live,
                strict,
                keep: self.keep,
                identify: self.identify,
                schema_version: self.schema_version,
                handlers: self.handlers,
                txid_timeout: self.txid_timeout,
                runtime: OnceLock::new(),
                appending: tokio::sync::Mutex::default(),
                task: Mutex::default(),
                collections: Mutex::default(),
            }),
        })
    }
}

/// Starts the engine's thread.
fn start(run: impl FnOnce() + Send + 'static) -> std::io::Result<ThreadId> {
    #[cfg(all(test, feature = "serve"))]
    if crate::system::simulated::is_on() {
        run();
        return Ok(super::simulated::another_thread());
    }
    let thread = std::thread::Builder::new().name("tailwater-db".into());
    Ok(thread.spawn(run)?.thread().id())
}
