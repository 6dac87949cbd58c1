//! Transactions: how far they are, and why they fail.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::watch;

use super::Inner;
use super::error::DbError;
use super::mutate::MutateError;

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionState {
    /// Its changes are visible, and more may follow.
    Pending,
    /// Its mutation function runs, or what confirms it is waited for.
    Persisting,
    /// It is done: what is visible came through the stream.
    Completed,
    /// It was rolled back: its changes are gone.
    Failed,
}

impl fmt::Display for TransactionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TransactionState::Pending => "pending",
            TransactionState::Persisting => "persisting",
            TransactionState::Completed => "completed",
            TransactionState::Failed => "failed",
        })
    }
}

/// Why a transaction failed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// Its mutation function returned an error.
    #[error("{0}")]
    Function(#[source] Arc<dyn Error + Send + Sync>),
    /// [`Transaction::rollback`] was called.
    #[error("the transaction was rolled back")]
    RolledBack,
    /// An [`OpenTransaction`](super::OpenTransaction) was dropped.
    #[error("the transaction was dropped before it was committed")]
    Dropped,
    /// An earlier transaction that changed the same rows failed.
    #[error("rolled back with transaction {transaction}, which changed the same rows: {cause}")]
    Cascade {
        /// The transaction that failed.
        transaction: u64,
        /// Why it failed.
        cause: Arc<TransactionError>,
    },
    /// The stream has ended, so that nothing can confirm the transaction.
    #[error("the stream has ended, so that nothing can confirm the transaction")]
    Ended,
    /// The database was closed or reads no further, the function panicked, or what confirms the
    /// transaction did not come.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// How a transaction went so far.
#[derive(Clone, Debug)]
struct Progress {
    state: TransactionState,
    error: Option<TransactionError>,
    /// Whether the stream has what it changed.
    confirmed: bool,
}

/// What the handles of a transaction and the engine's thread have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) id: u64,
    progress: watch::Sender<Progress>,
}

impl Shared {
    pub(super) fn new(id: u64) -> Arc<Shared> {
        let progress = Progress {
            state: TransactionState::Pending,
            error: None,
            confirmed: false,
        };
        Arc::new(Shared {
            id,
            progress: watch::Sender::new(progress),
        })
    }

    pub(super) fn state(&self) -> TransactionState {
        self.progress.borrow().state
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.progress.borrow().confirmed
    }

    pub(super) fn is_over(&self) -> bool {
        is_over(&self.progress.borrow())
    }

    pub(super) fn persist(&self) {
        self.progress
            .send_modify(|progress| progress.state = TransactionState::Persisting);
    }

    pub(super) fn confirm(&self) {
        self.progress
            .send_modify(|progress| progress.confirmed = true);
    }

    /// Ends the transaction, if it is not over yet.
    pub(super) fn settle(&self, outcome: Result<(), TransactionError>) {
        self.progress.send_if_modified(|progress| {
            let settles = !is_over(progress);
            if settles {
                progress.state = match &outcome {
                    Ok(()) => TransactionState::Completed,
                    Err(_) => TransactionState::Failed,
                };
                progress.error = outcome.err();
            }
            settles
        });
    }
}

fn is_over(progress: &Progress) -> bool {
    use TransactionState::{Completed, Failed};
    matches!(progress.state, Completed | Failed)
}

/// How a transaction ended, on its way to the engine's thread; told even if that is gone.
pub(super) struct Outcome {
    pub(super) tx: Arc<Shared>,
    pub(super) result: Result<(), TransactionError>,
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.tx.settle(self.result.clone());
    }
}

impl Inner {
    /// Rolls a transaction back some time soon, with those that build on it.
    pub(super) fn fail(&self, tx: &Arc<Shared>, error: TransactionError) {
        let (tx, result) = (tx.clone(), Err(error));
        self.finish(Outcome { tx, result });
    }

    /// Ends a transaction some time soon.
    pub(super) fn finish(&self, outcome: Outcome) {
        self.tell(move |core| core.finish(outcome));
    }
}

/// A handle of a transaction that was made. Clones are of the same one, and dropping them does not end
/// it.
#[derive(Clone)]
pub struct Transaction {
    pub(super) db: Arc<Inner>,
    pub(super) tx: Arc<Shared>,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("id", &self.id())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Transaction {
    /// Its number in its database.
    pub fn id(&self) -> u64 {
        self.tx.id
    }

    /// How far it is.
    pub fn state(&self) -> TransactionState {
        self.tx.state()
    }

    /// Why it failed.
    pub fn error(&self) -> Option<TransactionError> {
        self.tx.progress.borrow().error.clone()
    }

    /// Waits until it is over.
    ///
    /// # Errors
    ///
    /// Why it failed.
    pub async fn is_persisted(&self) -> Result<(), TransactionError> {
        let mut progress = self.tx.progress.subscribe();
        let over = progress.wait_for(is_over).await;
        match over.map(|progress| progress.error.clone()) {
            Ok(None) => Ok(()),
            Ok(Some(error)) => Err(error),
            Err(_) => unreachable!("the handle has the sender"),
        }
    }

    /// Takes its changes back, with those of later pending transactions that touch the same rows. Its
    /// mutation function is not stopped; what that still appends comes through the stream. Nothing, if
    /// the transaction failed already. Waits for the engine.
    ///
    /// # Errors
    ///
    /// [`MutateError::Over`] if it is completed, or confirmed by the stream.
    pub fn rollback(&self) -> Result<(), MutateError> {
        if !self.tx.is_over() {
            let tx = self.tx.clone();
            let asked = self.db.ask(move |core| {
                if !tx.is_over() && !tx.is_confirmed() {
                    core.roll_back(&tx, TransactionError::RolledBack);
                }
            });
            // When the engine has ended, so have all transactions.
            if !self.tx.is_over() {
                asked?;
            }
        }
        match self.state() {
            TransactionState::Failed => Ok(()),
            state => Err(MutateError::Over {
                transaction: self.id(),
                state,
            }),
        }
    }
}
