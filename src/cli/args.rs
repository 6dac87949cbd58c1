//! The command line as types, and its help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use super::clock::Clock;
use tailwater::engine::Engine;

/// Live queries over streams of change events.
///
/// Tailwater reads State Protocol messages (inserts, updates and deletes of keyed rows, as JSON
/// lines) and keeps the results of queries up to date with every batch, without computing them
/// again.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = EXAMPLE, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLE: &str = "\
Example: with events.jsonl of lines like
  {\"type\":\"user\",\"key\":\"1\",\"value\":{\"age\":36},\"headers\":{\"operation\":\"insert\"}}
and the query \"all users\" in users.json
  {\"from\":{\"type\":\"collectionRef\",\"collection\":\"user\",\"alias\":\"u\"}}
this prints all users, a row a line:
  tailwater query users.json --events events.jsonl

Exit status: 0 done, 1 the input or the query was at fault, or rows may be missing, 2 wrong usage.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a query over a file of events and print its result, or each change of it
    Query(QueryArgs),
    /// Show how queries are computed: which collections, filters, joins and aggregates
    Explain(ExplainArgs),
    /// Watch results change in the terminal while events are replayed or come in
    Watch(WatchArgs),
    /// Run a server: durable streams over HTTP, results of queries as such streams, and a page that
    /// shows them
    Serve(Box<ServeArgs>),
    /// See it at work: a day of flights is replayed, and a page shows what becomes of it
    Demo(DemoArgs),
}

/// What events mean.
#[derive(Debug, clap::Args)]
pub(super) struct EventArgs {
    /// Collections with their event types and primary keys, and a JSON Schema of their rows where
    /// these are to be checked, as JSON. Without it, every event type is a collection
    #[arg(long, value_name = "FILE")]
    pub(super) schema: Option<PathBuf>,

    /// What `now()` in queries stands for: the time of the `system`, that of the `events`
    /// (their `headers.timestamp`), or a fixed time such as 2013-05-23T10:00:00Z
    #[arg(long, value_name = "CLOCK", default_value = "system")]
    pub(super) clock: Clock,
}

/// How much memory there may be.
#[derive(Debug, clap::Args)]
pub(super) struct MemoryArgs {
    /// The most memory for collections and queries together, such as 512MiB or 2GB. When more is
    /// needed, the query that holds most is stopped. Rows of collections are never refused. In
    /// `serve` it is for each source
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) memory_limit: Option<usize>,

    /// The most memory for each query. One that needs more is stopped alone
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) query_memory_limit: Option<usize>,
}

impl MemoryArgs {
    pub(super) fn is_limited(&self) -> bool {
        self.memory_limit.is_some() || self.query_memory_limit.is_some()
    }

    pub(super) fn apply(&self, engine: &mut Engine) {
        engine.set_memory_limit(self.memory_limit);
        engine.set_query_memory_limit(self.query_memory_limit);
    }
}

/// Who computes.
#[derive(Debug, clap::Args)]
pub(super) struct WorkersArgs {
    /// How many threads of each process compute, at most 256. More than one is for much work: each
    /// step takes longer
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads)]
    pub(super) workers: usize,

    /// Compute on several machines: the processes, a line each, as HOST:PORT at which the others
    /// reach it. Start the same command with the same file everywhere, and with another --process
    /// each time. The network must be trusted
    #[arg(long, value_name = "FILE", requires = "process")]
    pub(super) hosts: Option<PathBuf>,

    /// Which line of --hosts this process is, from 0. Process 0 has the events and the results, the
    /// others compute with it
    #[arg(long, value_name = "I", requires = "hosts")]
    pub(super) process: Option<usize>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tailwater query totals.json --events day.jsonl.gz
  tailwater query by-city.sql --events people.jsonl
  tail -f events.jsonl | tailwater query totals.json --events - --batch 1 --emit changes

Messages that are wrong are named on stderr and skipped; then the exit status is 1. So it is when the
input ends inside a snapshot, whose rows were not applied, and when a recursion was cut off.")]
pub(super) struct QueryArgs {
    /// The query, as JSON or, in a file whose name ends in .sql, as SQL
    #[arg(value_parser = query_file)]
    pub(super) query: PathBuf,

    /// Events as JSON lines, gzip or not; `-` is stdin. A line is one message, or an array of
    /// messages that take effect together
    #[arg(long, value_name = "FILE", value_parser = events_file)]
    pub(super) events: PathBuf,

    #[command(flatten)]
    pub(super) input: EventArgs,

