//! Making changes: in transactions that are open, by typed calls over one dynamic core.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use serde::de;
use smol_str::SmolStr;
use thiserror::Error;

use super::context::{self, BoxError, Function, MutationContext, function};
use super::core::caught;
use super::error::DbError;
use super::transaction::{Shared, Transaction, TransactionError, TransactionState};
use super::{Inner, StreamDb, lock};
use crate::schema::Collection;
use crate::store::{Mutation, MutationError, TransactionId};
use crate::value::{DecodeError, Value, ValueRef, from_value, to_value};

/// Why nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MutateError {
    /// The change does not suit the rows: a key is there or is not, or must stay; the row would break
    /// the rules of its collection; or there is no such collection.
    #[error(transparent)]
    Mutation(#[from] MutationError),
    /// A row's key is empty, which no event can carry.
    #[error("a row of collection `{collection}` has an empty key")]
    EmptyKey {
        /// The collection.
        collection: SmolStr,
    },
    /// A row is not a value of its Rust type, or the value cannot be a row.
    #[error("collection `{collection}`, key `{key}`: {source}")]
    Row {
        /// The collection.
        collection: SmolStr,
        /// The row's key.
        key: SmolStr,
        /// What is wrong.
        source: DecodeError,
    },
    /// The transaction can no longer be added to, or taken back.
    #[error("transaction {transaction} is {state}")]
    Over {
        /// The transaction's number.
        transaction: u64,
        /// How far it is.
        state: TransactionState,
    },
    /// The stream has ended, so that nothing could confirm a change.
    #[error("the stream has ended, so that nothing could confirm a change")]
    Ended,
    /// The collection has no mutation function.
    #[error(
        "collection `{collection}` has no mutation function (register one with `on_mutate`, or change rows in a transaction)"
    )]
    NoHandler {
        /// The collection.
        collection: SmolStr,
    },
    /// The database is not ready or was closed, or the function that makes the changes panicked.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Whatever the function that makes the changes says.
    #[error(transparent)]
    Other(BoxError),
}

impl MutateError {
    /// An error of the application.
    pub fn other(error: impl Into<BoxError>) -> MutateError {
        MutateError::Other(error.into())
    }
}

/// Makes changes in a transaction.
///
/// When a call returns, what it changed is visible in all live queries; after an error nothing has
/// changed. Calls wait for the engine.
pub struct Mutator {
    db: Arc<Inner>,
    tx: Arc<Shared>,
    /// What was done through this one.
    parts: Mutex<Vec<TransactionId>>,
}

impl fmt::Debug for Mutator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutator")
            .field("transaction", &self.tx.id)
            .finish_non_exhaustive()
    }
}

impl Mutator {
    fn new(db: &Arc<Inner>, tx: &Arc<Shared>) -> Mutator {
        Mutator {
            db: db.clone(),
            tx: tx.clone(),
            parts: Mutex::default(),
        }
    }

    /// The transaction's number.
    pub fn id(&self) -> u64 {
        self.tx.id
    }

    /// Makes changes, all of them or none, as one step for all queries.
    ///
    /// # Errors
    ///
    /// As [`Engine::mutate`](crate::engine::Engine::mutate), and if the transaction is over or the
    /// database does not take changes.
    pub fn apply(&self, mutations: impl IntoIterator<Item = Mutation>) -> Result<(), MutateError> {
        let (tx, mutations) = (self.tx.clone(), mutations.into_iter().collect());
        let part = self.db.ask(move |core| core.mutate(&tx, mutations))??;
        lock(&self.parts).push(part);
        Ok(())
    }

    /// Makes a row.
    ///
    /// # Errors
    ///
    /// [`MutationError::DuplicateKey`] if a row with its key is visible, and as [`Mutator::apply`].
    pub fn insert<T: Collection>(&self, row: &T) -> Result<(), MutateError> {
        self.db.check::<T>()?;
        let key = SmolStr::from(row.key());
        let value = written(&key, row)?;
        self.insert_named(T::NAME, key, value)
    }

