//! What is refused, shown in its text.

use tailwater::query::Query;
use tailwater::sql::SqlError;

fn error(sql: &str) -> SqlError {
    match Query::from_sql(sql) {
        Ok(query) => panic!("{sql}\nis {}", query.to_json().unwrap()),
        Err(error) => error,
    }
}

#[test]
fn the_place_is_underlined() {
    let text = "SELECT u.name,\n       uper(u.name)\nFROM users AS u";
    assert_eq!(
        error(text).to_string(),
        "unknown function `uper`\n  |\n2 |        uper(u.name)\n  |        ^^^^\n  hint: did you mean `upper`?"
    );
}

#[test]
fn a_long_line_is_shown_around_the_place() {
    let list: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let text = format!(
        "SELECT a FROM t WHERE b IN ({}) AND nope(c)",
        list.join(",")
    );
    let shown = error(&text).to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[2].len() < 140, "{shown}");
    let caret = lines[3].find('^').unwrap();
    assert_eq!(&lines[2][caret..caret + 4], "nope");
}

/// What is wrong, what is underlined, and the hint.
#[test]
fn errors_say_what_is_wrong_and_where() {
    for (sql, message, underlined, hint) in [
        ("", "there is no statement", "", None),
        (
            "SELECT a FROM t; SELECT b FROM t",
            "a second statement",
            "SELECT b FROM t",
            Some("a query is one statement"),
        ),
        (
            "DELETE FROM t",
            "only queries can be kept up to date",
            "DELETE FROM t",
            Some("a query begins with SELECT or WITH"),
        ),
        (
            "SELECT a FROM t WHERE",
            "expected: an expression, found the end",
            "",
            None,
        ),
        (
            "SELECT a,, b FROM t",
            "expected: an expression, found: ,",
            ",",
            None,
        ),
        ("SELECT 'a FROM t", "unterminated string literal", "'", None),
        (
            "SELECT 1",
            "a query needs FROM",
            "SELECT 1",
            Some("rows come from collections"),
        ),
        (
            "SELECT x FROM a, b",
            "`x` could be a column of several sources",
            "x",
            Some("say of which one, as in `a.x`"),
        ),
        (
            "SELECT v.x FROM users u JOIN orders o ON o.uid = u.id",
            "unknown source `v`",
            "v",
            Some("known: `u`, `o`"),
        ),
        (
            "SELECT u.name FROM users",
            "unknown source `u`",
            "u",
            Some("the source is called `users`; a path into a column is `users.u.name`"),
        ),
        (
            "SELECT q.y FROM (SELECT x FROM t) q",
            "`q` has no column `y`",
            "y",
            Some("did you mean `x`?"),
        ),
        (
            "SELECT y FROM (SELECT x FROM t) q",
            "unknown column `y`",
            "y",
            None,
        ),
        (
            "SELECT a FROM t AS x, s AS x",
            "two sources are called `x`",
            "s AS x",
            Some("give one of them an alias"),
        ),
        (
            "SELECT a, b AS a FROM t",
            "two columns are called `a`",
            "b",
            Some("give one of them a name with AS"),
        ),
        (
            "SELECT a FROM t WHERE count(*) > 1",
            "the aggregate `count` cannot stand in WHERE",
            "count",
            Some("conditions on groups are HAVING"),
        ),
        (
            "SELECT sum(count(a)) FROM t",
            "an aggregate inside an aggregate",
            "count",
            None,
        ),
        (
            "SELECT a, count(*) FROM t GROUP BY b",
            "`a` is neither grouped by nor inside an aggregate",
            "a",
            Some("add it to GROUP BY"),
        ),
        (
            "SELECT a FROM t HAVING a > 1",
            "HAVING needs GROUP BY or an aggregate in SELECT",
            "a > 1",
            Some("conditions on rows are WHERE"),
        ),
        (
            "SELECT *, count(*) FROM t GROUP BY a",
            "`*` cannot be selected of groups",
            "*",
            Some("select what is grouped by, and aggregates"),
        ),
        (
            "SELECT sum(DISTINCT a) FROM t",
            "`sum` takes no DISTINCT",
            "sum",
            Some("aggregate over a subquery with SELECT DISTINCT"),
        ),
        (
            "SELECT a FROM t GROUP BY ROLLUP (a)",
            "grouping sets are not there",
            "a",
            Some("one query for each of them, joined with UNION ALL"),
        ),
        (
            "SELECT DISTINCT a FROM t ORDER BY b",
            "with DISTINCT, only what is selected can be ordered by",
            "b",
            None,
        ),
        (
            "SELECT DISTINCT ON (a) a FROM t",
            "DISTINCT ON is not there",
            "a",
            Some("first(x ORDER BY y) with GROUP BY gives one row a group"),
        ),
        (
            "SELECT a FROM t ORDER BY 2",
            "there is no column 2",
            "2",
            Some("a number means a named column by its place"),
        ),
        (
            "SELECT a FROM t LIMIT -1",
            "LIMIT takes a whole number from 0 on",
            "1",
            None,
        ),
        (
            "SELECT a FROM t UNION SELECT a, b FROM s",
            "2 columns here, and 1 in the first query",
            "SELECT a, b FROM s",
            None,
        ),
        (
            "SELECT a FROM t INTERSECT ALL SELECT a FROM s",
            "INTERSECT ALL is not there",
            "SELECT a FROM s",
            Some("INTERSECT looks at different rows"),
        ),
        (
            "SELECT a FROM t LEFT JOIN s ON t.x < s.x",
            "the join of `s` needs an equality with what is before it",
            "s",
            Some("such as a.id = b.a_id, to which other conditions may be added"),
        ),
        (
            "SELECT a FROM t JOIN s",
            "the join needs ON or USING",
            "s",
            Some("a join of all pairs is CROSS JOIN"),
        ),
        (
            "SELECT a FROM t NATURAL JOIN s",
            "NATURAL is not there",
            "s",
            Some("name the columns: USING (…)"),
        ),
        (
            "SELECT a FROM LATERAL (SELECT 1 FROM t) x",
            "LATERAL is not there",
            "SELECT 1 FROM t",
            Some("a subquery in SELECT or WHERE may refer to the row"),
        ),
        (
            "SELECT a FROM db.t",
            "`db.t` has more than one part",
            "db.t",
            Some("a name with dots is quoted as a whole: \"a.b\""),
        ),
        (
            "SELECT a FROM t WHERE d > DATE '2024-02-31'",
            "\"2024-02-31\" is no time",
            "'2024-02-31'",
            Some("times are ISO 8601, such as 2024-02-29 or 2024-02-29T12:00:00Z"),
        ),
        (
            "SELECT a FROM t WHERE d > now() - INTERVAL '3 moons'",
            "`3 moons` is no interval",
            "'3 moons'",
            Some("as in INTERVAL '90 days' or INTERVAL '1 year 2 months'"),
        ),
        (
            "SELECT INTERVAL '1 day' FROM t",
            "an interval can only be added or subtracted",
            "'1 day'",
            Some("as in: created_at + INTERVAL '1 day'"),
        ),
        ("SELECT date_trunc('days', a) FROM t", "", "", None),
        (
            "SELECT date_trunc('eon', a) FROM t",
            "this must be a unit of time",
            "'eon'",
            Some("such as 'minute', 'hour', 'day', 'week', 'month' or 'year'"),
        ),
        (
            "SELECT extract(millennium FROM a) FROM t",
            "`millennium` is not a part of a time",
            "a",
            Some(
                "known: year, quarter, month, week, day, dow, isodow, doy, hour, minute, second, milliseconds, epoch",
            ),
        ),
        (
            "SELECT a::uuid FROM t",
            "values cannot be cast to UUID",
            "a",
            Some(
                "known are int, bigint, double precision, numeric, text, boolean, date and timestamp",
            ),
        ),
        (
            "SELECT a -> 0 FROM t",
            "`->` needs the name of a field",
            "0",
            Some("elements of arrays cannot be reached"),
        ),
        (
            "SELECT a FROM t WHERE a = $1",
            "queries have no parameters",
            "$1",
            Some("write the value"),
        ),
        (
            "SELECT lower(a, b) FROM t",
            "`lower` takes 1 argument, not 2",
            "lower",
            None,
        ),
        (
            "SELECT a FROM t WHERE a ~ '('",
            "`(` is no regular expression: unclosed group",
            "a ~ '('",
            None,
        ),
        (
            "SELECT ntile(4) OVER (ORDER BY a) FROM t",
            "`ntile` is no window function",
            "ntile",
            Some(
                "known: row_number, rank, dense_rank, lag, lead, count, sum, avg, min, max, stddev",
            ),
        ),
        (
            "SELECT a FROM t WHERE row_number() OVER (ORDER BY a) = 1",
            "a window function cannot stand in WHERE",
            "row_number",
            Some("select it in a subquery, and look at it outside"),
        ),
        (
            "SELECT u.a FROM users u WHERE u.x > (SELECT max(o.y) FROM orders o WHERE o.uid < u.id)",
            "what links a subquery must be an equality",
            "o.uid < u.id",
            Some("as in: inner.customer_id = outer.id"),
        ),
        (
            "SELECT u.a FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.uid < u.id)",
            "the subquery is linked to the row by something else than equalities",
            "SELECT 1 FROM orders o WHERE o.uid < u.id",
            Some("it needs one equality, as in: inner.customer_id = outer.id"),
        ),
        (
            "SELECT a FROM t WHERE b IN (SELECT c, d FROM s)",
            "a subquery that is a value must have one column",
            "c",
            None,
        ),
        (
            "SELECT u.a FROM u WHERE EXISTS (SELECT count(*) FROM o WHERE o.x = u.x)",
            "an aggregate without GROUP BY always has a row",
            "count",
            None,
        ),
        (
            "SELECT u.a FROM u WHERE EXISTS (SELECT 1 FROM o JOIN p ON o.i = u.i WHERE o.x = u.x)",
            "a column of the query around can only stand in WHERE of a subquery",
            "o.i = u.i",
            None,
        ),
        (
            "SELECT a FROM t FOR UPDATE",
            "FOR UPDATE is not there",
            "SELECT a FROM t",
            None,
        ),
        (
            "WITH RECURSIVE r AS (SELECT * FROM t UNION SELECT * FROM r) SELECT * FROM r",
            "a recursion must name its columns",
            "SELECT * FROM t",
            Some("select columns instead of `*`"),
        ),
    ] {
        if message.is_empty() {
            assert!(Query::from_sql(sql).is_ok(), "{sql}");
            continue;
        }
        let error = error(sql);
        let start = error.column.saturating_sub(1);
        let shown: String = error.text.chars().skip(start).take(error.length).collect();
        assert_eq!(
            (
                error.message.as_str(),
                shown.as_str(),
                error.hint.as_deref()
            ),
            (message, underlined, hint),
            "{sql}\n{error}"
        );
    }
}