    /// How many single messages form a batch, which takes effect as one step
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = positive)]
    pub(super) batch: usize,

    /// What to print, as JSON lines
    #[arg(long, value_enum, default_value_t = Emit::Rows)]
    pub(super) emit: Emit,

    #[command(flatten)]
    pub(super) workers: WorkersArgs,

    /// Stop at the first message that is wrong instead of skipping it
    #[arg(long)]
    pub(super) strict: bool,

    #[command(flatten)]
    pub(super) memory: MemoryArgs,

    /// At the end, say on stderr how many rows there are and what they take in memory
    #[arg(long)]
    pub(super) stats: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Emit {
    /// The final result, a row a line: {"key":…,"value":…}
    Rows,
    /// What each batch changed: {"batch":…,"changes":[…]}; and what time alone did:
    /// {"clock":…,"changes":[…]}
    Changes,
    /// The result after each batch: {"batch":…,"rows":[…]}
    Snapshots,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tailwater explain totals.json
  tailwater explain totals.json --format dot | dot -Tsvg > totals.svg
  tailwater explain --analyze totals.sql by-city.sql --events day.jsonl.gz

--analyze tells of each step how many changes came in and went out of it (an update is two: the
old row and the new one), how many of these a second, how long it worked, and what it holds.")]
pub(super) struct ExplainArgs {
    /// The queries, as JSON or SQL (.sql)
    #[arg(required = true, value_name = "QUERY", value_parser = query_file)]
    pub(super) queries: Vec<PathBuf>,

    /// Run the queries over --events, all together, and say of each step of their plans what it did
    #[arg(long, requires = "events")]
    pub(super) analyze: bool,

    /// Events as JSON lines, gzip or not; `-` is stdin
    #[arg(long, value_name = "FILE", requires = "analyze", value_parser = events_file)]
    pub(super) events: Option<PathBuf>,

    #[command(flatten)]
    pub(super) input: EventArgs,

    /// How many single messages form a batch, which takes effect as one step
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = positive)]
    pub(super) batch: usize,

    /// How to show a plan
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The plan that runs as a tree, inputs below, what was pushed, fused and shared, and the query
    /// as it is written
    Text,
    /// A line for each query: {"query":…,"written":…,"plan":…,"notes":[…]}
    Json,
    /// A Graphviz graph of both
    Dot,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tailwater watch totals.json routes.json --events day.jsonl.gz --speed 600
  tail -f events.jsonl | tailwater watch totals.json --events -
  tailwater watch http://127.0.0.1:4437/v1/query/totals

The server may ask for a bearer token: it is taken from TAILWATER_UPSTREAM_TOKEN.
`q` or Ctrl-C quits; the last tables stay on the terminal.")]
pub(super) struct WatchArgs {
    /// The queries, as JSON or SQL (.sql), or the addresses of results of `tailwater serve`; each becomes a table
    #[arg(required = true, value_name = "QUERY")]
    pub(super) queries: Vec<String>,

    /// Events as JSON lines, gzip or not; `-` is stdin. A line is one message, or an array of
    /// messages that take effect together. Not for results of a server
    #[arg(long, value_name = "FILE", value_parser = events_file)]
    pub(super) events: Option<PathBuf>,

    #[command(flatten)]
    pub(super) input: EventArgs,

    /// How many single messages form a batch, which takes effect as one step
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    pub(super) batch: usize,

    /// Replay by the messages' `headers.timestamp`, so many seconds of theirs a second: 600 is ten
    /// minutes a second. Without it, as fast as it goes
    #[arg(long, value_name = "X", value_parser = speed)]
    pub(super) speed: Option<f64>,

    /// The most rows to show of a result
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = positive)]
    pub(super) rows: usize,

    /// Print only the final tables, at once. So it is too where the output is not a terminal
    #[arg(long)]
    pub(super) plain: bool,

    #[command(flatten)]
    pub(super) memory: MemoryArgs,

    #[command(flatten)]
    pub(super) workers: WorkersArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = SERVE_EXAMPLE)]
pub(super) struct ServeArgs {
    /// The address and port to listen on; port 0 is any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4437", value_parser = address)]
    pub(super) listen: String,

    /// Keep the streams in this directory, which is made if it is missing. Without it they are in
    /// memory, and gone when the server ends
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,

    /// Answer the queries in the .json and .sql files of this directory, which is watched: a file that comes,
    /// changes or goes is a query that does. `dashboard.json` in it lays out the page, and queries
    /// that are saved in the page's editor become files in it
    #[arg(long, value_name = "DIR")]
    pub(super) queries: Option<PathBuf>,

