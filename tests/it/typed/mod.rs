//! Typed queries end to end: built, installed, and their rows read back as Rust values.

mod aggregates;
mod joins;
mod model;
mod nested;
mod refusals;
mod rows;
mod twins;
mod wide;

use serde::Serialize;
use tailwater::Collection;
use tailwater::engine::{Engine, QueryId};
use tailwater::query::TypedQuery;

/// An engine that is fed with Rust values, and whose results are ones.
#[derive(Default)]
struct World {
    engine: Engine,
}

/// A row that comes or changes, as a message.
fn put<T: Collection>(row: &T) -> String {
    message::<T>(row.key(), "upsert", Some(row))
}

/// A row that leaves, as a message.
fn delete<T: Collection>(key: &str) -> String {
    message::<T>(key.to_owned(), "delete", None)
}

fn message<T: Collection>(key: String, operation: &str, value: Option<&T>) -> String {
    #[derive(Serialize)]
    struct Message<'v, T> {
        r#type: &'v str,
        key: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<&'v T>,
        headers: serde_json::Value,
    }
    let message = Message {
        r#type: T::NAME,
        key,
        value,
        headers: serde_json::json!({ "operation": operation }),
    };
    serde_json::to_string(&message).unwrap()
}

/// An installed query, and how its rows become values.
struct Live<T> {
    id: QueryId,
    query: TypedQuery<T>,
}

impl World {
    fn of(messages: &[String]) -> World {
        let mut world = World::default();
        world.apply(messages);
        world
    }

    fn apply(&mut self, messages: &[String]) {
        let batch = self.engine.decode(messages.iter().map(String::as_str));
        self.engine.apply(batch.unwrap());
    }

    fn live<T>(&mut self, query: impl Into<TypedQuery<T>>) -> Live<T> {
        let query = query.into();
        let id = self.engine.install(query.ir()).unwrap();
        Live { id, query }
    }

    /// The rows of a result in its order.
    fn rows<T>(&self, live: &Live<T>) -> Vec<T> {
        let view = self.engine.view(live.id).unwrap();
        let row = |row: tailwater::view::ResultRow<'_>| live.query.row()(row.value().as_ref());
        view.rows().map(row).collect::<Result<_, _>>().unwrap()
    }

    /// The rows of a query that is run once.
    fn once<T>(&mut self, query: impl Into<TypedQuery<T>>) -> Vec<T> {
        let live = self.live(query);
        self.rows(&live)
    }
}
