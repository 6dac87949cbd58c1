//! Many readers of one result over server-sent events, while it changes a thousand times a second.
//!
//! The server is a process of its own; the readers are here, on plain sockets. Every change carries
//! when it was sent; what is measured is the time until each reader has it. Some readers stop reading
//! after the first answer, and must slow nobody.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use memchr::memmem::Finder;
use serde_json::{Value, json};
use tailwater::stream::{AppendOptions, CreateOptions, DurableStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Error = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
cargo bench --bench serve [-- OPTIONS]
  --readers N   readers of the result (1,000)
  --stalled N   readers more that stop to read (10)
  --rate N      changes a second (1,000)
  --seconds N   how long (10)
  --json FILE   figures as JSON, too";
/// So many appends are on their way at once.
const WRITERS: usize = 8;
const ROWS: usize = 10_000;
const MARK: &[u8] = b"\"sent\":";

struct Options {
    readers: usize,
    stalled: usize,
    rate: usize,
    seconds: usize,
    json: Option<String>,
}

impl Options {
    fn parse() -> Result<Options, Error> {
        let mut options = Options {
            readers: 1000,
            stalled: 10,
            rate: 1000,
            seconds: 10,
            json: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--readers" => options.readers = value()?.parse()?,
                "--stalled" => options.stalled = value()?.parse()?,
                "--rate" => options.rate = value()?.parse()?,
                "--seconds" => options.seconds = value()?.parse()?,
                "--json" => options.json = Some(value()?),
                // What cargo adds.
                "--bench" => {}
                _ => return Err(HELP.into()),
            }
        }
        Ok(options)
    }
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Result<Server, Error> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tailwater"))
            .args(["serve", "--listen", "127.0.0.1:0", "--sse-seconds", "3600"])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let address = line.trim_end().rsplit('/').next().unwrap_or_default();
        Ok(Server {
            process,
            address: address.to_owned(),
        })
    }

    /// A figure of the process in KiB, in MiB.
    fn memory(&self, figure: &str) -> Result<f64, Error> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(figure));
        let kib = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
        Ok(kib.ok_or("no such figure")?.parse::<f64>()? / 1024.0)
    }

    /// The seconds of processor time it has used.
    fn processor(&self) -> Result<f64, Error> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split(' ')
            .collect();
        let ticks: f64 = fields[12].parse::<f64>()? + fields[13].parse::<f64>()?;
        Ok(ticks / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn message(key: usize, sent: u64) -> Value {
    json!({"type": "t", "key": key.to_string(), "value": {"id": key, "sent": sent},
           "headers": {"operation": "upsert"}})
}

async fn connect(address: &str) -> Result<TcpStream, Error> {
    let mut stream = TcpStream::connect(address).await?;
    let request = "GET /v1/query/all?offset=now&live=sse HTTP/1.1\r\nhost: bench\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// What a reader has seen.
struct Seen {
    delays: Vec<u32>,
    bytes: usize,
}

/// Reads until it has seen so many changes; delays are in microseconds.
async fn read(mut stream: TcpStream, changes: usize, origin: Instant) -> Result<Seen, Error> {
    let mut seen = Seen {
        delays: Vec::with_capacity(changes),
        bytes: 0,
    };
    let marks = Finder::new(MARK);
    let mut buffer = Vec::with_capacity(256 << 10);
    while seen.delays.len() < changes {
        let read = stream.read_buf(&mut buffer).await?;
        if read == 0 {
            return Err(format!("a reader ended after {} changes", seen.delays.len()).into());
        }
        let now = origin.elapsed().as_micros() as u64;
        seen.bytes += read;
        let mut done = 0;
        let mut rest = &buffer[..];
        while let Some(found) = marks.find(rest) {
            let digits = &rest[found + MARK.len()..];
            let Some(end) = digits.iter().position(|byte| !byte.is_ascii_digit()) else {
                break;
            };
            let sent: u64 = std::str::from_utf8(&digits[..end])?.parse()?;
            seen.delays.push(now.saturating_sub(sent) as u32);
            done += found + MARK.len() + end;
            rest = &buffer[done..];
        }
        // What may be the beginning of a mark or of a number stays.
        let from = buffer.len().saturating_sub(64).max(done);
        buffer.drain(..from);
    }
    Ok(seen)
}

/// Appends changes one by one, so many a second.
async fn write(url: &str, rate: usize, changes: usize, origin: Instant) -> Result<(), Error> {
    let stream = DurableStream::new(url)?;
    let mut writers = FuturesUnordered::new();
    for writer in 0..WRITERS {
        let stream = stream.clone();
        let pause = Duration::from_secs_f64(WRITERS as f64 / rate as f64);
        let count = changes / WRITERS + usize::from(writer < changes % WRITERS);
        writers.push(async move {
            let mut ticks = tokio::time::interval(pause);
            for number in 0..count {
                ticks.tick().await;
                let key = (number * WRITERS + writer) % ROWS;
                let sent = origin.elapsed().as_micros() as u64;
                stream.append_json(&message(key, sent)).await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(writer) = writers.next().await {
        writer?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse()?;
    let server = Server::start()?;
    let base = format!("http://{}", server.address);
    let stream = DurableStream::new(format!("{base}/v1/stream/events"))?;
    stream.create(CreateOptions::json()).await?;
    let rows = (0..ROWS).map(|key| message(key, 0).to_string().into());
    stream.append_all(rows, AppendOptions::default()).await?;
    let http = reqwest::Client::new();
    let query = json!({"name": "all", "query":
        {"from": {"type": "collectionRef", "collection": "t", "alias": "t"}}});
    let registered = http
        .post(format!("{base}/v1/query"))
        .body(query.to_string());
    registered.send().await?.error_for_status()?;
    let url = format!("{base}/v1/query/all?offset=-1");
    while http.get(&url).send().await?.text().await?.len() < ROWS {}
    let before = server.memory("VmRSS")?;

    let mut stalled = Vec::new();
    for _ in 0..options.stalled {
        stalled.push(connect(&server.address).await?);
    }
    let changes = options.rate * options.seconds;
    let origin = Instant::now();
    let mut readers = FuturesUnordered::new();
    for _ in 0..options.readers {
        let stream = connect(&server.address).await?;
        // The answer to the request: from now on it is told of all changes.
        let mut first = [0; 1];
        stream.readable().await?;
        stream.peek(&mut first).await?;
        readers.push(tokio::spawn(read(stream, changes, origin)));
    }
    let (processor, start) = (server.processor()?, Instant::now());
    // On a thread of its own, as the readers keep the others busy.
    let (sending, url) = (options.rate, stream.url());
    let writing = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(write(&url, sending, changes, origin))
    });
    let written = tokio::task::spawn_blocking(move || writing.join());
    written.await?.map_err(|_| "the writers panicked")??;
    let wrote = start.elapsed().as_secs_f64();
    let (mut delays, mut bytes) = (Vec::with_capacity(options.readers * changes), 0);
    while let Some(reader) = readers.next().await {
        let seen = reader??;
        delays.extend(seen.delays);
        bytes += seen.bytes;
    }
    delays.sort_unstable();
    let delay = |share: f64| {
        let place = (delays.len() - 1) as f64 * share;
        f64::from(delays[place as usize]) / 1000.0
    };
    let figures = [
        ("readers", options.readers as f64),
        ("changes a second, as sent", changes as f64 / wrote),
        ("delay p50, ms", delay(0.5)),
        ("delay p99, ms", delay(0.99)),
        ("delay max, ms", delay(1.0)),
        (
            "bytes a change and reader",
            bytes as f64 / delays.len() as f64,
        ),
        ("MB/s to all readers", bytes as f64 / 1e6 / wrote),
        (
            "server's processor, cores",
            (server.processor()? - processor) / wrote,
        ),
        ("server's memory before readers, MiB", before),
        ("server's peak memory, MiB", server.memory("VmHWM")?),
    ];
    println!("| | |\n|---|---:|");
    for (name, value) in figures {
        println!("| {name} | {value:.1} |");
    }
    if let Some(path) = options.json {
        let figures: serde_json::Map<String, Value> = figures
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        std::fs::write(path, Value::Object(figures).to_string())?;
    }
    drop(stalled);
    Ok(())
}
