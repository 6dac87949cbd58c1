//! Limits of memory, and what is said of it.

use super::{RUN, lines, query, total, user, with};

fn users(n: usize) -> Vec<String> {
    (0..n).map(|i| user(&i.to_string(), i as i64)).collect()
}

fn cross() -> String {
    query(
        r#""join":[{"type":"cross","from":{"type":"collectionRef","collection":"users","alias":"o"}}]"#,
    )
}

#[test]
fn a_query_that_needs_too_much_ends_with_an_error() {
    let dir = with(&cross(), &users(3000));
    for (limits, said) in [
        (
            "--query-memory-limit 16MiB",
            "the memory limit of a query of 16 MiB is exceeded",
        ),
        (
            "--memory-limit 16MiB",
            "the memory limit of 16 MiB is exceeded",
        ),
    ] {
        let done = dir.run(&format!("{RUN} {limits}"));
        assert_eq!((done.status, done.out.as_str()), (1, ""), "{done:?}");
        let error = format!("error: the query was stopped: {said}: at least ");
        assert!(done.err.starts_with(&error), "{}", done.err);
        assert!(done.err.contains("join  kind: cross"), "{}", done.err);
    }
    // One that fits is not concerned.
    let dir = with(&total(), &users(3000));
    let done = dir.run(&format!(
        "{RUN} --memory-limit 16MiB --query-memory-limit 16MiB"
    ));
    assert_eq!((done.status, done.err.as_str()), (0, ""));
    assert_eq!(done.out.trim_end(), r#"{"key":"[]","value":{"n":3000}}"#);
}

#[test]
fn a_table_that_needs_too_much_goes_and_the_others_stay() {
    let dir = with(&cross(), &users(3000));
    dir.write("n.json", total().as_bytes());
    let done = dir.run("watch q.json n.json --events e.jsonl --plain --query-memory-limit 16MiB");
    assert_eq!(done.status, 1, "{done:?}");
    assert!(done.out.contains("3000"), "{done:?}");
    assert!(
        done.err
            .contains("error: q was stopped: the memory limit of a query of 16 MiB is exceeded"),
        "{done:?}"
    );
}

#[test]
fn a_limit_that_is_no_size_is_wrong_usage() {
    let dir = with(&total(), &users(1));
    for size in ["0", "many", "12parsecs", "-1"] {
        let done = dir.run(&format!("{RUN} --memory-limit={size}"));
        assert_eq!(done.status, 2, "{done:?}");
        assert!(done.err.contains("--memory-limit <SIZE>"), "{done:?}");
    }
}

#[test]
fn stats_tell_what_rows_and_results_take() {
    let dir = with(&total(), &users(1000));
    let done = dir.run(&format!("{RUN} --stats"));
    assert_eq!(done.status, 0, "{done:?}");
    let said: Vec<&str> = done.err.lines().collect();
    assert!(
        said[0].starts_with("users: 1000 rows, ") && said[0].ends_with(" bytes a row"),
        "{said:?}"
    );
    assert!(said[1].starts_with("result: 1 rows, "), "{said:?}");
    assert!(said.last().unwrap().starts_with("memory: "), "{said:?}");
    assert_eq!(lines(&[done.out.trim_end().to_owned()]), done.out);
}
