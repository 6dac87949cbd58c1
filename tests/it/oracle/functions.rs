//! The functions of query expressions, on values that are already computed.

use super::value::V;
use std::cmp::Ordering;

/// Calls a function; panics on an unknown one.
pub(crate) fn call(name: &str, args: &[V]) -> V {
    match name {
        "eq" => compared(args, V::same),
        "gt" => compared(args, |a, b| relation(a, b) == Ordering::Greater),
        "gte" => compared(args, |a, b| relation(a, b) != Ordering::Less),
        "lt" => compared(args, |a, b| relation(a, b) == Ordering::Less),
        "lte" => compared(args, |a, b| relation(a, b) != Ordering::Greater),
        "in" => one_of(&args[0], &args[1]),
        "like" => compared(args, |text, pattern| like(text, pattern, false)),
        "ilike" => compared(args, |text, pattern| like(text, pattern, true)),
        "and" => and(args),
        "or" => or(args),
        "not" if args[0].nullish() => V::Null,
        "not" => V::Bool(!args[0].truthy()),
        "isNull" => V::Bool(matches!(args[0], V::Null)),
        "isUndefined" => V::Bool(args[0].is_missing()),
        "upper" => mapped(&args[0], |s| s.to_uppercase()),
        "lower" => mapped(&args[0], |s| s.to_lowercase()),
        "length" => V::int(match &args[0] {
            V::Str(s) => s.encode_utf16().count() as i128,
            V::Arr(items) => items.len() as i128,
            _ => 0,
        }),
        "concat" => V::Str(args.iter().map(text).collect()),
        "coalesce" => args
            .iter()
            .find(|v| !v.nullish())
            .cloned()
            .unwrap_or(V::Null),
        "add" | "subtract" | "multiply" => arithmetic(name, &or_zero(&args[0]), &or_zero(&args[1])),
        "divide" => divide(&or_zero(&args[0]), &or_zero(&args[1])),
        "caseWhen" => case_when(args),
        "array" => V::Arr(args.iter().cloned().map(V::or_null).collect()),
        "abs" | "floor" | "ceil" | "round" => rounded(name, args),
        "mod" | "power" => number_of_two(name, &args[0], &args[1]),
        "trim" | "substring" | "replace" | "split" => of_texts(name, args),
        "startsWith" | "endsWith" => compared(args, |text, part| match (text, part) {
            (V::Str(text), V::Str(part)) if name == "startsWith" => text.starts_with(part),
            (V::Str(text), V::Str(part)) => text.ends_with(part),
            _ => false,
        }),
        _ => panic!("unknown function {name:?}"),
    }
}

/// A comparison of two values: UNKNOWN (null) when either is null or missing.
fn compared(args: &[V], test: impl Fn(&V, &V) -> bool) -> V {
    if args[0].nullish() || args[1].nullish() {
        V::Null
    } else {
        V::Bool(test(&args[0], &args[1]))
    }
}

/// JavaScript's `<` and `>`: two strings (here by code point), else two numbers. What cannot be
/// compared (`"x"` and 3) is neither less nor greater, so `gte` and `lte` hold.
fn relation(a: &V, b: &V) -> Ordering {
    let primitive = |v: &V| {
        if matches!(v, V::Arr(_) | V::Obj(_)) {
            V::Str(v.js_string())
        } else {
            v.clone()
        }
    };
    let (a, b) = (primitive(a), primitive(b));
    if matches!((&a, &b), (V::Str(_), V::Str(_))) {
        return a.order(&b);
    }
    let (a, b) = (a.js_number(), b.js_number());
    if a.as_f64().is_nan() || b.as_f64().is_nan() {
        Ordering::Equal
    } else {
        a.order(&b)
    }
}

/// `in`: null elements match nothing, and make nothing unknown.
fn one_of(value: &V, list: &V) -> V {
    if value.nullish() {
        return V::Null;
    }
    V::Bool(match list {
        V::Arr(items) => items.iter().any(|item| item.same(value)),
        _ => false,
    })
}

