//! From the IR to a plan: names become columns, conditions move to where they cost least.
//!
//! A [`Plan`] is a tree of [`Node`]s, each of which becomes one operator of the dataflow, and an
//! output expression that is evaluated only when a result row is read.

mod build;
mod clock;
mod env;
mod explain;
mod expr;
mod from;
mod include;
mod key;
mod leaves;
mod origin;
mod over;
mod recursive;
mod scope;
mod union;
mod wire;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use explain::{Arranged, Explained, Explanation, Figures, Rates};
pub(crate) use expr::Rendered;
pub use expr::{Expr, Label, NativeCall, Part, Shape};
pub use key::KeyKind;

use crate::query::{
    AggregateFunction, Frame, JoinKind, Materialization, OverFunction, Query, QueryError,
};
use crate::schema::{Catalog, CollectionDef};
use crate::value::{
    Collation, Direction, Nulls, Row, SeqBuilder, SortKey, SortKeyBuilder, Value, ValueRef, encode,
    is_nullish,
};

/// A checked query, ready to run. Equal plans have equal results.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Plan {
    /// What computes the tuples of the result.
    pub root: Node,
    /// What a result row is made of.
    pub output: Expr,
    /// How a result row's key reads as text.
    pub key: KeyKind,
    /// The order of the result; by key where it is empty.
    pub order: Vec<OrderKey>,
    /// Whether the query asks for an order.
    pub ordered: bool,
}

/// One operator of a plan and its inputs.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub enum Node {
    /// The rows of a collection that pass the filter.
    Scan(Scan),
    /// The tuples for which all predicates are true.
    Filter {
        /// The tuples to look at.
        input: Box<Node>,
        /// What must be true of them.
        predicates: Vec<Expr>,
    },
    /// The tuples for which a condition on the clock is true.
    Clock {
        /// The tuples to look at.
        input: Box<Node>,
        /// The condition.
        condition: ClockCondition,
    },
    /// Pairs of tuples, concatenated.
    Join(Box<Join>),
    /// All tuples of all inputs, whose keys differ.
    Union(Vec<Node>),
    /// One row a group: key, group values, aggregates.
    Aggregate {
        /// The tuples to group.
        input: Box<Node>,
        /// What the groups are keyed by; without any there is one group, always.
        keys: Vec<Expr>,
        /// What is computed of each group.
        aggregates: Vec<Aggregate>,
    },
    /// One row a tuple: key, fields. What makes a subquery's result a source.
    Project {
        /// The tuples to project.
        input: Box<Node>,
        /// The fields.
        fields: Vec<Expr>,
        /// The branch of a union it is, which becomes part of the key.
        branch: Option<Value>,
    },
    /// One row for equal fields: key, fields.
    Distinct {
        /// The tuples to look at.
        input: Box<Node>,
        /// The fields.
        fields: Vec<Expr>,
        /// Whether the fields are the row's key; without, it is no part of the keys of tuples.
        keyed: bool,
    },
    /// A stretch of the ordered tuples, of each part for itself.
    Window {
        /// The tuples to order.
        input: Box<Node>,
        /// What the tuples of a part have in common; nothing for all of them.
        partition: Vec<Expr>,
        /// The order; ties are broken by key.
        order: Vec<OrderKey>,
        /// How many tuples come before the stretch.
        offset: usize,
        /// How long it is; without an end if `None`.
        limit: Option<usize>,
    },
    /// One row a tuple: the row, and behind its fields values of the rows around it.
    Over {
        /// The rows.
        input: Box<Node>,
        /// How many fields they have.
        fields: usize,
        /// What the rows have in common that are looked at together.
        partition: Vec<Expr>,
        /// Their order; ties are broken by key.
        order: Vec<OrderKey>,
        /// What is computed of them.
        values: Vec<OverValue>,
    },
    /// Tuples with a row added that holds the value of an included query.
    Include(Box<Include>),
    /// The fixed point of queries that refer to themselves, and what is made of it.
    Recursive(Box<Recursive>),
    /// The tuples that an [`Include`] or a [`Recursive`] around it gives this number to, which have
    /// one row.
    Bound(usize),
    /// The tuples of a part that other queries have as well, which is computed once for all of them.
    Common {
        /// The number that the engine gave to the part.
        id: u64,
        /// The number of rows in a tuple.
        arity: usize,
    },
}

/// A value of the rows around a row.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub struct OverValue {
    /// What is computed.
    pub function: OverFunction,
    /// Of what.
    pub args: Vec<Expr>,
    /// The rows of an aggregate.
    pub frame: Frame,
}

