//! Encrypted connections, with a certificate that was signed by an authority.

use serde_json::{Value, json};
use tailwater::server::{Error, Queries, Server, Token};
use tailwater::stream::{DurableStream, ReadOptions};

use super::support::{builder, from, in_time, put, raw};

/// A file beside this one.
fn file(name: &str) -> String {
    format!(
        "{}/tests/secure/certificate/{name}",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// A client that trusts the authority and no other.
fn client() -> reqwest::Client {
    let authority = std::fs::read(file("authority.pem")).unwrap();
    let authority = reqwest::Certificate::from_pem(&authority).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([authority]);
    client.build().unwrap()
}

async fn start(tokens: Vec<Token>) -> Server {
    let builder = builder()
        .tls(file("server.pem"), file("server.key.pem"))
        .tokens(tokens);
    builder.queries(Queries::new()).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_results_are_encrypted() {
    let server = start(vec![Token::new("t").read().write()]).await;
    assert!(
        server.url().starts_with("https://127.0.0.1:"),
        "{}",
        server.url()
    );
    let client = client();
    let query = json!({"name": "q", "query": {"from": from("t", "t")}});
    let send = async |method: &str, path: &str, body: String| {
        let url = format!("{}{path}", server.url());
        let request = client
            .request(method.parse().unwrap(), url)
            .bearer_auth("t");
        let request = request
            .header("content-type", "application/json")
            .body(body);
        in_time(request.send()).await.unwrap()
    };
    let answer = send("POST", "/v1/query", query.to_string()).await;
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (201, reqwest::Version::HTTP_2)
    );
    let answer = send("PUT", "/v1/stream/s", String::new()).await;
    assert!(
        answer.headers()["location"]
            .to_str()
            .unwrap()
            .starts_with("https://")
    );
    let event = json!([put("t", "1", json!({"n": 1}))]);
    assert_eq!(
        send("POST", "/v1/stream/events", event.to_string())
            .await
            .status()
            .as_u16(),
        204
    );
    // The client of the library reads over it, too.
    let stream = DurableStream::builder(server.stream_url("events"))
        .http_client(client.clone())
        .header("authorization", "Bearer t")
        .build()
        .unwrap();
    let mut reader = stream.read(ReadOptions::default());
    let events: Vec<Value> = in_time(reader.collect_json()).await.unwrap();
    assert_eq!(events, [put("t", "1", json!({"n": 1}))]);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_encrypted_or_not_trusted_gets_nothing() {
    let server = start(Vec::new()).await;
    let answer = raw(&server, b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(!answer.contains("HTTP"), "{answer}");
    let strangers = reqwest::Client::new()
        .get(format!("{}/health", server.url()))
        .send();
    assert!(in_time(strangers).await.is_err(), "nobody vouches for it");
    let health = client().get(format!("{}/health", server.url())).send();
    assert_eq!(in_time(health).await.unwrap().status().as_u16(), 200);
    server.shutdown().await;
}

#[tokio::test]
async fn files_that_hold_no_certificate_are_named() {
    for (certificate, key, wrong) in [
        ("none.pem", "server.key.pem", "none.pem"),
        ("server.pem", "none.pem", "none.pem"),
        ("README.md", "server.key.pem", "README.md"),
        ("server.pem", "server.pem", "server.pem"),
        ("authority.pem", "server.key.pem", "authority.pem"),
    ] {
        let builder = Server::builder().tls(file(certificate), file(key));
        match builder.start().await {
            Err(error @ Error::Tls { .. }) => assert!(error.to_string().contains(wrong), "{error}"),
            other => panic!("{certificate}, {key}: {other:?}"),
        }
    }
}
