//! The typed builder, the untyped one and JSON make the same queries; a query is the same after it
//! was written as JSON and read again.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tailwater::Projection;
use tailwater::query::{
    AggregateFunction, Entry, Expr, Function, JoinKind, OrderBy, Query, QueryError, Source, col,
    include, include_one, lit, now, text, when,
};
use tailwater::value::{
    CaseFirst, Collation, CollationOptions, Nulls, Sensitivity, Value as Const,
};

use super::model::*;
use crate::{oracle, support};

/// That three forms are one query.
fn same(typed: impl Into<Query>, dynamic: &Query, json: &Value) {
    let typed = typed.into();
    assert_eq!(typed, *dynamic);
    assert_eq!(typed, Query::from_json(&json.to_string()).unwrap());
    let written: Value = serde_json::from_str(&typed.to_json().unwrap()).unwrap();
    assert_eq!(written, *json);
}

fn order(by: Value, direction: &str) -> Value {
    json!({"expression": by, "compareOptions": {"direction": direction, "nulls": "first"}})
}

use support::{agg, func, join, path, source, val};

#[test]
fn conditions_and_windows() {
    same(
        Query::from::<User>("u")
            .filter(|u| {
                u.active
                    .eq(true)
                    .and(u.age.gt(18))
                    .and(u.country.in_list(["at", "de"]))
            })
            .filter(|u| u.role.ne(Role::Admin).or(u.name.like("A%")))
            .order_by(|u| (u.age.desc(), u.name))
            .limit(10)
            .offset(5)
            .distinct(),
        &Query::from_collection("users", "u")
            .filter(
                col("u.isActive")
                    .eq(true)
                    .and(col("u.age").gt(18))
                    .and(col("u.country").in_list(vec!["at", "de"])),
            )
            .filter(col("u.role").ne("admin").or(col("u.name").like("A%")))
            .order_by([col("u.age").desc(), col("u.name").into()])
            .limit(10)
            .offset(5)
            .distinct(),
        &json!({
            "from": source("users", "u"),
            "where": [
                func("and", &[
                    func("eq", &[path("u.isActive"), val(true)]),
                    func("gt", &[path("u.age"), val(18)]),
                    func("in", &[path("u.country"), val(json!(["at", "de"]))]),
                ]),
                func("or", &[
                    func("not", &[func("eq", &[path("u.role"), val("admin")])]),
                    func("like", &[path("u.name"), val("A%")]),
                ]),
            ],
            "orderBy": [order(path("u.age"), "desc"), order(path("u.name"), "asc")],
            "limit": 10, "offset": 5, "distinct": true,
        }),
    );
}

#[derive(Clone, Debug, Serialize, Deserialize, Projection)]
struct PerCountry {
    best: Option<f64>,
    country: Option<String>,
    n: i64,
}

#[test]
fn joins_groups_and_subqueries() {
    let typed = Query::from::<User>("u")
        .left_join::<Message>("m", |u, m| u.id.eq(m.user_id).and(m.score.gt(1.5)))
        .group_by(|u, _| u.country)
        .select(|u, m| PerCountrySelect {
            country: u.country,
            n: m.id.count(),
            best: m.score.max(),
        })
        .having(|u, _| u.age.sum().gte(10))
        .order_by(|_, m| m.id.count().desc())
        .order_by_selected(|x| x.country);
    let dynamic = Query::from_collection("users", "u")
        .left_join(
            ("messages", "m"),
            col("u.id").eq(col("m.user_id")).and(col("m.score").gt(1.5)),
        )
        .group_by([col("u.country")])
        .select([
            ("best", col("m.score").max()),
            ("country", col("u.country")),
            ("n", col("m.id").count()),
        ])
        .having(col("u.age").sum().gte(10))
        .order_by([col("m.id").count().desc(), col("$selected.country").asc()]);
    let json = json!({
        "from": source("users", "u"),
        "join": [join("left", source("messages", "m"), func("and", &[
            support::eq("u.id", "m.user_id"),
            func("gt", &[path("m.score"), val(1.5)]),
        ]))],
        "groupBy": [path("u.country")],
        "select": {"country": path("u.country"), "n": agg("count", "m.id"), "best": agg("max", "m.score")},
        "having": [func("gte", &[agg("sum", "u.age"), val(10)])],
        "orderBy": [order(agg("count", "m.id"), "desc"), order(path("$selected.country"), "asc")],
    });
    same(typed.clone(), &dynamic, &json);
    same(
        Query::from_query("c", typed)
            .filter(|c| c.n.gt(1))
            .select(|c| c.country)
            .find_one(),
        &Query::from_source(Source::query(dynamic, "c"))
            .filter(col("c.n").gt(1))
            .select([("0", col("c.country"))])
            .find_one(),
        &json!({
            "from": support::query_ref(&json, "c"),
            "where": [func("gt", &[path("c.n"), val(1)])],
            "select": {"0": path("c.country")},
            "singleResult": true,
        }),
    );
}

