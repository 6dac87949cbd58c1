//! What `now()` in queries stands for.

use std::str::FromStr;

use jiff::Timestamp;
use tailwater::engine::{Engine, QueryId};
use tailwater::view::ChangeSet;

use super::event_time::EventTime;

/// Where the time comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// The system.
    System,
    /// The events: the latest time of those that were read.
    Events(Option<Timestamp>),
    /// It stands still.
    At(Timestamp),
}

impl FromStr for Clock {
    type Err = String;

    fn from_str(text: &str) -> Result<Clock, String> {
        match text {
            "system" => Ok(Clock::System),
            "events" => Ok(Clock::Events(None)),
            time => match time.parse::<Timestamp>() {
                Ok(time) if time < Timestamp::UNIX_EPOCH => Err("must not be before 1970".into()),
                Ok(time) => Ok(Clock::At(time)),
                Err(_) => {
                    Err("must be `system`, `events` or a time such as 2013-05-23T10:00:00Z".into())
                }
            },
        }
    }
}

impl Clock {
    /// Takes note of a line that is about to be read.
    pub(super) fn see(&mut self, line: &[u8]) {
        if let Clock::Events(latest) = self
            && let Some(time) = EventTime::of_line(line)
        {
            *latest = (*latest).max(Some(time.at));
        }
    }

    /// Lets an engine know what time it is.
    pub(super) fn tick(
        &self,
        engine: &mut Engine,
    ) -> std::collections::BTreeMap<QueryId, ChangeSet> {
        let now = match self {
            Clock::System => Some(Timestamp::now()),
            Clock::Events(latest) => *latest,
            Clock::At(time) => Some(*time),
        };
        now.map(|now| engine.set_clock(now.as_millisecond()))
            .unwrap_or_default()
    }
}
