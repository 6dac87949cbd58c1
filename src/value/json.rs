//! JSON in and out: text becomes packed bytes in one pass, without a tree in between.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

use super::packed::{SeqBuilder, encode};
use super::{Value, ValueRef, decode};

/// Appends the encoding of the JSON value that is deserialised with it.
#[derive(Debug)]
pub struct EncodeSeed<'b>(pub &'b mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for EncodeSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EncodeSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        encode(ValueRef::Null, self.0);
        Ok(())
    }

    fn visit_bool<E>(self, v: bool) -> Result<(), E> {
        encode(ValueRef::Bool(v), self.0);
        Ok(())
    }

    fn visit_i64<E>(self, v: i64) -> Result<(), E> {
        encode(ValueRef::Int(v.into()), self.0);
        Ok(())
    }

    fn visit_u64<E>(self, v: u64) -> Result<(), E> {
        encode(ValueRef::Int(v.into()), self.0);
        Ok(())
    }

    fn visit_f64<E>(self, v: f64) -> Result<(), E> {
        encode(ValueRef::Float(v), self.0);
        Ok(())
    }

    fn visit_str<E>(self, v: &str) -> Result<(), E> {
        encode(ValueRef::Str(v), self.0);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut builder = SeqBuilder::default();
        let mut element = Vec::new();
        while seq.next_element_seed(EncodeSeed(&mut element))?.is_some() {
            builder.push_encoded(&element);
            element.clear();
        }
        encode(
            Value::Array(super::Packed::new(&mut builder)).as_ref(),
            self.0,
        );
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut entries: Vec<(smol_str::SmolStr, Value)> = Vec::new();
        let mut element = Vec::new();
        while let Some(key) = map.next_key::<smol_str::SmolStr>()? {
            map.next_value_seed(EncodeSeed(&mut element))?;
            entries.push((key, decode(&element).to_owned()));
            element.clear();
        }
        encode(Value::object(entries).as_ref(), self.0);
        Ok(())
    }
}

/// Reads a value from a JSON text.
///
/// # Errors
///
/// If the text is not one JSON value.
pub fn from_json(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text)
}

/// A value of a Rust type as JSON has it: integers are exact, and a float that JSON cannot hold is
/// null.
///
/// # Errors
///
/// If the value cannot be JSON: a map whose keys are no texts, or one that refuses by itself.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Value> {
    from_json(&serde_json::to_string(value)?)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        let mut bytes = Vec::new();
        EncodeSeed(&mut bytes).deserialize(deserializer)?;
        Ok(decode(&bytes).to_owned())
    }
}

impl Serialize for ValueRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            // Inside objects missing values are left out before it comes to this.
            ValueRef::Missing | ValueRef::Null => serializer.serialize_unit(),
            ValueRef::Bool(b) => serializer.serialize_bool(b),
            ValueRef::Int(i) => match (i64::try_from(i), u64::try_from(i)) {
                (Ok(i), _) => serializer.serialize_i64(i),
                (_, Ok(i)) => serializer.serialize_u64(i),
                _ => serializer.serialize_f64(i as f64),
            },
            ValueRef::Float(f) => serializer.serialize_f64(f),
            ValueRef::Str(s) => serializer.serialize_str(s),
            ValueRef::Array(a) => {
                let elements = a.iter();
                let mut seq = serializer.serialize_seq(Some(elements.len()))?;
                for element in elements {
                    seq.serialize_element(&element)?;
                }
                seq.end()
            }
            ValueRef::Object(o) => {
                let entries = o.iter();
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, &value)?;
                }
                map.end()
            }
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_canonical() {
        for (text, expected) in [
            ("null", "null"),
            (
                " [1.0, -2, 18446744073709551615, 1e2] ",
                "[1,-2,18446744073709551615,100]",
            ),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9007199254740993", "9007199254740993"),
            (
                r#"{"b":{"d":[]},"a":"\u00e9\"\u0000","b":{}}"#,
                "{\"a\":\"é\\\"\\u0000\",\"b\":{}}",
            ),
            ("0.1", "0.1"),
        ] {
            assert_eq!(from_json(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn bad_text_is_an_error() {
        for text in ["", "[1,", "{\"a\":1}x", "nul", "[1e999]"] {
            assert!(from_json(text).is_err(), "{text}");
        }
    }
}
