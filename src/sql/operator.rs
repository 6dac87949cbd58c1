//! Operators: comparisons, arithmetic, patterns, lists, paths into JSON.

use sqlparser::ast::{self, BinaryOperator, Spanned};
use sqlparser::tokenizer::Span;

use super::block::{Kind, Lowering, Typed, call, value};
use super::error::{Fault, Result};
use super::expr::{literal, text_of};
use crate::query::{Expr, Function};
use crate::value::Value;

impl Lowering {
    pub(super) fn binary(
        &mut self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        span: Span,
    ) -> Result<Typed> {
        use BinaryOperator as B;
        if let Some(known) = super::decimal::folded(left, op, right) {
            return Ok(value(known).into());
        }
        let comparison = match op {
            B::And | B::Or | B::StringConcat => return self.chain(left, op, right),
            B::Plus | B::Minus => return self.sum(left, op, right, span),
            B::Eq => (Function::Eq, false),
            B::NotEq => (Function::Eq, true),
            B::Lt => (Function::Lt, false),
            B::LtEq => (Function::Lte, false),
            B::Gt => (Function::Gt, false),
            B::GtEq => (Function::Gte, false),
            B::Arrow | B::LongArrow | B::HashArrow | B::HashLongArrow => {
                return self.path(left, op, right);
            }
            _ => {
                let (a, b) = (self.plain(left)?, self.plain(right)?);
                return Ok(match op {
                    B::Multiply => call(Function::Times, [a, b]),
                    B::Divide => call(Function::Quotient, [a, b]),
                    B::Modulo => call(Function::Mod, [a, b]),
                    B::PGExp => call(Function::Power, [a, b]),
                    B::PGRegexMatch => call(Function::RegexMatch, [a, b]),
                    B::PGRegexNotMatch => call(Function::Not, [call(Function::RegexMatch, [a, b])]),
                    B::PGRegexIMatch | B::PGRegexNotIMatch => {
                        let Expr::Value(Value::Str(pattern)) = b else {
                            let message = "the regular expression must be a constant";
                            return Err(Fault::new(right.span(), message));
                        };
                        let matches = call(
                            Function::RegexMatch,
                            [a, value(format!("(?i){pattern}").as_str())],
                        );
                        super::expr::negate(matches, *op == B::PGRegexNotIMatch)
                    }
                    B::PGLikeMatch => call(Function::Like, [a, b]),
                    B::PGILikeMatch => call(Function::Ilike, [a, b]),
                    B::PGStartsWith => call(Function::StartsWith, [a, b]),
                    other => {
                        return Err(Fault::new(span, format!("there is no operator `{other}`")));
                    }
                }
                .into());
            }
        };
        let (a, b) = (self.expr(left)?, self.expr(right)?);
        let (function, negated) = comparison;
        let compared = self.compare(function, a, b, span)?;
        Ok(super::expr::negate(compared, negated).into())
    }

    /// A comparison; what is compared with a time is read as one.
    pub(super) fn compare(
        &mut self,
        function: Function,
        a: Typed,
        b: Typed,
        span: Span,
    ) -> Result<Expr> {
        let args = match (a.kind, b.kind) {
            (a_kind, b_kind) if a_kind == b_kind => [a.expr, b.expr],
            _ => [self.time(a, span)?.expr, self.time(b, span)?.expr],
        };
        Ok(call(function, args))
    }

    /// `AND`, `OR` and `||`, of however many operands.
    fn chain(&mut self, left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr) -> Result<Typed> {
        let mut operands = vec![right];
        let mut rest = left;
        while let ast::Expr::BinaryOp {
            left,
            op: inner,
            right,
        } = rest
            && inner == op
        {
            operands.push(right);
            rest = left;
        }
        operands.push(rest);
        let function = match op {
            BinaryOperator::And => Function::And,
            BinaryOperator::Or => Function::Or,
            _ => Function::Append,
        };
        let operands = operands.into_iter().rev();
        let args: Result<Vec<Expr>> = operands
            .map(|operand| {
                let operand = self.expr(operand)?;
                Ok(match (function, operand.kind) {
                    (Function::Append, Kind::Time) => call(Function::Datetime, [operand.expr]),
                    _ => operand.expr,
                })
            })
            .collect();
        Ok(Expr::Call(function, args?).into())
    }

