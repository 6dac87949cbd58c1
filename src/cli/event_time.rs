//! When events happened, by their `headers.timestamp`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use serde::Deserialize;

/// When something happened, and the offset it was told in.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct EventTime {
    pub(in crate::cli) at: Timestamp,
    offset: Offset,
}

#[derive(Deserialize)]
struct Stamped {
    headers: Option<Headers>,
}

#[derive(Deserialize)]
struct Headers {
    timestamp: Option<String>,
}

impl EventTime {
    /// The time of a line: of its message, or of the last message of an array that has one. What is
    /// wrong with a line is not for this to say.
    pub(in crate::cli) fn of_line(line: &[u8]) -> Option<EventTime> {
        let time = |message: Stamped| EventTime::parse(&message.headers?.timestamp?);
        match line.trim_ascii_start().first()? {
            b'[' => {
                let messages: Vec<Stamped> = serde_json::from_slice(line).ok()?;
                messages.into_iter().rev().find_map(time)
            }
            _ => time(serde_json::from_slice(line).ok()?),
        }
    }

    /// Reads RFC 3339.
    pub(in crate::cli) fn parse(text: &str) -> Option<EventTime> {
        let at = text.parse().ok()?;
        let offset = Pieces::parse(text)
            .ok()?
            .to_numeric_offset()
            .unwrap_or(Offset::UTC);
        Some(EventTime { at, offset })
    }

    pub(in crate::cli) fn seconds_since(self, earlier: EventTime) -> f64 {
        self.at.duration_since(earlier.at).as_secs_f64()
    }

    pub(in crate::cli) fn after(self, seconds: f64) -> EventTime {
        let at = Duration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|gone| self.at.checked_add(gone).ok());
        EventTime {
            at: at.unwrap_or(self.at),
            ..self
        }
    }

    /// As people read it, where it was told.
    pub(in crate::cli) fn display(self) -> String {
        self.offset
            .to_datetime(self.at)
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string()
    }
}
