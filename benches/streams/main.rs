//! `cargo bench --bench streams`: the client and the embedded server beside the npm client and the
//! reference server, on the same work.
//!
//! Every pair of a client and a server does the same: append and wait, append through a producer, catch up
//! with a million small events; then many readers follow one stream over SSE. Each client runs in a
//! process of its own, servers take turns, and the medians of the runs are printed as Markdown. `--help`
//! tells the options.
//!
//! `server.rs` starts servers, `measure.rs` is the work of our client, `tests/peers/streams/measure.mjs`
//! that of the npm client.

mod measure;
mod server;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};

use measure::Work;
use server::Server;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What one process measured, by name.
type Figures = BTreeMap<String, f64>;

const HELP: &str = "\
cargo bench --bench streams -- [OPTIONS]
  --runs N      runs of each pair of client and server; medians are printed (3)
  --events N    events to catch up with (1,000,000)
  --readers N   readers that follow one stream (1,000)
  --quick       a small part of the work, to see that everything runs
  --json FILE   also write the figures of every run, an object a line";

struct Options {
    runs: usize,
    work: Work,
    json: Option<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options, Error> {
        let mut options = Options {
            runs: 3,
            work: Work::full(),
            json: None,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--runs" => options.runs = value()?.parse()?,
                "--events" => options.work.events = value()?.parse()?,
                "--readers" => options.work.readers = value()?.parse()?,
                "--quick" => (options.runs, options.work) = (1, Work::quick()),
                "--json" => options.json = Some(value()?.clone()),
                // Cargo's own.
                "--bench" => {}
                other => return Err(format!("unknown option {other}\n{HELP}").into()),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("--help") => {
            println!("{HELP}");
            Ok(())
        }
        Some("--child") => measure::child(&arguments[1..]),
        _ => Options::parse(&arguments).and_then(|options| compare(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is measured, with its unit, and whether more is better.
const TABLE: [(&str, &str); 9] = [
    ("append_p50", "append and wait, p50 µs"),
    ("append_p99", "append and wait, p99 µs"),
    ("produce", "through a producer, events/s"),
    ("catch_up", "catch up, MB/s"),
    ("catch_up_events", "catch up, events/s"),
    ("client_peak", "catch up, the client's peak memory, MiB"),
    ("fan_out_p50", "an event to all readers, p50 ms"),
    ("fan_out_p99", "an event to all readers, p99 ms"),
    ("server_peak", "the server's peak memory, MiB"),
];

fn compare(options: &Options) -> Result<(), Error> {
    let mut figures: BTreeMap<(String, &str), Vec<f64>> = BTreeMap::new();
    let mut lines = String::new();
    for run in 0..options.runs {
        for kind in server::KINDS {
            let server = Server::start(kind)?;
            measure::fill(&server.url("filled"), options.work)?;
            for client in ["tailwater", "npm"] {
                eprintln!("run {}: {client} on {kind}", run + 1);
                let mut found = Figures::new();
                for work in ["append", "produce", "catch-up", "fan-out"] {
                    // One program follows all streams, so that servers are compared by it alone.
                    if work == "fan-out" && client == "npm" {
                        continue;
                    }
                    found.extend(run_child(client, work, &server, options.work)?);
                }
                if client == "tailwater" {
                    found.insert("server_peak".into(), server.peak_memory()?);
                }
                let column = format!("{client} on {kind}");
                for (name, label) in TABLE {
                    let Some(value) = found.get(name) else {
                        continue;
                    };
                    figures
                        .entry((column.clone(), name))
                        .or_default()
                        .push(*value);
                    let line = serde_json::json!({
                        "run": run, "client": client, "server": kind, "figure": name, "unit": label, "value": value,
                    });
                    lines.push_str(&format!("{line}\n"));
                }
            }
        }
    }
    if let Some(path) = &options.json {
        std::fs::write(path, lines)?;
    }
    print(&mut figures);
    Ok(())
}

fn run_child(client: &str, work: &str, server: &Server, sizes: Work) -> Result<Figures, Error> {
    let mut command = match client {
        "npm" => {
            let mut node = Command::new("node");
            node.arg(server::script("measure.mjs"));
            node
        }
        _ => {
            let mut own = Command::new(std::env::current_exe()?);
            own.arg("--child");
            own
        }
    };
    let output = command
        .args([work, &server.url(""), &serde_json::to_string(&sizes)?])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{client} failed at {work}: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn print(figures: &mut BTreeMap<(String, &str), Vec<f64>>) {
    let mut columns: Vec<String> = figures.keys().map(|(column, _)| column.clone()).collect();
    columns.dedup();
    println!("| | {} |", columns.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len()));
    for (name, label) in TABLE {
        let cells = columns.iter().map(|column| {
            let Some(values) = figures.get_mut(&(column.clone(), name)) else {
                return String::new();
            };
            values.sort_by(f64::total_cmp);
            rounded(values[values.len() / 2])
        });
        println!("| {label} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

/// Three digits, in groups.
fn rounded(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.*}", if value < 10.0 { 2 } else { 1 });
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
