//! `cargo bench --bench engine`: the engine against a hand-written program on
//! differential-dataflow, on the same work.
//!
//! Each pair of an engine and a query set runs in a fresh process (so that memory is its own),
//! engines take turns, and the median of the runs is printed as Markdown. Every run's results are
//! checked. `--help` tells the options.
//!
//! `workload.rs` makes the work, `measure.rs` measures one engine, `check.rs` knows the right
//! answers, `typed.rs` and `operators.rs` are the baseline.

mod check;
mod measure;
mod operators;
mod tailwater;
mod typed;
mod workload;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode};

use measure::{Engine, Figures, measure};
use workload::{JsonLines, Op, Query, SEED, Sizes, Workload, query_json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Run = fn(&[Query], Sizes) -> Result<Figures, String>;

/// Every engine by name. The first is what the others are compared with.
const ENGINES: &[(&str, Run)] = &[
    ("differential", measure::<typed::Typed>),
    ("tailwater", measure::<tailwater::Tailwater>),
];

impl Engine for typed::Typed {
    type Batch = Vec<typed::Prepared>;

    fn new(queries: &[Query]) -> Self {
        typed::Typed::new(queries)
    }

    fn prepare(&mut self, ops: &[Op]) -> Self::Batch {
        typed::Typed::prepare(self, ops)
    }

    fn apply(&mut self, batch: &mut Self::Batch) {
        typed::Typed::apply(self, batch);
    }

    fn result(&mut self, query: Query) -> Vec<String> {
        typed::Typed::result(self, query)
    }
}

const HELP: &str = "\
cargo bench --bench engine -- [OPTIONS]
  --runs N          runs of each pair of engine and query set; medians are printed (3)
  --queries A,B     query sets out of Q1 Q2 Q3 Q4 Q5 and all (the five at once) (all six)
  --engines A,B     engines (all)
  --quick           a tenth of the work, to see that everything runs
  --json FILE       also write the figures of every run as JSON
  --write DIR       instead: write the work to DIR as events.jsonl and q1.json to q5.json, for other programs";

struct Options {
    runs: usize,
    queries: Vec<String>,
    engines: Vec<String>,
    quick: bool,
    json: Option<String>,
    write: Option<String>,
    /// An engine and a query set: this is the process that measures them.
    child: Option<(String, String)>,
}

impl Options {
    fn sizes(&self) -> Sizes {
        if self.quick {
            Sizes::QUICK
        } else {
            Sizes::FULL
        }
    }
}

fn options() -> Result<Option<Options>, Box<dyn Error>> {
    let mut options = Options {
        runs: 3,
        queries: Query::ALL
            .iter()
            .map(|q| q.name().to_owned())
            .chain(["all".to_owned()])
            .collect(),
        engines: ENGINES.iter().map(|(name, _)| (*name).to_owned()).collect(),
        quick: false,
        json: None,
        write: None,
        child: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let list = |text: String| text.split(',').map(str::to_owned).collect();
        match arg.as_str() {
            "--bench" => {} // cargo adds it
            "--help" | "-h" => return Ok(None),
            "--quick" => options.quick = true,
            "--runs" => options.runs = value()?.parse::<usize>()?.max(1),
            "--queries" => options.queries = list(value()?),
            "--engines" => options.engines = list(value()?),
            "--json" => options.json = Some(value()?),
            "--write" => options.write = Some(value()?),
            "--child" => options.child = Some((value()?, value()?)),
            _ => return Err(format!("unknown option {arg}\n{HELP}").into()),
        }
    }
    if let Some(name) = options
        .queries
        .iter()
        .find(|name| Query::set(name).is_none())
    {
        return Err(format!("unknown query set {name}; known are Q1 Q2 Q3 Q4 Q5 all").into());
    }
    if let Some(name) = options.engines.iter().find(|name| engine(name).is_none()) {
        let known: Vec<&str> = ENGINES.iter().map(|(name, _)| *name).collect();
        return Err(format!("unknown engine {name}; known are {}", known.join(" ")).into());
    }
    Ok(Some(options))
}

fn engine(name: &str) -> Option<Run> {
    ENGINES
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, run)| *run)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let Some(options) = options()? else {
        println!("{HELP}");
        return Ok(());
    };
    if let Some((name, set)) = &options.child {
        let (engine, queries) = (
            engine(name).ok_or("unknown engine")?,
            Query::set(set).ok_or("unknown query set")?,
        );
        println!("{}", engine(&queries, options.sizes())?.to_line());
        return Ok(());
    }
    if let Some(dir) = &options.write {
        return write_work(Path::new(dir), options.sizes());
    }
    let results = Results::measured(&options)?;
    print!("{}", results.markdown());
    if let Some(file) = &options.json {
        fs::write(file, results.json(&options))?;
    }
    Ok(())
}

struct Cell {
    set: String,
    engine: String,
    runs: Vec<Figures>,
}

struct Results(Vec<Cell>);

