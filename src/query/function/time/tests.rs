//! Functions of time against what Python's `datetime` and `zoneinfo` make of the same.

use super::super::tests::{call, check, refused};
use super::*;
use Function::*;
use golden::*;

#[rustfmt::skip]
mod golden;

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

#[test]
fn units_start_as_in_python() {
    for (time, zone, expected) in TRUNCATED_BY_PYTHON {
        for ((unit, _), expected) in TRUNCATED.iter().zip(expected) {
            let found = call(DateTrunc, &[&quoted(unit), &quoted(time), &quoted(zone)]);
            assert_eq!(
                found,
                expected.to_string(),
                "the {unit} of {time} in {zone}"
            );
            let again = call(DateTrunc, &[&quoted(unit), &found, &quoted(zone)]);
            assert_eq!(again, found, "the {unit} of the {unit} of {time} in {zone}");
        }
    }
}

#[test]
fn parts_are_as_in_python() {
    for (time, zone, expected) in PARTS_BY_PYTHON {
        for ((part, _), expected) in PARTS.iter().zip(expected) {
            let found = call(DateExtract, &[&quoted(part), &quoted(time), &quoted(zone)]);
            assert_eq!(
                found,
                expected.to_string(),
                "the {part} of {time} in {zone}"
            );
        }
    }
}

#[test]
fn sums_and_differences_are_as_in_python() {
    for (unit, n, time, zone, expected) in ADDED_BY_PYTHON {
        let args = [&*quoted(unit), &n.to_string(), &quoted(time), &quoted(zone)];
        assert_eq!(call(DateAdd, &args), expected.to_string(), "{args:?}");
    }
    for (unit, from, to, zone, expected) in DIFFERENCES_BY_PYTHON {
        let args = [unit, from, to, zone].map(|text| quoted(text));
        let found = call(DateDiff, &args.each_ref().map(String::as_str));
        assert_eq!(found, expected.to_string(), "{args:?}");
    }
}

/// Other than in Python, as in Java: of a time that comes twice, the one at the offset before.
#[test]
fn sums_keep_their_offset_where_they_can() {
    let (unit, time, zone) = (
        "\"day\"",
        quoted("2024-11-04T06:30Z"),
        quoted("America/New_York"),
    );
    let found = call(DateAdd, &[unit, "-1", &time, &zone]);
    assert_eq!(call(Datetime, &[&found]), "\"2024-11-03T06:30:00.000Z\"");
    // Python takes the first of the two even when it adds nothing.
    assert_eq!(call(DateAdd, &[unit, "0", &found, &zone]), found);
    let found = call(DateAdd, &[unit, "-2", &time, &zone]);
    assert_eq!(call(Datetime, &[&found]), "\"2024-11-02T05:30:00.000Z\"");
}

#[test]
fn times_without_an_offset_are_read_as_in_python() {
    for (time, zone, expected) in READ_BY_PYTHON {
        let found = call(ToTimestamp, &[&quoted(time), &quoted(zone)]);
        assert_eq!(found, expected.to_string(), "{time} in {zone}");
    }
}

/// A difference is the most that can be added, whatever the clocks do.
#[test]
fn differences_undo_sums() {
    let mut rng = fastrand::Rng::with_seed(7);
    for name in [
        "UTC",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "-03:30",
    ] {
        let zone = Zone::parse(name).unwrap();
        for _ in 0..3000 {
            let range = if rng.bool() {
                4_000_000_000_000
            } else {
                civil::MAX
            };
            let (from, to) = (rng.i64(-range..range), rng.i64(-range..range));
            for (unit, kind) in UNITS {
                let n = difference(kind, from, to, &zone);
                let sign = if to < from { -1 } else { 1 };
                assert!(n * sign >= 0);
                let short = add(kind, n, from, &zone).expect("between two times");
                assert!(
                    (to - short) * sign >= 0,
                    "{unit}s of {from} to {to} in {name}"
                );
                if let Some(past) = add(kind, n + sign, from, &zone) {
                    assert!(
                        (to - past) * sign < 0,
                        "{unit}s of {from} to {to} in {name}"
                    );
                }
                let start = truncate(kind, to, &zone);
                let start = start.filter(|_| kind != Unit::Clock(1));
                if let Some(start) = start {
                    assert!(
                        start <= to,
                        "the {unit} of {to} in {name} starts at {start}"
                    );
                    assert_eq!(
                        truncate(kind, start, &zone),
                        Some(start),
                        "{unit} of {to} in {name}"
                    );
                }
            }
        }
    }
}

