//! The tables of a file as histories that end with their rows.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Map, Value, json};
use sqlparser::ast::{Expr, SetExpr, Statement, TableObject, UnaryOperator, Value as Constant};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// Tables: their columns with types, and their rows.
#[derive(Default)]
pub(super) struct Loaded {
    columns: BTreeMap<String, Vec<(String, String)>>,
    rows: Vec<(String, Value)>,
}

impl Loaded {
    pub(super) fn columns(&self, table: &str) -> Vec<String> {
        let columns = self.columns.get(table).into_iter().flatten();
        columns.map(|(name, _)| name.clone()).collect()
    }

    /// Does what `CREATE TABLE` or `INSERT` say.
    pub(super) fn statement(&mut self, sql: &str) {
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("a statement");
        match &parsed[..] {
            [Statement::CreateTable(table)] => {
                let columns = table.columns.iter();
                let columns =
                    columns.map(|c| (c.name.value.clone(), c.data_type.to_string().to_lowercase()));
                self.columns
                    .insert(table.name.to_string(), columns.collect());
            }
            [Statement::Insert(insert)] => {
                let TableObject::TableName(table) = &insert.table else {
                    panic!("no table: {sql}");
                };
                let table = table.to_string();
                let source = insert.source.as_ref().expect("rows");
                let SetExpr::Values(values) = &*source.body else {
                    panic!("no rows: {sql}");
                };
                for row in &values.rows {
                    let columns = &self.columns[&table];
                    assert_eq!(row.len(), columns.len(), "{sql}");
                    let fields = columns.iter().zip(row.iter());
                    let row: Map<_, _> = fields
                        .map(|((name, of), e)| (name.clone(), value(e, of)))
                        .collect();
                    self.rows.push((table.clone(), row.into()));
                }
            }
            _ => panic!("neither CREATE TABLE nor INSERT: {sql}"),
        }
    }

    /// Batches of messages after which the rows are there, and no others: some were others before,
    /// some were there and went, and some come that do not stay.
    pub(super) fn history(&self, rng: &mut Rng) -> Vec<Vec<Value>> {
        let upsert = |(table, row): &(String, Value), key: &str| json!({"type": table, "key": key, "value": row, "headers": {"operation": "upsert"}});
        let delete = |table: &str, key: &str| json!({"type": table, "key": key, "headers": {"operation": "delete"}});
        let mut stories = Vec::new();
        for (n, row) in self.rows.iter().enumerate() {
            let key = n.to_string();
            let alike: Vec<_> = self
                .rows
                .iter()
                .filter(|(table, _)| *table == row.0)
                .collect();
            let mut story = Vec::new();
            for _ in 0..rng.usize(0..3) {
                story.push(match rng.bool() {
                    true => upsert(alike[rng.usize(..alike.len())], &key),
                    false => delete(&row.0, &key),
                });
            }
            story.push(upsert(row, &key));
            stories.push(story);
            if rng.u8(0..3) == 0 {
                let guest = format!("guest {n}");
                stories.push(vec![upsert(row, &guest), delete(&row.0, &guest)]);
            }
        }
        // Each story goes on in its order.
        let mut turns: Vec<usize> = stories
            .iter()
            .enumerate()
            .flat_map(|(n, story)| vec![n; story.len()])
            .collect();
        rng.shuffle(&mut turns);
        let mut told: Vec<_> = stories.into_iter().map(Vec::into_iter).collect();
        let mut batches = vec![Vec::new()];
        for turn in turns {
            batches.last_mut().expect("one").extend(told[turn].next());
            if rng.u8(0..6) == 0 {
                batches.push(Vec::new());
            }
        }
        batches
    }
}

/// A constant as a value of a column.
fn value(e: &Expr, of: &str) -> Value {
    match e {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => number(&format!("-{expr}")),
        Expr::Value(constant) => match &constant.value {
            Constant::Null => Value::Null,
            Constant::Boolean(b) => (*b).into(),
            Constant::Number(text, _) => number(text),
            Constant::SingleQuotedString(text) if of == "jsonb" => {
                serde_json::from_str(text).expect("JSON")
            }
            Constant::SingleQuotedString(text) if of == "timestamp" => {
                format!("{}Z", text.replace(' ', "T")).into()
            }
            Constant::SingleQuotedString(text) => text.as_str().into(),
            other => panic!("a constant is written {other}"),
        },
        other => panic!("no constant: {other}"),
    }
}

fn number(text: &str) -> Value {
    serde_json::from_str(text).expect("a number")
}
