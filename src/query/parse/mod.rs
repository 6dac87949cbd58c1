//! Query JSON into IR, with errors that name the place.

mod expr;
mod order;
mod over;

use std::collections::HashSet;

use smol_str::SmolStr;

use super::error::QueryError;
use super::function::Function;
use super::ir::{Expr, Join, JoinKind, Query, Source};
use super::tree::Tree;
use crate::value::Value;
pub(super) use expr::is_spread;
use expr::{condition, expr, selection};
use order::order_by;

type Result<T> = std::result::Result<T, QueryError>;

/// Bytes of a query.
const MAX_TEXT: usize = 1 << 20;
/// Queries within each other and beside each other, and their joins; each is planned.
const MAX_QUERIES: usize = 1000;

impl Query {
    /// Reads a query from JSON.
    ///
    /// ```
    /// use tailwater::query::Query;
    /// let error = Query::from_json(
    ///     r#"{"from":{"type":"collectionRef","collection":"users","alias":"u"},
    ///         "where":[{"type":"func","name":"qe","args":[]}]}"#,
    /// );
    /// assert_eq!(
    ///     error.unwrap_err().to_string(),
    ///     "`where[0].name`: unknown function `qe` (did you mean `eq`?)",
    /// );
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is not JSON or not a query. Aliases and groups are checked by the planner.
    pub fn from_json(text: &str) -> Result<Query> {
        query_beside(text, |_, _| Ok(false))
    }
}

/// Reads a query from JSON with other fields beside its clauses: `beside` says which it takes.
pub(super) fn query_beside(
    text: &str,
    mut beside: impl FnMut(&str, &Tree) -> Result<bool>,
) -> Result<Query> {
    if text.len() > MAX_TEXT {
        let message = format!("the query has more than {MAX_TEXT} bytes");
        return Err(QueryError::new("", message));
    }
    let mut tree: Tree = serde_json::from_str(text)
        .map_err(|e| QueryError::new("", format!("the query is not valid JSON: {e}")))?;
    bound(&tree)?;
    if let Tree::Object(entries) = &mut tree {
        let mut clauses = Vec::with_capacity(entries.len());
        for (key, value) in entries.drain(..) {
            if !beside(&key, &value)? {
                clauses.push((key, value));
            }
        }
        *entries = clauses;
    }
    query(&tree)
}

/// Refuses what would take too long to plan.
fn bound(tree: &Tree) -> Result<()> {
    let mut queries = 0;
    tree.visit(&mut |tree| queries += usize::from(tree.get("from").is_some()));
    match queries > MAX_QUERIES {
        true => {
            let message = format!("has more than {MAX_QUERIES} queries and joins");
            Err(QueryError::new("", message))
        }
        false => Ok(()),
    }
}

/// Reads the value at `key` with the place put into its errors.
fn at<'t, T>(key: &str, tree: &'t Tree, read: impl FnOnce(&'t Tree) -> Result<T>) -> Result<T> {
    read(tree).map_err(|e| e.within(key))
}

fn wrong<T>(expected: &str, tree: &Tree) -> Result<T> {
    Err(QueryError::new(
        "",
        format!("must be {expected}, not {}", tree.kind()),
    ))
}

fn object(tree: &Tree) -> Result<&[(String, Tree)]> {
    match tree {
        Tree::Object(entries) => Ok(entries),
        _ => wrong("an object", tree),
    }
}

/// Checks that an object has no other fields than these.
fn only(tree: &Tree, fields: &[&str]) -> Result<()> {
    for (key, _) in object(tree)? {
        if !fields.contains(&key.as_str()) {
            let error = QueryError::new("", format!("unknown field `{key}`"));
            return Err(error.suggest(key, fields.iter().copied()));
        }
    }
    unique(tree)
}

/// Checks that no field of an object is given twice.
fn unique(tree: &Tree) -> Result<()> {
    let entries = object(tree)?;
    let mut known = HashSet::with_capacity(entries.len());
    match entries.iter().find(|(key, _)| !known.insert(key)) {
        Some((key, _)) => Err(QueryError::new("", format!("field `{key}` is given twice"))),
        None => Ok(()),
    }
}

fn required<'t>(tree: &'t Tree, key: &str) -> Result<&'t Tree> {
    object(tree)?;
    tree.get(key)
        .ok_or_else(|| QueryError::new("", format!("field `{key}` is missing")))
}

