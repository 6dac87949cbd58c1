//! The `tailwater` binary as its users run it: what it prints, where, and with which status.

#![cfg(feature = "cli")]

mod clock;
mod faces;
mod faults;
mod memory;
mod results;
mod workers;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own for each test, with the files that it wants, removed afterwards.
struct Dir(PathBuf);

impl Dir {
    fn new(files: &[(&str, &str)]) -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "tailwater-cli-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let dir = Dir(std::env::temp_dir().join(name));
        fs::create_dir_all(&dir.0).unwrap();
        files
            .iter()
            .for_each(|(name, text)| dir.write(name, text.as_bytes()));
        dir
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.join(name), bytes).unwrap();
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
        command
            .current_dir(&self.0)
            .args(args.split_whitespace())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &str) -> Done {
        self.command(args).output().unwrap().into()
    }

    fn pipe(&self, args: &str, input: &[u8]) -> Done {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap().into()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Done {
    status: i32,
    out: String,
    err: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Done {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done {
            status: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Done {
    /// All went well, and this was printed.
    #[track_caller]
    fn prints(self, lines: &[&str]) {
        assert_eq!((self.status, self.err.as_str()), (0, ""));
        assert_eq!(self.out.lines().collect::<Vec<_>>(), lines);
    }

    /// The input was at fault, and this was said.
    #[track_caller]
    fn fails(self, message: &str) {
        assert_eq!(self.status, 1, "{self:?}");
        assert_eq!(self.out, "");
        assert_eq!(self.err.trim_end(), format!("error: {message}"));
    }
}

fn put(kind: &str, key: &str, value: &str) -> String {
    format!(
        r#"{{"type":"{kind}","key":"{key}","value":{value},"headers":{{"operation":"upsert"}}}}"#
    )
}

fn user(key: &str, age: i64) -> String {
    put("users", key, &format!(r#"{{"age":{age}}}"#))
}

fn delete(key: &str) -> String {
    format!(r#"{{"type":"users","key":"{key}","headers":{{"operation":"delete"}}}}"#)
}

fn control(name: &str) -> String {
    format!(r#"{{"type":"users","headers":{{"control":"{name}"}}}}"#)
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

const AGE: &str = r#"{"type":"ref","path":["u","age"]}"#;
const FROM: &str = r#""from":{"type":"collectionRef","collection":"users","alias":"u"}"#;

/// A query over users with further clauses.
fn query(clauses: &str) -> String {
    format!(
        "{{{FROM}{}{clauses}}}",
        if clauses.is_empty() { "" } else { "," }
    )
}

/// Names by age, the oldest first.
fn oldest() -> String {
    query(&format!(
        r#""orderBy":[{{"expression":{AGE},"compareOptions":{{"direction":"desc"}}}}],"limit":2"#
    ))
}

fn total() -> String {
    query(&format!(
        r#""select":{{"n":{{"type":"agg","name":"count","args":[{AGE}]}}}}"#
    ))
}

/// `q.json` over `e.jsonl`.
fn with(query: &str, events: &[String]) -> Dir {
    Dir::new(&[("q.json", query), ("e.jsonl", &lines(events))])
}

const RUN: &str = "query q.json --events e.jsonl";
