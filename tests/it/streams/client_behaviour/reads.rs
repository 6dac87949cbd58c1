//! Catching up, and staying up to date.

use bytes::Bytes;
use serde::Deserialize;
use tailwater::stream::{
    AppendOptions, CreateOptions, DurableStream, Live, Offset, ReadOptions, StreamError,
};

use super::super::servers::ServerUnderTest;
use super::super::support::{
    LIVE, MODES, create_json, ended, messages, next, next_error, next_items, numbers, read_to_end,
    texts,
};

fn from_start(live: Live) -> ReadOptions {
    ReadOptions::from(Offset::START).live(live)
}

async fn json_stream(server: &ServerUnderTest, array: &str, closed: bool) -> DurableStream {
    let stream = server.stream();
    create_json(&stream, array, closed).await;
    stream
}

pub(super) async fn catching_up_ends_with_what_is_there(server: &ServerUnderTest) {
    let stream = json_stream(server, "[1,2]", false).await;
    stream.append("3").await.unwrap();
    let mut reader = stream.read(ReadOptions::default());
    let (read, last) = read_to_end(&mut reader).await;
    assert_eq!(read.messages, ["1", "2", "3"]);
    assert!(last.up_to_date && !last.closed);
    assert_eq!(last.offset, stream.head().await.unwrap().end);
    assert!(ended(&mut reader).await, "it stays ended");
}

pub(super) async fn an_empty_stream_is_up_to_date(server: &ServerUnderTest) {
    let json = json_stream(server, "", false).await;
    let bytes = server.stream();
    bytes.create(CreateOptions::default()).await.unwrap();
    for stream in [json, bytes] {
        let end = stream.head().await.unwrap().end;
        for live in MODES {
            let mut reader = stream.read(from_start(live));
            let first = next(&mut reader).await;
            assert!(first.items.is_empty(), "{live:?}");
            assert!(first.up_to_date && !first.closed, "{live:?}");
            assert_eq!(first.offset, end, "{live:?}");
            match live {
                Live::Off => assert!(ended(&mut reader).await),
                _ => {
                    let second = next(&mut reader).await;
                    assert!(second.items.is_empty() && second.up_to_date, "{live:?}");
                }
            }
        }
    }
}

pub(super) async fn closed_streams_end_readers_in_every_mode(server: &ServerUnderTest) {
    let stream = json_stream(server, "[1,2]", true).await;
    let end = stream.head().await.unwrap().end;
    for live in MODES {
        let mut reader = stream.read(from_start(live));
        let (read, last) = read_to_end(&mut reader).await;
        assert_eq!(read.messages, ["1", "2"], "{live:?}");
        assert!(last.closed && last.up_to_date, "{live:?}");
        assert_eq!(last.offset, end, "{live:?}");
        // From its end, and from now on.
        for offset in [end.clone(), Offset::NOW] {
            let mut reader = stream.read(ReadOptions::from(offset).live(live));
            let (read, last) = read_to_end(&mut reader).await;
            assert!(read.messages.is_empty(), "{live:?}");
            assert_eq!((last.offset, last.closed), (end.clone(), true), "{live:?}");
        }
    }
}

pub(super) async fn an_empty_closed_stream_ends_readers_in_every_mode(server: &ServerUnderTest) {
    let stream = json_stream(server, "", true).await;
    for live in MODES {
        let (read, last) = read_to_end(&mut stream.read(from_start(live))).await;
        assert!(read.messages.is_empty() && last.closed, "{live:?}");
    }
}

pub(super) async fn from_now_on_nothing_old_is_read(server: &ServerUnderTest) {
    let stream = json_stream(server, "[1,2]", false).await;
    let (read, last) = read_to_end(&mut stream.read(ReadOptions::from(Offset::NOW))).await;
    assert!(read.messages.is_empty() && last.up_to_date);
    assert_eq!(last.offset, stream.head().await.unwrap().end);
    for live in LIVE {
        let mut reader = stream.read(ReadOptions::from(Offset::NOW).live(live));
        let first = next(&mut reader).await;
        assert!(first.items.is_empty() && first.up_to_date, "{live:?}");
        assert_eq!(first.offset, stream.head().await.unwrap().end, "{live:?}");
        stream.append("\"new\"").await.unwrap();
        assert_eq!(messages(&mut reader, 1).await, ["\"new\""], "{live:?}");
    }
}

