//! Expressions, and what they see: the world, the row or group they are asked about, and the rows
//! of the queries around.

use super::aggregates::{self, aggregate};
use super::functions::call;
use super::sources::{Joined, NAMELESS};
use super::store::Store;
use super::value::V;
use serde_json::{Value, json};
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeMap;

pub(super) use super::naive::run;

/// The rows of the recursive queries of one `withRecursive`.
pub(super) type Sets = BTreeMap<String, Vec<V>>;

/// What a query is asked over.
pub(super) struct World<'a> {
    pub(super) store: &'a Store,
    /// The recursive queries that may be referred to here, and the world around theirs.
    pub(super) recursive: Option<(&'a Sets, &'a World<'a>)>,
    /// How much work is still allowed; without any, results are meaningless.
    pub(super) fuel: &'a Cell<u64>,
}

impl World<'_> {
    pub(super) fn recursive_rows(&self, name: &str) -> Option<&[V]> {
        let (sets, outer) = self.recursive?;
        match sets.get(name) {
            Some(rows) => Some(rows),
            None => outer.recursive_rows(name),
        }
    }

    /// Whether the allowed work is used up, with `steps` more.
    pub(super) fn is_spent(&self, steps: u64) -> bool {
        self.fuel.set(self.fuel.get().saturating_sub(steps));
        self.fuel.get() == 0
    }
}

/// What an expression sees.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) world: &'a World<'a>,
    /// The aliases of the query the expression stands in.
    aliases: &'a [&'a str],
    rows: Rows<'a>,
    /// The selected value, for `$selected`.
    selected: Option<&'a V>,
    /// The row for which an include's query is asked.
    parent: Option<&'a Scope<'a>>,
}

#[derive(Clone, Copy)]
enum Rows<'a> {
    Row(&'a Joined<'a>),
    Group {
        key_expressions: &'a [Value],
        key: &'a [V],
        members: &'a [&'a Joined<'a>],
    },
}

impl<'a> Scope<'a> {
    pub(super) fn of_row(
        world: &'a World<'a>,
        aliases: &'a [&'a str],
        row: &'a Joined<'a>,
        parent: Option<&'a Scope<'a>>,
    ) -> Scope<'a> {
        Scope {
            world,
            aliases,
            rows: Rows::Row(row),
            selected: None,
            parent,
        }
    }

    pub(super) fn of_group(
        world: &'a World<'a>,
        aliases: &'a [&'a str],
        (key_expressions, key): (&'a [Value], &'a [V]),
        members: &'a [&'a Joined<'a>],
        parent: Option<&'a Scope<'a>>,
    ) -> Scope<'a> {
        let rows = Rows::Group {
            key_expressions,
            key,
            members,
        };
        Scope {
            world,
            aliases,
            rows,
            selected: None,
            parent,
        }
    }

    pub(super) fn with_selected(self, selected: &'a V) -> Scope<'a> {
        Scope {
            selected: Some(selected),
            ..self
        }
    }

    /// The value of a group key.
    fn group_key(&self, expression: &Value) -> Option<V> {
        let Rows::Group {
            key_expressions,
            key,
            ..
        } = self.rows
        else {
            return None;
        };
        let at = key_expressions.iter().position(|candidate| {
            candidate["path"] == expression["path"] && candidate == expression
        })?;
        Some(key[at].clone())
    }

    /// This scope and those around it whose query has such an alias.
    fn with_alias(&self, alias: &str) -> Option<&Scope<'a>> {
        if self.aliases.contains(&alias) {
            return Some(self);
        }
        self.parent?.with_alias(alias)
    }
}

pub(super) fn eval(expression: &Value, scope: &Scope) -> V {
    if let Some(value) = scope.group_key(expression) {
        return value;
    }
    match expression["type"].as_str() {
        Some("val") => V::from_json(&expression["value"]),
        Some("ref") => reference(expression, scope),
        Some("func") if expression["name"] == "now" => V::int(scope.world.store.clock().into()),
        Some("func") => {
            let args: Vec<V> = list(expression, "args")
                .iter()
                .map(|arg| eval(arg, scope))
                .collect();
            call(name_of(expression), &args)
        }
        Some("agg") => aggregated(expression, scope),
        _ => panic!("no expression: {expression}"),
    }
}

