//! Builds the plan of a query, clause by clause.

use smol_str::SmolStr;

use super::expr::{Expr, Label, Shape};
use super::key::{KeyKind, Template};
use super::scope::{SELECTED, Scope, Source, Stage, group_field, leaves};
use super::{Join, Node, OrderKey, Plan, Scan};
use crate::query::{self, Function, JoinKind, Projection, Query, QueryError};
use crate::schema::Catalog;

type Result<T> = std::result::Result<T, QueryError>;

/// The bits of [`Expr::sources`].
const MAX_SOURCES: usize = 64;

/// Keys of joined subqueries hold keys as text, which doubles what must be escaped with each level.
const MAX_KEY_DEPTH: usize = 8;

pub(super) fn plan(query: &Query, catalog: &Catalog) -> Result<Plan> {
    let (node, sources) = from(query, catalog)?;
    let mut scope = Scope {
        sources,
        select: query.select.as_ref(),
        stage: Stage::Rows,
    };
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
    // Aggregates may have been met after the node was made: in `having` and `orderBy`.
    if let Stage::Groups { aggregates, .. } = &scope.stage {
        set_aggregates(&mut node, aggregates);
    }
    let limit = if query.single {
        Some(query.limit.unwrap_or(1).min(1))
    } else {
        query.limit
    };
    if limit.is_some() || query.offset > 0 {
        node = Node::Window {
            input: Box::new(node),
            order: order.clone(),
            offset: query.offset,
            limit,
        };
    }
    let ordered = !query.order_by.is_empty();
    Ok(Plan {
        root: node,
        output,
        key,
        order,
        ordered,
    })
}

fn is_grouped(query: &Query) -> bool {
    !query.group_by.is_empty() || query.select.as_ref().is_some_and(Projection::has_aggregate)
}

