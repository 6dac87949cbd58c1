//! Rows of a live result at one moment, as values of a Rust type.

use std::fmt;

use super::error::RowError;
use crate::query::RowFunction;
use crate::value::Value;
use crate::view::{ResultRow, ResultRows};

/// The rows of a live result as they were at one moment, in the order of the query; by key where it
/// asks for none. They stay as they are while the result moves on. Values are decoded when they are
/// asked for.
pub struct Rows<T> {
    epoch: u64,
    rows: ResultRows,
    row: RowFunction<T>,
}

impl<T> Clone for Rows<T> {
    fn clone(&self) -> Self {
        Rows {
            epoch: self.epoch,
            rows: self.rows.clone(),
            row: self.row.clone(),
        }
    }
}

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("epoch", &self.epoch)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<T> Rows<T> {
    /// The rows need not be sorted yet.
    pub(super) fn new(epoch: u64, rows: ResultRows, row: RowFunction<T>) -> Rows<T> {
        Rows {
            epoch,
            rows: rows.sorted(),
            row,
        }
    }

    /// The step after which the rows were so. Steps are counted for all queries of a database
    /// together.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows with their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_, T>> + DoubleEndedIterator {
        self.rows.iter().map(|row| Row::new(row, &self.row))
    }

    /// The row at a position.
    pub fn nth(&self, position: usize) -> Option<Row<'_, T>> {
        Some(Row::new(self.rows.nth(position)?, &self.row))
    }

    /// The values of all rows.
    ///
    /// # Errors
    ///
    /// Of the first row that is not a `T`. [`Rows::iter`] leaves to the caller what to do with it.
    pub fn values(&self) -> Result<Vec<T>, RowError> {
        self.iter().map(|row| row.value()).collect()
    }

    /// The same rows as they are, which also serialise.
    pub fn untyped(&self) -> &ResultRows {
        &self.rows
    }
}

/// A row of a live result.
pub struct Row<'a, T> {
    row: ResultRow<'a>,
    function: &'a RowFunction<T>,
}

impl<T> fmt::Debug for Row<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.row, f)
    }
}

impl<'a, T> Row<'a, T> {
    pub(super) fn new(row: ResultRow<'a>, function: &'a RowFunction<T>) -> Self {
        Row { row, function }
    }

    /// The key as text.
    pub fn key(&self) -> String {
        self.row.key()
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// If the row is not a `T`.
    pub fn value(&self) -> Result<T, RowError> {
        decode(self.function, self.key(), &self.row.value())
    }
}

pub(super) fn decode<T>(
    function: &RowFunction<T>,
    key: String,
    value: &Value,
) -> Result<T, RowError> {
    function(value.as_ref()).map_err(|source| RowError { key, source })
}
