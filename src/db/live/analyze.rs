//! What the steps of a live query do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Inner, LiveQuery};
use crate::db::error::DbError;
use crate::plan::Explanation;

/// As long as it is there, the time of the steps of all queries is taken.
struct Watched(Arc<Inner>);

impl Watched {
    fn new(db: &Arc<Inner>) -> Watched {
        db.tell(|core| core.watch_steps(true));
        Watched(db.clone())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.tell(|core| core.watch_steps(false));
    }
}

impl<T> LiveQuery<T> {
    /// The plan with what each of its steps did so far, and what it did a second, and how busy it was,
    /// while it was looked at: for so long as is given.
    ///
    /// ```no_run
    /// # async fn run(top: tailwater::db::LiveQuery<tailwater::value::Value>) -> Result<(), tailwater::db::DbError> {
    /// use std::time::Duration;
    ///
    /// let plan = top.analyze(Duration::from_secs(1)).await?;
    /// println!("{plan}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the database was closed, or the query dropped as it needed more memory than there may be.
    pub async fn analyze(&self, time: Duration) -> Result<Explanation, DbError> {
        let db = &self.inner.db;
        let watched = Watched::new(db);
        let before = self.look().await?;
        let begun = Instant::now();
        tokio::time::sleep(time).await;
        let now = self.look().await?;
        let elapsed = begun.elapsed();
        drop(watched);
        Ok(now.since(&before, elapsed))
    }

    async fn look(&self) -> Result<Explanation, DbError> {
        let id = self.inner.query.id;
        let looked = self.inner.db.request(move |core| core.engine.analyze(id));
        looked.await?.ok_or_else(|| self.missing())
    }

    /// As [`LiveQuery::explain`], without blocking.
    #[cfg(feature = "serve")]
    pub(crate) async fn read_explanation(&self) -> Result<Explanation, DbError> {
        let id = self.inner.query.id;
        let explained = self.inner.db.request(move |core| core.engine.explain(id));
        explained.await?.ok_or_else(|| self.missing())
    }

    fn missing(&self) -> DbError {
        let failed = self.inner.query.hub.failed();
        failed.cloned().unwrap_or(DbError::Closed)
    }
}
