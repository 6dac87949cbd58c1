//! Arithmetic: exact on integers.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::text::{is_space, to_text};
use super::{Datum, Function, UNKNOWN};
use crate::value::{Value, ValueRef};

pub(super) fn call<'a>(
    function: Function,
    n: usize,
    arg: &dyn Fn(usize) -> Datum<'a>,
) -> Datum<'a> {
    let first = arg(0);
    let a = first.as_ref();
    let result = match function {
        Function::Abs => Number::of(a).and_then(|a| match a {
            Number::Int(i) => Some(Value::int(i.abs())),
            Number::Float(f) => finite(f.abs()),
        }),
        Function::Floor => whole(a, f64::floor),
        Function::Ceil => whole(a, f64::ceil),
        Function::Round if n == 1 => whole(a, f64::round),
        Function::Round => round(a, arg(1).as_ref()),
        _ => {
            let second = arg(1);
            let b = second.as_ref();
            match function {
                Function::Add => Some(add(a, b)),
                Function::Subtract => Some(arithmetic(a, b, i128::checked_sub, |a, b| a - b)),
                Function::Multiply => Some(arithmetic(a, b, i128::checked_mul, |a, b| a * b)),
                Function::Divide => Some(divide(a, b)),
                Function::Mod => remainder(a, b),
                Function::Power => power(a, b),
                other => unreachable!("{other:?} is no arithmetic"),
            }
        }
    };
    result.map_or(UNKNOWN, Datum::Own)
}

/// JavaScript's `Number(value)`, exact for 64-bit integers; null and missing are 0.
pub(crate) fn to_number(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Missing | ValueRef::Null => Value::Int(0),
        ValueRef::Bool(b) => Value::Int(b.into()),
        ValueRef::Int(i) => Value::Int(i),
        ValueRef::Float(f) => Value::Float(f),
        ValueRef::Str(s) => parse_number(s.trim_matches(is_space)),
        // Of an array, the number that its text is.
        ValueRef::Array(_) => parse_number(to_text(value).trim_matches(is_space)),
        ValueRef::Object(_) => Value::Float(f64::NAN),
    }
}

/// Reads a number as JavaScript does; NaN if it is none.
fn parse_number(s: &str) -> Value {
    let radix = match s.as_bytes() {
        [b'0', b'x' | b'X', ..] => Some(16),
        [b'0', b'o' | b'O', ..] => Some(8),
        [b'0', b'b' | b'B', ..] => Some(2),
        _ => None,
    };
    if let Some(radix) = radix {
        let digit =
            |value: f64, c: char| Some(value * f64::from(radix) + f64::from(c.to_digit(radix)?));
        let value = match s[2..].chars().try_fold(0.0, digit) {
            Some(value) if s.len() > 2 => value,
            _ => f64::NAN,
        };
        return Value::float(value);
    }
    let decimal = s
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    match (s, s.parse::<i128>()) {
        ("", _) => Value::Int(0),
        ("Infinity" | "+Infinity", _) => Value::Float(f64::INFINITY),
        ("-Infinity", _) => Value::Float(f64::NEG_INFINITY),
        (_, Ok(i)) => Value::int(i),
        _ if decimal => Value::float(s.parse().unwrap_or(f64::NAN)),
        _ => Value::Float(f64::NAN),
    }
}

fn add(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    use ValueRef::{Array, Object, Str};
    match (a, b) {
        // JavaScript's `+` joins what is no number; null and missing are 0 before that.
        (Str(_) | Array(_) | Object(_), _) | (_, Str(_) | Array(_) | Object(_)) => {
            let text = |v: ValueRef<'_>| {
                if v.is_nullish() {
                    Cow::Borrowed("0")
                } else {
                    Cow::Owned(to_text(v).into_owned())
                }
            };
            Value::Str(SmolStr::from(text(a) + text(b)))
        }
        _ => arithmetic(a, b, i128::checked_add, |a, b| a + b),
    }
}

fn arithmetic(
    a: ValueRef<'_>,
    b: ValueRef<'_>,
    exact: impl Fn(i128, i128) -> Option<i128>,
    rounded: impl Fn(f64, f64) -> f64,
) -> Value {
    if let (ValueRef::Int(a), ValueRef::Int(b)) = (a, b)
        && let Some(result) = exact(a, b)
    {
        return Value::int(result);
    }
    let (a, b) = (to_number(a), to_number(b));
    if let (Value::Int(a), Value::Int(b)) = (&a, &b)
        && let Some(result) = exact(*a, *b)
    {
        return Value::int(result);
    }
    let float = |v: &Value| v.as_ref().as_f64().unwrap_or(f64::NAN);
    Value::float(rounded(float(&a), float(&b)))
}

