//! What is computed of columns and expressions. `docs/queries.md` tells what each does with null;
//! types tell where null comes out.

use std::marker::PhantomData;

use super::column::Column;
use super::expression::{Expression, Marker, TypedExpr};
use super::kind::{Aggregate, Kind, Nullability, Optional, Required, Scalar};
use super::operand::{Number, Operand, Text};
use crate::query::{AggregateFunction, Expr, Function, OrderBy};

/// Null where one of the operands may be, and of a group where one of them is.
type Both<T, N, K, TO, O> = TypedExpr<
    T,
    <N as Nullability>::Or<<O as Operand<TO>>::Null>,
    <K as Kind>::And<<O as Operand<TO>>::Kind>,
>;

/// Of a group where one of the operands is.
type Joint<T, N, K, TO, O> = TypedExpr<T, N, <K as Kind>::And<<O as Operand<TO>>::Kind>>;

macro_rules! comparisons {
    ($kind:ty; $($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name<O: Operand<T>>(self, other: O) -> Both<bool, N, $kind, T, O> {
            TypedExpr::new(self.into_ir().$name(other.operand()))
        }
    )*};
}

macro_rules! text_conditions {
    ($kind:ty; $($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name<O: Operand<String>>(self, other: O) -> Both<bool, N, $kind, String, O>
        where
            T: Text,
        {
            TypedExpr::new(self.into_ir().$name(other.operand()))
        }
    )*};
}

