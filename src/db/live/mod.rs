//! Live results: rows that any thread reads, and subscriptions to what changes in them.

mod analyze;
mod hub;
mod subscription;
mod together;

use std::fmt;
#[cfg(feature = "serve")]
use std::sync::Weak;
use std::sync::{Arc, RwLock};

use tokio::sync::watch;

pub(super) use hub::Hub;
#[cfg(feature = "serve")]
pub(crate) use hub::Sink;
pub use subscription::{SubscribeOptions, Subscription};
pub use together::Together;

use super::Inner;
use super::core::Core;
use super::error::{DbError, RowError};
use super::rows::{self, Rows};
use super::status::Status;
use crate::engine::{QueryId, read, write};
use crate::plan::{Explanation, Plan};
use crate::query::{Query, RowFunction, TypedQuery};
use crate::value::Value;
use crate::view::{ResultRows, View};

/// An installed query.
#[derive(Debug)]
pub(super) struct Installed {
    id: QueryId,
    ir: Query,
    /// Another one once a window was moved that was the same as that of other queries.
    view: RwLock<Arc<RwLock<View>>>,
    pub(super) hub: Arc<Hub>,
}

impl Installed {
    pub(super) fn new(id: QueryId, ir: Query, view: Arc<RwLock<View>>) -> Installed {
        Installed {
            id,
            ir,
            view: RwLock::new(view),
            hub: Arc::default(),
        }
    }

    fn view(&self) -> Arc<RwLock<View>> {
        read(&self.view).clone()
    }

    /// Starts a query.
    pub(super) fn start(db: &Inner, ir: Query) -> Result<Installed, DbError> {
        db.ask(move |core| core.install(ir))?
    }

    /// What stops the query.
    pub(super) fn uninstall(&self) -> impl FnOnce(&mut Core) + Send + 'static {
        let id = self.id;
        move |core| core.uninstall(id)
    }
}

/// What the clones of a handle have in common.
#[derive(Debug)]
pub(super) struct LiveInner {
    pub(super) db: Arc<Inner>,
    pub(super) query: Arc<Installed>,
    /// Whether the query ends with its last handle.
    uninstall: bool,
}

impl LiveInner {
    /// The rows as they are now, and after which step.
    fn rows(&self) -> (u64, ResultRows) {
        let epoch = read(&self.db.epoch);
        let rows = read(&self.query.view()).to_rows();
        (*epoch, rows)
    }

    fn epoch(&self) -> u64 {
        *read(&self.db.epoch)
    }
}

impl Drop for LiveInner {
    fn drop(&mut self) {
        if self.uninstall {
            self.db.tell(self.query.uninstall());
        }
    }
}

/// A query whose result is kept up to date, with rows of type `T`.
///
/// Any thread reads it without waiting for the engine, but for the moment in which a step changes the
/// result. Clones are handles of the same query; with the last of them and of its subscriptions the
/// query stops. A handle keeps its database open.
pub struct LiveQuery<T> {
    pub(super) inner: Arc<LiveInner>,
    pub(super) row: RowFunction<T>,
}

impl<T> Clone for LiveQuery<T> {
    fn clone(&self) -> Self {
        LiveQuery {
            inner: self.inner.clone(),
            row: self.row.clone(),
        }
    }
}

