//! The collections of a stream, declared by Rust types or by JSON.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::catalog::Catalog;
use super::collection::Collection;
use super::error::{RESERVED, SchemaError};
use super::events::Events;
use super::row_rules::RowRules;
use super::rows::{self, WriteRules};
use super::validate::{Issue, Issues};
use crate::value::{DecodeError, Value, from_value};

/// Rules for values of a Rust type.
pub(super) type Rules<T> = Arc<dyn Fn(&T) -> Result<(), Issues> + Send + Sync>;

/// One collection as declared.
#[derive(Clone)]
pub(super) struct Definition {
    pub(super) name: SmolStr,
    pub(super) event_type: SmolStr,
    pub(super) primary_key: SmolStr,
    /// Checked when rows are written, and when they come in.
    row_rules: Option<RowRules>,
    /// There are rules for rows that cannot be checked.
    pub(super) unchecked: bool,
    type_rules: Option<TypeRules>,
}

/// The rules of a Rust type.
#[derive(Clone)]
pub(super) struct TypeRules {
    /// As `Rules<T>`, checked when events are made.
    of_events: Arc<dyn Any + Send + Sync>,
    /// For rows as values, checked when a transaction changes them.
    of_writes: WriteRules,
}

impl TypeRules {
    fn new<T: Collection>(rules: Rules<T>) -> TypeRules {
        let of_rows = rules.clone();
        TypeRules {
            of_events: Arc::new(rules),
            of_writes: Arc::new(move |row| match from_value(row) {
                Ok(row) => catch_unwind(AssertUnwindSafe(|| of_rows(&row)))
                    .unwrap_or_else(|_| Err(Issue::new("its rules panicked").into())),
                Err(DecodeError { path, detail }) => {
                    let path = Some(path).filter(|path| !path.is_empty());
                    Err(Issue::new(detail).at(path).into())
                }
            }),
        }
    }
}

/// The collections of a stream: names, event types, primary keys, and rules for rows.
///
/// ```
/// # use serde::{Serialize, Deserialize};
/// # use tailwater::schema::Collection;
/// # #[derive(Serialize, Deserialize)]
/// # struct User { id: String, name: String }
/// # impl Collection for User {
/// #     const NAME: &'static str = "users";
/// #     const EVENT_TYPE: &'static str = "user";
/// #     const PRIMARY_KEY: &'static str = "id";
/// #     type Columns = ();
/// #     fn columns(_: &str) {}
/// #     fn key(&self) -> String { self.id.clone() }
/// # }
/// use tailwater::schema::{Issue, StateSchema};
///
/// let schema = StateSchema::builder()
///     .collection_with(|user: &User| match user.name.as_str() {
///         "" => Err(Issue::new("must not be empty").at(["name"]).into()),
///         _ => Ok(()),
///     })
///     .build()?;
/// let users = schema.events::<User>()?;
/// let event = users.insert(&User { id: "1".into(), name: "Ada".into() }).txid("t1").build()?;
/// assert_eq!(
///     serde_json::to_string(&event)?,
///     r#"{"type":"user","key":"1","value":{"id":"1","name":"Ada"},"headers":{"operation":"insert","txid":"t1"}}"#,
/// );
/// let nobody = User { id: "2".into(), name: "".into() };
/// assert_eq!(
///     users.insert(&nobody).build().unwrap_err().to_string(),
///     "Validation failed for user insert: name: must not be empty",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StateSchema {
    collections: Vec<Definition>,
}

impl StateSchema {
    /// A schema to be declared by Rust types.
    pub fn builder() -> StateSchemaBuilder {
        StateSchemaBuilder::default()
    }

    /// A schema in JSON: for each collection's name its event type, its primary key, and a JSON
    /// Schema of its rows (without the feature `json-schema`, these are not checked; see
    /// [`Catalog::unchecked`]).
    ///
    /// ```
    /// use tailwater::schema::StateSchema;
    /// let schema = StateSchema::from_json(
    ///     r#"{"collections":{
    ///         "users": {"type":"user", "primaryKey":"id", "schema":{"required":["name"]}},
    ///         "messages": {"type":"message", "primaryKey":"id"}}}"#,
    /// )?;
    /// assert_eq!(schema.catalog().by_type("message").unwrap().name(), "messages");
    /// # Ok::<(), tailwater::schema::SchemaError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is not a schema, or for the reasons of [`StateSchemaBuilder::build`].
    pub fn from_json(text: &str) -> Result<StateSchema, SchemaError> {
        let file: SchemaFile =
            serde_json::from_str(text).map_err(|e| SchemaError::Invalid(e.to_string()))?;
        let mut builder = StateSchema::builder();
        for (name, entry) in file.collections.0 {
            let schema = entry.schema.as_ref();
            builder.declare(name, entry.event_type, entry.primary_key, schema, None);
        }
        builder.build()
    }

    /// A closed catalog of the collections, for an engine of its own.
    pub fn catalog(&self) -> Catalog {
        Catalog::closed(&self.collections)
    }

