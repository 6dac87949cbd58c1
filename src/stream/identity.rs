//! Which stream it is: another one under the same URL is told from it.

use reqwest::Method;
use reqwest::header::{ETAG, HeaderMap};
use tokio::sync::watch;

use super::error::StreamError;
use super::handle::{DurableStream, next_offset};
use super::http;
use super::offset::Offset;
use super::read::Trouble;
use crate::system;

/// What a server says of a stream, as far as it says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Differs from that of a stream which has the URL later: the first part of the entity tag, which
    /// the protocol makes of a stream's internal id and two offsets.
    pub(crate) id: Option<String>,
    /// Where it ends.
    pub(crate) end: Option<Offset>,
    /// Whether nothing will follow there.
    pub(crate) closed: bool,
}

/// What the answers to a reader say of where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The id of the stream, if the last answer with messages told it.
    pub(crate) id: Option<String>,
    /// How many connections for events were opened.
    pub(crate) connections: u64,
}

impl Origin {
    /// Takes note of an answer.
    pub(super) fn hear(&mut self, headers: &HeaderMap) {
        self.id = http::text(headers, ETAG.as_str()).and_then(stream_id);
    }
}

impl Identity {
    /// Whether the stream has the place of an offset. Offsets of a stream sort like their places.
    pub(crate) fn reaches(&self, offset: &Offset) -> bool {
        let special = |offset: &Offset| *offset == Offset::START || *offset == Offset::NOW;
        let end = self.end.as_ref().filter(|_| !special(offset));
        end.is_none_or(|end| end.as_str() >= offset.as_str())
    }
}

impl DurableStream {
    /// Asks which stream it is, again and again where that fails for a passing reason, which it tells.
    /// Of a server that does not answer such requests nothing is known.
    ///
    /// # Errors
    ///
    /// If there is no such stream, or the attempts are used up.
    pub(crate) async fn identify(
        &self,
        trouble: &watch::Sender<Option<Trouble>>,
    ) -> Result<Identity, StreamError> {
        let mut backoff = self.http.retry.backoff();
        loop {
            let answer = self.http.send_once(&self.http.request(Method::HEAD)).await;
            let error = match answer {
                Ok(answer) => {
                    trouble.send_replace(None);
                    return Ok(Identity {
                        id: http::text(&answer.headers, ETAG.as_str()).and_then(stream_id),
                        end: next_offset(&answer),
                        closed: http::is_true(&answer.headers, http::names::CLOSED),
                    });
                }
                Err(error @ (StreamError::NotFound { .. } | StreamError::Gone { .. })) => {
                    return Err(error);
                }
                Err(error) if !error.is_transient() => return Ok(Identity::default()),
                Err(error) => error,
            };
            trouble.send_modify(|trouble| Trouble::go_on(trouble, &error));
            system::sleep(backoff.delay_after(error)?).await;
        }
    }
}

fn stream_id(tag: &str) -> Option<String> {
    let tag = tag.trim_start_matches("W/").trim_matches('"');
    let (id, offsets) = tag.split_once(':')?;
    (!id.is_empty() && offsets.contains(':')).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_what_does_not_change() {
        assert_eq!(stream_id("\"ab-1:0:17\"").as_deref(), Some("ab-1"));
        assert_eq!(stream_id("W/\"ab-1:0:17:c\"").as_deref(), Some("ab-1"));
        for other in ["", "\"\"", "\"17\"", "\":0:17\"", "\"ab:17\""] {
            assert_eq!(stream_id(other), None, "{other}");
        }
    }

    #[test]
    fn a_stream_that_went_back_does_not_reach_what_was_read() {
        let identity = Identity {
            id: None,
            end: Some(Offset::from("0000000000000000_0000000000000010")),
            closed: false,
        };
        assert!(identity.reaches(&Offset::from("0000000000000000_0000000000000010")));
        assert!(identity.reaches(&Offset::START));
        assert!(!identity.reaches(&Offset::from("0000000000000000_0000000000000011")));
        assert!(Identity::default().reaches(&Offset::from("7")));
    }
}
