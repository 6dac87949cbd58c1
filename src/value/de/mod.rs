//! Values as Rust types: a serde deserialiser that reads borrowed values.

mod parts;

use std::fmt;

use serde::de::{
    self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use thiserror::Error;

use super::ValueRef;
use parts::{Elements, Entries, Named, Variant};

/// Why a value is not one of a Rust type, and where in it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// The place, as in `users[0].name`; empty for the value as a whole.
    pub path: String,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.detail),
            false => write!(f, "{}: {}", self.path, self.detail),
        }
    }
}

impl DecodeError {
    /// Puts the error's place inside of another one.
    fn within(mut self, outer: fmt::Arguments<'_>) -> DecodeError {
        let dot = match self.path.is_empty() || self.path.starts_with('[') {
            true => "",
            false => ".",
        };
        self.path = format!("{outer}{dot}{}", self.path);
        self
    }
}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> DecodeError {
        DecodeError {
            path: String::new(),
            detail: message.to_string(),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> DecodeError {
        match found {
            Unexpected::Unit => Self::custom(format!("invalid type: null, expected {expected}")),
            found => Self::custom(format!("invalid type: {found}, expected {expected}")),
        }
    }
}

/// The value as one of a Rust type.
///
/// Integers are exact. A missing value is `None`, and a tuple may be read from an object with the
/// fields `"0"`, `"1"` and so on as well as from an array.
///
/// ```
/// use tailwater::value::{Value, from_json, from_value};
/// let value = from_json(r#"{"0":"Ada","1":18446744073709551615}"#)?;
/// let row: (String, u64, Option<bool>) = from_value(value.as_ref())?;
/// assert_eq!(row, ("Ada".into(), u64::MAX, None));
/// let error = from_value::<Vec<(String, i64)>>(Value::from(vec![value]).as_ref()).unwrap_err();
/// assert_eq!(error.path, "[0].1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If the value is none of the type; the error says where.
pub fn from_value<T: DeserializeOwned>(value: ValueRef<'_>) -> Result<T, DecodeError> {
    T::deserialize(value)
}

/// A tuple whose elements are the fields of an object with these names.
///
/// # Errors
///
/// If the value is no object, or a field is not of its element's type; the error says where.
pub(crate) fn from_fields<T: DeserializeOwned>(
    value: ValueRef<'_>,
    names: &[impl AsRef<str>],
) -> Result<T, DecodeError> {
    T::deserialize(Named { value, names })
}

impl<'de> ValueRef<'de> {
    /// Reads a value that has no parts.
    fn scalar<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self {
            ValueRef::Missing => {
                let expected = format!("the value is missing, expected {}", Expecting(&visitor));
                let missing = |_| <DecodeError as de::Error>::custom(expected);
                visitor.visit_unit::<DecodeError>().map_err(missing)
            }
            ValueRef::Null => visitor.visit_unit(),
            ValueRef::Bool(b) => visitor.visit_bool(b),
            ValueRef::Int(i) => match (i64::try_from(i), u64::try_from(i)) {
                (Ok(i), _) => visitor.visit_i64(i),
                (_, Ok(i)) => visitor.visit_u64(i),
                _ => visitor.visit_i128(i),
            },
            ValueRef::Float(f) => visitor.visit_f64(f),
            ValueRef::Str(s) => visitor.visit_borrowed_str(s),
            ValueRef::Array(a) => seq(visitor, &mut Elements::new(a)),
            ValueRef::Object(o) => visitor.visit_map(Entries::new(o)),
        }
    }
}

/// What a visitor expects, for messages.
struct Expecting<'v, V>(&'v V);

impl<'de, V: Visitor<'de>> fmt::Display for Expecting<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}

fn seq<'de, V: Visitor<'de>>(
    visitor: V,
    elements: &mut Elements<'de>,
) -> Result<V::Value, DecodeError> {
    let value = visitor.visit_seq(&mut *elements)?;
    match elements.left() {
        0 => Ok(value),
        more => Err(de::Error::custom(format!("{more} elements too many"))),
    }
}

