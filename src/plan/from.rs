//! Sources, joins and conditions: `from`, `join` and `where`.

use super::clock;
use super::env::Env;
use super::expr::{Expr, Shape};
use super::key::KeyKind;
use super::scope::{Context, Names, Scope, Source};
use super::{Join, Node, Plan, Scan, build, over, union};
use crate::query::{self, Function, JoinKind, Query, QueryError};

type Result<T> = std::result::Result<T, QueryError>;

/// The bits of [`Expr::sources`].
const MAX_SOURCES: usize = 48;

/// Keys of joined subqueries hold keys as text, which doubles what must be escaped with each level.
const MAX_KEY_DEPTH: usize = 8;

/// What an included query is given by its parent.
pub(super) struct Parent {
    /// One row for each context: the values of `paths`.
    pub(super) node: Node,
    pub(super) paths: Vec<Vec<smol_str::SmolStr>>,
    /// What must equal what, beside the query's own conditions.
    pub(super) correlation: Option<query::Expr>,
}

/// A source of a query that is being put together, and what is asked of it alone.
struct Input {
    node: Node,
    filters: Vec<Expr>,
}

impl Input {
    /// The rows for which the conditions are true.
    fn finish(self) -> Result<Node> {
        let (clocked, plain) = self.filters.into_iter().partition(Expr::has_clock);
        clock::clocked(filtered(self.node, plain), clocked)
    }
}

/// Plans `from`, `join` and `where`, and says what paths mean from here on.
pub(super) fn from<'q>(
    query: &Query,
    env: &'q Env<'q>,
    parent: Option<Parent>,
) -> Result<(Node, Scope<'q>)> {
    let (node, first) = source(&query.from, env).map_err(|e| e.within("from"))?;
    let new = |node| Input {
        node,
        filters: Vec::new(),
    };
    let mut inputs = vec![new(node)];
    let mut scope = Scope::new(env, vec![first]);
    let (mut joins, mut tests) = (Vec::new(), Vec::new());
    let tested = query
        .joins
        .iter()
        .filter(|join| join.kind.is_test())
        .count();
    let regular = query.joins.len() - tested;
    for (i, join) in query.joins.iter().enumerate() {
        let place = format!("join[{i}]");
        if join.kind.is_test() && i < regular {
            let message = format!("a {} join stands behind all others", join.kind.as_str());
            return Err(QueryError::new("type", message).within(&place));
        }
        let (node, source) =
            source(&join.source, env).map_err(|e| e.within(&format!("{place}.from")))?;
        let Names::Alias(alias) = &source.names else {
            let error = QueryError::new("from.type", "a union can only stand in `from`");
            return Err(error.hint("put it into a `queryRef`").within(&place));
        };
        if scope.names().contains(&alias.as_str()) {
            let error = QueryError::new("from.alias", format!("alias `{alias}` is used twice"));
            return Err(error.within(&place));
        }
        if scope.sources.len() == MAX_SOURCES {
            return Err(QueryError::new(
                "join",
                format!("a query has at most {MAX_SOURCES} sources"),
            ));
        }
        scope.sources.push(source);
        let on = condition(join, &scope).map_err(|e| e.within(&place))?;
        if join.kind.is_test() {
            // It is known to its own condition alone.
            scope.sources.pop();
            tests.push((join.kind, new(node), on));
        } else {
            inputs.push(new(node));
            joins.push(on);
        }
    }
    let place = scope.sources.len();
    for (_, input, on) in &mut tests {
        on.residual
            .retain(|e| e.sources() != 1 << place || !push_to(input, e));
    }
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
            !(pushable && push(&mut inputs, e))
        });
        if join.kind.keeps_left() {
            nullable |= new;
        }
    }
    let context = 1u64 << scope.sources.len();
    let parent = parent.map(|parent| {
        scope.context = Some(Context {
            paths: parent.paths,
            source: scope.sources.len(),
        });
        (parent.node, parent.correlation)
    });
    let filters = query.filters.iter().enumerate();
    let mut filters: Vec<(String, &query::Expr)> =
        filters.map(|(i, e)| (format!("where[{i}]"), e)).collect();
    if let Some((_, Some(correlation))) = &parent {
        filters.push(("correlationField".into(), correlation));
    }
    let (mut rest, mut links) = (Vec::new(), Vec::new());
    for (place, expr) in filters {
        let lowered = scope.row_expr(expr).map_err(|e| e.within(&place))?;
        for conjunct in conjuncts(lowered) {
            clock::check(&conjunct).map_err(|e| e.within(&place))?;
            let bits = conjunct.sources();
            if bits & context != 0 {
                links.push(conjunct);
            } else if bits & nullable != 0 || !push(&mut inputs, &conjunct) {
                // What an outer join made missing must be seen by the condition.
                rest.push(conjunct);
            }
        }
    }
    let mut inputs = inputs.into_iter();
    let mut node = inputs
        .next()
        .expect("a query has a first source")
        .finish()?;
    for (i, ((right, join), on)) in inputs.zip(&query.joins).zip(joins).enumerate() {
        node = Node::Join(Box::new(Join {
            kind: join.kind,
            left: node,
            right: right.finish()?,
            left_arity: i + 1,
            right_arity: 1,
            left_keys: on.left,
            right_keys: on.right,
            residual: on.residual,
        }));
    }
    node = Input {
        node,
        filters: rest,
    }
    .finish()?;
    for (kind, right, on) in tests {
        node = Node::Join(Box::new(Join {
            kind,
            left: node,
            right: right.finish()?,
            left_arity: place,
            right_arity: 1,
            left_keys: on.left,
            right_keys: on.right,
            residual: on.residual,
        }));
    }
    if let Some((contexts, _)) = parent {
        node = in_context(node, contexts, links)?;
    }
    Ok((node, scope))
}

