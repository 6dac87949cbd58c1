//! What the client does when servers and networks misbehave.

mod answers;
mod events;
mod producer;
mod requests;
mod secrets;
