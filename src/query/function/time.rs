//! Times: what they are as text, their parts, and how far they lie apart.

use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use jiff::{Timestamp, Zoned};

use super::civil::{self, DAY, Date, HOUR, MINUTE, Millis, SECOND, in_range};
use super::zone::{self, Zone};
use super::{Datum, Function};
use crate::query::QueryError;
use crate::value::{Value, ValueRef};

/// A stretch of the clock or of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// So many milliseconds.
    Clock(Millis),
    Days(i64),
    Months(i64),
}

const UNITS: [(&str, Unit); 9] = [
    ("millisecond", Unit::Clock(1)),
    ("second", Unit::Clock(SECOND)),
    ("minute", Unit::Clock(MINUTE)),
    ("hour", Unit::Clock(HOUR)),
    ("day", Unit::Days(1)),
    ("week", Unit::Days(7)),
    ("month", Unit::Months(1)),
    ("quarter", Unit::Months(3)),
    ("year", Unit::Months(12)),
];

/// All but the millisecond, in which times are counted anyway.
const TRUNCATED: &[(&str, Unit)] = UNITS.split_at(1).1;

type Part = fn(Millis, Millis) -> Value;

/// What can be read off a time, which is given in UTC and locally.
const PARTS: [(&str, Part); 12] = [
    ("year", |_, local| date(local).year.into()),
    ("quarter", |_, local| ((date(local).month + 2) / 3).into()),
    ("month", |_, local| date(local).month.into()),
    ("week", |_, local| civil::week(local.div_euclid(DAY)).into()),
    ("day", |_, local| date(local).day.into()),
    ("dayOfWeek", |_, local| {
        civil::weekday(local.div_euclid(DAY)).into()
    }),
    ("dayOfYear", |_, local| {
        let january = Date {
            month: 1,
            day: 1,
            ..date(local)
        };
        (local.div_euclid(DAY) - january.days() + 1).into()
    }),
    ("hour", |_, local| (local.rem_euclid(DAY) / HOUR).into()),
    ("minute", |_, local| {
        (local.rem_euclid(HOUR) / MINUTE).into()
    }),
    ("second", |_, local| {
        (local.rem_euclid(MINUTE) / SECOND).into()
    }),
    ("millisecond", |_, local| local.rem_euclid(SECOND).into()),
    ("epoch", |at, _| Value::float(at as f64 / SECOND as f64)),
];

fn date(local: Millis) -> Date {
    Date::from_days(local.div_euclid(DAY))
}

fn named<T: Copy>(table: &[(&str, T)], name: ValueRef<'_>) -> Option<T> {
    let name = name.as_str()?;
    table.iter().find(|(n, _)| *n == name).map(|(_, t)| *t)
}

/// Where the arguments of a function are: its time and its zone.
fn places(function: Function) -> (usize, usize) {
    match function {
        Function::ToTimestamp => (0, 1),
        Function::DateAdd => (2, 3),
        // Both of its times are read alike.
        Function::DateDiff => (1, 3),
        Function::Date | Function::Datetime => (0, usize::MAX),
        _ => (1, 2),
    }
}

/// The function's value, null where there is none.
pub(super) fn call<'a>(
    function: Function,
    n: usize,
    arg: &dyn Fn(usize) -> Datum<'a>,
) -> Option<Value> {
    let (time, zone) = places(function);
    let zone = match zone < n {
        true => Zone::parse(arg(zone).as_ref().as_str()?)?,
        false => Zone::UTC,
    };
    let at = read(arg(time).as_ref(), &zone)?;
    Some(match function {
        Function::Date => civil::date_text(at).into(),
        Function::Datetime => civil::iso_text(at).into(),
        Function::Strftime => format(arg(0).as_ref().as_str()?, at, &zone)?.into(),
        Function::ToTimestamp => at.into(),
        Function::DateTrunc => truncate(named(TRUNCATED, arg(0).as_ref())?, at, &zone)?.into(),
        Function::DateExtract => named(&PARTS, arg(0).as_ref())?(at, zone.local(at)),
        Function::DateAdd => {
            let ValueRef::Int(n) = arg(1).as_ref() else {
                return None;
            };
            let unit = named(&UNITS, arg(0).as_ref())?;
            add(unit, n.try_into().ok()?, at, &zone)?.into()
        }
        Function::DateDiff => {
            let to = read(arg(2).as_ref(), &zone)?;
            difference(named(&UNITS, arg(0).as_ref())?, at, to, &zone).into()
        }
        other => unreachable!("{other:?} is not of time"),
    })
}

