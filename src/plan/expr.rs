//! Expressions with their names resolved, and their evaluation.

use std::fmt;
use std::sync::Arc;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::key::KeyKind;
use crate::query::{Datum, Function, MAX_MADE, NativeFunction, weight};
use crate::schema::CollectionDef;
use crate::value::{
    Row, SeqBuilder, Value, ValueRef, decode, encoded_is, is_nullish, small_integer,
};

/// An expression over a tuple.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub enum Expr {
    /// A column of a source's row.
    Column {
        /// The source's place in the tuple.
        source: usize,
        /// The column.
        column: usize,
        /// What the query calls it.
        label: Label,
    },
    /// A source's whole row as an object; missing for an unmatched side.
    Row {
        /// The source's place in the tuple.
        source: usize,
        /// Where its fields are.
        shape: Shape,
        /// What the query calls it.
        label: Label,
    },
    /// The key of a source's row as text.
    Key {
        /// The source's place in the tuple.
        source: usize,
        /// How to write it.
        kind: KeyKind,
    },
    /// A field of an object.
    Field(Box<Expr>, SmolStr),
    /// A constant.
    Const(#[serde(with = "super::wire::constant")] Value),
    /// A function call.
    Call(Function, Vec<Expr>),
    /// A call of a Rust function.
    Native(NativeCall),
    /// An object; missing fields are left out.
    Object(Vec<Part>),
}

#[cfg(feature = "serve")]
impl Expr {
    /// Adds the names of the fields of the object that this is, if it is one.
    pub(super) fn fields(&self, names: &mut Vec<String>) {
        let add = |names: &mut Vec<String>, name: &SmolStr| {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_string());
            }
        };
        match self {
            Expr::Row { shape, .. } => match shape {
                Shape::Collection(of) => {
                    let columns = of.columns();
                    for (column, name) in columns.names().iter().enumerate() {
                        // Others are no fields.
                        if columns.get(name) == Some(column) {
                            add(names, name);
                        }
                    }
                }
                Shape::Fields(fields) => fields.iter().for_each(|name| add(names, name)),
                Shape::Value => {}
            },
            Expr::Object(parts) => {
                for part in parts {
                    match part {
                        Part::Field(name, _) => add(names, name),
                        Part::Spread(expr) => expr.fields(names),
                    }
                }
            }
            _ => {}
        }
    }
}

/// A part of an [`Expr::Object`]. Of fields with one name the last wins.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub enum Part {
    /// A named value.
    Field(SmolStr, Expr),
    /// All fields of an object.
    Spread(Expr),
}

impl Part {
    fn expr(&self) -> &Expr {
        match self {
            Part::Field(_, expr) | Part::Spread(expr) => expr,
        }
    }
}

/// A Rust function and what it is computed of.
#[derive(Clone)]
pub struct NativeCall {
    /// What plans call it.
    pub name: SmolStr,
    /// The function.
    pub function: NativeFunction,
    /// Its arguments.
    pub args: Vec<Expr>,
}

impl NativeCall {
    fn value(&self, tuple: &[Option<Row>]) -> Value {
        let args: Vec<Value> = self
            .args
            .iter()
            .map(|a| a.eval(tuple).into_value())
            .collect();
        let call = std::panic::AssertUnwindSafe(|| (self.function)(&args));
        std::panic::catch_unwind(call).unwrap_or(Value::Null)
    }
}

impl fmt::Debug for NativeCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.name, self.args)
    }
}

impl PartialEq for NativeCall {
    fn eq(&self, other: &NativeCall) -> bool {
        Arc::ptr_eq(&self.function, &other.function) && self.args == other.args
    }
}

impl std::hash::Hash for NativeCall {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.args.hash(state);
    }
}

/// A name for people. Labels never make expressions differ.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Label(pub SmolStr);

impl PartialEq for Label {
    fn eq(&self, _: &Label) -> bool {
        true
    }
}

impl std::hash::Hash for Label {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

/// Where a source's fields are in its rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Shape {
    /// The columns of a collection, which may still grow.
    Collection(#[serde(with = "super::wire::collection")] Arc<CollectionDef>),
    /// The fields of a subquery from column 1 on.
    Fields(#[serde(with = "super::wire::names")] Arc<[SmolStr]>),
    /// One value in column 1, which may be an object.
    Value,
}

impl Shape {
    /// Whether two rows have the same fields.
    fn is_same(&self, a: &Row, b: &Row) -> bool {
        let hidden = match self {
            Shape::Collection(of) => of.columns().hidden(),
            Shape::Fields(_) | Shape::Value => None,
        };
        let (a, b) = (a.columns(), b.columns());
        let mut columns = 1..a.len().max(b.len());
        columns.all(|i| Some(i) == hidden || a.encoded(i) == b.encoded(i))
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Shape) -> bool {
        match (self, other) {
            (Shape::Collection(a), Shape::Collection(b)) => Arc::ptr_eq(a, b),
            (Shape::Fields(a), Shape::Fields(b)) => a == b,
            (Shape::Value, Shape::Value) => true,
            _ => false,
        }
    }
}

impl std::hash::Hash for Shape {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Shape::Collection(of) => of.id().hash(state),
            Shape::Fields(names) => names.hash(state),
            Shape::Value => {}
        }
    }
}

