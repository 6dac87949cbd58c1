//! Typed expressions: a shell of types around the IR's.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::column::{Column, ColumnSet, Path};
use super::kind::{Kind, Nullability, Optional, Required, Scalar};
use crate::query::{Entry, Expr, Function};
use crate::value::{Value, from_value, to_value};

/// What has a value for each row or group, and can be selected.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an expression of the query",
    label = "neither a column, nor an expression, nor a tuple or a selection of them",
    note = "a constant is selected by `lit(…)`, a struct by its `…Select`"
)]
pub trait Expression {
    /// The type of the values that are not null.
    type Type;
    /// Whether values may be null or missing.
    type Null: Nullability;
    /// Whether it is computed of a row or of a group.
    type Kind: Kind;
    /// The columns of a subquery that selects it.
    type Columns;
    /// Whether its values are objects, which can be rows.
    const IS_OBJECT: bool = false;

    /// The expression as data.
    fn into_ir(self) -> Expr;
}

/// The Rust type of an expression's values.
pub type ValueOf<E> = <<E as Expression>::Null as Nullability>::Of<<E as Expression>::Type>;

/// An expression with values of type `T`, or, where it is [`Optional`], `Option<T>`.
///
/// Methods make new ones of columns and expressions; their operands are columns, expressions, and
/// Rust values.
pub struct TypedExpr<T, N = Required, K = Scalar> {
    ir: Expr,
    marker: Marker<T, N, K>,
}

/// The types that an expression has in Rust alone.
pub(super) type Marker<T, N, K> = PhantomData<fn() -> (T, N, K)>;

impl<T, N, K> TypedExpr<T, N, K> {
    /// An expression of the IR with a type: the caller's word.
    pub fn new(ir: Expr) -> Self {
        TypedExpr {
            ir,
            marker: PhantomData,
        }
    }

    /// The same expression with values of another type: the caller's word, nothing is converted.
    #[must_use]
    pub fn typed<U>(self) -> TypedExpr<U, N, K> {
        TypedExpr::new(self.ir)
    }
}

impl<T, N, K> Clone for TypedExpr<T, N, K> {
    fn clone(&self) -> Self {
        TypedExpr::new(self.ir.clone())
    }
}

impl<T, N, K> fmt::Debug for TypedExpr<T, N, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ir.fmt(f)
    }
}

impl<T: 'static, N: Nullability, K: Kind> Expression for TypedExpr<T, N, K> {
    type Type = T;
    type Null = N;
    type Kind = K;
    type Columns = Column<T, N>;

    fn into_ir(self) -> Expr {
        self.ir
    }
}

/// A constant.
pub fn lit<T: Serialize>(value: T) -> TypedExpr<T> {
    TypedExpr::new(literal(&value))
}

/// A constant text.
pub fn text(value: &str) -> TypedExpr<String> {
    TypedExpr::new(value.into())
}

/// The engine's clock, in milliseconds since 1970, for comparisons in `filter`.
pub fn now() -> TypedExpr<i64> {
    TypedExpr::new(Expr::Call(Function::Now, Vec::new()))
}

impl<T, N, K> From<TypedExpr<T, N, K>> for Expr {
    fn from(expr: TypedExpr<T, N, K>) -> Expr {
        expr.ir
    }
}

/// An array of values; a constant where all are.
pub(super) fn array(values: Vec<Expr>) -> Expr {
    let constants: Option<Vec<Value>> = values.iter().map(|v| v.as_constant().cloned()).collect();
    match constants {
        Some(constants) => Expr::Value(constants.into()),
        None => Expr::Call(Function::Array, values),
    }
}

/// A value of a Rust type as a constant.
pub(super) fn literal<T: Serialize + ?Sized>(value: &T) -> Expr {
    match to_value(value) {
        Ok(value) => Expr::Value(value),
        // The builder's verbs do not fail. This is refused when the query is installed, by name.
        Err(error) => Expr::Ref(vec![smol_str::format_smolstr!(
            "a constant that JSON cannot hold: {error}"
        )]),
    }
}

