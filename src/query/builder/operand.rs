//! What expressions are compared and computed with.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use smol_str::SmolStr;

use super::column::Column;
use super::expression::{Expression, TypedExpr, literal};
use super::kind::{Kind, Nullability, Optional, Required, Scalar};
use crate::query::{Expr, OrderBy};

/// What a value of type `T` can be compared and computed with: a value of that type, an `Option` of
/// one, or a column or an expression with such values, null or not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be compared or computed with values of type `{T}`",
    label = "not a value, column or expression of type `{T}`"
)]
pub trait Operand<T> {
    /// Whether it may be null.
    type Null: Nullability;
    /// Whether it is computed of a row or of a group.
    type Kind: Kind;

    /// The operand as data.
    fn operand(self) -> Expr;
}

impl<T: 'static, N: Nullability> Operand<T> for Column<T, N> {
    type Null = N;
    type Kind = Scalar;

    fn operand(self) -> Expr {
        self.into_ir()
    }
}

impl<T: 'static, N: Nullability, K: Kind> Operand<T> for TypedExpr<T, N, K> {
    type Null = N;
    type Kind = K;

    fn operand(self) -> Expr {
        self.into_ir()
    }
}

macro_rules! literals {
    ($([$($generics:tt)*] $literal:ty => $ty:ty, $null:ty;)*) => {$(
        impl<$($generics)*> Operand<$ty> for $literal {
            type Null = $null;
            type Kind = Scalar;

            fn operand(self) -> Expr {
                literal(&self)
            }
        }
    )*};
}

literals! {
    [T: Serialize] T => T, Required;
    [T: Serialize] &T => T, Required;
    [T: Serialize] Option<T> => T, Optional;
    [] &str => String, Required;
    [] &str => SmolStr, Required;
    [] &str => Box<str>, Required;
    [] &str => Arc<str>, Required;
    [] &str => Cow<'static, str>, Required;
}

/// Types whose values are texts in JSON.
#[diagnostic::on_unimplemented(message = "values of type `{Self}` are not texts")]
pub trait Text {}

impl Text for String {}
impl Text for SmolStr {}
impl Text for Box<str> {}
impl Text for Arc<str> {}
impl Text for Cow<'static, str> {}

/// Types whose values are numbers in JSON.
#[diagnostic::on_unimplemented(message = "values of type `{Self}` are not numbers")]
pub trait Number {
    /// The type of their sums.
    type Sum;
}

macro_rules! numbers {
    ($($ty:ty => $sum:ty;)*) => {$(
        impl Number for $ty {
            type Sum = $sum;
        }
    )*};
}

numbers! {
    i8 => i64; i16 => i64; i32 => i64; i64 => i64; isize => i64; i128 => i128;
    u8 => u64; u16 => u64; u32 => u64; u64 => u64; usize => u64; u128 => u128;
    f32 => f64; f64 => f64;
}

/// What `filter` and joins take: a condition on a row.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a condition on rows",
    label = "not a condition on rows",
    note = "a condition is a column or an expression with values of type `bool`; one with an aggregate is a condition on groups, for `having`"
)]
pub trait Condition {
    /// The condition as data.
    fn condition(self) -> Expr;
}

/// What `having` takes: a condition on a group.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a condition",
    label = "not a column or an expression with values of type `bool`"
)]
pub trait GroupCondition {
    /// The condition as data.
    fn group_condition(self) -> Expr;
}

impl<N: Nullability> Condition for Column<bool, N> {
    fn condition(self) -> Expr {
        self.into_ir()
    }
}

impl<N: Nullability> Condition for TypedExpr<bool, N, Scalar> {
    fn condition(self) -> Expr {
        self.into_ir()
    }
}

impl<N: Nullability> GroupCondition for Column<bool, N> {
    fn group_condition(self) -> Expr {
        self.into_ir()
    }
}

impl<N: Nullability, K: Kind> GroupCondition for TypedExpr<bool, N, K> {
    fn group_condition(self) -> Expr {
        self.into_ir()
    }
}

/// What `group_by` takes: a column, an expression of a row, or a tuple of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be grouped by",
    label = "not a column, an expression of a row, or a tuple of them"
)]
pub trait GroupKeys {
    /// The keys as data.
    fn keys(self) -> Vec<Expr>;
}

/// What `order_by` takes: a column or an expression, ascending, one with `.asc()` or `.desc()`, or a
/// tuple of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be ordered by",
    label = "not a column, an expression, or a tuple of them"
)]
pub trait OrderKeys {
    /// The keys as data.
    fn order(self) -> Vec<OrderBy>;
}

impl<T: 'static, N: Nullability> GroupKeys for Column<T, N> {
    fn keys(self) -> Vec<Expr> {
        vec![self.into_ir()]
    }
}

impl<T: 'static, N: Nullability> GroupKeys for TypedExpr<T, N, Scalar> {
    fn keys(self) -> Vec<Expr> {
        vec![self.into_ir()]
    }
}

impl OrderKeys for OrderBy {
    fn order(self) -> Vec<OrderBy> {
        vec![self]
    }
}

impl<T: 'static, N: Nullability> OrderKeys for Column<T, N> {
    fn order(self) -> Vec<OrderBy> {
        vec![self.into_ir().into()]
    }
}

impl<T: 'static, N: Nullability, K: Kind> OrderKeys for TypedExpr<T, N, K> {
    fn order(self) -> Vec<OrderBy> {
        vec![self.into_ir().into()]
    }
}

macro_rules! tuples {
    ($($name:ident $i:tt),+) => {
        impl<$($name: GroupKeys),+> GroupKeys for ($($name,)+) {
            fn keys(self) -> Vec<Expr> {
                let mut keys = Vec::new();
                $(keys.extend(self.$i.keys());)+
                keys
            }
        }

        impl<$($name: OrderKeys),+> OrderKeys for ($($name,)+) {
            fn order(self) -> Vec<OrderBy> {
                let mut order = Vec::new();
                $(order.extend(self.$i.order());)+
                order
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
