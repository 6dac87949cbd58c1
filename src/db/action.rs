//! Actions: changes with a name and a parameter, and handlers of direct changes of collections.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use smol_str::SmolStr;

use super::StreamDb;
use super::collection::CollectionHandle;
use super::context::{BoxError, Handler, MutationContext, MutationFuture, function};
use super::mutate::{MutateError, Mutator, OpenTransaction};
use super::transaction::Transaction;
use crate::schema::Collection;
use crate::value::Value;

/// What makes the changes of a call visible.
pub(super) type OnMutate<P> = Arc<dyn Fn(&Mutator, &P) -> Result<(), MutateError> + Send + Sync>;

type ActionFunction<P> = Arc<dyn Fn(MutationContext, P) -> MutationFuture + Send + Sync>;

/// A kind of change; made by [`StreamDb::action`]. Cheap to clone. It keeps its database open.
pub struct Action<P> {
    db: StreamDb,
    on_mutate: OnMutate<P>,
    function: ActionFunction<P>,
}

impl<P> Clone for Action<P> {
    fn clone(&self) -> Self {
        Action {
            db: self.db.clone(),
            on_mutate: self.on_mutate.clone(),
            function: self.function.clone(),
        }
    }
}

impl<P> fmt::Debug for Action<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action").finish_non_exhaustive()
    }
}

impl<P: Send + 'static> Action<P> {
    /// Makes the changes visible and starts the mutation function.
    ///
    /// # Errors
    ///
    /// Of the function that makes the changes, which may also panic: then nothing stays; and as
    /// [`StreamDb::transaction`].
    pub fn call(&self, parameter: P) -> Result<Transaction, MutateError> {
        let tx = self.db.transaction()?;
        tx.mutate(|tx| (self.on_mutate)(tx, &parameter))?;
        let mutation = self.function.clone();
        Ok(tx.start(Box::new(move |context| mutation(context, parameter))))
    }
}

impl StreamDb {
    /// An action: a function that makes changes at once, and one that makes them last.
    ///
    /// ```
    /// # use tailwater::db::{Action, MutateError, StreamDb};
    /// # use tailwater::value::from_json;
    /// # fn example(db: StreamDb) -> Result<(), MutateError> {
    /// let add = db.action(
    ///     |tx, text: &String| {
    ///         let row = from_json(&format!("{{\"text\":{text:?}}}")).map_err(MutateError::other)?;
    ///         tx.insert_named("todo", text.as_str(), row)
    ///     },
    ///     |ctx, _| async move { ctx.append_mutations().await },
    /// );
    /// add.call("sleep".into())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn action<P, F>(
        &self,
        on_mutate: impl Fn(&Mutator, &P) -> Result<(), MutateError> + Send + Sync + 'static,
        mutation: impl Fn(MutationContext, P) -> F + Send + Sync + 'static,
    ) -> Action<P>
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Action {
            db: self.clone(),
            on_mutate: Arc::new(on_mutate),
            function: Arc::new(move |context, parameter| Box::pin(mutation(context, parameter))),
        }
    }
}

/// The mutation functions of direct changes.
#[derive(Clone, Default)]
pub(super) struct Handlers {
    pub(super) default: Option<Handler>,
    pub(super) of: HashMap<SmolStr, Handler>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("default", &self.default.is_some())
            .field("of", &self.of.keys())
            .finish()
    }
}

impl<T> CollectionHandle<T> {
    fn change(
        &self,
        on_mutate: impl FnOnce(&OpenTransaction, &str) -> Result<(), MutateError>,
    ) -> Result<Transaction, MutateError> {
        let db = StreamDb {
            inner: self.query().inner.db.clone(),
        };
        let handlers = &db.inner.handlers;
        let own = handlers.of.get(self.name());
        let Some(handler) = own.or(handlers.default.as_ref()).cloned() else {
            let collection = self.name().clone();
            return Err(MutateError::NoHandler { collection });
        };
        let tx = db.transaction()?;
        on_mutate(&tx, self.name())?;
        Ok(tx.start(function(move |context| handler(context))))
    }
}

/// Changes in a transaction of their own, which the mutation function of the collection makes last: see
/// [`Builder::on_mutate`](super::Builder::on_mutate). Errors are those of [`Mutator`]'s methods, and
/// [`MutateError::NoHandler`].
#[allow(clippy::missing_errors_doc, reason = "they are said once, above")]
impl<T: Collection> CollectionHandle<T> {
    /// Makes a row; see [`Mutator::insert`].
    pub fn insert(&self, row: &T) -> Result<Transaction, MutateError> {
        self.change(|tx, _| tx.insert(row))
    }

    /// Changes a row; see [`Mutator::update`].
    pub fn update(
        &self,
        key: impl Into<SmolStr>,
        change: impl FnOnce(&mut T),
    ) -> Result<Transaction, MutateError> {
        self.change(|tx, _| tx.update(key, change))
    }

    /// Removes a row; see [`Mutator::delete`].
    pub fn delete(&self, key: impl Into<SmolStr>) -> Result<Transaction, MutateError> {
        self.change(|tx, _| tx.delete::<T>(key))
    }
}

/// The same of a collection that is not a Rust type.
#[allow(clippy::missing_errors_doc, reason = "they are said once, above")]
impl CollectionHandle<Value> {
    /// Makes a row; see [`Mutator::insert_named`].
    pub fn insert(
        &self,
        key: impl Into<SmolStr>,
        row: impl Into<Value>,
    ) -> Result<Transaction, MutateError> {
        self.change(|tx, name| tx.insert_named(name, key, row))
    }

    /// Gives fields of a row other values; see [`Mutator::update_named`].
    pub fn update<N: Into<SmolStr>>(
        &self,
        key: impl Into<SmolStr>,
        fields: impl IntoIterator<Item = (N, Value)>,
    ) -> Result<Transaction, MutateError> {
        self.change(|tx, name| tx.update_named(name, key, fields))
    }

    /// Removes a row; see [`Mutator::delete_named`].
    pub fn delete(&self, key: impl Into<SmolStr>) -> Result<Transaction, MutateError> {
        self.change(|tx, name| tx.delete_named(name, key))
    }
}
