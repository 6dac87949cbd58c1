//! Tailwater's command line: `tailwater query` over files and pipes.
//!
//! - load: a whole process over `load.jsonl`, its result's rows written out.
//! - one change: the line goes into the running process' stdin, its answer comes out of its stdout.
//!   Changes that do not concern the query have no answer, and are not counted.
//! - batches: lines with arrays of messages go in, until the last answer is out.
//! - memory: the running process' peak.
//! - install: a process reads `load.jsonl` in any case, so there is no such figure.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::program::lines::Lines;
use crate::program::memory::peak_mib;
use crate::program::{BATCH, Figure, Work, percentiles, print};

type Failure = Box<dyn Error>;

/// The binary, which cargo builds beside this bench if its features are on.
const BINARY: Option<&str> = option_env!("CARGO_BIN_EXE_tailwater");

/// Input lines, each of which is one batch, by phase.
struct Script {
    load: Vec<String>,
    single: Vec<String>,
    batches: Vec<String>,
    loaded: usize,
    batched: usize,
}

pub(crate) fn run(work: &Work, version: &str) -> Result<(), Failure> {
    let [name] = work.queries.as_slice() else {
        return Err("the command answers one query".into());
    };
    let query = work.dir.join(format!("queries/{name}.json"));
    let script = Script::read(work)?;
    let mut figures = vec![("load", load(work, &query, script.loaded)?)];

    let all = work.out.join("all.jsonl");
    let mut file = BufWriter::new(File::create(&all)?);
    for line in script.lines() {
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    let answered = answered(&query, &all)?;
    figures.extend(follow(&query, &script, &answered)?);

    let mut rows = BufWriter::new(File::create(work.out.join(format!("{name}.jsonl")))?);
    let mut child = spawn(&query, &all, "rows")?;
    for line in BufReader::new(stdout(&mut child)?).lines() {
        let mut row: Value = serde_json::from_str(&line?)?;
        writeln!(rows, "{}", row["value"].take())?;
    }
    rows.flush()?;
    child.wait()?;
    fs::remove_file(all)?;
    print(&figures, version);
    Ok(())
}

impl Script {
    fn read(work: &Work) -> Result<Script, Failure> {
        let mut load = Lines::open(&work.dir.join("load.jsonl"))?;
        let (load, loaded) = batches(&mut load, usize::MAX)?;
        let mut changes = Lines::open(&work.dir.join("changes.jsonl"))?;
        let mut single = Vec::new();
        while single.len() < work.single {
            let change = changes.change()?.ok_or("too few changes")?;
            single.push(array(&change.messages()?));
        }
        let (batches, batched) = batches(&mut changes, work.batched)?;
        Ok(Script {
            load,
            single,
            batches,
            loaded,
            batched,
        })
    }

    fn lines(&self) -> impl Iterator<Item = &String> {
        self.load.iter().chain(&self.single).chain(&self.batches)
    }
}

fn array(messages: &[&str]) -> String {
    format!("[{}]", messages.join(","))
}

/// Lines of a batch each, and how many messages they have.
fn batches(lines: &mut Lines, mut limit: usize) -> Result<(Vec<String>, usize), Failure> {
    let (mut out, mut count) = (Vec::new(), 0);
    loop {
        let batch = lines.batch(limit, BATCH)?;
        if batch.is_empty() {
            return Ok((out, count));
        }
        limit -= batch.len();
        let mut messages = Vec::new();
        for change in &batch {
            messages.extend(change.messages()?);
        }
        count += messages.len();
        out.push(array(&messages));
    }
}

/// Rows a second of a process that reads the load and writes the result.
fn load(work: &Work, query: &Path, rows: usize) -> Result<f64, Failure> {
    let start = Instant::now();
    let mut child = spawn(query, &work.dir.join("load.jsonl"), "rows")?;
    std::io::copy(&mut stdout(&mut child)?, &mut std::io::sink())?;
    if !child.wait()?.success() {
        return Err("tailwater query failed".into());
    }
    Ok(rows as f64 / start.elapsed().as_secs_f64())
}

/// The numbers of the batches that the query answers.
fn answered(query: &Path, events: &Path) -> Result<BTreeSet<usize>, Failure> {
    let mut child = spawn(query, events, "changes")?;
    let mut numbers = BTreeSet::new();
    for line in BufReader::new(stdout(&mut child)?).lines() {
        numbers.insert(batch_of(&line?)?);
    }
    child.wait()?;
    Ok(numbers)
}

/// The number in `{"batch":N,…`.
fn batch_of(line: &str) -> Result<usize, Failure> {
    let rest = line
        .strip_prefix("{\"batch\":")
        .ok_or("no batch in an answer")?;
    let end = rest.find(',').ok_or("an answer ends early")?;
    Ok(rest[..end].parse()?)
}

fn follow(
    query: &Path,
    script: &Script,
    answered: &BTreeSet<usize>,
) -> Result<Vec<Figure>, Failure> {
    let mut child = spawn(query, Path::new("-"), "changes")?;
    let mut pipe = Pipe {
        input: child.stdin.take().ok_or("no stdin")?,
        output: BufReader::new(stdout(&mut child)?),
        line: String::new(),
    };
    let last_of = |part: Range<usize>| answered.range(part).next_back().copied();
    let loaded = script.load.len();
    let singles = loaded + script.single.len();
    let all = singles + script.batches.len();
    pipe.send(&script.load, last_of(0..loaded))?;

    let mut steps = Vec::new();
    for (line, batch) in script.single.iter().zip(loaded..) {
        let answer = answered.get(&batch).copied();
        let start = Instant::now();
        pipe.send(std::slice::from_ref(line), answer)?;
        if answer.is_some() {
            steps.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    let mut figures: Vec<Figure> = percentiles(steps).collect();

    if let Some(last) = last_of(singles..all) {
        let start = Instant::now();
        pipe.send(&script.batches, Some(last))?;
        let seconds = start.elapsed().as_secs_f64();
        figures.push(("batch", script.batched as f64 / seconds));
    }
    figures.extend(peak_mib(&child.id().to_string()).map(|mib| ("memory", mib)));
    drop(pipe);
    child.wait()?;
    Ok(figures)
}

struct Pipe {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: String,
}

impl Pipe {
    /// Writes lines and reads answers up to the last, of the batch with this number.
    fn send(&mut self, lines: &[String], last: Option<usize>) -> Result<(), Failure> {
        let mut text = lines.join("\n");
        text.push('\n');
        let Pipe {
            input,
            output,
            line,
        } = self;
        let mut read = |output: &mut BufReader<ChildStdout>| -> Result<(), String> {
            while let Some(last) = last {
                line.clear();
                output.read_line(line).map_err(|error| error.to_string())?;
                if batch_of(line).map_err(|error| error.to_string())? >= last {
                    break;
                }
            }
            Ok(())
        };
        if lines.len() == 1 {
            input.write_all(text.as_bytes())?;
            return Ok(read(output)?);
        }
        // The process stops reading when its answers are not read.
        thread::scope(|scope| {
            let writer = scope.spawn(|| input.write_all(text.as_bytes()));
            read(output)?;
            writer.join().map_err(|_| "the writer failed")??;
            Ok(())
        })
    }
}

fn spawn(query: &Path, events: &Path, emit: &str) -> Result<Child, Failure> {
    let binary = BINARY.ok_or("built without the feature `cli`")?;
    let mut command = Command::new(binary);
    command.arg("query").arg(query).arg("--events").arg(events);
    command.args(["--emit", emit, "--batch", "1000"]);
    let stdin = if events == Path::new("-") {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    Ok(command.stdin(stdin).stdout(Stdio::piped()).spawn()?)
}

fn stdout(child: &mut Child) -> Result<ChildStdout, Failure> {
    Ok(child.stdout.take().ok_or("no stdout")?)
}
