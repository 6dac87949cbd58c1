//! The Durable Streams State Protocol: messages, and the plain state they add up to.
//!
//! Stands at the left of the house: it needs values, and no other module. Together with the
//! module `schema` it is all that a writer of events, or a reader of plain state, has to know.
//!
//! Mirrors `STATE-PROTOCOL.md` of `@durable-streams/state` (1.0) with its implementation's `upsert`.

mod materialized;
mod message;

pub use materialized::{MaterializedState, ValueTypeError};
pub use message::{
    ChangeEvent, Control, ControlEvent, Event, Message, MessageError, Operation, RawChange,
};
