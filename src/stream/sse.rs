//! Server-sent events, parsed from pieces of bytes.
//!
//! The rules are those of the HTML standard's event stream: lines end with LF, CRLF or CR; one space
//! after the colon is dropped; `data` lines join with LF; a blank line ends an event; what an
//! unfinished stream leaves behind is dropped.

/// An event: its type, and its data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// `message` where the stream gave none.
    pub(super) name: String,
    pub(super) data: String,
}

/// The bytes of a line are not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// Turns bytes into events, whatever pieces they come in.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The beginning of a line whose end has not come. Lines are decoded whole, so a character that
    /// is cut by the network is none of ours to see.
    line: Vec<u8>,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    /// The first line may begin with a byte order mark.
    started: bool,
    name: String,
    data: String,
    /// An event with an empty `data` line is one; an event without any is none.
    has_data: bool,
}

impl Parser {
    /// How many bytes are held until their event ends.
    pub(super) fn held(&self) -> usize {
        self.line.len() + self.name.len() + self.data.len()
    }

    /// Takes the next bytes; the events they complete are pushed to `events`.
    ///
    /// # Errors
    ///
    /// If a line is not UTF-8. The parser is of no further use then.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<(), NotUtf8> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|&b| b == b'\n' || b == b'\r') {
            let (head, rest) = (&bytes[..end], &bytes[end + 1..]);
            self.line.extend_from_slice(head);
            let line = std::mem::take(&mut self.line);
            self.take_line(std::str::from_utf8(&line).map_err(|_| NotUtf8)?, events);
            // The allocation serves the next line.
            self.line = line;
            self.line.clear();
            self.after_cr = bytes[end] == b'\r' && rest.is_empty();
            bytes = match bytes[end] {
                b'\r' => rest.strip_prefix(b"\n").unwrap_or(rest),
                _ => rest,
            };
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn take_line(&mut self, mut line: &str, events: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            line = line.trim_start_matches('\u{feff}');
        }
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let mut data = std::mem::take(&mut self.data);
            if std::mem::take(&mut self.has_data) {
                data.pop();
                let name = if name.is_empty() {
                    "message".into()
                } else {
                    name
                };
                events.push(Event { name, data });
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
                self.has_data = true;
            }
            // A comment, `id`, `retry`, or what later versions bring.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(piece, &mut events).unwrap();
        }
        events.into_iter().map(|e| (e.name, e.data)).collect()
    }

    fn event(name: &str, data: &str) -> (String, String) {
        (name.into(), data.into())
    }

    #[test]
    fn the_forms_of_lines() {
        let text = "\u{feff}event: data\ndata:  two spaces\ndata:none\ndata\n\n\
                    : comment\nid: 7\nretry: 1\nunknown: x\n\n\
                    event: empty\ndata: \n\ndata: unnamed\n\nevent: without data\n\n\
                    event: data\ndata: never ended\n";
        let expected = [
            event("data", " two spaces\nnone\n"),
            event("empty", ""),
            event("message", "unnamed"),
        ];
        for ending in ["\n", "\r\n", "\r"] {
            let bytes = text.replace('\n', ending).into_bytes();
            assert_eq!(parse(&[&bytes]), expected, "{ending:?}");
            // Cut at every place, into two and into single bytes.
            for cut in 0..bytes.len() {
                assert_eq!(
                    parse(&[&bytes[..cut], &bytes[cut..]]),
                    expected,
                    "{ending:?} {cut}"
                );
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(parse(&single), expected, "{ending:?}");
        }
    }

    #[test]
    fn other_line_separators_and_cut_characters_are_data() {
        let bytes = "data: a\u{85}b\u{2028}c\u{2029}d 🦀\n\n".as_bytes();
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let expected = [event("message", "a\u{85}b\u{2028}c\u{2029}d 🦀")];
        assert_eq!(parse(&single), expected);
    }

    #[test]
    fn what_is_not_utf8_is_an_error() {
        let mut parser = Parser::default();
        assert_eq!(parser.push(b"data: \xff\n", &mut Vec::new()), Err(NotUtf8));
    }

    #[test]
    fn what_is_held_is_known() {
        let mut parser = Parser::default();
        parser.push(b"data: abc\ndata: d", &mut Vec::new()).unwrap();
        assert_eq!(parser.held(), "abc\n".len() + "data: d".len());
    }
}
