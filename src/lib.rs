//! lib
mod dataflow;
pub mod engine;
pub mod plan;
pub mod protocol;
pub mod query;
mod ranked;
pub mod schema;
pub mod store;
pub mod value;
pub mod view;
