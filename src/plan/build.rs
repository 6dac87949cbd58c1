//! Builds the plan of a query, clause by clause.

use std::cell::Cell;

use smol_str::SmolStr;

use super::env::Env;
use super::expr::{Expr, Label, Part, Shape};
use super::from::{self, Parent, conjuncts};
use super::key::{KeyKind, Template};
use super::leaves::leaves;
use super::scope::{Names, SELECTED, Scope, Source, Stage, group_field};
use super::{Node, OrderKey, Plan, clock, include, recursive};
use crate::query::{self, Entry, Query, QueryError};
use crate::schema::Catalog;

type Result<T> = std::result::Result<T, QueryError>;

pub(super) fn plan(query: &Query, catalog: &Catalog) -> Result<Plan> {
    let next = Cell::new(0);
    let env = Env::new(catalog, &next);
    Ok(self::query(query, &env, None)?.plan)
}

/// A plan as a part of another one.
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// Of an included query: what a tuple of its root depends on of the parent.
    pub(super) context: Vec<Expr>,
}

/// Plans a query in its surroundings.
pub(super) fn query(query: &Query, env: &Env<'_>, parent: Option<Parent>) -> Result<Planned> {
    clock::check_places(query)?;
    let (definitions, env) = recursive::definitions(query, env)?;
    let (node, mut scope) = from::from(query, &env, parent)?;
    scope.select = query.select.as_ref();
    check_root_select(query, &scope)?;
    let (mut node, mut output, mut key) = if is_grouped(query) {
        grouped(query, node, &mut scope)?
    } else {
        ungrouped(query, node, &mut scope)?
    };
    if query.distinct {
        (node, output, key) = distinct(query, node, &mut scope)?;
    }
    let order = order_by(query, &mut scope)?;
    let context = context(&mut scope)?;
    // Aggregates may have been met after the node was made: in `having` and `orderBy`.
    set_aggregates(&mut node, &scope);
    // Included queries of rows that are not shown would be work for nothing.
    let arity = scope.arity();
    if order.iter().any(|key| key.expr.sources() >> arity != 0) {
        node = include::add(node, &mut scope);
    }
    let limit = if query.single {
        Some(query.limit.unwrap_or(1).min(1))
    } else {
        query.limit
    };
    if limit.is_some() || query.offset > 0 {
        node = Node::Window {
            input: Box::new(node),
            partition: context.clone(),
            order: order.clone(),
            offset: query.offset,
            limit,
        };
    } else if node.holds_window() {
        // It is a subquery's: what moves the result's window must not move this one.
        node = Node::Filter {
            input: Box::new(node),
            predicates: Vec::new(),
        };
    }
    node = include::add(node, &mut scope);
    if let Some(definitions) = definitions {
        node = definitions.around(node);
    }
    let plan = Plan {
        root: node,
        output,
        key,
        order,
        ordered: !query.order_by.is_empty(),
    };
    Ok(Planned { plan, context })
}

fn is_grouped(query: &Query) -> bool {
    !query.group_by.is_empty()
        || query
            .select
            .as_ref()
            .is_some_and(query::Expr::has_aggregate)
}

/// The parent's values that a tuple of the stage depends on.
fn context(scope: &mut Scope<'_>) -> Result<Vec<Expr>> {
    let paths = context_paths(scope);
    paths.iter().map(|path| scope.expr(path)).collect()
}

fn context_paths(scope: &Scope<'_>) -> Vec<query::Expr> {
    let paths = scope.context.iter().flat_map(|c| &c.paths);
    paths.map(|path| query::Expr::Ref(path.clone())).collect()
}

/// A result row is an object, as every client of the State Protocol expects.
fn check_root_select(query: &Query, scope: &Scope<'_>) -> Result<()> {
    let Some(select) = &query.select else {
        return Ok(());
    };
    if select.any(
        &mut |e| matches!(e, query::Expr::Ref(path) if path.first().is_some_and(|n| n == SELECTED)),
    ) {
        let message = format!("`{SELECTED}` cannot stand inside `select`");
        return Err(
            QueryError::new("select", message).hint("repeat the expression, or use a subquery")
        );
    }
    match select {
        query::Expr::Object(_) | query::Expr::Closure(_) => Ok(()),
        query::Expr::Ref(path) if path.len() == 1 => scope
            .row_expr(select)
            .map_err(|e| e.within("select"))
            .map(drop),
        _ => Err(
            QueryError::new("select", "must be an object of named values").hint(
                r#"write {"value": …}, or a whole source as {"type":"ref","path":["alias"]}"#,
            ),
        ),
    }
}

fn ungrouped(query: &Query, node: Node, scope: &mut Scope<'_>) -> Result<(Node, Expr, KeyKind)> {
    if !query.having.is_empty() {
        return Err(
            QueryError::new("having", "needs `groupBy` or an aggregate in `select`")
                .hint("use `where`"),
        );
    }
    let selected = scope.expr(&selection(query, scope));
    let output = match selected.map_err(|e| e.within("select"))? {
        // `...alias` of the only source is that source's row.
        Expr::Object(mut parts)
            if scope.sources.len() == 1
                && matches!(&parts[..], [Part::Spread(Expr::Row { .. })]) =>
        {
            let Some(Part::Spread(row)) = parts.pop() else {
                unreachable!("there is one spread")
            };
            row
        }
        output => output,
    };
    let key = match &scope.sources[..] {
        [source] => source.key.clone(),
        sources => KeyKind::Joined(sources.iter().map(|s| s.key.clone()).collect()),
    };
    Ok((node, output, key))
}

