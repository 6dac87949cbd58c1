//! Results and changes as JSON lines, and how events come in.

use std::io::Read;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

#[test]
fn rows_come_in_result_order() {
    let events = [user("b", 36), user("a", 7), user("c", 45), delete("a")];
    with(&oldest(), &events).run(RUN).prints(&[
        r#"{"key":"c","value":{"age":45}}"#,
        r#"{"key":"b","value":{"age":36}}"#,
    ]);
    with(&query(""), &events)
        .run("query q.json --events e.jsonl --emit rows --workers 1")
        .prints(&[
            r#"{"key":"b","value":{"age":36}}"#,
            r#"{"key":"c","value":{"age":45}}"#,
        ]);
}

#[test]
fn changes_carry_positions_and_previous_values() {
    let array = format!("[{},{}]", user("a", 1), user("b", 2));
    with(&oldest(), &[array, user("c", 3), user("x", 0), user("c", 4), delete("c")])
        .run("query q.json --events e.jsonl --emit changes --batch 1")
        .prints(&[
            concat!(
                r#"{"batch":0,"changes":[{"type":"insert","key":"b","value":{"age":2},"index":0},"#,
                r#"{"type":"insert","key":"a","value":{"age":1},"index":1}]}"#
            ),
            concat!(
                r#"{"batch":1,"changes":[{"type":"delete","key":"a","value":{"age":1},"previousIndex":1},"#,
                r#"{"type":"insert","key":"c","value":{"age":3},"index":0}]}"#
            ),
            concat!(
                r#"{"batch":3,"changes":[{"type":"update","key":"c","value":{"age":4},"#,
                r#""previousValue":{"age":3},"index":0,"previousIndex":0}]}"#
            ),
            concat!(
                r#"{"batch":4,"changes":[{"type":"delete","key":"c","value":{"age":4},"previousIndex":0},"#,
                r#"{"type":"insert","key":"a","value":{"age":1},"index":1}]}"#
            ),
        ]);
}

#[test]
fn snapshots_follow_batches_of_arrays_and_of_runs() {
    let array = format!("[{},{}]", user("a", 1), user("b", 1));
    let events = [
        user("x", 1),
        user("y", 1),
        user("z", 1),
        array,
        "[]".into(),
        delete("x"),
    ];
    with(&total(), &events)
        .run("query q.json --events e.jsonl --emit snapshots --batch 2")
        .prints(&[
            r#"{"batch":0,"rows":[{"key":"[]","value":{"n":2}}]}"#,
            r#"{"batch":1,"rows":[{"key":"[]","value":{"n":3}}]}"#,
            r#"{"batch":2,"rows":[{"key":"[]","value":{"n":5}}]}"#,
            r#"{"batch":3,"rows":[{"key":"[]","value":{"n":5}}]}"#,
            r#"{"batch":4,"rows":[{"key":"[]","value":{"n":4}}]}"#,
        ]);
}

#[test]
fn the_row_of_a_global_aggregate_is_there_from_the_start() {
    let other = put("other", "1", "{}");
    let dir = with(&total(), &[other, user("a", 1)]);
    dir.run("query q.json --events e.jsonl --emit changes --batch 1").prints(&[
        r#"{"batch":0,"changes":[{"type":"insert","key":"[]","value":{"n":0}}]}"#,
        r#"{"batch":1,"changes":[{"type":"update","key":"[]","value":{"n":1},"previousValue":{"n":0}}]}"#,
    ]);
    dir.write("none.jsonl", b"");
    let none = dir.run("query q.json --events none.jsonl");
    assert_eq!(
        (none.status, none.out.as_str()),
        (0, "{\"key\":\"[]\",\"value\":{\"n\":0}}\n")
    );
    assert_eq!(
        dir.run("query q.json --events none.jsonl --emit changes")
            .out,
        "{\"batch\":0,\"changes\":[{\"type\":\"insert\",\"key\":\"[]\",\"value\":{\"n\":0}}]}\n"
    );
}

#[test]
fn a_reset_takes_effect_with_what_follows_it() {
    let events = [
        user("a", 1),
        control("reset"),
        user("a", 1),
        user("b", 1),
        control("reset"),
    ];
    with(&total(), &events).run("query q.json --events e.jsonl --emit changes --batch 1").prints(&[
        r#"{"batch":0,"changes":[{"type":"insert","key":"[]","value":{"n":1}}]}"#,
        r#"{"batch":3,"changes":[{"type":"update","key":"[]","value":{"n":2},"previousValue":{"n":1}}]}"#,
        // The input ends with a reset: one more batch.
        r#"{"batch":5,"changes":[{"type":"update","key":"[]","value":{"n":0},"previousValue":{"n":2}}]}"#,
    ]);
}

#[test]
fn a_snapshot_across_batches_replaces_all_rows_at_once() {
    let (start, end) = (control("snapshot-start"), control("snapshot-end"));
    with(
        &query(""),
        &[user("a", 1), user("b", 1), start, user("b", 1), end],
    )
    .run("query q.json --events e.jsonl --emit changes --batch 2")
    .prints(&[
        concat!(
            r#"{"batch":0,"changes":[{"type":"insert","key":"a","value":{"age":1}},"#,
            r#"{"type":"insert","key":"b","value":{"age":1}}]}"#
        ),
        r#"{"batch":2,"changes":[{"type":"delete","key":"a","value":{"age":1}}]}"#,
    ]);
}

