//! What a program that measures one engine does: the same for the engines in Rust, whatever they are.
//!
//! The protocol: the arguments of [`Work::from_args`] in; figures as one line of JSON out, and the
//! final rows of each query as `OUT/QUERY.jsonl`, one JSON object a line.
//!
//! The clock covers what [`Engine::load`], [`Engine::loaded`], [`Engine::apply`] and
//! [`Engine::install`] do: from decoded messages to every subscriber's result being up to date.
//! Reading, decoding and writing stand outside of it.

pub(crate) mod lines;
pub(crate) mod memory;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lines::Lines;

/// What an engine must do to be measured.
pub(crate) trait Engine {
    /// Changes in the engine's own form: what it would have after decoding.
    type Batch;

    /// An engine without queries. `workload` is `events`, `tpch` or another.
    fn new(workload: &Path) -> Self;

    /// Adds live queries by name, over whatever rows are there.
    fn install(&mut self, queries: &[String]);

    /// Decodes State Protocol messages.
    fn prepare(&mut self, messages: &[&str]) -> Self::Batch;

    /// One step, including the subscribers' results. The engine may take what the batch holds; what
    /// is left is dropped outside of the clock.
    fn apply(&mut self, batch: &mut Self::Batch);

    /// As [`Engine::apply`], but results need not be up to date before [`Engine::loaded`].
    fn load(&mut self, batch: &mut Self::Batch) {
        self.apply(batch);
    }

    fn loaded(&mut self) {}

    /// A result's rows as JSON objects, in the result's order if it has one.
    fn rows(&mut self, query: &str) -> Vec<String>;
}

/// What is to be done.
pub(crate) struct Work {
    /// The workload's folder: `load.jsonl`, `changes.jsonl`, `queries/`.
    pub(crate) dir: PathBuf,
    pub(crate) queries: Vec<String>,
    /// How many changes are applied one a step, and then how many in batches.
    pub(crate) single: usize,
    pub(crate) batched: usize,
    pub(crate) out: PathBuf,
}

/// A phase and what was measured.
pub(crate) type Figure = (&'static str, f64);

/// The size of a batch, in messages.
pub(crate) const BATCH: usize = 1_000;
/// How many batches are prepared before they are applied, so that a step follows a step.
const AHEAD: usize = 16;
/// Fewer samples tell nothing of such a percentile.
const PERCENTILES: [(&str, f64, usize); 3] = [
    ("latency_p50", 0.5, 1),
    ("latency_p99", 0.99, 100),
    ("latency_p999", 0.999, 1_000),
];

impl Work {
    /// `DIR Q1,Q2,… SINGLE BATCHED OUT`.
    pub(crate) fn from_args(
        mut args: impl Iterator<Item = String>,
    ) -> Result<Work, Box<dyn Error>> {
        let mut next = |name| args.next().ok_or(format!("{name} is missing"));
        Ok(Work {
            dir: next("DIR")?.into(),
            queries: next("QUERIES")?.split(',').map(str::to_owned).collect(),
            single: next("SINGLE")?.parse()?,
            batched: next("BATCHED")?.parse()?,
            out: next("OUT")?.into(),
        })
    }

    /// The workload's name: the folder is called by it, and by the size.
    #[allow(dead_code, reason = "for programs whose queries are code")]
    pub(crate) fn workload(&self) -> &str {
        let name = self.dir.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.split('-').next())
            .unwrap_or_default()
    }

    /// Measures, and prints the figures.
    pub(crate) fn run<E: Engine>(&self, version: &str) -> Result<(), Box<dyn Error>> {
        let mut figures = self.figures::<E>()?;
        figures.push(("install", self.install::<E>()?));
        print(&figures, version);
        Ok(())
    }

    fn figures<E: Engine>(&self) -> Result<Vec<Figure>, Box<dyn Error>> {
        let mut figures = Vec::new();
        let mut engine = E::new(&self.dir);
        engine.install(&self.queries);
        let (seconds, messages) = self.load(&mut engine)?;
        figures.push(("load", messages as f64 / seconds));

        let mut changes = Lines::open(&self.dir.join("changes.jsonl"))?;
        figures.extend(percentiles(self.latencies(&mut engine, &mut changes)?));
        let (seconds, messages) = timed(&mut engine, &mut changes, self.batched, E::apply)?;
        if messages > 0 {
            figures.push(("batch", messages as f64 / seconds));
        }
        figures.extend(memory::peak_mib("self").map(|mib| ("memory", mib)));

        fs::create_dir_all(&self.out)?;
        for query in &self.queries {
            let file = self.out.join(format!("{query}.jsonl"));
            fs::write(file, engine.rows(query).join("\n"))?;
        }
        Ok(figures)
    }

    /// Seconds, and messages.
    fn load<E: Engine>(&self, engine: &mut E) -> Result<(f64, usize), Box<dyn Error>> {
        let mut lines = Lines::open(&self.dir.join("load.jsonl"))?;
        let (seconds, messages) = timed(engine, &mut lines, usize::MAX, E::load)?;
        let start = Instant::now();
        engine.loaded();
        Ok((seconds + start.elapsed().as_secs_f64(), messages))
    }

    /// Microseconds of the single changes.
    fn latencies<E: Engine>(
        &self,
        engine: &mut E,
        changes: &mut Lines,
    ) -> Result<Vec<f64>, Box<dyn Error>> {
        let mut steps = Vec::with_capacity(self.single);
        while steps.len() < self.single {
            let mut prepared = Vec::new();
            while prepared.len() < BATCH.min(self.single - steps.len()) {
                let Some(change) = changes.change()? else {
                    return Err("the workload has too few changes".into());
                };
                prepared.push(engine.prepare(&change.messages()?));
            }
            for change in &mut prepared {
                let start = Instant::now();
                engine.apply(change);
                steps.push(start.elapsed().as_secs_f64() * 1e6);
            }
        }
        Ok(steps)
    }

    /// Milliseconds until queries give their results over loaded rows.
    fn install<E: Engine>(&self) -> Result<f64, Box<dyn Error>> {
        let mut engine = E::new(&self.dir);
        self.load(&mut engine)?;
        let start = Instant::now();
        engine.install(&self.queries);
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }
}

