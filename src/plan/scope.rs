//! Name resolution: what a path in the IR means at each stage of a query.

use smol_str::SmolStr;

use super::Aggregate;
use super::expr::{Expr, Label, Shape};
use super::key::{KeyKind, Template};
use crate::query::{self, Projection, QueryError};
use crate::schema::KEY_COLUMN;

type Result<T> = std::result::Result<T, QueryError>;

/// The reserved alias of the fields of `select`.
pub(super) const SELECTED: &str = "$selected";

/// A source under its alias.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) alias: SmolStr,
    pub(super) shape: Shape,
    pub(super) key: KeyKind,
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
    pub(super) sources: Vec<Source>,
    pub(super) select: Option<&'q Projection>,
    pub(super) stage: Stage,
}

fn label(path: &[SmolStr]) -> Label {
    Label(path.join(".").into())
}

impl Scope<'_> {
    fn aliases(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|s| s.alias.as_str())
    }

    /// Lowers an expression over the rows of the sources, whatever the stage.
    pub(super) fn row_expr(&self, expr: &query::Expr) -> Result<Expr> {
        match expr {
            query::Expr::Ref(path) => self.row_path(path),
            query::Expr::Value(value) => Ok(Expr::Const(value.clone())),
            query::Expr::Call(function, args) => {
                Ok(Expr::Call(*function, each(args, |arg| self.row_expr(arg))?))
            }
            query::Expr::Aggregate(function, _) => Err(QueryError::new(
                "",
                format!("the aggregate `{}` cannot stand here, where there are no groups", function.as_str()),
            )
            .hint("groups are made by `groupBy` or an aggregate in `select`; conditions on them are `having`")),
        }
    }

    fn row_path(&self, path: &[SmolStr]) -> Result<Expr> {
        if path[0] == SELECTED {
            return Err(QueryError::new(
                "path",
                format!("`{SELECTED}` cannot stand here, before `select`"),
            )
            .hint("it may be used in `having` and `orderBy`"));
        }
        let Some(place) = self.sources.iter().position(|s| s.alias == path[0]) else {
            let error = QueryError::new("path", format!("unknown alias `{}`", path[0]));
            return Err(error.suggest(&path[0], self.aliases()));
        };
        let source = &self.sources[place];
        let Some(field) = path.get(1) else {
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
        let (base, rest) = match &source.shape {
            _ if field == KEY_COLUMN => (
                Expr::Key {
                    source: place,
                    kind: source.key.clone(),
                },
                &path[2..],
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
                (column(index, 2), &path[2..])
            }
            Shape::Fields(names) => match names.iter().position(|name| name == field) {
                Some(i) => (column(i + 1, 2), &path[2..]),
                None => {
                    let error = QueryError::new(
                        "path",
                        format!("subquery `{}` has no field `{field}`", source.alias),
                    );
                    return Err(error.suggest(field, names.iter().map(SmolStr::as_str)));
                }
            },
            Shape::Value => (column(1, 1), &path[1..]),
        };
        Ok(fields(base, rest))
    }

    /// Lowers an expression at the scope's stage.
    pub(super) fn expr(&mut self, expr: &query::Expr) -> Result<Expr> {
        if let query::Expr::Ref(path) = expr
            && path[0] == SELECTED
        {
            return self.selected(path);
        }
        if matches!(self.stage, Stage::Rows) {
            // Calls may hold `$selected` further down.
            return match expr {
                query::Expr::Call(function, args) => {
                    Ok(Expr::Call(*function, each(args, |arg| self.expr(arg))?))
                }
                other => self.row_expr(other),
            };
        }
        if let Some(found) = self.computed(expr) {
            return Ok(found);
        }
        match expr {
            query::Expr::Value(value) => Ok(Expr::Const(value.clone())),
            query::Expr::Call(function, args) => {
                Ok(Expr::Call(*function, each(args, |arg| self.expr(arg))?))
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
                let place = aggregates
                    .iter()
                    .position(|a| *a == wanted)
                    .unwrap_or_else(|| {
                        aggregates.push(wanted);
                        aggregates.len() - 1
                    });
                let text = aggregates[place].to_string();
                Ok(Expr::Column {
                    source: 0,
                    column: 1 + keys.len() + place,
                    label: Label(text.into()),
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
                    let mut direct = vec![source.alias.clone()];
                    direct.extend_from_slice(&path[1..]);
                    self.expr(&query::Expr::Ref(direct))
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
        while let Projection::Object(entries) = part {
            let Some((name, deeper)) = rest.split_first() else {
                return self.projection(part);
            };
            match entries.iter().find(|(n, _)| n == name) {
                Some((_, p)) => part = p,
                None => return Err(no_field(name, entries.iter().map(|(n, _)| n.as_str()))),
            }
            rest = deeper;
        }
        let Projection::Expr(expr) = part else {
            unreachable!("objects were entered")
        };
        Ok(fields(self.expr(expr)?, rest))
    }

    /// Lowers what `select` says.
    pub(super) fn projection(&mut self, projection: &Projection) -> Result<Expr> {
        match projection {
            Projection::Expr(expr) => self.expr(expr),
            Projection::Object(entries) => {
                let entry = |(name, part): &(SmolStr, Projection)| {
                    Ok((
                        name.clone(),
                        self.projection(part).map_err(|e| e.within(name))?,
                    ))
                };
                Ok(Expr::Object(
                    entries.iter().map(entry).collect::<Result<_>>()?,
                ))
            }
        }
    }
}

/// Whether a path goes on from another one into its value; keys are not part of values.
fn goes_on(path: &[SmolStr], from: &[SmolStr]) -> bool {
    path.starts_with(from) && path.get(from.len()).is_none_or(|field| field != KEY_COLUMN)
}

/// The name of a group's value where nothing is selected, as TanStack has it.
pub(super) fn group_field(i: usize) -> SmolStr {
    smol_str::format_smolstr!("__key_{i}")
}

fn no_field<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> QueryError {
    QueryError::new("path", format!("`select` has no field `{name}`")).suggest(name, known)
}

fn fields(base: Expr, path: &[SmolStr]) -> Expr {
    path.iter()
        .fold(base, |base, name| Expr::Field(Box::new(base), name.clone()))
}

fn each<T>(
    args: &[query::Expr],
    mut lower: impl FnMut(&query::Expr) -> Result<T>,
) -> Result<Vec<T>> {
    let lower = |(i, arg)| lower(arg).map_err(|e| e.within(&format!("args[{i}]")));
    args.iter().enumerate().map(lower).collect()
}

/// The leaves of a projection, and how they make up its value.
pub(super) fn leaves(projection: &Projection) -> (Vec<query::Expr>, Template) {
    fn walk(projection: &Projection, leaves: &mut Vec<query::Expr>) -> Template {
        match projection {
            Projection::Expr(expr) => {
                leaves.push(expr.clone());
                Template::Leaf(leaves.len() - 1)
            }
            Projection::Object(entries) => Template::Object(
                entries
                    .iter()
                    .map(|(name, part)| (name.clone(), walk(part, leaves)))
                    .collect(),
            ),
        }
    }
    let mut found = Vec::new();
    let template = walk(projection, &mut found);
    (found, template)
}
