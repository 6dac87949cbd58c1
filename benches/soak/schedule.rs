//! What happens when: appends at full speed, faults by a seed, and barriers at which all readers have
//! to have the same.

use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use tailwater::stream::Live;
use tokio::time::sleep;

use crate::day::Days;
use crate::model::{Model, QUERIES};
use crate::reader::{Reader, Shared, lock, wrong};
use crate::server::Server;
use crate::way::Way;
use crate::{Error, Options};

/// So often the results are computed to be compared.
const COMPARED: u64 = 100;
const STREAM: &str = "/v1/stream/events";
/// How long readers may take to have it all.
const PATIENCE: Duration = Duration::from_secs(90);

/// What was measured in a second.
pub(crate) struct Sample {
    pub(crate) at: f64,
    pub(crate) memory: f64,
    pub(crate) events: f64,
    /// The middle and the highest but one in a hundred; none without any.
    pub(crate) delays: Option<(f64, f64)>,
}

pub(crate) struct Figures {
    pub(crate) seed: u64,
    pub(crate) seconds: f64,
    pub(crate) samples: Vec<Sample>,
    /// Faults, when and which.
    pub(crate) faults: Vec<(f64, &'static str)>,
    pub(crate) events: u64,
    pub(crate) appends: u64,
    pub(crate) compared: u64,
    pub(crate) barriers: u64,
    pub(crate) gone: u64,
    pub(crate) delays: Vec<f64>,
    pub(crate) disk: u64,
}

struct Run<'o> {
    options: &'o Options,
    random: Rng,
    began: Instant,
    server: Server,
    way: Way,
    truth: Shared,
    readers: Vec<Reader>,
    days: Days,
    model: Model,
    /// The number of the next append of the producer.
    next: u64,
    epoch: u64,
    sampled: (Instant, u64),
    extra: Vec<String>,
    figures: Figures,
}

pub(crate) async fn run(options: &Options) -> Result<Figures, Error> {
    let data = std::env::temp_dir().join(format!("soak-{}", std::process::id()));
    std::fs::create_dir_all(&data)?;
    let server = Server::start(&options.server, &data)?;
    let way = Way::to(server.address).await?;
    let now = Instant::now();
    let mut run = Run {
        options,
        random: Rng::with_seed(options.seed),
        began: now,
        server,
        way,
        truth: Shared::default(),
        readers: Vec::new(),
        days: Days::new()?,
        model: Model::default(),
        next: 0,
        epoch: 0,
        sampled: (now, 0),
        extra: Vec::new(),
        figures: Figures {
            seed: options.seed,
            seconds: 0.0,
            samples: Vec::new(),
            faults: Vec::new(),
            events: 0,
            appends: 0,
            compared: 0,
            barriers: 0,
            gone: 0,
            delays: Vec::new(),
            disk: 0,
        },
    };
    let done = run.go_on(&data).await;
    if let Err(error) = done {
        let faults = &run.figures.faults;
        let last: Vec<String> = (faults.iter().rev().take(8).rev())
            .map(|(at, what)| format!("{at:.1} s: {what}"))
            .collect();
        return Err(format!(
            "{error}\nafter {:.1} s and {} appends with --seed {} --batch {}; the last faults: {}; \
             the server's data are in {}",
            run.began.elapsed().as_secs_f64(),
            run.figures.appends,
            options.seed,
            options.batch,
            last.join(", "),
            data.display()
        )
        .into());
    }
    let mut figures = run.figures;
    drop((run.readers, run.server));
    figures.disk = size(&data);
    std::fs::remove_dir_all(&data)?;
    Ok(figures)
}

/// The bytes of a directory.
fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

