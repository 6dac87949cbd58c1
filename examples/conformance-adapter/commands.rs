//! The commands but for `read`, and the state that lives between them.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tailwater::stream::{
    AppendOptions, CreateOptions, DurableStream, Producer, ProducerBuilder, RetryPolicy,
    StreamError,
};

use super::dynamic::{Dynamic, Values};
use super::{read, result};

const OCTETS: &str = "application/octet-stream";

/// What a producer is known by: path, id, epoch.
type ProducerKey = (String, String, u64);

#[derive(Default)]
pub(crate) struct Adapter {
    server: String,
    client: Option<reqwest::Client>,
    content_types: HashMap<String, String>,
    producers: HashMap<ProducerKey, Producer>,
    dynamic: Dynamic,
}

impl Adapter {
    pub(crate) async fn run(&mut self, command: &Value) -> Value {
        let name = command["type"].as_str().unwrap_or("unknown");
        match self.dispatch(name, command).await {
            Ok(mut done) => {
                done["type"] = name.into();
                done["success"] = true.into();
                done
            }
            Err(Some(error)) => result::from_error(name, &error),
            Err(None) => result::failure(name, "NOT_SUPPORTED", "unknown command"),
        }
    }

    async fn dispatch(
        &mut self,
        name: &str,
        command: &Value,
    ) -> Result<Value, Option<StreamError>> {
        Ok(match name {
            "init" => self.init(command),
            "create" => self.create(command).await?,
            "connect" | "head" => self.head(command).await?,
            "append" => self.append(command).await?,
            "read" => {
                let values = self.dynamic.next();
                let stream = self.stream(command, &values)?;
                let mut done = read::read(&stream, command).await?;
                sent(&mut done, values);
                done
            }
            "delete" => {
                self.stream(command, &Values::default())?.delete().await?;
                self.content_types.remove(path(command));
                json!({"status": 200})
            }
            "close" => self.close(command).await?,
            "idempotent-append" => {
                let producer = self.producer(command).await?;
                producer.append(text(command, "data")).await?;
                let end = producer.flush().await?;
                json!({"status": 200, "offset": end.map(|end| end.to_string())})
            }
            "idempotent-append-batch" => self.append_batch(command).await?,
            "idempotent-close" => {
                let producer = self.producer(command).await?;
                let data = text(command, "data");
                let end = match data.is_empty() {
                    true => producer.close().await?,
                    false => producer.close_with(data).await?,
                };
                json!({"status": 200, "finalOffset": end.map(|end| end.to_string())})
            }
            "idempotent-detach" => {
                self.producers.remove(&producer_key(command));
                json!({"status": 200})
            }
            "set-dynamic-header" => {
                self.dynamic.set_header(command);
                json!({})
            }
            "set-dynamic-param" => {
                self.dynamic.set_param(command);
                json!({})
            }
            "clear-dynamic" => {
                self.dynamic = Dynamic::default();
                json!({})
            }
            "validate" => validate(&command["target"])?,
            "shutdown" => json!({}),
            _ => return Err(None),
        })
    }

    fn init(&mut self, command: &Value) -> Value {
        *self = Adapter {
            server: text(command, "serverUrl"),
            client: reqwest::Client::builder().build().ok(),
            ..Adapter::default()
        };
        json!({
            "clientName": "tailwater",
            "clientVersion": env!("CARGO_PKG_VERSION"),
            "features": {
                "batching": true, "sse": true, "longPoll": true, "auto": true, "streaming": true,
                "dynamicHeaders": true, "retryOptions": true, "batchItems": true,
                "strictZeroValidation": true,
            },
        })
    }

    async fn create(&mut self, command: &Value) -> Result<Value, StreamError> {
        let content_type = command["contentType"].as_str().unwrap_or(OCTETS).to_owned();
        let options = CreateOptions {
            ttl: command["ttlSeconds"].as_u64().map(Duration::from_secs),
            expires_at: command["expiresAt"].as_str().map(str::to_owned),
            data: text(command, "data").into(),
            closed: command["closed"] == true,
            ..CreateOptions::with_content_type(&content_type)
        };
        let created = self
            .stream(command, &Values::default())?
            .create(options)
            .await?;
        self.content_types
            .insert(path(command).to_owned(), content_type);
        let status = if created.is_new { 201 } else { 200 };
        Ok(json!({"status": status, "offset": created.end.map(|end| end.to_string())}))
    }

    async fn head(&mut self, command: &Value) -> Result<Value, StreamError> {
        let head = self.stream(command, &Values::default())?.head().await?;
        if let Some(content_type) = &head.content_type {
            self.content_types
                .insert(path(command).to_owned(), content_type.clone());
        }
        Ok(json!({
            "status": 200,
            "offset": head.end.as_str(),
            "contentType": head.content_type,
            "streamClosed": head.closed,
        }))
    }

    async fn append(&mut self, command: &Value) -> Result<Value, StreamError> {
        let values = self.dynamic.next();
        let stream = self.stream(command, &values)?;
        let data = text(command, "data");
        let data = match command["binary"] == true {
            true => BASE64_STANDARD
                .decode(data)
                .map(Bytes::from)
                .map_err(|error| invalid("data", error.to_string()))?,
            false => data.into(),
        };
        let options = AppendOptions {
            seq: command["seq"].as_u64().map(|seq| seq.to_string()),
            ..AppendOptions::default()
        };
        let end = stream.append_all([data], options).await?;
        let mut done = json!({"status": 200, "offset": end.as_str()});
        sent(&mut done, values);
        Ok(done)
    }

