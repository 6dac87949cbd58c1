//! The order of joins: conditions of `WHERE` that link sources become those of joins.

use std::collections::BTreeSet;

use smol_str::SmolStr;
use sqlparser::tokenizer::Span;

use super::block::all;
use super::error::{Fault, Result};
use super::from::Step;
use crate::query::{Expr, Function, Join, JoinKind, Source};

type Aliases = BTreeSet<SmolStr>;

/// The first source, the joins, and the conditions that are left.
pub(super) fn arranged(
    steps: Vec<Step>,
    conditions: Vec<Expr>,
) -> Result<(Source, Vec<Join>, Vec<Expr>)> {
    let inner = |step: &Step| matches!(step.kind, JoinKind::Inner | JoinKind::Cross);
    match steps.iter().all(inner) {
        true => Ok(chosen(steps, conditions)),
        false => in_order(steps, conditions),
    }
}

/// Takes a condition apart at its `and`s.
pub(super) fn conjuncts(condition: Expr) -> Vec<Expr> {
    match condition {
        Expr::Call(Function::And, args) => args.into_iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

/// Joins whose order is ours: next is the first source that is linked to those before.
fn chosen(steps: Vec<Step>, conditions: Vec<Expr>) -> (Source, Vec<Join>, Vec<Expr>) {
    let mut pool = conditions;
    let mut sources = Vec::new();
    for step in steps {
        pool.extend(step.on);
        sources.push(step.source);
    }
    pool.extend(pool.iter().flat_map(in_all_branches).collect::<Vec<_>>());
    let first = sources.remove(0);
    let mut joined = Aliases::from([alias_of(&first)]);
    let mut joins = Vec::new();
    while !sources.is_empty() {
        let linked = |source: &Source| {
            let alias = alias_of(source);
            pool.iter().any(|e| links(e, &alias, &joined))
        };
        let place = sources.iter().position(linked).unwrap_or(0);
        let source = sources.remove(place);
        let alias = alias_of(&source);
        let (on, rest) = pool.into_iter().partition(|e| links(e, &alias, &joined));
        pool = rest;
        joins.push(inner_or_cross(source, on));
        joined.insert(alias);
    }
    (first, joins, pool)
}

/// Joins among which are outer ones.
fn in_order(steps: Vec<Step>, mut conditions: Vec<Expr>) -> Result<(Source, Vec<Join>, Vec<Expr>)> {
    let last_right = steps.iter().rposition(|step| step.kind.keeps_right());
    let mut steps = steps.into_iter().enumerate();
    let first = match steps.next() {
        Some((_, step)) => step.source,
        None => return Err(Fault::new(Span::empty(), "a query needs FROM")),
    };
    let mut joined = Aliases::from([alias_of(&first)]);
    let mut joins = Vec::new();
    for (i, step) in steps {
        let alias = alias_of(&step.source);
        let mut on = step.on;
        let inner = matches!(step.kind, JoinKind::Inner | JoinKind::Cross);
        let has_link = |on: &[Expr]| on.iter().any(|e| links(e, &alias, &joined));
        if inner && last_right.is_none_or(|right| right < i) {
            let (found, rest) = conditions
                .into_iter()
                .partition(|e| links(e, &alias, &joined));
            conditions = rest;
            on.extend::<Vec<Expr>>(found);
            if !has_link(&on) {
                conditions.append(&mut on);
            }
        }
        joins.push(match inner {
            true if on.is_empty() => inner_or_cross(step.source, on),
            _ if has_link(&on) => Join {
                kind: if inner { JoinKind::Inner } else { step.kind },
                source: step.source,
                on: all(on),
            },
            _ => {
                let message =
                    format!("the join of `{alias}` needs an equality with what is before it");
                let fault = Fault::new(step.span, message);
                return Err(
                    fault.hint("such as a.id = b.a_id, to which other conditions may be added")
                );
            }
        });
        joined.insert(alias);
    }
    Ok((first, joins, conditions))
}

fn inner_or_cross(source: Source, on: Vec<Expr>) -> Join {
    let kind = match on.is_empty() {
        true => JoinKind::Cross,
        false => JoinKind::Inner,
    };
    Join {
        kind,
        source,
        on: all(on),
    }
}

fn alias_of(source: &Source) -> SmolStr {
    source.alias().cloned().unwrap_or_default()
}

/// Whether a condition is an equality between a source and those before.
fn links(condition: &Expr, alias: &SmolStr, joined: &Aliases) -> bool {
    let Expr::Call(Function::Eq, args) = condition else {
        return false;
    };
    let (a, b) = (aliases(&args[0]), aliases(&args[1]));
    let new = |side: &Aliases| side.len() == 1 && side.contains(alias);
    let old = |side: &Aliases| !side.is_empty() && side.is_subset(joined);
    (new(&a) && old(&b)) || (new(&b) && old(&a))
}

fn aliases(expr: &Expr) -> Aliases {
    let mut found = Aliases::new();
    expr.any(&mut |e| {
        if let Expr::Ref(path) = e {
            found.extend(path.first().cloned());
        }
        false
    });
    found
}

/// The equalities that all branches of an `or` have: they hold whichever does.
fn in_all_branches(condition: &Expr) -> Vec<Expr> {
    let Expr::Call(Function::Or, branches) = condition else {
        return Vec::new();
    };
    let mut branches = branches.iter().map(|branch| conjuncts(branch.clone()));
    let Some(mut common) = branches.next() else {
        return Vec::new();
    };
    common.retain(|e| matches!(e, Expr::Call(Function::Eq, _)));
    for branch in branches {
        common.retain(|e| branch.contains(e));
    }
    common
}
