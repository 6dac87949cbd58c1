//! The workload `headline`: TanStack's own case, 100,000 rows in order of which one is updated.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use fastrand::Rng;

const SEED: u64 = 0x7a11_3a7e;
const CHANGES: usize = 2_000;

/// Writes `load.jsonl` and `changes.jsonl`.
pub(crate) fn write(dir: &Path, quick: bool) -> io::Result<()> {
    let rows = if quick { 10_000 } else { 100_000 };
    let mut rng = Rng::with_seed(SEED);
    let mut file = BufWriter::new(File::create(dir.join("load.jsonl"))?);
    for id in 0..rows {
        line(&mut file, id, rng.usize(..10 * rows), "insert")?;
    }
    file.flush()?;
    let mut file = BufWriter::new(File::create(dir.join("changes.jsonl"))?);
    for _ in 0..CHANGES {
        line(
            &mut file,
            rng.usize(..rows),
            rng.usize(..10 * rows),
            "update",
        )?;
    }
    file.flush()
}

fn line(file: &mut impl Write, id: usize, rank: usize, operation: &str) -> io::Result<()> {
    writeln!(
        file,
        r#"{{"type":"items","key":"i{id:06}","value":{{"id":"i{id:06}","name":"item {id}","rank":{rank}}},"headers":{{"operation":"{operation}"}}}}"#
    )
}
