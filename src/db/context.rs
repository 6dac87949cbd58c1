//! Mutation functions: what makes a transaction last.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use smol_str::{SmolStr, format_smolstr};

use super::core::message;
use super::error::DbError;
use super::transaction::{Outcome, Shared, TransactionError};
use super::{StreamDb, lock};
use crate::store::TransactionId;
use crate::stream::DurableStream;
use crate::value::{DecodeError, Value, from_value};
use crate::view::ChangeKind;

/// What a mutation function fails with: whatever can be an error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What a mutation function gives.
pub(super) type MutationFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// A mutation function that is called once.
pub(super) type Function = Box<dyn FnOnce(MutationContext) -> MutationFuture + Send>;

/// A mutation function that is called again and again.
pub(super) type Handler = Arc<dyn Fn(MutationContext) -> MutationFuture + Send + Sync>;

/// A mutation function without its type.
pub(super) fn function<F>(f: impl FnOnce(MutationContext) -> F + Send + 'static) -> Function
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    Box::new(move |context| Box::pin(f(context)))
}

/// As [`function`], to be called again and again.
pub(super) fn handler<F>(f: impl Fn(MutationContext) -> F + Send + Sync + 'static) -> Handler
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    Arc::new(move |context| Box::pin(f(context)))
}

/// What a transaction does to one row, all its calls put together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PendingMutation {
    /// The collection's name.
    pub collection: SmolStr,
    /// The row's key.
    pub key: SmolStr,
    /// What is done.
    pub kind: ChangeKind,
    /// The row as it was; not of an insert.
    pub old: Option<Value>,
    /// The row as it was made; not of a delete. What came in since is not in it: see
    /// [`MutationContext::append_mutations`].
    pub new: Option<Value>,
    /// The last part of the transaction that touches the row.
    pub(super) part: TransactionId,
}

impl PendingMutation {
    /// The row as a value of a Rust type: as it was made, or of a delete as it was.
    ///
    /// # Errors
    ///
    /// If it is not a `T`.
    pub fn row<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        let row = self.new.as_ref().or(self.old.as_ref());
        from_value(row.unwrap_or(&Value::Missing).as_ref())
    }
}

/// What a mutation function works with. Cheap to clone.
///
/// A function that appends to the stream says by which txid its events come back, with
/// [`expect_txid`](Self::expect_txid) or [`await_txid`](Self::await_txid): then the optimistic changes
/// are dropped in the very step that brings the confirmed ones, and nothing flickers. Without any
/// they are dropped when the function returns.
#[derive(Clone)]
pub struct MutationContext {
    db: StreamDb,
    tx: Arc<Shared>,
    mutations: Arc<[PendingMutation]>,
    txids: Arc<Mutex<Vec<SmolStr>>>,
}

impl fmt::Debug for MutationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutationContext")
            .field("transaction", &self.tx.id)
            .field("mutations", &self.mutations)
            .finish_non_exhaustive()
    }
}

impl MutationContext {
    pub(super) fn new(db: StreamDb, tx: Arc<Shared>, mutations: Vec<PendingMutation>) -> Self {
        MutationContext {
            db,
            tx,
            mutations: mutations.into(),
            txids: Arc::default(),
        }
    }

    /// The database.
    pub fn db(&self) -> &StreamDb {
        &self.db
    }

    /// The database's stream, to append to.
    pub fn stream(&self) -> &DurableStream {
        self.db.stream()
    }

    /// The transaction's number.
    pub fn transaction(&self) -> u64 {
        self.tx.id
    }

    /// What the transaction changed: at most one mutation of each row, in the order in which the rows
    /// were touched first.
    pub fn mutations(&self) -> &[PendingMutation] {
        &self.mutations
    }

    /// Says that what comes with this txid confirms the transaction. To be called before the events are
    /// appended; with several, the last to come confirms. The transaction is completed when the function
    /// has returned and all have come.
    pub fn expect_txid(&self, txid: impl Into<SmolStr>) {
        let txid = txid.into();
        lock(&self.txids).push(txid.clone());
        let tx = self.tx.clone();
        self.db.inner.tell(move |core| core.expect_txid(&tx, txid));
    }

