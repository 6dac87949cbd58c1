//! The flight queries over the committed day: final results, and those at 16:00, equal what an
//! independent program (Python, over the source tables) computed.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tailwater::engine::{BatchReader, Engine};
use tailwater::query::QueryFile;

use crate::oracle::same_rows;

/// The number of events before 16:00.
const UNTIL_16: usize = 2647;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn day() -> String {
    let file = std::fs::File::open(root().join("data/flights/day.jsonl.gz")).unwrap();
    std::io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap()
}

/// Averages are compared with a tolerance; everything else exactly.
fn round(value: &mut Value) {
    match value {
        Value::Number(n) if n.is_f64() => {
            *value = ((n.as_f64().unwrap() * 1e9).round() / 1e9).into()
        }
        Value::Array(items) => items.iter_mut().for_each(round),
        Value::Object(fields) => fields.values_mut().for_each(round),
        _ => {}
    }
}

fn expected(folder: &str, query: &str) -> Vec<(String, Value)> {
    let path = root()
        .join("tests/data/flights")
        .join(folder)
        .join(format!("{query}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let row = |line: &str| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        round(&mut row);
        (row["key"].as_str().unwrap().to_owned(), row["value"].take())
    };
    text.lines().map(row).collect()
}

/// The query files, by name.
pub(crate) fn queries() -> Vec<(String, QueryFile)> {
    let mut queries = Vec::new();
    for entry in std::fs::read_dir(root().join("queries/flights")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|e| e == "json") && name != "dashboard" {
            let file = QueryFile::from_json(&std::fs::read_to_string(&path).unwrap());
            queries.push((name, file.unwrap()));
        }
    }
    assert!(queries.len() >= 17);
    queries
}

#[test]
fn results_of_the_day_are_right() {
    let mut engine = Engine::new();
    let queries: Vec<_> = queries()
        .into_iter()
        .map(|(name, file)| (engine.install(&file.query).unwrap(), name))
        .collect();
    let check = |engine: &Engine, folder: &str| {
        for (id, name) in &queries {
            let row = |row: tailwater::view::ResultRow<'_>| {
                let mut value = serde_json::to_value(row.json()).unwrap();
                round(&mut value);
                (row.key(), value)
            };
            let found: Vec<_> = engine.view(*id).unwrap().rows().map(row).collect();
            assert!(
                same_rows(&found, &expected(folder, name)),
                "{folder} {name}: {found:#?}"
            );
        }
    };
    let mut reader = BatchReader::new(engine.catalog().clone(), 100);
    let mut batches = Vec::new();
    let day = day();
    let (before, after): (Vec<_>, Vec<_>) =
        day.lines().enumerate().partition(|(i, _)| *i < UNTIL_16);
    for (lines, folder) in [(before, "at-1600"), (after, "")] {
        lines
            .iter()
            .for_each(|(_, line)| reader.line(line, &mut batches));
        reader.flush(&mut batches);
        batches
            .drain(..)
            .for_each(|batch| drop(engine.apply(batch)));
        check(&engine, folder);
    }
    assert!(reader.take_rejects().is_empty());
}
