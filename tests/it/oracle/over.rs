//! Values of the rows around: for each row, all rows of its part are looked at.

use std::cmp::Ordering;

use serde_json::Value;

use super::aggregates::aggregate;
use super::evaluate::{Scope, World, eval, in_direction, list};
use super::sources::{Joined, Key, NAMELESS};
use super::value::V;

/// A row, its part, its place in the order, and what the arguments are of it.
struct Placed {
    part: Vec<V>,
    order: Vec<V>,
    args: Vec<V>,
}

/// The rows with further fields.
pub(super) fn with_values(
    over: &Value,
    rows: Vec<(Key, V)>,
    world: &World,
    parent: Option<&Scope>,
) -> Vec<(Key, V)> {
    let mut all = rows.clone();
    for (name, spec) in over.as_object().into_iter().flatten() {
        let placed: Vec<Placed> = rows
            .iter()
            .map(|row| {
                let joined = Joined::of_source(NAMELESS, row.clone());
                let scope = Scope::of_row(world, &[NAMELESS], &joined, parent);
                let each =
                    |field: &str| list(spec, field).iter().map(|e| eval(e, &scope)).collect();
                let order = list(spec, "orderBy").iter();
                Placed {
                    part: each("partitionBy"),
                    order: order.map(|by| eval(&by["expression"], &scope)).collect(),
                    args: each("args"),
                }
            })
            .collect();
        for (i, (_, value)) in all.iter_mut().enumerate() {
            let same = |a: &[V], b: &[V]| {
                a.iter()
                    .zip(b)
                    .all(|(a, b)| a.same(b) || (a.is_missing() && b.is_missing()))
            };
            let mut part: Vec<usize> = (0..rows.len())
                .filter(|j| same(&placed[*j].part, &placed[i].part))
                .collect();
            part.sort_by(|a, b| {
                let by = ordered(spec, &placed[*a].order, &placed[*b].order);
                by.then_with(|| rows[*a].0.parts.order(&rows[*b].0.parts))
            });
            let place = part
                .iter()
                .position(|j| *j == i)
                .expect("a row is in its part");
            let found = value_of(spec, &placed, &part, place);
            if let V::Obj(fields) = value {
                fields.insert(name.clone(), found);
            }
        }
    }
    all
}

fn ordered(spec: &Value, a: &[V], b: &[V]) -> Ordering {
    for ((by, a), b) in list(spec, "orderBy").iter().zip(a).zip(b) {
        let options = &by["compareOptions"];
        let nulls = match options["nulls"] == "last" {
            true => Ordering::Greater,
            false => Ordering::Less,
        };
        let found = in_direction(a, b, options["direction"] == "desc", nulls);
        if found != Ordering::Equal {
            return found;
        }
    }
    Ordering::Equal
}

fn value_of(spec: &Value, placed: &[Placed], part: &[usize], place: usize) -> V {
    let row = &placed[part[place]];
    let before = |j: &&usize| ordered(spec, &placed[**j].order, &row.order) == Ordering::Less;
    let by = match row.args.get(1) {
        Some(V::Int(by)) => *by as usize,
        _ => 1,
    };
    let neighbour = |place: Option<usize>| match place.and_then(|place| part.get(place)) {
        Some(j) => placed[*j].args[0].clone().or_null(),
        None => row.args.get(2).cloned().unwrap_or(V::Null).or_null(),
    };
    match spec["function"].as_str().expect("a function") {
        "rowNumber" => V::int(place as i128 + 1),
        "rank" => V::int(part.iter().filter(before).count() as i128 + 1),
        "denseRank" => {
            let mut orders: Vec<&[V]> = Vec::new();
            for j in part.iter().filter(before) {
                let order = &placed[*j].order[..];
                let known = orders
                    .iter()
                    .any(|o| ordered(spec, o, order) == Ordering::Equal);
                if !known {
                    orders.push(order);
                }
            }
            V::int(orders.len() as i128 + 1)
        }
        "lag" => neighbour(place.checked_sub(by)),
        "lead" => neighbour(place.checked_add(by)),
        name => {
            let inside = |(at, j): (usize, &usize)| {
                let frame = &spec["frame"];
                let within =
                    |bound: &Value, by: usize| bound.as_u64().is_none_or(|n| by as u64 <= n);
                let inside = match frame.is_null() {
                    true => ordered(spec, &placed[*j].order, &row.order) != Ordering::Greater,
                    false if at < place => within(&frame["before"], place - at),
                    false => within(&frame["after"], at - place),
                };
                inside.then(|| placed[*j].args[0].clone())
            };
            aggregate(name, part.iter().enumerate().filter_map(inside).collect())
        }
    }
}