/// Checks a constant argument: whether it is a unit, a part, a format or a zone where one is due.
pub(super) fn check(function: Function, i: usize, value: ValueRef<'_>) -> Result<(), QueryError> {
    use Function::{DateAdd, DateDiff, DateExtract, DateTrunc, Strftime, ToTimestamp};
    if !matches!(
        function,
        Strftime | ToTimestamp | DateTrunc | DateExtract | DateAdd | DateDiff
    ) {
        return Ok(());
    }
    let zone = i == places(function).1;
    let kind = match (function, i) {
        _ if zone => "a time zone",
        (DateTrunc | DateAdd | DateDiff, 0) => "a unit",
        (DateExtract, 0) => "a part of a time",
        (Strftime, 0) => "a format",
        _ => return Ok(()),
    };
    let Some(text) = value.as_str() else {
        let message = format!("must be {kind}, not {}", value.type_name());
        return Err(QueryError::new("", message));
    };
    let one_of = |known: Vec<&str>| match known.contains(&text) {
        true => Ok(()),
        false => {
            let error = QueryError::new("", format!("`{text}` is not {kind}"));
            Err(error.suggest(text, known))
        }
    };
    match function {
        _ if zone && Zone::parse(text).is_some() => Ok(()),
        _ if zone => Err(QueryError::new("", format!("unknown time zone `{text}`"))
            .hint("zones are IANA names such as `Europe/Vienna`, or offsets such as `+02:00`")),
        DateTrunc => one_of(TRUNCATED.iter().map(|(name, _)| *name).collect()),
        DateAdd | DateDiff => one_of(UNITS.iter().map(|(name, _)| *name).collect()),
        DateExtract => one_of(PARTS.iter().map(|(name, _)| *name).collect()),
        _ => match formatted(text, 0, &Zone::UTC) {
            Ok(_) => Ok(()),
            Err(e) => {
                let message = format!("`{text}` is not a format of `strftime`: {e}");
                Err(QueryError::new("", message))
            }
        },
    }
}

/// Reads a time: milliseconds, or ISO 8601, in the zone where it has no offset.
fn read(value: ValueRef<'_>, zone: &Zone) -> Option<Millis> {
    match value {
        ValueRef::Int(i) => in_range(i.try_into().ok()?),
        // As JavaScript, without the fraction.
        ValueRef::Float(f) if f.is_finite() => in_range(f as Millis),
        ValueRef::Str(text) => parse(text, zone),
        _ => None,
    }
}

fn parse(text: &str, zone: &Zone) -> Option<Millis> {
    let shape: Vec<bool> = text.bytes().take(8).map(|b| b.is_ascii_digit()).collect();
    let completed;
    // A year, and a month: ISO 8601 of less precision.
    let text = match (&shape[..], text.as_bytes()) {
        ([true, true, true, true], _) => {
            completed = format!("{text}-01-01");
            &completed
        }
        ([true, true, true, true, false, true, true], [_, _, _, _, b'-', ..]) => {
            completed = format!("{text}-01");
            &completed
        }
        _ => text,
    };
    let pieces = Pieces::parse(text).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let local = zone::local(pieces.date(), pieces.time());
    match pieces.to_numeric_offset() {
        Some(offset) => in_range(local - Millis::from(offset.seconds()) * SECOND),
        None if pieces.time().is_some() => zone.at(local, None),
        None => zone.start(local, None),
    }
}

