//! Speaks the adapter protocol of the Durable Streams client conformance suite: a JSON command a line on
//! stdin, a JSON result a line on stdout.
//!
//! ```sh
//! cargo build --release --example conformance-adapter
//! ```
//!
//! builds `target/release/examples/conformance-adapter`, to be given to the suite's `--run`.

mod commands;
mod dynamic;
mod read;
mod result;

use std::io::{BufRead, Write};

use serde_json::Value;

use commands::Adapter;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut adapter = Adapter::default();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let result = match serde_json::from_str::<Value>(&line) {
            Ok(command) => adapter.run(&command).await,
            Err(error) => result::failure("unknown", "PARSE_ERROR", &error.to_string()),
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{result}")?;
        out.flush()?;
        if result["type"] == "shutdown" {
            break;
        }
    }
    Ok(())
}
