//! How the keys of result rows read as text.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::value::{Value, ValueRef};

/// What kind of key a result row has. Keys are values, compared as values; this makes text of them.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub enum KeyKind {
    /// The key of a collection's row: a string.
    Source,
    /// The array of a group's values.
    Group,
    /// The array of a distinct row's fields, and how they make up the row.
    Distinct(Template),
    /// The array of the joined sources' keys, null where a side is unmatched.
    Joined(Vec<KeyKind>),
    /// The array of a branch, one of these, and a key of that branch.
    Union(Vec<(Value, KeyKind)>),
}

/// Where the fields of a distinct row stand in its value.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub enum Template {
    /// The field with this number.
    Leaf(usize),
    /// An object. What has no name is an object whose fields are spread into it.
    Object(Vec<(Option<SmolStr>, Template)>),
}

impl Template {
    fn value(&self, key: ValueRef<'_>) -> Value {
        match self {
            Template::Leaf(i) => match key {
                ValueRef::Array(fields) => distinguishable(fields.seq().get(*i)),
                _ => Value::Missing,
            },
            Template::Object(fields) => {
                let mut entries: Vec<(SmolStr, Value)> = Vec::new();
                for (name, template) in fields {
                    let value = template.value(key);
                    match (name, value.as_ref()) {
                        (Some(name), _) => entries.push((name.clone(), value)),
                        (None, ValueRef::Object(object)) => {
                            let entry = |(k, v): (&str, ValueRef<'_>)| (k.into(), v.to_owned());
                            entries.extend(object.iter().map(entry));
                        }
                        (None, _) => {}
                    }
                }
                Value::object(entries)
            }
        }
    }
}

/// What JSON has no word for, as an object that no data can be mistaken for.
fn distinguishable(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Float(f) if !f.is_finite() => {
            let name = if f.is_nan() {
                "NaN"
            } else if f > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            Value::object([("$number", Value::from(name))])
        }
        ValueRef::Object(object) if object.iter().any(|(key, _)| key.starts_with('$')) => {
            Value::object([("$object", value.to_owned())])
        }
        value => value.to_owned(),
    }
}

/// Null and missing are groups of their own.
fn group_value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Missing => Value::object([("$missing", Value::Bool(true))]),
        value => distinguishable(value),
    }
}

impl KeyKind {
    /// How deep keys of joins are nested in each other.
    pub(super) fn depth(&self) -> usize {
        match self {
            KeyKind::Joined(kinds) => 1 + kinds.iter().map(KeyKind::depth).max().unwrap_or(0),
            KeyKind::Union(branches) => branches
                .iter()
                .map(|(_, kind)| kind.depth())
                .max()
                .unwrap_or(0),
            KeyKind::Source | KeyKind::Group | KeyKind::Distinct(_) => 0,
        }
    }

    /// The key as text: unique among the rows of one result, and stable.
    pub fn text(&self, key: ValueRef<'_>) -> String {
        match (self, key) {
            (KeyKind::Distinct(template), key) => match template.value(key) {
                Value::Missing => group_value(ValueRef::Missing).to_string(),
                value => value.to_string(),
            },
            (KeyKind::Group, ValueRef::Array(values)) => {
                let values: Vec<Value> = values.iter().map(group_value).collect();
                Value::from(values).to_string()
            }
            (KeyKind::Joined(kinds), ValueRef::Array(parts)) => {
                let text = |(kind, part): (&KeyKind, ValueRef<'_>)| match part {
                    part if part.is_nullish() => Value::Null,
                    part => kind.text(part).into(),
                };
                let parts: Vec<Value> = kinds.iter().zip(parts.iter()).map(text).collect();
                Value::from(parts).to_string()
            }
            (KeyKind::Union(branches), ValueRef::Array(parts)) => {
                let (branch, key) = (parts.seq().get(0), parts.seq().get(1));
                let of = branches.iter().find(|(known, _)| known.as_ref() == branch);
                let (_, kind) = of.expect("a union's rows come from its branches");
                Value::from(vec![branch.to_owned(), kind.text(key).into()]).to_string()
            }
            (_, ValueRef::Str(s)) => s.to_owned(),
            (_, key) => key.to_string(),
        }
    }
}