/// Kleene's: only `false` is false; any other known value counts as true.
fn and(args: &[V]) -> V {
    if args.iter().any(|v| matches!(v, V::Bool(false))) {
        V::Bool(false)
    } else if args.iter().any(V::nullish) {
        V::Null
    } else {
        V::Bool(true)
    }
}

/// Kleene's: only `true` is true; any other known value counts as false.
fn or(args: &[V]) -> V {
    if args.iter().any(V::is_true) {
        V::Bool(true)
    } else if args.iter().any(V::nullish) {
        V::Null
    } else {
        V::Bool(false)
    }
}

/// The whole text against a pattern of `%` (anything) and `_` (one UTF-16 unit); there is no escape
/// character.
fn like(text: &V, pattern: &V, ignore_case: bool) -> bool {
    let (V::Str(text), V::Str(pattern)) = (text, pattern) else {
        return false;
    };
    let units = |s: &str| -> Vec<u16> {
        if ignore_case {
            s.to_lowercase().encode_utf16().collect()
        } else {
            s.encode_utf16().collect()
        }
    };
    like_units(&units(text), &units(pattern))
}

fn like_units(text: &[u16], pattern: &[u16]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((&p, rest)) if p == u16::from(b'%') => {
            (0..=text.len()).any(|skip| like_units(&text[skip..], rest))
        }
        Some((&p, rest)) => match text.split_first() {
            Some((&t, text)) => (p == u16::from(b'_') || p == t) && like_units(text, rest),
            None => false,
        },
    }
}

fn mapped(value: &V, change: impl Fn(&str) -> String) -> V {
    if let V::Str(s) = value {
        V::Str(change(s))
    } else {
        value.clone()
    }
}

/// How `concat` shows a value: arrays and objects as JSON.
pub(super) fn text(value: &V) -> String {
    match value {
        V::Missing | V::Null => String::new(),
        V::Str(s) => s.clone(),
        _ => value.json_text(),
    }
}

fn or_zero(value: &V) -> V {
    if value.nullish() {
        V::Int(0)
    } else {
        value.clone()
    }
}

fn arithmetic(name: &str, a: &V, b: &V) -> V {
    let has_text = |v: &V| matches!(v, V::Str(_) | V::Arr(_) | V::Obj(_));
    if name == "add" && (has_text(a) || has_text(b)) {
        return V::Str(a.js_string() + &b.js_string());
    }
    let (a, b) = (a.js_number(), b.js_number());
    if let (V::Int(a), V::Int(b)) = (&a, &b) {
        let exact = match name {
            "add" => a.checked_add(*b),
            "subtract" => a.checked_sub(*b),
            _ => a.checked_mul(*b),
        };
        if let Some(exact) = exact {
            return V::int(exact);
        }
    }
    let (a, b) = (a.as_f64(), b.as_f64());
    V::float(match name {
        "add" => a + b,
        "subtract" => a - b,
        _ => a * b,
    })
}

/// Division of floats; by zero it is null.
fn divide(a: &V, b: &V) -> V {
    let (a, divisor) = (a.js_number().as_f64(), b.js_number().as_f64());
    if b.same(&V::Int(0)) {
        V::Null
    } else {
        V::float(a / divisor)
    }
}

/// `caseWhen(condition, value, …, default?)`: conditions by truthiness.
fn case_when(args: &[V]) -> V {
    for pair in args.chunks(2) {
        match pair {
            [condition, value] if condition.truthy() => return value.clone(),
            [default] => return default.clone(),
            _ => {}
        }
    }
    V::Null
}

