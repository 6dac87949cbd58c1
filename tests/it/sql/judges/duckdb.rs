//! DuckDB, in a Node process.

use serde_json::{Value, json};

use super::{Judge, Rows, Tables};
use crate::peers::process::Peer;

pub(in crate::sql) struct DuckDb(Peer);

impl DuckDb {
    pub(in crate::sql) fn start(tables: &Tables) -> DuckDb {
        let mut duckdb = DuckDb(Peer::start("sql.mjs"));
        duckdb.run(&tables.create()).expect("the tables are right");
        duckdb
    }

    /// Without it the plan is the statement as it stands: less that may be wrong, and faster over few
    /// rows. But joins of many tables need it.
    pub(in crate::sql) fn without_optimizer(mut self) -> DuckDb {
        let off = ["PRAGMA disable_optimizer".to_owned()];
        self.run(&off).expect("the pragma is there");
        self
    }
}

impl Judge for DuckDb {
    fn name(&self) -> &'static str {
        "DuckDB"
    }

    fn run(&mut self, statements: &[String]) -> Result<Vec<Rows>, String> {
        let answer = self.0.ask(&json!({"run": statements}));
        if let Some(error) = answer["error"].as_str() {
            return Err(error.to_owned());
        }
        let results = answer["results"].as_array().expect("results").iter();
        let rows = |rows: &Value| {
            let rows = rows.as_array().expect("rows").iter();
            rows.map(|row| (String::new(), row.clone())).collect()
        };
        Ok(results.map(rows).collect())
    }
}
