//! Runs every engine and query set in a process of its own, the engines in turn, and compares what
//! they answer.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::engines::{Engine, Pace, engine};
use crate::figures::{Figures, shown};
use crate::options::Options;
use crate::rows::Rows;
use crate::workloads::{Workload, workload};
use crate::{engines, events};

/// A process that has not ended by then is ended.
const PATIENCE: Duration = Duration::from_secs(900);

/// One engine with one query set.
pub(crate) struct Cell {
    pub(crate) set: String,
    pub(crate) engine: &'static Engine,
    runs: Vec<Figures>,
}

impl Cell {
    pub(crate) fn figures(&self) -> Figures {
        Figures::median(&self.runs)
    }
}

pub(crate) struct Results {
    pub(crate) workload: &'static Workload,
    pub(crate) cells: Vec<Cell>,
    /// By engine.
    pub(crate) versions: BTreeMap<&'static str, String>,
    /// What went wrong, or could not be had.
    pub(crate) notes: Vec<String>,
    /// Whether a result was not what it must be.
    pub(crate) wrong: bool,
}

pub(crate) fn results(options: &Options) -> Result<Results, String> {
    let workload = workload(&options.workload).ok_or("unknown workload")?;
    let size = if options.quick { "quick" } else { "full" };
    let dir = target().join(format!("{}-{size}", workload.name));
    workload.write(&dir, options.quick)?;
    let mut session = Session {
        dir,
        quick: options.quick,
        expected: BTreeMap::new(),
        results: Results {
            workload,
            cells: Vec::new(),
            versions: BTreeMap::new(),
            notes: Vec::new(),
            wrong: false,
        },
    };
    session.plan(options);
    session.run(options.runs);
    Ok(session.results)
}

/// Where workloads and results are kept.
fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/compare")
}

struct Session {
    dir: PathBuf,
    quick: bool,
    /// What a query must answer after so many changes.
    expected: BTreeMap<(String, usize), Rows>,
    results: Results,
}

impl Session {
    /// The cells, of the engines that can be had.
    fn plan(&mut self, options: &Options) {
        let results = &mut self.results;
        let mut ready = Vec::new();
        for engine in options.engines.iter().filter_map(|name| engine(name)) {
            let Some(covers) = results.workload.covers(engine.name) else {
                let note = format!("{} has no program for this workload", engine.name);
                eprintln!("{note}");
                results.notes.push(note);
                continue;
            };
            match engine.prepare() {
                Ok(()) => ready.push((engine, covers)),
                Err(error) => {
                    eprintln!("{} is left out: {error}", engine.name);
                    results
                        .notes
                        .push(format!("{} is left out: {error}", engine.name));
                }
            }
        }
        for set in &options.queries {
            for (engine, _) in ready.iter().filter(|(_, covers)| covers.set(set)) {
                results.cells.push(Cell {
                    set: set.clone(),
                    engine,
                    runs: Vec::new(),
                });
            }
        }
    }

    fn run(&mut self, runs: usize) {
        let runs_of = |engine: &Engine| match engine.pace {
            Pace::Library => runs,
            Pace::Script | Pace::Recompute => runs.div_ceil(2),
        };
        let all: usize = self
            .results
            .cells
            .iter()
            .map(|cell| runs_of(cell.engine))
            .sum();
        let mut done = 0;
        for run in 1..=runs {
            for at in 0..self.results.cells.len() {
                let cell = &self.results.cells[at];
                let (engine, set, runs) = (cell.engine, cell.set.clone(), runs_of(cell.engine));
                if run > runs {
                    continue;
                }
                done += 1;
                eprint!(
                    "[{done}/{all}] run {run}/{runs}  {set:<4} {:<22} ",
                    engine.name
                );
                let start = Instant::now();
                match self.cell(engine, &set) {
                    Ok((figures, version)) => {
                        let texts = figures
                            .iter()
                            .map(|(p, v)| format!("{} {}", p.name, shown(v)));
                        let texts: Vec<String> = texts.collect();
                        let seconds = start.elapsed().as_secs_f64();
                        eprintln!("{}  ({seconds:.0} s)", texts.join("  "));
                        self.results.versions.insert(engine.name, version);
                        self.results.cells[at].runs.push(figures);
                    }
                    Err(error) => {
                        eprintln!("{error}");
                        self.results.wrong = true;
                        let note = format!("{}, {set}: {error}", engine.name);
                        self.results.notes.push(note);
                    }
                }
            }
        }
    }

