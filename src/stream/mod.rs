//! The client of Durable Streams.
