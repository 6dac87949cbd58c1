//! What is refused, shown in its text.

use std::path::Path;

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

/// `errors.txt` has statements, each with what is said of it below. With `TAILWATER_BLESS=1` it is
/// written anew.
#[test]
fn errors_say_what_is_wrong_and_where() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sql/errors.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let statements = text
        .split("\n\n")
        .filter_map(|block| block.trim().lines().next());
    let said = statements.map(|sql| format!("{sql}\n{}", error(sql)));
    let written = said.collect::<Vec<_>>().join("\n\n") + "\n";
    if std::env::var("TAILWATER_BLESS").is_ok() {
        std::fs::write(&path, written).unwrap();
    } else if written != text {
        let differs = written.lines().zip(text.lines()).find(|(a, b)| a != b);
        panic!("errors.txt differs: {differs:#?}");
    }
    let nothing = error("");
    assert_eq!(
        (nothing.line, nothing.to_string().as_str()),
        (0, "there is no statement")
    );
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
            many("((SELECT ", n),
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
