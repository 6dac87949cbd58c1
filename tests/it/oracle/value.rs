//! The oracle's own value: JSON plus `Missing` (JavaScript's undefined), with numbers compared by
//! value.
//!
//! Missing stands only at the top: an object simply has no such field, and arrays of JSON hold
//! none. (Row keys are the one exception: they are arrays whose parts may be missing.)

use serde_json::{Map, Number, Value};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Any value a query can meet.
#[derive(Clone, Debug)]
pub(crate) enum V {
    Missing,
    Null,
    Bool(bool),
    /// A whole number in [-2^63, 2^64).
    Int(i128),
    /// Every other number: a fraction, or one outside that range. Made only by [`V::float`].
    Float(f64),
    Str(String),
    Arr(Vec<V>),
    Obj(BTreeMap<String, V>),
}

const LOWEST: i128 = -(1 << 63);
const HIGHEST: i128 = (1 << 64) - 1;

impl V {
    /// A whole number; one that is out of range becomes a float.
    pub(crate) fn int(i: i128) -> V {
        if (LOWEST..=HIGHEST).contains(&i) {
            V::Int(i)
        } else {
            V::float(i as f64)
        }
    }

    /// A float; a whole one in range is that integer.
    pub(crate) fn float(f: f64) -> V {
        let in_range = (-(2f64.powi(63))..2f64.powi(64)).contains(&f);
        if in_range && f.fract() == 0.0 {
            V::Int(f as i128)
        } else {
            V::Float(f)
        }
    }

    pub(crate) fn str(s: impl Into<String>) -> V {
        V::Str(s.into())
    }

