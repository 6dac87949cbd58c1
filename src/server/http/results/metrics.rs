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
use crate::db::Kept;
use crate::server::auth::Right;
use crate::server::http::App;
use crate::server::results::{Entry, Memory, Source};

/// A figure of each query: its name, what it is, whether it only grows, how to get it.
type Figure = (&'static str, &'static str, &'static str, fn(&Entry) -> u64);

const FIGURES: [Figure; 4] = [
    (
        "tailwater_query_rows",
        "Rows of the result.",
        "gauge",
        |entry| {
            entry
                .log()
                .and_then(|log| log.live())
                .map_or(0, |live| live.len() as u64)
        },
    ),
    (
        "tailwater_query_changes_total",
        "Row changes since the result began.",
        "counter",
        |entry| entry.log().map_or(0, |log| log.changes()),
    ),
    (
        "tailwater_query_readers",
        "Connections that wait for changes.",
        "gauge",
        |entry| entry.log().map_or(0, |log| log.followers() as u64),
    ),
    (
        "tailwater_query_live",
        "1 if the rows are those of now, else 0.",
        "gauge",
        |entry| u64::from(entry.source.state().state == "live"),
    ),
];

pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Err(problem) = app.allow_source(&headers, "", Right::Read) {
        return answer(Err(problem));
    }
    let memory = app.registry().memory().await;
    answer(Ok({
        let mut text = String::new();
        let entries = app.registry().entries();
        for (name, help, kind, figure) in FIGURES {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for entry in &entries {
                // Names of queries have no characters to be escaped.
                let _ = writeln!(text, "{name}{{query=\"{}\"}} {}", entry.name, figure(entry));
            }
        }
        write_memory(&mut text, &entries, &memory);
        write_snapshots(&mut text, &app.registry().sources());
        let help = "Streams of the server.";
        let _ = writeln!(
            text,
            "# HELP tailwater_streams {help}\n# TYPE tailwater_streams gauge"
        );
        let _ = writeln!(text, "tailwater_streams {}", app.streams.count());
        let mut response = Response::new(Body::from(text));
        let out = response.headers_mut();
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        out.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        out.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }))
}

/// What queries and collections take.
fn write_memory(text: &mut String, entries: &[Arc<Entry>], memory: &Memory) {
    let mut figure = |name: &str, help: &str, lines: &mut dyn Iterator<Item = (String, usize)>| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in lines {
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    };
    let of_query = |entry: &Arc<Entry>| {
        let live = entry.log().and_then(|log| log.live())?;
        let bytes = memory.query(&entry.source.name, &live)?;
        Some((format!("query=\"{}\"", entry.name), bytes))
    };
    figure(
        "tailwater_query_memory_bytes",
        "Memory of the query's operators and result.",
        &mut entries.iter().filter_map(of_query),
    );
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
    figure(
        "tailwater_collection_memory_bytes",
        "Memory of the collection's rows and indexes.",
        &mut collections().map(|(labels, collection)| (labels, collection.all_bytes())),
    );
    figure(
        "tailwater_collection_rows",
        "Rows of the collection.",
        &mut collections().map(|(labels, collection)| (labels, collection.rows)),
    );
}

/// What is kept of sources.
fn write_snapshots(text: &mut String, sources: &[Arc<Source>]) {
    let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let figures: [(&str, &str, &dyn Fn(&Kept) -> f64); 4] = [
        (
            "tailwater_snapshot_bytes",
            "Length of the snapshot of the source.",
            &|kept| kept.bytes as f64,
        ),
        (
            "tailwater_snapshot_written_seconds",
            "When this process wrote the last snapshot, since 1970; 0 if it wrote none.",
            &|kept| {
                kept.written
                    .map_or(0.0, |time| since_1970(time).as_secs_f64())
            },
        ),
        (
            "tailwater_snapshot_resumed",
            "1 if this process started from a snapshot.",
            &|kept| f64::from(u8::from(kept.resumed.is_some())),
        ),
        (
            "tailwater_snapshot_pause_seconds",
            "How long the engine stood still for the last snapshot.",
            &|kept| kept.paused.as_secs_f64(),
        ),
    ];
    for (name, help, figure) in figures {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for source in sources {
            let (label, value) = (escaped(&source.name), figure(&source.kept()));
            let _ = writeln!(text, "{name}{{source=\"{label}\"}} {value}");
        }
    }
}

/// A label's value, as the format has it.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}
