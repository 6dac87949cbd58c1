//! Query JSON into IR, with errors that name the place.

use smol_str::SmolStr;

use super::error::QueryError;
use super::function::{AggregateFunction, Function};
use super::ir::{Entry, Expr, Include, Join, JoinKind, Materialization, OrderBy, Query, Source};
use super::tree::Tree;
use crate::value::{
    CaseFirst, Collation, CollationError, CollationOptions, Direction, Nulls, Sensitivity, Value,
};

type Result<T> = std::result::Result<T, QueryError>;

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
        let tree: Tree = serde_json::from_str(text)
            .map_err(|e| QueryError::new("", format!("the query is not valid JSON: {e}")))?;
        query(&tree)
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
    for (i, (key, _)) in entries.iter().enumerate() {
        if entries[..i].iter().any(|(other, _)| other == key) {
            return Err(QueryError::new("", format!("field `{key}` is given twice")));
        }
    }
    Ok(())
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
        Tree::Leaf(value @ (Value::Int(_) | Value::Float(_))) => Err(QueryError::new(
            "",
            format!("must be a whole number from 0 on, not {value}"),
        )),
        _ => wrong("a whole number from 0 on", tree),
    })
}

fn query(tree: &Tree) -> Result<Query> {
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
            only(tree, &["type", "query", "alias"])?;
            let query = Box::new(at("query", required(tree, "query")?, query)?);
            Ok(Source::Query {
                query,
                alias: alias(tree)?,
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
            other => {
                let error = QueryError::new("", format!("unknown join type `{other}`"));
                Err(error.suggest(other, ["inner", "left", "right", "full", "cross"]))
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

/// An item of `where` or `having`: an expression, bare or wrapped.
fn condition(tree: &Tree) -> Result<Expr> {
    match tree.get("expression") {
        Some(inner) => {
            only(tree, &["expression"])?;
            at("expression", inner, expr)
        }
        None => expr(tree),
    }
}

const EXPRESSIONS: [&str; 4] = ["ref", "val", "func", "agg"];

fn expr(tree: &Tree) -> Result<Expr> {
    match at("type", required(tree, "type")?, text)? {
        "ref" => {
            // The builder says once more which source is meant.
            only(tree, &["type", "path", "sourceAlias"])?;
            let path = list(tree, "path", |t| text(t).map(SmolStr::from))?;
            if path.is_empty() {
                return Err(QueryError::new(
                    "path",
                    "a path starts with an alias; it is empty",
                ));
            }
            Ok(Expr::Ref(path))
        }
        "val" => {
            only(tree, &["type", "value"])?;
            // JSON drops `undefined`, which TanStack's literals treat as null.
            Ok(Expr::Value(
                tree.get("value").map_or(Value::Null, Tree::to_value),
            ))
        }
        "func" => {
            only(tree, &["type", "name", "args"])?;
            let name = at("name", required(tree, "name")?, text)?;
            let function = Function::parse(name).ok_or_else(|| {
                let error = QueryError::new("name", format!("unknown function `{name}`"));
                match AggregateFunction::parse(name) {
                    Some(_) => error.hint("it is an aggregate: use type `agg`"),
                    None => error.suggest(name, Function::names()),
                }
            })?;
            let args = list(tree, "args", expr)?;
            function
                .check_arity(args.len())
                .map_err(|m| QueryError::new("args", m))?;
            function.check_constants(&constants(&args))?;
            Ok(Expr::Call(function, args))
        }
        "agg" => {
            only(tree, &["type", "name", "args"])?;
            let name = at("name", required(tree, "name")?, text)?;
            let function = AggregateFunction::parse(name).ok_or_else(|| {
                QueryError::new("name", format!("unknown aggregate `{name}`"))
                    .suggest(name, AggregateFunction::names())
            })?;
            let args = list(tree, "args", expr)?;
            function
                .check_arity(args.len())
                .map_err(|m| QueryError::new("args", m))?;
            if let Some(i) = args.iter().position(Expr::has_aggregate) {
                let place = format!("args[{i}]");
                return Err(QueryError::new(place, "an aggregate inside an aggregate"));
            }
            function.check_constants(&constants(&args))?;
            Ok(Expr::Aggregate(function, args))
        }
        other => {
            let error = QueryError::new("type", format!("unknown expression type `{other}`"));
            Err(error.suggest(other, EXPRESSIONS))
        }
    }
}

/// The arguments that are constants.
fn constants(args: &[Expr]) -> Vec<Option<&Value>> {
    args.iter().map(Expr::as_constant).collect()
}

/// The value of a field of `select`, or of `select` itself.
fn projection(tree: &Tree) -> Result<Expr> {
    // A field may be called `type`: only a text can name the type of an expression.
    match tree.get("type") {
        Some(Tree::Leaf(Value::Str(name))) => match name.as_str() {
            "includesSubquery" => include(tree),
            "conditionalSelect" => conditional(tree),
            name if EXPRESSIONS.contains(&name) => expr(tree),
            _ => selection(tree),
        },
        _ => selection(tree),
    }
}

/// How TanStack's builder marks what is spread.
const SPREAD: &str = "__SPREAD_SENTINEL__";

fn selection(tree: &Tree) -> Result<Expr> {
    if let Some(Tree::Leaf(Value::Str(name))) = tree.get("type")
        && EXPRESSIONS.contains(&name.as_str())
    {
        return expr(tree);
    }
    unique(tree)?;
    let mut entries = Vec::new();
    for (key, value) in object(tree)? {
        let field = match value {
            Tree::Object(_) => at(key, value, projection)?,
            _ => {
                let error = format!("must be an expression or an object, not {}", value.kind());
                return Err(QueryError::new(key.as_str(), error)
                    .hint(r#"a constant is written {"type":"val","value":…}"#));
            }
        };
        if key.starts_with(SPREAD) || key.starts_with("...") {
            entries.push(Entry::Spread(field));
        } else {
            insert(&mut entries, key, field).map_err(|e| e.within(key))?;
        }
    }
    Ok(Expr::Object(entries))
}

/// Adds a field; the dots of its name are steps into nested objects.
fn insert(entries: &mut Vec<Entry>, path: &str, value: Expr) -> Result<()> {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    if matches!(name, "__proto__" | "prototype" | "constructor") {
        let message =
            format!("the name `{name}` is not allowed, as JavaScript clients would be harmed");
        return Err(QueryError::new("", message));
    }
    let known = entries.iter_mut().find_map(|entry| match (entry, rest) {
        (Entry::Field(n, Expr::Object(inner)), Some(_)) if n == name => Some(inner),
        _ => None,
    });
    match (known, rest) {
        (Some(inner), Some(rest)) => insert(inner, rest, value),
        (_, Some(rest)) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, value)?;
            entries.push(Entry::Field(name.into(), Expr::Object(inner)));
            Ok(())
        }
        (_, None) => {
            let known = entries
                .iter()
                .position(|e| matches!(e, Entry::Field(n, _) if n == name));
            let spread = entries.iter().rposition(|e| matches!(e, Entry::Spread(_)));
            match known.filter(|known| spread < Some(*known)) {
                Some(known) => entries[known] = Entry::Field(name.into(), value),
                // What is spread in between may have the field, too: this one comes after it.
                None => entries.push(Entry::Field(name.into(), value)),
            }
            Ok(())
        }
    }
}

fn conditional(tree: &Tree) -> Result<Expr> {
    only(tree, &["type", "branches", "defaultValue"])?;
    let branches = some(tree, "branches", |branch| {
        only(branch, &["condition", "value"])?;
        Ok((
            at("condition", required(branch, "condition")?, expr)?,
            at("value", required(branch, "value")?, projection)?,
        ))
    })?;
    let mut args: Vec<Expr> = branches.into_iter().flat_map(|(c, v)| [c, v]).collect();
    if let Some(otherwise) = clause(tree, "defaultValue") {
        args.push(at("defaultValue", otherwise, projection)?);
    }
    Ok(Expr::Call(Function::CaseWhen, args))
}

fn include(tree: &Tree) -> Result<Expr> {
    only(
        tree,
        &[
            "type",
            "query",
            "materialization",
            "correlationField",
            "childCorrelationField",
            "parentFilters",
            // What the rest says already.
            "fieldName",
            "parentProjection",
            "scalarField",
        ],
    )?;
    let mut query = at("query", required(tree, "query")?, query)?;
    query
        .filters
        .extend(list(tree, "parentFilters", condition)?);
    let correlation = match (
        clause(tree, "correlationField"),
        clause(tree, "childCorrelationField"),
    ) {
        (None, None) => None,
        (Some(parent), Some(child)) => Some((
            at("correlationField", parent, expr)?,
            at("childCorrelationField", child, expr)?,
        )),
        _ => {
            let message = "`correlationField` and `childCorrelationField` come together";
            return Err(QueryError::new("", message));
        }
    };
    let materialization = match clause(tree, "materialization") {
        None => Materialization::Array,
        Some(t) => at("materialization", t, |t| {
            choose(
                t,
                &[
                    ("collection", Materialization::Array),
                    ("array", Materialization::Array),
                    ("singleton", Materialization::Singleton),
                    ("concat", Materialization::Concat),
                ],
            )
        })?,
    };
    let scalar = clause(tree, "scalarField")
        .map(|t| at("scalarField", t, text))
        .transpose()?
        .map(SmolStr::from);
    if materialization == Materialization::Concat && scalar.is_none() {
        let error = QueryError::new("", "`concat` needs a `scalarField`");
        return Err(error.hint("the field of the child's `select` whose texts are put together"));
    }
    Ok(Expr::Include(Box::new(Include {
        query,
        correlation,
        materialization,
        scalar,
    })))
}

fn order_by(tree: &Tree) -> Result<OrderBy> {
    only(tree, &["expression", "compareOptions"])?;
    let mut order = OrderBy {
        expr: at("expression", required(tree, "expression")?, expr)?,
        direction: Direction::Asc,
        nulls: Nulls::First,
        collation: None,
    };
    if let Some(options) = clause(tree, "compareOptions") {
        at("compareOptions", options, |t| {
            compare_options(t, &mut order)
        })?;
    }
    Ok(order)
}

fn compare_options(tree: &Tree, order: &mut OrderBy) -> Result<()> {
    only(
        tree,
        &[
            "direction",
            "nulls",
            "stringSort",
            "locale",
            "localeOptions",
        ],
    )?;
    let directions = [("asc", Direction::Asc), ("desc", Direction::Desc)];
    if let Some(t) = clause(tree, "direction") {
        order.direction = at("direction", t, |t| choose(t, &directions))?;
    }
    if let Some(t) = clause(tree, "nulls") {
        let places = [("first", Nulls::First), ("last", Nulls::Last)];
        order.nulls = at("nulls", t, |t| choose(t, &places))?;
    }
    let by_locale = match clause(tree, "stringSort") {
        Some(t) => at("stringSort", t, |t| {
            choose(t, &[("lexical", false), ("locale", true)])
        })?,
        None => false,
    };
    // Without `stringSort`, TanStack ignores these.
    if by_locale {
        let options = clause(tree, "localeOptions");
        let options = options.map(|t| at("localeOptions", t, collation_options));
        let options = options.transpose()?.unwrap_or_default();
        let locale = clause(tree, "locale").map(|t| at("locale", t, text));
        let locale = locale.transpose()?.unwrap_or("und");
        let collation = Collation::new(locale, options);
        order.collation = Some(collation.map_err(|e| {
            let place = match e {
                CollationError::NotBuilt => "stringSort",
                _ => "locale",
            };
            QueryError::new(place, e.to_string())
        })?);
    }
    Ok(())
}

fn collation_options(tree: &Tree) -> Result<CollationOptions> {
    only(
        tree,
        &["sensitivity", "numeric", "caseFirst", "ignorePunctuation"],
    )?;
    let mut options = CollationOptions::default();
    if let Some(t) = clause(tree, "sensitivity") {
        let sensitivities = [
            ("base", Sensitivity::Base),
            ("accent", Sensitivity::Accent),
            ("case", Sensitivity::Case),
            ("variant", Sensitivity::Variant),
        ];
        options.sensitivity = at("sensitivity", t, |t| choose(t, &sensitivities))?;
    }
    if let Some(t) = clause(tree, "caseFirst") {
        let cases = [
            ("upper", Some(CaseFirst::Upper)),
            ("lower", Some(CaseFirst::Lower)),
            ("false", None),
        ];
        options.case_first = at("caseFirst", t, |t| choose(t, &cases))?;
    }
    options.numeric = flag(tree, "numeric")?;
    options.ignore_punctuation = flag(tree, "ignorePunctuation")?;
    Ok(options)
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

#[cfg(test)]
mod tests {
    use super::*;

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
