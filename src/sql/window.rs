//! Window functions: values of the rows around, which a subquery's rows get as further fields.

use smol_str::{SmolStr, format_smolstr};
use sqlparser::ast::{
    self, NamedWindowDefinition, NamedWindowExpr, Spanned, WindowFrameBound, WindowFrameUnits,
    WindowSpec, WindowType,
};
use sqlparser::tokenizer::Span;

use super::block::{Clause, Kind, Lowering, Typed, call, settled, value};
use super::call::Args;
use super::error::{Fault, Result};
use super::expr::literal;
use super::names::find;
use super::query::ordered;
use crate::query::{
    AggregateFunction, Entry, Expr, Frame, Function, Over, OverFunction, Query, Source,
};
use crate::value::Value;

/// Functions of a row's place among those around it.
pub(super) const PLACES: [&str; 5] = ["row_number", "rank", "dense_rank", "lag", "lead"];

/// What stands for the row with its window's values while an expression is lowered.
pub(super) const OVER: &str = "$over";

impl Lowering {
    /// Lowers a call with `OVER`.
    pub(super) fn windowed(
        &mut self,
        name: &str,
        f: &ast::Function,
        args: &Args<'_>,
        over: &WindowType,
    ) -> Result<Typed> {
        use AggregateFunction as A;
        let span = f.span();
        if !matches!(self.clause, Clause::Select | Clause::OrderBy) {
            let message = format!("a window function cannot stand in {}", self.clause.as_str());
            let fault = Fault::new(span, message);
            return Err(fault.hint("select it in a subquery, and look at it outside"));
        }
        let named;
        let spec = match over {
            WindowType::WindowSpec(spec) => {
                whole(spec)?;
                spec
            }
            WindowType::NamedWindow(ident) => {
                named = self.window_named(ident)?;
                &named
            }
        };
        if args.distinct || !args.order_by.is_empty() || !f.within_group.is_empty() {
            let message = "a window function takes neither DISTINCT nor an order of its own";
            return Err(Fault::new(span, message));
        }
        let function = match name {
            "row_number" => OverFunction::RowNumber,
            "rank" => OverFunction::Rank,
            "dense_rank" => OverFunction::DenseRank,
            "lag" => OverFunction::Lag,
            "lead" => OverFunction::Lead,
            "count" => OverFunction::Aggregate(A::Count),
            "sum" => OverFunction::Aggregate(A::Sum),
            "avg" => OverFunction::Aggregate(A::Avg),
            "min" | "bool_and" | "every" => OverFunction::Aggregate(A::Min),
            "max" | "bool_or" => OverFunction::Aggregate(A::Max),
            "stddev" | "stddev_samp" => OverFunction::Aggregate(A::Stddev),
            _ => {
                let fault = Fault::new(f.name.span(), format!("`{name}` is no window function"));
                return Err(fault.hint(
                    "known: row_number, rank, dense_rank, lag, lead, count, sum, avg, min, max, stddev",
                ));
            }
        };
        let is_aggregate = matches!(function, OverFunction::Aggregate(_));
        let mut kind = Kind::Any;
        let mut lowered = Vec::new();
        if args.star {
            if name != "count" {
                return Err(Fault::new(span, format!("`{name}` takes no `*`")));
            }
            lowered.push(value(1));
        }
        for (i, arg) in args.exprs.iter().enumerate() {
            let arg = self.expr(arg)?;
            if i == 0 && matches!(name, "lag" | "lead" | "min" | "max") {
                kind = arg.kind;
            }
            lowered.push(arg.expr);
        }
        match &f.filter {
            None => {}
            Some(filter) if !is_aggregate => {
                let message = format!("`{name}` is no aggregate, so it takes no FILTER");
                return Err(Fault::new(filter.span(), message));
            }
            Some(filter) => {
                let filter = self.plain(filter)?;
                let of = lowered.drain(..).next();
                let of = of
                    .into_iter()
                    .map(|of| call(Function::CaseWhen, [filter.clone(), of]));
                lowered = of.collect();
            }
        }
        let mut partition_by = Vec::new();
        for e in &spec.partition_by {
            partition_by.push(settled(self.plain(e)?));
        }
        let mut order_by = Vec::new();
        for by in &spec.order_by {
            let e = self.plain(&by.expr)?;
            order_by.push(ordered(e, by)?);
        }
        let frame = match &spec.window_frame {
            Some(frame) if is_aggregate => self::frame(frame, span)?,
            _ => Frame::default(),
        };
        let over = Over {
            function,
            args: lowered,
            partition_by,
            order_by,
            frame,
        };
        let order = over.order_by.iter().map(|by| &by.expr);
        let parts = over.args.iter().chain(&over.partition_by).chain(order);
        if parts.into_iter().any(has_windows) {
            return Err(Fault::new(
                span,
                "a window function inside a window function",
            ));
        }
        // Aggregates of the group are fields of the rows that the window goes over.
        let args = over.args.iter().map(|arg| match arg.has_aggregate() {
            true => Expr::Ref(vec![OVER.into()]),
            false => arg.clone(),
        });
        let checked = Over {
            args: args.collect(),
            ..over.clone()
        };
        checked.check().map_err(|e| Fault::of(e, span))?;
        let expr = match name {
            // The sum of nothing is null in SQL, and 0 in the query model.
            "sum" => {
                let count = Over {
                    function: OverFunction::Aggregate(A::Count),
                    ..over.clone()
                };
                let some = call(Function::Gt, [self.window(count), value(0)]);
                call(Function::CaseWhen, [some, self.window(over)])
            }
            _ => self.window(over),
        };
        Ok(Typed { expr, kind })
    }

