//! Actions and direct changes: numbers 58 to 62 and 66 of the state package, and typed mutations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tailwater::db::{DbError, MutateError, TransactionError, TransactionState, append_mutations};
use tailwater::store::MutationError;
use tailwater::value::Value;
use tailwater::view::ChangeKind;

use super::db_support::*;
use super::tx_support::*;

#[tokio::test]
async fn b58_an_action_runs_at_once_and_its_row_arrives_by_the_stream() {
    let world = World::new().await;
    let db = ready(&world).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let add_user = db.action(
        |tx, user: &User| tx.insert(user),
        move |ctx, user: User| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                assert_eq!(user, ada());
                let event = event("insert", "user", &user.id, json!(user));
                ctx.expect_txid("add 1");
                ctx.stream().append_json(&with_txid(event, "add 1")).await?;
                Ok(())
            }
        },
    );
    let tx = add_user.call(ada()).unwrap();
    assert_eq!(names(&db), [("1".into(), "Ada".into())]);
    tx.is_persisted().await.unwrap();
    assert_eq!(tx.state(), TransactionState::Completed);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(db.snapshot().unwrap().len(), 1, "it came by the stream");
    let again = add_user.call(ada()).unwrap_err();
    assert_eq!(
        again.to_string(),
        "collection `users` has a row with key `1` already"
    );
}

#[tokio::test]
async fn b59_several_actions_build_on_each_other() {
    let world = World::new().await;
    let db = ready(&world).await;
    let add_user = db.action(
        |tx, user: &User| tx.insert(user),
        |ctx, _| async move { ctx.append_mutations().await },
    );
    let rename = db.action(
        |tx, (id, name): &(String, String)| {
            tx.update::<User>(id.as_str(), |user| user.name = name.clone())
        },
        |ctx, _| async move { ctx.append_mutations().await },
    );
    let added = add_user.call(ada()).unwrap();
    let renamed = rename.call(("1".into(), "Countess".into())).unwrap();
    assert_eq!(names(&db), [("1".into(), "Countess".into())]);
    added.is_persisted().await.unwrap();
    renamed.is_persisted().await.unwrap();
    assert_eq!(names(&db), [("1".into(), "Countess".into())]);
    let other = ready(&world).await;
    assert_eq!(names(&other), names(&db));
}

#[tokio::test]
async fn b60_actions_are_made_before_there_is_anything() {
    let db = tailwater::db::StreamDb::builder("http://127.0.0.1:9/v1/stream/none")
        .collection::<User>()
        .open()
        .unwrap();
    let url = db.stream().url();
    let action = db.action(
        |tx, user: &User| tx.insert(user),
        move |ctx, _| {
            assert_eq!(ctx.db().stream().url(), url);
            async move {
                ctx.stream().append("{}").await?;
                Ok(())
            }
        },
    );
    let error = action.call(ada()).unwrap_err();
    assert!(
        matches!(error, MutateError::Db(DbError::NotReady)),
        "{error}"
    );
}