    pub(super) fn between(
        &mut self,
        of: &ast::Expr,
        low: &ast::Expr,
        high: &ast::Expr,
    ) -> Result<Expr> {
        let span = of.span();
        let (of, low, high) = (self.expr(of)?, self.expr(low)?, self.expr(high)?);
        let again = Typed {
            expr: self.copy(&of.expr, span)?,
            kind: of.kind,
        };
        let from = self.compare(Function::Gte, of, low, span)?;
        let to = self.compare(Function::Lte, again, high, span)?;
        Ok(call(Function::And, [from, to]))
    }

    pub(super) fn like(
        &mut self,
        function: Function,
        of: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let mut args = vec![self.plain(of)?, self.plain(pattern)?];
        match escape {
            Some(escape) => {
                let escape_text = text_of(escape);
                match escape_text {
                    Some(text) if text.encode_utf16().count() <= 1 => args.push(value(text)),
                    _ => {
                        let message = "ESCAPE takes one character";
                        return Err(Fault::new(escape.span(), message));
                    }
                }
            }
            // The standard's backslash, where there may be one.
            None => match &args[1] {
                Expr::Value(constant) if !constant.as_str().is_some_and(|s| s.contains('\\')) => {}
                _ => args.push(value("\\")),
            },
        }
        Ok(Expr::Call(function, args))
    }

    pub(super) fn in_list(&mut self, of: &ast::Expr, list: &[ast::Expr]) -> Result<Expr> {
        let span = of.span();
        let of = self.expr(of)?;
        let (mut constants, mut tests, mut unknown) = (Vec::new(), Vec::new(), false);
        for item in list {
            // Constants of a long list need not be looked at one by one.
            let item_value = match (of.kind, item) {
                (Kind::Any, ast::Expr::Value(constant)) => Some(literal(constant)?),
                _ => None,
            };
            match item_value {
                Some(Value::Null) => unknown = true,
                Some(constant) => constants.push(constant),
                None => {
                    let item = self.expr(item)?;
                    match item {
                        Typed {
                            expr: Expr::Value(constant),
                            kind: Kind::Any,
                        } if of.kind == Kind::Any => constants.push(constant),
                        item => {
                            let of = Typed {
                                expr: self.copy(&of.expr, span)?,
                                kind: of.kind,
                            };
                            tests.push(self.compare(Function::Eq, of, item, span)?);
                        }
                    }
                }
            }
        }
        if !constants.is_empty() {
            tests.insert(0, call(Function::In, [of.expr, value(constants)]));
        }
        if unknown {
            tests.push(value(Value::Null));
        }
        Ok(match tests.len() {
            1 => tests.remove(0),
            _ => Expr::Call(Function::Or, tests),
        })
    }

    /// `->`, `->>`, `#>` and `#>>`.
    fn path(&mut self, left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr) -> Result<Typed> {
        let of = self.plain(left)?;
        let Expr::Ref(mut path) = of else {
            let fault = Fault::new(left.span(), format!("`{op}` needs a column on its left"));
            return Err(fault);
        };
        let Some(text) = text_of(right) else {
            let fault = Fault::new(right.span(), format!("`{op}` needs the name of a field"));
            return Err(fault.hint("elements of arrays cannot be reached"));
        };
        match op {
            BinaryOperator::Arrow | BinaryOperator::LongArrow => path.push(text.into()),
            _ => {
                let names = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
                let Some(names) = names else {
                    let fault = Fault::new(right.span(), format!("`{op}` needs a path"));
                    return Err(fault.hint("as in '{field,inner}'"));
                };
                path.extend(names.split(',').map(|name| name.trim().into()));
            }
        }
        let field = Expr::Ref(path);
        Ok(match op {
            BinaryOperator::LongArrow | BinaryOperator::HashLongArrow => {
                call(Function::ToText, [field])
            }
            _ => field,
        }
        .into())
    }
}
