//! Name resolution: what a path in the IR means at each stage of a query.

use smol_str::SmolStr;

use super::Aggregate;
use super::env::Env;
use super::expr::{Expr, Label, NativeCall, Part, Shape};
use super::include::{self, Included};
use super::key::KeyKind;
use super::origin;
use crate::query::{self, Entry, QueryError};
use crate::schema::{KEY_COLUMN, ORIGIN_COLUMN, SYNCED_COLUMN};

type Result<T> = std::result::Result<T, QueryError>;

/// The reserved alias of the fields of `select`.
pub(super) const SELECTED: &str = "$selected";

/// A source and what the query calls it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) names: Names,
    pub(super) shape: Shape,
    pub(super) key: KeyKind,
}

/// How paths name a source.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Names {
    /// They start with its alias.
    Alias(SmolStr),
    /// They start with a field of it: a union of queries.
    Fields,
    /// They start with a field of it, each of which is a row whose key stands in a column behind
    /// all fields: a union of sources.
    Aliases,
}

/// The values of the parent that an included query refers to.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// Their paths, in the order of the columns.
    pub(super) paths: Vec<Vec<SmolStr>>,
    /// The place of the source that holds them, among the rows.
    pub(super) source: usize,
}

/// What the tuples of a stage hold.
pub(super) enum Stage {
    /// The rows of the sources.
    Rows,
    /// Group rows: key, group values, aggregates. Aggregates are added as they are met.
    Groups {
        keys: Vec<query::Expr>,
        aggregates: Vec<Aggregate>,
    },
    /// Distinct rows: key, fields.
    Distinct { fields: Vec<query::Expr> },
}

/// Lowers IR expressions of one query at one stage.
pub(super) struct Scope<'q> {
    pub(super) env: &'q Env<'q>,
    pub(super) sources: Vec<Source>,
    pub(super) context: Option<Context>,
    pub(super) select: Option<&'q query::Expr>,
    pub(super) stage: Stage,
    /// The included queries met so far; each adds a row to the tuples of the stage it is met at.
    pub(super) includes: Vec<Included>,
}

pub(super) fn label(path: &[SmolStr]) -> Label {
    Label(path.join(".").into())
}

impl<'q> Scope<'q> {
    pub(super) fn new(env: &'q Env<'q>, sources: Vec<Source>) -> Self {
        Scope {
            env,
            sources,
            context: None,
            select: None,
            stage: Stage::Rows,
            includes: Vec::new(),
        }
    }

    /// The names that paths may start with.
    pub(super) fn names(&self) -> Vec<&str> {
        let paths = self.context.iter().flat_map(|c| &c.paths);
        let heads = paths.map(|path| path[0].as_str());
        let heads = heads.filter(|name| !name.starts_with('$'));
        self.aliases().chain(self.fields()).chain(heads).collect()
    }

