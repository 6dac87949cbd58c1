//! TanStack DB itself as an oracle: random queries and histories, its result after every batch
//! against ours. `tests/peers/README.md` says what is compared how, and where the two differ.
//!
//! `TAILWATER_PEER_CASES` sets how many cases run and `TAILWATER_SEED` where they start.

mod process;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};
use tailwater::engine::Engine;
use tailwater::query::Query;

use self::process::Peer;
use crate::oracle::{self, Case};

type Rows = Vec<(String, Value)>;

/// How a case ended that did not agree.
#[derive(Clone, Debug)]
enum Failure {
    /// The engine does not take the query.
    Refused(String),
    /// The results differ at a step, or the engine panicked.
    Wrong(String),
}

/// What became of the cases.
#[derive(Debug, Default)]
struct Tally {
    same: usize,
    /// TanStack's own live query differs from a fresh one, which agrees with us.
    inconsistent: Vec<u64>,
    refused: BTreeMap<String, usize>,
    skipped: BTreeMap<String, usize>,
}

/// Runs a case through the engine against the expected rows of every step; null is not compared.
fn run(case: &Case, snapshots: &[Value]) -> Result<(), Failure> {
    let refused = |e: tailwater::query::QueryError| Failure::Refused(e.to_string());
    let mut engine = Engine::new();
    let query = Query::from_json(&case.query.to_string()).map_err(refused)?;
    let live = engine
        .install(&query)
        .map_err(|e| Failure::Refused(e.to_string()))?;
    for (step, expected) in snapshots.iter().enumerate() {
        if step > 0 {
            let texts: Vec<String> = case.batches[step - 1]
                .iter()
                .map(Value::to_string)
                .collect();
            let batch = engine
                .decode(texts.iter().map(String::as_str))
                .map_err(|e| Failure::Wrong(e.to_string()))?;
            engine.apply(batch);
        }
        if expected.is_null() {
            continue;
        }
        let view = engine.view(live).expect("the query is installed");
        let found: Rows = view
            .rows()
            .map(|row| {
                let text = serde_json::to_string(&row.json()).unwrap();
                (row.key(), serde_json::from_str(&text).unwrap())
            })
            .collect();
        check(&case.query, step, found, expected).map_err(Failure::Wrong)?;
    }
    Ok(())
}

fn check(query: &Value, step: usize, mut found: Rows, expected: &Value) -> Result<(), String> {
    let ordered = query["orderBy"].as_array().is_some_and(|o| !o.is_empty());
    let mut opaque = false;
    let mut wanted: Rows = Vec::new();
    for row in expected.as_array().unwrap() {
        opaque |= row["key"].is_null();
        let key = row["key"].as_str().unwrap_or_default();
        wanted.push((key.to_owned(), row["value"].clone()));
    }
    // We answer an aggregate of no rows with one row; TanStack has none.
    if wanted.is_empty() && found.len() == 1 && found[0].0 == "[]" {
        return Ok(());
    }
    if opaque {
        found.iter_mut().for_each(|row| row.0.clear());
        wanted.iter_mut().for_each(|row| row.0.clear());
    }
    if !ordered {
        // By key, or as a bag where the keys say nothing.
        let text = |(key, value): &(String, Value)| (key.clone(), number_texts(value).to_string());
        found.sort_by_cached_key(text);
        wanted.sort_by_cached_key(text);
    }
    if oracle::same_rows(&found, &wanted) {
        return Ok(());
    }
    let list = |rows: &Rows| -> String {
        rows.iter()
            .map(|(k, v)| format!("    {k}  {v}\n"))
            .collect()
    };
    // Shrinking keeps to the kind of failure that it set out with.
    let kind = match found.len() == wanted.len() && found.iter().all(|row| wanted.contains(row)) {
        true => "another order",
        false => "other rows",
    };
    Err(format!(
        "{kind} after {step} batches:\n  TanStack\n{}  Tailwater\n{}",
        list(&wanted),
        list(&found)
    ))
}

