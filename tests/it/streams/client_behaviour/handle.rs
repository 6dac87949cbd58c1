//! Create, append, close, delete, ask.

use bytes::Bytes;
use tailwater::stream::{
    AppendOptions, CreateOptions, DurableStream, ReadOptions, Reader, StreamError,
};

use super::super::servers::ServerUnderTest;
use super::super::support::{create_json, next_error, numbers, quick, quick_builder, read_to_end};

fn all(stream: &DurableStream) -> Reader {
    stream.read(ReadOptions::default())
}

/// All messages of a stream.
async fn messages(stream: &DurableStream) -> Vec<String> {
    read_to_end(&mut all(stream)).await.0.messages
}

async fn json_stream(server: &ServerUnderTest) -> DurableStream {
    let stream = server.stream();
    create_json(&stream, "", false).await;
    stream
}

pub(super) async fn creating_says_whether_the_stream_is_new(server: &ServerUnderTest) {
    let stream = server.stream();
    let created = stream.create(CreateOptions::json()).await.unwrap();
    assert!(created.is_new);
    assert_eq!(created.end, Some(stream.head().await.unwrap().end));
    stream.append("1").await.unwrap();
    let again = stream.create(CreateOptions::json()).await.unwrap();
    assert!(!again.is_new);
    assert_eq!(again.end, Some(stream.head().await.unwrap().end));
    assert_eq!(messages(&stream).await, ["1"]);
}

pub(super) async fn creating_with_another_configuration_is_a_conflict(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let text = CreateOptions::with_content_type("text/plain");
    let closed = CreateOptions {
        closed: true,
        ..CreateOptions::json()
    };
    let ttl = CreateOptions {
        ttl: Some(std::time::Duration::from_secs(60)),
        ..CreateOptions::json()
    };
    for options in [text, closed, ttl] {
        let error = stream.create(options).await.unwrap_err();
        assert!(matches!(error, StreamError::Conflict { .. }), "{error}");
        assert_eq!(error.status(), Some(409));
    }
    // What was refused is not taken for the stream's content type.
    stream.append("1").await.unwrap();
}

pub(super) async fn a_stream_is_created_with_content_and_closed(server: &ServerUnderTest) {
    let stream = server.stream();
    create_json(&stream, "[1,[2],3]", true).await;
    let head = stream.head().await.unwrap();
    assert!(head.closed);
    assert_eq!(head.content_type.as_deref(), Some("application/json"));
    let (read, last) = read_to_end(&mut all(&stream)).await;
    assert_eq!(read.messages, ["1", "[2]", "3"]);
    assert_eq!((last.offset, last.closed), (head.end, true));
}

pub(super) async fn an_append_ends_where_the_stream_does(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let mut ends = vec![stream.head().await.unwrap().end];
    for n in 0..3 {
        let end = stream.append_json(&n).await.unwrap();
        assert_eq!(end, stream.head().await.unwrap().end);
        assert!(!ends.contains(&end));
        ends.push(end);
    }
    let items = numbers(3..6).into_iter().map(Bytes::from);
    let end = stream.append_all(items, AppendOptions::default()).await;
    assert_eq!(end.unwrap(), stream.head().await.unwrap().end);
    assert_eq!(messages(&stream).await, numbers(0..6));
}

pub(super) async fn an_appended_text_keeps_all_its_digits(server: &ServerUnderTest) {
    if !server.keeps_text {
        return;
    }
    let stream = json_stream(server).await;
    let text = r#"{"a":9007199254740993,"b":1.10,"c":123456789012345678901234567890}"#;
    stream.append(text).await.unwrap();
    assert_eq!(messages(&stream).await, [text]);
}

pub(super) async fn an_array_is_one_message(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    stream.append("[1,2]").await.unwrap();
    stream.append("[]").await.unwrap();
    stream.append_json(&[[3]]).await.unwrap();
    let items = ["[4]", "5", "[[]]"].map(Bytes::from);
    let appended = stream.append_all(items, AppendOptions::default()).await;
    appended.unwrap();
    assert_eq!(
        messages(&stream).await,
        ["[1,2]", "[]", "[[3]]", "[4]", "5", "[[]]"]
    );
}

pub(super) async fn what_is_not_one_json_value_is_refused_and_not_sent(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    for bad in ["1],[2", "1,2", "", " ", "{", "1 2", "nul", "\"\n\""] {
        let error = stream.append(bad).await.unwrap_err();
        assert!(
            matches!(&error, StreamError::InvalidArgument { name, .. } if name == "data"),
            "{bad}: {error}"
        );
        // Nor is it sent with others.
        let items = ["1", bad, "2"].map(Bytes::from);
        let appended = stream.append_all(items, AppendOptions::default()).await;
        assert!(appended.is_err(), "{bad}");
    }
    let not_text = stream.append(Bytes::from_static(b"\"\xff\"")).await;
    assert!(matches!(not_text, Err(StreamError::InvalidArgument { .. })));
    assert!(messages(&stream).await.is_empty());
}

