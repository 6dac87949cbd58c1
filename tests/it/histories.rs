//! Random histories over random queries: after every step the result, its order, and the fold of
//! all change sets equal what an independent, naive evaluator computes from scratch.
//!
//! `TAILWATER_CASES` sets how many cases run, `TAILWATER_SEED` where they start: a failure prints a
//! seed, and a shrunk query and history, that reproduce it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};
use tailwater::engine::{Engine, QueryId};
use tailwater::query::Query;
use tailwater::view::{ChangeSet, View};

use crate::oracle::{self, Case, Step};

pub(crate) type Rows = Vec<(String, Value)>;

/// Takes a step that is no batch.
fn moved(
    engine: &mut Engine,
    live: Option<QueryId>,
    step: &Step,
) -> Option<BTreeMap<QueryId, ChangeSet>> {
    match step {
        Step::Clock(ms) => Some(engine.set_clock(*ms)),
        Step::Window { offset, limit } => {
            let (offset, limit) = (*offset as usize, limit.map(|n| n as usize));
            let changes = engine.set_window(live?, offset, limit).unwrap();
            Some(BTreeMap::from([(live?, changes)]))
        }
        Step::Batch(_) => unreachable!("a batch is applied"),
    }
}

/// Runs a case; `Err` says at which step it went wrong and how.
fn run(case: &Case) -> Result<(), String> {
    let mut engine = Engine::new();
    let mut store = oracle::Store::default();
    if let Some(ms) = case.start() {
        store.set_clock(ms);
        if moved(&mut engine, None, &Step::Clock(ms)).is_none() {
            return Ok(());
        }
    }
    let query = Query::from_json(&case.query.to_string()).map_err(|e| format!("refused: {e}"))?;
    let live = engine
        .install(&query)
        .map_err(|e| format!("refused: {e}"))?;
    let mut folded = rows(&engine, live);
    check(
        "before the first batch",
        &folded,
        &oracle::evaluate(&case.query, &store),
    )?;
    // What the first installation shows; its window may have moved.
    let mut shown = case.query.clone();
    for (i, step) in case.steps.iter().map(Some).chain([None]).enumerate() {
        let name = format!("after step {i}");
        let changed = match step {
            Some(Step::Batch(messages)) => {
                store.apply(messages);
                let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
                let batch = engine
                    .decode(texts.iter().map(String::as_str))
                    .map_err(|e| e.to_string())?;
                engine.apply(batch)
            }
            Some(step) => {
                match step {
                    Step::Window { offset, limit } => {
                        shown = oracle::with_window(&shown, *offset, *limit);
                    }
                    Step::Clock(ms) => store.set_clock(*ms),
                    Step::Batch(_) => unreachable!(),
                }
                let Some(changed) = moved(&mut engine, Some(live), step) else {
                    return Ok(());
                };
                changed
            }
            None => {
                store.finish();
                engine.finish()
            }
        };
        let expected = oracle::evaluate(&shown, &store);
        check(&name, &rows(&engine, live), &expected)?;
        if let Some(changes) = changed.get(&live) {
            let changes: Vec<Value> =
                serde_json::from_str(&serde_json::to_string(changes).unwrap()).unwrap();
            fold(&mut folded, &changes, query.order_by.is_empty())
                .map_err(|e| format!("{name}: {e}"))?;
        }
        if query.order_by.is_empty() {
            // Unordered change sets say nothing of positions.
            let mut expected = expected.clone();
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            check(&format!("{name}, folded"), &folded, &expected)?;
        } else {
            check(&format!("{name}, folded"), &folded, &expected)?;
        }
        // Computed anew it is the same, in its own window, and so is what a later query shares.
        let once = engine
            .query_once(&query)
            .map_err(|e| format!("refused: {e}"))?;
        check(
            &format!("{name}, computed anew"),
            &rows_of(&once),
            &oracle::evaluate(&case.query, &store),
        )?;
        let late = engine
            .install(&query)
            .map_err(|e| format!("refused: {e}"))?;
        check(
            &format!("{name}, installed late"),
            &rows(&engine, late),
            &oracle::evaluate(&case.query, &store),
        )?;
        assert!(engine.uninstall(late));
    }
    Ok(())
}

pub(crate) fn rows(engine: &Engine, query: QueryId) -> Rows {
    rows_of(&engine.view(query).expect("the query is installed"))
}

fn rows_of(view: &View) -> Rows {
    let text = |row: tailwater::view::ResultRow<'_>| {
        let value = serde_json::to_string(&row.json()).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&value).unwrap(),
            serde_json::from_str::<Value>(&row.value().to_string()).unwrap(),
            "a row written and a row built are the same"
        );
        (row.key(), serde_json::from_str(&value).unwrap())
    };
    view.rows().map(text).collect()
}

pub(crate) fn check(step: &str, found: &Rows, expected: &Rows) -> Result<(), String> {
    if oracle::same_rows(found, expected) {
        return Ok(());
    }
    let list = |rows: &Rows| {
        rows.iter()
            .map(|(k, v)| format!("    {k}  {v}\n"))
            .collect::<String>()
    };
    Err(format!(
        "{step}:\n  expected\n{}  found\n{}",
        list(expected),
        list(found)
    ))
}

