//! Event streams: their forms, what is wrong with them, and what the reader does when they break.

use std::time::Duration;

use serde_json::json;
use tailwater::stream::{Live, Offset, ReadOptions, Reader, StreamError};

use super::super::hand_made::{Reply, Server};
use super::super::servers::ServerUnderTest;
use super::super::support::{
    create_json, messages, next, next_error, next_items, quick, quick_builder, read_to_end, texts,
};

fn live(live: Live) -> ReadOptions {
    ReadOptions::from(Offset::START).live(live)
}

fn sse(server: &Server) -> Reader {
    quick(&server.url).read(live(Live::Sse))
}

fn data(text: &str) -> String {
    format!("event: data\ndata: {text}\n\n")
}

fn control(offset: usize) -> String {
    format!("event: control\ndata: {{\"streamNextOffset\":\"{offset}\",\"upToDate\":true}}\n\n")
}

fn closed(offset: usize) -> String {
    format!("event: control\ndata: {{\"streamNextOffset\":\"{offset}\",\"streamClosed\":true}}\n\n")
}

/// A server of a stream that is empty at first; live requests are answered one after the other.
async fn then(content_type: &'static str, replies: impl IntoIterator<Item = Reply>) -> Server {
    let replies: Vec<Reply> = replies.into_iter().collect();
    Server::start(move |n, request| match request.live().as_str() {
        "" => Reply::up_to_date(content_type, 0),
        _ => replies[n - 1].clone(),
    })
    .await
}

const JSON: &str = "application/json";

#[tokio::test]
async fn events_come_in_many_forms() {
    let text = "\u{feff}: a comment\n\
        event: data\ndata:  [\"a\",\ndata:\"b\"]\nid: 7\nretry: 1\n\n\
        event: from a later version\ndata: {}\n\n\
        data: an event without a name\n\n\
        event: data\n\n\
        :\n\
        data: [\"\u{85}\u{2028}🦀\"]\nevent: data\n\n\
        event: control\ndata: {\"streamNextOffset\":\"2\",\ndata: \"later\":[],\"streamCursor\":\"c\"}\n\n\
        event:control\ndata:{\"streamNextOffset\":\"2\",\"upToDate\":true}\n\n\
        event: control\ndata: {\"streamNextOffset\":\"2\",\"streamClosed\":true}\n\n";
    for ending in ["\n", "\r\n", "\r"] {
        let whole = Reply::events(&text.replace('\n', ending));
        for reply in [whole.clone(), whole.byte_by_byte()] {
            let server = then(JSON, [reply]).await;
            let mut reader = sse(&server);
            assert!(next(&mut reader).await.items.is_empty());
            let batch = next(&mut reader).await;
            assert_eq!(texts(&batch), ["\"a\"", "\"b\"", "\"\u{85}\u{2028}🦀\""]);
            assert_eq!(batch.offset, Offset::from("2"));
            assert_eq!(batch.cursor.as_deref(), Some("c"));
            assert!(!batch.up_to_date && !batch.closed);
            let batch = next(&mut reader).await;
            assert!(batch.items.is_empty() && batch.up_to_date && !batch.closed);
            let (read, last) = read_to_end(&mut reader).await;
            assert!(read.messages.is_empty() && last.closed && last.up_to_date);
            assert_eq!(server.asked_live(), ["", "sse"]);
        }
    }
}

#[tokio::test]
async fn text_and_bytes_are_taken_out_of_events() {
    // One space belongs to the form, the others to the text.
    let text = ["  two", "", "", "three 🦀", ""].map(|line| format!("data: {line}\n"));
    let text = format!("event: data\n{}\n{}", text.concat(), closed(1));
    for reply in [Reply::events(&text), Reply::events(&text).byte_by_byte()] {
        let server = then("text/plain", [reply]).await;
        let (read, _) = read_to_end(&mut sse(&server)).await;
        assert_eq!(read.bytes, "  two\n\n\nthree 🦀\n".as_bytes());
    }
    // Base64 may have lines, and be of nothing.
    let text = format!(
        "event: data\ndata: AP8\ndata: =\n\n{}{}{}",
        data(""),
        data("/+8="),
        closed(1)
    );
    let reply = Reply::events(&text).header("Stream-SSE-Data-Encoding", "base64");
    for reply in [reply.clone(), reply.byte_by_byte()] {
        let server = then("image/png", [reply]).await;
        let (read, _) = read_to_end(&mut sse(&server)).await;
        assert_eq!(read.bytes, [0x00, 0xff, 0xff, 0xef]);
    }
}

