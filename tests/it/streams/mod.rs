//! Durable Streams: the client, against servers that others wrote and servers that misbehave; the
//! embedded server over HTTP.

mod adapter;
mod client_behaviour;
mod client_faults;
mod client_reads;
mod database;
mod hand_made;
mod http1;
mod proxy;
#[cfg(feature = "cli")]
pub(crate) mod server_cli;
#[cfg(feature = "cli")]
mod server_crash;
mod server_disk;
pub(crate) mod server_help;
mod server_http;
mod server_limits;
mod server_live;
mod server_model;
mod server_suite;
#[cfg(feature = "cli")]
mod server_torn;
mod servers;
mod support;
