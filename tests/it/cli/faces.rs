//! What people read: plans, tables, help.

use super::*;

#[test]
fn plans_are_explained_as_text_json_and_dot() {
    let dir = with(&total(), &[]);
    let text = dir.run("explain q.json").out;
    assert!(
        text.starts_with("result  ") && text.contains("└─ aggregate  compute: count("),
        "{text}"
    );
    assert!(
        text.contains("\n   └─ scan  collection: users\n· computed only when a row is read: "),
        "{text}"
    );
    assert!(
        text.contains("\nas written:\nproject  fields: {") && text.ends_with("as: u\n"),
        "{text}"
    );

    let json = dir.run("explain q.json --format json").out;
    let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(plan["query"], "q.json");
    assert_eq!(plan["plan"]["inputs"][0]["operator"], "aggregate");
    assert_eq!(plan["plan"]["inputs"][0]["clause"], "SELECT");
    assert_eq!(plan["written"]["operator"], "project");

    let dot = dir.run("explain q.json --format dot").out;
    assert!(
        dot.starts_with("// q.json\ndigraph plan {\n") && dot.ends_with("}\n"),
        "{dot}"
    );

    dir.write("p.json", query("").as_bytes());
    let both = dir.run("explain q.json p.json").out;
    assert!(
        both.starts_with("q.json:\nresult  ") && both.contains("\n\np.json:\nresult  "),
        "{both}"
    );
    assert_eq!(
        dir.run("explain q.json p.json --format json")
            .out
            .lines()
            .count(),
        2
    );
}

#[test]
fn plans_are_analyzed_over_events() {
    let events = [
        put("users", "1", r#"{"age":36}"#),
        put("users", "2", r#"{"age":7}"#),
        put("users", "3", r#"{"age":41}"#),
    ];
    let dir = with(&total(), &events);
    dir.write(
        "adults.sql",
        b"SELECT age, count(*) AS n FROM users WHERE age > 17 GROUP BY age",
    );
    let done = dir.run("explain --analyze adults.sql q.json --events e.jsonl");
    assert_eq!(done.status, 0, "{done:?}");
    let (adults, total) = done.out.split_once("\n\nq.json:\n").unwrap();
    // Two of three rows come as far as the groups, of which there are two.
    for text in ["in 2  out 2 (", "holds 2 rows", " %)", "bytes"] {
        assert!(adults.contains(text), "{text} in {adults}");
    }
    assert!(total.contains("in 3  out 3"), "{total}");

    let json = dir
        .run("explain --analyze adults.sql --events e.jsonl --batch 1 --format json")
        .out;
    let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
    let group = &plan["plan"]["inputs"][0];
    assert_eq!(group["operator"], "aggregate");
    assert_eq!(group["figures"]["rowsIn"], 2);
    // Batches that bring it nothing are none of its steps.
    assert_eq!(group["figures"]["steps"], 2);
    assert!(group["figures"]["nanos"].as_u64() > Some(0), "{json}");
    let dot = dir
        .run("explain --analyze q.json --events e.jsonl --format dot")
        .out;
    assert!(dot.contains("out 3"), "{dot}");
    assert_eq!(dir.run("explain --analyze q.json").status, 2);
    assert_eq!(dir.run("explain q.json --events e.jsonl").status, 2);
}

#[test]
fn watch_prints_final_tables_where_there_is_no_terminal() {
    let events = [
        put(
            "users",
            "1",
            r#"{"age":36,"name":"Ada","score":1.005,"tags":["a","b"]}"#,
        ),
        put("users", "2", r#"{"age":7,"name":"Bob\u001b[2J","score":2}"#),
        put("users", "3", r#"{"age":1,"name":null}"#),
    ];
    let dir = with(&query(""), &events);
    dir.write("total.json", total().as_bytes());
    for args in ["", " --plain --speed 0.001"] {
        dir.run(&format!(
            "watch q.json total.json --events e.jsonl --rows 2{args}"
        ))
        .prints(&[
            "q  2 of 3 rows",
            "age  name          score  tags",
            "───────────────────────────────────",
            " 36  Ada            1.00  [\"a\",\"b\"]",
            "  7  Bob\\u{1b}[2J   2.00",
            "",
            "total  1 row",
            "n",
            "─",
            "3",
        ]);
    }
    dir.write("e.jsonl", b"{}\n");
    let done = dir.run("watch total.json --events e.jsonl");
    assert_eq!(
        (done.status, done.out.as_str()),
        (1, "total  1 row\nn\n─\n0\n")
    );
    assert!(
        done.err
            .starts_with("e.jsonl: line 1: field `headers` is missing (skipped)\n"),
        "{done:?}"
    );
    assert!(done.err.ends_with("\n1 message was skipped\n"), "{done:?}");
}

#[test]
fn help_tells_of_every_command_with_an_example() {
    let dir = Dir::new(&[]);
    let help = dir.run("--help").out;
    for command in ["query", "explain", "watch"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        let own = dir.run(&format!("{command} --help")).out;
        assert!(own.contains(&format!("\n  tailwater {command} ")), "{own}");
    }
    assert_eq!(
        dir.run("--version").out,
        format!("tailwater {}\n", env!("CARGO_PKG_VERSION"))
    );
}