/// A function of Rust's of the value of an expression, or of a tuple of them. `name` is what plans
/// call it.
///
/// It must give the same value for the same arguments. Where it panics, or the argument is not of
/// its type, the value is null.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use tailwater::{Collection, query::{Query, closure}};
/// # #[derive(Serialize, Deserialize, Collection)]
/// # struct Word { id: String, text: String, rank: i64 }
/// let palindromes = Query::from::<Word>("w").filter(|w| {
///     closure("palindrome", w.text, |text: String| text.chars().eq(text.chars().rev()))
/// });
/// let scored = Query::from::<Word>("w").select(|w| {
///     closure("score", (w.text, w.rank), |(text, rank)| text.len() as i64 * rank)
/// });
/// ```
pub fn closure<E: Expression, R: Serialize>(
    name: &str,
    args: E,
    function: impl Fn(ValueOf<E>) -> R + Send + Sync + 'static,
) -> TypedExpr<R, Optional, E::Kind>
where
    ValueOf<E>: DeserializeOwned,
{
    let value_of = move |value: &Value| {
        let arg = from_value(value.as_ref()).ok()?;
        to_value(&function(arg)).ok()
    };
    TypedExpr::new(Expr::closure(name, [args.into_ir()], move |args| {
        args.first().and_then(&value_of).unwrap_or(Value::Null)
    }))
}

macro_rules! tuples {
    ($($name:ident $i:tt $label:literal),+) => {
        impl<$($name: Expression),+> Expression for ($($name,)+) {
            type Type = ($(ValueOf<$name>,)+);
            type Null = Required;
            type Kind = tuples!(@kind $($name)+);
            type Columns = ($($name::Columns,)+);
            const IS_OBJECT: bool = true;

            fn into_ir(self) -> Expr {
                Expr::Object(vec![$(Entry::Field($label.into(), self.$i.into_ir()),)+])
            }
        }

        impl<$($name: ColumnSet),+> ColumnSet for ($($name,)+) {
            type Optional = ($($name::Optional,)+);

            fn at(path: Path) -> Self {
                ($($name::at(path.field($label)),)+)
            }

            fn optional(self) -> Self::Optional {
                ($(self.$i.optional(),)+)
            }
        }
    };
    (@kind $last:ident) => { $last::Kind };
    (@kind $first:ident $($rest:ident)+) => {
        <$first::Kind as Kind>::And<tuples!(@kind $($rest)+)>
    };
}

tuples!(A 0 "0");
tuples!(A 0 "0", B 1 "1");
tuples!(A 0 "0", B 1 "1", C 2 "2");
tuples!(A 0 "0", B 1 "1", C 2 "2", D 3 "3");
tuples!(A 0 "0", B 1 "1", C 2 "2", D 3 "3", E 4 "4");
tuples!(A 0 "0", B 1 "1", C 2 "2", D 3 "3", E 4 "4", F 5 "5");
tuples!(A 0 "0", B 1 "1", C 2 "2", D 3 "3", E 4 "4", F 5 "5", G 6 "6");
tuples!(A 0 "0", B 1 "1", C 2 "2", D 3 "3", E 4 "4", F 5 "5", G 6 "6", H 7 "7");
tuples!(A 0 "0", B 1 "1", C 2 "2", D 3 "3", E 4 "4", F 5 "5", G 6 "6", H 7 "7", I 8 "8");
tuples!(A 0 "0", B 1 "1", C 2 "2", D 3 "3", E 4 "4", F 5 "5", G 6 "6", H 7 "7", I 8 "8", J 9 "9");
tuples!(A 0 "0", B 1 "1", C 2 "2", D 3 "3", E 4 "4", F 5 "5", G 6 "6", H 7 "7", I 8 "8", J 9 "9", K 10 "10");
tuples!(A 0 "0", B 1 "1", C 2 "2", D 3 "3", E 4 "4", F 5 "5", G 6 "6", H 7 "7", I 8 "8", J 9 "9", K 10 "10", L 11 "11");

/// What fills a field of type `F` in a selection.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not fill a field of type `{F}`",
    label = "its values are not of type `{F}`"
)]
pub trait Fills<F>: Expression {}

impl<E: Expression, F> Fills<F> for E where E::Null: Fits<E::Type, F> {}

/// How values of type `T` that may be null, or not, become values of type `F`.
#[diagnostic::on_unimplemented(
    message = "an expression of type `{T}` ({Self}) does not fill a field of type `{F}`",
    label = "the field is of type `{F}`",
    note = "what may be null needs an `Option`, or `coalesce`"
)]
pub trait Fits<T, F>: Nullability {}

impl<T> Fits<T, T> for Required {}
impl<T> Fits<T, Option<T>> for Required {}
impl<T> Fits<T, Option<T>> for Optional {}
