//! Durable Streams: the embedded server over HTTP.

#[cfg(feature = "cli")]
mod server_cli;
#[cfg(feature = "cli")]
mod server_crash;
mod server_disk;
mod server_help;
mod server_http;
mod server_limits;
mod server_live;
mod server_model;
mod server_suite;
