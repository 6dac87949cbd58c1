//! When events are due.

use std::time::{Duration, Instant};

use crate::cli::event_time::EventTime;

/// Longer silences are not waited for.
const LONGEST_GAP: f64 = 6.0 * 3600.0;

/// Says when events are due that happened at given times.
///
/// What happened at the first of all times is there from the start, whatever time it is: the clock
/// begins to run with the first event after it.
#[derive(Debug)]
pub(super) struct Pace {
    /// Event seconds a second; `None` waits for nothing.
    speed: Option<f64>,
    clock: Option<EventTime>,
    /// When the clock showed what.
    anchor: Option<(Instant, EventTime)>,
}

impl Pace {
    /// A clock that runs at a speed.
    pub(super) fn new(speed: Option<f64>) -> Pace {
        Pace {
            speed,
            clock: None,
            anchor: None,
        }
    }

    /// When an event of a time is due. Events are asked for in the order of their lines.
    pub(super) fn due(&mut self, event: Option<EventTime>, now: Instant) -> Instant {
        let (Some(event), Some(speed)) = (event, self.speed) else {
            return now;
        };
        let Some(clock) = self.clock else { return now };
        let ahead = event.seconds_since(clock);
        if ahead <= 0.0 {
            return now;
        }
        match self.anchor {
            Some((when, time)) if ahead <= LONGEST_GAP => {
                let wait = Duration::try_from_secs_f64(event.seconds_since(time) / speed);
                wait.ok()
                    .and_then(|wait| when.checked_add(wait))
                    .unwrap_or(now)
            }
            _ => {
                self.anchor = Some((now, event));
                now
            }
        }
    }

    /// Moves the clock to an event that was taken. It never goes back.
    pub(super) fn taken(&mut self, event: Option<EventTime>) {
        if let Some(event) = event
            && self.clock.is_none_or(|clock| event.at >= clock.at)
        {
            self.clock = Some(event);
        }
    }

    /// What the clock shows, while `next` waits until it is due.
    pub(super) fn clock(&self, next: Option<EventTime>, now: Instant) -> Option<EventTime> {
        let (Some(next), Some((when, time)), Some(speed)) = (next, self.anchor, self.speed) else {
            return self.clock;
        };
        let running = time.after(now.duration_since(when).as_secs_f64() * speed);
        let clock = self
            .clock
            .filter(|clock| clock.at > running.at)
            .unwrap_or(running);
        Some(if clock.at > next.at { next } else { clock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Option<EventTime> {
        let line = format!(r#"{{"headers":{{"timestamp":"2013-05-23T{time}-04:00"}}}}"#);
        EventTime::of_line(line.as_bytes())
    }

    #[test]
    fn times_are_read_from_lines() {
        assert_eq!(at("10:00:00").unwrap().display(), "2013-05-23 10:00:00");
        let array = br#"[{"headers":{"timestamp":"2020-01-01T00:00:00Z"}},{"headers":{}},{}]"#;
        assert_eq!(
            EventTime::of_line(array).unwrap().display(),
            "2020-01-01 00:00:00"
        );
        for line in [
            "",
            "{",
            "[]",
            r#"{"headers":{"timestamp":"soon"}}"#,
            r#"{"headers":7}"#,
        ] {
            assert!(EventTime::of_line(line.as_bytes()).is_none(), "{line}");
        }
    }

    #[test]
    fn events_are_due_by_their_times() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(60.0));
        let mut wait = |time| {
            let due = pace.due(at(time), start);
            pace.taken(at(time));
            due.duration_since(start).as_secs_f64()
        };
        assert_eq!(wait("01:00:00"), 0.0);
        assert_eq!(wait("05:00:00"), 0.0, "the clock begins to run");
        assert_eq!(wait("05:01:00"), 1.0);
        assert_eq!(wait("05:00:30"), 0.0, "late");
        assert_eq!(wait("05:03:00"), 3.0);
        assert_eq!(wait("12:00:00"), 0.0, "a long silence");
        assert_eq!(wait("12:00:30"), 0.5);
    }

    #[test]
    fn the_clock_runs_between_events_up_to_the_next() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(60.0));
        for time in ["01:00:00", "05:00:00"] {
            pace.due(at(time), start);
            pace.taken(at(time));
        }
        let shown = |next, after| {
            pace.clock(next, start + Duration::from_secs(after))
                .unwrap()
                .display()
        };
        assert_eq!(shown(at("05:05:00"), 2), "2013-05-23 05:02:00");
        assert_eq!(shown(at("05:05:00"), 20), "2013-05-23 05:05:00");
        assert_eq!(shown(None, 20), "2013-05-23 05:00:00");
    }
}
