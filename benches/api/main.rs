//! `cargo bench --bench api`: how long a change takes to a subscriber of a live query of a `StreamDb`,
//! from an append to the embedded server, and from an optimistic write.

use std::error::Error;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tailwater::Collection;
use tailwater::db::{LiveQuery, StreamDb};
use tailwater::query::Query;
use tailwater::schema::StateSchema;
use tailwater::server::Server;
use tailwater::stream::{CreateOptions, DurableStream};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rows that are there from the beginning.
const ROWS: i64 = 10_000;
/// Changes that are measured, after some to warm up.
const CHANGES: i64 = 5_000;
const WARM_UP: i64 = 500;

#[derive(Clone, Serialize, Deserialize, Collection)]
#[collection(name = "items", type = "item", key = "id")]
struct Item {
    id: String,
    name: String,
    count: i64,
}

fn item(n: i64) -> Item {
    Item {
        id: n.to_string(),
        name: format!("the item of number {n}"),
        count: n,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start().await?;
    let stream = DurableStream::new(server.stream_url("items"))?;
    stream.create(CreateOptions::json()).await?;
    let schema = StateSchema::builder().collection::<Item>().build()?;
    let events = schema.events::<Item>()?;
    let producer = stream.producer("bench").start().await?;
    for n in 0..ROWS {
        producer
            .append_json(&events.insert(&item(n)).build()?)
            .await?;
    }
    producer.flush().await?;

    let db = StreamDb::builder(stream.clone()).schema(&schema).open()?;
    db.preload().await?;
    let query = Query::from::<Item>("i").filter(|i| i.count.gte(ROWS / 2));
    let arrivals = arrivals(db.live(query)?);
    arrivals.recv()?;

    println!("| | p50 µs | p99 µs |\n|---|---:|---:|");
    let mut times = Vec::new();
    for n in 0..WARM_UP + CHANGES {
        let event = events.insert(&item(ROWS + n)).build()?;
        let begin = Instant::now();
        stream.append_json(&event).await?;
        times.push(arrivals.recv()? - begin);
    }
    print("append to subscriber", times);

    let (mut shown, mut times) = (Vec::new(), Vec::new());
    for n in 0..WARM_UP + CHANGES {
        let row = item(2 * ROWS + n);
        let tx = db.transaction()?;
        let begin = Instant::now();
        tx.insert(&row)?;
        shown.push(begin.elapsed());
        times.push(arrivals.recv()? - begin);
        tx.rollback();
        arrivals.recv()?;
    }
    print("optimistic write, until all live queries show it", shown);
    print("optimistic write to subscriber", times);
    Ok(())
}

/// When change sets came to a subscriber on a thread of its own.
fn arrivals(live: LiveQuery<Item>) -> Receiver<Instant> {
    let (sender, arrivals) = channel();
    std::thread::spawn(move || {
        for set in live.subscribe().iter() {
            let now = Instant::now();
            assert!(!set.is_empty());
            if sender.send(now).is_err() {
                break;
            }
        }
    });
    arrivals
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.drain(..WARM_UP as usize);
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100].as_nanos() as f64 / 1e3;
    println!("| {what} | {:.1} | {:.1} |", at(50), at(99));
}
