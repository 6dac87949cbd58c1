//! What requests are answered: which queries there are, how they come and go, what is refused.

use serde_json::{Value, json};
use tailwater::server::{Queries, Token};

use super::support::{Site, builder, put, until};
use crate::streams::server_help::Dir;
use crate::support::{agg, from, order};

fn all() -> Value {
    json!({"from": from("t")})
}

#[tokio::test]
async fn a_query_is_registered_listed_replaced_and_dropped() {
    let (server, site) = Site::start(Queries::new()).await;
    assert_eq!(
        site.get("/v1/query").await.json(),
        json!({"queries": [], "broken": []})
    );
    site.append(&[
        put("t", "1", json!({"n": 1})),
        put("t", "2", json!({"n": 2})),
    ])
    .await;

    let body = json!({"name": "all", "query": all(), "view": {"title": "All"}});
    let answer = site.send("POST", "/v1/query", Some(&body)).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (201, "/v1/query/all")
    );
    assert_eq!(
        site.send("POST", "/v1/query", Some(&body)).await.status,
        200,
        "the same again"
    );
    site.await_rows("all", |rows| rows.len() == 2).await;
    let query = site.await_state("all", "live").await;
    assert_eq!(query["source"], "events");
    assert_eq!(query["rows"], 2);
    assert_eq!(query["origin"], "http");
    assert_eq!(query["ordered"], false);
    assert_eq!(query["columns"], json!(["n"]));
    assert_eq!(query["view"], json!({"title": "All"}));
    assert_eq!(query["query"]["from"], from("t"));

    let other = json!({"name": "all", "query": {"from": from("t"), "orderBy": [order("t.n")]}});
    let answer = site.send("POST", "/v1/query", Some(&other)).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(
        answer.body.contains("PUT /v1/query/NAME replaces it"),
        "{answer:?}"
    );
    assert_eq!(
        site.send("PUT", "/v1/query/all", Some(&other)).await.status,
        200
    );
    assert_eq!(site.describe("all").await["ordered"], true);
    let new = json!({"query": all()});
    assert_eq!(
        site.send("PUT", "/v1/query/new", Some(&new)).await.status,
        201
    );

    assert_eq!(site.send("DELETE", "/v1/query/all", None).await.status, 204);
    assert_eq!(site.send("DELETE", "/v1/query/all", None).await.status, 404);
    assert_eq!(site.get("/v1/query/all/rows").await.status, 404);
    assert_eq!(site.describe("all").await, Value::Null);
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (server, site) = Site::start(Queries::new()).await;
    let query = |query: Value| json!({"name": "q", "query": query});
    let misspelt =
        json!({"from": from("t"), "where": [{"type": "func", "name": "qe", "args": []}]});
    for (body, says) in [
        (json!({"query": all()}), "`name` is missing"),
        (json!({"name": "q"}), "missing field `query`"),
        (
            json!({"name": "q", "query": all(), "sauce": 1}),
            "unknown field `sauce`",
        ),
        (
            json!({"name": "../q", "query": all()}),
            "`../q` is no name of a query",
        ),
        (
            json!({"name": "", "query": all()}),
            "`` is no name of a query",
        ),
        (
            query(misspelt),
            "`where[0].name`: unknown function `qe` (did you mean `eq`?)",
        ),
        (
            query(json!({"from": from("t"), "select": {"x": {"type": "ref", "path": ["u", "x"]}}})),
            "`u`",
        ),
        (
            json!({"name": "q", "query": all(), "source": "http://"}),
            "is no source",
        ),
        (
            json!({"name": "q", "query": all(), "view": 3}),
            "`view`: must be an object",
        ),
        (
            json!({"name": "q", "query": all(), "view": {"chart": "pie"}}),
            "`view`: unknown variant `pie`",
        ),
    ] {
        let answer = site.send("POST", "/v1/query", Some(&body)).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(
            answer.json()["detail"].as_str().unwrap().contains(says),
            "{body}: {answer:?}"
        );
    }
    assert_eq!(
        site.get("/v1/query").await.json()["queries"],
        json!([]),
        "nothing came of it"
    );

    site.query("q", &all()).await;
    site.query("r", &all()).await;
    let elsewhere = json!({"name": "s", "query": all(), "source": "other"});
    assert_eq!(
        site.send("POST", "/v1/query", Some(&elsewhere))
            .await
            .status,
        201
    );
    site.await_state("s", "live").await;
    for (method, path, status, code) in [
        ("GET", "/v1/query/nope", 404, "no-query"),
        ("HEAD", "/v1/query/nope", 404, ""),
        ("GET", "/v1/query/nope/rows", 404, "no-query"),
        ("PUT", "/v1/query", 405, "method"),
        ("POST", "/v1/query/q", 405, "method"),
        ("GET", "/v1/query/q?offset=x", 400, "bad-query"),
        ("GET", "/v1/query/q?live=sse", 400, "bad-query"),
        ("GET", "/v1/query/q?offset=-1&live=what", 400, "bad-query"),
        (
            "GET",
            "/v1/query/q?offset=0000000000000001_0000000000000000",
            410,
            "gone",
        ),
        ("GET", "/v1/changes", 400, "bad-query"),
        ("GET", "/v1/changes?query=q&query=nope", 404, "no-query"),
        ("GET", "/v1/changes?query=q&query=s", 400, "sources"),
        ("GET", "/assets/nope.js", 404, "not-found"),
        ("GET", "/v1/demo", 404, "no-replay"),
    ] {
        let answer = site.send(method, path, None).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        if !code.is_empty() {
            assert_eq!(answer.json()["code"], code, "{method} {path}");
        }
    }
    let offset = site
        .get("/v1/query/q?offset=now")
        .await
        .header("stream-next-offset")
        .to_owned();
    let parts: Vec<&str> = offset.split('_').collect();
    let [incarnation, _, set] = parts[..] else {
        panic!("{offset}");
    };
    let beyond = format!("/v1/query/q?offset={incarnation}_0000000000999999_{set}");
    assert_eq!(site.get(&beyond).await.status, 400);
    let of_an_earlier_version = format!("/v1/query/q?offset={incarnation}_0000000000999999");
    assert_eq!(site.get(&of_an_earlier_version).await.status, 410);
    server.shutdown().await;
}

