//! Queries that are nested deep, made long, or grow by themselves: each is an error or an answer, on
//! a stack as small as a server's worker has.

use serde_json::{Value, json};
use tailwater::engine::Engine;
use tailwater::query::Query;

use super::support::{from, func, path, val};

/// Runs something on a stack of 2 MiB.
fn on_small_stack<T: Send>(what: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        let running = thread.spawn_scoped(scope, what).unwrap();
        running
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What comes of a query over two rows: the values, or the error.
fn outcome(query: Result<Query, String>) -> Result<Vec<String>, String> {
    let mut engine = Engine::new();
    engine.set_query_memory_limit(Some(1 << 30));
    let id = engine.install(&query?).map_err(|error| error.to_string())?;
    let batch = engine.decode([
        r#"{"type":"t","key":"1","value":{"a":1,"b":"x"},"headers":{"operation":"insert"}}"#,
        r#"{"type":"t","key":"2","value":{"a":2,"b":"y"},"headers":{"operation":"insert"}}"#,
    ]);
    engine.apply(batch.unwrap());
    if let Some((_, failure)) = engine.take_failures().pop() {
        return Err(format!("{failure:?}"));
    }
    let view = engine.view(id).unwrap();
    Ok(view.rows().map(|row| row.value().to_string()).collect())
}

fn json_text(text: &str) -> Result<Vec<String>, String> {
    on_small_stack(|| outcome(Query::from_json(text).map_err(|error| error.to_string())))
}

fn json_query(query: &Value) -> Result<Vec<String>, String> {
    json_text(&query.to_string())
}

fn sql(text: &str) -> Result<Vec<String>, String> {
    on_small_stack(|| outcome(Query::from_sql(text).map_err(|error| error.to_string())))
}

fn around(times: usize, open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

#[test]
fn json_that_is_nested_is_taken_up_to_a_depth() {
    let fr = r#""from":{"type":"collectionRef","collection":"t","alias":"t"}"#;
    let one = r#"{"type":"val","value":true}"#;
    for (open, close, deepest) in [
        (r#"{"type":"func","name":"not","args":["#, "]}", 60),
        (r#"{"type":"func","name":"and","args":["#, "]}", 60),
        (r#"{"type":"func","name":"coalesce","args":["#, "]}", 60),
    ] {
        let nested = |times| format!(r#"{{{fr},"where":[{}]}}"#, around(times, open, one, close));
        assert!(json_text(&nested(deepest)).is_ok(), "{open}");
        for times in [70, 1000, 20_000] {
            let error = json_text(&nested(times)).unwrap_err();
            assert!(error.contains("recursion limit"), "{error}");
        }
    }
    let open = r#"{"from":{"type":"queryRef","alias":"t","query":"#;
    let nested = |times| around(times, open, &format!("{{{fr}}}"), "}}");
    assert!(json_text(&nested(55)).is_ok());
    assert!(
        json_text(&nested(10_000))
            .unwrap_err()
            .contains("recursion limit")
    );
    let value = format!(
        r#"{{{fr},"where":[{{"type":"val","value":{}}}]}}"#,
        around(50_000, "[", "", "]")
    );
    assert!(json_text(&value).unwrap_err().contains("recursion limit"));
    assert!(
        json_text(&"[".repeat(1_000_000))
            .unwrap_err()
            .contains("recursion limit")
    );
}

#[test]
fn json_that_is_wide_is_taken_up_to_a_size() {
    let is_one = func("eq", &[path("t.a"), val(1)]);
    let many = |n: usize| vec![is_one.clone(); n];
    for (name, rows) in [("and", 1), ("or", 1)] {
        let query = json!({"from": from("t", "t"), "where": [func(name, &many(8000))]});
        assert_eq!(json_query(&query).unwrap().len(), rows);
    }
    let query = json!({"from": from("t", "t"), "where": many(8000)});
    assert_eq!(json_query(&query).unwrap().len(), 1);
    let fields: serde_json::Map<_, _> = (0..20_000).map(|i| (i.to_string(), val(1))).collect();
    let query = json!({"from": from("t", "t"), "select": fields});
    assert_eq!(json_query(&query).unwrap().len(), 2);
    let list: Vec<usize> = (0..100_000).collect();
    let query = json!({"from": from("t", "t"), "where": [func("in", &[path("t.a"), val(list)])]});
    assert_eq!(json_query(&query).unwrap().len(), 2);
    let query = json!({"from": from("t", "t"), "where": [func("eq", &[path("t.a"), val("x".repeat(1 << 20))])]});
    assert!(
        json_query(&query)
            .unwrap_err()
            .contains("more than 1048576 bytes")
    );

    let union = |n: usize| {
        let one = json!({"from": from("t", "t"), "select": {"a": path("t.a")}});
        json!({"from": {"type": "unionAll", "queries": vec![one; n]}})
    };
    assert_eq!(json_query(&union(900)).unwrap().len(), 1800);
    assert!(
        json_query(&union(1100))
            .unwrap_err()
            .contains("more than 1000 queries")
    );
    let joins = |n: usize| {
        let join = |i| json!({"type": "left", "from": from("t", &format!("j{i}")), "on": func("eq", &[path("t.a"), path(&format!("j{i}.a"))])});
        json!({"from": from("t", "t"), "join": (0..n).map(join).collect::<Vec<_>>()})
    };
    assert_eq!(json_query(&joins(47)).unwrap().len(), 2);
    assert!(
        json_query(&joins(48))
            .unwrap_err()
            .contains("at most 48 sources")
    );
    let definitions = |n: usize| {
        let one = json!({"from": from("t", "t"), "select": {"a": path("t.a")}});
        let all: serde_json::Map<_, _> = (0..n).map(|i| (format!("r{i}"), one.clone())).collect();
        json!({"withRecursive": all, "from": from("r0", "r")})
    };
    assert_eq!(json_query(&definitions(500)).unwrap().len(), 2);
    assert!(
        json_query(&definitions(1100))
            .unwrap_err()
            .contains("more than 1000 queries")
    );
    for (steps, taken) in [(100, true), (200, false), (50_000, false)] {
        let long = format!("t{}", ".b".repeat(steps));
        let query = json!({"from": from("t", "t"), "select": {"x": path(&long)}});
        for outcome in [
            json_query(&query),
            json_query(&json!({"from": from("t", "t"), "where": [path(&long)]})),
            sql(&format!("SELECT {long} AS x FROM t")),
        ] {
            match outcome {
                Ok(_) => assert!(taken, "{steps}"),
                Err(error) => assert!(!taken, "{error}"),
            }
        }
    }
}

#[test]
fn what_grows_with_each_level_ends() {
    // A text that is twice as long with each level, in JSON and in a recursion.
    for (name, levels) in [("concat", 40), ("append", 40), ("array", 40)] {
        let mut query = json!({"from": from("t", "t"), "select": {"x": func(name, &[path("t.b"), path("t.b")])}});
        for _ in 0..levels {
            query = json!({"from": {"type": "queryRef", "alias": "q", "query": query},
                "select": {"x": func(name, &[path("q.x"), path("q.x")])}});
        }
        match json_query(&query) {
            Ok(rows) => assert!(rows.iter().all(|row| row.len() < 100 << 20)),
            Err(error) => assert!(error.len() < 10_000, "{error}"),
        }
    }
    let mut query = json!({"from": from("t", "t"), "select": {"x": path("t.b")}});
    for _ in 0..40 {
        query = json!({"from": {"type": "queryRef", "alias": "q", "query": query},
            "select": {"x": {"l": path("q.x"), "r": path("q.x")}}});
    }
    match json_query(&query) {
        Ok(rows) => assert!(rows.iter().all(|row| row.len() < 200 << 20)),
        Err(error) => assert!(error.len() < 10_000, "{error}"),
    }
    let first = json!({"from": from("t", "t"), "select": {"x": path("t.b")}});
    let next = json!({"from": from("r", "r"), "select": {"x": func("concat", &[path("r.x"), path("r.x")])}});
    let query = json!({"withRecursive": {"r": {"from": {"type": "unionAll", "queries": [first, next]}}},
        "maxRounds": 60, "from": from("r", "r"), "select": {"n": func("length", &[path("r.x")])}});
    if let Err(error) = json_query(&query) {
        assert!(error.contains("emory"), "{error}");
    }
}

#[test]
fn sql_is_taken_up_to_a_depth_and_a_size() {
    let ands = |n: usize| format!("SELECT a FROM t WHERE {}", vec!["a = 1"; n].join(" AND "));
    assert_eq!(sql(&ands(400)).unwrap().len(), 1);
    let error = sql(&ands(50_000)).unwrap_err();
    assert!(
        error.contains("more than 1000 operators") && error.contains("IN (…)"),
        "{error}"
    );
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("NOT ", "true", ""),
        ("-", "1", ""),
        ("- ", "1", ""),
        ("+", "1", ""),
        ("~", "1", ""),
        ("CASE WHEN ", "true", " THEN 1 END"),
        ("coalesce(", "1", ")"),
        ("(SELECT ", "1", ")"),
        ("EXISTS (SELECT 1 FROM t WHERE ", "true", ")"),
        ("ARRAY[", "1", "]"),
        ("CAST(", "1", " AS int)"),
        ("1 + ", "1", ""),
        ("1 || ", "1", ""),
        ("", "a", "[1]"),
        ("", "a", "::int"),
        ("", "a", ".b"),
        ("", "a", "->'b'"),
        ("", "a", " IS NULL"),
        ("", "a", " COLLATE \"C\""),
        ("", "a", " AT TIME ZONE 'UTC'"),
        ("INTERVAL ", "'1'", ""),
        ("{", "1", "}"),
    ] {
        for times in [10, 100, 1_000, 30_000] {
            let expression = around(times, open, inner, close);
            let _ = sql(&format!("SELECT {expression} AS x FROM t"));
            let _ = sql(&format!("SELECT a FROM t WHERE {expression}"));
        }
        let error = sql(&format!(
            "SELECT {} AS x FROM t",
            around(100_000, open, inner, close)
        ));
        assert!(error.is_err(), "{open}{close}");
    }
    for (open, inner, close) in [
        ("SELECT * FROM (", "SELECT a FROM t", ") AS q"),
        ("(", "SELECT a FROM t", ")"),
        ("SELECT a FROM t UNION ALL ", "SELECT a FROM t", ""),
        ("SELECT a FROM t EXCEPT ", "SELECT a FROM t", ""),
        ("WITH q AS (SELECT a FROM t) ", "SELECT a FROM t", ""),
        ("WITH q AS (", "SELECT a FROM t", ") SELECT a FROM q"),
        ("/*", "", "*/"),
        ("--", "", "\n"),
        ("'", "", ""),
        ("$$", "", ""),
        ("U&'", "", ""),
    ] {
        for times in [10, 100, 1_000, 30_000] {
            let _ = sql(&around(times, open, inner, close));
        }
    }
    // Parts that are used twice by the next one.
    let doubled = |n: usize| {
        let mut text = "WITH q0 AS (SELECT a, b FROM t)".to_owned();
        for i in 1..n {
            let before = i - 1;
            text += &format!(
                ", q{i} AS (SELECT x.a, y.b FROM q{before} x JOIN q{before} y ON x.a = y.a)"
            );
        }
        format!("{text} SELECT * FROM q{}", n - 1)
    };
    assert_eq!(sql(&doubled(5)).unwrap().len(), 2);
    assert!(sql(&doubled(60)).is_err());
    let list: Vec<String> = (0..100_000).map(|i| i.to_string()).collect();
    assert_eq!(
        sql(&format!("SELECT a FROM t WHERE a IN ({})", list.join(", ")))
            .unwrap()
            .len(),
        2
    );
    let error = sql(&format!("SELECT '{}' AS x FROM t", "x".repeat(1 << 20))).unwrap_err();
    assert!(error.contains("more than 1048576 bytes"), "{error}");
    let columns: Vec<String> = (0..20_000).map(|i| format!("a AS c{i}")).collect();
    let _ = sql(&format!("SELECT {} FROM t", columns.join(", ")));
}

#[test]
fn patterns_are_bounded() {
    let value = |name: &str, text: &str, pattern: &str| {
        let query = json!({"from": from("t", "t"), "where": [func("eq", &[path("t.a"), val(1)])],
            "select": {"x": func(name, &[func("concat", &[path("t.b"), val(text)]), val(pattern)])}});
        json_query(&query)
    };
    let known = |answer: bool| Ok(vec![format!("{{\"x\":{answer}}}")]);
    let long = "a".repeat(100_000);
    assert_eq!(value("like", &long, "x%a%a%a"), known(true));
    assert_eq!(
        value("like", &long, &format!("{}b", "%a".repeat(10))),
        known(false)
    );
    // What would take hours has no answer.
    let pattern = format!("%{}b", "a".repeat(50_000));
    assert_eq!(
        value("like", &long, &pattern),
        Ok(vec![r#"{"x":null}"#.to_owned()])
    );
    for pattern in [
        "(a{1000}){1000}",
        "\\pL{1000}\\pL{1000}",
        &"(".repeat(10_000),
        &"a|".repeat(100_000),
    ] {
        let error = value("regexMatch", "a", pattern).unwrap_err();
        assert!(
            error.contains("is no regular expression"),
            "{}",
            &error[error.len().saturating_sub(200)..]
        );
    }
    assert_eq!(value("regexMatch", &long, "(a*)*b"), known(false));
}

#[test]
fn numbers_that_are_too_large_decide_nothing() {
    let extreme = [
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(-1e308),
        json!(0.5),
    ];
    for number in &extreme {
        for name in ["limit", "offset", "maxRounds"] {
            let mut query =
                json!({"from": from("t", "t"), "orderBy": [{"expression": path("t.a")}]});
            query[name] = number.clone();
            let _ = json_query(&query);
        }
        for (name, args) in [
            (
                "substring",
                vec![path("t.b"), val(number.clone()), val(number.clone())],
            ),
            (
                "substr",
                vec![path("t.b"), val(number.clone()), val(number.clone())],
            ),
            ("round", vec![path("t.a"), val(number.clone())]),
            ("power", vec![path("t.a"), val(number.clone())]),
            ("power", vec![val(number.clone()), val(number.clone())]),
            ("dateAdd", vec![val("year"), val(number.clone()), val(0)]),
            (
                "dateAdd",
                vec![val("millisecond"), val(number.clone()), val(number.clone())],
            ),
            ("dateDiff", vec![val("month"), val(number.clone()), val(0)]),
            ("dateTrunc", vec![val("week"), val(number.clone())]),
            (
                "strftime",
                vec![val("%999999999d%_250Y%+"), val(number.clone())],
            ),
            ("div", vec![val(number.clone()), val(-1)]),
            ("mod", vec![val(number.clone()), val(-1)]),
            ("times", vec![val(number.clone()), val(number.clone())]),
            ("toInteger", vec![val(number.clone())]),
        ] {
            let query = json!({"from": from("t", "t"), "select": {"x": func(name, &args)}});
            let _ = json_query(&query);
        }
        let over = json!({"function": "sum", "args": [path("a")], "orderBy": [{"expression": path("a")}],
            "frame": {"before": number, "after": number}});
        let query = json!({"from": {"type": "queryRef", "alias": "q", "query": {"from": from("t", "t")}, "over": {"s": over}}});
        let _ = json_query(&query);
        let lag = json!({"function": "lag", "args": [path("a"), val(number.clone())], "orderBy": [{"expression": path("a")}]});
        let query = json!({"from": {"type": "queryRef", "alias": "q", "query": {"from": from("t", "t")}, "over": {"s": lag}}});
        let _ = json_query(&query);
    }
    let all =
        json_query(&json!({"from": from("t", "t"), "limit": 9_007_199_254_740_991u64})).unwrap();
    assert_eq!(all.len(), 2);
}

#[test]
fn rows_are_taken_up_to_a_depth_and_a_width() {
    on_small_stack(|| {
        let engine = Engine::new();
        let event = |value: &str| {
            format!(
                r#"{{"type":"t","key":"1","value":{value},"headers":{{"operation":"insert"}}}}"#
            )
        };
        let decode = |value: &str| {
            engine
                .decode([&*event(value)])
                .map_err(|error| error.to_string())
        };
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            assert!(decode(&format!("{{\"x\":{}}}", around(100, open, "1", close))).is_ok());
            for times in [200, 1_000_000] {
                let error =
                    decode(&format!("{{\"x\":{}}}", around(times, open, "1", close))).unwrap_err();
                assert!(error.contains("recursion limit"), "{error}");
            }
        }
        let wide = |n: usize| {
            let fields: Vec<String> = (0..n).map(|i| format!("\"f{i}\":1")).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert!(decode(&wide(4000)).is_ok());
        assert!(
            decode(&wide(5000))
                .unwrap_err()
                .contains("more than 4096 distinct fields")
        );
        assert!(decode(&format!("\"{}\"", "x".repeat(1 << 20))).is_ok());
        let headers = format!(
            r#"{{"type":"t","key":"1","headers":{}}}"#,
            around(1_000_000, "[", "", "]")
        );
        assert!(engine.decode([&*headers]).is_err());
    });
}
