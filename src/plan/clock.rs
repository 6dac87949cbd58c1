//! Conditions on the engine's clock: comparisons of a row with a moment.

use super::expr::Expr;
use super::{ClockCondition, Comparison, Node};
use crate::query::{self, Function, Query, QueryError};

type Result<T> = std::result::Result<T, QueryError>;

const HINT: &str = "as in gt(e.at, subtract(now(), 300000))";

/// Checks that the clock stands in `where` alone.
pub(super) fn check_places(query: &Query) -> Result<()> {
    let is_clock = |e: &query::Expr| matches!(e, query::Expr::Call(Function::Now, _));
    let check = |place: String, expr: &query::Expr| match expr.any(&mut { is_clock }) {
        true => Err(QueryError::new(place, "`now` can only stand in `where`")
            .hint("what has no row to come or go cannot follow the time")),
        false => Ok(()),
    };
    for (i, join) in query.joins.iter().enumerate() {
        join.on
            .iter()
            .try_for_each(|e| check(format!("join[{i}].on"), e))?;
    }
    for (i, expr) in query.group_by.iter().enumerate() {
        check(format!("groupBy[{i}]"), expr)?;
    }
    for (i, expr) in query.having.iter().enumerate() {
        check(format!("having[{i}]"), expr)?;
    }
    query
        .select
        .iter()
        .try_for_each(|e| check("select".into(), e))?;
    for (i, order) in query.order_by.iter().enumerate() {
        check(format!("orderBy[{i}].expression"), &order.expr)?;
    }
    Ok(())
}

/// Checks what a condition says of the clock.
pub(super) fn check(conjunct: &Expr) -> Result<()> {
    condition(conjunct.clone()).map(drop)
}

/// The tuples for which all conditions, each of which speaks of the clock, are true.
pub(super) fn clocked(node: Node, conditions: Vec<Expr>) -> Result<Node> {
    conditions.into_iter().try_fold(node, |node, expr| {
        Ok(Node::Clock {
            input: Box::new(node),
            condition: condition(expr)?,
        })
    })
}

fn condition(predicate: Expr) -> Result<ClockCondition> {
    let mut comparisons = Vec::new();
    find(&predicate, &mut comparisons)?;
    Ok(ClockCondition {
        predicate,
        comparisons,
    })
}

/// Finds the comparisons with the clock in an expression.
fn find(expr: &Expr, found: &mut Vec<Comparison>) -> Result<()> {
    use Function::{Eq, Gt, Gte, Lt, Lte, Now};
    match expr {
        expr if !expr.has_clock() => Ok(()),
        Expr::Call(Eq | Gt | Gte | Lt | Lte, args) => {
            found.push(comparison(args[0].clone(), args[1].clone())?);
            Ok(())
        }
        Expr::Call(Now, _) => {
            let message = "`now` can only stand in a comparison: `eq`, `gt`, `gte`, `lt` or `lte`";
            Err(QueryError::new("", message).hint(HINT))
        }
        expr => expr
            .children()
            .into_iter()
            .try_for_each(|part| find(part, found)),
    }
}

/// Sorts the sides of a comparison: what refers to rows on one side, the clock on the other.
fn comparison(mut expr: Expr, mut clock: Expr) -> Result<Comparison> {
    let wrong = |message: &str| Err(QueryError::new("", message).hint(HINT));
    if expr.has_clock() {
        (expr, clock) = (clock, expr);
    }
    if expr.has_clock() {
        return wrong("`now` can only stand on one side of a comparison");
    }
    let mut numbers = Vec::new();
    // Brings what the clock's side says of the row over to the other side.
    while clock.sources() != 0 {
        let Expr::Call(operation @ (Function::Add | Function::Subtract), args) = &clock else {
            break;
        };
        let (a, b) = (args[0].clone(), args[1].clone());
        let minus = |a, b| Expr::Call(Function::Subtract, vec![a, b]);
        (clock, expr) = match (*operation, a.has_clock(), b.has_clock()) {
            // now + b meets expr where now meets expr - b
            (Function::Add, true, false) => {
                numbers.push(b.clone());
                (a, minus(expr, b))
            }
            (Function::Add, false, true) => {
                numbers.push(a.clone());
                (b, minus(expr, a))
            }
            // now - b meets expr where now meets expr - (0 - b): `add` would join strings
            (Function::Subtract, true, false) => (a, minus(expr, minus(Expr::Const(0.into()), b))),
            // a - now meets expr where now meets a - expr
            (Function::Subtract, false, true) => (b, minus(a, expr)),
            _ => break,
        };
    }
    if clock.sources() != 0 {
        return wrong("the side of a comparison on which `now` stands cannot refer to rows");
    }
    if expr.sources() == 0 {
        return wrong("a comparison with `now` must refer to a row");
    }
    Ok(Comparison {
        expr,
        clock,
        numbers,
    })
}
