//! Durable Streams: the client, against servers that others wrote and servers that misbehave.

mod client_behaviour;
mod client_faults;
mod client_reads;
mod hand_made;
mod http1;
mod proxy;
mod servers;
mod support;