/// Where the two differ by decision, or TanStack is wrong: both answers, as they are. An entry that
/// fails because TanStack answers as we do may go, and with it what avoids it in the generator.
#[test]
fn differences_are_as_they_are_written_down() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/differences.json");
    let text = std::fs::read_to_string(path).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut peer = Peer::start();
    for entry in entries {
        let (name, batches) = (&entry["name"], entry["batches"].as_array().unwrap());
        let case = Case {
            seed: 0,
            query: entry["query"].clone(),
            batches: batches
                .iter()
                .map(|b| b.as_array().unwrap().clone())
                .collect(),
        };
        let theirs = match peer.raw_answer(&case) {
            Ok(snapshots) => snapshots.last().unwrap().clone(),
            Err(error) => json!({"error": error}),
        };
        assert_eq!(theirs, entry["tanstack"], "TanStack on {name}");
        let mut snapshots = vec![Value::Null; batches.len() + 1];
        *snapshots.last_mut().unwrap() = entry["tailwater"].clone();
        if let Err(failure) = run(&case, &snapshots) {
            panic!("Tailwater on {name}: {failure:?}");
        }
        snapshots[batches.len()] = theirs;
        let differs = snapshots[batches.len()].get("error").is_some()
            || snapshots[batches.len()] == json!([])
            || run(&case, &snapshots).is_err();
        assert!(differs, "{name}: there is no difference");
    }
}

/// A value in which `1` and `1.0` are one, so that equal rows sort alike.
fn number_texts(value: &Value) -> Value {
    match value {
        Value::Number(n) => json!(n.as_f64()),
        Value::Array(items) => items.iter().map(number_texts).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), number_texts(value)))
            .collect(),
        _ => value.clone(),
    }
}

fn outcome(case: &Case, snapshots: &[Value]) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(|| run(case, snapshots))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|s| s.to_string()));
        Err(Failure::Wrong(format!(
            "panic: {}",
            text.unwrap_or_default()
        )))
    })
}

/// A failure that is ours to explain, of a case that TanStack answers the same way when asked anew.
fn explain(peer: &mut Peer, case: &Case) -> Option<String> {
    let snapshots = peer.answer(case, false).ok()?;
    let Err(Failure::Wrong(error)) = outcome(case, &snapshots) else {
        return None;
    };
    let fresh = peer.answer(case, true).ok()?;
    matches!(outcome(case, &fresh), Err(Failure::Wrong(_))).then_some(error)
}

fn results_equal_tanstacks(part: u64) {
    let number =
        |name: &str, default| std::env::var(name).map_or(default, |v| v.parse().expect("a number"));
    let first: u64 = number("TAILWATER_SEED", 0);
    let cases: u64 = number("TAILWATER_PEER_CASES", DEFAULT_CASES);
    // Shows what fails most, when the two are brought together: go on after failures.
    let mut patience: u64 = number("TAILWATER_PEER_FAILURES", 1);
    let peer = RefCell::new(Peer::start());
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    for seed in (first..first + cases).filter(|seed| seed % PARTS == part) {
        let (case, snapshots) = match peer.borrow_mut().generate(seed) {
            Ok(found) => found,
            Err(reason) => {
                *tally.skipped.entry(reason).or_default() += 1;
                continue;
            }
        };
        match outcome(&case, &snapshots) {
            Ok(()) => {
                tally.same += 1;
                continue;
            }
            Err(Failure::Refused(reason)) => {
                *tally.refused.entry(reason).or_default() += 1;
                continue;
            }
            Err(Failure::Wrong(_)) => {}
        }
        let Some(error) = explain(&mut peer.borrow_mut(), &case) else {
            tally.inconsistent.push(seed);
            continue;
        };
        let kind = |error: String| error.get(..8).map(str::to_owned);
        let first_kind = kind(error);
        let small = oracle::shrink(&case, |c| {
            explain(&mut peer.borrow_mut(), c).is_some_and(|e| kind(e) == first_kind)
        });
        let error = explain(&mut peer.borrow_mut(), &small).unwrap();
        let batches: Vec<String> = small.batches.iter().map(|b| json!(b).to_string()).collect();
        failures.push(format!(
            "seed {seed}: {error}reproduce with `tailwater query q.json --events e.jsonl --emit snapshots`\nq.json: {}\ne.jsonl:\n{}\n",
            small.query,
            batches.join("\n")
        ));
        patience -= 1;
        if patience == 0 {
            break;
        }
    }
    eprintln!("{tally:#?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(
        tally.refused.is_empty(),
        "queries were refused: {:#?}",
        tally.refused
    );
}

const PARTS: u64 = 2;
const DEFAULT_CASES: u64 = 10_000;

#[test]
fn results_equal_those_of_tanstack_db_1() {
    results_equal_tanstacks(0);
}

#[test]
fn results_equal_those_of_tanstack_db_2() {
    results_equal_tanstacks(1);
}
