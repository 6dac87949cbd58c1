//! `tailwater query`: one query over a file of events, its result or changes as JSON lines.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::ops::Deref;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use tailwater::engine::{Batch, Bytes, Engine, MemoryReport, QueryId};
use tailwater::view::{ChangeKind, ChangeSet, ResultRow, View};

use super::args::{Emit, QueryArgs};
use super::clock::Clock;
use super::input::Input;
use super::loader::{Loader, Notes};
use super::{note, read_catalog, read_query, workers};

/// Runs the command.
pub(super) fn run(args: &QueryArgs) -> Result<ExitCode> {
    let query = read_query(&args.query)?;
    let catalog = read_catalog(args.input.schema.as_deref())?;
    let Some(mut engine) = workers::start(&args.workers, &args.memory, &catalog)? else {
        return Ok(ExitCode::SUCCESS);
    };
    args.input.clock.tick(&mut engine);
    let id = engine
        .install(&query)
        .with_context(|| args.query.display().to_string())?;

    // A bar between lines of output on one terminal would garble both.
    let quiet = args.emit == Emit::Rows || !io::stdout().is_terminal();
    let open = if quiet {
        Input::open_with_progress
    } else {
        Input::open
    };
    let mut input = open(&args.events)?;
    let mut loader = Loader::new(
        input.name(),
        &catalog,
        args.batch,
        Notes::Now(input.bar().clone()),
    )
    .strict(args.strict);

    let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut run = Run {
        engine,
        id,
        clock: args.input.clock,
        emit: args.emit,
        batches: 0,
        out,
    };
    if let Err(error) = run.read(&mut input, &mut loader) {
        // What was said before the fault stays said.
        run.out.flush()?;
        return Err(error);
    }
    let in_snapshot = run.engine.store().in_snapshot();
    if in_snapshot {
        note(format_args!(
            "warning: the input ended inside a snapshot; its rows were not applied"
        ));
    }
    run.finish()?;
    let is_cut = run.engine.is_cut(id);
    if is_cut {
        note(format_args!(
            "warning: a recursion was ended after its last round; rows may be missing \
             (`maxRounds` in the query says how many there are)"
        ));
    }
    if args.stats {
        let stats = Stats(&run.engine.memory()).to_string();
        stats.lines().for_each(|line| note(format_args!("{line}")));
    }
    let clean = loader.finish(std::iter::once(&**view(&run.engine, id).plan()));
    Ok(if clean && !in_snapshot && !is_cut {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Run {
    engine: Engine,
    id: QueryId,
    clock: Clock,
    emit: Emit,
    /// How many batches were applied.
    batches: u64,
    out: BufWriter<StdoutLock<'static>>,
}

impl Run {
    fn read(&mut self, input: &mut Input, loader: &mut Loader) -> Result<()> {
        let mut batches = Vec::new();
        while let Some(line) = input.next_line()? {
            if self.engine.has_clock() {
                self.clock.see(line);
            }
            let taken = loader.line(line, &mut batches);
            batches.drain(..).try_for_each(|batch| self.step(batch))?;
            taken?;
            if input.is_drained() {
                // Who follows a live stream wants to see what is there, not a full buffer.
                self.out.flush()?;
            }
        }
        loader.flush(&mut batches);
        batches.drain(..).try_for_each(|batch| self.step(batch))?;
        Ok(())
    }

    fn step(&mut self, batch: Batch) -> Result<()> {
        self.tick()?;
        let changed = self.engine.apply(batch);
        self.check()?;
        self.say(changed.get(&self.id), true)?;
        self.batches += 1;
        Ok(())
    }

    /// Whether the query still runs.
    fn check(&mut self) -> Result<()> {
        if let Some((_, failure)) = self.engine.take_failures().pop() {
            return Err(failure).context("the query was stopped");
        }
        workers::check(&self.engine)
    }

    /// Moves the clock, and says what that did.
    fn tick(&mut self) -> Result<()> {
        if !self.engine.has_clock() {
            return Ok(());
        }
        let changed = self.clock.tick(&mut self.engine);
        self.check()?;
        match changed.get(&self.id) {
            // Before the first batch, a reader knows of nothing.
            Some(changes) if self.emit == Emit::Changes && self.batches > 0 => {
                let clock = jiff::Timestamp::from_millisecond(self.engine.clock());
                let clock = clock.expect("it came from a time").to_string();
                Ok(write_line(&mut self.out, &ClockLine { clock, changes })?)
            }
            _ => Ok(()),
        }
    }

    /// Ends the input, which is one more batch if it changes the result.
    fn finish(&mut self) -> Result<()> {
        self.tick()?;
        let changed = self.engine.finish();
        self.check()?;
        // Of an input without any batch, there may still be rows to tell of.
        let first = self.batches == 0 && self.emit == Emit::Changes;
        self.say(changed.get(&self.id), first)?;
        if self.emit == Emit::Rows {
            let view = view(&self.engine, self.id);
            for row in view.rows() {
                write_line(&mut self.out, &row)?;
            }
        }
        Ok(self.out.flush()?)
    }

    /// Says what a batch did, of which the result's changes are given.
    fn say(&mut self, changes: Option<&ChangeSet>, batch_came: bool) -> io::Result<()> {
        let (batch, view, out) = (self.batches, view(&self.engine, self.id), &mut self.out);
        match self.emit {
            // A reader starts from nothing: rows that are there without any event come along.
            Emit::Changes if batch == 0 && batch_came => match view.is_empty() {
                true => Ok(()),
                false => write_line(
                    out,
                    &FirstLine {
                        batch,
                        changes: Inserts(&view),
                    },
                ),
            },
            Emit::Changes => match changes {
                Some(changes) => write_line(out, &ChangesLine { batch, changes }),
                None => Ok(()),
            },
            Emit::Snapshots if batch_came || changes.is_some() => write_line(
                out,
                &SnapshotLine {
                    batch,
                    rows: Rows(&view),
                },
            ),
            Emit::Snapshots | Emit::Rows => Ok(()),
        }
    }
}

/// What there is, and what it takes.
struct Stats<'a>(&'a MemoryReport);

impl fmt::Display for Stats<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for collection in &self.0.collections {
            let (name, rows) = (&collection.name, collection.rows);
            let (bytes, each) = (collection.all_bytes(), collection.bytes_per_row());
            let bytes = Bytes(bytes);
            writeln!(f, "{name}: {rows} rows, {bytes}, {each} bytes a row")?;
        }
        for query in &self.0.queries {
            writeln!(f, "result: {} rows, {}", query.rows, Bytes(query.bytes))?;
            for operator in query.operators.iter().filter(|operator| operator.bytes > 0) {
                writeln!(f, "  {}: {}", operator.name, Bytes(operator.bytes))?;
            }
        }
        write!(f, "memory: {}", Bytes(self.0.total))
    }
}