/// The encoded value of a column; missing for an unmatched side.
#[inline]
pub(super) fn encoded(tuple: &[Option<Row>], source: usize, column: usize) -> &[u8] {
    let row = tuple[source].as_ref();
    row.map_or(&[], |row| row.encoded(column))
}

impl Expr {
    /// The value of the expression for a tuple.
    #[inline]
    pub(crate) fn eval<'a>(&'a self, tuple: &'a [Option<Row>]) -> Datum<'a> {
        #[cfg(test)]
        crate::work::add(1);
        match self {
            Expr::Column { source, column, .. } => {
                Datum::Ref(decode(encoded(tuple, *source, *column)))
            }
            computed => computed.compute(tuple),
        }
    }

    /// The value of integer arithmetic on integers, which needs none of what other values do.
    pub(super) fn integer(&self, tuple: &[Option<Row>]) -> Option<i64> {
        match self {
            Expr::Column { source, column, .. } => small_integer(encoded(tuple, *source, *column)),
            Expr::Const(Value::Int(i)) => i64::try_from(*i).ok(),
            Expr::Call(function, args) if function.is_arithmetic() => {
                let [left, right] = &args[..] else {
                    return None;
                };
                function.of_integers(left.integer(tuple)?, right.integer(tuple)?)
            }
            _ => None,
        }
    }

    fn compute<'a>(&'a self, tuple: &'a [Option<Row>]) -> Datum<'a> {
        match self {
            Expr::Column { .. } => unreachable!("a column is read"),
            Expr::Const(value) => Datum::Ref(value.as_ref()),
            Expr::Call(function, args) => {
                if let Some(integer) = self.integer(tuple) {
                    return Datum::Own(Value::Int(integer.into()));
                }
                function.call(args.len(), &|i| args[i].eval(tuple))
            }
            Expr::Field(base, name) => match base.eval(tuple) {
                Datum::Ref(ValueRef::Null) => Datum::Ref(ValueRef::Null),
                Datum::Ref(value) => Datum::Ref(value.get(name)),
                Datum::Own(Value::Null) => Datum::Own(Value::Null),
                Datum::Own(value) => Datum::Own(value.get(name).to_owned()),
            },
            Expr::Native(call) => Datum::Own(call.value(tuple)),
            Expr::Object(parts) => {
                let entries = entries(parts, tuple);
                let weight = entries.iter().map(|(_, value)| weight(value.as_ref()));
                Datum::Own(match weight.sum::<usize>() > MAX_MADE {
                    true => Value::Null,
                    false => Value::object(entries),
                })
            }
            Expr::Row { source, shape, .. } => match &tuple[*source] {
                None => Datum::Ref(ValueRef::Missing),
                Some(row) => match shape {
                    Shape::Collection(collection) => {
                        Datum::Own(collection.columns().fields(row).value())
                    }
                    Shape::Fields(names) => Datum::Own(Value::object(
                        names
                            .iter()
                            .enumerate()
                            .map(|(i, name)| (name, row.get(i + 1).to_owned())),
                    )),
                    Shape::Value => Datum::Ref(row.get(1)),
                },
            },
            Expr::Key { source, kind } => match &tuple[*source] {
                Some(row) => Datum::Own(kind.text(row.get(0)).into()),
                None => Datum::Ref(ValueRef::Missing),
            },
        }
    }

    /// Whether the expression is exactly true.
    #[inline]
    pub fn test(&self, tuple: &[Option<Row>]) -> bool {
        // The most common conditions need no detour, and equality no decoding.
        if let Expr::Call(function, args) = self
            && let [Expr::Column { source, column, .. }, Expr::Const(value)] = &args[..]
            && function.is_comparison()
        {
            let encoded = encoded(tuple, *source, *column);
            let value = value.as_ref();
            return match function {
                Function::Eq => !value.is_nullish() && encoded_is(encoded, value),
                other => other.holds(decode(encoded), value),
            };
        }
        match self {
            Expr::Call(function, args) if function.is_comparison() => {
                let [left, right] = [0, 1].map(|i| args[i].eval(tuple));
                return function.holds(left.as_ref(), right.as_ref());
            }
            Expr::Call(Function::And, args) if args.iter().all(Expr::is_comparison) => {
                return args.iter().all(|condition| condition.test(tuple));
            }
            _ => {}
        }
        matches!(self.eval(tuple).as_ref(), ValueRef::Bool(true))
    }