    /// Null or missing: what every comparison answers UNKNOWN to.
    pub(crate) fn nullish(&self) -> bool {
        matches!(self, V::Null | V::Missing)
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, V::Missing)
    }

    /// The value, or null: arrays have no holes.
    pub(crate) fn or_null(self) -> V {
        if self.is_missing() { V::Null } else { self }
    }

    pub(crate) fn is_true(&self) -> bool {
        matches!(self, V::Bool(true))
    }

    /// JavaScript's truthiness, as `caseWhen` and `not` use it.
    pub(crate) fn truthy(&self) -> bool {
        match self {
            V::Missing | V::Null | V::Bool(false) | V::Int(0) => false,
            V::Float(f) => !f.is_nan(),
            V::Str(s) => !s.is_empty(),
            _ => true,
        }
    }

    pub(crate) fn from_json(json: &Value) -> V {
        match json {
            Value::Null => V::Null,
            Value::Bool(b) => V::Bool(*b),
            Value::Number(n) => {
                if let Some(i) = n.as_i64() {
                    V::int(i.into())
                } else if let Some(u) = n.as_u64() {
                    V::int(u.into())
                } else {
                    V::float(n.as_f64().expect("a JSON number is an integer or a float"))
                }
            }
            Value::String(s) => V::str(s.as_str()),
            Value::Array(items) => V::Arr(items.iter().map(V::from_json).collect()),
            Value::Object(fields) => V::Obj(
                fields
                    .iter()
                    .map(|(k, v)| (k.clone(), V::from_json(v)))
                    .collect(),
            ),
        }
    }

    /// The JSON of a value; missing has none. A number JSON cannot say (NaN, infinity) is null, as
    /// `JSON.stringify` does.
    pub(crate) fn to_json(&self) -> Option<Value> {
        Some(match self {
            V::Missing => return None,
            V::Null => Value::Null,
            V::Bool(b) => Value::Bool(*b),
            V::Int(i) => match (i64::try_from(*i), u64::try_from(*i)) {
                (Ok(i), _) => Value::from(i),
                (_, Ok(u)) => Value::from(u),
                _ => unreachable!("integers are kept in range"),
            },
            V::Float(f) => Number::from_f64(*f).map_or(Value::Null, Value::Number),
            V::Str(s) => Value::from(s.as_str()),
            V::Arr(items) => Value::Array(
                items
                    .iter()
                    .map(|v| v.to_json().unwrap_or(Value::Null))
                    .collect(),
            ),
            V::Obj(fields) => {
                let fields = fields
                    .iter()
                    .filter_map(|(k, v)| Some((k.clone(), v.to_json()?)));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        })
    }

    /// Compact JSON text, object fields in order of their names.
    pub(crate) fn json_text(&self) -> String {
        self.to_json()
            .map_or_else(String::new, |json| json.to_string())
    }

    /// The total order: null, missing, booleans, numbers, strings, arrays, objects.
    ///
    /// ORDER BY ties null with missing: it looks at those two itself and asks here about the
    /// others.
    pub(crate) fn order(&self, other: &V) -> Ordering {
        match (self, other) {
            (V::Bool(a), V::Bool(b)) => a.cmp(b),
            (V::Int(_) | V::Float(_), V::Int(_) | V::Float(_)) => order_numbers(self, other),
            // UTF-8 bytes sort as code points do.
            (V::Str(a), V::Str(b)) => a.cmp(b),
            (V::Arr(a), V::Arr(b)) => {
                for (x, y) in a.iter().zip(b) {
                    if x.order(y) != Ordering::Equal {
                        return x.order(y);
                    }
                }
                a.len().cmp(&b.len())
            }
            (V::Obj(a), V::Obj(b)) => {
                for ((name, x), (other_name, y)) in a.iter().zip(b) {
                    let found = name.cmp(other_name).then_with(|| x.order(y));
                    if found != Ordering::Equal {
                        return found;
                    }
                }
                a.len().cmp(&b.len())
            }
            _ => self.kind().cmp(&other.kind()),
        }
    }

    /// Structural equality; here null equals null, and missing equals missing.
    pub(crate) fn same(&self, other: &V) -> bool {
        self.order(other) == Ordering::Equal
    }

    /// The place of a value's type in the total order.
    fn kind(&self) -> u8 {
        match self {
            V::Null => 0,
            V::Missing => 1,
            V::Bool(_) => 2,
            V::Int(_) | V::Float(_) => 3,
            V::Str(_) => 4,
            V::Arr(_) => 5,
            V::Obj(_) => 6,
        }
    }

    /// JavaScript's `String(x)`, for `<` and `+` on values that are no numbers.
    pub(crate) fn js_string(&self) -> String {
        match self {
            V::Missing => "undefined".to_owned(),
            V::Str(s) => s.clone(),
            V::Arr(items) => {
                let text = |v: &V| {
                    if v.nullish() {
                        String::new()
                    } else {
                        v.js_string()
                    }
                };
                items.iter().map(text).collect::<Vec<_>>().join(",")
            }
            V::Obj(_) => "[object Object]".to_owned(),
            _ => self.json_text(),
        }
    }

    /// What JavaScript calls a number that JSON has no word for.
    pub(super) fn js_number_name(&self) -> &'static str {
        match self {
            V::Float(f) if f.is_nan() => "NaN",
            V::Float(f) if *f < 0.0 => "-Infinity",
            _ => "Infinity",
        }
    }

    /// JavaScript's `Number(x)`, but whole numbers stay exact.
    pub(crate) fn js_number(&self) -> V {
        match self {
            V::Missing => V::Float(f64::NAN),
            V::Null => V::Int(0),
            V::Bool(b) => V::Int((*b).into()),
            V::Int(_) | V::Float(_) => self.clone(),
            V::Str(s) => number_of_text(s.trim()),
            V::Arr(_) | V::Obj(_) => number_of_text(self.js_string().trim()),
        }
    }

    /// The nearest float of a number; NaN for anything else.
    pub(crate) fn as_f64(&self) -> f64 {
        match self {
            V::Int(i) => *i as f64,
            V::Float(f) => *f,
            _ => f64::NAN,
        }
    }
}

fn number_of_text(text: &str) -> V {
    if text.is_empty() {
        return V::Int(0);
    }
    if let Ok(i) = text.parse::<i128>() {
        return V::int(i);
    }
    // Rust reads "inf" and "nan", JavaScript does not.
    if text
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.eE".contains(c))
    {
        return V::float(text.parse().unwrap_or(f64::NAN));
    }
    V::Float(f64::NAN)
}

