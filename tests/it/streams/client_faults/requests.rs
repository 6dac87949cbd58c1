//! Which requests are repeated, and what is sent with each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use tailwater::stream::{
    CreateOptions, DurableStream, Live, Offset, Provider, ReadOptions, RetryPolicy, StreamError,
};

use super::super::hand_made::{Reply, Server};
use super::super::servers::ServerUnderTest;
use super::super::support::{
    LIVE, MODES, create_json, ended, in_time, messages, next, next_error, numbers, quick_builder,
    read_to_end,
};
use crate::support::free_address;

const RETRIES: u32 = 5;

fn handle(server: &Server) -> DurableStream {
    let builder = quick_builder(&server.url, RETRIES).content_type("application/json");
    builder.build().unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Create,
    Head,
    Append,
    Close,
    Delete,
    Read,
}

const CALLS: [Call; 6] = [
    Call::Create,
    Call::Head,
    Call::Append,
    Call::Close,
    Call::Delete,
    Call::Read,
];

impl Call {
    async fn make(self, stream: &DurableStream) -> Result<(), StreamError> {
        match self {
            Call::Create => stream.create(CreateOptions::json()).await.map(drop),
            Call::Head => stream.head().await.map(drop),
            Call::Append => stream.append("1").await.map(drop),
            Call::Close => stream.close().await.map(drop),
            Call::Delete => stream.delete().await,
            Call::Read => {
                let mut reader = stream.read(ReadOptions::default());
                reader.next().await.expect("a batch").map(drop)
            }
        }
    }
}

/// Makes a call to a server whose first answers are this one. Gives how often it was asked, too.
async fn call(call: Call, bad: Reply, times: usize) -> (Result<(), StreamError>, usize) {
    let server = Server::start(move |n, _| match n < times {
        true => bad.clone(),
        false => Reply::json(1, "[1]"),
    });
    let server = server.await;
    let result = in_time(call.make(&handle(&server))).await;
    (result, server.asked().len())
}

#[tokio::test]
async fn what_fails_for_a_passing_reason_is_tried_again() {
    for make in CALLS {
        for status in [429, 500, 502, 503, 504] {
            let (result, asked) = call(make, Reply::status(status), 2).await;
            assert!(result.is_ok(), "{make:?}, {status}: {result:?}");
            assert_eq!(asked, 3, "{make:?}, {status}");
        }
        let (result, asked) = call(make, Reply::nothing(), 2).await;
        assert!(result.is_ok(), "{make:?}: {result:?}");
        assert_eq!(asked, 3, "{make:?}");
    }
}

#[tokio::test]
async fn what_fails_for_good_is_asked_once() {
    for make in CALLS {
        for status in [400, 401, 403, 404, 405, 409, 410, 413, 422] {
            let (result, asked) = call(make, Reply::status(status), usize::MAX).await;
            assert_eq!(result.unwrap_err().status(), Some(status), "{make:?}");
            assert_eq!(asked, 1, "{make:?}, {status}");
        }
    }
}

#[tokio::test]
async fn attempts_end_with_an_error_that_counts_them() {
    for make in CALLS {
        let (result, asked) = call(make, Reply::status(503).body("busy"), usize::MAX).await;
        let error = result.unwrap_err();
        assert_eq!(asked, 6, "{make:?}");
        assert!(
            matches!(&error, StreamError::Exhausted { attempts: 6, last }
                if matches!(**last, StreamError::Status { status: 503, .. })),
            "{make:?}: {error:?}"
        );
        assert_eq!(error.status(), Some(503));
        if !matches!(make, Call::Head) {
            assert!(error.to_string().contains("busy"), "{error}");
        }
        let (result, asked) = call(make, Reply::nothing(), usize::MAX).await;
        let error = result.unwrap_err();
        assert!(
            matches!(&error, StreamError::Exhausted { attempts: 6, last }
                if matches!(**last, StreamError::Transport { .. })),
            "{make:?}: {error:?}"
        );
        assert_eq!((asked, error.status()), (6, None), "{make:?}");
    }
}

