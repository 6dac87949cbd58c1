//! Requests that are wrong, each with its answer; and what goes through untouched.

use serde_json::Value;
use tailwater::server::Server;

use super::server_help::Streams;

const JSON: (&str, &str) = ("content-type", "application/json");
const TEXT: (&str, &str) = ("content-type", "text/plain");
const AT: &str = "0000000000000000_000000000000000";

#[tokio::test]
async fn what_is_wrong_is_named() {
    let server = Server::start().await.unwrap();
    let streams = Streams::of(&server);
    streams.ask("PUT", "json", &[JSON], "[1,2,3]").await;
    streams.ask("PUT", "text", &[TEXT], "abc").await;
    streams
        .ask("PUT", "closed", &[TEXT, ("stream-closed", "true")], "abc")
        .await;
    let of = |path| ("stream-forked-from", path);
    let source = of("/v1/stream/text");
    let beyond = format!("text?offset={AT}9");
    let foreign = "text?offset=0000000000000001_0000000000000000";
    let at9 = format!("{AT}9");
    let producer = |seq| {
        [
            JSON,
            ("producer-id", "p"),
            ("producer-epoch", "3"),
            ("producer-seq", seq),
        ]
    };
    let cases: &[(&str, &str, &[(&str, &str)], &str, u16, &str)] = &[
        // Names.
        ("GET", "", &[], "", 404, "nothing here"),
        ("GET", "a//b", &[], "", 400, "empty segment"),
        ("PUT", "a%00b", &[], "", 400, "control character"),
        ("PUT", "a%2Fb", &[], "", 400, "encoded slash"),
        ("PUT", "%FF", &[], "", 400, "not UTF-8"),
        ("PUT", "__ds/subscriptions/x", &[], "", 404, "reserved"),
        ("PATCH", "text", &[], "", 405, "method"),
        // Creation.
        (
            "PUT",
            "new",
            &[("content-type", "nothing")],
            "",
            400,
            "`content-type` is no media type",
        ),
        (
            "PUT",
            "new",
            &[JSON],
            "{",
            400,
            "the body is no JSON: EOF while parsing",
        ),
        (
            "PUT",
            "new",
            &[("stream-ttl", "1.5")],
            "",
            400,
            "`stream-ttl` is no whole number",
        ),
        (
            "PUT",
            "new",
            &[("stream-ttl", "99999999999999999999")],
            "",
            400,
            "`stream-ttl`",
        ),
        (
            "PUT",
            "new",
            &[("stream-expires-at", "soon")],
            "",
            400,
            "`stream-expires-at` is no time",
        ),
        ("PUT", "json", &[TEXT], "", 409, "differs in Content-Type"),
        (
            "PUT",
            "text",
            &[TEXT, ("stream-ttl", "60")],
            "",
            409,
            "differs in Stream-TTL",
        ),
        (
            "PUT",
            "closed",
            &[TEXT],
            "",
            409,
            "differs in Stream-Closed",
        ),
        (
            "PUT",
            "text",
            &[TEXT, source],
            "",
            409,
            "differs in Stream-Forked-From",
        ),
        // Forks.
        (
            "PUT",
            "new",
            &[of("text")],
            "",
            400,
            "`stream-forked-from` is no stream",
        ),
        (
            "PUT",
            "new",
            &[of("/v1/stream/a//b")],
            "",
            400,
            "empty segment",
        ),
        (
            "PUT",
            "new",
            &[of("/v1/stream/none")],
            "",
            404,
            "no such stream to fork",
        ),
        (
            "PUT",
            "new",
            &[of("/v1/stream/none")],
            "body",
            404,
            "no such stream to fork",
        ),
        (
            "PUT",
            "new",
            &[source, JSON],
            "",
            409,
            "the stream to fork has content type text/plain",
        ),
        (
            "PUT",
            "new",
            &[source, ("stream-fork-offset", "3")],
            "",
            400,
            "`stream-fork-offset`",
        ),
        (
            "PUT",
            "new",
            &[source, ("stream-fork-offset", &at9)],
            "",
            400,
            "position 9, but the source ends at 3",
        ),
        (
            "PUT",
            "new",
            &[source, ("stream-fork-sub-offset", "1")],
            "",
            400,
            "position 4",
        ),
        (
            "PUT",
            "new",
            &[("stream-fork-offset", &at9)],
            "",
            400,
            "needs `stream-forked-from`",
        ),
        (
            "PUT",
            "new",
            &[("stream-fork-sub-offset", "0")],
            "",
            400,
            "needs `stream-forked-from`",
        ),
        // Appends.
        ("POST", "none", &[TEXT], "x", 404, "no such stream"),
        ("POST", "text", &[TEXT], "", 400, "the body is empty"),
        ("POST", "text", &[], "x", 400, "`content-type` is missing"),
        (
            "POST",
            "text",
            &[JSON],
            "1",
            409,
            "content type is text/plain",
        ),
        ("POST", "json", &[JSON], "[]", 400, "the array is empty"),
        ("POST", "json", &[JSON], "[1,]", 400, "line 1 column 4"),
        (
            "POST",
            "json",
            &[JSON, ("stream-seq", "")],
            "1",
            400,
            "`stream-seq` is empty",
        ),
        ("POST", "closed", &[TEXT], "x", 409, "the stream is closed"),
        (
            "POST",
            "json",
            &[JSON, ("producer-id", "p")],
            "1",
            400,
            "`producer-epoch` and `producer-seq`",
        ),
        (
            "POST",
            "json",
            &producer("1"),
            "1",
            409,
            "`producer-seq` 0 comes next, not 1",
        ),
        (
            "POST",
            "json",
            &producer("9007199254740992"),
            "1",
            400,
            "`producer-seq` is no whole number",
        ),
        // Reads.
        ("GET", "none", &[], "", 404, "create it with PUT"),
        ("HEAD", "none", &[], "", 404, ""),
        ("DELETE", "none", &[], "", 404, "no such stream"),
        (
            "GET",
            "text?offset=7",
            &[],
            "",
            400,
            "`offset` is no offset",
        ),
        ("GET", &beyond, &[], "", 400, "behind the stream's tail"),
        ("GET", foreign, &[], "", 400, "not one of this server's"),
        (
            "GET",
            "text?live=sse",
            &[],
            "",
            400,
            "`live` needs an `offset`",
        ),
        (
            "GET",
            "text?live=yes&offset=-1",
            &[],
            "",
            400,
            "neither `long-poll` nor `sse`",
        ),
        (
            "GET",
            "text?offset=now&offset=now",
            &[],
            "",
            400,
            "more than once",
        ),
    ];
    for (method, path, headers, body, status, text) in cases {
        let answer = streams.ask(method, path, headers, body.to_string()).await;
        let case = format!("{method} {path} {headers:?}: {answer:?}");
        assert_eq!(answer.status, *status, "{case}");
        assert!(answer.body.contains(text), "{case}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{case}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{case}"
        );
        if *method != "HEAD" {
            let problem: Value = serde_json::from_str(&answer.body).expect(&case);
            assert_eq!(problem["status"], *status, "{case}");
        }
    }
    // Nothing came of any of them.
    assert_eq!(streams.content("text").await, "abc");
    assert_eq!(streams.content("json").await, "1,2,3");
    assert_eq!(streams.get("new").await.status, 404);
}

