//! Mutations of pending transactions: what they say, and why they are refused.

use std::fmt;

use smol_str::SmolStr;
use thiserror::Error;

use super::edit::{Edit, mark, overlaid};
use crate::schema::{CollectionDef, Issues, RowDecoder, RowError};
use crate::value::{Row, Value, ValueRef};

/// Names a transaction: a number that its owner gives it. The order of transactions is that of
/// their first mutations and not of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a transaction does to one row before it is known to be done.
///
/// ```
/// use tailwater::store::Mutation;
/// use tailwater::value::{Value, from_json};
///
/// Mutation::insert("user", "1", from_json(r#"{"name":"Ada","age":36}"#)?);
/// Mutation::update("user", "1", [("age", Value::from(37)), ("nickname", Value::Missing)]);
/// Mutation::delete("user", "1");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mutation {
    /// The collection's name.
    pub collection: SmolStr,
    /// The row's key.
    pub key: SmolStr,
    /// What is done to the row.
    pub kind: MutationKind,
}

/// The kinds of a [`Mutation`].
#[derive(Clone, Debug, PartialEq)]
pub enum MutationKind {
    /// The row comes, with this value. A row that comes in under its key meanwhile stays behind it.
    Insert(Value),
    /// Fields of the row get these values; [`Value::Missing`] takes a field away. Other fields stay
    /// as they come in. It does nothing to a row that is not there, or is no object.
    Update(Vec<(SmolStr, Value)>),
    /// The row as a whole gets this value, as rows that are no objects must. It does nothing to a
    /// row that is not there.
    Replace(Value),
    /// The row goes.
    Delete,
}

impl Mutation {
    fn new(
        collection: impl Into<SmolStr>,
        key: impl Into<SmolStr>,
        kind: MutationKind,
    ) -> Mutation {
        Mutation {
            collection: collection.into(),
            key: key.into(),
            kind,
        }
    }

    /// Makes a row.
    pub fn insert(
        collection: impl Into<SmolStr>,
        key: impl Into<SmolStr>,
        value: Value,
    ) -> Mutation {
        Mutation::new(collection, key, MutationKind::Insert(value))
    }

    /// Changes fields of a row.
    pub fn update<N: Into<SmolStr>>(
        collection: impl Into<SmolStr>,
        key: impl Into<SmolStr>,
        fields: impl IntoIterator<Item = (N, Value)>,
    ) -> Mutation {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value));
        Mutation::new(collection, key, MutationKind::Update(fields.collect()))
    }

    /// Changes a row as a whole.
    pub fn replace(
        collection: impl Into<SmolStr>,
        key: impl Into<SmolStr>,
        value: Value,
    ) -> Mutation {
        Mutation::new(collection, key, MutationKind::Replace(value))
    }

    /// Removes a row.
    pub fn delete(collection: impl Into<SmolStr>, key: impl Into<SmolStr>) -> Mutation {
        Mutation::new(collection, key, MutationKind::Delete)
    }
}

/// Why a mutation was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MutationError {
    /// There is no collection of that name.
    #[error("unknown collection `{collection}`")]
    UnknownCollection {
        /// The name.
        collection: SmolStr,
    },
    /// A row is inserted that is there.
    #[error("collection `{collection}` has a row with key `{key}` already")]
    DuplicateKey {
        /// The collection.
        collection: SmolStr,
        /// The row's key.
        key: SmolStr,
    },
    /// A row is updated or deleted that is not there.
    #[error("collection `{collection}` has no row with key `{key}`")]
    UnknownKey {
        /// The collection.
        collection: SmolStr,
        /// The row's key.
        key: SmolStr,
    },
    /// An update changes the field that is the row's key.
    #[error("field `{field}` is the key of collection `{collection}`: it stays `{key}`")]
    KeyChange {
        /// The collection.
        collection: SmolStr,
        /// The row's key.
        key: SmolStr,
        /// The primary-key field.
        field: SmolStr,
    },
    /// Fields are updated of a row that has none.
    #[error("row `{key}` of collection `{collection}` is no object whose fields could be updated")]
    NoFields {
        /// The collection.
        collection: SmolStr,
        /// The row's key.
        key: SmolStr,
    },
    /// The row would break the rules of the collection.
    #[error("collection `{collection}`, key `{key}`: {issues}")]
    Rules {
        /// The collection.
        collection: SmolStr,
        /// The row's key.
        key: SmolStr,
        /// What would be wrong with it.
        issues: Issues,
    },
    /// The value is not a row of the collection.
    #[error("collection `{collection}`, key `{key}`: {source}")]
    Row {
        /// The collection.
        collection: SmolStr,
        /// The row's key.
        key: SmolStr,
        /// What is wrong with the value.
        source: RowError,
    },
}

