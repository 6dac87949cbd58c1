//! Which rows of collections a token is for: conditions that become part of its queries.
//!
//! A collection that is filtered is replaced, wherever a query names it, by a subquery with the
//! conditions and nothing else. The planner makes of it a scan that shows no other row to anything
//! above it, and that is what is checked in the end: the scans of the plan, however they came about.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::plan::{Node, Plan, Scan};
#[cfg(feature = "serve")]
use crate::query::{Entry, Join, Source};
use crate::query::{Expr, Query, QueryError};
use crate::schema::Catalog;

/// Stands for all collections that are not named.
#[cfg(feature = "serve")]
const OTHERS: &str = "*";

/// Conditions on the rows of collections, each as the query of the rows that are left.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows(BTreeMap<SmolStr, Query>);

type Result<T> = std::result::Result<T, QueryError>;

impl Rows {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds conditions on the rows of a collection, which stand under its name.
    pub(super) fn add(&mut self, collection: &str, conditions: impl IntoIterator<Item = Expr>) {
        let name = SmolStr::from(collection);
        let all = || Query::from_collection(name.clone(), name.clone());
        let query = self.0.entry(name.clone()).or_insert_with(all);
        query.filters.extend(conditions);
    }

    /// Checks that all of them are conditions on a row alone.
    pub(super) fn check(&self) -> Result<()> {
        for (collection, query) in &self.0 {
            let wrong = |message: &str| Err(QueryError::new(collection.as_str(), message));
            if query.filters.is_empty() {
                return wrong("there is no condition");
            }
            let plan = Plan::new(query, &Catalog::open());
            let plan = plan.map_err(|error| error.within(collection))?;
            if scan(&plan.root).is_none_or(|scan| scan.filter.is_empty()) {
                return wrong("must be conditions on a row alone, which no clock changes");
            }
        }
        Ok(())
    }
}

#[cfg(feature = "serve")]
impl Rows {
    /// The collections that are named.
    pub(super) fn collections(&self) -> impl Iterator<Item = &str> {
        self.0
            .keys()
            .map(SmolStr::as_str)
            .filter(|name| *name != OTHERS)
    }

    /// The rows that are left of a collection; none if it is not filtered.
    fn of(&self, collection: &str) -> Option<Query> {
        if let Some(query) = self.0.get(collection) {
            return Some(query.clone());
        }
        let mut query = self.0.get(OTHERS)?.clone();
        query.from = Source::Collection {
            name: collection.into(),
            alias: OTHERS.into(),
        };
        Some(query)
    }

    /// The query with its collections filtered. One that is filtered already stays as it is.
    ///
    /// # Errors
    ///
    /// If a recursion has the name of a collection that is filtered, or the query becomes too deep.
    pub(crate) fn apply(&self, mut query: Query) -> Result<Query> {
        if !self.is_empty() {
            self.query(&mut query, &[])?;
            // It may be too deep by now to be read again where it is kept.
            Query::from_json(&query.to_json()?)?;
        }
        Ok(query)
    }

    /// Whether a query shows rows of the token alone.
    pub(crate) fn hold_in(&self, query: &Query) -> bool {
        self.is_empty() || self.apply(query.clone()).is_ok_and(|own| own == *query)
    }

    /// Whether each scan of a plan begins with the conditions.
    pub(crate) fn hold_in_plan(&self, plan: &Plan, catalog: &Catalog) -> bool {
        let filtered = |scan: &&Scan| match self.of(scan.collection.name()) {
            None => true,
            Some(query) => Plan::new(&query, catalog).is_ok_and(|own| {
                self::scan(&own.root).is_some_and(|own| scan.filter.starts_with(&own.filter))
            }),
        };
        plan.scans().iter().all(filtered)
    }

    /// `bound` are the names that stand for recursive queries here.
    fn query(&self, query: &mut Query, bound: &[SmolStr]) -> Result<()> {
        let mut bound = bound.to_vec();
        for (name, _) in &query.recursive {
            if self.0.contains_key(name) {
                let message = "the name of a collection that the token does not see all of";
                return Err(QueryError::new(format!("withRecursive.{name}"), message));
            }
            bound.push(name.clone());
        }
        for (_, definition) in &mut query.recursive {
            self.query(definition, &bound)?;
        }
        self.source(&mut query.from, &bound)?;
        for Join { source, on, .. } in &mut query.joins {
            self.source(source, &bound)?;
            on.iter_mut().try_for_each(|on| self.expr(on, &bound))?;
        }
        let (filters, groups) = (query.filters.iter_mut(), query.group_by.iter_mut());
        let orders = query.order_by.iter_mut().map(|order| &mut order.expr);
        filters
            .chain(groups)
            .chain(&mut query.having)
            .chain(&mut query.select)
            .chain(orders)
            .try_for_each(|expr| self.expr(expr, &bound))
    }

    fn source(&self, source: &mut Source, bound: &[SmolStr]) -> Result<()> {
        match source {
            Source::Collection { name, .. } if bound.contains(name) => Ok(()),
            Source::Collection { name, alias } => {
                if let Some(query) = self.of(name) {
                    *source = Source::Query {
                        query: Box::new(query),
                        alias: alias.clone(),
                        over: Vec::new(),
                    };
                }
                Ok(())
            }
            Source::Query { query, over, .. } => {
                let exprs = over.iter_mut().flat_map(|(_, over)| {
                    let orders = over.order_by.iter_mut().map(|order| &mut order.expr);
                    over.args
                        .iter_mut()
                        .chain(&mut over.partition_by)
                        .chain(orders)
                });
                for expr in exprs {
                    self.expr(expr, bound)?;
                }
                match &query.from {
                    Source::Collection { name, .. }
                        if !bound.contains(name) && self.of(name).as_ref() == Some(query) =>
                    {
                        Ok(())
                    }
                    _ => self.query(query, bound),
                }
            }
            Source::UnionFrom(sources) => sources
                .iter_mut()
                .try_for_each(|source| self.source(source, bound)),
            Source::UnionAll(queries) => queries
                .iter_mut()
                .try_for_each(|query| self.query(query, bound)),
        }
    }

    fn expr(&self, expr: &mut Expr, bound: &[SmolStr]) -> Result<()> {
        match expr {
            Expr::Ref(_) | Expr::Value(_) => Ok(()),
            Expr::Call(_, args) | Expr::Aggregate(_, args) => {
                args.iter_mut().try_for_each(|arg| self.expr(arg, bound))
            }
            Expr::Closure(closure) => closure
                .args
                .iter_mut()
                .try_for_each(|arg| self.expr(arg, bound)),
            Expr::Object(entries) => entries.iter_mut().try_for_each(|entry| match entry {
                Entry::Field(_, expr) | Entry::Spread(expr) => self.expr(expr, bound),
            }),
            Expr::Include(include) => {
                let sides = include.correlation.iter_mut();
                for expr in sides.flat_map(|(outer, inner)| [outer, inner]) {
                    self.expr(expr, bound)?;
                }
                self.query(&mut include.query, bound)
            }
        }
    }
}

/// The scan that a plan is, if it is no more than that.
fn scan(node: &Node) -> Option<&Scan> {
    match node {
        Node::Scan(scan) => Some(scan),
        _ => None,
    }
}
