//! Evaluates a query from scratch: nested loops, whole groups, a sort. Slow, and plain enough to be
//! checked by reading.
//!
//! Panics on a query that is not valid; it judges results, not queries.

use super::functions::{aggregate, call};
use super::store::Store;
use super::value::V;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What identifies a row: the parts by which keys are ordered, and the text shown.
#[derive(Clone, Debug)]
struct Key {
    parts: V,
    text: String,
}

impl Key {
    /// The key of a group or of a distinct row: an array of values.
    fn of_values(values: Vec<V>) -> Key {
        let text = |v: &V| {
            if v.is_missing() {
                r#"{"$missing":true}"#.to_owned()
            } else {
                v.json_text()
            }
        };
        let text = format!(
            "[{}]",
            values.iter().map(text).collect::<Vec<_>>().join(",")
        );
        Key {
            parts: V::Arr(values),
            text,
        }
    }
}

/// A row between FROM and SELECT: what stands under each alias; nothing at the unmatched side of an
/// outer join.
type Joined = Vec<(String, Option<(Key, V)>)>;

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
    let show =
        |(key, value): (Key, V)| (key.text, value.to_json().expect("a row is never missing"));
    run(query, store).into_iter().map(show).collect()
}

/// Whether two results have the same rows in the same order; numbers are compared by value.
pub(crate) fn same_rows(a: &[(String, Value)], b: &[(String, Value)]) -> bool {
    let same = |((a_key, a), (b_key, b)): (&(String, Value), &(String, Value))| {
        a_key == b_key && V::from_json(a).same(&V::from_json(b))
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

fn run(query: &Value, store: &Store) -> Vec<(Key, V)> {
    let mut rows = joined_rows(query, store);
    rows.retain(|row| {
        conditions(query, "where").all(|condition| eval(condition, &Scope::of_row(row)).is_true())
    });
    let mut outputs = if is_grouped(query) {
        grouped(query, &rows)
    } else {
        ungrouped(query, &rows)
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

// FROM and JOIN

fn source_rows(source: &Value, store: &Store) -> Vec<(Key, V)> {
    match source["type"].as_str() {
        Some("collectionRef") => {
            let rows = store.rows(source["collection"].as_str().expect("a collection"));
            rows.into_iter()
                .map(|(key, row)| {
                    (
                        Key {
                            parts: V::str(key.as_str()),
                            text: key,
                        },
                        row,
                    )
                })
                .collect()
        }
        Some("queryRef") => run(&source["query"], store),
        other => panic!("unknown source type {other:?}"),
    }
}

fn alias_of(source: &Value) -> String {
    source["alias"]
        .as_str()
        .expect("a source has an alias")
        .to_owned()
}

fn joined_rows(query: &Value, store: &Store) -> Vec<Joined> {
    let from = &query["from"];
    let mut aliases = vec![alias_of(from)];
    let mut left: Vec<Joined> = source_rows(from, store)
        .into_iter()
        .map(|row| vec![(alias_of(from), Some(row))])
        .collect();
    for join in list(query, "join") {
        let alias = alias_of(&join["from"]);
        left = join_once(
            join,
            &aliases,
            &alias,
            &left,
            &source_rows(&join["from"], store),
        );
        aliases.push(alias);
    }
    left
}

fn join_once(
    join: &Value,
    left_aliases: &[String],
    alias: &str,
    left: &[Joined],
    right: &[(Key, V)],
) -> Vec<Joined> {
    let (keep_left, keep_right) = match join["type"].as_str() {
        Some("inner" | "cross") => (false, false),
        Some("left") => (true, false),
        Some("right") => (false, true),
        Some("full" | "outer") => (true, true),
        other => panic!("unknown join type {other:?}"),
    };
    let mut result = Vec::new();
    let mut right_matched = vec![false; right.len()];
    for left_row in left {
        let mut left_matched = false;
        for (i, right_row) in right.iter().enumerate() {
            let mut pair = left_row.clone();
            pair.push((alias.to_owned(), Some(right_row.clone())));
            if join_condition_holds(join, &pair) {
                left_matched = true;
                right_matched[i] = true;
                result.push(pair);
            }
        }
        if keep_left && !left_matched {
            let mut alone = left_row.clone();
            alone.push((alias.to_owned(), None));
            result.push(alone);
        }
    }
    for (right_row, matched) in right.iter().zip(right_matched) {
        if keep_right && !matched {
            let mut alone: Joined = left_aliases
                .iter()
                .map(|alias| (alias.clone(), None))
                .collect();
            alone.push((alias.to_owned(), Some(right_row.clone())));
            result.push(alone);
        }
    }
    result
}

/// Equalities and residue alike: the whole condition must be true, so a null or missing join key
/// matches nothing.
fn join_condition_holds(join: &Value, pair: &Joined) -> bool {
    let scope = Scope::of_row(pair);
    if !join["on"].is_null() {
        eval(&join["on"], &scope).is_true()
    } else if !join["left"].is_null() {
        call(
            "eq",
            &[eval(&join["left"], &scope), eval(&join["right"], &scope)],
        )
        .is_true()
    } else {
        assert_eq!(join["type"], "cross", "a join needs a condition");
        true
    }
}

/// The key of a row before grouping: its source's, or the sources' side by side.
fn key_of(row: &Joined) -> Key {
    if let [(_, Some((key, _)))] = row.as_slice() {
        return key.clone();
    }
    let keys = row
        .iter()
        .map(|(_, found)| found.as_ref().map(|(key, _)| key));
    let parts = keys
        .clone()
        .map(|key| key.map_or(V::Null, |key| key.parts.clone()))
        .collect();
    let texts = keys
        .map(|key| key.map_or(V::Null, |key| V::str(key.text.as_str())))
        .collect();
    Key {
        parts: V::Arr(parts),
        text: V::Arr(texts).json_text(),
    }
}

/// The value of a row without SELECT: the row itself, or what the matched sources gave under their
/// aliases.
fn value_of(row: &Joined) -> V {
    if let [(_, Some((_, value)))] = row.as_slice() {
        return value.clone();
    }
    let matched = row
        .iter()
        .filter_map(|(alias, found)| Some((alias.clone(), found.as_ref()?.1.clone())));
    V::Obj(matched.collect())
}

/// What one source gave, missing if it did not match: a leaf of a row without SELECT.
fn value_of_source((_, found): &(String, Option<(Key, V)>)) -> V {
    found
        .as_ref()
        .map_or(V::Missing, |(_, value)| value.clone())
}

// SELECT, GROUP BY, HAVING

fn ungrouped(query: &Value, rows: &[Joined]) -> Vec<Output> {
    let output = |row: &Joined| {
        let scope = Scope::of_row(row);
        let (value, leaves) = match query.get("select") {
            Some(select) => selected(select, &scope),
            None => (value_of(row), row.iter().map(value_of_source).collect()),
        };
        finished(query, key_of(row), value, leaves, &scope)
    };
    rows.iter().map(output).collect()
}

fn grouped(query: &Value, rows: &[Joined]) -> Vec<Output> {
    let key_expressions = list(query, "groupBy");
    let mut groups: Vec<(Vec<V>, Vec<&Joined>)> = Vec::new();
    if key_expressions.is_empty() {
        groups.push((Vec::new(), Vec::new())); // without GROUP BY there is always the one group
    }
    for row in rows {
        let key: Vec<V> = key_expressions
            .iter()
            .map(|key| eval(key, &Scope::of_row(row)))
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
        let scope = Scope {
            rows: Rows::Group {
                key_expressions,
                key,
                members,
            },
            selected: None,
        };
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
        let with_selected = Scope {
            selected: Some(&value),
            ..scope
        };
        if conditions(query, "having").all(|condition| eval(condition, &with_selected).is_true()) {
            outputs.push(finished(
                query,
                Key::of_values(key.clone()),
                value.clone(),
                leaves,
                &scope,
            ));
        }
    }
    outputs
}

fn is_grouped(query: &Value) -> bool {
    !list(query, "groupBy").is_empty() || query.get("select").is_some_and(has_aggregate)
}

fn has_aggregate(tree: &Value) -> bool {
    match tree {
        Value::Object(fields) => tree["type"] == "agg" || fields.values().any(has_aggregate),
        Value::Array(items) => items.iter().any(has_aggregate),
        _ => false,
    }
}

/// The selected value and its leaves. What is no expression is a nested object; missing values are
/// left out.
fn selected(select: &Value, scope: &Scope) -> (V, Vec<V>) {
    if matches!(
        select["type"].as_str(),
        Some("ref" | "val" | "func" | "agg")
    ) {
        let value = eval(select, scope);
        return (value.clone(), vec![value]);
    }
    let mut object = BTreeMap::new();
    let mut leaves = Vec::new();
    for (name, field) in select
        .as_object()
        .expect("a select is an object of expressions")
    {
        let (value, found) = selected(field, scope);
        leaves.extend(found);
        if !value.is_missing() {
            object.insert(name.clone(), value);
        }
    }
    (V::Obj(object), leaves)
}

fn finished(query: &Value, key: Key, value: V, leaves: Vec<V>, scope: &Scope) -> Output {
    let scope = Scope {
        selected: Some(&value),
        ..*scope
    };
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

/// Keeps the first (by key) of the rows with the same leaves; its key is then made of them.
fn distinct(outputs: Vec<Output>) -> Vec<Output> {
    let mut kept: Vec<Output> = Vec::new();
    for mut output in outputs {
        output.key = Key {
            parts: V::Arr(output.leaves.clone()),
            text: output.value.json_text(),
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
        let nullish_place = if options["nulls"] == "last" {
            Ordering::Greater
        } else {
            Ordering::Less
        };
        let found = match (a.nullish(), b.nullish()) {
            (true, true) => Ordering::Equal,
            (true, false) => nullish_place,
            (false, true) => nullish_place.reverse(),
            (false, false) if options["direction"] == "desc" => b.order(a),
            (false, false) => a.order(b),
        };
        if found != Ordering::Equal {
            return found;
        }
    }
    a.key.parts.order(&b.key.parts)
}

// Expressions

/// What an expression sees.
#[derive(Clone, Copy)]
struct Scope<'a> {
    rows: Rows<'a>,
    /// The selected value, for `$selected`.
    selected: Option<&'a V>,
}

#[derive(Clone, Copy)]
enum Rows<'a> {
    Row(&'a Joined),
    Group {
        key_expressions: &'a [Value],
        key: &'a [V],
        members: &'a [&'a Joined],
    },
}

impl<'a> Scope<'a> {
    fn of_row(row: &'a Joined) -> Scope<'a> {
        Scope {
            rows: Rows::Row(row),
            selected: None,
        }
    }
}

fn eval(expression: &Value, scope: &Scope) -> V {
    if let Rows::Group {
        key_expressions,
        key,
        ..
    } = scope.rows
        && let Some(i) = key_expressions
            .iter()
            .position(|candidate| candidate == expression)
    {
        return key[i].clone();
    }
    match expression["type"].as_str() {
        Some("val") => V::from_json(&expression["value"]),
        Some("ref") => reference(expression, scope),
        Some("func") => {
            let args: Vec<V> = list(expression, "args")
                .iter()
                .map(|arg| eval(arg, scope))
                .collect();
            call(name_of(expression), &args)
        }
        Some("agg") => {
            let Rows::Group { members, .. } = scope.rows else {
                panic!("an aggregate outside of a grouped query: {expression}");
            };
            let argument = &expression["args"][0];
            let values = members
                .iter()
                .map(|row| eval(argument, &Scope::of_row(row)))
                .collect();
            aggregate(name_of(expression), values)
        }
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
    let Rows::Row(row) = scope.rows else {
        panic!("{path:?} is not a group key");
    };
    let (_, found) = row
        .iter()
        .find(|(alias, _)| alias == start)
        .unwrap_or_else(|| panic!("unknown alias in {path:?}"));
    match found {
        None => V::Missing,
        Some((key, _)) if fields == ["$key"] => V::str(key.text.as_str()),
        Some((_, value)) => walk(value, fields),
    }
}

/// Follows field names; null on the way stays null, anything else without the field is missing.
fn walk(value: &V, fields: &[&str]) -> V {
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

fn name_of(expression: &Value) -> &str {
    expression["name"].as_str().expect("a name")
}

/// A list in the query; absent is empty.
fn list<'a>(owner: &'a Value, field: &str) -> &'a [Value] {
    owner[field].as_array().map_or(&[], Vec::as_slice)
}

/// The items of `where` or `having`: each an expression or `{expression}`.
fn conditions<'a>(query: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    list(query, field)
        .iter()
        .map(|item| item.get("expression").unwrap_or(item))
}
