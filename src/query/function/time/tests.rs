//! Functions of time against what Python's `datetime` and `zoneinfo` make of the same.

use super::super::tests::{call, check, refused};
use super::*;
use Function::*;

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

const TRUNCATED_BY_PYTHON: &[(&str, &str, [i64; 8])] = &[
    (
        "2024-03-10T06:59:59.999Z",
        "America/New_York",
        [
            1710053999000,
            1710053940000,
            1710050400000,
            1710046800000,
            1709528400000,
            1709269200000,
            1704085200000,
            1704085200000,
        ],
    ),
    (
        "2024-03-10T07:00:00Z",
        "America/New_York",
        [
            1710054000000,
            1710054000000,
            1710054000000,
            1710046800000,
            1709528400000,
            1709269200000,
            1704085200000,
            1704085200000,
        ],
    ),
    (
        "2024-11-03T05:30:00Z",
        "America/New_York",
        [
            1730611800000,
            1730611800000,
            1730610000000,
            1730606400000,
            1730088000000,
            1730433600000,
            1727755200000,
            1704085200000,
        ],
    ),
    (
        "2024-11-03T06:30:00.001Z",
        "America/New_York",
        [
            1730615400000,
            1730615400000,
            1730613600000,
            1730606400000,
            1730088000000,
            1730433600000,
            1727755200000,
            1704085200000,
        ],
    ),
    (
        "2024-03-31T01:15:30Z",
        "Europe/Vienna",
        [
            1711847730000,
            1711847700000,
            1711846800000,
            1711839600000,
            1711321200000,
            1709247600000,
            1704063600000,
            1704063600000,
        ],
    ),
    (
        "2024-10-27T00:59:59Z",
        "Europe/Vienna",
        [
            1729990799000,
            1729990740000,
            1729987200000,
            1729980000000,
            1729461600000,
            1727733600000,
            1727733600000,
            1704063600000,
        ],
    ),
    (
        "2024-10-27T01:00:00Z",
        "Europe/Vienna",
        [
            1729990800000,
            1729990800000,
            1729990800000,
            1729980000000,
            1729461600000,
            1727733600000,
            1727733600000,
            1704063600000,
        ],
    ),
    (
        "2024-12-30T23:30:00Z",
        "Europe/Vienna",
        [
            1735601400000,
            1735601400000,
            1735599600000,
            1735599600000,
            1735513200000,
            1733007600000,
            1727733600000,
            1704063600000,
        ],
    ),
    (
        "2021-01-03T12:00:00Z",
        "UTC",
        [
            1609675200000,
            1609675200000,
            1609675200000,
            1609632000000,
            1609113600000,
            1609459200000,
            1609459200000,
            1609459200000,
        ],
    ),
    (
        "2020-12-31T12:00:00Z",
        "UTC",
        [
            1609416000000,
            1609416000000,
            1609416000000,
            1609372800000,
            1609113600000,
            1606780800000,
            1601510400000,
            1577836800000,
        ],
    ),
    (
        "2024-02-29T23:59:59.999Z",
        "UTC",
        [
            1709251199000,
            1709251140000,
            1709247600000,
            1709164800000,
            1708905600000,
            1706745600000,
            1704067200000,
            1704067200000,
        ],
    ),
    (
        "1969-12-31T23:59:59.999Z",
        "UTC",
        [
            -1000,
            -60000,
            -3600000,
            -86400000,
            -259200000,
            -2678400000,
            -7948800000,
            -31536000000,
        ],
    ),
    (
        "1900-03-01T00:00:00Z",
        "Europe/Vienna",
        [
            -2203891200000,
            -2203891200000,
            -2203891200000,
            -2203894800000,
            -2204154000000,
            -2203894800000,
            -2208992400000,
            -2208992400000,
        ],
    ),
    (
        "1883-11-18T16:59:00Z",
        "America/New_York",
        [
            -2717650860000,
            -2717650918000,
            -2717651038000,
            -2717694238000,
            -2718212638000,
            -2719163038000,
            -2721841438000,
            -2745428638000,
        ],
    ),
    (
        "0001-01-02T00:00:00Z",
        "UTC",
        [
            -62135510400000,
            -62135510400000,
            -62135510400000,
            -62135510400000,
            -62135596800000,
            -62135596800000,
            -62135596800000,
            -62135596800000,
        ],
    ),
    (
        "9999-12-31T23:59:59.999Z",
        "UTC",
        [
            253402300799000,
            253402300740000,
            253402297200000,
            253402214400000,
            253401868800000,
            253399622400000,
            253394352000000,
            253370764800000,
        ],
    ),
    (
        "2008-12-29T00:00:00Z",
        "Asia/Kolkata",
        [
            1230508800000,
            1230508800000,
            1230507000000,
            1230489000000,
            1230489000000,
            1228069800000,
            1222799400000,
            1199125800000,
        ],
    ),
    (
        "1582-10-15T00:00:00Z",
        "UTC",
        [
            -12219292800000,
            -12219292800000,
            -12219292800000,
            -12219292800000,
            -12219638400000,
            -12220502400000,
            -12220502400000,
            -12244089600000,
        ],
    ),
    (
        "2025-04-05T15:15:00Z",
        "Australia/Lord_Howe",
        [
            1743866100000,
            1743866100000,
            1743861600000,
            1743858000000,
            1743339600000,
            1743426000000,
            1743426000000,
            1735650000000,
        ],
    ),
];