const STATEMENTS: [&str; 5] = [
    "WITH RECURSIVE r(n) AS (SELECT i FROM t UNION SELECT n + 1 FROM r WHERE n < 5) SELECT r.n FROM r",
    "SELECT u.name, count(*) FILTER (WHERE o.x > 1) AS n FROM users u LEFT JOIN orders o ON o.uid = u.id AND o.y <> 'a' GROUP BY u.name HAVING sum(o.x) > 2 ORDER BY n DESC NULLS LAST LIMIT 3 OFFSET 1",
    "SELECT CASE a WHEN 1 THEN 'x' ELSE CAST(b AS text) END AS c, t.p ->> 'k' AS d FROM t WHERE at BETWEEN DATE '2024-01-01' AND now() - INTERVAL '1 day' AND s NOT LIKE 'a!%' ESCAPE '!'",
    "SELECT u.a FROM u WHERE u.b IN (SELECT x FROM s WHERE s.c = u.c) AND NOT EXISTS (SELECT 1 FROM q WHERE q.i = u.i) OR u.d = (SELECT max(v) FROM w)",
    "SELECT sum(x) OVER (PARTITION BY k ORDER BY d ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM t UNION ALL SELECT b FROM (SELECT DISTINCT b FROM v) AS v INTERSECT SELECT c FROM c",
];

