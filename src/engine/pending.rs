//! Pending transactions: optimistic changes that all queries show before they are confirmed.

use std::collections::BTreeMap;

use super::{Engine, QueryId};
use crate::store::{Action, Mutation, MutationError, TransactionId};
use crate::view::ChangeSet;

impl Engine {
    /// Adds mutations to a pending transaction, as one step for all queries, and says what changed
    /// in which result. They stay visible, whatever batches come in, until the transaction is
    /// confirmed or rolled back.
    ///
    /// The visible row of a key is the one that came in with the pending mutations on top: in the
    /// order of the transactions, which is that of their first mutations, then as they were made.
    /// An update covers its own fields only, so that others show what comes in.
    ///
    /// - A synced row that is deleted is gone also under pending updates; if it comes back they
    ///   apply again. A pending insert stays.
    /// - A mutation applies below those of later transactions: what a transaction does to a row that
    ///   a later one inserts or deletes shows when that one is rolled back.
    ///
    /// ```
    /// use tailwater::engine::Engine;
    /// use tailwater::query::Query;
    /// use tailwater::store::{Mutation, TransactionId};
    /// use tailwater::value::Value;
    ///
    /// let mut engine = Engine::new();
    /// let users = engine.install(&Query::from_json(
    ///     r#"{"from":{"type":"collectionRef","collection":"user","alias":"u"}}"#,
    /// )?)?;
    /// let ada = |age| format!(
    ///     r#"{{"type":"user","key":"1","value":{{"name":"Ada","age":{age}}},"headers":{{"operation":"upsert"}}}}"#
    /// );
    /// engine.apply(engine.decode([ada(36).as_str()])?);
    ///
    /// let birthday = TransactionId(1);
    /// let changes = engine.mutate(birthday, [Mutation::update("user", "1", [("age", Value::from(37))])])?;
    /// assert_eq!(changes[&users].len(), 1);
    /// let row = engine.view(users).unwrap().nth(0).unwrap().value();
    /// assert_eq!(row.to_string(), r#"{"age":37,"name":"Ada"}"#);
    ///
    /// let confirmed = engine.decode([ada(37).as_str()])?;
    /// assert!(engine.apply_confirming(confirmed, [birthday]).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If an insert meets a visible row, or another mutation none; if an update changes the primary
    /// key, or fields of a row that is no object; if a collection is not known, or a value is no row
    /// of it. Each is judged by what the ones before it made visible. After an error nothing has
    /// changed.
    pub fn mutate(
        &mut self,
        tx: TransactionId,
        mutations: impl IntoIterator<Item = Mutation>,
    ) -> Result<BTreeMap<QueryId, ChangeSet>, MutationError> {
        let changes = self.store.mutate(tx, mutations)?;
        Ok(self.step(changes))
    }

    /// Takes transactions back, as one step for all queries, and says what changed in which result.
    ///
    /// What remains is composed as if they had never been: rows that they inserted go, and what
    /// other transactions update in these has nothing to apply to until such a row comes in.
    pub fn rollback(
        &mut self,
        txs: impl IntoIterator<Item = TransactionId>,
    ) -> BTreeMap<QueryId, ChangeSet> {
        self.apply_confirming([], txs)
    }

    /// As [`Engine::apply`], but in the same step transactions end that the batch confirms: a row
    /// that came in as it was foretold does not change, not even for a moment.
    pub fn apply_confirming(
        &mut self,
        batch: impl IntoIterator<Item = Action>,
        txs: impl IntoIterator<Item = TransactionId>,
    ) -> BTreeMap<QueryId, ChangeSet> {
        let changes = self.store.apply_confirming(batch, txs);
        self.step(changes)
    }

    /// The pending transactions that came later than this one and touch a row that it touches, in
    /// their order: what may have been built on it.
    pub fn pending_conflicts(&self, tx: TransactionId) -> Vec<TransactionId> {
        self.store.pending_conflicts(tx)
    }
}
