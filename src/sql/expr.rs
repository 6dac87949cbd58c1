//! Expressions.

use sqlparser::ast::{
    self, AccessExpr, DataType, Spanned, Subscript, UnaryOperator, ValueWithSpan,
};
use sqlparser::tokenizer::Span;

use super::block::{Kind, Lowering, Typed, call, is_null, value};
use super::error::{Fault, Result};
use crate::query::{Expr, Function};
use crate::value::Value;

impl Lowering {
    /// Lowers an expression.
    pub(super) fn expr(&mut self, e: &ast::Expr) -> Result<Typed> {
        let span = e.span();
        let lowered = self.deeper(span, |this| this.expr_of(e));
        let typed = lowered.map_err(|fault| fault.at(span))?;
        typed.expr.check().map_err(|e| Fault::of(e, span))?;
        Ok(typed)
    }

    pub(super) fn plain(&mut self, e: &ast::Expr) -> Result<Expr> {
        Ok(self.expr(e)?.expr)
    }

    /// The expressions that are nested most come first: the others' locals need not be on the stack.
    fn expr_of(&mut self, e: &ast::Expr) -> Result<Typed> {
        use ast::Expr as E;
        let span = e.span();
        Ok(match e {
            E::Identifier(name) => self.resolve(std::slice::from_ref(name))?.into(),
            E::CompoundIdentifier(path) => self.resolve(path)?.into(),
            E::Nested(inner) => return self.expr_of(inner),
            E::Value(constant) => value(literal(constant)?).into(),
            E::Cast {
                expr,
                data_type,
                format: None,
                ..
            } => {
                let inner = self.expr(expr)?;
                self.cast(inner, data_type, span)?
            }
            E::BinaryOp { left, op, right } => self.binary(left, op, right, span)?,
            E::Function(function) => self.call(function)?,
            e => match self.test_of(e, span)? {
                Some(test) => test.into(),
                None => return self.other_of(e, span),
            },
        })
    }