#[test]
fn events_come_from_stdin_and_from_gzip() {
    let dir = with(&total(), &[]);
    let text = lines(&[user("a", 1), user("b", 1)]);
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    // Several gzip files in a row are one.
    dir.write("twice.gz", &packed.repeat(2));

    let expected = [r#"{"key":"[]","value":{"n":2}}"#];
    dir.run("query q.json --events twice.gz").prints(&expected);
    dir.pipe("query q.json --events -", text.as_bytes())
        .prints(&expected);
    dir.pipe("query q.json --events -", &packed)
        .prints(&expected);
    dir.pipe(
        "query q.json --events -",
        format!("\u{feff}{}", text.replace('\n', "\r\n")).as_bytes(),
    )
    .prints(&expected);

    dir.write("torn.gz", &packed[..packed.len() - 9]);
    let torn = dir.run("query q.json --events torn.gz");
    assert_eq!((torn.status, torn.out.as_str()), (1, ""));
    assert!(
        torn.err.starts_with("error: torn.gz: after line "),
        "{torn:?}"
    );
}

#[test]
fn a_schema_names_collections_and_their_keys() {
    let schema = r#"{"collections":{"people":{"type":"users","primaryKey":"id"}}}"#;
    let people = r#"{"from":{"type":"collectionRef","collection":"people","alias":"p"}}"#;
    let dir = with(people, &[user("a", 1), put("other", "1", "7")]);
    dir.write("s.json", schema.as_bytes());
    dir.run("query q.json --events e.jsonl --schema s.json")
        .prints(&[r#"{"key":"a","value":{"id":"a","age":1}}"#]);

    dir.write("users.json", query("").as_bytes());
    let unknown = dir.run("query users.json --events e.jsonl --schema s.json");
    assert!(
        unknown
            .err
            .starts_with("error: users.json: `from.collection`: "),
        "{unknown:?}"
    );

    let twice = r#"{"collections":{"a":{"type":"t","primaryKey":"id"},"b":{"type":"t","primaryKey":"id"}}}"#;
    dir.write("s.json", twice.as_bytes());
    dir.run("query q.json --events e.jsonl --schema s.json")
        .fails("s.json: duplicate event type `t`: used by both `a` and `b` collections");
}

#[test]
fn a_schema_says_what_rows_must_be() {
    let schema = r#"{"collections":{"users":{"type":"users","primaryKey":"id",
        "schema":{"properties":{"age":{"minimum":0}},"required":["id","age"]}}}}"#;
    let rows = [user("a", 1), user("b", -1), put("users", "c", "{}")];
    let dir = with(&query(""), &rows);
    dir.write("s.json", schema.as_bytes());
    let done = dir.run("query q.json --events e.jsonl --schema s.json");
    assert_eq!(done.status, 1);
    assert_eq!(
        done.out.trim_end(),
        r#"{"key":"a","value":{"id":"a","age":1}}"#
    );
    assert_eq!(
        done.err.lines().collect::<Vec<_>>(),
        [
            "e.jsonl: line 2: collection `users`, key `b`: \
             age: -1 is less than the minimum of 0 (`minimum`) (skipped)",
            "e.jsonl: line 3: collection `users`, key `c`: \
             \"age\" is a required property (`required`) (skipped)",
            "2 messages were skipped",
        ]
    );
    dir.run("query q.json --events e.jsonl --schema s.json --strict")
        .fails(
            "e.jsonl: line 2: collection `users`, key `b`: \
             age: -1 is less than the minimum of 0 (`minimum`)",
        );

    dir.write("s.json", schema.replace("[\"id\",", "[7,").as_bytes());
    let refused = dir.run("query q.json --events e.jsonl --schema s.json");
    let start = "error: s.json: collection `users`: `schema` is not a JSON Schema: required.0: ";
    assert!(refused.err.starts_with(start), "{refused:?}");
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    // More than a pipe holds.
    let events: Vec<_> = (0..20_000).map(|i| user(&format!("user-{i}"), i)).collect();
    let dir = with(&query(""), &events);
    for emit in ["rows", "changes"] {
        let mut command = dir.command(&format!("{RUN} --emit {emit} --batch 10"));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut start = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut start).unwrap();
        let done = child.wait_with_output().unwrap();
        assert_eq!(
            (done.status.code(), done.stderr.len()),
            (Some(0), 0),
            "{emit}"
        );
    }
}

#[test]
fn changes_of_a_live_stream_do_not_wait_for_its_end() {
    let dir = with(&total(), &[]);
    let mut command = dir.command("query q.json --events - --batch 1 --emit changes");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    for n in 1..3 {
        writeln!(stdin, "{}", user(&n.to_string(), 1)).unwrap();
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            stdout.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        assert!(
            String::from_utf8(line)
                .unwrap()
                .contains(&format!(r#""value":{{"n":{n}}}"#))
        );
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn queries_may_be_sql() {
    let dir = with(&query(""), &[user("a", 1), user("b", 3), user("c", 2)]);
    let sql = "-- title: Old ones\nSELECT age FROM users WHERE age > 1 ORDER BY age DESC";
    dir.write("q.SQL", sql.as_bytes());
    dir.run("query q.SQL --events e.jsonl").prints(&[
        r#"{"key":"b","value":{"age":3}}"#,
        r#"{"key":"c","value":{"age":2}}"#,
    ]);
    let plan = dir.run("explain q.SQL");
    assert!(plan.out.contains("gt(users.age, 1)"), "{plan:?}");
    let shown = dir.run("watch q.SQL --events e.jsonl --plain");
    assert!(shown.out.contains("age"), "{shown:?}");
}