#[tokio::test]
async fn one_attempt_is_not_called_giving_up() {
    let server = Server::start(|_, _| Reply::status(500)).await;
    let stream = DurableStream::builder(&server.url).retry(RetryPolicy::never());
    let stream = stream.build().unwrap();
    let error = stream.head().await.unwrap_err();
    assert!(matches!(error, StreamError::Status { status: 500, .. }));
    let mut reader = stream.read(ReadOptions::default());
    let error = next_error(&mut reader).await;
    assert!(matches!(error, StreamError::Status { status: 500, .. }));
    assert!(ended(&mut reader).await);
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn the_servers_wish_to_wait_is_followed() {
    for make in [Call::Append, Call::Read] {
        let begin = Instant::now();
        let busy = Reply::status(503).header("retry-after", "1");
        let (result, asked) = call(make, busy, 1).await;
        assert!(result.is_ok() && asked == 2, "{make:?}");
        assert!(begin.elapsed() >= Duration::from_secs(1), "{make:?}");
    }
}

#[tokio::test]
async fn a_reader_has_all_its_attempts_again_after_each_batch() {
    // As many failures as there may be, then one message.
    let every = RETRIES as usize + 1;
    let server = Server::start(move |n, _| match n % every {
        last if last == every - 1 => {
            let place = n / every + 1;
            let answer = Reply::at(200, place).header("content-type", "application/json");
            let answer = answer.body(format!("[{}]", n / every));
            match place {
                5 => answer.header("stream-closed", "true"),
                _ => answer,
            }
        }
        _ => Reply::status(500),
    });
    let server = server.await;
    let (read, _) = read_to_end(&mut handle(&server).read(ReadOptions::default())).await;
    assert_eq!(read.messages, numbers(0..5));
    assert_eq!(server.asked().len(), 5 * every);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_in_the_end() {
    // Nobody listens behind this.
    let url = format!("http://{}/stream", free_address());
    let stream = quick_builder(&url, 2).build().unwrap();
    let error = in_time(stream.head()).await.unwrap_err();
    assert!(
        matches!(&error, StreamError::Exhausted { attempts: 3, last }
            if matches!(**last, StreamError::Transport { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains(&url), "{error}");
    let error = next_error(&mut stream.read(ReadOptions::default())).await;
    assert!(matches!(error, StreamError::Exhausted { attempts: 3, .. }));
}

#[tokio::test]
async fn silence_is_an_error_and_tried_again() {
    let server = Server::start(|_, _| Reply::status(200).cut(0).hold()).await;
    let timeout = Duration::from_millis(20);
    let stream = quick_builder(&server.url, 2).request_timeout(timeout);
    let error = in_time(stream.build().unwrap().head()).await.unwrap_err();
    assert!(
        matches!(&error, StreamError::Exhausted { attempts: 3, last }
            if matches!(**last, StreamError::Timeout { after, .. } if after == timeout)),
        "{error:?}"
    );
    // Silence in the middle of a body, too.
    let server = Server::start(|n, _| match n {
        0 => Reply::json(1, "[1]").cut(90).hold(),
        _ => Reply::json(1, "[1]"),
    });
    let server = server.await;
    let stream = quick_builder(&server.url, 2).request_timeout(timeout);
    let mut reader = stream.build().unwrap().read(ReadOptions::default());
    assert_eq!(messages(&mut reader, 1).await, ["1"]);
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn the_reference_servers_faults_are_survived() {
    let server = ServerUnderTest::reference().unwrap();
    let faults = [
        json!({"status": 500, "count": 2}),
        json!({"status": 503, "count": 2, "retryAfter": 0}),
        json!({"status": 429}),
        json!({"dropConnection": true, "count": 2}),
        json!({"delayMs": 5}),
    ];
    for fault in faults {
        let stream = server.stream();
        create_json(&stream, "[0]", false).await;
        server.inject(&stream.url(), fault.clone()).await;
        stream.append("1").await.unwrap();
        server.inject(&stream.url(), fault.clone()).await;
        stream.head().await.unwrap();
        for live in MODES {
            server.inject(&stream.url(), fault.clone()).await;
            let mut reader = stream.read(ReadOptions::default().live(live));
            assert_eq!(messages(&mut reader, 2).await, ["0", "1"], "{fault}");
        }
        server.inject(&stream.url(), fault.clone()).await;
        stream.close().await.unwrap();
        // In the middle of staying up to date.
        for live in LIVE {
            let mut reader = stream.read(ReadOptions::default().live(live));
            server.inject(&stream.url(), fault.clone()).await;
            let (read, last) = read_to_end(&mut reader).await;
            assert_eq!(
                (read.messages, last.closed),
                (numbers(0..2), true),
                "{fault}"
            );
        }
    }
}

/// A function that counts its calls.
fn counter() -> Provider {
    let calls = AtomicUsize::new(0);
    Provider::function(move || calls.fetch_add(1, Ordering::Relaxed).to_string())
}

#[tokio::test]
async fn headers_and_params_are_asked_for_at_each_request() {
    let server = Server::start(|n, request| match (n, request.live().as_str()) {
        (0..2 | 4, _) => Reply::status(503),
        (_, "") => Reply::json(1, "[1]"),
        _ => Reply::at(204, 1).header("stream-closed", "true"),
    });
    let server = server.await;
    let later = Arc::new(AtomicUsize::new(10));
    let stream = quick_builder(&format!("{}?fixed=%26", server.url), RETRIES)
        .header("x-number", counter())
        .header("x-fixed", "one")
        .header("X-Fixed", "two")
        .param("number", counter())
        .param("text", "a&b=c d")
        .param(
            "later",
            Provider::future(move || {
                let later = later.clone();
                async move { Ok(later.fetch_add(1, Ordering::Relaxed).to_string()) }
            }),
        );
    let stream = stream.build().unwrap();
    // Three requests, then two.
    stream.head().await.unwrap();
    read_to_end(&mut stream.read(ReadOptions::default().live(Live::LongPoll))).await;
    let asked = server.asked();
    assert_eq!(
        server.asked_live(),
        ["", "", "", "", "long-poll", "long-poll"]
    );
    for (n, request) in asked.iter().enumerate() {
        assert_eq!(request.header("x-number"), Some(&*n.to_string()));
        assert_eq!(request.header("x-fixed"), Some("two"));
        assert_eq!(request.param("number"), Some(n.to_string()));
        assert_eq!(request.param("later"), Some((10 + n).to_string()));
        assert_eq!(request.param("text").as_deref(), Some("a&b=c d"));
        assert_eq!(request.param("fixed").as_deref(), Some("&"));
    }
}

#[tokio::test]
async fn a_function_that_fails_sends_nothing() {
    let server = Server::start(|_, _| Reply::json(1, "[1]")).await;
    let failing = || Provider::future(|| async { Err("no token today".into()) });
    let builder = || quick_builder(&server.url, RETRIES);
    for stream in [
        builder().header("authorization", failing()),
        builder().param("authorization", failing()),
    ] {
        let stream = stream.build().unwrap();
        let mut reader = stream.read(ReadOptions::default());
        let errors = [
            stream.head().await.unwrap_err(),
            stream.append("1").await.unwrap_err(),
            next_error(&mut reader).await,
        ];
        for error in errors {
            assert!(matches!(error, StreamError::Provider { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("authorization") && text.contains("no token today"));
        }
        assert!(ended(&mut reader).await);
    }
    // A value that no header can hold is found when it is made.
    let stream = builder().header("x-lines", Provider::function(|| "a\r\nb".into()));
    let error = stream.build().unwrap().head().await.unwrap_err();
    assert!(
        matches!(&error, StreamError::InvalidArgument { name, .. } if name == "x-lines"),
        "{error:?}"
    );
    assert!(server.asked().is_empty());
}

#[test]
fn options_that_cannot_be_are_named() {
    let builder = |url: &str| DurableStream::builder(url);
    let good = "http://localhost/stream";
    let cases = [
        (builder("no url"), "url"),
        (builder("ftp://localhost/stream"), "url"),
        (builder(good).header("a header", "1"), "a header"),
        (builder(good).param("offset", "1"), "offset"),
        (builder(good).param("live", "1"), "live"),
        (builder(good).param("cursor", "1"), "cursor"),
        (
            builder(good).request_timeout(Duration::ZERO),
            "request_timeout",
        ),
        (builder(good).live_timeout(Duration::ZERO), "live_timeout"),
    ];
    for (builder, expected) in cases {
        let error = builder.build().unwrap_err();
        assert!(
            matches!(&error, StreamError::InvalidArgument { name, .. } if name == expected),
            "{expected}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_redirected_append_does_not_turn_into_a_read() {
    let moved = |status: u16| {
        Server::start(move |_, request| match request.target.as_str() {
            "/made/by/hand" => Reply::status(status).header("location", "/elsewhere"),
            _ => Reply::json(7, "[]"),
        })
    };
    for status in [301, 302, 303] {
        let server = moved(status).await;
        let error = handle(&server).append("1").await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert_eq!(server.asked().len(), 1);
    }
    // These ask for the same request elsewhere.
    for status in [307, 308] {
        let server = moved(status).await;
        let end = handle(&server).append("1").await.unwrap();
        assert_eq!(end, Offset::from("7"));
        let asked = server.asked();
        assert_eq!(
            (asked[1].method.as_str(), &asked[1].body[..]),
            ("POST", &b"[1]"[..])
        );
        assert_eq!(asked[1].header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn a_cursor_is_handed_back() {
    let server = Server::start(|n, request| match (n, request.live().as_str()) {
        (_, "") => Reply::json(1, "[]"),
        (3, _) => Reply::at(204, 1).header("stream-closed", "true"),
        (n, _) => Reply::at(204, 1).header("stream-cursor", &format!("c&{n}")),
    });
    let server = server.await;
    let mut reader = handle(&server).read(ReadOptions::default().live(Live::LongPoll));
    read_to_end(&mut reader).await;
    let asked = server.asked();
    let cursors: Vec<_> = asked
        .iter()
        .map(|request| request.param("cursor"))
        .collect();
    assert_eq!(
        cursors,
        [None, None, Some("c&1".into()), Some("c&2".into())]
    );
    assert!(
        asked
            .iter()
            .skip(1)
            .all(|request| request.param("offset").as_deref() == Some("1"))
    );
}

#[tokio::test]
async fn answers_that_say_nothing_new_are_not_asked_for_all_the_time() {
    let pause = Duration::from_millis(10);
    let policy = RetryPolicy {
        max_retries: Some(2),
        initial_delay: pause,
        max_delay: pause,
        multiplier: 1.0,
        jitter: false,
    };
    // A long-poll that is not held, told in two ways; and more that is said to be there, but does
    // not come.
    let more = || {
        Reply::at(200, 1)
            .header("content-type", "application/json")
            .body("[]")
    };
    let cases = [
        (Live::LongPoll, Reply::at(204, 1)),
        (Live::LongPoll, Reply::json(1, "[]")),
        (Live::Off, more()),
        (Live::LongPoll, more()),
    ];
    for (live, answer) in cases {
        let catch_up = if live == Live::Off {
            more()
        } else {
            Reply::json(1, "[]")
        };
        let reply = answer.clone();
        let server = Server::start(move |_, request| match request.live().as_str() {
            "" => catch_up.clone(),
            _ => answer.clone(),
        });
        let server = server.await;
        let stream = DurableStream::builder(&server.url).retry(policy.clone());
        let mut reader = stream
            .build()
            .unwrap()
            .read(ReadOptions::default().live(live));
        // The first one tells where the stream ends, the second one that it still does.
        for _ in 0..2 {
            next(&mut reader).await;
        }
        let begin = Instant::now();
        for _ in 0..6 {
            next(&mut reader).await;
        }
        assert!(
            begin.elapsed() >= 6 * pause,
            "{live:?}, {reply:?}: {:?}",
            begin.elapsed()
        );
    }
}
