//! One collection: its columns, and JSON objects into positional rows.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use smol_str::SmolStr;
use thiserror::Error;

use super::row_rules::RowRules;
use super::validate::Issues;
use crate::value::{EncodeSeed, Row, SeqBuilder, Value, ValueRef, encode};

/// The column of a row's key; the path `["alias", "$key"]` reads it.
pub const KEY_COLUMN: &str = "$key";
/// Whether no pending transaction has a hand in a row; the path `["alias", "$synced"]` reads it.
pub const SYNCED_COLUMN: &str = "$synced";
/// Whether a row is `"local"`, a pending transaction having a hand in it, or `"remote"`; the path
/// `["alias", "$origin"]` reads it.
pub const ORIGIN_COLUMN: &str = "$origin";
/// Objects used as maps would otherwise make rows of unbounded width.
const MAX_COLUMNS: usize = 4096;

/// A column that is no field.
#[derive(Clone, Copy)]
enum Special {
    /// Of rows that are not objects, as the State Protocol allows without a schema.
    Scalar,
    /// Of rows that a pending transaction has a hand in.
    Local,
}

/// Why a value was not taken as a row.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RowError {
    /// A typed collection takes objects only.
    #[error("collection `{collection}` requires object values; got {got} for key `{key}`")]
    NotAnObject {
        /// The collection.
        collection: SmolStr,
        /// The type that came.
        got: &'static str,
        /// The row's key.
        key: String,
    },
    /// The value breaks the rules of its collection's JSON Schema.
    #[error("collection `{collection}`, key `{key}`: {issues}")]
    Rules {
        /// The collection.
        collection: SmolStr,
        /// The row's key.
        key: String,
        /// What is wrong with the value.
        issues: Issues,
    },
    /// The value cannot be read, or has too many distinct fields.
    #[error("field `value`: {0}")]
    Json(#[from] serde_json::Error),
}

/// The columns of a collection at one moment: column 0 is the key.
#[derive(Clone, Debug)]
pub struct Columns {
    names: Vec<SmolStr>,
    index: HashMap<SmolStr, usize>,
    /// The columns that are no fields, by [`Special`].
    special: [Option<usize>; 2],
    /// The columns that rows have had, in the order in which they came: how objects are written.
    /// Other columns were only asked for by queries.
    seen: Vec<usize>,
    is_seen: Vec<bool>,
}

impl Columns {
    fn new() -> Columns {
        let (names, index) = (Vec::new(), HashMap::new());
        let mut columns = Columns {
            names,
            index,
            special: [None; 2],
            seen: Vec::new(),
            is_seen: Vec::new(),
        };
        columns.add_unnamed(KEY_COLUMN);
        columns
    }

    fn see(&mut self, column: usize) {
        self.is_seen[column] = true;
        self.seen.push(column);
    }

    fn add(&mut self, name: &str) -> usize {
        let column = self.add_unnamed(name);
        self.index.insert(name.into(), column);
        column
    }

    /// Adds a column that is no field, so that no field's name can be mistaken for it.
    fn add_unnamed(&mut self, label: &str) -> usize {
        self.names.push(label.into());
        self.is_seen.push(false);
        self.names.len() - 1
    }

    /// The column of a field.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The fields' names by column; the first is the key's.
    pub fn names(&self) -> &[SmolStr] {
        &self.names
    }

    /// Whether a row is not an object.
    pub fn is_scalar(&self, row: &Row) -> bool {
        matches!(self.fields(row), Fields::Scalar(_))
    }

    /// The fields of a row that are there, or the value itself where the row is not an object.
    pub fn fields<'a>(&'a self, row: &'a Row) -> Fields<'a> {
        if let Some(scalar) = self.special[Special::Scalar as usize] {
            let value = row.get(scalar);
            if !matches!(value, ValueRef::Missing) {
                return Fields::Scalar(value);
            }
        }
        Fields::Object(self, row)
    }
}

/// What a row holds, for rendering.
#[derive(Clone, Copy, Debug)]
pub enum Fields<'a> {
    /// A value that is not an object.
    Scalar(ValueRef<'a>),
    /// Named fields.
    Object(&'a Columns, &'a Row),
}

