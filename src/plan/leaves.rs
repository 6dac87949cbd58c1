//! A projection taken apart: what is computed, and how it makes up the value.

use super::key::Template;
use crate::query::{self, Entry};

/// The leaves of a projection, and how they make up its value. Where what an object has shows only
/// in its value, the object is one leaf.
pub(super) fn leaves(projection: &query::Expr) -> (Vec<query::Expr>, Template) {
    fn walk(part: &query::Expr, leaves: &mut Vec<query::Expr>) -> Template {
        if let query::Expr::Object(entries) = part {
            let is_open = |entry: &Entry| {
                !matches!(entry, Entry::Field(..))
                    && !matches!(entry, Entry::Spread(e) if is_whole(e))
            };
            if !entries.iter().any(is_open) {
                let field = |entry: &Entry| match entry {
                    Entry::Field(name, part) => (Some(name.clone()), walk(part, leaves)),
                    Entry::Spread(part) => (None, walk(part, leaves)),
                };
                return Template::Object(entries.iter().map(field).collect());
            }
        }
        leaves.push(part.clone());
        Template::Leaf(leaves.len() - 1)
    }
    let mut found = Vec::new();
    let template = walk(projection, &mut found);
    (found, template)
}

/// Whether an expression is the whole row of a union, as only a query without `select` says.
fn is_whole(expr: &query::Expr) -> bool {
    matches!(expr, query::Expr::Ref(path) if path.is_empty())
}
