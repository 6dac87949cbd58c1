//! The Node process that asks TanStack DB: a JSON line there, a JSON line back.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Once;

use serde_json::{Value, json};

use crate::oracle::Case;

pub(super) struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub(super) fn start() -> Peer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
        install(&folder);
        let mut child = Command::new("node")
            .arg(folder.join("tanstack.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs Node 20 or newer as `node`");
        Peer {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// The case of a seed with TanStack's results, or why there are none.
    pub(super) fn generate(&mut self, seed: u64) -> Result<(Case, Vec<Value>), String> {
        let answer = self.ask(&json!({"seed": seed}))?;
        let batches = answer["case"]["batches"].as_array().unwrap();
        let case = Case {
            seed,
            query: answer["case"]["query"].clone(),
            batches: batches
                .iter()
                .map(|b| b.as_array().unwrap().clone())
                .collect(),
        };
        Ok((case, answer["snapshots"].as_array().unwrap().clone()))
    }

    /// TanStack's results of a case; `fresh` asks a new live query at every step.
    pub(super) fn answer(&mut self, case: &Case, fresh: bool) -> Result<Vec<Value>, String> {
        let case = json!({"query": case.query, "batches": case.batches});
        let answer = self.ask(&json!({"case": case, "fresh": fresh}))?;
        Ok(answer["snapshots"].as_array().unwrap().clone())
    }

    /// TanStack's results also of a case that is known to differ.
    pub(super) fn raw_answer(&mut self, case: &Case) -> Result<Vec<Value>, String> {
        let case = json!({"query": case.query, "batches": case.batches});
        let answer = self.ask(&json!({"case": case, "raw": true}))?;
        Ok(answer["snapshots"].as_array().unwrap().clone())
    }

    fn ask(&mut self, request: &Value) -> Result<Value, String> {
        writeln!(self.input, "{request}").expect("the peer reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the peer answers");
        let answer: Value = serde_json::from_str(&line).expect("an answer in JSON");
        match answer["skip"].as_str() {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(answer),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Installs the peer's packages, once, if they are missing.
fn install(folder: &Path) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if folder.join("node_modules/@tanstack/db").exists() {
            return;
        }
        let done = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--prefix"])
            .arg(folder)
            .status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "TanStack DB is not installed: run `npm ci --prefix tests/peers`"
        );
    });
}
