//! Random queries that SQL can say, answered by DuckDB and compared after every batch, with the
//! engine's and with the oracle's: a judge that nobody of this project wrote. The queries, and what each means in SQL, are in `tests/peers/`.
//!
//! `TAILWATER_SQL_CASES` sets how many cases run in both tests, `TAILWATER_SEED` where they start.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Once;

use serde_json::{Value, json};
use tailwater::engine::Engine;
use tailwater::query::Query;

use crate::oracle::{self, Case};

/// What the generator may use besides the basics; `TAILWATER_SQL_FEATURES` (with commas) replaces it.
const FEATURES: &str = "";

/// The Node program that answers requests, a line each.
struct DuckDb {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl DuckDb {
    fn start() -> DuckDb {
        static INSTALLED: Once = Once::new();
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
        INSTALLED.call_once(|| {
            if peers.join("node_modules/@duckdb/node-api").exists() {
                return;
            }
            let installed = Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--prefix"])
                .arg(&peers)
                .status();
            assert!(
                installed.as_ref().is_ok_and(|status| status.success()),
                "`npm ci --prefix tests/peers` must work for this test: {installed:?}"
            );
        });
        let mut child = Command::new("node")
            .arg(peers.join("duckdb.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`node` starts");
        DuckDb {
            requests: child.stdin.take().expect("piped"),
            answers: BufReader::new(child.stdout.take().expect("piped")),
            child,
        }
    }

    fn ask(&mut self, request: &Value) {
        writeln!(self.requests, "{request}").expect("DuckDB's program takes a request");
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("DuckDB's program answered {line:?}: {e}"))
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Result rows after each batch.
type Snapshots = Result<Vec<Vec<Value>>, String>;

fn by_engine(case: &Case) -> Snapshots {
    let mut engine = Engine::new();
    let query = Query::from_json(&case.query.to_string()).map_err(|e| format!("refused: {e}"))?;
    let live = engine
        .install(&query)
        .map_err(|e| format!("refused: {e}"))?;
    let mut snapshots = Vec::new();
    for messages in &case.batches {
        let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        let batch = engine
            .decode(texts.iter().map(String::as_str))
            .map_err(|e| e.to_string())?;
        engine.apply(batch);
        let view = engine.view(live).expect("the query is installed");
        let rows = view.rows();
        snapshots.push(
            rows.map(|row| serde_json::to_value(row.json()).unwrap())
                .collect(),
        );
    }
    Ok(snapshots)
}

fn by_oracle(case: &Case) -> Snapshots {
    let mut store = oracle::Store::default();
    let snapshots = case.batches.iter().map(|messages| {
        store.apply(messages);
        let rows = oracle::evaluate(&case.query, &store).into_iter();
        rows.map(|(_, value)| value).collect()
    });
    Ok(snapshots.collect())
}

/// `Err` says at which batch the results differ and how.
fn compare(case: &Case, answer: &Value, judged: fn(&Case) -> Snapshots) -> Result<(), String> {
    let ordered = case.query["orderBy"]
        .as_array()
        .is_some_and(|o| !o.is_empty());
    let expected = answer["snapshots"].as_array().expect("snapshots");
    for (i, (found, expected)) in judged(case)?.into_iter().zip(expected).enumerate() {
        let bare = |rows: Vec<Value>| rows.into_iter().map(bare).collect();
        let mut found: Vec<Value> = bare(found);
        let mut expected: Vec<Value> = bare(expected.as_array().expect("rows").clone());
        if !ordered {
            // Rounding may differ, so that rows of one place in this order need not be the same.
            found.sort_by_cached_key(Value::to_string);
            expected.sort_by_cached_key(Value::to_string);
        }
        if !same_rows(&found, &expected, ordered) {
            let text = |rows: &[Value]| {
                rows.iter()
                    .map(|r| format!("    {r}\n"))
                    .collect::<String>()
            };
            return Err(format!(
                "after batch {i}:\n  DuckDB\n{}  Tailwater\n{}",
                text(&expected),
                text(&found)
            ));
        }
    }
    Ok(())
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

fn same_rows(found: &[Value], expected: &[Value], ordered: bool) -> bool {
    if found.len() != expected.len() {
        return false;
    }
    if ordered {
        return found.iter().zip(expected).all(|(a, b)| same(a, b));
    }
    let mut left: Vec<&Value> = expected.iter().collect();
    found.iter().all(|row| {
        let place = left.iter().position(|other| same(row, other));
        place.map(|place| left.remove(place)).is_some()
    })
}

/// Integers are equal exactly, floats within what SQL's inexact additions make of them, also where
/// they should be 0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => x == y,
            _ => {
                let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
                (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1.0)
            }
        },
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y))
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len()
                && x.iter()
                    .all(|(name, x)| y.get(name).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

fn outcome(case: &Case, answer: &Value, judged: fn(&Case) -> Snapshots) -> Result<(), String> {
    let run = || compare(case, answer, judged);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|s| s.to_string()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// The smallest case found that fails as the given one does, with the reason and DuckDB's answer.
fn shrunk(case: &Case, error: &str, judged: fn(&Case) -> Snapshots) -> (Case, String, Value) {
    // A process of its own: the other one may have answers under way.
    let duckdb = RefCell::new(DuckDb::start());
    let run = |case: &Case| {
        let mut duckdb = duckdb.borrow_mut();
        duckdb.ask(&json!({"case": {"query": case.query, "batches": case.batches}}));
        let answer = duckdb.answer();
        let error = match answer.get("skip") {
            None => outcome(case, &answer, judged).err(),
            Some(_) => None,
        };
        (error, answer)
    };
    let kind = |error: &str| error.split([' ', ':']).next().map(str::to_owned);
    let fails = |case: &Case| run(case).0.is_some_and(|found| kind(&found) == kind(error));
    let small = oracle::shrink(case, fails);
    let (error, answer) = run(&small);
    (small, error.expect("it still fails"), answer)
}

fn results_equal_duckdbs(judged: fn(&Case) -> Snapshots, part: u64) {
    let number =
        |name: &str, default| std::env::var(name).map_or(default, |v| v.parse().expect("a number"));
    let first: u64 = number("TAILWATER_SEED", 0);
    let cases = (number("TAILWATER_SQL_CASES", 2_000) * part).div_ceil(100);
    let features = std::env::var("TAILWATER_SQL_FEATURES").unwrap_or_else(|_| FEATURES.to_owned());
    let features: Vec<&str> = features.split(',').filter(|f| !f.is_empty()).collect();

    let mut duckdb = DuckDb::start();
    let mut skipped = 0;
    let request = |seed: u64| json!({"seed": seed, "features": features});
    duckdb.ask(&request(first));
    for seed in first..first + cases {
        // DuckDB works on the next case while the engine works on this one.
        duckdb.ask(&request(seed + 1));
        let answer = duckdb.answer();
        if answer.get("skip").is_some() {
            skipped += 1;
            continue;
        }
        let case = Case {
            seed,
            query: answer["case"]["query"].clone(),
            batches: serde_json::from_value(answer["case"]["batches"].clone()).expect("batches"),
        };
        let Err(error) = outcome(&case, &answer, judged) else {
            continue;
        };
        let (small, error, answer) = shrunk(&case, &error, judged);
        let batches: Vec<String> = small.batches.iter().map(|b| json!(b).to_string()).collect();
        panic!(
            "seed {seed}: {error}\nreproduce with `tailwater query q.json --events e.jsonl --emit snapshots`\nq.json: {}\nSQL: {}\ne.jsonl:\n{}",
            small.query,
            answer["sql"].as_str().unwrap_or_default(),
            batches.join("\n")
        );
    }
    assert!(
        skipped * 20 <= cases,
        "{skipped} of {cases} cases could not be asked"
    );
}

#[test]
fn results_equal_duckdbs_after_every_batch() {
    results_equal_duckdbs(by_engine, 80);
}

/// The oracle that the engine is held to elsewhere is held to this one.
#[test]
fn the_oracles_agree() {
    results_equal_duckdbs(by_oracle, 20);
}
