//! The dialect by example: each file of this folder has tables and what queries give over them.
//!
//! Queries are installed before, among and after random batches that end with the tables' rows.
//! What is expected is PostgreSQL's: `TAILWATER_BLESS=1` writes it anew.

mod file;
mod load;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fastrand::Rng;
use serde_json::Value;
use tailwater::engine::Engine;
use tailwater::query::{Entry, Expr, Query, Source};

use self::file::{Kind, Record, parse, with_rows};
use self::load::Loaded;
use super::judges::{Judge, Postgres};
use super::oracle::listed;

/// Histories of each file's rows.
const HISTORIES: u64 = 3;

fn files() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sql/logic");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "slt"))
        .collect();
    files.sort();
    let read = |path: PathBuf| (path.clone(), std::fs::read_to_string(path).unwrap());
    files.into_iter().map(read).collect()
}

/// Where a record stands.
fn place(path: &Path, record: &Record) -> String {
    let name = path.file_name().unwrap_or_default().display();
    format!("{name}:{}: {}", record.line, record.sql)
}

fn differs(place: &str, expected: &[String], found: &[String]) -> String {
    let list = |rows: &[String]| {
        rows.iter()
            .map(|row| format!("    {row}\n"))
            .collect::<String>()
    };
    format!(
        "{place}\n  expected\n{}  found\n{}",
        list(expected),
        list(found)
    )
}

fn assert_none(failures: &[String]) {
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn what_is_kept_up_to_date_is_as_written() {
    let (mut failures, mut queries) = (Vec::new(), 0);
    for (path, text) in files() {
        let records = parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut loaded = Loaded::default();
        let mut asked = Vec::new();
        for record in records.iter().filter(|record| record.is_for("tailwater")) {
            let place = place(&path, record);
            match (&record.kind, Query::from_sql(&record.sql)) {
                (Kind::Statement, _) => {
                    assert!(asked.is_empty(), "{place}\ntables stand before queries");
                    loaded.statement(&record.sql);
                }
                (Kind::Query { .. }, Ok(query)) => asked.push((place, record, query)),
                (Kind::Query { .. }, Err(error)) => failures.push(format!("{place}\n{error}")),
                (Kind::Error(said), Err(error)) if error.to_string().contains(said) => {}
                (Kind::Error(_), Err(error)) => {
                    failures.push(format!("{place}\nother error: {error}"))
                }
                (Kind::Error(_), Ok(_)) => failures.push(format!("{place}\nno error")),
            }
        }
        queries += asked.len();
        for seed in 0..HISTORIES {
            let batches = loaded.history(&mut Rng::with_seed(seed));
            let middle = batches.len() / 2;
            for installed in [0, middle, batches.len()] {
                failures.extend(differences(&asked, &loaded, &batches, installed));
            }
        }
        failures.dedup();
    }
    assert_none(&failures);
    assert!(queries > 300, "{queries} queries");
}

type Asked<'r> = (String, &'r Record, Query);

/// Where results are not as written of queries that are installed after some of the batches.
fn differences(
    asked: &[Asked<'_>],
    loaded: &Loaded,
    batches: &[Vec<Value>],
    installed: usize,
) -> Vec<String> {
    let (mut engine, mut lives) = (Engine::new(), Vec::new());
    for n in 0..=batches.len() {
        if n == installed {
            let install = |(_, _, query): &Asked<'_>| engine.install(query);
            lives = asked.iter().map(install).collect();
        }
        if let Some(messages) = batches.get(n) {
            let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
            let batch = engine.decode(texts.iter().map(String::as_str)).unwrap();
            engine.apply(batch);
        }
    }
    let one = |((place, record, query), live): (
        &Asked<'_>,
        &Result<_, tailwater::engine::InstallError>,
    )| {
        let live = match live {
            Ok(live) => *live,
            Err(error) => return Some(format!("{place}\nnot planned: {error}")),
        };
        let listed = || listed(&engine.view(live).unwrap(), &columns(query, loaded));
        let Ok(rows) = catch_unwind(AssertUnwindSafe(listed)) else {
            return Some(format!("{place}\npanic"));
        };
        match record.lines(&rows) {
            Err(error) => Some(format!("{place}\n{error}")),
            Ok(lines) if lines == record.rows => None,
            Ok(lines) => Some(differs(place, &record.rows, &lines)),
        }
    };
    asked.iter().zip(&lives).filter_map(one).collect()
}

/// The names of a query's columns, those of tables for `*`.
fn columns(query: &Query, loaded: &Loaded) -> Vec<String> {
    let of = |source: &Source| match source {
        Source::Collection { name, .. } => loaded.columns(name),
        Source::Query { query, .. } => columns(query, loaded),
        Source::UnionAll(queries) => columns(&queries[0], loaded),
        _ => Vec::new(),
    };
    let entries = match &query.select {
        Some(Expr::Object(entries)) => entries,
        _ => return of(&query.from),
    };
    let sources =
        || std::iter::once(&query.from).chain(query.joins.iter().map(|join| &join.source));
    let mut names = Vec::new();
    for entry in entries {
        match entry {
            Entry::Field(name, _) => names.push(name.to_string()),
            Entry::Spread(Expr::Ref(path)) => {
                let source = sources().find(|source| source.alias() == Some(&path[0]));
                names.extend(source.map(of).unwrap_or_default());
            }
            Entry::Spread(_) => {}
        }
    }
    // A later one of the same name is the same column.
    let mut known = std::collections::BTreeSet::new();
    names.retain(|name| known.insert(name.clone()));
    names
}

#[test]
fn postgresql_says_so() {
    let bless = std::env::var("TAILWATER_BLESS").is_ok();
    let mut failures = Vec::new();
    for (path, text) in files() {
        let records = parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (mut postgres, mut written) = (Postgres::connect(), Vec::new());
        for (n, record) in records
            .iter()
            .enumerate()
            .filter(|(_, record)| record.is_for("postgresql"))
        {
            let place = place(&path, record);
            let result = postgres.run(std::slice::from_ref(&record.sql));
            match (&record.kind, result) {
                (Kind::Statement, Ok(_)) | (Kind::Error(_), Err(_)) => {}
                (Kind::Error(_), Ok(_)) => failures.push(format!("{place}\nno error")),
                (_, Err(error)) => failures.push(format!("{place}\n{error}")),
                (Kind::Query { .. }, Ok(results)) => match record.lines(&results[0]) {
                    Err(error) => failures.push(format!("{place}\n{error}")),
                    Ok(lines) if lines == record.rows => {}
                    Ok(lines) if bless => written.push((n, lines)),
                    Ok(lines) => failures.push(differs(&place, &record.rows, &lines)),
                },
            }
        }
        if !written.is_empty() {
            std::fs::write(&path, with_rows(&text, &records, &written)).unwrap();
        }
    }
    assert_none(&failures);
}