impl std::fmt::Display for OverValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.function.as_str(), expr::List(&self.args))?;
        let bound = |rows: Option<usize>| rows.map_or("all".to_owned(), |n| n.to_string());
        match (self.function, self.frame) {
            (
                OverFunction::Aggregate(_),
                Frame {
                    peers: false,
                    before,
                    after,
                },
            ) => {
                write!(f, " of {} before to {} behind", bound(before), bound(after))
            }
            _ => Ok(()),
        }
    }
}

/// A condition that becomes true or false of a tuple as time passes.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub struct ClockCondition {
    /// The condition, over a tuple and the clock.
    pub predicate: Expr,
    /// Where it may change: at the time at which one of these meets.
    pub comparisons: Vec<Comparison>,
}

/// What of a tuple is compared with what of the clock.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub struct Comparison {
    /// The tuple's side.
    pub expr: Expr,
    /// The clock's side.
    pub clock: Expr,
    /// What was brought from the clock's side to the tuple's, which holds for numbers alone: `add`
    /// joins texts.
    pub numbers: Vec<Expr>,
}

/// Adds the result of a child query to each tuple.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub struct Include {
    /// The number of the [`Node::Bound`] that stands, within the child, for the distinct contexts.
    pub id: usize,
    /// The tuples of the parent.
    pub input: Node,
    /// What the child's rows depend on, over the parent's tuples.
    pub context: Vec<Expr>,
    /// The child's tuples, of all contexts.
    pub child: Node,
    /// The context of a child's tuple.
    pub child_context: Vec<Expr>,
    /// The order of the children.
    pub order: Vec<OrderKey>,
    /// What is made of a child's tuple.
    pub value: Expr,
    /// What is made of all of them.
    pub materialization: Materialization,
}

/// Queries that refer to themselves and each other.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub struct Recursive {
    /// Each with its number: its rows, in terms of what the numbers stand for.
    pub definitions: Vec<(usize, Node)>,
    /// When to stop without a fixed point.
    pub max_rounds: u64,
    /// What is made of them.
    pub input: Node,
}

/// Reads a collection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scan {
    /// The collection.
    #[serde(with = "wire::collection")]
    pub collection: Arc<CollectionDef>,
    /// What must be true of a row, as source 0.
    pub filter: Vec<Expr>,
}

impl PartialEq for Scan {
    fn eq(&self, other: &Scan) -> bool {
        Arc::ptr_eq(&self.collection, &other.collection) && self.filter == other.filter
    }
}

impl std::hash::Hash for Scan {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.collection.id(), &self.filter).hash(state);
    }
}

impl Scan {
    /// Whether a row passes the filter.
    #[inline]
    pub fn accepts(&self, row: &Option<Row>) -> bool {
        self.filter
            .iter()
            .all(|p| p.test(std::slice::from_ref(row)))
    }
}

/// Joins two inputs.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub struct Join {
    /// Which unmatched tuples stay.
    pub kind: JoinKind,
    /// The left input.
    pub left: Node,
    /// The right input.
    pub right: Node,
    /// The number of rows in a left tuple.
    pub left_arity: usize,
    /// The number of rows in a right tuple.
    pub right_arity: usize,
    /// What must equal `right_keys`, over left tuples; nothing for a cross join.
    pub left_keys: Vec<Expr>,
    /// What must equal `left_keys`, over right tuples.
    pub right_keys: Vec<Expr>,
    /// Further conditions, over joined tuples.
    pub residual: Vec<Expr>,
}

/// One aggregate of a group.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub struct Aggregate {
    /// What is computed.
    pub function: AggregateFunction,
    /// Of what, then what the function asks for besides.
    pub args: Vec<Expr>,
}

impl std::fmt::Display for Aggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.function.as_str(), expr::List(&self.args))
    }
}

/// One component of an order.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub struct OrderKey {
    /// What to order by.
    pub expr: Expr,
    /// Ascending or descending.
    pub direction: Direction,
    /// Where null and missing stand.
    pub nulls: Nulls,
    /// How strings compare; by code point without.
    pub collation: Option<Collation>,
}

impl Plan {
    /// The names of the fields of a result row, in the order of the query, as far as the query and
    /// the rows so far say them.
    #[cfg(feature = "serve")]
    pub(crate) fn fields(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.output.fields(&mut names);
        names
    }

