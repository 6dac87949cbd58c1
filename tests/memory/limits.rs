//! What takes too much is refused or stopped, and the rest goes on.

use serde_json::{Value, json};
use tailwater::engine::{
    Engine, InstallError, MemoryExceeded, MemoryScope, QueryFailure, WindowError,
};

use super::world::{ROWS, apply, from, func, load, path, queries, query, user, val};
use super::{held, peak_of};

const MIB: usize = 1 << 20;

fn all() -> Value {
    json!({"from": from("event")})
}

/// Every event with every other.
fn cross() -> Value {
    json!({"from": from("event"), "join": [{"type": "cross",
        "from": {"type": "collectionRef", "collection": "event", "alias": "other"}}]})
}

fn refused(result: Result<impl std::fmt::Debug, InstallError>) -> MemoryExceeded {
    match result {
        Err(InstallError::Memory(error)) => error,
        other => panic!("it is not refused for its memory: {other:?}"),
    }
}

#[test]
fn a_cross_join_is_refused_before_the_memory_is_gone() {
    let mut engine = Engine::new();
    load(&mut engine, 0);
    let small = engine
        .install(&query(&queries()[1].1))
        .expect("there is no limit");
    let rows = engine.view(small).unwrap().len();
    engine.set_query_memory_limit(Some(32 * MIB));
    let before = held();
    let (peak, result) = peak_of(|| engine.install(&query(&cross())));
    let error = refused(result);
    assert_eq!((error.scope, error.limit), (MemoryScope::Query, 32 * MIB));
    assert!(
        error.needed > error.limit && error.needed < 40 * MIB,
        "{error:?}"
    );
    assert!(error.at.starts_with("join  kind: cross"), "{}", error.at);
    assert!(
        error
            .to_string()
            .starts_with("the memory limit of a query of 32 MiB is exceeded: at least "),
        "{error}"
    );
    assert!(peak < 64 * MIB, "{peak} bytes were taken for a moment");
    assert!(held() < before + MIB, "{} bytes stay", held() - before);
    assert_eq!(engine.memory().queries.len(), 1);
    // The others go on, and so does an engine that can be asked again.
    apply(&mut engine, &[super::world::event(ROWS + 1, 999)]);
    assert_eq!(engine.view(small).unwrap().len(), rows + 1);
    assert!(engine.take_failures().is_empty());
    refused(engine.query_once(&query(&cross())));
    refused(engine.effect(&query(&cross()), tailwater::view::Effect::new()));
    engine.set_query_memory_limit(None);
    engine
        .install(&query(&all()))
        .expect("there is no limit any more");
}

#[test]
fn a_step_that_explodes_stops_the_query_alone_and_shows_nothing_of_it() {
    for whole in [false, true] {
        let mut engine = Engine::new();
        let explodes = engine
            .install(&query(&cross()))
            .expect("nothing is there yet");
        let count = json!({"from": {"type": "queryRef", "alias": "pairs", "query": cross()},
            "select": {"n": {"type": "agg", "name": "count", "args": [path("pairs.event.n")]}}});
        let counts = engine
            .install(&query(&count))
            .expect("nothing is there yet");
        let goes_on = engine
            .install(&query(&all()))
            .expect("nothing is there yet");
        match whole {
            true => engine.set_memory_limit(Some(48 * MIB)),
            false => engine.set_query_memory_limit(Some(32 * MIB)),
        }
        apply(&mut engine, &[super::world::event(0, 0)]);
        let view = engine.shared_view(explodes).expect("it is there");
        assert_eq!(view.read().unwrap().len(), 1);
        let messages: Vec<String> = (0..10_000).map(|i| super::world::event(i, i)).collect();
        let batch = super::world::batch(&engine, &messages);
        let (peak, changed) = peak_of(|| engine.apply(batch));
        assert!(peak < 128 * MIB, "{peak} bytes were taken for a moment");
        assert_eq!(changed.keys().collect::<Vec<_>>(), [&goes_on]);
        // The first one is there already.
        assert_eq!(changed[&goes_on].len(), 9_999);
        assert_eq!(view.read().unwrap().len(), 1, "nobody sees half a step");
        let failures = engine.take_failures();
        let mut ids: Vec<_> = failures.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [explodes, counts]);
        for (_, failure) in &failures {
            let QueryFailure::Memory(error) = failure else {
                panic!("{failure}")
            };
            let scope = if whole {
                MemoryScope::Engine
            } else {
                MemoryScope::Query
            };
            assert_eq!(error.scope, scope);
            assert!(error.at.starts_with("join  kind: cross"), "{}", error.at);
        }
        assert!(engine.take_failures().is_empty() && engine.over_limit().is_none());
        assert!(engine.view(explodes).is_none() && !engine.uninstall(counts));
        apply(&mut engine, &[super::world::event(20_000, 0)]);
        assert_eq!(engine.view(goes_on).unwrap().len(), 10_001);
    }
}

