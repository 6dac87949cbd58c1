//! The query IR. Field for field what `docs/queries.md` says.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::error::QueryError;
use super::function::{AggregateFunction, Function};
use super::over::Over;
use crate::value::{Collation, Direction, Nulls, Value};

/// A query. Clauses apply in this order: `from` and `joins`, `filters`, `group_by`, `having`,
/// `select`, `distinct`, `order_by`, `offset` and `limit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `withRecursive`: queries by name that may refer to themselves and to each other.
    pub recursive: Vec<(SmolStr, Query)>,
    /// After how many rounds a recursion ends that has not reached its fixed point.
    pub max_rounds: Option<u64>,
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
    /// An [`Expr::Object`], or a source as a whole.
    pub select: Option<Expr>,
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
        /// Further fields of its rows, each made of the rows around.
        over: Vec<(SmolStr, Over)>,
    },
    /// The rows of all sources: each has a value under its own source's alias only.
    UnionFrom(Vec<Source>),
    /// The results of all queries. Paths start with a field of theirs.
    UnionAll(Vec<Query>),
}

impl Source {
    /// The alias; unions have none.
    pub fn alias(&self) -> Option<&SmolStr> {
        match self {
            Source::Collection { alias, .. } | Source::Query { alias, .. } => Some(alias),
            Source::UnionFrom(_) | Source::UnionAll(_) => None,
        }
    }
}

/// Which rows without a match a join keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The rows before it that have a partner, each once and alone; behind all other joins.
    Semi,
    /// The rows before it that have no partner; behind all other joins.
    Anti,
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
            JoinKind::Semi => "semi",
            JoinKind::Anti => "anti",
        }
    }

    /// Whether the joined source is only looked at.
    pub fn is_test(self) -> bool {
        matches!(self, JoinKind::Semi | JoinKind::Anti)
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

/// Steps of a path, each of which is a level of the expression. Values from JSON are not deeper.
const MAX_PATH: usize = 128;

/// An expression over the sources' rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A path: alias, field, nested fields. `$selected` as alias names a field of `select`, and
    /// `$key` as field the row's key; of a collection's row, `$synced` and `$origin` say whether a
    /// pending transaction has a hand in it. Over a union, a path may start with a field; the empty
    /// path is its whole row.
    Ref(Vec<SmolStr>),
    /// A constant.
    Value(Value),
    /// A function call.
    Call(Function, Vec<Expr>),
    /// An aggregate over the group.
    Aggregate(AggregateFunction, Vec<Expr>),
    /// An object, its entries in the author's order.
    Object(Vec<Entry>),
    /// The rows of another query for each row, in `select`.
    Include(Box<Include>),
    /// A function of Rust's.
    Closure(Closure),
}

/// A part of an [`Expr::Object`]. Of fields with one name the last wins.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A named value; left out where it is missing.
    Field(SmolStr, Expr),
    /// All fields of an object; nothing where it is none.
    Spread(Expr),
}

impl Entry {
    /// The value, or what is spread.
    pub fn expr(&self) -> &Expr {
        match self {
            Entry::Field(_, expr) | Entry::Spread(expr) => expr,
        }
    }
}

/// A query whose rows become part of each row of another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Include {
    /// The query. Its conditions may refer to the outer query's aliases.
    pub query: Query,
    /// A value of the outer query that must equal one of the inner.
    pub correlation: Option<(Expr, Expr)>,
    /// What becomes of the rows.
    pub materialization: Materialization,
    /// The field that stands for a whole row.
    pub scalar: Option<SmolStr>,
}

/// What becomes of the rows of an [`Include`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Materialization {
    /// An array of them.
    Array,
    /// The first one; missing if there is none.
    Singleton,
    /// Their texts, one after the other.
    Concat,
}

/// A Rust function of the values of expressions, for what the query model has no word for.
///
/// It must give the same value for the same arguments. A panic counts as null.
#[derive(Clone)]
pub struct Closure {
    /// What plans call it.
    pub name: SmolStr,
    /// What it is computed of.
    pub args: Vec<Expr>,
    /// What it computes.
    pub function: NativeFunction,
}

