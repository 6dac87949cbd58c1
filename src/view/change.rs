//! Change sets: what one batch changed in a result.

use std::sync::Arc;

use hashbrown::HashTable;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::dataflow::Updates;
use crate::places::KeyHash;
use crate::plan::{Plan, Rendered, sort_key};
use crate::value::{Row, Tuple, Value};

/// A row of a result. Its key and value are made when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct ResultRow<'a> {
    plan: &'a Plan,
    tuple: &'a [Option<Row>],
}

impl<'a> ResultRow<'a> {
    pub(super) fn new(plan: &'a Plan, tuple: &'a Tuple) -> Self {
        ResultRow { plan, tuple }
    }

    /// The key as text: unique in the result, and the same as long as the row lives.
    pub fn key(&self) -> String {
        self.plan.key_text(self.tuple)
    }

    /// The value.
    pub fn value(&self) -> Value {
        self.plan.value(self.tuple)
    }

    /// The value as JSON, its fields in the order of the query, without building it first.
    pub fn json(&self) -> impl Serialize + use<'a> {
        Rendered {
            expr: &self.plan.output,
            tuple: self.tuple,
        }
    }
}

/// `{"key":…,"value":…}`
impl Serialize for ResultRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("key", &self.key())?;
        map.serialize_entry("value", &self.json())?;
        map.end()
    }
}

/// What happened to a row of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It came.
    Insert,
    /// Its value or its position changed.
    Update,
    /// It left.
    Delete,
}

impl ChangeKind {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Insert => "insert",
            ChangeKind::Update => "update",
            ChangeKind::Delete => "delete",
        }
    }
}

/// The change of one key, as tuples.
#[derive(Clone, Debug, Default)]
pub(super) struct Replaced {
    pub(super) old: Option<Tuple>,
    pub(super) new: Option<Tuple>,
    /// Where it stood and stands, of an ordered result.
    pub(super) moved: Option<Box<Moved>>,
}

/// Positions of a changed row in an ordered result.
#[derive(Clone, Debug, Default)]
pub(super) struct Moved {
    /// The position before the batch, if it was there.
    pub(super) old_index: Option<usize>,
    /// The position after the batch, if it is there.
    pub(super) new_index: Option<usize>,
    /// Whether the row has another place in the order than before, whatever its position.
    pub(super) reordered: bool,
}

impl Replaced {
    /// Whether other rows may have another position because of it.
    pub(super) fn shifts(&self) -> bool {
        self.old.is_none() || self.new.is_none() || self.moved.as_ref().is_some_and(|m| m.reordered)
    }

    /// What change sets are sorted by: what left by its position before, then the rest by theirs.
    fn position(&self) -> Option<(bool, Option<usize>)> {
        let moved = self.moved.as_ref()?;
        Some((self.new.is_some(), moved.new_index.or(moved.old_index)))
    }
}

/// Pairs the tuple that left with the one that came under the same key.
pub(super) fn pair(updates: &mut Updates) -> Vec<Replaced> {
    let mut changes = Vec::with_capacity(updates.len());
    if updates.iter().all(|(_, diff)| *diff > 0) {
        changes.extend(updates.drain(..).map(|(tuple, _)| Replaced {
            new: Some(tuple),
            ..Replaced::default()
        }));
        return changes;
    }
    let mut came = Vec::new();
    for (tuple, diff) in updates.drain(..) {
        if diff > 0 {
            came.push(tuple);
        } else {
            changes.push(Replaced {
                old: Some(tuple),
                ..Replaced::default()
            });
        }
    }
    let left = changes.len();
    let old =
        |changes: &[Replaced], i: u32| key_hash(changes[i as usize].old.as_ref().expect("it left"));
    let mut by_key = HashTable::<u32>::new();
    if left > FEW && !came.is_empty() {
        by_key.reserve(left, |_| unreachable!("the table is empty"));
        for i in 0..left as u32 {
            by_key.insert_unique(old(&changes, i), i, |&i| old(&changes, i));
        }
    }
    for tuple in came {
        let same = |i: usize| {
            changes[i]
                .old
                .as_ref()
                .is_some_and(|old| same_key(old, &tuple))
        };
        let found = match left {
            0..=FEW => (0..left).find(|&i| same(i)),
            _ => by_key
                .find(key_hash(&tuple), |&i| same(i as usize))
                .map(|&i| i as usize),
        };
        match found {
            Some(i) => changes[i].new = Some(tuple),
            None => changes.push(Replaced {
                new: Some(tuple),
                ..Replaced::default()
            }),
        }
    }
    changes
}

/// Drops the changes that show neither in a row's value nor in its place.
pub(super) fn retain_visible(changes: &mut Vec<Replaced>, plan: &Plan) {
    // A row alone that keeps its position has not moved; among others it may have all the same.
    let alone = plan.ordered && changes.iter().filter(|change| change.shifts()).count() == 1;
    changes.retain(|change| match (&change.old, &change.new) {
        (Some(old), Some(new)) => {
            let stays = |m: &Moved| !m.reordered || (alone && m.old_index == m.new_index);
            let moved = change.moved.as_ref().is_some_and(|m| !stays(m));
            // Else only columns changed that the query does not show.
            moved || !plan.output.same(old, new)
        }
        _ => true,
    });
}

