//! Queries on several workers, in one process and in several.

use std::io::Write;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use super::{Dir, RUN, total, user, with};
use crate::support::free_address;

fn users(n: usize) -> Vec<String> {
    (0..n).map(|i| user(&i.to_string(), i as i64)).collect()
}

fn hosts(dir: &Dir, count: usize) {
    let list: String = (0..count).map(|_| free_address() + "\n").collect();
    dir.write("hosts.txt", format!("# all of them\n\n{list}").as_bytes());
}

fn start(dir: &Dir, events: &str, process: usize) -> Child {
    let args = format!(
        "query q.json --events {events} --batch 1 --emit changes --hosts hosts.txt --process {process}"
    );
    let mut command = dir.command(&args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn ended(child: Child) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn threads_and_processes_print_what_one_prints() {
    let dir = with(&total(), &users(500));
    let alone = dir.run(&format!("{RUN} --emit changes --batch 7"));
    assert_eq!(alone.out.lines().count(), 72, "{alone:?}");
    let threads = dir.run(&format!("{RUN} --emit changes --batch 7 --workers 3"));
    assert_eq!(
        (threads.status, &threads.out),
        (0, &alone.out),
        "{threads:?}"
    );

    hosts(&dir, 2);
    let listed = std::fs::read_to_string(dir.0.join("hosts.txt")).unwrap();
    let address = listed.lines().last().unwrap();
    let follower = start(&dir, "e.jsonl", 1);
    let first = dir.run(&format!(
        "{RUN} --emit changes --batch 7 --hosts hosts.txt --process 0"
    ));
    assert_eq!((first.status, &first.out), (0, &alone.out), "{first:?}");
    assert_eq!(first.err, format!("waiting for process 1 at {address}\n"));
    let (status, out, _) = ended(follower);
    assert_eq!((status, out.as_str()), (Some(0), ""));
}

/// Feeds a process a line at a time until it does not want any more.
fn feed(child: &mut Child) {
    let mut stdin = child.stdin.take().unwrap();
    std::thread::spawn(move || {
        for i in 0.. {
            let line = user(&i.to_string(), i);
            if writeln!(stdin, "{line}").is_err() || stdin.flush().is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    });
}

#[test]
fn a_process_that_dies_ends_the_others_with_a_clear_word() {
    for killed in [1, 0] {
        let dir = with(&total(), &users(1));
        hosts(&dir, 2);
        let mut children = [start(&dir, "-", 0), start(&dir, "-", 1)];
        feed(&mut children[0]);
        std::thread::sleep(Duration::from_millis(700));
        children[killed].kill().unwrap();
        let [first, second] = children.map(ended);
        let (status, out, err) = [&second, &first][killed];
        assert_eq!(*status, Some(1), "{err}");
        let said = format!("the connection to process {killed} was lost");
        assert!(err.contains(&said), "{err}");
        assert!(!err.contains("panicked"), "{err}");
        // Whole lines only, each of a whole step.
        let printed = if killed == 1 { out } else { &first.1 };
        let whole = &printed[..printed.rfind('\n').map_or(0, |end| end + 1)];
        for (i, line) in whole.lines().enumerate() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let change = &line["changes"][0];
            assert_eq!(change["value"]["n"], i + 1, "{line}");
        }
    }
}

#[test]
fn what_does_not_go_together_is_wrong_usage() {
    let dir = with(&total(), &users(1));
    hosts(&dir, 1);
    let far = "--hosts hosts.txt --process 3";
    for (args, said) in [
        ("--workers 0", "must be a whole number from 1 on"),
        ("--workers 257", "must be at most 256"),
        ("--workers 100000", "must be at most 256"),
        ("--hosts hosts.txt", "--process"),
        ("--process 0", "--hosts"),
        (
            "--workers 2 --memory-limit 1GB",
            "limits of memory know nothing of other workers",
        ),
        (far, "--process must be from 0 to 0, as hosts.txt says"),
    ] {
        let done = dir.run(&format!("{RUN} {args}"));
        assert_eq!(done.status, 2, "{args}: {done:?}");
        assert!(done.err.contains(said), "{args}: {done:?}");
    }
}

#[test]
fn hosts_at_fault_are_named() {
    let dir = with(&total(), &users(1));
    for (list, message) in [
        (
            "",
            "there is no process 0 among 0 hosts (they count from 0)",
        ),
        ("garbage\n", "process 0: `garbage` is not HOST:PORT"),
        ("a:1\nb:70000\n", "process 1: `b:70000` is not HOST:PORT"),
        ("a:1\nb:2\na:1\n", "processes 0 and 2 are both at `a:1`"),
    ] {
        dir.write("hosts.txt", list.as_bytes());
        dir.run(&format!("{RUN} --hosts hosts.txt --process 0"))
            .fails(&format!("hosts.txt: {message}"));
    }
}