/// A clause; JSON null and an absent one are the same, as JavaScript's `undefined` would be.
fn clause<'t>(tree: &'t Tree, key: &str) -> Option<&'t Tree> {
    tree.get(key)
        .filter(|t| !matches!(t, Tree::Leaf(Value::Null)))
}

fn text(tree: &Tree) -> Result<&str> {
    match tree {
        Tree::Leaf(Value::Str(s)) => Ok(s),
        _ => wrong("a string", tree),
    }
}

fn flag(tree: &Tree, key: &str) -> Result<bool> {
    clause(tree, key).map_or(Ok(false), |t| {
        at(key, t, |t| match t {
            Tree::Leaf(Value::Bool(b)) => Ok(*b),
            _ => wrong("true or false", t),
        })
    })
}

fn list<T>(tree: &Tree, key: &str, read: impl Fn(&Tree) -> Result<T>) -> Result<Vec<T>> {
    let Some(tree) = clause(tree, key) else {
        return Ok(Vec::new());
    };
    at(key, tree, |tree| match tree {
        Tree::Array(items) => {
            let item = |(i, item)| at(&format!("[{i}]"), item, &read);
            items.iter().enumerate().map(item).collect()
        }
        _ => wrong("an array", tree),
    })
}

/// A list that must not be empty.
fn some<T>(tree: &Tree, key: &str, read: impl Fn(&Tree) -> Result<T>) -> Result<Vec<T>> {
    required(tree, key)?;
    match list(tree, key, read)? {
        empty if empty.is_empty() => Err(QueryError::new(key, "must not be empty")),
        items => Ok(items),
    }
}

fn count(tree: &Tree, key: &str) -> Result<Option<usize>> {
    let Some(tree) = clause(tree, key) else {
        return Ok(None);
    };
    at(key, tree, |tree| match tree {
        Tree::Leaf(Value::Int(i)) if *i >= 0 => Ok(Some(usize::try_from(*i).unwrap_or(usize::MAX))),
        Tree::Leaf(Value::Float(f)) if *f >= u64::MAX as f64 => {
            Err(QueryError::new("", format!("{f} is too large")))
        }
        Tree::Leaf(value @ (Value::Int(_) | Value::Float(_))) => Err(QueryError::new(
            "",
            format!("must be a whole number from 0 on, not {value}"),
        )),
        _ => wrong("a whole number from 0 on", tree),
    })
}

fn choose<T: Copy>(tree: &Tree, choices: &[(&str, T)]) -> Result<T> {
    let name = text(tree)?;
    let found = choices.iter().find(|(n, _)| *n == name);
    found.map(|(_, v)| *v).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(n, _)| format!("`{n}`")).collect();
        let message = format!("must be {}, not `{name}`", names.join(" or "));
        QueryError::new("", message)
    })
}

pub(super) fn query(tree: &Tree) -> Result<Query> {
    only(
        tree,
        &[
            "withRecursive",
            "maxRounds",
            "from",
            "join",
            "where",
            "groupBy",
            "having",
            "select",
            "distinct",
            "orderBy",
            "limit",
            "offset",
            "singleResult",
        ],
    )?;
    Ok(Query {
        recursive: clause(tree, "withRecursive")
            .map_or(Ok(Vec::new()), |t| at("withRecursive", t, definitions))?,
        max_rounds: count(tree, "maxRounds")?.map(|n| n as u64),
        from: at("from", required(tree, "from")?, source)?,
        joins: list(tree, "join", join)?,
        filters: list(tree, "where", condition)?,
        group_by: list(tree, "groupBy", expr)?,
        having: list(tree, "having", condition)?,
        select: clause(tree, "select")
            .map(|t| at("select", t, selection))
            .transpose()?,
        distinct: flag(tree, "distinct")?,
        order_by: list(tree, "orderBy", order_by)?,
        limit: count(tree, "limit")?,
        offset: count(tree, "offset")?.unwrap_or(0),
        single: flag(tree, "singleResult")?,
    })
}

fn definitions(tree: &Tree) -> Result<Vec<(SmolStr, Query)>> {
    let definition = |(name, tree): &(String, Tree)| Ok((name.into(), at(name, tree, query)?));
    unique(tree)?;
    object(tree)?.iter().map(definition).collect()
}

