//! A handle of one stream: create, append, close, delete, ask about it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderName;
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde_json::value::RawValue;

use super::batch::is_json;
use super::error::StreamError;
use super::http::{self, Answer, Http, Request, names};
use super::offset::Offset;
use super::provider::Provider;
use super::read::{ReadOptions, Reader};
use super::retry::RetryPolicy;

/// What the reader and the writers of the protocol set themselves.
const RESERVED_PARAMS: [&str; 3] = ["offset", "live", "cursor"];

/// The content type of a stream that was not said to have one.
const OCTETS: &str = "application/octet-stream";

/// A stream on a server, to write to and to read from. Cheap to clone; making one sends nothing.
///
/// Requests are repeated by the [`RetryPolicy`] where they fail for a passing reason. An append whose
/// answer was lost is sent again too, and may then be there twice; a [producer](Self::producer)'s is
/// there once.
///
/// ```
/// # async fn example() -> Result<(), tailwater::stream::StreamError> {
/// use tailwater::stream::{CreateOptions, DurableStream, Provider};
/// let stream = DurableStream::builder("http://127.0.0.1:4437/v1/stream/events")
///     .header("authorization", Provider::function(|| format!("Bearer {}", 42)))
///     .build()?;
/// stream.create(CreateOptions::json()).await?;
/// stream.append(r#"{"n":1}"#).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DurableStream {
    pub(super) http: Arc<Http>,
    content_type: Arc<Mutex<Option<String>>>,
}

/// Options of a [`DurableStream`].
#[derive(Clone)]
pub struct StreamBuilder {
    url: String,
    client: Option<reqwest::Client>,
    content_type: Option<String>,
    headers: Vec<(String, Provider)>,
    params: Vec<(String, Provider)>,
    retry: RetryPolicy,
    request_timeout: Duration,
    live_timeout: Duration,
    max_response_bytes: usize,
}

/// How a stream is created.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// The content type; `application/octet-stream` by default.
    pub content_type: Option<String>,
    /// Deletes the stream when it was neither read nor written for so long; whole seconds.
    pub ttl: Option<Duration>,
    /// Deletes the stream at a time, RFC 3339. Not together with `ttl`.
    pub expires_at: Option<String>,
    /// The first content: bytes, or of a JSON stream a message or an array of messages.
    pub data: Bytes,
    /// Whether nothing is to follow.
    pub closed: bool,
}

impl CreateOptions {
    /// A stream of JSON messages.
    pub fn json() -> Self {
        CreateOptions::with_content_type("application/json")
    }

    /// A stream of a content type.
    pub fn with_content_type(content_type: impl Into<String>) -> Self {
        CreateOptions {
            content_type: Some(content_type.into()),
            ..CreateOptions::default()
        }
    }
}

/// What an append says besides its content.
#[derive(Clone, Debug, Default)]
pub struct AppendOptions {
    /// `Stream-Seq`: must be above the last one of the stream, bytewise; else the append is refused
    /// with [`StreamError::SequenceConflict`].
    pub seq: Option<String>,
    /// Closes the stream behind the content, in the same step.
    pub close: bool,
}

/// What `create` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// False if the stream was there already, with the same configuration.
    pub is_new: bool,
    /// Where the stream ends, if the server said.
    pub end: Option<Offset>,
}

/// What a server knows of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Where it ends.
    pub end: Offset,
    /// Its content type, as it was created.
    pub content_type: Option<String>,
    /// Whether it is closed.
    pub closed: bool,
}

impl StreamBuilder {
    /// The stream's content type, which appends have to name. Without it, it is learned from what the
    /// server answers, by a HEAD request of its own if need be.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// A header of all requests. Given twice, the later one counts.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Provider>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A query parameter of all requests.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Provider>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// How often to repeat requests.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How long a server may be silent on an ordinary request. 30 s by default.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long a server may be silent on a long-poll or SSE request before the connection counts as
    /// broken. Longer than its long-poll takes; 90 s by default.
    pub fn live_timeout(mut self, timeout: Duration) -> Self {
        self.live_timeout = timeout;
        self
    }