impl Results {
    fn measured(options: &Options) -> Result<Results, Box<dyn Error>> {
        let mut cells = Vec::new();
        for set in &options.queries {
            for engine in &options.engines {
                cells.push(Cell {
                    set: set.clone(),
                    engine: engine.clone(),
                    runs: Vec::new(),
                });
            }
        }
        for run in 1..=options.runs {
            for cell in &mut cells {
                let figures = in_child(&cell.engine, &cell.set, options.quick)?;
                eprintln!(
                    "run {run}/{}  {:<3}  {:<12}  {}",
                    options.runs,
                    cell.set,
                    cell.engine,
                    described(figures)
                );
                cell.runs.push(figures);
            }
        }
        Ok(Results(cells))
    }

    /// A row for each pair of query set and engine, and below each engine but the first its ratio
    /// to the first.
    fn markdown(&self) -> String {
        let mut out = String::from(
            "| queries | engine | load, rows/s | p50 µs | p99 µs | p99.9 µs | batches, changes/s | RSS loaded MiB | peak MiB |\n\
             |---|---|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        let mut base: Option<(&str, Figures)> = None;
        for cell in &self.0 {
            let figures = Figures::median(&cell.runs);
            let texts: Vec<String> = Figures::NAMES
                .iter()
                .map(|name| shown(name, figures.get(name)))
                .collect();
            writeln!(
                out,
                "| {} | {} | {} |",
                cell.set,
                cell.engine,
                texts.join(" | ")
            )
            .expect("a string");
            match base {
                Some((set, base)) if set == cell.set => {
                    let ratios: Vec<String> = figures
                        .0
                        .iter()
                        .zip(base.0)
                        .map(|(a, b)| format!("{:.2}×", a / b))
                        .collect();
                    writeln!(out, "| {} | ratio | {} |", cell.set, ratios.join(" | "))
                        .expect("a string");
                }
                _ => base = Some((&cell.set, figures)),
            }
        }
        out
    }

    fn json(&self, options: &Options) -> String {
        let number = |v: f64| {
            if v.is_finite() {
                v.to_string()
            } else {
                "null".to_owned()
            }
        };
        let object = |figures: &Figures| {
            let fields: Vec<String> = Figures::NAMES
                .iter()
                .map(|name| format!(r#""{name}":{}"#, number(figures.get(name))))
                .collect();
            format!("{{{}}}", fields.join(","))
        };
        let cells: Vec<String> = self
            .0
            .iter()
            .map(|cell| {
                let runs: Vec<String> = cell.runs.iter().map(object).collect();
                let median = object(&Figures::median(&cell.runs));
                let (set, engine) = (&cell.set, &cell.engine);
                format!(
                    r#"{{"queries":"{set}","engine":"{engine}","median":{median},"runs":[{}]}}"#,
                    runs.join(",")
                )
            })
            .collect();
        let Sizes {
            users,
            events,
            changes,
            single,
            batch,
        } = options.sizes();
        let sizes = format!(
            r#"{{"users":{users},"events":{events},"changes":{changes},"single":{single},"batch":{batch}}}"#
        );
        format!(
            "{{\"sizes\":{sizes},\"results\":[\n{}\n]}}\n",
            cells.join(",\n")
        )
    }
}

fn shown(name: &str, value: f64) -> String {
    match name {
        "load" | "batch" => {
            let digits = format!("{value:.0}");
            let groups: Vec<&str> = digits
                .as_bytes()
                .rchunks(3)
                .rev()
                .map(|g| str::from_utf8(g).unwrap_or(""))
                .collect();
            groups.join(",")
        }
        "rss" | "peak" => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

fn described(figures: Figures) -> String {
    let texts: Vec<String> = Figures::NAMES
        .iter()
        .map(|n| format!("{n} {}", shown(n, figures.get(n))))
        .collect();
    texts.join("  ")
}

fn in_child(engine: &str, set: &str, quick: bool) -> Result<Figures, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    // With its default delay the allocator gives large blocks back and takes them again all the
    // time, and the kernel's clearing of their pages halves the load rate of any engine. Set it
    // yourself to see that.
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        command.env("MIMALLOC_PURGE_DELAY", "1000");
    }
    command
        .args(["--child", engine, set])
        .args(quick.then_some("--quick"));
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    let figures = str::from_utf8(&output.stdout)
        .ok()
        .and_then(Figures::from_line);
    match figures {
        Some(figures) if output.status.success() => Ok(figures),
        _ => Err(format!("{engine} on {set} failed: {}", output.status).into()),
    }
}

fn write_work(dir: &Path, sizes: Sizes) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(dir)?;
    let mut file = BufWriter::new(fs::File::create(dir.join("events.jsonl"))?);
    let mut lines = JsonLines::default();
    for op in Workload::new(sizes, SEED) {
        writeln!(file, "{}", lines.line(&op))?;
    }
    file.flush()?;
    for query in Query::ALL {
        fs::write(
            dir.join(format!("{}.json", query.name().to_lowercase())),
            query_json(query),
        )?;
    }
    Ok(())
}