    /// One run of one cell: figures and version, if all results are right.
    fn cell(&mut self, engine: &'static Engine, set: &str) -> Result<(Figures, String), String> {
        let workload = self.results.workload;
        let (single, batched) = workload.changes(engine.pace, self.quick);
        let out = self.dir.join("out").join(engine.name);
        let queries = workload.set(set).ok_or("unknown query set")?;
        let figures = run_program(engine, &self.dir, &queries, (single, batched), &out)?;
        for query in queries {
            let ordered = workload.query(query).is_some_and(|query| query.ordered);
            let rows = read_rows(&out, query, ordered)?;
            let expected = self.expected(query, single + batched)?;
            if let Some(difference) = expected.difference(&rows) {
                return Err(format!("wrong result of {query}: {difference}"));
            }
        }
        let version = figures.get("version").and_then(Value::as_str);
        let version = version.unwrap_or_default().to_owned();
        Ok((Figures::of(&figures), version))
    }

    /// What the query must answer: of `events` computed from scratch, of others what Tailwater
    /// answers, given all changes at once.
    fn expected(&mut self, query: &str, changes: usize) -> Result<&Rows, String> {
        let at = (query.to_owned(), changes);
        if !self.expected.contains_key(&at) {
            let workload = self.results.workload;
            let ordered = workload.query(query).is_some_and(|query| query.ordered);
            let rows = if workload.name == "events" {
                let lines = events::expected(query, changes, self.quick);
                let lines = lines.iter().map(String::as_str);
                Rows::parse(lines, ordered).map_err(|error| error.to_string())?
            } else {
                let out = self.dir.join("out/expected");
                let tailwater = &engines::ENGINES[0];
                run_program(tailwater, &self.dir, &[query], (0, changes), &out)?;
                read_rows(&out, query, ordered)?
            };
            self.expected.insert(at.clone(), rows);
        }
        Ok(&self.expected[&at])
    }
}

fn read_rows(out: &Path, query: &str, ordered: bool) -> Result<Rows, String> {
    let file = out.join(format!("{query}.jsonl"));
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Rows::parse(text.lines(), ordered).map_err(|error| format!("{}: {error}", file.display()))
}

/// Runs an engine's program; the object it printed.
fn run_program(
    engine: &Engine,
    dir: &Path,
    queries: &[&str],
    (single, batched): (usize, usize),
    out: &Path,
) -> Result<Map<String, Value>, String> {
    let text = |error: std::io::Error| error.to_string();
    let _ = fs::remove_dir_all(out);
    fs::create_dir_all(out).map_err(text)?;
    let (stdout, stderr) = (out.join("stdout"), out.join("stderr"));
    let mut command = engine.command();
    // With its default delay mimalloc gives large blocks back and takes them again all the time,
    // and the kernel's clearing of their pages halves the load rate of any engine. Set it yourself
    // to see that.
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        command.env("MIMALLOC_PURGE_DELAY", "1000");
    }
    command
        .arg(dir)
        .args([queries.join(","), single.to_string(), batched.to_string()])
        .arg(out)
        .stdin(Stdio::null())
        .stdout(File::create(&stdout).map_err(text)?)
        .stderr(File::create(&stderr).map_err(text)?);
    let status = wait(command)?;
    let said = fs::read_to_string(&stdout).map_err(text)?;
    match serde_json::from_str(said.lines().last().unwrap_or_default()) {
        Ok(Value::Object(figures)) if status.success() => Ok(figures),
        _ => {
            let complaint = fs::read_to_string(&stderr).unwrap_or_default();
            let complaint = complaint
                .trim()
                .lines()
                .next_back()
                .unwrap_or_default()
                .to_owned();
            Err(format!("failed ({status}): {complaint}"))
        }
    }
}

fn wait(mut command: Command) -> Result<ExitStatus, String> {
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
            result => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(match result {
                    Err(error) => error.to_string(),
                    _ => format!("not done after {} s", PATIENCE.as_secs()),
                });
            }
        }
    }
}
