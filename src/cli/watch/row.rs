//! A result row as cells: its top-level fields, as text.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cli::printable;

/// The column of results that are not objects.
const VALUE: &str = "value";
/// From here on, decimals say nothing.
const WHOLE: f64 = 1e15;

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// Nothing: the row has no such field.
    Missing,
    /// A number without a fraction, or too large for one to matter, as it was written.
    Whole(String),
    /// A number with one.
    Fraction(f64),
    /// Text, or anything else as compact JSON.
    Text(String),
}

impl Content {
    fn of_json(json: &str) -> Content {
        match json.as_bytes().first() {
            Some(b'"') => match serde_json::from_str::<String>(json) {
                Ok(text) => Content::Text(printable(&text)),
                Err(_) => Content::Text(printable(json)),
            },
            Some(b'-' | b'0'..=b'9') => match json.parse::<f64>() {
                Ok(number) if json.contains(['.', 'e', 'E']) && number.abs() < WHOLE => {
                    Content::Fraction(number)
                }
                _ => Content::Whole(json.to_owned()),
            },
            _ => Content::Text(printable(json)),
        }
    }

    /// Whether it is a number.
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Content::Whole(_) | Content::Fraction(_))
    }

    /// The text to show; where a column has fractions, its whole numbers line up with them.
    pub(super) fn text(&self, fractions: bool) -> String {
        match self {
            Content::Missing => String::new(),
            Content::Whole(digits) if fractions && !digits.contains(['.', 'e', 'E']) => {
                format!("{digits}.00")
            }
            Content::Whole(digits) => digits.clone(),
            Content::Fraction(number) => format!("{number:.2}"),
            Content::Text(text) => text.clone(),
        }
    }
}

/// The fields of a result row, in the order of the query.
pub(super) fn fields(row: &impl Serialize) -> Vec<(String, Content)> {
    // Through text, as a JSON tree would sort the fields.
    let json = serde_json::to_string(row).expect("a result row is JSON");
    match serde_json::from_str::<Fields>(&json) {
        Ok(Fields(fields)) => fields,
        Err(_) => vec![(VALUE.to_owned(), Content::of_json(&json))],
    }
}

struct Fields(Vec<(String, Content)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    fields.push((name, Content::of_json(value.get())));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_shown_by_what_they_hold() {
        let row = RawValue::from_string(
            r#"{"z":1,"a":-0.125,"e":1e300,"n":null,"s":"a\n\u001b[2J","o":{"b":[1,2.5]}}"#.into(),
        );
        let shown: Vec<_> = fields(&row.unwrap())
            .iter()
            .map(|(k, v)| (k.clone(), v.text(true)))
            .collect();
        let expected = [
            ("z", "1.00"),
            ("a", "-0.12"),
            ("e", "1e300"),
            ("n", "null"),
            ("s", "a\\n\\u{1b}[2J"),
            ("o", r#"{"b":[1,2.5]}"#),
        ];
        assert_eq!(shown, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(
            fields(&7),
            [("value".to_owned(), Content::Whole("7".into()))]
        );
    }
}