    /// The stream that queries read unless they name another, of any server of Durable Streams. The
    /// bearer token it may ask for is taken from TAILWATER_UPSTREAM_TOKEN
    #[arg(long, value_name = "URL", conflicts_with = "stream", value_parser = url)]
    pub(super) upstream: Option<String>,

    /// The stream of this server that queries read unless they name another; it is made if it is
    /// missing
    #[arg(long, value_name = "PATH", default_value = "events", value_parser = stream)]
    pub(super) stream: String,

    /// Collections with their event types and primary keys, as JSON. Without it, every event type is
    /// a collection
    #[arg(long, value_name = "FILE")]
    pub(super) schema: Option<PathBuf>,

    /// About how much of the past of each result is kept for readers that come back. Those who come
    /// later begin again with a snapshot; 0 keeps nothing for them
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = size_or_none)]
    pub(super) keep_bytes: usize,

    /// How long the past of results is kept, in seconds
    #[arg(long, value_name = "N", default_value_t = 3600)]
    pub(super) keep_seconds: u64,

    /// With --data, how long after a snapshot of a source the next one is written at the soonest, in
    /// seconds; 0 for no snapshots. The server starts from the last one and the events that came after
    /// it, and results keep their offsets
    #[arg(long, value_name = "N", default_value = "60", value_parser = seconds)]
    pub(super) snapshot_seconds: Duration,

    /// How much has to be read of a source before its next snapshot is worth it, such as 512KiB or
    /// 1GB; never less than the last one has
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    pub(super) snapshot_bytes: usize,

    #[command(flatten)]
    pub(super) workers: WorkersArgs,

    /// Ask clients for bearer tokens. The file is JSON, such as
    /// [{"token":"…","prefix":"orders","rights":"read-write"}]; rights are read, write or
    /// read-write, and without a prefix a token is for all streams. docs/serve.md tells of tokens
    /// for some queries and some rows
    #[arg(long, value_name = "FILE")]
    pub(super) tokens: Option<PathBuf>,

    /// Listen on an address that other machines can reach although there are no tokens. Then
    /// everybody there may read and change all streams
    #[arg(long)]
    pub(super) allow_public: bool,

    /// Pages of this origin may read answers, such as https://example.org; may be given more than
    /// once, and `*` is all. Pages of this machine always may
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub(super) cors: Vec<String>,

    /// Encrypt connections with the certificate in this PEM file, which may be a chain
    #[cfg(feature = "server-tls")]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in a PEM file
    #[cfg(feature = "server-tls")]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,

    /// How long a long-poll waits for news, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(super) long_poll_ms: u64,

    /// How long a connection with server-sent events lives, in seconds
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(super) sse_seconds: u64,

    /// The largest append, such as 512KiB or 64MiB
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size)]
    pub(super) max_body: usize,

    /// The most connections at once
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = positive)]
    pub(super) max_connections: usize,

    #[command(flatten)]
    pub(super) limits: ClientArgs,

    #[command(flatten)]
    pub(super) memory: MemoryArgs,
}

/// What one client may have. A client is a token, or without one an address.
#[derive(Debug, clap::Args)]
pub(super) struct ClientArgs {
    /// The most connections at once from one address; behind a proxy all come from its address
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = positive)]
    pub(super) max_connections_per_client: usize,

    /// The most requests at once of a token or address, without readers that wait
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = positive)]
    pub(super) max_requests_per_client: usize,

    /// The most readers that wait of a token or address, by long-poll or server-sent events
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = positive)]
    pub(super) max_readers_per_client: usize,

    /// The most queries of a token that registers them by name
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = positive)]
    pub(super) max_queries_per_token: usize,
}

const SERVE_EXAMPLE: &str = "\
Examples:
  tailwater serve --data streams
then, in another terminal, create a stream, append to it, read it, and follow it:
  curl -X PUT  http://127.0.0.1:4437/v1/stream/orders -H 'content-type: application/json'
  curl -X POST http://127.0.0.1:4437/v1/stream/orders -H 'content-type: application/json' \\
       -d '{\"type\":\"order\",\"key\":\"1\",\"value\":{},\"headers\":{\"operation\":\"insert\"}}'
  curl http://127.0.0.1:4437/v1/stream/orders
  curl -N 'http://127.0.0.1:4437/v1/stream/orders?offset=now&live=sse'
Results of queries are streams, too, and on a page at http://127.0.0.1:4437/
  tailwater serve --data streams --stream orders --queries queries
  curl -N 'http://127.0.0.1:4437/v1/query/NAME?offset=-1&live=sse'
  curl http://127.0.0.1:4437/v1/query/NAME/rows