    /// What is true, false or unknown.
    #[inline(never)]
    fn test_of(&mut self, e: &ast::Expr, span: Span) -> Result<Option<Expr>> {
        use ast::Expr as E;
        Ok(Some(match e {
            E::IsNull(inner) | E::IsUnknown(inner) => is_null(self.plain(inner)?),
            E::IsNotNull(inner) | E::IsNotUnknown(inner) => {
                call(Function::Not, [is_null(self.plain(inner)?)])
            }
            E::IsTrue(inner) => self.is(inner, true)?,
            E::IsFalse(inner) => self.is(inner, false)?,
            E::IsNotTrue(inner) => call(Function::Not, [self.is(inner, true)?]),
            E::IsNotFalse(inner) => call(Function::Not, [self.is(inner, false)?]),
            E::IsNotDistinctFrom(a, b) => self.same(a, b)?,
            E::IsDistinctFrom(a, b) => call(Function::Not, [self.same(a, b)?]),
            E::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let between = self.between(expr, low, high)?;
                negate(between, *negated)
            }
            E::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => {
                let like = self.like(Function::Like, expr, pattern, escape_char.as_deref())?;
                negate(like, *negated)
            }
            E::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => {
                let like = self.like(Function::Ilike, expr, pattern, escape_char.as_deref())?;
                negate(like, *negated)
            }
            E::In {
                expr,
                target: ast::InTarget::List(list),
                negated,
                global: false,
            } => {
                let found = self.in_list(expr, list)?;
                negate(found, *negated)
            }
            E::In {
                expr,
                target: ast::InTarget::Subquery(query),
                negated,
                global: false,
            } => {
                let found = self.in_query(expr, query, span)?;
                negate(found, *negated)
            }
            E::AnyOp {
                left,
                compare_op: ast::BinaryOperator::Eq,
                right,
                ..
            } if matches!(**right, E::Subquery(_)) => {
                let E::Subquery(query) = &**right else {
                    unreachable!("it matched")
                };
                self.in_query(left, query, span)?
            }
            E::AnyOp {
                left,
                compare_op: ast::BinaryOperator::Eq,
                right,
                ..
            } if matches!(**right, E::Array(_)) => {
                let E::Array(list) = &**right else {
                    unreachable!("it matched")
                };
                self.in_list(left, &list.elem)?
            }
            E::Exists { subquery, negated } => {
                let found = self.exists(subquery, span)?;
                negate(found, *negated)
            }
            _ => return Ok(None),
        }))
    }

    #[inline(never)]
    fn other_of(&mut self, e: &ast::Expr, span: Span) -> Result<Typed> {
        use ast::Expr as E;
        Ok(match e {
            E::CompoundFieldAccess { root, access_chain } => {
                let root = self.plain(root)?;
                access(root, access_chain)?.into()
            }
            E::TypedString(typed) => {
                let text = match &typed.value.value {
                    ast::Value::SingleQuotedString(text) => text,
                    _ => return Err(Fault::new(span, "must be a string")),
                };
                self.cast(value(text.as_str()).into(), &typed.data_type, span)?
            }
            E::UnaryOp { op, expr } => match op {
                UnaryOperator::Not => call(Function::Not, [self.plain(expr)?]).into(),
                UnaryOperator::Plus => self.plain(expr)?.into(),
                UnaryOperator::Minus => match self.plain(expr)? {
                    Expr::Value(Value::Int(i)) => value(Value::int(-i)).into(),
                    Expr::Value(Value::Float(f)) => value(Value::float(-f)).into(),
                    inner => call(Function::Minus, [value(0), inner]).into(),
                },
                other => return Err(Fault::new(span, format!("there is no operator `{other}`"))),
            },
            E::Subquery(query) => self.scalar(query, span)?,
            E::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(operand.as_deref(), conditions, else_result.as_deref(), span)?,
            E::Extract { field, expr, .. } => {
                let at = self.expr(expr)?;
                self.extract(&field.to_string(), at, span)?
            }
            E::Interval(_) => {
                let fault = Fault::new(span, "an interval can only be added or subtracted");
                return Err(fault.hint("as in: created_at + INTERVAL '1 day'"));
            }
            E::Floor {
                expr,
                field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime),
            } => call(Function::Floor, [self.plain(expr)?]).into(),
            E::Ceil {
                expr,
                field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime),
            } => call(Function::Ceil, [self.plain(expr)?]).into(),
            E::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => {
                let text = self.plain(expr)?;
                let from = match substring_from {
                    Some(from) => self.plain(from)?,
                    None => value(1),
                };
                let mut args = vec![text, from];
                if let Some(length) = substring_for {
                    args.push(self.plain(length)?);
                }
                Expr::Call(Function::Substr, args).into()
            }
            E::Trim {
                trim_where: None | Some(ast::TrimWhereField::Both),
                trim_what: None,
                trim_characters: None,
                expr,
            } => call(Function::Trim, [self.plain(expr)?]).into(),
            E::Position { expr, r#in } => {
                let part = self.plain(expr)?;
                call(Function::Position, [self.plain(r#in)?, part]).into()
            }
            E::AtTimeZone {
                timestamp,
                time_zone,
            } => {
                // Times are instants: what a zone changes is how they are written and taken apart.
                let at = self.expr(timestamp)?;
                let zone = self.plain(time_zone)?;
                if at.kind == Kind::Time {
                    let fault = Fault::new(span, "a time without a zone cannot be made");
                    return Err(fault.hint("give the zone to the function, as in date_trunc('day', t, 'Europe/Vienna')"));
                }
                Typed {
                    expr: call(Function::ToTimestamp, [at.expr, zone]),
                    kind: Kind::Time,
                }
            }
            E::Array(array) => {
                let items: Result<Vec<Expr>> = array.elem.iter().map(|e| self.plain(e)).collect();
                Expr::Call(Function::Array, items?).into()
            }
            E::Tuple(_) => {
                let fault = Fault::new(span, "rows of values cannot be compared");
                return Err(fault.hint("compare column by column, joined with AND"));
            }
            E::Wildcard(_) | E::QualifiedWildcard(..) => {
                return Err(Fault::new(span, "`*` cannot stand here"));
            }
            e => return Err(unsupported(e, span)),
        })
    }

    /// `IS TRUE` and `IS FALSE`, which are never unknown.
    fn is(&mut self, inner: &ast::Expr, what: bool) -> Result<Expr> {
        let eq = call(Function::Eq, [self.plain(inner)?, value(what)]);
        Ok(call(Function::Coalesce, [eq, value(false)]))
    }

    /// `IS NOT DISTINCT FROM`: arrays are equal by content, nulls included.
    fn same(&mut self, a: &ast::Expr, b: &ast::Expr) -> Result<Expr> {
        let array = |e| call(Function::Array, [e]);
        let (a, b) = (array(self.plain(a)?), array(self.plain(b)?));
        Ok(call(Function::Eq, [a, b]))
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        default: Option<&ast::Expr>,
        span: Span,
    ) -> Result<Typed> {
        let operand = operand.map(|e| self.expr(e)).transpose()?;
        let (mut args, mut kinds) = (Vec::new(), Vec::new());
        for when in conditions {
            let condition = self.expr(&when.condition)?;
            args.push(match &operand {
                None => condition.expr,
                Some(of) => {
                    let of = Typed {
                        expr: self.copy(&of.expr, span)?,
                        kind: of.kind,
                    };
                    self.compare(Function::Eq, of, condition, span)?
                }
            });
            let result = self.expr(&when.result)?;
            args.push(result.expr);
            kinds.push(result.kind);
        }
        if let Some(default) = default {
            let default = self.expr(default)?;
            args.push(default.expr);
            kinds.push(default.kind);
        }
        Ok(Typed {
            expr: Expr::Call(Function::CaseWhen, args),
            kind: common(&kinds),
        })
    }

    pub(super) fn cast(&mut self, of: Typed, to: &DataType, span: Span) -> Result<Typed> {
        use DataType as D;
        let function = match to {
            D::TinyInt(_)
            | D::SmallInt(_)
            | D::Int2(_)
            | D::Int(_)
            | D::Int4(_)
            | D::Int8(_)
            | D::Integer(_)
            | D::BigInt(_) => Function::ToInteger,
            D::Real
            | D::Float4
            | D::Float8
            | D::Float(_)
            | D::Double(_)
            | D::DoublePrecision
            | D::Numeric(_)
            | D::Decimal(_)
            | D::Dec(_) => {
                if let D::Numeric(info) | D::Decimal(info) | D::Dec(info) = to
                    && let ast::ExactNumberInfo::PrecisionAndScale(_, scale) = info
                {
                    let number = call(Function::ToNumber, [of.expr]);
                    let digits = value(Value::int((*scale).into()));
                    return Ok(call(Function::Round, [number, digits]).into());
                }
                Function::ToNumber
            }
            D::Text
            | D::Varchar(None)
            | D::CharacterVarying(None)
            | D::CharVarying(None)
            | D::String(None) => {
                return Ok(match of.kind {
                    Kind::Time => call(Function::Datetime, [of.expr]),
                    Kind::Date => of.expr,
                    Kind::Any => call(Function::ToText, [of.expr]),
                }
                .into());
            }
            D::Bool | D::Boolean => Function::ToBoolean,
            D::Date => return self.date(of, span),
            D::Timestamp(..) | D::Datetime(_) => return self.time(of, span),
            other => {
                let fault = Fault::new(span, format!("values cannot be cast to {other}"));
                return Err(fault.hint(
                    "known are int, bigint, double precision, numeric, text, boolean, date and timestamp",
                ));
            }
        };
        Ok(call(function, [of.expr]).into())
    }
}

