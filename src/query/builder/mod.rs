//! Queries written in Rust, typed and untyped.
//!
//! Both make the same data, an IR [`Query`](super::Query). Of the typed one, a wrong type, an unknown
//! column or a column of a source that is not in the query do not compile:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tailwater::query::{Query, col};
//! use tailwater::{Collection, Projection};
//!
//! #[derive(Serialize, Deserialize, Collection)]
//! #[collection(name = "users", type = "user", key = "id")]
//! struct User { id: String, name: String, active: bool, age: i64 }
//!
//! #[derive(Serialize, Deserialize, Collection)]
//! #[collection(name = "messages", type = "message", key = "id")]
//! struct Message { id: String, user_id: String, text: String }
//!
//! #[derive(Serialize, Deserialize, Projection)]
//! struct Line { name: String, text: Option<String> }
//!
//! let lines = Query::from::<User>("u")
//!     .left_join::<Message>("m", |u, m| u.id.eq(m.user_id))
//!     .filter(|u, _| u.active.and(u.age.gt(18)))
//!     .order_by(|u, _| (u.age.desc(), u.name))
//!     .select(|u, m| LineSelect { name: u.name, text: m.text })
//!     .limit(10);
//!
//! let the_same = Query::from_collection("users", "u")
//!     .left_join(("messages", "m"), col("u.id").eq(col("m.user_id")))
//!     .filter(col("u.active").and(col("u.age").gt(18)))
//!     .order_by([col("u.age").desc(), col("u.name").asc()])
//!     .select([("name", col("u.name")), ("text", col("m.text"))])
//!     .limit(10);
//! assert_eq!(*lines.ir(), the_same);
//! ```

mod column;
mod dynamic;
mod expression;
mod kind;
mod methods;
mod operand;
mod rows;
mod sources;
mod subquery;
mod typed;

use serde::de::DeserializeOwned;

pub use column::{Column, ColumnSet, Path};
pub use dynamic::{IntoPath, col};
pub use expression::{Expression, Fills, Fits, TypedExpr, ValueOf, closure, lit, now, text};
pub use kind::{Aggregate, Kind, Nullability, Optional, Required, Scalar};
pub use methods::{Case, when};
pub use operand::{Condition, GroupCondition, GroupKeys, Number, Operand, OrderKeys, Text};
pub use rows::{Grouped, Rows, Selected, Unselected, Whole};
pub use subquery::{Include, Subquery, include, include_one};

pub use typed::QueryBuilder;

use expression::array;

/// A Rust struct whose fields a `select` fills; derived with `#[derive(Projection)]`, and by
/// `#[derive(Collection)]` too.
///
/// Of a struct `Line` it makes `LineSelect`, which has an expression for each field of `Line`, and
/// `LineColumns`, the columns of a subquery that selects it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection",
    note = "use `#[derive(tailwater::Projection)]`"
)]
pub trait Projection: DeserializeOwned + 'static {
    /// The columns of a subquery that selects it.
    type Columns: ColumnSet;
}