    fn is_comparison(&self) -> bool {
        matches!(self, Expr::Call(function, _) if function.is_comparison())
    }

    /// Whether the expression is neither null nor missing.
    #[inline]
    pub(crate) fn is_known(&self, tuple: &[Option<Row>]) -> bool {
        match self {
            Expr::Column { source, column, .. } => !is_nullish(encoded(tuple, *source, *column)),
            expr => !expr.eval(tuple).as_ref().is_nullish(),
        }
    }

    /// Appends the value of the expression to a sequence.
    #[inline]
    pub(crate) fn push_to(&self, tuple: &[Option<Row>], builder: &mut SeqBuilder) {
        match self {
            Expr::Column { source, column, .. } => {
                builder.push_encoded(encoded(tuple, *source, *column));
            }
            expr => builder.push(expr.eval(tuple).as_ref()),
        }
    }

    /// Whether the expression has the same value for two tuples.
    pub(crate) fn same(&self, a: &[Option<Row>], b: &[Option<Row>]) -> bool {
        match self {
            Expr::Column { source, column, .. } => match (&a[*source], &b[*source]) {
                (Some(a), Some(b)) => a == b || a.encoded(*column) == b.encoded(*column),
                (None, None) => true,
                _ => self.eval(a).as_ref() == self.eval(b).as_ref(),
            },
            Expr::Const(_) => true,
            // What is spread may be overridden.
            Expr::Object(parts) if !parts.iter().any(|p| matches!(p, Part::Spread(_))) => {
                parts.iter().all(|part| part.expr().same(a, b))
            }
            Expr::Row { source, shape, .. } => match (&a[*source], &b[*source]) {
                (Some(a), Some(b)) => a == b || shape.is_same(a, b),
                (None, None) => true,
                _ => self.eval(a).as_ref() == self.eval(b).as_ref(),
            },
            _ => self.eval(a).as_ref() == self.eval(b).as_ref(),
        }
    }

    /// Changes the places of the sources.
    pub(super) fn map_sources(&self, f: &impl Fn(usize) -> usize) -> Expr {
        let mut expr = self.clone();
        expr.visit_mut(&mut |e| match e {
            Expr::Column { source, .. } | Expr::Row { source, .. } | Expr::Key { source, .. } => {
                *source = f(*source);
            }
            _ => {}
        });
        expr
    }

    fn visit_mut(&mut self, f: &mut impl FnMut(&mut Expr)) {
        f(self);
        match self {
            Expr::Field(base, _) => base.visit_mut(f),
            Expr::Call(_, args) | Expr::Native(NativeCall { args, .. }) => {
                args.iter_mut().for_each(|a| a.visit_mut(f));
            }
            Expr::Object(parts) => parts.iter_mut().for_each(|part| match part {
                Part::Field(_, expr) | Part::Spread(expr) => expr.visit_mut(f),
            }),
            Expr::Column { .. } | Expr::Row { .. } | Expr::Key { .. } | Expr::Const(_) => {}
        }
    }

    /// What it is computed of.
    pub(super) fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Field(base, _) => vec![base],
            Expr::Call(_, args) | Expr::Native(NativeCall { args, .. }) => args.iter().collect(),
            Expr::Object(parts) => parts.iter().map(Part::expr).collect(),
            Expr::Column { .. } | Expr::Row { .. } | Expr::Key { .. } | Expr::Const(_) => {
                Vec::new()
            }
        }
    }

    /// Whether some part of it, itself included, is what is asked for.
    pub(super) fn any(&self, what: &mut impl FnMut(&Expr) -> bool) -> bool {
        what(self) || self.children().into_iter().any(|part| part.any(what))
    }

    /// The places of the sources that occur, one bit each.
    pub(super) fn sources(&self) -> u64 {
        let mut bits = 0;
        self.any(&mut |e| {
            if let Expr::Column { source, .. }
            | Expr::Row { source, .. }
            | Expr::Key { source, .. } = e
            {
                bits |= 1 << source;
            }
            false
        });
        bits
    }

    /// Whether the engine's clock occurs.
    pub(super) fn has_clock(&self) -> bool {
        self.any(&mut |e| matches!(e, Expr::Call(Function::Now, _)))
    }

    /// With the clock standing at a time, in milliseconds.
    pub(crate) fn at_time(&self, now: i64) -> Expr {
        let mut expr = self.clone();
        expr.visit_mut(&mut |e| {
            if matches!(e, Expr::Call(Function::Now, _)) {
                *e = Expr::Const(now.into());
            }
        });
        expr
    }

    /// The fields, where they are known before any row is.
    pub(super) fn known_fields(&self) -> Option<Vec<(SmolStr, Expr)>> {
        match self {
            Expr::Object(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Field(name, expr) => Some((name.clone(), expr.clone())),
                    Part::Spread(_) => None,
                })
                .collect(),
            Expr::Row {
                source,
                shape: Shape::Fields(names),
                ..
            } => {
                let column = |(i, name): (usize, &SmolStr)| {
                    let column = Expr::Column {
                        source: *source,
                        column: i + 1,
                        label: Label(name.clone()),
                    };
                    (name.clone(), column)
                };
                Some(names.iter().enumerate().map(column).collect())
            }
            _ => None,
        }
    }
}