pub(super) async fn reading_goes_on_from_stored_offsets(server: &ServerUnderTest) {
    let stream = json_stream(server, "", false).await;
    let mut ends = vec![Offset::START];
    for n in numbers(0..6) {
        ends.push(stream.append(n).await.unwrap());
    }
    for (read_before, offset) in ends.iter().enumerate() {
        // As text, as they would be stored.
        let stored = Offset::from(offset.to_string());
        let (read, _) = read_to_end(&mut stream.read(ReadOptions::from(stored))).await;
        assert_eq!(read.messages, numbers(read_before..6));
    }
    for (n, live) in LIVE.into_iter().enumerate() {
        let mut reader = stream.read(ReadOptions::from(ends[4].clone()).live(live));
        let expected = numbers(4..6 + n);
        assert_eq!(
            messages(&mut reader, expected.len()).await,
            expected,
            "{live:?}"
        );
        let offset = stream.head().await.unwrap().end;
        drop(reader);
        stream.append_json(&(6 + n)).await.unwrap();
        let mut reader = stream.read(ReadOptions::from(offset).live(live));
        assert_eq!(
            messages(&mut reader, 1).await,
            numbers(6 + n..7 + n),
            "{live:?}"
        );
    }
}

pub(super) async fn readers_stay_with_what_comes(server: &ServerUnderTest) {
    let stream = json_stream(server, "[0]", false).await;
    let mut readers = LIVE.map(|live| stream.read(from_start(live)));
    for reader in &mut readers {
        assert_eq!(messages(reader, 1).await, ["0"]);
    }
    for n in 1..5 {
        let end = stream.append(n.to_string()).await.unwrap();
        for reader in &mut readers {
            let batch = next_items(reader).await;
            assert_eq!(texts(&batch), [n.to_string()], "{reader:?}");
            assert_eq!(batch.offset, end);
        }
    }
    let end = stream.close().await.unwrap();
    for reader in &mut readers {
        let (read, last) = read_to_end(reader).await;
        assert!(read.messages.is_empty());
        assert_eq!((last.offset, last.closed), (end.clone(), true));
    }
}

pub(super) async fn readers_stay_with_text_and_bytes(server: &ServerUnderTest) {
    let pieces: [(&str, [&[u8]; 3]); 2] = [
        (
            "text/plain; charset=utf-8",
            [b"a\nb\n\n", "🦀".as_bytes(), b"\n:c"],
        ),
        (
            "application/octet-stream",
            [b"\xff\x00\r\n", b"\x80", b"\n"],
        ),
    ];
    for (content_type, pieces) in pieces {
        let stream = server.stream();
        let options = CreateOptions::with_content_type(content_type);
        stream.create(options).await.unwrap();
        let mut readers = LIVE.map(|live| stream.read(from_start(live)));
        for reader in &mut readers {
            assert!(next(reader).await.items.is_empty());
        }
        for piece in pieces {
            stream.append(Bytes::from_static(piece)).await.unwrap();
            for reader in &mut readers {
                let batch = next_items(reader).await;
                assert_eq!(batch.items.bytes(), piece, "{content_type}");
            }
        }
    }
}

pub(super) async fn content_that_closes_a_stream_is_read(server: &ServerUnderTest) {
    for live in LIVE {
        let stream = json_stream(server, "[0]", false).await;
        let mut reader = stream.read(from_start(live));
        assert_eq!(messages(&mut reader, 1).await, ["0"], "{live:?}");
        // The close comes while the reader waits.
        let waiting = next(&mut reader);
        let closing = async {
            let options = AppendOptions {
                close: true,
                ..AppendOptions::default()
            };
            let last = stream.append_all([Bytes::from("1")], options).await;
            last.unwrap()
        };
        let (batch, end) = tokio::join!(waiting, closing);
        let mut texts = texts(&batch);
        let last = match batch.closed {
            true => batch,
            false => {
                let (read, last) = read_to_end(&mut reader).await;
                texts.extend(read.messages);
                last
            }
        };
        assert_eq!(texts, ["1"], "{live:?}");
        assert_eq!((last.offset, last.closed), (end, true), "{live:?}");
        assert!(ended(&mut reader).await);
    }
}

