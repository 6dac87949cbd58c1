//! Values of the rows around a row, as fields behind those of a subquery.

use smol_str::SmolStr;

use super::env::Env;
use super::expr::Shape;
use super::key::KeyKind;
use super::scope::{Names, Scope, Source};
use super::{Node, OrderKey, OverValue};
use crate::query::{self, Expr, QueryError};

type Result<T> = std::result::Result<T, QueryError>;

/// Adds the values to rows; those of one order are computed together.
pub(super) fn over(
    mut node: Node,
    shape: Shape,
    key: KeyKind,
    over: &[(SmolStr, query::Over)],
    env: &Env<'_>,
) -> Result<(Node, Shape)> {
    let Shape::Fields(names) = &shape else {
        let error = QueryError::new("", "the subquery must say what its fields are");
        return Err(error.hint("name them in its `select`"));
    };
    let mut names = names.to_vec();
    let source = Source {
        names: Names::Fields,
        shape: shape.clone(),
        key,
    };
    let scope = Scope::new(env, vec![source]);
    let mut rest: Vec<&(SmolStr, query::Over)> = over.iter().collect();
    while let Some((_, first)) = rest.first() {
        let (partition, order) = (first.partition_by.clone(), first.order_by.clone());
        let together = |(_, over): &&(SmolStr, query::Over)| {
            over.partition_by == partition && over.order_by == order
        };
        let (these, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(together);
        rest = others;
        let fields = names.len();
        let mut values = Vec::new();
        for (name, over) in these {
            if names.contains(name) {
                return Err(QueryError::new(
                    name.as_str(),
                    "a field of the subquery has this name",
                ));
            }
            over.check().map_err(|e| e.within(name))?;
            values.push(OverValue {
                function: over.function,
                args: lowered(&over.args, "args", &scope).map_err(|e| e.within(name))?,
                frame: over.frame,
            });
            names.push(name.clone());
        }
        node = Node::Over {
            input: Box::new(node),
            fields,
            partition: lowered(&partition, "partitionBy", &scope)?,
            order: order_keys(&order, &scope)?,
            values,
        };
    }
    Ok((node, Shape::Fields(names.into())))
}

fn lowered(exprs: &[Expr], place: &str, scope: &Scope<'_>) -> Result<Vec<super::Expr>> {
    let lower = |(i, expr): (usize, &Expr)| {
        let lowered = scope.row_expr(expr);
        let lowered = lowered.map_err(|e| e.within(&format!("{place}[{i}]")))?;
        match lowered.has_clock() {
            true => Err(QueryError::new(place, "`now` may stand in `where` only")),
            false => Ok(lowered),
        }
    };
    exprs.iter().enumerate().map(lower).collect()
}

fn order_keys(order: &[query::OrderBy], scope: &Scope<'_>) -> Result<Vec<OrderKey>> {
    let exprs: Vec<Expr> = order.iter().map(|by| by.expr.clone()).collect();
    let exprs = lowered(&exprs, "orderBy", scope)?;
    let key = |(expr, by): (super::Expr, &query::OrderBy)| OrderKey {
        expr,
        direction: by.direction,
        nulls: by.nulls,
        collation: by.collation.clone(),
    };
    Ok(exprs.into_iter().zip(order).map(key).collect())
}
