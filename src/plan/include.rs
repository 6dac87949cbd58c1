//! Included queries: a child query in `select`, planned once for all parents.
//!
//! The parent's values that the child refers to are its *context*. The child is joined with the
//! distinct contexts of the parents, and its groups, distinct rows and windows are kept apart by
//! context; then each parent gets the rows of its own context.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::expr::{Expr, Label};
use super::from::Parent;
use super::scope::{SELECTED, Scope};
use super::union::columns;
use super::{Include, Node, build};
use crate::query::{self, Query, QueryError, Source};
use crate::value::Value;

type Result<T> = std::result::Result<T, QueryError>;

/// The rows of a tuple, each with its bit of [`Expr::sources`].
const MAX_ROWS: usize = 64;

/// What stands for the value that the child is correlated by, among the paths of a context.
const CORRELATION: &str = "$parent";

/// An included query that was met in `select`.
pub(super) struct Included {
    query: query::Include,
    /// Complete but for its input.
    plan: Include,
}

/// Adds the row of each included query to a node's tuples.
pub(super) fn add(node: Node, scope: &mut Scope<'_>) -> Node {
    scope.includes.drain(..).fold(node, |input, included| {
        let plan = included.plan;
        Node::Include(Box::new(Include { input, ..plan }))
    })
}

/// Plans an included query; gives the column that will hold its value.
pub(super) fn include(include: &query::Include, scope: &mut Scope<'_>) -> Result<Expr> {
    let arity = scope.arity();
    let column = |place| Expr::Column {
        source: arity + place,
        column: 1,
        label: Label(format!("include #{place}").into()),
    };
    if let Some(place) = scope.includes.iter().position(|i| i.query == *include) {
        return Ok(column(place));
    }
    if arity + scope.includes.len() >= MAX_ROWS {
        let message =
            format!("the sources and included queries of a query are more than {MAX_ROWS}");
        return Err(QueryError::new("", message).hint("put some of them into a subquery"));
    }
    let mut paths = Vec::new();
    let mut context = Vec::new();
    let correlation = match &include.correlation {
        Some((parent, child)) => {
            context.push(
                scope
                    .expr(parent)
                    .map_err(|e| e.within("correlationField"))?,
            );
            let correlated = vec![CORRELATION.into()];
            paths.push(correlated.clone());
            let args = vec![child.clone(), query::Expr::Ref(correlated)];
            Some(query::Expr::Call(query::Function::Eq, args))
        }
        None => None,
    };
    let outside = Outside {
        aliases: scope.outer_aliases(),
        fields: scope.fields().map(SmolStr::from).collect(),
        any: scope.has_any_name(),
        hidden: BTreeSet::new(),
    };
    let mut found = Vec::new();
    free(&include.query, &outside, &mut found);
    for path in found {
        context.push(scope.expr(&query::Expr::Ref(path.clone()))?);
        paths.push(path);
    }
    if paths.is_empty() {
        // All parents have the same children, if there are any parents.
        context.push(Expr::Const(Value::Bool(true)));
        paths.push(vec![CORRELATION.into()]);
    }
    let id = scope.env.fresh();
    let parent = Parent {
        node: Node::Distinct {
            input: Box::new(Node::Bound(id)),
            fields: context.clone(),
            keyed: false,
        },
        paths,
        correlation,
    };
    let planned = build::query(&include.query, scope.env, Some(parent));
    let planned = planned.map_err(|e| e.within("query"))?;
    let value = match &include.scalar {
        None => planned.plan.output,
        Some(field) => {
            let known = planned.plan.output.known_fields();
            if let Some(fields) = known
                && !fields.iter().any(|(name, _)| name == field)
            {
                let error =
                    QueryError::new("scalarField", format!("the child has no field `{field}`"));
                return Err(error.suggest(field, fields.iter().map(|(n, _)| n.as_str())));
            }
            columns(&planned.plan.output, std::slice::from_ref(field)).remove(0)
        }
    };
    scope.includes.push(Included {
        query: include.clone(),
        plan: Include {
            id,
            // Not known before the rest of the query is.
            input: Node::Bound(id),
            context,
            child: planned.plan.root,
            child_context: planned.context,
            order: planned.plan.order,
            value,
            materialization: include.materialization,
        },
    });
    Ok(column(scope.includes.len() - 1))
}

/// What names mean something of the parent.
#[derive(Clone)]
struct Outside {
    aliases: BTreeSet<SmolStr>,
    /// Of a union.
    fields: BTreeSet<SmolStr>,
    /// All names, as the parent is a union whose fields nobody knows.
    any: bool,
    /// But for these, which mean something of the child.
    hidden: BTreeSet<SmolStr>,
}

impl Outside {
    fn has(&self, name: &SmolStr) -> bool {
        let known = self.any || self.aliases.contains(name) || self.fields.contains(name);
        known && !self.hidden.contains(name) && name != SELECTED
    }
}

/// Collects the paths by which a query refers to what is outside of it.
fn free(query: &Query, outside: &Outside, found: &mut Vec<Vec<SmolStr>>) {
    let mut outside = outside.clone();
    let joined = query.joins.iter().map(|j| &j.source);
    for source in [&query.from].into_iter().chain(joined) {
        match source {
            Source::UnionFrom(sources) => {
                let aliases = sources.iter().filter_map(Source::alias);
                outside.hidden.extend(aliases.cloned());
            }
            // Its own fields come before those of the parent.
            Source::UnionAll(_) => {
                outside.any = false;
                outside.fields.clear();
            }
            source => outside.hidden.extend(source.alias().cloned()),
        }
    }
    let orders = query.order_by.iter().map(|o| &o.expr);
    // Not from `on`: contexts meet the joined rows.
    let exprs = query.filters.iter().chain(&query.group_by);
    for expr in exprs
        .chain(&query.having)
        .chain(&query.select)
        .chain(orders)
    {
        free_in(expr, &outside, found);
    }
}

fn free_in(expr: &query::Expr, outside: &Outside, found: &mut Vec<Vec<SmolStr>>) {
    expr.any(&mut |part| {
        match part {
            query::Expr::Ref(path) => {
                let is_free = path.first().is_some_and(|name| outside.has(name));
                if is_free && !found.contains(path) {
                    found.push(path.clone());
                }
            }
            query::Expr::Include(include) => {
                if let Some((parent, _)) = &include.correlation {
                    free_in(parent, outside, found);
                }
                free(&include.query, outside, found);
            }
            _ => {}
        }
        false
    });
}
