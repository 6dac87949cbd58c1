//! Readers over connections that break: every item comes once and in order, wherever they break.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use fastrand::Rng;
use futures_util::StreamExt;
use tailwater::stream::{CreateOptions, Live, Offset, ReadOptions};
use tokio::sync::watch;

use super::hand_made::{Reply, Server};
use super::http1::Request;
use super::proxy::{Action, Proxy};
use super::servers::ServerUnderTest;
use super::support::{LIVE, MODES, Read, in_time, numbers, quick_builder, read_to_end};

/// How many readers run at once.
const READERS: usize = 32;

type Items = &'static [&'static [u8]];

/// What is in the streams: JSON, text that has lines, and bytes that are no text.
const CONTENTS: [(&str, Items); 3] = [
    (
        "application/json",
        &["{\"n\":\"ä \\n\"}".as_bytes(), b"[1,[2]]", b"3", b"[]"],
    ),
    (
        "text/plain",
        &[b"one\n\ntwo", "\n🦀".as_bytes(), b": four", b"\n"],
    ),
    (
        "image/png",
        &[&[0, 255, 10, 13], &[128], &[200, 0, 7], &[13, 10]],
    ),
];

/// What a reader has to make of items.
fn read_of(content_type: &str, items: &[&[u8]]) -> Read {
    let mut read = Read::default();
    match content_type {
        "application/json" => {
            let text = |item: &&[u8]| String::from_utf8(item.to_vec()).expect("text");
            read.messages = items.iter().map(text).collect();
        }
        _ => read.bytes = items.concat(),
    }
    read
}

/// A closed stream to be read.
struct Case {
    server: SocketAddr,
    url: String,
    content_type: &'static str,
    items: Items,
    live: Live,
    /// What is answered first, in the server's place.
    first: Option<Reply>,
    end: Offset,
    /// Whether offsets are numbers of items.
    counts: bool,
}

impl Case {
    /// On the reference server. It has all of the stream in one answer, or before one control event.
    async fn on_reference(content_type: &'static str, items: Items, live: Live) -> Case {
        let server = ServerUnderTest::reference().unwrap();
        let stream = server.stream();
        let options = CreateOptions::with_content_type(content_type);
        let start = stream.create(options).await.unwrap().end.unwrap();
        for item in items {
            stream.append(Bytes::from_static(item)).await.unwrap();
        }
        Case {
            server: server.address(),
            url: stream.url(),
            content_type,
            items,
            live,
            // A reader catches up first. So that something is left for the live requests, it is
            // told then that there is nothing.
            first: (live != Live::Off).then(|| Reply::up_to_date(content_type, start)),
            end: stream.close().await.unwrap(),
            counts: false,
        }
    }

    /// On a server that cuts the stream into many answers and control events.
    async fn in_pieces(content_type: &'static str, items: Items, live: Live) -> Case {
        let left = if live == Live::Off { 0 } else { 3 };
        let server = Server::start(move |_, request| piece(content_type, items, left, request));
        let server = server.await;
        Case {
            server: server.address,
            url: server.url,
            content_type,
            items,
            live,
            first: None,
            end: Offset::from(items.len().to_string()),
            counts: true,
        }
    }

    /// Reads all of it through a proxy, which does first what is planned.
    async fn read(&self, proxy: &Proxy, client: &reqwest::Client, plan: Vec<Action>) {
        let first = self.first.iter().cloned().map(Action::Answer);
        proxy.restart(first.chain(plan.iter().cloned()));
        let stream = quick_builder(&proxy.url(&self.url), 100).http_client(client.clone());
        let options = ReadOptions::from(Offset::START).live(self.live);
        let mut batches = stream.build().unwrap().read(options);
        let mut read = Read::default();
        let mut last = None;
        while let Some(batch) = in_time(batches.next()).await {
            let batch = batch.unwrap_or_else(|error| panic!("{error}: {plan:?}"));
            read.take(&batch.items);
            if self.counts {
                let count: usize = batch.offset.as_str().parse().unwrap();
                assert_eq!(read, self.expected(count), "{plan:?}");
            }
            last = Some(batch);
        }
        let last = last.expect("at least one batch");
        assert_eq!(read, self.expected(self.items.len()), "{plan:?}");
        assert_eq!(
            (last.offset, last.closed),
            (self.end.clone(), true),
            "{plan:?}"
        );
    }

    fn expected(&self, count: usize) -> Read {
        read_of(self.content_type, &self.items[..count])
    }

    /// Cuts each connection at each byte, with and without more trouble behind it.
    async fn cut_everywhere(&self) {
        let client = reqwest::Client::builder().pool_max_idle_per_host(0);
        let client = &client.build().unwrap();
        let proxy = Proxy::start(self.server, []).await;
        self.read(&proxy, client, Vec::new()).await;
        let lengths: Vec<usize> = proxy.seen().iter().map(|seen| seen.answer).collect();
        let lengths = &lengths[usize::from(self.first.is_some())..];
        let longest = *lengths.iter().max().unwrap();
        let places = Mutex::new(lengths.iter().enumerate().flat_map(|(connection, length)| {
            assert!(*length > 0);
            (0..*length).map(move |at| (connection, at))
        }));
        let reader = async |proxy: Proxy| {
            loop {
                let place = places.lock().unwrap().next();
                let Some((connection, at)) = place else {
                    return;
                };
                let mut plan = vec![Action::Forward; connection];
                plan.push(Action::Cut(at));
                let mut rng = Rng::with_seed(at as u64);
                plan.extend((0..rng.usize(..3)).map(|_| trouble(&mut rng, longest)));
                self.read(&proxy, client, plan).await;
            }
        };
        let proxies = (0..READERS).map(|_| Proxy::start(self.server, []));
        let proxies = futures_util::future::join_all(proxies).await;
        futures_util::future::join_all(proxies.into_iter().map(reader)).await;
    }
}

