//! Makes the workloads that come from crates, as State Protocol messages: `WORKLOAD DIR full|quick`
//! writes `DIR/load.jsonl` and `DIR/changes.jsonl`.

mod lines;
mod nexmark;
mod tpch;

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let workload = args.next().ok_or("WORKLOAD is missing")?;
    let dir = PathBuf::from(args.next().ok_or("DIR is missing")?);
    let quick = args.next().is_some_and(|size| size == "quick");
    match workload.as_str() {
        "nexmark" => nexmark::write(&dir, quick)?,
        "tpch" => tpch::write(&dir, quick)?,
        _ => return Err(format!("{workload} is not made here").into()),
    }
    Ok(())
}
