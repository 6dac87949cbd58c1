//! Answers that are not what the protocol says.

use serde_json::json;
use tailwater::stream::{DurableStream, Live, Offset, ReadOptions, StreamError};

use super::super::hand_made::{Reply, Server};
use super::super::servers::ServerUnderTest;
use super::super::support::{
    LIVE, create_json, ended, messages, next, next_error, quick, quick_builder, read_to_end,
};

const JSON: &str = "application/json";

fn parse_error(error: &StreamError, at: &Offset) {
    assert!(
        matches!(error, StreamError::Parse { offset, .. } if offset == at),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_broken_body_is_an_error_and_is_read_again() {
    let server = ServerUnderTest::reference().unwrap();
    let faults = [
        json!({"truncateBodyBytes": 5}),
        json!({"truncateBodyBytes": 0}),
        json!({"corruptBody": true}),
    ];
    for fault in faults {
        let stream = server.stream();
        create_json(&stream, "[1,2,3]", false).await;
        server.inject(&stream.url(), fault.clone()).await;
        let mut reader = stream.read(ReadOptions::default());
        if fault["truncateBodyBytes"] == 0 {
            // An empty body is what servers send that have nothing.
            assert!(next(&mut reader).await.items.is_empty());
            continue;
        }
        parse_error(&next_error(&mut reader).await, &Offset::START);
        assert_eq!(messages(&mut reader, 3).await, ["1", "2", "3"], "{fault}");

        // Another reader of the same handle, and in the middle of live reading.
        let mut reader = stream.read(ReadOptions::default().live(Live::LongPoll));
        let end = next(&mut reader).await.offset;
        stream.append("4444444").await.unwrap();
        server.inject(&stream.url(), fault.clone()).await;
        parse_error(&next_error(&mut reader).await, &end);
        assert_eq!(messages(&mut reader, 1).await, ["4444444"], "{fault}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_is_told() {
    let whole = |body: &[u8]| Reply::up_to_date(JSON, 1).body(body);
    let cases = [
        (whole(b"{\"n\":1}"), "not a JSON array"),
        (whole(b"[1"), "not a JSON array"),
        (whole(b"[1] [2]"), "not a JSON array"),
        (whole(b"[\"\xff\"]"), "not a JSON array"),
        (
            Reply::status(200).header("content-type", JSON).body("[1]"),
            "stream-next-offset",
        ),
    ];
    for (bad, expected) in cases {
        let server = Server::start(move |n, _| match n {
            0 => bad.clone(),
            _ => Reply::json(1, "[1]"),
        });
        let server = server.await;
        let stream = quick(&server.url);
        let mut reader = stream.read(ReadOptions::default());
        let error = next_error(&mut reader).await;
        parse_error(&error, &Offset::START);
        let text = error.to_string().to_lowercase();
        assert!(text.contains(&expected.to_lowercase()), "{error}");
        let (read, _) = read_to_end(&mut reader).await;
        assert_eq!(read.messages, ["1"]);
        assert_eq!(server.asked().len(), 2);
    }
}

#[tokio::test]
async fn an_answer_that_stays_broken_ends_the_reader() {
    let server = Server::start(|_, _| Reply::json(1, "[1")).await;
    let stream = quick_builder(&server.url, 2).build().unwrap();
    let mut reader = stream.read(ReadOptions::default());
    for _ in 0..3 {
        parse_error(&next_error(&mut reader).await, &Offset::START);
    }
    assert!(ended(&mut reader).await);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn numbers_keep_all_their_digits() {
    let text = r#"[ {"n": 9007199254740993} , 1.10, 123456789012345678901234567890, [1, 2]]"#;
    let expected = [
        r#"{"n": 9007199254740993}"#,
        "1.10",
        "123456789012345678901234567890",
        "[1, 2]",
    ];
    let server = Server::start(move |_, request| {
        let closed = |reply: Reply| reply.header("stream-closed", "true");
        match (request.method.as_str(), request.live().as_str()) {
            ("GET", "") if request.target.contains("whole") => closed(Reply::json(4, text)),
            ("GET", "") => Reply::json(0, "[]"),
            ("GET", "long-poll") => closed(Reply::json(4, text)),
            ("GET", _) => Reply::events(&format!(
                "event: data\ndata: {text}\n\n\
                 event: control\ndata: {{\"streamNextOffset\":\"4\",\"streamClosed\":true}}\n\n"
            )),
            _ => Reply::at(204, 4),
        }
    });
    let server = server.await;
    let stream = quick(&format!("{}?whole", server.url));
    let (read, _) = read_to_end(&mut stream.read(ReadOptions::default())).await;
    assert_eq!(read.messages, expected);
    for live in LIVE {
        let mut reader = quick(&server.url).read(ReadOptions::default().live(live));
        let (read, _) = read_to_end(&mut reader).await;
        assert_eq!(read.messages, expected, "{live:?}");
    }
    // Nor does appending change a text.
    let stream = quick_builder(&server.url, 0).content_type(JSON);
    stream.build().unwrap().append(expected[0]).await.unwrap();
    let sent = server.asked().pop().unwrap().body;
    assert_eq!(sent, format!("[{}]", expected[0]).into_bytes());
}

#[tokio::test]
async fn answers_are_not_larger_than_allowed() {
    let body = format!("[\"{}\"]", "x".repeat(96));
    assert_eq!(body.len(), 100);
    let event = format!("event: data\ndata: {body}\n\n");
    let server = Server::start(move |_, request| match request.live().as_str() {
        "" if request.target.contains("whole") => Reply::json(1, &body),
        "" => Reply::json(0, "[]"),
        "long-poll" => Reply::json(1, &body),
        // Two of them before there is a control event.
        _ => Reply::events(&event.repeat(2)).hold(),
    });
    let server = server.await;
    let handle = |url: &str, limit: usize| -> DurableStream {
        let builder = quick_builder(url, 3).max_response_bytes(limit);
        builder.build().unwrap()
    };
    let whole = format!("{}?whole", server.url);
    let mut reader = handle(&whole, 100).read(ReadOptions::default());
    assert_eq!(messages(&mut reader, 1).await.len(), 1);
    for (url, live, limit) in [
        (&whole, Live::Off, 99),
        (&server.url, Live::LongPoll, 99),
        (&server.url, Live::Sse, 199),
        (&server.url, Live::Auto, 199),
    ] {
        let asked = server.asked().len();
        let mut reader = handle(url, limit).read(ReadOptions::default().live(live));
        let error = next_error(&mut reader).await;
        assert!(
            matches!(error, StreamError::TooLarge { limit: told, .. } if told == limit),
            "{live:?}: {error:?}"
        );
        assert!(ended(&mut reader).await);
        // It is not asked for again.
        let requests = 1 + usize::from(live != Live::Off);
        assert_eq!(server.asked().len() - asked, requests, "{live:?}");
    }
}
