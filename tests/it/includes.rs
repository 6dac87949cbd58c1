//! Included queries: what random cases do not show.

use serde_json::{Value, json};

use crate::support::*;

fn project(key: &str, team: i64) -> Value {
    put("p", key, json!({"team": team}))
}

fn issue(key: &str, team: i64, rank: i64) -> Value {
    put(
        "i",
        key,
        json!({"team": team, "rank": rank, "title": format!("issue {key}")}),
    )
}

/// The issues of a project's team.
fn issues() -> Value {
    json!({"from": from("i"), "where": [eq("i.team", "p.team")], "select": {"title": path("i.title")}})
}

fn projects(of: Value) -> Value {
    json!({"from": from("p"), "select": {"team": path("p.team"), "issues": of}})
}

fn titles(keys: &[&str]) -> Value {
    keys.iter()
        .map(|key| json!({"title": format!("issue {key}")}))
        .collect()
}

fn shown(team: i64, keys: &[&str]) -> Value {
    json!({"team": team, "issues": titles(keys)})
}

#[test]
fn children_are_no_part_of_their_parents_key() {
    let mut world = World::of(&[project("x", 1), project("y", 2), issue("1", 1, 1)]);
    let query = world.install(&projects(include(&issues())));
    assert_eq!(world.keys(query), ["x", "y"]);
    let changes = world.changes(query, &[issue("2", 1, 1)]);
    assert_eq!(
        changes,
        json!([became("x", shown(1, &["1"]), shown(1, &["1", "2"]), None)])
    );
    let tags = json!({"from": from("i"), "where": [eq("i.team", "p.team")]});
    let mut joined = projects(include(&tags));
    joined["join"] = json!([join("left", from("u"), eq("u.team", "p.team"))]);
    let joined = world.install(&joined);
    assert_eq!(world.keys(joined), [r#"["x",null]"#, r#"["y",null]"#]);
}

#[test]
fn a_parent_is_updated_once_a_batch_however_many_children_change() {
    let mut world = World::of(&[
        project("x", 1),
        issue("1", 1, 1),
        issue("2", 1, 1),
        issue("3", 1, 1),
    ]);
    let query = world.install(&projects(include(&issues())));
    let messages = [
        delete("i", "1"),
        issue("2", 2, 1),
        issue("4", 1, 1),
        issue("5", 1, 1),
        delete("i", "5"),
    ];
    let changes = world.changes(query, &messages);
    let expected = became("x", shown(1, &["1", "2", "3"]), shown(1, &["3", "4"]), None);
    assert_eq!(changes, json!([expected]));
    // The parent changes in the same batch: still one update.
    let changes = world.changes(
        query,
        &[project("x", 2), issue("6", 2, 1), issue("3", 3, 1)],
    );
    assert_eq!(
        changes,
        json!([became(
            "x",
            shown(1, &["3", "4"]),
            shown(2, &["2", "6"]),
            None
        )])
    );
    // What children changed is not shown.
    assert_eq!(world.changes(query, &[issue("6", 2, 99)]), json!([]));
    // The parent comes and goes with its children.
    let changes = world.changes(
        query,
        &[delete("p", "x"), delete("i", "2"), delete("i", "6")],
    );
    assert_eq!(changes, json!([left("x", shown(2, &["2", "6"]), None)]));
}

#[test]
fn a_singleton_is_missing_where_there_is_no_child() {
    let mut child = issues();
    child["orderBy"] = json!([order("i.rank")]);
    let single =
        json!({"type": "includesSubquery", "query": child, "materialization": "singleton"});
    let title = json!({"type": "includesSubquery", "query": child, "materialization": "singleton", "scalarField": "title"});
    let query = json!({"from": from("p"), "select": {"team": path("p.team"), "first": single, "title": title}});
    let mut world = World::of(&[project("x", 1), project("y", 2), issue("1", 1, 5)]);
    let query = world.install(&query);
    let with = |team: i64, key: &str| {
        let title = format!("issue {key}");
        json!({"team": team, "first": {"title": title}, "title": title})
    };
    assert_eq!(world.rows(query), json!([with(1, "1"), {"team": 2}]));
    let changes = world.changes(query, &[issue("2", 1, 4), issue("3", 2, 4)]);
    let expected = json!([
        became("x", with(1, "1"), with(1, "2"), None),
        became("y", json!({"team": 2}), with(2, "3"), None)
    ]);
    assert_eq!(changes, expected);
    assert_eq!(
        world.changes(query, &[issue("4", 1, 9)]),
        json!([]),
        "the first is still the first"
    );
    let changes = world.changes(query, &[delete("i", "3")]);
    assert_eq!(
        changes,
        json!([became("y", with(2, "3"), json!({"team": 2}), None)])
    );
}

#[test]
fn texts_are_put_together_in_the_childrens_order() {
    let mut child = issues();
    child["select"] = json!({"rank": path("i.rank")});
    child["orderBy"] = json!([order_desc("i.rank")]);
    let ranks = json!({"type": "includesSubquery", "query": child, "materialization": "concat", "scalarField": "rank"});
    let mut world = World::of(&[
        project("x", 1),
        issue("1", 1, 1),
        issue("2", 1, 3),
        put("i", "3", json!({"team": 1})),
    ]);
    let query = world.install(&projects(ranks));
    let text = |text: &str| json!({"team": 1, "issues": text});
    assert_eq!(
        world.rows(query),
        json!([text("31")]),
        "nulls stand first, and have no text"
    );
    let changes = world.changes(query, &[issue("1", 1, 7)]);
    assert_eq!(changes, json!([became("x", text("31"), text("73"), None)]));
    let changes = world.changes(
        query,
        &[delete("i", "1"), delete("i", "2"), delete("i", "3")],
    );
    assert_eq!(changes, json!([became("x", text("73"), text(""), None)]));
}

#[test]
fn groups_include_rows() {
    let child = json!({"from": from("i"), "where": [eq("i.team", "p.team")], "orderBy": [order("i.rank")],
        "limit": 1, "select": {"title": path("i.title")}});
    let query = json!({"from": from("p"), "groupBy": [path("p.team")],
        "select": {"team": path("p.team"), "n": agg("count", "p.team"), "top": include(&child)}});
    let mut world = World::of(&[
        project("x", 1),
        project("y", 1),
        project("z", 2),
        issue("1", 1, 5),
        issue("2", 1, 6),
    ]);
    let query = world.install(&query);
    let group = |team: i64, n: i64, top: &[&str]| json!({"team": team, "n": n, "top": titles(top)});
    assert_eq!(
        world.rows(query),
        json!([group(1, 2, &["1"]), group(2, 1, &[])])
    );
    let changes = world.changes(query, &[issue("3", 1, 1), project("z", 1)]);
    let expected = json!([
        became("[1]", group(1, 2, &["1"]), group(1, 3, &["3"]), None),
        left("[2]", group(2, 1, &[]), None)
    ]);
    assert_eq!(changes, expected);
}

#[test]
fn one_child_changes_all_parents_of_its_context() {
    let mut world = World::of(&[
        project("x", 1),
        project("y", 1),
        project("z", 2),
        issue("1", 1, 1),
    ]);
    let query = world.install(&projects(include(&issues())));
    let changes = world.changes(query, &[issue("2", 1, 1)]);
    let expected = json!([
        became("x", shown(1, &["1"]), shown(1, &["1", "2"]), None),
        became("y", shown(1, &["1"]), shown(1, &["1", "2"]), None)
    ]);
    assert_eq!(changes, expected);
    // One parent leaves the context; the other keeps it alive.
    world.apply(&[project("x", 2)]);
    let changes = world.changes(query, &[delete("i", "1")]);
    assert_eq!(
        changes,
        json!([became("y", shown(1, &["1", "2"]), shown(1, &["2"]), None)])
    );
    world.apply(&[delete("p", "y")]);
    assert_eq!(
        world.changes(query, &[issue("3", 1, 1)]),
        json!([]),
        "nobody is there to show it"
    );
    let changes = world.changes(query, &[project("w", 1)]);
    assert_eq!(changes, json!([came("w", shown(1, &["2", "3"]), None)]));
}

#[test]
fn includes_stand_in_includes_each_with_its_own_limit() {
    let words = json!({"from": from("w"), "where": [eq("w.issue", "i.title")], "orderBy": [order_desc("w.text")],
        "limit": 1, "select": {"text": path("w.text")}});
    let child = json!({"from": from("i"), "where": [eq("i.team", "p.team")], "orderBy": [order("i.rank")], "limit": 2,
        "select": {"title": path("i.title"), "words": include(&words)}});
    let word = |key: &str, issue: &str, text: &str| {
        put(
            "w",
            key,
            json!({"issue": format!("issue {issue}"), "text": text}),
        )
    };
    let mut world = World::of(&[
        project("x", 1),
        project("y", 2),
        issue("1", 1, 1),
        issue("2", 1, 2),
        issue("3", 1, 3),
        issue("4", 2, 1),
        word("a", "1", "alpha"),
        word("b", "1", "beta"),
        word("c", "3", "gamma"),
        word("d", "4", "delta"),
    ]);
    let query = world.install(&projects(include(&child)));
    let with = |key: &str, words: &[&str]| {
        let words: Vec<Value> = words.iter().map(|text| json!({"text": text})).collect();
        json!({"title": format!("issue {key}"), "words": words})
    };
    let row = |team: i64, issues: &[Value]| json!({"team": team, "issues": issues});
    let y = row(2, &[with("4", &["delta"])]);
    let mut x = row(1, &[with("1", &["beta"]), with("2", &[])]);
    assert_eq!(world.rows(query), json!([x, y]));
    let mut step = |messages: &[Value], new: Value| {
        let changes = world.changes(query, messages);
        assert_eq!(
            changes,
            json!([became(
                "x",
                std::mem::replace(&mut x, new.clone()),
                new,
                None
            )])
        );
    };
    step(
        &[delete("w", "b")],
        row(1, &[with("1", &["alpha"]), with("2", &[])]),
    );
    step(
        &[word("e", "2", "eta")],
        row(1, &[with("1", &["alpha"]), with("2", &["eta"])]),
    );
    step(
        &[delete("i", "2")],
        row(1, &[with("1", &["alpha"]), with("3", &["gamma"])]),
    );
    step(
        &[issue("3", 1, 0)],
        row(1, &[with("3", &["gamma"]), with("1", &["alpha"])]),
    );
    // The third word of an issue, and a word that belongs to nothing.
    assert_eq!(
        world.changes(query, &[word("f", "1", "aaa"), word("g", "9", "zzz")]),
        json!([])
    );
}

#[test]
fn all_forms_of_correlation_are_one() {
    let plain = json!({"from": from("i"), "select": {"title": path("i.title")}});
    let ranked = func("gt", &[path("i.rank"), path("p.least")]);
    let correlated = |parent_filters: Value, mut child: Value, filters: Value| {
        child["where"] = filters;
        json!({"type": "includesSubquery", "query": child, "materialization": "array",
            "correlationField": path("p.team"), "childCorrelationField": path("i.team"), "parentFilters": parent_filters})
    };
    let same = eq("i.team", "p.team");
    let mut both = plain.clone();
    both["where"] = json!([same, ranked]);
    let forms = [
        correlated(json!([ranked]), plain.clone(), json!([])),
        correlated(json!([]), plain, json!([ranked])),
        include(&both),
    ];
    let project = |key: &str, least: i64| put("p", key, json!({"team": 1, "least": least}));
    let mut world = World::of(&[
        project("x", 0),
        project("y", 5),
        issue("1", 1, 3),
        issue("2", 1, 6),
        issue("3", 2, 6),
    ]);
    let queries = forms.map(|form| world.install(&projects(form)));
    for query in queries {
        assert_eq!(
            world.rows(query),
            json!([shown(1, &["1", "2"]), shown(1, &["2"])])
        );
    }
    world.apply(&[project("x", 4), issue("4", 1, 5)]);
    for query in queries {
        assert_eq!(
            world.rows(query),
            json!([shown(1, &["2", "4"]), shown(1, &["2"])])
        );
    }
}

#[test]
fn what_is_wrong_with_an_include_is_said_with_its_place() {
    let with = |field: &str, value: Value| {
        let mut include = include(&issues());
        include[field] = value;
        refusal(&projects(include))
    };
    let error = with("correlationField", path("p.team"));
    assert_eq!(
        error,
        "`select.issues`: `correlationField` and `childCorrelationField` come together"
    );
    let error = with("childCorrelationField", path("i.team"));
    assert_eq!(
        error,
        "`select.issues`: `correlationField` and `childCorrelationField` come together"
    );
    let error = with("materialization", json!("concat"));
    let hint = "(the field of the child's `select` whose texts are put together)";
    assert_eq!(
        error,
        format!("`select.issues`: `concat` needs a `scalarField` {hint}")
    );
    let error = with("materialization", json!("list"));
    assert_eq!(
        error,
        "`select.issues.materialization`: must be `collection` or `array` or `singleton` or `concat`, not `list`"
    );
    let error = with("scalarField", json!("titel"));
    assert_eq!(
        error,
        "`select.issues.scalarField`: the child has no field `titel` (did you mean `title`?)"
    );
    let mut child = issues();
    child["where"] = json!([eq("i.team", "q.team")]);
    let error = refusal(&projects(include(&child)));
    let expected = "`select.issues.query.where[0].args[1].path`: unknown alias `q`";
    assert!(error.starts_with(expected), "{error}");
    // Elsewhere than in `select`, there is no such expression.
    let query = json!({"from": from("p"), "where": [include(&issues())]});
    assert_eq!(
        refusal(&query),
        "`where[0].type`: this can only stand in `select`, as the value of a field"
    );
}

#[test]
fn too_many_includes_are_refused() {
    let many: serde_json::Map<String, Value> = (0..70)
        .map(|i| {
            let mut query = issues();
            query["where"] = json!([
                eq("i.team", "p.team"),
                func("gt", &[path("i.rank"), val(i)])
            ]);
            (format!("f{i:02}"), include(&query))
        })
        .collect();
    let query = json!({"from": from("p"), "select": many, "orderBy": [order("$selected.f69")]});
    assert_eq!(
        refusal(&query),
        "`select.f63`: the sources and included queries of a query are more than 64 (put some of them into a subquery)"
    );
}
