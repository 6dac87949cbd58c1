//! SQL: random statements over random histories give what DuckDB gives, after every batch.

mod generate;
mod oracle;