/// What a query selects, also where it does not say so.
fn selection(query: &Query, scope: &Scope<'_>) -> query::Expr {
    let row = |s: &Source| match &s.names {
        Names::Alias(alias) => query::Expr::Ref(vec![alias.clone()]),
        Names::Fields | Names::Aliases => query::Expr::Ref(Vec::new()),
    };
    let entries = |s: &Source| match (&s.names, &s.shape) {
        (Names::Alias(alias), _) => vec![Entry::Field(alias.clone(), row(s))],
        (Names::Aliases, Shape::Fields(aliases)) => {
            let field = |a: &SmolStr| Entry::Field(a.clone(), query::Expr::Ref(vec![a.clone()]));
            aliases.iter().map(field).collect()
        }
        (Names::Fields | Names::Aliases, _) => vec![Entry::Spread(row(s))],
    };
    match (&query.select, &scope.sources[..]) {
        (Some(select), _) => select.clone(),
        (None, [source]) if source.names != Names::Aliases => row(source),
        (None, sources) => query::Expr::Object(sources.iter().flat_map(entries).collect()),
    }
}

fn grouped(query: &Query, node: Node, scope: &mut Scope<'_>) -> Result<(Node, Expr, KeyKind)> {
    // The groups of each context are its own.
    let contexts = context_paths(scope);
    let mut keys = Vec::new();
    for path in &contexts {
        keys.push(scope.row_expr(path)?);
    }
    for (i, key) in query.group_by.iter().enumerate() {
        keys.push(
            scope
                .row_expr(key)
                .map_err(|e| e.within(&format!("groupBy[{i}]")))?,
        );
    }
    let first = contexts.len();
    scope.stage = Stage::Groups {
        keys: contexts.into_iter().chain(query.group_by.clone()).collect(),
        aggregates: Vec::new(),
    };
    let output = match &query.select {
        Some(select) => scope.expr(select).map_err(|e| e.within("select"))?,
        None => {
            let field = |i| {
                let name = group_field(i);
                let column = Expr::Column {
                    source: 0,
                    column: 1 + first + i,
                    label: Label(name.clone()),
                };
                Part::Field(name, column)
            };
            Expr::Object((0..query.group_by.len()).map(field).collect())
        }
    };
    let mut predicates = Vec::new();
    for (i, having) in query.having.iter().enumerate() {
        let lowered = scope
            .expr(having)
            .map_err(|e| e.within(&format!("having[{i}]")))?;
        predicates.extend(conjuncts(lowered));
    }
    let node = Node::Aggregate {
        input: Box::new(node),
        keys,
        aggregates: Vec::new(),
    };
    Ok((from::filtered(node, predicates), output, KeyKind::Group))
}

/// Fills in the aggregates of the outermost grouping, which are known only in the end.
fn set_aggregates(node: &mut Node, scope: &Scope<'_>) {
    let Stage::Groups {
        aggregates: found, ..
    } = &scope.stage
    else {
        return;
    };
    match node {
        Node::Aggregate { aggregates, .. } => *aggregates = found.clone(),
        Node::Filter { input, .. } => set_aggregates(input, scope),
        _ => unreachable!("a grouped query ends in its groups"),
    }
}

fn distinct(query: &Query, mut node: Node, scope: &mut Scope<'_>) -> Result<(Node, Expr, KeyKind)> {
    let selection = match (&query.select, &scope.stage) {
        (None, Stage::Groups { .. }) => {
            let keys = query.group_by.iter().enumerate();
            query::Expr::Object(
                keys.map(|(i, k)| Entry::Field(group_field(i), k.clone()))
                    .collect(),
            )
        }
        _ => selection(query, scope),
    };
    // The distinct rows of each context are its own.
    let contexts = context_paths(scope);
    let first = contexts.len();
    let (selected, template) = leaves(&selection);
    let exprs: Vec<query::Expr> = contexts.into_iter().chain(selected).collect();
    let mut fields = Vec::new();
    for expr in &exprs {
        fields.push(scope.expr(expr).map_err(|e| e.within("select"))?);
    }
    set_aggregates(&mut node, scope);
    node = include::add(node, scope);
    scope.stage = Stage::Distinct { fields: exprs };
    let output = template_expr(&template, first);
    let node = Node::Distinct {
        input: Box::new(node),
        fields,
        keyed: true,
    };
    Ok((node, output, KeyKind::Distinct(template)))
}

/// The value of a distinct row, whose fields begin after the first ones.
fn template_expr(template: &Template, first: usize) -> Expr {
    match template {
        Template::Leaf(i) => {
            let label = Label(smol_str::format_smolstr!("#{i}"));
            Expr::Column {
                source: 0,
                column: 1 + first + i,
                label,
            }
        }
        Template::Object(fields) => {
            let part = |(name, t): &(Option<SmolStr>, Template)| match name {
                Some(name) => Part::Field(name.clone(), template_expr(t, first)),
                None => Part::Spread(template_expr(t, first)),
            };
            Expr::Object(fields.iter().map(part).collect())
        }
    }
}

fn order_by(query: &Query, scope: &mut Scope<'_>) -> Result<Vec<OrderKey>> {
    let lower = |(i, order): (usize, &query::OrderBy)| {
        let expr = scope
            .expr(&order.expr)
            .map_err(|e| e.within(&format!("orderBy[{i}].expression")))?;
        Ok(OrderKey {
            expr,
            direction: order.direction,
            nulls: order.nulls,
            collation: order.collation.clone(),
        })
    };
    query.order_by.iter().enumerate().map(lower).collect()
}