macro_rules! arithmetic {
    ($kind:ty; $($(#[$doc:meta])* $name:ident -> $ty:ty, $null:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        #[allow(clippy::should_implement_trait, reason = "a trait's method gives one type, whatever the operand")]
        pub fn $name<O: Operand<T>>(self, other: O) -> Joint<$ty, $null, $kind, T, O>
        where
            T: Number,
        {
            TypedExpr::new(self.into_ir().$name(other.operand()))
        }
    )*};
}

macro_rules! calls {
    ($kind:ty; $($(#[$doc:meta])* $name:ident($($arg:ident: $in:ty),*) -> $ty:ty, $null:ty $(where $of:ident)?;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(self $(, $arg: $in)*) -> TypedExpr<$ty, $null, $kind>
        $(where T: $of)?
        {
            TypedExpr::new(self.into_ir().$name($($arg),*))
        }
    )*};
}

macro_rules! methods {
    ($self:ty, $kind:ty; $($generics:tt)*) => {
        impl<T: 'static, N: Nullability, $($generics)*> $self {
            comparisons! { $kind;
                /// Whether both are equal; null where one of them is.
                eq
                /// Whether both differ; null where one of them is.
                ne
                /// Whether it is greater; null where one of them is.
                gt
                /// Whether it is greater or equal; null where one of them is.
                gte
                /// Whether it is less; null where one of them is.
                lt
                /// Whether it is less or equal; null where one of them is.
                lte
            }

            /// Whether it is one of the operands; null if it is null.
            #[must_use]
            pub fn in_list<O: Operand<T>>(
                self,
                list: impl IntoIterator<Item = O>,
            ) -> Joint<bool, N, $kind, T, O> {
                let list: Vec<Expr> = list.into_iter().map(Operand::operand).collect();
                TypedExpr::new(self.into_ir().in_list(super::array(list)))
            }

            /// The value, or the other one where it is null.
            #[must_use]
            pub fn coalesce<O: Operand<T>>(self, other: O) -> Joint<T, O::Null, $kind, T, O> {
                TypedExpr::new(self.into_ir().coalesce(other.operand()))
            }

            text_conditions! { $kind;
                /// Whether it matches a pattern of `%` (anything) and `_` (one UTF-16 unit).
                like
                /// As [`like`](Self::like), whatever the case.
                ilike
                /// Whether it starts with a text.
                starts_with
                /// Whether it ends with a text.
                ends_with
                /// Whether a regular expression matches somewhere in it.
                regex_match
            }

            /// Both as one text; null is empty.
            #[must_use]
            pub fn concat<O: Operand<String>>(
                self,
                other: O,
            ) -> Joint<String, Required, $kind, String, O> {
                TypedExpr::new(self.into_ir().concat(other.operand()))
            }

            arithmetic! { $kind;
                /// The sum; null counts as 0.
                add -> T, Required;
                /// The difference; null counts as 0.
                sub -> T, Required;
                /// The product; null counts as 0.
                mul -> T, Required;
                /// The quotient, not rounded; null for a divisor of 0.
                div -> f64, Optional;
                /// The remainder, with the sign of the first; null for a divisor of 0.
                rem -> T, Optional;
                /// The power; null where it is no number.
                power -> f64, Optional;
            }

            calls! { $kind;
                /// Whether it is null; never null itself.
                is_null() -> bool, Required;
                /// Whether it is missing; never null itself.
                is_missing() -> bool, Required;
                /// In upper case.
                upper() -> T, N where Text;
                /// In lower case.
                lower() -> T, N where Text;
                /// Without white space at its ends.
                trim() -> T, N where Text;
                /// UTF-16 units of a text, elements of an array, 0 of anything else.
                length() -> i64, Required;
                /// The part from a UTF-16 unit on, from the end if negative, so many units long.
                substring(start: i64, length: i64) -> T, N where Text;
                /// With all occurrences of a text replaced by another one.
                replace(find: &str, with: &str) -> T, N where Text;
                /// What stands between separators.
                split(separator: &str) -> Vec<T>, N where Text;
                /// The magnitude.
                abs() -> T, N where Number;
                /// The greatest whole number not above it.
                floor() -> T, N where Number;
                /// The least whole number not below it.
                ceil() -> T, N where Number;
                /// To so many decimal digits, halves away from zero.
                round(digits: i64) -> T, N where Number;
                /// The date of a time, as `YYYY-MM-DD` in UTC; null of what is no time.
                date() -> String, Optional;
                /// A time as ISO 8601 in UTC; null of what is no time.
                datetime() -> String, Optional;
                /// A time by `strftime`'s letters, in UTC; null of what is no time.
                strftime(format: &str) -> String, Optional;
                /// A time in milliseconds since 1970; null of what is no time.
                to_timestamp() -> i64, Optional;
                /// The start of the unit (`day`, `week`, `month`, …) a time lies in, in UTC, in
                /// milliseconds since 1970; null of what is no time.
                date_trunc(unit: &str) -> i64, Optional;
                /// A part (`year`, `dayOfWeek`, `hour`, …) of a time, in UTC; null of what is no
                /// time.
                date_extract(part: &str) -> i64, Optional;
            }

            /// A function of this value and further arguments. That its values are of type `U` is
            /// the caller's word.
            #[must_use]
            pub fn call<U>(
                self,
                function: Function,
                args: impl IntoIterator<Item = Expr>,
            ) -> TypedExpr<U, Optional, $kind> {
                TypedExpr::new(self.into_ir().call(function, args))
            }

            /// An expression that is there: the caller's word that it is not null.
            #[must_use]
            pub fn assume_some(self) -> TypedExpr<T, Required, $kind> {
                TypedExpr::new(self.into_ir())
            }

            /// In ascending order, nulls first.
            pub fn asc(self) -> OrderBy {
                self.into_ir().asc()
            }

            /// In descending order, nulls first.
            pub fn desc(self) -> OrderBy {
                self.into_ir().desc()
            }
        }
    };
}

macro_rules! logic {
    ($self:ty, $kind:ty; $($generics:tt)*) => {
        impl<N: Nullability, $($generics)*> $self {
            /// Whether both are true: null where that depends on a null.
            #[must_use]
            pub fn and<O: Operand<bool>>(self, other: O) -> Both<bool, N, $kind, bool, O> {
                TypedExpr::new(self.into_ir().and(other.operand()))
            }

            /// Whether one of them is true: null where that depends on a null.
            #[must_use]
            pub fn or<O: Operand<bool>>(self, other: O) -> Both<bool, N, $kind, bool, O> {
                TypedExpr::new(self.into_ir().or(other.operand()))
            }

            /// Whether it is false; null where it is null.
            #[allow(clippy::should_implement_trait)]
            #[must_use]
            pub fn not(self) -> TypedExpr<bool, N, $kind> {
                TypedExpr::new(self.into_ir().not())
            }
        }
    };
}

macro_rules! aggregates {
    ($($self:ty),*) => {$(
        /// Aggregates over the rows of a group, which skip nulls.
        impl<T: 'static, N: Nullability> $self {
            /// How many values there are; 0 of none.
            #[must_use]
            pub fn count(self) -> TypedExpr<i64, Required, Aggregate> {
                TypedExpr::new(self.into_ir().count())
            }

            /// How many different values there are; 0 of none.
            #[must_use]
            pub fn count_distinct(self) -> TypedExpr<i64, Required, Aggregate> {
                TypedExpr::new(self.into_ir().count_distinct())
            }

            /// Their sum, exact on integers; 0 of none.
            #[must_use]
            pub fn sum(self) -> TypedExpr<T::Sum, Required, Aggregate>
            where
                T: Number,
            {
                TypedExpr::new(self.into_ir().sum())
            }

            /// The least; null of none.
            #[must_use]
            pub fn min(self) -> TypedExpr<T, Optional, Aggregate> {
                TypedExpr::new(self.into_ir().min())
            }

            /// The greatest; null of none.
            #[must_use]
            pub fn max(self) -> TypedExpr<T, Optional, Aggregate> {
                TypedExpr::new(self.into_ir().max())
            }

            /// Their mean; null of none.
            #[must_use]
            pub fn avg(self) -> TypedExpr<f64, Optional, Aggregate>
            where
                T: Number,
            {
                TypedExpr::new(self.into_ir().avg())
            }

            /// The middle, interpolated between two; null of none.
            #[must_use]
            pub fn median(self) -> TypedExpr<f64, Optional, Aggregate>
            where
                T: Number,
            {
                TypedExpr::new(self.into_ir().median())
            }

            /// The value below which a share, from 0 to 1, of the numbers lies; null of none.
            #[must_use]
            pub fn quantile(self, share: f64) -> TypedExpr<f64, Optional, Aggregate>
            where
                T: Number,
            {
                TypedExpr::new(self.into_ir().quantile(share))
            }

            /// The standard deviation of a sample; null of fewer than two.
            #[must_use]
            pub fn stddev(self) -> TypedExpr<f64, Optional, Aggregate>
            where
                T: Number,
            {
                TypedExpr::new(self.into_ir().stddev())
            }

            /// All of them, by row key.
            #[must_use]
            pub fn array_agg(self) -> TypedExpr<Vec<T>, Required, Aggregate> {
                TypedExpr::new(self.into_ir().array_agg())
            }

            /// The first by row key; null of none.
            #[must_use]
            pub fn first(self) -> TypedExpr<T, Optional, Aggregate> {
                TypedExpr::new(self.into_ir().first())
            }

            /// The last by row key; null of none.
            #[must_use]
            pub fn last(self) -> TypedExpr<T, Optional, Aggregate> {
                TypedExpr::new(self.into_ir().last())
            }

            /// All of them, in an order.
            #[must_use]
            pub fn array_agg_by(self, order: OrderBy) -> TypedExpr<Vec<T>, Required, Aggregate> {
                TypedExpr::new(ordered(self.into_ir(), AggregateFunction::ArrayAgg, order))
            }

            /// The first in an order; null of none.
            #[must_use]
            pub fn first_by(self, order: OrderBy) -> TypedExpr<T, Optional, Aggregate> {
                TypedExpr::new(ordered(self.into_ir(), AggregateFunction::First, order))
            }

            /// The last in an order; null of none.
            #[must_use]
            pub fn last_by(self, order: OrderBy) -> TypedExpr<T, Optional, Aggregate> {
                TypedExpr::new(ordered(self.into_ir(), AggregateFunction::Last, order))
            }
        }
    )*};
}

