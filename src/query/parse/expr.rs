//! Expressions, and what `select` has beside them.

use smol_str::SmolStr;

use super::super::error::QueryError;
use super::super::function::{AggregateFunction, Function};
use super::super::ir::{Entry, Expr, Include, Materialization};
use super::super::tree::Tree;
use super::{Result, at, choose, clause, list, object, only, query, required, some, text, unique};
use crate::value::Value;

/// An item of `where` or `having`: an expression, bare or wrapped.
pub(super) fn condition(tree: &Tree) -> Result<Expr> {
    match tree.get("expression") {
        Some(inner) => {
            only(tree, &["expression"])?;
            at("expression", inner, expr)
        }
        None => expr(tree),
    }
}

const EXPRESSIONS: [&str; 4] = ["ref", "val", "func", "agg"];

pub(super) fn expr(tree: &Tree) -> Result<Expr> {
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
            let call = Expr::Call(function, list(tree, "args", expr)?);
            call.check()?;
            Ok(call)
        }
        "agg" => {
            only(tree, &["type", "name", "args"])?;
            let name = at("name", required(tree, "name")?, text)?;
            let function = AggregateFunction::parse(name).ok_or_else(|| {
                QueryError::new("name", format!("unknown aggregate `{name}`"))
                    .suggest(name, AggregateFunction::names())
            })?;
            let call = Expr::Aggregate(function, list(tree, "args", expr)?);
            call.check()?;
            Ok(call)
        }
        "includesSubquery" | "conditionalSelect" => Err(QueryError::new(
            "type",
            "this can only stand in `select`, as the value of a field",
        )),
        other => {
            let error = QueryError::new("type", format!("unknown expression type `{other}`"));
            Err(error.suggest(other, EXPRESSIONS))
        }
    }
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

/// Whether the field of a name is spread.
pub(in crate::query) fn is_spread(name: &str) -> bool {
    name.starts_with(SPREAD) || name.starts_with("...")
}

/// Each dot of a field name nests the value deeper, and values are walked recursively.
const MAX_DOTS: usize = 64;

pub(super) fn selection(tree: &Tree) -> Result<Expr> {
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
        if is_spread(key) {
            entries.push(Entry::Spread(field));
        } else {
            if key.matches('.').count() > MAX_DOTS {
                let message =
                    format!("a field name has at most {MAX_DOTS} dots, each a nested object");
                return Err(QueryError::new("", message));
            }
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
    if rest.is_some() && (name.is_empty() || rest == Some("")) {
        let message = "a field name with dots is a path, and a part of this one is empty";
        return Err(QueryError::new("", message));
    }
    if matches!(name, "__proto__" | "prototype" | "constructor") {
        let message =
            format!("the name `{name}` is not allowed, as JavaScript clients would be harmed");
        return Err(QueryError::new("", message));
    }
    let known = last(entries, name);
    match (rest, known) {
        (None, Some(known)) => entries[known] = Entry::Field(name.into(), value),
        // What is spread in between may have the field, too: this one comes after it.
        (None, None) => entries.push(Entry::Field(name.into(), value)),
        (Some(rest), None) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, value)?;
            entries.push(Entry::Field(name.into(), Expr::Object(inner)));
        }
        (Some(rest), Some(known)) => match &mut entries[known] {
            Entry::Field(_, Expr::Object(inner)) => insert(inner, rest, value)?,
            _ => {
                let message = format!("`{name}` is a value already, not an object of fields");
                return Err(QueryError::new("", message).hint("give the whole object once"));
            }
        },
    }
    Ok(())
}

/// Where a field stands that nothing spread after it may override.
fn last(entries: &[Entry], name: &str) -> Option<usize> {
    let known = entries
        .iter()
        .rposition(|e| matches!(e, Entry::Field(n, _) if n == name))?;
    let spread = entries.iter().rposition(|e| matches!(e, Entry::Spread(_)));
    (spread < Some(known)).then_some(known)
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
