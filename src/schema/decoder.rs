//! JSON objects into positional rows.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::collection::names_row;
use super::rows::{CollectionDef, Columns, MAX_COLUMNS, RowError, Special};
use crate::value::{EncodeSeed, Row, SeqBuilder, ValueRef, decode, encode};

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

    /// The row of a JSON value that came in.
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
        if is_object(value) {
            collection.check(key, value.get())?;
        }
        self.unchecked(collection, key, value)
    }

    /// As [`RowDecoder::row`], whatever the collection's rules say.
    pub(crate) fn unchecked(
        &mut self,
        collection: &CollectionDef,
        key: &str,
        value: &RawValue,
    ) -> Result<Row, RowError> {
        self.fields(collection, key, value)?;
        if let Some(column) = collection.primary_key()
            && !names_row(self.get(column), key)
        {
            self.put_with(column, ValueRef::Str(key));
        }
        Ok(self.finish())
    }

    /// The row of some fields, without that of the key unless it is one of them.
    pub(crate) fn part(
        &mut self,
        collection: &CollectionDef,
        key: &str,
        value: &RawValue,
    ) -> Result<Row, RowError> {
        self.fields(collection, key, value)?;
        Ok(self.finish())
    }

    fn fields(
        &mut self,
        collection: &CollectionDef,
        key: &str,
        value: &RawValue,
    ) -> Result<(), RowError> {
        let text = value.get();
        if is_object(value) {
            self.object(collection, text)?;
        } else {
            self.clear();
            EncodeSeed(&mut self.data)
                .deserialize(&mut serde_json::Deserializer::from_str(text))?;
            if collection.is_typed() {
                let got = decode(&self.data).type_name();
                let collection = collection.name().clone();
                return Err(RowError::NotAnObject {
                    collection,
                    got,
                    key: key.into(),
                });
            }
            self.put(collection.special(Special::Scalar), 0);
        }
        self.put_with(0, ValueRef::Str(key));
        Ok(())
    }

    fn finish(&mut self) -> Row {
        for &(start, end) in &self.spans {
            self.builder
                .push_encoded(&self.data[start as usize..end as usize]);
        }
        Row::new(&mut self.builder, &mut self.scratch)
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

    fn get(&self, column: usize) -> ValueRef<'_> {
        let span = self.spans.get(column);
        span.map_or(ValueRef::Missing, |&(start, end)| {
            decode(&self.data[start as usize..end as usize])
        })
    }

    fn put_with(&mut self, column: usize, value: ValueRef<'_>) {
        let start = self.data.len();
        encode(value, &mut self.data);
        self.put(column, start);
    }

    /// Makes the data from `start` on the value of a column; the last one given stays.
    fn put(&mut self, column: usize, start: usize) {
        if self.spans.len() <= column {
            self.spans.resize(column + 1, (0, 0));
        }
        self.spans[column] = (start as u32, self.data.len() as u32);
    }
}

fn is_object(value: &RawValue) -> bool {
    value.get().trim_start().starts_with('{')
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
                self.collection.name()
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
    fn a_key_stays_a_number_where_it_is_one() {
        let schema = r#"{"collections":{"users":{"type":"user","primaryKey":"id"}}}"#;
        let users = Catalog::from_json(schema).unwrap();
        let users = users.by_name("users").unwrap();
        for (key, text, expected) in [
            ("7", r#"{"id":7}"#, r#"{"id":7}"#),
            ("7", r#"{"id":7.0}"#, r#"{"id":7}"#),
            ("7", r#"{"id":"7"}"#, r#"{"id":"7"}"#),
            ("7", r#"{"id":8}"#, r#"{"id":"7"}"#),
            ("7", r#"{"id":null}"#, r#"{"id":"7"}"#),
            ("[7]", r#"{"id":[7]}"#, r#"{"id":"[7]"}"#),
            ("7", "{}", r#"{"id":"7"}"#),
            ("0.5", r#"{"id":0.5}"#, r#"{"id":0.5}"#),
            ("true", r#"{"id":true}"#, r#"{"id":true}"#),
        ] {
            let row = row(&users, key, text).unwrap();
            assert_eq!(row.get(0).as_str(), Some(key));
            let value = users.columns().fields(&row).value();
            assert_eq!(value.to_string(), expected, "{text}");
        }
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
