//! Values and rows: what a field holds, how values compare, how they are stored and read as JSON.
//!
//! Every JSON value has one canonical form: an integral float in the range of 64-bit integers *is*
//! that integer (`1.0` and `1` are one value, as in JavaScript), and the keys of an object are
//! sorted. So values that are equal have equal bytes in a [`Row`].

mod collation;
mod de;
mod heap;
mod json;
mod order;
mod packed;
mod row;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

pub use collation::{CaseFirst, Collation, CollationError, CollationOptions, Sensitivity};
pub(crate) use de::from_fields;
pub use de::{DecodeError, from_value};
pub(crate) use heap::{Heap, btree_bytes};
pub use json::{EncodeSeed, from_json, to_value};
pub use order::{Direction, Nulls, SortKey, SortKeyBuilder};
#[cfg(feature = "http")]
pub(crate) use packed::is_row;
pub use packed::{Array, Object, Seq, SeqBuilder, decode, encode};
pub(crate) use packed::{encoded_is, is_nullish, small_integer};
pub use row::{Row, Tuple, hash_bytes};
pub(crate) use row::{hash_handles, share, single};
pub use smol_str::SmolStr;

/// An owned JSON value, or *missing* (JavaScript's `undefined`).
///
/// Cloning is cheap: strings and nested values are shared.
///
/// ```
/// use tailwater::value::Value;
/// let v: Value = serde_json::from_str(r#"{"b":[1.0,2.5],"a":null}"#)?;
/// assert_eq!(v.to_string(), r#"{"a":null,"b":[1,2.5]}"#);
/// assert!(Value::from(2) < Value::from("2"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default)]
pub enum Value {
    /// No value at all: the field is not there. Left out of objects.
    #[default]
    Missing,
    /// JSON `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer from -2^63 to 2^64 - 1, exact.
    Int(i128),
    /// Any other number. Never an integer of the range of `Int`: see [`Value::float`].
    Float(f64),
    /// A string.
    Str(SmolStr),
    /// An array, packed.
    Array(Packed),
    /// An object, packed, its keys sorted.
    Object(Packed),
}

/// The shared bytes of an owned array or object.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(Arc<[u8]>);

/// A borrowed [`Value`], as read from a [`Row`] without copying.
#[derive(Clone, Copy, Default)]
pub enum ValueRef<'a> {
    /// No value at all.
    #[default]
    Missing,
    /// JSON `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer from -2^63 to 2^64 - 1.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A string.
    Str(&'a str),
    /// An array.
    Array(Array<'a>),
    /// An object.
    Object(Object<'a>),
}

/// The integers that are exact: everything a signed or an unsigned 64-bit integer can hold.
const INTEGERS: std::ops::RangeInclusive<i128> = (i64::MIN as i128)..=(u64::MAX as i128);

impl Value {
    /// A number from a float: an integer where it is one and in range.
    pub fn float(f: f64) -> Value {
        // Both ends are powers of two, so the comparison is exact.
        if f.fract() == 0.0 && (-9223372036854775808.0..18446744073709551616.0).contains(&f) {
            Value::Int(f as i128)
        } else {
            Value::Float(f)
        }
    }

    /// A number from an integer: a float where it is out of the range of 64-bit integers.
    pub fn int(i: i128) -> Value {
        if INTEGERS.contains(&i) {
            Value::Int(i)
        } else {
            Value::Float(i as f64)
        }
    }

    /// An array of values.
    pub fn array<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> Value {
        let mut builder = SeqBuilder::default();
        values.into_iter().for_each(|v| builder.push(v));
        Value::Array(Packed::new(&mut builder))
    }

    /// An object. Missing values are left out; of entries with one key the last wins.
    pub fn object<K: AsRef<str>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
        let mut entries: Vec<(K, Value)> = entries.into_iter().collect();
        entries.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        let mut builder = SeqBuilder::default();
        for (i, (key, value)) in entries.iter().enumerate() {
            let last = entries
                .get(i + 1)
                .is_none_or(|next| next.0.as_ref() != key.as_ref());
            if last && !matches!(value, Value::Missing) {
                builder.push(ValueRef::Str(key.as_ref()));
                builder.push(value.as_ref());
            }
        }
        Value::Object(Packed::new(&mut builder))
    }

    /// The value, borrowed.
    #[inline]
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Missing => ValueRef::Missing,
            Value::Null => ValueRef::Null,
            Value::Bool(b) => ValueRef::Bool(*b),
            Value::Int(i) => ValueRef::Int(*i),
            Value::Float(f) => ValueRef::Float(*f),
            Value::Str(s) => ValueRef::Str(s),
            Value::Array(a) => ValueRef::Array(Array(&a.0)),
            Value::Object(o) => ValueRef::Object(Object(&o.0)),
        }
    }

    /// The field `key` of an object; missing for anything else.
    pub fn get(&self, key: &str) -> ValueRef<'_> {
        self.as_ref().get(key)
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        self.as_ref().as_str()
    }
}