    async fn close(&mut self, command: &Value) -> Result<Value, StreamError> {
        let stream = self.stream(command, &Values::default())?;
        let data = text(command, "data");
        let end = match data.is_empty() {
            true => stream.close().await?,
            false => {
                let options = AppendOptions {
                    close: true,
                    ..AppendOptions::default()
                };
                stream.append_all([data.into()], options).await?
            }
        };
        Ok(json!({"finalOffset": end.as_str()}))
    }

    /// A producer of its own that begins with sequence 0.
    async fn append_batch(&mut self, command: &Value) -> Result<Value, StreamError> {
        let builder = self.producer_builder(command)?;
        let producer = match command["maxInFlight"].as_u64() {
            Some(n @ 2..) => builder.max_in_flight(n as usize).max_batch_items(1),
            _ => builder.max_in_flight(1).linger(Duration::from_secs(60)),
        };
        let producer = producer.start().await?;
        for item in command["items"].as_array().into_iter().flatten() {
            let item = item
                .as_str()
                .map_or_else(|| item.to_string(), str::to_owned);
            producer.append(item).await?;
        }
        producer.flush().await?;
        Ok(json!({"status": 200}))
    }

    async fn producer(&mut self, command: &Value) -> Result<Producer, StreamError> {
        let key = producer_key(command);
        if let Some(producer) = self.producers.get(&key).filter(|p| p.failure().is_none()) {
            return Ok(producer.clone());
        }
        let producer = self.producer_builder(command)?.start().await?;
        self.producers.insert(key, producer.clone());
        Ok(producer)
    }

    fn producer_builder(&self, command: &Value) -> Result<ProducerBuilder, StreamError> {
        let (_, id, epoch) = producer_key(command);
        let stream = self.stream(command, &Values::default())?;
        Ok(stream
            .producer(id)
            .epoch(epoch)
            .auto_claim(command["autoClaim"] == true))
    }

    fn stream(&self, command: &Value, values: &Values) -> Result<DurableStream, StreamError> {
        let path = path(command);
        let content_type = self.content_types.get(path).map_or(OCTETS, String::as_str);
        let mut builder = DurableStream::builder(format!("{}{path}", self.server))
            .content_type(content_type)
            .retry(RetryPolicy {
                max_retries: Some(6),
                initial_delay: Duration::from_millis(50),
                max_delay: Duration::from_secs(1),
                ..RetryPolicy::default()
            });
        if let Some(client) = &self.client {
            builder = builder.http_client(client.clone());
        }
        for (name, value) in &values.headers {
            builder = builder.header(name, value);
        }
        for (name, value) in &values.params {
            builder = builder.param(name, value);
        }
        for (name, value) in command["headers"].as_object().into_iter().flatten() {
            builder = builder.header(name, value.as_str().unwrap_or_default());
        }
        builder.build()
    }
}

fn path(command: &Value) -> &str {
    command["path"].as_str().unwrap_or_default()
}

fn text(command: &Value, field: &str) -> String {
    command[field].as_str().unwrap_or_default().to_owned()
}

fn producer_key(command: &Value) -> ProducerKey {
    let epoch = command["epoch"].as_u64().unwrap_or_default();
    (path(command).to_owned(), text(command, "producerId"), epoch)
}

fn sent(done: &mut Value, values: Values) {
    if !values.headers.is_empty() {
        done["headersSent"] = json!(values.headers);
    }
    if !values.params.is_empty() {
        done["paramsSent"] = json!(values.params);
    }
}

fn invalid(name: &str, detail: impl Into<String>) -> StreamError {
    StreamError::InvalidArgument {
        name: name.to_owned(),
        detail: detail.into(),
    }
}

/// Checks options as the library does; the suite's names are JavaScript's.
fn validate(target: &Value) -> Result<Value, StreamError> {
    let number = |field: &str| target[field].as_f64();
    let whole = |field: &str, default: u64| match number(field) {
        Some(n) if n < 0.0 => Err(invalid(field, "must not be negative")),
        Some(n) => Ok(n as u64),
        None => Ok(default),
    };
    let checked = if target["target"] == "retry-options" {
        let default = RetryPolicy::default();
        RetryPolicy {
            max_retries: Some(whole("maxRetries", 3)? as u32),
            initial_delay: Duration::from_millis(whole("initialDelayMs", 100)?),
            max_delay: Duration::from_millis(whole("maxDelayMs", 60_000)?),
            multiplier: number("multiplier").map_or(default.multiplier, |m| m as f32),
            ..default
        }
        .validate()
    } else {
        DurableStream::new("http://localhost/")?
            .producer("validated")
            .epoch(whole("epoch", 0)?)
            .max_batch_bytes(whole("maxBatchBytes", 1 << 20)? as usize)
            .max_batch_items(whole("maxBatchItems", 1000)? as usize)
            .validate()
    };
    checked.map(|()| json!({})).map_err(|error| match error {
        StreamError::InvalidArgument { name, detail } => {
            let name = match name.as_str() {
                "initial_delay" => "initialDelayMs",
                "max_delay" => "maxDelayMs",
                "max_batch_bytes" => "maxBatchBytes",
                "max_batch_items" => "maxBatchItems",
                other => other,
            };
            invalid(name, detail)
        }
        other => other,
    })
}
