//! One `SELECT`.

use smol_str::{SmolStr, format_smolstr};
use sqlparser::ast::{self, Distinct, GroupByExpr, Select, SelectItem, Spanned};
use sqlparser::tokenizer::Span;

use super::aggregate::of_nothing;
use super::block::{Block, Clause, Lowering, call, field, has_refs, is_null, settled, value};
use super::error::{Fault, Result};
use super::item::Item;
use super::join::{arranged, conjuncts};
use super::names::means;
use super::query::{Link, Purpose, Rows, Tail, object, ordered, ordinal};
use super::window::OVER;
use crate::query::{AggregateFunction, Entry, Expr, Function, Query};

/// A condition and its place.
type Placed = (Expr, Span);

impl Lowering {
    pub(super) fn select(
        &mut self,
        s: &Select,
        tail: &Tail<'_>,
        purpose: &Purpose,
    ) -> Result<Rows> {
        let span = s.span();
        unsupported(s)?;
        self.blocks.push(Block {
            closed: matches!(purpose, Purpose::Rows),
            ..Block::default()
        });
        let rows = self.select_in_block(s, tail, purpose, span);
        self.blocks.pop();
        rows
    }

    fn select_in_block(
        &mut self,
        s: &Select,
        tail: &Tail<'_>,
        purpose: &Purpose,
        span: Span,
    ) -> Result<Rows> {
        let steps = self.from(&s.from, span)?;
        self.name_windows(&s.named_window)?;
        let mut placed = Vec::new();
        if let Some(selection) = &s.selection {
            self.within(Clause::Where, |this| {
                this.conditions(selection, &mut placed)
            })?;
        }
        let (links, residual, conditions) = self.linked(placed, purpose)?;
        // Items come before groups, which may be called by an item's name.
        let items = match purpose {
            Purpose::Exists(_) => Vec::new(),
            _ => self.items(&s.projection)?,
        };
        let mut keys = Vec::new();
        if let GroupByExpr::Expressions(exprs, _) = &s.group_by {
            for e in exprs {
                keys.push(self.within(Clause::GroupBy, |this| this.key(e, s, &items))?);
            }
        }
        let mut having = Vec::new();
        if let Some(e) = &s.having {
            let condition = self.within(Clause::Having, |this| this.plain(e))?;
            having.push((condition, e.span()));
        }
        let windows = self.block().windows.iter().flat_map(|window| {
            let order = window.order_by.iter().map(|by| &by.expr);
            order.chain(&window.args).chain(&window.partition_by)
        });
        let aggregated = windows
            .chain(items.iter().filter_map(Item::expr))
            .any(Expr::has_aggregate);
        let grouped = !keys.is_empty() || aggregated;
        if let (false, Some(e)) = (grouped, &s.having) {
            let fault = Fault::new(e.span(), "HAVING needs GROUP BY or an aggregate in SELECT");
            return Err(fault.hint("conditions on rows are WHERE"));
        }
        let global = grouped && keys.is_empty();
        if matches!(purpose, Purpose::Exists(_)) && keys.is_empty() {
            let aggregate = s.projection.iter().find(|item| is_aggregate(item));
            if let Some(item) = aggregate {
                let message = "an aggregate without GROUP BY always has a row";
                return Err(Fault::new(item.span(), message));
            }
        }
        if let (true, false, Some(e)) = (global, links.is_empty(), &s.having) {
            let message = "HAVING without GROUP BY in a subquery that depends on the row";
            return Err(Fault::new(e.span(), message));
        }
        let distinct = match &s.distinct {
            None | Some(Distinct::All) => false,
            Some(Distinct::Distinct) => true,
            Some(Distinct::On(on)) => {
                let place = on.first().map_or(span, Spanned::span);
                let fault = Fault::new(place, "DISTINCT ON is not supported");
                return Err(fault.hint("first(x ORDER BY y) with GROUP BY gives one row a group"));
            }
        };
        let mut rows = Rows::new(
            Query::from_source(crate::query::Source::UnionAll(Vec::new())),
            None,
        );
        let order = self.order(&items, &keys, grouped, distinct, tail, purpose)?;
        let default = items.first().and_then(Item::expr).map(of_nothing);
        self.output(&mut rows, items, &keys, grouped, purpose)?;
        for (condition, span) in having {
            rows.query
                .having
                .push(self.regrouped(condition, &keys, span)?);
        }
        for link in &links {
            let extra = link.1.clone();
            rows.add(&link.0, extra);
        }
        for (name, expr) in &residual.1 {
            rows.add(name, expr.clone());
        }
        if grouped {
            let links = links.iter().map(|(_, inner, _)| inner.clone());
            rows.query.group_by = links.chain(keys.iter().cloned().map(settled)).collect();
        }
        if !links.is_empty() {
            Self::bounded(tail, purpose)?;
        } else {
            (rows.query.limit, rows.query.offset) = (tail.limit, tail.offset);
            rows.query.order_by = order;
        }
        rows.query.distinct = distinct;
        let mut windows = std::mem::take(&mut self.block().windows);
        if grouped {
            for window in &mut windows {
                let exprs = window.args.iter_mut().chain(&mut window.partition_by);
                for e in exprs.chain(window.order_by.iter_mut().map(|by| &mut by.expr)) {
                    *e = self.regrouped(e.clone(), &keys, span)?;
                }
            }
        }
        rows.single = global && rows.query.limit.is_none() && rows.query.offset == 0;
        rows.single &= rows.query.having.is_empty();
        if global && !links.is_empty() {
            rows.default = default.unwrap_or_default();
        }
        rows.links = links
            .into_iter()
            .map(|(field, _, outer)| Link { field, outer })
            .collect();
        rows.residual = residual.0;
        let (source, mut joins, filters) = arranged(steps, conditions)?;
        let block = self.block();
        joins.append(&mut block.joins);
        joins.append(&mut block.semis);
        rows.query.from = source;
        rows.query.filters = filters;
        if joins.is_empty()
            && windows.is_empty()
            && let Some(Expr::Ref(path)) = &rows.query.select
            && path.len() == 1
        {
            rows.query.select = None;
        }
        rows.query.joins = joins;
        if windows.is_empty() {
            return Ok(rows);
        }
        if !rows.links.is_empty() || !rows.residual.is_empty() {
            let message = "a window function in a subquery that depends on the row";
            return Err(Fault::new(span, message));
        }
        rows.query = self.parted(rows.query, windows);
        Ok(rows)
    }

