//! The collections of one engine, by name and by event type.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use serde::Deserialize;
use smol_str::SmolStr;
use thiserror::Error;

use super::rows::CollectionDef;

/// Why a schema was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text is not JSON, or not of the shape of a schema.
    #[error("the schema is not valid: {0}")]
    Invalid(String),
    /// Two collections claim the events of one type.
    #[error(
        "duplicate event type `{event_type}`: used by both `{first}` and `{second}` collections"
    )]
    DuplicateEventType {
        /// The type claimed twice.
        event_type: SmolStr,
        /// The collection that has it.
        first: SmolStr,
        /// The collection that wants it too.
        second: SmolStr,
    },
    /// A name that is empty.
    #[error("collection `{collection}`: `{field}` must not be empty")]
    Empty {
        /// The collection.
        collection: SmolStr,
        /// The field of the schema.
        field: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaFile {
    collections: std::collections::BTreeMap<SmolStr, CollectionEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CollectionEntry {
    #[serde(rename = "type")]
    event_type: SmolStr,
    primary_key: SmolStr,
    schema: Option<serde::de::IgnoredAny>,
}

/// The collections an engine knows. Shared between the decoder of events and the planner.
///
/// Without a schema the catalog is open: a collection's name is the event type, and collections
/// appear with their first event or query. With a schema it is closed.
#[derive(Debug, Default)]
pub struct Catalog {
    closed: bool,
    unchecked: Vec<SmolStr>,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    all: Vec<Arc<CollectionDef>>,
    by_name: HashMap<SmolStr, Arc<CollectionDef>>,
    by_type: HashMap<SmolStr, Arc<CollectionDef>>,
}

impl Known {
    fn add(
        &mut self,
        name: SmolStr,
        event_type: SmolStr,
        primary_key: Option<SmolStr>,
    ) -> Arc<CollectionDef> {
        let collection = Arc::new(CollectionDef::new(
            self.all.len(),
            name,
            event_type,
            primary_key,
        ));
        self.all.push(collection.clone());
        self.by_name
            .insert(collection.name().clone(), collection.clone());
        self.by_type
            .insert(collection.event_type().clone(), collection.clone());
        collection
    }
}

impl Catalog {
    /// An open catalog: every event type is a collection of that name.
    pub fn open() -> Catalog {
        Catalog::default()
    }

    /// A closed catalog from a schema in JSON.
    ///
    /// ```
    /// use tailwater::schema::Catalog;
    /// let catalog = Catalog::from_json(
    ///     r#"{"collections":{"users":{"type":"user","primaryKey":"id"}}}"#,
    /// )?;
    /// assert!(catalog.by_name("users").is_some());
    /// assert!(catalog.by_name("user").is_none());
    /// # Ok::<(), tailwater::schema::SchemaError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is not a schema, or two collections share an event type.
    pub fn from_json(text: &str) -> Result<Catalog, SchemaError> {
        let file: SchemaFile =
            serde_json::from_str(text).map_err(|e| SchemaError::Invalid(e.to_string()))?;
        let mut known = Known::default();
        let mut unchecked = Vec::new();
        for (name, entry) in file.collections {
            if entry.schema.is_some() {
                unchecked.push(name.clone());
            }
            for (field, value) in [
                ("type", &entry.event_type),
                ("primaryKey", &entry.primary_key),
            ] {
                if value.is_empty() {
                    return Err(SchemaError::Empty {
                        collection: name,
                        field,
                    });
                }
            }
            if let Some(other) = known.by_type.get(&entry.event_type) {
                return Err(SchemaError::DuplicateEventType {
                    event_type: entry.event_type,
                    first: other.name().clone(),
                    second: name,
                });
            }
            known.add(name, entry.event_type, Some(entry.primary_key));
        }
        Ok(Catalog {
            closed: true,
            unchecked,
            known: RwLock::new(known),
        })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known
            .read()
            .expect("no panic while the catalog is locked")
    }

    /// The collection of a name; an open catalog makes one that is not there yet.
    pub fn by_name(&self, name: &str) -> Option<Arc<CollectionDef>> {
        let found = self.read().by_name.get(name).cloned();
        found.or_else(|| self.add(name))
    }

    /// The collection that events of a type belong to; an open catalog makes one.
    pub fn by_type(&self, event_type: &str) -> Option<Arc<CollectionDef>> {
        let found = self.read().by_type.get(event_type).cloned();
        found.or_else(|| self.add(event_type))
    }

    fn add(&self, name: &str) -> Option<Arc<CollectionDef>> {
        if self.closed {
            return None;
        }
        let mut known = self
            .known
            .write()
            .expect("no panic while the catalog is locked");
        Some(match known.by_name.get(name) {
            Some(collection) => collection.clone(),
            None => known.add(name.into(), name.into(), None),
        })
    }

    /// Whether collections appear with their first event or query.
    pub fn is_open(&self) -> bool {
        !self.closed
    }

    /// The collections whose schema has rules for values (`schema`), which are not checked yet.
    pub fn unchecked(&self) -> &[SmolStr] {
        &self.unchecked
    }

    /// All collections, in the order in which they became known.
    pub fn collections(&self) -> Vec<Arc<CollectionDef>> {
        self.read().all.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_that_do_not_hold_are_refused() {
        for (text, message) in [
            ("{", "the schema is not valid: EOF"),
            (
                r#"{"collections":{"a":{"type":"t"}}}"#,
                "missing field `primaryKey`",
            ),
            (
                r#"{"collections":{"a":{"type":"","primaryKey":"id"}}}"#,
                "`type` must not be empty",
            ),
            (
                r#"{"collections":{"a":{"type":"t","primaryKey":"id"},"b":{"type":"t","primaryKey":"id"}}}"#,
                "duplicate event type `t`: used by both `a` and `b`",
            ),
        ] {
            let error = Catalog::from_json(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn an_open_catalog_grows() {
        let catalog = Catalog::open();
        let a = catalog.by_type("a").unwrap();
        assert!(Arc::ptr_eq(&a, &catalog.by_name("a").unwrap()));
        assert_eq!(catalog.collections().len(), 1);
    }
}