fn view(engine: &Engine, id: QueryId) -> impl Deref<Target = View> + '_ {
    engine.view(id).expect("the query is installed")
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct ChangesLine<'a> {
    batch: u64,
    changes: &'a ChangeSet,
}

#[derive(Serialize)]
struct ClockLine<'a> {
    clock: String,
    changes: &'a ChangeSet,
}

#[derive(Serialize)]
struct FirstLine<'a> {
    batch: u64,
    changes: Inserts<'a>,
}

#[derive(Serialize)]
struct SnapshotLine<'a> {
    batch: u64,
    rows: Rows<'a>,
}

struct Rows<'a>(&'a View);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.rows())
    }
}

/// All rows of a result as changes that build it from nothing.
struct Inserts<'a>(&'a View);

/// One of them.
struct Insert<'a> {
    row: ResultRow<'a>,
    index: Option<usize>,
}

impl Serialize for Inserts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ordered = self.0.plan().ordered;
        let insert = |(i, row)| Insert {
            row,
            index: ordered.then_some(i),
        };
        serializer.collect_seq(self.0.rows().enumerate().map(insert))
    }
}

impl Serialize for Insert<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", ChangeKind::Insert.as_str())?;
        map.serialize_entry("key", &self.row.key())?;
        map.serialize_entry("value", &self.row.json())?;
        if let Some(index) = self.index {
            map.serialize_entry("index", &index)?;
        }
        map.end()
    }
}
