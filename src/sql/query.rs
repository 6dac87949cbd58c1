//! Whole queries: `WITH`, unions and their like, `ORDER BY` and `LIMIT` around them.

use smol_str::SmolStr;
use sqlparser::ast::{self, LimitClause, OrderByKind, OrderBySort, SetExpr, Spanned};
use sqlparser::tokenizer::Span;

use super::block::{Clause, Lowering};
use super::error::{Fault, Result};
use super::expr::literal;
use super::names::find;
use crate::query::{Entry, Expr, OrderBy, Query, Source};
use crate::value::{Direction, Nulls, Value};

/// How deep queries may be nested: they are walked recursively, with much on the stack.
const MAX_QUERIES: usize = 16;

/// What a query is lowered for.
pub(super) enum Purpose {
    /// Its rows.
    Rows,
    /// Whether there are rows, by a join in which it has this alias.
    Exists(SmolStr),
    /// The values of its only column.
    Value,
}

/// A lowered query.
pub(super) struct Rows {
    pub(super) query: Query,
    /// Its columns, where the statement says what they are.
    pub(super) columns: Option<Vec<SmolStr>>,
    /// What of its rows must equal what of the block around it.
    pub(super) links: Vec<Link>,
    /// Other conditions on both.
    pub(super) residual: Vec<Expr>,
    /// Whether it has one row always, or one for what the links say.
    pub(super) single: bool,
    /// What its value is where it has no row.
    pub(super) default: Value,
}

/// A field of a subquery that must equal an expression around it.
pub(super) struct Link {
    pub(super) field: SmolStr,
    pub(super) outer: Expr,
}

impl Rows {
    pub(super) fn new(query: Query, columns: Option<Vec<SmolStr>>) -> Rows {
        Rows {
            query,
            columns,
            links: Vec::new(),
            residual: Vec::new(),
            single: false,
            default: Value::Null,
        }
    }
}

/// What stands behind a body.
pub(super) struct Tail<'a> {
    pub(super) order: &'a [ast::OrderByExpr],
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
    pub(super) span: Span,
}

impl Tail<'_> {
    fn is_empty(&self) -> bool {
        self.order.is_empty() && self.limit.is_none() && self.offset == 0
    }
}

pub(super) fn source_of(query: Query, alias: &SmolStr) -> Source {
    Source::Query {
        query: Box::new(query),
        alias: alias.clone(),
        over: Vec::new(),
    }
}

/// A selection of named values.
pub(super) fn object(fields: impl IntoIterator<Item = (SmolStr, Expr)>) -> Option<Expr> {
    let entries = fields
        .into_iter()
        .map(|(name, expr)| Entry::Field(name, expr));
    Some(Expr::Object(entries.collect()))
}

impl Lowering {
    pub(super) fn query(&mut self, q: &ast::Query, purpose: &Purpose) -> Result<Rows> {
        let span = q.body.span();
        if self.queries == MAX_QUERIES {
            let message = format!("more than {MAX_QUERIES} queries in each other");
            return Err(Fault::new(span, message).hint("give some of them names: WITH name AS (…)"));
        }
        self.queries += 1;
        let rows = self.deeper(span, |this| {
            this.within(Clause::Select, |this| this.query_within(q, purpose))
        });
        self.queries -= 1;
        rows
    }

    fn query_within(&mut self, q: &ast::Query, purpose: &Purpose) -> Result<Rows> {
        let span = q.body.span();
        let rest = [
            (!q.locks.is_empty(), "FOR UPDATE"),
            (q.for_clause.is_some(), "FOR"),
            (q.settings.is_some(), "SETTINGS"),
            (q.format_clause.is_some(), "FORMAT"),
            (!q.pipe_operators.is_empty(), "|>"),
        ];
        if let Some((_, name)) = rest.iter().find(|(there, _)| *there) {
            return Err(Fault::new(span, format!("{name} is not supported")));
        }
        let tail = tail(q)?;
        let named = self.named.len();
        let recursive = match &q.with {
            Some(with) => self.with(with)?,
            None => Vec::new(),
        };
        let mut rows = match &*q.body {
            SetExpr::Select(select) => self.select(select, &tail, purpose)?,
            SetExpr::Query(inner) if tail.is_empty() => self.query(inner, purpose)?,
            body => {
                let rows = self.body(body)?;
                self.with_tail(rows, &tail)?
            }
        };
        self.named.truncate(named);
        if !recursive.is_empty() {
            if !rows.query.recursive.is_empty() {
                rows.query = self.wrapped(rows.query);
            }
            rows.query.recursive = recursive;
        }
        Ok(rows)
    }

    /// A query whose rows are those of another one.
    fn wrapped(&mut self, query: Query) -> Query {
        let alias = self.alias("q");
        Query::from_source(source_of(query, &alias))
    }

    /// What may stand between set operators, without the clauses behind it.
    pub(super) fn body(&mut self, body: &SetExpr) -> Result<Rows> {
        let span = body.span();
        match body {
            SetExpr::Select(select) => {
                let none = Tail {
                    order: &[],
                    limit: None,
                    offset: 0,
                    span,
                };
                self.select(select, &none, &Purpose::Rows)
            }
            SetExpr::Query(inner) => self.query(inner, &Purpose::Rows),
            SetExpr::SetOperation {
                op,
                set_quantifier,
                left,
                right,
            } => self.deeper(span, |this| {
                this.operation(*op, *set_quantifier, left, right)
            }),
            SetExpr::Values(_) => {
                let fault = Fault::new(span, "VALUES are no source here");
                Err(fault.hint("rows come from collections"))
            }
            other => Err(Fault::new(
                other.span(),
                "only queries can be kept up to date",
            )),
        }
    }