    /// The conditions of `WHERE`; subqueries among them may become joins.
    fn conditions(&mut self, e: &ast::Expr, found: &mut Vec<Placed>) -> Result<()> {
        let mut rest = vec![e];
        while let Some(e) = rest.pop() {
            match e {
                ast::Expr::BinaryOp {
                    left,
                    op: ast::BinaryOperator::And,
                    right,
                } => {
                    rest.push(right);
                    rest.push(left);
                }
                ast::Expr::Nested(inner) if !matches!(**inner, ast::Expr::Subquery(_)) => {
                    rest.push(inner);
                }
                e if self.semi(e)? => {}
                e => {
                    let span = e.span();
                    let lowered = conjuncts(self.plain(e)?);
                    found.extend(lowered.into_iter().map(|condition| (condition, span)));
                }
            }
        }
        Ok(())
    }

    /// Parts the conditions that speak of the block around this one from the others: equalities,
    /// and what else there is with the fields that it looks at.
    #[expect(clippy::type_complexity, reason = "taken apart at once")]
    fn linked(
        &mut self,
        placed: Vec<Placed>,
        purpose: &Purpose,
    ) -> Result<(
        Vec<(SmolStr, Expr, Expr)>,
        (Vec<Expr>, Vec<(SmolStr, Expr)>),
        Vec<Expr>,
    )> {
        let (mut links, mut conditions) = (Vec::new(), Vec::new());
        let (mut residual, mut fields): (Vec<Expr>, Vec<(SmolStr, Expr)>) = Default::default();
        for (condition, span) in placed {
            if !self.is_outer(&condition) {
                conditions.push(condition);
                continue;
            }
            if let Expr::Call(Function::Eq, args) = &condition {
                let sides = match (self.is_outer(&args[0]), self.is_outer(&args[1])) {
                    (true, false) => Some((&args[1], &args[0])),
                    (false, true) => Some((&args[0], &args[1])),
                    _ => None,
                };
                if let Some((inner, outer)) = sides
                    && has_refs(inner)
                    && !self.is_inner(outer)
                {
                    let name = format_smolstr!("k{}", links.len() + 1);
                    links.push((name, inner.clone(), outer.clone()));
                    continue;
                }
            }
            let Purpose::Exists(sub) = purpose else {
                let fault = Fault::new(span, "what links a subquery must be an equality");
                return Err(fault.hint("as in: inner.customer_id = outer.id"));
            };
            residual.push(self.replaced(condition, sub, &mut fields));
        }
        Ok((links, (residual, fields), conditions))
    }

