//! Paced mutations: what is put together, what order it is committed in, what happens at the end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tailwater::db::{
    BoxError, DbError, MutateError, MutationContext, Paced, Strategy, StreamDb, Transaction,
    TransactionError, TransactionState,
};
use tokio::sync::Semaphore;

use super::db_support::*;
use super::tx_support::*;

/// Long enough never to come.
const NEVER: Duration = Duration::from_secs(3600);

/// The names that each commit had, and what lets commits end.
#[derive(Clone)]
struct Commits {
    seen: Arc<Mutex<Vec<Vec<String>>>>,
    permits: Arc<Semaphore>,
}

impl Commits {
    /// That many commits may end.
    fn new(permits: usize) -> Commits {
        Commits {
            seen: Arc::default(),
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    fn seen(&self) -> Vec<Vec<String>> {
        self.seen.lock().unwrap().clone()
    }

    async fn commit(self, context: MutationContext) -> Result<(), BoxError> {
        let name = |m: &tailwater::db::PendingMutation| Ok(m.row::<User>()?.name);
        let names: Result<_, BoxError> = context.mutations().iter().map(name).collect();
        let names = names?;
        self.seen.lock().unwrap().push(names);
        self.permits.acquire().await?.forget();
        context.append_mutations().await
    }
}

/// Sets the name of a user, who is made if need be; refuses no name at all.
fn naming(
    db: &StreamDb,
    strategy: Strategy,
    commits: &Commits,
) -> Paced<(&'static str, &'static str)> {
    let commits = commits.clone();
    db.paced(
        strategy,
        |tx, (id, name): &(&str, &str)| {
            match tx.get::<User>(id)? {
                Some(_) => tx.update::<User>(*id, |user| user.name = name.to_string())?,
                None => tx.insert(&named(id, name))?,
            }
            assert!(!name.is_empty(), "no name");
            Ok(())
        },
        move |context| commits.clone().commit(context),
    )
}

async fn persisted(txs: impl IntoIterator<Item = Transaction>) {
    for tx in txs {
        tx.is_persisted().await.unwrap();
    }
}

#[tokio::test]
async fn debounced_calls_are_one_transaction() {
    let world = World::new().await;
    let db = ready(&world).await;
    let commits = Commits::new(10);
    let paced = naming(&db, Strategy::Debounce(NEVER), &commits);
    let a = paced.call(("1", "A")).unwrap();
    let b = paced.call(("1", "Ad")).unwrap();
    let error = paced.call(("1", "")).unwrap_err();
    assert_eq!(error.to_string(), "on_mutate panicked: no name");
    let c = paced.call(("2", "Alan")).unwrap();
    assert_eq!((a.id(), a.id()), (b.id(), c.id()));
    assert_eq!(c.state(), TransactionState::Pending);
    assert_eq!(
        names(&db),
        [("1".into(), "Ad".into()), ("2".into(), "Alan".into())]
    );
    assert!(commits.seen().is_empty());
    paced.flush();
    persisted([a, b, c]).await;
    assert_eq!(commits.seen(), [["Ad", "Alan"]]);
    let next = paced.call(("1", "Ada")).unwrap();
    tokio::task::yield_now().await;
    assert_eq!(
        next.state(),
        TransactionState::Pending,
        "a flush is of what was there"
    );
    drop(paced);
    persisted([next]).await;
    assert_eq!(commits.seen(), [vec!["Ad", "Alan"], vec!["Ada"]]);
}

#[tokio::test]
async fn a_debounce_ends_by_itself() {
    let world = World::new().await;
    let db = ready(&world).await;
    let commits = Commits::new(10);
    let paced = naming(&db, Strategy::Debounce(Duration::from_millis(5)), &commits);
    persisted([paced.call(("1", "Ada")).unwrap()]).await;
    persisted([paced.call(("1", "Countess")).unwrap()]).await;
    assert_eq!(commits.seen(), [["Ada"], ["Countess"]]);
}

#[tokio::test]
async fn a_throttle_commits_at_once_and_then_keeps_its_distance() {
    let world = World::new().await;
    let db = ready(&world).await;
    let commits = Commits::new(10);
    let paced = naming(&db, Strategy::Throttle(NEVER), &commits);
    persisted([paced.call(("1", "A")).unwrap()]).await;
    let later = [("1", "Ad"), ("1", "Ada")].map(|call| paced.call(call).unwrap());
    tokio::task::yield_now().await;
    assert_eq!(later[0].id(), later[1].id());
    assert_eq!(later[0].state(), TransactionState::Pending);
    paced.flush();
    persisted(later).await;
    assert_eq!(commits.seen(), [["A"], ["Ada"]]);
}

#[tokio::test]
async fn commits_follow_each_other() {
    let world = World::new().await;
    let db = ready(&world).await;
    for strategy in [
        Strategy::Throttle(Duration::ZERO),
        Strategy::Debounce(Duration::ZERO),
    ] {
        let commits = Commits::new(0);
        let paced = naming(&db, strategy, &commits);
        let first = paced.call(("1", "A")).unwrap();
        eventually("the first commit", || commits.seen().len() == 1).await;
        let rest = [("1", "Ad"), ("1", "Ada")].map(|call| paced.call(call).unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(commits.seen().len(), 1, "the first is still under way");
        assert_eq!(rest[1].state(), TransactionState::Pending);
        commits.permits.add_permits(2);
        persisted([first]).await;
        persisted(rest).await;
        assert_eq!(commits.seen(), [["A"], ["Ada"]]);
    }
}

#[tokio::test]
async fn a_queue_commits_every_call_in_order() {
    let world = World::new().await;
    let db = ready(&world).await;
    let commits = Commits::new(0);
    let paced = naming(&db, Strategy::Queue, &commits);
    let calls = [("1", "A"), ("1", "Ad"), ("2", "Alan"), ("1", "Ada")];
    let txs = calls.map(|call| paced.call(call).unwrap());
    assert!(paced.call(("3", "")).is_err());
    assert_eq!(
        names(&db),
        [("1".into(), "Ada".into()), ("2".into(), "Alan".into())]
    );
    eventually("the first commit", || commits.seen().len() == 1).await;
    assert_eq!(txs[1].state(), TransactionState::Pending);
    drop(paced);
    commits.permits.add_permits(4);
    persisted(txs).await;
    assert_eq!(commits.seen(), [["A"], ["Ad"], ["Alan"], ["Ada"]]);
    let other = ready(&world).await;
    assert_eq!(names(&other), names(&db));
}

#[tokio::test]
async fn a_transaction_that_failed_is_not_joined() {
    let world = World::new().await;
    let db = ready(&world).await;
    let commits = Commits::new(10);
    let paced = naming(&db, Strategy::Debounce(NEVER), &commits);
    let first = paced.call(("1", "Ada")).unwrap();
    first.rollback().unwrap();
    assert!(names(&db).is_empty());
    let second = paced.call(("2", "Alan")).unwrap();
    assert_ne!(first.id(), second.id());
    paced.flush();
    persisted([second]).await;
    assert_eq!(commits.seen(), [["Alan"]]);
}

#[tokio::test]
async fn closing_ends_paced_mutations() {
    let world = World::new().await;
    let db = ready(&world).await;
    let commits = Commits::new(10);
    let paced = naming(&db, Strategy::Debounce(NEVER), &commits);
    let tx = paced.call(("1", "Ada")).unwrap();
    db.close();
    let error = tx.is_persisted().await.unwrap_err();
    assert!(
        matches!(error, TransactionError::Db(DbError::Closed)),
        "{error}"
    );
    let error = paced.call(("1", "Ada")).unwrap_err();
    assert!(matches!(error, MutateError::Db(DbError::Closed)), "{error}");
    paced.flush();
    drop(paced);
    assert!(commits.seen().is_empty());
}
