//! Conditions on the engine's clock: comparisons of a row with a moment.

use super::expr::Expr;
use super::{ClockCondition, Node};
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

/// Checks that a condition which speaks of the clock compares a row with a moment.
pub(super) fn check(conjunct: &Expr) -> Result<()> {
    match conjunct.has_clock() {
        true => condition(conjunct).map(drop),
        false => Ok(()),
    }
}

/// The tuples for which all conditions, each of which speaks of the clock, are true.
pub(super) fn clocked(node: Node, conditions: Vec<Expr>) -> Result<Node> {
    conditions.iter().try_fold(node, |node, expr| {
        Ok(Node::Clock {
            input: Box::new(node),
            condition: condition(expr)?,
        })
    })
}

/// Sorts a comparison: what refers to rows on one side, the clock on the other.
fn condition(conjunct: &Expr) -> Result<ClockCondition> {
    use Function::{Eq, Gt, Gte, Lt, Lte};
    let wrong = |message: &str| Err(QueryError::new("", message).hint(HINT));
    let Expr::Call(function @ (Eq | Gt | Gte | Lt | Lte), args) = conjunct else {
        return wrong("`now` can only stand in a comparison: `eq`, `gt`, `gte`, `lt` or `lte`");
    };
    let (mut function, mut expr, mut clock) = (*function, args[0].clone(), args[1].clone());
    if expr.has_clock() {
        (expr, clock) = (clock, expr);
        function = turned(function);
    }
    if expr.has_clock() {
        return wrong("`now` can only stand on one side of a comparison");
    }
    // Brings what the clock's side says of the row over to the other side.
    while clock.sources() != 0 {
        let (Expr::Call(operation @ (Function::Add | Function::Subtract), args), 0) =
            (&clock, expr.sources())
        else {
            break;
        };
        let (a, b) = (args[0].clone(), args[1].clone());
        let minus = |a, b| Expr::Call(Function::Subtract, vec![a, b]);
        (clock, expr, function) = match (*operation, a.has_clock(), b.has_clock()) {
            // now + b ? expr  is  now ? expr - b
            (Function::Add, true, false) => (a, minus(expr, b), function),
            (Function::Add, false, true) => (b, minus(expr, a), function),
            // now - b ? expr  is  now ? expr - (0 - b): `add` would join strings
            (Function::Subtract, true, false) => {
                let zero = Expr::Const(0.into());
                (a, minus(expr, minus(zero, b)), function)
            }
            // a - now ? expr  is  now ? a - expr, turned
            (Function::Subtract, false, true) => (b, minus(a, expr), turned(function)),
            _ => break,
        };
    }
    if clock.sources() != 0 {
        return wrong("the side of a comparison on which `now` stands cannot refer to rows");
    }
    if expr.sources() == 0 {
        return wrong("a comparison with `now` must refer to a row");
    }
    Ok(ClockCondition {
        function,
        expr,
        clock,
    })
}

/// The same comparison with its sides exchanged.
fn turned(function: Function) -> Function {
    match function {
        Function::Gt => Function::Lt,
        Function::Gte => Function::Lte,
        Function::Lt => Function::Gt,
        Function::Lte => Function::Gte,
        other => other,
    }
}
