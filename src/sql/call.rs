//! Calls of functions by their SQL names.

use sqlparser::ast::{
    self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned,
};
use sqlparser::tokenizer::Span;

use super::block::{Kind, Lowering, Typed, call, value};
use super::error::{Fault, Result};
use super::expr::{common, text_of};
use super::names::simple;
use crate::query::{AggregateFunction, Expr, Function};
use crate::value::Value;

/// Functions that are the query model's, by SQL's names.
const FUNCTIONS: [(&str, Function); 33] = [
    ("abs", Function::Abs),
    ("array", Function::Array),
    ("ceil", Function::Ceil),
    ("ceiling", Function::Ceil),
    ("char_length", Function::CharLength),
    ("character_length", Function::CharLength),
    ("coalesce", Function::Coalesce),
    ("concat", Function::Concat),
    ("div", Function::Div),
    ("ends_with", Function::EndsWith),
    ("floor", Function::Floor),
    ("greatest", Function::Greatest),
    ("json_array_length", Function::Length),
    ("least", Function::Least),
    ("length", Function::CharLength),
    ("lower", Function::Lower),
    ("btrim", Function::Trim),
    ("mod", Function::Mod),
    ("nullif", Function::NullIf),
    ("position", Function::Position),
    ("pow", Function::Power),
    ("power", Function::Power),
    ("regexp_like", Function::RegexMatch),
    ("replace", Function::Replace),
    ("round", Function::Round),
    ("split", Function::Split),
    ("starts_with", Function::StartsWith),
    ("string_to_array", Function::Split),
    ("strpos", Function::Position),
    ("substr", Function::Substr),
    ("substring", Function::Substr),
    ("trim", Function::Trim),
    ("upper", Function::Upper),
];

/// Functions that are lowered in ways of their own.
const SPECIAL: [&str; 15] = [
    "current_date",
    "current_timestamp",
    "date",
    "date_add",
    "date_diff",
    "date_part",
    "date_trunc",
    "datetime",
    "left",
    "localtimestamp",
    "now",
    "sqrt",
    "strftime",
    "to_timestamp",
    "transaction_timestamp",
];

/// What was given to a function.
pub(super) struct Args<'a> {
    pub(super) exprs: Vec<&'a ast::Expr>,
    /// `f(*)`.
    pub(super) star: bool,
    pub(super) distinct: bool,
    pub(super) order_by: &'a [ast::OrderByExpr],
}

impl Lowering {
    /// Lowers a call.
    pub(super) fn call(&mut self, f: &ast::Function) -> Result<Typed> {
        let ident = simple(&f.name)?;
        let name = ident.value.to_ascii_lowercase();
        let args = arguments(f)?;
        if let Some(over) = &f.over {
            return self.windowed(&name, f, &args, over);
        }
        if let Some(aggregate) = self.aggregate(&name, f, &args)? {
            return Ok(aggregate);
        }
        let function = FUNCTIONS.iter().find(|(known, _)| *known == name);
        let is_special = SPECIAL.contains(&name.as_str());
        let is_place = super::window::PLACES.contains(&name.as_str());
        // Who misspells a name wants to hear of that first, whatever stands behind it.
        if function.is_none() && !is_special && !is_place {
            let known = FUNCTIONS.iter().map(|(name, _)| *name).chain(SPECIAL);
            let known = known.chain(super::aggregate::NAMES);
            let fault = Fault::new(ident.span, format!("unknown function `{}`", ident.value));
            let fault = fault.near(&name, known);
            return Err(fault.hint_else("the functions there are stand in docs/sql.md"));
        }
        if let Some(filter) = &f.filter {
            let message = format!("`{name}` is no aggregate, so it takes no FILTER");
            return Err(Fault::new(filter.span(), message));
        }
        if args.star {
            return Err(Fault::new(f.span(), format!("`{name}` takes no `*`")));
        }
        let plain = !args.distinct && args.order_by.is_empty() && f.within_group.is_empty();
        if !plain {
            let message =
                format!("`{name}` is no aggregate, so it takes neither DISTINCT nor ORDER BY");
            return Err(Fault::new(f.span(), message));
        }
        if is_special {
            return self.special(&name, &args.exprs, f.span());
        }
        let Some((_, function)) = function else {
            let fault = Fault::new(f.span(), format!("`{name}` needs OVER"));
            return Err(fault.hint(format!("as in {name}(…) OVER (PARTITION BY … ORDER BY …)")));
        };
        let (mut lowered, mut kinds) = (Vec::new(), Vec::new());
        for arg in args.exprs {
            let arg = self.expr(arg)?;
            lowered.push(arg.expr);
            kinds.push(arg.kind);
        }
        let expr = Expr::Call(*function, lowered);
        expr.check().map_err(|mut e| {
            // The name as it is written, and not the query model's.
            let theirs = format!("`{}`", function.as_str());
            e.message = e.message.replace(&theirs, &format!("`{name}`"));
            Fault::of(e, f.span())
        })?;
        let kind = match function {
            Function::Coalesce | Function::Greatest | Function::Least => common(&kinds),
            _ => Kind::Any,
        };
        Ok(Typed { expr, kind })
    }