#[test]
fn a_query_that_grows_beyond_its_limit_is_dropped_with_what_it_held() {
    for (name, json) in queries() {
        let mut engine = Engine::new();
        engine.set_clock(ROWS as i64);
        let id = engine.install(&query(&json)).expect("nothing is there yet");
        let other = engine.install(&query(
            &json!({"from": from("user"), "where": [func("eq", &[path("user.n"), val(1)])]}),
        ));
        let other = other.expect("nothing is there yet");
        load(&mut engine, 0);
        let report = engine.memory();
        let needed = report.queries.iter().find(|q| q.id == id).unwrap().bytes;
        // The room for what is on its way is known only roughly: first there is enough of it.
        engine.set_query_memory_limit(Some(needed * 2 + 4 * MIB));
        load(&mut engine, 1);
        assert_eq!(engine.take_failures(), [], "{name}");
        let limit = needed / 2;
        engine.set_query_memory_limit(Some(limit.max(64 << 10)));
        if limit < 64 << 10 {
            // A query that hardly holds anything is left alone.
            continue;
        }
        let failures = engine.take_failures();
        assert_eq!(
            failures.iter().map(|f| f.0).collect::<Vec<_>>(),
            [id],
            "{name}"
        );
        let QueryFailure::Memory(error) = &failures[0].1 else {
            panic!("{name}: {failures:?}")
        };
        assert_eq!(
            (error.limit, error.scope),
            (limit, MemoryScope::Query),
            "{name}"
        );
        let ids: Vec<_> = engine.memory().queries.iter().map(|q| q.id).collect();
        assert_eq!(ids, [other], "{name}");
        let error = refused(engine.install(&query(&json)));
        assert_eq!(error.limit, limit, "{name}");
        assert_eq!(engine.memory().queries.len(), 1, "{name}");
    }
}

#[test]
fn under_a_limit_of_everything_the_biggest_goes_first() {
    let mut engine = Engine::new();
    let small = engine
        .install(&query(&json!({"from": from("user")})))
        .unwrap();
    let big = engine
        .install(&query(
            &json!({"from": from("event"), "orderBy": [{"expression": path("event.at")}]}),
        ))
        .unwrap();
    load(&mut engine, 0);
    let report = engine.memory();
    let of_big = report.queries.iter().find(|q| q.id == big).unwrap().bytes;
    engine.set_memory_limit(Some(report.total));
    assert_eq!(engine.take_failures(), []);
    // One row more than fits.
    let messages: Vec<String> = (ROWS..ROWS + 2000).map(|key| user(key, key)).collect();
    apply(&mut engine, &messages);
    let failures = engine.take_failures();
    assert_eq!(failures.iter().map(|f| f.0).collect::<Vec<_>>(), [big]);
    let QueryFailure::Memory(error) = &failures[0].1 else {
        panic!("{failures:?}")
    };
    assert_eq!(
        (error.scope, error.limit),
        (MemoryScope::Engine, report.total)
    );
    assert!(engine.memory().total < report.total - of_big / 2);
    assert_eq!(engine.view(small).unwrap().len(), ROWS / 10 + 2000);
    assert_eq!(engine.over_limit(), None);

    // Rows are never refused; when they alone are too much, it can be asked.
    let rows = engine
        .store()
        .len(&engine.catalog().by_name("event").unwrap());
    engine.set_memory_limit(Some(MIB));
    assert_eq!(engine.take_failures().len(), 1);
    let error = engine.over_limit().expect("the rows are more than that");
    assert_eq!((error.limit, error.at.as_str()), (MIB, "collections"));
    load(&mut engine, 1);
    assert_eq!(
        engine
            .store()
            .len(&engine.catalog().by_name("event").unwrap()),
        rows
    );
    assert_eq!(
        refused(engine.install(&query(&all()))).scope,
        MemoryScope::Engine
    );
    super::world::purge(&mut engine);
    let left: Vec<String> = (ROWS..ROWS + 2000)
        .map(|key| super::world::delete("user", key))
        .collect();
    apply(&mut engine, &left);
    assert_eq!(engine.over_limit(), None);
    engine.install(&query(&all())).expect("it fits again");
}

