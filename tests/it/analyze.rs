//! Each step of a plan tells what went through it, whatever the query is and whoever shares it.

use tailwater::engine::{Engine, QueryId};
use tailwater::plan::{Explained, Explanation};
use tailwater::query::Query;

/// One of each operator, and some that have parts in common.
const QUERIES: [&str; 14] = [
    "SELECT * FROM orders",
    "SELECT n FROM orders WHERE n > 50",
    "SELECT o.n, u.city FROM orders o JOIN users u ON u.id = o.person",
    "SELECT u.city, sum(o.n) AS s FROM orders o JOIN users u ON u.id = o.person GROUP BY u.city",
    "SELECT u.city, max(o.n) AS m FROM orders o JOIN users u ON u.id = o.person GROUP BY u.city HAVING max(o.n) > 60",
    "SELECT o.n, u.city FROM orders o LEFT JOIN users u ON u.id = o.person AND o.n > u.id ORDER BY o.n DESC LIMIT 4",
    "SELECT DISTINCT person FROM orders",
    "SELECT n FROM orders UNION ALL SELECT id FROM users UNION ALL SELECT person FROM orders WHERE n < 9",
    "SELECT n FROM orders WHERE person IN (SELECT id FROM users WHERE city = 'Rome')",
    "SELECT n, rank() OVER (PARTITION BY person ORDER BY n) AS r FROM orders",
    "SELECT count(*) AS n FROM orders",
    "WITH RECURSIVE up AS (SELECT id, boss FROM users WHERE id < 3 UNION SELECT u.id, u.boss FROM users u JOIN up ON up.boss = u.id) SELECT * FROM up",
    "SELECT n FROM orders WHERE at > now()",
    "SELECT a.city, b.s FROM (SELECT person, sum(n) AS s FROM orders GROUP BY person) b JOIN (SELECT u.city, sum(o.n) AS s FROM orders o JOIN users u ON u.id = o.person GROUP BY u.city) a ON a.s = b.s JOIN (SELECT person, sum(n) AS s FROM orders GROUP BY person) c ON c.s = b.s",
];

fn feed(engine: &mut Engine, from: usize, to: usize) {
    let row = |kind: &str, key: usize, value: String| {
        format!(
            r#"{{"type":"{kind}","key":"{key}","value":{value},"headers":{{"operation":"upsert"}}}}"#
        )
    };
    let mut lines = Vec::new();
    for i in from..to {
        let city = ["Rome", "Oslo", "Bern"][i % 3];
        let user = format!(r#"{{"id":{i},"city":"{city}","boss":{}}}"#, (i * 7) % 20);
        lines.push(row("users", i % 20, user));
        let order = format!(
            r#"{{"n":{},"person":{},"at":{}}}"#,
            (i * 37) % 101,
            i % 25,
            i * 10
        );
        lines.push(row("orders", i % 60, order));
    }
    for chunk in lines.chunks(7) {
        let batch = engine.decode(chunk.iter().map(String::as_str)).unwrap();
        engine.apply(batch);
    }
}

/// Checks that what comes into each step is what went out of those below it; counts the steps.
fn check(step: &Explanation, sql: &str) -> usize {
    let mut steps = 1;
    for input in &step.inputs {
        steps += check(input, sql);
    }
    let below: Option<Vec<_>> = step
        .inputs
        .iter()
        .map(|input| input.figures.as_ref())
        .collect();
    if let (Some(figures), Some(below)) = (&step.figures, below)
        && step.operator != "scan"
    {
        let out: u64 = below.iter().map(|below| below.rows_out).sum();
        assert_eq!(figures.rows_in, Some(out), "{sql}\n{step}");
    }
    steps
}

fn without_figures<'a>(step: &'a Explanation, found: &mut Vec<&'a str>) {
    if step.figures.is_none() {
        found.push(step.operator);
    }
    step.inputs
        .iter()
        .for_each(|input| without_figures(input, found));
}

fn look(engine: &Engine, ids: &[QueryId]) {
    for (sql, id) in QUERIES.iter().zip(ids) {
        let plan = engine.analyze(*id).unwrap();
        assert!(check(&plan, sql) > 1);
        let mut missing = Vec::new();
        without_figures(&plan, &mut missing);
        match sql.starts_with("WITH") {
            // The rounds of a recursion are not looked into.
            true => assert!(
                !missing.contains(&"recursive") && !missing.contains(&"scan"),
                "{plan}"
            ),
            false => assert_eq!(missing, [""; 0], "{plan}"),
        }
        let result = plan.figures.as_ref().unwrap();
        let view = engine.view(*id).unwrap();
        assert_eq!(
            (result.rows, result.rows_out),
            (Some(view.len()), view.changed())
        );
        let explained = Explained::new(&Query::from_sql(sql).unwrap(), plan);
        assert!(explained.to_string().contains("as written:"));
        let edges = explained.to_dot().matches(" -> ").count();
        assert!(edges > 0, "{explained}");
    }
}

fn install(engine: &mut Engine) -> Vec<QueryId> {
    let query = |sql: &&str| Query::from_sql(sql).unwrap_or_else(|error| panic!("{error}"));
    let queries: Vec<Query> = QUERIES.iter().map(query).collect();
    queries
        .iter()
        .map(|query| engine.install(query).unwrap())
        .collect()
}

#[test]
fn what_comes_into_a_step_went_out_of_those_below_it() {
    let mut engine = Engine::new();
    engine.set_clock(300);
    let ids = install(&mut engine);
    look(&engine, &ids);
    feed(&mut engine, 0, 90);
    engine.set_clock(400);
    assert!(engine.common_count() > 0);
    look(&engine, &ids);
    let plan = engine.analyze(ids[0]).unwrap();
    assert!(
        plan.inputs[0].figures.as_ref().unwrap().rows_out > 60,
        "{plan}"
    );
}

#[test]
fn time_is_taken_only_when_that_is_asked_for() {
    fn nanos(step: &Explanation) -> u64 {
        let own = step.figures.as_ref().map_or(0, |figures| figures.nanos);
        own + step.inputs.iter().map(nanos).sum::<u64>()
    }
    let mut engine = Engine::new();
    let ids = install(&mut engine);
    let all = |engine: &Engine| -> u64 {
        ids.iter()
            .map(|id| nanos(&engine.analyze(*id).unwrap()))
            .sum()
    };
    feed(&mut engine, 0, 50);
    assert_eq!(all(&engine), 0);
    engine.set_timing(true);
    feed(&mut engine, 50, 60);
    let timed = all(&engine);
    assert!(timed > 0);
    engine.set_timing(false);
    feed(&mut engine, 60, 90);
    assert_eq!(all(&engine), timed);
}

#[test]
fn joins_tell_of_the_arrangements_they_read() {
    let mut engine = Engine::new();
    let ids = install(&mut engine);
    feed(&mut engine, 0, 90);
    let plan = engine.explain(ids[2]).unwrap();
    let join = &plan.inputs[0];
    assert_eq!((join.operator, join.shared_by), ("join", 4), "{plan}");
    let told: Vec<_> = join
        .arrangements
        .iter()
        .map(|of| (of.side, of.collection.as_str(), of.keys.join(", "), of.rows))
        .collect();
    let expected = [
        ("left", "orders", "o.person".to_owned(), 60),
        ("right", "users", "u.id".to_owned(), 20),
    ];
    assert_eq!(told, expected);
    assert!(join.arrangements.iter().all(|of| of.bytes > 0));
    assert!(join.figures.is_none());
}
