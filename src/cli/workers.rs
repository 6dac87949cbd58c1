//! Engines on one or on several workers.

use std::sync::Arc;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap::error::ErrorKind;

use tailwater::engine::{Engine, Workers, follow};
use tailwater::schema::Catalog;

use super::args::{Args, MemoryArgs, WorkersArgs};
use super::{note, read_text};

/// The engine of this process; none if it has followed another one, which has ended.
pub(super) fn start(
    args: &WorkersArgs,
    memory: &MemoryArgs,
    catalog: &Arc<Catalog>,
) -> Result<Option<Engine>> {
    let workers = workers(args)?;
    if workers.count() > 1 && memory.is_limited() {
        let message =
            "limits of memory know nothing of other workers: leave them out, or stay at one\n";
        Args::command()
            .error(ErrorKind::ArgumentConflict, message)
            .exit();
    }
    if workers.is_cluster() {
        let others: Vec<String> = workers
            .others()
            .map(|(process, host)| format!("process {process} at {host}"))
            .collect();
        note(format_args!("waiting for {}", others.join(", ")));
    }
    if !workers.is_first() {
        follow(catalog, &workers)?;
        return Ok(None);
    }
    let mut engine = Engine::with_workers(catalog.clone(), &workers)?;
    memory.apply(&mut engine);
    Ok(Some(engine))
}

/// Who computes.
pub(super) fn workers(args: &WorkersArgs) -> Result<Workers> {
    let workers = match (&args.hosts, args.process) {
        (Some(file), Some(process)) => {
            let text = read_text(file)?;
            let lines = text.lines().map(str::trim);
            let hosts = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
            let hosts: Vec<String> = hosts.map(str::to_owned).collect();
            if !hosts.is_empty() && process >= hosts.len() {
                let last = hosts.len() - 1;
                let file = file.display();
                let message = format!("--process must be from 0 to {last}, as {file} says\n");
                Args::command()
                    .error(ErrorKind::ValueValidation, message)
                    .exit();
            }
            Workers::cluster(args.workers, hosts, process)
                .with_context(|| file.display().to_string())?
        }
        _ => Workers::threads(args.workers),
    };
    if workers.count() > 1 {
        silence_workers();
    }
    Ok(workers)
}

/// Whether all workers are there.
pub(super) fn check(engine: &Engine) -> Result<()> {
    match engine.lost() {
        Some(lost) => {
            Err(lost).context("nothing can be computed any more: start all processes again")
        }
        None => Ok(()),
    }
}

/// The threads of workers and connections panic when a connection is lost or a worker fails. That is
/// reported as an error, and needs no second report.
fn silence_workers() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        if !thread
            .name()
            .is_some_and(|name| name.starts_with("timely:"))
        {
            report(panic);
        }
    }));
}