fn reference(expression: &Value, scope: &Scope) -> V {
    let path: Vec<&str> = list(expression, "path")
        .iter()
        .map(|s| s.as_str().expect("a path of names"))
        .collect();
    let (start, fields) = path.split_first().expect("a path is not empty");
    if *start == "$selected" {
        return walk(scope.selected.expect("$selected is known here"), fields);
    }
    // What is no alias is a field of a `unionAll`.
    let (owner, alias, fields) = match scope.with_alias(start) {
        Some(owner) => (owner, *start, fields),
        None => {
            let owner = scope.with_alias(NAMELESS);
            let owner = owner.unwrap_or_else(|| panic!("unknown alias in {path:?}"));
            (owner, NAMELESS, path.as_slice())
        }
    };
    let Rows::Row(row) = owner.rows else {
        // The key itself, or what is inside of one.
        let inside = |length: usize| {
            let key = json!({"type": "ref", "path": path[..length]});
            Some(walk(&owner.group_key(&key)?, &path[length..]))
        };
        let found = owner
            .group_key(expression)
            .or_else(|| (1..path.len()).rev().find_map(inside));
        return found.unwrap_or_else(|| panic!("{path:?} is not a group key"));
    };
    let found = row.found.iter().find(|(name, _)| *name == alias);
    match found.and_then(|(_, found)| found.as_deref()) {
        None => V::Missing,
        Some((key, _)) if fields == ["$key"] && alias != NAMELESS => V::str(key.text.as_str()),
        Some((_, value)) => walk(value, fields),
    }
}

/// Follows field names; null on the way stays null, anything else without the field is missing.
pub(super) fn walk(value: &V, fields: &[&str]) -> V {
    let Some((first, rest)) = fields.split_first() else {
        return value.clone();
    };
    match value {
        V::Null => V::Null,
        V::Obj(object) => object
            .get(*first)
            .map_or(V::Missing, |found| walk(found, rest)),
        _ => V::Missing,
    }
}

fn aggregated(expression: &Value, scope: &Scope) -> V {
    let Rows::Group { members, .. } = scope.rows else {
        panic!("an aggregate outside of a grouped query: {expression}");
    };
    let (name, args) = (name_of(expression), list(expression, "args"));
    let over = |argument: &Value, row: &Joined| {
        let row = Scope::of_row(scope.world, scope.aliases, row, scope.parent);
        eval(argument, &row)
    };
    if matches!(name, "arrayAgg" | "first" | "last") {
        let rows = members.iter().map(|row| {
            let order = args.get(1).map_or(V::Null, |order| over(order, row));
            (over(&args[0], row), order, row.key().parts)
        });
        let descending = args.get(2).is_some_and(|arg| arg["value"] == "desc");
        return aggregates::ordered(name, rows.collect(), descending);
    }
    let values: Vec<V> = members.iter().map(|row| over(&args[0], row)).collect();
    if name == "quantile" {
        return aggregates::quantile(&values, args[1]["value"].as_f64().expect("a constant"));
    }
    aggregate(name, values)
}

/// Two values under an order; null and missing stand where `nulls` puts them, and tie.
pub(super) fn in_direction(a: &V, b: &V, descending: bool, nulls: Ordering) -> Ordering {
    match (a.nullish(), b.nullish()) {
        (true, true) => Ordering::Equal,
        (true, false) => nulls,
        (false, true) => nulls.reverse(),
        (false, false) if descending => b.order(a),
        (false, false) => a.order(b),
    }
}

fn name_of(expression: &Value) -> &str {
    expression["name"].as_str().expect("a name")
}

/// A list in the query; absent is empty.
pub(super) fn list<'a>(owner: &'a Value, field: &str) -> &'a [Value] {
    owner[field].as_array().map_or(&[], Vec::as_slice)
}
