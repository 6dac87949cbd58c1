//! A recording of events, played into a stream of the server as time passes, slower or faster.

use std::fmt;
use std::io::{self, BufRead};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::streams::Streams;
use super::streams::chunk::Kind;
use super::streams::command::{Append, Content, Create, Refusal};
use super::streams::expiry::Expiry;
use super::streams::path::StreamPath;

/// Events are played so often, those of one moment as one batch.
const TICK: Duration = Duration::from_millis(25);
/// A batch has so many events at most, so that what was missed does not come as one step.
const BATCH: usize = 2000;
/// After the last event, the recording is played again after so long.
const PAUSE: Duration = Duration::from_secs(10);
/// The fastest: a day in a second.
const FASTEST: f64 = 86_400.0;

type Open = dyn Fn() -> io::Result<Box<dyn BufRead + Send>> + Send + Sync;

/// A recording that a server plays into one of its streams: State Protocol messages as JSON lines in
/// the order of their `headers.timestamp`, which is RFC 3339. It can be paused, sped up and restarted
/// over HTTP, and begins again when it is over.
#[derive(Clone)]
#[must_use = "it does nothing until it is given to a server"]
pub struct Replay {
    stream: String,
    open: Arc<Open>,
    start: Option<Timestamp>,
    speed: f64,
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("stream", &self.stream)
            .field("start", &self.start)
            .field("speed", &self.speed)
            .finish_non_exhaustive()
    }
}

impl Replay {
    /// Plays the lines that `open` gives, which is called each time they are played, into a stream.
    pub fn new(
        stream: impl Into<String>,
        open: impl Fn() -> io::Result<Box<dyn BufRead + Send>> + Send + Sync + 'static,
    ) -> Replay {
        Replay {
            stream: stream.into(),
            open: Arc::new(open),
            start: None,
            speed: 600.0,
        }
    }

    /// What happened before this time is there at once.
    pub fn start_at(mut self, time: Timestamp) -> Replay {
        self.start = Some(time);
        self
    }

    /// How many seconds of the recording pass in a second; 600 by default.
    pub fn speed(mut self, speed: f64) -> Replay {
        self.speed = speed.clamp(0.0, FASTEST);
        self
    }
}

/// What is asked of a replay.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    pub(crate) speed: Option<f64>,
    pub(crate) paused: Option<bool>,
    pub(crate) restart: Option<bool>,
}

/// How far a replay is. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    pub(crate) speed: f64,
    pub(crate) paused: bool,
    now: i64,
    from: i64,
    to: i64,
    events: u64,
    total: u64,
    utc_offset_minutes: i32,
}

/// A replay that runs.
#[derive(Debug)]
pub(crate) struct Player {
    state: Mutex<State>,
    /// Something was asked for.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    progress: Progress,
    /// When `progress.now` was, unless it is paused.
    at: Instant,
    restart: bool,
}

impl State {
    /// The time in the recording.
    fn now(&self) -> i64 {
        let progress = &self.progress;
        if progress.paused {
            return progress.now;
        }
        let passed = self.at.elapsed().as_secs_f64() * 1000.0 * progress.speed;
        progress.now.saturating_add(passed as i64).min(progress.to)
    }

    fn settle(&mut self) {
        self.progress.now = self.now();
        self.at = Instant::now();
    }
}

impl Player {
    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        let mut state = self.state();
        state.settle();
        state.progress.clone()
    }

    /// Changes how it goes on.
    pub(crate) fn wish(&self, wish: Wish) -> Progress {
        let mut state = self.state();
        state.settle();
        if let Some(speed) = wish.speed {
            state.progress.speed = speed.clamp(0.0, FASTEST);
        }
        if let Some(paused) = wish.paused {
            state.progress.paused = paused;
        }
        state.restart |= wish.restart == Some(true);
        let progress = state.progress.clone();
        drop(state);
        self.changed.notify_one();
        progress
    }

    fn rewind(&self) {
        let mut state = self.state();
        let progress = &mut state.progress;
        (progress.now, progress.events) = (progress.from, 0);
        state.restart = false;
        state.at = Instant::now();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When an event happened, in milliseconds since 1970.
fn time(line: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Stamped<'a> {
        #[serde(borrow)]
        headers: Stamp<'a>,
    }
    #[derive(Deserialize)]
    struct Stamp<'a> {
        timestamp: &'a str,
    }
    let stamped: Stamped<'_> = serde_json::from_str(line).ok()?;
    let time: Timestamp = stamped.headers.timestamp.parse().ok()?;
    Some(time.as_millisecond())
}

/// The offset from UTC, in minutes, in which an event was told.
fn offset(line: &str) -> Option<i32> {
    let text = line.split_once("\"timestamp\":\"")?.1.split('"').next()?;
    let offset = Pieces::parse(text).ok()?.to_numeric_offset()?;
    Some(offset.seconds() / 60)
}

