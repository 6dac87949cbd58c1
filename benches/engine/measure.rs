//! What is measured of one engine with one set of queries, in a process of its own: load, latency,
//! batches, memory.
//!
//! Only [`Engine::apply`] is timed: from decoded changes to every subscriber's result being up to
//! date. Making the ops and preparing them stand outside of the clock. At the end every query's
//! result is compared with a recomputation.

use std::time::Instant;

use crate::check::{State, difference};
use crate::workload::{Op, Query, SEED, Sizes, Workload};

/// What an engine must do to be measured.
pub(crate) trait Engine {
    /// Changes in the engine's own form: what it would have after decoding.
    type Batch;

    fn new(queries: &[Query]) -> Self;

    fn prepare(&mut self, ops: &[Op]) -> Self::Batch;

    /// One tick, including the subscribers' results. The engine may take what the batch holds; what
    /// is left is dropped outside of the clock.
    fn apply(&mut self, batch: &mut Self::Batch);

    /// The rows as canonical lines (see `check.rs`).
    fn result(&mut self, query: Query) -> Vec<String>;
}

/// The figures of one run, in the order of [`Figures::NAMES`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures(pub(crate) [f64; Figures::NAMES.len()]);

impl Figures {
    pub(crate) const NAMES: [&str; 7] = ["load", "p50", "p99", "p999", "batch", "rss", "peak"];

    pub(crate) fn get(&self, name: &str) -> f64 {
        Self::NAMES
            .iter()
            .position(|n| *n == name)
            .map_or(f64::NAN, |i| self.0[i])
    }

    pub(crate) fn to_line(self) -> String {
        self.0.map(|v| v.to_string()).join(" ")
    }

    pub(crate) fn from_line(line: &str) -> Option<Figures> {
        let values: Vec<f64> = line
            .split_whitespace()
            .map(|v| v.parse().ok())
            .collect::<Option<_>>()?;
        values.try_into().ok().map(Figures)
    }

    /// Each figure's median over the runs.
    pub(crate) fn median(runs: &[Figures]) -> Figures {
        let median = |i: usize| {
            let mut values: Vec<f64> = runs.iter().map(|run| run.0[i]).collect();
            values.sort_by(f64::total_cmp);
            let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
            (low + high) / 2.0
        };
        Figures(std::array::from_fn(median))
    }
}

/// One run; an error is a result that is not what it must be.
pub(crate) fn measure<E: Engine>(queries: &[Query], sizes: Sizes) -> Result<Figures, String> {
    let mut engine = E::new(queries);
    let mut ops = Workload::new(sizes, SEED);
    let load = rate(&mut engine, &mut ops, sizes.loaded(), sizes.batch);
    let rss = status_mib("VmRSS:");
    let ticks = latencies(&mut engine, &mut ops, sizes.single, sizes.batch);
    let batch = rate(
        &mut engine,
        &mut ops,
        sizes.changes - sizes.single,
        sizes.batch,
    );
    let peak = status_mib("VmHWM:");
    drop(ops);

    let state = State::of(Workload::new(sizes, SEED));
    for &query in queries {
        if let Some(difference) = difference(query, &state, &engine.result(query)) {
            return Err(difference);
        }
    }
    let [p50, p99, p999] =
        [0.5, 0.99, 0.999].map(|p| ticks[((ticks.len() - 1) as f64 * p).round() as usize]);
    Ok(Figures([load, p50, p99, p999, batch, rss, peak]))
}

/// How many batches are prepared before they are applied, so that a tick follows a tick here too.
const AHEAD: usize = 16;

/// Ops a second over `count` ops in batches.
fn rate<E: Engine>(engine: &mut E, ops: &mut Workload, count: usize, batch: usize) -> f64 {
    let (mut seconds, mut left) = (0.0, count);
    let mut part = Vec::with_capacity(batch);
    let mut prepared = Vec::with_capacity(AHEAD);
    while left > 0 {
        while left > 0 && prepared.len() < AHEAD {
            part.extend(ops.by_ref().take(batch.min(left)));
            left -= part.len();
            prepared.push(engine.prepare(&part));
            part.clear();
        }
        for mut batch in prepared.drain(..) {
            let start = Instant::now();
            engine.apply(&mut batch);
            seconds += start.elapsed().as_secs_f64();
        }
    }
    count as f64 / seconds
}

/// Microseconds of `count` single changes, sorted. They are prepared many at a time, so that a tick
/// follows a tick.
fn latencies<E: Engine>(
    engine: &mut E,
    ops: &mut Workload,
    count: usize,
    chunk: usize,
) -> Vec<f64> {
    let mut ticks = Vec::with_capacity(count);
    while ticks.len() < count {
        let part = ops.by_ref().take(chunk.min(count - ticks.len()));
        let mut prepared: Vec<E::Batch> = part.map(|op| engine.prepare(&[op])).collect();
        for change in &mut prepared {
            let start = Instant::now();
            engine.apply(change);
            ticks.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    ticks.sort_by(f64::total_cmp);
    ticks
}

/// A figure of this process's memory; not a number where the system has no /proc.
fn status_mib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| {
        line.strip_prefix(field)?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    });
    kib.map_or(f64::NAN, |kib: f64| kib / 1024.0)
}
