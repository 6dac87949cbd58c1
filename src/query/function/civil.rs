//! The calendar: days and the time of day, without zones, for all times that JavaScript has.
//!
//! `jiff` ends in the last hours of the year 9999, which data use as "for ever".

/// Milliseconds since the beginning of 1970, local or in UTC.
pub(super) type Millis = i64;

pub(super) const SECOND: Millis = 1000;
pub(super) const MINUTE: Millis = 60 * SECOND;
pub(super) const HOUR: Millis = 60 * MINUTE;
pub(super) const DAY: Millis = 24 * HOUR;

/// 400 years, after which the calendar repeats, weekdays and all.
pub(super) const CYCLE: Millis = 146_097 * DAY;

/// How far from 1970 a time may be, as in JavaScript.
pub(super) const MAX: Millis = 8_640_000_000_000_000;

/// The time, if it is not too far away.
pub(super) fn in_range(ms: Millis) -> Option<Millis> {
    (-MAX..=MAX).contains(&ms).then_some(ms)
}

/// A date of the Gregorian calendar, also before it was introduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    /// From 1.
    pub(super) day: i64,
}

impl Date {
    /// Howard Hinnant's `civil_from_days`: years start in March, so that leap days end them.
    pub(super) fn from_days(days: i64) -> Date {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        Date {
            year: year + era * 400 + i64::from(month <= 2),
            month,
            day,
        }
    }

    /// Days since 1970.
    pub(super) fn days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let month = if self.month > 2 {
            self.month - 3
        } else {
            self.month + 9
        };
        let of_year = (153 * month + 2) / 5 + self.day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// Months since the year 0.
    pub(super) fn months(self) -> i64 {
        self.year * 12 + self.month - 1
    }

    /// The first day of a month, given in months since the year 0.
    pub(super) fn of_months(months: i64) -> Date {
        Date {
            year: months.div_euclid(12),
            month: months.rem_euclid(12) + 1,
            day: 1,
        }
    }

    /// The same day so many months later, or the month's last.
    pub(super) fn add_months(self, n: i64) -> Option<Date> {
        let first = Date::of_months(self.months().checked_add(n)?);
        // Beyond any time, and before sums overflow.
        if first.year.abs() > 300_000 {
            return None;
        }
        let length = Date::of_months(first.months() + 1).days() - first.days();
        Some(Date {
            day: self.day.min(length),
            ..first
        })
    }
}

/// From 1, which is Monday, to 7.
pub(super) fn weekday(days: i64) -> i64 {
    // 1970 began on a Thursday.
    (days + 3).rem_euclid(7) + 1
}

/// The ISO week: the first one of a year has its first Thursday.
pub(super) fn week(days: i64) -> i64 {
    let thursday = days - weekday(days) + 4;
    let january = Date {
        year: Date::from_days(thursday).year,
        month: 1,
        day: 1,
    };
    (thursday - january.days()) / 7 + 1
}

/// The date as `YYYY-MM-DD`; of years of more digits, and before 0, as JavaScript has it.
pub(super) fn date_text(ms: Millis) -> String {
    let Date { year, month, day } = Date::from_days(ms.div_euclid(DAY));
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:+07}-{month:02}-{day:02}"),
    }
}

/// JavaScript's `toISOString`.
pub(super) fn iso_text(ms: Millis) -> String {
    let time = ms.rem_euclid(DAY);
    let (hour, minute) = (time / HOUR, time / MINUTE % 60);
    let (second, milli) = (time / SECOND % 60, time % SECOND);
    let date = date_text(ms);
    format!("{date}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_one_to_one() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut last = None;
        for days in
            (-150_000..150_000).chain((0..10_000).map(|_| rng.i64(-(MAX / DAY)..=MAX / DAY)))
        {
            let date = Date::from_days(days);
            assert_eq!(date.days(), days);
            if let Some((before, Date { year, month, day })) = last
                && before + 1 == days
            {
                let next_month = (year + month / 12, month % 12 + 1, 1);
                let found = (date.year, date.month, date.day);
                assert!(found == (year, month, day + 1) || found == next_month);
            }
            last = Some((days, date));
        }
    }

    #[test]
    fn agrees_with_another_calendar() {
        for days in -4_000_000..2_900_000i32 {
            if days % 97 != 0 {
                continue;
            }
            let theirs = jiff::civil::date(1970, 1, 1)
                .checked_add(jiff::Span::new().days(days))
                .unwrap();
            let ours = Date::from_days(days.into());
            let ours = [
                ours.year,
                ours.month,
                ours.day,
                weekday(days.into()),
                week(days.into()),
            ];
            let theirs = [
                i64::from(theirs.year()),
                theirs.month().into(),
                theirs.day().into(),
                theirs.weekday().to_monday_one_offset().into(),
                theirs.iso_week_date().week().into(),
            ];
            assert_eq!(ours, theirs);
        }
    }
}
