//! SQL: random statements over random histories give what DuckDB and PostgreSQL give, after every
//! batch; the queries of NEXMark and TPC-H; what statements become; what is refused, and how.

mod errors;
mod generate;
mod judges;
mod logic;
mod lowering;
mod nexmark;
mod oracle;
mod tpch;
mod tpch_scale;