    /// Plans a query over the collections of a catalog.
    ///
    /// # Errors
    ///
    /// If a name is unknown, a join has no equality, a selected value is neither grouped nor
    /// aggregated, or the like; the error says where.
    pub fn new(query: &Query, catalog: &Catalog) -> Result<Plan, QueryError> {
        build::plan(query, catalog)
    }

    /// The plan with the window of its result moved, where it ends in one.
    pub(crate) fn with_window(&self, to: usize, len: Option<usize>) -> Plan {
        let mut plan = self.clone();
        plan.root.move_window(to, len);
        plan
    }

    /// The value of a result row.
    pub fn value(&self, tuple: &[Option<Row>]) -> Value {
        self.output.eval(tuple).into_value()
    }

    /// The key of a result row as text.
    pub fn key_text(&self, tuple: &[Option<Row>]) -> String {
        self.key.text(key_of(tuple).as_ref())
    }

    /// Where a tuple stands in the result's order.
    pub fn sort_key(&self, tuple: &[Option<Row>]) -> SortKey {
        sort_key(&self.order, tuple)
    }

    /// The collections the plan reads.
    pub fn scans(&self) -> Vec<&Scan> {
        let mut scans = Vec::new();
        self.root.visit(&mut |node| {
            if let Node::Scan(scan) = node {
                scans.push(scan);
            }
        });
        scans
    }
}

impl Node {
    /// The inputs, from left to right.
    pub fn inputs(&self) -> Vec<&Node> {
        match self {
            Node::Scan(_) | Node::Bound(_) | Node::Common { .. } => Vec::new(),
            Node::Filter { input, .. }
            | Node::Clock { input, .. }
            | Node::Aggregate { input, .. }
            | Node::Project { input, .. }
            | Node::Distinct { input, .. }
            | Node::Over { input, .. }
            | Node::Window { input, .. } => vec![input],
            Node::Join(join) => vec![&join.left, &join.right],
            Node::Union(inputs) => inputs.iter().collect(),
            Node::Include(include) => vec![&include.input, &include.child],
            Node::Recursive(recursive) => {
                let definitions = recursive.definitions.iter().map(|(_, node)| node);
                definitions.chain([&recursive.input]).collect()
            }
        }
    }

    /// The number of rows in a tuple.
    pub fn arity(&self) -> usize {
        match self {
            Node::Filter { input, .. } | Node::Clock { input, .. } | Node::Window { input, .. } => {
                input.arity()
            }
            Node::Join(join) if join.kind.is_test() => join.left_arity,
            Node::Join(join) => join.left_arity + join.right_arity,
            Node::Include(include) => include.input.arity() + 1,
            Node::Recursive(recursive) => recursive.input.arity(),
            Node::Common { arity, .. } => *arity,
            Node::Scan(_)
            | Node::Union(_)
            | Node::Aggregate { .. }
            | Node::Project { .. }
            | Node::Distinct { .. }
            | Node::Over { .. }
            | Node::Bound(_) => 1,
        }
    }

    /// Whether it is a window of all tuples.
    pub(crate) fn is_window(&self) -> bool {
        matches!(self, Node::Window { partition, .. } if partition.is_empty())
    }

    /// Whether the result's window is in it, at the top or below includes and recursions.
    pub(crate) fn holds_window(&self) -> bool {
        match self {
            Node::Include(include) => include.input.holds_window(),
            Node::Recursive(recursive) => recursive.input.holds_window(),
            node => node.is_window(),
        }
    }

    /// Moves the window of the result, where the node ends in one.
    pub(crate) fn move_window(&mut self, to: usize, len: Option<usize>) {
        match self {
            Node::Window { offset, limit, .. } => (*offset, *limit) = (to, len),
            Node::Include(include) => include.input.move_window(to, len),
            Node::Recursive(recursive) => recursive.input.move_window(to, len),
            _ => {}
        }
    }

    /// Whether some node, this one included, is what is asked for.
    pub fn any(&self, what: &mut impl FnMut(&Node) -> bool) -> bool {
        what(self) || self.inputs().into_iter().any(|input| input.any(what))
    }

    /// Calls `f` for each node, inputs first.
    fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Node)) {
        self.inputs().into_iter().for_each(|input| input.visit(f));
        f(self);
    }
}

/// The key of a tuple: a source's own key, or the array of the joined sources' keys. Rows without a
/// key, such as included ones, do not count.
pub fn key_of(tuple: &[Option<Row>]) -> Value {
    if let [Some(row)] = tuple {
        return row.get(0).to_owned();
    }
    let keyed = |row: &&Option<Row>| row.as_ref().is_none_or(|row| !row.key().is_empty());
    let mut rows = tuple.iter().filter(keyed);
    match (rows.next(), rows.next()) {
        (Some(row), None) => key_part(row).to_owned(),
        _ => Value::array(tuple.iter().filter(keyed).map(key_part)),
    }
}