#[test]
fn times_as_text() {
    check(&[
        (Function::Date, &["0"], "\"1970-01-01\""),
        (Function::Date, &["-1"], "\"1969-12-31\""),
        (
            Function::Date,
            &["\"2024-03-10T23:30-05:00\""],
            "\"2024-03-11\"",
        ),
        (Function::Date, &["8640000000000000"], "\"+275760-09-13\""),
        (Function::Date, &["-8640000000000000"], "\"-271821-04-20\""),
        (Function::Date, &["8640000000000001"], "null"),
        (Function::Date, &["null"], "null"),
        (Function::Date, &["undefined"], "null"),
        (Function::Date, &["true"], "null"),
        (Function::Date, &["\"yesterday\""], "null"),
        (Function::Date, &["\"2024-02-30\""], "null"),
        (
            Function::Date,
            &["\"2024-07-01T12:00[Europe/Vienna]\""],
            "null",
        ),
        (Function::Date, &["\"2024-07\""], "\"2024-07-01\""),
        (Function::Date, &["\"2024\""], "\"2024-01-01\""),
        (Function::Date, &["\"20240701\""], "\"2024-07-01\""),
        (Datetime, &["1.9"], "\"1970-01-01T00:00:00.001Z\""),
        (Datetime, &["-0.5"], "\"1970-01-01T00:00:00.000Z\""),
        (
            Datetime,
            &["\"2024-03-10 05:06\""],
            "\"2024-03-10T05:06:00.000Z\"",
        ),
        (
            Datetime,
            &["\"1969-12-31T23:59:59.9999Z\""],
            "\"1969-12-31T23:59:59.999Z\"",
        ),
        (
            Datetime,
            &["\"9999-12-31T23:59:59.999Z\""],
            "\"9999-12-31T23:59:59.999Z\"",
        ),
        (
            Datetime,
            &["\"0001-01-01\""],
            "\"0001-01-01T00:00:00.000Z\"",
        ),
        (Datetime, &["1e300"], "null"),
        (Datetime, &["NaN"], "null"),
        (Strftime, &["\"%Y-%m-%d\"", "0"], "\"1970-01-01\""),
        (
            Strftime,
            &["\"%Y-%m-%dT%H:%M:%fZ\"", "1234"],
            "\"1970-01-01T00:00:01.234Z\"",
        ),
        (
            Strftime,
            &["\"%%f %A, %e. %B %y, week %V\"", "0"],
            "\"%f Thursday,  1. January 70, week 01\"",
        ),
        (
            Strftime,
            &["\"%H:%M %Z %z %s\"", "0", "\"Europe/Vienna\""],
            "\"01:00 CET +0100 0\"",
        ),
        (
            Strftime,
            &["\"%H:%M %:z\"", "0", "\"-03:30\""],
            "\"20:30 -03:30\"",
        ),
        (
            Strftime,
            &["\"%F %T %z\"", "\"9999-12-31T23:00:00Z\""],
            "\"9999-12-31 23:00:00 +0000\"",
        ),
        (
            Strftime,
            &["\"%F\"", "\"9999-12-31\"", "\"Asia/Tokyo\""],
            "\"9999-12-31\"",
        ),
        (Strftime, &["\"%Y\"", "8640000000000000"], "null"),
        (Strftime, &["\"%\"", "0"], "null"),
        (Strftime, &["\"%!\"", "0"], "null"),
        (Strftime, &["\"%Y\"", "null"], "null"),
        (Strftime, &["null", "0"], "null"),
        (Strftime, &["\"%Y\"", "0", "\"Mars\""], "null"),
        (Strftime, &["\"%Y\"", "0", "null"], "null"),
    ]);
}