/// Up to here keys are compared one by one.
const FEW: usize = 8;

/// Whether tuples with equally many rows have the same key.
#[inline]
pub(super) fn same_key(a: &Tuple, b: &Tuple) -> bool {
    a.iter().zip(b).all(|(a, b)| match (a, b) {
        (Some(a), Some(b)) => a.has_key_of(b),
        (None, None) => true,
        _ => false,
    })
}

pub(super) fn key_hash(tuple: &Tuple) -> u64 {
    KeyHash::of_tuple(tuple).spread()
}

/// What one batch changed in one result: at most one change of a key.
///
/// A change set applies as a whole. For ordered results: first remove the rows of all deletes and
/// updates at their previous indexes, from the highest to the lowest, then insert those of all
/// inserts and updates at their indexes, from the lowest to the highest.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    pub(super) plan: Arc<Plan>,
    /// Whether the changes have positions.
    pub(super) ordered: bool,
    /// Shared by all queries that have the result in common.
    pub(super) changes: Arc<Vec<Replaced>>,
}

impl ChangeSet {
    pub(super) fn new(plan: Arc<Plan>, ordered: bool, changes: Vec<Replaced>) -> Self {
        ChangeSet {
            plan,
            ordered,
            changes: Arc::new(changes),
        }
    }

    /// The number of changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// About how many bytes the changes hold on to. Of a join, the rows of all sources count.
    #[cfg(feature = "serve")]
    pub(crate) fn weight(&self) -> usize {
        let bytes = |tuple: &Tuple| tuple.iter().flatten().map(Row::size).sum::<usize>();
        let change = |replaced: &Replaced| {
            let [old, new] =
                [&replaced.old, &replaced.new].map(|row| row.as_ref().map_or(0, bytes));
            old + new + 128
        };
        self.changes.iter().map(change).sum()
    }

    /// The changes: of an ordered result deletes first, then by position; else by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Change<'_>> {
        // Sorted only when they are read: until then they are as hash tables left them.
        let mut sorted: Vec<&Replaced> = self.changes.iter().collect();
        if self.ordered {
            sorted.sort_by_key(|replaced| replaced.position());
        } else {
            let tuple = |r: &Replaced| r.new.as_ref().or(r.old.as_ref()).map(|t| sort_key(&[], t));
            sorted.sort_by_cached_key(|replaced| tuple(replaced));
        }
        sorted.into_iter().map(|replaced| Change {
            plan: &self.plan,
            replaced,
        })
    }
}

/// One change of a [`ChangeSet`].
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    plan: &'a Plan,
    replaced: &'a Replaced,
}

impl<'a> Change<'a> {
    /// What happened.
    pub fn kind(&self) -> ChangeKind {
        match (&self.replaced.old, &self.replaced.new) {
            (None, _) => ChangeKind::Insert,
            (Some(_), Some(_)) => ChangeKind::Update,
            (Some(_), None) => ChangeKind::Delete,
        }
    }

    /// The row as it is now; of a delete none.
    pub fn row(&self) -> Option<ResultRow<'a>> {
        self.replaced
            .new
            .as_ref()
            .map(|tuple| ResultRow::new(self.plan, tuple))
    }

    /// The row as it was; of an insert none.
    pub fn previous(&self) -> Option<ResultRow<'a>> {
        self.replaced
            .old
            .as_ref()
            .map(|tuple| ResultRow::new(self.plan, tuple))
    }

    /// The row's key as text.
    pub fn key(&self) -> String {
        self.row()
            .or(self.previous())
            .expect("a change has a row")
            .key()
    }

    /// The position after the batch, of an ordered result.
    pub fn index(&self) -> Option<usize> {
        self.replaced.moved.as_ref()?.new_index
    }

    /// The position before the batch, of an ordered result.
    pub fn previous_index(&self) -> Option<usize> {
        self.replaced.moved.as_ref()?.old_index
    }
}

/// `{"type":…,"key":…,"value":…,"previousValue":…,"index":…,"previousIndex":…}`; a delete's value is
/// the row as it was.
impl Serialize for Change<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.kind().as_str())?;
        map.serialize_entry("key", &self.key())?;
        match (self.row(), self.previous()) {
            (Some(row), None) => map.serialize_entry("value", &row.json())?,
            (None, Some(previous)) => map.serialize_entry("value", &previous.json())?,
            (Some(row), Some(previous)) => {
                map.serialize_entry("value", &row.json())?;
                map.serialize_entry("previousValue", &previous.json())?;
            }
            (None, None) => unreachable!("a change has a row"),
        }
        for (name, index) in [
            ("index", self.index()),
            ("previousIndex", self.previous_index()),
        ] {
            if let Some(index) = index {
                map.serialize_entry(name, &index)?;
            }
        }
        map.end()
    }
}

/// The array of its changes.
impl Serialize for ChangeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}