/// Applies a change set as its documentation says, and checks that each change is a sensible one.
pub(crate) fn fold(rows: &mut Rows, changes: &[Value], unordered: bool) -> Result<(), String> {
    let mut keys = std::collections::BTreeSet::new();
    for change in changes {
        let key = change["key"].as_str().unwrap();
        if !keys.insert(key) {
            return Err(format!("two changes of the key {key}"));
        }
        let old = rows.iter().position(|(k, _)| k == key);
        let (kind, stated) = (
            change["type"].as_str().unwrap(),
            change.get("previousValue"),
        );
        match (kind, old) {
            ("insert", None) => {}
            ("update", Some(old)) if stated == Some(&rows[old].1) => {}
            ("delete", Some(old)) if change["value"] == rows[old].1 => {}
            _ => return Err(format!("a wrong change: {change}")),
        }
        let stays = stated == change.get("value") && change["index"] == change["previousIndex"];
        if kind == "update" && stays && changes.len() == 1 {
            return Err(format!("a change that changes nothing: {change}"));
        }
        let index = |name: &str| change.get(name).map(|i| i.as_u64().unwrap() as usize);
        if !unordered && index("previousIndex") != old {
            return Err(format!("the row was at {old:?}: {change}"));
        }
    }
    let place = |change: &Value, name: &str| change[name].as_u64().map(|i| i as usize);
    let mut gone: Vec<&Value> = changes.iter().filter(|c| c["type"] != "insert").collect();
    gone.sort_by_key(|c| std::cmp::Reverse(place(c, "previousIndex")));
    for change in gone {
        let at = rows
            .iter()
            .position(|(k, _)| k == change["key"].as_str().unwrap())
            .unwrap();
        rows.remove(place(change, "previousIndex").unwrap_or(at));
    }
    let mut come: Vec<&Value> = changes.iter().filter(|c| c["type"] != "delete").collect();
    come.sort_by_key(|c| place(c, "index"));
    for change in come {
        let row = (
            change["key"].as_str().unwrap().to_owned(),
            change["value"].clone(),
        );
        match place(change, "index") {
            Some(index) if index <= rows.len() => rows.insert(index, row),
            Some(_) => return Err(format!("no such position: {change}")),
            None => rows.push(row),
        }
    }
    if unordered {
        rows.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Ok(())
}

fn outcome(case: &Case) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| run(case))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!(
            "panic: {}",
            text.or(panic.downcast_ref::<&str>().map(|s| s.to_string()))
                .unwrap_or_default()
        ))
    })
}

/// Runs one part of the cases; the parts run in parallel.
fn results_equal_a_recomputation(part: u64) {
    let number =
        |name: &str, default| std::env::var(name).map_or(default, |v| v.parse().expect("a number"));
    let (first, cases) = (
        number("TAILWATER_SEED", 0),
        number("TAILWATER_CASES", 4_000),
    );
    for seed in (first..first + cases).filter(|seed| seed % PARTS == part) {
        let case = oracle::case(seed);
        let Err(error) = outcome(&case) else { continue };
        // A smaller query may be refused for what it lacks: that is another failure.
        let is_refusal = |error: &str| error.starts_with("refused");
        assert!(!is_refusal(&error), "seed {seed}: {error}\n{}", case.query);
        let same = |c: &Case| matches!(outcome(c), Err(e) if !is_refusal(&e));
        let small = oracle::shrink(&case, same);
        panic!(
            "seed {seed}: {}\n{}",
            outcome(&small).unwrap_err(),
            instructions(&small)
        );
    }
}

/// How to see a case again by hand. Files of events know nothing of clocks and windows: those stand
/// beside, as comments.
pub(crate) fn instructions(case: &Case) -> String {
    let start = case.start().map(|ms| format!("# clock {ms}\n"));
    let line = |step: &Step| match step {
        Step::Batch(messages) => json!(messages).to_string(),
        Step::Clock(ms) => format!("# clock {ms}"),
        Step::Window { offset, limit } => format!("# window from {offset}, limit {limit:?}"),
    };
    let lines: Vec<String> = case.steps.iter().map(line).collect();
    format!(
        "reproduce with `tailwater query q.json --events e.jsonl --emit snapshots` (without the \
         lines that start with #)\nq.json: {}\ne.jsonl:\n{}{}",
        case.query,
        start.unwrap_or_default(),
        lines.join("\n")
    )
}

const PARTS: u64 = 4;

#[test]
fn results_equal_a_recomputation_after_every_batch_1() {
    results_equal_a_recomputation(0);
}

#[test]
fn results_equal_a_recomputation_after_every_batch_2() {
    results_equal_a_recomputation(1);
}

#[test]
fn results_equal_a_recomputation_after_every_batch_3() {
    results_equal_a_recomputation(2);
}

#[test]
fn results_equal_a_recomputation_after_every_batch_4() {
    results_equal_a_recomputation(3);
}
