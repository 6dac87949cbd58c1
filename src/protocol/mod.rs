//! The Durable Streams State Protocol: messages, and the plain state they add up to.
//!
//! Mirrors `STATE-PROTOCOL.md` of `@durable-streams/state` (1.0) with its implementation's `upsert`.

mod materialized;
mod message;

pub use materialized::MaterializedState;
pub use message::{
    ChangeEvent, Control, ControlEvent, Event, Message, MessageError, Operation, RawChange,
};