/// `abs`, `floor`, `ceil`, and `round` with perhaps a number of digits.
fn rounded(name: &str, args: &[V]) -> V {
    let digits = match args.get(1) {
        None => 0,
        Some(V::Int(digits)) => *digits as i32,
        Some(_) => return V::Null,
    };
    match (&args[0], name) {
        (V::Int(i), "abs") => V::int(i.abs()),
        (V::Int(i), "round") if digits < 0 => {
            let unit = 10i128.pow(digits.unsigned_abs());
            let (below, rest) = (i.abs() / unit, i.abs() % unit);
            V::int(i.signum() * (below + i128::from(2 * rest >= unit)) * unit)
        }
        (V::Int(i), _) => V::int(*i),
        (V::Float(f), "abs") => V::float(f.abs()),
        (V::Float(f), "floor") => V::float(f.floor()),
        (V::Float(f), "ceil") => V::float(f.ceil()),
        (V::Float(f), _) if digits < 0 => {
            let unit = 10f64.powi(-digits);
            V::float((f / unit).round() * unit)
        }
        (V::Float(f), _) => {
            let parts = 10f64.powi(digits);
            V::float((f * parts).round() / parts)
        }
        _ => V::Null,
    }
}

/// `mod` and `power`, of two numbers.
fn number_of_two(name: &str, a: &V, b: &V) -> V {
    let is_number = |v: &V| matches!(v, V::Int(_) | V::Float(_));
    if !is_number(a) || !is_number(b) {
        return V::Null;
    }
    let exact = match (a, b) {
        (V::Int(_), V::Int(0)) if name == "mod" => return V::Null,
        (V::Int(a), V::Int(b)) if name == "mod" => Some(a % b),
        (V::Int(a), V::Int(b)) => u32::try_from(*b).ok().and_then(|b| a.checked_pow(b)),
        _ => None,
    };
    let (a, b) = (a.as_f64(), b.as_f64());
    match (exact, if name == "mod" { a % b } else { a.powf(b) }) {
        (Some(exact), _) => V::int(exact),
        (None, float) if float.is_finite() => V::float(float),
        _ => V::Null,
    }
}