impl Packed {
    fn new(builder: &mut SeqBuilder) -> Packed {
        let mut bytes = Vec::new();
        builder.finish(&mut bytes);
        Packed(bytes.into())
    }
}

impl<'a> ValueRef<'a> {
    /// An owned copy.
    pub fn to_owned(self) -> Value {
        match self {
            ValueRef::Missing => Value::Missing,
            ValueRef::Null => Value::Null,
            ValueRef::Bool(b) => Value::Bool(b),
            ValueRef::Int(i) => Value::Int(i),
            ValueRef::Float(f) => Value::Float(f),
            ValueRef::Str(s) => Value::Str(s.into()),
            ValueRef::Array(a) => Value::Array(Packed(a.0.into())),
            ValueRef::Object(o) => Value::Object(Packed(o.0.into())),
        }
    }

    /// Whether it is null or missing: *unknown* to three-valued logic.
    #[inline]
    pub fn is_nullish(self) -> bool {
        matches!(self, ValueRef::Missing | ValueRef::Null)
    }

    /// The field `key` of an object; missing for anything else.
    pub fn get(self, key: &str) -> ValueRef<'a> {
        match self {
            ValueRef::Object(o) => o.get(key),
            _ => ValueRef::Missing,
        }
    }

    /// The string, if it is one.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            ValueRef::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The number as a float, if it is one; integers beyond 2^53 are rounded.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            ValueRef::Int(i) => Some(i as f64),
            ValueRef::Float(f) => Some(f),
            _ => None,
        }
    }

    /// The type's name, for messages.
    pub fn type_name(self) -> &'static str {
        match self {
            ValueRef::Missing => "missing",
            ValueRef::Null => "null",
            ValueRef::Bool(_) => "a boolean",
            ValueRef::Int(_) | ValueRef::Float(_) => "a number",
            ValueRef::Str(_) => "a string",
            ValueRef::Array(_) => "an array",
            ValueRef::Object(_) => "an object",
        }
    }

    /// The place of the type in the total order.
    fn rank(self) -> u8 {
        match self {
            ValueRef::Null => 0,
            ValueRef::Missing => 1,
            ValueRef::Bool(_) => 2,
            ValueRef::Int(_) | ValueRef::Float(_) => 3,
            ValueRef::Str(_) => 4,
            ValueRef::Array(_) => 5,
            ValueRef::Object(_) => 6,
        }
    }
}

fn cmp_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Compares by value, exactly; NaN is greatest.
fn cmp_int_float(i: i128, f: f64) -> Ordering {
    if f.is_nan() || f >= i128::MAX as f64 {
        Ordering::Less
    } else if f <= i128::MIN as f64 {
        Ordering::Greater
    } else {
        let floor = f.floor();
        i.cmp(&(floor as i128)).then(if f > floor {
            Ordering::Less
        } else {
            Ordering::Equal
        })
    }
}

