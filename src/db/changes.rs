//! Change sets whose rows are values of a Rust type.

use std::fmt;
use std::sync::Arc;

use super::error::RowError;
use super::rows::Row;
use crate::query::RowFunction;
use crate::view::{self, ChangeKind};

/// What a change set starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangesKind {
    /// From nothing: it inserts all rows there are when a subscription or an effect begins.
    Initial,
    /// From where the change set before it ended.
    Delta,
    /// From nothing again: a subscription was too far behind, and is told all rows there are now.
    /// Forget the rows from before.
    Resync,
}

/// What one step, or several that were put together, changed in a live result: at most one change of
/// a key.
///
/// It applies as a whole; how, with positions, is said at [`view::ChangeSet`]. Values are decoded when
/// they are asked for.
pub struct ChangeSet<T> {
    epoch: u64,
    kind: ChangesKind,
    changes: Arc<view::ChangeSet>,
    row: RowFunction<T>,
}

impl<T> Clone for ChangeSet<T> {
    fn clone(&self) -> Self {
        ChangeSet {
            epoch: self.epoch,
            kind: self.kind,
            changes: self.changes.clone(),
            row: self.row.clone(),
        }
    }
}

impl<T> fmt::Debug for ChangeSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeSet")
            .field("epoch", &self.epoch)
            .field("kind", &self.kind)
            .field("changes", &self.changes)
            .finish()
    }
}

impl<T> ChangeSet<T> {
    pub(super) fn new(
        epoch: u64,
        kind: ChangesKind,
        changes: Arc<view::ChangeSet>,
        row: RowFunction<T>,
    ) -> Self {
        ChangeSet {
            epoch,
            kind,
            changes,
            row,
        }
    }

    /// The step after which the result is as this change set makes it. Steps are counted for all
    /// queries of a database together, so that equal epochs are the same moment.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What it starts from.
    pub fn kind(&self) -> ChangesKind {
        self.kind
    }

    /// The number of changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes: of an ordered result deletes first, then by position; else by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Change<'_, T>> {
        let row = &self.row;
        self.changes
            .iter()
            .map(move |change| Change { change, row })
    }

    /// The same change set with rows as they are, which also serialises.
    pub fn untyped(&self) -> &Arc<view::ChangeSet> {
        &self.changes
    }
}

/// One change of a [`ChangeSet`].
pub struct Change<'a, T> {
    change: view::Change<'a>,
    row: &'a RowFunction<T>,
}

impl<T> fmt::Debug for Change<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.change, f)
    }
}

impl<'a, T> Change<'a, T> {
    /// What happened.
    pub fn kind(&self) -> ChangeKind {
        self.change.kind()
    }

    /// The row's key as text.
    pub fn key(&self) -> String {
        self.change.key()
    }

    /// The row: as it is now, or of a delete as it was.
    ///
    /// # Errors
    ///
    /// If the row is not a `T`.
    pub fn value(&self) -> Result<T, RowError> {
        let row = self.change.row().or(self.change.previous());
        let row = row.expect("a change has a row");
        Row::new(row, self.row).value()
    }

    /// The row as it was, of an update or a delete.
    ///
    /// # Errors
    ///
    /// If that row was not a `T`.
    pub fn previous(&self) -> Result<Option<T>, RowError> {
        let previous = self.change.previous();
        previous
            .map(|row| Row::new(row, self.row).value())
            .transpose()
    }

    /// The position after the step, of an ordered result.
    pub fn index(&self) -> Option<usize> {
        self.change.index()
    }

    /// The position before the step, of an ordered result.
    pub fn previous_index(&self) -> Option<usize> {
        self.change.previous_index()
    }
}
