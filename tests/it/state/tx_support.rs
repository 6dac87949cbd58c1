//! Databases that take changes, mutation functions that wait to be told, subscriptions put together.

use std::collections::BTreeMap;

use serde_json::Value;
use tailwater::db::{BoxError, ChangesKind, MutationContext, StreamDb, Subscription};
use tailwater::view::ChangeKind;
use tokio::sync::oneshot;

use super::db_support::*;

/// A ready database of users and messages.
pub(super) async fn ready(world: &World) -> StreamDb {
    let db = world.typed().txid_timeout(HANG).open().unwrap();
    db.preload().await.unwrap();
    db
}

pub(super) fn ada() -> User {
    named("1", "Ada")
}

pub(super) fn named(id: &str, name: &str) -> User {
    User {
        id: id.into(),
        name: name.into(),
        email: None,
    }
}

/// The users' names by key.
pub(super) fn names(db: &StreamDb) -> Vec<(String, String)> {
    let users = db.collection::<User>().unwrap().rows().unwrap();
    users.into_iter().map(|user| (user.id, user.name)).collect()
}

pub(super) fn row(json: &Value) -> tailwater::value::Value {
    tailwater::value::from_json(&json.to_string()).unwrap()
}

/// Lets a mutation function go on.
pub(super) struct Gate(oneshot::Sender<Result<(), BoxError>>);

impl Gate {
    pub(super) fn open(self) {
        self.0.send(Ok(())).unwrap();
    }

    pub(super) fn fail(self, error: &str) {
        self.0.send(Err(error.into())).unwrap();
    }
}

/// A gate and what waits at it.
pub(super) fn gate() -> (Gate, impl Future<Output = Result<(), BoxError>> + Send) {
    let (gate, opened) = oneshot::channel();
    (Gate(gate), async move { opened.await? })
}

/// What a mutation function does.
type Persisting = std::pin::Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// A mutation function that does nothing but wait at a gate.
pub(super) fn held() -> (
    Gate,
    impl FnOnce(MutationContext) -> Persisting + Send + 'static,
) {
    let (gate, opened) = gate();
    (gate, move |_| Box::pin(opened))
}

/// What a subscription makes up, change set by change set.
pub(super) struct Folded {
    subscription: Subscription<tailwater::value::Value>,
    pub(super) rows: BTreeMap<String, Value>,
}

fn json(value: &tailwater::value::Value) -> Value {
    serde_json::from_str(&value.to_string()).unwrap()
}

impl Folded {
    pub(super) fn new(subscription: Subscription<tailwater::value::Value>) -> Folded {
        let mut folded = Folded {
            subscription,
            rows: BTreeMap::new(),
        };
        folded.follow();
        folded
    }

    /// Takes in what is there; how many change sets.
    pub(super) fn follow(&mut self) -> usize {
        let mut count = 0;
        while let Some(set) = self.subscription.try_next() {
            // Only the first one may say that there is nothing.
            assert!(!set.is_empty() || set.kind() == ChangesKind::Initial);
            count += 1;
            for change in set.iter() {
                let value = json(&change.value().unwrap());
                let previous = change.previous().unwrap().map(|value| json(&value));
                let key = change.key();
                let known = match change.kind() {
                    ChangeKind::Delete => self.rows.remove(&key),
                    _ => self.rows.insert(key.clone(), value),
                };
                assert_eq!(known, previous, "what was known of {key}");
            }
        }
        count
    }
}
