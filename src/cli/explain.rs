//! `tailwater explain`: the plans of queries as text, JSON or DOT, and what their steps did.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;

use tailwater::engine::{Batch, Engine, QueryId};
use tailwater::plan::Explained;
use tailwater::query::Query;

use super::args::{ExplainArgs, Format};
use super::input::Input;
use super::loader::{Loader, Notes};
use super::{read_catalog, read_query};

#[derive(Serialize)]
struct Line<'a> {
    query: &'a str,
    #[serde(flatten)]
    explained: &'a Explained,
}

/// A query of the command line.
struct Named {
    name: String,
    query: Query,
    id: QueryId,
}

/// Runs the command.
pub(super) fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let catalog = read_catalog(args.input.schema.as_deref())?;
    let mut engine = Engine::with_catalog(catalog);
    engine.set_timing(args.analyze);
    args.input.clock.tick(&mut engine);
    let mut queries = Vec::new();
    for path in &args.queries {
        let name = path.display().to_string();
        let query = read_query(path)?;
        let id = engine.install(&query).context(name.clone())?;
        queries.push(Named { name, query, id });
    }
    let mut clean = true;
    let plans = match &args.events {
        None => {
            let plan = |query: &Named| engine.explain(query.id).expect("it is installed");
            queries.iter().map(plan).collect()
        }
        Some(events) => {
            let look = |engine: &Engine, query: &Named| {
                let plan = engine.analyze(query.id);
                plan.with_context(|| format!("{}: the query was stopped", query.name))
            };
            let before: Result<Vec<_>> = queries.iter().map(|q| look(&engine, q)).collect();
            let begun = Instant::now();
            clean = feed(&mut engine, events, args, &queries)?;
            let elapsed = begun.elapsed();
            let looked = queries.iter().zip(before?);
            looked
                .map(|(query, before)| Ok(look(&engine, query)?.since(&before, elapsed)))
                .collect::<Result<Vec<_>>>()?
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    for (i, (Named { name, query, .. }, plan)) in queries.iter().zip(plans).enumerate() {
        let explained = &Explained::new(query, plan);
        match args.format {
            Format::Text => {
                if args.queries.len() > 1 {
                    writeln!(out, "{}{name}:", if i > 0 { "\n" } else { "" })?;
                }
                write!(out, "{explained}")?;
            }
            Format::Json => {
                let line = Line {
                    query: name,
                    explained,
                };
                serde_json::to_writer(&mut out, &line).map_err(io::Error::from)?;
                writeln!(out)?;
            }
            Format::Dot => write!(out, "// {name}\n{}", explained.to_dot())?,
        }
    }
    out.flush()?;
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Lets the queries see all events; whether all of these were right.
fn feed(engine: &mut Engine, events: &Path, args: &ExplainArgs, queries: &[Named]) -> Result<bool> {
    let mut input = Input::open_with_progress(events)?;
    let notes = Notes::Now(input.bar().clone());
    let catalog = engine.catalog().clone();
    let mut loader = Loader::new(input.name(), &catalog, args.batch, notes);
    let mut clock = args.input.clock;
    let mut batches: Vec<Batch> = Vec::new();
    let step = |engine: &mut Engine, clock: &super::clock::Clock, batches: &mut Vec<Batch>| {
        for batch in batches.drain(..) {
            if engine.has_clock() {
                clock.tick(engine);
            }
            engine.apply(batch);
        }
    };
    while let Some(line) = input.next_line()? {
        clock.see(line);
        loader.line(line, &mut batches)?;
        step(engine, &clock, &mut batches);
    }
    loader.flush(&mut batches);
    step(engine, &clock, &mut batches);
    engine.finish();
    let plans: Vec<_> = queries
        .iter()
        .filter_map(|query| Some(engine.view(query.id)?.plan().clone()))
        .collect();
    Ok(loader.finish(plans.iter().map(|plan| &**plan)))
}
