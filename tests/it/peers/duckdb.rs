//! DuckDB, for what SQL can say: a judge of the engine and of our own oracle.
//!
//! `TAILWATER_DUCKDB_CASES` sets how many cases run in all, `TAILWATER_SEED` where they start, and
//! `TAILWATER_DUCKDB_FEATURES` (with commas) what queries may use besides the basics.

use serde_json::{Value, json};

use super::compare::same_rows;
use super::{Failure, Judge, Rows, batches, by_engine, mismatch, ordered, results_equal, seeds};
use crate::oracle::{self, Case};

const SCRIPT: &str = "duckdb.mjs";
/// Four for the engine and one for the oracle, which knows no dates.
const PARTS: u64 = 5;
const DEFAULT_CASES: u64 = 2_500;
const FEATURES: &str = "functions,dates,aggregates,unions,recursion";

/// The results before the first batch and after each.
type Judged = fn(&Case) -> Result<Vec<Rows>, Failure>;

struct DuckDb {
    judged: Judged,
    features: Vec<String>,
}

impl Judge for DuckDb {
    fn request(&self, seed: u64) -> Value {
        json!({"seed": seed, "features": self.features})
    }

    fn compare(&self, case: &Case, answer: &Value) -> Result<(), Failure> {
        let ordered = ordered(&case.query);
        let expected = answer["snapshots"].as_array().expect("snapshots");
        let found = (self.judged)(case)?;
        for (batch, (found, expected)) in found.into_iter().skip(1).zip(expected).enumerate() {
            // SQL's rows have no keys.
            let bare = |value: Value| (String::new(), bare(value));
            let mut found: Rows = found.into_iter().map(|(_, value)| bare(value)).collect();
            let expected = expected.as_array().expect("rows").iter().cloned();
            let mut expected: Rows = expected.map(bare).collect();
            if !ordered {
                let text = |row: &(String, Value)| row.1.to_string();
                found.sort_by_cached_key(text);
                expected.sort_by_cached_key(text);
            }
            if !same_rows(&found, &expected, ordered) {
                return Err(mismatch("other rows", batch + 1, &expected, &found));
            }
        }
        Ok(())
    }
}

/// Our own oracle in the engine's place.
fn by_oracle(case: &Case) -> Result<Vec<Rows>, Failure> {
    let mut store = oracle::Store::default();
    let mut snapshots = vec![oracle::evaluate(&case.query, &store)];
    for messages in batches(case) {
        store.apply(messages);
        snapshots.push(oracle::evaluate(&case.query, &store));
    }
    Ok(snapshots)
}

/// A value without null fields and empty objects: SQL does not tell null from missing.
fn bare(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, bare(value)));
            let empty = |value: &Value| value.as_object().is_some_and(|o| o.is_empty());
            Value::Object(fields.filter(|(_, v)| !v.is_null() && !empty(v)).collect())
        }
        value => value,
    }
}

fn results_equal_duckdbs(judged: Judged, without: &str, part: impl Fn(u64) -> bool) {
    let features = std::env::var("TAILWATER_DUCKDB_FEATURES").unwrap_or(FEATURES.to_owned());
    let features = features
        .split(',')
        .filter(|f| !f.is_empty() && *f != without);
    let duckdb = DuckDb {
        judged,
        features: features.map(str::to_owned).collect(),
    };
    let seeds = seeds("TAILWATER_DUCKDB_CASES", DEFAULT_CASES, PARTS, part);
    results_equal(SCRIPT, &duckdb, seeds);
}

#[test]
fn results_equal_duckdbs_after_every_batch_1() {
    results_equal_duckdbs(by_engine, "", |part| part < 2);
}

#[test]
fn results_equal_duckdbs_after_every_batch_2() {
    results_equal_duckdbs(by_engine, "", |part| part == 2 || part == 3);
}

/// The oracle that the engine is held to elsewhere is held to this one.
#[test]
fn the_oracles_agree() {
    results_equal_duckdbs(by_oracle, "dates", |part| part == 4);
}