    /// The largest answer, or the most content before one control event of SSE, that is held in
    /// memory. 1 GiB by default.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// The HTTP client to use, for proxies, certificates and the like. Clones of one share their
    /// connections. By default each handle that is built has one of its own.
    ///
    /// Redirects that it follows should be 307 and 308 only, as the default one's are: with the others
    /// an append turns into a read of another place.
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// The handle.
    ///
    /// # Errors
    ///
    /// [`StreamError::InvalidArgument`] that names the option, the header or the parameter.
    pub fn build(self) -> Result<DurableStream, StreamError> {
        let url = Url::parse(&self.url)
            .map_err(|e| StreamError::invalid("url", format!("is not a URL: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(StreamError::invalid(
                "url",
                "must begin with http:// or https://",
            ));
        }
        if url.scheme() == "https" && cfg!(not(feature = "tls")) && self.client.is_none() {
            let detail = "is https, which needs the feature `tls`, or an `http_client` that has it";
            return Err(StreamError::invalid("url", detail));
        }
        self.retry.validate()?;
        for (name, timeout) in [
            ("request_timeout", self.request_timeout),
            ("live_timeout", self.live_timeout),
        ] {
            if timeout.is_zero() {
                return Err(StreamError::invalid(name, "must be above zero"));
            }
        }
        let mut headers = Vec::new();
        for (name, value) in self.headers {
            let parsed = HeaderName::try_from(&name)
                .map_err(|_| StreamError::invalid(&name, "is not the name of a header"))?;
            headers.push((parsed, value));
        }
        for (name, _) in &self.params {
            if RESERVED_PARAMS.contains(&name.as_str()) {
                let detail = "is a parameter of the protocol and is set by the client";
                return Err(StreamError::invalid(name, detail));
            }
        }
        let client = match self.client {
            Some(client) => client,
            None => reqwest::Client::builder()
                .user_agent(concat!("tailwater/", env!("CARGO_PKG_VERSION")))
                .redirect(Policy::custom(|attempt| match attempt.status() {
                    StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
                        Policy::default().redirect(attempt)
                    }
                    // These make a GET of a POST: nothing would be appended, and nobody told.
                    _ => attempt.stop(),
                }))
                // The query may hold tokens.
                .referer(false)
                .build()
                .map_err(|error| StreamError::transport(http::name(&url), error))?,
        };
        Ok(DurableStream {
            http: Arc::new(Http {
                client,
                url,
                headers,
                params: self.params,
                retry: self.retry,
                request_timeout: self.request_timeout,
                live_timeout: self.live_timeout,
                max_response_bytes: self.max_response_bytes,
            }),
            content_type: Arc::new(Mutex::new(self.content_type)),
        })
    }
}

impl fmt::Debug for StreamBuilder {
    // URLs and values may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamBuilder").finish_non_exhaustive()
    }
}

impl DurableStream {
    /// A handle with the default options.
    ///
    /// # Errors
    ///
    /// [`StreamError::InvalidArgument`] if the URL is none.
    pub fn new(url: impl Into<String>) -> Result<DurableStream, StreamError> {
        DurableStream::builder(url).build()
    }

    /// A handle with options.
    pub fn builder(url: impl Into<String>) -> StreamBuilder {
        StreamBuilder {
            url: url.into(),
            client: None,
            content_type: None,
            headers: Vec::new(),
            params: Vec::new(),
            retry: RetryPolicy::default(),
            request_timeout: Duration::from_secs(30),
            live_timeout: Duration::from_secs(90),
            max_response_bytes: 1 << 30,
        }
    }

    /// The URL, without query and password.
    pub fn url(&self) -> String {
        self.http.name()
    }

    /// Creates the stream. If it is there with the same configuration, that is a success too.
    ///
    /// # Errors
    ///
    /// [`StreamError::Conflict`] if it is there with another configuration.
    pub async fn create(&self, options: CreateOptions) -> Result<Created, StreamError> {
        let mut request = self.http.request(Method::PUT);
        let content_type = options.content_type.unwrap_or_else(|| OCTETS.into());
        request.headers.push(("content-type", content_type.clone()));
        if let Some(ttl) = options.ttl {
            request
                .headers
                .push((names::TTL, ttl.as_secs().to_string()));
        }
        if let Some(time) = options.expires_at {
            request.headers.push((names::EXPIRES_AT, time));
        }
        if options.closed {
            request.headers.push((names::CLOSED, "true".into()));
        }
        request.body = options.data;
        let answer = self.http.send(&request).await?;
        self.learn(&content_type);
        Ok(Created {
            is_new: answer.status == StatusCode::CREATED,
            end: next_offset(&answer),
        })
    }

    /// Asks what the server knows of the stream.
    ///
    /// # Errors
    ///
    /// [`StreamError::NotFound`] if there is none.
    pub async fn head(&self) -> Result<Head, StreamError> {
        let answer = self.http.send(&self.http.request(Method::HEAD)).await?;
        let content_type = http::content_type(&answer.headers).map(str::to_owned);
        if let Some(content_type) = &content_type {
            self.learn(content_type);
        }
        Ok(Head {
            end: next_offset(&answer).ok_or_else(|| self.no_offset(Offset::NOW))?,
            closed: http::is_true(&answer.headers, names::CLOSED),
            content_type,
        })
    }