impl<T> fmt::Debug for LiveQuery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveQuery")
            .field("id", &self.inner.query.id)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<T> LiveQuery<T> {
    pub(super) fn install(db: &Arc<Inner>, query: TypedQuery<T>) -> Result<Self, DbError> {
        let installed = Installed::start(db, query.ir().clone())?;
        Ok(LiveQuery {
            inner: Arc::new(LiveInner {
                db: db.clone(),
                query: Arc::new(installed),
                uninstall: true,
            }),
            row: query.row().clone(),
        })
    }

    /// A handle of a query that stays installed.
    pub(super) fn of(db: &Arc<Inner>, query: Arc<Installed>, row: RowFunction<T>) -> Self {
        LiveQuery {
            inner: Arc::new(LiveInner {
                db: db.clone(),
                query,
                uninstall: false,
            }),
            row,
        }
    }

    /// The values of all rows in the order of the query; by key where it asks for none.
    ///
    /// # Errors
    ///
    /// Of the first row that is not a `T`. [`LiveQuery::read`] leaves to the caller what to do with it.
    pub fn rows(&self) -> Result<Vec<T>, RowError> {
        self.read().values()
    }

    /// All rows as they are now, to go through them with their keys.
    pub fn read(&self) -> Rows<T> {
        let (epoch, rows) = self.inner.rows();
        Rows::new(epoch, rows, self.row.clone())
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        read(&self.inner.query.view()).len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes a value of what was found. The lock is no longer held then, as this is code of the
    /// application.
    fn decode(&self, found: Option<(String, Value)>) -> Result<Option<T>, RowError> {
        let value = |(key, value): (String, Value)| rows::decode(&self.row, key, &value);
        found.map(value).transpose()
    }

    /// The value of the row with a key, as text. The first call indexes the result by key.
    ///
    /// # Errors
    ///
    /// If the row is not a `T`.
    pub fn get(&self, key: &str) -> Result<Option<T>, RowError> {
        self.index_keys();
        let view = self.inner.query.view();
        let view = read(&view);
        let found = view.get(key).map(|row| (row.key(), row.value()));
        drop(view);
        self.decode(found)
    }

    /// Whether there is a row with a key.
    pub fn contains(&self, key: &str) -> bool {
        self.index_keys();
        read(&self.inner.query.view()).get(key).is_some()
    }

    /// Where the row with a key stands in the order of the query.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.index_keys();
        read(&self.inner.query.view()).position(key)
    }

    fn index_keys(&self) {
        let view = self.inner.query.view();
        if !read(&view).has_keys() {
            write(&view).index_keys();
        }
    }

    /// The value of the row at a position.
    ///
    /// # Errors
    ///
    /// If the row is not a `T`.
    pub fn nth(&self, position: usize) -> Result<Option<T>, RowError> {
        let view = self.inner.query.view();
        let view = read(&view);
        let found = view.nth(position).map(|row| (row.key(), row.value()));
        drop(view);
        self.decode(found)
    }

    /// How far the database is. Before it is ready there are no rows. Of a query that was dropped
    /// alone, as it needed more memory than there may be, it is that error, and the rows stay as they
    /// were before.
    pub fn status(&self) -> Status {
        match self.inner.query.hub.failed() {
            Some(error) => Status::Error(error.clone()),
            None => self.inner.db.shared.status(),
        }
    }

    /// Whether the rows are all that the stream has.
    pub fn is_ready(&self) -> bool {
        self.status().is_ready()
    }

    /// Moves the window of the result to another offset and limit. Subscriptions are told which rows
    /// come into it and which leave. Waits for the engine.
    ///
    /// # Errors
    ///
    /// If the database was closed.
    pub fn set_window(&self, offset: usize, limit: Option<usize>) -> Result<(), DbError> {
        let query = self.inner.query.clone();
        self.inner.db.ask(move |core| {
            let mut moved = Ok(());
            // Others that have the same result keep their window.
            if let Some(view) = core.engine.own_view(query.id) {
                *write(&query.view) = view;
            }
            core.step(|engine| match engine.set_window(query.id, offset, limit) {
                Ok(changes) => [(query.id, changes)].into_iter().collect(),
                Err(error) => {
                    moved = Err(error.into());
                    Default::default()
                }
            });
            moved
        })?
    }

    /// Which query of the database's engine it is, as
    /// [`StreamDb::memory`](super::StreamDb::memory) names it.
    pub fn id(&self) -> QueryId {
        self.inner.query.id
    }

    /// The last step of the engine.
    #[cfg(feature = "serve")]
    pub(crate) fn epoch(&self) -> u64 {
        self.inner.epoch()
    }

    /// Tells a sink of every step from now on; gives the last step that it is not told of.
    #[cfg(feature = "serve")]
    pub(crate) fn attach(&self, sink: Weak<dyn Sink>) -> Result<u64, DbError> {
        let hub = self.inner.query.hub.clone();
        self.inner.db.ask(move |core| {
            hub.attach(sink);
            core.epoch()
        })
    }

    /// The query as data.
    pub fn ir(&self) -> &Query {
        &self.inner.query.ir
    }

    /// The plan that runs.
    pub fn plan(&self) -> Arc<Plan> {
        read(&self.inner.query.view()).plan().clone()
    }

    /// The plan for people and tools, with what it shares with other queries. Waits for the engine.
    pub fn explain(&self) -> Explanation {
        let id = self.inner.query.id;
        let explained = self.inner.db.ask(move |core| core.engine.explain(id));
        let explained = explained.ok().flatten();
        explained.unwrap_or_else(|| self.plan().explain())
    }

    /// All rows as one change set, and then what changes.
    pub fn subscribe(&self) -> Subscription<T> {
        self.subscribe_with(&SubscribeOptions::default())
    }

    /// What changes, with options.
    pub fn subscribe_with(&self, options: &SubscribeOptions) -> Subscription<T> {
        Subscription::new(self.clone(), options)
    }

    /// A signal that holds the step that last changed the result. A user interface waits for it and
    /// then reads what it shows; steps it was too slow for are skipped.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.inner.query.hub.watch()
    }
}
