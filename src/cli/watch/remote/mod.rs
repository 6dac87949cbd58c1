//! Results that a server keeps, shown as they change there.

mod fold;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use futures_util::StreamExt as _;
use tokio::runtime::Runtime;

use tailwater::stream::{DurableStream, Live, Offset, ReadOptions, RetryPolicy, StreamError};

use super::live::draw_panels;
use super::screen::Screen;
use super::table::{Canvas, Panel};
use super::{WatchArgs, cut};
use fold::Fold;

/// The time between two pictures.
const FRAME: Duration = Duration::from_millis(100);

/// Whether a query is named by the address of its result.
pub(super) fn is_address(query: &str) -> bool {
    query.starts_with("http://") || query.starts_with("https://")
}

/// A result of a server.
struct Remote {
    panel: Panel,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    fold: Fold,
    /// What keeps it from being up to date.
    trouble: Option<String>,
    over: Option<Result<(), StreamError>>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches results at addresses.
pub(super) fn run(args: &WatchArgs) -> Result<ExitCode> {
    let live = !args.plain && io::stdout().is_terminal();
    let runtime = Runtime::new()?;
    let mut remotes = Vec::new();
    for address in &args.queries {
        if !is_address(address) {
            bail!("{address}: files and addresses of results cannot be watched together");
        }
        let retry = RetryPolicy {
            max_retries: if live { None } else { Some(2) },
            max_delay: Duration::from_secs(2),
            ..RetryPolicy::default()
        };
        let mut stream = DurableStream::builder(address.as_str()).retry(retry);
        if let Ok(token) = std::env::var("TAILWATER_UPSTREAM_TOKEN") {
            stream = stream.header("authorization", format!("Bearer {token}"));
        }
        let shared = Arc::<Mutex<Shared>>::default();
        let mode = if live { Live::Auto } else { Live::Off };
        runtime.spawn(follow(stream.build()?, mode, shared.clone()));
        let title = address.rsplit('/').next().unwrap_or(address);
        remotes.push(Remote {
            panel: Panel::new(title, &[]),
            shared,
        });
    }
    if live {
        play(&mut remotes, args.rows)?;
    } else {
        while remotes
            .iter()
            .any(|remote| lock(&remote.shared).over.is_none())
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    print(&mut remotes, args.rows)?;
    for remote in &remotes {
        if let Some(Err(error)) = lock(&remote.shared).over.take() {
            return Err(anyhow!(error));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a result to its end, beginning again when the server no longer has what followed.
async fn follow(stream: DurableStream, live: Live, shared: Arc<Mutex<Shared>>) {
    let over = loop {
        let mut reader = stream.read(ReadOptions::from(Offset::START).live(live));
        let trouble = reader.trouble();
        let watch = async {
            let mut trouble = trouble;
            loop {
                let text = trouble
                    .borrow_and_update()
                    .as_ref()
                    .map(|t| t.error.to_string());
                lock(&shared).trouble = text;
                if trouble.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let read = async {
            while let Some(batch) = reader.next().await {
                let batch = batch?;
                let mut shared = lock(&shared);
                for message in batch.items.json() {
                    shared.fold.take(message);
                }
                shared.fold.end();
            }
            Ok(())
        };
        let read = tokio::select! { read = read => read, () = watch => Ok(()) };
        match read {
            Err(StreamError::Gone { .. }) if live != Live::Off => {}
            over => break over,
        }
    };
    lock(&shared).over = Some(over);
}

/// Shows the results until a key ends it, or all of them have ended.
fn play(remotes: &mut [Remote], limit: usize) -> Result<()> {
    let mut screen = Screen::enter()?;
    loop {
        let now = Instant::now();
        let size = screen.size();
        let (mut changes, mut notes) = (0, Vec::new());
        for remote in &mut *remotes {
            let shared = lock(&remote.shared);
            changes += shared.fold.changes();
            let error = match &shared.over {
                Some(Err(error)) => Some(error.to_string()),
                Some(Ok(())) => Some("ended".to_owned()),
                None => shared.trouble.clone(),
            };
            notes.extend(error.map(|error| format!("{}: {error}", remote.panel.title())));
            remote
                .panel
                .refresh(shared.fold.len(), shared.fold.rows().take(limit), now);
        }
        notes.insert(0, format!("{changes} changes   q quits"));
        let header = cut(&notes.join("   "), size.0);
        let mut picture = vec![header, String::new()];
        let panels = remotes.iter_mut().map(|remote| &mut remote.panel);
        draw_panels(&mut panels.collect::<Vec<_>>(), size, now, &mut picture);
        screen.draw(picture)?;
        let over = |remote: &Remote| lock(&remote.shared).over.is_some();
        if screen.quits_within(FRAME)? || remotes.iter().all(over) {
            return Ok(());
        }
    }
}

/// Prints the tables as they are at the end, below each other.
fn print(remotes: &mut [Remote], limit: usize) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let width = io::stdout().is_terminal().then(crossterm::terminal::size);
    let width = width.and_then(Result::ok).map(|(width, _)| width.into());
    let canvas = Canvas {
        width,
        changes: None,
    };
    let mut first = true;
    for remote in remotes {
        let shared = lock(&remote.shared);
        if matches!(shared.over, Some(Err(_))) && shared.fold.len() == 0 {
            continue;
        }
        if !std::mem::take(&mut first) {
            writeln!(out)?;
        }
        let rows = shared.fold.rows().take(limit);
        remote
            .panel
            .refresh(shared.fold.len(), rows, Instant::now());
        for line in remote.panel.draw(limit, &canvas) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()
}