impl<'de> Deserializer<'de> for ValueRef<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.scalar(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self {
            ValueRef::Missing | ValueRef::Null => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self {
            ValueRef::Int(i) => visitor.visit_i128(i),
            value => value.scalar(visitor),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self {
            ValueRef::Int(i) if i >= 0 => visitor.visit_u128(i.unsigned_abs()),
            value => value.scalar(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self {
            // The unmatched side of an outer join, all of whose fields are missing.
            ValueRef::Missing | ValueRef::Object(_) => {
                let names: Vec<String> = (0..len).map(|i| i.to_string()).collect();
                visitor.visit_seq(Named {
                    value: self,
                    names: &names[..],
                })
            }
            value => value.scalar(visitor),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self {
            ValueRef::Str(variant) => visitor.visit_enum(variant.into_deserializer()),
            ValueRef::Object(object) if object.len() == 1 => {
                visitor.visit_enum(Variant(Entries::new(object)))
            }
            value => Err(de::Error::custom(format!(
                "invalid type: {}, expected {}: a string, or an object with one field",
                value.type_name(),
                Expecting(&visitor),
            ))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct
        seq map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde::Deserialize;

    use super::*;
    use crate::value::{Value, from_json};

    fn read<T: DeserializeOwned>(json: &str) -> Result<T, String> {
        let value = from_json(json).unwrap();
        from_value(value.as_ref()).map_err(|e| e.to_string())
    }

    #[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Point,
        Circle(u8),
        Line(u8, u8),
        Box { w: u8, h: Option<u8> },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        A { n: u64 },
        B,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Id(u64);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        id: Id,
        name: Option<String>,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
    }

    #[test]
    fn integers_are_exact_and_in_range() {
        assert_eq!(read("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(read("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(read("9007199254740993"), Ok(9007199254740993u128));
        assert_eq!(read("-1"), Ok(-1i128));
        assert_eq!(read("1.0"), Ok(1u8));
        assert_eq!(read("3"), Ok(3.0f64));
        assert_eq!(
            read::<i64>("18446744073709551615"),
            Err("invalid value: integer `18446744073709551615`, expected i64".into())
        );
        assert_eq!(
            read::<i64>("2.5"),
            Err("invalid type: floating point `2.5`, expected i64".into())
        );
    }

    #[test]
    fn types_of_serde_are_read() {
        assert_eq!(read("null"), Ok(None::<bool>));
        assert_eq!(read("[true,null]"), Ok((true, None::<u8>)));
        assert_eq!(read(r#"{"1":"b","0":[1]}"#), Ok((vec![1u8], 'b')));
        assert_eq!(read(r#""point""#), Ok(Shape::Point));
        assert_eq!(read(r#"{"point":null}"#), Ok(Shape::Point));
        assert_eq!(read(r#"{"circle":3}"#), Ok(Shape::Circle(3)));
        assert_eq!(read(r#"{"line":[3,4]}"#), Ok(Shape::Line(3, 4)));
        let of_box = Shape::Box { w: 1, h: None };
        assert_eq!(read(r#"{"box":{"w":1}}"#), Ok(of_box));
        assert_eq!(read(r#"{"kind":"A","n":7}"#), Ok(Tagged::A { n: 7 }));
        assert_eq!(read(r#"{"kind":"B"}"#), Ok(Tagged::B));
        assert_eq!(
            read(r#"{"-1":1,"2":4}"#),
            Ok(HashMap::from([(-1i64, 1u8), (2, 4)]))
        );
        assert_eq!(
            read(r#"{"point":1}"#),
            Ok(BTreeMap::from([(Shape::Point, 1u8)]))
        );
        let row = Row {
            id: Id(1),
            name: None,
            tags: Vec::new(),
            rest: BTreeMap::from([("x".into(), Value::from(vec![1]))]),
        };
        assert_eq!(read(r#"{"id":1,"x":[1]}"#), Ok(row));
        let names = ["b", "a"];
        let value = from_json(r#"{"a":1,"b":"x"}"#).unwrap();
        let read = from_fields::<(String, u8)>(value.as_ref(), &names);
        assert_eq!(read, Ok(("x".into(), 1)));
        let sides = from_value::<(Option<u8>, Option<Id>)>(ValueRef::Missing);
        assert_eq!(sides, Ok((None, None)));
    }

    #[test]
    fn errors_name_the_place() {
        type Rows = Vec<BTreeMap<String, (u8, Shape)>>;
        for (json, expected) in [
            ("{}", "invalid type: map, expected a sequence"),
            ("[1]", "[0]: invalid type: integer `1`, expected a map"),
            (
                r#"[{},{"a":[1]}]"#,
                "[1].a: invalid length 1, expected a tuple of size 2",
            ),
            (
                r#"[{"a":{"0":1}}]"#,
                "[0].a.1: invalid type: missing, expected enum Shape: a string, or an object with one field",
            ),
            (r#"[{"a":[1,"point",2]}]"#, "[0].a: 1 elements too many"),
            (
                r#"[{"a":[1,"dot"]}]"#,
                "[0].a[1]: unknown variant `dot`, expected one of `point`, `circle`, `line`, `box`",
            ),
            (
                r#"[{"a":[null,"point"]}]"#,
                "[0].a[0]: invalid type: null, expected u8",
            ),
            (
                r#"[{"a":[1,{"box":{"w":"x"}}]}]"#,
                "[0].a[1].box.w: invalid type: string \"x\", expected u8",
            ),
            (
                r#"[{"a":{"1":"point"}}]"#,
                "[0].a.0: the value is missing, expected u8",
            ),
        ] {
            assert_eq!(read::<Rows>(json), Err(expected.into()), "{json}");
        }
        assert_eq!(read::<Row>("{}"), Err("missing field `id`".into()));
        assert_eq!(
            read::<HashMap<u8, u8>>(r#"{"x":1}"#),
            Err("invalid type: string \"x\", expected u8".into())
        );
    }
}
