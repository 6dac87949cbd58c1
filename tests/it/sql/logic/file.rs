//! Files in the format of sqllogictest: tables with their rows, and queries with what they give.
//!
//! Of the format there is `statement ok`, `query TYPES [nosort|rowsort]` with `----` and rows, `query error
//! TEXT`, `skipif` and `onlyif`. Tables stand before queries. The types are `I` integers, `R` numbers, `T`
//! texts, `B` booleans and `?` JSON; null is `NULL`, an empty text `(empty)`, a timestamp its milliseconds.

use serde_json::Value;

/// A part of a file.
pub(super) struct Record {
    /// Whether an engine runs it alone or not at all.
    condition: Option<(bool, String)>,
    pub(super) kind: Kind,
    pub(super) sql: String,
    /// The number of the line that it begins with.
    pub(super) line: usize,
    /// The rows that are expected, and the numbers of their lines.
    pub(super) rows: Vec<String>,
    first_row: usize,
}

pub(super) enum Kind {
    Statement,
    Query {
        types: String,
        ordered: bool,
    },
    /// What the error says, or a part of it.
    Error(String),
}

impl Record {
    pub(super) fn is_for(&self, engine: &str) -> bool {
        match &self.condition {
            None => true,
            Some((only, name)) => (name == engine) == *only,
        }
    }

    /// A result as lines, in an order that can be compared.
    pub(super) fn lines(&self, rows: &[(String, Value)]) -> Result<Vec<String>, String> {
        let Kind::Query { types, ordered } = &self.kind else {
            return Err("no query".into());
        };
        let mut lines = Vec::new();
        for (_, row) in rows {
            let cells = row.as_array().expect("a list");
            if cells.len() != types.chars().count() {
                return Err(format!("{} columns: {row}", cells.len()));
            }
            let cells = cells.iter().zip(types.chars());
            let cells: Result<Vec<String>, String> = cells.map(|(v, of)| cell(v, of)).collect();
            lines.push(cells?.join(" "));
        }
        if !ordered {
            lines.sort();
        }
        Ok(lines)
    }
}

/// Reads the records of a file.
pub(super) fn parse(text: &str) -> Result<Vec<Record>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut records, mut condition, mut at) = (Vec::new(), None, 0);
    while at < lines.len() {
        let line = at;
        at += 1;
        let words: Vec<&str> = lines[line].split_whitespace().collect();
        let kind = match words[..] {
            [] => continue,
            [comment, ..] if comment.starts_with('#') => continue,
            ["skipif", engine] => {
                condition = Some((false, engine.to_owned()));
                continue;
            }
            ["onlyif", engine] => {
                condition = Some((true, engine.to_owned()));
                continue;
            }
            ["statement", "ok"] => Kind::Statement,
            ["query", "error", ..] => Kind::Error(words[2..].join(" ")),
            ["query", types] | ["query", types, "nosort"] => Kind::Query {
                types: types.into(),
                ordered: true,
            },
            ["query", types, "rowsort"] => Kind::Query {
                types: types.into(),
                ordered: false,
            },
            _ => return Err(format!("line {}: no record: {}", line + 1, lines[line])),
        };
        let block = |at: &mut usize| {
            let start = *at;
            while *at < lines.len() && !lines[*at].is_empty() && lines[*at] != "----" {
                *at += 1;
            }
            lines[start..*at]
                .iter()
                .map(|line| line.to_string())
                .collect::<Vec<_>>()
        };
        let sql = block(&mut at).join("\n");
        let mut rows = Vec::new();
        if lines.get(at) == Some(&"----") {
            at += 1;
        } else if matches!(kind, Kind::Query { .. }) {
            return Err(format!("line {}: no ----", line + 1));
        }
        let first_row = at;
        if matches!(kind, Kind::Query { .. }) {
            rows = block(&mut at);
        }
        records.push(Record {
            condition: condition.take(),
            kind,
            sql,
            line: line + 1,
            rows,
            first_row,
        });
    }
    Ok(records)
}

/// The text of a file with other rows for some of its records, by their place.
pub(super) fn with_rows(text: &str, records: &[Record], rows: &[(usize, Vec<String>)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (place, rows) in rows.iter().rev() {
        let record = &records[*place];
        let range = record.first_row..record.first_row + record.rows.len();
        lines.splice(range, rows.iter().cloned());
    }
    lines.join("\n") + "\n"
}

fn cell(value: &Value, of: char) -> Result<String, String> {
    let text = match (value, of) {
        (Value::Null, _) => "NULL".into(),
        (Value::Bool(_), 'B') => value.to_string(),
        (Value::String(text), 'T') if text.is_empty() => "(empty)".into(),
        (Value::String(text), 'T') => text.clone(),
        (Value::Number(n), 'I' | 'R') => {
            let float = n.as_f64().expect("a number");
            // What digits further behind are, engines do not agree on.
            let text = match n.is_i64() {
                true => n.to_string(),
                false => format!("{float:.6}")
                    .trim_end_matches('0')
                    .trim_end_matches('.')
                    .to_owned(),
            };
            match (text.contains('.'), of) {
                (true, 'I') => return Err(format!("{value} is no integer")),
                _ if text == "-0" => "0".into(),
                _ => text,
            }
        }
        (value, '?') => value.to_string(),
        (value, of) => return Err(format!("{value} is not of the type {of}")),
    };
    Ok(text)
}
