//! The protocol's headers: their names, and what their values mean.

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::problem::Problem;
use crate::server::streams::command::ForkOf;
use crate::server::streams::expiry::Expiry;
use crate::server::streams::offset;
use crate::server::streams::path::StreamPath;
use crate::server::streams::record::Claim;

macro_rules! names {
    ($($name:ident = $text:literal;)*) => {
        $(pub(crate) const $name: HeaderName = HeaderName::from_static($text);)*
    };
}
names! {
    NEXT_OFFSET = "stream-next-offset";
    UP_TO_DATE = "stream-up-to-date";
    CURSOR = "stream-cursor";
    CLOSED = "stream-closed";
    SEQ = "stream-seq";
    TTL = "stream-ttl";
    EXPIRES_AT = "stream-expires-at";
    FORKED_FROM = "stream-forked-from";
    FORK_OFFSET = "stream-fork-offset";
    FORK_SUB_OFFSET = "stream-fork-sub-offset";
    SSE_ENCODING = "stream-sse-data-encoding";
    PRODUCER_ID = "producer-id";
    PRODUCER_EPOCH = "producer-epoch";
    PRODUCER_SEQ = "producer-seq";
    PRODUCER_EXPECTED = "producer-expected-seq";
    PRODUCER_RECEIVED = "producer-received-seq";
    RESOURCE_POLICY = "cross-origin-resource-policy";
}

pub(crate) const TRUE: HeaderValue = HeaderValue::from_static("true");

/// The greatest number that all clients can hold.
const MOST: u64 = (1 << 53) - 1;
/// Producers' names and sequences are kept in memory.
const TEXT_BYTES: usize = 1024;

/// A number as a header.
pub(crate) fn number(number: u64) -> HeaderValue {
    HeaderValue::from(number)
}

/// A position as a header.
pub(crate) fn position(position: u64) -> HeaderValue {
    // It consists of digits.
    HeaderValue::from_str(&offset::to_text(position)).unwrap_or(HeaderValue::from_static(""))
}

/// A header's value as text. It may be there once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(bad(name, "is there more than once", "send it once"));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text.trim())),
        Err(_) => Err(bad(name, "has other characters than visible ASCII", "")),
    }
}

fn bad(name: &HeaderName, what: &str, hint: &str) -> Problem {
    let problem = Problem::new(
        StatusCode::BAD_REQUEST,
        "bad-header",
        format!("the header `{name}` {what}"),
    );
    if hint.is_empty() {
        problem
    } else {
        problem.hint(hint)
    }
}

/// The content type, if it is one.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(text) = single(headers, &CONTENT_TYPE)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let is_token = |part: &str| {
        let other = |byte: u8| b"!#$&-^_.+*'%|~`".contains(&byte);
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || other(byte))
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence.split_once('/') {
        Some((kind, subtype)) if is_token(kind) && is_token(subtype) => Ok(Some(text.to_owned())),
        _ => Err(bad(
            &CONTENT_TYPE,
            "is no media type",
            "such as application/json or text/plain",
        )),
    }
}

/// Whether the stream is to be closed. Only `true` counts, in any case.
pub(crate) fn closed(headers: &HeaderMap) -> bool {
    headers
        .get(&CLOSED)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// A whole number without sign; `strict` forbids leading zeros.
fn whole(name: &HeaderName, text: &str, most: u64, strict: bool) -> Result<u64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = strict && text.len() > 1 && text.starts_with('0');
    match text.parse() {
        Ok(number) if digits && !padded && number <= most => Ok(number),
        _ => Err(bad(
            name,
            "is no whole number in range",
            "use digits only, such as 0 or 60",
        )),
    }
}

