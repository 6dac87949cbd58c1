//! The typed builder of queries: verbs whose closures receive the columns of the query's sources.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::column::{ColumnSet, Path};
use super::expression::Expression;
use super::operand::OrderKeys;
use super::rows::{Rows, Selected, Whole};
use super::subquery::Subquery;
use crate::query::{Query, Source, TypedQuery};
use crate::schema::Collection;

/// A query in the making. `S` is the tuple of its sources' columns; `R` is what its rows are:
/// [`Whole`] rows of the sources, or what is [`Selected`].
///
/// The clauses apply in the order of [`Query`]'s fields, in whatever order the verbs are called.
/// A builder is a value: it can be cloned, and functions can take and return it.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use tailwater::{Collection, query::{Query, builder::QueryBuilder}};
/// #[derive(Serialize, Deserialize, Collection)]
/// #[collection(name = "users", type = "user")]
/// struct User { id: String, name: String, active: bool, age: i64 }
///
/// fn active(users: QueryBuilder<(UserColumns,)>) -> QueryBuilder<(UserColumns,)> {
///     users.filter(|u| u.active)
/// }
///
/// let oldest = active(Query::from::<User>("u"))
///     .order_by(|u| u.age.desc())
///     .limit(10)
///     .select(|u| (u.name, u.age))
///     .build();
/// ```
pub struct QueryBuilder<S, R = Whole> {
    pub(super) query: Query,
    pub(super) sources: S,
    rows: PhantomData<fn() -> R>,
}

impl<S: Clone, R> Clone for QueryBuilder<S, R> {
    fn clone(&self) -> Self {
        QueryBuilder {
            query: self.query.clone(),
            sources: self.sources.clone(),
            rows: PhantomData,
        }
    }
}

impl<S, R> fmt::Debug for QueryBuilder<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.query.fmt(f)
    }
}

/// What starts a typed query.
impl Query {
    /// All rows of a collection, which the query calls `alias`.
    pub fn from<T: Collection>(alias: &str) -> QueryBuilder<(T::Columns,)>
    where
        T::Columns: ColumnSet,
    {
        QueryBuilder::new(
            Query::from_collection(T::NAME, alias),
            (T::Columns::at(Path::of(alias)),),
        )
    }

    /// All rows of the result of another query, which the query calls `alias`.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use tailwater::{Collection, query::Query};
    /// # #[derive(Serialize, Deserialize, Collection)]
    /// # struct Event { id: String, language: String }
    /// let by_language = Query::from::<Event>("e")
    ///     .group_by(|e| e.language)
    ///     .select(|e| (e.language, e.id.count()));
    /// let mean = Query::from_query("x", by_language).select(|x| x.1.avg());
    /// ```
    pub fn from_query<C: ColumnSet>(
        alias: &str,
        query: impl Into<Subquery<C>>,
    ) -> QueryBuilder<(C,)> {
        let (source, columns) = query.into().into_source(alias);
        QueryBuilder::new(Query::from_source(source), (columns,))
    }

    /// The rows of all queries, which have the same columns: see [`QueryBuilder::subquery`].
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use tailwater::{Collection, query::Query};
    /// # #[derive(Serialize, Deserialize, Collection)]
    /// # struct User { id: String, name: String }
    /// # #[derive(Serialize, Deserialize, Collection)]
    /// # struct Team { id: String, title: String }
    /// let names = Query::union_all([
    ///     Query::from::<User>("u").select(|u| (u.id, u.name)).subquery(),
    ///     Query::from::<Team>("t").select(|t| (t.id, t.title)).subquery(),
    /// ])
    /// .order_by(|x| x.1);
    /// ```
    pub fn union_all<C: ColumnSet>(
        queries: impl IntoIterator<Item = Subquery<C>>,
    ) -> QueryBuilder<(C,)> {
        let queries = queries.into_iter().map(Subquery::into_query).collect();
        QueryBuilder::new(
            Query::from_source(Source::UnionAll(queries)),
            (C::at(Subquery::<C>::inside(Path::ROOT)),),
        )
    }
}

impl<S, R> QueryBuilder<S, R> {
    pub(super) fn new(query: Query, sources: S) -> Self {
        QueryBuilder {
            query,
            sources,
            rows: PhantomData,
        }
    }

    pub(super) fn map_query(self, change: impl FnOnce(Query) -> Query) -> Self {
        QueryBuilder::new(change(self.query), self.sources)
    }

