//! What a pending transaction makes of one row.

use crate::schema::CollectionDef;
use crate::value::{Row, SeqBuilder, ValueRef};

/// What mutations of one transaction make of one row. The rows in it carry the mark.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// It is this row.
    Insert(Row),
    /// If it is there it is this row.
    Replace(Row),
    /// If it is there and an object, it has the columns of a row; others it has not, unless that
    /// row has them.
    Update { set: Row, removed: Vec<usize> },
    /// It is not there.
    Delete,
}

/// A row with the columns of `set` instead of its own, and without those of `removed`.
pub(super) fn overlaid(row: &Row, set: &Row, removed: &[usize]) -> Row {
    let mut builder = SeqBuilder::default();
    for column in 0..row.columns().len().max(set.columns().len()) {
        builder.push_encoded(match set.encoded(column) {
            [] if removed.contains(&column) => &[],
            [] => row.encoded(column),
            new => new,
        });
    }
    Row::new(&mut builder, &mut Vec::new())
}

/// The column that marks a row as one that a pending transaction has a hand in.
pub(super) fn mark(collection: &CollectionDef) -> Row {
    let before = std::iter::repeat_n(ValueRef::Missing, collection.local_column());
    Row::of(before.chain([ValueRef::Bool(true)]))
}

impl Edit {
    /// What its rows take.
    pub(super) fn heap(&self) -> usize {
        match self {
            Edit::Insert(row) | Edit::Replace(row) => row.size(),
            Edit::Update { set, removed } => set.size() + removed.capacity() * size_of::<usize>(),
            Edit::Delete => 0,
        }
    }

    /// The row of a key after the edit.
    pub(super) fn apply(&self, row: Option<Row>, collection: &CollectionDef) -> Option<Row> {
        match self {
            Edit::Insert(new) => Some(new.clone()),
            Edit::Delete => None,
            Edit::Replace(new) => row.map(|_| new.clone()),
            Edit::Update { set, removed } => row.map(|row| {
                if collection.columns().is_scalar(&row) {
                    overlaid(&row, &mark(collection), &[])
                } else {
                    overlaid(&row, set, removed)
                }
            }),
        }
    }

    /// One edit that does what this one and then another one does.
    pub(super) fn then(self, next: Edit, collection: &CollectionDef) -> Edit {
        match (self, next) {
            (_, next @ (Edit::Insert(_) | Edit::Delete)) => next,
            (Edit::Delete, _) => Edit::Delete,
            (Edit::Update { .. }, Edit::Replace(new)) => Edit::Replace(new),
            (Edit::Insert(row), next) => next
                .apply(Some(row), collection)
                .map_or(Edit::Delete, Edit::Insert),
            (Edit::Replace(row), next) => next
                .apply(Some(row), collection)
                .map_or(Edit::Delete, Edit::Replace),
            (
                Edit::Update { set, mut removed },
                Edit::Update {
                    set: new,
                    removed: gone,
                },
            ) => {
                removed.retain(|column| !gone.contains(column));
                let set = overlaid(&set, &new, &gone);
                removed.extend(gone);
                Edit::Update { set, removed }
            }
        }
    }
}