/// Pairs the tuples of a child with the contexts that they belong to.
fn in_context(node: Node, contexts: Node, links: Vec<Expr>) -> Result<Node> {
    let place = node.arity();
    let mut on = Condition::sort(links, place);
    let (clocked, residual) = std::mem::take(&mut on.residual)
        .into_iter()
        .partition(Expr::has_clock);
    let join = Node::Join(Box::new(Join {
        kind: match on.left.is_empty() {
            true => JoinKind::Cross,
            false => JoinKind::Inner,
        },
        left: node,
        right: contexts,
        left_arity: place,
        right_arity: 1,
        left_keys: on.left,
        right_keys: on.right,
        residual,
    }));
    clock::clocked(join, clocked)
}

/// Gives a condition on a single source to that source; false if it speaks of none or several.
fn push(inputs: &mut [Input], expr: &Expr) -> bool {
    let bits = expr.sources();
    if bits.count_ones() != 1 {
        return false;
    }
    push_to(&mut inputs[bits.trailing_zeros() as usize], expr)
}

/// Gives a condition to the one source that it speaks of.
fn push_to(input: &mut Input, expr: &Expr) -> bool {
    input.filters.push(expr.map_sources(&|_| 0));
    true
}

pub(super) fn filtered(node: Node, filter: Vec<Expr>) -> Node {
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
pub(super) fn conjuncts(expr: Expr) -> Vec<Expr> {
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
#[derive(Default)]
struct Condition {
    left: Vec<Expr>,
    right: Vec<Expr>,
    residual: Vec<Expr>,
}

impl Condition {
    /// Takes the equalities between the source at a place and those before it for keys.
    fn sort(conjuncts: Vec<Expr>, place: usize) -> Condition {
        let new = 1u64 << place;
        let mut condition = Condition::default();
        for conjunct in conjuncts {
            if let Expr::Call(Function::Eq, args) = &conjunct
                && !conjunct.has_clock()
            {
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
            condition.residual.push(conjunct);
        }
        condition
    }
}

fn condition(join: &query::Join, scope: &Scope<'_>) -> Result<Condition> {
    let new = scope.sources.len() - 1;
    let on = match &join.on {
        Some(on) => conjuncts(scope.row_expr(on).map_err(|e| e.within("on"))?),
        None => Vec::new(),
    };
    let condition = Condition::sort(on, new);
    if condition.left.is_empty() && join.kind != JoinKind::Cross {
        let name = |source: &Source| match &source.names {
            Names::Alias(alias) => format!("`{alias}`"),
            _ => "the union".into(),
        };
        let before: Vec<String> = scope.sources[..new].iter().map(name).collect();
        let message = format!(
            "needs an equality between {} and {}",
            name(&scope.sources[new]),
            before.join(" or ")
        );
        return Err(QueryError::new("on", message).hint("a join of all pairs is of type `cross`"));
    }
    Ok(condition)
}

/// Plans a source.
pub(super) fn source(source: &query::Source, env: &Env<'_>) -> Result<(Node, Source)> {
    let named = |alias: &smol_str::SmolStr, shape, key| Source {
        names: Names::Alias(alias.clone()),
        shape,
        key,
    };
    match source {
        query::Source::Collection { name, alias } => {
            if let Some(binding) = env.binding(name) {
                let source = named(alias, binding.shape.clone(), binding.key.clone());
                return Ok((Node::Bound(binding.id), source));
            }
            let collection = env.catalog.by_name(name).ok_or_else(|| {
                let all = env.catalog.collections();
                let known = all.iter().map(|c| c.name().as_str()).chain(env.names());
                QueryError::new("collection", format!("unknown collection `{name}`"))
                    .suggest(name, known)
            })?;
            let shape = Shape::Collection(collection.clone());
            let node = Node::Scan(Scan {
                collection,
                filter: Vec::new(),
            });
            Ok((node, named(alias, shape, KeyKind::Source)))
        }
        query::Source::Query { query, alias, over } => {
            let plan = build::query(query, env, None)
                .map_err(|e| e.within("query"))?
                .plan;
            let key = plan.key.clone();
            if key.depth() > MAX_KEY_DEPTH {
                let message =
                    format!("joins of subqueries are nested more than {MAX_KEY_DEPTH} deep");
                return Err(QueryError::new("query", message));
            }
            let (node, shape) = as_source(plan);
            match over.is_empty() {
                true => Ok((node, named(alias, shape, key))),
                false => {
                    let (node, shape) = over::over(node, shape, key.clone(), over, env)
                        .map_err(|e| e.within("over"))?;
                    Ok((node, named(alias, shape, key)))
                }
            }
        }
        query::Source::UnionFrom(sources) => union::of_sources(sources, env),
        query::Source::UnionAll(queries) => union::of_queries(queries, env),
    }
}

/// Makes the result of a plan a source: one row a tuple.
fn as_source(plan: Plan) -> (Node, Shape) {
    if let Expr::Row {
        source: 0, shape, ..
    } = &plan.output
        && plan.root.arity() == 1
    {
        return (plan.root, shape.clone());
    }
    let (fields, shape) = match plan.output.known_fields() {
        Some(fields) => {
            let (names, fields): (Vec<_>, _) = fields.into_iter().unzip();
            (fields, Shape::Fields(names.into()))
        }
        None => (vec![plan.output], Shape::Value),
    };
    let node = Node::Project {
        input: Box::new(plan.root),
        fields,
        branch: None,
    };
    (node, shape)
}