#[tokio::test]
async fn curl_alone_is_enough() {
    let (server, site) = Site::start(Queries::new()).await;
    let count = json!({"from": from("t"), "select": {"n": agg("count", "t.x")}});
    site.query("n", &count).await;
    site.await_state("n", "live").await;
    let head = site.send("HEAD", "/v1/query/n", None).await;
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, "application/json")
    );
    let first = site.get("/v1/query/n?offset=-1").await;
    assert_eq!(first.header("stream-up-to-date"), "true");
    let offset = first.header("stream-next-offset").to_owned();
    assert_eq!(
        first.json(),
        json!([{"type": "n", "headers": {"control": "snapshot-start"}},
               {"type": "n", "key": "[]", "value": {"n": 0},
                "headers": {"operation": "insert", "epoch": first.json()[1]["headers"]["epoch"]}},
               {"type": "n", "headers": {"control": "snapshot-end"}}])
    );
    // Nothing came since: the tag says so, and a long-poll waits for nothing.
    let client = reqwest::Client::new();
    let again = client
        .get(format!("{}/v1/query/n?offset=-1", site.url))
        .header("if-none-match", first.header("etag"))
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
    let waited = site
        .get(&format!("/v1/query/n?offset={offset}&live=long-poll"))
        .await;
    assert_eq!(
        (waited.status, waited.header("stream-up-to-date")),
        (204, "true")
    );

    site.append(&[put("t", "1", json!({"x": 1}))]).await;
    let change = site
        .get(&format!("/v1/query/n?offset={offset}&live=long-poll"))
        .await;
    assert_eq!(change.status, 200, "{change:?}");
    assert!(!change.header("stream-cursor").is_empty());
    let message = &change.json()[0];
    assert_eq!(message["value"], json!({"n": 1}));
    assert_eq!(message["headers"]["operation"], "update");
    let caught_up = site.get(&format!("/v1/query/n?offset={offset}")).await;
    assert_eq!(caught_up.json(), change.json());
    let now = site.get("/v1/query/n?offset=now").await;
    assert_eq!(
        (now.body.as_str(), now.header("stream-up-to-date")),
        ("[]", "true")
    );
    assert!(now.header("stream-next-offset") > offset.as_str());

    let metrics = site.get("/metrics").await.body;
    assert!(
        metrics.contains("tailwater_query_rows{query=\"n\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("tailwater_query_changes_total{query=\"n\"} 1\n"),
        "{metrics}"
    );
    let page = site.get("/").await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'self'")
    );
    server.shutdown().await;
}