const PARTS_BY_PYTHON: &[(&str, &str, [i64; 11])] = &[
    (
        "2024-03-10T06:59:59.999Z",
        "America/New_York",
        [2024, 1, 3, 10, 10, 7, 70, 1, 59, 59, 999],
    ),
    (
        "2024-03-10T07:00:00Z",
        "America/New_York",
        [2024, 1, 3, 10, 10, 7, 70, 3, 0, 0, 0],
    ),
    (
        "2024-11-03T05:30:00Z",
        "America/New_York",
        [2024, 4, 11, 44, 3, 7, 308, 1, 30, 0, 0],
    ),
    (
        "2024-11-03T06:30:00.001Z",
        "America/New_York",
        [2024, 4, 11, 44, 3, 7, 308, 1, 30, 0, 1],
    ),
    (
        "2024-03-31T01:15:30Z",
        "Europe/Vienna",
        [2024, 1, 3, 13, 31, 7, 91, 3, 15, 30, 0],
    ),
    (
        "2024-10-27T00:59:59Z",
        "Europe/Vienna",
        [2024, 4, 10, 43, 27, 7, 301, 2, 59, 59, 0],
    ),
    (
        "2024-10-27T01:00:00Z",
        "Europe/Vienna",
        [2024, 4, 10, 43, 27, 7, 301, 2, 0, 0, 0],
    ),
    (
        "2024-12-30T23:30:00Z",
        "Europe/Vienna",
        [2024, 4, 12, 1, 31, 2, 366, 0, 30, 0, 0],
    ),
    (
        "2021-01-03T12:00:00Z",
        "UTC",
        [2021, 1, 1, 53, 3, 7, 3, 12, 0, 0, 0],
    ),
    (
        "2020-12-31T12:00:00Z",
        "UTC",
        [2020, 4, 12, 53, 31, 4, 366, 12, 0, 0, 0],
    ),
    (
        "2024-02-29T23:59:59.999Z",
        "UTC",
        [2024, 1, 2, 9, 29, 4, 60, 23, 59, 59, 999],
    ),
    (
        "1969-12-31T23:59:59.999Z",
        "UTC",
        [1969, 4, 12, 1, 31, 3, 365, 23, 59, 59, 999],
    ),
    (
        "1900-03-01T00:00:00Z",
        "Europe/Vienna",
        [1900, 1, 3, 9, 1, 4, 60, 1, 0, 0, 0],
    ),
    (
        "1883-11-18T16:59:00Z",
        "America/New_York",
        [1883, 4, 11, 46, 18, 7, 322, 12, 2, 58, 0],
    ),
    (
        "0001-01-02T00:00:00Z",
        "UTC",
        [1, 1, 1, 1, 2, 2, 2, 0, 0, 0, 0],
    ),
    (
        "9999-12-31T23:59:59.999Z",
        "UTC",
        [9999, 4, 12, 52, 31, 5, 365, 23, 59, 59, 999],
    ),
    (
        "2008-12-29T00:00:00Z",
        "Asia/Kolkata",
        [2008, 4, 12, 1, 29, 1, 364, 5, 30, 0, 0],
    ),
    (
        "1582-10-15T00:00:00Z",
        "UTC",
        [1582, 4, 10, 41, 15, 5, 288, 0, 0, 0, 0],
    ),
    (
        "2025-04-05T15:15:00Z",
        "Australia/Lord_Howe",
        [2025, 2, 4, 14, 6, 7, 96, 1, 45, 0, 0],
    ),
];