    /// Whether an expression refers to this block.
    fn is_inner(&self, expr: &Expr) -> bool {
        expr.any(&mut |e| matches!(e, Expr::Ref(_)) && !self.is_outer(e))
    }

    /// With fields of the subquery's rows for what it refers to of this block.
    fn replaced(&self, expr: Expr, sub: &SmolStr, fields: &mut Vec<(SmolStr, Expr)>) -> Expr {
        match expr {
            expr @ Expr::Ref(_) if !self.is_outer(&expr) => {
                let known = fields.iter().position(|(_, known)| *known == expr);
                let place = known.unwrap_or(fields.len());
                let name = format_smolstr!("r{}", place + 1);
                if known.is_none() {
                    fields.push((name.clone(), expr));
                }
                field(sub, &name)
            }
            Expr::Call(function, args) => {
                let args = args.into_iter().map(|arg| self.replaced(arg, sub, fields));
                Expr::Call(function, args.collect())
            }
            other => other,
        }
    }

    /// What groups are keyed by: an expression, or an item by its name or number.
    fn key(&mut self, e: &ast::Expr, s: &Select, items: &[Item]) -> Result<Expr> {
        let chosen = match e {
            ast::Expr::Identifier(name) => s.projection.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if means(name, &alias.value) => {
                    Some(expr)
                }
                _ => None,
            }),
            e => match ordinal(e, items.len())? {
                Some(place) => match (items.len() == s.projection.len(), &s.projection[..]) {
                    (true, projection) => match &projection[place] {
                        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                            Some(expr)
                        }
                        _ => None,
                    },
                    _ => None,
                },
                None => None,
            },
        };
        match e {
            ast::Expr::Rollup(_) | ast::Expr::Cube(_) | ast::Expr::GroupingSets(_) => {
                let fault = Fault::new(e.span(), "grouping sets are not supported");
                return Err(fault.hint("one query for each of them, joined with UNION ALL"));
            }
            ast::Expr::Value(_) if chosen.is_none() => {
                return Err(Fault::new(e.span(), "a constant makes no groups"));
            }
            _ => {}
        }
        self.plain(chosen.unwrap_or(e))
    }

    /// An expression over groups: it may hold what they are keyed by, and aggregates.
    fn regrouped(&mut self, expr: Expr, keys: &[Expr], span: Span) -> Result<Expr> {
        if keys.contains(&expr) {
            return Ok(settled(expr));
        }
        match expr {
            Expr::Call(function, args) => {
                let args = args.into_iter().map(|arg| self.regrouped(arg, keys, span));
                Ok(Expr::Call(function, args.collect::<Result<_>>()?))
            }
            Expr::Ref(path) if path[0] == OVER => Ok(Expr::Ref(path)),
            Expr::Ref(path) => {
                let values = &self.block().values;
                if let Some((_, on)) = values.iter().find(|(alias, _)| *alias == path[0]) {
                    let fixed = |e: &Expr| keys.contains(e) || !has_refs(e);
                    if !on.iter().all(fixed) {
                        let message = "the subquery depends on what is not grouped by";
                        return Err(Fault::new(span, message));
                    }
                    // It is one for all rows of the group.
                    return Ok(Expr::Aggregate(
                        AggregateFunction::Max,
                        vec![Expr::Ref(path)],
                    ));
                }
                let name = path[1..].join(".");
                let message = format!("`{name}` is neither grouped by nor inside an aggregate");
                Err(Fault::new(span, message).hint("add it to GROUP BY"))
            }
            other => Ok(other),
        }
    }

    /// What the rows are made of.
    fn output(
        &mut self,
        rows: &mut Rows,
        items: Vec<Item>,
        keys: &[Expr],
        grouped: bool,
        purpose: &Purpose,
    ) -> Result<()> {
        if let (Purpose::Value, items) = (purpose, &items[..])
            && !matches!(items, [Item::Column { .. }])
        {
            let message = "a subquery that is a value must have one column";
            let span = items.first().map_or(Span::empty(), |item| match item {
                Item::Column { span, .. } | Item::All { span, .. } => *span,
            });
            return Err(Fault::new(span, message));
        }
        if let Purpose::Exists(_) = purpose {
            rows.query.select = object([("one".into(), value(1))]);
            rows.columns = Some(vec!["one".into()]);
            return Ok(());
        }
        if let ([Item::All { alias, .. }], false) = (&items[..], grouped) {
            rows.query.select = Some(Expr::Ref(vec![alias.clone()]));
            return Ok(());
        }
        let (mut entries, mut columns) = (Vec::new(), Some(Vec::new()));
        for item in items {
            match item {
                Item::Column { name, expr, span } => {
                    let expr = match grouped {
                        true => self.regrouped(expr, keys, span)?,
                        false => expr,
                    };
                    let name = match purpose {
                        Purpose::Value => "v".into(),
                        _ => name,
                    };
                    entries.push(Entry::Field(name.clone(), settled(expr)));
                    if let Some(columns) = &mut columns {
                        columns.push(name);
                    }
                }
                Item::All { span, .. } if grouped => {
                    let fault = Fault::new(span, "`*` cannot be selected of groups");
                    return Err(fault.hint("select what is grouped by, and aggregates"));
                }
                Item::All { alias, .. } => {
                    entries.push(Entry::Spread(Expr::Ref(vec![alias])));
                    columns = None;
                }
            }
        }
        rows.query.select = Some(Expr::Object(entries));
        rows.columns = columns;
        Ok(())
    }

    fn order(
        &mut self,
        items: &[Item],
        keys: &[Expr],
        grouped: bool,
        distinct: bool,
        tail: &Tail<'_>,
        purpose: &Purpose,
    ) -> Result<Vec<crate::query::OrderBy>> {
        let mut order = Vec::new();
        if let Purpose::Exists(_) = purpose {
            return Ok(order);
        }
        let selected = |name: &SmolStr| {
            let name = match purpose {
                Purpose::Value => "v".into(),
                _ => name.clone(),
            };
            Expr::Ref(vec!["$selected".into(), name])
        };
        for by in tail.order {
            let span = by.expr.span();
            let called = |item: &&Item| match (item, &by.expr) {
                (Item::Column { name, .. }, ast::Expr::Identifier(ident)) => means(ident, name),
                _ => false,
            };
            let mut found = items.iter().find(called);
            if found.is_none()
                && let Some(place) = ordinal(&by.expr, items.len())?
            {
                found = Some(&items[place]);
            }
            // A name alone may be meant for one of what is selected.
            let close = |fault: Fault| match &by.expr {
                ast::Expr::Identifier(ident) => {
                    let named = items.iter().filter_map(Item::name);
                    fault.near(&ident.value, named)
                }
                _ => fault,
            };
            let mut expr = None;
            if found.is_none() {
                let lowered = self.within(Clause::OrderBy, |this| this.plain(&by.expr));
                let lowered = lowered.map_err(close)?;
                found = items.iter().find(|item| item.expr() == Some(&lowered));
                expr = Some(lowered);
            }
            let expr = match (found, expr) {
                (Some(Item::Column { name, .. }), _) => selected(name),
                (Some(Item::All { .. }), _) | (None, None) => {
                    return Err(Fault::new(span, "`*` is no column to order by"));
                }
                (None, Some(expr)) if grouped => self.regrouped(expr, keys, span).map_err(close)?,
                (None, Some(expr)) if expr.has_aggregate() => {
                    let message = "an aggregate in ORDER BY needs GROUP BY or one in SELECT";
                    return Err(Fault::new(span, message));
                }
                (None, Some(expr)) => {
                    let named = items.iter().any(|item| matches!(item, Item::Column { .. }));
                    if distinct && named {
                        let message = "with DISTINCT, only what is selected can be ordered by";
                        return Err(Fault::new(span, message));
                    }
                    expr
                }
            };
            if distinct && grouped && !matches!(&expr, Expr::Ref(path) if path[0] == "$selected") {
                let message = "with DISTINCT, only what is selected can be ordered by";
                return Err(Fault::new(span, message));
            }
            order.push(ordered(expr, by)?);
        }
        Ok(order)
    }

    /// What `LIMIT` means of a subquery that is linked to a row.
    fn bounded(tail: &Tail<'_>, purpose: &Purpose) -> Result<()> {
        let harmless = match purpose {
            Purpose::Exists(_) => tail.limit != Some(0),
            _ => tail.limit.is_none(),
        };
        if harmless && tail.offset == 0 {
            return Ok(());
        }
        let fault = Fault::new(tail.span, "LIMIT in a subquery that depends on the row");
        Err(fault.hint("first(x ORDER BY y) is the first value of an order"))
    }
}