fn alias(tree: &Tree) -> Result<SmolStr> {
    at("alias", required(tree, "alias")?, |t| match text(t)? {
        "" => Err(QueryError::new("", "must not be empty")),
        s if s.starts_with('$') => Err(QueryError::new(
            "",
            format!("`{s}`: names with `$` are reserved"),
        )),
        s => Ok(s.into()),
    })
}

const SOURCES: [&str; 4] = ["collectionRef", "queryRef", "unionFrom", "unionAll"];

fn source(tree: &Tree) -> Result<Source> {
    match at("type", required(tree, "type")?, text)? {
        "collectionRef" => {
            only(tree, &["type", "collection", "alias"])?;
            let name = at("collection", required(tree, "collection")?, text)?.into();
            Ok(Source::Collection {
                name,
                alias: alias(tree)?,
            })
        }
        "queryRef" => {
            only(tree, &["type", "query", "alias", "over"])?;
            let query = Box::new(at("query", required(tree, "query")?, query)?);
            let over = clause(tree, "over");
            Ok(Source::Query {
                query,
                alias: alias(tree)?,
                over: over.map_or(Ok(Vec::new()), |t| at("over", t, over::values))?,
            })
        }
        "unionFrom" => {
            only(tree, &["type", "sources"])?;
            Ok(Source::UnionFrom(some(tree, "sources", source)?))
        }
        "unionAll" => {
            only(tree, &["type", "queries"])?;
            Ok(Source::UnionAll(some(tree, "queries", query)?))
        }
        other => {
            let error = QueryError::new("type", format!("unknown source `{other}`"));
            Err(error.suggest(other, SOURCES))
        }
    }
}

