//! Arithmetic of numbers that stand in the text, which SQL has exact.

use sqlparser::ast::{self, BinaryOperator, UnaryOperator};

use crate::value::Value;

/// A decimal number: its digits, and how many of them stand behind the point.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i128,
    scale: u32,
}

/// The value of `+`, `-` or `*` of constants of which one has a fraction.
pub(super) fn folded(left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr) -> Option<Value> {
    let result = combined(left, op, right)?;
    if result.scale == 0 {
        return None;
    }
    // Read as the text would be.
    let text = format!("{}e-{}", result.digits, result.scale);
    text.parse().ok().map(Value::float)
}

fn combined(left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr) -> Option<Decimal> {
    let plus = match op {
        BinaryOperator::Multiply => None,
        BinaryOperator::Plus => Some(true),
        BinaryOperator::Minus => Some(false),
        _ => return None,
    };
    let (b, a) = (read(right)?, read(left)?);
    let Some(plus) = plus else {
        let (digits, scale) = (
            a.digits.checked_mul(b.digits)?,
            a.scale.checked_add(b.scale)?,
        );
        return Some(Decimal { digits, scale });
    };
    let scale = a.scale.max(b.scale);
    let (a, b) = (a.scaled(scale)?, b.scaled(scale)?);
    let digits = match plus {
        true => a.checked_add(b),
        false => a.checked_sub(b),
    };
    Some(Decimal {
        digits: digits?,
        scale,
    })
}

fn read(e: &ast::Expr) -> Option<Decimal> {
    match e {
        ast::Expr::Nested(inner) => read(inner),
        ast::Expr::UnaryOp { op, expr } => {
            let of = read(expr)?;
            match op {
                UnaryOperator::Plus => Some(of),
                UnaryOperator::Minus => Some(Decimal {
                    digits: of.digits.checked_neg()?,
                    ..of
                }),
                _ => None,
            }
        }
        ast::Expr::BinaryOp { left, op, right } => combined(left, op, right),
        ast::Expr::Value(constant) => {
            let ast::Value::Number(text, _) = &constant.value else {
                return None;
            };
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            Some(Decimal {
                digits: format!("{whole}{fraction}").parse().ok()?,
                scale: fraction.len().try_into().ok()?,
            })
        }
        _ => None,
    }
}

impl Decimal {
    /// The digits with more of them behind the point.
    fn scaled(self, scale: u32) -> Option<i128> {
        self.digits
            .checked_mul(10_i128.checked_pow(scale - self.scale)?)
    }
}