/// Appends [`key_of`] a tuple; `parts` is only there to be used again.
pub(crate) fn push_key(tuple: &[Option<Row>], key: &mut SeqBuilder, parts: &mut SeqBuilder) {
    match tuple {
        [Some(row)] => key.push_encoded(row.key()),
        _ => {
            for row in tuple {
                if row.as_ref().is_none_or(|row| !row.key().is_empty()) {
                    parts.push(key_part(row));
                }
            }
            key.push_one_or_array(parts);
        }
    }
}

/// The key of one of the joined rows; null for an unmatched side.
fn key_part(row: &Option<Row>) -> ValueRef<'_> {
    row.as_ref().map_or(ValueRef::Null, |row| row.get(0))
}

/// Where a tuple stands in an order; ties are broken by key, ascending.
pub fn sort_key(order: &[OrderKey], tuple: &[Option<Row>]) -> SortKey {
    let mut key = peer_key(order, tuple);
    tuple.iter().for_each(|row| key.push_key(key_part(row)));
    key.finish()
}

/// The start of [`sort_key`], without making the rest.
pub(crate) fn sort_prefix(order: &[OrderKey], tuple: &[Option<Row>]) -> u64 {
    if let Some(first) = order.first()
        && let Some(prefix) = SortKey::prefix_of(first.expr.eval(tuple).as_ref(), first.direction)
    {
        return prefix;
    }
    let mut key = SortKeyBuilder::default();
    for component in order {
        component.push_to(tuple, &mut key);
        if key.has_prefix() {
            return key.prefix();
        }
    }
    tuple.iter().for_each(|row| key.push_key(key_part(row)));
    key.prefix()
}

/// What tuples in one place of an order have in common.
#[inline]
pub(crate) fn peer_key(order: &[OrderKey], tuple: &[Option<Row>]) -> SortKeyBuilder {
    let mut key = SortKeyBuilder::default();
    for component in order {
        component.push_to(tuple, &mut key);
    }
    key
}

impl OrderKey {
    #[inline]
    fn push_to(&self, tuple: &[Option<Row>], key: &mut SortKeyBuilder) {
        key.push(
            self.expr.eval(tuple).as_ref(),
            self.direction,
            self.nulls,
            self.collation.as_ref(),
        );
    }
}

/// The values of expressions such that equal lists have equal bytes; `None` if one of them is null or
/// missing. `scratch` is there for what is not in the tuple like that.
#[inline]
pub fn join_key<'a>(
    keys: &[Expr],
    tuple: &'a [Option<Row>],
    scratch: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
    if let [Expr::Column { source, column, .. }] = keys {
        let value = expr::encoded(tuple, *source, *column);
        return (!is_nullish(value)).then_some(value);
    }
    scratch.clear();
    if let [key] = keys {
        return key.encode(tuple, scratch).then_some(scratch.as_slice());
    }
    let known = keys.iter().all(|key| {
        let start = scratch.len();
        scratch.extend_from_slice(&[0; 4]);
        let known = key.encode(tuple, scratch);
        let length = (scratch.len() - start - 4) as u32;
        scratch[start..start + 4].copy_from_slice(&length.to_le_bytes());
        known
    });
    known.then_some(scratch.as_slice())
}

/// Appends the values of expressions such that equal lists have equal bytes, whatever they are.
/// [`encoded_all`] takes them apart.
pub(crate) fn encode_all(exprs: &[Expr], tuple: &[Option<Row>], out: &mut Vec<u8>) {
    for expr in exprs {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        expr.encode(tuple, out);
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// The encoded values that [`encode_all`] has put together.
pub(crate) fn encoded_all(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk()?;
        let (value, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        bytes = rest;
        Some(value)
    })
}

impl Expr {
    /// Appends the value of the expression; whether it is neither null nor missing.
    #[inline]
    fn encode(&self, tuple: &[Option<Row>], out: &mut Vec<u8>) -> bool {
        if let Expr::Column { source, column, .. } = self {
            let encoded = expr::encoded(tuple, *source, *column);
            out.extend_from_slice(encoded);
            return !is_nullish(encoded);
        }
        let value = self.eval(tuple);
        encode(value.as_ref(), out);
        !value.as_ref().is_nullish()
    }
}