#[test]
fn times_follow_their_null_rules() {
    check(&[
        (
            ToTimestamp,
            &["\"2024-07-01T00:00+02:00\"", "\"America/New_York\""],
            "1719784800000",
        ),
        (
            ToTimestamp,
            &["\"2024-07-01\"", "\"+02:00\""],
            "1719784800000",
        ),
        (ToTimestamp, &["\"2024-07-01\"", "undefined"], "null"),
        (ToTimestamp, &["[]"], "null"),
        (ToTimestamp, &["\"\""], "null"),
        (DateTrunc, &["\"day\"", "null"], "null"),
        (DateTrunc, &["\"millisecond\"", "0"], "null"),
        (DateTrunc, &["null", "0"], "null"),
        (DateTrunc, &["\"year\"", "-8640000000000000"], "null"),
        (DateExtract, &["\"epoch\"", "1500"], "1.5"),
        (DateExtract, &["\"epoch\"", "\"2024-07-01\""], "1719792000"),
        (DateExtract, &["\"era\"", "0"], "null"),
        (DateAdd, &["\"day\"", "1.5", "0"], "null"),
        (DateAdd, &["\"day\"", "null", "0"], "null"),
        (DateAdd, &["\"day\"", "9223372036854775807", "0"], "null"),
        (DateAdd, &["\"month\"", "-9223372036854775808", "0"], "null"),
        (DateAdd, &["\"year\"", "18446744073709551615", "0"], "null"),
        (DateAdd, &["\"year\"", "273790", "0"], "8639977881600000"),
        (DateAdd, &["\"year\"", "273791", "0"], "null"),
        (
            DateAdd,
            &["\"millisecond\"", "1", "8640000000000000"],
            "null",
        ),
        (DateDiff, &["\"day\"", "0", "null"], "null"),
        (DateDiff, &["\"day\"", "undefined", "0"], "null"),
        (
            DateDiff,
            &["\"day\"", "-8640000000000000", "8640000000000000"],
            "200000000",
        ),
        (
            DateDiff,
            &["\"day\"", "8640000000000000", "-8640000000000000"],
            "-200000000",
        ),
    ]);
}

/// Days that do not begin at midnight begin when the clocks were put forward.
#[test]
fn days_without_a_midnight() {
    let day = |time: &str, zone: &str| {
        let start = call(DateTrunc, &["\"day\"", &quoted(time), &quoted(zone)]);
        call(Datetime, &[&start])
    };
    // 00:00 became 01:00.
    assert_eq!(
        day("2018-11-04T12:00Z", "America/Sao_Paulo"),
        "\"2018-11-04T03:00:00.000Z\""
    );
    // 23:30 became 00:30.
    assert_eq!(
        day("1919-03-31T12:00Z", "America/Toronto"),
        "\"1919-03-31T04:30:00.000Z\""
    );
    // 01:00 became 00:00.
    assert_eq!(
        day("2024-11-03T12:00Z", "America/Havana"),
        "\"2024-11-03T04:00:00.000Z\""
    );
    // The 30th of December was left out.
    assert_eq!(
        day("2011-12-30T12:00Z", "Pacific/Apia"),
        "\"2011-12-30T10:00:00.000Z\""
    );
}

#[test]
fn wrong_constants_are_refused() {
    for (function, i, constant, expected) in [
        (
            DateTrunc,
            0,
            "\"days\"",
            "`args[0]`: `days` is not a unit (did you mean `day`?)",
        ),
        (
            DateAdd,
            0,
            "\"Month\"",
            "`args[0]`: `Month` is not a unit (did you mean `month`?)",
        ),
        (DateDiff, 0, "null", "`args[0]`: must be a unit, not null"),
        (
            DateExtract,
            0,
            "\"dayofweek\"",
            "`args[0]`: `dayofweek` is not a part of a time (did you mean `dayOfWeek`?)",
        ),
        (
            DateExtract,
            2,
            "\"CEST\"",
            "`args[2]`: unknown time zone `CEST` (zones are IANA names such as `Europe/Vienna`, or offsets such as `+02:00`)",
        ),
        (
            DateAdd,
            3,
            "2",
            "`args[3]`: must be a time zone, not a number",
        ),
        (
            ToTimestamp,
            1,
            "\"+25:00\"",
            "`args[1]`: unknown time zone `+25:00` (zones are IANA names such as `Europe/Vienna`, or offsets such as `+02:00`)",
        ),
        (
            Strftime,
            0,
            "5",
            "`args[0]`: must be a format, not a number",
        ),
    ] {
        assert_eq!(refused(function, i, constant).as_deref(), Some(expected));
    }
    let error = refused(Strftime, 0, "\"%!\"").unwrap();
    assert!(
        error.starts_with("`args[0]`: `%!` is not a format of `strftime`: "),
        "{error}"
    );
    for (function, i, constant) in [
        (DateDiff, 0, "\"millisecond\""),
        (DateDiff, 1, "\"nonsense\""),
        (DateDiff, 3, "\"Europe/Vienna\""),
        (Strftime, 0, "\"%Y %f %% %T\""),
        (Function::Date, 0, "\"nonsense\""),
        (Eq, 0, "\"nonsense\""),
    ] {
        assert_eq!(refused(function, i, constant), None);
    }
    let error = refused(DateTrunc, 0, "\"millisecond\"").unwrap();
    assert!(error.contains("is not a unit"), "{error}");
}
