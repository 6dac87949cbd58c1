//! What `now()` stands for, and recursions without an end.

use super::*;

/// Users seen in the last minute, by `at`.
fn recent() -> String {
    query(
        r#""where":[{"type":"func","name":"gt","args":[
            {"type":"func","name":"toTimestamp","args":[{"type":"ref","path":["u","at"]}]},
            {"type":"func","name":"subtract","args":[{"type":"func","name":"now","args":[]},{"type":"val","value":60000}]}]}],
           "select":{"at":{"type":"ref","path":["u","at"]}}"#,
    )
}

fn seen(key: &str, at: &str, timestamp: &str) -> String {
    format!(
        r#"{{"type":"users","key":"{key}","value":{{"at":"{at}"}},"headers":{{"operation":"upsert","timestamp":"{timestamp}"}}}}"#
    )
}

fn events() -> [String; 3] {
    [
        seen("a", "2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
        seen("b", "2024-05-01T10:00:30Z", "2024-05-01T12:00:30+02:00"),
        seen("c", "2024-05-01T10:01:05Z", "2024-05-01T10:01:05Z"),
    ]
}

#[test]
fn the_events_clock_lets_rows_go() {
    with(&recent(), &events())
        .run("query q.json --events e.jsonl --batch 1 --emit changes --clock events")
        .prints(&[
            r#"{"batch":0,"changes":[{"type":"insert","key":"a","value":{"at":"2024-05-01T10:00:00Z"}}]}"#,
            r#"{"batch":1,"changes":[{"type":"insert","key":"b","value":{"at":"2024-05-01T10:00:30Z"}}]}"#,
            r#"{"clock":"2024-05-01T10:01:05Z","changes":[{"type":"delete","key":"a","value":{"at":"2024-05-01T10:00:00Z"}}]}"#,
            r#"{"batch":2,"changes":[{"type":"insert","key":"c","value":{"at":"2024-05-01T10:01:05Z"}}]}"#,
        ]);
}

#[test]
fn the_clock_can_stand_still() {
    with(&recent(), &events())
        .run("query q.json --events e.jsonl --clock 2024-05-01T10:01:20Z")
        .prints(&[
            r#"{"key":"b","value":{"at":"2024-05-01T10:00:30Z"}}"#,
            r#"{"key":"c","value":{"at":"2024-05-01T10:01:05Z"}}"#,
        ]);
}

#[test]
fn the_systems_clock_is_the_default() {
    let far = seen("far", "9999-01-01T00:00:00Z", "2024-05-01T10:00:00Z");
    let past = seen("past", "2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z");
    with(&recent(), &[far, past])
        .run(RUN)
        .prints(&[r#"{"key":"far","value":{"at":"9999-01-01T00:00:00Z"}}"#]);
}

#[test]
fn a_wrong_clock_is_wrong_usage() {
    let done = with(&recent(), &[]).run("query q.json --events e.jsonl --clock noon");
    assert_eq!(done.status, 2);
    assert!(
        done.err.contains("`system`, `events` or a time"),
        "{}",
        done.err
    );
}

#[test]
fn a_recursion_without_an_end_is_told() {
    let counter = r#"{"withRecursive":{"n":{"from":{"type":"unionAll","queries":[
            {"from":{"type":"collectionRef","collection":"users","alias":"u"},"select":{"i":{"type":"val","value":0}}},
            {"from":{"type":"collectionRef","collection":"n","alias":"m"},
             "select":{"i":{"type":"func","name":"add","args":[{"type":"ref","path":["m","i"]},{"type":"val","value":1}]}}}]}}},
        "maxRounds":2,"from":{"type":"collectionRef","collection":"n","alias":"n"}}"#;
    let done = with(counter, &[user("a", 1)]).run(RUN);
    // Rows may be missing.
    assert_eq!(done.status, 1);
    assert_eq!(done.out.lines().count(), 3);
    assert!(
        done.err.starts_with("warning: a recursion was ended"),
        "{}",
        done.err
    );
}
