//! Values that depend on the rows around.

use smol_str::SmolStr;

use super::order::order_by;
use super::{Result, at, clause, count, expr, list, object, only, required, text, unique};
use crate::query::QueryError;
use crate::query::over::{Frame, Over, OverFunction};
use crate::query::tree::Tree;

/// The values by name.
pub(super) fn values(tree: &Tree) -> Result<Vec<(SmolStr, Over)>> {
    unique(tree)?;
    let value = |(name, tree): &(String, Tree)| Ok((name.into(), at(name, tree, over)?));
    object(tree)?.iter().map(value).collect()
}

fn over(tree: &Tree) -> Result<Over> {
    only(
        tree,
        &["function", "args", "partitionBy", "orderBy", "frame"],
    )?;
    let function = at("function", required(tree, "function")?, |t| {
        let name = text(t)?;
        OverFunction::parse(name).ok_or_else(|| {
            let error = QueryError::new("", format!("unknown function `{name}`"));
            error.suggest(name, OverFunction::names())
        })
    })?;
    let over = Over {
        function,
        args: list(tree, "args", expr)?,
        partition_by: list(tree, "partitionBy", expr)?,
        order_by: list(tree, "orderBy", order_by)?,
        frame: clause(tree, "frame").map_or(Ok(Frame::default()), |t| at("frame", t, frame))?,
    };
    over.check()?;
    Ok(over)
}

fn frame(tree: &Tree) -> Result<Frame> {
    only(tree, &["before", "after"])?;
    Ok(Frame {
        before: count(tree, "before")?,
        after: count(tree, "after")?,
        peers: false,
    })
}
