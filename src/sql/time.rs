//! Dates, times and intervals, by the date functions of the query model.

use sqlparser::ast::{self, BinaryOperator, DateTimeField, Spanned};
use sqlparser::tokenizer::Span;

use super::block::{Kind, Lowering, Typed, call, value};
use super::error::{Fault, Result};
use super::expr::text_of;
use crate::query::{Datum, Expr, Function};
use crate::value::Value;

/// What is added to a time: units with their counts.
type Interval = Vec<(&'static str, i64)>;

/// Names of units, as SQL has them.
const UNITS: [(&str, &str, i64); 32] = [
    ("millisecond", "millisecond", 1),
    ("milliseconds", "millisecond", 1),
    ("ms", "millisecond", 1),
    ("second", "second", 1),
    ("seconds", "second", 1),
    ("sec", "second", 1),
    ("secs", "second", 1),
    ("s", "second", 1),
    ("minute", "minute", 1),
    ("minutes", "minute", 1),
    ("min", "minute", 1),
    ("mins", "minute", 1),
    ("m", "minute", 1),
    ("hour", "hour", 1),
    ("hours", "hour", 1),
    ("h", "hour", 1),
    ("day", "day", 1),
    ("days", "day", 1),
    ("d", "day", 1),
    ("week", "week", 1),
    ("weeks", "week", 1),
    ("w", "week", 1),
    ("month", "month", 1),
    ("months", "month", 1),
    ("mon", "month", 1),
    ("mons", "month", 1),
    ("quarter", "quarter", 1),
    ("quarters", "quarter", 1),
    ("year", "year", 1),
    ("years", "year", 1),
    ("decade", "year", 10),
    ("decades", "year", 10),
];

impl Lowering {
    /// As a time in milliseconds.
    pub(super) fn time(&mut self, of: Typed, span: Span) -> Result<Typed> {
        let expr = match of.kind {
            Kind::Time => of.expr,
            Kind::Date | Kind::Any => folded(call(Function::ToTimestamp, [of.expr]), span)?,
        };
        Ok(Typed {
            expr,
            kind: Kind::Time,
        })
    }

    /// As a date.
    pub(super) fn date(&mut self, of: Typed, span: Span) -> Result<Typed> {
        let expr = match of.kind {
            Kind::Date => of.expr,
            Kind::Time | Kind::Any => folded(call(Function::Date, [of.expr]), span)?,
        };
        Ok(Typed {
            expr,
            kind: Kind::Date,
        })
    }

    /// `+` and `-`: of numbers, and of times with intervals, days and each other.
    pub(super) fn sum(
        &mut self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        span: Span,
    ) -> Result<Typed> {
        let minus = *op == BinaryOperator::Minus;
        if let Some(interval) = interval(right)? {
            let at = self.expr(left)?;
            return shifted(at, &interval, if minus { -1 } else { 1 }, span);
        }
        if let (false, Some(interval)) = (minus, interval(left)?) {
            let at = self.expr(right)?;
            return shifted(at, &interval, 1, span);
        }
        let (a, b) = (self.expr(left)?, self.expr(right)?);
        let days = |n: Expr, at: Typed| -> Result<Typed> {
            let later = call(Function::DateAdd, [value("day"), n, at.expr]);
            Ok(Typed {
                expr: folded(call(Function::Date, [later]), span)?,
                kind: Kind::Date,
            })
        };
        match (a.kind, b.kind, minus) {
            (Kind::Any, Kind::Any, false) => Ok(call(Function::Plus, [a.expr, b.expr]).into()),
            (Kind::Any, Kind::Any, true) => Ok(call(Function::Minus, [a.expr, b.expr]).into()),
            (Kind::Date, Kind::Any, false) => days(b.expr, a),
            (Kind::Any, Kind::Date, false) => days(a.expr, b),
            (Kind::Date, Kind::Any, true) if matches!(b.expr, Expr::Value(Value::Int(_))) => {
                days(call(Function::Minus, [value(0), b.expr]), a)
            }
            (Kind::Date, _, true) | (Kind::Any, Kind::Date, true) => {
                Ok(call(Function::DateDiff, [value("day"), b.expr, a.expr]).into())
            }
            _ => {
                let fault = Fault::new(span, "the result would be an interval");
                Err(fault.hint("date_diff('second', earlier, later) counts whole units"))
            }
        }
    }

    pub(super) fn extract(&mut self, field: &str, of: Typed, span: Span) -> Result<Typed> {
        let part = |name: &str, at: Expr| call(Function::DateExtract, [value(name), at]);
        let at = of.expr;
        let field = field.to_ascii_lowercase();
        let name = match field.as_str() {
            "dow" | "dayofweek" => {
                let monday_is_1 = part("dayOfWeek", at);
                return Ok(call(Function::Mod, [monday_is_1, value(7)]).into());
            }
            "second" | "seconds" => {
                let again = self.copy(&at, span)?;
                let fraction = call(
                    Function::Quotient,
                    [part("millisecond", again), value(1000)],
                );
                return Ok(call(Function::Plus, [part("second", at), fraction]).into());
            }
            "milliseconds" | "millisecond" => {
                let again = self.copy(&at, span)?;
                let seconds = call(Function::Times, [part("second", at), value(1000)]);
                return Ok(call(Function::Plus, [seconds, part("millisecond", again)]).into());
            }
            "isodow" => "dayOfWeek",
            "doy" | "dayofyear" => "dayOfYear",
            "year" | "years" => "year",
            "quarter" => "quarter",
            "month" | "months" => "month",
            "week" | "weeks" => "week",
            "day" | "days" => "day",
            "hour" | "hours" => "hour",
            "minute" | "minutes" => "minute",
            "epoch" => "epoch",
            other => {
                let fault = Fault::new(span, format!("`{other}` is not a part of a time"));
                return Err(fault.hint(
                    "known: year, quarter, month, week, day, dow, isodow, doy, hour, minute, second, milliseconds, epoch",
                ));
            }
        };
        Ok(part(name, at).into())
    }
}

/// The interval that an expression is, if it is one.
fn interval(e: &ast::Expr) -> Result<Option<Interval>> {
    let interval = match e {
        ast::Expr::Nested(inner) => return interval(inner),
        ast::Expr::Interval(interval) => interval,
        _ => return Ok(None),
    };
    let span = e.span();
    let wrong = |message: String| {
        Fault::new(span, message).hint("as in INTERVAL '90 days' or INTERVAL '1 year 2 months'")
    };
    let text = match &*interval.value {
        ast::Expr::Value(constant) => match &constant.value {
            ast::Value::Number(text, _) => text,
            ast::Value::SingleQuotedString(text) => text,
            _ => return Err(wrong("an interval is a constant".into())),
        },
        _ => return Err(wrong("an interval is a constant".into())),
    };
    let unit = interval
        .leading_field
        .as_ref()
        .map(DateTimeField::to_string);
    let text = match unit {
        Some(unit) if interval.last_field.is_none() => format!("{text} {unit}"),
        Some(_) => return Err(wrong("an interval of a range of units".into())),
        None => text.clone(),
    };
    parsed(&text)
        .map(Some)
        .ok_or_else(|| wrong(format!("`{text}` is no interval")))
}

fn parsed(text: &str) -> Option<Interval> {
    let mut units = Interval::new();
    let mut words = text.split_whitespace().peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if let Some((hours, rest)) = word.split_once(':') {
            // A time of day.
            let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "0"));
            let sign = if hours.starts_with('-') { -1 } else { 1 };
            units.push(("hour", hours.parse().ok()?));
            units.push(("minute", sign * minutes.parse::<u32>().ok()? as i64));
            units.push(("second", sign * seconds.parse::<u32>().ok()? as i64));
            continue;
        }
        let split = word.find(|c: char| c.is_alphabetic()).unwrap_or(word.len());
        let (count, glued) = word.split_at(split);
        let name = match glued {
            "" => words.next()?,
            glued => glued,
        };
        let name = name.trim_end_matches(',').to_lowercase();
        let (_, unit, factor) = *UNITS.iter().find(|(known, ..)| *known == name)?;
        match count.parse::<i64>() {
            Ok(count) => units.push((unit, count.checked_mul(factor)?)),
            // Fractions of what is always as long.
            Err(_) => {
                let ms = match unit {
                    "second" => 1000.0,
                    "minute" => 60_000.0,
                    "hour" => 3_600_000.0,
                    _ => return None,
                };
                let count = count.parse::<f64>().ok()? * ms;
                units.push(("millisecond", count.round() as i64));
            }
        }
    }
    Some(units)
}

