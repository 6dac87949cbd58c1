//! What the programs in Rust share: messages, and their rows decoded.

pub(crate) mod events;
mod message;
#[allow(dead_code, reason = "not every program asks for all of it")]
pub(crate) mod nexmark;
#[allow(dead_code, reason = "not every program asks for all of it")]
pub(crate) mod tpch;

pub(crate) use message::Message;
