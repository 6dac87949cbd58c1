//! A Node process that answers: a JSON line there, a JSON line back. It ends with its input.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Once;

use serde_json::Value;

pub(crate) struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts a program of `tests/peers`.
    pub(crate) fn start(script: &str) -> Peer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
        install(&folder);
        let mut child = Command::new("node")
            .arg(folder.join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs Node 20 or newer as `node`");
        Peer {
            input: child.stdin.take().expect("piped"),
            output: BufReader::new(child.stdout.take().expect("piped")),
            child,
        }
    }

    pub(crate) fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.input, "{request}").expect("the peer reads");
        self.hear()
    }

    /// The next line that it says.
    pub(crate) fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the peer answers");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("the peer answered {line:?}: {e}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Installs the peers' packages, once, if they are missing.
pub(crate) fn install(folder: &Path) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let packages = [
            "@tanstack/db",
            "@duckdb/node-api",
            "@durable-streams/client",
            "@durable-streams/server",
            "@durable-streams/server-conformance-tests",
            "@durable-streams/state",
            "playwright-core",
            "vitest",
        ];
        let there = |name: &&str| folder.join("node_modules").join(name).exists();
        if packages.iter().all(there) {
            return;
        }
        let done = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--prefix"])
            .arg(folder)
            .status();
        assert!(
            done.as_ref().is_ok_and(|status| status.success()),
            "this test needs `npm ci --prefix tests/peers`: {done:?}"
        );
    });
}