#[test]
fn a_recursion_that_explodes_is_stopped() {
    let one = json!({"from": from("seed"), "select": {"n": val(0), "of": path("seed.of")}});
    let next = json!({"from": {"type": "collectionRef", "collection": "count", "alias": "c"},
        "join": [{"type": "inner", "from": from("seed"), "on": func("eq", &[path("c.of"), path("seed.of")])}],
        "select": {"n": func("add", &[func("multiply", &[path("c.n"), val(3)]), path("seed.k")]), "of": path("c.of")}});
    let json = json!({"withRecursive": {"count": {"from": {"type": "unionAll", "queries": [one, next]}}},
        "from": from("count")});
    let seed = |k: usize| {
        json!({"type": "seed", "key": k.to_string(), "value": {"of": 1, "k": k}, "headers": {"operation": "insert"}})
            .to_string()
    };
    let mut engine = Engine::new();
    engine.set_query_memory_limit(Some(16 * MIB));
    let installed = engine.install(&query(&json));
    let id = installed.expect("nothing is there yet");
    let messages: Vec<String> = (1..4).map(seed).collect();
    let batch = super::world::batch(&engine, &messages);
    let before = held();
    let (peak, changed) = peak_of(|| engine.apply(batch));
    assert!(changed.is_empty());
    assert!(peak < 128 * MIB, "{peak} bytes were taken for a moment");
    let failures = engine.take_failures();
    assert_eq!(failures.iter().map(|f| f.0).collect::<Vec<_>>(), [id]);
    assert!(
        failures[0]
            .1
            .to_string()
            .contains("most of it by `recursive"),
        "{}",
        failures[0].1
    );
    assert!(held() < before + MIB, "{} bytes stay", held() - before);
    assert!(
        refused(engine.install(&query(&json)))
            .at
            .starts_with("recursive")
    );
}

#[test]
fn a_window_that_is_opened_too_wide_drops_the_query() {
    let ordered =
        json!({"from": from("event"), "orderBy": [{"expression": path("event.at")}], "limit": 10});
    for json in [ordered, all()] {
        let mut engine = Engine::new();
        load(&mut engine, 0);
        let id = engine.install(&query(&json)).unwrap();
        let held = engine.memory().queries[0].bytes;
        engine.set_query_memory_limit(Some(held + held / 4));
        assert!(engine.take_failures().is_empty());
        let moved = engine.set_window(id, 0, None);
        let Err(WindowError::Memory(error)) = moved else {
            panic!("{moved:?}")
        };
        assert_eq!(error.limit, held + held / 4);
        let failures = engine.take_failures();
        assert_eq!(failures, [(id, QueryFailure::Memory(error))]);
        let moved = engine.set_window(id, 0, None);
        assert!(matches!(moved, Err(WindowError::UnknownQuery)));
        load(&mut engine, 1);
    }
}

#[test]
fn a_limit_of_nothing_refuses_everything_and_loses_no_row() {
    let mut engine = Engine::new();
    engine.set_memory_limit(Some(0));
    load(&mut engine, 0);
    let error = refused(engine.install(&query(&all())));
    assert_eq!((error.limit, error.scope), (0, MemoryScope::Engine));
    engine.set_memory_limit(None);
    let id = engine.install(&query(&all())).expect("there is no limit");
    assert_eq!(engine.view(id).unwrap().len(), ROWS);
}
