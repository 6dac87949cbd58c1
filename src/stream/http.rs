//! One request and its answer: address, headers, time limits, and what a status means.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};

use super::error::StreamError;
use super::offset::Offset;
use super::provider::Provider;
use super::retry::{RetryPolicy, parse_retry_after};
use crate::system;

/// The names of the protocol's headers.
pub(super) mod names {
    pub(in super::super) const CLOSED: &str = "stream-closed";
    pub(in super::super) const CURSOR: &str = "stream-cursor";
    pub(in super::super) const EXPIRES_AT: &str = "stream-expires-at";
    pub(in super::super) const NEXT_OFFSET: &str = "stream-next-offset";
    pub(in super::super) const PRODUCER_EPOCH: &str = "producer-epoch";
    pub(in super::super) const PRODUCER_EXPECTED_SEQ: &str = "producer-expected-seq";
    pub(in super::super) const PRODUCER_ID: &str = "producer-id";
    pub(in super::super) const PRODUCER_SEQ: &str = "producer-seq";
    pub(in super::super) const SEQ: &str = "stream-seq";
    pub(in super::super) const SSE_ENCODING: &str = "stream-sse-data-encoding";
    pub(in super::super) const TTL: &str = "stream-ttl";
    pub(in super::super) const UP_TO_DATE: &str = "stream-up-to-date";
}

/// How many bytes a second a connection takes at least, for the time that a request may need.
const SLOWEST: usize = 64 << 10;

/// How much of an error's body goes into the error.
const MAX_DETAIL: usize = 500;

/// What all requests to a stream have in common.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) client: reqwest::Client,
    pub(super) url: Url,
    pub(super) headers: Vec<(HeaderName, Provider)>,
    pub(super) params: Vec<(String, Provider)>,
    pub(super) retry: RetryPolicy,
    pub(super) request_timeout: Duration,
    pub(super) live_timeout: Duration,
    pub(super) max_response_bytes: usize,
}

/// A request to be sent, perhaps more than once.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// How long the server may be silent.
    pub(super) timeout: Duration,
}

