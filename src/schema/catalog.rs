//! The collections of one engine, by name and by event type.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use smol_str::SmolStr;

use super::error::SchemaError;
use super::rows::{CollectionDef, Rules};
use super::state_schema::{Definition, StateSchema};

/// An open catalog takes so many: each is kept, with its columns, for as long as the catalog is.
const MOST: usize = 100_000;

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
        rules: Rules,
    ) -> Arc<CollectionDef> {
        let collection = Arc::new(CollectionDef::new(
            self.all.len(),
            name,
            event_type,
            primary_key,
            rules,
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

    /// A closed catalog from a schema in JSON, as [`StateSchema::from_json`] reads it.
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
    /// As [`StateSchema::from_json`].
    pub fn from_json(text: &str) -> Result<Catalog, SchemaError> {
        StateSchema::from_json(text).map(|schema| schema.catalog())
    }

    /// A closed catalog of collections that differ in name and event type.
    pub(super) fn closed(collections: &[Definition]) -> Catalog {
        let mut known = Known::default();
        let mut unchecked = Vec::new();
        for collection in collections {
            if collection.unchecked {
                unchecked.push(collection.name.clone());
            }
            known.add(
                collection.name.clone(),
                collection.event_type.clone(),
                Some(collection.primary_key.clone()),
                collection.rules(),
            );
        }
        Catalog {
            closed: true,
            unchecked,
            known: RwLock::new(known),
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known
            .read()
            .expect("no panic while the catalog is locked")
    }

    /// The collection of a name; an open catalog makes one that is not there yet, unless it has
    /// 100,000.
    pub fn by_name(&self, name: &str) -> Option<Arc<CollectionDef>> {
        let found = self.read().by_name.get(name).cloned();
        found.or_else(|| self.add(name))
    }

    /// The collection that events of a type belong to; an open catalog makes one, unless it has 100,000.
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
        match known.by_name.get(name) {
            Some(collection) => Some(collection.clone()),
            None if known.all.len() >= MOST => None,
            None => Some(known.add(name.into(), name.into(), None, Rules::default())),
        }
    }

    /// Whether collections appear with their first event or query.
    pub fn is_open(&self) -> bool {
        !self.closed
    }

    /// The collections with a JSON Schema that is not checked, as the crate was built without the
    /// feature `json-schema`.
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
    fn an_open_catalog_grows() {
        let catalog = Catalog::open();
        let a = catalog.by_type("a").unwrap();
        assert!(Arc::ptr_eq(&a, &catalog.by_name("a").unwrap()));
        assert_eq!(catalog.collections().len(), 1);
    }

    #[test]
    fn an_open_catalog_grows_up_to_a_bound() {
        let catalog = Catalog::open();
        for i in 0..MOST {
            assert!(catalog.by_type(&i.to_string()).is_some());
        }
        assert!(catalog.by_type("more").is_none() && catalog.by_name("more").is_none());
        assert!(catalog.by_name("7").is_some());
    }
}