/// What a server of `items` answers, whose offsets are numbers of items. Live requests have to be made
/// for the last `left` of them.
fn piece(content_type: &str, items: Items, left: usize, request: &Request) -> Reply {
    let json = content_type == "application/json";
    let binary = content_type == "image/png";
    let offset = request.param("offset").expect("reads have one");
    let from = offset.parse().unwrap_or(0);
    let body = |to: usize| match json {
        true => [b"[", items[from..to].join(&b","[..]).as_slice(), b"]"].concat(),
        false => items[from..to].concat(),
    };
    let answer = |to: usize| {
        let answer = Reply::at(200, to).header("content-type", content_type);
        match to == items.len() {
            true => answer.header("stream-closed", "true"),
            false => answer,
        }
    };
    match request.live().as_str() {
        "" => {
            let to = (from + 1).min(items.len() - left);
            let answer = answer(to).body(body(to));
            match to == items.len() - left {
                true => answer.header("stream-up-to-date", "true"),
                false => answer,
            }
        }
        "long-poll" => answer(from + 1).body(body(from + 1)),
        _ => {
            let mut text = String::new();
            for (n, item) in items.iter().enumerate().skip(from) {
                let data = match binary {
                    true => BASE64_STANDARD.encode(item),
                    false => String::from_utf8(item.to_vec()).unwrap(),
                };
                let data = if json { format!("[{data}]") } else { data };
                let data = data.replace('\n', "\ndata:");
                let (end, closed) = (n + 1, n + 1 == items.len());
                text.push_str(&format!(
                    "event: data\ndata:{data}\n\nevent: control\n\
                     data: {{\"streamNextOffset\":\"{end}\",\"streamClosed\":{closed}}}\n\n"
                ));
            }
            match binary {
                true => Reply::events(&text).header("stream-sse-data-encoding", "base64"),
                false => Reply::events(&text),
            }
        }
    }
}

/// Something that may happen to a connection.
fn trouble(rng: &mut Rng, longest: usize) -> Action {
    match rng.u8(..10) {
        0..4 => Action::Cut(rng.usize(..longest)),
        4 => Action::failure(500),
        5 => Action::failure(429),
        6 => Action::Pause(rng.usize(..longest), Duration::from_millis(1)),
        7 => Action::ByteByByte,
        8 => Action::Refuse,
        _ => Action::Forward,
    }
}

async fn cut_everywhere_on_reference(live: Live) {
    for (content_type, items) in CONTENTS {
        let case = Case::on_reference(content_type, items, live).await;
        case.cut_everywhere().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn catching_up_survives_a_cut_at_every_byte() {
    cut_everywhere_on_reference(Live::Off).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_poll_survives_a_cut_at_every_byte() {
    cut_everywhere_on_reference(Live::LongPoll).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sse_survives_a_cut_at_every_byte() {
    cut_everywhere_on_reference(Live::Sse).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_survives_a_cut_at_every_byte() {
    cut_everywhere_on_reference(Live::Auto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_many_pieces_survives_a_cut_at_every_byte() {
    for (content_type, items) in CONTENTS {
        for live in MODES {
            let case = Case::in_pieces(content_type, items, live).await;
            case.cut_everywhere().await;
        }
    }
}

/// A writer goes on while the connections of a reader break.
async fn follow_a_writer(content_type: &'static str, live: Live, seed: u64) {
    let server = ServerUnderTest::reference().unwrap();
    let stream = server.stream();
    stream
        .create(CreateOptions::with_content_type(content_type))
        .await
        .unwrap();
    let count = 60;
    // The writer is some items ahead and then waits for the reader.
    let read_to = watch::Sender::new(Offset::START);
    let writing = async {
        let mut rng = Rng::with_seed(seed);
        for item in numbers(0..count) {
            let end = stream.append(item).await.unwrap();
            if rng.u8(..3) == 0 {
                let mut read_to = read_to.subscribe();
                let there = read_to.wait_for(|read_to| read_to.as_str() >= end.as_str());
                in_time(there).await.unwrap();
            }
        }
        stream.close().await.unwrap();
    };
    let mut rng = Rng::with_seed(seed);
    let plan: Vec<Action> = (0..50).map(|_| trouble(&mut rng, 2_000)).collect();
    let proxy = Proxy::start(server.address(), plan).await;
    let reading = async {
        let through = quick_builder(&proxy.url(&stream.url()), 100)
            .build()
            .unwrap();
        let mut batches = through.read(ReadOptions::from(Offset::START).live(live));
        let mut read = Read::default();
        while let Some(batch) = in_time(batches.next()).await {
            let batch = batch.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            read.take(&batch.items);
            read_to.send_replace(batch.offset);
        }
        read
    };
    let ((), read) = tokio::join!(writing, reading);
    let items = numbers(0..count);
    match content_type {
        "application/json" => assert_eq!(read.messages, items, "seed {seed}"),
        _ => assert_eq!(read.bytes, items.concat().into_bytes(), "seed {seed}"),
    }
    let (again, last) = read_to_end(&mut stream.read(ReadOptions::default())).await;
    assert_eq!((again, last.closed), (read, true), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_follow_a_writer_over_connections_that_break() {
    let mut cases = Vec::new();
    for (content_type, _) in CONTENTS {
        for live in LIVE {
            cases.extend((0..8).map(|seed| (content_type, live, seed)));
        }
    }
    futures_util::stream::iter(cases)
        .for_each_concurrent(8, |(content_type, live, seed)| {
            follow_a_writer(content_type, live, seed)
        })
        .await;
}