#[test]
fn other_joins_includes_and_cases() {
    let on = || col("u.id").eq(col("m.user_id"));
    let join = |kind: JoinKind| {
        let query = Query::from_collection("users", "u");
        let source = ("messages", "m");
        match kind {
            JoinKind::Inner => query.join(source, on()),
            JoinKind::Right => query.right_join(source, on()),
            JoinKind::Full => query.full_join(source, on()),
            JoinKind::Cross => query.cross_join(source),
            JoinKind::Left => query.left_join(source, on()),
            JoinKind::Semi => query.semi_join(source, on()),
            JoinKind::Anti => query.anti_join(source, on()),
        }
    };
    let users = || Query::from::<User>("u");
    let typed: [Query; 4] = [
        users()
            .join::<Message>("m", |u, m| u.id.eq(m.user_id))
            .into(),
        users()
            .right_join::<Message>("m", |u, m| u.id.eq(m.user_id))
            .into(),
        users()
            .full_join::<Message>("m", |u, m| u.id.eq(m.user_id))
            .into(),
        users().cross_join::<Message>("m").into(),
    ];
    let kinds = [
        JoinKind::Inner,
        JoinKind::Right,
        JoinKind::Full,
        JoinKind::Cross,
    ];
    assert_eq!(typed, kinds.map(join));

    let typed = users().filter(|u| u.age.gt(now().sub(60))).select(|u| {
        let posts = Query::from::<Message>("m").filter(|m| m.user_id.eq(u.id));
        (
            include(posts.clone().select(|m| m.text)),
            include_one(posts),
            when(u.active, text("on")).otherwise("off"),
            (u.name.date_trunc("day"), lit(1.5)),
        )
    });
    let posts = Query::from_collection("messages", "m").filter(col("m.user_id").eq(col("u.id")));
    let texts = posts.clone().select([("0", col("m.text"))]);
    let mut texts = Expr::include(texts);
    if let Expr::Include(include) = &mut texts {
        include.scalar = Some("0".into());
    }
    let case = col("u.isActive").call(Function::CaseWhen, ["on".into(), "off".into()]);
    let dynamic = Query::from_collection("users", "u")
        .filter(col("u.age").gt(Expr::Call(Function::Now, vec![]).sub(60)))
        .select([
            ("0", texts),
            ("1", Expr::include_one(posts)),
            ("2", case),
            (
                "3",
                Expr::object([("0", col("u.name").date_trunc("day")), ("1", 1.5.into())]),
            ),
        ]);
    assert_eq!(*typed.ir(), dynamic);
    round_trip(&dynamic);
}

/// Written and read, a query is the same.
fn round_trip(query: &Query) {
    let json = query.to_json().unwrap();
    assert_eq!(&Query::from_json(&json).unwrap(), query, "{json}");
    assert_eq!(&serde_json::from_str::<Query>(&json).unwrap(), query);
}

#[test]
fn query_files_come_back() {
    for (_, file) in crate::flights::queries() {
        round_trip(&file.query);
    }
}

#[test]
fn random_queries_come_back() {
    for seed in 0..500 {
        let query = oracle::case(seed).query;
        round_trip(&Query::from_json(&query.to_string()).unwrap());
    }
}

