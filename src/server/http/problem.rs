//! Errors as responses: a small JSON body that names what was wrong and what to do.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::headers;
use crate::server::auth::Denied;
use crate::server::streams::command::Refusal;
use crate::server::streams::log::ReadError;
use crate::server::streams::offset;
use crate::server::streams::path::PathError;

/// A response that says why not.
#[derive(Debug)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug, Serialize)]
struct Parts {
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem with a code for programs and a sentence for people.
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Problem {
        let detail = detail.into();
        Problem(Box::new(Parts {
            status,
            code,
            detail,
            hint: None,
            headers: Vec::new(),
        }))
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.0.headers.push((name, value));
        self
    }

    /// One that goes away by itself.
    pub(crate) fn busy(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.0.headers);
        response
    }
}

impl From<PathError> for Problem {
    fn from(error: PathError) -> Problem {
        let (status, code) = match error {
            PathError::Long(_) => (StatusCode::URI_TOO_LONG, "path-too-long"),
            PathError::Reserved => (StatusCode::NOT_FOUND, "reserved"),
            _ => (StatusCode::BAD_REQUEST, "bad-path"),
        };
        Problem::new(status, code, error.to_string())
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Problem {
        let unauthorized = |detail| {
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
                .hint("send `authorization: Bearer TOKEN`")
        };
        match denied {
            Denied::NoToken => unauthorized("this server asks for a bearer token"),
            Denied::UnknownToken => unauthorized("the token is not known"),
            Denied::NotAllowed => Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "the token does not allow this for this stream",
            ),
            #[cfg(feature = "serve")]
            Denied::NotThisQuery => Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "the token does not allow this for this query",
            ),
            #[cfg(feature = "serve")]
            Denied::OtherRows => Problem::new(
                StatusCode::FORBIDDEN,
                "other-rows",
                "the query shows rows that the token is not for",
            )
            .hint("register it with this token: it gets the token's conditions then"),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Problem {
        tracing::error!(%error, "a read failed");
        Problem::busy("the stream's data cannot be read at the moment")
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        use StatusCode as Status;
        match refusal {
            Refusal::Missing => {
                Problem::new(Status::NOT_FOUND, "not-found", "there is no such stream")
                    .hint("create it with PUT")
            }
            Refusal::Kept => Problem::new(
                Status::GONE,
                "gone",
                "the stream was deleted; its forks still have its data",
            ),
            Refusal::Exists(difference) => Problem::new(
                Status::CONFLICT,
                "exists",
                format!("the stream exists, and differs in {difference}"),
            )
            .hint("HEAD shows how it was created"),
            Refusal::NameKept => Problem::new(
                Status::CONFLICT,
                "gone",
                "the name belongs to a deleted stream whose forks still have its data",
            )
            .hint("delete its forks first, or use another name"),
            Refusal::SourceMissing => Problem::new(
                Status::NOT_FOUND,
                "source-not-found",
                "there is no such stream to fork",
            ),
            Refusal::SourceKept => Problem::new(
                Status::CONFLICT,
                "source-gone",
                "the stream to fork was deleted",
            )
            .hint("fork one of its forks"),
            Refusal::SourceType { source } => Problem::new(
                Status::CONFLICT,
                "content-type",
                format!("the stream to fork has content type {source}"),
            )
            .hint("leave `content-type` out, or send the same"),
            Refusal::BeyondSource { position, tail } => Problem::new(
                Status::BAD_REQUEST,
                "beyond-tail",
                format!(
                    "`stream-fork-offset` and `stream-fork-sub-offset` lead to position \
                     {position}, but the source ends at {tail}"
                ),
            ),
            Refusal::TooDeep { most } => Problem::new(
                Status::BAD_REQUEST,
                "too-deep",
                format!("the stream to fork is itself the end of {most} forks in a row"),
            )
            .hint("copy it into a new stream"),
            Refusal::Closed { end } => {
                Problem::new(Status::CONFLICT, "closed", "the stream is closed")
                    .header(headers::CLOSED, headers::TRUE)
                    .header(headers::NEXT_OFFSET, headers::position(end))
            }
            Refusal::Seq { last } => Problem::new(
                Status::CONFLICT,
                "seq",
                format!("`stream-seq` has to be greater than the last one, {last:?}, byte by byte"),
            ),
            Refusal::StaleEpoch { known } => Problem::new(
                Status::FORBIDDEN,
                "stale-epoch",
                format!("the producer has been replaced by one with epoch {known}"),
            )
            .header(headers::PRODUCER_EPOCH, headers::number(known)),
            Refusal::EpochStart { seq } => Problem::new(
                Status::BAD_REQUEST,
                "epoch-start",
                format!("a new epoch starts with `producer-seq` 0, not {seq}"),
            ),
            Refusal::Gap { expected, received } => Problem::new(
                Status::CONFLICT,
                "gap",
                format!("`producer-seq` {expected} comes next, not {received}"),
            )
            .header(headers::PRODUCER_EXPECTED, headers::number(expected))
            .header(headers::PRODUCER_RECEIVED, headers::number(received)),
            Refusal::TooManyStreams { most } => Problem::new(
                Status::TOO_MANY_REQUESTS,
                "too-many-streams",
                format!("there are {most} streams, as many as this server takes"),
            ),
            Refusal::TooManyProducers { most } => Problem::new(
                Status::TOO_MANY_REQUESTS,
                "too-many-producers",
                format!("the stream has {most} producers, as many as this server takes"),
            ),
            Refusal::Unavailable => Problem::busy("the change could not be made safe")
                .hint("it may have been made; producers can send it again without harm"),
        }
    }
}

/// An offset that this stream has not reached.
pub(crate) fn beyond_tail(position: u64, tail: u64) -> Problem {
    let detail = match position {
        u64::MAX => "the offset is not one of this server's".to_owned(),
        _ => format!(
            "the offset {} is behind the stream's tail",
            offset::to_text(position)
        ),
    };
    Problem::new(StatusCode::BAD_REQUEST, "beyond-tail", detail)
        .header(headers::NEXT_OFFSET, headers::position(tail))
        .hint("was the stream deleted and created anew? Read it from offset -1")
}