#[tokio::test]
async fn unknown_events_of_the_reference_server_are_skipped() {
    let server = ServerUnderTest::reference().unwrap();
    for event in [
        json!({"eventType": "unknown", "data": "whatever"}),
        json!({"eventType": "message", "data": "{}"}),
    ] {
        let stream = server.stream();
        create_json(&stream, "[1]", false).await;
        let mut reader = stream.read(ReadOptions::from(Offset::NOW).live(Live::Sse));
        next(&mut reader).await;
        server
            .inject(
                &stream.url(),
                json!({"method": "GET", "injectSseEvent": event}),
            )
            .await;
        stream.append("2").await.unwrap();
        assert_eq!(messages(&mut reader, 1).await, ["2"], "{event}");
    }
}

#[tokio::test]
async fn wrong_controls_of_the_reference_server_are_errors_and_reading_goes_on() {
    let server = ServerUnderTest::reference().unwrap();
    for wrong in ["", "{", "no JSON", "[]", "{}"] {
        for mode in [Live::Sse, Live::Auto] {
            let stream = server.stream();
            create_json(&stream, "[1]", false).await;
            let mut reader = stream.read(live(mode));
            assert_eq!(messages(&mut reader, 1).await, ["1"]);
            let event = json!({"eventType": "control", "data": wrong});
            server
                .inject(
                    &stream.url(),
                    json!({"method": "GET", "injectSseEvent": event}),
                )
                .await;
            stream.append("2").await.unwrap();
            let error = next_error(&mut reader).await;
            assert!(
                matches!(error, StreamError::Parse { .. }),
                "{wrong}: {error:?}"
            );
            assert_eq!(messages(&mut reader, 1).await, ["2"], "{wrong}");
        }
    }
}

