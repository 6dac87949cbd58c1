//! Columns: typed paths into the rows of a query's sources.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{LazyLock, Mutex, PoisonError};

use smol_str::SmolStr;

use super::expression::Expression;
use super::kind::{Nullability, Optional, Required, Scalar};
use crate::query::Expr;

/// A path into a query's rows: alias, field, nested fields.
///
/// Paths are kept for as long as the program runs, one copy of each, so that columns can be copied.
#[derive(Clone, Copy)]
pub struct Path(&'static [SmolStr]);

impl Path {
    /// Where the rows are as a whole, as in a union.
    pub const ROOT: Path = Path(&[]);

    /// The path of a source.
    pub fn of(alias: &str) -> Path {
        Path::ROOT.field(alias)
    }

    /// The path of a field of what is here.
    #[must_use]
    pub fn field(self, name: &str) -> Path {
        static KNOWN: LazyLock<Mutex<HashSet<&'static [SmolStr]>>> = LazyLock::new(Mutex::default);
        let mut steps = self.0.to_vec();
        steps.push(name.into());
        // A set that a panic interrupted is still a set.
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        Path(match known.get(&steps[..]) {
            Some(path) => path,
            None => {
                let path: &'static [SmolStr] = Box::leak(steps.into_boxed_slice());
                known.insert(path);
                path
            }
        })
    }

    /// The path as an expression.
    pub(super) fn ir(self) -> Expr {
        Expr::Ref(self.0.to_vec())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// A column with values of type `T`, or, where it is [`Optional`], `Option<T>`.
///
/// Columns come from `#[derive(Collection)]` and `#[derive(Projection)]`, and closures of the
/// builder receive those of their query's sources.
pub struct Column<T, N = Required> {
    path: Path,
    marker: PhantomData<fn() -> (T, N)>,
}

impl<T, N> Column<T, N> {
    /// The column at a path.
    pub fn at_path(path: Path) -> Self {
        Column {
            path,
            marker: PhantomData,
        }
    }

    /// Where it is.
    pub fn path(self) -> Path {
        self.path
    }

    /// The column of a nested field, by its name. That there is such a field, and its type, is the
    /// caller's word. With `#[derive(Projection)]` on the nested type, [`fields`](Self::fields)
    /// knows them.
    pub fn field<U>(self, name: &str) -> Column<U, N> {
        Column::at_path(self.path.field(name))
    }

    /// The same column with values of another type: the caller's word, nothing is converted.
    pub fn typed<U>(self) -> Column<U, N> {
        Column::at_path(self.path)
    }
}

impl<T: super::Projection> Column<T, Required> {
    /// The columns of the nested fields.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use tailwater::query::Query;
    /// use tailwater::{Collection, Projection};
    ///
    /// #[derive(Serialize, Deserialize, Projection)]
    /// struct Address { city: String }
    /// #[derive(Serialize, Deserialize, Collection)]
    /// struct User { id: String, address: Address }
    ///
    /// let viennese = Query::from::<User>("u").filter(|u| u.address.fields().city.eq("Vienna"));
    /// ```
    pub fn fields(self) -> T::Columns {
        T::Columns::at(self.path)
    }
}

impl<T: super::Projection> Column<T, Optional> {
    /// The columns of the nested fields.
    pub fn fields(self) -> <T::Columns as ColumnSet>::Optional {
        ColumnSet::at(self.path)
    }
}

impl<T, N> Clone for Column<T, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, N> Copy for Column<T, N> {}

impl<T, N> fmt::Debug for Column<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

impl<T: 'static, N: Nullability> Expression for Column<T, N> {
    type Type = T;
    type Null = N;
    type Kind = Scalar;
    type Columns = Self;

    fn into_ir(self) -> Expr {
        self.path.ir()
    }
}

/// The columns of a source, which closures of the builder receive: a struct with a [`Column`] for
/// each field, a tuple of these, or one column.
pub trait ColumnSet: Expression<Columns = Self> + Copy + 'static {
    /// The columns of the same source on the side of an outer join where rows may be missing.
    type Optional: ColumnSet;

    /// The columns of the source at a path.
    fn at(path: Path) -> Self;

    /// The columns of the same source where rows may be missing.
    fn optional(self) -> Self::Optional;
}

impl<T: 'static, N: Nullability> ColumnSet for Column<T, N> {
    type Optional = Column<T, Optional>;

    fn at(path: Path) -> Self {
        Column::at_path(path)
    }

    fn optional(self) -> Column<T, Optional> {
        Column::at_path(self.path)
    }
}
