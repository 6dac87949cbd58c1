//! The workload `many`, of Tailwater alone: many live queries on one collection of 200,000 rows.
//!
//! Each scenario runs in a process of its own. A change is one transaction of three updates, each of
//! which concerns one of the queries that differ in a constant, and none of the others.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use serde_json::{Value, json};
use tailwater::engine::{Engine, QueryId};
use tailwater::query::Query;

use crate::figures::shown;
use crate::options::Options;
use crate::program::memory::resident_mib;
use crate::program::{Figure, percentiles};

type Failure = Box<dyn Error>;

const ROWS: usize = 200_000;
/// How many values the queries' column has.
const VALUES: usize = 1_000;
const CHANGES: usize = 10_000;
const BATCH: usize = 1_000;
/// How often queries are installed and dropped again.
const ROUNDS: usize = 10;

/// The scenarios by name, which is what stands in `--queries`.
pub(crate) const SCENARIOS: [&str; 4] = ["10", "1000", "100-identical", "500-dropped"];

/// A figure's name in JSON, its unit, and its column's title.
const PHASES: [(&str, &str, &str); 9] = [
    ("install_first", "ms", "first install, ms"),
    ("install_last", "ms", "last install, ms"),
    ("drop", "ms", "drop, ms"),
    ("query_memory", "KiB", "a query's memory, KiB"),
    ("latency_p50", "µs", "one change, p50 µs"),
    ("latency_p99", "µs", "p99 µs"),
    ("latency_p999", "µs", "p99.9 µs"),
    ("memory_before", "MiB", "resident before, MiB"),
    ("memory_after", "MiB", "resident after, MiB"),
];

/// The process that measures one scenario.
pub(crate) fn program(scenario: &str, quick: bool) -> Result<(), Failure> {
    let size = if quick { ROWS / 10 } else { ROWS };
    let mut rows = Rows::load(size)?;
    let figures = match scenario {
        "10" => rows.queries(10, |i| i * 97)?,
        "1000" => rows.queries(1_000, |i| i)?,
        "100-identical" => rows.queries(100, |_| 7)?,
        "500-dropped" => rows.dropped(500)?,
        _ => return Err(format!("unknown scenario {scenario}").into()),
    };
    let object: BTreeMap<&str, f64> = figures.into_iter().collect();
    println!("{}", json!(object));
    Ok(())
}

struct Rows {
    engine: Engine,
    size: usize,
}

impl Rows {
    fn load(size: usize) -> Result<Rows, Failure> {
        let mut engine = Engine::new();
        for start in (0..size).step_by(BATCH) {
            let messages: Vec<String> = (start..start + BATCH).map(|id| message(id, 0)).collect();
            let batch = engine.decode(messages.iter().map(String::as_str))?;
            engine.apply(batch);
        }
        Ok(Rows { engine, size })
    }

    fn install(&mut self, constant: usize) -> Result<(QueryId, f64), Failure> {
        let query = json!({
            "from": {"type": "collectionRef", "collection": "rows", "alias": "r"},
            "where": [{"type": "func", "name": "eq", "args": [
                {"type": "ref", "path": ["r", "x"]}, {"type": "val", "value": constant}
            ]}],
        });
        let query = Query::from_json(&query.to_string())?;
        let start = Instant::now();
        let id = self.engine.install(&query)?;
        Ok((id, start.elapsed().as_secs_f64() * 1e3))
    }

    fn queries(
        &mut self,
        count: usize,
        constant: fn(usize) -> usize,
    ) -> Result<Vec<Figure>, Failure> {
        let before = resident_mib().unwrap_or_default();
        let mut times = Vec::with_capacity(count);
        for i in 0..count {
            times.push(self.install(constant(i))?.1);
        }
        let memory = (resident_mib().unwrap_or_default() - before) * 1024.0 / count as f64;
        let mut figures = vec![
            ("install_first", times[0]),
            ("install_last", times[count - 1]),
            ("query_memory", memory),
        ];
        let mut steps = Vec::with_capacity(CHANGES);
        for change in 0..CHANGES {
            // Rows with the constants of three of the queries.
            let ids = (0..3).map(|part| {
                let row = (change * 31 + part) % (self.size / VALUES);
                row * VALUES + constant((change * 3 + part) % count)
            });
            let messages: Vec<String> = ids.map(|id| message(id, change + 1)).collect();
            let batch = self.engine.decode(messages.iter().map(String::as_str))?;
            let start = Instant::now();
            std::hint::black_box(self.engine.apply(batch));
            steps.push(start.elapsed().as_secs_f64() * 1e6);
        }
        figures.extend(percentiles(steps));
        Ok(figures)
    }

    fn dropped(&mut self, count: usize) -> Result<Vec<Figure>, Failure> {
        // The first round brings what stays: buffers, tables.
        self.round(count)?;
        let before = resident_mib().unwrap_or_default();
        let mut last = 0.0;
        for _ in 0..ROUNDS {
            last = self.round(count)?;
        }
        let after = resident_mib().unwrap_or_default();
        Ok(vec![
            ("drop", last),
            ("memory_before", before),
            ("memory_after", after),
        ])
    }

    /// Installs and drops; the mean milliseconds of a drop.
    fn round(&mut self, count: usize) -> Result<f64, Failure> {
        let mut ids = Vec::with_capacity(count);
        for constant in 0..count {
            ids.push(self.install(constant)?.0);
        }
        let start = Instant::now();
        for id in ids {
            self.engine.uninstall(id);
        }
        Ok(start.elapsed().as_secs_f64() * 1e3 / count as f64)
    }
}

fn message(id: usize, version: usize) -> String {
    let row = json!({"id": id, "x": id % VALUES, "version": version, "name": format!("row {id}")});
    let message = json!({"type": "rows", "key": id.to_string(), "value": row, "headers": {"operation": "upsert"}});
    message.to_string()
}

/// Runs the scenarios, and shows the medians.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let mut table = String::from("| queries |");
    PHASES
        .iter()
        .for_each(|(.., title)| table.extend([" ", title, " |"]));
    writeln!(table, "\n|---|{}", "---:|".repeat(PHASES.len()))?;
    let mut lines = String::new();
    for scenario in &options.queries {
        let mut runs = Vec::new();
        for run in 1..=options.runs {
            eprintln!("run {run}/{}  {scenario}", options.runs);
            runs.push(measured(scenario, options.quick)?);
        }
        write!(table, "| {scenario} |")?;
        for (phase, unit, _) in PHASES {
            let mut values: Vec<f64> = runs.iter().filter_map(|run| run[phase].as_f64()).collect();
            values.sort_by(f64::total_cmp);
            let Some(value) = values.get(values.len() / 2) else {
                table.push_str(" |");
                continue;
            };
            write!(table, " {} |", shown(*value))?;
            let version = env!("CARGO_PKG_VERSION");
            let line = json!({
                "workload": "many", "engine": "tailwater", "version": version, "query": scenario,
                "phase": phase, "value": value, "unit": unit,
            });
            writeln!(lines, "{line}")?;
        }
        table.push('\n');
    }
    print!("{table}");
    if let Some(file) = &options.markdown {
        fs::write(file, &table)?;
    }
    if let Some(file) = &options.json {
        fs::write(file, lines)?;
    }
    Ok(())
}

fn measured(scenario: &str, quick: bool) -> Result<Value, Failure> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["--program", "many", scenario]);
    command.args(quick.then_some("--quick"));
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{scenario} failed: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
