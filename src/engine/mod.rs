//! The engine: collections, queries, and batches that move them all in one step.

mod batch;

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

pub use batch::{Batch, BatchReader, Reject};

use crate::dataflow::{Dataflow, Runtime};
use crate::plan::Plan;
use crate::query::{Query, QueryError};
use crate::schema::Catalog;
use crate::store::{Action, Changes, Store};
use crate::value::{Row, Tuple};
use crate::view::{ChangeSet, View};

/// Why a query was not installed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The query does not hold.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Names an installed query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    runtime: Runtime,
    store: Store,
    queries: BTreeMap<QueryId, Installed>,
    /// Which feeds read a collection: the query and the feed's place in it.
    readers: Vec<Vec<(QueryId, usize)>>,
    next: u64,
}

#[derive(Debug)]
struct Installed {
    dataflow: Dataflow,
    view: View,
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
            runtime: Runtime::default(),
            store: Store::new(catalog),
            queries: BTreeMap::new(),
            readers: Vec::new(),
            next: 0,
        }
    }

    /// The collections.
    pub fn catalog(&self) -> &Arc<Catalog> {
        self.store.catalog()
    }

    /// The rows of the collections.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Plans a query and starts it on the rows that are there.
    ///
    /// # Errors
    ///
    /// If the query does not hold; the error says where. Other queries are not concerned.
    pub fn install(&mut self, query: &Query) -> Result<QueryId, InstallError> {
        let plan = Plan::new(query, self.store.catalog())?;
        Ok(self.install_plan(plan))
    }

    fn install_plan(&mut self, plan: Plan) -> QueryId {
        let id = QueryId(self.next);
        self.next += 1;
        let mut dataflow = self.runtime.install(&plan.root, &mut self.store);
        for (place, feed) in dataflow.feeds.iter_mut().enumerate() {
            let collection = feed.scan.collection.clone();
            for row in self.store.rows(&collection) {
                let row = Some(row.clone());
                if feed.scan.accepts(&row) {
                    feed.send(Tuple::from_elem(row, 1), 1);
                }
            }
            if self.readers.len() <= collection.id() {
                self.readers.resize_with(collection.id() + 1, Vec::new);
            }
            self.readers[collection.id()].push((id, place));
        }
        self.runtime.begin(&mut dataflow);
        self.runtime.finish(&dataflow);
        let mut view = View::new(Arc::new(plan));
        view.apply(&mut dataflow.output());
        self.queries.insert(id, Installed { dataflow, view });
        id
    }

    /// Stops a query and frees what it held; false if it is not installed.
    pub fn uninstall(&mut self, id: QueryId) -> bool {
        let Some(installed) = self.queries.remove(&id) else {
            return false;
        };
        self.runtime.drop_dataflow(installed.dataflow);
        self.readers
            .iter_mut()
            .for_each(|readers| readers.retain(|(reader, _)| *reader != id));
        true
    }

    /// The result of a query.
    pub fn view(&self, id: QueryId) -> Option<&View> {
        self.queries.get(&id).map(|installed| &installed.view)
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
        let mut touched = Vec::new();
        for (collection, changes) in changes {
            for (id, place) in self.readers.get(collection).into_iter().flatten() {
                if route(&changes, installed(&mut self.queries, *id), *place) {
                    touched.push(*id);
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for id in &touched {
            self.runtime
                .begin(&mut installed(&mut self.queries, *id).dataflow);
        }
        let mut results = BTreeMap::new();
        for id in touched {
            let Installed { dataflow, view } = installed(&mut self.queries, id);
            self.runtime.finish(dataflow);
            let changes = view.apply(&mut dataflow.output());
            if !changes.is_empty() {
                results.insert(id, changes);
            }
        }
        results
    }
}

fn installed(queries: &mut BTreeMap<QueryId, Installed>, id: QueryId) -> &mut Installed {
    queries.get_mut(&id).expect("readers are installed")
}

/// Sends a query what concerns it; false if nothing does.
fn route(changes: &Changes, installed: &mut Installed, place: usize) -> bool {
    let feed = &mut installed.dataflow.feeds[place];
    let mut sent = false;
    let mut send = |row: &Option<Row>, diff| {
        if row.is_some() && feed.scan.accepts(row) {
            feed.send(Tuple::from_elem(row.clone(), 1), diff);
            sent = true;
        }
    };
    for (old, new) in changes {
        send(old, -1);
        send(new, 1);
    }
    sent
}
