//! `tailwater explain`: the plans of queries as text, JSON or DOT.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;

use tailwater::engine::Engine;
use tailwater::plan::Explanation;

use super::args::{ExplainArgs, Format};
use super::{read_catalog, read_query};

#[derive(Serialize)]
struct Line<'a> {
    query: &'a str,
    plan: Explanation,
}

/// Runs the command.
pub(super) fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let catalog = read_catalog(args.schema.as_deref())?;
    let mut engine = Engine::with_catalog(catalog);
    let mut queries = Vec::new();
    for path in &args.queries {
        let name = path.display().to_string();
        let id = engine.install(&read_query(path)?).context(name.clone())?;
        queries.push((name, id));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    for (i, (name, id)) in queries.into_iter().enumerate() {
        let plan = engine.explain(id).expect("it is installed");
        match args.format {
            Format::Text => {
                if args.queries.len() > 1 {
                    writeln!(out, "{}{name}:", if i > 0 { "\n" } else { "" })?;
                }
                write!(out, "{plan}")?;
            }
            Format::Json => {
                serde_json::to_writer(&mut out, &Line { query: &name, plan })
                    .map_err(io::Error::from)?;
                writeln!(out)?;
            }
            Format::Dot => write!(out, "// {name}\n{}", plan.to_dot())?,
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