#[tokio::test]
async fn b61_an_error_of_on_mutate_is_returned_at_once_and_nothing_stays() {
    let world = World::new().await;
    let db = ready(&world).await;
    let called = Arc::new(AtomicUsize::new(0));
    let counted = called.clone();
    let action = db.action(
        |tx, panics: &bool| {
            tx.insert(&ada())?;
            assert!(tx.get::<User>("1")?.is_some(), "it sees what it did");
            assert!(!panics, "in on_mutate");
            Err(MutateError::other("onMutate error"))
        },
        move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        },
    );
    let error = action.call(false).unwrap_err();
    assert_eq!(error.to_string(), "onMutate error");
    assert!(names(&db).is_empty());
    let error = action.call(true).unwrap_err();
    assert_eq!(error.to_string(), "on_mutate panicked: in on_mutate");
    assert!(names(&db).is_empty());
    assert_eq!(called.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn b62_an_error_of_the_mutation_function_reaches_is_persisted() {
    let world = World::new().await;
    let db = ready(&world).await;
    let action = db.action(
        |tx, user: &User| tx.insert(user),
        |_, user: User| {
            assert!(user.name != "Alan", "before it awaits");
            async move {
                tokio::task::yield_now().await;
                assert!(user.name != "Grace", "while it awaits");
                Err("mutationFn error".into())
            }
        },
    );
    for (name, message) in [
        ("Ada", "mutationFn error"),
        ("Alan", "a mutation function panicked: before it awaits"),
        ("Grace", "a mutation function panicked: while it awaits"),
    ] {
        let tx = action.call(named("1", name)).unwrap();
        assert_eq!(names(&db).len(), 1);
        let error = tx.is_persisted().await.unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(tx.state(), TransactionState::Failed);
        assert_eq!(tx.error().unwrap().to_string(), message);
        assert!(names(&db).is_empty());
    }
}

#[tokio::test]
async fn b66_a_mutation_function_waits_for_its_txid() {
    let world = World::new().await;
    let db = ready(&world).await;
    let tx = db.mutate(
        |tx| tx.insert(&ada()),
        |ctx| async move {
            let event = user("insert", "1", "Ada of the stream");
            ctx.stream().append_json(&with_txid(event, "66")).await?;
            ctx.await_txid("66").await?;
            Ok(())
        },
    );
    tx.unwrap().is_persisted().await.unwrap();
    assert_eq!(names(&db), [("1".into(), "Ada of the stream".into())]);
}

#[tokio::test]
async fn a_txid_that_does_not_come_rolls_back() {
    let world = World::new().await;
    let db = world
        .typed()
        .txid_timeout(std::time::Duration::from_millis(20))
        .open()
        .unwrap();
    db.preload().await.unwrap();
    let tx = db.mutate(
        |tx| tx.insert(&ada()),
        |ctx| async move {
            ctx.expect_txid("never");
            Ok(())
        },
    );
    let error = tx.unwrap().is_persisted().await.unwrap_err();
    assert!(
        matches!(&error, TransactionError::Db(DbError::TxidTimeout { txid, .. }) if txid == "never"),
        "{error}"
    );
    assert!(names(&db).is_empty());
}

#[tokio::test]
async fn mutations_are_refused_with_what_is_wrong() {
    let world = World::new().await;
    world.append(&[user("insert", "1", "Ada")]).await;
    let db = ready(&world).await;
    let tx = db.transaction().unwrap();
    let refused = |result: Result<(), MutateError>, message: &str| {
        assert_eq!(result.unwrap_err().to_string(), message);
        assert_eq!(names(&db), [("1".into(), "Ada".into())]);
    };
    refused(
        tx.insert(&ada()),
        "collection `users` has a row with key `1` already",
    );
    refused(
        tx.update::<User>("2", |_| unreachable!("there is none")),
        "collection `users` has no row with key `2`",
    );
    refused(
        tx.delete::<User>("2"),
        "collection `users` has no row with key `2`",
    );
    refused(
        tx.update::<User>("1", |user| user.id = "7".into()),
        "field `id` is the key of collection `users`: it stays `1`",
    );
    refused(
        tx.insert(&named("", "Nobody")),
        "a row of collection `users` has an empty key",
    );
    refused(
        tx.insert_named("nowhere", "1", 1),
        "unknown collection `nowhere`",
    );
    refused(
        tx.insert_named("users", "2", 1),
        "collection `users`, key `2`: collection `users` requires object values; got a number for key `2`",
    );
    refused(
        tx.apply([
            tailwater::store::Mutation::delete("users", "1"),
            tailwater::store::Mutation::delete("users", "1"),
        ]),
        "collection `users` has no row with key `1`",
    );
    tx.insert_named("users", "2", row(&json!({"id": "2"})))
        .unwrap();
    let error = tx.update::<User>("2", |_| {}).unwrap_err().to_string();
    assert!(
        error.starts_with("collection `users`, key `2`: missing field `name`"),
        "{error}"
    );
    assert!(matches!(
        tx.get_named("nowhere", "1"),
        Err(MutateError::Mutation(
            MutationError::UnknownCollection { .. }
        ))
    ));
    tx.rollback();
    assert_eq!(names(&db), [("1".into(), "Ada".into())]);
}

#[tokio::test]
async fn an_update_covers_the_fields_that_it_changes_and_no_others() {
    let world = World::new().await;
    let ada = json!({"name": "Ada", "email": "a@x", "unknown": [1]});
    world.append(&[event("insert", "user", "1", ada)]).await;
    let db = ready(&world).await;
    let tx = db.transaction().unwrap();
    tx.update::<User>("1", |user| user.email = None).unwrap();
    tx.update::<User>("1", |_| {}).unwrap();
    let users = db.collection_named("users").unwrap();
    let value = |db: &str| users.get(db).unwrap().unwrap().to_string();
    assert_eq!(
        value("1"),
        r#"{"email":null,"id":"1","name":"Ada","unknown":[1]}"#
    );
    let renamed = json!({"name": "Countess", "email": "b@x"});
    let renamed = with_txid(event("update", "user", "1", renamed), "renamed");
    world.append(&[renamed]).await;
    db.await_txid("renamed", HANG).await.unwrap();
    assert_eq!(value("1"), r#"{"email":null,"id":"1","name":"Countess"}"#);
    tx.commit(append_mutations).await.unwrap();
    assert_eq!(value("1"), r#"{"email":null,"id":"1","name":"Countess"}"#);
    let other = ready(&world).await;
    assert_eq!(
        other.collection::<User>().unwrap().rows().unwrap()[0].name,
        "Countess"
    );
}

#[tokio::test]
async fn the_context_tells_what_was_done_to_each_row_in_the_end() {
    let world = World::new().await;
    world
        .append(&[user("insert", "1", "Ada"), user("insert", "2", "Alan")])
        .await;
    let db = ready(&world).await;
    let tx = db.transaction().unwrap();
    tx.insert(&named("3", "Grace")).unwrap();
    tx.update::<User>("2", |user| user.name = "Turing".into())
        .unwrap();
    tx.insert(&named("4", "Nobody")).unwrap();
    tx.update::<User>("3", |user| user.name = "Hopper".into())
        .unwrap();
    tx.delete::<User>("1").unwrap();
    tx.delete::<User>("4").unwrap();
    tx.insert_named("messages", "1", row(&json!({"text": "hi"})))
        .unwrap();
    tx.commit(|ctx| async move {
        let seen: Vec<_> = ctx
            .mutations()
            .iter()
            .map(|m| {
                let text =
                    |value: &Option<Value>| value.as_ref().map(|v| v.get("name").to_string());
                (
                    m.collection.to_string(),
                    m.key.to_string(),
                    m.kind,
                    text(&m.old),
                    text(&m.new),
                )
            })
            .collect();
        let name = |name: &str| Some(format!("{name:?}"));
        assert_eq!(
            seen,
            [
                (
                    "users".into(),
                    "3".into(),
                    ChangeKind::Insert,
                    None,
                    name("Hopper")
                ),
                (
                    "users".into(),
                    "2".into(),
                    ChangeKind::Update,
                    name("Alan"),
                    name("Turing")
                ),
                (
                    "users".into(),
                    "1".into(),
                    ChangeKind::Delete,
                    name("Ada"),
                    None
                ),
                (
                    "messages".into(),
                    "1".into(),
                    ChangeKind::Insert,
                    None,
                    Some("undefined".into())
                ),
            ]
        );
        assert_eq!(ctx.mutations()[0].row::<User>()?, named("3", "Hopper"));
        assert_eq!(ctx.mutations()[2].row::<User>()?.name, "Ada");
        assert!(ctx.mutations()[3].row::<User>().is_err());
        ctx.append_mutations().await
    })
    .await
    .unwrap();
    let other = ready(&world).await;
    let all = [("2".into(), "Turing".into()), ("3".into(), "Hopper".into())];
    assert_eq!((names(&db), names(&other)), (all.to_vec(), all.to_vec()));
    assert_eq!(other.collection::<Message>().unwrap().len(), 1);
}

#[tokio::test]
async fn collections_are_changed_directly_where_the_builder_said_how() {
    let world = World::new().await;
    let refused = ready(&world).await;
    let error = refused
        .collection::<User>()
        .unwrap()
        .insert(&ada())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("collection `users` has no mutation function"),
        "{error}"
    );
    assert!(names(&refused).is_empty());

    let db = world
        .typed()
        .txid_timeout(HANG)
        .on_mutate(append_mutations)
        .on_mutate_of("messages", |_| async {
            Err("messages are not kept".into())
        })
        .open()
        .unwrap();
    db.preload().await.unwrap();
    let users = db.collection::<User>().unwrap();
    let made = users.insert(&ada()).unwrap();
    assert_eq!(users.len(), 1);
    made.is_persisted().await.unwrap();
    let made = users
        .update("1", |user| user.email = Some("a@x".into()))
        .unwrap();
    made.is_persisted().await.unwrap();
    assert_eq!(
        users.get("1").unwrap().unwrap().email.as_deref(),
        Some("a@x")
    );
    let untyped = db.collection_named("users").unwrap();
    untyped.insert("2", row(&json!({"name": "Alan"}))).unwrap();
    untyped.update("2", [("name", "Turing".into())]).unwrap();
    assert_eq!(users.len(), 2);
    let gone = untyped.delete("2").unwrap();
    gone.is_persisted().await.unwrap();
    users.delete("1").unwrap().is_persisted().await.unwrap();
    assert!(users.is_empty());
    let error = users.delete("1").unwrap_err();
    assert!(matches!(
        error,
        MutateError::Mutation(MutationError::UnknownKey { .. })
    ));

    let messages = db.collection::<Message>().unwrap();
    let message = Message {
        id: "1".into(),
        text: "hi".into(),
    };
    let error = messages
        .insert(&message)
        .unwrap()
        .is_persisted()
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "messages are not kept");
    assert!(messages.is_empty());
    let other = ready(&world).await;
    assert!(names(&other).is_empty());
}