/// The percentiles of steps that took so many microseconds.
pub(crate) fn percentiles(mut steps: Vec<f64>) -> impl Iterator<Item = Figure> {
    steps.sort_by(f64::total_cmp);
    PERCENTILES.into_iter().filter_map(move |(name, p, least)| {
        let at = (steps.len().saturating_sub(1) as f64 * p).round() as usize;
        (steps.len() >= least).then(|| (name, steps[at]))
    })
}

/// Ends the protocol.
pub(crate) fn print(figures: &[Figure], version: &str) {
    let fields = figures
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value},"));
    println!(
        "{{{}\"version\":\"{version}\"}}",
        fields.collect::<String>()
    );
}

/// Applies up to `changes` changes in batches; the seconds that took, and the messages they had.
fn timed<E: Engine>(
    engine: &mut E,
    lines: &mut Lines,
    changes: usize,
    apply: fn(&mut E, &mut E::Batch),
) -> Result<(f64, usize), Box<dyn Error>> {
    let (mut seconds, mut messages, mut left) = (0.0, 0, changes);
    let mut prepared = Vec::with_capacity(AHEAD);
    loop {
        while prepared.len() < AHEAD {
            let batch = lines.batch(left, BATCH)?;
            if batch.is_empty() {
                break;
            }
            left -= batch.len();
            let mut part = Vec::with_capacity(BATCH);
            for change in &batch {
                part.extend(change.messages()?);
            }
            messages += part.len();
            prepared.push(engine.prepare(&part));
        }
        if prepared.is_empty() {
            return Ok((seconds, messages));
        }
        for mut batch in prepared.drain(..) {
            let start = Instant::now();
            apply(engine, &mut batch);
            seconds += start.elapsed().as_secs_f64();
        }
    }
}

/// A package's version in the text of a lock file.
#[allow(dead_code, reason = "not every program has a lock file")]
pub(crate) fn locked_version<'a>(lock: &'a str, package: &str) -> &'a str {
    let head = format!("name = \"{package}\"\nversion = \"");
    let version = lock.split_once(&head).map(|(_, rest)| rest);
    version
        .and_then(|rest| rest.split_once('"'))
        .map_or("", |(version, _)| version)
}
