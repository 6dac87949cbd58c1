//! A reader of the server: it puts a result together from what it is told, and compares it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::Value;
use tailwater::stream::{
    Batch, DurableStream, Live, Offset, ReadOptions, RetryPolicy, StreamError,
};
use tokio::time::sleep;

use crate::model::Rows;

/// What each result is after some appends, and when those were acknowledged.
#[derive(Default)]
pub(crate) struct Truth {
    /// By append; of some of the latest.
    pub(crate) results: BTreeMap<u64, BTreeMap<&'static str, Rows>>,
    pub(crate) acknowledged: BTreeMap<u64, Instant>,
    /// In milliseconds, since they were taken out last.
    pub(crate) delays: Vec<f64>,
    /// The first wrong result.
    pub(crate) wrong: Option<String>,
    pub(crate) compared: u64,
    pub(crate) gone: u64,
    pub(crate) messages: u64,
}

/// So long one that has stalled may take to have all again.
const CATCH_UP: Duration = Duration::from_secs(10);

pub(crate) type Shared = Arc<Mutex<Truth>>;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a reader has.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) rows: BTreeMap<&'static str, Rows>,
    pub(crate) offset: Option<Offset>,
    /// Until then it is to read nothing.
    stalls: Option<Instant>,
}

pub(crate) struct Reader {
    pub(crate) names: Vec<&'static str>,
    pub(crate) seen: Arc<Mutex<Seen>>,
    stalls: Option<Instant>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reader {
    /// Begins to read results of a server, together with the mark.
    pub(crate) fn start(server: &str, name: &'static str, live: Live, truth: &Shared) -> Reader {
        let names = vec!["mark", name];
        let url = format!("http://{server}/v1/changes?query={}", names.join("&query="));
        let retry = RetryPolicy {
            max_retries: None,
            initial_delay: Duration::from_millis(5),
            max_delay: Duration::from_millis(200),
            ..RetryPolicy::default()
        };
        let stream = DurableStream::builder(url).retry(retry).build();
        let seen = Arc::<Mutex<Seen>>::default();
        let work = read(
            stream.expect("a URL"),
            names.clone(),
            live,
            seen.clone(),
            truth.clone(),
        );
        Reader {
            names,
            seen,
            stalls: None,
            task: tokio::spawn(work),
        }
    }

    /// Lets it read nothing for a while.
    pub(crate) fn stall(&mut self, time: Duration) {
        let until = Instant::now() + time;
        lock(&self.seen).stalls = Some(until);
        self.stalls = Some(until + CATCH_UP);
    }

    /// Whether it may be behind.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalls.is_some_and(|until| Instant::now() < until)
    }

    /// Up to which append it has read.
    pub(crate) fn mark(&self) -> u64 {
        mark(&lock(&self.seen))
    }
}

fn mark(seen: &Seen) -> u64 {
    let rows = seen.rows.get("mark").and_then(|rows| rows.get("mark"));
    rows.and_then(|row| row["n"].as_u64()).unwrap_or_default()
}

async fn read(
    stream: DurableStream,
    names: Vec<&'static str>,
    live: Live,
    seen: Arc<Mutex<Seen>>,
    truth: Shared,
) {
    loop {
        let offset = lock(&seen).offset.clone().unwrap_or(Offset::START);
        let mut reader = stream.read(ReadOptions::from(offset).live(live));
        while let Some(next) = reader.next().await {
            match next {
                Ok(batch) => {
                    let now = Instant::now();
                    let taken = take(&mut lock(&seen), &names, &batch);
                    if let Err(error) = taken.and_then(|()| compare(&seen, &truth, now)) {
                        lock(&truth).wrong.get_or_insert(error);
                        return;
                    }
                }
                // The offset of a stream that is another one now may be of no form that is known.
                Err(StreamError::Gone { .. }) => {
                    lock(&truth).gone += 1;
                    *lock(&seen) = Seen::default();
                    break;
                }
                Err(error @ StreamError::InvalidOffset { .. }) => {
                    lock(&truth).wrong.get_or_insert(error.to_string());
                    return;
                }
                Err(_) => break,
            }
            let stalls = lock(&seen).stalls.take();
            if let Some(until) = stalls {
                tokio::time::sleep_until(until.into()).await;
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Takes messages in: each has to fit to what is there.
fn take(seen: &mut Seen, names: &[&'static str], batch: &Batch) -> Result<(), String> {
    for text in batch.items.json() {
        let message: Value = serde_json::from_str(text).map_err(|e| format!("{e}: {text}"))?;
        let name = names.iter().find(|name| message["type"] == **name);
        let name = *name.ok_or_else(|| format!("{text} is of something else"))?;
        let rows = seen.rows.entry(name).or_default();
        let headers = &message["headers"];
        if headers["control"].is_string() {
            if headers["control"] == "snapshot-start" {
                rows.clear();
            }
            continue;
        }
        let key = message["key"].as_str().unwrap_or_default().to_owned();
        let value = message["value"].clone();
        let fits = match headers["operation"].as_str() {
            Some("delete") => rows.remove(&key).is_some(),
            Some("update") => rows.insert(key, value).is_some(),
            _ => rows.insert(key, value).is_none(),
        };
        if !fits {
            return Err(format!(
                "{text} does not fit to what was there, after {:?}",
                seen.offset
            ));
        }
    }
    seen.offset = Some(batch.offset.clone());
    Ok(())
}

/// Compares what a reader has with what it is to be, if that is known, and notes how late it is.
fn compare(seen: &Mutex<Seen>, truth: &Shared, now: Instant) -> Result<(), String> {
    let seen = lock(seen);
    let mut truth = lock(truth);
    truth.messages += 1;
    let mark = mark(&seen);
    if let Some(acknowledged) = truth.acknowledged.get(&mark) {
        let delay = now.saturating_duration_since(*acknowledged);
        truth.delays.push(delay.as_secs_f64() * 1000.0);
    }
    let Some(due) = truth.results.get(&mark) else {
        return Ok(());
    };
    for (name, rows) in &seen.rows {
        if due.get(name).is_some_and(|due| due != rows) {
            return Err(wrong(name, mark, rows, &due[name], seen.offset.as_ref()));
        }
    }
    truth.compared += 1;
    Ok(())
}

pub(crate) fn wrong(
    name: &str,
    mark: u64,
    rows: &Rows,
    due: &Rows,
    offset: Option<&Offset>,
) -> String {
    let differs = |key: &&String| rows.get(*key) != due.get(*key);
    let keys: Vec<_> = rows.keys().chain(due.keys()).filter(differs).collect();
    let shown: Vec<String> = (keys.iter().take(10))
        .map(|key| format!("  {key}: {:?}, not {:?}", rows.get(*key), due.get(*key)))
        .collect();
    format!(
        "`{name}` is wrong after append {mark}, at the offset {offset:?}, in {} rows:\n{}",
        keys.len(),
        shown.join("\n")
    )
}
