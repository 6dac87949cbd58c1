//! The embedded server of Durable Streams.
