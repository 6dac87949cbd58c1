//! `tailwater watch`: results as tables in the terminal that follow the events.

mod live;
mod remote;
mod row;
mod screen;
mod table;
mod time;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

use clap::CommandFactory;
use clap::error::ErrorKind;
use tailwater::engine::{Batch, Engine, QueryId};
use tailwater::plan::{Expr, Part, Plan};

use super::args::{Args, WatchArgs};
use super::clock::Clock;
use super::input::Input;
use super::loader::{Loader, Notes};
use super::{note, read_catalog, read_query, workers};
use table::{Canvas, Panel};

/// Runs the command.
pub(super) fn run(args: &WatchArgs) -> Result<ExitCode> {
    let Some(events) = &args.events else {
        if let Some(file) = args.queries.iter().find(|query| !remote::is_address(query)) {
            let message = format!("{file} is watched over --events FILE, which is missing\n");
            let mut command = Args::command();
            command
                .error(ErrorKind::MissingRequiredArgument, message)
                .exit();
        }
        return remote::run(args);
    };
    if let Some(address) = args.queries.iter().find(|query| remote::is_address(query)) {
        let message = format!("{address} has events of its own; leave out --events\n");
        Args::command()
            .error(ErrorKind::ArgumentConflict, message)
            .exit();
    }
    let catalog = read_catalog(args.input.schema.as_deref())?;
    let Some(mut engine) = workers::start(&args.workers, &args.memory, &catalog)? else {
        return Ok(ExitCode::SUCCESS);
    };
    args.input.clock.tick(&mut engine);
    let mut panels = Vec::new();
    for path in &args.queries {
        let id = engine.install(&read_query(Path::new(path))?);
        let id = id.with_context(|| path.clone())?;
        let view = engine.view(id).expect("the query is installed");
        let columns = columns(view.plan());
        panels.push((id, Panel::new(&title(Path::new(path)), &columns)));
    }
    let live = !args.plain && io::stdout().is_terminal();
    let input = if live {
        Input::open
    } else {
        Input::open_with_progress
    }(events)?;
    let notes = if live {
        Notes::Later(Vec::new())
    } else {
        Notes::Now(input.bar().clone())
    };
    let loader = Loader::new(input.name(), &catalog, args.batch, notes);
    let mut session = Session {
        engine,
        panels,
        loader,
        clock: args.input.clock,
        limit: args.rows,
        events: 0,
        batches: 0,
        stopped: Vec::new(),
    };

    let summary = if live {
        Some(live::play(&mut session, input, args.speed)?)
    } else {
        session.read(input)?;
        None
    };
    session.print(summary)?;
    let Session {
        engine,
        panels,
        loader,
        stopped,
        ..
    } = session;
    for text in &stopped {
        note(format_args!("error: {text}"));
    }
    let plans: Vec<_> = panels
        .iter()
        .filter_map(|(id, _)| Some(engine.view(*id)?.plan().clone()))
        .collect();
    let clean = loader.finish(plans.iter().map(|plan| &**plan));
    Ok(if clean && stopped.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The columns that are known before there are rows.
fn columns(plan: &Plan) -> Vec<&str> {
    match &plan.output {
        Expr::Object(parts) => parts
            .iter()
            .filter_map(|part| match part {
                Part::Field(name, _) => Some(name.as_str()),
                Part::Spread(_) => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn title(path: &Path) -> String {
    path.file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// The text, if need be with its end left out.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// The queries and what was read so far.
struct Session {
    engine: Engine,
    panels: Vec<(QueryId, Panel)>,
    loader: Loader,
    clock: Clock,
    /// The most rows to show of a result.
    limit: usize,
    events: u64,
    batches: u64,
    /// Of each query that was stopped, why.
    stopped: Vec<String>,
}

impl Session {
    fn read(&mut self, mut input: Input) -> Result<()> {
        while let Some(line) = input.next_line()? {
            self.line(line)?;
        }
        self.end();
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let mut batches = Vec::new();
        if self.engine.has_clock() {
            self.clock.see(line);
        }
        self.loader.line(line, &mut batches)?;
        batches.into_iter().for_each(|batch| self.apply(batch));
        self.drop_stopped();
        workers::check(&self.engine)
    }

    fn end(&mut self) {
        let mut batches = Vec::new();
        self.loader.flush(&mut batches);
        batches.into_iter().for_each(|batch| self.apply(batch));
        self.engine.finish();
        self.drop_stopped();
    }

    /// Shows no longer what needed too much memory, and says so.
    fn drop_stopped(&mut self) {
        for (id, failure) in self.engine.take_failures() {
            let place = self.panels.iter().position(|(panel, _)| *panel == id);
            let (_, panel) = self.panels.remove(place.expect("every query has a panel"));
            self.stopped
                .push(format!("{} was stopped: {failure}", panel.title()));
        }
    }

    fn apply(&mut self, batch: Batch) {
        self.events += batch.len() as u64;
        self.batches += 1;
        self.tick();
        self.engine.apply(batch);
    }

    /// Lets time pass.
    fn tick(&mut self) {
        if self.engine.has_clock() {
            self.clock.tick(&mut self.engine);
            self.drop_stopped();
        }
    }

    /// Takes the results over as they are now.
    fn refresh(&mut self, now: Instant) {
        for (id, panel) in &mut self.panels {
            let view = self.engine.view(*id).expect("the query is installed");
            let first = view.rows().take(self.limit);
            panel.refresh(view.len(), first.map(|row| (row.key(), row.json())), now);
        }
    }

    /// Prints the tables as they are at the end, below each other.
    fn print(&mut self, summary: Option<String>) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        // Text that goes to a file or a pipe is not cut.
        let width = io::stdout().is_terminal().then(crossterm::terminal::size);
        let width = width.and_then(Result::ok).map(|(width, _)| width.into());
        let canvas = Canvas {
            width,
            changes: None,
        };
        if let Some(summary) = &summary {
            writeln!(out, "{summary}")?;
        }
        self.refresh(Instant::now());
        for (i, (_, panel)) in self.panels.iter_mut().enumerate() {
            if i > 0 || summary.is_some() {
                writeln!(out)?;
            }
            for line in panel.draw(self.limit, &canvas) {
                writeln!(out, "{line}")?;
            }
        }
        out.flush()
    }
}