#[tokio::test]
async fn producers_are_told_what_is_known() {
    let server = Server::start().await.unwrap();
    let streams = Streams::of(&server);
    streams.ask("PUT", "s", &[JSON], "").await;
    // Epoch, number, close; then status, and the producer's headers.
    for (epoch, seq, close, status, told) in [
        ("0", "0", false, 200, [Some("0"), Some("0"), None, None]),
        ("0", "1", false, 200, [Some("0"), Some("1"), None, None]),
        ("0", "0", false, 204, [Some("0"), Some("1"), None, None]),
        ("0", "3", false, 409, [None, None, Some("2"), Some("3")]),
        ("2", "1", false, 400, [None, None, None, None]),
        ("2", "0", false, 200, [Some("2"), Some("0"), None, None]),
        ("1", "0", false, 403, [Some("2"), None, None, None]),
        ("2", "1", true, 200, [Some("2"), Some("1"), None, None]),
        ("2", "1", true, 204, [Some("2"), Some("1"), None, None]),
        // An append from before the stream was closed was done; it did not close it.
        ("2", "0", false, 204, [Some("2"), Some("1"), None, None]),
        ("2", "0", true, 409, [None, None, None, None]),
        ("2", "2", false, 409, [None, None, None, None]),
        ("1", "5", false, 403, [Some("2"), None, None, None]),
    ] {
        let mut headers = vec![
            JSON,
            ("producer-id", "p"),
            ("producer-epoch", epoch),
            ("producer-seq", seq),
        ];
        headers.extend(close.then_some(("stream-closed", "True")));
        let body = format!("\"{epoch}.{seq}\"");
        let answer = streams.ask("POST", "s", &headers, body).await;
        let case = format!("{epoch} {seq} {close}: {answer:?}");
        assert_eq!(answer.status, status, "{case}");
        let names = [
            "producer-epoch",
            "producer-seq",
            "producer-expected-seq",
            "producer-received-seq",
        ];
        assert_eq!(names.map(|name| answer.header(name)), told, "{case}");
    }
    assert_eq!(streams.content("s").await, r#""0.0","0.1","2.0","2.1""#);
}

#[tokio::test]
async fn json_goes_through_as_it_was_written() {
    let server = Server::start().await.unwrap();
    let streams = Streams::of(&server);
    let texts = [
        "12345678901234567890.0",
        "1e400",
        "{ \"a\" : [ ] }",
        "\"\\u00e4,]\"",
        "[ [1] ]",
    ];
    streams
        .put("s", JSON.1, &format!(" [ {} ] ", texts.join(" ,\n")))
        .await;
    assert_eq!(streams.content("s").await, texts.join(","));
    let answer = streams.get(&format!("s?offset={AT}3")).await;
    assert_eq!(answer.body, "[\"\\u00e4,]\",[ [1] ]]");
}

#[tokio::test]
async fn names_are_what_they_decode_to() {
    let server = Server::start().await.unwrap();
    let streams = Streams::of(&server);
    streams.put("a%20b/%c3%a4", "text/plain", "x").await;
    assert_eq!(streams.content("%61%20b/%C3%A4").await, "x");
    assert_eq!(
        server.stream_url("a b/ä"),
        format!("{}/v1/stream/a%20b/%C3%A4", server.url())
    );
    let fork = [("stream-forked-from", "/v1/stream/a%20b/%C3%A4")];
    assert_eq!(streams.ask("PUT", "fork", &fork, "y").await.status, 201);
    assert_eq!(streams.content("fork").await, "xy");
}

#[tokio::test]
async fn tags_change_with_what_is_read() {
    let server = Server::start().await.unwrap();
    let streams = Streams::of(&server);
    streams.put("s", "text/plain", "x").await;
    let mut known = Vec::new();
    for change in 0..4 {
        let answer = streams.get("s").await;
        let tag = answer.header("etag").unwrap().to_owned();
        let again = streams
            .ask("GET", "s", &[("if-none-match", &tag)], "")
            .await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
        assert!(!known.contains(&tag), "{tag} {known:?}");
        known.push(tag);
        match change {
            0 => streams.post("s", "text/plain", "y").await,
            1 => {
                streams
                    .ask("POST", "s", &[("stream-closed", "true")], "")
                    .await
            }
            // Another stream of the same name and content.
            _ => {
                streams.ask("DELETE", "s", &[], "").await;
                streams.put("s", "text/plain", "x").await
            }
        };
    }
}
