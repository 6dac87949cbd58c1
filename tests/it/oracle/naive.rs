//! Evaluates a query from scratch: nested loops, whole groups, a sort. Slow, and plain enough to be
//! checked by reading.
//!
//! Panics on a query that is not valid; it judges results, not queries.

use super::evaluate::{Scope, World, eval, in_direction, list};
use super::functions::call;
use super::recursion::fixed_point;
use super::select::selected;
use super::sources::{Joined, Key, aliases_of_query, joined_rows};
use super::store::Store;
use super::value::V;
use serde_json::{Value, json};
use std::cell::Cell;
use std::cmp::Ordering;

/// A row of the result on its way through distinct, order and window.
struct Output {
    key: Key,
    value: V,
    /// The selected values in select order; they decide what is distinct.
    leaves: Vec<V>,
    /// The values of the ORDER BY expressions.
    order: Vec<V>,
}

/// The rows of a query's result in result order: the key's text and the value.
pub(crate) fn evaluate(query: &Value, store: &Store) -> Vec<(String, Value)> {
    evaluate_within(query, store, u64::MAX).expect("nobody has that much time")
}

/// The same, unless it takes more than so many steps.
pub(crate) fn evaluate_within(
    query: &Value,
    store: &Store,
    steps: u64,
) -> Option<Vec<(String, Value)>> {
    let fuel = Cell::new(steps);
    let world = World {
        store,
        recursive: None,
        fuel: &fuel,
    };
    let show =
        |(key, value): (Key, V)| (key.text, value.to_json().expect("a row is never missing"));
    let rows = run(query, &world, None, None)
        .into_iter()
        .map(show)
        .collect();
    (fuel.get() > 0).then_some(rows)
}