    fn with_tail(&mut self, mut rows: Rows, tail: &Tail<'_>) -> Result<Rows> {
        if tail.is_empty() {
            return Ok(rows);
        }
        let query = &rows.query;
        if query.limit.is_some() || query.offset > 0 || !query.order_by.is_empty() {
            rows.query = self.wrapped(rows.query);
        }
        for order in tail.order {
            let name = self.output_named(&order.expr, rows.columns.as_deref())?;
            let by = Expr::Ref(vec!["$selected".into(), name]);
            rows.query.order_by.push(ordered(by, order)?);
        }
        (rows.query.limit, rows.query.offset) = (tail.limit, tail.offset);
        Ok(rows)
    }

    /// The column of a result that is ordered by.
    fn output_named(&self, by: &ast::Expr, columns: Option<&[SmolStr]>) -> Result<SmolStr> {
        let names = columns.unwrap_or_default();
        match by {
            ast::Expr::Identifier(name) => {
                let found = find(name, names.iter().map(SmolStr::as_str));
                match (found, columns) {
                    (Some(place), _) => Ok(names[place].clone()),
                    (None, None) => Ok(name.value.as_str().into()),
                    (None, Some(_)) => {
                        let message = format!("the result has no column `{}`", name.value);
                        let fault = Fault::new(name.span, message);
                        Err(fault.suggest(&name.value, names.iter().map(SmolStr::as_str)))
                    }
                }
            }
            by => match ordinal(by, names.len())? {
                Some(place) => Ok(names[place].clone()),
                None => {
                    let message = "the rows of several queries are ordered by their columns";
                    let fault = Fault::new(by.span(), message);
                    Err(fault.hint("put the queries into FROM to order by an expression"))
                }
            },
        }
    }

    /// A query in which names of the blocks around mean nothing.
    pub(super) fn closed_query(&mut self, q: &ast::Query) -> Result<Rows> {
        let blocks = std::mem::take(&mut self.blocks);
        let rows = self.query(q, &Purpose::Rows);
        self.blocks = blocks;
        rows
    }
}

/// The place that a number in `ORDER BY` or `GROUP BY` means.
pub(super) fn ordinal(e: &ast::Expr, count: usize) -> Result<Option<usize>> {
    let ast::Expr::Value(constant) = e else {
        return Ok(None);
    };
    match literal(constant)? {
        Value::Int(i) if i >= 1 && i <= count as i128 => Ok(Some(i as usize - 1)),
        Value::Int(i) => {
            let message = format!("there is no column {i}");
            Err(Fault::new(e.span(), message).hint("a number means a named column by its place"))
        }
        _ => Ok(None),
    }
}

/// An order of PostgreSQL's: nulls are greater than anything.
pub(super) fn ordered(expr: Expr, order: &ast::OrderByExpr) -> Result<OrderBy> {
    let descends = match &order.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(_)) => {
            return Err(Fault::new(
                order.span(),
                "ORDER BY … USING is not supported",
            ));
        }
    };
    if order.with_fill.is_some() {
        return Err(Fault::new(order.span(), "WITH FILL is not supported"));
    }
    Ok(OrderBy {
        expr,
        direction: if descends {
            Direction::Desc
        } else {
            Direction::Asc
        },
        nulls: match order.options.nulls_first.unwrap_or(descends) {
            true => Nulls::First,
            false => Nulls::Last,
        },
        collation: None,
    })
}

pub(super) fn tail(q: &ast::Query) -> Result<Tail<'_>> {
    let order = match &q.order_by {
        None => &[][..],
        Some(order) => match &order.kind {
            OrderByKind::Expressions(exprs) => exprs,
            OrderByKind::All(_) => {
                return Err(Fault::new(order.span(), "ORDER BY ALL is not supported"));
            }
        },
    };
    let (mut limit, mut offset) = (None, 0);
    match &q.limit_clause {
        None => {}
        Some(LimitClause::LimitOffset {
            limit: most,
            offset: skip,
            limit_by,
        }) => {
            if let Some(by) = limit_by.first() {
                return Err(Fault::new(by.span(), "LIMIT BY is not supported"));
            }
            limit = most.as_ref().map_or(Ok(None), |e| rows(e, "LIMIT"))?;
            if let Some(skip) = skip {
                offset = rows(&skip.value, "OFFSET")?.unwrap_or(0);
            }
        }
        Some(LimitClause::OffsetCommaLimit {
            offset: skip,
            limit: most,
        }) => {
            limit = rows(most, "LIMIT")?;
            offset = rows(skip, "OFFSET")?.unwrap_or(0);
        }
    }
    if let Some(fetch) = &q.fetch {
        if fetch.with_ties || fetch.percent {
            let message = "FETCH takes neither WITH TIES nor PERCENT";
            let place = fetch.quantity.as_ref().map_or(q.body.span(), Spanned::span);
            return Err(Fault::new(place, message));
        }
        limit = fetch
            .quantity
            .as_ref()
            .map_or(Ok(Some(1)), |e| rows(e, "FETCH"))?;
    }
    let span = q.limit_clause.as_ref().map_or(q.body.span(), Spanned::span);
    Ok(Tail {
        order,
        limit,
        offset,
        span,
    })
}

fn rows(e: &ast::Expr, clause: &str) -> Result<Option<usize>> {
    let constant = match e {
        ast::Expr::Value(constant) => Some(literal(constant)?),
        _ => None,
    };
    match constant {
        Some(Value::Null) => Ok(None),
        Some(Value::Int(i)) if i >= 0 => Ok(Some(usize::try_from(i).unwrap_or(usize::MAX))),
        _ => {
            let message = format!("{clause} takes a whole number from 0 on");
            Err(Fault::new(e.span(), message))
        }
    }
}
