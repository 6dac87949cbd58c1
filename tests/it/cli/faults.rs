//! What is said of input, queries and usage at fault.

use super::*;

#[test]
fn what_is_wrong_is_named_and_skipped() {
    let dir = with(
        &total(),
        &[
            user("a", 1),
            "{oops".into(),
            user("b", 1),
            format!("[{},7]", user("c", 1)),
        ],
    );
    let done = dir.run(RUN);
    assert_eq!(
        (done.status, done.out.as_str()),
        (1, "{\"key\":\"[]\",\"value\":{\"n\":3}}\n")
    );
    let said: Vec<_> = done.err.lines().collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(
        said[0].starts_with("e.jsonl: line 2: not valid JSON: "),
        "{said:?}"
    );
    assert!(said[0].ends_with(" (skipped)"), "{said:?}");
    assert_eq!(
        said[1],
        "e.jsonl: line 4, message 2: a message must be an object, not a number (skipped)"
    );
    assert_eq!(said[2], "2 messages were skipped");
}

#[test]
fn bytes_that_are_no_text_are_skipped() {
    let dir = with(&total(), &[]);
    let good = user("a", 1);
    dir.write(
        "e.jsonl",
        &[
            good.as_bytes(),
            b"\n\"\xff\"\n{}\n",
            user("b", 1).as_bytes(),
        ]
        .concat(),
    );
    let done = dir.run(RUN);
    assert_eq!(done.out, "{\"key\":\"[]\",\"value\":{\"n\":2}}\n");
    let said: Vec<_> = done.err.lines().collect();
    assert_eq!(
        said[0],
        "e.jsonl: line 2: not valid UTF-8 at byte 2 (skipped)"
    );
    assert_eq!(
        said[1],
        "e.jsonl: line 3: field `headers` is missing (skipped)"
    );
}

#[test]
fn many_faults_are_counted_not_listed() {
    let mut events = vec!["{}".to_owned(); 23];
    events.push(user("a", 1));
    let done = with(&total(), &events).run(RUN);
    let said: Vec<_> = done.err.lines().collect();
    assert_eq!(
        (said.len(), said[20], said[21]),
        (22, "… and 3 more", "23 messages were skipped")
    );
}

#[test]
fn strict_stops_at_the_first_fault() {
    let broken = format!("[{},{{}}]", user("c", 1));
    let dir = with(
        &total(),
        &[user("a", 1), user("b", 1), broken, user("d", 1)],
    );
    let message = "e.jsonl: line 3, message 2: field `headers` is missing";
    dir.run("query q.json --events e.jsonl --strict")
        .fails(message);
    let done = dir.run("query q.json --events e.jsonl --strict --emit snapshots");
    // The batch before it was complete.
    assert_eq!(
        done.out,
        "{\"batch\":0,\"rows\":[{\"key\":\"[]\",\"value\":{\"n\":2}}]}\n"
    );
    assert_eq!((done.status, done.err), (1, format!("error: {message}\n")));
}