#[tokio::test]
async fn tokens_are_for_the_streams_that_queries_read() {
    let server = builder()
        .tokens([
            Token::new("admin").read().write(),
            Token::new("viewer").prefix("shop").read(),
            Token::new("other").prefix("bank").read().write(),
        ])
        .queries(Queries::new().stream("shop/orders"))
        .start()
        .await
        .unwrap();
    let nobody = Site::at(&server.url());
    let [admin, viewer, other] = ["admin", "viewer", "other"].map(|token| nobody.with_token(token));
    admin.query("q", &all()).await;
    until(async || {
        let answer = viewer.get("/v1/query/q/rows").await;
        (answer.status == 200).then_some(())
    })
    .await;
    for path in [
        "/v1/query",
        "/v1/query/q?offset=-1",
        "/v1/query/q/rows",
        "/v1/changes?query=q",
        "/v1/query/none",
        "/v1/dashboard",
    ] {
        assert_eq!(nobody.get(path).await.status, 401, "{path}");
        let expected = if path.ends_with("none") { 404 } else { 200 };
        assert_eq!(viewer.get(path).await.status, expected, "{path}");
        assert_eq!(other.get(path).await.status, 403, "{path}");
    }
    assert_eq!(
        nobody.get("/").await.status,
        200,
        "the page itself has no data"
    );
    assert_eq!(
        viewer.get("/metrics").await.status,
        403,
        "figures of all queries"
    );
    assert_eq!(admin.get("/metrics").await.status, 200);
    let body = json!({"name": "r", "query": all()});
    for (site, status) in [(&nobody, 401), (&viewer, 403), (&other, 403), (&admin, 201)] {
        assert_eq!(
            site.send("POST", "/v1/query", Some(&body)).await.status,
            status
        );
    }
    // Nobody reads what is not theirs by way of a query.
    let body = json!({"name": "s", "query": all(), "source": "bank/accounts"});
    assert_eq!(
        viewer.send("POST", "/v1/query", Some(&body)).await.status,
        403
    );
    assert_eq!(
        other.send("POST", "/v1/query", Some(&body)).await.status,
        201
    );
    assert_eq!(viewer.get("/v1/query/s/rows").await.status, 403);
    other.await_state("s", "live").await;
    assert_eq!(
        viewer.get("/v1/query").await.json()["queries"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // Nor under another name of it.
    for source in [
        "shop/../bank/accounts",
        "bank?x",
        "../query/q",
        "%62ank/accounts",
    ] {
        let body = json!({"name": "t", "query": all(), "source": source});
        assert_eq!(
            admin.send("POST", "/v1/query", Some(&body)).await.status,
            400,
            "{source}"
        );
    }
    assert_eq!(viewer.send("DELETE", "/v1/query/q", None).await.status, 403);
    let offset = viewer
        .get("/v1/query/q?offset=now")
        .await
        .header("stream-next-offset")
        .to_owned();
    assert_eq!(admin.send("DELETE", "/v1/query/q", None).await.status, 204);
    assert_eq!(other.send("DELETE", "/v1/query/s", None).await.status, 204);
    // What was dropped is told to those who could read it.
    let at = |name: &str| format!("/v1/query/{name}?offset={offset}");
    let told = viewer.get(&at("q")).await;
    assert_eq!((told.status, told.header("stream-closed")), (200, "true"));
    assert_eq!(
        viewer
            .send("HEAD", "/v1/query/q", None)
            .await
            .header("stream-closed"),
        "true"
    );
    assert_eq!(other.get(&at("q")).await.status, 403);
    assert_eq!(viewer.get(&at("s")).await.status, 403);
    assert_eq!(
        other
            .get("/v1/query/s?offset=now")
            .await
            .header("stream-closed"),
        "true"
    );
    server.shutdown().await;
}

#[tokio::test]
async fn pages_from_elsewhere_change_no_queries() {
    let (server, site) = Site::start(Queries::new()).await;
    site.query("q", &all()).await;
    let send = async |method: &str, path: &str, name: &'static str, value: &str| {
        let url = format!("{}{path}", site.url);
        let request = reqwest::Client::new().request(method.parse().unwrap(), url);
        let body = json!({"name": "r", "query": all()}).to_string();
        let answer = request.header(name, value).body(body).send().await.unwrap();
        answer.status().as_u16()
    };
    for (method, path) in [
        ("POST", "/v1/query"),
        ("PUT", "/v1/query/r"),
        ("DELETE", "/v1/query/q"),
    ] {
        assert_eq!(
            send(method, path, "origin", "https://example.org").await,
            403
        );
        assert_eq!(
            send(method, path, "host", "example.org").await,
            403,
            "under another name"
        );
    }
    assert_eq!(
        send("GET", "/v1/query/q/rows", "origin", "https://example.org").await,
        200
    );
    assert_eq!(
        send("POST", "/v1/query", "origin", "http://localhost:5173").await,
        201
    );
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_nobody_reads_are_let_go() {
    let (server, site) = Site::start(Queries::new()).await;
    let sources = async || -> Vec<String> {
        let list = site.get("/v1/dead-letters").await.json();
        let sources = list["sources"].as_array().unwrap().iter();
        sources
            .map(|source| source["source"].as_str().unwrap().to_owned())
            .collect()
    };
    for (name, source) in [("a", "x"), ("b", "x"), ("c", "y")] {
        let body = json!({"name": name, "query": all(), "source": source});
        assert_eq!(
            site.send("POST", "/v1/query", Some(&body)).await.status,
            201
        );
        site.await_state(name, "live").await;
    }
    assert_eq!(sources().await, ["x", "y"]);
    let body = json!({"query": all(), "source": "z"});
    assert_eq!(
        site.send("PUT", "/v1/query/c", Some(&body)).await.status,
        200
    );
    assert_eq!(site.send("DELETE", "/v1/query/a", None).await.status, 204);
    until(async || (sources().await == ["x", "z"]).then_some(())).await;
    assert_eq!(site.send("DELETE", "/v1/query/b", None).await.status, 204);
    until(async || (sources().await == ["z"]).then_some(())).await;
    // A dropped query and one of another source are no stream.
    assert_eq!(
        site.get("/v1/changes?query=b&query=c&offset=now")
            .await
            .status,
        400
    );
    // The source can be read again.
    let body = json!({"name": "d", "query": all(), "source": "x"});
    assert_eq!(
        site.send("POST", "/v1/query", Some(&body)).await.status,
        201
    );
    site.await_state("d", "live").await;
    server.shutdown().await;
}

#[tokio::test]
async fn offsets_are_of_the_queries_they_were_given_for() {
    let (server, site) = Site::start(Queries::new()).await;
    site.query("a", &all()).await;
    site.query("b", &all()).await;
    let offset = async |path: &str| {
        let answer = site.get(&format!("{path}offset=-1")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("stream-next-offset").to_owned()
    };
    let (b, both) = (
        offset("/v1/query/b?").await,
        offset("/v1/changes?query=a&query=b&").await,
    );
    for (path, offset, status) in [
        ("/v1/query/b?", &b, 200),
        ("/v1/query/a?", &b, 410),
        ("/v1/query/b?", &both, 410),
        ("/v1/changes?query=a&query=b&", &b, 410),
        ("/v1/changes?query=b&query=a&", &both, 410),
        ("/v1/changes?query=a&query=b&", &both, 200),
    ] {
        assert_eq!(
            site.get(&format!("{path}offset={offset}")).await.status,
            status,
            "{path}"
        );
    }
    server.shutdown().await;
}

/// Several at once change a query; who comes too late is told so, and has changed nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_what_is_served() {
    let dir = Dir::new();
    let start = async || {
        let server = builder().data(dir.path()).queries(Queries::new());
        let server = server.start().await.unwrap();
        let site = Site::at(&server.url());
        (server, site)
    };
    for round in 0..10u32 {
        let (server, site) = start().await;
        let change = |n: u32| {
            let site = site.clone();
            async move {
                for i in 0..5 {
                    let limit = round * 100 + n * 10 + i + 1;
                    let query = json!({"from": from("t"), "orderBy": order("t.n"), "limit": limit});
                    let (method, body) = match (n + i) % 4 {
                        0 => ("DELETE", None),
                        _ => ("PUT", Some(json!({"query": query}))),
                    };
                    let answer = site.send(method, "/v1/query/q", body.as_ref()).await;
                    assert!(answer.status < 500, "{answer:?}");
                }
            }
        };
        let changing: Vec<_> = (0..4).map(|n| tokio::spawn(change(n))).collect();
        for done in changing {
            done.await.unwrap();
        }
        let before = site.describe("q").await["query"].take();
        server.shutdown().await;
        let (server, site) = start().await;
        assert_eq!(site.describe("q").await["query"], before, "round {round}");
        server.shutdown().await;
    }
}