When it is ready it prints one line, `listening on http://ADDR`. Ctrl-C or SIGTERM ends it. It logs
on stderr; the variable TAILWATER_LOG says how much: error, warn (the default), info or debug.
A value that cannot be read is told, and is `warn`.";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tailwater demo
  tailwater demo --speed 60

Open the address that it prints in a browser. Ctrl-C ends it.")]
pub(super) struct DemoArgs {
    /// The address and port to listen on; by default a free port of this machine
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = address)]
    pub(super) listen: String,

    /// How many seconds of the day pass in a second; the page can change it
    #[arg(long, value_name = "X", default_value_t = 600.0, value_parser = speed)]
    pub(super) speed: f64,

    /// Replay all of 2013. The flights are fetched once with Python's pip, which takes a minute, and
    /// are kept in the user's cache
    #[arg(long)]
    pub(super) year: bool,
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// A file, and not what only `watch` takes.
fn query_file(text: &str) -> Result<PathBuf, String> {
    match is_url(text) {
        true => Err("must be a file; `tailwater watch URL` shows the result of a server".into()),
        false => Ok(text.into()),
    }
}

fn events_file(text: &str) -> Result<PathBuf, String> {
    match is_url(text) {
        true => Err(
            "must be a file or `-`; `tailwater serve --upstream URL` reads the stream of a \
             server, and `tailwater watch URL` shows one of its results"
                .into(),
        ),
        false => Ok(text.into()),
    }
}

/// `HOST:PORT`.
fn address(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':');
    let is_whole = |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok();
    match parts.is_some_and(is_whole) {
        true => Ok(text.to_owned()),
        false => Err("must be HOST:PORT, such as 127.0.0.1:4437; a port is at most 65535".into()),
    }
}

fn stream(text: &str) -> Result<String, String> {
    match text.is_empty() {
        true => Err("must name a stream, such as orders".into()),
        false => Ok(text.to_owned()),
    }
}

/// What the server takes as an origin.
fn origin(text: &str) -> Result<String, String> {
    let host = text.split_once("://").map(|(_, host)| host);
    let is_plain = |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
    match text == "*" || host.is_some_and(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("must be an origin, such as https://example.org, or `*`".into()),
    }
}

fn url(text: &str) -> Result<String, String> {
    match is_url(text) {
        true => Ok(text.to_owned()),
        false => Err("must be a URL, such as http://127.0.0.1:4437/v1/stream/orders".into()),
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number from 1 on".into()),
        Ok(n) => Ok(n),
    }
}

/// More threads than any machine has use of would only take long to start.
const MAX_THREADS: usize = 256;

fn threads(text: &str) -> Result<usize, String> {
    match positive(text)? {
        n if n > MAX_THREADS => Err(format!(
            "must be at most {MAX_THREADS}; about as many as there are cores are of use"
        )),
        n => Ok(n),
    }
}

/// A number of bytes: `1048576`, `512MiB`, `1.5 GB`. Without `i`, units are powers of ten.
fn size(text: &str) -> Result<usize, String> {
    let wrong = || "must be a size, such as 512MiB, 2GB or 1048576".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1u64,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * unit as f64;
    match bytes {
        bytes if bytes < 1.0 => Err("must be at least one byte".to_owned()),
        bytes if bytes >= isize::MAX as f64 => Err("is more than this machine can have".to_owned()),
        bytes => Ok(bytes as usize),
    }
}

fn size_or_none(text: &str) -> Result<usize, String> {
    match text {
        "0" => Ok(0),
        text => size(text),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a number of seconds".to_owned();
    let number = text.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number).map_err(|_| wrong())
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if x > 0.0 && f64::is_finite(x) => Ok(x),
        _ => Err("must be a number greater than 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::size;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("1", 1),
            ("1048576", 1 << 20),
            ("512MiB", 512 << 20),
            ("2GB", 2_000_000_000),
            ("1.5 gib", 3 << 29),
            ("64k", 64_000),
            ("3 B", 3),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, part) in [
            ("", "must be a size"),
            ("MiB", "must be a size"),
            ("-1", "must be a size"),
            ("1.2.3MB", "must be a size"),
            ("12 parsecs", "must be a size"),
            ("1e3", "must be a size"),
            ("0", "at least one byte"),
            ("0.1B", "at least one byte"),
            ("99999999TiB", "more than this machine"),
        ] {
            let error = size(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        super::Args::command().debug_assert();
    }
}