    pub(super) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().flat_map(|s| {
            match (&s.names, &s.shape) {
                (Names::Alias(alias), _) => std::slice::from_ref(alias),
                (Names::Aliases, Shape::Fields(aliases)) => aliases,
                _ => &[],
            }
            .iter()
            .map(SmolStr::as_str)
        })
    }

    /// The aliases of this query and of those around it.
    pub(super) fn outer_aliases(&self) -> std::collections::BTreeSet<SmolStr> {
        let paths = self.context.iter().flat_map(|c| &c.paths);
        let heads = paths.map(|path| path[0].clone());
        self.aliases().map(SmolStr::from).chain(heads).collect()
    }

    /// The fields of a union of queries.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().flat_map(|s| {
            match (&s.names, &s.shape) {
                (Names::Fields, Shape::Fields(fields)) => &fields[..],
                _ => &[],
            }
            .iter()
            .map(SmolStr::as_str)
        })
    }

    /// Whether any name may be that of a field, as a union has fields that nobody knows.
    pub(super) fn has_any_name(&self) -> bool {
        let is_open = |s: &Source| {
            !matches!(s.names, Names::Alias(_)) && !matches!(s.shape, Shape::Fields(_))
        };
        self.sources.first().is_some_and(is_open)
    }

    /// The number of rows in a tuple of this stage, without those of included queries.
    pub(super) fn arity(&self) -> usize {
        match self.stage {
            Stage::Rows => self.sources.len() + usize::from(self.context.is_some()),
            Stage::Groups { .. } | Stage::Distinct { .. } => 1,
        }
    }

    /// Lowers an expression over the rows of the sources, whatever the stage.
    pub(super) fn row_expr(&self, expr: &query::Expr) -> Result<Expr> {
        expr.check()?;
        match expr {
            query::Expr::Ref(path) => self.row_path(path),
            query::Expr::Value(value) => Ok(Expr::Const(value.clone())),
            query::Expr::Call(function, args) => {
                Ok(Expr::Call(*function, each(args, |arg| self.row_expr(arg))?))
            }
            query::Expr::Object(entries) => object(entries, &mut |e| self.row_expr(e)),
            query::Expr::Closure(closure) => {
                Ok(native(closure, each(&closure.args, |arg| self.row_expr(arg))?))
            }
            query::Expr::Include(_) => Err(misplaced_include()),
            query::Expr::Aggregate(function, _) => Err(QueryError::new(
                "",
                format!("the aggregate `{}` cannot stand here, where there are no groups", function.as_str()),
            )
            .hint("groups are made by `groupBy` or an aggregate in `select`; conditions on them are `having`")),
        }
    }

    fn row_path(&self, path: &[SmolStr]) -> Result<Expr> {
        let named = |alias: &SmolStr| {
            let is = |s: &Source| matches!(&s.names, Names::Alias(a) if a == alias);
            self.sources.iter().position(is)
        };
        if let Some(place) = path.first().and_then(named) {
            return self.path_into(place, path, 1);
        }
        if path.first().is_some_and(|name| name == SELECTED) {
            return Err(QueryError::new(
                "path",
                format!("`{SELECTED}` cannot stand here, before `select`"),
            )
            .hint("it may be used in `having` and `orderBy`"));
        }
        if let Some(context) = &self.context
            && let Some(i) = context.paths.iter().position(|p| p == path)
        {
            return Ok(Expr::Column {
                source: context.source,
                column: 1 + i,
                label: label(path),
            });
        }
        // A union has no alias of its own.
        let union = self
            .sources
            .first()
            .filter(|s| !matches!(s.names, Names::Alias(_)));
        let known = union.is_some_and(|s| match (&s.shape, path.first()) {
            (_, None) | (Shape::Value | Shape::Collection(_), _) => true,
            (Shape::Fields(fields), Some(name)) => name == KEY_COLUMN || fields.contains(name),
        });
        if known {
            return self.path_into(0, path, 0);
        }
        let what = if union.is_some() {
            "alias or field"
        } else {
            "alias"
        };
        let name = path.first().map_or("", SmolStr::as_str);
        Err(QueryError::new("path", format!("unknown {what} `{name}`")).suggest(name, self.names()))
    }

    /// Lowers what follows the first `depth` names of a path, which name a source.
    fn path_into(&self, place: usize, path: &[SmolStr], depth: usize) -> Result<Expr> {
        let source = &self.sources[place];
        let Some(field) = path.get(depth) else {
            return Ok(Expr::Row {
                source: place,
                shape: source.shape.clone(),
                label: label(path),
            });
        };
        let column = |column, depth: usize| Expr::Column {
            source: place,
            column,
            label: label(&path[..depth]),
        };
        let depth = depth + 1;
        let (base, rest) = match &source.shape {
            _ if field == KEY_COLUMN => (
                Expr::Key {
                    source: place,
                    kind: source.key.clone(),
                },
                &path[depth..],
            ),
            Shape::Collection(collection) if field == SYNCED_COLUMN => (
                origin::is_synced(place, collection, label(&path[..depth])),
                &path[depth..],
            ),
            Shape::Collection(collection) if field == ORIGIN_COLUMN => (
                origin::origin(place, collection, label(&path[..depth])),
                &path[depth..],
            ),
            Shape::Collection(collection) => {
                let index = collection.column(field).ok_or_else(|| {
                    QueryError::new(
                        "path",
                        format!(
                            "collection `{}` has too many fields for `{field}`",
                            collection.name()
                        ),
                    )
                })?;
                (column(index, depth), &path[depth..])
            }
            Shape::Fields(names) => match names.iter().position(|name| name == field) {
                Some(i)
                    if source.names == Names::Aliases
                        && path.get(depth).is_some_and(|name| name == KEY_COLUMN) =>
                {
                    (column(1 + names.len() + i, depth + 1), &path[depth + 1..])
                }
                Some(i) => (column(i + 1, depth), &path[depth..]),
                None => {
                    let of = match &source.names {
                        Names::Alias(alias) => format!("subquery `{alias}`"),
                        _ => "the union".into(),
                    };
                    let error = QueryError::new("path", format!("{of} has no field `{field}`"));
                    return Err(error.suggest(field, names.iter().map(SmolStr::as_str)));
                }
            },
            Shape::Value => (column(1, depth - 1), &path[depth - 1..]),
        };
        Ok(fields(base, rest))
    }

    /// Lowers an expression at the scope's stage.
    pub(super) fn expr(&mut self, expr: &query::Expr) -> Result<Expr> {
        expr.check()?;
        if let query::Expr::Ref(path) = expr
            && path.first().is_some_and(|name| name == SELECTED)
        {
            return self.selected(path);
        }
        if let Some(found) = self.computed(expr) {
            return Ok(found);
        }
        match expr {
            query::Expr::Value(value) => Ok(Expr::Const(value.clone())),
            query::Expr::Call(function, args) => {
                Ok(Expr::Call(*function, each(args, |arg| self.expr(arg))?))
            }
            query::Expr::Object(entries) => object(entries, &mut |e| self.expr(e)),
            query::Expr::Closure(closure) => {
                Ok(native(closure, each(&closure.args, |arg| self.expr(arg))?))
            }
            query::Expr::Include(include) => {
                if matches!(self.stage, Stage::Distinct { .. }) {
                    return Err(misplaced_include());
                }
                include::include(include, self)
            }
            query::Expr::Ref(_) | query::Expr::Aggregate(..)
                if matches!(self.stage, Stage::Rows) =>
            {
                self.row_expr(expr)
            }
            query::Expr::Aggregate(function, args) => {
                let args = each(args, |arg| self.row_expr(arg))?;
                let Stage::Groups { keys, aggregates } = &mut self.stage else {
                    return Err(QueryError::new(
                        "",
                        "an aggregate must be in `select` to be used after `distinct`",
                    ));
                };
                let wanted = Aggregate {
                    function: *function,
                    args,
                };
                let known = aggregates.iter().position(|a| *a == wanted);
                let place = known.unwrap_or_else(|| {
                    aggregates.push(wanted);
                    aggregates.len() - 1
                });
                Ok(Expr::Column {
                    source: 0,
                    column: 1 + keys.len() + place,
                    label: Label(aggregates[place].to_string().into()),
                })
            }
            query::Expr::Ref(path) => {
                // An unknown alias is the more helpful error.
                self.row_path(path)?;
                let path = path.join(".");
                Err(match self.stage {
                    Stage::Distinct { .. } => {
                        QueryError::new("path", format!("`{path}` is not selected"))
                            .hint("with `distinct`, only what is selected can be ordered by")
                    }
                    _ => QueryError::new(
                        "path",
                        format!("`{path}` is neither grouped by nor inside an aggregate"),
                    )
                    .hint("add it to `groupBy`"),
                })
            }
        }
    }

    /// The column of an expression that the stage has computed already.
    fn computed(&self, expr: &query::Expr) -> Option<Expr> {
        let known = match &self.stage {
            Stage::Rows => return None,
            Stage::Groups { keys, .. } => keys,
            Stage::Distinct { fields } => fields,
        };
        let column = |i: usize, label| Expr::Column {
            source: 0,
            column: 1 + i,
            label,
        };
        if let query::Expr::Ref(path) = expr {
            // The longest known path that this one goes on from.
            let longest = (0..known.len())
                .filter_map(|i| match &known[i] {
                    // Over a union, every name could be a field.
                    query::Expr::Ref(k) if k.is_empty() && self.row_path(path).is_err() => None,
                    query::Expr::Ref(k) if goes_on(path, k) => Some((k.len(), i)),
                    _ => None,
                })
                .max_by_key(|(length, i)| (*length, std::cmp::Reverse(*i)));
            return longest
                .map(|(length, i)| fields(column(i, label(&path[..length])), &path[length..]));
        }
        let i = known.iter().position(|k| k == expr)?;
        Some(column(i, Label(format!("#{i}").into())))
    }

    /// Lowers a path into `select`.
    fn selected(&mut self, path: &[SmolStr]) -> Result<Expr> {
        let Some(select) = self.select else {
            // Without a select the row is the selected one.
            return match (&self.stage, &self.sources[..]) {
                (Stage::Groups { keys, .. }, _) => {
                    let names: Vec<SmolStr> = (0..keys.len()).map(group_field).collect();
                    let name = path.get(1).cloned().unwrap_or_default();
                    match names.iter().position(|n| *n == name) {
                        Some(i) => {
                            let column = Expr::Column {
                                source: 0,
                                column: 1 + i,
                                label: label(&path[..2]),
                            };
                            Ok(fields(column, &path[2..]))
                        }
                        None => Err(no_field(&name, names.iter().map(SmolStr::as_str))),
                    }
                }
                (_, [source]) => {
                    let alias = match &source.names {
                        Names::Alias(alias) => Some(alias.clone()),
                        Names::Fields | Names::Aliases => None,
                    };
                    let direct = alias.into_iter().chain(path[1..].iter().cloned());
                    self.expr(&query::Expr::Ref(direct.collect()))
                }
                _ if path.len() > 1 => self.expr(&query::Expr::Ref(path[1..].to_vec())),
                _ => Err(QueryError::new(
                    "path",
                    format!("`{SELECTED}` needs a field"),
                )),
            };
        };
        let mut part = select;
        let mut rest = &path[1..];
        while let query::Expr::Object(entries) = part {
            let Some((name, deeper)) = rest.split_first() else {
                return self.expr(part);
            };
            if entries.iter().any(|e| matches!(e, Entry::Spread(_))) {
                // Which of the entries has the field shows only in the row.
                break;
            }
            let names = entries.iter().filter_map(|entry| match entry {
                Entry::Field(name, part) => Some((name, part)),
                Entry::Spread(_) => None,
            });
            match names.clone().find(|(n, _)| *n == name) {
                Some((_, found)) => part = found,
                None => return Err(no_field(name, names.map(|(n, _)| n.as_str()))),
            }
            rest = deeper;
        }
        Ok(fields(self.expr(part)?, rest))
    }
}

