//! Queries and expressions without types, verb by verb: what names and columns are is known when
//! the query is installed.

use smol_str::SmolStr;

use crate::query::{
    AggregateFunction, Entry, Expr, Function, Include, Join, JoinKind, Materialization, OrderBy,
    Query, Source,
};
use crate::value::{Collation, Direction, Nulls, Value};

/// A column by its path: alias, field, nested fields, parted by dots. A list of names says the same
/// where a name has a dot.
///
/// ```
/// use tailwater::query::{Query, col};
/// let adults = Query::from_collection("users", "u")
///     .filter(col("u.age").gte(18))
///     .order_by([col("u.age").desc()])
///     .limit(10);
/// assert_eq!(col(["u", "age"]), col("u.age"));
/// # assert_eq!(adults.limit, Some(10));
/// ```
pub fn col(path: impl IntoPath) -> Expr {
    Expr::Ref(path.into_path())
}

/// What names a column.
pub trait IntoPath {
    /// Its steps.
    fn into_path(self) -> Vec<SmolStr>;
}

impl IntoPath for &str {
    fn into_path(self) -> Vec<SmolStr> {
        self.split('.').map(SmolStr::from).collect()
    }
}

impl<const N: usize> IntoPath for [&str; N] {
    fn into_path(self) -> Vec<SmolStr> {
        self.into_iter().map(SmolStr::from).collect()
    }
}

impl IntoPath for Vec<SmolStr> {
    fn into_path(self) -> Vec<SmolStr> {
        self
    }
}

impl<V: Into<Value>> From<V> for Expr {
    fn from(value: V) -> Expr {
        Expr::Value(value.into())
    }
}

impl Source {
    /// The rows of a collection.
    pub fn collection(name: impl Into<SmolStr>, alias: impl Into<SmolStr>) -> Source {
        Source::Collection {
            name: name.into(),
            alias: alias.into(),
        }
    }

    /// The result of a query.
    pub fn query(query: impl Into<Query>, alias: impl Into<SmolStr>) -> Source {
        Source::Query {
            query: Box::new(query.into()),
            alias: alias.into(),
            over: Vec::new(),
        }
    }
}

/// The collection of a name under an alias.
impl<C: Into<SmolStr>, A: Into<SmolStr>> From<(C, A)> for Source {
    fn from((name, alias): (C, A)) -> Source {
        Source::collection(name, alias)
    }
}

impl<N: Into<SmolStr>, E: Into<Expr>> From<(N, E)> for Entry {
    fn from((name, expr): (N, E)) -> Entry {
        Entry::Field(name.into(), expr.into())
    }
}

/// The verbs. Each adds to a clause; the clauses apply in the order of [`Query`]'s fields, in
/// whatever order the verbs are called.
impl Query {
    /// All rows of a source.
    pub fn from_source(source: impl Into<Source>) -> Query {
        Query {
            recursive: Vec::new(),
            max_rounds: None,
            from: source.into(),
            joins: Vec::new(),
            filters: Vec::new(),
            group_by: Vec::new(),
            having: Vec::new(),
            select: None,
            distinct: false,
            order_by: Vec::new(),
            limit: None,
            offset: 0,
            single: false,
        }
    }

    /// All rows of a collection.
    pub fn from_collection(name: impl Into<SmolStr>, alias: impl Into<SmolStr>) -> Query {
        Query::from_source(Source::collection(name, alias))
    }

    /// Joins a source; of a pair of rows the condition must be true.
    #[must_use]
    pub fn join(self, source: impl Into<Source>, on: impl Into<Expr>) -> Query {
        self.join_as(JoinKind::Inner, source.into(), Some(on.into()))
    }

    /// As [`join`](Self::join), and the rows that match nothing of the new source stay.
    #[must_use]
    pub fn left_join(self, source: impl Into<Source>, on: impl Into<Expr>) -> Query {
        self.join_as(JoinKind::Left, source.into(), Some(on.into()))
    }