/// A time so much later.
fn shifted(at: Typed, interval: &Interval, sign: i64, span: Span) -> Result<Typed> {
    let mut expr = at.expr;
    // Longer units first, as the calendar has it.
    let rank = |unit: &str| UNITS.iter().rposition(|(_, name, _)| *name == unit);
    let mut units = interval.clone();
    units.sort_by_key(|(unit, _)| std::cmp::Reverse(rank(unit)));
    for (unit, count) in units {
        let count = value(Value::int(i128::from(count) * i128::from(sign)));
        expr = folded(call(Function::DateAdd, [value(unit), count, expr]), span)?;
    }
    Ok(Typed {
        expr,
        kind: Kind::Time,
    })
}

/// Computes a call of constants, which must be a time where there is one to read.
fn folded(expr: Expr, span: Span) -> Result<Expr> {
    let Expr::Call(function, args) = &expr else {
        return Ok(expr);
    };
    // What is added may be a call of constants itself.
    let constants: Option<Vec<Value>> = args.iter().map(constant).collect();
    let Some(constants) = constants else {
        return Ok(expr);
    };
    if constants.iter().any(|v| matches!(v, Value::Null)) {
        return Ok(value(Value::Null));
    }
    let result = function.call(constants.len(), &|i| Datum::Ref(constants[i].as_ref()));
    match result.into_value() {
        Value::Null => {
            let of = constants.last().cloned().unwrap_or_default();
            let fault = Fault::new(span, format!("{of} is no time"));
            Err(fault.hint("times are ISO 8601, such as 2024-02-29 or 2024-02-29T12:00:00Z"))
        }
        known => Ok(value(known)),
    }
}

fn constant(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::Value(constant) => Some(constant.clone()),
        Expr::Call(Function::Minus | Function::DateAdd | Function::Date, args) => {
            let Expr::Call(function, _) = expr else {
                return None;
            };
            let args: Vec<Value> = args.iter().map(constant).collect::<Option<_>>()?;
            let result = function.call(args.len(), &|i| Datum::Ref(args[i].as_ref()));
            Some(result.into_value())
        }
        _ => None,
    }
}

/// The unit that a constant names, as the query model has it.
pub(super) fn unit(e: &ast::Expr) -> Result<&'static str> {
    let name = text_of(e).map(str::to_lowercase);
    let found = UNITS
        .iter()
        .find(|(known, ..)| Some(*known) == name.as_deref());
    found.map(|(_, unit, _)| *unit).ok_or_else(|| {
        let fault = Fault::new(e.span(), "this must be a unit of time");
        fault.hint("such as 'minute', 'hour', 'day', 'week', 'month' or 'year'")
    })
}
