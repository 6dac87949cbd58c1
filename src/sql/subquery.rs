//! Subqueries among expressions, which become joins: `EXISTS`, `IN`, and values.

use smol_str::SmolStr;
use sqlparser::ast::{self, UnaryOperator};
use sqlparser::tokenizer::Span;

use super::block::{Clause, Lowering, Typed, all, call, field, has_refs, is_null, settled, value};
use super::call::aggregate;
use super::error::{Fault, Result};
use super::query::{Purpose, Rows, object, source_of};
use super::select::{is_matched, over};
use super::window::has_windows;
use crate::query::{AggregateFunction, Expr, Function, Join, JoinKind, Query};
use crate::value::Value;

impl Lowering {
    /// Makes a join of a condition that is a subquery; false if it is none.
    pub(super) fn semi(&mut self, e: &ast::Expr) -> Result<bool> {
        use sqlparser::ast::Spanned;
        let (e, negated) = match e {
            ast::Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            } => (&**expr, true),
            e => (e, false),
        };
        let span = e.span();
        match e {
            ast::Expr::Exists {
                subquery,
                negated: not,
            } => {
                let sub = self.alias("sub");
                let rows = self.query(subquery, &Purpose::Exists(sub.clone()))?;
                let kind = match negated != *not {
                    true => JoinKind::Anti,
                    false => JoinKind::Semi,
                };
                if rows.links.is_empty() {
                    return match rows.residual.is_empty() {
                        true => Ok(false),
                        false => Err(unlinked(span)),
                    };
                }
                let mut on = links(&sub, &rows);
                on.extend(rows.residual);
                self.block().semis.push(Join {
                    kind,
                    source: source_of(rows.query, &sub),
                    on: all(on),
                });
                Ok(true)
            }
            ast::Expr::In {
                expr,
                target: ast::InTarget::Subquery(query),
                negated: false,
                global: false,
            } if !negated => {
                let of = self.plain(expr)?;
                let sub = self.alias("sub");
                let (rows, column) = self.values(query, span)?;
                self.check_left(&of, span)?;
                let mut on = vec![call(Function::Eq, [field(&sub, &column), of])];
                on.extend(links(&sub, &rows));
                self.block().semis.push(Join {
                    kind: JoinKind::Semi,
                    source: source_of(rows.query, &sub),
                    on: all(on),
                });
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether a subquery has rows, as a value.
    pub(super) fn exists(&mut self, query: &ast::Query, span: Span) -> Result<Expr> {
        self.allowed(span)?;
        let sub = self.alias("sub");
        let rows = self.query(query, &Purpose::Exists(sub.clone()))?;
        if !rows.residual.is_empty() {
            return Err(unlinked(span));
        }
        if rows.links.is_empty() {
            let n = aggregate(AggregateFunction::Count, [value(1)]);
            let counted = self.summary(rows.query, [("n".into(), n)]);
            self.attach(JoinKind::Cross, counted, &sub, Vec::new(), Vec::new());
            return Ok(call(Function::Gt, [field(&sub, "n"), value(0)]));
        }
        let fields: Vec<SmolStr> = rows.links.iter().map(|link| link.field.clone()).collect();
        let (on, outer) = (links(&sub, &rows), outer(&rows));
        let keys = self.distinct(rows.query, &fields);
        self.attach(JoinKind::Left, keys, &sub, on, outer);
        Ok(is_matched(&sub, &fields[0]))
    }

    /// Whether a value is among those of a subquery: unknown where only a null could be it.
    pub(super) fn in_query(
        &mut self,
        of: &ast::Expr,
        query: &ast::Query,
        span: Span,
    ) -> Result<Expr> {
        self.allowed(span)?;
        let of = self.plain(of)?;
        self.check_left(&of, span)?;
        let (sub, stats) = (self.alias("sub"), self.alias("stats"));
        let before = self.size();
        let (rows, column) = self.values(query, span)?;
        self.grow(self.size() - before, span)?;
        let mut fields = vec![column.clone()];
        fields.extend(rows.links.iter().map(|link| link.field.clone()));
        let mut on = vec![call(Function::Eq, [field(&sub, &column), of.clone()])];
        on.extend(links(&sub, &rows));
        let depends = outer(&rows);
        let keys = self.distinct(rows.query.clone(), &fields);
        let (mut sub_depends, of_again) = (depends.clone(), self.copy(&of, span)?);
        sub_depends.push(of.clone());
        self.attach(JoinKind::Left, keys, &sub, on, sub_depends);
        // How many rows there are, and how many values.
        let inner = self.alias("q");
        let n = aggregate(AggregateFunction::Count, [value(1)]);
        let known = aggregate(AggregateFunction::Count, [field(&inner, &column)]);
        let on = links(&stats, &rows);
        let mut counted = over(rows.query, &inner);
        let keys = rows.links.iter().map(|link| link.field.clone());
        let keys: Vec<(SmolStr, Expr)> = keys
            .map(|name| (name.clone(), field(&inner, &name)))
            .collect();
        counted.group_by = keys.iter().map(|(_, key)| key.clone()).collect();
        let counts = [("n".into(), n), ("known".into(), known)];
        counted.select = object(keys.into_iter().chain(counts));
        let kind = match on.is_empty() {
            true => JoinKind::Cross,
            false => JoinKind::Left,
        };
        self.attach(kind, counted, &stats, on, depends);
        let n = || field(&stats, "n");
        let some = call(Function::Gt, [n(), value(0)]);
        let nulls = call(Function::Gt, [n(), field(&stats, "known")]);
        let maybe = call(Function::Or, [is_null(of_again), nulls]);
        Ok(Expr::Call(
            Function::CaseWhen,
            vec![
                is_matched(&sub, &column),
                value(true),
                call(Function::And, [some, maybe]),
                value(Value::Null),
                value(false),
            ],
        ))
    }

    /// A subquery that is a value: that of its first row, null without one.
    pub(super) fn scalar(&mut self, query: &ast::Query, span: Span) -> Result<Typed> {
        self.allowed(span)?;
        let sub = self.alias("sub");
        let (rows, column) = self.values(query, span)?;
        if rows.links.is_empty() {
            let (query, column) = match rows.single {
                true => (rows.query, column),
                false => {
                    let inner = self.alias("q");
                    let first = aggregate(AggregateFunction::First, [field(&inner, &column)]);
                    let mut query = over(rows.query, &inner);
                    query.select = object([("v".into(), first)]);
                    (query, "v".into())
                }
            };
            self.attach(JoinKind::Cross, query, &sub, Vec::new(), Vec::new());
            return Ok(field(&sub, &column).into());
        }
        let (on, depends) = (links(&sub, &rows), outer(&rows));
        let first_link = rows.links[0].field.clone();
        let default = rows.default.clone();
        let query = match rows.single {
            true => rows.query,
            false => {
                let inner = self.alias("q");
                let keys: Vec<(SmolStr, Expr)> = rows
                    .links
                    .iter()
                    .map(|link| (link.field.clone(), field(&inner, &link.field)))
                    .collect();
                let first = aggregate(AggregateFunction::First, [field(&inner, &column)]);
                let mut query = over(rows.query, &inner);
                query.group_by = keys.iter().map(|(_, key)| key.clone()).collect();
                query.select = object(keys.into_iter().chain([(column.clone(), first)]));
                query
            }
        };
        self.attach(JoinKind::Left, query, &sub, on, depends);
        let found = field(&sub, &column);
        Ok(match default.as_ref().is_nullish() {
            true => found.into(),
            false => {
                let missing = is_null(field(&sub, &first_link));
                call(Function::CaseWhen, [missing, value(default), found]).into()
            }
        })
    }

    /// A subquery with one column, and that column's field.
    fn values(&mut self, query: &ast::Query, span: Span) -> Result<(Rows, SmolStr)> {
        let rows = self.query(query, &Purpose::Value)?;
        match rows.columns.as_deref() {
            Some([column]) => {
                let column = column.clone();
                Ok((rows, column))
            }
            _ => {
                let message = "a subquery that is a value must have one column";
                Err(Fault::new(span, message))
            }
        }
    }

    fn check_left(&self, of: &Expr, span: Span) -> Result<()> {
        if of.has_aggregate() || has_windows(of) {
            let message = "an aggregate or a window function cannot be looked for in a subquery";
            let fault = Fault::new(span, message);
            return Err(fault.hint("select it in a subquery, and look at it outside"));
        }
        match has_refs(of) {
            true => Ok(()),
            false => {
                let fault = Fault::new(span, "what is looked for in a subquery must be of the row");
                Err(fault.hint("a constant is looked for by WHERE in the subquery, with EXISTS"))
            }
        }
    }

    fn allowed(&self, span: Span) -> Result<()> {
        match self.clause {
            Clause::On => {
                let fault = Fault::new(span, "a subquery cannot stand in ON");
                Err(fault.hint("put the condition into WHERE"))
            }
            _ => Ok(()),
        }
    }

    /// The different rows of some fields.
    fn distinct(&mut self, query: Query, fields: &[SmolStr]) -> Query {
        let inner = self.alias("q");
        let mut distinct = over(query, &inner);
        let column = |name: &SmolStr| (name.clone(), settled(field(&inner, name)));
        distinct.select = object(fields.iter().map(column));
        distinct.distinct = true;
        distinct
    }

    /// One row of aggregates of a query's rows.
    fn summary(&mut self, query: Query, fields: [(SmolStr, Expr); 1]) -> Query {
        let inner = self.alias("q");
        let mut summary = over(query, &inner);
        summary.select = object(fields);
        summary
    }

    /// Joins a subquery to the block.
    fn attach(
        &mut self,
        kind: JoinKind,
        query: Query,
        sub: &SmolStr,
        on: Vec<Expr>,
        depends: Vec<Expr>,
    ) {
        let block = self.block();
        block.values.push((sub.clone(), depends));
        block.joins.push(Join {
            kind,
            source: source_of(query, sub),
            on: all(on),
        });
    }
}

/// The equalities that link a subquery to its row.
fn links(sub: &SmolStr, rows: &Rows) -> Vec<Expr> {
    let link = |link: &super::query::Link| {
        call(Function::Eq, [field(sub, &link.field), link.outer.clone()])
    };
    rows.links.iter().map(link).collect()
}

fn outer(rows: &Rows) -> Vec<Expr> {
    rows.links.iter().map(|link| link.outer.clone()).collect()
}

fn unlinked(span: Span) -> Fault {
    let message = "the subquery is linked to the row by something else than equalities";
    Fault::new(span, message).hint("it needs one equality, as in: inner.customer_id = outer.id")
}
