//! Tailwater: live queries over durable streams.
//!
//! Change events (insert, update, delete) of the [State Protocol](protocol) go in; the results of
//! filter, join, group-by and order-by queries come out, right after every batch, at a cost that
//! follows the change and not the data. Queries are data: TanStack DB's query IR as JSON, with
//! unions, nested results, recursion and conditions on the time; `docs/queries.md` is its reference.
//!
//! ```
//! use tailwater::engine::Engine;
//! use tailwater::query::Query;
//!
//! let mut engine = Engine::new();
//! let by_city = engine.install(&Query::from_json(
//!     r#"{"from":{"type":"collectionRef","collection":"user","alias":"u"},
//!         "groupBy":[{"type":"ref","path":["u","city"]}],
//!         "select":{"city":{"type":"ref","path":["u","city"]},
//!                   "n":{"type":"agg","name":"count","args":[{"type":"ref","path":["u","name"]}]}}}"#,
//! )?)?;
//! let batch = engine.decode([
//!     r#"{"type":"user","key":"1","value":{"name":"Ada","city":"London"},"headers":{"operation":"insert"}}"#,
//!     r#"{"type":"user","key":"2","value":{"name":"Alan","city":"London"},"headers":{"operation":"insert"}}"#,
//! ])?;
//! for change in engine.apply(batch)[&by_city].iter() {
//!     println!("{:?} {}: {}", change.kind(), change.key(), change.row().unwrap().value());
//! }
//! assert_eq!(engine.view(by_city).unwrap().nth(0).unwrap().value().to_string(), r#"{"city":"London","n":2}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The model
//!
//! A *collection* is rows by key, made by the events of one type. A *batch* of events is one *step*: all
//! collections and all queries move together, and nobody sees a part of it. A *live query* has rows by
//! key, too, and a step changes each at most once: its *change set* tells inserts, updates with the row
//! before, deletes, and positions where the result is ordered. *Optimistic* changes of transactions lie
//! on top of the rows that came in, until the stream confirms them or they are taken back.
//!
//! With a Durable Stream as the source, a `db::StreamDb` does the reading, and types make conditions on
//! columns that are not there, or of another type, errors of the compiler:
//!
#![cfg_attr(all(feature = "derive", feature = "http"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "derive", feature = "http")), doc = "```ignore")]
//! # use futures_util::StreamExt;
//! use serde::{Deserialize, Serialize};
//! use tailwater::Collection;
//! use tailwater::db::{StreamDb, append_mutations};
//! use tailwater::query::Query;
//!
//! #[derive(Serialize, Deserialize, Collection)]
//! #[collection(name = "users", type = "user", key = "id")]
//! struct User { id: String, city: String, age: i64 }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let db = StreamDb::builder("http://127.0.0.1:4437/v1/stream/users").collection::<User>().open()?;
//! db.preload().await?;
//! let by_city = db.live(
//!     Query::from::<User>("u")
//!         .filter(|u| u.age.gte(18))
//!         .group_by(|u| u.city)
//!         .select(|u| (u.city, u.id.count())),
//! )?;
//! let ada = User { id: "1".into(), city: "London".into(), age: 36 };
//! let change = db.mutate(|tx| tx.insert(&ada), append_mutations)?;
//! let rows: Vec<(String, i64)> = by_city.rows()?; // with Ada already
//! change.is_persisted().await?; // and now for everybody
//! let mut changes = by_city.subscribe();
//! while let Some(set) = changes.next().await {
//!     println!("{} cities changed", set.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The programs in `examples/` are whole ones to copy.
//!
//! # The house
//!
//! Data flows left to right, and a module imports only from its left:
//!
//! ```text
//! protocol ──┬──> schema ──> query ──> plan ───┬──> store ──> dataflow ──> view ──> engine ──┬──> db ──> server ──> cli
//! (messages) │    (columns)  (IR)    (checked) │    (rows)    (operators)  (results)          │         (streams, results, page)
//!            └─────────────────────────────────┘                                    stream ──┘
//!                                                                  (Durable Streams: client)
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | [`value`] | values, rows, their orders, JSON in and out |
//! | [`protocol`] | messages of the State Protocol, and the plain state they add up to |
//! | [`schema`] | collections: their columns and rules, and the events that change them |
//! | [`query`] | the query IR, its functions, from and to JSON, [builders](query::builder) |
//! | `sql` | SQL as a second way into the IR, between `query` and `plan`, behind the feature `sql` |
//! | [`plan`] | the IR with names resolved and conditions moved to where they cost least |
//! | [`store`] | the current rows, pending changes on top, what a batch changes, shared arrangements |
//! | `places` | places in a list, found by hash |
//! | `ranked` | a sorted set that knows positions |
//! | `dataflow` | plans as dataflows, one operator a file: on this thread, or on timely’s workers |
//! | [`view`] | results as ordered rows, and change sets |
//! | [`engine`] | ties them together: install, apply, uninstall |
//! | `system` | time and waiting, as the system or a simulation has them, behind the feature `http` |
//! | `stream` | the client of Durable Streams, behind the feature `http` |
//! | `db` | a database on a stream: live results, optimistic changes, behind the feature `http` |
//! | `server` | the embedded server of Durable Streams, behind the feature `server`; with `serve`, results of queries as such streams, and a page that shows them |
//!
//! Up to `engine`, the library works on the caller's thread, without clock, network or threads; what
//! needs these comes with the features `http`, `server` and `serve`.

mod dataflow;
#[cfg(feature = "http")]
pub mod db;
pub mod engine;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod places;
pub mod plan;
pub mod protocol;
pub mod query;
mod ranked;
pub mod schema;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "sql")]
pub mod sql;
pub mod store;
#[cfg(feature = "http")]
pub mod stream;
#[cfg(feature = "http")]
mod system;
pub mod value;
pub mod view;
#[cfg(test)]
mod work;

pub use query::builder::Projection;
pub use schema::Collection;
#[cfg(feature = "derive")]
pub use tailwater_macros::{Collection, Projection};

/// The README's example runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The book's examples run.
#[cfg(all(doctest, feature = "sql"))]
mod book {
    #[doc = include_str!("../docs/start.md")]
    struct Start;
    #[doc = include_str!("../docs/tour.md")]
    struct Tour;
}
