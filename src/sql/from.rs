//! `FROM`: sources and the steps in which they are joined.

use smol_str::SmolStr;
use sqlparser::ast::{self, JoinConstraint, JoinOperator, Spanned, TableFactor, TableWithJoins};
use sqlparser::tokenizer::Span;

use super::block::{Body, Clause, Lowering, Source, call, settled};
use super::error::{Fault, Result};
use super::join::conjuncts;
use super::names::{find, name, simple};
use super::query::source_of;
use super::with::{columns, is_called};
use crate::query::{self, Expr, Function, JoinKind, Query};

/// One more source and how it is joined.
pub(super) struct Step {
    pub(super) kind: JoinKind,
    pub(super) source: query::Source,
    pub(super) on: Vec<Expr>,
    pub(super) span: Span,
}

impl Lowering {
    /// Lowers `FROM`: the sources become known to the block.
    pub(super) fn from(&mut self, from: &[TableWithJoins], span: Span) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for table in from {
            self.table_with_joins(table, &mut steps)?;
        }
        if steps.is_empty() {
            let fault = Fault::new(span, "a query needs FROM");
            return Err(fault.hint("rows come from collections"));
        }
        Ok(steps)
    }

    fn table_with_joins(&mut self, table: &TableWithJoins, steps: &mut Vec<Step>) -> Result<()> {
        let first = steps.is_empty();
        self.factor(
            &table.relation,
            JoinKind::Cross,
            &JoinConstraint::None,
            steps,
        )?;
        for join in &table.joins {
            let span = join.relation.span();
            if join.global {
                return Err(Fault::new(span, "GLOBAL is not supported"));
            }
            let (kind, constraint) = match &join.join_operator {
                JoinOperator::Join(on) | JoinOperator::Inner(on) => (JoinKind::Inner, on),
                JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (JoinKind::Left, on),
                JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (JoinKind::Right, on),
                JoinOperator::FullOuter(on) => (JoinKind::Full, on),
                JoinOperator::CrossJoin(on) => (JoinKind::Cross, on),
                _ => return Err(Fault::new(span, "there is no such join")),
            };
            if !first && kind.keeps_right() {
                let message = "a right or full join behind a comma";
                return Err(
                    Fault::new(span, message).hint("put the joined sources into a subquery")
                );
            }
            self.factor(&join.relation, kind, constraint, steps)?;
        }
        Ok(())
    }

    /// A source, or joined ones in parentheses.
    fn factor(
        &mut self,
        factor: &TableFactor,
        kind: JoinKind,
        constraint: &JoinConstraint,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let span = factor.span();
        if let TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } = factor
        {
            let inner = matches!(kind, JoinKind::Inner | JoinKind::Cross);
            if !inner && !table_with_joins.joins.is_empty() {
                let fault = Fault::new(span, "an outer join of joined sources");
                return Err(fault.hint("put the joined sources into a subquery"));
            }
            let before = self.block().sources.len();
            let start = steps.len();
            self.deeper(span, |this| this.table_with_joins(table_with_joins, steps))?;
            let on = self.constraint(constraint, kind, before, span)?;
            if let Some(last) = steps[start..].last_mut() {
                last.on.extend(on);
                if start + 1 == steps.len() {
                    steps[start].kind = kind;
                }
            }
            return Ok(());
        }
        let (source, known) = self.source(factor)?;
        let sources = &self.block().sources;
        if sources.iter().any(|other| other.name == known.name) {
            let message = format!("two sources are called `{}`", known.name);
            return Err(Fault::new(span, message).hint("give one of them an alias"));
        }
        let before = sources.len();
        self.block().sources.push(known);
        let on = self.constraint(constraint, kind, before, span)?;
        steps.push(Step {
            kind,
            source,
            on,
            span,
        });
        Ok(())
    }

    fn source(&mut self, factor: &TableFactor) -> Result<(query::Source, Source)> {
        let span = factor.span();
        let unsupported = |what: &str| Err(Fault::new(span, format!("{what} is no source here")));
        match factor {
            TableFactor::Table {
                name: table,
                alias,
                args: None,
                version: None,
                with_ordinality: false,
                sample: None,
                ..
            } => {
                let ident = simple(table)?;
                let called = match alias {
                    Some(alias) => name(&alias.name)?,
                    None => name(ident)?,
                };
                let unique = self.alias(&called);
                let known = |columns| Source {
                    name: called.clone(),
                    alias: unique.clone(),
                    columns,
                };
                let found = self.named.iter().rposition(|named| is_called(named, ident));
                let Some(place) = found else {
                    if let Some(column) = alias.iter().flat_map(|a| &a.columns).next() {
                        let message = "the columns of a collection have no order";
                        return Err(Fault::new(column.name.span, message));
                    }
                    let collection = query::Source::Collection {
                        name: name(ident)?,
                        alias: unique.clone(),
                    };
                    return Ok((collection, known(None)));
                };
                // Each use is a copy.
                self.grow(self.named[place].size, span)?;
                let named = &mut self.named[place];
                let own: Option<Vec<SmolStr>> = named
                    .columns
                    .as_ref()
                    .map(|columns| columns.iter().map(|c| c.name.clone()).collect());
                let fields = named.columns.clone();
                let source = match &mut named.body {
                    Body::Query(query) => source_of(Query::clone(query), &unique),
                    Body::Recursive(name, referred) => {
                        *referred = true;
                        query::Source::Collection {
                            name: name.clone(),
                            alias: unique.clone(),
                        }
                    }
                };
                let mut columns = match alias {
                    Some(alias) => columns(own, alias)?,
                    None => fields.clone(),
                };
                // The names are those of `WITH`; the fields stay.
                if let (Some(columns), Some(fields)) = (&mut columns, fields) {
                    for (column, of) in columns.iter_mut().zip(fields) {
                        column.field = of.field;
                    }
                }
                Ok((source, known(columns)))
            }
            TableFactor::Derived {
                lateral: false,
                subquery,
                alias,
                sample: None,
            } => {
                let rows = self.closed_query(subquery)?;
                let (called, columns) = match alias {
                    Some(alias) => (name(&alias.name)?, columns(rows.columns, alias)?),
                    None => {
                        let unnamed = ast::TableAlias {
                            explicit: false,
                            name: ast::Ident::new("subquery"),
                            columns: Vec::new(),
                            at: None,
                        };
                        ("subquery".into(), columns(rows.columns, &unnamed)?)
                    }
                };
                let unique = self.alias(&called);
                let known = Source {
                    name: called,
                    alias: unique.clone(),
                    columns,
                };
                Ok((source_of(rows.query, &unique), known))
            }
            TableFactor::Derived { lateral: true, .. } => {
                let fault = Fault::new(span, "LATERAL is not supported");
                Err(fault.hint("a subquery in SELECT or WHERE may refer to the row"))
            }
            TableFactor::NestedJoin { .. } => unsupported("a join with an alias"),
            TableFactor::Table {
                sample: Some(_), ..
            }
            | TableFactor::Derived { .. } => unsupported("a sample"),
            TableFactor::Table { .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::Function { .. } => unsupported("a function"),
            TableFactor::UNNEST { .. } => unsupported("UNNEST"),
            _ => unsupported("this"),
        }
    }

    /// The condition of a join of the sources from a place on with those before.
    fn constraint(
        &mut self,
        constraint: &JoinConstraint,
        kind: JoinKind,
        before: usize,
        span: Span,
    ) -> Result<Vec<Expr>> {
        match constraint {
            JoinConstraint::None if kind == JoinKind::Cross => Ok(Vec::new()),
            JoinConstraint::None => {
                let fault = Fault::new(span, "the join needs ON or USING");
                Err(fault.hint("a join of all pairs is CROSS JOIN"))
            }
            JoinConstraint::On(on) => {
                let place = on.span();
                let on = self.within(Clause::On, |this| this.plain(on))?;
                if self.is_outer(&on) {
                    let message =
                        "a column of the query around can only stand in WHERE of a subquery";
                    return Err(Fault::new(place, message));
                }
                Ok(conjuncts(on))
            }
            JoinConstraint::Using(columns) => {
                let mut on = Vec::new();
                for column in columns {
                    let column = simple(column)?;
                    on.push(self.using(column, kind, before)?);
                }
                Ok(on)
            }
            JoinConstraint::Natural | JoinConstraint::UsingAlias(..) => {
                let fault = Fault::new(span, "NATURAL is not supported");
                Err(fault.hint("name the columns: USING (…)"))
            }
        }
    }

    fn using(&mut self, column: &ast::Ident, kind: JoinKind, before: usize) -> Result<Expr> {
        let path = std::slice::from_ref(column);
        // Each side is looked at alone.
        let right_sources = self.block().sources.split_off(before);
        let left = self.resolve(path);
        let left_sources = std::mem::replace(&mut self.block().sources, right_sources);
        let merged = std::mem::take(&mut self.block().merged);
        let right = self.resolve(path);
        let block = self.block();
        let right_sources = std::mem::replace(&mut block.sources, left_sources);
        block.sources.extend(right_sources);
        block.merged = merged;
        let (left, right) = (left?, right?);
        let on = call(Function::Eq, [left.clone(), right.clone()]);
        let value = match kind {
            JoinKind::Right => right,
            JoinKind::Full => call(Function::Coalesce, [left, right]),
            _ => left,
        };
        let known = block.merged.iter().map(|(name, _)| name.as_str());
        match find(column, known.collect::<Vec<_>>().into_iter()) {
            Some(place) => block.merged[place].1 = value,
            None => block.merged.push((column.value.as_str().into(), value)),
        }
        Ok(on)
    }

    /// What `*` of the block's columns of `USING` is.
    pub(super) fn merged(&self) -> Vec<(SmolStr, Expr)> {
        let merged = self
            .blocks
            .last()
            .into_iter()
            .flat_map(|block| &block.merged);
        merged
            .map(|(name, expr)| (name.clone(), settled(expr.clone())))
            .collect()
    }
}
