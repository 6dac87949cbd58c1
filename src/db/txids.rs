//! Which transactions were seen, and who waits for one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;

use smol_str::SmolStr;
use tokio::sync::oneshot;

use super::error::DbError;
use super::lock;
use super::status::Status;

/// How many transactions are remembered: the latest.
pub(super) const REMEMBERED: usize = 65_536;

/// The transactions that were seen, and the waiters for others.
#[derive(Debug, Default)]
pub(super) struct Txids {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: HashSet<SmolStr>,
    order: VecDeque<SmolStr>,
    waiters: HashMap<SmolStr, Vec<oneshot::Sender<Result<(), DbError>>>>,
    /// Why no more will be seen.
    over: Option<Status>,
}

fn why(over: &Status, txid: &SmolStr) -> DbError {
    over.error()
        .unwrap_or_else(|| DbError::Ended { txid: txid.clone() })
}

impl Txids {
    /// Takes note of transactions that are visible now.
    pub(super) fn see(&self, txids: impl IntoIterator<Item = SmolStr>) {
        let state = &mut *lock(&self.state);
        for txid in txids {
            for waiter in state.waiters.remove(&txid).into_iter().flatten() {
                // It may have given up meanwhile.
                let _ = waiter.send(Ok(()));
            }
            if state.seen.insert(txid.clone()) {
                state.order.push_back(txid);
            }
            if state.order.len() > REMEMBERED
                && let Some(oldest) = state.order.pop_front()
            {
                state.seen.remove(&oldest);
            }
        }
    }

    /// Those that are remembered, oldest first.
    pub(super) fn latest(&self) -> Vec<SmolStr> {
        lock(&self.state).order.iter().cloned().collect()
    }

    /// Whether a transaction is visible.
    pub(super) fn has(&self, txid: &SmolStr) -> bool {
        lock(&self.state).seen.contains(txid)
    }

    /// Tells all waiters that no more will be seen.
    pub(super) fn end(&self, status: &Status) {
        let state = &mut *lock(&self.state);
        for (txid, waiters) in state.waiters.drain() {
            for waiter in waiters {
                let _ = waiter.send(Err(why(status, &txid)));
            }
        }
        state.over = Some(status.clone());
    }

    /// Waits until a transaction is visible.
    pub(super) async fn wait(&self, txid: SmolStr) -> Result<(), DbError> {
        let answer = {
            let state = &mut *lock(&self.state);
            if state.seen.contains(&txid) {
                return Ok(());
            }
            if let Some(over) = &state.over {
                return Err(why(over, &txid));
            }
            let (waiter, answer) = oneshot::channel();
            state.waiters.entry(txid.clone()).or_default().push(waiter);
            answer
        };
        let mut waiting = Waiting {
            txids: self,
            txid: &txid,
            answer,
        };
        let answer = (&mut waiting.answer).await;
        answer.unwrap_or(Err(DbError::Closed))
    }
}

/// Takes its waiter out of the list when it is given up.
struct Waiting<'a> {
    txids: &'a Txids,
    txid: &'a SmolStr,
    answer: oneshot::Receiver<Result<(), DbError>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.answer.close();
        let state = &mut *lock(&self.txids.state);
        if let Some(waiters) = state.waiters.get_mut(self.txid) {
            waiters.retain(|waiter| !waiter.is_closed());
            if waiters.is_empty() {
                state.waiters.remove(self.txid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_latest_are_remembered() {
        let txids = Txids::default();
        txids.see((0..REMEMBERED + 10).map(|i| SmolStr::from(i.to_string())));
        assert_eq!(lock(&txids.state).seen.len(), REMEMBERED);
        txids.end(&Status::Closed);
        assert!(txids.wait("10".into()).await.is_ok());
        assert!(matches!(txids.wait("9".into()).await, Err(DbError::Closed)));
    }

    #[tokio::test]
    async fn who_gives_up_leaves_nothing_behind() {
        let txids = Txids::default();
        let given_up = tokio::time::timeout(std::time::Duration::ZERO, txids.wait("a".into()));
        assert!(given_up.await.is_err());
        assert!(lock(&txids.state).waiters.is_empty());
    }
}
