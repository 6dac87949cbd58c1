//! The workload `events`: its making, and its results computed from scratch.

mod generate;
mod recompute;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use generate::{JsonLines, SEED, Sizes, Workload};
use recompute::State;

/// Writes `load.jsonl` and `changes.jsonl`.
pub(crate) fn write(dir: &Path, quick: bool) -> io::Result<()> {
    let sizes = Sizes::of(quick);
    let (mut lines, mut ops) = (JsonLines::default(), Workload::new(sizes, SEED));
    for (file, count) in [
        ("load.jsonl", sizes.loaded()),
        ("changes.jsonl", sizes.changes),
    ] {
        let mut file = BufWriter::new(File::create(dir.join(file))?);
        for op in ops.by_ref().take(count) {
            writeln!(file, "{}", lines.line(&op))?;
        }
        file.flush()?;
    }
    Ok(())
}

/// What a query must answer after so many changes, as lines of JSON.
pub(crate) fn expected(query: &str, changes: usize, quick: bool) -> Vec<String> {
    let sizes = Sizes::of(quick);
    let ops = Workload::new(sizes, SEED).take(sizes.loaded() + changes);
    recompute::expected(query, &State::of(ops))
}
