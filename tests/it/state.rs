//! What `@durable-streams/state` does, each behaviour that its tests name under its number there.

#[cfg(all(feature = "http", feature = "server"))]
mod db_errors;
#[cfg(all(feature = "http", feature = "server"))]
mod db_hooks;
#[cfg(all(feature = "http", feature = "server"))]
mod db_live;
#[cfg(all(feature = "http", feature = "server"))]
mod db_load;
#[cfg(all(feature = "http", feature = "server"))]
mod db_slow_readers;
#[cfg(all(feature = "http", feature = "server"))]
mod db_snapshots;
#[cfg(all(feature = "http", feature = "server"))]
mod db_support;
#[cfg(all(feature = "http", feature = "server"))]
mod db_txids;