/// A whole answer with a status of success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Http {
    /// The URL without what may hold secrets.
    pub(super) fn name(&self) -> String {
        name(&self.url)
    }

    pub(super) fn request(&self, method: Method) -> Request {
        Request {
            method,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: self.request_timeout,
        }
    }

    /// Sends until an answer came or the attempts are used up.
    pub(super) async fn send(&self, request: &Request) -> Result<Answer, StreamError> {
        let mut backoff = self.retry.backoff();
        loop {
            match self.send_once(request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => system::sleep(backoff.delay_after(error)?).await,
            }
        }
    }

    /// Sends once and takes the whole answer.
    pub(super) async fn send_once(&self, request: &Request) -> Result<Answer, StreamError> {
        let mut response = self.open(request).await?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(piece) = self.next_piece(&mut response, request.timeout).await? {
            if body.len() + piece.len() > self.max_response_bytes {
                return Err(StreamError::TooLarge {
                    url: self.name(),
                    limit: self.max_response_bytes,
                });
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer {
            status,
            headers,
            body: body.freeze(),
        })
    }

    /// Sends once and leaves the body to be read.
    pub(super) async fn open(&self, request: &Request) -> Result<Response, StreamError> {
        let mut query = Vec::new();
        for (name, value) in &self.params {
            query.push((name.as_str(), value.get(name).await?));
        }
        query.extend(request.query.iter().cloned());
        let mut url = self.url.clone();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = header_value(name.as_str(), &value.get(name.as_str()).await?)?;
            headers.insert(name.clone(), value);
        }
        for (name, value) in &request.headers {
            headers.insert(HeaderName::from_static(name), header_value(name, value)?);
        }
        let sending = self
            .client
            .request(request.method.clone(), url)
            .headers(headers)
            .body(request.body.clone())
            .send();
        // The body has to get there first, be the way slow.
        let upload = Duration::from_secs((request.body.len() / SLOWEST) as u64);
        #[cfg(all(test, feature = "serve"))]
        if let Some(answer) =
            system::simulated::exchange(request.method == Method::HEAD, &request.query)
        {
            let answer = system::timeout(request.timeout, answer).await;
            let answer = answer.unwrap_or_else(|| Err("it was silent".into()));
            let response = answer.map_err(|detail| StreamError::Transport {
                url: self.name(),
                detail,
                source: None,
            })?;
            return match response.status().is_success() {
                true => Ok(response),
                false => Err(self.refusal(request, response).await),
            };
        }
        let response = self.within(request.timeout + upload, sending).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(request, response).await)
    }

    /// The next piece of a body; `None` at its end.
    pub(super) async fn next_piece(
        &self,
        response: &mut Response,
        timeout: Duration,
    ) -> Result<Option<Bytes>, StreamError> {
        self.within(timeout, response.chunk()).await
    }

    async fn within<T>(
        &self,
        after: Duration,
        work: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, StreamError> {
        match system::timeout(after, work).await {
            Some(result) => result.map_err(|error| StreamError::transport(self.name(), error)),
            None => Err(StreamError::Timeout {
                url: self.name(),
                after,
            }),
        }
    }

    /// What a status that is no success means.
    async fn refusal(&self, request: &Request, mut response: Response) -> StreamError {
        let url = self.name();
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut detail = Vec::new();
        while let Ok(Some(piece)) = self.next_piece(&mut response, request.timeout).await {
            detail.extend_from_slice(&piece);
            if detail.len() > MAX_DETAIL {
                detail.truncate(MAX_DETAIL);
                break;
            }
        }
        let mut detail = String::from_utf8_lossy(&detail).trim().to_owned();
        if detail.is_empty() {
            detail = status
                .canonical_reason()
                .unwrap_or("no reason given")
                .into();
        }
        let sent = |name| request.headers.iter().find(|(n, _)| *n == name);
        let number = |name| text(&headers, name)?.parse::<u64>().ok();
        let sent_number = |name| sent(name)?.1.parse::<u64>().ok();
        match status {
            StatusCode::NOT_FOUND => StreamError::NotFound { url },
            StatusCode::GONE => StreamError::Gone { url },
            // A closed stream is told before every other conflict.
            StatusCode::CONFLICT if is_true(&headers, names::CLOSED) => StreamError::Closed {
                url,
                end: text(&headers, names::NEXT_OFFSET).map(Offset::from),
            },
            StatusCode::CONFLICT => {
                let expected = number(names::PRODUCER_EXPECTED_SEQ);
                if let (Some(expected), Some(sent)) = (expected, sent_number(names::PRODUCER_SEQ)) {
                    return StreamError::SequenceGap {
                        url,
                        expected,
                        sent,
                    };
                }
                match sent(names::SEQ) {
                    Some((_, seq)) => StreamError::SequenceConflict {
                        url,
                        seq: seq.clone(),
                    },
                    None => StreamError::Conflict { url, detail },
                }
            }
            StatusCode::FORBIDDEN if number(names::PRODUCER_EPOCH).is_some() => {
                StreamError::Fenced {
                    url,
                    epoch: sent_number(names::PRODUCER_EPOCH).unwrap_or_default(),
                    current: number(names::PRODUCER_EPOCH).unwrap_or_default(),
                }
            }
            StatusCode::BAD_REQUEST if request.method == Method::GET => {
                let offset = request.query.iter().find(|(name, _)| *name == "offset");
                StreamError::InvalidOffset {
                    url,
                    offset: offset.map(|(_, o)| o.as_str().into()).unwrap_or_default(),
                    detail,
                }
            }
            _ => StreamError::Status {
                url,
                status: status.as_u16(),
                detail,
                retry_after: headers
                    .get(RETRY_AFTER)
                    .and_then(|value| parse_retry_after(value.to_str().ok()?)),
            },
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        f.debug_struct("Http")
            .field("url", &name)
            .finish_non_exhaustive()
    }
}

/// A URL without what may hold secrets.
pub(super) fn name(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_password(None);
    // Some put a token there.
    let _ = url.set_username("");
    url.into()
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, StreamError> {
    HeaderValue::from_str(value)
        .map_err(|_| StreamError::invalid(name, "has characters that a header cannot hold"))
}

/// The text of a header, if it is there and is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a header says `true`.
pub(super) fn is_true(headers: &HeaderMap, name: &str) -> bool {
    text(headers, name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// The content type of an answer.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok()
}
