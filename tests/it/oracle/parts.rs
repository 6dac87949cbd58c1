//! Functions that take numbers and texts apart; of anything else they make null.

use super::value::V;

/// `abs`, `floor`, `ceil`, and `round` with perhaps a number of digits.
pub(super) fn rounded(name: &str, args: &[V]) -> V {
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
pub(super) fn number_of_two(name: &str, a: &V, b: &V) -> V {
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
pub(super) fn of_texts(name: &str, args: &[V]) -> V {
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
    use crate::oracle::functions::call;
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
