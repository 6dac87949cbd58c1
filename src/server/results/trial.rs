//! Queries that are tried out: they run as long as somebody reads them, and are in no list.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::entry::{Entry, Origin};
use super::log::lock;
use super::registry::{RegisterError, Registry};
use crate::query::QueryFile;
use crate::system;

/// So many run at once at most.
const MOST: usize = 100;

impl Registry {
    /// Serves a query as long as somebody reads it; gives the name it has got.
    pub(crate) async fn try_out(
        self: &Arc<Registry>,
        file: QueryFile,
    ) -> Result<String, RegisterError> {
        let all = self.all();
        let trials = all.iter().filter(|entry| entry.origin == Origin::Trial);
        if trials.count() >= MOST {
            return Err(RegisterError::TooManyTrials(MOST));
        }
        let name = format!("trial-{:x}", RandomState::new().hash_one(0u8));
        self.register(&name, file, Origin::Trial, None).await?;
        Ok(name)
    }

    /// Drops a query that is tried out and that nobody has read for a while.
    pub(super) fn end_unread(&self, entry: &Arc<Entry>) {
        let mut used = lock(&entry.used);
        if entry.log().is_some_and(|log| log.followers() > 0) {
            *used = system::now();
        } else if system::now() - *used > self.trial_idle {
            // It is gone in any case.
            let _ = self.drop_query(entry, Origin::Trial);
        }
    }
}
