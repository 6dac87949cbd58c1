//! Where a collection's row comes from: `$synced` and `$origin`.
//!
//! Rows that a pending transaction has a hand in have a column that others miss; so rows that came
//! in as they are cost nothing.

use super::expr::{Expr, Label};
use crate::query::Function;
use crate::schema::CollectionDef;
use crate::value::Value;

/// Whether a row came in as it is; missing of no row.
pub(super) fn is_synced(source: usize, collection: &CollectionDef, label: Label) -> Expr {
    let synced = is_missing(source, collection.local_column(), label);
    of_a_row(source, vec![synced])
}

/// Whether a row is `"remote"`, as it came in, or `"local"`; missing of no row.
pub(super) fn origin(source: usize, collection: &CollectionDef, label: Label) -> Expr {
    let remote = is_missing(source, collection.local_column(), label);
    let [yes, no] = ["remote", "local"].map(|origin| Expr::Const(origin.into()));
    of_a_row(source, vec![remote, yes, no])
}

/// A choice by cases, but missing for the unmatched side of a join.
fn of_a_row(source: usize, mut cases: Vec<Expr>) -> Expr {
    let unmatched = is_missing(source, 0, Label(format!("key({source})").into()));
    cases.splice(0..0, [unmatched, Expr::Const(Value::Missing)]);
    Expr::Call(Function::CaseWhen, cases)
}

fn is_missing(source: usize, column: usize, label: Label) -> Expr {
    let column = Expr::Column {
        source,
        column,
        label,
    };
    Expr::Call(Function::IsUndefined, vec![column])
}
