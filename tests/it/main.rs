//! The integration tests, as one binary.

mod histories;
mod oracle;