/// What a [`Closure`] computes.
pub type NativeFunction = Arc<dyn Fn(&[Value]) -> Value + Send + Sync>;

impl fmt::Debug for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.name, self.args)
    }
}

impl PartialEq for Closure {
    fn eq(&self, other: &Closure) -> bool {
        Arc::ptr_eq(&self.function, &other.function) && self.args == other.args
    }
}

impl Expr {
    /// A function of Rust's, of the values of some expressions. `name` is what plans call it.
    ///
    /// ```
    /// use tailwater::engine::Engine;
    /// use tailwater::query::{Expr, Query};
    /// use tailwater::value::{Value, ValueRef};
    ///
    /// let mut words = Query::from_json(
    ///     r#"{"from":{"type":"collectionRef","collection":"word","alias":"w"}}"#,
    /// )?;
    /// let text = Expr::Ref(vec!["w".into(), "text".into()]);
    /// words.filters.push(Expr::closure("palindrome", [text], |args| {
    ///     let ValueRef::Str(text) = args[0].as_ref() else {
    ///         return Value::Null;
    ///     };
    ///     text.chars().eq(text.chars().rev()).into()
    /// }));
    /// let mut engine = Engine::new();
    /// let palindromes = engine.install(&words)?;
    /// engine.apply(engine.decode([
    ///     r#"{"type":"word","key":"1","value":{"text":"level"},"headers":{"operation":"insert"}}"#,
    ///     r#"{"type":"word","key":"2","value":{"text":"stone"},"headers":{"operation":"insert"}}"#,
    /// ])?);
    /// let keys: Vec<String> = engine.view(palindromes).unwrap().rows().map(|row| row.key()).collect();
    /// assert_eq!(keys, ["1"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closure(
        name: impl Into<SmolStr>,
        args: impl IntoIterator<Item = Expr>,
        function: impl Fn(&[Value]) -> Value + Send + Sync + 'static,
    ) -> Expr {
        Expr::Closure(Closure {
            name: name.into(),
            args: args.into_iter().collect(),
            function: Arc::new(function),
        })
    }

    /// The constant, if it is one.
    pub(in crate::query) fn as_constant(&self) -> Option<&Value> {
        match self {
            Expr::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Checks the number of arguments of a call, those that are constant, and the length of a path.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        match self {
            Expr::Ref(path) if path.len() > MAX_PATH => {
                let message = format!("a path has at most {MAX_PATH} steps");
                Err(QueryError::new("path", message))
            }
            Expr::Call(function, args) => {
                let counted = function.check_arity(args.len());
                counted.map_err(|message| QueryError::new("args", message))?;
                let constants: Vec<_> = args.iter().map(Expr::as_constant).collect();
                function.check_constants(&constants)
            }
            Expr::Aggregate(function, args) => {
                let counted = function.check_arity(args.len());
                counted.map_err(|message| QueryError::new("args", message))?;
                if let Some(i) = args.iter().position(Expr::has_aggregate) {
                    let place = format!("args[{i}]");
                    return Err(QueryError::new(place, "an aggregate inside an aggregate"));
                }
                let constants: Vec<_> = args.iter().map(Expr::as_constant).collect();
                function.check_constants(&constants)
            }
            _ => Ok(()),
        }
    }

    /// Whether some part of it, itself included, is what is asked for; parts of included queries
    /// are not looked at.
    pub fn any(&self, what: &mut impl FnMut(&Expr) -> bool) -> bool {
        what(self)
            || match self {
                Expr::Ref(_) | Expr::Value(_) | Expr::Include(_) => false,
                Expr::Call(_, args) | Expr::Aggregate(_, args) => args.iter().any(|a| a.any(what)),
                Expr::Object(entries) => entries.iter().any(|e| e.expr().any(what)),
                Expr::Closure(closure) => closure.args.iter().any(|a| a.any(what)),
            }
    }

    /// Whether an aggregate occurs in it.
    pub fn has_aggregate(&self) -> bool {
        self.any(&mut |e| matches!(e, Expr::Aggregate(..)))
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
    /// How strings compare; by code point without.
    pub collation: Option<Collation>,
}