    /// As [`join`](Self::join), and the rows of the new source that match nothing stay.
    #[must_use]
    pub fn right_join(self, source: impl Into<Source>, on: impl Into<Expr>) -> Query {
        self.join_as(JoinKind::Right, source.into(), Some(on.into()))
    }

    /// As [`join`](Self::join), and the rows of both sides that match nothing stay.
    #[must_use]
    pub fn full_join(self, source: impl Into<Source>, on: impl Into<Expr>) -> Query {
        self.join_as(JoinKind::Full, source.into(), Some(on.into()))
    }

    /// Pairs every row with every row of a source.
    #[must_use]
    pub fn cross_join(self, source: impl Into<Source>) -> Query {
        self.join_as(JoinKind::Cross, source.into(), None)
    }

    /// Keeps the rows that have a partner in another source, each once; stands behind all other
    /// joins.
    #[must_use]
    pub fn semi_join(self, source: impl Into<Source>, on: impl Into<Expr>) -> Query {
        self.join_as(JoinKind::Semi, source.into(), Some(on.into()))
    }

    /// Keeps the rows that have no partner in another source; stands behind all other joins.
    #[must_use]
    pub fn anti_join(self, source: impl Into<Source>, on: impl Into<Expr>) -> Query {
        self.join_as(JoinKind::Anti, source.into(), Some(on.into()))
    }

    pub(super) fn join_as(mut self, kind: JoinKind, source: Source, on: Option<Expr>) -> Query {
        self.joins.push(Join { kind, source, on });
        self
    }

    /// Keeps the rows for which a condition is true; of several filters, all.
    #[must_use]
    pub fn filter(mut self, condition: impl Into<Expr>) -> Query {
        self.filters.push(condition.into());
        self
    }

    /// Groups the rows by the values of expressions.
    #[must_use]
    pub fn group_by<E: Into<Expr>>(mut self, keys: impl IntoIterator<Item = E>) -> Query {
        self.group_by.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Keeps the groups for which a condition is true.
    #[must_use]
    pub fn having(mut self, condition: impl Into<Expr>) -> Query {
        self.having.push(condition.into());
        self
    }

    /// Makes result rows of named values.
    ///
    /// ```
    /// use tailwater::query::{Query, col};
    /// let by_city = Query::from_collection("users", "u")
    ///     .group_by([col("u.city")])
    ///     .select([("city", col("u.city")), ("n", col("u.id").count())]);
    /// # assert!(by_city.select.is_some());
    /// ```
    #[must_use]
    pub fn select<E: Into<Entry>>(self, entries: impl IntoIterator<Item = E>) -> Query {
        self.select_as(Expr::object(entries))
    }

    pub(super) fn select_as(mut self, select: Expr) -> Query {
        self.select = Some(select);
        self
    }

    /// Makes equal result rows one.
    #[must_use]
    pub fn distinct(mut self) -> Query {
        self.distinct = true;
        self
    }

    /// Orders the result; of several keys, by the first that differs.
    #[must_use]
    pub fn order_by<K: Into<OrderBy>>(mut self, keys: impl IntoIterator<Item = K>) -> Query {
        self.order_by.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Keeps at most so many rows.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Query {
        self.limit = Some(rows);
        self
    }

    /// Skips so many rows.
    #[must_use]
    pub fn offset(mut self, rows: usize) -> Query {
        self.offset = rows;
        self
    }

    /// Keeps the first row alone.
    #[must_use]
    pub fn find_one(mut self) -> Query {
        self.single = true;
        self
    }

    /// Names a query that may refer to itself, and that this one may refer to as a collection.
    #[must_use]
    pub fn with_recursive(mut self, name: impl Into<SmolStr>, query: impl Into<Query>) -> Query {
        self.recursive.push((name.into(), query.into()));
        self
    }

    /// Ends recursions that have reached no fixed point after so many rounds.
    #[must_use]
    pub fn max_rounds(mut self, rounds: u64) -> Query {
        self.max_rounds = Some(rounds);
        self
    }
}

impl From<Expr> for OrderBy {
    fn from(expr: Expr) -> OrderBy {
        OrderBy {
            expr,
            direction: Direction::Asc,
            nulls: Nulls::First,
            collation: None,
        }
    }
}

impl OrderBy {
    /// With null and missing after all other values.
    #[must_use]
    pub fn nulls_last(mut self) -> OrderBy {
        self.nulls = Nulls::Last;
        self
    }

    /// With strings in the order of a language.
    #[must_use]
    pub fn collate(mut self, collation: Collation) -> OrderBy {
        self.collation = Some(collation);
        self
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*) $function:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(self $(, $arg: impl Into<Expr>)*) -> Expr {
            Expr::Call(Function::$function, vec![self $(, $arg.into())*])
        }
    )*};
}

