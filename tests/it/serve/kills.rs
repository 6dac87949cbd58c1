//! A server that is killed at random moments under load: what it acknowledged is there, and what a
//! reader has put together is what the stream adds up to.
//!
//! `TAILWATER_KILLS` says how often it is killed, and `TAILWATER_SEED` which moments and appends those are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tailwater::stream::{DurableStream, Live, Offset, ReadOptions, StreamError};
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{sleep, timeout};

use super::support::{Folded, Site, delete, in_time, put, until};
use crate::streams::server_cli::Program;
use crate::streams::server_help::Dir;
use crate::support::{agg, free_address, from, order_desc, path};

const PRODUCERS: usize = 4;
/// What is read together: results, and some of one moment.
const READ: [&[&str]; 4] = [&["all"], &["groups"], &["top"], &["groups", "all"]];

fn queries() -> [(&'static str, Value); 3] {
    let fields = json!({"n": path("t.n"), "g": path("t.g")});
    [
        ("all", json!({"from": from("t"), "select": fields})),
        (
            "groups",
            json!({"from": from("t"), "groupBy": [path("t.g")],
                   "select": {"g": path("t.g"), "c": agg("count", "t.n"), "s": agg("sum", "t.n")}}),
        ),
        (
            "top",
            json!({"from": from("t"), "select": fields, "orderBy": [order_desc("t.n")], "limit": 5}),
        ),
    ]
}

/// What an append of a producer holds: the same whenever it is asked.
fn append(producer: usize, number: u64) -> Vec<Value> {
    let mut random = Rng::with_seed(producer as u64 * 1_000_003 + number);
    let count = random.usize(1..4);
    let mut messages: Vec<Value> = (0..count)
        .map(|_| {
            let key = format!("{producer}-{:02}", random.u32(..30));
            match random.u32(..4) {
                0 => delete("t", &key),
                _ => put(
                    "t",
                    &key,
                    json!({"g": random.u32(..5), "n": random.i32(-50..50)}),
                ),
            }
        })
        .collect();
    messages.push(put(
        "appends",
        &producer.to_string(),
        json!({"number": number}),
    ));
    messages
}

/// Appends until the server is gone; the number of the next one.
async fn produce(url: String, producer: usize, mut next: u64) -> u64 {
    let client = reqwest::Client::new();
    loop {
        let request = client
            .post(format!("{url}/v1/stream/events"))
            .header("content-type", "application/json")
            .header("producer-id", format!("p{producer}"))
            .header("producer-epoch", "0")
            .header("producer-seq", next)
            .body(Value::from(append(producer, next)).to_string());
        match request.send().await {
            Ok(answer) if matches!(answer.status().as_u16(), 200 | 204) => next += 1,
            Ok(answer) => panic!("{producer} {next}: {answer:?}"),
            Err(_) => return next,
        }
    }
}

/// What is in the stream, taken in bit by bit.
struct Model {
    offset: Offset,
    rows: BTreeMap<String, (u64, i64)>,
    /// The number of appends that are there, by producer.
    appends: [u64; PRODUCERS],
}

impl Model {
    async fn catch_up(&mut self, stream: &DurableStream) {
        let mut reader = stream.read(ReadOptions::from(self.offset.clone()));
        while let Some(batch) = in_time(reader.next()).await {
            let batch = batch.unwrap();
            for text in batch.items.json() {
                self.take(&serde_json::from_str(text).unwrap());
            }
            self.offset = batch.offset;
        }
    }

    fn take(&mut self, message: &Value) {
        let key = message["key"].as_str().unwrap().to_owned();
        if message["type"] == "appends" {
            let producer: usize = key.parse().unwrap();
            let number = message["value"]["number"].as_u64();
            assert_eq!(number, Some(self.appends[producer]), "producer {producer}");
            self.appends[producer] += 1;
        } else if message["headers"]["operation"] == "delete" {
            self.rows.remove(&key);
        } else {
            let value = &message["value"];
            let row = (value["g"].as_u64().unwrap(), value["n"].as_i64().unwrap());
            self.rows.insert(key, row);
        }
    }

    /// The result of a query, computed from all rows.
    fn result(&self, name: &str) -> Vec<(String, Value)> {
        let row = |(key, (g, n)): (&String, &(u64, i64))| (key.clone(), json!({"g": g, "n": n}));
        match name {
            "all" => self.rows.iter().map(row).collect(),
            "groups" => {
                let mut groups = BTreeMap::<u64, (u64, i64)>::new();
                for (g, n) in self.rows.values() {
                    let (count, sum) = groups.entry(*g).or_default();
                    (*count, *sum) = (*count + 1, *sum + n);
                }
                let row = |(g, (c, s))| (format!("[{g}]"), json!({"g": g, "c": c, "s": s}));
                groups.into_iter().map(row).collect()
            }
            _ => {
                let mut rows: Vec<_> = self.rows.iter().collect();
                rows.sort_by_key(|(key, (_, n))| (-n, *key));
                rows.into_iter().take(5).map(row).collect()
            }
        }
    }
}

/// How a reader behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    /// Waits for news all the time.
    Follows,
    /// Rests after some answers.
    Rests,
    /// Looks now and then, over a connection of its own.
    Visits,
}

