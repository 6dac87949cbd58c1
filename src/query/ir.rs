//! The query IR. Field for field what DESIGN's query JSON says.

use smol_str::SmolStr;

use super::function::{AggregateFunction, Function};
use crate::value::{Direction, Nulls, Value};

/// A query. Clauses apply in this order: `from` and `joins`, `filters`, `group_by`, `having`,
/// `select`, `distinct`, `order_by`, `offset` and `limit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The first source.
    pub from: Source,
    /// Further sources, joined from left to right.
    pub joins: Vec<Join>,
    /// `where`: conditions that must all be exactly true.
    pub filters: Vec<Expr>,
    /// What the groups are keyed by; empty without `groupBy`.
    pub group_by: Vec<Expr>,
    /// Conditions on groups.
    pub having: Vec<Expr>,
    /// What a result row is made of; without it the row itself, or `{alias: row}` of a join.
    pub select: Option<Projection>,
    /// Whether equal result rows are one.
    pub distinct: bool,
    /// The order of the result.
    pub order_by: Vec<OrderBy>,
    /// How many rows at most.
    pub limit: Option<usize>,
    /// How many rows of the order are skipped.
    pub offset: usize,
    /// Whether the result is the first row alone (`findOne`).
    pub single: bool,
}

/// A source of rows under an alias.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A collection.
    Collection {
        /// Its name.
        name: SmolStr,
        /// What the query calls it.
        alias: SmolStr,
    },
    /// The result of another query.
    Query {
        /// The query.
        query: Box<Query>,
        /// What the outer query calls it.
        alias: SmolStr,
    },
}

impl Source {
    /// The alias.
    pub fn alias(&self) -> &SmolStr {
        match self {
            Source::Collection { alias, .. } | Source::Query { alias, .. } => alias,
        }
    }
}

/// Which rows without a match a join keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the sources before it.
    Left,
    /// Those of the joined source.
    Right,
    /// Those of both sides.
    Full,
    /// Every pair of rows, without a condition.
    Cross,
}

impl JoinKind {
    /// The name in query JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            JoinKind::Inner => "inner",
            JoinKind::Left => "left",
            JoinKind::Right => "right",
            JoinKind::Full => "full",
            JoinKind::Cross => "cross",
        }
    }

    /// Whether unmatched rows of the left side stay.
    pub fn keeps_left(self) -> bool {
        matches!(self, JoinKind::Left | JoinKind::Full)
    }

    /// Whether unmatched rows of the right side stay.
    pub fn keeps_right(self) -> bool {
        matches!(self, JoinKind::Right | JoinKind::Full)
    }
}

/// One more source and how its rows match.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Which unmatched rows stay.
    pub kind: JoinKind,
    /// The source.
    pub source: Source,
    /// The condition: an equality between both sides, or an `and` that holds one; of a cross join
    /// none.
    pub on: Option<Expr>,
}

/// An expression over the sources' rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A path: alias, field, nested fields. `$selected` as alias names a field of `select`, and
    /// `$key` as field the row's key.
    Ref(Vec<SmolStr>),
    /// A constant.
    Value(Value),
    /// A function call.
    Call(Function, Vec<Expr>),
    /// An aggregate over the group, of its value and what else it takes.
    Aggregate(AggregateFunction, Vec<Expr>),
}

impl Expr {
    /// The constant, if it is one.
    pub(super) fn as_constant(&self) -> Option<&Value> {
        match self {
            Expr::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Whether an aggregate occurs in it.
    pub fn has_aggregate(&self) -> bool {
        match self {
            Expr::Ref(_) | Expr::Value(_) => false,
            Expr::Call(_, args) => args.iter().any(Expr::has_aggregate),
            Expr::Aggregate(..) => true,
        }
    }
}

/// What `select` makes of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Projection {
    /// The value of an expression.
    Expr(Expr),
    /// An object of named parts, in the author's order.
    Object(Vec<(SmolStr, Projection)>),
}

impl Projection {
    /// Whether an aggregate occurs in it.
    pub fn has_aggregate(&self) -> bool {
        match self {
            Projection::Expr(expr) => expr.has_aggregate(),
            Projection::Object(fields) => fields.iter().any(|(_, p)| p.has_aggregate()),
        }
    }
}

/// One component of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderBy {
    /// What to order by.
    pub expr: Expr,
    /// Ascending or descending.
    pub direction: Direction,
    /// Where null and missing stand.
    pub nulls: Nulls,
}