fn truncate(unit: Unit, at: Millis, zone: &Zone) -> Option<Millis> {
    let offset = zone.offset(at);
    let local = at + offset;
    let (days, date) = (local.div_euclid(DAY), date(local));
    match unit {
        // An hour that comes twice starts twice.
        Unit::Clock(ms) => zone.start(local - local.rem_euclid(ms), Some(offset)),
        Unit::Days(1) => zone.start(days * DAY, None),
        Unit::Days(_) => zone.start((days + 1 - civil::weekday(days)) * DAY, None),
        Unit::Months(n) => {
            let months = date.months() - date.months().rem_euclid(n);
            zone.start(Date::of_months(months).days() * DAY, None)
        }
    }
}

/// Days and longer units keep the local time, shorter ones are of the clock.
fn add(unit: Unit, n: i64, at: Millis, zone: &Zone) -> Option<Millis> {
    let offset = zone.offset(at);
    let local = at + offset;
    let later = match unit {
        Unit::Clock(ms) => return in_range(at.checked_add(n.checked_mul(ms)?)?),
        Unit::Days(days) => {
            let days = n.checked_mul(days)?;
            local.checked_add(days.checked_mul(DAY)?)?
        }
        Unit::Months(months) => {
            let date = date(local).add_months(n.checked_mul(months)?)?;
            date.days() * DAY + local.rem_euclid(DAY)
        }
    };
    if later.abs() > civil::MAX + 2 * DAY {
        return None;
    }
    zone.at(later, Some(offset))
}

/// The most units that can be added to `from` without going past `to`.
fn difference(unit: Unit, from: Millis, to: Millis, zone: &Zone) -> i64 {
    let (from_local, to_local) = (zone.local(from), zone.local(to));
    let estimate = match unit {
        Unit::Clock(ms) => return (to - from) / ms,
        Unit::Days(days) => (to_local.div_euclid(DAY) - from_local.div_euclid(DAY)) / days,
        Unit::Months(n) => (date(to_local).months() - date(from_local).months()) / n,
    };
    let sign = if to < from { -1 } else { 1 };
    let fits = |n: i64| match add(unit, n * sign, from, zone) {
        Some(at) if sign < 0 => at >= to,
        Some(at) => at <= to,
        None => false,
    };
    // Where clocks change, local times are off by up to a day.
    let mut n = (estimate * sign).max(0) + 1;
    while n > 0 && !fits(n) {
        n -= 1;
    }
    n * sign
}

fn format(format: &str, at: Millis, zone: &Zone) -> Option<String> {
    formatted(format, at, zone).ok()
}

fn formatted(format: &str, at: Millis, zone: &Zone) -> Result<String, jiff::Error> {
    let format = &sqlite_fractions(format);
    let time = match Timestamp::from_millisecond(at) {
        Ok(timestamp) => {
            let zoned = Zoned::new(timestamp, zone.inner().clone());
            return BrokenDownTime::from(&zoned).to_string(format);
        }
        Err(error) => error,
    };
    // The last hours of the year 9999.
    let Some(local) = zone::datetime(zone.local(at)) else {
        return Err(time);
    };
    let mut time = BrokenDownTime::from(local);
    let seconds = zone.offset(at) / SECOND;
    time.set_offset(Offset::from_seconds(seconds as i32).ok());
    time.to_string(format)
}

/// `%f` is seconds with their fraction, as in SQLite, whose formats TanStack DB's queries use.
fn sqlite_fractions(format: &str) -> String {
    let mut rest = format;
    let mut out = String::with_capacity(format.len() + 8);
    while let Some(place) = rest.find('%') {
        let (before, directive) = rest.split_at(place);
        out += before;
        let length = 1 + directive[1..].chars().next().map_or(0, char::len_utf8);
        match &directive[..length] {
            "%f" => out += "%S.%3f",
            other => out += other,
        }
        rest = &directive[length..];
    }
    out + rest
}

#[cfg(test)]
mod tests;
