//! DuckDB as the judge of statements.
//!
//! `TAILWATER_SQL_CASES` sets how many cases run, `TAILWATER_SEED` where they start, and
//! `TAILWATER_PEER_FAILURES` after how many failures to stop.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use serde_json::{Value, json};
use tailwater::engine::Engine;
use tailwater::query::Query;

use super::generate::{Statement, history, statement};
use crate::peers::compare::same_rows;
use crate::peers::process::Peer;

pub(super) type Rows = Vec<(String, Value)>;

/// Rows as the lists of their values, which are there even where they are null.
pub(super) fn by_engine(sql: &str, batches: &[Vec<Value>]) -> Result<Vec<Rows>, String> {
    let query = Query::from_sql(sql).map_err(|e| format!("refused: {e}"))?;
    let again = Query::from_json(&query.to_json().map_err(|e| format!("not written: {e}"))?);
    if again.as_ref() != Ok(&query) {
        return Err(format!("not read back: {again:?}"));
    }
    let mut engine = Engine::new();
    let live = engine
        .install(&query)
        .map_err(|e| format!("not planned: {e}"))?;
    let columns = columns(&query);
    let mut snapshots = Vec::new();
    for messages in batches {
        let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        let batch = engine.decode(texts.iter().map(String::as_str)).unwrap();
        engine.apply(batch);
        let view = engine.view(live).unwrap();
        let row = |row: tailwater::view::ResultRow<'_>| {
            let text = serde_json::to_string(&row.json()).unwrap();
            let row: Value = serde_json::from_str(&text).unwrap();
            let value = |name: &String| row.get(name).cloned().unwrap_or(json!({"missing": name}));
            (String::new(), columns.iter().map(value).collect())
        };
        snapshots.push(view.rows().map(row).collect());
    }
    Ok(snapshots)
}

/// The names of a query's columns.
fn columns(query: &Query) -> Vec<String> {
    use tailwater::query::{Entry, Expr, Source};
    match (&query.select, &query.from) {
        (Some(Expr::Object(entries)), _) => entries
            .iter()
            .map(|entry| match entry {
                Entry::Field(name, _) => name.to_string(),
                Entry::Spread(_) => panic!("generated statements name their columns"),
            })
            .collect(),
        (_, Source::UnionAll(queries)) => columns(&queries[0]),
        (_, Source::Query { query, .. }) => columns(query),
        _ => panic!("generated statements name their columns"),
    }
}

/// The rows that DuckDB gave after a batch.
pub(super) fn theirs(rows: &Value) -> Rows {
    let rows = rows.as_array().into_iter().flatten();
    rows.map(|row| (String::new(), row.clone())).collect()
}

/// What differs, if something does; nothing where DuckDB does not answer.
fn compare(peer: &mut Peer, of: &Statement, batches: &[Vec<Value>]) -> Option<Result<(), String>> {
    let answer = peer.ask(&json!({"sql": of.sql, "batches": batches}));
    if let Some(reason) = answer["skip"].as_str() {
        eprintln!("skipped: {reason}\n  {}", of.sql);
        return None;
    }
    let found = catch_unwind(AssertUnwindSafe(|| by_engine(&of.sql, batches)));
    let found = match found.unwrap_or_else(|_| Err("panic".into())) {
        Ok(found) => found,
        Err(error) => return Some(Err(error)),
    };
    for (n, (mut found, expected)) in found
        .into_iter()
        .zip(answer["snapshots"].as_array()?)
        .enumerate()
    {
        let mut expected = theirs(expected);
        if !of.ordered {
            found.sort_by_cached_key(|row| row.1.to_string());
            expected.sort_by_cached_key(|row| row.1.to_string());
        }
        if !same_rows(&found, &expected, of.ordered) {
            let list = |rows: &Rows| -> String {
                rows.iter().map(|(_, row)| format!("    {row}\n")).collect()
            };
            return Some(Err(format!(
                "other rows after {} batches:\n  DuckDB\n{}  Tailwater\n{}",
                n + 1,
                list(&expected),
                list(&found)
            )));
        }
    }
    Some(Ok(()))
}

/// Leaves out messages as long as the case still fails.
fn shrunk(peer: &mut Peer, of: &Statement, batches: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
    let mut small = batches;
    for batch in (0..small.len()).rev() {
        for message in (0..small[batch].len()).rev() {
            let mut smaller = small.clone();
            smaller[batch].remove(message);
            if matches!(compare(peer, of, &smaller), Some(Err(_))) {
                small = smaller;
            }
        }
    }
    small
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

fn statements_equal_duckdbs(part: u64, parts: u64) {
    let (first, count) = (
        number("TAILWATER_SEED", 0),
        number("TAILWATER_SQL_CASES", 3000),
    );
    let mut patience = number("TAILWATER_PEER_FAILURES", 1);
    let mut peer = Peer::start("sql.mjs");
    let (mut same, mut skipped, mut with_rows, mut failures) = (0, 0, 0, Vec::new());
    for seed in (first..first + count).filter(|seed| seed % parts == part) {
        let mut rng = Rng::with_seed(seed);
        let (statement, batches) = (statement(&mut rng), history(&mut rng));
        match compare(&mut peer, &statement, &batches) {
            None => skipped += 1,
            Some(Ok(())) => {
                same += 1;
                let rows = by_engine(&statement.sql, &batches).unwrap_or_default();
                with_rows += u64::from(rows.iter().any(|rows| !rows.is_empty()));
            }
            Some(Err(_)) => {
                let small = shrunk(&mut peer, &statement, batches);
                let Some(Err(error)) = compare(&mut peer, &statement, &small) else {
                    continue;
                };
                let query = Query::from_sql(&statement.sql).map(|query| query.to_json());
                failures.push(format!(
                    "seed {seed}: {error}\n{}\n{query:?}\n{}\n",
                    statement.sql,
                    json!(small)
                ));
                patience -= 1;
                if patience == 0 {
                    break;
                }
            }
        }
    }
    eprintln!("{same} the same, {with_rows} of them with rows, {skipped} could not be asked");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(
        skipped * 20 <= same,
        "too many cases could not be asked: {skipped}"
    );
    assert!(
        with_rows * 3 > same,
        "too few cases have rows: {with_rows} of {same}"
    );
}

#[test]
fn statements_equal_duckdbs_after_every_batch_1() {
    statements_equal_duckdbs(0, 2);
}

#[test]
fn statements_equal_duckdbs_after_every_batch_2() {
    statements_equal_duckdbs(1, 2);
}
