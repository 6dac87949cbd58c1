//! Aggregates by their SQL names.

use sqlparser::ast::{self, OrderBySort, Spanned};

use super::block::{Clause, Kind, Lowering, Typed, call, value};
use super::call::{Args, aggregate};
use super::error::{Fault, Result};
use super::expr::literal;
use crate::query::{AggregateFunction, Datum, Expr, Function};
use crate::value::Value;

pub(super) const NAMES: [&str; 16] = [
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "first",
    "last",
    "max",
    "median",
    "min",
    "percentile_cont",
    "quantile_cont",
    "stddev",
    "stddev_samp",
    "sum",
];

impl Lowering {
    /// Lowers a call, if it is one of an aggregate.
    pub(super) fn aggregate(
        &mut self,
        name: &str,
        f: &ast::Function,
        args: &Args<'_>,
    ) -> Result<Option<Typed>> {
        use AggregateFunction as A;
        if !NAMES.contains(&name) {
            return Ok(None);
        }
        let span = f.span();
        match self.clause {
            Clause::Select | Clause::Having | Clause::OrderBy => {}
            Clause::Aggregate => {
                return Err(Fault::new(span, "an aggregate inside an aggregate"));
            }
            clause => {
                let message = format!("the aggregate `{name}` cannot stand in {}", clause.as_str());
                let fault = Fault::new(span, message);
                return Err(fault.hint("conditions on groups are HAVING"));
            }
        }
        let ordered = matches!(name, "array_agg" | "first" | "last");
        if !args.order_by.is_empty() && !ordered {
            return Err(Fault::new(span, format!("`{name}` takes no ORDER BY")));
        }
        if name != "percentile_cont" && !f.within_group.is_empty() {
            return Err(Fault::new(span, format!("`{name}` takes no WITHIN GROUP")));
        }
        let filter = match &f.filter {
            Some(filter) => Some(self.within(Clause::Aggregate, |this| this.plain(filter))?),
            None => None,
        };
        // What does not pass is null, and no aggregate looks at null.
        let filtered = |of: Expr| match &filter {
            Some(filter) => call(Function::CaseWhen, [filter.clone(), of]),
            None => of,
        };
        if args.star {
            if name != "count" || args.distinct {
                return Err(Fault::new(span, format!("`{name}` takes no `*`")));
            }
            return Ok(Some(aggregate(A::Count, [filtered(value(1))]).into()));
        }
        let count = match name {
            "quantile_cont" => 2,
            _ => 1,
        };
        if args.exprs.len() != count {
            let plural = if count == 1 { "" } else { "s" };
            let given = args.exprs.len();
            let message = format!("`{name}` takes {count} argument{plural}, not {given}");
            return Err(Fault::new(span, message));
        }
        if args.distinct && !matches!(name, "count" | "min" | "max") {
            let fault = Fault::new(span, format!("`{name}` takes no DISTINCT"));
            return Err(fault.hint("aggregate over a subquery with SELECT DISTINCT"));
        }
        if name == "percentile_cont" {
            let [order] = &f.within_group[..] else {
                let fault = Fault::new(span, "`percentile_cont` needs WITHIN GROUP");
                return Err(fault.hint("percentile_cont(0.5) WITHIN GROUP (ORDER BY x)"));
            };
            let mut share = constant(args.exprs[0])?;
            if order.options.sort == Some(OrderBySort::Desc)
                && let Some(p) = share.as_ref().as_f64()
            {
                share = Value::float(1.0 - p);
            }
            let of = self.within(Clause::Aggregate, |this| this.plain(&order.expr))?;
            let quantile = aggregate(A::Quantile, [filtered(of), value(share)]);
            quantile.check().map_err(|e| Fault::of(e, span))?;
            return Ok(Some(quantile.into()));
        }
        let of = self.within(Clause::Aggregate, |this| this.expr(args.exprs[0]))?;
        let kind = match name {
            "min" | "max" | "first" | "last" => of.kind,
            _ => Kind::Any,
        };
        let of = filtered(of.expr);
        let expr = match name {
            "count" if args.distinct => aggregate(A::CountDistinct, [of]),
            "count" => aggregate(A::Count, [of]),
            // The sum of nothing is null in SQL, and 0 in the query model.
            "sum" => {
                let again = self.copy(&of, span)?;
                let some = call(Function::Gt, [aggregate(A::Count, [again]), value(0)]);
                call(Function::CaseWhen, [some, aggregate(A::Sum, [of])])
            }
            "avg" => aggregate(A::Avg, [of]),
            // False is less than true.
            "min" | "bool_and" | "every" => aggregate(A::Min, [of]),
            "max" | "bool_or" => aggregate(A::Max, [of]),
            "stddev" | "stddev_samp" => aggregate(A::Stddev, [of]),
            "median" => aggregate(A::Median, [of]),
            "quantile_cont" => aggregate(A::Quantile, [of, value(constant(args.exprs[1])?)]),
            _ => {
                let function = match name {
                    "array_agg" => A::ArrayAgg,
                    "first" => A::First,
                    _ => A::Last,
                };
                let mut lowered = vec![of];
                match args.order_by {
                    [] => {}
                    [order] => {
                        let by = self.within(Clause::Aggregate, |this| this.plain(&order.expr))?;
                        lowered.push(by);
                        let descends = order.options.sort == Some(OrderBySort::Desc);
                        lowered.push(value(if descends { "desc" } else { "asc" }));
                    }
                    [_, second, ..] => {
                        let message = "an aggregate is ordered by one expression";
                        return Err(Fault::new(second.span(), message));
                    }
                }
                Expr::Aggregate(function, lowered)
            }
        };
        expr.check().map_err(|e| Fault::of(e, span))?;
        Ok(Some(Typed { expr, kind }))
    }
}

/// A constant argument.
fn constant(e: &ast::Expr) -> Result<Value> {
    match e {
        ast::Expr::Value(constant) => literal(constant),
        ast::Expr::Nested(inner) => constant(inner),
        other => Err(Fault::new(other.span(), "this must be a constant")),
    }
}

/// What an expression gives for a group without rows.
pub(super) fn of_nothing(expr: &Expr) -> Value {
    use AggregateFunction as A;
    match expr {
        Expr::Value(value) => value.clone(),
        Expr::Aggregate(A::Count | A::CountDistinct | A::Sum, _) => Value::Int(0),
        Expr::Aggregate(A::ArrayAgg, _) => Vec::<Value>::new().into(),
        Expr::Call(function, args) => {
            let args: Vec<Value> = args.iter().map(of_nothing).collect();
            let result = function.call(args.len(), &|i| Datum::Ref(args[i].as_ref()));
            result.into_value()
        }
        _ => Value::Null,
    }
}
