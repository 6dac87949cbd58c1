//! SELECT: nested objects, spreads, conditions, and includes, whose query is simply evaluated for
//! each row.

use super::evaluate::{Scope, eval, list, run, walk};
use super::functions::text;
use super::value::V;
use serde_json::Value;
use std::collections::BTreeMap;

/// The selected value and its leaves. What is no expression is a nested object; missing values are
/// left out. An object with a spread is one leaf: which fields it has depends on the row.
pub(super) fn selected(select: &Value, scope: &Scope) -> (V, Vec<V>) {
    let leaf = |value: V| (value.clone(), vec![value]);
    match select["type"].as_str() {
        Some("ref" | "val" | "func" | "agg") => leaf(eval(select, scope)),
        Some("conditionalSelect") => leaf(conditional(select, scope)),
        Some("includesSubquery") => leaf(included(select, scope)),
        _ => {
            let fields = select
                .as_object()
                .expect("a select is an object of expressions");
            let (mut object, mut leaves) = (BTreeMap::new(), Vec::new());
            for (name, field) in fields {
                let (value, found) = selected(field, scope);
                leaves.extend(found);
                match value {
                    V::Obj(fields) if is_spread(name) => object.extend(fields),
                    _ if is_spread(name) => {}
                    _ => put(&mut object, name, value),
                }
            }
            if fields.keys().any(|name| is_spread(name)) {
                return leaf(V::Obj(object));
            }
            (V::Obj(object), leaves)
        }
    }
}

fn is_spread(name: &str) -> bool {
    name == "..." || name.starts_with("__SPREAD_SENTINEL__")
}

/// Sets a field, at a path of dots; a missing value overrides as any other.
fn put(object: &mut BTreeMap<String, V>, name: &str, value: V) {
    if let Some((first, rest)) = name.split_once('.') {
        let inner = object.entry(first.to_owned()).or_insert(V::Null);
        if !matches!(inner, V::Obj(_)) {
            *inner = V::Obj(BTreeMap::new());
        }
        let V::Obj(inner) = inner else { unreachable!() };
        put(inner, rest, value);
    } else if value.is_missing() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value);
    }
}

fn conditional(select: &Value, scope: &Scope) -> V {
    let holds = |branch: &&Value| eval(&branch["condition"], scope).truthy();
    let branch = list(select, "branches").iter().find(holds);
    match branch
        .map(|branch| &branch["value"])
        .or(select.get("defaultValue"))
    {
        Some(value) => selected(value, scope).0,
        None => V::Null,
    }
}

fn included(include: &Value, scope: &Scope) -> V {
    let rows = run(&include["query"], scope.world, Some(scope), Some(include));
    let mut values = rows
        .into_iter()
        .map(|(_, row)| match include["scalarField"].as_str() {
            Some(field) => walk(&row, &[field]),
            None => row,
        });
    match include["materialization"].as_str() {
        Some("collection" | "array") => V::Arr(values.map(V::or_null).collect()),
        Some("singleton") => values.next().unwrap_or(V::Missing),
        Some("concat") => V::Str(values.map(|value| text(&value)).collect()),
        other => panic!("unknown materialization {other:?}"),
    }
}