    /// What makes the events of a collection.
    ///
    /// # Errors
    ///
    /// If the schema has no collection like that of the type.
    pub fn events<T: Collection>(&self) -> Result<Events<T>, SchemaError> {
        let definition = self.find(T::NAME)?;
        for (field, declared, got) in [
            ("type", &definition.event_type, T::EVENT_TYPE),
            ("primaryKey", &definition.primary_key, T::PRIMARY_KEY),
        ] {
            if declared != got {
                return Err(SchemaError::Mismatch {
                    collection: definition.name.clone(),
                    field,
                    declared: declared.clone(),
                    got,
                });
            }
        }
        definition.events()
    }

    /// What makes the events of a collection from values of no particular Rust type.
    ///
    /// # Errors
    ///
    /// If the schema has no such collection, or one with rules for a Rust type.
    pub fn dynamic_events(&self, collection: &str) -> Result<Events<Value>, SchemaError> {
        self.find(collection)?.events()
    }

    fn find(&self, name: &str) -> Result<&Definition, SchemaError> {
        let found = self.collections.iter().find(|c| c.name == name);
        found.ok_or_else(|| SchemaError::Unknown(name.into()))
    }
}

impl Definition {
    /// What rows of the collection must keep to.
    pub(super) fn rules(&self) -> rows::Rules {
        let of_writes = self.type_rules.as_ref();
        rows::Rules {
            of_rows: self.row_rules.clone(),
            of_writes: of_writes.map(|rules| rules.of_writes.clone()),
        }
    }

    fn events<T: Serialize + 'static>(&self) -> Result<Events<T>, SchemaError> {
        let rules = match &self.type_rules {
            None => None,
            Some(rules) => match rules.of_events.downcast_ref::<Rules<T>>() {
                Some(rules) => Some(rules.clone()),
                None => return Err(SchemaError::OtherType(self.name.clone())),
            },
        };
        Ok(Events::new(
            self.event_type.clone(),
            self.primary_key.clone(),
            self.row_rules.clone(),
            rules,
        ))
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition")
            .field("name", &self.name)
            .field("event_type", &self.event_type)
            .field("primary_key", &self.primary_key)
            .finish_non_exhaustive()
    }
}

/// Declares the collections of a [`StateSchema`].
#[derive(Debug, Default)]
pub struct StateSchemaBuilder {
    collections: Vec<Definition>,
    /// The first fault; told at the end, so that declarations can be chained.
    error: Option<SchemaError>,
}

impl StateSchemaBuilder {
    /// Adds the collection of a Rust type.
    pub fn collection<T: Collection>(self) -> Self {
        self.add::<T>(None, None)
    }

    /// Adds the collection of a Rust type with rules, which [`Events`] check before they make an
    /// event, and a database before it changes a row; what comes in is not checked. They are
    /// `User::validate` of a type that is [`Validate`](super::Validate), a closure, or, of
    /// one that is `garde::Validate`, `schema::garde::<User>` (with the feature `garde`).
    pub fn collection_with<T: Collection>(
        self,
        rules: impl Fn(&T) -> Result<(), Issues> + Send + Sync + 'static,
    ) -> Self {
        self.add::<T>(None, Some(TypeRules::new::<T>(Arc::new(rules))))
    }

    /// Adds the collection of a Rust type with a JSON Schema of its rows, which is checked before
    /// an event is made, and when one is decoded: events that break it are not taken. Formats
    /// count as rules, and references lead nowhere outside of the schema.
    ///
    /// ```
    /// # use serde::{Serialize, Deserialize};
    /// # #[derive(Serialize, Deserialize)]
    /// # struct User { id: String, age: i64 }
    /// # impl tailwater::schema::Collection for User {
    /// #     const NAME: &'static str = "users";
    /// #     const EVENT_TYPE: &'static str = "user";
    /// #     const PRIMARY_KEY: &'static str = "id";
    /// #     type Columns = ();
    /// #     fn columns(_: &str) {}
    /// #     fn key(&self) -> String { self.id.clone() }
    /// # }
    /// use tailwater::engine::Engine;
    /// use tailwater::schema::StateSchema;
    /// let schema = StateSchema::builder()
    ///     .collection_with_schema::<User>(&serde_json::json!({"properties": {"age": {"minimum": 0}}}))
    ///     .build()?;
    /// let engine = Engine::with_catalog(schema.catalog().into());
    /// let error = engine.decode([
    ///     r#"{"type":"user","key":"1","value":{"age":-1},"headers":{"operation":"insert"}}"#,
    /// ]);
    /// assert_eq!(
    ///     error.unwrap_err().to_string(),
    ///     "collection `users`, key `1`: age: -1 is less than the minimum of 0 (`minimum`)",
    /// );
    /// # Ok::<(), tailwater::schema::SchemaError>(())
    /// ```
    #[cfg(feature = "json-schema")]
    pub fn collection_with_schema<T: Collection>(self, schema: &serde_json::Value) -> Self {
        self.add::<T>(Some(schema), None)
    }

