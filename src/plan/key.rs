//! How the keys of result rows read as text.

use smol_str::SmolStr;

use crate::value::{Value, ValueRef};

/// What kind of key a result row has. Keys are values, compared as values; this makes text of them.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyKind {
    /// The key of a collection's row: a string.
    Source,
    /// The array of a group's values.
    Group,
    /// The array of a distinct row's fields, and how they make up the row.
    Distinct(Template),
    /// The array of the joined sources' keys, null where a side is unmatched.
    Joined(Vec<KeyKind>),
}

/// Where the fields of a distinct row stand in its value.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// The field with this number.
    Leaf(usize),
    /// An object.
    Object(Vec<(SmolStr, Template)>),
}

impl Template {
    fn value(&self, key: ValueRef<'_>) -> Value {
        match self {
            Template::Leaf(i) => match key {
                ValueRef::Array(fields) => fields.seq().get(*i).to_owned(),
                _ => Value::Missing,
            },
            Template::Object(fields) => {
                Value::object(fields.iter().map(|(name, t)| (name, t.value(key))))
            }
        }
    }
}

impl KeyKind {
    /// The key as text: unique among the rows of one result, and stable.
    pub fn text(&self, key: ValueRef<'_>) -> String {
        match (self, key) {
            (KeyKind::Distinct(template), key) => template.value(key).to_string(),
            (KeyKind::Group, ValueRef::Array(values)) => {
                // Null and missing are groups of their own, so their texts must differ.
                let missing = Value::object([("$missing", Value::Bool(true))]);
                let values = values.iter().map(|v| match v {
                    ValueRef::Missing => missing.as_ref(),
                    v => v,
                });
                Value::array(values).to_string()
            }
            (KeyKind::Joined(kinds), ValueRef::Array(parts)) => {
                let text = |(kind, part): (&KeyKind, ValueRef<'_>)| match part {
                    part if part.is_nullish() => Value::Null,
                    part => kind.text(part).into(),
                };
                let parts: Vec<Value> = kinds.iter().zip(parts.iter()).map(text).collect();
                Value::from(parts).to_string()
            }
            (_, ValueRef::Str(s)) => s.to_owned(),
            (_, key) => key.to_string(),
        }
    }
}