    /// Changes a row: the function is given the visible one. Only the fields that it changes are
    /// covered; others go on showing what comes in.
    ///
    /// ```
    /// # use tailwater::db::{MutateError, Mutator};
    /// # use tailwater::schema::Collection;
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct User { id: String, name: String }
    /// # impl Collection for User {
    /// #     const NAME: &'static str = "users";
    /// #     const EVENT_TYPE: &'static str = "user";
    /// #     const PRIMARY_KEY: &'static str = "id";
    /// #     type Columns = ();
    /// #     fn columns(_: &str) {}
    /// #     fn key(&self) -> String { self.id.clone() }
    /// # }
    /// fn rename(tx: &Mutator) -> Result<(), MutateError> {
    ///     tx.update::<User>("1", |user| user.name = "Ada".into())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`MutationError::UnknownKey`] if there is no such row, [`MutationError::KeyChange`] if its key
    /// is changed, [`MutateError::Row`] if it is not a `T`, and as [`Mutator::apply`].
    pub fn update<T: Collection>(
        &self,
        key: impl Into<SmolStr>,
        change: impl FnOnce(&mut T),
    ) -> Result<(), MutateError> {
        let key = key.into();
        let mut row = self.get::<T>(&key)?.ok_or_else(|| {
            let (collection, key) = (T::NAME.into(), key.clone());
            MutationError::UnknownKey { collection, key }
        })?;
        let old = written(&key, &row)?;
        change(&mut row);
        let new = written(&key, &row)?;
        if old == new {
            return Ok(());
        }
        match (old.as_ref(), new.as_ref()) {
            (ValueRef::Object(old), ValueRef::Object(new)) => {
                let changed = new.iter().filter(|(name, value)| old.get(name) != *value);
                let is_gone = |name: &str| matches!(new.get(name), ValueRef::Missing);
                let removed = old.iter().filter(|(name, _)| is_gone(name));
                let fields = changed
                    .map(|(name, value)| (name, value.to_owned()))
                    .chain(removed.map(|(name, _)| (name, Value::Missing)));
                self.update_named(T::NAME, key.clone(), fields)
            }
            _ => self.apply([Mutation::replace(T::NAME, key.clone(), new)]),
        }
    }

    /// Removes a row.
    ///
    /// # Errors
    ///
    /// [`MutationError::UnknownKey`] if there is no such row, and as [`Mutator::apply`].
    pub fn delete<T: Collection>(&self, key: impl Into<SmolStr>) -> Result<(), MutateError> {
        self.db.check::<T>()?;
        self.delete_named(T::NAME, key)
    }

    /// The visible row of a key.
    ///
    /// # Errors
    ///
    /// If there is no such collection, the row is not a `T`, or the database was closed.
    pub fn get<T: Collection>(&self, key: &str) -> Result<Option<T>, MutateError> {
        self.db.check::<T>()?;
        let row = self.get_named(T::NAME, key)?;
        let row = row.map(|row| from_value(row.as_ref()));
        row.transpose()
            .map_err(|source| row_error::<T>(key, source))
    }

    /// As [`Mutator::insert`], of a collection that is not a Rust type.
    ///
    /// # Errors
    ///
    /// As [`Mutator::insert`].
    pub fn insert_named(
        &self,
        collection: &str,
        key: impl Into<SmolStr>,
        row: impl Into<Value>,
    ) -> Result<(), MutateError> {
        self.apply([Mutation::insert(collection, key, row.into())])
    }

    /// Gives fields of a row other values; [`Value::Missing`] takes a field away.
    ///
    /// # Errors
    ///
    /// As [`Mutator::update`], and [`MutationError::NoFields`] if the row is no object; such a one is
    /// changed by [`Mutation::replace`].
    pub fn update_named<N: Into<SmolStr>>(
        &self,
        collection: &str,
        key: impl Into<SmolStr>,
        fields: impl IntoIterator<Item = (N, Value)>,
    ) -> Result<(), MutateError> {
        self.apply([Mutation::update(collection, key, fields)])
    }

    /// As [`Mutator::delete`], of a collection that is not a Rust type.
    ///
    /// # Errors
    ///
    /// As [`Mutator::delete`].
    pub fn delete_named(
        &self,
        collection: &str,
        key: impl Into<SmolStr>,
    ) -> Result<(), MutateError> {
        self.apply([Mutation::delete(collection, key)])
    }

    /// As [`Mutator::get`], of a collection that is not a Rust type.
    ///
    /// # Errors
    ///
    /// As [`Mutator::get`].
    pub fn get_named(&self, collection: &str, key: &str) -> Result<Option<Value>, MutateError> {
        let (collection, key) = (SmolStr::from(collection), SmolStr::from(key));
        self.db.ask(move |core| core.row(&collection, &key))?
    }
}

/// A value of the application as a row.
fn written<T: Collection>(key: &str, row: &T) -> Result<Value, MutateError> {
    to_value(row).map_err(|error| row_error::<T>(key, de::Error::custom(error)))
}

fn row_error<T: Collection>(key: &str, source: DecodeError) -> MutateError {
    MutateError::Row {
        collection: T::NAME.into(),
        key: key.into(),
        source,
    }
}

/// A transaction that changes are added to, until it is committed. If it is dropped instead, it is
/// rolled back.
#[derive(Debug)]
pub struct OpenTransaction {
    mutator: Mutator,
    committed: bool,
}

