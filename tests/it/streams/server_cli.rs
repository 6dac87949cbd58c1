//! `tailwater serve` as its users run it.

use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::server_help::{Dir, Streams};

/// A server that runs as a program, and is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) url: String,
}

impl Program {
    pub(super) fn start(args: &[&str]) -> Program {
        Program::start_at("127.0.0.1:0", args)
    }

    pub(crate) fn start_at(address: &str, args: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
        command.arg("serve").args(["--listen", address]).args(args);
        Program::run(command)
    }

    pub(crate) fn run(mut command: Command) -> Program {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line:?}"));
        Program {
            child,
            url: url.trim_end().to_owned(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power failure would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as its users do: its exit status, and what else it said.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        let status = self.child.wait().unwrap();
        let mut rest = String::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut rest)
            .unwrap();
        (status.code(), rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that should not start: its exit status and what it says.
fn fails(args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
    let output = command.arg("serve").args(args).output().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[tokio::test]
async fn it_says_where_it_listens_and_ends_when_it_is_told() {
    let program = Program::start(&[]);
    assert!(
        program.url.starts_with("http://127.0.0.1:"),
        "{}",
        program.url
    );
    assert!(!program.url.ends_with(":0"));
    let streams = Streams::at(&program.url);
    assert_eq!(streams.put("a/b", "text/plain", "hello").await.status, 201);
    assert_eq!(streams.content("a/b").await, "hello");
    // A reader that waits does not hold it up.
    let waiting = tokio::spawn(async move { streams.get("a/b?offset=now&live=long-poll").await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let since = Instant::now();
    let ended = tokio::task::spawn_blocking(move || program.terminate())
        .await
        .unwrap();
    assert_eq!(ended, (Some(0), String::new()));
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(waiting.await.unwrap().status, 204);
}

#[test]
fn what_cannot_be_is_said() {
    let dir = Dir::new();
    let path = dir.path().to_str().unwrap();
    let _first = Program::start(&["--data", path]);
    let (status, text) = fails(&["--listen", "127.0.0.1:0", "--data", path]);
    assert_eq!(status, Some(1));
    assert!(text.contains("is in use by another server"), "{text}");

    let (status, text) = fails(&["--listen", "0.0.0.0:0"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("--tokens FILE, or --allow-public"), "{text}");
    assert!(
        text.contains("0.0.0.0:0 can be reached from other machines"),
        "{text}"
    );

    // 192.0.2.0/24 is no machine's.
    let (status, text) = fails(&["--allow-public", "--listen", "192.0.2.1:0"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("cannot listen on 192.0.2.1:0"), "{text}");

    for (args, said) in [
        (["--listen", "nowhere"], "must be HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "at most 65535"),
        (["--cors", "nope"], "must be an origin"),
        (["--stream", ""], "must name a stream"),
        (["--max-body", "0"], "at least one byte"),
        (["--keep-bytes", "8 boxes"], "must be a size"),
    ] {
        let (status, text) = fails(&args);
        assert_eq!(status, Some(2), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_wish_for_a_log_that_cannot_be_read_is_told() {
    for wish in ["tailwater=loud", "bogus="] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
        command.env("TAILWATER_LOG", wish);
        // It ends before it listens.
        command.args(["serve", "--listen", "0.0.0.0:0"]);
        let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
        let warning = format!("warning: TAILWATER_LOG is `{wish}`, which cannot be read");
        assert!(said.starts_with(&warning), "{said}");
        assert!(said.contains("`warn` is used"), "{said}");
    }
}

#[tokio::test]
async fn tokens_come_from_a_file() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.path()).unwrap();
    let file = dir.path().join("tokens.json");
    let path = file.to_str().unwrap();
    for (json, wrong) in [
        ("[{\"token\":\"a\"}]", "token 1: allows nothing"),
        (
            "[{\"token\":\"a\",\"rights\":\"all\"}]",
            "unknown variant `all`",
        ),
        (
            "[{\"token\":\"\",\"rights\":\"read\"}]",
            "token 1: is empty",
        ),
    ] {
        std::fs::write(&file, json).unwrap();
        let (status, text) = fails(&["--tokens", path, "--listen", "127.0.0.1:0"]);
        assert_eq!(status, Some(1));
        assert!(text.contains(wrong), "{text}");
    }
    std::fs::write(
        &file,
        "[{\"token\":\"s3cret\",\"prefix\":\"a\",\"rights\":\"read-write\"}]",
    )
    .unwrap();
    let program = Program::start(&["--tokens", path]);
    let streams = Streams::at(&program.url);
    assert_eq!(streams.put("a", "text/plain", "").await.status, 401);
    let streams = streams.with_token("s3cret");
    assert_eq!(streams.put("a", "text/plain", "").await.status, 201);
    assert_eq!(streams.put("b", "text/plain", "").await.status, 403);
}
