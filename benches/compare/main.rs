//! `cargo bench --bench compare`: Tailwater beside its peers, on the same work.
//!
//! Each pair of an engine and a query set runs in a fresh process (so that memory is its own),
//! engines take turns, medians are given, and every result is compared with what it must be. No peer
//! is linked: each is a program of its own in `peers/`, with its own lock file, made when it is first
//! asked for. `--help` tells the options, README.md all else.
//!
//! `workloads.rs` and `engines.rs` say what there is, `measure.rs` runs it, `rows.rs` compares
//! results, `report.rs` and `picture.rs` show figures. `program/` is what every engine's program
//! does; those of Tailwater are here, `tailwater.rs` and `cli.rs`.

mod cli;
mod engines;
mod events;
mod figures;
mod headline;
mod many;
mod measure;
mod options;
mod picture;
mod program;
mod report;
mod rows;
mod tailwater;
mod workloads;

use std::error::Error;
use std::process::ExitCode;
use std::{env, fs};

use options::Options;
use program::Work;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = env::args().skip(1).peekable();
    if args.next_if(|arg| arg == "--program").is_some() {
        return program(args);
    }
    let Some(options) = Options::parse(args)? else {
        println!("{}", options::HELP);
        return Ok(ExitCode::SUCCESS);
    };
    if options.workload == "many" {
        many::run(&options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let results = measure::results(&options)?;
    let table = report::markdown(&results, options.quick);
    print!("{table}");
    if let Some(file) = &options.markdown {
        fs::write(file, table)?;
    }
    if let Some(file) = &options.json {
        fs::write(file, report::json(&results))?;
    }
    if let Some(file) = &options.svg {
        fs::write(file, picture::svg(&results))?;
    }
    Ok(if results.wrong {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// This process measures one engine: `NAME` and the arguments of [`Work`].
fn program(mut args: impl Iterator<Item = String>) -> Result<ExitCode, Box<dyn Error>> {
    let name = args.next().unwrap_or_default();
    if name == "many" {
        many::program(&args.next().unwrap_or_default(), args.next().is_some())?;
        return Ok(ExitCode::SUCCESS);
    }
    let work = Work::from_args(args)?;
    let version = env!("CARGO_PKG_VERSION");
    match name.as_str() {
        "tailwater" => work.run::<tailwater::Tailwater>(version)?,
        "tailwater-workers" => work.run::<tailwater::Tailwater<2>>(version)?,
        "tailwater-cli" => cli::run(&work, version)?,
        _ => return Err(format!("{name} is not in this program").into()),
    }
    Ok(ExitCode::SUCCESS)
}
