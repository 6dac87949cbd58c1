//! What `@durable-streams/state` does, each behaviour that its tests name under its number there.

mod events;
mod key_value;
mod layers;
mod rows;
mod schema;
mod upserts;
mod validation;