    /// Makes the windows of `WINDOW` known to the block.
    pub(super) fn name_windows(&mut self, named: &[NamedWindowDefinition]) -> Result<()> {
        for NamedWindowDefinition(ident, window) in named {
            let spec = match window {
                NamedWindowExpr::WindowSpec(spec) => spec.clone(),
                NamedWindowExpr::NamedWindow(other) => self.window_named(other)?,
            };
            whole(&spec)?;
            self.block().named_windows.push((ident.clone(), spec));
        }
        Ok(())
    }

    fn window_named(&mut self, ident: &ast::Ident) -> Result<WindowSpec> {
        let named = &self.block().named_windows;
        let names = named.iter().map(|(name, _)| name.value.as_str());
        match find(ident, names.clone()) {
            Some(place) => Ok(named[place].1.clone()),
            None => {
                let message = format!("unknown window `{}`", ident.value);
                Err(Fault::new(ident.span, message).suggest(&ident.value, names))
            }
        }
    }

    /// What stands for a window's value.
    fn window(&mut self, over: Over) -> Expr {
        let windows = &mut self.block().windows;
        let known = windows.iter().position(|known| *known == over);
        let place = known.unwrap_or_else(|| {
            windows.push(over);
            windows.len() - 1
        });
        Expr::Ref(vec![OVER.into(), format_smolstr!("w{}", place + 1)])
    }

    /// Parts a query with windows: its rows first, then their values, then what is made of them.
    pub(super) fn parted(&mut self, query: Query, windows: Vec<Over>) -> Query {
        let alias = self.alias("rows");
        let mut fields: Vec<(SmolStr, Expr)> = Vec::new();
        let mut lift = |expr: Expr, from: &[SmolStr]| lifted(expr, from, &mut fields);
        let select = match query.select {
            Some(Expr::Object(entries)) => {
                let entries = entries.into_iter().map(|entry| match entry {
                    Entry::Field(name, e) => {
                        Entry::Field(name, lift(e, std::slice::from_ref(&alias)))
                    }
                    Entry::Spread(e) => Entry::Spread(lift(e, std::slice::from_ref(&alias))),
                });
                Some(Expr::Object(entries.collect()))
            }
            // A whole row is a value among others here.
            other => other.map(|e| {
                let row = lift(e, std::slice::from_ref(&alias));
                Expr::Object(vec![Entry::Spread(row)])
            }),
        };
        let mut order_by = query.order_by;
        for by in &mut order_by {
            if !matches!(&by.expr, Expr::Ref(path) if path[0] == "$selected") {
                by.expr = lift(by.expr.clone(), std::slice::from_ref(&alias));
            }
        }
        let mut over = Vec::new();
        for (i, mut window) in windows.into_iter().enumerate() {
            let exprs = window.args.iter_mut().chain(&mut window.partition_by);
            for e in exprs.chain(window.order_by.iter_mut().map(|by| &mut by.expr)) {
                *e = lift(e.clone(), &[]);
            }
            over.push((format_smolstr!("w{}", i + 1), window));
        }
        let inner = Query {
            select: super::query::object(fields),
            distinct: false,
            order_by: Vec::new(),
            limit: None,
            offset: 0,
            ..query
        };
        let source = Source::Query {
            query: Box::new(inner),
            alias,
            over,
        };
        Query {
            select,
            distinct: query.distinct,
            order_by,
            limit: query.limit,
            offset: query.offset,
            ..Query::from_source(source)
        }
    }
}

