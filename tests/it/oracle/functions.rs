//! The functions of query expressions, on values that are already computed.

use super::parts::{number_of_two, of_texts, rounded};
use super::strict::{escaped, strict};
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
        "like" if args.len() == 2 => compared(args, |text, pattern| like(text, pattern, false)),
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
        "like" => escaped(args),
        "plus" | "minus" | "times" | "quotient" | "div" | "append" | "charLength" | "position"
        | "substr" | "nullIf" | "greatest" | "least" | "toNumber" | "toInteger" | "toText"
        | "toBoolean" => strict(name, args),
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
        _ => value.js_string(),
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
                "\"1,x[object Object]\"",
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
}
