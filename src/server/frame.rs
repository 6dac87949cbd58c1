//! Server-sent events: how a range of a stream is written, once for all who read it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};

/// What a control event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    /// The offset to go on from.
    pub(crate) next: String,
    pub(crate) cursor: u64,
    pub(crate) up_to_date: bool,
    /// Nothing follows, ever.
    pub(crate) closed: bool,
}

/// How the payload of data events is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload<'a> {
    /// Lines of text.
    Text(&'a [u8]),
    /// Base64 in one line.
    Binary(&'a [u8]),
}

/// A data event, if there is data, and the control event that goes with it.
pub(crate) fn encode(payload: Option<Payload<'_>>, control: &Control) -> Bytes {
    let mut out = BytesMut::with_capacity(match payload {
        Some(Payload::Text(data)) => data.len() + data.len() / 16 + 192,
        Some(Payload::Binary(data)) => data.len() / 3 * 4 + 192,
        None => 160,
    });
    match payload {
        Some(Payload::Text(data)) => {
            out.put_slice(b"event: data\n");
            put_lines(&mut out, &text(data));
        }
        Some(Payload::Binary(data)) => {
            out.put_slice(b"event: data\n");
            out.put_slice(b"data:");
            out.put_slice(STANDARD.encode(data).as_bytes());
            out.put_slice(b"\n\n");
        }
        None => {}
    }
    put_control(&mut out, control, None);
    out.freeze()
}

/// A control event alone; `arrived` is when the newest data before it came in, in milliseconds since
/// 1970.
#[cfg(feature = "serve")]
pub(crate) fn control(control: &Control, arrived: Option<f64>) -> Bytes {
    let mut out = BytesMut::with_capacity(192);
    put_control(&mut out, control, arrived);
    out.freeze()
}

fn put_control(out: &mut BytesMut, control: &Control, arrived: Option<f64>) {
    out.put_slice(b"event: control\ndata:{\"streamNextOffset\":\"");
    out.put_slice(control.next.as_bytes());
    out.put_u8(b'"');
    if control.closed {
        out.put_slice(b",\"streamClosed\":true");
    } else {
        out.put_slice(format!(",\"streamCursor\":\"{}\"", control.cursor).as_bytes());
    }
    if control.up_to_date {
        out.put_slice(b",\"upToDate\":true");
    }
    if let Some(arrived) = arrived {
        out.put_slice(format!(",\"arrivedAt\":{arrived:.3}").as_bytes());
    }
    out.put_slice(b"}\n\n");
}

/// A comment, which keeps proxies from giving the connection up.
pub(crate) const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// A line for each line of the text; the reader joins them with line feeds.
fn put_lines(out: &mut BytesMut, text: &str) {
    let mut rest = text;
    loop {
        let end = rest.find(['\n', '\r']);
        let line = &rest[..end.unwrap_or(rest.len())];
        out.put_slice(b"data:");
        if line.starts_with(' ') {
            // Readers drop one space behind the colon.
            out.put_u8(b' ');
        }
        out.put_slice(line.as_bytes());
        out.put_u8(b'\n');
        match end {
            None => break,
            Some(end) if rest[end..].starts_with("\r\n") => rest = &rest[end + 2..],
            Some(end) => rest = &rest[end + 1..],
        }
    }
    out.put_u8(b'\n');
}

/// How many bytes at the end of the text begin a character that the text does not finish.
pub(crate) fn unfinished(data: &[u8]) -> usize {
    for back in 1..=data.len().min(3) {
        let byte = data[data.len() - back];
        let length = match byte {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        return if length > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control() -> Control {
        Control {
            next: "7".into(),
            cursor: 3,
            up_to_date: true,
            closed: false,
        }
    }

    #[test]
    fn events_are_written_by_the_rules() {
        let frame = encode(Some(Payload::Text(b"a\r\n b\rc\n")), &control());
        assert_eq!(
            frame,
            "event: data\ndata:a\ndata:  b\ndata:c\ndata:\n\n\
             event: control\ndata:{\"streamNextOffset\":\"7\",\"streamCursor\":\"3\",\"upToDate\":true}\n\n"
        );
        let closed = Control {
            closed: true,
            ..control()
        };
        let frame = encode(Some(Payload::Binary(b"Hello")), &closed);
        assert_eq!(
            frame,
            "event: data\ndata:SGVsbG8=\n\n\
             event: control\ndata:{\"streamNextOffset\":\"7\",\"streamClosed\":true,\"upToDate\":true}\n\n"
        );
        assert!(encode(None, &control()).starts_with(b"event: control\n"));
    }

    #[test]
    fn unfinished_characters_are_found() {
        let text = "aä€😀";
        for end in 0..=text.len() {
            let begun = (0..=end)
                .rev()
                .find(|&at| text.is_char_boundary(at))
                .unwrap();
            assert_eq!(unfinished(&text.as_bytes()[..end]), end - begun, "{end}");
        }
        assert_eq!(unfinished(&[0xff]), 0);
        assert_eq!(unfinished(&[0x80, 0x80, 0x80, 0x80]), 0);
    }
}