#[test]
fn queries_at_fault_are_named_with_the_place() {
    let join = r#""join":[{"type":"inner","from":{"type":"collectionRef","collection":"x","alias":"x"},"on":"#;
    let sub = format!(r#"{{"type":"queryRef","alias":"s","query":{}}}"#, total());
    for (text, message) in [
        (
            query(&format!(
                r#""where":[{{"type":"func","name":"gtt","args":[{AGE},{AGE}]}}]"#
            )),
            "`where[0].name`: unknown function `gtt` (did you mean `gt`?)",
        ),
        (
            query(r#""where":[{"type":"ref","path":["v","age"]}]"#),
            "`where[0].path`: unknown alias `v` (known: `u`)",
        ),
        (
            query(&format!(
                "{join}{{\"type\":\"func\",\"name\":\"gt\",\"args\":[{AGE},{AGE}]}}}}]"
            )),
            "`join[0].on`: needs an equality between `x` and `u`",
        ),
        (
            query(r#""limit":"ten""#),
            "`limit`: must be a whole number from 0 on, not a string",
        ),
        (
            format!(r#"{{"from":{sub},"where":[{{"type":"ref","path":["s","m"]}}]}}"#),
            "`where[0].path`: subquery `s` has no field `m` (known: `n`)",
        ),
        (
            "{".into(),
            "the query is not valid JSON: EOF while parsing an object at line 1 column 1",
        ),
    ] {
        let dir = with(&text, &[]);
        for command in [RUN, "explain q.json", "watch q.json --events e.jsonl"] {
            let done = dir.run(command);
            assert_eq!((done.status, done.out.as_str()), (1, ""), "{text}");
            assert!(
                done.err.starts_with(&format!("error: q.json: {message}")),
                "{}",
                done.err
            );
        }
    }
}

#[test]
fn files_at_fault_are_named() {
    let dir = with(&query(""), &[user("a", 1)]);
    let missing = "No such file or directory (os error 2)";
    if cfg!(unix) {
        dir.run("query no.json --events e.jsonl")
            .fails(&format!("no.json: {missing}"));
        dir.run("query q.json --events no.jsonl")
            .fails(&format!("no.jsonl: {missing}"));
        dir.run("explain q.json --schema no.json")
            .fails(&format!("no.json: {missing}"));
    }
    dir.write("q.sql", b"select uper(name)\nfrom users");
    let message = "q.sql: unknown function `uper`\n  |\n1 | select uper(name)\n  |        ^^^^\n  hint: did you mean `upper`?";
    for command in ["query q.sql --events e.jsonl", "explain q.sql"] {
        dir.run(command).fails(message);
    }
}

#[test]
fn a_type_that_never_came_is_pointed_out() {
    let events = [
        put("user", "1", "{}"),
        put("event\u{1b}", "1", "{}").replace('\u{1b}', "\\u001b"),
    ];
    let done = with(&query(""), &events).run(RUN);
    assert_eq!((done.status, done.out.as_str()), (0, ""));
    let warning = "warning: no event of type `users` arrived; types seen: `event\\u{1b}`, `user`\n";
    assert_eq!(done.err, warning);
    let none = with(&query(""), &[]).run(RUN);
    assert_eq!(
        none.err,
        "warning: no event of type `users` arrived; no events came\n"
    );
}

#[test]
fn a_field_that_no_row_has_is_pointed_out() {
    let run = |name: &str, events: &[String]| {
        let sql = format!("SELECT {name} FROM users");
        let dir = Dir::new(&[("q.sql", &sql), ("e.jsonl", &lines(events))]);
        dir.run("query q.sql --events e.jsonl")
    };
    let events = [put("users", "1", r#"{"age":36,"name":null}"#)];
    let warning = "warning: no row of `users` has a field";
    for (name, said) in [
        ("aeg", format!("{warning} `aeg`; did you mean `age`?\n")),
        (
            "city",
            format!("{warning} `city`; fields seen: `age`, `name`\n"),
        ),
        // Null is there.
        ("name", String::new()),
        ("\"$key\"", String::new()),
    ] {
        let done = run(name, &events);
        assert_eq!((done.status, done.err), (0, said), "{name}");
    }
    // Where there are no rows, nothing is known of them.
    let done = run("aeg", &[delete("1")]);
    assert_eq!((done.status, done.err.as_str()), (0, ""));
}

#[test]
fn a_snapshot_without_an_end_is_a_fault() {
    let dir = with(
        &total(),
        &[user("a", 1), control("snapshot-start"), user("b", 1)],
    );
    let done = dir.run(RUN);
    assert_eq!(
        (done.status, done.out.as_str()),
        (1, "{\"key\":\"[]\",\"value\":{\"n\":1}}\n")
    );
    let said = "warning: the input ended inside a snapshot; its rows were not applied\n";
    assert_eq!(done.err, said);
}

#[test]
fn files_that_are_no_queries_say_what_they_are() {
    let dir = with(&query(""), &[]);
    dir.write("q.txt", b"-- all\nSelect * from users");
    let done = dir.run("query q.txt --events e.jsonl");
    assert_eq!(done.status, 1);
    let start = "error: q.txt: the query is not valid JSON";
    assert!(done.err.starts_with(start), "{}", done.err);
    let end = "(a file of SQL ends in .sql)\n";
    assert!(done.err.ends_with(end), "{}", done.err);
    dir.write("q.sql", b"select '\xff' from users");
    dir.run("query q.sql --events e.jsonl")
        .fails("q.sql: not valid UTF-8 at byte 9");
}

#[test]
fn wrong_usage_has_a_status_of_its_own() {
    let dir = with(&query(""), &[]);
    for (args, message) in [
        ("", "Usage: tailwater"),
        ("qeury", "similar subcommand exists: 'query'"),
        ("query q.json", "--events <FILE>"),
        (
            "query q.json --events e.jsonl --batch 0",
            "must be a whole number from 1 on",
        ),
        (
            "query q.json --events e.jsonl --emit row",
            "a similar value exists: 'rows'",
        ),
        (
            "watch q.json --events e.jsonl --speed 0",
            "must be a number greater than 0",
        ),
        ("explain", "<QUERY>..."),
        (
            "query http://localhost/v1/query/x --events e.jsonl",
            "`tailwater watch URL` shows the result of a server",
        ),
        (
            "query q.json --events https://localhost/v1/stream/x",
            "`tailwater serve --upstream URL` reads the stream",
        ),
    ] {
        let done = dir.run(args);
        assert_eq!((done.status, done.out.as_str()), (2, ""), "{args}");
        assert!(done.err.contains(message), "{args}: {}", done.err);
    }
}
