//! What `@durable-streams/state` does, each behaviour that its tests name under its number there,
//! and what else a database on a stream promises.

#[cfg(all(feature = "http", feature = "server"))]
mod db_errors;
#[cfg(all(feature = "http", feature = "server"))]
mod db_hooks;
#[cfg(all(feature = "http", feature = "server"))]
mod db_keep;
#[cfg(all(feature = "http", feature = "server"))]
mod db_live;
#[cfg(all(feature = "http", feature = "server"))]
mod db_load;
#[cfg(all(feature = "http", feature = "server"))]
mod db_memory;
#[cfg(all(feature = "derive", feature = "http", feature = "server"))]
mod db_schema;
#[cfg(all(feature = "http", feature = "server"))]
mod db_slow_readers;
#[cfg(all(feature = "http", feature = "server"))]
mod db_snapshots;
#[cfg(all(feature = "http", feature = "server"))]
mod db_support;
#[cfg(all(feature = "http", feature = "server"))]
mod db_txids;
mod events;
mod key_value;
mod layers;
mod rows;
mod schema;
#[cfg(all(feature = "http", feature = "server"))]
mod tx_actions;
#[cfg(all(feature = "http", feature = "server"))]
mod tx_lifecycle;
#[cfg(all(feature = "http", feature = "server"))]
mod tx_model;
#[cfg(all(feature = "http", feature = "server"))]
mod tx_paced;
#[cfg(all(feature = "http", feature = "server"))]
mod tx_support;
mod upserts;
mod validation;