/// The functions of text that give nothing for anything else.
fn of_texts(name: &str, args: &[V]) -> V {
    match (name, args) {
        ("trim", [V::Str(s)]) => V::str(s.trim()),
        ("substring", [V::Str(s), V::Int(start), rest @ ..]) => {
            let units: Vec<u16> = s.encode_utf16().collect();
            let size = units.len() as i128;
            let start = if *start < 0 { size + start } else { *start };
            let start = start.clamp(0, size);
            let end = match rest {
                [] => size,
                [V::Int(length)] => (start + length).clamp(start, size),
                _ => return V::Null,
            };
            V::Str(String::from_utf16_lossy(
                &units[start as usize..end as usize],
            ))
        }
        ("replace", [V::Str(s), V::Str(find), V::Str(with)]) => V::Str(s.replace(find, with)),
        ("split", [V::Str(s), V::Str(separator)]) => {
            V::Arr(s.split(separator.as_str()).map(V::str).collect())
        }
        _ => V::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::call;
    use crate::oracle::value::V;
    use serde_json::{Value, json};

    /// The result of a call as JSON text; empty for missing.
    fn called(name: &str, args: Value) -> String {
        let args: Vec<V> = args.as_array().unwrap().iter().map(V::from_json).collect();
        call(name, &args).json_text()
    }

    fn check(name: &str, cases: &[(Value, &str)]) {
        for (args, expected) in cases {
            assert_eq!(called(name, args.clone()), *expected, "{name}{args}");
        }
    }

    #[test]
    fn equality_is_structural_and_unknown_of_null() {
        check(
            "eq",
            &[
                (json!([null, null]), "null"),
                (json!([1, 1.0]), "true"),
                (json!([1, "1"]), "false"),
                (json!([1, true]), "false"),
                (json!([[1, {"a": 2}], [1.0, {"a": 2}]]), "true"),
                (json!([[1], [1, null]]), "false"),
            ],
        );
        assert_eq!(call("eq", &[V::Missing, V::Int(1)]).json_text(), "null");
        check(
            "in",
            &[
                (json!([5, [null]]), "false"),
                (json!([null, [null]]), "null"),
                (json!([5, null]), "false"),
            ],
        );
        check(
            "in",
            &[
                (json!([1, [2, 1.0]]), "true"),
                (json!([[1], [[1]]]), "true"),
            ],
        );
    }

    #[test]
    fn relations_are_javascript_s() {
        check(
            "gt",
            &[
                (json!([null, 1]), "null"),
                (json!(["10", "9"]), "false"),
                (json!(["10", 9]), "true"),
            ],
        );
        check(
            "gt",
            &[
                (json!(["😀", "\u{ff5e}"]), "true"),
                (json!([true, false]), "true"),
                (json!(["x", 3]), "false"),
            ],
        );
        check(
            "lt",
            &[
                (json!(["x", 3]), "false"),
                (json!([9007199254740992u64, 9007199254740993u64]), "true"),
            ],
        );
        check(
            "gte",
            &[
                (json!(["x", 3]), "true"),
                (json!([2, 2.0]), "true"),
                (json!([1.75, 2]), "false"),
            ],
        );
        check(
            "lte",
            &[
                (json!(["x", 3]), "true"),
                (json!(["", 0]), "true"),
                (json!([1, null]), "null"),
            ],
        );
    }

    #[test]
    fn logic_knows_three_values() {
        check(
            "and",
            &[
                (json!([true, null]), "null"),
                (json!([false, null]), "false"),
                (json!([0, true]), "true"),
            ],
        );
        check(
            "or",
            &[
                (json!([false, null]), "null"),
                (json!([true, null]), "true"),
                (json!([5, false]), "false"),
            ],
        );
        check(
            "not",
            &[
                (json!([null]), "null"),
                (json!([0]), "true"),
                (json!([[]]), "false"),
            ],
        );
        check("isNull", &[(json!([null]), "true"), (json!([0]), "false")]);
        assert!(call("isUndefined", &[V::Missing]).is_true());
        assert!(!call("isNull", &[V::Missing]).is_true());
    }

    #[test]
    fn patterns_match_the_whole_text() {
        check(
            "like",
            &[
                (json!(["abc", "a%"]), "true"),
                (json!(["abc", "b%"]), "false"),
                (json!(["", "%"]), "true"),
            ],
        );
        check(
            "like",
            &[
                (json!(["a\\b", "a\\%b"]), "true"),
                (json!(["😀", "_"]), "false"),
                (json!(["😀", "__"]), "true"),
            ],
        );
        check(
            "like",
            &[
                (json!([5, "5"]), "false"),
                (json!([null, "5"]), "null"),
                (json!(["a", null]), "null"),
            ],
        );
        check(
            "ilike",
            &[
                (json!(["ÉA", "é_"]), "true"),
                (json!(["a\nb", "A%B"]), "true"),
            ],
        );
    }

    #[test]
    fn text_functions() {
        check(
            "upper",
            &[
                (json!(["straße"]), "\"STRASSE\""),
                (json!([5]), "5"),
                (json!([null]), "null"),
            ],
        );
        assert!(call("lower", &[V::Missing]).is_missing());
        check(
            "length",
            &[
                (json!(["é😀"]), "3"),
                (json!([[1, 2]]), "2"),
                (json!([{"a": 1}]), "0"),
                (json!([null]), "0"),
            ],
        );
        check(
            "concat",
            &[(json!(["a", null, 1.0, true, 0.5]), "\"a1true0.5\"")],
        );
        check(
            "concat",
            &[(
                json!([[1.0, "x"], {"b": 1, "a": null}]),
                r#""[1,\"x\"]{\"a\":null,\"b\":1}""#,
            )],
        );
        check(
            "coalesce",
            &[(json!([null, false, 1]), "false"), (json!([null]), "null")],
        );
    }

    #[test]
    fn numbers() {
        check(
            "add",
            &[
                (json!([null, 1]), "1"),
                (json!([0.5, 0.5]), "1"),
                (json!(["5", 1]), "\"51\""),
            ],
        );
        check(
            "add",
            &[(json!([9007199254740992u64, 1]), "9007199254740993")],
        );
        check(
            "subtract",
            &[(json!(["5", 1]), "4"), (json!([null, null]), "0")],
        );
        let beyond = call("add", &[V::int(u64::MAX.into()), V::Int(1)]);
        assert!(matches!(beyond, V::Float(f) if f == 2f64.powi(64)));
        check(
            "multiply",
            &[(json!([null, 3]), "0"), (json!([1.5, 2]), "3")],
        );
        check(
            "divide",
            &[
                (json!([7, 2]), "3.5"),
                (json!([6, 2]), "3"),
                (json!([6, 0]), "null"),
                (json!([6, -0.0]), "null"),
            ],
        );
        check(
            "divide",
            &[
                (json!([null, 3]), "0"),
                (json!([3, null]), "null"),
                (json!([null, null]), "null"),
            ],
        );
        check(
            "caseWhen",
            &[
                (json!(["", 1, 2]), "2"),
                (json!([null, 1]), "null"),
                (json!([0, 1, [], 2, 3]), "2"),
            ],
        );
    }

    #[test]
    fn numbers_are_rounded_away_from_zero() {
        check(
            "abs",
            &[
                (json!([-0.5]), "0.5"),
                (json!([i64::MIN]), "9223372036854775808"),
            ],
        );
        check(
            "floor",
            &[
                (json!([-0.5]), "-1"),
                (json!(["2"]), "null"),
                (json!([null]), "null"),
            ],
        );
        check(
            "ceil",
            &[
                (json!([-0.5]), "0"),
                (json!([u64::MAX]), "18446744073709551615"),
            ],
        );
        check(
            "round",
            &[
                (json!([2.5]), "3"),
                (json!([-2.5]), "-3"),
                (json!([0.25, 1]), "0.3"),
                (json!([-0.75, 1]), "-0.8"),
                (json!([7, 1]), "7"),
                (json!([-15, -1]), "-20"),
                (json!([14.5, -1]), "10"),
                (json!([9007199254740993u64]), "9007199254740993"),
            ],
        );
        check(
            "mod",
            &[
                (json!([-7, 3]), "-1"),
                (json!([5.5, 2]), "1.5"),
                (json!([5, 0]), "null"),
                (json!([5, 0.0]), "null"),
                (json!(["5", 2]), "null"),
                (json!([9007199254740993u64, 2]), "1"),
            ],
        );
        check(
            "power",
            &[
                (json!([2, 10]), "1024"),
                (json!([-0.5, 3]), "-0.125"),
                (json!([-0.75, 0.5]), "null"),
                (json!([0, 0]), "1"),
                (json!([null, 1]), "null"),
            ],
        );
    }

    #[test]
    fn parts_of_texts() {
        check(
            "trim",
            &[(json!(["\t x y \n"]), "\"x y\""), (json!([5]), "null")],
        );
        check(
            "substring",
            &[
                (json!(["straße", 4]), "\"ße\""),
                (json!(["straße", -2]), "\"ße\""),
                (json!(["straße", -9, 2]), "\"st\""),
                (json!(["straße", 1, 3]), "\"tra\""),
                (json!(["straße", 4, 9]), "\"ße\""),
                (json!(["straße", 9]), "\"\""),
                (json!(["😀x", 2]), "\"x\""),
                (json!(["x", null]), "null"),
                (json!([5, 0]), "null"),
            ],
        );
        check(
            "replace",
            &[
                (json!(["xyx", "x", "zz"]), "\"zzyzz\""),
                (json!(["x", "x", null]), "null"),
            ],
        );
        check(
            "split",
            &[
                (json!(["a,b,", ","]), r#"["a","b",""]"#),
                (json!(["", ","]), r#"[""]"#),
                (json!([null, ","]), "null"),
            ],
        );
        check(
            "startsWith",
            &[
                (json!(["straße", "st"]), "true"),
                (json!(["straße", "t"]), "false"),
                (json!([5, "5"]), "false"),
                (json!([5, null]), "null"),
            ],
        );
        check(
            "endsWith",
            &[
                (json!(["straße", "ße"]), "true"),
                (json!([null, ""]), "null"),
            ],
        );
        let array = call("array", &[V::Int(1), V::Missing, V::Arr(vec![])]);
        assert_eq!(array.json_text(), "[1,null,[]]");
    }
}