macro_rules! aggregates {
    ($($(#[$doc:meta])* $name:ident $function:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(self) -> Expr {
            Expr::Aggregate(AggregateFunction::$function, vec![self])
        }
    )*};
}

/// What is computed of values. `docs/queries.md` tells what each does with null.
#[allow(clippy::should_implement_trait)]
impl Expr {
    /// An object of named values.
    pub fn object<E: Into<Entry>>(entries: impl IntoIterator<Item = E>) -> Expr {
        Expr::Object(entries.into_iter().map(Into::into).collect())
    }

    /// The rows of a query as an array, in a `select`. Its conditions may refer to the aliases of
    /// the query around it.
    pub fn include(query: impl Into<Query>) -> Expr {
        Self::include_as(query.into(), Materialization::Array, None)
    }

    /// The first row of a query; missing if there is none.
    pub fn include_one(query: impl Into<Query>) -> Expr {
        Self::include_as(query.into(), Materialization::Singleton, None)
    }

    pub(super) fn include_as(
        query: Query,
        materialization: Materialization,
        scalar: Option<SmolStr>,
    ) -> Expr {
        Expr::Include(Box::new(Include {
            query,
            correlation: None,
            materialization,
            scalar,
        }))
    }

    /// A function of this value and further arguments, for those that have no method here.
    #[must_use]
    pub fn call(self, function: Function, args: impl IntoIterator<Item = Expr>) -> Expr {
        Expr::Call(function, [self].into_iter().chain(args).collect())
    }

    /// An aggregate of this value and further arguments, for those that have no method here.
    #[must_use]
    pub fn aggregate(
        self,
        function: AggregateFunction,
        args: impl IntoIterator<Item = Expr>,
    ) -> Expr {
        Expr::Aggregate(function, [self].into_iter().chain(args).collect())
    }