/// What to say of an expression that there is not.
fn unsupported(e: &ast::Expr, span: Span) -> Fault {
    use ast::Expr as E;
    let (what, hint) = match e {
        E::SimilarTo { .. } => ("SIMILAR TO", "`~` takes a regular expression"),
        E::AllOp { .. } => ("ALL", "compare with (SELECT max(x) …) or (SELECT min(x) …)"),
        E::AnyOp { .. } | E::Like { any: true, .. } | E::ILike { any: true, .. } => (
            "ANY but for `= ANY`",
            "compare with one after the other, joined with OR",
        ),
        E::Collate { .. } => ("COLLATE", "texts are ordered by code point"),
        E::Overlay { .. } => (
            "OVERLAY",
            "join parts with ||: left(x, 2) || 'y' || substring(x FROM 4)",
        ),
        E::Trim { .. } => (
            "TRIM with a side or a text",
            "trim(x) takes blanks from both ends",
        ),
        _ => return Fault::new(span, "there is no such expression"),
    };
    Fault::new(span, format!("{what} is not supported")).hint(hint)
}

/// The kind that all have.
pub(super) fn common(kinds: &[Kind]) -> Kind {
    match kinds.first() {
        Some(first) if kinds.iter().all(|kind| kind == first) => *first,
        _ => Kind::Any,
    }
}

