//! Effects: code that runs when a result changes, without keeping the result.

use std::sync::{Arc, OnceLock};

use super::Inner;
use super::changes::ChangeSet;
use super::core::{EffectFailed, EffectFunction};
use super::error::DbError;
use crate::engine::QueryId;
use crate::query::TypedQuery;

/// A running effect. It stops when this is dropped.
#[derive(Debug)]
pub struct EffectHandle {
    db: Arc<Inner>,
    id: QueryId,
    failed: Arc<OnceLock<DbError>>,
}

impl EffectHandle {
    pub(super) fn start<T: 'static>(
        db: &Arc<Inner>,
        query: &TypedQuery<T>,
        mut function: impl FnMut(&ChangeSet<T>) + Send + 'static,
    ) -> Result<EffectHandle, DbError> {
        let failed = Arc::new(OnceLock::new());
        let (ir, row) = (query.ir().clone(), query.row().clone());
        let call: EffectFunction = Box::new(move |epoch, kind, changes| {
            function(&ChangeSet::new(epoch, kind, changes.clone(), row.clone()));
        });
        let slot = failed.clone();
        let fail: EffectFailed = Box::new(move |error| drop(slot.set(error)));
        let id = db.ask(move |core| core.install_effect(&ir, call, fail))??;
        Ok(EffectHandle {
            db: db.clone(),
            id,
            failed,
        })
    }

    /// Why it stopped, if it panicked.
    pub fn error(&self) -> Option<&DbError> {
        self.failed.get()
    }
}

impl Drop for EffectHandle {
    fn drop(&mut self) {
        let id = self.id;
        self.db.tell(move |core| core.uninstall(id));
    }
}
