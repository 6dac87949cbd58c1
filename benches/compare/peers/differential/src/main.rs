//! The engines `differential-interned` and `differential-string`: programs for just the queries of
//! a workload, as an engineer who knows differential-dataflow writes them by hand.
//!
//! They are the limit that a general engine is measured against, so nothing in them is dynamic: rows
//! are structs, queries are code. The current rows live in hash maps outside of the dataflow and
//! give the retractions. All queries stand in one dataflow with one tick an epoch. Aggregates and
//! the ordered window are custom operators (`operators.rs`); joins are differential's own over
//! arrangements. Columns that no query needs are dropped before an arrangement. What a query says
//! in a tick is consolidated at its sink and applied to the subscriber's own copy of the result.

mod engine;
mod events;
mod live;
mod operators;
#[path = "../../../program/mod.rs"]
mod program;
#[path = "../../shared/mod.rs"]
mod shared;
mod table;
mod text;
mod totals;
mod tpch;

use std::error::Error;

use compact_str::CompactString;

use engine::Typed;
use events::Events;
use program::{Work, locked_version};
use text::Symbol;
use tpch::Tpch;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let engine = args.next().ok_or("ENGINE is missing")?;
    let work = Work::from_args(args)?;
    let version = locked_version(include_str!("../Cargo.lock"), "differential-dataflow");
    match (engine.as_str(), work.workload()) {
        ("differential-interned", "events") => work.run::<Typed<Events<Symbol>>>(version),
        ("differential-string", "events") => work.run::<Typed<Events<CompactString>>>(version),
        ("differential-interned", "tpch") => work.run::<Typed<Tpch>>(version),
        (engine, workload) => Err(format!("{engine} has no program for {workload}").into()),
    }
}
