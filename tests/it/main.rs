//! The integration tests, as one binary.

#[cfg(feature = "sql")]
mod analyze;
mod bank;
mod book;
mod cli;
mod closures;
mod effects;
#[cfg(all(feature = "derive", feature = "http", feature = "server"))]
mod examples;
mod flights;
mod histories;
mod includes;
mod moved_windows;
mod optimistic;
mod oracle;
mod peers;
mod pending;
mod recursion;
mod regressions;
#[cfg(feature = "cli")]
mod serve;
mod sharing;
#[cfg(feature = "sql")]
mod sql;
mod state;
#[cfg(all(feature = "http", feature = "server"))]
mod streams;
mod support;
mod time;
mod time_below;
mod typed;
mod windows;
mod workers;
