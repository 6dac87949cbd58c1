//! What the tests of served results share: a server, and readers that put a result together.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tailwater::server::{Queries, Server, ServerBuilder};
use tailwater::stream::{Batch, DurableStream, RetryPolicy};

/// How long anything may take before it counts as hanging.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that is to happen.
pub(super) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, what).await;
    done.expect("this takes too long")
}

/// Asks again until the answer is right.
pub(super) async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    in_time(async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

pub(super) fn builder() -> ServerBuilder {
    Server::builder().long_poll_timeout(Duration::from_millis(500))
}

/// A server that is asked over HTTP.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) url: String,
    token: Option<String>,
    http: reqwest::Client,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default()
    }
}

impl Site {
    pub(super) fn at(url: &str) -> Site {
        Site {
            url: url.to_owned(),
            token: None,
            http: reqwest::Client::new(),
        }
    }

    pub(super) async fn start(queries: Queries) -> (Server, Site) {
        let server = builder().queries(queries).start().await.unwrap();
        let site = Site::at(&server.url());
        (server, site)
    }

    pub(super) fn with_token(&self, token: &str) -> Site {
        Site {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    pub(super) async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let method = method.parse().unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json");
            request = request.body(body.to_string());
        }
        let answer = in_time(request.send()).await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.text().await.unwrap(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    /// Registers a query that must hold.
    pub(super) async fn query(&self, name: &str, query: &Value) {
        let body = json!({"name": name, "query": query});
        let answer = self.send("POST", "/v1/query", Some(&body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Appends messages to the default stream, as one step.
    pub(super) async fn append(&self, messages: &[Value]) {
        self.append_to("events", messages).await;
    }

    pub(super) async fn append_to(&self, stream: &str, messages: &[Value]) {
        let path = format!("/v1/stream/{stream}");
        let body = Value::Array(messages.to_vec());
        let mut answer = self.send("POST", &path, Some(&body)).await;
        if answer.status == 404 {
            // No query asked for the stream yet.
            self.send("PUT", &path, Some(&json!([]))).await;
            answer = self.send("POST", &path, Some(&body)).await;
        }
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    /// What the list says of a query.
    pub(super) async fn describe(&self, name: &str) -> Value {
        let list = self.get("/v1/query").await.json();
        let mut queries = list["queries"].as_array().unwrap().iter();
        let found = queries.find(|query| query["name"] == name);
        found.cloned().unwrap_or(Value::Null)
    }

    /// Waits until a query is in a state.
    pub(super) async fn await_state(&self, name: &str, state: &str) -> Value {
        until(async || {
            let query = self.describe(name).await;
            (query["status"]["state"] == state).then_some(query)
        })
        .await
    }

    /// The rows of a query, as key and value.
    pub(super) async fn rows(&self, name: &str) -> Vec<(String, Value)> {
        let answer = self.get(&format!("/v1/query/{name}/rows")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let rows = answer.json()["rows"].take();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| {
            (
                row["key"].as_str().unwrap().to_owned(),
                row["value"].clone(),
            )
        })
        .collect()
    }

    /// Waits until a query has rows that are as they must be.
    pub(super) async fn await_rows(&self, name: &str, right: impl Fn(&[(String, Value)]) -> bool) {
        until(async || right(&self.rows(name).await).then_some(())).await;
    }

    /// The result of queries as a stream.
    pub(super) fn result(&self, names: &[&str]) -> DurableStream {
        let url = match names {
            [name] => format!("{}/v1/query/{name}", self.url),
            names => format!("{}/v1/changes?query={}", self.url, names.join("&query=")),
        };
        let retry = RetryPolicy {
            max_retries: Some(20),
            initial_delay: Duration::from_millis(2),
            max_delay: Duration::from_millis(50),
            ..RetryPolicy::default()
        };
        DurableStream::builder(url).retry(retry).build().unwrap()
    }
}

pub(super) fn put(of: &str, key: &str, value: Value) -> Value {
    json!({"type": of, "key": key, "value": value, "headers": {"operation": "upsert"}})
}

pub(super) fn delete(of: &str, key: &str) -> Value {
    json!({"type": of, "key": key, "headers": {"operation": "delete"}})
}

/// The results that messages add up to, by name, put together as the documentation tells readers to.
#[derive(Clone, Debug, Default)]
pub(super) struct Folded {
    pub(super) results: BTreeMap<String, Vec<(String, Value)>>,
    epochs: BTreeMap<String, u64>,
    /// The snapshots that are open.
    open: BTreeMap<String, Vec<(String, Value)>>,
}

impl Folded {
    /// Takes in a batch, which has whole steps.
    pub(super) fn take(&mut self, batch: &Batch) {
        let messages: Vec<Value> = batch
            .items
            .json()
            .map(|text| serde_json::from_str(text).unwrap())
            .collect();
        let step = |message: &Value| {
            (
                message["type"].to_string(),
                message["headers"]["epoch"].as_u64(),
            )
        };
        for messages in messages.chunk_by(|a, b| step(a) == step(b)) {
            self.step(messages);
        }
        assert!(self.open.is_empty(), "a batch ends within a snapshot");
    }

    fn step(&mut self, messages: &[Value]) {
        let name = messages[0]["type"].as_str().unwrap().to_owned();
        if let Some(control) = messages[0]["headers"]["control"].as_str() {
            for message in messages {
                assert_eq!(message["type"], *name);
            }
            match control {
                "snapshot-start" => drop(self.open.insert(name.clone(), Vec::new())),
                "snapshot-end" => {
                    let rows = self.open.remove(&name).expect("it began");
                    self.results.insert(name.clone(), rows);
                }
                other => panic!("{other}"),
            }
            // An empty snapshot begins and ends in one run of messages.
            if let [_, end] = messages {
                assert_eq!(end["headers"]["control"], "snapshot-end");
                self.open.remove(&name);
                self.results.insert(name, Vec::new());
            }
            return;
        }
        let epoch = messages[0]["headers"]["epoch"].as_u64().expect("a step");
        if let Some(rows) = self.open.get_mut(&name) {
            for message in messages {
                assert_eq!(message["headers"]["operation"], "insert");
                rows.push(row(message));
            }
            self.epochs.insert(name, epoch);
            return;
        }
        let last = self.epochs.insert(name.clone(), epoch);
        assert!(
            last < Some(epoch),
            "step {epoch} of {name} comes after {last:?}"
        );
        let rows = self.results.get_mut(&name).expect("a snapshot comes first");
        let ordered = messages.iter().any(|message| {
            let headers = &message["headers"];
            headers
                .get("index")
                .or(headers.get("previousIndex"))
                .is_some()
        });
        if ordered {
            step_ordered(rows, messages);
        } else {
            step_by_key(rows, messages);
        }
    }

    /// The rows of a result.
    pub(super) fn rows(&self, name: &str) -> &[(String, Value)] {
        self.results.get(name).map_or(&[], Vec::as_slice)
    }
}

fn row(message: &Value) -> (String, Value) {
    let key = message["key"].as_str().unwrap().to_owned();
    (key, message["value"].clone())
}

fn step_ordered(rows: &mut Vec<(String, Value)>, messages: &[Value]) {
    let index = |message: &Value, name: &str| message["headers"][name].as_u64().map(|i| i as usize);
    let mut leave: Vec<(usize, &Value)> = messages
        .iter()
        .filter_map(|message| Some((index(message, "previousIndex")?, message)))
        .collect();
    leave.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
    for (index, message) in leave {
        let (key, _) = rows.remove(index);
        assert_eq!(message["key"], key);
    }
    let mut come: Vec<(usize, &Value)> = messages
        .iter()
        .filter_map(|message| Some((index(message, "index")?, message)))
        .collect();
    come.sort_by_key(|(index, _)| *index);
    for (index, message) in come {
        rows.insert(index, row(message));
    }
}

fn step_by_key(rows: &mut Vec<(String, Value)>, messages: &[Value]) {
    for message in messages {
        let (key, value) = row(message);
        let place = rows.iter().position(|(known, _)| *known == key);
        match (message["headers"]["operation"].as_str().unwrap(), place) {
            ("insert", None) => rows.push((key, value)),
            ("update", Some(place)) => rows[place].1 = value,
            ("delete", Some(place)) => drop(rows.remove(place)),
            (operation, place) => panic!("{operation} of {key}, which is at {place:?}"),
        }
    }
    // Results without an order are sorted by key, which here are texts of one length.
    rows.sort_by(|a, b| a.0.cmp(&b.0));
}
