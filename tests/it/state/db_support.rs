//! A server with one stream, typed rows, and events in few words.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tailwater::db::{Builder, StreamDb};
use tailwater::query::Query;
use tailwater::schema::Collection;
use tailwater::server::Server;
use tailwater::stream::{AppendOptions, CreateOptions, DurableStream};

/// After so long, something hangs.
pub(super) const HANG: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) text: String,
}

macro_rules! collection {
    ($type:ty, $name:literal, $event_type:literal) => {
        impl Collection for $type {
            const NAME: &'static str = $name;
            const EVENT_TYPE: &'static str = $event_type;
            const PRIMARY_KEY: &'static str = "id";
            type Columns = ();
            fn columns(_: &str) {}
            fn key(&self) -> String {
                self.id.clone()
            }
        }
    };
}

collection!(User, "users", "user");
collection!(Message, "messages", "message");

pub(super) fn event(operation: &str, event_type: &str, key: &str, value: Value) -> Value {
    let headers = json!({"operation": operation});
    json!({"type": event_type, "key": key, "value": value, "headers": headers})
}

pub(super) fn with_txid(mut event: Value, txid: &str) -> Value {
    event["headers"]["txid"] = txid.into();
    event
}

/// A user's row without its id, which comes from the key.
pub(super) fn user(operation: &str, key: &str, name: &str) -> Value {
    let email = format!("{}@example.com", name.to_lowercase());
    event(
        operation,
        "user",
        key,
        json!({"name": name, "email": email}),
    )
}

pub(super) fn delete(event_type: &str, key: &str) -> Value {
    json!({"type": event_type, "key": key, "headers": {"operation": "delete"}})
}

pub(super) fn message(operation: &str, key: &str, text: &str) -> Value {
    event(operation, "message", key, json!({"text": text}))
}

pub(super) fn query(ir: &Value) -> Query {
    Query::from_json(&ir.to_string()).unwrap()
}

/// A server with one empty stream.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) stream: DurableStream,
}

impl World {
    pub(super) async fn new() -> World {
        let server = Server::start().await.unwrap();
        let stream = DurableStream::new(server.stream_url("state")).unwrap();
        stream.create(CreateOptions::json()).await.unwrap();
        World { server, stream }
    }

    /// Appends events as one batch.
    pub(super) async fn append(&self, events: &[Value]) {
        let items = events.iter().map(|event| event.to_string().into());
        let options = AppendOptions::default();
        self.stream.append_all(items, options).await.unwrap();
    }

    /// A database of users and messages.
    pub(super) fn typed(&self) -> Builder {
        StreamDb::builder(self.stream.clone())
            .collection::<User>()
            .collection::<Message>()
    }

    /// A database of whatever comes.
    pub(super) fn open(&self) -> StreamDb {
        StreamDb::builder(self.stream.clone()).open().unwrap()
    }
}

/// Waits for something that is going to be so.
pub(super) async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let wait = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let came = tokio::time::timeout(HANG, wait).await;
    assert!(came.is_ok(), "it never came: {what}");
}
