//! The commands, and what they share: files named in errors, notes on stderr.

mod args;
mod clock;
mod demo;
mod event_time;
mod explain;
mod input;
mod loader;
mod query;
mod serve;
mod watch;
mod workers;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

pub(crate) use args::Args;
use args::Command;
use tailwater::query::{Query, QueryFile};
use tailwater::schema::Catalog;
use tailwater::sql::SqlError;

/// Runs the command of the arguments.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Query(args) => query::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(args),
    }
}

/// Whether the error is that nobody reads the output any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Says something on stderr. Where nobody listens there, it is lost, and the work goes on.
pub(crate) fn note(message: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{}", printable(&message.to_string()));
}

/// Says what ended a command.
pub(crate) fn fail(error: &anyhow::Error) {
    let text = format!("error: {error:#}");
    // A statement is shown in lines of its own.
    match error.chain().any(|cause| cause.is::<SqlError>()) {
        true => text.lines().for_each(|line| note(format_args!("{line}"))),
        false => note(format_args!("{text}")),
    }
}

/// The text with control characters escaped, so that data cannot steer the terminal.
fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            safe.extend(c.escape_default())
        } else {
            safe.push(c)
        }
    }
    safe
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to() + 1;
        anyhow!("{}: not valid UTF-8 at byte {place}", path.display())
    })?;
    // Some editors put a byte order mark in front.
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// A query file, which its name says to be SQL or JSON.
fn read_query(path: &Path) -> Result<Query> {
    let text = read_text(path)?;
    let is_sql = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("sql"));
    let named = || path.display().to_string();
    Ok(match is_sql {
        true => QueryFile::from_sql(&text).with_context(named)?.query,
        false => match QueryFile::from_json(&text) {
            Err(error) if looks_like_sql(&text) => {
                return Err(anyhow!("{error} (a file of SQL ends in .sql)")).with_context(named);
            }
            read => read.with_context(named)?.query,
        },
    })
}

/// Whether the first word that is no comment begins a statement.
fn looks_like_sql(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with("--"));
    let word = first.and_then(|line| line.split(|c: char| !c.is_alphabetic()).next());
    word.is_some_and(|word| ["select", "with"].contains(&word.to_ascii_lowercase().as_str()))
}

/// The catalog of a schema file; without one, every event type is a collection.
fn read_catalog(path: Option<&Path>) -> Result<Arc<Catalog>> {
    let catalog = match path {
        Some(path) => {
            Catalog::from_json(&read_text(path)?).with_context(|| path.display().to_string())?
        }
        None => Catalog::open(),
    };
    Ok(Arc::new(catalog))
}
