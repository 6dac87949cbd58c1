//! The work, done by our client.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use tailwater::stream::{CreateOptions, DurableStream, Live, Offset, ReadOptions};

use super::server::peak_memory;
use super::{Error, Figures};

/// How much is done.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) appends: usize,
    pub(crate) produced: usize,
    pub(crate) events: usize,
    pub(crate) readers: usize,
    /// How many events the readers get, and how many a second.
    pub(crate) followed: usize,
    pub(crate) rate: usize,
}

impl Work {
    pub(crate) fn full() -> Work {
        Work {
            appends: 5_000,
            produced: 200_000,
            events: 1_000_000,
            readers: 1_000,
            followed: 200,
            rate: 20,
        }
    }

    pub(crate) fn quick() -> Work {
        Work {
            appends: 200,
            produced: 10_000,
            events: 20_000,
            readers: 50,
            followed: 20,
            rate: 20,
        }
    }
}

fn event(n: usize) -> String {
    format!(
        r#"{{"type":"event","key":"{n}","value":{{"user":{},"language":"en","bytes":{}}},"headers":{{"operation":"insert"}}}}"#,
        n % 10_000,
        n % 1_999,
    )
}

/// Makes the stream to catch up with.
pub(crate) fn fill(url: &str, work: Work) -> Result<(), Error> {
    runtime()?.block_on(async {
        let stream = DurableStream::new(url)?;
        stream.create(CreateOptions::json()).await?;
        produce(&stream, work.events).await
    })
}

/// Does one kind of work and prints what it measured.
pub(crate) fn child(arguments: &[String]) -> Result<(), Error> {
    let [kind, base, work] = arguments else {
        return Err("a child takes work, URL and sizes".into());
    };
    let work: Work = serde_json::from_str(work)?;
    let figures = runtime()?.block_on(async {
        match kind.as_str() {
            "append" => append(base, work).await,
            "produce" => {
                let stream = fresh(base, "produced").await?;
                let start = Instant::now();
                produce(&stream, work.produced).await?;
                let seconds = start.elapsed().as_secs_f64();
                Ok(Figures::from([(
                    "produce".into(),
                    work.produced as f64 / seconds,
                )]))
            }
            "catch-up" => catch_up(base, work).await,
            "fan-out" => fan_out(base, work).await,
            other => Err(format!("unknown work {other}").into()),
        }
    })?;
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new()
}

/// A stream that nobody else writes to.
async fn fresh(base: &str, name: &str) -> Result<DurableStream, Error> {
    let stream = DurableStream::new(format!("{base}{name}-{}", std::process::id()))?;
    stream.create(CreateOptions::json()).await?;
    Ok(stream)
}

async fn append(base: &str, work: Work) -> Result<Figures, Error> {
    let stream = fresh(base, "appended").await?;
    let mut times = Vec::with_capacity(work.appends);
    for n in 0..work.appends {
        let start = Instant::now();
        stream.append(event(n)).await?;
        times.push(start.elapsed());
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    Ok(Figures::from([
        ("append_p50".into(), micros(percentile(&mut times, 50))),
        ("append_p99".into(), micros(percentile(&mut times, 99))),
    ]))
}

async fn produce(stream: &DurableStream, events: usize) -> Result<(), Error> {
    let producer = stream.producer("bench").start().await?;
    for n in 0..events {
        producer.append(event(n)).await?;
    }
    producer.flush().await?;
    Ok(())
}

async fn catch_up(base: &str, work: Work) -> Result<Figures, Error> {
    let stream = DurableStream::new(format!("{base}filled"))?;
    let start = Instant::now();
    let mut batches = stream.read(ReadOptions::from(Offset::START));
    let (mut bytes, mut events) = (0, 0);
    while let Some(batch) = batches.next().await {
        for text in batch?.items.json() {
            bytes += text.len();
            events += 1;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    if events != work.events {
        return Err(format!("read {events} events of {}", work.events).into());
    }
    Ok(Figures::from([
        ("catch_up".into(), bytes as f64 / 1e6 / seconds),
        ("catch_up_events".into(), events as f64 / seconds),
        ("client_peak".into(), peak_memory("self")?),
    ]))
}

/// Every event carries when it was sent; what is measured is the time until each reader has it.
async fn fan_out(base: &str, work: Work) -> Result<Figures, Error> {
    let stream = fresh(base, "followed").await?;
    let origin = Instant::now();
    let (ready, mut all_ready) = tokio::sync::mpsc::unbounded_channel();
    let mut readers: FuturesUnordered<_> = (0..work.readers)
        .map(|_| {
            let mut batches = stream.read(ReadOptions::from(Offset::NOW).live(Live::Sse));
            let ready = ready.clone();
            tokio::spawn(async move {
                let mut delays = Vec::with_capacity(work.followed);
                let mut heard = 0;
                while delays.len() < work.followed {
                    let batch = batches.next().await.ok_or("a reader ended")??;
                    let now = origin.elapsed();
                    for text in batch.items.json() {
                        delays.push(now - Duration::from_nanos(text.parse()?));
                    }
                    heard += 1;
                    // The second batch is the first one over SSE.
                    if heard == 2 {
                        ready.send(())?;
                    }
                }
                Ok::<_, Error>(delays)
            })
        })
        .collect();
    for _ in 0..work.readers {
        all_ready.recv().await.ok_or("a reader ended")?;
    }
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / work.rate as u32);
    for _ in 0..work.followed {
        ticks.tick().await;
        stream
            .append(origin.elapsed().as_nanos().to_string())
            .await?;
    }
    let mut delays = Vec::with_capacity(work.readers * work.followed);
    while let Some(reader) = readers.next().await {
        delays.extend(reader??);
    }
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(Figures::from([
        ("fan_out_p50".into(), millis(percentile(&mut delays, 50))),
        ("fan_out_p99".into(), millis(percentile(&mut delays, 99))),
    ]))
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}
