//! The names of streams: paths of segments.

use std::fmt;
use std::sync::Arc;

/// A stream's path, decoded: segments that are not empty, with slashes between them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StreamPath(Arc<str>);

/// Why a text is no path of a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    #[error("the path is longer than {0} bytes")]
    Long(usize),
    #[error("the path has an empty segment")]
    Empty,
    #[error("the path has a segment `.` or `..`")]
    Dots,
    #[error("the path has a control character")]
    Control,
    #[error("the path has an encoded slash")]
    Slash,
    #[error("the path has a percent sign without two hexadecimal digits")]
    Percent,
    #[error("the path is not UTF-8 once it is decoded")]
    Encoding,
    #[error("paths below `__ds` are reserved")]
    Reserved,
}

impl StreamPath {
    /// Reads a path as it stands in a URL, percent-encoded segment by segment.
    pub(crate) fn decode(raw: &str, most: usize) -> Result<StreamPath, PathError> {
        if raw.len() > most {
            return Err(PathError::Long(most));
        }
        let mut path = String::with_capacity(raw.len());
        for (index, segment) in raw.split('/').enumerate() {
            let segment = percent_decode(segment)?;
            match segment.as_str() {
                "" => return Err(PathError::Empty),
                "." | ".." => return Err(PathError::Dots),
                "__ds" if index == 0 => return Err(PathError::Reserved),
                text if text.chars().any(char::is_control) => return Err(PathError::Control),
                text if text.contains('/') => return Err(PathError::Slash),
                text => {
                    if index > 0 {
                        path.push('/');
                    }
                    path.push_str(text);
                }
            }
        }
        Ok(StreamPath(path.into()))
    }

    /// A path that was decoded before.
    pub(crate) fn trusted(path: &str) -> StreamPath {
        StreamPath(path.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A decoded path as it stands in a URL.
    pub(crate) fn encode(path: &str) -> String {
        let mut encoded = String::with_capacity(path.len());
        for byte in path.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                    encoded.push(byte.into());
                }
                _ => encoded += &format!("%{byte:02X}"),
            }
        }
        encoded
    }
}

impl fmt::Debug for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Undoes percent-encoding.
pub(crate) fn percent_decode(text: &str) -> Result<String, PathError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let digit = |index: usize| {
            let byte = tail.get(index).copied().ok_or(PathError::Percent)?;
            char::from(byte).to_digit(16).ok_or(PathError::Percent)
        };
        bytes.push((digit(0)? * 16 + digit(1)?) as u8);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| PathError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_by_segment() {
        let path = |raw| StreamPath::decode(raw, 20).map(|path| path.as_str().to_owned());
        assert_eq!(path("a/b%20c/%C3%A4").unwrap(), "a/b c/ä");
        assert_eq!(path("a+b").unwrap(), "a+b");
        for (raw, error) in [
            ("", PathError::Empty),
            ("a//b", PathError::Empty),
            ("a/", PathError::Empty),
            ("a/%2e%2E", PathError::Dots),
            ("a%2fb", PathError::Slash),
            ("a%0ab", PathError::Control),
            ("a%", PathError::Percent),
            ("a%4", PathError::Percent),
            ("a%zz", PathError::Percent),
            ("%ff", PathError::Encoding),
            ("__ds/x", PathError::Reserved),
            ("aaaaaaaaaaaaaaaaaaaaa", PathError::Long(20)),
        ] {
            assert_eq!(path(raw), Err(error), "{raw}");
        }
    }
}