    calls! {
        /// Whether both are equal.
        eq(other) Eq;
        /// Whether it is greater.
        gt(other) Gt;
        /// Whether it is greater or equal.
        gte(other) Gte;
        /// Whether it is less.
        lt(other) Lt;
        /// Whether it is less or equal.
        lte(other) Lte;
        /// Whether an array, such as a `Vec` of constants, holds it.
        in_list(list) In;
        /// Whether it matches a pattern of `%` (anything) and `_` (one UTF-16 unit).
        like(pattern) Like;
        /// As [`like`](Self::like), whatever the case.
        ilike(pattern) Ilike;
        /// Whether it is false; unknown stays unknown.
        not() Not;
        /// Whether it is null; never unknown.
        is_null() IsNull;
        /// Whether it is missing; never unknown.
        is_missing() IsUndefined;
        /// A string in upper case.
        upper() Upper;
        /// A string in lower case.
        lower() Lower;
        /// UTF-16 units of a string, elements of an array.
        length() Length;
        /// A string without white space at its ends.
        trim() Trim;
        /// Both as one text.
        concat(other) Concat;
        /// The part of a string from a UTF-16 unit on, so many units long.
        substring(start, length) Substring;
        /// A string with all occurrences of one replaced by another.
        replace(find, with) Replace;
        /// The array of what stands between separators.
        split(separator) Split;
        /// Whether it starts with a string.
        starts_with(prefix) StartsWith;
        /// Whether it ends with a string.
        ends_with(suffix) EndsWith;
        /// Whether a regular expression matches somewhere in it.
        regex_match(regex) RegexMatch;
        /// The value, or the other one where it is null or missing.
        coalesce(other) Coalesce;
        /// The sum.
        add(other) Add;
        /// The difference.
        sub(other) Subtract;
        /// The product.
        mul(other) Multiply;
        /// The quotient; null for a divisor of 0.
        div(other) Divide;
        /// The remainder, with the sign of the first.
        rem(other) Mod;
        /// The power.
        power(exponent) Power;
        /// The magnitude.
        abs() Abs;
        /// The greatest whole number not above it.
        floor() Floor;
        /// The least whole number not below it.
        ceil() Ceil;
        /// To so many decimal digits, halves away from zero.
        round(digits) Round;
        /// A time as `YYYY-MM-DD`.
        date() Date;
        /// A time as ISO 8601 in UTC.
        datetime() Datetime;
        /// A time in milliseconds since 1970.
        to_timestamp() ToTimestamp;
    }

    /// Whether both conditions are true.
    #[must_use]
    pub fn and(self, other: impl Into<Expr>) -> Expr {
        self.conjoin(Function::And, other.into())
    }

    /// Whether one of the conditions is true.
    #[must_use]
    pub fn or(self, other: impl Into<Expr>) -> Expr {
        self.conjoin(Function::Or, other.into())
    }

    /// One call of all conditions rather than a nest of calls.
    fn conjoin(self, function: Function, other: Expr) -> Expr {
        match self {
            Expr::Call(called, mut args) if called == function => {
                args.push(other);
                Expr::Call(called, args)
            }
            first => Expr::Call(function, vec![first, other]),
        }
    }

    /// Whether both differ.
    #[must_use]
    pub fn ne(self, other: impl Into<Expr>) -> Expr {
        self.eq(other).not()
    }

    /// The start of the unit (`day`, `month`, …) a time lies in, in milliseconds.
    #[must_use]
    pub fn date_trunc(self, unit: impl Into<Expr>) -> Expr {
        Expr::Call(Function::DateTrunc, vec![unit.into(), self])
    }

    /// A part (`year`, `dayOfWeek`, …) of a time.
    #[must_use]
    pub fn date_extract(self, part: impl Into<Expr>) -> Expr {
        Expr::Call(Function::DateExtract, vec![part.into(), self])
    }

    /// A time by `strftime`'s letters.
    #[must_use]
    pub fn strftime(self, format: impl Into<Expr>) -> Expr {
        Expr::Call(Function::Strftime, vec![format.into(), self])
    }

    aggregates! {
        /// How many values there are.
        count Count;
        /// How many different values there are.
        count_distinct CountDistinct;
        /// Their sum.
        sum Sum;
        /// Their mean.
        avg Avg;
        /// The least.
        min Min;
        /// The greatest.
        max Max;
        /// The standard deviation of a sample.
        stddev Stddev;
        /// The middle.
        median Median;
        /// All values, by row key.
        array_agg ArrayAgg;
        /// The first value by row key.
        first First;
        /// The last value by row key.
        last Last;
    }

    /// The value below which a share, from 0 to 1, of the numbers lies.
    #[must_use]
    pub fn quantile(self, share: f64) -> Expr {
        self.aggregate(AggregateFunction::Quantile, [share.into()])
    }

    /// In ascending order, nulls first.
    #[must_use]
    pub fn asc(self) -> OrderBy {
        self.into()
    }

    /// In descending order, nulls first.
    #[must_use]
    pub fn desc(self) -> OrderBy {
        OrderBy {
            direction: Direction::Desc,
            ..self.into()
        }
    }
}
