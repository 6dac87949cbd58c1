//! What one append adds to a stream, and parts of it.

use bytes::Bytes;

/// How the content of a stream is counted and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Messages: positions count them.
    Json,
    /// Text: positions count bytes.
    Text,
    /// Anything else: positions count bytes.
    Binary,
}

impl Kind {
    /// The kind of a content type, whose parameters do not matter.
    pub(crate) fn of(content_type: &str) -> Kind {
        let essence = essence(content_type);
        if essence == "application/json" {
            Kind::Json
        } else if essence.starts_with("text/") {
            Kind::Text
        } else {
            Kind::Binary
        }
    }
}

/// A content type without its parameters, in lower case, by which content types are compared.
pub(crate) fn essence(content_type: &str) -> String {
    let end = content_type.find(';').unwrap_or(content_type.len());
    content_type[..end].trim().to_ascii_lowercase()
}

/// What one append added: the positions from `start` to before `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// The bytes; of JSON, the texts of the messages with commas between them.
    pub(crate) data: Bytes,
}

impl Chunk {
    /// The part of the chunk at positions from `from` to before `until`, both clamped to it. It
    /// shares the bytes.
    pub(crate) fn part(&self, kind: Kind, from: u64, until: u64) -> Chunk {
        let start = from.clamp(self.start, self.end);
        let end = until.clamp(start, self.end);
        if (start, end) == (self.start, self.end) {
            return self.clone();
        }
        let data = match kind {
            Kind::Json => {
                let begin = message(&self.data, 0, start - self.start);
                let stop = message(&self.data, begin, end - start);
                // The comma before the message that is no longer ours goes, too.
                let stop = if end < self.end {
                    stop.saturating_sub(1)
                } else {
                    stop
                };
                self.data.slice(begin..stop.max(begin))
            }
            Kind::Text | Kind::Binary => {
                let place = |position: u64| (position - self.start) as usize;
                self.data.slice(place(start)..place(end))
            }
        };
        Chunk { start, end, data }
    }
}

/// Where the message starts that is `count` messages behind the one that starts at `from`.
fn message(data: &[u8], from: usize, count: u64) -> usize {
    let (mut left, mut depth, mut quoted, mut escaped) = (count, 0usize, false, false);
    if left == 0 {
        return from;
    }
    for (index, byte) in data.iter().enumerate().skip(from) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                left -= 1;
                if left == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    data.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_json_are_whole_messages() {
        let texts = [r#"{"a":[1,2],"b":"x,]\","}"#, "1", r#""\\,""#, "[[],[3,4]]"];
        let data = Bytes::from(texts.join(","));
        let chunk = Chunk {
            start: 7,
            end: 11,
            data,
        };
        for from in 0..=4 {
            for until in from..=4 {
                let part = chunk.part(Kind::Json, 7 + from as u64, 7 + until as u64);
                assert_eq!(part.data, texts[from..until].join(","), "{from}..{until}");
                assert_eq!((part.start, part.end), (7 + from as u64, 7 + until as u64));
            }
        }
    }

    #[test]
    fn parts_are_clamped() {
        let chunk = Chunk {
            start: 5,
            end: 10,
            data: Bytes::from_static(b"hello"),
        };
        assert_eq!(chunk.part(Kind::Text, 0, 99), chunk);
        assert_eq!(chunk.part(Kind::Text, 6, 8).data, "el");
        assert_eq!(chunk.part(Kind::Text, 20, 30).data, "");
    }

    #[test]
    fn kinds_follow_the_essence() {
        assert_eq!(Kind::of("Application/JSON; charset=utf-8"), Kind::Json);
        assert_eq!(Kind::of("text/csv"), Kind::Text);
        assert_eq!(Kind::of("application/ndjson"), Kind::Binary);
    }
}