impl Run<'_> {
    async fn go_on(&mut self, data: &Path) -> Result<(), Error> {
        self.server.send(Method::PUT, STREAM, &[], "[]").await?;
        for (name, sql) in QUERIES {
            self.server.register(name, sql).await?;
        }
        self.append().await?;
        for _ in 0..2 {
            for (name, _) in &QUERIES[1..] {
                self.add_reader(name);
            }
        }
        let mut fault = Instant::now() + Duration::from_secs(10);
        let mut barrier = Instant::now() + Duration::from_secs(5);
        let mut told = Instant::now();
        while self.began.elapsed() < self.options.time {
            self.append().await?;
            self.sample();
            if Instant::now() >= fault {
                self.fault().await?;
                fault = Instant::now() + Duration::from_millis(self.random.u64(3000..9000));
            }
            if Instant::now() >= barrier {
                self.barrier().await?;
                barrier = Instant::now() + Duration::from_secs(15);
            }
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                self.tell(data);
            }
        }
        self.barrier().await?;
        self.figures.seconds = self.began.elapsed().as_secs_f64();
        Ok(())
    }

    fn at(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn tell(&self, data: &Path) {
        let last = self.figures.samples.last();
        eprintln!(
            "{:5.0} s: day {}, {} events, {} comparisons, {} readers, {:.0} MiB, {} MB on disk, {} faults",
            self.at(),
            self.days.day(),
            self.figures.events,
            lock(&self.truth).compared,
            self.readers.len(),
            last.map_or(0.0, |sample| sample.memory),
            size(data) / 1_000_000,
            self.figures.faults.len(),
        );
    }

    /// Appends events and a mark, once, however often that has to be tried.
    async fn append(&mut self) -> Result<(), Error> {
        let mark = self.model.mark + 1;
        let mut events: Vec<Value> = (0..self.options.batch).map(|_| self.days.next()).collect();
        events.push(json!({"type": "marks", "key": "mark", "value": {"n": mark},
            "headers": {"operation": "upsert"}}));
        events.iter().for_each(|event| self.model.take(event));
        if mark.is_multiple_of(COMPARED) {
            self.note_results();
        }
        let headers = [
            ("producer-id", format!("soak-{}", self.epoch)),
            ("producer-epoch", "0".to_owned()),
            ("producer-seq", self.next.to_string()),
        ];
        let body = Value::from(events).to_string();
        let status = self.server.send(Method::POST, STREAM, &headers, &body);
        let status = status.await?;
        if !matches!(status, 200 | 204) {
            return Err(format!("append {mark} is answered with {status}").into());
        }
        self.next += 1;
        self.figures.appends += 1;
        self.figures.events += self.options.batch as u64 + 1;
        let mut truth = lock(&self.truth);
        truth.acknowledged.insert(mark, Instant::now());
        if truth.acknowledged.len() > 20_000 {
            truth.acknowledged.pop_first();
        }
        match truth.wrong.take() {
            Some(wrong) => Err(wrong.into()),
            None => Ok(()),
        }
    }

    /// Computes what results are now.
    fn note_results(&self) {
        let results = QUERIES
            .iter()
            .map(|(name, _)| (*name, self.model.result(name)));
        let results = results.collect();
        let mut truth = lock(&self.truth);
        truth.results.insert(self.model.mark, results);
        if truth.results.len() > 60 {
            truth.results.pop_first();
        }
    }

    fn sample(&mut self) {
        let (since, events) = self.sampled;
        let passed = since.elapsed().as_secs_f64();
        if passed < 1.0 {
            return;
        }
        self.sampled = (Instant::now(), self.figures.events);
        let mut delays = std::mem::take(&mut lock(&self.truth).delays);
        delays.sort_by(f64::total_cmp);
        let of = |part: f64| delays[((delays.len() - 1) as f64 * part) as usize];
        self.figures.samples.push(Sample {
            at: self.at(),
            memory: self.server.memory().unwrap_or_default(),
            events: (self.figures.events - events) as f64 / passed,
            delays: (!delays.is_empty()).then(|| (of(0.5), of(0.99))),
        });
        self.figures.delays.extend(delays);
    }

    fn add_reader(&mut self, name: &'static str) {
        let live = match self.random.bool() {
            true => Live::Sse,
            false => Live::LongPoll,
        };
        let address = self.way.address.to_string();
        let reader = Reader::start(&address, name, live, &self.truth);
        self.readers.push(reader);
    }

    async fn fault(&mut self) -> Result<(), Error> {
        let which = self.random.usize(..self.readers.len());
        let kind = self.random.u32(..22);
        let what = match kind {
            0..4 => {
                self.server.kill_and_start()?;
                "killed"
            }
            4..6 => {
                self.server.signal("-STOP")?;
                sleep(Duration::from_millis(self.random.u64(300..2500))).await;
                self.server.signal("-CONT")?;
                "stopped"
            }
            6..10 => {
                self.way.cut();
                "cut"
            }
            10..12 => {
                let time = Duration::from_secs(self.random.u64(2..35));
                self.readers[which].stall(time);
                "stall"
            }
            12..14 if self.readers.len() > 5 => {
                self.readers.swap_remove(which);
                "reader"
            }
            14..16 if self.readers.len() < 20 => {
                let (name, _) = QUERIES[self.random.usize(1..QUERIES.len())];
                self.add_reader(name);
                "reader"
            }
            16..19 => {
                self.change_queries().await?;
                "query"
            }
            19 => {
                self.make_anew().await?;
                "anew"
            }
            20.. => {
                let time = Duration::from_millis(self.random.u64(500..4000));
                let full = self.server.fill_disk(time);
                let (told, appended) = tokio::join!(full, self.append());
                told.and(appended)?;
                "full"
            }
            _ => return Ok(()),
        };
        let at = self.at();
        self.figures.faults.push((at, what));
        self.server.check()
    }

    /// Installs a query, or drops one that was installed in this way.
    async fn change_queries(&mut self) -> Result<(), Error> {
        if self.extra.len() > 4 || (!self.extra.is_empty() && self.random.bool()) {
            let name = self
                .extra
                .swap_remove(self.random.usize(..self.extra.len()));
            let path = format!("/v1/query/{name}");
            self.server.send(Method::DELETE, &path, &[], "").await?;
            return Ok(());
        }
        let name = format!("extra-{}", self.random.u32(..));
        let (_, sql) = QUERIES[self.random.usize(1..QUERIES.len())];
        self.server.register(&name, sql).await?;
        self.extra.push(name);
        Ok(())
    }

    /// Deletes the stream and makes another one in its place.
    async fn make_anew(&mut self) -> Result<(), Error> {
        self.barrier().await?;
        self.server.send(Method::DELETE, STREAM, &[], "").await?;
        let mark = self.model.mark;
        self.server.send(Method::PUT, STREAM, &[], "[]").await?;
        (self.days, self.model) = (Days::new()?, Model::default());
        // Marks go on, so that none stands for two states.
        self.model.mark = mark;
        (self.next, self.epoch) = (0, self.epoch + 1);
        self.append().await
    }

    /// Waits until all readers have all, and compares it.
    async fn barrier(&mut self) -> Result<(), Error> {
        self.note_results();
        let began = Instant::now();
        loop {
            if let Some(wrong) = lock(&self.truth).wrong.take() {
                return Err(wrong.into());
            }
            self.sample();
            let mark = self.model.mark;
            let mut reading = self.readers.iter().filter(|reader| !reader.is_stalled());
            let late = reading.find(|reader| reader.mark() != mark);
            let Some(late) = late else { break };
            if began.elapsed() > PATIENCE {
                let (at, names) = (late.mark(), &late.names);
                return Err(format!("a reader of {names:?} is at {at} and not at {mark}").into());
            }
            sleep(Duration::from_millis(5)).await;
        }
        for reader in self.readers.iter().filter(|reader| !reader.is_stalled()) {
            let seen = lock(&reader.seen);
            for (name, rows) in &seen.rows {
                let due = self.model.result(name);
                if *rows != due {
                    let offset = seen.offset.as_ref();
                    return Err(wrong(name, self.model.mark, rows, &due, offset).into());
                }
            }
        }
        self.figures.barriers += 1;
        let truth = lock(&self.truth);
        (self.figures.compared, self.figures.gone) = (truth.compared, truth.gone);
        drop(truth);
        self.server.check()
    }
}