#[tokio::test]
async fn events_that_are_wrong_are_errors_and_their_content_comes_once() {
    let wrong_control = |text: &str| format!("{}event: control\ndata: {text}\n\n", data("[2]"));
    let wrong = [
        wrong_control(""),
        wrong_control("7"),
        wrong_control("null"),
        wrong_control(r#"{"streamCursor":"1"}"#),
        wrong_control(r#"{"streamNextOffset":7}"#),
        data("{\"not\":\"an array\"}"),
        data("[2"),
        data(""),
    ];
    for wrong in wrong {
        let server = then(
            JSON,
            [
                Reply::events(&[data("[1]"), control(1), wrong.clone()].concat()),
                Reply::events(&[data("[2]"), closed(2)].concat()),
            ],
        );
        let server = server.await;
        let mut reader = sse(&server);
        assert_eq!(messages(&mut reader, 1).await, ["1"]);
        let error = next_error(&mut reader).await;
        assert!(
            matches!(&error, StreamError::Parse { offset, .. } if offset.as_str() == "1"),
            "{wrong}: {error:?}"
        );
        let (read, last) = read_to_end(&mut reader).await;
        assert_eq!(
            (read.messages, last.closed),
            (vec!["2".to_owned()], true),
            "{wrong}"
        );
        assert_eq!(server.asked()[2].param("offset").as_deref(), Some("1"));
    }
    let not_base64 = Reply::events(&[data("AP8"), control(1)].concat());
    let bytes = Reply::events(&[data("AP8="), closed(1)].concat());
    let server = then(
        "image/png",
        [not_base64, bytes].map(|reply| reply.header("stream-sse-data-encoding", "base64")),
    );
    let server = server.await;
    let mut reader = sse(&server);
    let error = next_error(&mut reader).await;
    assert!(matches!(error, StreamError::Parse { .. }), "{error:?}");
    assert_eq!(read_to_end(&mut reader).await.0.bytes, [0, 255]);
}

#[tokio::test]
async fn what_came_before_bytes_that_are_no_text_is_given_out() {
    let good = [data("[1]"), control(1)].concat();
    let bad = [good.as_bytes(), b"event: data\ndata: \xff\n\n"].concat();
    let server = then(
        JSON,
        [
            Reply::events("").body(bad),
            Reply::events(&[data("[2]"), closed(2)].concat()),
        ],
    );
    let server = server.await;
    let mut reader = sse(&server);
    assert_eq!(messages(&mut reader, 1).await, ["1"]);
    let error = next_error(&mut reader).await;
    assert!(
        matches!(&error, StreamError::Parse { offset, .. } if offset.as_str() == "1"),
        "{error:?}"
    );
    assert_eq!(messages(&mut reader, 1).await, ["2"]);
}

#[tokio::test]
async fn content_without_its_control_event_comes_once() {
    // Cut in different places behind an item that was not confirmed.
    let more = [data("[2]"), control(2)].concat();
    for end in 0..more.len() {
        let first = [&data("[1]"), &control(1), &more[..end]].concat();
        let server = then(
            JSON,
            [
                Reply::events(&first),
                Reply::events(&[data("[2]"), data("[3]"), closed(3)].concat()),
            ],
        );
        let server = server.await;
        let (read, last) = read_to_end(&mut sse(&server)).await;
        assert_eq!(read.messages, ["1", "2", "3"], "{end}");
        assert_eq!(last.offset, Offset::from("3"));
        assert_eq!(server.asked()[2].param("offset").as_deref(), Some("1"));
    }
}

#[tokio::test]
async fn silence_makes_a_new_connection() {
    let silent = Reply::events(&[data("[1]"), control(1)].concat()).hold();
    let heartbeat = Reply::events(&[data("[2]"), control(2)].concat());
    let server = then(
        JSON,
        [
            silent,
            heartbeat.hold(),
            Reply::events(&[data("[3]"), closed(3)].concat()),
        ],
    );
    let server = server.await;
    let stream = quick_builder(&server.url, 3).live_timeout(Duration::from_millis(30));
    let mut reader = stream.build().unwrap().read(live(Live::Sse));
    let (read, _) = read_to_end(&mut reader).await;
    assert_eq!(read.messages, ["1", "2", "3"]);
    let offsets: Vec<_> = server.asked().iter().map(|r| r.param("offset")).collect();
    assert_eq!(offsets.len(), 4);
    assert_eq!(offsets[2].as_deref(), Some("1"));
    assert_eq!(offsets[3].as_deref(), Some("2"));

    // A long-poll that is never answered, too.
    let closed = Reply::json(1, "[1]").header("stream-closed", "true");
    let server = then(JSON, [Reply::status(200).cut(0).hold(), closed]).await;
    let stream = quick_builder(&server.url, 3).live_timeout(Duration::from_millis(30));
    let mut reader = stream.build().unwrap().read(live(Live::LongPoll));
    assert_eq!(messages(&mut reader, 1).await, ["1"]);
    assert_eq!(server.asked_live(), ["", "long-poll", "long-poll"]);
}

/// A server with one item more on each live request, whatever kind it is, and this behind the events.
async fn one_each(after_event: fn(Reply) -> Reply) -> Server {
    Server::start(move |n, request| match request.live().as_str() {
        "" => Reply::json(0, "[]"),
        "sse" => after_event(Reply::events(
            &[data(&format!("[{n}]")), control(n)].concat(),
        )),
        _ => Reply::json(n, &format!("[{n}]")),
    })
    .await
}

#[tokio::test]
async fn auto_turns_to_long_poll_where_connections_are_short() {
    for after_event in [|reply| reply, |reply: Reply| reply.cut(150)] {
        let server = one_each(after_event).await;
        let mut reader = quick(&server.url).read(live(Live::Auto));
        server_is_asked(&server, &mut reader, 6).await;
        let expected = ["", "sse", "sse", "sse", "long-poll", "long-poll"];
        assert_eq!(server.asked_live()[..6], expected);
    }
    // Who wants events gets no other requests.
    let server = one_each(|reply| reply).await;
    let mut reader = sse(&server);
    server_is_asked(&server, &mut reader, 8).await;
    assert!(server.asked_live()[1..].iter().all(|live| live == "sse"));
}

/// Reads until a server was asked so often.
async fn server_is_asked(server: &Server, reader: &mut Reader, requests: usize) {
    let reading = async {
        loop {
            next(reader).await;
        }
    };
    tokio::select! {
        () = server.wait_for(requests) => {}
        () = reading => {}
    }
}

#[tokio::test]
async fn auto_stays_with_connections_that_last() {
    let last = Duration::from_millis(1050);
    let server = Server::start(move |n, request| match (n, request.live().as_str()) {
        (_, "") => Reply::json(0, "[]"),
        (5, _) => Reply::events(&closed(5)),
        (n, _) => Reply::events(&[data(&format!("[{n}]")), control(n)].concat()).hold_for(last),
    });
    let server = server.await;
    // Nothing has failed, so nothing may be needed to try again.
    let stream = quick_builder(&server.url, 0).build().unwrap();
    let (read, _) = read_to_end(&mut stream.read(live(Live::Auto))).await;
    assert_eq!(read.messages, ["1", "2", "3", "4"]);
    assert_eq!(server.asked_live(), ["", "sse", "sse", "sse", "sse", "sse"]);
}

#[tokio::test]
async fn auto_turns_to_long_poll_where_events_are_held_back() {
    let server = Server::start(|_, request| match request.live().as_str() {
        "" => Reply::json(0, "[]"),
        // As a proxy that waits for the whole answer.
        "sse" => Reply::status(200).cut(0).hold(),
        _ => Reply::json(1, "[1]").header("stream-closed", "true"),
    });
    let server = server.await;
    let stream = quick_builder(&server.url, 3).live_timeout(Duration::from_millis(30));
    let (read, _) = read_to_end(&mut stream.build().unwrap().read(live(Live::Auto))).await;
    assert_eq!(read.messages, ["1"]);
    assert_eq!(server.asked_live(), ["", "sse", "sse", "sse", "long-poll"]);
}

#[tokio::test]
async fn auto_turns_to_long_poll_where_there_are_no_events() {
    let mut answers: Vec<Reply> = [400, 405, 406, 415, 501].map(Reply::status).into();
    answers.push(Reply::json(0, "[]"));
    for answer in answers {
        let reply = answer.clone();
        let server = Server::start(move |_, request| match request.live().as_str() {
            "" => Reply::json(0, "[]"),
            "sse" => reply.clone(),
            _ => Reply::json(1, "[1]").header("stream-closed", "true"),
        });
        let server = server.await;
        let (read, _) = read_to_end(&mut quick(&server.url).read(live(Live::Auto))).await;
        assert_eq!(read.messages, ["1"], "{answer:?}");
        assert_eq!(server.asked_live(), ["", "sse", "long-poll"], "{answer:?}");
        // Who wants events is told.
        let mut reader = quick_builder(&server.url, 0)
            .build()
            .unwrap()
            .read(live(Live::Sse));
        let error = next_error(&mut reader).await;
        assert!(
            error.status().is_some() || matches!(error, StreamError::Parse { .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn auto_tells_of_a_stream_that_is_gone() {
    for status in [404, 410] {
        let server = then(JSON, [Reply::status(status)]).await;
        let mut reader = quick(&server.url).read(live(Live::Auto));
        assert!(next(&mut reader).await.up_to_date);
        assert_eq!(next_error(&mut reader).await.status(), Some(status));
        assert_eq!(server.asked_live(), ["", "sse"]);
    }
}

#[tokio::test]
async fn events_carry_the_cursor_to_the_next_request() {
    let text = r#"event: control
data: {"streamNextOffset":"0","streamCursor":"c&1","upToDate":true}

"#;
    let server = then(JSON, [Reply::events(text), Reply::events(&closed(0))]).await;
    read_to_end(&mut sse(&server)).await;
    let asked = server.asked();
    assert_eq!(asked[1].param("cursor"), None);
    assert_eq!(asked[2].param("cursor").as_deref(), Some("c&1"));
}

#[tokio::test]
async fn a_reader_that_is_dropped_closes_its_connection() {
    let server = then(
        JSON,
        [Reply::events(&[data("[1]"), control(1)].concat()).hold()],
    )
    .await;
    let mut reader = sse(&server);
    next_items(&mut reader).await;
    drop(reader);
    server.wait_for_an_end().await;
}