const ADDED_BY_PYTHON: &[(&str, i64, &str, &str, i64)] = &[
    (
        "day",
        1,
        "2024-03-09T07:30:00Z",
        "America/New_York",
        1710055800000,
    ),
    (
        "hour",
        24,
        "2024-03-09T07:30:00Z",
        "America/New_York",
        1710055800000,
    ),
    (
        "day",
        1,
        "2024-11-02T05:30:00Z",
        "America/New_York",
        1730611800000,
    ),
    (
        "day",
        0,
        "2024-11-03T06:30:00Z",
        "America/New_York",
        1730611800000,
    ),
    (
        "hour",
        1,
        "2024-11-03T05:30:00Z",
        "America/New_York",
        1730615400000,
    ),
    (
        "week",
        1,
        "2024-03-24T01:30:00Z",
        "Europe/Vienna",
        1711848600000,
    ),
    (
        "month",
        1,
        "2024-02-29T01:30:00Z",
        "Europe/Vienna",
        1711675800000,
    ),
    ("month", 1, "2024-01-31T12:00:00Z", "UTC", 1709208000000),
    ("month", -1, "2024-03-31T12:00:00Z", "UTC", 1709208000000),
    ("month", 13, "2023-01-31T12:00:00Z", "UTC", 1709208000000),
    ("quarter", -1, "2024-05-31T12:00:00Z", "UTC", 1709208000000),
    ("year", 1, "2024-02-29T12:00:00Z", "UTC", 1740744000000),
    ("year", -4, "2024-02-29T12:00:00Z", "UTC", 1582977600000),
    ("year", 7975, "2024-02-29T12:00:00Z", "UTC", 253375819200000),
    (
        "day",
        -700000,
        "2024-02-29T12:00:00Z",
        "UTC",
        -58770792000000,
    ),
    ("minute", -1, "1970-01-01T00:00:00Z", "UTC", -60000),
    (
        "millisecond",
        1,
        "9999-12-31T23:59:59.998Z",
        "UTC",
        253402300799999,
    ),
    (
        "second",
        90,
        "2024-03-10T06:59:00Z",
        "America/New_York",
        1710054030000,
    ),
];

const DIFFERENCES_BY_PYTHON: &[(&str, &str, &str, &str, i64)] = &[
    (
        "day",
        "2024-03-09T17:00:00Z",
        "2024-03-10T16:00:00Z",
        "America/New_York",
        1,
    ),
    (
        "day",
        "2024-03-09T17:00:00Z",
        "2024-03-10T15:59:59Z",
        "America/New_York",
        0,
    ),
    (
        "hour",
        "2024-03-09T17:00:00Z",
        "2024-03-10T16:00:00Z",
        "America/New_York",
        23,
    ),
    (
        "day",
        "2024-11-02T16:00:00Z",
        "2024-11-03T16:30:00Z",
        "America/New_York",
        0,
    ),
    (
        "month",
        "2024-01-31T00:00:00Z",
        "2024-02-29T00:00:00Z",
        "UTC",
        1,
    ),
    (
        "month",
        "2024-01-31T00:00:00Z",
        "2024-02-28T23:59:59Z",
        "UTC",
        0,
    ),
    (
        "month",
        "2024-03-31T00:00:00Z",
        "2024-02-29T00:00:00Z",
        "UTC",
        -1,
    ),
    (
        "month",
        "2024-03-31T00:00:00Z",
        "2024-02-29T00:00:01Z",
        "UTC",
        0,
    ),
    (
        "year",
        "2000-02-29T00:00:00Z",
        "2024-02-28T00:00:00Z",
        "UTC",
        23,
    ),
    (
        "year",
        "2024-02-28T00:00:00Z",
        "2000-02-29T00:00:00Z",
        "UTC",
        -23,
    ),
    (
        "quarter",
        "2023-11-15T00:00:00Z",
        "2024-08-15T00:00:00Z",
        "UTC",
        3,
    ),
    (
        "week",
        "2024-01-01T00:00:00Z",
        "2024-12-30T00:00:00Z",
        "UTC",
        52,
    ),
    (
        "year",
        "0001-01-01T00:00:00Z",
        "9999-12-31T00:00:00Z",
        "UTC",
        9998,
    ),
    (
        "millisecond",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00.001Z",
        "UTC",
        2,
    ),
    (
        "minute",
        "2024-01-01T00:00:59Z",
        "2024-01-01T00:00:00Z",
        "UTC",
        0,
    ),
    (
        "day",
        "2024-10-27T00:30:00Z",
        "2024-10-28T01:30:00Z",
        "Europe/Vienna",
        1,
    ),
    (
        "month",
        "2024-12-31T23:30:00Z",
        "2025-01-31T22:30:00Z",
        "Europe/Vienna",
        0,
    ),
];

const READ_BY_PYTHON: &[(&str, &str, i64)] = &[
    ("2024-03-10T02:30", "America/New_York", 1710055800000),
    ("2024-03-10T01:59:59.999", "America/New_York", 1710053999999),
    ("2024-11-03T01:30:00", "America/New_York", 1730611800000),
    ("2024-03-31T02:00", "Europe/Vienna", 1711846800000),
    ("2024-10-27 02:59", "Europe/Vienna", 1729990740000),
    ("2024-07-01", "Europe/Vienna", 1719784800000),
    ("1899-12-31", "Europe/Vienna", -2209078800000),
    ("0001-01-02T03:04:05", "UTC", -62135499355000),
    ("9999-12-31T23:59:59.999", "UTC", 253402300799999),
    ("2024-07-01", "Asia/Kolkata", 1719772200000),
];

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