    /// The query as data, with whole rows as the engine gives them.
    pub fn ir(&self) -> &Query {
        &self.query
    }

    /// Makes equal result rows one.
    #[must_use]
    pub fn distinct(self) -> Self {
        self.map_query(Query::distinct)
    }

    /// Keeps at most so many rows.
    #[must_use]
    pub fn limit(self, rows: usize) -> Self {
        self.map_query(|query| query.limit(rows))
    }

    /// Skips so many rows.
    #[must_use]
    pub fn offset(self, rows: usize) -> Self {
        self.map_query(|query| query.offset(rows))
    }

    /// Keeps the first row alone: the result is that row, or empty.
    #[must_use]
    pub fn find_one(self) -> Self {
        self.map_query(Query::find_one)
    }

    /// Makes the rows of a collection those of a query, which may refer to the collection itself.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use tailwater::{Collection, query::Query};
    /// #[derive(Serialize, Deserialize, Collection)]
    /// struct Edge { id: String, from: String, to: String }
    /// #[derive(Serialize, Deserialize, Collection)]
    /// #[collection(name = "reach", key = "from")]
    /// struct Reach { from: String, to: String }
    ///
    /// let near = Query::from::<Edge>("e").select(|e| ReachSelect { from: e.from, to: e.to });
    /// let far = Query::from::<Reach>("r")
    ///     .join::<Edge>("n", |r, n| r.to.eq(n.from))
    ///     .select(|r, n| ReachSelect { from: r.from, to: n.to });
    /// let reach = Query::from::<Reach>("x")
    ///     .with_recursive::<Reach>(Query::union_all([near.subquery(), far.subquery()]));
    /// ```
    #[must_use]
    pub fn with_recursive<T: Collection>(self, query: impl Into<Subquery<T::Columns>>) -> Self
    where
        T::Columns: ColumnSet,
    {
        let definition = query.into().into_query();
        self.map_query(|query| query.with_recursive(T::NAME, definition))
    }

    /// Ends recursions that have reached no fixed point after so many rounds.
    #[must_use]
    pub fn max_rounds(self, rounds: u64) -> Self {
        self.map_query(|query| query.max_rounds(rounds))
    }
}

impl<S, E: Expression> QueryBuilder<S, Selected<E>> {
    /// Orders the result by what is selected, after the keys that are there.
    #[must_use]
    pub fn order_by_selected<O: OrderKeys>(self, keys: impl FnOnce(E::Columns) -> O) -> Self
    where
        E::Columns: ColumnSet,
    {
        let selected = Subquery::<E::Columns>::inside(Path::of("$selected"));
        let keys = keys(E::Columns::at(selected)).order();
        self.map_query(|query| query.order_by(keys))
    }
}

impl<S: Copy, R: Rows<S>> QueryBuilder<S, R> {
    /// The query as a source of another one.
    pub fn subquery(self) -> Subquery<R::Columns>
    where
        R::Columns: ColumnSet,
    {
        self.into()
    }

    /// The query with the type of its rows.
    pub fn build(self) -> TypedQuery<R::Row>
    where
        R::Row: DeserializeOwned,
    {
        let (query, shape) = R::finish(self.query, self.sources, false);
        TypedQuery::new(query, move |row| shape.read(row))
    }

    /// The query with its rows turned into something else.
    pub fn map<U>(self, function: impl Fn(R::Row) -> U + Send + Sync + 'static) -> TypedQuery<U>
    where
        R::Row: DeserializeOwned + 'static,
    {
        self.build().map(function)
    }
}

impl<S: Copy, R: Rows<S>> From<QueryBuilder<S, R>> for Subquery<R::Columns>
where
    R::Columns: ColumnSet,
{
    fn from(builder: QueryBuilder<S, R>) -> Self {
        Subquery::new(R::finish(builder.query, builder.sources, true).0)
    }
}

impl<S: Copy, R: Rows<S>> From<QueryBuilder<S, R>> for TypedQuery<R::Row>
where
    R::Row: DeserializeOwned,
{
    fn from(builder: QueryBuilder<S, R>) -> Self {
        builder.build()
    }
}

/// The query as data, with rows as the engine gives them.
impl<S, R> From<QueryBuilder<S, R>> for Query {
    fn from(builder: QueryBuilder<S, R>) -> Query {
        builder.query
    }
}