/// By value and exactly; NaN equals itself and is greatest.
fn order_numbers(a: &V, b: &V) -> Ordering {
    match (a, b) {
        (V::Int(a), V::Int(b)) => a.cmp(b),
        (V::Int(i), V::Float(f)) => order_int_float(*i, *f),
        (V::Float(f), V::Int(i)) => order_int_float(*i, *f).reverse(),
        _ => {
            let (a, b) = (a.as_f64(), b.as_f64());
            a.partial_cmp(&b)
                .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        }
    }
}

fn order_int_float(i: i128, f: f64) -> Ordering {
    if f.is_nan() || f >= 2f64.powi(64) {
        Ordering::Less
    } else if f < -(2f64.powi(63)) {
        Ordering::Greater
    } else {
        // In range and not whole: compare with the integer below; when that ties, the fraction
        // decides.
        i.cmp(&(f.floor() as i128)).then(Ordering::Less)
    }
}

#[cfg(test)]
mod tests {
    use super::V;
    use serde_json::{Value, json};
    use std::cmp::Ordering;

    fn v(json: Value) -> V {
        V::from_json(&json)
    }

    #[test]
    fn numbers_are_compared_by_value() {
        assert!(v(json!(1)).same(&v(json!(1.0))));
        assert!(v(json!(0)).same(&v(json!(-0.0))));
        assert_eq!(v(json!(1.0)).json_text(), "1");
        assert_eq!(
            v(json!(9007199254740993u64)).order(&v(json!(9007199254740992.0))),
            Ordering::Greater
        );
        assert_eq!(
            v(json!(u64::MAX)).order(&v(json!(18446744073709551616.0))),
            Ordering::Less
        );
        assert_eq!(v(json!(-3)).order(&v(json!(-2.5))), Ordering::Less);
        assert_eq!(v(json!(-2)).order(&v(json!(-2.5))), Ordering::Greater);
        assert_eq!(
            v(json!(i64::MIN)).order(&v(json!(-1e30))),
            Ordering::Greater
        );
        assert_eq!(
            V::Float(f64::NAN).order(&V::Float(f64::INFINITY)),
            Ordering::Greater
        );
        assert!(V::Float(f64::NAN).same(&V::Float(f64::NAN)));
    }

    #[test]
    fn out_of_range_becomes_a_float() {
        assert_eq!(V::int(u64::MAX as i128).json_text(), "18446744073709551615");
        assert!(matches!(V::int(1 << 64), V::Float(_)));
        assert!(matches!(V::float(2f64.powi(63)), V::Int(_)));
    }

    #[test]
    fn the_total_order() {
        let mut sorted = vec![V::Null, V::Missing];
        sorted.extend(
            [
                json!(false),
                json!(true),
                json!(-1),
                json!(0.5),
                json!(7),
                json!(""),
                json!("10"),
                json!("9"),
                json!("Z"),
                json!("a"),
                json!("\u{ff5e}"),
                json!("😀"),
                json!([]),
                json!([null]),
                json!([1]),
                json!([1, 0]),
                json!([2]),
                json!({}),
                json!({"a": 1}),
                json!({"a": 1, "b": 0}),
                json!({"a": 2}),
                json!({"b": 0}),
            ]
            .map(v),
        );
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(a.order(b), i.cmp(&j), "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn javascript_numbers_and_strings() {
        let number = |json| v(json).js_number();
        assert!(number(json!("")).same(&V::Int(0)));
        assert!(number(json!(" 12 ")).same(&V::Int(12)));
        assert!(number(json!("1.5e1")).same(&V::Int(15)));
        assert!(number(json!("inf")).as_f64().is_nan());
        assert!(number(json!(true)).same(&V::Int(1)));
        assert!(number(json!([7])).same(&V::Int(7)));
        assert_eq!(
            v(json!([1, [null, "a"], {}])).js_string(),
            "1,,a,[object Object]"
        );
    }
}