/// Whether two results have the same rows in the same order; numbers are compared by value.
pub(crate) fn same_rows(a: &[(String, Value)], b: &[(String, Value)]) -> bool {
    let same = |((a_key, a), (b_key, b)): (&(String, Value), &(String, Value))| {
        a_key == b_key && V::from_json(a).same(&V::from_json(b))
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// A query's rows in order. `parent`: the row it is asked for, inside of an include; `include`: the
/// include whose query this is.
pub(super) fn run(
    query: &Value,
    world: &World,
    parent: Option<&Scope>,
    include: Option<&Value>,
) -> Vec<(Key, V)> {
    if query.get("withRecursive").is_none() {
        return run_plain(query, world, parent, include);
    }
    let sets = fixed_point(query, world, parent);
    let world = World {
        recursive: Some((&sets, world)),
        ..*world
    };
    run_plain(query, &world, parent, include)
}

fn run_plain(
    query: &Value,
    world: &World,
    parent: Option<&Scope>,
    include: Option<&Value>,
) -> Vec<(Key, V)> {
    let aliases = aliases_of_query(query);
    let mut rows = joined_rows(query, world, parent);
    rows.retain(|row| {
        let scope = Scope::of_row(world, &aliases, row, parent);
        !world.is_spent(1)
            && conditions(query, "where").all(|condition| eval(condition, &scope).is_true())
            && include.is_none_or(|include| belongs(include, &scope, parent))
    });
    let mut outputs = if is_grouped(query) {
        // An include's child without children is none, though it has no group keys.
        let at_least_one = include.is_none() && list(query, "groupBy").is_empty();
        grouped(query, &rows, at_least_one, world, &aliases, parent)
    } else {
        let scopes = rows
            .iter()
            .map(|row| (row, Scope::of_row(world, &aliases, row, parent)));
        scopes
            .map(|(row, scope)| ungrouped(query, row, &scope))
            .collect()
    };
    outputs.sort_by(|a, b| a.key.parts.order(&b.key.parts));
    if query["distinct"] == true {
        outputs = distinct(outputs);
    }
    outputs.sort_by(|a, b| in_order(query, a, b));
    let offset = query["offset"].as_u64().unwrap_or(0);
    let mut limit = query["limit"].as_u64().unwrap_or(u64::MAX);
    if query["singleResult"] == true {
        limit = limit.min(1);
    }
    let window = outputs
        .into_iter()
        .skip(offset as usize)
        .take(limit as usize);
    window.map(|output| (output.key, output.value)).collect()
}

/// Whether a child row belongs to the parent row by what stands beside the include's query.
fn belongs(include: &Value, scope: &Scope, parent: Option<&Scope>) -> bool {
    let parent = parent.expect("an include has a parent");
    let linked = match (
        include.get("childCorrelationField"),
        include.get("correlationField"),
    ) {
        (Some(child), Some(field)) => {
            call("eq", &[eval(child, scope), eval(field, parent)]).is_true()
        }
        (None, None) => true,
        _ => panic!("half a correlation"),
    };
    linked && conditions(include, "parentFilters").all(|filter| eval(filter, scope).is_true())
}

// SELECT, GROUP BY, HAVING

fn ungrouped(query: &Value, row: &Joined, scope: &Scope) -> Output {
    let (value, leaves) = match query.get("select") {
        Some(select) => selected(select, scope),
        None => (row.value(), row.leaves()),
    };
    finished(query, row.key(), value, leaves, scope)
}

/// `at_least_one`: there is one group, even over no rows.
fn grouped(
    query: &Value,
    rows: &[Joined],
    at_least_one: bool,
    world: &World,
    aliases: &[&str],
    parent: Option<&Scope>,
) -> Vec<Output> {
    let key_expressions = list(query, "groupBy");
    let mut groups: Vec<(Vec<V>, Vec<&Joined>)> = Vec::new();
    if at_least_one {
        groups.push((Vec::new(), Vec::new()));
    }
    for row in rows {
        let scope = Scope::of_row(world, aliases, row, parent);
        let key: Vec<V> = key_expressions
            .iter()
            .map(|key| eval(key, &scope))
            .collect();
        let same_key =
            |(other, _): &&mut (Vec<V>, _)| key.iter().zip(other).all(|(a, b)| a.same(b));
        match groups.iter_mut().find(same_key) {
            Some((_, members)) => members.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    let mut outputs = Vec::new();
    for (key, members) in &groups {
        let scope = Scope::of_group(world, aliases, (key_expressions, key), members, parent);
        let (value, leaves) = match query.get("select") {
            Some(select) => selected(select, &scope),
            None => {
                let named = key
                    .iter()
                    .enumerate()
                    .map(|(i, v)| (format!("__key_{i}"), v.clone()));
                let value = V::Obj(named.filter(|(_, v)| !v.is_missing()).collect());
                (value, key.clone())
            }
        };
        let with_selected = scope.with_selected(&value);
        if conditions(query, "having").all(|condition| eval(condition, &with_selected).is_true()) {
            let key = Key::of_values(key.clone());
            outputs.push(finished(query, key, value.clone(), leaves, &scope));
        }
    }
    outputs
}

fn is_grouped(query: &Value) -> bool {
    !list(query, "groupBy").is_empty() || query.get("select").is_some_and(has_aggregate)
}

/// Whether a select has an aggregate of its own, not in an include's query.
fn has_aggregate(tree: &Value) -> bool {
    match tree {
        Value::Object(_) if tree["type"] == "includesSubquery" || tree["type"] == "val" => false,
        Value::Object(fields) => tree["type"] == "agg" || fields.values().any(has_aggregate),
        Value::Array(items) => items.iter().any(has_aggregate),
        _ => false,
    }
}

fn finished(query: &Value, key: Key, value: V, leaves: Vec<V>, scope: &Scope) -> Output {
    let scope = scope.with_selected(&value);
    let order = list(query, "orderBy")
        .iter()
        .map(|item| eval(&item["expression"], &scope))
        .collect();
    Output {
        key,
        value,
        leaves,
        order,
    }
}

// DISTINCT, ORDER BY

/// What the key of a distinct row shows: its value, but that what JSON has no word for is no null.
fn distinct_text(value: &V) -> Option<Value> {
    match value {
        V::Obj(fields) => {
            let shown = |(name, value): (&String, &V)| Some((name.clone(), distinct_text(value)?));
            Some(Value::Object(fields.iter().filter_map(shown).collect()))
        }
        V::Float(f) if !f.is_finite() => Some(json!({"$number": value.js_number_name()})),
        value => value.to_json(),
    }
}

/// Keeps the first (by key) of the rows with the same leaves; its key is then made of them.
fn distinct(outputs: Vec<Output>) -> Vec<Output> {
    let mut kept: Vec<Output> = Vec::new();
    for mut output in outputs {
        output.key = Key {
            parts: V::Arr(output.leaves.clone()),
            text: distinct_text(&output.value).map_or_else(String::new, |json| json.to_string()),
        };
        if !kept
            .iter()
            .any(|other| other.key.parts.same(&output.key.parts))
        {
            kept.push(output);
        }
    }
    kept
}

fn in_order(query: &Value, a: &Output, b: &Output) -> Ordering {
    for ((item, a), b) in list(query, "orderBy").iter().zip(&a.order).zip(&b.order) {
        let options = &item["compareOptions"];
        let nulls = if options["nulls"] == "last" {
            Ordering::Greater
        } else {
            Ordering::Less
        };
        let found = in_direction(a, b, options["direction"] == "desc", nulls);
        if found != Ordering::Equal {
            return found;
        }
    }
    a.key.parts.order(&b.key.parts)
}

/// The items of `where`, `having` or `parentFilters`: each an expression or `{expression}`.
fn conditions<'a>(query: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    list(query, field)
        .iter()
        .map(|item| item.get("expression").unwrap_or(item))
}
