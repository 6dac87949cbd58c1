//! One collection: its columns and its rules.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use thiserror::Error;

use super::row_rules::RowRules;
use super::validate::Issues;
use crate::value::{Row, Value, ValueRef};

/// The column of a row's key; the path `["alias", "$key"]` reads it.
pub const KEY_COLUMN: &str = "$key";
/// Whether no pending transaction has a hand in a row; the path `["alias", "$synced"]` reads it.
pub const SYNCED_COLUMN: &str = "$synced";
/// Whether a row is `"local"`, a pending transaction having a hand in it, or `"remote"`; the path
/// `["alias", "$origin"]` reads it.
pub const ORIGIN_COLUMN: &str = "$origin";
/// Objects used as maps would otherwise make rows of unbounded width.
pub(super) const MAX_COLUMNS: usize = 4096;

/// A column that is no field.
#[derive(Clone, Copy)]
pub(super) enum Special {
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
    /// The value breaks the rules of its collection.
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Columns {
    pub(super) names: Vec<SmolStr>,
    index: HashMap<SmolStr, usize>,
    /// The columns that are no fields, by [`Special`].
    special: [Option<usize>; 2],
    /// The columns that rows have had, in the order in which they came: how objects are written.
    /// Other columns were only asked for by queries.
    seen: Vec<usize>,
    pub(super) is_seen: Vec<bool>,
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

    pub(super) fn see(&mut self, column: usize) {
        self.is_seen[column] = true;
        self.seen.push(column);
    }

    pub(super) fn add(&mut self, name: &str) -> usize {
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

    /// The names of the fields that rows have had, in the order in which they came.
    pub fn seen(&self) -> impl Iterator<Item = &str> {
        let fields = self.seen.iter().filter(|column| self.is_field(**column));
        fields.map(|column| self.names[*column].as_str())
    }

    /// The names of the fields that queries ask for and that no row has had.
    pub fn unseen(&self) -> impl Iterator<Item = &str> {
        let columns = 0..self.names.len();
        let unseen = columns.filter(|column| self.is_field(*column) && !self.is_seen[*column]);
        unseen.map(|column| self.names[column].as_str())
    }

    /// Whether a column is a field; others, such as the key, have labels that a field could have.
    fn is_field(&self, column: usize) -> bool {
        self.get(&self.names[column]) == Some(column)
    }

    /// The fields' names by column; the first is the key's.
    pub fn names(&self) -> &[SmolStr] {
        &self.names
    }

    /// The column that shows in no value, if there is one.
    pub(crate) fn hidden(&self) -> Option<usize> {
        self.special[Special::Local as usize]
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

/// Rules of a Rust type for a row with its key, wherever that comes from.
pub(super) type WriteRules = Arc<dyn Fn(ValueRef<'_>) -> Result<(), Issues> + Send + Sync>;

/// What rows of a collection must keep to.
#[derive(Clone, Default)]
pub(super) struct Rules {
    /// Of rows that come in, and of those that are written.
    pub(super) of_rows: Option<RowRules>,
    /// Only of those that are written.
    pub(super) of_writes: Option<WriteRules>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("of_rows", &self.of_rows.is_some())
            .field("of_writes", &self.of_writes.is_some())
            .finish()
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
    rules: Rules,
    /// Replaced as a whole when a column comes, so that readers keep a snapshot without a lock.
    columns: RwLock<Arc<Columns>>,
}

impl CollectionDef {
    pub(super) fn new(
        id: usize,
        name: SmolStr,
        event_type: SmolStr,
        primary_key: Option<SmolStr>,
        rules: Rules,
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

    /// Whether a value that comes in keeps the rules of the collection.
    pub(super) fn check(&self, key: &str, text: &str) -> Result<(), RowError> {
        match &self.rules.of_rows {
            Some(rules) => self.kept(key, rules.check(Some(key), text)?),
            None => Ok(()),
        }
    }

    /// Whether a row that is written here keeps the rules of the collection, and those of its Rust
    /// type.
    pub(crate) fn check_written(&self, key: &str, row: &Row) -> Result<(), RowError> {
        let Rules { of_rows, of_writes } = &self.rules;
        if of_rows.is_none() && of_writes.is_none() {
            return Ok(());
        }
        let value = self.columns().fields(row).value();
        self.check(key, &value.to_string())?;
        match of_writes {
            Some(rules) => self.kept(key, rules(value.as_ref())),
            None => Ok(()),
        }
    }

    fn kept(&self, key: &str, checked: Result<(), Issues>) -> Result<(), RowError> {
        checked.map_err(|issues| RowError::Rules {
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

    /// Takes over the columns that the collection has elsewhere.
    pub(crate) fn adopt(&self, columns: Columns) {
        let mut known = self
            .columns
            .write()
            .expect("no panic while columns are locked");
        *known = Arc::new(columns);
    }

    /// Where the columns that the collection had elsewhere are here, by their numbers there; they are
    /// made if they are new. `None` if there are too many, or they are not what they should be.
    #[cfg(feature = "http")]
    pub(crate) fn take_over(&self, elsewhere: &Columns) -> Option<Vec<usize>> {
        let mut places = vec![0];
        for (column, name) in elsewhere.names.iter().enumerate().skip(1) {
            let is = |which: Special| elsewhere.special[which as usize] == Some(column);
            places.push(match () {
                () if is(Special::Scalar) => self.special(Special::Scalar),
                () if is(Special::Local) => self.special(Special::Local),
                () => self.column(name)?,
            });
        }
        let mut columns = self
            .columns
            .write()
            .expect("no panic while columns are locked");
        for seen in &elsewhere.seen {
            let place = *places.get(*seen)?;
            if !columns.is_seen[place] {
                Arc::make_mut(&mut columns).see(place);
            }
        }
        Some(places)
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

    /// The column of the primary key, which always holds the row's key: as text, or as the number
    /// or truth value that it is the text of. None without a schema.
    pub fn primary_key(&self) -> Option<usize> {
        self.primary_key
    }

    /// The column that is true in rows which a pending transaction has a hand in, and missing in
    /// all others; made if it is new.
    pub(crate) fn local_column(&self) -> usize {
        self.special(Special::Local)
    }

    /// A column that is no field, made if it is new.
    pub(super) fn special(&self, which: Special) -> usize {
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

    /// Whether its rows are objects.
    pub(super) fn is_typed(&self) -> bool {
        self.typed
    }

    /// Takes over the columns that a row needed beyond those of `base`; false if others came
    /// meanwhile.
    pub(super) fn publish(&self, base: &Arc<Columns>, new: Columns) -> bool {
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
