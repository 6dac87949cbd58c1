//! What a query is planned in: the collections, and the recursive queries around it.

use std::cell::Cell;

use smol_str::SmolStr;

use super::expr::Shape;
use super::key::KeyKind;
use crate::schema::Catalog;

/// The names that sources may refer to.
#[derive(Clone, Debug)]
pub(super) struct Env<'c> {
    pub(super) catalog: &'c Catalog,
    next: &'c Cell<usize>,
    bindings: Vec<Binding>,
}

/// A recursive query.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) name: SmolStr,
    /// The number of the [`super::Node::Bound`] that stands for its rows.
    pub(super) id: usize,
    pub(super) shape: Shape,
    pub(super) key: KeyKind,
}

impl<'c> Env<'c> {
    pub(super) fn new(catalog: &'c Catalog, next: &'c Cell<usize>) -> Self {
        Env {
            catalog,
            next,
            bindings: Vec::new(),
        }
    }

    /// With more names, which hide equal ones.
    pub(super) fn with(&self, bindings: Vec<Binding>) -> Env<'c> {
        let mut env = self.clone();
        env.bindings.extend(bindings);
        env
    }

    /// A number that no other [`super::Node::Bound`] of the plan has.
    pub(super) fn fresh(&self) -> usize {
        self.next.replace(self.next.get() + 1)
    }

    pub(super) fn binding(&self, name: &str) -> Option<&Binding> {
        self.bindings.iter().rev().find(|b| b.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.bindings.iter().map(|b| b.name.as_str())
    }
}