    fn add<T: Collection>(
        mut self,
        schema: Option<&serde_json::Value>,
        type_rules: Option<TypeRules>,
    ) -> Self {
        self.declare(
            T::NAME.into(),
            T::EVENT_TYPE.into(),
            T::PRIMARY_KEY.into(),
            schema,
            type_rules,
        );
        self
    }

    fn declare(
        &mut self,
        name: SmolStr,
        event_type: SmolStr,
        primary_key: SmolStr,
        schema: Option<&serde_json::Value>,
        type_rules: Option<TypeRules>,
    ) {
        let row_rules = match schema.map(|schema| RowRules::new(schema, &primary_key)) {
            None => None,
            Some(Ok(rules)) => rules,
            Some(Err(detail)) => {
                let collection = name.clone();
                self.error
                    .get_or_insert(SchemaError::Rules { collection, detail });
                None
            }
        };
        self.collections.push(Definition {
            name,
            event_type,
            primary_key,
            unchecked: schema.is_some() && row_rules.is_none(),
            row_rules,
            type_rules,
        });
    }

    /// The schema, if it holds.
    ///
    /// # Errors
    ///
    /// If a name, event type or primary key is empty, a name is reserved, two collections have one
    /// name or one event type, or a JSON Schema is none.
    pub fn build(self) -> Result<StateSchema, SchemaError> {
        let mut names = HashSet::new();
        let mut by_type = HashMap::new();
        for collection in &self.collections {
            let Definition {
                name,
                event_type,
                primary_key,
                ..
            } = collection;
            let fields = [
                ("name", name),
                ("type", event_type),
                ("primaryKey", primary_key),
            ];
            if let Some((field, _)) = fields.into_iter().find(|(_, text)| text.is_empty()) {
                return Err(SchemaError::Empty {
                    collection: name.clone(),
                    field,
                });
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(SchemaError::Reserved(name.clone()));
            }
            if !names.insert(name) {
                return Err(SchemaError::DuplicateName(name.clone()));
            }
            if let Some(first) = by_type.insert(event_type, name) {
                return Err(SchemaError::DuplicateEventType {
                    event_type: event_type.clone(),
                    first: first.clone(),
                    second: name.clone(),
                });
            }
        }
        match self.error {
            Some(error) => Err(error),
            None => Ok(StateSchema {
                collections: self.collections,
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaFile {
    collections: Entries,
}

/// The entries of an object as they stand there, so that a repeated name is seen.
struct Entries(Vec<(SmolStr, Entry)>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    #[serde(rename = "type")]
    event_type: SmolStr,
    primary_key: SmolStr,
    schema: Option<serde_json::Value>,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of collections by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_that_do_not_hold_are_refused() {
        for (text, message) in [
            ("{", "the schema is not valid: EOF"),
            (r#"{"collections":[]}"#, "expected an object of collections"),
            (
                r#"{"collections":{"a":{"type":"t"}}}"#,
                "missing field `primaryKey`",
            ),
            (
                r#"{"collections":{"a":{"type":"","primaryKey":"id"}}}"#,
                "collection `a`: `type` must not be empty",
            ),
            (
                r#"{"collections":{"a":{"type":"t","primaryKey":""}}}"#,
                "collection `a`: `primaryKey` must not be empty",
            ),
            (
                r#"{"collections":{"":{"type":"t","primaryKey":"id"}}}"#,
                "collection ``: `name` must not be empty",
            ),
            (
                r#"{"collections":{"a":{"type":"t","primaryKey":"id"},"b":{"type":"t","primaryKey":"id"}}}"#,
                "duplicate event type `t`: used by both `a` and `b`",
            ),
            (
                r#"{"collections":{"a":{"type":"t","primaryKey":"id"},"a":{"type":"u","primaryKey":"id"}}}"#,
                "duplicate collection name `a`",
            ),
            (
                r#"{"collections":{"utils":{"type":"t","primaryKey":"id"}}}"#,
                "reserved collection name `utils`: none may be one of collections, preload, close",
            ),
        ] {
            let error = StateSchema::from_json(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[cfg(feature = "json-schema")]
    #[test]
    fn a_schema_of_rows_must_be_one() {
        let text =
            r#"{"collections":{"a":{"type":"t","primaryKey":"id","schema":{"type":"text"}}}}"#;
        let error = StateSchema::from_json(text).unwrap_err().to_string();
        let start = "collection `a`: `schema` is not a JSON Schema: type: \"text\" ";
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn what_is_not_checked_is_named() {
        let text = r#"{"collections":{
            "a":{"type":"a","primaryKey":"id","schema":{}},
            "b":{"type":"b","primaryKey":"id"}}}"#;
        let catalog = StateSchema::from_json(text).unwrap().catalog();
        let unchecked: &[&str] = if cfg!(feature = "json-schema") {
            &[]
        } else {
            &["a"]
        };
        assert_eq!(catalog.unchecked(), unchecked);
    }
}
