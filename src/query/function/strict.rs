//! Functions that are null as soon as they lack a value or have one of another type, as SQL's
//! operators and casts are.

use super::number::{self, Number};
use super::text::to_text;
use super::{Datum, Function, MAX_MADE, UNKNOWN};
use crate::value::{Value, ValueRef};

pub(super) fn call<'a>(
    function: Function,
    n: usize,
    arg: &dyn Fn(usize) -> Datum<'a>,
) -> Datum<'a> {
    match function {
        Function::Greatest | Function::Least => extreme(function, n, arg),
        Function::NullIf => {
            let a = arg(0);
            match a.as_ref() == arg(1).as_ref() && !a.as_ref().is_nullish() {
                true => UNKNOWN,
                false => a,
            }
        }
        _ => strict(function, n, arg).map_or(UNKNOWN, Datum::Own),
    }
}

fn strict<'a>(function: Function, n: usize, arg: &dyn Fn(usize) -> Datum<'a>) -> Option<Value> {
    let first = arg(0);
    let a = first.as_ref();
    match function {
        Function::Plus | Function::Minus | Function::Times | Function::Quotient | Function::Div => {
            let second = arg(1);
            arithmetic(function, a, second.as_ref())
        }
        Function::Append => {
            let mut text = String::new();
            for i in 0..n {
                let part = arg(i);
                let part = part.as_ref();
                if part.is_nullish() {
                    return None;
                }
                let part = to_text(part);
                if text.len() + part.len() > MAX_MADE {
                    return None;
                }
                text += &part;
            }
            Some(text.into())
        }
        Function::CharLength => Some(Value::int(a.as_str()?.chars().count() as i128)),
        Function::Position => {
            let part = arg(1);
            let (s, part) = (a.as_str()?, part.as_ref().as_str()?);
            let place = s.find(part).map_or(0, |at| s[..at].chars().count() + 1);
            Some(Value::int(place as i128))
        }
        Function::Substr => {
            let length = match n {
                2 => None,
                _ => Some(integer(arg(2).as_ref())?),
            };
            substr(a.as_str()?, integer(arg(1).as_ref())?, length)
        }
        Function::ToNumber => to_number(a),
        Function::ToInteger => to_integer(a),
        Function::ToText => match a {
            a if a.is_nullish() => None,
            ValueRef::Array(_) | ValueRef::Object(_) => Some(a.to_string().into()),
            a => Some(to_text(a).into_owned().into()),
        },
        Function::ToBoolean => match a {
            ValueRef::Bool(b) => Some(b.into()),
            ValueRef::Int(i) => Some((i != 0).into()),
            ValueRef::Str(s) => match &*s.trim().to_ascii_lowercase() {
                "true" | "t" | "yes" | "y" | "on" | "1" => Some(true.into()),
                "false" | "f" | "no" | "n" | "off" | "0" => Some(false.into()),
                _ => None,
            },
            _ => None,
        },
        other => unreachable!("{other:?} is not strict"),
    }
}

fn arithmetic(function: Function, a: ValueRef<'_>, b: ValueRef<'_>) -> Option<Value> {
    let (x, y) = (Number::of(a)?, Number::of(b)?);
    let operation = match function {
        Function::Plus => Function::Add,
        Function::Minus => Function::Subtract,
        Function::Times => Function::Multiply,
        Function::Quotient => Function::Divide,
        _ => {
            return match (x, y) {
                (Number::Int(x), Number::Int(y)) => x.checked_div(y).map(Value::int),
                (x, y) => number::finite((x.float() / y.float()).trunc()),
            };
        }
    };
    let result = number::call(operation, 2, &|i| Datum::Ref([a, b][i])).into_value();
    match result {
        Value::Float(f) if !f.is_finite() => None,
        Value::Null => None,
        result => Some(result),
    }
}

fn integer(value: ValueRef<'_>) -> Option<i128> {
    match value {
        ValueRef::Int(i) => Some(i),
        _ => None,
    }
}

/// SQL's `substring`: characters from the first, which is 1, on.
fn substr(s: &str, start: i128, length: Option<i128>) -> Option<Value> {
    let end = match length {
        Some(length) if length < 0 => return None,
        Some(length) => start.saturating_add(length),
        None => i128::MAX,
    };
    let skip = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX);
    let take = usize::try_from(end.saturating_sub(start.max(1)).max(0)).unwrap_or(usize::MAX);
    let text: String = s.chars().skip(skip).take(take).collect();
    Some(text.into())
}

fn to_number(value: ValueRef<'_>) -> Option<Value> {
    match value {
        ValueRef::Bool(b) => Some(Value::int(b.into())),
        ValueRef::Int(i) => Some(Value::int(i)),
        ValueRef::Float(f) => number::finite(f),
        ValueRef::Str(s) => {
            let s = s.trim();
            let decimal = |b: u8| b.is_ascii_digit() || b"+-.eE".contains(&b);
            match s.parse::<i128>() {
                Ok(i) => Some(Value::int(i)),
                Err(_) if s.bytes().all(decimal) => number::finite(s.parse().ok()?),
                Err(_) => None,
            }
        }
        _ => None,
    }
}

