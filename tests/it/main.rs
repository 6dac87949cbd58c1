//! The integration tests, as one binary.

mod bank;
mod cli;
mod flights;
mod histories;
mod oracle;
mod peers;
mod regressions;
mod sharing;
