//! Where a query's rows come from: collections, subqueries, unions, and joins of these.

use super::evaluate::{Scope, World, eval, list, run};
use super::functions::call;
use super::over::with_values;
use super::value::V;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::rc::Rc;

/// What identifies a row: the parts by which keys are ordered, and the text shown.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) parts: V,
    pub(super) text: String,
}

impl Key {
    /// The key of a group: an array of values.
    pub(super) fn of_values(values: Vec<V>) -> Key {
        let text = |v: &V| {
            if v.is_missing() {
                r#"{"$missing":true}"#.to_owned()
            } else if let V::Float(f) = v
                && !f.is_finite()
            {
                // JSON has no word for these; JavaScript's are unlike Rust's.
                let name = V::Float(*f).js_number_name();
                json!({"$number": name}).to_string()
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

    /// The key of a row of a recursive query: the row.
    fn of_row(row: &V) -> Key {
        Key {
            parts: row.clone(),
            text: row.json_text(),
        }
    }

    /// The key of a row of a union.
    fn in_branch(&self, branch: V) -> Key {
        Key {
            text: V::Arr(vec![branch.clone(), V::str(self.text.as_str())]).json_text(),
            parts: V::Arr(vec![branch, self.parts.clone()]),
        }
    }
}

/// A row that a source gave, and its key there.
type Found = Rc<(Key, V)>;

/// The name under which the rows of a `unionAll` stand: their paths start with a field.
pub(super) const NAMELESS: &str = "";

/// A row between FROM and SELECT.
#[derive(Clone)]
pub(super) struct Joined<'q> {
    /// The key in each source; none at the unmatched side of an outer join.
    keys: Vec<Option<Rc<Key>>>,
    /// What stands under each alias; nothing in an unmatched source and under the aliases of the
    /// other branches of a `unionFrom`.
    pub(super) found: Vec<(&'q str, Option<Found>)>,
}

impl<'q> Joined<'q> {
    pub(super) fn of_source(alias: &'q str, (key, value): (Key, V)) -> Joined<'q> {
        Joined {
            keys: vec![Some(Rc::new(key.clone()))],
            found: vec![(alias, Some(Rc::new((key, value))))],
        }
    }

    /// What stands for so many sources in which nothing matched.
    fn unmatched(sources: usize, aliases: &[&'q str]) -> Joined<'q> {
        Joined {
            keys: vec![None; sources],
            found: aliases.iter().map(|alias| (*alias, None)).collect(),
        }
    }

    fn and(&self, other: &Joined<'q>) -> Joined<'q> {
        let mut both = self.clone();
        both.keys.extend(other.keys.iter().cloned());
        both.found.extend(other.found.iter().cloned());
        both
    }

    /// Its source's key, or the sources' side by side.
    pub(super) fn key(&self) -> Key {
        if let [Some(key)] = self.keys.as_slice() {
            return Key::clone(key);
        }
        let part = |key: &Option<Rc<Key>>| key.as_ref().map_or(V::Null, |key| key.parts.clone());
        let text = |key: &Option<Rc<Key>>| {
            key.as_ref()
                .map_or(V::Null, |key| V::str(key.text.as_str()))
        };
        Key {
            parts: V::Arr(self.keys.iter().map(part).collect()),
            text: V::Arr(self.keys.iter().map(text).collect()).json_text(),
        }
    }

    /// The value without SELECT: the row itself, or what the matched sources gave under their
    /// aliases; the fields of a row of a `unionAll` stand beside those.
    pub(super) fn value(&self) -> V {
        if let [(_, Some(found))] = self.found.as_slice() {
            return found.1.clone();
        }
        let mut value = std::collections::BTreeMap::new();
        for (alias, found) in &self.found {
            match found.as_deref() {
                Some((_, V::Obj(fields))) if *alias == NAMELESS => value.extend(fields.clone()),
                Some((_, row)) => _ = value.insert((*alias).to_owned(), row.clone()),
                None => {}
            }
        }
        V::Obj(value)
    }

    /// What each alias holds, missing if nothing: the leaves of a row without SELECT.
    pub(super) fn leaves(&self) -> Vec<V> {
        let leaf = |(_, found): &(&str, Option<Found>)| match found {
            Some(found) => found.1.clone(),
            None => V::Missing,
        };
        self.found.iter().map(leaf).collect()
    }
}

fn text<'a>(owner: &'a Value, field: &str) -> &'a str {
    owner[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} of {owner}"))
}

fn aliases_of(source: &Value) -> Vec<&str> {
    match text(source, "type") {
        "unionFrom" => list(source, "sources")
            .iter()
            .flat_map(aliases_of)
            .collect(),
        "unionAll" => vec![NAMELESS],
        _ => vec![text(source, "alias")],
    }
}

/// The aliases of all sources of a query.
pub(super) fn aliases_of_query(query: &Value) -> Vec<&str> {
    let joined = list(query, "join").iter();
    let joined = joined.filter(|join| tested(join).is_none());
    let joined = joined.map(|join| &join["from"]);
    std::iter::once(&query["from"])
        .chain(joined)
        .flat_map(aliases_of)
        .collect()
}

/// Whether a join only looks for partners: what there must be, one or none.
fn tested(join: &Value) -> Option<bool> {
    match join["type"].as_str() {
        Some("semi") => Some(true),
        Some("anti") => Some(false),
        _ => None,
    }
}

fn source_rows<'q>(source: &'q Value, world: &World, parent: Option<&Scope>) -> Vec<Joined<'q>> {
    let rows = match text(source, "type") {
        "collectionRef" => collection_rows(text(source, "collection"), world),
        "queryRef" => {
            let rows = run(&source["query"], world, parent, None);
            with_values(&source["over"], rows, world, parent)
        }
        "unionFrom" => {
            let aliases = aliases_of(source);
            let branch = |branch| {
                let alias = text(branch, "alias");
                let rows = source_rows(branch, world, parent).into_iter();
                let aliases = &aliases;
                rows.map(move |row| {
                    let key = row.key().in_branch(V::str(alias));
                    let under = |name: &&'q str| {
                        let here = row.found.iter().find(|(alias, _)| alias == name);
                        (*name, here.and_then(|(_, found)| found.clone()))
                    };
                    Joined {
                        keys: vec![Some(Rc::new(key))],
                        found: aliases.iter().map(under).collect(),
                    }
                })
            };
            return list(source, "sources").iter().flat_map(branch).collect();
        }
        "unionAll" => {
            let branch = |(i, query)| {
                let rows = run(query, world, parent, None).into_iter();
                rows.map(move |(key, row)| (key.in_branch(V::int(i as i128)), row))
            };
            let queries = list(source, "queries").iter();
            queries.enumerate().flat_map(branch).collect()
        }
        other => panic!("unknown source type {other:?}"),
    };
    let alias = aliases_of(source)[0];
    rows.into_iter()
        .map(|row| Joined::of_source(alias, row))
        .collect()
}

fn fields(row: &V) -> impl Iterator<Item = &String> {
    match row {
        V::Obj(fields) => Some(fields.keys()),
        _ => None,
    }
    .into_iter()
    .flatten()
}

fn collection_rows(name: &str, world: &World) -> Vec<(Key, V)> {
    if let Some(rows) = world.recursive_rows(name) {
        let names: BTreeSet<&String> = rows.iter().flat_map(fields).collect();
        // Ordered by its fields, as a distinct row is.
        let parts = |row: &V| {
            let part = |name: &&String| match row {
                V::Obj(fields) => fields.get(*name).cloned().unwrap_or(V::Missing),
                _ => V::Missing,
            };
            V::Arr(names.iter().map(part).collect())
        };
        let key = |row: &V| Key {
            parts: parts(row),
            ..Key::of_row(row)
        };
        return rows.iter().map(|row| (key(row), row.clone())).collect();
    }
    let key = |text: String| Key {
        parts: V::str(text.as_str()),
        text,
    };
    let rows = world.store.rows(name).into_iter();
    rows.map(|(text, row)| (key(text), row)).collect()
}

/// The rows of FROM and JOIN.
pub(super) fn joined_rows<'q>(
    query: &'q Value,
    world: &World,
    parent: Option<&Scope>,
) -> Vec<Joined<'q>> {
    let from = &query["from"];
    let mut aliases = aliases_of(from);
    let mut left = source_rows(from, world, parent);
    for (i, join) in list(query, "join").iter().enumerate() {
        let right = source_rows(&join["from"], world, parent);
        let right_aliases = aliases_of(&join["from"]);
        if let Some(wanted) = tested(join) {
            let within: Vec<&str> = aliases.iter().copied().chain(right_aliases).collect();
            let holds = |pair: &Joined<'q>| {
                join_condition_holds(join, &Scope::of_row(world, &within, pair, parent))
            };
            left.retain(|row| right.iter().any(|other| holds(&row.and(other))) == wanted);
            continue;
        }
        let nothing = (
            Joined::unmatched(i + 1, &aliases),
            Joined::unmatched(1, &right_aliases),
        );
        aliases.extend(right_aliases);
        left = join_once(join, &left, &right, &nothing, |pair| {
            join_condition_holds(join, &Scope::of_row(world, &aliases, pair, parent))
        });
    }
    left
}

