//! Time zones: which local time it is when, and when it is which local time.

use std::cell::RefCell;

use jiff::Timestamp;
use jiff::civil::{self, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use super::cache::Cache;
use super::civil::{CYCLE, DAY, Date, HOUR, MINUTE, Millis, SECOND, in_range};

/// A time zone, or a fixed offset.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone);

/// Two days before and after the ends of `jiff`, so that no offset leads beyond them.
const FIRST: Millis = -377_705_116_800_000 + 2 * DAY;
const LAST: Millis = 253_402_300_800_000 - 2 * DAY;

/// The same day of the calendar within the years that `jiff` has: the rules of its zones repeat.
fn within(ms: Millis) -> Millis {
    if ms > LAST {
        ms - ((ms - LAST) / CYCLE + 1) * CYCLE
    } else if ms < FIRST {
        ms + ((FIRST - ms) / CYCLE + 1) * CYCLE
    } else {
        ms
    }
}

fn millis(offset: Offset) -> Millis {
    Millis::from(offset.seconds()) * SECOND
}

/// A local time for `jiff`.
pub(super) fn datetime(local: Millis) -> Option<DateTime> {
    let date = Date::from_days(local.div_euclid(DAY));
    let (year, time) = (i16::try_from(date.year).ok()?, local.rem_euclid(DAY));
    DateTime::new(
        year,
        date.month as i8,
        date.day as i8,
        (time / HOUR) as i8,
        (time / MINUTE % 60) as i8,
        (time / SECOND % 60) as i8,
        (time % SECOND * 1_000_000) as i32,
    )
    .ok()
}

/// A date and time of `jiff`, to the millisecond.
pub(super) fn local(date: civil::Date, time: Option<civil::Time>) -> Millis {
    let date = Date {
        year: date.year().into(),
        month: date.month().into(),
        day: date.day().into(),
    };
    let time = time.map_or(0, |time| {
        Millis::from(time.hour()) * HOUR
            + Millis::from(time.minute()) * MINUTE
            + Millis::from(time.second()) * SECOND
            + Millis::from(time.subsec_nanosecond() / 1_000_000)
    });
    date.days() * DAY + time
}

impl Zone {
    pub(super) const UTC: Zone = Zone(TimeZone::UTC);

    /// A zone by its IANA name, or by its offset: `+02`, `+02:00`, `+0200`.
    pub(super) fn parse(text: &str) -> Option<Zone> {
        thread_local! {
            static ZONES: RefCell<Cache<Option<TimeZone>>> = const { RefCell::new(Cache::new()) };
        }
        let zone = ZONES.with_borrow_mut(|zones| {
            zones.get(text, |text| match text.as_bytes() {
                [sign @ (b'+' | b'-'), digits @ ..] => {
                    let seconds = offset(digits)?;
                    let signed = if *sign == b'-' { -seconds } else { seconds };
                    Offset::from_seconds(signed).ok().map(TimeZone::fixed)
                }
                // A database of the machine would make results depend on it.
                _ => TimeZoneDatabase::bundled().get(text).ok(),
            })
        });
        zone.map(Zone)
    }

    /// How far local time is before UTC.
    pub(super) fn offset(&self, at: Millis) -> Millis {
        match Timestamp::from_millisecond(within(at)) {
            Ok(timestamp) => millis(self.0.to_offset(timestamp)),
            Err(_) => 0,
        }
    }

    /// The local time.
    pub(super) fn local(&self, at: Millis) -> Millis {
        at + self.offset(at)
    }

    /// When it is a local time. A time that comes twice is the one at the offset `preferred`, else
    /// the first one; one that is left out is as much later as is left out.
    pub(super) fn at(&self, local: Millis, preferred: Option<Millis>) -> Option<Millis> {
        let offset = match self.ambiguity(local)? {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } => before,
            AmbiguousOffset::Fold { after, .. } if preferred == Some(millis(after)) => after,
            AmbiguousOffset::Fold { before, .. } => before,
        };
        in_range(local - millis(offset))
    }

    /// As [`Zone::at`], but a local time that is left out is the first one after it.
    pub(super) fn start(&self, local: Millis, preferred: Option<Millis>) -> Option<Millis> {
        let at = self.at(local, preferred)?;
        let shifted = within(at);
        if let Some(AmbiguousOffset::Gap { .. }) = self.ambiguity(local)
            && let Ok(timestamp) = Timestamp::from_millisecond(shifted + 1)
            && let Some(transition) = self.0.preceding(timestamp).next()
        {
            return in_range(transition.timestamp().as_millisecond() + (at - shifted));
        }
        Some(at)
    }

    fn ambiguity(&self, local: Millis) -> Option<AmbiguousOffset> {
        let local = datetime(within(local))?;
        Some(self.0.to_ambiguous_timestamp(local).offset())
    }

    /// The zone for `jiff`.
    pub(super) fn inner(&self) -> &TimeZone {
        &self.0
    }
}

/// The seconds of `HH`, `HH:MM`, `HHMM`, `HH:MM:SS` or `HHMMSS`, less than a day.
fn offset(digits: &[u8]) -> Option<i32> {
    let two = |pair: &[u8], most: i32| {
        let text = std::str::from_utf8(pair).ok()?;
        let number = text
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse().ok());
        number.flatten().filter(|n| (0..=most).contains(n))
    };
    let (hours, minutes, seconds): (_, &[u8], &[u8]) = match digits {
        [h @ .., b':', m1, m2, b':', s1, s2] => (h, &[*m1, *m2], &[*s1, *s2]),
        [h @ .., b':', m1, m2] => (h, &[*m1, *m2], b"00"),
        [h1, h2, m1, m2, s1, s2] => (&[*h1, *h2][..], &[*m1, *m2], &[*s1, *s2]),
        [h1, h2, m1, m2] => (&[*h1, *h2][..], &[*m1, *m2], b"00"),
        hours => (hours, b"00", b"00"),
    };
    if hours.len() != 2 {
        return None;
    }
    Some(two(hours, 23)? * 3600 + two(minutes, 59)? * 60 + two(seconds, 59)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_names_or_offsets() {
        for (text, hours) in [
            ("UTC", 0.0),
            ("Asia/Kolkata", 5.5),
            ("asia/kolkata", 5.5),
            ("+02", 2.0),
            ("-02:30", -2.5),
            ("+0530", 5.5),
            ("-00:00:36", -0.01),
            ("+235959", 24.0 - 1.0 / 3600.0),
        ] {
            let zone = Zone::parse(text).expect(text);
            assert_eq!(
                zone.offset(1_700_000_000_000) as f64,
                hours * HOUR as f64,
                "{text}"
            );
        }
        for text in [
            "",
            "+",
            "+2",
            "+2:00",
            "+24:00",
            "+02:60",
            "+02:0",
            "02:00",
            "Mars",
            "+é0",
            "++1:00",
            "EST5EDT4,M3.2.0,M11.1.0",
        ] {
            assert!(Zone::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn rules_repeat_beyond_the_last_year() {
        let zone = Zone::parse("America/New_York").unwrap();
        for year in 0..600i64 {
            let at = |month| {
                Date {
                    year: 9800 + year,
                    month,
                    day: 1,
                }
                .days()
                    * DAY
            };
            assert_eq!(zone.offset(at(1)), -5 * HOUR);
            assert_eq!(zone.offset(at(7)), -4 * HOUR);
            assert_eq!(zone.at(zone.local(at(7)), None), Some(at(7)));
        }
        let early = -FIRST.abs() - 3 * CYCLE;
        assert_eq!(zone.offset(early), zone.offset(FIRST));
    }
}
