//! IR into query JSON, such that reading it gives the same IR.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error, Serialize, SerializeMap, Serializer};
use smol_str::SmolStr;

use super::error::QueryError;
use super::function::Function;
use super::ir::{Entry, Expr, Include, Join, Materialization, OrderBy, Query, Source};
use super::over::{Frame, Over};
use super::parse;
use super::tree::Tree;
use crate::value::{CaseFirst, Collation, Nulls, Sensitivity, ValueRef};

impl Query {
    /// The query as JSON, which [`Query::from_json`] reads back as the same query.
    ///
    /// ```
    /// use tailwater::query::{Query, col};
    /// let adults = Query::from_collection("users", "u").filter(col("u.age").gte(18));
    /// let json = adults.to_json()?;
    /// assert_eq!(
    ///     json,
    ///     r#"{"from":{"type":"collectionRef","collection":"users","alias":"u"},"where":[{"type":"func","name":"gte","args":[{"type":"ref","path":["u","age"]},{"type":"val","value":18}]}]}"#,
    /// );
    /// assert_eq!(Query::from_json(&json)?, adults);
    /// # Ok::<(), tailwater::query::QueryError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it holds what JSON has no word for: a function of Rust's, a constant that is missing or no
    /// finite number, a name that would be read as something else.
    pub fn to_json(&self) -> Result<String, QueryError> {
        serde_json::to_string(self).map_err(|e| QueryError::new("", e.to_string()))
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Query, D::Error> {
        let tree = Tree::deserialize(deserializer)?;
        parse::query(&tree).map_err(D::Error::custom)
    }
}

impl Serialize for Query {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.recursive.is_empty() {
            map.serialize_entry("withRecursive", &Definitions(self))?;
        }
        optional(&mut map, "maxRounds", self.max_rounds.as_ref())?;
        map.serialize_entry("from", &self.from)?;
        list(&mut map, "join", &self.joins)?;
        list(&mut map, "where", &self.filters)?;
        list(&mut map, "groupBy", &self.group_by)?;
        list(&mut map, "having", &self.having)?;
        let select = self
            .select
            .as_ref()
            .map(|select| Selection(select, Level::Row));
        optional(&mut map, "select", select.as_ref())?;
        list(&mut map, "orderBy", &self.order_by)?;
        optional(&mut map, "limit", self.limit.as_ref())?;
        optional(
            &mut map,
            "offset",
            (self.offset > 0).then_some(&self.offset),
        )?;
        optional(&mut map, "distinct", self.distinct.then_some(&true))?;
        optional(&mut map, "singleResult", self.single.then_some(&true))?;
        map.end()
    }
}

fn optional<M: SerializeMap>(
    map: &mut M,
    name: &str,
    value: Option<&impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

fn list<M: SerializeMap>(
    map: &mut M,
    name: &str,
    items: &[impl Serialize],
) -> Result<(), M::Error> {
    optional(map, name, (!items.is_empty()).then_some(&items))
}

/// `withRecursive`.
struct Definitions<'q>(&'q Query);

impl Serialize for Definitions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.recursive.iter().map(|(name, query)| (name, query)))
    }
}

/// An object with a `type`.
fn typed<S: Serializer>(serializer: S, name: &str) -> Result<S::SerializeMap, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("type", name)?;
    Ok(map)
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map;
        match self {
            Source::Collection { name, alias } => {
                map = typed(serializer, "collectionRef")?;
                map.serialize_entry("collection", name)?;
                map.serialize_entry("alias", alias)?;
            }
            Source::Query { query, alias, over } => {
                map = typed(serializer, "queryRef")?;
                map.serialize_entry("query", query)?;
                map.serialize_entry("alias", alias)?;
                optional(
                    &mut map,
                    "over",
                    (!over.is_empty()).then_some(&Values(over)),
                )?;
            }
            Source::UnionFrom(sources) => {
                map = typed(serializer, "unionFrom")?;
                map.serialize_entry("sources", sources)?;
            }
            Source::UnionAll(queries) => {
                map = typed(serializer, "unionAll")?;
                map.serialize_entry("queries", queries)?;
            }
        }
        map.end()
    }
}

/// `over`.
struct Values<'q>(&'q [(SmolStr, Over)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, over)| (name, over)))
    }
}

impl Serialize for Over {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("function", self.function.as_str())?;
        list(&mut map, "args", &self.args)?;
        list(&mut map, "partitionBy", &self.partition_by)?;
        list(&mut map, "orderBy", &self.order_by)?;
        let rows = (!self.frame.peers).then_some(Rows(self.frame));
        optional(&mut map, "frame", rows.as_ref())?;
        map.end()
    }
}

struct Rows(Frame);

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        optional(&mut map, "before", self.0.before.as_ref())?;
        optional(&mut map, "after", self.0.after.as_ref())?;
        map.end()
    }
}

impl Serialize for Join {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = typed(serializer, self.kind.as_str())?;
        map.serialize_entry("from", &self.source)?;
        optional(&mut map, "on", self.on.as_ref())?;
        map.end()
    }
}

impl Serialize for OrderBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("expression", &self.expr)?;
        map.serialize_entry("compareOptions", &CompareOptions(self))?;
        map.end()
    }
}

struct CompareOptions<'q>(&'q OrderBy);

impl Serialize for CompareOptions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let OrderBy {
            direction,
            nulls,
            collation,
            ..
        } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("direction", direction.as_str())?;
        let nulls = match nulls {
            Nulls::First => "first",
            Nulls::Last => "last",
        };
        map.serialize_entry("nulls", nulls)?;
        if let Some(collation) = collation {
            map.serialize_entry("stringSort", "locale")?;
            map.serialize_entry("locale", collation.locale())?;
            map.serialize_entry("localeOptions", &LocaleOptions(collation))?;
        }
        map.end()
    }
}