fn join(tree: &Tree) -> Result<Join> {
    only(tree, &["type", "from", "on", "left", "right"])?;
    let kind = match clause(tree, "type") {
        None => JoinKind::Left,
        Some(kind) => at("type", kind, |t| match text(t)? {
            "inner" => Ok(JoinKind::Inner),
            "left" => Ok(JoinKind::Left),
            "right" => Ok(JoinKind::Right),
            "full" | "outer" => Ok(JoinKind::Full),
            "cross" => Ok(JoinKind::Cross),
            "semi" => Ok(JoinKind::Semi),
            "anti" => Ok(JoinKind::Anti),
            other => {
                let error = QueryError::new("", format!("unknown join type `{other}`"));
                Err(error.suggest(
                    other,
                    ["inner", "left", "right", "full", "cross", "semi", "anti"],
                ))
            }
        })?,
    };
    let source = at("from", required(tree, "from")?, source)?;
    let on = match (
        clause(tree, "on"),
        clause(tree, "left"),
        clause(tree, "right"),
    ) {
        (Some(on), None, None) => Some(at("on", on, expr)?),
        (None, Some(left), Some(right)) => Some(Expr::Call(
            Function::Eq,
            vec![at("left", left, expr)?, at("right", right, expr)?],
        )),
        (None, None, None) if kind == JoinKind::Cross => None,
        (None, None, None) => {
            let error = QueryError::new("", format!("the {} join needs `on`", kind.as_str()));
            return Err(error.hint("a join without a condition is of type `cross`"));
        }
        _ => {
            return Err(QueryError::new(
                "",
                "give either `on`, or `left` and `right`",
            ));
        }
    };
    if kind == JoinKind::Cross && on.is_some() {
        return Err(
            QueryError::new("on", "a cross join has no condition").hint("use an inner join")
        );
    }
    Ok(Join { kind, source, on })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Entry;

    fn error(text: &str) -> String {
        Query::from_json(text).unwrap_err().to_string()
    }

    const FROM: &str = r#""from":{"type":"collectionRef","collection":"users","alias":"u"}"#;

    #[test]
    fn errors_say_what_and_where() {
        for (rest, expected) in [
            (
                r#""were":[]"#,
                "unknown field `were` (did you mean `where`?)",
            ),
            (
                r#""limit":"ten""#,
                "`limit`: must be a whole number from 0 on, not a string",
            ),
            (
                r#""limit":-1"#,
                "`limit`: must be a whole number from 0 on, not -1",
            ),
            (
                r#""offset":2.5"#,
                "`offset`: must be a whole number from 0 on, not 2.5",
            ),
            (
                r#""distinct":1"#,
                "`distinct`: must be true or false, not a number",
            ),
            (
                r#""where":[{"type":"func","name":"not","args":[{"type":"func","name":"gtt","args":[]}]}]"#,
                "`where[0].args[0].name`: unknown function `gtt` (did you mean `gt`?)",
            ),
            (
                r#""where":[{"type":"func","name":"count","args":[]}]"#,
                "`where[0].name`: unknown function `count` (it is an aggregate: use type `agg`)",
            ),
            (
                r#""where":[{"type":"func","name":"eq","args":[{"type":"val","value":1}]}]"#,
                "`where[0].args`: `eq` takes 2 arguments, not 1",
            ),
            (
                r#""select":{"n":{"c":{"type":"agg","name":"cuont","args":[]}}}"#,
                "`select.n.c.name`: unknown aggregate `cuont` (did you mean `count`?)",
            ),
            (
                r#""select":{"n":{"type":"func","name":"dateTrunc","args":[{"type":"val","value":"days"},{"type":"val","value":1}]}}"#,
                "`select.n.args[0]`: `days` is not a unit (did you mean `day`?)",
            ),
            (
                r#""select":{"n":{"type":"agg","name":"quantile","args":[{"type":"ref","path":["u","a"]},{"type":"val","value":2}]}}"#,
                "`select.n.args[1]`: must be a number from 0 to 1, not 2",
            ),
            (
                r#""select":{"n":{"type":"agg","name":"sum","args":[]}}"#,
                "`select.n.args`: `sum` takes 1 argument, not 0",
            ),
            (
                r#""select":{"n":5}"#,
                "`select.n`: must be an expression or an object, not a number (a constant is written {\"type\":\"val\",\"value\":…})",
            ),
            (
                r#""orderBy":[{"expression":{"type":"ref","path":["u","a"]},"compareOptions":{"direction":"up"}}]"#,
                "`orderBy[0].compareOptions.direction`: must be `asc` or `desc`, not `up`",
            ),
            (
                r#""join":[{"type":"inner","from":{"type":"collectionRef","collection":"x","alias":"x"}}]"#,
                "`join[0]`: the inner join needs `on` (a join without a condition is of type `cross`)",
            ),
            (
                r#""where":[{"type":"ref","path":[]}]"#,
                "`where[0].path`: a path starts with an alias; it is empty",
            ),
        ] {
            assert_eq!(error(&format!("{{{FROM},{rest}}}")), expected);
        }
        assert_eq!(
            error("{"),
            "the query is not valid JSON: EOF while parsing an object at line 1 column 1"
        );
        assert_eq!(error("[]"), "must be an object, not an array");
        assert_eq!(error("{}"), "field `from` is missing");
        assert_eq!(
            error(r#"{"from":{"type":"colectionRef"}}"#),
            "`from.type`: unknown source `colectionRef` (did you mean `collectionRef`?)"
        );
    }

    #[test]
    fn a_path_into_a_value_is_refused() {
        let one = r#"{"type":"val","value":1}"#;
        assert_eq!(
            error(&format!(r#"{{{FROM},"select":{{"a":{one},"a.b":{one}}}}}"#)),
            "`select.a.b`: `a` is a value already, not an object of fields (give the whole object once)"
        );
    }

    #[test]
    fn names_with_very_many_dots_are_refused() {
        let name = "a.".repeat(10_000) + "a";
        let select = format!(r#""select":{{"{name}":{{"type":"val","value":1}}}}"#);
        assert_eq!(
            error(&format!("{{{FROM},{select}}}")),
            "`select`: a field name has at most 64 dots, each a nested object"
        );
    }

    #[test]
    fn select_keeps_the_authors_order_and_a_field_may_be_called_type() {
        let query = Query::from_json(&format!(
            r#"{{{FROM},"select":{{"z":{{"type":"ref","path":["u","z"]}},"type":{{"type":"val","value":1}}}}}}"#
        ));
        let Some(Expr::Object(fields)) = query.unwrap().select else {
            panic!("an object")
        };
        let name = |entry: &Entry| match entry {
            Entry::Field(name, _) => name.to_string(),
            Entry::Spread(_) => "...".into(),
        };
        assert_eq!(fields.iter().map(name).collect::<Vec<_>>(), ["z", "type"]);
    }
}