impl Mutation {
    /// What the mutation makes of rows, if it may be applied to the row that is visible.
    pub(super) fn edit(
        &self,
        collection: &CollectionDef,
        visible: Option<&Row>,
        decoder: &mut RowDecoder,
    ) -> Result<Edit, MutationError> {
        let place = || (self.collection.clone(), self.key.clone());
        match (&self.kind, visible) {
            (MutationKind::Insert(_), Some(_)) => {
                let (collection, key) = place();
                return Err(MutationError::DuplicateKey { collection, key });
            }
            (MutationKind::Insert(_), None) | (_, Some(_)) => {}
            (_, None) => {
                let (collection, key) = place();
                return Err(MutationError::UnknownKey { collection, key });
            }
        }
        let refused = |source| {
            let (collection, key) = place();
            match source {
                RowError::Rules { issues, .. } => MutationError::Rules {
                    collection,
                    key,
                    issues,
                },
                source => MutationError::Row {
                    collection,
                    key,
                    source,
                },
            }
        };
        let checked = |row: Row| {
            let kept = collection.check_written(&self.key, &row);
            kept.map_err(refused).map(|()| row)
        };
        let marked = |row: &Row| overlaid(row, &mark(collection), &[]);
        let mut whole = |value: &Value| {
            let text = serde_json::value::to_raw_value(value).map_err(RowError::from);
            text.and_then(|text| decoder.unchecked(collection, &self.key, &text))
                .map_err(refused)
                .and_then(checked)
                .map(|row| marked(&row))
        };
        Ok(match &self.kind {
            MutationKind::Insert(value) => Edit::Insert(whole(value)?),
            MutationKind::Replace(value) => Edit::Replace(whole(value)?),
            MutationKind::Delete => Edit::Delete,
            MutationKind::Update(fields) => {
                let columns = collection.columns();
                if visible.is_some_and(|row| columns.is_scalar(row)) {
                    let (collection, key) = place();
                    return Err(MutationError::NoFields { collection, key });
                }
                let changes_key = |(name, value): &&(SmolStr, Value)| {
                    collection.primary_key().is_some_and(|column| {
                        let is = visible.map_or(ValueRef::Missing, |row| row.get(column));
                        *name == columns.names()[column] && value.as_ref() != is
                    })
                };
                if let Some((field, _)) = fields.iter().find(changes_key) {
                    let (collection, key) = place();
                    let field = field.clone();
                    return Err(MutationError::KeyChange {
                        collection,
                        key,
                        field,
                    });
                }
                let set = Value::object(fields.iter().cloned());
                let set = serde_json::value::to_raw_value(&set)
                    .map_err(RowError::from)
                    .and_then(|text| decoder.part(collection, &self.key, &text))
                    .map_err(refused)?;
                let set = marked(&set);
                // A field that nobody has had yet may still come in.
                let removed = fields.iter().filter(|(_, value)| *value == Value::Missing);
                let removed = removed.filter_map(|(name, _)| collection.column(name));
                let removed: Vec<usize> = removed.collect();
                if let Some(row) = visible {
                    checked(overlaid(row, &set, &removed))?;
                }
                Edit::Update { set, removed }
            }
        })
    }
}
