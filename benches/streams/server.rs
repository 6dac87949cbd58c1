//! Servers as processes of their own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Error;

/// The servers, in the order of their turns.
pub(crate) const KINDS: [&str; 3] = ["tailwater", "tailwater --data", "reference"];

pub(crate) struct Server {
    process: Child,
    address: String,
    data: Option<PathBuf>,
}

impl Server {
    pub(crate) fn start(kind: &str) -> Result<Server, Error> {
        let mut data = None;
        let mut command = match kind {
            "reference" => {
                let mut node = Command::new("node");
                node.arg(script("reference-server.mjs"));
                node
            }
            _ => {
                let mut own = Command::new(env!("CARGO_BIN_EXE_tailwater"));
                own.args(["serve", "--listen", "127.0.0.1:0"]);
                if kind.ends_with("--data") {
                    let folder = format!("tailwater-bench-{}", std::process::id());
                    let folder = std::env::temp_dir().join(folder);
                    own.arg("--data").arg(&folder);
                    data = Some(folder);
                }
                own
            }
        };
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let start = line
            .find("http://")
            .ok_or(format!("{kind} did not start: {line}"))?;
        let address = line[start..].trim_end_matches(['\n', '"', '}']).to_owned();
        Ok(Server {
            process,
            address,
            data,
        })
    }

    /// The URL of a stream.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/v1/stream/{path}", self.address)
    }

    /// The most memory the process has had, in MiB.
    pub(crate) fn peak_memory(&self) -> Result<f64, Error> {
        peak_memory(&self.process.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(data) = &self.data {
            let _ = std::fs::remove_dir_all(data);
        }
    }
}

/// The most memory a process has had, in MiB.
pub(crate) fn peak_memory(process: &str) -> Result<f64, Error> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line
        .and_then(|l| l.split_whitespace().next())
        .ok_or("no VmHWM")?
        .parse()?;
    Ok(kib / 1024.0)
}

/// A program of the npm side.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers/streams")
        .join(name)
}