/// An expression over the rows with their windows' values: what has none of these is a field.
fn lifted(expr: Expr, from: &[SmolStr], fields: &mut Vec<(SmolStr, Expr)>) -> Expr {
    let path = |name: SmolStr| Expr::Ref(from.iter().cloned().chain([name]).collect());
    match expr {
        Expr::Ref(mut over) if over[0] == OVER => path(over.swap_remove(1)),
        Expr::Value(_) => expr,
        Expr::Call(function, args) if has_windows(&Expr::Call(function, args.clone())) => {
            let args = args.into_iter().map(|arg| lifted(arg, from, fields));
            Expr::Call(function, args.collect())
        }
        expr => {
            let known = fields.iter().find(|(_, known)| *known == expr);
            let name = known.map_or_else(
                || format_smolstr!("e{}", fields.len() + 1),
                |(name, _)| name.clone(),
            );
            if known.is_none() {
                fields.push((name.clone(), expr));
            }
            path(name)
        }
    }
}

/// Whether a window's value is a part of an expression.
pub(super) fn has_windows(expr: &Expr) -> bool {
    expr.any(&mut |e| matches!(e, Expr::Ref(path) if path[0] == OVER))
}

/// Refuses a window that is made of another one.
fn whole(spec: &WindowSpec) -> Result<()> {
    match &spec.window_name {
        None => Ok(()),
        Some(name) => {
            let fault = Fault::new(name.span, "a window cannot be made of another one");
            Err(fault.hint("write it out: OVER (PARTITION BY … ORDER BY …)"))
        }
    }
}

/// The rows of an aggregate: from some before the row to some behind it.
fn frame(frame: &ast::WindowFrame, span: Span) -> Result<Frame> {
    use WindowFrameBound as Bound;
    let wrong = |message: &str| {
        Fault::new(span, message).hint(
            "frames are ROWS BETWEEN n PRECEDING AND m FOLLOWING, or UNBOUNDED or CURRENT ROW",
        )
    };
    let rows = |e: &ast::Expr| {
        let n = match e {
            ast::Expr::Value(constant) => literal(constant)?,
            _ => Value::Null,
        };
        match n {
            Value::Int(i) if i >= 0 => Ok(usize::try_from(i).unwrap_or(usize::MAX)),
            _ => Err(wrong("a frame has a constant, whole number of rows")),
        }
    };
    let before = match &frame.start_bound {
        Bound::CurrentRow => Some(0),
        Bound::Preceding(None) => None,
        Bound::Preceding(Some(n)) => Some(rows(n)?),
        Bound::Following(_) => return Err(wrong("a frame begins with the row or before it")),
    };
    let after = match frame.end_bound.as_ref().unwrap_or(&Bound::CurrentRow) {
        Bound::CurrentRow => Some(0),
        Bound::Following(None) => None,
        Bound::Following(Some(n)) => Some(rows(n)?),
        Bound::Preceding(_) => return Err(wrong("a frame ends with the row or behind it")),
    };
    match (frame.units, before, after) {
        (WindowFrameUnits::Rows, ..) | (WindowFrameUnits::Range, None, None) => Ok(Frame {
            before,
            after,
            peers: false,
        }),
        (WindowFrameUnits::Range, None, Some(0)) => Ok(Frame::default()),
        _ => Err(wrong("a frame of a range of values")),
    }
}