    fn special(&mut self, name: &str, args: &[&ast::Expr], span: Span) -> Result<Typed> {
        let takes = |low: usize, high: usize| match (low..=high).contains(&args.len()) {
            true => Ok(()),
            false => {
                let message = format!(
                    "`{name}` takes {low} to {high} arguments, not {}",
                    args.len()
                );
                Err(Fault::new(span, message.replace("0 to 0", "no")))
            }
        };
        let now = || call(Function::Now, []);
        let time = |expr| Typed {
            expr,
            kind: Kind::Time,
        };
        match name {
            "now" | "current_timestamp" | "localtimestamp" | "transaction_timestamp" => {
                takes(0, 0)?;
                Ok(time(now()))
            }
            "current_date" => {
                takes(0, 0)?;
                Ok(time(call(Function::DateTrunc, [value("day"), now()])))
            }
            "sqrt" => {
                takes(1, 1)?;
                Ok(call(Function::Power, [self.plain(args[0])?, value(0.5)]).into())
            }
            "left" => {
                takes(2, 2)?;
                let (text, n) = (self.plain(args[0])?, self.plain(args[1])?);
                let n = self.length_of_left(&text, n, span)?;
                Ok(call(Function::Substr, [text, value(1), n]).into())
            }
            "to_timestamp" => {
                takes(1, 1)?;
                let seconds = self.plain(args[0])?;
                let ms = call(Function::Times, [seconds, value(1000)]);
                Ok(time(call(Function::ToTimestamp, [ms])))
            }
            "date" => {
                takes(1, 1)?;
                let of = self.expr(args[0])?;
                self.date(of, span)
            }
            "datetime" => {
                takes(1, 1)?;
                Ok(call(Function::Datetime, [self.plain(args[0])?]).into())
            }
            "strftime" => {
                takes(2, 3)?;
                // DuckDB and the query model have them the other way round.
                let first = match text_of(args[0]) {
                    Some(_) => 0,
                    None => 1,
                };
                let mut lowered = vec![self.plain(args[first])?, self.plain(args[1 - first])?];
                for zone in &args[2..] {
                    lowered.push(self.plain(zone)?);
                }
                let expr = Expr::Call(Function::Strftime, lowered);
                Ok(expr.into())
            }
            "date_part" => {
                takes(2, 2)?;
                let Some(part) = text_of(args[0]) else {
                    return Err(Fault::new(
                        args[0].span(),
                        "this must name a part of a time",
                    ));
                };
                let of = self.expr(args[1])?;
                self.extract(part, of, span)
            }
            "date_trunc" => {
                takes(2, 3)?;
                let mut lowered = vec![value(super::time::unit(args[0])?)];
                for arg in &args[1..] {
                    lowered.push(self.plain(arg)?);
                }
                Ok(time(Expr::Call(Function::DateTrunc, lowered)))
            }
            _ => {
                takes(3, 4)?;
                let mut lowered = vec![value(super::time::unit(args[0])?)];
                for arg in &args[1..] {
                    lowered.push(self.plain(arg)?);
                }
                Ok(match name {
                    "date_add" => time(Expr::Call(Function::DateAdd, lowered)),
                    _ => Expr::Call(Function::DateDiff, lowered).into(),
                })
            }
        }
    }
}

impl Lowering {
    /// How many characters `left` gives: of a negative number all but so many at the end.
    fn length_of_left(&mut self, text: &Expr, n: Expr, span: Span) -> Result<Expr> {
        if matches!(&n, Expr::Value(Value::Int(n)) if *n >= 0) {
            return Ok(n);
        }
        let (text, again) = (self.copy(text, span)?, self.copy(&n, span)?);
        let all = call(Function::CharLength, [text]);
        let fewer = call(Function::Plus, [all, again]);
        let fewer = call(Function::Greatest, [fewer, value(0)]);
        let negative = call(Function::Lt, [self.copy(&n, span)?, value(0)]);
        Ok(call(Function::CaseWhen, [negative, fewer, n]))
    }
}

/// The arguments of a call.
fn arguments(f: &ast::Function) -> Result<Args<'_>> {
    let mut args = Args {
        exprs: Vec::new(),
        star: false,
        distinct: false,
        order_by: &[],
    };
    let list = match &f.args {
        FunctionArguments::None => return Ok(args),
        FunctionArguments::Subquery(query) => {
            return Err(Fault::new(query.span(), "a subquery cannot stand here"));
        }
        FunctionArguments::List(list) => list,
    };
    args.distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    for arg in &list.args {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => args.exprs.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => args.star = true,
            _ => return Err(Fault::new(f.span(), "arguments have no names here")),
        }
    }
    for clause in &list.clauses {
        match clause {
            ast::FunctionArgumentClause::OrderBy(order) => args.order_by = order,
            other => {
                let message = format!("`{other}` is not supported");
                return Err(Fault::new(f.span(), message));
            }
        }
    }
    if f.null_treatment.is_some() {
        return Err(Fault::new(
            f.span(),
            "IGNORE NULLS and RESPECT NULLS are not supported",
        ));
    }
    Ok(args)
}

/// An aggregate of the group.
pub(super) fn aggregate(function: AggregateFunction, args: impl IntoIterator<Item = Expr>) -> Expr {
    Expr::Aggregate(function, args.into_iter().collect())
}
