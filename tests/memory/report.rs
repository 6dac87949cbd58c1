//! What is reported is what is allocated; it is bounded, and it is given back.

use serde_json::json;
use tailwater::engine::Engine;

use super::held;
use super::world::{ROWS, apply, delete, load, purge, queries, query};

/// Whether two numbers of bytes differ by at most a quarter; what there is beside any rows may come on
/// top.
fn close(reported: usize, counted: usize, beside: usize) -> bool {
    reported * 4 <= counted * 5 && counted <= reported * 5 / 4 + beside
}

/// Plans, operators without their states, and what the engine has of its own.
const FRAME: usize = 96 << 10;

#[test]
fn the_report_is_what_the_allocator_counts() {
    let mut wrong = Vec::new();
    for (name, json) in queries() {
        let start = held();
        let mut engine = Engine::new();
        engine.set_clock(ROWS as i64);
        load(&mut engine, 0);
        let rows = held() - start;
        let id = engine.install(&query(&json)).expect("it holds");
        // The query alone, as its part may be small.
        let report = engine.memory();
        let indexes: usize = report
            .collections
            .iter()
            .flat_map(|c| &c.indexes)
            .map(|i| i.bytes)
            .sum();
        let (alone, counted) = (report.queries[0].bytes + indexes, held() - start - rows);
        if !close(alone, counted, FRAME) {
            let queries = &report.queries;
            wrong.push(format!("{name} alone: {alone} of {counted}: {queries:#?}"));
        }
        let mut check = |engine: &Engine, when: &str| {
            let (counted, report) = (held() - start, engine.memory());
            if std::env::var_os("TAILWATER_MEMORY").is_some() {
                println!(
                    "{name:28} {when:14} counted {counted:9} reported {:9}",
                    report.total
                );
            }
            if !close(report.total, counted, FRAME) {
                wrong.push(format!(
                    "{name}, {when}: {} of {counted}: {report:#?}",
                    report.total
                ));
            }
            (counted, report.total)
        };
        let (loaded, _) = check(&engine, "loaded");
        for round in 1..4 {
            load(&mut engine, round);
        }
        let (updated, reported) = check(&engine, "updated");
        for round in 4..10 {
            load(&mut engine, round);
        }
        let (again, reported_again) = check(&engine, "updated again");
        // Tables that were filled to the brim may have doubled once, no more.
        assert!(updated < loaded * 7 / 4, "{name}: {loaded}, then {updated}");
        assert!(again < updated * 5 / 4, "{name}: {updated}, then {again}");
        assert!(
            reported_again < reported * 5 / 4,
            "{name}: {reported}, then {reported_again}"
        );
        purge(&mut engine);
        let (purged, reported) = check(&engine, "purged");
        // Of which a part is kept for the next steps, however many rows there were.
        let buffers = engine.memory().buffers;
        assert!(buffers < 8 << 20, "{name}: {buffers}");
        let (purged, reported) = (purged - buffers, reported - buffers);
        assert!(
            purged < loaded / 10 + 8 * FRAME,
            "{name}: {purged} of {loaded} is left"
        );
        assert!(
            reported < loaded / 10 + 8 * FRAME,
            "{name}: {reported} of {loaded} is reported"
        );
        load(&mut engine, 0);
        let before = held();
        assert!(engine.uninstall(id));
        let report = engine.memory();
        assert!(
            report.queries.is_empty() && report.collections.iter().all(|c| c.indexes.is_empty())
        );
        let (counted, freed) = (held() - start, before - held());
        assert!(
            close(report.total, counted, FRAME),
            "{name}: {report:#?} of {counted}"
        );
        assert!(
            freed * 2 > alone,
            "{name}: {freed} of {alone} bytes came back"
        );
        drop(engine);
        assert!(
            held() <= start + (8 << 10),
            "{name}: {} bytes stay",
            held() - start
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A chain of nodes, each below the one before it in its group of ten.
fn node(key: usize, up: usize) -> String {
    let up = if key.is_multiple_of(10) {
        json!(null)
    } else {
        json!(format!("n{up}"))
    };
    json!({"type": "node", "key": format!("node-{key}"), "headers": {"operation": "upsert"},
        "value": {"id": format!("n{key}"), "up": up}})
    .to_string()
}

#[test]
fn a_recursion_is_estimated_and_bounded() {
    use super::world::{from, func, path, val};
    const NODES: usize = 3000;
    let roots = json!({"from": from("node"), "where": [func("isNull", &[path("node.up")])],
        "select": {"id": path("node.id"), "depth": val(0)}});
    let on = func("eq", &[path("node.up"), path("d.id")]);
    let below = json!({"from": {"type": "collectionRef", "collection": "depths", "alias": "d"},
        "join": [{"type": "inner", "from": from("node"), "on": on}],
        "select": {"id": path("node.id"), "depth": func("add", &[path("d.depth"), val(1)])}});
    let json = json!({"withRecursive": {"depths": {"from": {"type": "unionAll", "queries": [roots, below]}}},
        "from": from("depths")});
    let start = held();
    let mut engine = Engine::new();
    let id = engine.install(&query(&json)).expect("it holds");
    let empty = held();
    let all = |engine: &mut Engine, far: usize| {
        let messages: Vec<String> = (0..NODES)
            .map(|key| node(key, key.saturating_sub(far)))
            .collect();
        apply(engine, &messages);
    };
    all(&mut engine, 1);
    let (counted, reported) = (held() - empty, engine.memory().total);
    assert!(
        reported < counted * 2 && counted < reported * 2,
        "{reported} of {counted}"
    );
    let mut sizes = Vec::new();
    for round in 0..60 {
        all(&mut engine, round % 3 + 1);
        sizes.push((held() - empty, engine.memory().queries[0].bytes));
    }
    let most = |of: &[(usize, usize)]| {
        (
            of.iter().map(|s| s.0).max().unwrap(),
            of.iter().map(|s| s.1).max().unwrap(),
        )
    };
    let (early, late) = (most(&sizes[..30]), most(&sizes[30..]));
    assert!(
        late.0 < early.0 * 5 / 4 && late.1 < early.1 * 5 / 4,
        "{early:?}, then {late:?}"
    );
    let messages: Vec<String> = (0..NODES).map(|key| delete("node", key)).collect();
    apply(&mut engine, &messages);
    drop(messages);
    assert_eq!(engine.view(id).unwrap().len(), 0);
    // What left is forgotten as batches are merged, which more steps do.
    for round in 0..40 {
        apply(&mut engine, &[node(0, round)]);
        apply(&mut engine, &[delete("node", 0)]);
    }
    let report = engine.memory();
    let (left, reported) = (
        held() - empty - report.buffers,
        report.total - report.buffers,
    );
    assert!(left < counted / 4, "{left} of {counted} is left");
    assert!(
        reported < counted / 4,
        "{reported} of {counted} is reported"
    );
    engine.uninstall(id);
    let (stay, reported) = (held() - start, engine.memory().total);
    assert!(close(reported, stay, FRAME), "{reported} of {stay}");
    drop(sizes);
    drop(engine);
    assert!(held() <= start + (8 << 10), "{} bytes stay", held() - start);
}

#[test]
fn pending_changes_and_open_snapshots_are_in_it() {
    use tailwater::store::{Mutation, TransactionId};
    use tailwater::value::Value;
    let mut engine = Engine::new();
    load(&mut engine, 0);
    let (before, reported) = (held(), engine.memory().total);
    let text = "something long enough to be seen in the figures ".repeat(4);
    for i in 0..5000 {
        let mutation = Mutation::update(
            "event",
            format!("event-{i}"),
            [("text", Value::from(text.as_str()))],
        );
        engine
            .mutate(TransactionId(i), [mutation])
            .expect("the row is there");
    }
    let (counted, grown) = (held() - before, engine.memory().total - reported);
    // The transactions themselves are not in it.
    assert!(
        grown < counted && counted < grown * 3 / 2,
        "{grown} of {counted}"
    );
    engine.rollback((0..5000).map(TransactionId));
    let left = engine.memory().total - reported;
    assert!(left < grown / 10, "{left} of {grown} is left");

    let before = held();
    let control =
        |control: &str| json!({"headers": {"control": control, "offset": "0"}}).to_string();
    apply(&mut engine, &[control("snapshot-start")]);
    let none = engine.memory().snapshots;
    load(&mut engine, 1);
    let (counted, snapshot) = (held() - before, engine.memory().snapshots);
    assert!(
        none < 4096 && close(snapshot, counted, 0),
        "{snapshot} of {counted}"
    );
    apply(&mut engine, &[control("snapshot-end")]);
    assert_eq!(engine.memory().snapshots, 0);
}

#[test]
fn it_is_json_and_names_what_it_is_about() {
    let mut engine = Engine::new();
    let (_, join) = queries().swap_remove(3);
    let id = engine.install(&query(&join)).expect("it holds");
    load(&mut engine, 0);
    let report = engine.memory();
    let event = report
        .collections
        .iter()
        .find(|c| c.name == "event")
        .expect("it has rows");
    assert_eq!(event.rows, ROWS);
    assert!(
        (150..600).contains(&event.bytes_per_row()),
        "{}",
        event.bytes_per_row()
    );
    assert_eq!(
        (event.indexes[0].keys.as_slice(), event.indexes[0].rows),
        (&["event.user".to_owned()][..], ROWS)
    );
    let of_query = &report.queries[0];
    assert_eq!((of_query.id, of_query.rows), (id, ROWS));
    let names: Vec<&str> = of_query.operators.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names[0], "scan  collection: event");
    assert!(
        names[2].starts_with("join  kind: inner; on: event.user = user.id"),
        "{names:?}"
    );
    assert_eq!(names[3], "result");
    let json = serde_json::to_value(&report).expect("plain data");
    assert_eq!(json["queries"][0]["rows"], ROWS);
    assert_eq!(json["total"], report.total);
}
