//! `/metrics`: figures in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use super::answer;
use crate::server::auth::Right;
use crate::server::http::App;
use crate::server::results::{Entry, Memory, Source};

/// A figure of each query or source: its name, what it is, whether it only grows, how to get it.
type Figure<T> = (
    &'static str,
    &'static str,
    &'static str,
    fn(&T) -> Option<f64>,
);

const OF_QUERIES: [Figure<Entry>; 7] = [
    (
        "tailwater_query_rows",
        "Rows of the result.",
        "gauge",
        |entry| {
            let live = entry.log().and_then(|log| log.live());
            Some(live.map_or(0, |live| live.len()) as f64)
        },
    ),
    (
        "tailwater_query_changes_total",
        "Row changes since the result began.",
        "counter",
        |entry| Some(entry.log().map_or(0, |log| log.changes()) as f64),
    ),
    (
        "tailwater_query_readers",
        "Connections that wait for changes.",
        "gauge",
        |entry| Some(entry.log().map_or(0, |log| log.followers()) as f64),
    ),
    (
        "tailwater_query_live",
        "1 if the rows are those of now, else 0.",
        "gauge",
        |entry| Some(f64::from(u8::from(entry.state().state == "live"))),
    ),
    (
        "tailwater_query_error",
        "1 if the query does not run, or its file does not hold as it is now, else 0.",
        "gauge",
        |entry| Some(f64::from(u8::from(entry.is_wrong()))),
    ),
    (
        "tailwater_query_event_time_seconds",
        "The time of the newest events that the result tells of, by their `timestamp`, since 1970.",
        "gauge",
        |entry| entry.source.event_time().map(|at| at as f64 / 1e3),
    ),
    (
        "tailwater_query_event_lag_seconds",
        "How long ago that was.",
        "gauge",
        |entry| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
            let at = entry.source.event_time()?;
            Some(now.as_secs_f64() - at as f64 / 1e3)
        },
    ),
];

const OF_SOURCES: [Figure<Source>; 7] = [
    (
        "tailwater_source_live",
        "1 if the source is followed and was read up to date, else 0.",
        "gauge",
        |source| Some(f64::from(u8::from(source.state().state == "live"))),
    ),
    (
        "tailwater_source_steps_total",
        "Steps that the queries of the source made: batches, and moves of the clock.",
        "counter",
        |source| Some(source.steps() as f64),
    ),
    (
        "tailwater_source_skipped_messages_total",
        "Messages that were wrong and left out since the source was opened.",
        "counter",
        |source| Some(source.dead_letters().total as f64),
    ),
    (
        "tailwater_snapshot_bytes",
        "Length of the snapshot of the source.",
        "gauge",
        |source| Some(source.kept().bytes as f64),
    ),
    (
        "tailwater_snapshot_written_seconds",
        "When this process wrote the last snapshot, since 1970; 0 if it wrote none.",
        "gauge",
        |source| {
            let written = source.kept().written;
            let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
            Some(written.map_or(0.0, |time| since_1970(time).as_secs_f64()))
        },
    ),
    (
        "tailwater_snapshot_resumed",
        "1 if this process started from a snapshot.",
        "gauge",
        |source| Some(f64::from(u8::from(source.kept().resumed.is_some()))),
    ),
    (
        "tailwater_snapshot_pause_seconds",
        "How long the engine stood still for the last snapshot.",
        "gauge",
        |source| Some(source.kept().paused.as_secs_f64()),
    ),
];

pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Err(problem) = app.allow_source(&headers, "", Right::Read) {
        return answer(Err(problem));
    }
    let memory = app.registry().memory().await;
    let mut text = String::new();
    let entries = app.registry().entries();
    // Names of queries have no characters to be escaped.
    let of_query = |entry: &Arc<Entry>| format!("query=\"{}\"", entry.name);
    for (name, help, kind, figure) in OF_QUERIES {
        let lines = entries.iter().filter_map(|entry| {
            let value = figure(entry)?;
            Some((of_query(entry), value))
        });
        write_figure(&mut text, name, help, kind, lines);
    }
    let sources = app.registry().sources();
    for (name, help, kind, figure) in OF_SOURCES {
        let lines = sources.iter().filter_map(|source| {
            let labels = format!("source=\"{}\"", escaped(&source.name));
            Some((labels, figure(source)?))
        });
        write_figure(&mut text, name, help, kind, lines);
    }
    let name = "tailwater_query_arrival_lag_seconds";
    let help = "From the arrival of events at the server to the result that tells of them.";
    head(&mut text, name, help, "histogram");
    for entry in &entries {
        if let Some(log) = entry.log() {
            let _ = log.lag.write(name, &of_query(entry), &mut text);
        }
    }
    write_memory(&mut text, &entries, &memory);
    let files = [(String::new(), app.registry().broken_files() as f64)];
    let help = "Query files that do not hold as they are now.";
    write_figure(
        &mut text,
        "tailwater_query_files_broken",
        help,
        "gauge",
        files,
    );
    let streams = [(String::new(), app.streams.count() as f64)];
    let help = "Streams of the server.";
    write_figure(&mut text, "tailwater_streams", help, "gauge", streams);
    let mut response = Response::new(Body::from(text));
    let out = response.headers_mut();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    out.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What queries and collections take.
fn write_memory(text: &mut String, entries: &[Arc<Entry>], memory: &Memory) {
    let of_query = |entry: &Arc<Entry>| {
        let live = entry.log().and_then(|log| log.live())?;
        let bytes = memory.query(&entry.source.name, &live)?;
        Some((format!("query=\"{}\"", entry.name), bytes as f64))
    };
    let name = "tailwater_query_memory_bytes";
    let help = "Memory of the query's operators and result.";
    let lines = entries.iter().filter_map(of_query);
    write_figure(text, name, help, "gauge", lines);
    let collections = || {
        memory.0.iter().flat_map(|(source, report)| {
            report.collections.iter().map(move |collection| {
                let labels = format!(
                    "source=\"{}\",collection=\"{}\"",
                    escaped(source),
                    escaped(&collection.name)
                );
                (labels, collection)
            })
        })
    };
    let name = "tailwater_collection_memory_bytes";
    let help = "Memory of the collection's rows and indexes.";
    let lines = collections().map(|(labels, of)| (labels, of.all_bytes() as f64));
    write_figure(text, name, help, "gauge", lines);
    let lines = collections().map(|(labels, of)| (labels, of.rows as f64));
    let help = "Rows of the collection.";
    write_figure(text, "tailwater_collection_rows", help, "gauge", lines);
}

/// Writes a figure with a line for each that has one, by its labels.
fn write_figure(
    text: &mut String,
    name: &str,
    help: &str,
    kind: &str,
    lines: impl IntoIterator<Item = (String, f64)>,
) {
    head(text, name, help, kind);
    for (labels, value) in lines {
        let _ = match labels.as_str() {
            "" => writeln!(text, "{name} {value}"),
            labels => writeln!(text, "{name}{{{labels}}} {value}"),
        };
    }
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// A label's value, as the format has it.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}