/// An aggregate with the order it looks at values in.
fn ordered(of: Expr, function: AggregateFunction, order: OrderBy) -> Expr {
    of.aggregate(function, [order.expr, order.direction.as_str().into()])
}

methods!(Column<T, N>, Scalar;);
methods!(TypedExpr<T, N, K>, K; K: Kind);
logic!(Column<bool, N>, Scalar;);
logic!(TypedExpr<bool, N, K>, K; K: Kind);
aggregates!(Column<T, N>, TypedExpr<T, N, Scalar>);

/// A value that depends on conditions, not yet complete: see [`when`].
#[derive(Debug)]
#[must_use = "a case is complete with `otherwise` or `end`"]
pub struct Case<T, N, K> {
    args: Vec<Expr>,
    marker: Marker<T, N, K>,
}

/// A case of one condition and value.
type Begun<C, V> = Case<
    <V as Expression>::Type,
    <V as Expression>::Null,
    <<C as Expression>::Kind as Kind>::And<<V as Expression>::Kind>,
>;

/// What a case becomes with one more condition and value.
type Extended<T, N, K, C, V> =
    Case<T, N, <<K as Kind>::And<<C as Expression>::Kind> as Kind>::And<V>>;

/// A value where a condition is true; [`otherwise`](Case::otherwise) tells what else.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use tailwater::{Collection, query::{Query, text, when}};
/// # #[derive(Serialize, Deserialize, Collection)]
/// # struct User { id: String, age: i64 }
/// let groups = Query::from::<User>("u").select(|u| {
///     (u.id, when(u.age.lt(18), text("young")).when(u.age.lt(67), "grown").otherwise("old"))
/// });
/// ```
pub fn when<C: Expression<Type = bool>, V: Expression>(condition: C, value: V) -> Begun<C, V> {
    Case {
        args: vec![condition.into_ir(), value.into_ir()],
        marker: PhantomData,
    }
}

impl<T: 'static, N: Nullability, K: Kind> Case<T, N, K> {
    /// Else, a value where another condition is true.
    pub fn when<C: Expression<Type = bool>, O: Operand<T>>(
        mut self,
        condition: C,
        value: O,
    ) -> Extended<T, N::Or<O::Null>, K, C, O::Kind> {
        self.args.extend([condition.into_ir(), value.operand()]);
        Case {
            args: self.args,
            marker: PhantomData,
        }
    }

    /// The value where none of the conditions is true.
    #[must_use]
    pub fn otherwise<O: Operand<T>>(mut self, value: O) -> Both<T, N, K, T, O> {
        self.args.push(value.operand());
        TypedExpr::new(Expr::Call(Function::CaseWhen, self.args))
    }

    /// Null where none of the conditions is true.
    #[must_use]
    pub fn end(self) -> TypedExpr<T, Optional, K> {
        TypedExpr::new(Expr::Call(Function::CaseWhen, self.args))
    }
}
