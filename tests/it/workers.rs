//! Several workers, as threads and as processes on loopback, give what one gives.

use std::sync::Arc;
use std::thread;

use serde_json::Value;
use tailwater::engine::{Engine, Workers, WorkersError, follow};
use tailwater::query::builder::col;
use tailwater::query::{Expr, Query};
use tailwater::schema::Catalog;

use crate::histories::{check, fold, rows};
use crate::oracle::{self, Case, Step};
use crate::support::free_address;

/// Addresses of this machine that were free just now.
fn hosts(count: usize) -> Vec<String> {
    (0..count).map(|_| free_address()).collect()
}

/// Follows a case as `histories` does, on an engine that other cases have used before.
fn follow_case(engine: &mut Engine, case: &Case) -> Result<(), String> {
    let mut store = oracle::Store::default();
    let step = |engine: &mut Engine, texts: &[String]| {
        let batch = engine.decode(texts.iter().map(String::as_str)).unwrap();
        engine.apply(batch)
    };
    let reset = r#"{"headers":{"control":"reset"}}"#.to_owned();
    step(engine, &[reset]);
    engine.finish();
    let refused = |error: tailwater::engine::InstallError| format!("refused: {error}");
    let query = Query::from_json(&case.query.to_string()).map_err(|e| e.to_string())?;
    let live = engine.install(&query).map_err(refused)?;
    let mut folded = rows(engine, live);
    check("at first", &folded, &oracle::evaluate(&case.query, &store))?;
    let mut shown = case.query.clone();
    for (i, step_) in case.steps.iter().enumerate() {
        let changed = match step_ {
            Step::Batch(messages) => {
                store.apply(messages);
                let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
                step(engine, &texts)
            }
            Step::Window { offset, limit } => {
                shown = oracle::with_window(&shown, *offset, *limit);
                let (offset, limit) = (*offset as usize, limit.map(|n| n as usize));
                let changes = engine.set_window(live, offset, limit).unwrap();
                [(live, changes)].into_iter().collect()
            }
            Step::Clock(_) => unreachable!("cases with a clock are left out"),
        };
        let name = format!("after step {i}");
        let expected = oracle::evaluate(&shown, &store);
        check(&name, &rows(engine, live), &expected)?;
        if let Some(changes) = changed.get(&live) {
            let text = serde_json::to_string(changes).unwrap();
            let changes: Vec<Value> = serde_json::from_str(&text).unwrap();
            fold(&mut folded, &changes, query.order_by.is_empty())?;
        }
        let mut expected = expected;
        if query.order_by.is_empty() {
            expected.sort_by(|a, b| a.0.cmp(&b.0));
        }
        check(&format!("{name}, folded"), &folded, &expected)?;
    }
    assert!(engine.uninstall(live));
    assert_eq!(engine.lost(), None);
    Ok(())
}

fn follow_cases(engine: &mut Engine, cases: impl IntoIterator<Item = u64>) {
    let mut followed = 0;
    for seed in cases {
        let case = oracle::case(seed);
        // A clock never goes back, and these engines are used again.
        let is_clocked = |step: &Step| matches!(step, Step::Clock(_));
        if case.start().is_some() || case.steps.iter().any(is_clocked) {
            continue;
        }
        if let Err(error) = follow_case(engine, &case) {
            panic!("seed {seed}: {error}\n{}", case.query);
        }
        followed += 1;
    }
    assert!(followed > 10, "{followed} cases");
}

fn cases() -> u64 {
    let cases = std::env::var("TAILWATER_CASES").map(|n| n.parse().expect("a number"));
    cases.unwrap_or(4_000) / 20
}

#[test]
fn threads_compute_what_one_computes() {
    for threads in [2, 3] {
        let catalog = Arc::new(Catalog::open());
        let mut engine = Engine::with_workers(catalog, &Workers::threads(threads)).unwrap();
        let first = 100_000 * threads as u64;
        follow_cases(&mut engine, first..first + cases());
    }
}

#[test]
fn processes_compute_what_one_computes() {
    let hosts = hosts(3);
    let cluster = |process| Workers::cluster(2, hosts.clone(), process).unwrap();
    let follower = |process| {
        let workers = cluster(process);
        thread::spawn(move || follow(&Arc::new(Catalog::open()), &workers))
    };
    let followers = [follower(1), follower(2)];
    let mut engine = Engine::with_workers(Arc::new(Catalog::open()), &cluster(0)).unwrap();
    follow_cases(&mut engine, 500_000..500_000 + cases());
    drop(engine);
    for follower in followers {
        follower.join().unwrap().unwrap();
    }
}

#[test]
fn what_is_bound_to_a_process_is_refused_by_name() {
    let hosts = hosts(2);
    let follower = {
        let workers = Workers::cluster(1, hosts.clone(), 1).unwrap();
        thread::spawn(move || follow(&Arc::new(Catalog::open()), &workers))
    };
    let workers = Workers::cluster(1, hosts, 0).unwrap();
    let mut engine = Engine::with_workers(Arc::new(Catalog::open()), &workers).unwrap();
    let mut query =
        Query::from_json(r#"{"from":{"type":"collectionRef","collection":"t","alias":"t"}}"#)
            .unwrap();
    query
        .filters
        .push(Expr::closure("is_prime", [col("t.n")], |_| true.into()));
    let error = engine.install(&query).unwrap_err().to_string();
    assert_eq!(
        error,
        "the Rust function `is_prime` cannot run in another process"
    );
    drop(engine);
    follower.join().unwrap().unwrap();
}

#[test]
fn clusters_that_cannot_be_say_why() {
    let error = Workers::cluster(1, ["a:1".to_owned()], 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no process 1 among 1 hosts (they count from 0)"
    );
    let hosts = hosts(2);
    let other = Workers::cluster(1, hosts.clone(), 1).unwrap();
    let catalog = Arc::new(Catalog::open());
    let error = Engine::with_workers(catalog.clone(), &other).unwrap_err();
    assert!(error.to_string().contains("`follow` it"), "{error}");
    let first = Workers::cluster(1, hosts.clone(), 0).unwrap();
    assert!(matches!(
        follow(&catalog, &first),
        Err(WorkersError::Invalid(_))
    ));
    // Processes that were started with other numbers do not work together.
    let leader = thread::spawn({
        let catalog = catalog.clone();
        move || Engine::with_workers(catalog, &first).map(drop)
    });
    let more = Workers::cluster(2, hosts, 1).unwrap();
    let error = follow(&catalog, &more).unwrap_err().to_string();
    assert!(
        error.contains("another number of hosts or workers"),
        "{error}"
    );
    // The first one waits on for the right one, and takes it.
    follow_until_dropped(&other);
    leader.join().unwrap().unwrap();
}

fn follow_until_dropped(workers: &Workers) {
    follow(&Arc::new(Catalog::open()), workers).unwrap();
}
