//! Databases that say what a statement gives, and what both sides are given: tables that a batch of
//! messages changes as it changes collections.

mod duckdb;
mod postgres;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(super) use self::duckdb::DuckDb;
pub(super) use self::postgres::Postgres;

/// A result: rows as the lists of their values, each with a key that says nothing.
pub(super) type Rows = Vec<(String, Value)>;

pub(super) trait Judge {
    fn name(&self) -> &'static str;

    /// Runs statements one by one; the rows of each, which has none if it is no query.
    fn run(&mut self, statements: &[String]) -> Result<Vec<Rows>, String>;

    /// A statement's rows after each batch of messages.
    fn snapshots(
        &mut self,
        sql: &str,
        batches: &[Vec<Value>],
        tables: &Tables,
    ) -> Result<Vec<Rows>, String> {
        let mut statements: Vec<String> =
            tables.0.keys().map(|t| format!("TRUNCATE {t}")).collect();
        let mut asked = Vec::new();
        for messages in batches {
            statements.extend(tables.apply(messages));
            asked.push(statements.len());
            statements.push(sql.to_owned());
        }
        let mut results = self.run(&statements)?;
        Ok(asked
            .iter()
            .map(|i| std::mem::take(&mut results[*i]))
            .collect())
    }
}

/// Tables: their columns, each with its SQL type. Each has the row's key besides, as `_key`.
pub(super) struct Tables(Map<String, Value>);

impl Tables {
    /// From `{TABLE: {COLUMN: TYPE}}`.
    pub(super) fn new(tables: Value) -> Tables {
        match tables {
            Value::Object(tables) => Tables(tables),
            other => panic!("no tables: {other}"),
        }
    }

    /// A table's columns with their types.
    pub(super) fn columns(&self, table: &str) -> impl Iterator<Item = (&str, &str)> {
        let columns = self.0[table].as_object().expect("columns");
        columns
            .iter()
            .map(|(name, of)| (name.as_str(), of.as_str().expect("a type")))
    }

    pub(super) fn create(&self) -> Vec<String> {
        let table = |table: &String| {
            let columns = self
                .columns(table)
                .map(|(name, of)| format!(", \"{name}\" {of}"));
            let columns: String = columns.collect();
            format!("CREATE TABLE {table} (_key VARCHAR{columns})")
        };
        self.0.keys().map(table).collect()
    }

    /// The statements that do what a batch of messages does.
    pub(super) fn apply(&self, messages: &[Value]) -> Vec<String> {
        let mut last: BTreeMap<(&str, &str), &Value> = BTreeMap::new();
        for message in messages {
            let name = |field: &str| message[field].as_str().expect("a name");
            last.insert((name("type"), name("key")), message);
        }
        let mut statements = Vec::new();
        for table in self.0.keys() {
            let (mut keys, mut rows) = (Vec::new(), Vec::new());
            for ((_, key), message) in last.iter().filter(|((of, _), _)| of == table) {
                let key = literal(&Value::from(*key));
                if message["headers"]["operation"] != "delete" {
                    let row = self
                        .columns(table)
                        .map(|(name, _)| literal(&message["value"][name]));
                    let row: Vec<String> = std::iter::once(key.clone()).chain(row).collect();
                    rows.push(format!("({})", row.join(", ")));
                }
                keys.push(key);
            }
            if !keys.is_empty() {
                statements.push(format!(
                    "DELETE FROM {table} WHERE _key IN ({})",
                    keys.join(", ")
                ));
            }
            if !rows.is_empty() {
                statements.push(format!("INSERT INTO {table} VALUES {}", rows.join(", ")));
            }
        }
        statements
    }
}

/// A value as a constant, which the column's type reads.
fn literal(value: &Value) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match value {
        Value::Null => "NULL".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) | Value::Object(_) => quoted(&value.to_string()),
    }
}