/// A result row is an object, as every client of the State Protocol expects.
fn check_root_select(query: &Query, scope: &Scope<'_>) -> Result<()> {
    if let Some(select) = &query.select
        && refers_to_itself(select)
    {
        let message = format!("`{SELECTED}` cannot stand inside `select`");
        return Err(
            QueryError::new("select", message).hint("repeat the expression, or use a subquery")
        );
    }
    match &query.select {
        Some(Projection::Expr(query::Expr::Ref(path))) if path.len() == 1 => scope
            .row_expr(&query::Expr::Ref(path.clone()))
            .map_err(|e| e.within("select"))
            .map(drop),
        Some(Projection::Expr(_)) => Err(QueryError::new(
            "select",
            "must be an object of named values",
        )
        .hint(r#"write {"value": …}, or a whole source as {"type":"ref","path":["alias"]}"#)),
        _ => Ok(()),
    }
}

fn refers_to_itself(select: &Projection) -> bool {
    fn refers(expr: &query::Expr) -> bool {
        match expr {
            query::Expr::Ref(path) => path[0] == SELECTED,
            query::Expr::Value(_) => false,
            query::Expr::Call(_, args) | query::Expr::Aggregate(_, args) => args.iter().any(refers),
        }
    }
    match select {
        Projection::Expr(expr) => refers(expr),
        Projection::Object(fields) => fields.iter().any(|(_, part)| refers_to_itself(part)),
    }
}

// --- from, join, where ---

fn from(query: &Query, catalog: &Catalog) -> Result<(Node, Vec<Source>)> {
    let (node, first) = source(&query.from, catalog).map_err(|e| e.within("from"))?;
    let mut nodes = vec![node];
    let mut scope = Scope {
        sources: vec![first],
        select: None,
        stage: Stage::Rows,
    };
    let mut joins = Vec::new();
    for (i, join) in query.joins.iter().enumerate() {
        let place = format!("join[{i}]");
        let (node, source) =
            source(&join.source, catalog).map_err(|e| e.within(&format!("{place}.from")))?;
        if scope.sources.iter().any(|s| s.alias == source.alias) {
            let error = QueryError::new(
                "from.alias",
                format!("alias `{}` is used twice", source.alias),
            );
            return Err(error.within(&place));
        }
        if scope.sources.len() == MAX_SOURCES {
            return Err(QueryError::new(
                "join",
                format!("a query has at most {MAX_SOURCES} sources"),
            ));
        }
        nodes.push(node);
        scope.sources.push(source);
        joins.push(condition(join, &scope).map_err(|e| e.within(&place))?);
    }
    let mut filters = vec![Vec::new(); nodes.len()];
    let mut nullable = 0u64;
    for (i, (join, on)) in query.joins.iter().zip(&mut joins).enumerate() {
        let new = 1u64 << (i + 1);
        if join.kind.keeps_right() {
            nullable |= new - 1;
        }
        // A condition on one side alone narrows that side, unless its unmatched rows stay.
        on.residual.retain(|e| {
            let bits = e.sources();
            let pushable = match (bits & new != 0, bits & (new - 1) != 0) {
                (true, false) => !join.kind.keeps_right(),
                (false, true) => !join.kind.keeps_left() && bits & nullable == 0,
                _ => false,
            };
            !(pushable && push(&mut filters, e))
        });
        if join.kind.keeps_left() {
            nullable |= new;
        }
    }
    let mut rest = Vec::new();
    for (i, expr) in query.filters.iter().enumerate() {
        let lowered = scope
            .row_expr(expr)
            .map_err(|e| e.within(&format!("where[{i}]")))?;
        for conjunct in conjuncts(lowered) {
            // What an outer join made missing must be seen by the condition.
            if conjunct.sources() & nullable != 0 || !push(&mut filters, &conjunct) {
                rest.push(conjunct);
            }
        }
    }
    let mut nodes = nodes
        .into_iter()
        .zip(filters)
        .map(|(node, filter)| filtered(node, filter));
    let mut node = nodes.next().expect("a query has a first source");
    for (i, ((right, join), on)) in nodes.zip(&query.joins).zip(joins).enumerate() {
        node = Node::Join(Box::new(Join {
            kind: join.kind,
            left: node,
            right,
            left_arity: i + 1,
            right_arity: 1,
            left_keys: on.left,
            right_keys: on.right,
            residual: on.residual,
        }));
    }
    let node = match rest.is_empty() {
        true => node,
        false => Node::Filter {
            input: Box::new(node),
            predicates: rest,
        },
    };
    Ok((node, scope.sources))
}

/// Gives a condition on a single source to that source; false if it speaks of none or several.
fn push(filters: &mut [Vec<Expr>], expr: &Expr) -> bool {
    let bits = expr.sources();
    if bits.count_ones() != 1 {
        return false;
    }
    filters[bits.trailing_zeros() as usize].push(expr.map_sources(&|_| 0));
    true
}

fn filtered(node: Node, filter: Vec<Expr>) -> Node {
    match node {
        node if filter.is_empty() => node,
        Node::Scan(mut scan) => {
            // A subquery that only filters is a scan with a filter already.
            scan.filter.extend(filter);
            Node::Scan(scan)
        }
        node => Node::Filter {
            input: Box::new(node),
            predicates: filter,
        },
    }
}

/// Takes a condition apart at its `and`s.
fn conjuncts(expr: Expr) -> Vec<Expr> {
    match expr {
        Expr::Call(Function::And, args) => args
            .into_iter()
            .flat_map(|arg| match arg {
                Expr::Call(Function::And, _) => conjuncts(arg),
                arg if is_condition(&arg) => vec![arg],
                // `and` takes any known value but false for true; alone it would have to be true.
                arg => vec![Expr::Call(Function::And, vec![arg])],
            })
            .collect(),
        other => vec![other],
    }
}

/// Whether an expression is true, false or unknown and nothing else.
fn is_condition(expr: &Expr) -> bool {
    use Function::*;
    matches!(
        expr,
        Expr::Call(
            Eq | Gt
                | Gte
                | Lt
                | Lte
                | In
                | Like
                | Ilike
                | StartsWith
                | EndsWith
                | RegexMatch
                | And
                | Or
                | Not
                | IsNull
                | IsUndefined,
            _
        )
    )
}

/// The condition of a join, sorted.
struct Condition {
    left: Vec<Expr>,
    right: Vec<Expr>,
    residual: Vec<Expr>,
}

fn condition(join: &query::Join, scope: &Scope<'_>) -> Result<Condition> {
    let new_place = scope.sources.len() - 1;
    let new = 1u64 << new_place;
    let mut condition = Condition {
        left: Vec::new(),
        right: Vec::new(),
        residual: Vec::new(),
    };
    let on = match &join.on {
        Some(on) => conjuncts(scope.row_expr(on).map_err(|e| e.within("on"))?),
        None => Vec::new(),
    };
    for lowered in on {
        if let Expr::Call(Function::Eq, args) = &lowered {
            let (a, b) = (args[0].sources(), args[1].sources());
            let (left, right) = match (a & new != 0, b & new != 0) {
                (false, true) => (&args[0], &args[1]),
                (true, false) => (&args[1], &args[0]),
                _ => (&args[0], &args[0]),
            };
            if right.sources() == new && left.sources() != 0 && left.sources() & new == 0 {
                condition.left.push(left.clone());
                condition.right.push(right.map_sources(&|_| 0));
                continue;
            }
        }
        condition.residual.push(lowered);
    }
    if condition.left.is_empty() && join.kind != JoinKind::Cross {
        let alias = &scope.sources[new_place].alias;
        let before: Vec<String> = scope.sources[..new_place]
            .iter()
            .map(|s| format!("`{}`", s.alias))
            .collect();
        let message = format!(
            "needs an equality between `{alias}` and {}",
            before.join(" or ")
        );
        return Err(QueryError::new("on", message).hint("a join of all pairs is of type `cross`"));
    }
    Ok(condition)
}

fn source(source: &query::Source, catalog: &Catalog) -> Result<(Node, Source)> {
    match source {
        query::Source::Collection { name, alias } => {
            let collection = catalog.by_name(name).ok_or_else(|| {
                let all = catalog.collections();
                QueryError::new("collection", format!("unknown collection `{name}`"))
                    .suggest(name, all.iter().map(|c| c.name().as_str()))
            })?;
            let shape = Shape::Collection(collection.clone());
            let node = Node::Scan(Scan {
                collection,
                filter: Vec::new(),
            });
            Ok((
                node,
                Source {
                    alias: alias.clone(),
                    shape,
                    key: KeyKind::Source,
                },
            ))
        }
        query::Source::Query { query, alias } => {
            let plan = plan(query, catalog).map_err(|e| e.within("query"))?;
            let key = plan.key.clone();
            if key.depth() > MAX_KEY_DEPTH {
                let message =
                    format!("joins of subqueries are nested more than {MAX_KEY_DEPTH} deep");
                return Err(QueryError::new("query", message));
            }
            let (node, shape) = as_source(plan);
            Ok((
                node,
                Source {
                    alias: alias.clone(),
                    shape,
                    key,
                },
            ))
        }
    }
}

/// Makes the result of a plan a source: one row a tuple.
fn as_source(plan: Plan) -> (Node, Shape) {
    let (fields, shape) = match plan.output {
        Expr::Row {
            source: 0, shape, ..
        } if plan.root.arity() == 1 => return (plan.root, shape),
        Expr::Object(fields) => {
            let (names, fields): (Vec<SmolStr>, Vec<Expr>) = fields.into_iter().unzip();
            (fields, Shape::Fields(names.into()))
        }
        other => (vec![other], Shape::Value),
    };
    (
        Node::Project {
            input: Box::new(plan.root),
            fields,
        },
        shape,
    )
}

impl Node {
    /// The number of rows in a tuple.
    pub(super) fn arity(&self) -> usize {
        match self {
            Node::Filter { input, .. } | Node::Window { input, .. } => input.arity(),
            Node::Join(join) => join.left_arity + join.right_arity,
            Node::Scan(_)
            | Node::Aggregate { .. }
            | Node::Project { .. }
            | Node::Distinct { .. } => 1,
        }
    }
}

// --- select, group by, having, distinct, order by ---

fn ungrouped(query: &Query, node: Node, scope: &mut Scope<'_>) -> Result<(Node, Expr, KeyKind)> {
    if !query.having.is_empty() {
        return Err(
            QueryError::new("having", "needs `groupBy` or an aggregate in `select`")
                .hint("use `where`"),
        );
    }
    let output = scope
        .projection(&selection(query, scope))
        .map_err(|e| e.within("select"))?;
    let key = match &scope.sources[..] {
        [source] => source.key.clone(),
        sources => KeyKind::Joined(sources.iter().map(|s| s.key.clone()).collect()),
    };
    Ok((node, output, key))
}

/// What a query selects, also where it does not say so.
fn selection(query: &Query, scope: &Scope<'_>) -> Projection {
    let alias = |s: &Source| Projection::Expr(query::Expr::Ref(vec![s.alias.clone()]));
    match (&query.select, &scope.sources[..]) {
        (Some(select), _) => select.clone(),
        (None, [source]) => alias(source),
        (None, sources) => Projection::Object(
            sources
                .iter()
                .map(|s| (s.alias.clone(), alias(s)))
                .collect(),
        ),
    }
}

fn grouped(query: &Query, node: Node, scope: &mut Scope<'_>) -> Result<(Node, Expr, KeyKind)> {
    let mut keys = Vec::new();
    for (i, key) in query.group_by.iter().enumerate() {
        keys.push(
            scope
                .row_expr(key)
                .map_err(|e| e.within(&format!("groupBy[{i}]")))?,
        );
    }
    scope.stage = Stage::Groups {
        keys: query.group_by.clone(),
        aggregates: Vec::new(),
    };
    let output = match &query.select {
        Some(select) => scope.projection(select).map_err(|e| e.within("select"))?,
        None => Expr::Object(
            (0..keys.len())
                .map(|i| {
                    let name = group_field(i);
                    (
                        name.clone(),
                        Expr::Column {
                            source: 0,
                            column: 1 + i,
                            label: Label(name),
                        },
                    )
                })
                .collect(),
        ),
    };
    let mut predicates = Vec::new();
    for (i, having) in query.having.iter().enumerate() {
        let lowered = scope
            .expr(having)
            .map_err(|e| e.within(&format!("having[{i}]")))?;
        predicates.extend(conjuncts(lowered));
    }
    let mut node = Node::Aggregate {
        input: Box::new(node),
        keys,
        aggregates: Vec::new(),
    };
    if !predicates.is_empty() {
        node = Node::Filter {
            input: Box::new(node),
            predicates,
        };
    }
    Ok((node, output, KeyKind::Group))
}

/// Fills in the aggregates of the outermost grouping, which are known only in the end.
fn set_aggregates(node: &mut Node, found: &[super::Aggregate]) {
    match node {
        Node::Aggregate { aggregates, .. } => *aggregates = found.to_vec(),
        Node::Filter { input, .. } => set_aggregates(input, found),
        _ => unreachable!("a grouped query ends in its groups"),
    }
}

fn distinct(query: &Query, mut node: Node, scope: &mut Scope<'_>) -> Result<(Node, Expr, KeyKind)> {
    let selection = match (&query.select, &scope.stage) {
        (None, Stage::Groups { keys, .. }) => Projection::Object(
            keys.iter()
                .enumerate()
                .map(|(i, k)| (group_field(i), Projection::Expr(k.clone())))
                .collect(),
        ),
        _ => selection(query, scope),
    };
    let (exprs, template) = leaves(&selection);
    let mut fields = Vec::new();
    for expr in &exprs {
        fields.push(scope.expr(expr).map_err(|e| e.within("select"))?);
    }
    if let Stage::Groups { aggregates, .. } = &scope.stage {
        set_aggregates(&mut node, aggregates);
    }
    scope.stage = Stage::Distinct { fields: exprs };
    let output = template_expr(&template);
    let node = Node::Distinct {
        input: Box::new(node),
        fields,
    };
    Ok((node, output, KeyKind::Distinct(template)))
}

fn template_expr(template: &Template) -> Expr {
    match template {
        Template::Leaf(i) => {
            let label = Label(smol_str::format_smolstr!("#{i}"));
            Expr::Column {
                source: 0,
                column: 1 + i,
                label,
            }
        }
        Template::Object(fields) => Expr::Object(
            fields
                .iter()
                .map(|(name, t)| (name.clone(), template_expr(t)))
                .collect(),
        ),
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
        })
    };
    query.order_by.iter().enumerate().map(lower).collect()
}