    /// Appends one message: a JSON text to a JSON stream, bytes to another one. Gives where the stream
    /// ends then.
    ///
    /// # Errors
    ///
    /// Among others [`StreamError::NotFound`], [`StreamError::Closed`], and
    /// [`StreamError::InvalidArgument`] for what is not one JSON value on a JSON stream.
    pub async fn append(&self, data: impl Into<Bytes>) -> Result<Offset, StreamError> {
        self.append_all([data.into()], AppendOptions::default())
            .await
    }

    /// Appends a value as one JSON message.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append), and if the value cannot be written as JSON.
    pub async fn append_json(&self, value: &impl Serialize) -> Result<Offset, StreamError> {
        self.append(to_json(value)?).await
    }

    /// Appends messages in one step: all of them are there, or none.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append), and [`StreamError::SequenceConflict`] where the options have a
    /// sequence.
    pub async fn append_all(
        &self,
        items: impl IntoIterator<Item = Bytes>,
        options: AppendOptions,
    ) -> Result<Offset, StreamError> {
        let content_type = self.content_type().await?;
        let items: Vec<Bytes> = items.into_iter().collect();
        items
            .iter()
            .try_for_each(|item| check(&content_type, item))?;
        let body = join(&content_type, &items);
        if body.is_empty() {
            return Err(StreamError::invalid("data", "must not be empty"));
        }
        let mut request = self.post(&content_type, body);
        if let Some(seq) = options.seq {
            request.headers.push((names::SEQ, seq));
        }
        if options.close {
            request.headers.push((names::CLOSED, "true".into()));
        }
        let answer = self.http.send(&request).await?;
        next_offset(&answer).ok_or_else(|| self.no_offset(Offset::NOW))
    }

    /// Closes the stream: nothing can follow. Closing it again is a success. Gives where it ends.
    ///
    /// # Errors
    ///
    /// [`StreamError::NotFound`] if there is none.
    pub async fn close(&self) -> Result<Offset, StreamError> {
        let mut request = self.http.request(Method::POST);
        request.headers.push((names::CLOSED, "true".into()));
        let answer = match self.http.send(&request).await {
            Err(StreamError::Closed { end: Some(end), .. }) => return Ok(end),
            other => other?,
        };
        next_offset(&answer).ok_or_else(|| self.no_offset(Offset::NOW))
    }

    /// Deletes the stream.
    ///
    /// # Errors
    ///
    /// [`StreamError::NotFound`] if there is none.
    pub async fn delete(&self) -> Result<(), StreamError> {
        self.http.send(&self.http.request(Method::DELETE)).await?;
        *self.known_type() = None;
        Ok(())
    }

    /// Reads. Nothing is sent before the reader is polled.
    pub fn read(&self, options: ReadOptions) -> Reader {
        Reader::new(self.clone(), options)
    }

    pub(super) fn post(&self, content_type: &str, body: Bytes) -> Request {
        let mut request = self.http.request(Method::POST);
        request
            .headers
            .push(("content-type", content_type.to_owned()));
        request.body = body;
        request
    }

    /// The content type: known from an earlier answer, or asked for.
    pub(super) async fn content_type(&self) -> Result<String, StreamError> {
        let known = self.known_type().clone();
        match known {
            Some(known) => Ok(known),
            None => Ok(self
                .head()
                .await?
                .content_type
                .unwrap_or_else(|| OCTETS.into())),
        }
    }

    pub(super) fn learn(&self, content_type: &str) {
        *self.known_type() = Some(content_type.to_owned());
    }

    fn known_type(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.content_type
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn no_offset(&self, offset: Offset) -> StreamError {
        StreamError::Parse {
            url: self.url(),
            offset,
            detail: "the header `Stream-Next-Offset` is missing".into(),
        }
    }
}

pub(super) fn next_offset(answer: &Answer) -> Option<Offset> {
    http::text(&answer.headers, names::NEXT_OFFSET).map(Offset::from)
}

pub(super) fn to_json(value: &impl Serialize) -> Result<Bytes, StreamError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|e| StreamError::invalid("data", format!("cannot be written as JSON: {e}")))
}

/// One item, checked for the stream's type, so that it cannot turn into several.
pub(super) fn check(content_type: &str, item: &[u8]) -> Result<(), StreamError> {
    if is_json(content_type) {
        serde_json::from_slice::<&RawValue>(item)
            .map_err(|e| StreamError::invalid("data", format!("must be one JSON value: {e}")))?;
    }
    Ok(())
}

/// The body of a POST: one array of JSON messages, or the bytes of all items.
pub(super) fn join<'a>(content_type: &str, items: impl IntoIterator<Item = &'a Bytes>) -> Bytes {
    let json = is_json(content_type);
    let mut body = BytesMut::new();
    for item in items {
        if json {
            body.extend_from_slice(if body.is_empty() { b"[" } else { b"," });
        }
        body.extend_from_slice(item);
    }
    if json && !body.is_empty() {
        body.extend_from_slice(b"]");
    }
    body.freeze()
}
