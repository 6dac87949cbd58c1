//! SQL: random statements over random histories give what DuckDB gives, after every batch; what
//! statements become; what is refused, and how.

mod errors;
mod generate;
mod lowering;
mod oracle;
mod tpch;
