//! What event helpers refuse: numbers 42 to 51; rules as JSON Schema, where events are made and
//! where they are read.

use tailwater::schema::{EventBuilder, Events};

use super::rows::{self, User, anonymous, user};

fn users() -> Events<User> {
    rows::schema().events().unwrap()
}

fn bad() -> User {
    user("123", "")
}

#[track_caller]
fn refused(event: EventBuilder<'_, impl serde::Serialize>, message: &str) {
    assert_eq!(event.build().unwrap_err().to_string(), message);
}

#[test]
fn b42_the_value_of_an_insert_is_validated() {
    let (users, bad, good) = (users(), bad(), user("123", "Kyle"));
    refused(
        users.insert(&bad),
        "Validation failed for user insert: Invalid user",
    );
    assert_eq!(users.insert(&good).build().unwrap().key, "123");
    let other = users.insert(&good).key("other").build().unwrap();
    assert_eq!(other.key, "other");
}

#[test]
fn b43_the_value_of_an_update_is_validated() {
    refused(
        users().update(&bad()),
        "Validation failed for user update: Invalid user",
    );
    refused(
        users().upsert(&bad()),
        "Validation failed for user upsert: Invalid user",
    );
}

#[test]
fn b44_the_old_value_of_an_update_is_validated() {
    refused(
        users().update(&user("123", "Kyle")).old_value(&bad()),
        "Validation failed for user update (oldValue): Invalid user",
    );
}

#[test]
fn b45_the_old_value_of_a_delete_is_validated() {
    refused(
        users().delete().key("123").old_value(&bad()),
        "Validation failed for user delete (oldValue): Invalid user",
    );
}

#[test]
fn b46_a_delete_without_an_old_value_is_not_validated() {
    let event = users().delete().key("123").build().unwrap();
    assert_eq!(event.key, "123");
}

#[test]
fn b47_the_error_tells_what_the_rules_say() {
    let users = users();
    refused(
        users.insert(&bad()),
        "Validation failed for user insert: Invalid user",
    );
    let elsewhere = User {
        email: "at home".into(),
        ..user("123", "Kyle")
    };
    refused(
        users.insert(&elsewhere),
        "Validation failed for user insert: email: must contain an @",
    );
}

#[test]
fn b48_a_delete_of_nothing_is_refused() {
    let users = users();
    let message = "cannot create user delete event: \
        must provide either 'key' or 'oldValue' with a non-empty 'id' field";
    refused(users.delete(), message);
    refused(users.delete().key(""), message);
    refused(users.delete().old_value(&anonymous("Kyle")), message);
    refused(users.delete().old_value(&user("", "Kyle")), message);
}

#[test]
fn b49_a_delete_goes_by_key() {
    let event = users().delete().key("123").build().unwrap();
    assert_eq!(event.key, "123");
    assert!(event.old_value.as_ref().is_nullish());
}

#[test]
fn b50_a_delete_goes_by_old_value() {
    let old = user("123", "Kyle");
    let event = users().delete().old_value(&old).build().unwrap();
    assert_eq!(event.key, "123");
    assert_eq!(event.old_value.get("name").as_str(), Some("Kyle"));
}

#[test]
fn b51_headers_do_not_override_the_operation() {
    let (users, kyle) = (users(), user("123", "Kyle"));
    for (event, operation) in [
        (users.insert(&kyle), "insert"),
        (users.update(&kyle), "update"),
        (users.upsert(&kyle), "upsert"),
        (users.delete().key("123"), "delete"),
    ] {
        let event = event.header("operation", "reset").header("mine", 1);
        let json = serde_json::to_value(event.build().unwrap()).unwrap();
        assert_eq!(
            json["headers"],
            serde_json::json!({"operation": operation, "mine": 1})
        );
    }
}