pub(super) async fn live_batches_have_a_cursor(server: &ServerUnderTest) {
    let stream = json_stream(server, "[0]", false).await;
    for live in LIVE {
        let mut reader = stream.read(from_start(live));
        next(&mut reader).await;
        assert!(next(&mut reader).await.cursor.is_some(), "{live:?}");
    }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Greeting {
    hello: String,
}

pub(super) async fn everything_is_collected(server: &ServerUnderTest) {
    let stream = json_stream(server, r#"[{"hello":"a"}]"#, false).await;
    stream.append(r#"{"hello":"ü"}"#).await.unwrap();
    for live in MODES {
        let greetings: Vec<Greeting> = stream.read(from_start(live)).collect_json().await.unwrap();
        let expected = ["a", "ü"].map(|hello| Greeting {
            hello: hello.into(),
        });
        assert_eq!(greetings, expected, "{live:?}");
        let text = stream.read(from_start(live)).collect_text().await;
        assert_eq!(
            text.unwrap(),
            r#"[{"hello":"a"},{"hello":"ü"}]"#,
            "{live:?}"
        );
    }
    let stream = server.stream();
    stream.create(CreateOptions::default()).await.unwrap();
    stream.append(&b"\x00\xff"[..]).await.unwrap();
    stream.append(&b"\x01"[..]).await.unwrap();
    for live in MODES {
        let bytes = stream.read(from_start(live)).collect_bytes().await;
        assert_eq!(bytes.unwrap(), b"\x00\xff\x01", "{live:?}");
    }
    let not_text = stream.read(ReadOptions::default()).collect_text().await;
    assert!(matches!(not_text, Err(StreamError::Parse { .. })));
}

pub(super) async fn collecting_goes_on_where_it_was(server: &ServerUnderTest) {
    let stream = json_stream(server, "[1,2]", false).await;
    for live in LIVE {
        let mut reader = stream.read(ReadOptions::from(Offset::NOW).live(live));
        let none: Vec<u64> = reader.collect_json().await.unwrap();
        assert!(none.is_empty(), "{live:?}");
        stream.append("3").await.unwrap();
        // What comes may be behind news that there is nothing.
        let mut some: Vec<u64> = Vec::new();
        while some.is_empty() {
            some = reader.collect_json().await.unwrap();
        }
        assert_eq!(some, [3], "{live:?}");
    }
}

pub(super) async fn a_message_of_another_type_is_an_error(server: &ServerUnderTest) {
    let stream = json_stream(server, r#"[1,"two"]"#, false).await;
    let mut reader = stream.read(ReadOptions::default());
    let error = reader.collect_json::<u64>().await.unwrap_err();
    assert!(
        matches!(&error, StreamError::Parse { detail, .. } if detail.contains("two")),
        "{error}"
    );
}

pub(super) async fn an_offset_that_is_none_is_named(server: &ServerUnderTest) {
    let stream = json_stream(server, "[1]", false).await;
    for live in MODES {
        let mut reader = stream.read(ReadOptions::from("no offset & more").live(live));
        let error = next_error(&mut reader).await;
        assert!(
            matches!(&error, StreamError::InvalidOffset { offset, .. }
                if offset.as_str() == "no offset & more"),
            "{live:?}: {error:?}"
        );
        assert_eq!(error.status(), Some(400));
        assert!(ended(&mut reader).await, "{live:?}");
    }
}

pub(super) async fn a_large_stream_is_read_whole(server: &ServerUnderTest) {
    let stream = json_stream(server, "", false).await;
    let text = format!("\"{}\"", "x".repeat(10_000));
    for _ in 0..30 {
        let items = vec![Bytes::from(text.clone()); 10];
        let appended = stream.append_all(items, AppendOptions::default()).await;
        appended.unwrap();
    }
    let mut readers = MODES.map(|live| stream.read(from_start(live)));
    for reader in &mut readers {
        let all = messages(reader, 300).await;
        assert!(all.len() == 300 && all.iter().all(|message| *message == text));
    }
}