/// Every beginning of a statement, and every statement with a token left out or doubled.
#[test]
fn pieces_of_statements_do_no_harm() {
    for text in STATEMENTS {
        assert!(Query::from_sql(text).is_ok(), "{:?}", Query::from_sql(text));
        for (end, _) in text.char_indices() {
            let _ = Query::from_sql(&text[..end]).map_err(|e| e.to_string());
        }
        let words: Vec<&str> = text.split(' ').collect();
        for i in 0..words.len() {
            let mut fewer = words.clone();
            fewer.remove(i);
            let _ = Query::from_sql(&fewer.join(" ")).map_err(|e| e.to_string());
            let mut more = words.clone();
            more.insert(i, words[(i * 7 + 3) % words.len()]);
            let _ = Query::from_sql(&more.join(" ")).map_err(|e| e.to_string());
        }
    }
}

/// What is nested or long ends in an error or a query, not in a full stack or for ever.
#[test]
fn hostile_statements_end() {
    let deep = |open: &str, middle: &str, close: &str, n: usize| {
        format!(
            "SELECT {}{middle}{} FROM t",
            open.repeat(n),
            close.repeat(n)
        )
    };
    let many = |part: &str, n: usize| part.repeat(n);
    for n in [10, 24, 40, 100, 990, 1_000, 20_000] {
        for text in [
            deep("(", "a", ")", n),
            deep("NOT ", "a", "", n),
            deep("- ", "a", "", n),
            deep("abs(", "a", ")", n),
            deep("CASE WHEN ", "a", " THEN 1 END", n),
            deep("CASE ", "a", " WHEN 1 THEN 2 WHEN 3 THEN 4 END", n),
            deep("(SELECT ", "max(a) FROM t", ")", n),
            deep("nullif(", "a", ", 1)", n),
            format!("SELECT a {} FROM t", many("+ a ", n)),
            format!("SELECT a {} FROM t", many("AND a ", n)),
            format!("SELECT a {} FROM t", many("|| a ", n)),
            format!("SELECT a{} FROM t", many("::int", n)),
            format!("SELECT a{} FROM t", many("[1]", n)),
            format!("SELECT a {} FROM t", many("BETWEEN 1 AND 2 ", n)),
            format!("SELECT a FROM t{}", many(" UNION SELECT a FROM t", n)),
            format!("SELECT a FROM t{}", many(" EXCEPT SELECT a FROM t", n)),
            format!(
                "SELECT t.a FROM t{}",
                (0..n)
                    .map(|i| format!(" JOIN s AS s{i} ON s{i}.a = t.a"))
                    .collect::<String>()
            ),
            format!("SELECT a FROM {}t{}", many("(", n), many(")", n)),
            format!(
                "SELECT a FROM {}t{}",
                many("(SELECT a FROM ", n),
                many(") x", n)
            ),
            format!("SELECT {}", many("(", n)),
            format!("{}", many("((SELECT ", n)),
            format!("SELECT a FROM t WHERE a IN ({}1)", many("1, ", n)),
            format!(
                "SELECT a FROM t WHERE {}",
                many("EXISTS (SELECT 1 FROM t WHERE ", n)
            ),
            format!("SELECT a AS {} FROM t", many("x", n)),
            format!("SELECT 'a{}' FROM t", many("''", n)),
            format!("SELECT a{} FROM t", many(".b", n)),
            format!("SELECT a{} FROM t", many(" -> 'b'", n)),
        ] {
            let made = Query::from_sql(&text);
            let _ = made
                .map(|query| query.to_json())
                .map_err(|error| error.to_string());
        }
    }
    let doubled: String = (1..40)
        .map(|i| {
            format!(
                ", c{i} AS (SELECT a FROM c{} UNION ALL SELECT a FROM c{})",
                i - 1,
                i - 1
            )
        })
        .collect();
    let text = format!("WITH c0 AS (SELECT a FROM t){doubled} SELECT a FROM c39");
    assert_eq!(error(&text).message, "the statement becomes too large");
}

/// A stack as small as those of threads are on some systems.
#[test]
fn a_small_stack_is_enough() {
    let run = std::thread::Builder::new()
        .stack_size(3 << 19)
        .spawn(hostile_statements_end);
    run.unwrap().join().unwrap();
}
