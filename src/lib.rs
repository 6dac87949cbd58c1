//! lib
pub mod plan;
pub mod protocol;
pub mod query;
pub mod schema;
pub mod value;
