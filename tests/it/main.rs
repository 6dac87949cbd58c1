//! The integration tests, as one binary.

mod bank;
mod cli;
mod closures;
mod effects;
mod flights;
mod histories;
mod includes;
mod moved_windows;
mod oracle;
mod peers;
mod recursion;
mod regressions;
mod sharing;
mod state;
#[cfg(feature = "server")]
mod streams;
mod support;
mod time;
mod time_below;
mod windows;
