//! What the programs in Rust share: messages, and their rows decoded.

pub(crate) mod events;
pub(crate) mod tpch;
mod message;

pub(crate) use message::Message;
