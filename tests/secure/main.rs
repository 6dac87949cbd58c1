//! What people send who mean no good, and what those get who may not have all.

mod clients;
mod deep;
mod inputs;
mod origins;
mod paths;
mod rows;
mod scopes;
mod support;
#[cfg(all(feature = "server-tls", feature = "tls"))]
mod tls;