/// The entries of an object in the order of their first occurrence, each with its last value.
fn entries(parts: &[Part], tuple: &[Option<Row>]) -> Vec<(SmolStr, Value)> {
    let mut entries: Vec<(SmolStr, Value)> = Vec::with_capacity(parts.len());
    let spreads = parts.iter().any(|part| matches!(part, Part::Spread(_)));
    let mut put = |name: SmolStr, value| {
        let known = entries.iter_mut().find(|(n, _)| spreads && *n == name);
        match known {
            Some((_, old)) => *old = value,
            None => entries.push((name, value)),
        }
    };
    for part in parts {
        match part {
            Part::Field(name, expr) => put(name.clone(), expr.eval(tuple).into_value()),
            Part::Spread(Expr::Row {
                source,
                shape: Shape::Collection(collection),
                ..
            }) => {
                let columns = collection.columns();
                if let Some(row) = &tuple[*source] {
                    let fields = columns.fields(row).entries();
                    fields.for_each(|(name, value)| put(name.clone(), value.to_owned()));
                }
            }
            Part::Spread(expr) => {
                if let ValueRef::Object(object) = expr.eval(tuple).as_ref() {
                    object
                        .iter()
                        .for_each(|(name, value)| put(name.into(), value.to_owned()));
                }
            }
        }
    }
    entries
}

/// An expression's value for one tuple, written without building it first.
#[derive(Debug)]
pub(crate) struct Rendered<'a> {
    pub(crate) expr: &'a Expr,
    pub(crate) tuple: &'a [Option<Row>],
}

impl Serialize for Rendered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.expr {
            Expr::Object(parts) if parts.iter().any(|p| matches!(p, Part::Spread(_))) => {
                let known = |(_, value): &(SmolStr, Value)| !matches!(value, Value::Missing);
                let entries = entries(parts, self.tuple).into_iter().filter(known);
                serializer.collect_map(entries)
            }
            Expr::Object(parts) => {
                let mut map = serializer.serialize_map(None)?;
                for part in parts {
                    let Part::Field(name, expr) = part else {
                        unreachable!("spreads are written above")
                    };
                    let missing = match expr {
                        Expr::Object(_) => false,
                        Expr::Row {
                            source,
                            shape: Shape::Collection(_) | Shape::Fields(_),
                            ..
                        } => self.tuple[*source].is_none(),
                        expr => matches!(expr.eval(self.tuple).as_ref(), ValueRef::Missing),
                    };
                    if !missing {
                        map.serialize_entry(
                            name,
                            &Rendered {
                                expr,
                                tuple: self.tuple,
                            },
                        )?;
                    }
                }
                map.end()
            }
            Expr::Row {
                source,
                shape: Shape::Collection(collection),
                ..
            } => {
                let Some(row) = &self.tuple[*source] else {
                    return serializer.serialize_unit();
                };
                let columns = collection.columns();
                match columns.fields(row) {
                    crate::schema::Fields::Scalar(value) => value.serialize(serializer),
                    fields => serializer.collect_map(fields.entries()),
                }
            }
            Expr::Row {
                source,
                shape: Shape::Fields(names),
                ..
            } => {
                let Some(row) = &self.tuple[*source] else {
                    return serializer.serialize_unit();
                };
                let entries = names
                    .iter()
                    .enumerate()
                    .map(|(i, name)| (name, row.get(i + 1)));
                serializer.collect_map(entries.filter(|(_, v)| !matches!(v, ValueRef::Missing)))
            }
            expr => expr.eval(self.tuple).as_ref().serialize(serializer),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Column { label, .. } | Expr::Row { label, .. } => f.write_str(&label.0),
            Expr::Key { source, .. } => write!(f, "key({source})"),
            Expr::Field(base, name) => write!(f, "{base}.{name}"),
            Expr::Const(value) => write!(f, "{value}"),
            Expr::Call(function, args) => {
                write!(f, "{}({})", function.as_str(), List(args))
            }
            Expr::Native(call) => write!(f, "{}({})", call.name, List(&call.args)),
            Expr::Object(parts) => write!(f, "{{{}}}", List(parts)),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Field(name, expr) => write!(f, "{name}: {expr}"),
            Part::Spread(expr) => write!(f, "...{expr}"),
        }
    }
}

/// Things with commas between.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