/// The one total order over all values: null, missing, booleans, numbers by value (NaN greatest),
/// strings by code point, arrays element by element, objects as lists of sorted entries.
impl Ord for ValueRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        #[cfg(test)]
        crate::work::add(1);
        use ValueRef::*;
        match (*self, *other) {
            (Bool(a), Bool(b)) => a.cmp(&b),
            (Int(a), Int(b)) => a.cmp(&b),
            (Float(a), Float(b)) => cmp_floats(a, b),
            (Int(a), Float(b)) => cmp_int_float(a, b),
            (Float(a), Int(b)) => cmp_int_float(b, a).reverse(),
            (Str(a), Str(b)) => a.cmp(b),
            (Array(a), Array(b)) => a.iter().cmp(b.iter()),
            (Object(a), Object(b)) => Seq::new(a.0).iter().cmp(Seq::new(b.0).iter()),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

impl PartialOrd for ValueRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ValueRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ValueRef<'_> {}

impl Ord for Value {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            // Most of what is kept in order.
            (Value::Int(a), Value::Int(b)) => {
                #[cfg(test)]
                crate::work::add(1);
                a.cmp(b)
            }
            _ => self.as_ref().cmp(&other.as_ref()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}

impl std::hash::Hash for Value {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let mut bytes = Vec::new();
        encode(self.as_ref(), &mut bytes);
        state.write(&bytes);
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl From<$ty> for Value {
            fn from(i: $ty) -> Value {
                Value::Int(i as i128)
            }
        }
    )*};
}

integers!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

impl From<f64> for Value {
    fn from(f: f64) -> Value {
        Value::float(f)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Value {
        Value::Str(s.into())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Value {
        Value::Str(s.into())
    }
}

impl From<SmolStr> for Value {
    fn from(s: SmolStr) -> Value {
        Value::Str(s)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(o: Option<T>) -> Value {
        o.map_or(Value::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Value {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        Value::array(values.iter().map(Value::as_ref))
    }
}

/// Compact JSON; a missing value prints as `undefined`.
impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueRef::Missing => f.write_str("undefined"),
            value => f.write_str(&serde_json::to_string(value).map_err(|_| fmt::Error)?),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_that_are_integers_are_integers() {
        assert!(matches!(Value::float(1.0), Value::Int(1)));
        assert!(matches!(Value::float(-0.0), Value::Int(0)));
        assert!(matches!(
            Value::float(9007199254740993.0),
            Value::Int(9007199254740992)
        ));
        assert!(matches!(
            Value::float(18446744073709551616.0),
            Value::Float(_)
        ));
        assert!(matches!(Value::float(1e300), Value::Float(_)));
        assert!(matches!(Value::int(u64::MAX as i128 + 1), Value::Float(_)));
        assert!(matches!(Value::int(u64::MAX as i128), Value::Int(_)));
    }

    #[test]
    fn order_is_by_type_then_value_and_exact() {
        let sorted: Vec<Value> = vec![
            Value::Null,
            Value::Missing,
            false.into(),
            true.into(),
            Value::Float(f64::NEG_INFINITY),
            (-1.5).into(),
            (-1).into(),
            0.into(),
            0.5.into(),
            i64::MAX.into(),
            ((1u64 << 63) + 1).into(),
            Value::Float(1.8446744073709552e19),
            Value::Float(f64::INFINITY),
            Value::Float(f64::NAN),
            "".into(),
            "10".into(),
            "9".into(),
            "a".into(),
            "\u{ff5e}".into(),
            "😀".into(),
            Value::array([]),
            Value::from(vec![1]),
            Value::from(vec![1, 2]),
            Value::from(vec![2]),
            Value::object([("a", Value::from(1))]),
            Value::object([("a", Value::from(1)), ("b", Value::from(0))]),
            Value::object([("b", Value::from(0))]),
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{a} against {b}");
            }
        }
    }

    #[test]
    fn objects_keep_the_last_of_equal_keys() {
        let o = Value::object([
            ("k", Value::from(1)),
            ("k", Value::from(2)),
            ("m", Value::Missing),
        ]);
        assert_eq!(o.to_string(), r#"{"k":2}"#);
    }
}