/// `nothing`: what stands for the left and the right side where they match nothing.
fn join_once<'q>(
    join: &Value,
    left: &[Joined<'q>],
    right: &[Joined<'q>],
    nothing: &(Joined<'q>, Joined<'q>),
    matches: impl Fn(&Joined<'q>) -> bool,
) -> Vec<Joined<'q>> {
    let (keep_left, keep_right) = match join["type"].as_str() {
        Some("inner" | "cross") => (false, false),
        Some("left") | None => (true, false),
        Some("right") => (false, true),
        Some("full" | "outer") => (true, true),
        other => panic!("unknown join type {other:?}"),
    };
    let mut result = Vec::new();
    let mut right_matched = vec![false; right.len()];
    for left_row in left {
        let mut left_matched = false;
        for (i, right_row) in right.iter().enumerate() {
            let pair = left_row.and(right_row);
            if matches(&pair) {
                left_matched = true;
                right_matched[i] = true;
                result.push(pair);
            }
        }
        if keep_left && !left_matched {
            result.push(left_row.and(&nothing.1));
        }
    }
    for (right_row, matched) in right.iter().zip(right_matched) {
        if keep_right && !matched {
            result.push(nothing.0.and(right_row));
        }
    }
    result
}

/// Equalities and residue alike: the whole condition must be true, so a null or missing join key
/// matches nothing.
fn join_condition_holds(join: &Value, scope: &Scope) -> bool {
    if scope.world.is_spent(1) {
        return false;
    }
    if !join["on"].is_null() {
        eval(&join["on"], scope).is_true()
    } else if !join["left"].is_null() {
        let sides = [eval(&join["left"], scope), eval(&join["right"], scope)];
        call("eq", &sides).is_true()
    } else {
        assert_eq!(join["type"], "cross", "a join needs a condition");
        true
    }
}
