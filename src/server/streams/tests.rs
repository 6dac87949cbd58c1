//! The writer when things go wrong, and what it promises to readers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::chunk::Kind;
use super::command::{Append, Content, Create, ForkOf, Refusal};
use super::disk::Disk;
use super::expiry::Expiry;
use super::log::Log;
use super::path::StreamPath;
use super::writer::Command;
use super::{Most, Streams};

struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tailwater-writer-{}-{number}", std::process::id());
        Dir(std::env::temp_dir().join(name))
    }

    fn disk(&self) -> Arc<Disk> {
        Arc::new(Disk::open(&self.0, 1 << 20).unwrap())
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const MOST: Most = Most {
    streams: 100,
    producers: 100,
};

fn open(disk: Option<Arc<Disk>>, recent: usize) -> Streams {
    Streams::open(disk, MOST, recent).unwrap()
}

fn path(path: &str) -> StreamPath {
    StreamPath::trusted(path)
}

async fn create(streams: &Streams, name: &str, fork: Option<(&str, u64)>) -> Arc<Log> {
    let fork = fork.map(|(source, offset)| ForkOf {
        source: path(source),
        offset: Some(offset),
        sub_offset: 0,
    });
    let create = Create {
        path: path(name),
        content_type: Some("text/plain".into()),
        expiry: Expiry::Never,
        closed: false,
        content: None,
        fork,
    };
    streams.create(create).await.unwrap().log
}

async fn append(streams: &Streams, log: &Log, text: &str) -> Result<u64, Refusal> {
    let data = bytes::Bytes::copy_from_slice(text.as_bytes());
    let content = Content {
        kind: Kind::Text,
        count: data.len() as u64,
        data,
    };
    let append = Append {
        stream: log.id(),
        content: Some(content),
        close: false,
        seq: None,
        claim: None,
    };
    streams.append(append).await.map(|appended| appended.end)
}

async fn content(log: &Arc<Log>) -> String {
    let mut all = Vec::new();
    let mut from = 0;
    loop {
        let batch = log.read(from, 50).await.unwrap();
        all.extend_from_slice(&batch.body());
        from = batch.end;
        if batch.reaches_tail() {
            return String::from_utf8(all).unwrap();
        }
    }
}

#[tokio::test]
async fn a_failed_commit_leaves_all_as_it_was() {
    let dir = Dir::new();
    let disk = dir.disk();
    let streams = open(Some(disk.clone()), 1 << 20);
    let log = create(&streams, "s", None).await;
    append(&streams, &log, "before ").await.unwrap();
    let mut there = "before ".to_owned();
    let follow = loop {
        let follow = log.follow();
        // Any error of the disk is as good as this one.
        disk.close();
        match append(&streams, &log, "lost ").await {
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Unavailable);
                break follow;
            }
            // It was cleaning up, noticed that, and opened the file again, before it was asked.
            Ok(_) => there += "lost ",
        }
    };
    assert!(
        !follow.has_changed().unwrap(),
        "nobody sees what is not safe"
    );
    assert_eq!(content(&log).await, there);
    // The file was opened again, and readers still follow the same log.
    there += "after";
    let end = append(&streams, &log, "after").await;
    assert_eq!(end, Ok(there.len() as u64));
    assert!(follow.has_changed().unwrap());
    assert_eq!(content(&log).await, there);
    assert!(Arc::ptr_eq(&log, &streams.find(&path("s")).unwrap()));

    disk.close();
    let refused = streams.delete(path("s")).await;
    assert_eq!(refused, Err(Refusal::Unavailable));
    assert!(streams.find(&path("s")).is_ok());
    streams.stop().await;
    let streams = open(Some(dir.disk()), 0);
    assert_eq!(content(&streams.find(&path("s")).unwrap()).await, there);
}