impl Deref for OpenTransaction {
    type Target = Mutator;

    fn deref(&self) -> &Mutator {
        &self.mutator
    }
}

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        if !self.committed {
            self.db.fail(&self.tx, TransactionError::Dropped);
        }
    }
}

impl OpenTransaction {
    /// The handle that remains when this is committed.
    pub fn handle(&self) -> Transaction {
        Transaction {
            db: self.db.clone(),
            tx: self.tx.clone(),
        }
    }

    /// How far it is: [`TransactionState::Failed`] if an earlier transaction took it along, or the
    /// database was closed.
    pub fn state(&self) -> TransactionState {
        self.tx.state()
    }

    /// Adds the changes of a function. If it fails or panics, none of them stay, and the transaction is
    /// as it was before.
    ///
    /// # Errors
    ///
    /// Of the function, and [`DbError::Panicked`].
    pub fn mutate(
        &self,
        on_mutate: impl FnOnce(&Mutator) -> Result<(), MutateError>,
    ) -> Result<(), MutateError> {
        let mutator = Mutator::new(&self.db, &self.tx);
        let made = caught("on_mutate", || on_mutate(&mutator));
        let made = made.map_err(MutateError::from).and_then(|made| made);
        let parts = std::mem::take(&mut *lock(&mutator.parts));
        if made.is_err() && !parts.is_empty() {
            let tx = self.tx.clone();
            // If the database was closed meanwhile, nothing stays anyway.
            let _ = self.db.ask(move |core| core.revert(&tx, &parts));
        }
        made
    }

    /// Starts a mutation function that makes the changes last, on the tokio runtime of the database.
    /// Without any changes the function is not called.
    pub fn persist<F>(
        self,
        mutation: impl FnOnce(MutationContext) -> F + Send + 'static,
    ) -> Transaction
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.start(function(mutation))
    }

    /// As [`OpenTransaction::persist`], and waits until the transaction is over.
    ///
    /// # Errors
    ///
    /// Why it failed.
    pub async fn commit<F>(
        self,
        mutation: impl FnOnce(MutationContext) -> F + Send + 'static,
    ) -> Result<(), TransactionError>
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.persist(mutation).is_persisted().await
    }

    /// Takes all changes back; see [`Transaction::rollback`].
    pub fn rollback(self) {
        // It cannot be completed yet; and if it cannot be rolled back it failed already.
        let _ = self.handle().rollback();
    }

    pub(super) fn start(mut self, function: Function) -> Transaction {
        let handle = self.handle();
        let tx = self.tx.clone();
        match self.db.ask(move |core| core.begin_commit(&tx)) {
            Ok(Ok(mutations)) if !mutations.is_empty() => {
                let db = StreamDb {
                    inner: self.db.clone(),
                };
                let context = MutationContext::new(db, self.tx.clone(), mutations);
                match self.db.runtime.get() {
                    Some(runtime) => drop(runtime.spawn(context::run(context, function))),
                    None => self.db.fail(&self.tx, DbError::NoRuntime.into()),
                }
            }
            // It was completed, or failed before.
            Ok(_) => {}
            Err(error) => self.db.fail(&self.tx, error.into()),
        }
        self.committed = true;
        handle
    }
}

impl StreamDb {
    /// Begins a transaction.
    ///
    /// ```
    /// # use tailwater::db::{StreamDb, append_mutations};
    /// # use tailwater::value::from_json;
    /// # async fn example(db: StreamDb) -> Result<(), Box<dyn std::error::Error>> {
    /// let tx = db.transaction()?;
    /// tx.insert_named("todo", "1", from_json(r#"{"text":"sleep"}"#)?)?;
    /// tx.delete_named("todo", "0")?;
    /// tx.commit(append_mutations).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DbError::NotReady`] before the stream was read up to date, [`MutateError::Ended`] after its
    /// end, and what ended the reading.
    pub fn transaction(&self) -> Result<OpenTransaction, MutateError> {
        let tx = self.inner.ask(|core| core.open_transaction())??;
        Ok(OpenTransaction {
            mutator: Mutator::new(&self.inner, &tx),
            committed: false,
        })
    }

    /// Makes changes in a transaction of their own, and starts a mutation function that makes them last.
    ///
    /// # Errors
    ///
    /// Of the first function, which may also panic: then nothing stays; and as
    /// [`StreamDb::transaction`].
    pub fn mutate<F>(
        &self,
        on_mutate: impl FnOnce(&Mutator) -> Result<(), MutateError>,
        mutation: impl FnOnce(MutationContext) -> F + Send + 'static,
    ) -> Result<Transaction, MutateError>
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let tx = self.transaction()?;
        tx.mutate(on_mutate)?;
        Ok(tx.persist(mutation))
    }
}