/// Fractions are rounded, halves to the even number; texts must be whole numbers.
fn to_integer(value: ValueRef<'_>) -> Option<Value> {
    match value {
        ValueRef::Float(f) => match number::finite(f.round_ties_even())? {
            whole @ Value::Int(_) => Some(whole),
            _ => None,
        },
        ValueRef::Str(s) => match s.trim().parse::<i128>().map(Value::int) {
            Ok(whole @ Value::Int(_)) => Some(whole),
            _ => None,
        },
        value => to_number(value),
    }
}

/// Of the values that are there, in the order of all values.
fn extreme<'a>(function: Function, n: usize, arg: &dyn Fn(usize) -> Datum<'a>) -> Datum<'a> {
    let known = (0..n).map(arg).filter(|v| !v.as_ref().is_nullish());
    let compare = |a: &Datum<'a>, b: &Datum<'a>| a.as_ref().cmp(&b.as_ref());
    let found = match function {
        Function::Greatest => known.max_by(compare),
        _ => known.min_by(compare),
    };
    found.unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::Function::*;

    #[test]
    fn what_lacks_a_value_is_null() {
        check(&[
            (Plus, &["1", "2"], "3"),
            (Plus, &["null", "2"], "null"),
            (Plus, &["\"1\"", "2"], "null"),
            (Minus, &["1", "undefined"], "null"),
            (Times, &["0.5", "4"], "2"),
            (Times, &["1e308", "10"], "null"),
            (Quotient, &["7", "2"], "3.5"),
            (Quotient, &["7", "0"], "null"),
            (Div, &["-7", "2"], "-3"),
            (Div, &["7.5", "2"], "3"),
            (Div, &["7", "0"], "null"),
            (Div, &["7.5", "0"], "null"),
            (Append, &["\"a\"", "1.5", "true"], "\"a1.5true\""),
            (Append, &["\"a\"", "null"], "null"),
            (CharLength, &["\"a😀\""], "2"),
            (CharLength, &["5"], "null"),
            (Position, &["\"añb\"", "\"b\""], "3"),
            (Position, &["\"añb\"", "\"x\""], "0"),
            (NullIf, &["1", "1.0"], "null"),
            (NullIf, &["1", "null"], "1"),
            (NullIf, &["null", "null"], "null"),
            (Greatest, &["1", "null", "3", "2.5"], "3"),
            (Least, &["null", "undefined"], "null"),
            (Least, &["2", "1.5"], "1.5"),
        ]);
    }

    #[test]
    fn substrings_count_characters_from_one() {
        check(&[
            (Substr, &["\"a😀cd\"", "2"], "\"😀cd\""),
            (Substr, &["\"abcd\"", "2", "2"], "\"bc\""),
            (Substr, &["\"abcd\"", "0", "2"], "\"a\""),
            (Substr, &["\"abcd\"", "-5", "2"], "\"\""),
            (Substr, &["\"abcd\"", "9"], "\"\""),
            (Substr, &["\"abcd\"", "2", "-1"], "null"),
            (Substr, &["\"abcd\"", "null"], "null"),
        ]);
    }

    #[test]
    fn casts_give_null_for_what_is_none() {
        check(&[
            (ToNumber, &["\" 1.50 \""], "1.5"),
            (ToNumber, &["\"1e3\""], "1000"),
            (ToNumber, &["\"x\""], "null"),
            (ToNumber, &["\"\""], "null"),
            (ToNumber, &["\"Infinity\""], "null"),
            (ToNumber, &["true"], "1"),
            (ToInteger, &["2.5"], "2"),
            (ToInteger, &["-3.5"], "-4"),
            (ToInteger, &["1e300"], "null"),
            (ToInteger, &["\"12\""], "12"),
            (ToInteger, &["\"1.5\""], "null"),
            (ToText, &["1.5"], "\"1.5\""),
            (ToText, &["null"], "null"),
            (ToText, &["{\"a\":[1]}"], "\"{\\\"a\\\":[1]}\""),
            (ToBoolean, &["\"YES\""], "true"),
            (ToBoolean, &["0"], "false"),
            (ToBoolean, &["\"maybe\""], "null"),
        ]);
    }

    #[test]
    fn patterns_may_be_escaped() {
        check(&[
            (Like, &["\"a%b\"", "\"a!%b\"", "\"!\""], "true"),
            (Like, &["\"axb\"", "\"a!%b\"", "\"!\""], "false"),
            (Like, &["\"a!b\"", "\"a!!b\"", "\"!\""], "true"),
            (Ilike, &["\"A_\"", "\"a\\\\_\"", "\"\\\\\""], "true"),
            (Like, &["\"a\\\\b\"", "\"a\\\\b\"", "\"\""], "true"),
            (Like, &["\"a\"", "\"a!\"", "\"!\""], "false"),
            (Like, &["null", "\"a\"", "\"!\""], "null"),
            (Like, &["5", "\"a\"", "\"!\""], "false"),
            (Like, &["\"a\"", "\"a\"", "\"!!\""], "false"),
        ]);
    }
}
