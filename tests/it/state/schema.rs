//! Schemas that are refused: numbers 33 and 34, and what else cannot be.

use serde::{Deserialize, Serialize};
use tailwater::schema::{Catalog, Collection, StateSchema};
use tailwater::value::Value;

use super::rows::{self, Message, User};

/// A collection of the given names.
macro_rules! collection {
    ($type:ident, $name:literal, $event_type:literal, $key:literal) => {
        #[derive(Serialize, Deserialize)]
        struct $type {
            id: String,
        }
        impl Collection for $type {
            const NAME: &'static str = $name;
            const EVENT_TYPE: &'static str = $event_type;
            const PRIMARY_KEY: &'static str = $key;
            type Columns = ();
            fn columns(_: &str) {}
            fn key(&self) -> String {
                self.id.clone()
            }
        }
    };
}

fn refusal<T: Collection>() -> String {
    let builder = StateSchema::builder().collection::<User>();
    builder.collection::<T>().build().unwrap_err().to_string()
}

/// Why a schema with one more collection, all in JSON, is refused.
fn refusal_in_json(name: &str, event_type: &str) -> String {
    let text = format!(
        r#"{{"collections":{{
            "users":{{"type":"user","primaryKey":"id"}},
            "{name}":{{"type":"{event_type}","primaryKey":"id"}}}}}}"#
    );
    Catalog::from_json(&text).unwrap_err().to_string()
}

#[test]
fn b33_duplicate_event_types_are_refused() {
    collection!(Person, "people", "user", "id");
    let expected = "duplicate event type `user`: used by both `users` and `people` collections";
    assert_eq!(refusal::<Person>(), expected);
    assert_eq!(refusal_in_json("people", "user"), expected);
}

#[test]
fn b34_reserved_collection_names_are_refused() {
    collection!(Preload, "preload", "p", "id");
    collection!(Close, "close", "c", "id");
    for refused in [refusal::<Preload>(), refusal::<Close>()] {
        assert!(
            refused.starts_with("reserved collection name `"),
            "{refused}"
        );
    }
    for name in ["preload", "close", "collections", "utils", "actions"] {
        let refused = refusal_in_json(name, "t");
        let start = format!("reserved collection name `{name}`");
        assert!(refused.starts_with(&start), "{refused}");
    }
}

#[test]
fn empty_and_repeated_names_are_refused() {
    collection!(NoName, "", "t", "id");
    collection!(NoType, "t", "", "id");
    collection!(NoKey, "t", "t", "");
    assert_eq!(
        refusal::<NoName>(),
        "collection ``: `name` must not be empty"
    );
    assert_eq!(
        refusal::<NoType>(),
        "collection `t`: `type` must not be empty"
    );
    assert_eq!(
        refusal::<NoKey>(),
        "collection `t`: `primaryKey` must not be empty"
    );
    assert_eq!(refusal::<User>(), "duplicate collection name `users`");
    assert_eq!(
        refusal_in_json("users", "t"),
        "duplicate collection name `users`"
    );
}

#[test]
fn events_are_only_made_for_collections_as_they_were_declared() {
    collection!(Other, "others", "other", "id");
    collection!(OtherType, "users", "person", "id");
    collection!(OtherKey, "users", "user", "email");
    collection!(OtherRow, "users", "user", "id");
    let schema = rows::schema();
    let refused = |result: Result<_, _>| match result {
        Ok(()) => "none".to_owned(),
        Err(error) => tailwater::schema::SchemaError::to_string(&error),
    };
    for (got, expected) in [
        (
            refused(schema.events::<Other>().map(drop)),
            "unknown collection `others`",
        ),
        (
            refused(schema.events::<OtherType>().map(drop)),
            "collection `users`: `type` is `user`, but `person` of the Rust type",
        ),
        (
            refused(schema.events::<OtherKey>().map(drop)),
            "collection `users`: `primaryKey` is `id`, but `email` of the Rust type",
        ),
        (
            refused(schema.events::<OtherRow>().map(drop)),
            "collection `users`: its rules are for another Rust type",
        ),
        (
            refused(schema.dynamic_events("users").map(drop)),
            "collection `users`: its rules are for another Rust type",
        ),
        (
            refused(schema.dynamic_events("user").map(drop)),
            "unknown collection `user`",
        ),
    ] {
        assert_eq!(got, expected);
    }
}

#[test]
fn a_schema_in_json_makes_events_of_rust_types_and_of_plain_values() {
    let schema = StateSchema::from_json(
        r#"{"collections":{"messages":{"type":"message","primaryKey":"id"}}}"#,
    )
    .unwrap();
    let message = Message {
        id: 7,
        text: "Hi".into(),
    };
    let typed = schema.events::<Message>().unwrap();
    let plain = schema.dynamic_events("messages").unwrap();
    let value = Value::object([("id", 7.into()), ("text", Value::from("Hi"))]);
    let event = typed.insert(&message).build().unwrap();
    assert_eq!(event, plain.insert(&value).build().unwrap());
    assert_eq!(event.key, "7");

    for (value, expected) in [
        (
            Value::from("Hi"),
            "cannot create message insert event: rows must be objects, not a string",
        ),
        (
            Value::Missing,
            "cannot create message insert event: rows must be objects, not null",
        ),
    ] {
        let error = plain.insert(&value).key("7").build().unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
