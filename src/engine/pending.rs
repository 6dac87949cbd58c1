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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;
    use crate::value::Value;
    use crate::work;

    /// Queries over many rows.
    fn world(rows: usize) -> Engine {
        let mut engine = Engine::new();
        for query in [
            r#"{"from":{"type":"collectionRef","collection":"t","alias":"t"}}"#,
            r#"{"from":{"type":"collectionRef","collection":"t","alias":"t"},
                "orderBy":[{"expression":{"type":"ref","path":["t","n"]}}],"limit":10}"#,
        ] {
            engine.install(&Query::from_json(query).unwrap()).unwrap();
        }
        let messages: Vec<String> = (0..rows).map(|i| put(i, i)).collect();
        apply(&mut engine, &messages, None);
        engine
    }

    fn put(key: usize, n: usize) -> String {
        format!(
            r#"{{"type":"t","key":"{key}","value":{{"n":{n},"m":0}},"headers":{{"operation":"upsert"}}}}"#
        )
    }

    /// The steps of a batch that confirms a transaction.
    fn apply(engine: &mut Engine, messages: &[String], tx: Option<TransactionId>) -> u64 {
        let batch = engine.decode(messages.iter().map(String::as_str)).unwrap();
        work::of(|| engine.apply_confirming(batch, tx)).0
    }

    fn update(key: usize, n: i64) -> [Mutation; 1] {
        [Mutation::update(
            "t",
            key.to_string(),
            [("n", Value::from(n))],
        )]
    }

    /// The middle one of many counts: a hash table is slow once in a while.
    fn usual(mut counts: Vec<u64>) -> u64 {
        counts.sort_unstable();
        counts[counts.len() / 2]
    }

    #[test]
    fn a_mutation_costs_no_more_among_many_rows_and_transactions() {
        let cost = |rows: usize| {
            let mut engine = world(rows);
            let [mut made, mut confirmed, mut undone] = [const { Vec::new() }; 3];
            // All that are pending are on other rows.
            for i in 0..rows / 2 {
                let done = engine.mutate(TransactionId(i as u64), update(i, -1));
                done.unwrap();
            }
            for i in rows / 2..rows / 2 + 20 {
                let [a, b] = [i, rows + i].map(|tx| TransactionId(tx as u64));
                let (steps, done) = work::of(|| engine.mutate(a, update(i, 7)));
                done.unwrap();
                made.push(steps);
                confirmed.push(apply(&mut engine, &[put(i, 7)], Some(a)));
                engine.mutate(b, update(i, 8)).unwrap();
                undone.push(work::of(|| engine.rollback([b])).0);
            }
            [made, confirmed, undone].map(usual)
        };
        let (few, many) = (cost(100), cost(5_000));
        for (few, many) in few.into_iter().zip(many) {
            assert!(many < few * 2 + 100, "{few} steps, then {many}");
        }
    }

    #[test]
    fn what_is_pending_on_some_rows_costs_the_others_nothing() {
        let mut engine = world(1_000);
        let steps = |engine: &mut Engine| {
            let one = |i: usize| apply(engine, &[put(500 + i, 7), put(500 + i, i)], None);
            usual((0..50).map(one).collect())
        };
        let before = steps(&mut engine);
        for i in 0..100 {
            engine
                .mutate(TransactionId(i), update(i as usize, 1))
                .unwrap();
        }
        let after = steps(&mut engine);
        assert!(after < before + 20, "{before} steps, then {after}");
    }

    #[test]
    fn many_mutations_of_one_row_are_one_edit() {
        let mut engine = world(10);
        let mut steps = |range: std::ops::Range<i64>| {
            let mut one = |n| {
                let (steps, done) = work::of(|| engine.mutate(TransactionId(1), update(5, n)));
                done.unwrap();
                steps
            };
            usual(range.map(&mut one).collect())
        };
        let (first, last) = (steps(0..20), steps(20..2_000));
        assert!(last < first + 20, "{first} steps, then {last}");
    }
}