#[test]
fn a_key_must_come_from_somewhere() {
    let (users, nobody) = (users(), anonymous("Kyle"));
    let message = |operation| {
        format!(
            "cannot create user {operation} event: \
             must provide either 'key' or a value with a non-empty 'id' field"
        )
    };
    refused(users.insert(&nobody), &message("insert"));
    refused(users.update(&nobody), &message("update"));
    refused(users.upsert(&nobody), &message("upsert"));
    refused(users.insert(&user("", "Kyle")), &message("insert"));
    refused(
        users.insert(&user("123", "Kyle")).key(""),
        &message("insert"),
    );
    // That of an old value is no help: it may be another row's.
    let old = user("123", "Kyle");
    refused(users.update(&nobody).old_value(&old), &message("update"));
    assert_eq!(users.insert(&nobody).key("7").build().unwrap().key, "7");
}

#[cfg(feature = "json-schema")]
mod json_schema {
    use std::sync::Arc;

    use serde_json::json;
    use tailwater::engine::{BatchReader, Engine};
    use tailwater::schema::{Catalog, Events, SchemaError, StateSchema};

    use super::super::rows::{User, anonymous, user};
    use super::refused;

    fn schema() -> Result<StateSchema, SchemaError> {
        StateSchema::builder()
            .collection_with_schema::<User>(&json!({
                "properties": {"name": {"minLength": 1}, "email": {"format": "email"}},
                "required": ["id"],
            }))
            .build()
    }

    #[test]
    fn events_are_checked_when_they_are_made() {
        let users: Events<User> = schema().unwrap().events().unwrap();
        let (good, bad, nobody) = (user("1", "Kyle"), user("1", ""), anonymous("Kyle"));
        refused(
            users.insert(&bad),
            r#"Validation failed for user insert: email: "@example.com" is not a "email" (`format`), name: "" is shorter than 1 character (`minLength`)"#,
        );
        refused(
            users.delete().old_value(&bad),
            r#"Validation failed for user delete (oldValue): email: "@example.com" is not a "email" (`format`), name: "" is shorter than 1 character (`minLength`)"#,
        );
        users.update(&good).old_value(&good).build().unwrap();
        // The key is the row's, wherever it comes from.
        users.insert(&nobody).key("1").build().unwrap();
        refused(
            users.insert(&nobody),
            r#"Validation failed for user insert: "id" is a required property (`required`)"#,
        );
    }

    #[test]
    fn events_are_checked_when_they_are_read() {
        let catalog: Arc<Catalog> = Arc::new(schema().unwrap().catalog());
        assert!(catalog.unchecked().is_empty());
        let mut reader = BatchReader::new(catalog.clone(), 100);
        let mut batches = Vec::new();
        let put = |key: &str, value: &str| {
            format!(
                r#"{{"type":"user","key":"{key}","value":{value},"headers":{{"operation":"insert"}}}}"#
            )
        };
        for line in [
            put("1", r#"{"name":"Kyle","email":"kyle@example.com"}"#),
            put("2", r#"{"name":"","unknown":1}"#),
            put("3", "7"),
            put("4", r#"{"name":"Alice"}"#),
            // What a delete says of the old row is of no consequence.
            r#"{"type":"user","key":"4","old_value":{"name":""},"headers":{"operation":"delete"}}"#
                .into(),
        ] {
            reader.line(&line, &mut batches);
        }
        reader.flush(&mut batches);
        let rejects: Vec<String> = reader
            .take_rejects()
            .iter()
            .map(|r| r.to_string())
            .collect();
        assert_eq!(
            rejects,
            [
                r#"line 2: collection `users`, key `2`: name: "" is shorter than 1 character (`minLength`)"#,
                "line 3: collection `users` requires object values; got a number for key `3`",
            ]
        );
        let mut engine = Engine::with_catalog(catalog);
        for batch in batches {
            engine.apply(batch);
        }
        let users = engine.catalog().by_name("users").unwrap();
        assert_eq!(engine.store().len(&users), 1);
        assert_eq!(
            users.columns().get("unknown"),
            None,
            "nothing is left of it"
        );
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        let refused = StateSchema::builder()
            .collection_with_schema::<User>(&json!({"required": "id"}))
            .build()
            .unwrap_err()
            .to_string();
        let start = "collection `users`: `schema` is not a JSON Schema: required: ";
        assert!(refused.starts_with(start), "{refused}");
    }
}