/// Looks through the recording, and starts to play it.
pub(super) async fn start(
    replay: Replay,
    streams: Arc<super::http::App>,
) -> io::Result<Arc<Player>> {
    let path = StreamPath::decode(&replay.stream, usize::MAX).map_err(io::Error::other)?;
    let open = replay.open.clone();
    let scan = tokio::task::spawn_blocking(move || scan(&*open)).await;
    let (from, to, total, utc_offset_minutes) = scan.map_err(io::Error::other)??;
    let from = replay.start.map_or(from, Timestamp::as_millisecond);
    let player = Arc::new(Player {
        state: Mutex::new(State {
            progress: Progress {
                speed: replay.speed,
                paused: false,
                now: from,
                from,
                to,
                events: 0,
                total,
                utc_offset_minutes,
            },
            at: Instant::now(),
            restart: false,
        }),
        changed: Notify::new(),
    });
    let (open, playing) = (replay.open, player.clone());
    tokio::spawn(async move {
        let mut stop = streams.stop.clone();
        let play = async {
            loop {
                let Err(error) = play(&playing, &open, &path, &streams.streams).await else {
                    continue;
                };
                tracing::warn!(%error, "the replay begins again");
                sleep(PAUSE).await;
                playing.rewind();
            }
        };
        tokio::select! {
            () = play => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
    Ok(player)
}

/// From when to when a recording goes, how many events it has, and the offset of its times.
fn scan(open: &Open) -> io::Result<(i64, i64, u64, i32)> {
    let (mut first, mut last, mut total, mut minutes) = (None, 0, 0, None);
    for line in open()?.lines() {
        let line = line?;
        if let Some(time) = time(&line) {
            first.get_or_insert(time);
            last = time;
        }
        total += 1;
        if minutes.is_none() {
            minutes = offset(&line);
        }
    }
    let first = first.ok_or_else(|| io::Error::other("the recording has no event with a time"))?;
    Ok((first, last, total, minutes.unwrap_or(0)))
}

async fn play(
    player: &Player,
    open: &Arc<Open>,
    path: &StreamPath,
    streams: &Streams,
) -> io::Result<()> {
    create(streams, path).await.map_err(refused)?;
    play_once(player, &**open, path, streams).await?;
    player.rewind();
    let reset = Bytes::from_static(br#"{"headers":{"control":"reset"}}"#);
    append(streams, path, 1, reset).await.map_err(refused)
}

/// Plays the recording to its end, or until it is to begin again.
async fn play_once(
    player: &Player,
    open: &Open,
    path: &StreamPath,
    streams: &Streams,
) -> io::Result<()> {
    let mut lines = open()?.lines();
    let mut next: Option<(i64, String)> = None;
    let mut ended = None;
    loop {
        let (mut batch, mut count) = (String::new(), 0);
        let now = {
            let state = player.state();
            if state.restart {
                return Ok(());
            }
            state.now()
        };
        while ended.is_none() && count < BATCH {
            let (time, line) = match next.take() {
                Some(next) => next,
                None => match lines.next().transpose()? {
                    // One without a time comes with the one before it.
                    Some(line) => (time(&line).unwrap_or(now), line),
                    None => {
                        ended = Some(Instant::now());
                        break;
                    }
                },
            };
            if time > now {
                next = Some((time, line));
                break;
            }
            if count > 0 {
                batch.push(',');
            }
            batch.push_str(&line);
            count += 1;
        }
        if count > 0 {
            let appended = append(streams, path, count as u64, batch.into());
            appended.await.map_err(refused)?;
            player.state().progress.events += count as u64;
        }
        let paused = player.state().progress.paused;
        match ended {
            Some(since) if !paused && since.elapsed() > PAUSE => return Ok(()),
            _ if count == BATCH => {}
            _ => tokio::select! {
                () = player.changed.notified() => {}
                () = sleep(TICK), if !paused => {}
            },
        }
    }
}

fn refused(refusal: Refusal) -> io::Error {
    io::Error::other(format!(
        "the stream does not take the recording: {refusal:?}"
    ))
}

/// Makes a stream of messages, if it is not there.
pub(super) async fn create(streams: &Streams, path: &StreamPath) -> Result<(), Refusal> {
    let create = Create {
        path: path.clone(),
        content_type: Some("application/json".into()),
        expiry: Expiry::Never,
        closed: false,
        content: None,
        fork: None,
    };
    streams.create(create).await.map(drop)
}

async fn append(
    streams: &Streams,
    path: &StreamPath,
    count: u64,
    data: Bytes,
) -> Result<(), Refusal> {
    let append = Append {
        stream: streams.find(path)?.id(),
        content: Some(Content {
            kind: Kind::Json,
            count,
            data,
        }),
        close: false,
        seq: None,
        claim: None,
    };
    streams.append(append).await.map(drop)
}
