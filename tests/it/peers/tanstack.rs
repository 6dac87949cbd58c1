//! TanStack DB. `TAILWATER_TANSTACK_CASES` sets how many cases run and `TAILWATER_SEED` where they start.

use serde_json::{Value, json};

use super::{
    Failure, Judge, Peer, Rows, asking, batches, by_engine, case_of, mismatch, ordered, outcome,
    results_equal, seeds,
};
use crate::oracle::{self, Case};

const SCRIPT: &str = "tanstack.mjs";
const PARTS: u64 = 2;
const DEFAULT_CASES: u64 = 16_000;

struct TanStack;

impl Judge for TanStack {
    fn request(&self, seed: u64) -> Value {
        json!({"seed": seed})
    }

    /// The expected rows of every step; null is not compared.
    fn compare(&self, case: &Case, answer: &Value) -> Result<(), Failure> {
        let expected = answer["snapshots"].as_array().expect("snapshots");
        for (batch, (found, expected)) in by_engine(case)?.into_iter().zip(expected).enumerate() {
            if let Some(expected) = expected.as_array() {
                check(&case.query, batch, found, expected)?;
            }
        }
        Ok(())
    }

    /// Not if a live query that is started anew at each step agrees with us: then TanStack has lost
    /// its way over the history.
    fn insists(&self, peer: &mut Peer, case: &Case) -> bool {
        let mut request = asking(case);
        request["fresh"] = json!(true);
        let answer = peer.ask(&request);
        answer["skip"].is_string() || outcome(self, case, &answer).is_err()
    }
}

fn check(query: &Value, batch: usize, mut found: Rows, expected: &[Value]) -> Result<(), Failure> {
    // We answer an aggregate of no rows with one row; TanStack has none.
    if expected.is_empty() && found.len() == 1 && found[0].0 == "[]" {
        return Ok(());
    }
    let key = |row: &Value| row["key"].as_str().unwrap_or_default().to_owned();
    let wanted = expected.iter().map(|row| (key(row), row["value"].clone()));
    let mut wanted: Rows = wanted.collect();
    if expected.iter().any(|row| row["key"].is_null()) {
        // Keys that say nothing.
        found.iter_mut().for_each(|row| row.0.clear());
        wanted.iter_mut().for_each(|row| row.0.clear());
    }
    for (_, value) in found.iter_mut().chain(&mut wanted) {
        *value = floats(value);
    }
    let text = |(key, value): &(String, Value)| (key.clone(), value.to_string());
    if !ordered(query) {
        found.sort_by_cached_key(text);
        wanted.sort_by_cached_key(text);
    }
    if oracle::same_rows(&found, &wanted) {
        return Ok(());
    }
    let (mut ours, mut theirs) = (found.clone(), wanted.clone());
    ours.sort_by_cached_key(text);
    theirs.sort_by_cached_key(text);
    let kind = match oracle::same_rows(&ours, &theirs) {
        true => "another order",
        false => "other rows",
    };
    Err(mismatch(kind, batch, &wanted, &found))
}

/// All numbers as floats, as JavaScript has them: of large ones it writes fewer digits than we do.
fn floats(value: &Value) -> Value {
    match value {
        Value::Number(n) => json!(n.as_f64()),
        Value::Array(items) => items.iter().map(floats).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), floats(value)))
            .collect(),
        _ => value.clone(),
    }
}

fn results_equal_those_of_tanstack_db(part: u64) {
    let seeds = seeds("TAILWATER_TANSTACK_CASES", DEFAULT_CASES, PARTS, |p| {
        p == part
    });
    results_equal(SCRIPT, &TanStack, seeds);
}

#[test]
fn results_equal_those_of_tanstack_db_1() {
    results_equal_those_of_tanstack_db(0);
}

#[test]
fn results_equal_those_of_tanstack_db_2() {
    results_equal_those_of_tanstack_db(1);
}

/// Where the two differ by decision, or TanStack is wrong: both answers, as they are. An entry that
/// fails because TanStack answers as we do may go, and with it what avoids it in the generator.
#[test]
fn differences_are_as_they_are_written_down() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/differences.json");
    let text = std::fs::read_to_string(path).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut peer = Peer::start(SCRIPT);
    for entry in entries {
        let name = &entry["name"];
        let case = case_of(0, &entry["query"], &entry["batches"]);
        let mut request = asking(&case);
        request["raw"] = json!(true);
        let answer = peer.ask(&request);
        let theirs = match answer["skip"].as_str() {
            Some(error) => json!({"error": error}),
            None => answer["snapshots"]
                .as_array()
                .unwrap()
                .last()
                .unwrap()
                .clone(),
        };
        assert_eq!(theirs, entry["tanstack"], "TanStack on {name}");
        let ending_with = |last: &Value| {
            let mut snapshots = vec![Value::Null; batches(&case).count()];
            snapshots.push(last.clone());
            TanStack.compare(&case, &json!({"snapshots": snapshots}))
        };
        if let Err(failure) = ending_with(&entry["tailwater"]) {
            panic!("Tailwater on {name}: {}", failure.text);
        }
        let differs = !theirs.is_array() || theirs == json!([]) || ending_with(&theirs).is_err();
        assert!(differs, "{name}: there is no difference");
    }
}