impl<'a> Fields<'a> {
    /// The entries of the object, in the order in which the fields first came; of a scalar none.
    pub fn entries(self) -> impl Iterator<Item = (&'a SmolStr, ValueRef<'a>)> {
        let known = match self {
            Fields::Scalar(_) => None,
            Fields::Object(columns, row) => Some((columns, row.columns())),
        };
        let entry = |(columns, row): (&'a Columns, crate::value::Seq<'a>)| {
            columns
                .seen
                .iter()
                .map(move |&column| (&columns.names[column], row.get(column)))
        };
        let entries = known.into_iter().flat_map(entry);
        entries.filter(|(_, value)| !matches!(value, ValueRef::Missing))
    }

    /// The value as one piece.
    pub fn value(self) -> Value {
        match self {
            Fields::Scalar(value) => value.to_owned(),
            Fields::Object(..) => Value::object(self.entries().map(|(k, v)| (k, v.to_owned()))),
        }
    }
}

/// A keyed collection of rows.
#[derive(Debug)]
pub struct CollectionDef {
    id: usize,
    name: SmolStr,
    event_type: SmolStr,
    primary_key: Option<usize>,
    typed: bool,
    rules: Option<RowRules>,
    /// Replaced as a whole when a column comes, so that readers keep a snapshot without a lock.
    columns: RwLock<Arc<Columns>>,
}

impl CollectionDef {
    pub(super) fn new(
        id: usize,
        name: SmolStr,
        event_type: SmolStr,
        primary_key: Option<SmolStr>,
        rules: Option<RowRules>,
    ) -> Self {
        let mut columns = Columns::new();
        let typed = primary_key.is_some();
        let primary_key = primary_key.map(|field| {
            let column = columns.get(&field).unwrap_or_else(|| columns.add(&field));
            // Every row will have it.
            columns.see(column);
            column
        });
        CollectionDef {
            id,
            name,
            event_type,
            primary_key,
            typed,
            rules,
            columns: RwLock::new(Arc::new(columns)),
        }
    }

    /// The collection's number in its catalog.
    pub fn id(&self) -> usize {
        self.id
    }

    /// The name that queries use.
    pub fn name(&self) -> &SmolStr {
        &self.name
    }

    /// The `type` of its events.
    pub fn event_type(&self) -> &SmolStr {
        &self.event_type
    }

    /// Whether a value keeps the rules of the collection.
    fn check(&self, key: &str, text: &str) -> Result<(), RowError> {
        let Some(rules) = &self.rules else {
            return Ok(());
        };
        rules
            .check(Some(key), text)?
            .map_err(|issues| RowError::Rules {
                collection: self.name.clone(),
                key: key.into(),
                issues,
            })
    }

    /// The columns known now.
    pub fn columns(&self) -> Arc<Columns> {
        self.columns
            .read()
            .expect("no panic while columns are locked")
            .clone()
    }

    /// The column of a field, made if it is new; `None` when there are too many.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns().get(name).or_else(|| {
            let mut columns = self
                .columns
                .write()
                .expect("no panic while columns are locked");
            if let Some(column) = columns.get(name) {
                return Some(column);
            }
            if columns.names.len() >= MAX_COLUMNS {
                return None;
            }
            Some(Arc::make_mut(&mut columns).add(name))
        })
    }

    /// The column of the primary key, which always holds the row's key; none without a schema.
    pub fn primary_key(&self) -> Option<usize> {
        self.primary_key
    }

    /// The column that is true in rows which a pending transaction has a hand in, and missing in
    /// all others; made if it is new.
    pub(crate) fn local_column(&self) -> usize {
        self.special(Special::Local)
    }

    /// A column that is no field, made if it is new.
    fn special(&self, which: Special) -> usize {
        let mut columns = self
            .columns
            .write()
            .expect("no panic while columns are locked");
        columns.special[which as usize].unwrap_or_else(|| {
            let columns = Arc::make_mut(&mut columns);
            let column = columns.add_unnamed(match which {
                Special::Scalar => "$value",
                Special::Local => "$local",
            });
            columns.special[which as usize] = Some(column);
            column
        })
    }

    /// Takes over the columns that a row needed beyond those of `base`; false if others came
    /// meanwhile.
    fn publish(&self, base: &Arc<Columns>, new: Columns) -> bool {
        let mut columns = self
            .columns
            .write()
            .expect("no panic while columns are locked");
        let unchanged = Arc::ptr_eq(base, &columns);
        if unchanged {
            *columns = Arc::new(new);
        }
        unchanged
    }
}

