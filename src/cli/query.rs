//! `tailwater query`: one query over a file of events, its result or changes as JSON lines.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::ser::{Serialize, SerializeMap, Serializer};

use tailwater::engine::{Batch, Engine, QueryId};
use tailwater::view::View;

use super::args::{Emit, QueryArgs};
use super::input::Input;
use super::loader::{Loader, Notes};
use super::{read_catalog, read_query};

/// Runs the command.
pub(super) fn run(args: &QueryArgs) -> Result<ExitCode> {
    let query = read_query(&args.query)?;
    let catalog = read_catalog(args.input.schema.as_deref())?;
    let mut engine = Engine::with_catalog(catalog.clone());
    let id = engine.install(&query).with_context(|| args.query.display().to_string())?;

    // A bar between lines of output on one terminal would garble both.
    let quiet = args.emit == Emit::Rows || !io::stdout().is_terminal();
    let open = if quiet { Input::open_with_progress } else { Input::open };
    let mut input = open(&args.input.events)?;
    let mut loader = Loader::new(input.name(), &catalog, args.batch, Notes::Now(input.bar().clone()))
        .strict(args.strict)
        .with_schema(args.input.schema.is_some());

    let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut run = Run { engine, id, emit: args.emit, batches: 0, out };
    let mut batches = Vec::new();
    let read = run.read(&mut input, &mut loader, &mut batches);
    if let Err(error) = read {
        // What was said before the fault stays said.
        run.out.flush()?;
        return Err(error);
    }
    run.finish()?;
    let plan = run.engine.view(id).expect("the query is installed").plan();
    let clean = loader.finish(std::iter::once(&**plan));
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Run {
    engine: Engine,
    id: QueryId,
    emit: Emit,
    /// How many batches were applied.
    batches: u64,
    out: BufWriter<StdoutLock<'static>>,
}

impl Run {
    fn view(&self) -> &View {
        self.engine.view(self.id).expect("the query is installed")
    }

    fn read(&mut self, input: &mut Input, loader: &mut Loader, batches: &mut Vec<Batch>) -> Result<()> {
        while let Some(line) = input.next_line()? {
            let taken = loader.line(line, batches);
            batches.drain(..).try_for_each(|batch| self.step(batch))?;
            taken?;
            if input.is_drained() {
                // Who follows a live stream wants to see what is there, not a full buffer.
                self.out.flush()?;
            }
        }
        loader.flush(batches);
        batches.drain(..).try_for_each(|batch| self.step(batch))?;
        Ok(())
    }

    fn step(&mut self, batch: Batch) -> io::Result<()> {
        let changed = self.engine.apply(batch);
        let batch = self.batches;
        self.batches += 1;
        match self.emit {
            Emit::Rows => Ok(()),
            // A reader starts from nothing: rows that are there without any event come along.
            Emit::Changes if batch == 0 => match self.view().is_empty() {
                true => Ok(()),
                false => self.write(&Line { batch, changes: &Inserts(self.view()) }),
            },
            Emit::Changes => match changed.get(&self.id) {
                Some(changes) => self.write(&Line { batch, changes }),
                None => Ok(()),
            },
            Emit::Snapshots => self.write(&Snapshot { batch, view: self.view() }),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        let changed = self.engine.finish();
        let batch = self.batches;
        match (self.emit, changed.get(&self.id)) {
            (Emit::Rows, _) => {
                let view = self.engine.view(self.id).expect("the query is installed");
                view.rows().try_for_each(|row| write_line(&mut self.out, &row))?;
            }
            (Emit::Changes, Some(changes)) => self.write(&Line { batch, changes })?,
            (Emit::Snapshots, Some(_)) => self.write(&Snapshot { batch, view: self.view() })?,
            (_, None) => {}
        }
        self.out.flush()
    }
}
