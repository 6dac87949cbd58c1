//! DuckDB and PostgreSQL as the judges of random statements.
//!
//! `TAILWATER_SQL_CASES` and `TAILWATER_POSTGRES_CASES` set how many cases run, `TAILWATER_SEED` where they start, and
//! `TAILWATER_PEER_FAILURES` after how many failures to stop.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use serde_json::{Value, json};
use tailwater::engine::Engine;
use tailwater::query::Query;
use tailwater::view::{ResultRow, View};

use super::generate::{self, Dialect, Statement, history, statement};
use super::judges::{DuckDb, Judge, Postgres, Rows, Tables};
use crate::peers::compare::same_rows;

/// A statement's rows after each batch.
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
        snapshots.push(listed(&engine.view(live).unwrap(), &columns));
    }
    Ok(snapshots)
}

/// A result's rows as the lists of their values.
pub(super) fn listed(view: &View, columns: &[String]) -> Rows {
    let row = |row: ResultRow<'_>| {
        let text = serde_json::to_string(&row.json()).unwrap();
        let row: Value = serde_json::from_str(&text).unwrap();
        let value = |name: &String| row.get(name).cloned().unwrap_or(json!({"missing": name}));
        (String::new(), columns.iter().map(value).collect())
    };
    view.rows().map(row).collect()
}

/// The names of a query's columns.
pub(super) fn columns(query: &Query) -> Vec<String> {
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

/// What differs, if something does; nothing where the judge does not answer.
fn compare(
    judge: &mut dyn Judge,
    tables: &Tables,
    of: &Statement,
    batches: &[Vec<Value>],
) -> Option<Result<(), String>> {
    let expected = match judge.snapshots(&of.sql, batches, tables) {
        Ok(expected) => expected,
        Err(reason) => {
            eprintln!("skipped: {reason}\n  {}", of.sql);
            return None;
        }
    };
    let found = catch_unwind(AssertUnwindSafe(|| by_engine(&of.sql, batches)));
    let found = match found.unwrap_or_else(|_| Err("panic".into())) {
        Ok(found) => found,
        Err(error) => return Some(Err(error)),
    };
    for (n, (found, expected)) in found.into_iter().zip(expected).enumerate() {
        if let Err(error) = same_result(judge.name(), found, expected, of.ordered) {
            return Some(Err(format!("after {} batches: {error}", n + 1)));
        }
    }
    Some(Ok(()))
}

/// Whether two results are the same; if not, both of them.
pub(super) fn same_result(
    judge: &str,
    mut found: Rows,
    mut expected: Rows,
    ordered: bool,
) -> Result<(), String> {
    if !ordered {
        found.sort_by_cached_key(|row| row.1.to_string());
        expected.sort_by_cached_key(|row| row.1.to_string());
    }
    if same_rows(&found, &expected, ordered) {
        return Ok(());
    }
    let list = |rows: &Rows| -> String {
        let row = |(_, row): &(String, Value)| format!("    {row}\n");
        rows.iter().take(60).map(row).collect()
    };
    let (expected, found) = (list(&expected), list(&found));
    Err(format!(
        "other rows\n  {judge}\n{expected}  Tailwater\n{found}"
    ))
}

/// Leaves out messages as long as the case still fails.
fn shrunk(
    judge: &mut dyn Judge,
    tables: &Tables,
    of: &Statement,
    batches: Vec<Vec<Value>>,
) -> Vec<Vec<Value>> {
    let mut small = batches;
    for batch in (0..small.len()).rev() {
        for message in (0..small[batch].len()).rev() {
            let mut smaller = small.clone();
            smaller[batch].remove(message);
            if matches!(compare(judge, tables, of, &smaller), Some(Err(_))) {
                small = smaller;
            }
        }
    }
    small
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// Runs the cases whose seeds leave `part` when divided by `parts`.
fn statements_equal(judge: &mut dyn Judge, dialect: Dialect, cases: u64, part: u64, parts: u64) {
    let first = number("TAILWATER_SEED", 0);
    let mut patience = number("TAILWATER_PEER_FAILURES", 1);
    let tables = generate::tables(dialect);
    let (mut same, mut skipped, mut with_rows, mut failures) = (0, 0, 0, Vec::new());
    for seed in (first..first + cases).filter(|seed| seed % parts == part) {
        let mut rng = Rng::with_seed(seed);
        let (statement, batches) = (statement(&mut rng, dialect), history(&mut rng));
        match compare(judge, &tables, &statement, &batches) {
            None => skipped += 1,
            Some(Ok(())) => {
                same += 1;
                let rows = by_engine(&statement.sql, &batches).unwrap_or_default();
                with_rows += u64::from(rows.iter().any(|rows| !rows.is_empty()));
            }
            Some(Err(_)) => {
                let small = shrunk(judge, &tables, &statement, batches);
                let Some(Err(error)) = compare(judge, &tables, &statement, &small) else {
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

fn statements_equal_duckdbs(part: u64) {
    let tables = generate::tables(Dialect::DuckDb);
    let mut duckdb = DuckDb::start(&tables).without_optimizer();
    let cases = number("TAILWATER_SQL_CASES", 3000);
    statements_equal(&mut duckdb, Dialect::DuckDb, cases, part, 2);
}

#[test]
fn statements_equal_duckdbs_after_every_batch_1() {
    statements_equal_duckdbs(0);
}

#[test]
fn statements_equal_duckdbs_after_every_batch_2() {
    statements_equal_duckdbs(1);
}

#[test]
fn statements_equal_postgresqls_after_every_batch() {
    let mut postgres = Postgres::start(&generate::tables(Dialect::Postgres));
    let cases = number("TAILWATER_POSTGRES_CASES", 2000);
    statements_equal(&mut postgres, Dialect::Postgres, cases, 0, 1);
}