fn divide(a: ValueRef<'_>, b: ValueRef<'_>) -> Value {
    let (a, b) = (to_number(a), to_number(b));
    match (&a, &b) {
        (_, Value::Int(0)) => Value::Null,
        (Value::Int(a), Value::Int(b)) if a % b == 0 => Value::int(a / b),
        _ => {
            let float = |v: &Value| v.as_ref().as_f64().unwrap_or(f64::NAN);
            Value::float(float(&a) / float(&b))
        }
    }
}

/// A value that is a number.
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    pub(super) fn of(value: ValueRef<'_>) -> Option<Number> {
        match value {
            ValueRef::Int(i) => Some(Number::Int(i)),
            ValueRef::Float(f) => Some(Number::Float(f)),
            _ => None,
        }
    }

    pub(super) fn float(&self) -> f64 {
        match *self {
            Number::Int(i) => i as f64,
            Number::Float(f) => f,
        }
    }
}

pub(super) fn finite(f: f64) -> Option<Value> {
    f.is_finite().then(|| Value::float(f))
}

/// Makes a number whole.
fn whole(a: ValueRef<'_>, to_whole: impl Fn(f64) -> f64) -> Option<Value> {
    match Number::of(a)? {
        Number::Int(i) => Some(Value::int(i)),
        Number::Float(f) => finite(to_whole(f)),
    }
}

/// Rounds to decimal digits, before the point where negative.
fn round(a: ValueRef<'_>, digits: ValueRef<'_>) -> Option<Value> {
    let ValueRef::Int(digits) = digits else {
        return None;
    };
    match Number::of(a)? {
        Number::Int(i) if digits >= 0 => Some(Value::int(i)),
        Number::Int(i) => {
            let unit = u32::try_from(-digits)
                .ok()
                .and_then(|d| 10i128.checked_pow(d));
            // No integer is half as large as a unit of more digits than 128 bits have.
            let Some(unit) = unit else {
                return Some(Value::Int(0));
            };
            let half = if i < 0 { -(unit / 2) } else { unit / 2 };
            Some(Value::int((i + half) / unit * unit))
        }
        Number::Float(f) if f.is_finite() => finite(round_decimal(f, digits)),
        Number::Float(_) => None,
    }
}

