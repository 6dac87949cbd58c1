//! Unions: the rows of several sources, one after the other.

use smol_str::SmolStr;

use super::env::Env;
use super::expr::{Expr, Label, Shape};
use super::key::KeyKind;
use super::scope::{Names, Source};
use super::{Node, build, from};
use crate::query::{self, Query, QueryError};
use crate::value::Value;

type Result<T> = std::result::Result<T, QueryError>;

/// `unionFrom`: each row stands under its own source's alias.
///
/// The row's columns are the sources' rows as objects, then their keys.
pub(super) fn of_sources(sources: &[query::Source], env: &Env<'_>) -> Result<(Node, Source)> {
    let mut planned = Vec::new();
    for (i, source) in sources.iter().enumerate() {
        let place = format!("sources[{i}]");
        let (node, source) = from::source(source, env).map_err(|e| e.within(&place))?;
        let Names::Alias(alias) = source.names.clone() else {
            let error = QueryError::new("type", "a union inside of a union of sources");
            return Err(error.hint("put it into a `queryRef`").within(&place));
        };
        if planned.iter().any(|(_, _, known)| *known == alias) {
            let message = format!("alias `{alias}` is used twice");
            return Err(QueryError::new("alias", message).within(&place));
        }
        planned.push((node, source, alias));
    }
    if planned.len() == 1 {
        let (node, source, _) = planned.remove(0);
        return Ok((node, source));
    }
    let (count, mut nodes, mut kinds, mut aliases) =
        (planned.len(), Vec::new(), Vec::new(), Vec::new());
    for (i, (node, source, alias)) in planned.into_iter().enumerate() {
        let branch = Value::Str(alias.clone());
        let mut fields = vec![Expr::Const(Value::Missing); 2 * count];
        fields[i] = Expr::Row {
            source: 0,
            shape: source.shape,
            label: Label(alias.clone()),
        };
        fields[count + i] = Expr::Key {
            source: 0,
            kind: source.key.clone(),
        };
        nodes.push(Node::Project {
            input: Box::new(node),
            fields,
            branch: Some(branch.clone()),
        });
        kinds.push((branch, source.key));
        aliases.push(alias);
    }
    let source = Source {
        names: Names::Aliases,
        shape: Shape::Fields(aliases.into()),
        key: KeyKind::Union(kinds),
    };
    Ok((Node::Union(nodes), source))
}

/// `unionAll`: the result rows of each query. A field is a column where all queries say what their
/// fields are; else the row is one value.
pub(super) fn of_queries(queries: &[Query], env: &Env<'_>) -> Result<(Node, Source)> {
    let mut plans = Vec::new();
    for (i, query) in queries.iter().enumerate() {
        let planned = build::query(query, env, None);
        plans.push(
            planned
                .map_err(|e| e.within(&format!("queries[{i}]")))?
                .plan,
        );
    }
    let known: Option<Vec<Vec<(SmolStr, Expr)>>> = plans
        .iter()
        .map(|plan| plan.output.known_fields())
        .collect();
    let mut names: Vec<SmolStr> = Vec::new();
    for (name, _) in known.iter().flatten().flatten() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let (mut nodes, mut kinds) = (Vec::new(), Vec::new());
    for (i, plan) in plans.into_iter().enumerate() {
        let branch = Value::int(i as i128);
        let fields = match &known {
            Some(_) => columns(&plan.output, &names),
            None => vec![plan.output],
        };
        nodes.push(Node::Project {
            input: Box::new(plan.root),
            fields,
            branch: Some(branch.clone()),
        });
        kinds.push((branch, plan.key));
    }
    let shape = match known {
        Some(_) => Shape::Fields(names.into()),
        None => Shape::Value,
    };
    let source = Source {
        names: Names::Fields,
        shape,
        key: KeyKind::Union(kinds),
    };
    Ok((Node::Union(nodes), source))
}

/// The value of each name in what a query puts out.
pub(super) fn columns(output: &Expr, names: &[SmolStr]) -> Vec<Expr> {
    let known = output.known_fields();
    let column = |name: &SmolStr| match &known {
        Some(fields) => {
            // The last of equal names counts.
            let found = fields.iter().rev().find(|(n, _)| n == name);
            found.map_or(Expr::Const(Value::Missing), |(_, expr)| expr.clone())
        }
        None => Expr::Field(Box::new(output.clone()), name.clone()),
    };
    names.iter().map(column).collect()
}

/// The fields that the rows of a query will have, where it says so by itself.
pub(super) fn static_fields(query: &Query) -> Option<Vec<SmolStr>> {
    match (&query.select, &query.from) {
        (Some(query::Expr::Object(entries)), _) => entries
            .iter()
            .map(|entry| match entry {
                query::Entry::Field(name, _) => Some(name.clone()),
                query::Entry::Spread(_) => None,
            })
            .collect(),
        (None, query::Source::UnionAll(queries)) if query.joins.is_empty() => {
            let mut names = Vec::new();
            for name in queries
                .iter()
                .map(static_fields)
                .collect::<Option<Vec<_>>>()?
                .concat()
            {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            Some(names)
        }
        (None, query::Source::Query { query, over, .. }) if query.joins.is_empty() => {
            let mut names = static_fields(query)?;
            names.extend(over.iter().map(|(name, _)| name.clone()));
            Some(names)
        }
        _ => None,
    }
}
