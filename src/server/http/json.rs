//! Messages out of JSON bodies. Their texts stay as they were sent.

use axum::http::StatusCode;
use serde_json::value::RawValue;

use super::problem::Problem;
use crate::server::streams::chunk::Kind;
use crate::server::streams::command::Content;

/// Readers, ours among them, take no deeper nesting.
const DEPTH: usize = 127;

/// The messages of a body: the elements of an array, or the one value that is none. Nothing if
/// the array is empty.
pub(crate) fn messages(body: &[u8]) -> Result<Option<Content>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad-json", detail);
    let wrong = |error: serde_json::Error| bad(format!("the body is no JSON: {error}"));
    if depth(body) > DEPTH {
        return Err(bad(format!(
            "the body is nested deeper than {DEPTH} levels"
        )));
    }
    let is_array = body.trim_ascii_start().first() == Some(&b'[');
    if !is_array {
        let one: &RawValue = serde_json::from_slice(body).map_err(wrong)?;
        let data = one.get().as_bytes().to_vec().into();
        return Ok(Some(Content {
            kind: Kind::Json,
            count: 1,
            data,
        }));
    }
    let elements: Vec<&RawValue> = serde_json::from_slice(body).map_err(wrong)?;
    if elements.is_empty() {
        return Ok(None);
    }
    let size: usize = elements.iter().map(|element| element.get().len() + 1).sum();
    let mut data = Vec::with_capacity(size - 1);
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            data.push(b',');
        }
        data.extend_from_slice(element.get().as_bytes());
    }
    Ok(Some(Content {
        kind: Kind::Json,
        count: elements.len() as u64,
        data: data.into(),
    }))
}

/// How deep the brackets are nested.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut most, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                depth += 1;
                most = most.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Option<(u64, String)> {
        let content = messages(body.as_bytes()).expect("JSON")?;
        Some((
            content.count,
            String::from_utf8(content.data.to_vec()).expect("text"),
        ))
    }

    #[test]
    fn arrays_are_flattened_by_one_level() {
        assert_eq!(
            texts("[1, [2,3] ,{\"a\": 1e400}]"),
            Some((3, "1,[2,3],{\"a\": 1e400}".into()))
        );
        assert_eq!(
            texts(" 12345678901234567890 "),
            Some((1, "12345678901234567890".into()))
        );
        assert_eq!(texts("[[]]"), Some((1, "[]".into())));
        assert_eq!(texts(" [ ] "), None);
        assert_eq!(texts("null"), Some((1, "null".into())));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for body in [
            "",
            " ",
            "{",
            "[1,]",
            "1 2",
            "nul",
            "\"\n\"",
            "[1]]",
            "\u{feff}1",
        ] {
            assert!(messages(body.as_bytes()).is_err(), "{body:?}");
        }
        assert!(messages(b"\"\xff\"").is_err());
        let nested = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(messages(nested(DEPTH).as_bytes()).is_ok());
        assert!(messages(nested(DEPTH + 1).as_bytes()).is_err());
        assert!(messages(nested(1_000_000).as_bytes()).is_err());
    }
}