pub(super) async fn bytes_are_joined_and_text_is_text(server: &ServerUnderTest) {
    let stream = server.stream();
    stream.create(CreateOptions::default()).await.unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    stream.append(bytes.clone()).await.unwrap();
    let items = ["1],[", "2"].map(Bytes::from);
    let appended = stream.append_all(items, AppendOptions::default()).await;
    appended.unwrap();
    let (read, _) = read_to_end(&mut all(&stream)).await;
    assert_eq!(read.bytes, [&bytes[..], b"1],[2"].concat());
    let head = stream.head().await.unwrap();
    assert_eq!(
        head.content_type.as_deref(),
        Some("application/octet-stream")
    );

    let stream = server.stream();
    let options = CreateOptions::with_content_type("text/plain");
    stream.create(options).await.unwrap();
    stream.append("a\r\nü\n").await.unwrap();
    assert_eq!(all(&stream).collect_text().await.unwrap(), "a\r\nü\n");
}

pub(super) async fn an_empty_append_is_refused(server: &ServerUnderTest) {
    let stream = server.stream();
    stream.create(CreateOptions::default()).await.unwrap();
    for items in [vec![], vec![Bytes::new()]] {
        let error = stream.append_all(items, AppendOptions::default()).await;
        assert!(
            matches!(&error, Err(StreamError::InvalidArgument { name, .. }) if name == "data"),
            "{error:?}"
        );
    }
}

pub(super) async fn a_handle_asks_for_the_content_type(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    quick(&stream.url()).append("[1]").await.unwrap();
    assert_eq!(messages(&stream).await, ["[1]"]);
}

pub(super) async fn another_content_type_is_a_conflict(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let text = quick_builder(&stream.url(), 3).content_type("text/plain");
    let error = text.build().unwrap().append("1").await.unwrap_err();
    assert!(matches!(error, StreamError::Conflict { .. }), "{error}");
}

pub(super) async fn sequences_have_to_grow(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let append = async |seq: &str| {
        let options = AppendOptions {
            seq: Some(seq.into()),
            close: false,
        };
        let item = Bytes::from(format!("\"{seq}\""));
        stream.append_all([item], options).await
    };
    append("10").await.unwrap();
    // Bytewise: "9" is above "10".
    append("9").await.unwrap();
    for old in ["9", "10"] {
        let error = append(old).await.unwrap_err();
        assert!(
            matches!(&error, StreamError::SequenceConflict { seq, .. } if seq == old),
            "{error}"
        );
    }
    // An append without a sequence is free of them.
    stream.append("0").await.unwrap();
    append("90").await.unwrap();
    assert_eq!(messages(&stream).await, ["\"10\"", "\"9\"", "0", "\"90\""]);
}

pub(super) async fn a_closed_stream_takes_nothing(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let end = stream.append("1").await.unwrap();
    assert!(!stream.head().await.unwrap().closed);
    assert_eq!(stream.close().await.unwrap(), end);
    assert_eq!(stream.close().await.unwrap(), end, "again");
    assert!(stream.head().await.unwrap().closed);
    let error = stream.append("2").await.unwrap_err();
    assert!(
        matches!(&error, StreamError::Closed { end: Some(at), .. } if *at == end),
        "{error:?}"
    );
    assert!(error.to_string().contains(&stream.url()));
    let options = AppendOptions {
        close: true,
        seq: Some("1".into()),
    };
    let error = stream.append_all([Bytes::from("2")], options).await;
    assert!(matches!(error, Err(StreamError::Closed { .. })));
    assert_eq!(messages(&stream).await, ["1"]);
}

pub(super) async fn a_stream_is_closed_with_its_last_content(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    let options = AppendOptions {
        close: true,
        ..AppendOptions::default()
    };
    let items = ["1", "2"].map(Bytes::from);
    let end = stream.append_all(items, options).await.unwrap();
    let head = stream.head().await.unwrap();
    assert_eq!((head.end, head.closed), (end, true));
    assert_eq!(messages(&stream).await, ["1", "2"]);
}

pub(super) async fn a_deleted_stream_is_not_found_and_can_be_made_again(server: &ServerUnderTest) {
    let stream = json_stream(server).await;
    stream.append("1").await.unwrap();
    stream.delete().await.unwrap();
    let gone = stream.head().await;
    assert!(matches!(gone, Err(StreamError::NotFound { .. })));
    let options = CreateOptions::with_content_type("text/plain");
    assert!(stream.create(options).await.unwrap().is_new);
    // The handle has forgotten that it was JSON.
    stream.append("two").await.unwrap();
    assert_eq!(all(&stream).collect_text().await.unwrap(), "two");
}

pub(super) async fn every_call_names_the_stream_that_is_not_found(server: &ServerUnderTest) {
    let stream = server.stream();
    let json = quick_builder(&stream.url(), 3).content_type("application/json");
    let json = json.build().unwrap();
    let errors = [
        stream.head().await.unwrap_err(),
        stream.append("1").await.unwrap_err(),
        json.append("1").await.unwrap_err(),
        stream.close().await.unwrap_err(),
        stream.delete().await.unwrap_err(),
        stream.producer("p").start().await.unwrap_err(),
        next_error(&mut all(&stream)).await,
    ];
    for error in errors {
        assert!(matches!(error, StreamError::NotFound { .. }), "{error:?}");
        assert_eq!(error.status(), Some(404));
        assert!(error.to_string().contains(&stream.url()), "{error}");
    }
}