#[tokio::test]
async fn a_panic_of_the_writer_hangs_nobody() {
    let dir = Dir::new();
    let streams = open(Some(dir.disk()), 1 << 20);
    let log = create(&streams, "s", None).await;
    append(&streams, &log, "x").await.unwrap();
    streams.queue.send(Command::Panic).await.unwrap();
    // This may be in the same round.
    let _ = append(&streams, &log, "?").await;
    let before = content(&log).await;
    assert!(append(&streams, &log, "y").await.is_ok());
    assert_eq!(content(&log).await, before + "y");

    let streams = open(None, 0);
    let log = create(&streams, "s", None).await;
    append(&streams, &log, "x").await.unwrap();
    streams.queue.send(Command::Panic).await.unwrap();
    for _ in 0..3 {
        assert_eq!(append(&streams, &log, "y").await, Err(Refusal::Unavailable));
    }
    assert!(!streams.is_alive());
    assert_eq!(content(&log).await, "x");
}

#[tokio::test]
async fn old_chunks_come_from_disk() {
    let dir = Dir::new();
    // Room for about three chunks, over both streams.
    let streams = open(Some(dir.disk()), 400);
    let log = create(&streams, "s", None).await;
    let mut expected = String::new();
    for number in 0..40 {
        let text = format!("{number:03} ");
        append(&streams, &log, &text).await.unwrap();
        expected += &text;
    }
    assert_eq!(content(&log).await, expected);
    assert!(log.read_recent(0, 50).is_none());
    assert!(log.read_recent(156, 50).is_some());
    // In the middle of a chunk that is on disk, and over the end of a fork's source.
    let fork = create(&streams, "f", Some(("s", 42))).await;
    append(&streams, &fork, "own").await.unwrap();
    assert_eq!(content(&fork).await, expected[..42].to_owned() + "own");
    let batch = fork.read(39, 1).await.unwrap();
    assert_eq!((batch.start, batch.end), (39, 40));
    assert_eq!(batch.body(), " ");
}

#[tokio::test]
async fn removed_data_leaves_the_disk() {
    let dir = Dir::new();
    let disk = dir.disk();
    let streams = open(Some(disk.clone()), 0);
    let log = create(&streams, "s", None).await;
    for _ in 0..3000 {
        // In few rounds, so that this is quick.
        let data = bytes::Bytes::from_static(b"x");
        let content = Some(Content {
            kind: Kind::Text,
            count: 1,
            data,
        });
        let append = Append {
            stream: log.id(),
            content,
            close: false,
            seq: None,
            claim: None,
        };
        let (reply, _) = tokio::sync::oneshot::channel();
        streams
            .queue
            .send(Command::Append(append, reply))
            .await
            .unwrap();
    }
    let fork = create(&streams, "f", Some(("s", 100))).await;
    streams.delete(path("s")).await.unwrap();
    assert_eq!(streams.find(&path("s")).unwrap_err(), Refusal::Kept);
    assert_eq!(content(&fork).await.len(), 100);
    streams.delete(path("f")).await.unwrap();
    assert_eq!(streams.find(&path("s")).unwrap_err(), Refusal::Missing);
    // The cleaning needs no requests to go on.
    streams.stop().await;
    let disk = dir.disk();
    while disk.clean().unwrap() {}
    let (loaded, next) = disk.load().unwrap();
    assert!(loaded.is_empty());
    assert_eq!(next, 3);
    assert_eq!(disk.chunks().unwrap(), 0);
}

#[tokio::test]
async fn a_chain_of_forks_ends_somewhere() {
    let streams = open(None, 0);
    let log = create(&streams, "0", None).await;
    append(&streams, &log, "x").await.unwrap();
    let mut refused = None;
    for depth in 1..100 {
        let create = Create {
            path: path(&depth.to_string()),
            content_type: None,
            expiry: Expiry::Never,
            closed: false,
            content: None,
            fork: Some(ForkOf {
                source: path(&(depth - 1).to_string()),
                offset: None,
                sub_offset: 0,
            }),
        };
        if let Err(refusal) = streams.create(create).await {
            refused = Some((depth, refusal));
            break;
        }
    }
    assert_eq!(refused, Some((65, Refusal::TooDeep { most: 64 })));
    assert_eq!(content(&streams.find(&path("64")).unwrap()).await, "x");
}
