//! Rows to start from, so that the whole log need not be read again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::DbError;
use crate::schema::{Catalog, CollectionDef, RowDecoder};
use crate::store::{Action, Store};
use crate::stream::Offset;
use crate::value::{Value, ValueRef};

/// The version of the shape of [`Snapshot`].
pub(super) const FORMAT: u32 = 1;

/// The rows of all collections of a database as the stream has them, and where in it to go on reading.
/// What is pending is not in it.
///
/// Write it with any format of serde that knows maps, and give it to
/// [`Builder::resume`](super::Builder::resume) when the program starts the next time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub(super) format: u32,
    pub(super) schema_version: u64,
    /// Whether rows of all event types are in it, and not only those of a schema.
    pub(super) open: bool,
    pub(super) offset: String,
    pub(super) collections: BTreeMap<String, SnapshotCollection>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SnapshotCollection {
    #[serde(rename = "type")]
    event_type: String,
    rows: BTreeMap<String, Value>,
}

impl SnapshotCollection {
    pub(super) fn new(collection: &CollectionDef, store: &Store) -> SnapshotCollection {
        let columns = collection.columns();
        let row = |row: &crate::value::Row| match row.get(0) {
            ValueRef::Str(key) => Some((key.to_owned(), columns.fields(row).value())),
            _ => None,
        };
        SnapshotCollection {
            event_type: collection.event_type().to_string(),
            rows: store.synced_rows(collection).filter_map(row).collect(),
        }
    }
}

impl Snapshot {
    /// Where to go on reading.
    pub fn offset(&self) -> Offset {
        Offset::from(self.offset.as_str())
    }

    /// The version that [`Builder::schema_version`](super::Builder::schema_version) gave.
    pub fn schema_version(&self) -> u64 {
        self.schema_version
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.collections.values().map(|c| c.rows.len()).sum()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has all rows that a database with this catalog needs.
    pub(super) fn check(&self, catalog: &Catalog, schema_version: u64) -> Result<(), DbError> {
        let fail = |why: String| Err(DbError::Snapshot(why));
        if self.format != FORMAT {
            return fail(format!("it has format {}, not {FORMAT}", self.format));
        }
        if self.schema_version != schema_version {
            let version = self.schema_version;
            return fail(format!(
                "it was made with schema version {version}, not {schema_version}"
            ));
        }
        if self.open {
            return Ok(());
        }
        if catalog.is_open() {
            return fail("it has the rows of some event types only".into());
        }
        for collection in catalog.collections() {
            let known = self.collections.get(collection.name().as_str());
            if known.is_none_or(|known| known.event_type != *collection.event_type()) {
                let (name, of) = (collection.name(), collection.event_type());
                return fail(format!(
                    "it has no collection `{name}` of events of type `{of}`"
                ));
            }
        }
        Ok(())
    }

    /// The rows, for the collections of a catalog.
    pub(super) fn into_actions(self, catalog: &Catalog) -> Result<Vec<Action>, DbError> {
        let mut actions = Vec::with_capacity(self.len());
        let mut decoder = RowDecoder::default();
        for (_, collection) in self.collections {
            let Some(target) = catalog.by_type(&collection.event_type) else {
                continue;
            };
            for (key, value) in collection.rows {
                let row = serde_json::value::to_raw_value(&value)
                    .map_err(|error| error.to_string())
                    .and_then(|text| {
                        let row = decoder.row(&target, &key, &text);
                        row.map_err(|error| error.to_string())
                    });
                let row = row.map_err(|error| {
                    let name = target.name();
                    DbError::Snapshot(format!("row `{key}` of `{name}`: {error}"))
                })?;
                actions.push(Action::Put {
                    collection: target.id(),
                    row,
                });
            }
        }
        Ok(actions)
    }
}