/// Rounds a float as people read it, so that 1.005 to two digits is 1.01: by the digits of the
/// shortest decimal that is the float.
fn round_decimal(f: f64, digits: i128) -> f64 {
    let text = format!("{:e}", f.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i128 = exponent.parse().unwrap_or(0);
    let mut decimal: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    // How many of the digits stay: there is one before the mantissa's point.
    let kept = 1 + exponent + digits;
    if kept >= decimal.len() as i128 {
        return f;
    }
    if kept < 0 || (kept == 0 && decimal[0] < b'5') {
        return 0.0;
    }
    let kept = kept as usize;
    let up = decimal[kept] >= b'5';
    decimal.truncate(kept);
    let number = String::from_utf8(decimal).unwrap_or_default();
    // At most 17 digits are left.
    let number = number.parse::<i64>().unwrap_or(0) + i64::from(up);
    let rounded: f64 = format!("{number}e{}", -digits).parse().unwrap_or(f64::NAN);
    rounded.copysign(f)
}

fn remainder(a: ValueRef<'_>, b: ValueRef<'_>) -> Option<Value> {
    match (Number::of(a)?, Number::of(b)?) {
        (Number::Int(a), Number::Int(b)) => a.checked_rem(b).map(Value::int),
        (a, b) => finite(a.float() % b.float()),
    }
}

fn power(a: ValueRef<'_>, b: ValueRef<'_>) -> Option<Value> {
    let (a, b) = (Number::of(a)?, Number::of(b)?);
    if let (Number::Int(base), Number::Int(exponent)) = (&a, &b) {
        // A float would lose whether a great exponent is even.
        match (*base, *exponent) {
            (1, _) => return Some(Value::Int(1)),
            (-1, exponent) => return Some(Value::Int(if exponent % 2 == 0 { 1 } else { -1 })),
            _ => {}
        }
        let exact = u32::try_from(*exponent).ok();
        if let Some(exact) = exact.and_then(|exponent| base.checked_pow(exponent)) {
            return Some(Value::int(exact));
        }
    }
    finite(a.float().powf(b.float()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::Function::*;

    #[test]
    fn arithmetic_follows_javascript_and_is_exact_on_integers() {
        check(&[
            (Add, &["\"5\"", "1"], "\"51\""),
            (Add, &["null", "\"a\""], "\"0a\""),
            (Add, &["9223372036854775807", "1"], "9223372036854775808"),
            (
                Add,
                &["18446744073709551615", "1"],
                "1.8446744073709552e+19",
            ),
            (Subtract, &["\"5\"", "1"], "4"),
            (Subtract, &["\" 0x10\\ufeff\"", "0"], "16"),
            (Subtract, &["\"0b11\"", "\"0O17\""], "-12"),
            (Subtract, &["\"0x\"", "0"], "null"),
            (Subtract, &["\"-Infinity\"", "0"], "null"),
            (Multiply, &["0.5", "4"], "2"),
            (Multiply, &["null", "4"], "0"),
            (Divide, &["7", "2"], "3.5"),
            (Divide, &["6", "2"], "3"),
            (Divide, &["0", "0"], "null"),
            (Divide, &["null", "2"], "0"),
            (Divide, &["1", "null"], "null"),
        ]);
    }

    #[test]
    fn numbers_stay_numbers() {
        check(&[
            (Abs, &["-3"], "3"),
            (Abs, &["-9223372036854775808"], "9223372036854775808"),
            (Abs, &["-2.5"], "2.5"),
            (Abs, &["\"3\""], "null"),
            (Abs, &["null"], "null"),
            (Abs, &["undefined"], "null"),
            (Abs, &["Infinity"], "null"),
            (Abs, &["NaN"], "null"),
            (Floor, &["-1.5"], "-2"),
            (Floor, &["18446744073709551615"], "18446744073709551615"),
            (Floor, &["true"], "null"),
            (Ceil, &["-1.5"], "-1"),
            (Ceil, &["-0.5"], "0"),
            (Ceil, &["1e300"], "1e+300"),
            (Round, &["2.5"], "3"),
            (Round, &["-2.5"], "-3"),
            (Round, &["0.49999999999999994"], "0"),
            (Round, &["1.005", "2"], "1.01"),
            (Round, &["-2.675", "2"], "-2.68"),
            (Round, &["9.995", "2"], "10"),
            (Round, &["0.05", "1"], "0.1"),
            (Round, &["0.04", "1"], "0"),
            (Round, &["0.005", "1"], "0"),
            (Round, &["1234.5", "-2"], "1200"),
            (Round, &["1250.5", "-2"], "1300"),
            (Round, &["55.5", "-2"], "100"),
            (Round, &["49.5", "-2"], "0"),
            (Round, &["1250", "-2"], "1300"),
            (Round, &["-1250", "-2"], "-1300"),
            (Round, &["1249", "-2"], "1200"),
            (Round, &["18446744073709551615", "-20"], "0"),
            (Round, &["18446744073709551615", "-19"], "2e+19"),
            (Round, &["7", "-1000000000000"], "0"),
            (Round, &["7.25", "-1000000000000"], "0"),
            (Round, &["7.25", "1000000000000"], "7.25"),
            (Round, &["5e-324", "323"], "1e-323"),
            (Round, &["1e308", "-308"], "1e+308"),
            (Round, &["1.7e308", "-308"], "null"),
            (Round, &["1.5", "null"], "null"),
            (Round, &["1.5", "0.5"], "null"),
            (Round, &["null", "1"], "null"),
            (Mod, &["7", "3"], "1"),
            (Mod, &["-7", "3"], "-1"),
            (Mod, &["7", "-3"], "1"),
            (Mod, &["-9223372036854775808", "-1"], "0"),
            (Mod, &["7.5", "2"], "1.5"),
            (Mod, &["7", "0"], "null"),
            (Mod, &["7.5", "0"], "null"),
            (Mod, &["7", "null"], "null"),
            (Mod, &["Infinity", "2"], "null"),
            (Mod, &["2", "Infinity"], "2"),
            (Power, &["2", "63"], "9223372036854775808"),
            (Power, &["3", "40"], "12157665459056928801"),
            (Power, &["2", "64"], "1.8446744073709552e+19"),
            (Power, &["2", "-1"], "0.5"),
            (Power, &["2", "0.5"], "1.4142135623730951"),
            (Power, &["-2", "0.5"], "null"),
            (Power, &["0", "-1"], "null"),
            (Power, &["10", "400"], "null"),
            (Power, &["0", "0"], "1"),
            (Power, &["-1", "18446744073709551615"], "-1"),
            (Power, &["1", "18446744073709551615"], "1"),
            (Power, &["\"2\"", "2"], "null"),
        ]);
    }
}