pub(super) fn negate(expr: Expr, negated: bool) -> Expr {
    match negated {
        true => call(Function::Not, [expr]),
        false => expr,
    }
}

/// A path into a value.
fn access(root: Expr, chain: &[AccessExpr]) -> Result<Expr> {
    let Expr::Ref(mut path) = root else {
        let span = chain.first().map_or(Span::empty(), Spanned::span);
        return Err(Fault::new(span, "only columns have fields"));
    };
    for step in chain {
        let name = match step {
            AccessExpr::Dot(ast::Expr::Identifier(name)) => Some(name.value.as_str()),
            AccessExpr::Subscript(Subscript::Index { index }) => text_of(index),
            _ => None,
        };
        let Some(name) = name else {
            let fault = Fault::new(step.span(), "elements of arrays cannot be reached");
            return Err(fault.hint("fields of objects can: column.field, column -> 'field'"));
        };
        path.push(name.into());
    }
    Ok(Expr::Ref(path))
}

/// A constant.
pub(super) fn literal(constant: &ValueWithSpan) -> Result<Value> {
    Ok(match &constant.value {
        ast::Value::Null => Value::Null,
        ast::Value::Boolean(b) => (*b).into(),
        ast::Value::Number(text, _) => match text.parse::<i128>() {
            Ok(i) => Value::int(i),
            Err(_) => match text.parse::<f64>() {
                Ok(f) if f.is_finite() => Value::float(f),
                _ => {
                    let message = format!("`{text}` is no number");
                    return Err(Fault::new(constant.span, message));
                }
            },
        },
        ast::Value::SingleQuotedString(text)
        | ast::Value::EscapedStringLiteral(text)
        | ast::Value::UnicodeStringLiteral(text)
        | ast::Value::NationalStringLiteral(text) => text.as_str().into(),
        ast::Value::DollarQuotedString(text) => text.value.as_str().into(),
        ast::Value::Placeholder(_) => {
            let fault = Fault::new(constant.span, "queries have no parameters");
            return Err(fault.hint("write the value"));
        }
        _ => return Err(Fault::new(constant.span, "there is no such constant")),
    })
}

/// The text of a constant string.
pub(super) fn text_of(e: &ast::Expr) -> Option<&str> {
    match e {
        ast::Expr::Nested(inner) => text_of(inner),
        ast::Expr::Value(constant) => match &constant.value {
            ast::Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
