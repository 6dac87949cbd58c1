//! The engine `dbsp`: circuits written by hand, with one worker. Rows come in by
//! `add_input_map`, which keeps them by key; each result is accumulated over a transaction and
//! applied to the subscriber's copy.

mod engine;
mod events;
mod live;
mod nexmark;
#[path = "../../../program/mod.rs"]
mod program;
mod row;
#[path = "../../shared/mod.rs"]
mod shared;
mod tpch;

use std::error::Error;

use engine::Dbsp;
use events::Events;
use nexmark::Nexmark;
use program::{Work, locked_version};
use tpch::Tpch;

#[global_allocator]
static ALLOCATOR: dbsp::mimalloc::MiMalloc = dbsp::mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let work = Work::from_args(std::env::args().skip(2))?;
    let version = locked_version(include_str!("../Cargo.lock"), "dbsp");
    match work.workload() {
        "events" => work.run::<Dbsp<Events>>(version),
        "nexmark" => work.run::<Dbsp<Nexmark>>(version),
        "tpch" => work.run::<Dbsp<Tpch>>(version),
        workload => Err(format!("no circuits for {workload}").into()),
    }
}