    /// As [`expect_txid`](Self::expect_txid), and waits until it came.
    ///
    /// # Errors
    ///
    /// As [`StreamDb::await_txid`].
    pub async fn await_txid(&self, txid: impl Into<SmolStr>) -> Result<(), DbError> {
        let txid = txid.into();
        self.expect_txid(txid.clone());
        self.db.await_txid(txid, None).await
    }

    /// Appends the mutations as State Protocol events with a txid of their own, in one batch, and waits
    /// until they came back.
    ///
    /// An update's event has the whole row: the fields that this transaction changed, on top of what
    /// came in and what other transactions changed before, or have appended. A row that was deleted
    /// meanwhile stays so. Transactions of one database are appended one after the other.
    ///
    /// The events are in the stream once, also where an answer is lost and they have to be sent again:
    /// what another writer changed in between stays. Each database handle is an idempotent producer for
    /// that, with a random id.
    ///
    /// # Errors
    ///
    /// If the events cannot be appended or do not come back in time, and if the transaction was rolled
    /// back.
    pub async fn append_mutations(&self) -> Result<(), BoxError> {
        let txid = fresh_txid();
        let (tx, mutations, with) = (self.tx.clone(), self.mutations.clone(), txid.clone());
        let db = &self.db.inner;
        // Two transactions of one row are in the stream as they were made of each other.
        let mut producer = db.appending.lock().await;
        let events = db
            .request(move |core| core.events(&tx, &mutations, &with))
            .await??;
        if events.is_empty() {
            return Ok(());
        }
        let mut items: Vec<Bytes> = Vec::with_capacity(events.len());
        for event in &events {
            items.push(serde_json::to_vec(event)?.into());
        }
        self.expect_txid(txid.clone());
        producer.append(self.stream(), &items, &txid).await?;
        let tx = self.tx.clone();
        db.tell(move |core| core.set_appended(&tx));
        drop(producer);
        self.db.await_txid(txid, None).await?;
        Ok(())
    }

    /// Waits for all that confirms the transaction.
    async fn settled(&self) -> Result<(), DbError> {
        let txids = lock(&self.txids).clone();
        for txid in txids {
            self.db.await_txid(txid, None).await?;
        }
        Ok(())
    }
}

/// The mutation function of the common case: [`MutationContext::append_mutations`].
///
/// # Errors
///
/// As [`MutationContext::append_mutations`].
pub async fn append_mutations(context: MutationContext) -> Result<(), BoxError> {
    context.append_mutations().await
}

/// 128 random bits as text.
fn fresh_txid() -> SmolStr {
    let random = || RandomState::new().build_hasher().finish();
    format_smolstr!("{:016x}{:016x}", random(), random())
}

/// Ends the transaction however the mutation function ends.
struct Running {
    context: MutationContext,
    outcome: Option<Outcome>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome.take() {
            self.context.db.inner.finish(outcome);
        }
    }
}

/// Runs a mutation function to its end, and ends the transaction with it.
pub(super) async fn run(context: MutationContext, function: Function) {
    let (tx, result) = (context.tx.clone(), Err(DbError::Stopped.into()));
    let outcome = Some(Outcome { tx, result });
    let mut running = Running { context, outcome };
    let context = running.context.clone();
    let call = async move { function(context).await };
    let result = match AssertUnwindSafe(call).catch_unwind().await {
        Ok(Ok(())) => running.context.settled().await.map_err(Into::into),
        Ok(Err(error)) => Err(TransactionError::Function(error.into())),
        Err(panic) => Err(TransactionError::Db(DbError::Panicked {
            what: "a mutation function".into(),
            message: message(&*panic),
        })),
    };
    if let Some(outcome) = &mut running.outcome {
        outcome.result = result;
    }
}
