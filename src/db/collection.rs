//! A collection of a database, as a live result that is always there.

use std::fmt;
use std::ops::Deref;

use smol_str::SmolStr;

use super::live::LiveQuery;

/// All rows of a collection, kept by key: a [`LiveQuery`] that stays installed as long as its database
/// is open.
pub struct CollectionHandle<T> {
    name: SmolStr,
    query: LiveQuery<T>,
}

impl<T> Clone for CollectionHandle<T> {
    fn clone(&self) -> Self {
        CollectionHandle {
            name: self.name.clone(),
            query: self.query.clone(),
        }
    }
}

impl<T> fmt::Debug for CollectionHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CollectionHandle")
            .field(&self.query)
            .finish()
    }
}

impl<T> CollectionHandle<T> {
    pub(super) fn new(name: SmolStr, query: LiveQuery<T>) -> Self {
        CollectionHandle { name, query }
    }

    /// The collection's name.
    pub fn name(&self) -> &SmolStr {
        &self.name
    }

    /// The live query of all rows.
    pub fn query(&self) -> &LiveQuery<T> {
        &self.query
    }
}

impl<T> Deref for CollectionHandle<T> {
    type Target = LiveQuery<T>;

    fn deref(&self) -> &LiveQuery<T> {
        &self.query
    }
}
