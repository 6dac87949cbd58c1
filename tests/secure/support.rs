//! A server that is asked over HTTP, and bytes over a plain connection.

use std::time::Duration;

use serde_json::{Value, json};
use tailwater::server::{Queries, Server, ServerBuilder, Token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long anything may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("this takes too long")
}

#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) url: String,
    token: Option<String>,
    http: reqwest::Client,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The problem's code.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn builder() -> ServerBuilder {
    Server::builder().long_poll_timeout(Duration::from_secs(30))
}

/// A server of queries over the stream `shop/orders`, and what asks it without a token.
pub(crate) async fn start(tokens: Vec<Token>) -> (Server, Site) {
    let builder = builder().tokens(tokens);
    let server = builder
        .queries(Queries::new().stream("shop/orders"))
        .start()
        .await
        .unwrap();
    let site = Site::at(&server);
    (server, site)
}

impl Site {
    pub(crate) fn at(server: &Server) -> Site {
        Site {
            url: server.url(),
            token: None,
            http: reqwest::Client::new(),
        }
    }

    pub(crate) fn with_token(&self, token: &str) -> Site {
        let token = Some(token.to_owned());
        Site {
            token,
            ..self.clone()
        }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let method = method.parse().unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json");
            request = request.body(body.to_string());
        }
        let answer = in_time(request.send()).await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: in_time(answer.text()).await.unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None).await
    }

    pub(crate) async fn register(&self, name: &str, query: Value) -> Answer {
        let body = json!({"name": name, "query": query});
        self.send("POST", "/v1/query", &[], Some(&body)).await
    }

    pub(crate) async fn append(&self, messages: Value) {
        let path = "/v1/stream/shop/orders";
        let answer = self.send("POST", path, &[], Some(&messages)).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    /// Waits until a query has so many rows.
    pub(crate) async fn await_rows(&self, name: &str, count: usize) {
        in_time(async {
            while self.values(name).await.len() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// The values of a query's rows.
    pub(crate) async fn values(&self, name: &str) -> Vec<Value> {
        let answer = self.get(&format!("/v1/query/{name}/rows")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let rows = answer.json()["rows"].take();
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["value"].clone())
            .collect()
    }
}

/// What a connection answers to bytes, until it is closed.
pub(crate) async fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // It may have had enough before all is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = in_time(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn from(name: &str, alias: &str) -> Value {
    json!({"type": "collectionRef", "collection": name, "alias": alias})
}

pub(crate) fn path(path: &str) -> Value {
    json!({"type": "ref", "path": path.split('.').collect::<Vec<_>>()})
}

pub(crate) fn val(value: impl Into<Value>) -> Value {
    json!({"type": "val", "value": value.into()})
}

pub(crate) fn func(name: &str, args: &[Value]) -> Value {
    json!({"type": "func", "name": name, "args": args})
}

pub(crate) fn put(of: &str, key: &str, value: Value) -> Value {
    json!({"type": of, "key": key, "value": value, "headers": {"operation": "upsert"}})
}