struct LocaleOptions<'q>(&'q Collation);

impl Serialize for LocaleOptions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let options = self.0.options();
        let mut map = serializer.serialize_map(None)?;
        let sensitivity = match options.sensitivity {
            Sensitivity::Base => "base",
            Sensitivity::Accent => "accent",
            Sensitivity::Case => "case",
            Sensitivity::Variant => "variant",
        };
        map.serialize_entry("sensitivity", sensitivity)?;
        map.serialize_entry("numeric", &options.numeric)?;
        let case_first = match options.case_first {
            Some(CaseFirst::Upper) => "upper",
            Some(CaseFirst::Lower) => "lower",
            None => "false",
        };
        map.serialize_entry("caseFirst", case_first)?;
        map.serialize_entry("ignorePunctuation", &options.ignore_punctuation)?;
        map.end()
    }
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map;
        match self {
            Expr::Ref(path) => {
                map = typed(serializer, "ref")?;
                map.serialize_entry("path", path)?;
            }
            Expr::Value(value) => {
                if !is_json(value.as_ref()) {
                    return Err(S::Error::custom(format!(
                        "the constant {value} cannot be written as JSON"
                    )));
                }
                map = typed(serializer, "val")?;
                map.serialize_entry("value", value)?;
            }
            Expr::Call(function, args) => {
                map = typed(serializer, "func")?;
                map.serialize_entry("name", function.as_str())?;
                map.serialize_entry("args", args)?;
            }
            Expr::Aggregate(function, args) => {
                map = typed(serializer, "agg")?;
                map.serialize_entry("name", function.as_str())?;
                map.serialize_entry("args", args)?;
            }
            Expr::Object(_) | Expr::Include(_) => {
                let message = "an object or an included query can only stand in `select`";
                return Err(S::Error::custom(message));
            }
            Expr::Closure(closure) => {
                return Err(S::Error::custom(format!(
                    "the Rust function `{}` cannot be written as JSON",
                    closure.name
                )));
            }
        }
        map.end()
    }
}

/// Whether JSON has the value: it has nothing that is missing, and no infinite numbers.
fn is_json(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Missing => false,
        ValueRef::Float(f) => f.is_finite(),
        ValueRef::Array(array) => array.iter().all(is_json),
        ValueRef::Object(object) => object.iter().all(|(_, value)| is_json(value)),
        _ => true,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    /// `select` itself.
    Row,
    /// The value of one of its fields.
    Field,
}

/// What stands in `select`.
struct Selection<'q>(&'q Expr, Level);

impl Selection<'_> {
    /// Whether it can only stand in `select`.
    fn is_structured(expr: &Expr) -> bool {
        match expr {
            Expr::Object(_) | Expr::Include(_) => true,
            Expr::Call(Function::CaseWhen, args) => args.iter().any(Self::is_structured),
            _ => false,
        }
    }
}

impl Serialize for Selection<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Expr::Object(entries) => object(entries, serializer),
            Expr::Include(include) if self.1 == Level::Field => include_of(include, serializer),
            Expr::Call(Function::CaseWhen, args)
                if self.1 == Level::Field && Self::is_structured(self.0) =>
            {
                conditional(args, serializer)
            }
            expr => expr.serialize(serializer),
        }
    }
}

fn object<S: Serializer>(entries: &[Entry], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(entries.len()))?;
    for (i, entry) in entries.iter().enumerate() {
        let value = Selection(entry.expr(), Level::Field);
        match entry {
            Entry::Spread(_) => map.serialize_entry(&format!("...{i}"), &value)?,
            Entry::Field(name, _) => {
                if name.contains('.') || parse::is_spread(name) {
                    return Err(S::Error::custom(format!(
                        "the field `{name}` would be read as something else"
                    )));
                }
                let same = |other: &Entry| matches!(other, Entry::Field(n, _) if n == name);
                if entries[..i].iter().any(same) {
                    return Err(S::Error::custom(format!(
                        "the field `{name}` is there twice"
                    )));
                }
                map.serialize_entry(name, &value)?;
            }
        }
    }
    map.end()
}

fn conditional<S: Serializer>(args: &[Expr], serializer: S) -> Result<S::Ok, S::Error> {
    struct Branch<'q>(&'q Expr, &'q Expr);
    impl Serialize for Branch<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(2))?;
            map.serialize_entry("condition", self.0)?;
            map.serialize_entry("value", &Selection(self.1, Level::Field))?;
            map.end()
        }
    }
    let (pairs, default) = args.as_chunks();
    let branches: Vec<Branch<'_>> = pairs.iter().map(|[c, v]| Branch(c, v)).collect();
    let default = default.first().map(|d| Selection(d, Level::Field));
    let mut map = typed(serializer, "conditionalSelect")?;
    map.serialize_entry("branches", &branches)?;
    optional(&mut map, "defaultValue", default.as_ref())?;
    map.end()
}

fn include_of<S: Serializer>(include: &Include, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = typed(serializer, "includesSubquery")?;
    map.serialize_entry("query", &include.query)?;
    let materialization = match include.materialization {
        Materialization::Array => "array",
        Materialization::Singleton => "singleton",
        Materialization::Concat => "concat",
    };
    map.serialize_entry("materialization", materialization)?;
    let (parent, child) = include.correlation.as_ref().map(|(p, c)| (p, c)).unzip();
    optional(&mut map, "correlationField", parent)?;
    optional(&mut map, "childCorrelationField", child)?;
    optional(&mut map, "scalarField", include.scalar.as_ref())?;
    map.end()
}
