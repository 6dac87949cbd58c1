//! Results of queries as durable streams, over HTTP.

mod bank;
#[cfg(target_os = "linux")]
mod clocks;
mod faults;
mod folder;
mod hosts;
mod http;
mod inside;
mod kills;
mod memory;
mod npm;
mod readers;
mod support;
mod watch;
