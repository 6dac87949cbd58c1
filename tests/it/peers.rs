//! Other engines as oracles, judges that nobody of this project wrote: each makes random queries and
//! histories in Node, and its result after every batch is compared with ours. `tests/peers/README.md` says
//! what is compared how, and where they differ.

pub(crate) mod compare;
mod duckdb;
pub(crate) mod process;
mod tanstack;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};
use tailwater::engine::Engine;
use tailwater::query::Query;

use self::process::Peer;
use crate::histories::instructions;
use crate::oracle::{self, Case, Step};

/// Keys and values, in result order.
type Rows = Vec<(String, Value)>;

/// How a case ended that did not agree.
#[derive(Debug)]
struct Failure {
    /// Shrinking keeps to the kind that it set out with.
    kind: &'static str,
    text: String,
}

/// What differs between the engines that we ask.
trait Judge {
    /// The request for the case of a seed; one for a given case has `case`.
    fn request(&self, seed: u64) -> Value;

    fn compare(&self, case: &Case, answer: &Value) -> Result<(), Failure>;

    /// Whether a mismatch is ours to explain.
    fn insists(&self, _peer: &mut Peer, _case: &Case) -> bool {
        true
    }
}

/// Asks for the cases of some seeds, and panics with what differs, shrunk.
fn results_equal(script: &str, judge: &impl Judge, seeds: impl Iterator<Item = u64>) {
    // Shows what fails most, when the two are brought together: go on after failures.
    let mut patience = number("TAILWATER_PEER_FAILURES", 1);
    let peer = RefCell::new(Peer::start(script));
    let (mut same, mut inconsistent, mut failures) = (0, Vec::new(), Vec::new());
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    for seed in seeds {
        let answer = peer.borrow_mut().ask(&judge.request(seed));
        if let Some(reason) = answer["skip"].as_str() {
            *skipped.entry(reason.to_owned()).or_default() += 1;
            continue;
        }
        let case = &answer["case"];
        let case = case_of(seed, &case["query"], &case["batches"]);
        let Err(failure) = outcome(judge, &case, &answer) else {
            same += 1;
            continue;
        };
        if !judge.insists(&mut peer.borrow_mut(), &case) {
            inconsistent.push(seed);
            continue;
        }
        let refused = failure.kind == REFUSED;
        let again = |case: &Case| {
            let peer = &mut peer.borrow_mut();
            let answer = peer.ask(&asking(case));
            if answer["skip"].is_string() {
                return None;
            }
            let found = outcome(judge, case, &answer).err()?;
            // A smaller query may be refused rightly.
            let alike = found.kind == failure.kind && (!refused || found.text == failure.text);
            (alike && judge.insists(peer, case)).then_some((found.text, answer))
        };
        let small = oracle::shrink(&case, |case| again(case).is_some());
        // A peer may not always answer alike.
        let (text, answer) = again(&small).unwrap_or((failure.text.clone(), answer));
        let sql = answer["sql"].as_str();
        let sql = sql.map(|sql| format!("\nSQL: {sql}")).unwrap_or_default();
        failures.push(format!(
            "seed {seed}: {text}\n{}{sql}\n",
            instructions(&small)
        ));
        patience -= 1;
        if patience == 0 {
            break;
        }
    }
    eprintln!(
        "{script}: {same} the same, inconsistent: {inconsistent:?}, could not be asked: {skipped:#?}"
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let skipped: usize = skipped.values().sum();
    assert!(
        skipped * 10 <= same,
        "too many cases could not be asked: {skipped}"
    );
}

const REFUSED: &str = "refused";

/// Compares the results of a case, which may panic.
fn outcome(judge: &impl Judge, case: &Case, answer: &Value) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(|| judge.compare(case, answer))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|s| s.to_string()));
        Err(Failure {
            kind: "panic",
            text: format!("panic: {}", text.unwrap_or_default()),
        })
    })
}

/// The engine's result before the first batch and after each.
fn by_engine(case: &Case) -> Result<Vec<Rows>, Failure> {
    let refused = |error: String| Failure {
        kind: REFUSED,
        text: format!("refused: {error}"),
    };
    let mut engine = Engine::new();
    let query = Query::from_json(&case.query.to_string()).map_err(|e| refused(e.to_string()))?;
    let live = engine.install(&query).map_err(|e| refused(e.to_string()))?;
    let rows = |engine: &Engine| -> Rows {
        let view = engine.view(live).expect("the query is installed");
        view.rows()
            .map(|row| {
                let text = serde_json::to_string(&row.json()).unwrap();
                (row.key(), serde_json::from_str(&text).unwrap())
            })
            .collect()
    };
    let mut snapshots = vec![rows(&engine)];
    for messages in batches(case) {
        let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        let batch = engine.decode(texts.iter().map(String::as_str));
        engine.apply(batch.expect("messages are well formed"));
        snapshots.push(rows(&engine));
    }
    Ok(snapshots)
}

/// What to say of results that differ.
fn mismatch(kind: &'static str, batch: usize, theirs: &Rows, ours: &Rows) -> Failure {
    let list = |rows: &Rows| -> String {
        let line = |(key, value): &(String, Value)| format!("    {key}  {value}\n");
        rows.iter().map(line).collect()
    };
    let text = format!(
        "{kind} after {batch} batches:\n  expected\n{}  Tailwater\n{}",
        list(theirs),
        list(ours)
    );
    Failure { kind, text }
}

fn case_of(seed: u64, query: &Value, batches: &Value) -> Case {
    let batches = batches.as_array().expect("batches").iter();
    let batch = |messages: &Value| Step::Batch(messages.as_array().expect("messages").clone());
    Case {
        seed,
        query: query.clone(),
        steps: batches.map(batch).collect(),
    }
}

fn batches(case: &Case) -> impl Iterator<Item = &Vec<Value>> {
    case.steps.iter().map(|step| match step {
        Step::Batch(messages) => messages,
        _ => panic!("the peers know batches only"),
    })
}

/// The request that a case be answered.
fn asking(case: &Case) -> Value {
    let batches: Vec<_> = batches(case).collect();
    json!({"case": {"query": case.query, "batches": batches}})
}

fn ordered(query: &Value) -> bool {
    query["orderBy"].as_array().is_some_and(|o| !o.is_empty())
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// The seeds of one of several tests that share the cases; `part` says of a seed's remainder by
/// `parts` whether it is this test's.
fn seeds(
    cases: &str,
    default: u64,
    parts: u64,
    part: impl Fn(u64) -> bool,
) -> impl Iterator<Item = u64> {
    let first = number("TAILWATER_SEED", 0);
    let all = first..first + number(cases, default);
    all.filter(move |seed| part(seed % parts))
}