/// Turns JSON values into rows; keeps its buffers between calls.
#[derive(Debug, Default)]
pub struct RowDecoder {
    data: Vec<u8>,
    /// Where each column's value lies in `data`.
    spans: Vec<(u32, u32)>,
    builder: SeqBuilder,
    scratch: Vec<u8>,
}

impl RowDecoder {
    /// A row that is only a key, as a delete names it.
    pub fn key_row(&mut self, key: &str) -> Row {
        self.builder.push(ValueRef::Str(key));
        Row::new(&mut self.builder, &mut self.scratch)
    }

    /// The row of a JSON value.
    ///
    /// # Errors
    ///
    /// If the value is not an object where the collection requires one, breaks the collection's
    /// rules, or has too many fields.
    pub fn row(
        &mut self,
        collection: &CollectionDef,
        key: &str,
        value: &RawValue,
    ) -> Result<Row, RowError> {
        let text = value.get();
        if text.trim_start().starts_with('{') {
            collection.check(key, text)?;
            self.object(collection, text)?;
        } else {
            self.clear();
            EncodeSeed(&mut self.data)
                .deserialize(&mut serde_json::Deserializer::from_str(text))?;
            if collection.typed {
                let got = crate::value::decode(&self.data).type_name();
                let collection = collection.name.clone();
                return Err(RowError::NotAnObject {
                    collection,
                    got,
                    key: key.into(),
                });
            }
            self.put(collection.special(Special::Scalar), 0);
        }
        let start = self.data.len();
        encode(ValueRef::Str(key), &mut self.data);
        self.put(0, start);
        if let Some(column) = collection.primary_key {
            self.put(column, start);
        }
        for &(start, end) in &self.spans {
            self.builder
                .push_encoded(&self.data[start as usize..end as usize]);
        }
        Ok(Row::new(&mut self.builder, &mut self.scratch))
    }

    fn clear(&mut self) {
        self.data.clear();
        self.spans.clear();
    }

    /// Reads the fields. New columns become known only when the row was read as a whole, so that a
    /// row that is refused leaves nothing behind.
    fn object(&mut self, collection: &CollectionDef, text: &str) -> Result<(), RowError> {
        loop {
            self.clear();
            let base = collection.columns();
            let mut columns = Cow::Borrowed(&*base);
            let visitor = RowVisitor {
                decoder: self,
                collection,
                columns: &mut columns,
            };
            serde_json::Deserializer::from_str(text).deserialize_map(visitor)?;
            let done = match columns {
                Cow::Owned(new) => collection.publish(&base, new),
                Cow::Borrowed(_) => true,
            };
            if done {
                return Ok(());
            }
        }
    }

    /// Makes the data from `start` on the value of a column; the last one given stays.
    fn put(&mut self, column: usize, start: usize) {
        if self.spans.len() <= column {
            self.spans.resize(column + 1, (0, 0));
        }
        self.spans[column] = (start as u32, self.data.len() as u32);
    }
}

struct RowVisitor<'a, 'c> {
    decoder: &'a mut RowDecoder,
    collection: &'a CollectionDef,
    columns: &'a mut Cow<'c, Columns>,
}

impl<'de> Visitor<'de> for RowVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Fields mostly come in the order of the columns.
        let mut expected = 1;
        while let Some(column) = map.next_key_seed(ColumnSeed {
            collection: self.collection,
            columns: self.columns,
            expected,
        })? {
            let start = self.decoder.data.len();
            map.next_value_seed(EncodeSeed(&mut self.decoder.data))?;
            self.decoder.put(column, start);
            expected = column + 1;
        }
        Ok(())
    }
}

