//! `tailwater explain`: the plans of queries as text, JSON or DOT.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;

use tailwater::plan::{Explanation, Plan};

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
    let mut out = BufWriter::new(io::stdout().lock());
    for (i, path) in args.queries.iter().enumerate() {
        let name = path.display().to_string();
        let plan = Plan::new(&read_query(path)?, &catalog)
            .context(name.clone())?
            .explain();
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