#[derive(Default)]
struct Seen {
    folded: Folded,
    offset: Option<Offset>,
    /// How often it was told to begin again.
    resets: u64,
    answers: u64,
}

struct Reader {
    names: &'static [&'static str],
    habit: Habit,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Reader {
    fn start(site: &Site, names: &'static [&'static str], habit: Habit) -> Reader {
        let seen = Arc::<Mutex<Seen>>::default();
        let task = tokio::spawn(read(site.result(names), habit, seen.clone()));
        Reader {
            names,
            habit,
            seen,
            task,
        }
    }
}

/// Reads for ever, and goes on at its last offset whatever happens.
async fn read(result: DurableStream, habit: Habit, seen: Arc<Mutex<Seen>>) {
    let mut random = Rng::with_seed(habit as u64);
    loop {
        let offset = seen.lock().unwrap().offset.clone().unwrap_or(Offset::START);
        let live = match habit {
            Habit::Follows => Live::LongPoll,
            Habit::Rests => Live::Sse,
            Habit::Visits => Live::Off,
        };
        let mut reader = result.read(ReadOptions::from(offset).live(live));
        while let Some(next) = reader.next().await {
            match next {
                Ok(batch) => {
                    let mut seen = seen.lock().unwrap();
                    seen.folded.take(&batch);
                    seen.offset = Some(batch.offset);
                    seen.answers += 1;
                }
                Err(StreamError::Gone { .. }) => {
                    let mut seen = seen.lock().unwrap();
                    let (resets, answers) = (seen.resets + 1, seen.answers);
                    *seen = Seen {
                        resets,
                        answers,
                        ..Seen::default()
                    };
                    break;
                }
                Err(error @ StreamError::InvalidOffset { .. }) => panic!("{error}"),
                Err(_) => break,
            }
            // Not so often that what waits in its connection takes minutes.
            if habit == Habit::Rests && random.u32(..16) == 0 {
                sleep(Duration::from_millis(random.u64(..60))).await;
            }
        }
        let pause = if habit == Habit::Visits { 400 } else { 10 };
        sleep(Duration::from_millis(random.u64(..pause))).await;
    }
}

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_unsaid_whenever_the_server_is_killed() {
    let kills = number("TAILWATER_KILLS", 6);
    let mut random = Rng::with_seed(number("TAILWATER_SEED", 1));
    let began = Instant::now();
    let dir = Dir::new();
    let data = dir.path().to_str().unwrap().to_owned();
    let listen = free_address();
    let args = [
        "--data",
        &data,
        "--long-poll-ms",
        "500",
        "--snapshot-seconds",
        "0.2",
        "--snapshot-bytes",
        "20000",
    ];
    let start = || block_in_place(|| Program::start_at(&listen, &args));
    let mut program = start();
    let site = Site::at(&program.url);
    for (name, query) in queries() {
        site.query(name, &query).await;
    }
    let habits = [Habit::Follows, Habit::Rests, Habit::Visits];
    let mut readers = Vec::new();
    for names in READ {
        readers.extend(habits.map(|habit| Reader::start(&site, names, habit)));
    }
    let stream = DurableStream::new(format!("{}/v1/stream/events", site.url)).unwrap();
    let mut model = Model {
        offset: Offset::START,
        rows: BTreeMap::new(),
        appends: [0; PRODUCERS],
    };
    let mut next = [0; PRODUCERS];
    let mut acknowledged = 0;
    for kill in 0..kills {
        let url = site.url.clone();
        let producing = (0..PRODUCERS).map(|p| tokio::spawn(produce(url.clone(), p, next[p])));
        let producing: Vec<_> = producing.collect();
        // Some get no time to start.
        let most = if random.u32(..5) == 0 { 30 } else { 900 };
        sleep(Duration::from_millis(random.u64(..most))).await;
        let late = format!("late-{kill}");
        let added = (random.u32(..3) == 0).then(|| json!({"name": late, "query": queries()[0].1}));
        if let Some(query) = &added {
            assert_eq!(
                site.send("POST", "/v1/query", Some(query)).await.status,
                201
            );
        }
        program.kill();
        for (producer, task) in producing.into_iter().enumerate() {
            next[producer] = task.await.unwrap();
        }
        program = start();
        model.catch_up(&stream).await;
        for (producer, told) in next.iter().copied().enumerate() {
            let there = model.appends[producer];
            // The last one may have been taken without the answer getting through.
            assert!(
                there == told || there == told + 1,
                "kill {kill}: producer {producer} was told {told}, but there are {there}"
            );
        }
        acknowledged = next.iter().sum();
        for reader in &mut readers {
            let expected = reader.names.iter().map(|name| (*name, model.result(name)));
            let expected: Vec<_> = expected.collect();
            let same = until(async || {
                if reader.task.is_finished() {
                    return Some(false);
                }
                let folded = &reader.seen.lock().unwrap().folded;
                let mut results = expected.iter();
                let same = results.all(|(name, rows)| folded.rows(name) == rows);
                same.then_some(true)
            });
            let same = timeout(Duration::from_secs(30), same).await;
            if same == Ok(false) {
                (&mut reader.task).await.unwrap();
            }
            let seen = reader.seen.lock().unwrap();
            assert!(
                same == Ok(true),
                "kill {kill}: {:?} of {:?} at {:?} has {:?}, not {expected:?}",
                reader.habit,
                reader.names,
                seen.offset,
                seen.folded.results,
            );
        }
        if added.is_some() {
            let expected = model.result("all");
            site.await_rows(&late, |rows| rows == expected).await;
            let path = format!("/v1/query/{late}");
            assert_eq!(site.send("DELETE", &path, None).await.status, 204);
        }
    }
    let mut resets = BTreeMap::<&str, u64>::new();
    let mut answers = 0;
    for reader in &readers {
        let seen = reader.seen.lock().unwrap();
        let habit = match reader.habit {
            Habit::Follows => "following",
            Habit::Rests => "resting",
            Habit::Visits => "visiting",
        };
        *resets.entry(habit).or_default() += seen.resets;
        answers += seen.answers;
        reader.task.abort();
    }
    println!(
        "{kills} kills, {acknowledged} appends acknowledged, 0 lost, {} readers, {answers} answers, \
         begun again: {resets:?}, {:.0} s",
        readers.len(),
        began.elapsed().as_secs_f64()
    );
    assert!(acknowledged > kills * 10, "{acknowledged}");
    drop(program);
}