/// Resolves a field name to its column without copying the name.
struct ColumnSeed<'a, 'c> {
    collection: &'a CollectionDef,
    columns: &'a mut Cow<'c, Columns>,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for ColumnSeed<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ColumnSeed<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<usize, E> {
        if self
            .columns
            .names
            .get(self.expected)
            .is_some_and(|expected| expected == name)
            && self.columns.is_seen[self.expected]
        {
            return Ok(self.expected);
        }
        let known = self.columns.get(name);
        if let Some(column) = known
            && self.columns.is_seen[column]
        {
            return Ok(column);
        }
        if known.is_none() && self.columns.names.len() >= MAX_COLUMNS {
            return Err(E::custom(format_args!(
                "field `{name}`: collection `{}` would have more than {MAX_COLUMNS} distinct fields; \
                 put an object with changing keys into a field of the row",
                self.collection.name
            )));
        }
        let columns = self.columns.to_mut();
        let column = known.unwrap_or_else(|| columns.add(name));
        columns.see(column);
        Ok(column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Catalog;

    fn row(collection: &CollectionDef, key: &str, text: &str) -> Result<Row, RowError> {
        let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
        RowDecoder::default().row(collection, key, &raw)
    }

    #[test]
    fn fields_find_their_columns_in_any_order() {
        let collection = Catalog::open().by_name("c").unwrap();
        let a = row(&collection, "k", r#"{"x":1,"y":{"z":[2]}}"#).unwrap();
        let b = row(&collection, "k", r#"{"y":{"z":[2]},"x":1.0}"#).unwrap();
        let c = row(&collection, "k", r#"{"w":null,"x":1,"x":2}"#).unwrap();
        assert_eq!(a, b);
        assert_eq!(
            collection.columns().fields(&a).value().to_string(),
            r#"{"x":1,"y":{"z":[2]}}"#
        );
        assert_eq!(
            collection.columns().fields(&c).value().to_string(),
            r#"{"w":null,"x":2}"#
        );
    }

    #[test]
    fn no_field_is_mistaken_for_the_key_or_a_scalar() {
        let collection = Catalog::open().by_name("c").unwrap();
        let text = r#"{"a":1,"$value":5,"$key":"z"}"#;
        let object = row(&collection, "k", text).unwrap();
        row(&collection, "l", "7").unwrap();
        assert_eq!(
            collection.columns().fields(&object).value(),
            crate::value::from_json(text).unwrap()
        );
    }

    #[test]
    fn scalars_are_rows_only_without_a_schema() {
        let open = Catalog::open().by_name("config").unwrap();
        let dark = row(&open, "theme", r#""dark""#).unwrap();
        assert_eq!(
            open.columns().fields(&dark).value().to_string(),
            r#""dark""#
        );
        let schema = r#"{"collections":{"users":{"type":"user","primaryKey":"id"}}}"#;
        let typed = Catalog::from_json(schema)
            .unwrap()
            .by_name("users")
            .unwrap();
        let error = row(&typed, "7", "[1]").unwrap_err().to_string();
        assert_eq!(
            error,
            "collection `users` requires object values; got an array for key `7`"
        );
        let user = row(&typed, "7", r#"{"name":"A","id":"other"}"#).unwrap();
        assert_eq!(
            typed.columns().fields(&user).value().to_string(),
            r#"{"id":"7","name":"A"}"#
        );
    }

    #[test]
    fn fields_are_written_as_they_came_whatever_queries_asked_for() {
        let collection = Catalog::open().by_name("c").unwrap();
        collection.column("z").unwrap();
        let a = row(&collection, "k", r#"{"b":1,"a":2,"z":3}"#).unwrap();
        let columns = collection.columns();
        let names: Vec<&str> = columns
            .fields(&a)
            .entries()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["b", "a", "z"]);
    }

    #[test]
    fn the_number_of_columns_is_bounded() {
        let collection = Catalog::open().by_name("c").unwrap();
        let fields: Vec<String> = (0..MAX_COLUMNS).map(|i| format!(r#""f{i}":{i}"#)).collect();
        let error = row(&collection, "k", &format!("{{{}}}", fields.join(","))).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("would have more than 4096 distinct fields"),
            "{error}"
        );
        assert!(
            row(&collection, "k", r#"{"g":1}"#).is_ok(),
            "the refused row left nothing behind"
        );
    }
}