impl Rows {
    /// Selects one more field.
    fn add(&mut self, name: &SmolStr, expr: Expr) {
        if let Some(Expr::Object(entries)) = &mut self.query.select {
            entries.retain(|entry| !matches!(entry, Entry::Field(known, _) if known == "one"));
            entries.push(Entry::Field(name.clone(), expr));
        }
    }
}

/// Whether an item is a call of an aggregate.
fn is_aggregate(item: &SelectItem) -> bool {
    let (SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. }) = item else {
        return false;
    };
    match e {
        ast::Expr::Function(f) if f.over.is_none() => {
            let name = f.name.to_string().to_ascii_lowercase();
            super::aggregate::NAMES.contains(&name.as_str())
        }
        _ => false,
    }
}

fn unsupported(s: &Select) -> Result<()> {
    let span = s.span();
    let fault = |e: &dyn Fn() -> Option<Span>, what: &str| match e() {
        Some(place) => Err(Fault::new(place, format!("{what} is not supported"))),
        None => Ok(()),
    };
    let into = |into: &ast::SelectInto| into.targets.first().map_or(span, Spanned::span);
    fault(&|| s.into.as_ref().map(into), "SELECT INTO")?;
    fault(&|| s.top.as_ref().map(|_| span), "TOP")?;
    fault(&|| s.lateral_views.first().map(|_| span), "LATERAL VIEW")?;
    fault(&|| s.prewhere.as_ref().map(Spanned::span), "PREWHERE")?;
    fault(&|| s.connect_by.first().map(|_| span), "CONNECT BY")?;
    fault(&|| s.cluster_by.first().map(Spanned::span), "CLUSTER BY")?;
    fault(
        &|| s.distribute_by.first().map(Spanned::span),
        "DISTRIBUTE BY",
    )?;
    fault(&|| s.sort_by.first().map(Spanned::span), "SORT BY")?;
    fault(&|| s.qualify.as_ref().map(Spanned::span), "QUALIFY")?;
    fault(&|| s.exclude.as_ref().map(|_| span), "EXCLUDE")?;
    match &s.group_by {
        GroupByExpr::All(_) => Err(Fault::new(span, "GROUP BY ALL is not supported")),
        GroupByExpr::Expressions(exprs, modifiers) if !modifiers.is_empty() => {
            let place = exprs.first().map_or(span, Spanned::span);
            Err(Fault::new(
                place,
                "WITH ROLLUP and the like are not supported",
            ))
        }
        GroupByExpr::Expressions(..) => Ok(()),
    }
}

/// A query over the rows of another one.
pub(super) fn over(query: Query, alias: &SmolStr) -> Query {
    Query::from_source(super::query::source_of(query, alias))
}

/// Whether there was a partner in a left join, by the field that was equal.
pub(super) fn is_matched(alias: &SmolStr, by: &str) -> Expr {
    call(Function::Not, [is_null(field(alias, by))])
}