/// When the stream is to end.
pub(crate) fn expiry(headers: &HeaderMap) -> Result<Expiry, Problem> {
    match (single(headers, &TTL)?, single(headers, &EXPIRES_AT)?) {
        (None, None) => Ok(Expiry::Never),
        (Some(_), Some(_)) => Err(bad(
            &TTL,
            "and `stream-expires-at` exclude each other",
            "send one of them",
        )),
        (Some(seconds), None) => Ok(Expiry::Ttl(whole(&TTL, seconds, MOST, true)?)),
        (None, Some(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => Ok(Expiry::At {
                millis: time.as_millisecond(),
                text: text.to_owned(),
            }),
            Err(_) => Err(bad(
                &EXPIRES_AT,
                "is no time",
                "such as 2030-01-31T12:00:00Z",
            )),
        },
    }
}

/// The opaque sequence of a writer.
pub(crate) fn seq(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let seq = single(headers, &SEQ)?;
    short(&SEQ, seq)?;
    Ok(seq.map(str::to_owned))
}

fn short(name: &HeaderName, text: Option<&str>) -> Result<(), Problem> {
    match text {
        Some("") => Err(bad(name, "is empty", "leave it out, or name something")),
        Some(text) if text.len() > TEXT_BYTES => Err(bad(
            name,
            "is too long",
            &format!("use at most {TEXT_BYTES} bytes"),
        )),
        _ => Ok(()),
    }
}

/// What an idempotent producer says: all of it, or nothing.
pub(crate) fn claim(headers: &HeaderMap) -> Result<Option<Claim>, Problem> {
    let id = single(headers, &PRODUCER_ID)?;
    let epoch = single(headers, &PRODUCER_EPOCH)?;
    let seq = single(headers, &PRODUCER_SEQ)?;
    short(&PRODUCER_ID, id)?;
    match (id, epoch, seq) {
        (None, None, None) => Ok(None),
        (Some(id), Some(epoch), Some(seq)) => Ok(Some(Claim {
            producer: id.to_owned(),
            epoch: whole(&PRODUCER_EPOCH, epoch, MOST, false)?,
            seq: whole(&PRODUCER_SEQ, seq, MOST, false)?,
        })),
        _ => Err(bad(
            &PRODUCER_ID,
            "is not there together with `producer-epoch` and `producer-seq`",
            "send all three, or none",
        )),
    }
}

/// What the new stream is a fork of. `base` is where streams live, and `most` bounds paths.
pub(crate) fn fork(
    headers: &HeaderMap,
    base: &str,
    most: usize,
) -> Result<Option<ForkOf>, Problem> {
    let source = single(headers, &FORKED_FROM)?;
    let at = single(headers, &FORK_OFFSET)?;
    let sub = single(headers, &FORK_SUB_OFFSET)?;
    let Some(source) = source else {
        return match (at, sub) {
            (None, None) => Ok(None),
            (Some(_), _) => Err(bad(&FORK_OFFSET, "needs `stream-forked-from`", "")),
            (None, Some(_)) => Err(bad(&FORK_SUB_OFFSET, "needs `stream-forked-from`", "")),
        };
    };
    let hint = format!("give the path of a stream of this server, such as {base}orders");
    let path = source
        .strip_prefix(base)
        .ok_or_else(|| bad(&FORKED_FROM, "is no stream", &hint))?;
    let path = StreamPath::decode(path, most)
        .map_err(|error| bad(&FORKED_FROM, &format!("is no stream: {error}"), &hint))?;
    let offset = at.map(|text| {
        let hint = "use a `stream-next-offset` of the source";
        offset::parse(text).ok_or_else(|| bad(&FORK_OFFSET, "is no offset", hint))
    });
    let sub_offset = sub.map(|text| whole(&FORK_SUB_OFFSET, text, MOST, true));
    Ok(Some(ForkOf {
        source: path,
        offset: offset.transpose()?,
        sub_offset: sub_offset.transpose()?.unwrap_or(0),
    }))
}

pub(crate) fn authorization(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(AUTHORIZATION).map(HeaderValue::as_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&HeaderName, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&HeaderName, &'static str)| {
            ((*name).clone(), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn numbers_are_digits() {
        for text in ["", "-1", "+1", "1.5", "1e3", " 1x", "9007199254740992"] {
            assert!(whole(&TTL, text, MOST, false).is_err(), "{text}");
        }
        assert_eq!(whole(&TTL, "007", MOST, false).ok(), Some(7));
        assert!(whole(&TTL, "007", MOST, true).is_err());
        assert_eq!(whole(&TTL, "9007199254740991", MOST, true).ok(), Some(MOST));
    }

    #[test]
    fn only_true_closes() {
        assert!(closed(&map(&[(&CLOSED, "TRUE")])));
        assert!(!closed(&map(&[(&CLOSED, "1")])));
        assert!(!closed(&map(&[])));
    }

    #[test]
    fn producers_send_all_or_nothing() {
        let some = [
            (&PRODUCER_ID, "p"),
            (&PRODUCER_EPOCH, "1"),
            (&PRODUCER_SEQ, "2"),
        ];
        let claim_of = |pairs: &[_]| claim(&map(pairs));
        let whole = Claim {
            producer: "p".into(),
            epoch: 1,
            seq: 2,
        };
        assert_eq!(claim_of(&some).ok(), Some(Some(whole)));
        assert_eq!(claim_of(&[]).ok(), Some(None));
        for missing in 0..3 {
            let mut pairs = some.to_vec();
            pairs.remove(missing);
            assert!(claim_of(&pairs).is_err());
        }
        assert!(claim_of(&[(&PRODUCER_ID, ""), some[1], some[2]]).is_err());
    }

    #[test]
    fn content_types_have_two_parts() {
        for (text, good) in [
            ("text/plain", true),
            ("application/vnd.api+json; charset=utf-8", true),
            ("text", false),
            ("text/", false),
            ("te xt/plain", false),
        ] {
            assert_eq!(
                content_type(&map(&[(&CONTENT_TYPE, text)])).is_ok(),
                good,
                "{text}"
            );
        }
        assert_eq!(content_type(&map(&[(&CONTENT_TYPE, " ")])).ok(), Some(None));
    }
}
