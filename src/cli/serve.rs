//! `tailwater serve`: the embedded server as a program.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

use super::args::ServeArgs;
use super::workers::workers;
use super::{note, read_catalog, read_text};
use tailwater::engine::{Workers, WorkersError, follow};
use tailwater::server::{Error, Limits, Queries, Server, Token};

/// A process that helps and cannot is ready again after so long.
const AGAIN: Duration = Duration::from_millis(200);

pub(super) fn run(args: &ServeArgs) -> Result<ExitCode> {
    log();
    let workers = workers(&args.workers)?;
    if !workers.is_first() {
        help(args, &workers)?;
    }
    Runtime::new()?.block_on(serve(args, workers))?;
    Ok(ExitCode::SUCCESS)
}

/// Computes for process 0 whenever that reads its source, until this process is ended.
fn help(args: &ServeArgs, workers: &Workers) -> Result<()> {
    let catalog = read_catalog(args.schema.as_deref())?;
    loop {
        match follow(&catalog, workers) {
            Ok(()) => {}
            Err(error @ WorkersError::Invalid(_)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "this process waits for the others");
                thread::sleep(AGAIN);
            }
        }
    }
}

/// Logs on stderr.
pub(super) fn log() {
    let filter = match env::var_os("TAILWATER_LOG") {
        None => "warn".into(),
        Some(said) => filter(&said.to_string_lossy()).unwrap_or_else(|reason| {
            note(format_args!(
                "warning: TAILWATER_LOG is `{}`, which cannot be read ({reason}); `warn` is used",
                said.display()
            ));
            "warn".into()
        }),
    };
    tracing_subscriber::fmt()
        // A log on a disk that is full is no reason to end.
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
}

/// What to log.
fn filter(text: &str) -> Result<EnvFilter, String> {
    // It would be read as everything of that target.
    if let Some(open) = text.split(',').find(|part| part.trim_end().ends_with('=')) {
        return Err(format!("there is no level behind `{}`", open.trim()));
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())
}

async fn serve(args: &ServeArgs, workers: Workers) -> Result<()> {
    // Asked for before there is anything to end, so that no signal gets lost.
    let end = end_signal()?;
    let mut limits = Limits::default();
    limits.body = args.max_body;
    limits.connections = args.max_connections;
    limits.connections_per_client = args.limits.max_connections_per_client;
    limits.requests_per_client = args.limits.max_requests_per_client;
    limits.readers_per_client = args.limits.max_readers_per_client;
    limits.queries_per_token = args.limits.max_queries_per_token;
    let mut builder = Server::builder()
        .listen(&args.listen)
        .allow_public(args.allow_public)
        .long_poll_timeout(Duration::from_millis(args.long_poll_ms))
        .sse_lifetime(Duration::from_secs(args.sse_seconds))
        .limits(limits)
        .cors(&args.cors);
    #[cfg(feature = "server-tls")]
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        builder = builder.tls(certificate, key);
    }
    if let Some(directory) = &args.data {
        builder = builder.data(directory);
    }
    builder = builder.queries(queries(args)?.workers(workers));
    if let Some(path) = &args.tokens {
        let tokens = Token::from_json(&read_text(path)?);
        builder = builder.tokens(tokens.with_context(|| path.display().to_string())?);
    }
    let server = match builder.start().await {
        Err(error @ Error::Public { .. }) => {
            return Err(error).context("give --tokens FILE, or --allow-public if that is meant");
        }
        started => started?,
    };
    let mut out = io::stdout();
    writeln!(out, "listening on {}", server.url())?;
    out.flush()?;
    end.await;
    server.shutdown().await;
    Ok(())
}

fn queries(args: &ServeArgs) -> Result<Queries> {
    let mut queries = Queries::new()
        .stream(&args.stream)
        .catalog(read_catalog(args.schema.as_deref())?)
        .keep_bytes(args.keep_bytes)
        .keep_for(Duration::from_secs(args.keep_seconds));
    let interval = args.snapshot_seconds;
    queries = queries.snapshot_interval(Some(interval).filter(|interval| !interval.is_zero()));
    queries = queries.snapshot_bytes(args.snapshot_bytes as u64);
    if let Some(path) = &args.schema {
        let checksum = crc32fast::hash(read_text(path)?.as_bytes());
        queries = queries.schema_version(checksum.into());
    }
    if let Some(bytes) = args.memory.memory_limit {
        queries = queries.memory_limit(bytes);
    }
    if let Some(bytes) = args.memory.query_memory_limit {
        queries = queries.query_memory_limit(bytes);
    }
    if let Some(folder) = &args.queries {
        queries = queries.folder(folder);
    }
    if let Some(url) = &args.upstream {
        queries = queries.upstream(url);
    }
    if let Ok(token) = env::var("TAILWATER_UPSTREAM_TOKEN") {
        queries = queries.upstream_token(token);
    }
    Ok(queries)
}

/// Waits for the first signal that asks for the end.
#[cfg(unix)]
pub(super) fn end_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Waits for the first signal that asks for the end.
#[cfg(not(unix))]
pub(super) fn end_signal() -> Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
