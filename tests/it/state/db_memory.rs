//! Queries that need too much memory end alone.

use serde_json::{Value, json};
use tailwater::db::{ChangeSet, DbError, Status, StreamDb};

use super::db_support::{HANG, World, event, eventually, query};

fn all(of: &str) -> Value {
    json!({"from": {"type": "collectionRef", "collection": of, "alias": of}})
}

fn cross(of: &str) -> Value {
    let other = json!({"type": "collectionRef", "collection": of, "alias": "other"});
    json!({"from": all(of)["from"], "join": [{"type": "cross", "from": other}]})
}

fn rows(from: usize, to: usize) -> Vec<Value> {
    (from..to)
        .map(|i| event("insert", "n", &i.to_string(), json!({"n": i})))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_explodes_ends_with_an_error_and_the_others_go_on() {
    let world = World::new().await;
    world.append(&rows(0, 10)).await;
    let db = StreamDb::builder(world.stream.clone())
        .query_memory_limit(8 << 20)
        .open()
        .unwrap();
    db.preload().await.unwrap();
    let explodes = db.live(query(&cross("n"))).unwrap();
    let goes_on = db.live(query(&all("n"))).unwrap();
    let mut changes = explodes.subscribe();
    assert_eq!(changes.next_timeout(HANG).unwrap().len(), 100);
    let effect = db
        .effect(
            query(&cross("n")),
            |_: &ChangeSet<tailwater::value::Value>| {},
        )
        .expect("it fits by now");
    world.append(&rows(10, 2000)).await;
    eventually("the query is stopped", || {
        explodes.status().error().is_some()
    })
    .await;
    let Status::Error(DbError::Memory(error)) = explodes.status() else {
        panic!("{:?}", explodes.status())
    };
    assert_eq!(error.limit, 8 << 20);
    assert!(
        error
            .to_string()
            .contains("the memory limit of a query of 8 MiB"),
        "{error}"
    );
    assert!(changes.next_timeout(HANG).is_none(), "nothing follows");
    assert_eq!(explodes.len(), 100, "nobody sees half a step");
    eventually("the others are told", || goes_on.len() == 2000).await;
    assert!(goes_on.is_ready() && db.status().is_ready());
    assert!(matches!(
        db.live(query(&cross("n"))),
        Err(DbError::Memory(_))
    ));
    let report = db.memory().unwrap();
    let ids: Vec<_> = report.queries.iter().map(|query| query.id).collect();
    assert_eq!(ids, [goes_on.id()]);
    assert!(explodes.set_window(0, Some(1)).is_err());
    drop((explodes, effect));
    world.append(&rows(2000, 2001)).await;
    eventually("it still goes on", || goes_on.len() == 2001).await;
}