/// Whether a path goes on from another one into its value; keys are not part of values, nor is
/// where a row comes from.
fn goes_on(path: &[SmolStr], from: &[SmolStr]) -> bool {
    let beside = [KEY_COLUMN, SYNCED_COLUMN, ORIGIN_COLUMN];
    let field = path.get(from.len());
    path.starts_with(from) && field.is_none_or(|field| !beside.contains(&field.as_str()))
}

/// The name of a group's value where nothing is selected, as TanStack has it.
pub(super) fn group_field(i: usize) -> SmolStr {
    smol_str::format_smolstr!("__key_{i}")
}

fn no_field<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> QueryError {
    QueryError::new("path", format!("`select` has no field `{name}`")).suggest(name, known)
}

fn misplaced_include() -> QueryError {
    QueryError::new("", "an included query can only stand in `select`")
}

/// Goes from a value into its fields.
pub(super) fn fields(base: Expr, path: &[SmolStr]) -> Expr {
    path.iter()
        .fold(base, |base, name| Expr::Field(Box::new(base), name.clone()))
}

fn each(
    args: &[query::Expr],
    mut lower: impl FnMut(&query::Expr) -> Result<Expr>,
) -> Result<Vec<Expr>> {
    let lower = |(i, arg)| lower(arg).map_err(|e| e.within(&format!("args[{i}]")));
    args.iter().enumerate().map(lower).collect()
}

fn native(closure: &query::Closure, args: Vec<Expr>) -> Expr {
    Expr::Native(NativeCall {
        name: closure.name.clone(),
        function: closure.function.clone(),
        args,
    })
}

fn object(entries: &[Entry], lower: &mut dyn FnMut(&query::Expr) -> Result<Expr>) -> Result<Expr> {
    let mut part = |entry: &Entry| {
        Ok(match entry {
            Entry::Field(name, expr) => {
                Part::Field(name.clone(), lower(expr).map_err(|e| e.within(name))?)
            }
            Entry::Spread(expr) => Part::Spread(lower(expr).map_err(|e| e.within("..."))?),
        })
    };
    Ok(Expr::Object(
        entries.iter().map(&mut part).collect::<Result<_>>()?,
    ))
}
