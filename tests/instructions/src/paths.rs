//! The paths: what is prepared, and what is counted.

use std::error::Error;
use std::hint::black_box;

use tailwater::engine::{Batch, Engine};
use tailwater::query::Query;

/// By name, with what they do.
pub(crate) const ALL: &[(&str, &str)] = &[
    (
        "load",
        "2,000 messages from JSON into a filter, in batches of 100",
    ),
    (
        "join",
        "100 changes of one row through a join of 2,000 and 200 rows",
    ),
    (
        "group",
        "100 changes of one row through a group-by with sum and max",
    ),
    (
        "window",
        "100 changes of one row through an order with a limit",
    ),
    (
        "route",
        "100 changes of one row among 1,000 queries that ask for one value",
    ),
];

const EVENTS: &str = r#""from":{"type":"collectionRef","collection":"event","alias":"e"}"#;

/// What callgrind counts.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

/// Measures a path.
pub(crate) fn run(path: &str) -> Result<(), Box<dyn Error>> {
    let queries: Vec<String> = match path {
        "load" => vec![format!(
            r#"{{{EVENTS},"where":[{{"type":"func","name":"gt","args":[{{"type":"ref","path":["e","size"]}},{{"type":"val","value":500}}]}}],
                "select":{{"size":{{"type":"ref","path":["e","size"]}}}}}}"#
        )],
        "join" => vec![format!(
            r#"{{{EVENTS},"join":[{{"type":"inner","from":{{"type":"collectionRef","collection":"user","alias":"u"}},
                "on":{{"type":"func","name":"eq","args":[{{"type":"ref","path":["e","user"]}},{{"type":"ref","path":["u","id"]}}]}}}}],
                "select":{{"size":{{"type":"ref","path":["e","size"]}},"name":{{"type":"ref","path":["u","name"]}}}}}}"#
        )],
        "group" => vec![format!(
            r#"{{{EVENTS},"groupBy":[{{"type":"ref","path":["e","kind"]}}],
                "select":{{"kind":{{"type":"ref","path":["e","kind"]}},
                    "sum":{{"type":"agg","name":"sum","args":[{{"type":"ref","path":["e","size"]}}]}},
                    "max":{{"type":"agg","name":"max","args":[{{"type":"ref","path":["e","size"]}}]}}}}}}"#
        )],
        "window" => vec![format!(
            r#"{{{EVENTS},"orderBy":[{{"expression":{{"type":"ref","path":["e","size"]}},"compareOptions":{{"direction":"desc"}}}}],"limit":50}}"#
        )],
        "route" => (0..1000)
            .map(|user| {
                format!(
                    r#"{{{EVENTS},"where":[{{"type":"func","name":"eq","args":[{{"type":"ref","path":["e","user"]}},{{"type":"val","value":{user}}}]}}]}}"#
                )
            })
            .collect(),
        other => return Err(format!("there is no path `{other}`").into()),
    };
    let mut engine = Engine::new();
    for query in &queries {
        engine.install(&Query::from_json(query)?)?;
    }
    if path == "load" {
        let lines: Vec<String> = (0..2000).map(|i| event(i, i * 7 % 1000)).collect();
        measured(|| {
            for lines in lines.chunks(100) {
                let batch = engine
                    .decode(lines.iter().map(String::as_str))
                    .expect("messages");
                black_box(engine.apply(batch));
            }
        });
        return Ok(());
    }
    let users = (0..200).map(|i| {
        format!(r#"{{"type":"user","key":"{i}","value":{{"id":{i},"name":"user {i}"}},"headers":{{"operation":"insert"}}}}"#)
    });
    let events = (0..2000).map(|i| event(i, i * 7 % 1000));
    let lines: Vec<String> = users.chain(events).collect();
    engine.apply(engine.decode(lines.iter().map(String::as_str))?);
    let mut changes: Vec<Batch> = Vec::new();
    for i in 0..100 {
        let line = event(i * 13 % 2000, i * 31 % 1000);
        changes.push(engine.decode([line.as_str()])?);
    }
    measured(|| {
        for change in changes {
            black_box(engine.apply(change));
        }
    });
    Ok(())
}

fn event(key: usize, size: usize) -> String {
    let (user, kind) = (key % 200, size % 20);
    format!(
        r#"{{"type":"event","key":"{key}","value":{{"user":{user},"kind":"kind {kind}","size":{size}}},"headers":{{"operation":"upsert"}}}}"#
    )
}