#[test]
fn rare_parts_come_back() {
    let mut options = CollationOptions::default();
    options.sensitivity = Sensitivity::Base;
    options.case_first = Some(CaseFirst::Upper);
    options.numeric = true;
    let by_name = col("u.name")
        .desc()
        .nulls_last()
        .collate(Collation::new("de", options).unwrap());
    let spread = Entry::Spread(col("u"));
    let nested = Expr::object([("a", Expr::object::<Entry>([])), ("type", 1.into())]);
    let cases = col("u.a").call(
        Function::CaseWhen,
        [nested, Expr::include(Query::from_collection("x", "x"))],
    );
    let query = Query::from_collection("users", "u")
        .with_recursive("r", Query::from_collection("r", "q"))
        .max_rounds(7)
        .order_by([by_name])
        .select([spread.clone(), ("cases", cases).into(), spread]);
    round_trip(&query);
    let concat = json!({
        "from": source("users", "u"),
        "select": {"texts": {"type": "includesSubquery", "query": {"from": source("x", "x")},
            "materialization": "concat", "scalarField": "t",
            "correlationField": path("u.id"), "childCorrelationField": path("x.u")}},
    });
    round_trip(&support::parsed(&concat));
    round_trip(&Query::from_source(Source::UnionFrom(vec![
        ("a", "a").into(),
        ("b", "b").into(),
    ])));
    let first = col("u.a").aggregate(AggregateFunction::First, [col("u.b"), "desc".into()]);
    round_trip(&Query::from_collection("users", "u").select([("first", first)]));
    let OrderBy { nulls, .. } = col("u.a").asc();
    assert_eq!(nulls, Nulls::First);
}

#[test]
fn what_json_has_no_word_for_is_refused() {
    let select = |name: &str, expr: Expr| Query::from_collection("u", "u").select([(name, expr)]);
    let closure = Expr::closure("prime", [col("u.n")], |_| Const::Null);
    let twice = Query::from_collection("u", "u").select([("a", col("u.a")), ("a", col("u.b"))]);
    let object = Query::from_collection("u", "u").filter(Expr::object([("a", col("u.a"))]));
    for (query, expected) in [
        (
            select("a", closure),
            "the Rust function `prime` cannot be written as JSON",
        ),
        (
            select("a", Const::Missing.into()),
            "the constant undefined cannot be written as JSON",
        ),
        (
            select("a", f64::NAN.into()),
            "the constant null cannot be written as JSON",
        ),
        (
            select("a.b", 1.into()),
            "the field `a.b` would be read as something else",
        ),
        (
            select("...a", 1.into()),
            "the field `...a` would be read as something else",
        ),
        (twice, "the field `a` is there twice"),
        (
            object,
            "an object or an included query can only stand in `select`",
        ),
    ] {
        assert_eq!(
            query.to_json().map_err(|e: QueryError| e.to_string()),
            Err(expected.into())
        );
    }
}

#[test]
fn calls_with_wrong_arguments_are_refused_when_installed() {
    let refusal = |query: &Query| {
        let mut engine = tailwater::engine::Engine::new();
        engine.install(query).unwrap_err().to_string()
    };
    let users = || Query::from_collection("users", "u");
    for (query, expected) in [
        (
            users().filter(col("u.a").call(Function::Eq, [])),
            "`where[0].args`: `eq` takes 2 arguments, not 1",
        ),
        (
            users().select([("t", col("u.a").date_trunc("days"))]),
            "`select.t.args[0]`: `days` is not a unit (did you mean `day`?)",
        ),
        (
            users().select([("q", col("u.a").quantile(2.0))]),
            "`select.q.args[1]`: must be a number from 0 to 1, not 2",
        ),
        (
            users().select([("n", col("u.a").sum().max())]),
            "`select.n.args[0]`: an aggregate inside an aggregate",
        ),
        (
            Query::from::<User>("u")
                .select(|u| u.name.date_trunc("days"))
                .into(),
            "`select.0.args[0]`: `days` is not a unit (did you mean `day`?)",
        ),
    ] {
        assert_eq!(refusal(&query), expected);
    }
    let unwritable = std::collections::HashMap::from([((1, 2), 3)]);
    let query = Query::from::<User>("u").select(|u| (u.name, lit(unwritable)));
    let error = refusal(&query.into());
    assert!(
        error.contains("a constant that JSON cannot hold: key must be a string"),
        "{error}"
    );
}
