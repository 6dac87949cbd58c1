//! `WITH`: queries that have names, and those that refer to themselves.

use smol_str::SmolStr;
use sqlparser::ast::{self, SetExpr, SetOperator, Spanned};

use super::block::{Body, Column, Lowering, Named};
use super::error::{Fault, Result};
use super::names::{column_name, means};
use super::query::tail;
use crate::query::{Query, Source};

impl Lowering {
    /// Makes the queries of `WITH` known; gives those that refer to themselves.
    pub(super) fn with(&mut self, with: &ast::With) -> Result<Vec<(SmolStr, Query)>> {
        let mut recursive = Vec::new();
        for cte in &with.cte_tables {
            let name = super::names::name(&cte.alias.name)?;
            if with.recursive
                && let SetExpr::SetOperation {
                    op: SetOperator::Union,
                    left,
                    right,
                    ..
                } = &*cte.query.body
                && cte.query.with.is_none()
                && let Some((name, query)) = self.recursive(cte, &name, left, right)?
            {
                recursive.push((name, query));
                continue;
            }
            let before = self.size();
            let rows = self.closed_query(&cte.query)?;
            let columns = columns(rows.columns, &cte.alias)?;
            self.named.push(Named {
                name,
                columns,
                body: Body::Query(Box::new(rows.query)),
                size: self.size() - before,
            });
        }
        Ok(recursive)
    }

    /// A union whose second part refers to its own name; nothing if it does not.
    fn recursive(
        &mut self,
        cte: &ast::Cte,
        name: &SmolStr,
        left: &SetExpr,
        right: &SetExpr,
    ) -> Result<Option<(SmolStr, Query)>> {
        let blocks = std::mem::take(&mut self.blocks);
        let first = self.body(left)?;
        let Some(own) = first.columns.clone() else {
            let fault = Fault::new(left.span(), "a recursion must name its columns");
            return Err(fault.hint("select columns instead of `*`"));
        };
        let known = columns(Some(own.clone()), &cte.alias)?.unwrap_or_default();
        let names: Vec<SmolStr> = known.iter().map(|column| column.name.clone()).collect();
        let first = self.renamed(first.query, &own, &names);
        let unique = self.alias(name);
        self.named.push(Named {
            name: name.clone(),
            columns: Some(
                names
                    .iter()
                    .map(|name| Column {
                        name: name.clone(),
                        field: name.clone(),
                    })
                    .collect(),
            ),
            body: Body::Recursive(unique.clone(), false),
            size: 1,
        });
        let second = self.body(right)?;
        let second = self.like_first(second, Some(&names), right.span())?;
        self.blocks = blocks;
        let last = self.named.len() - 1;
        if matches!(self.named[last].body, Body::Recursive(_, false)) {
            self.named.truncate(last);
            return Ok(None);
        }
        if let Some(order) = &cte.query.order_by {
            return Err(Fault::new(
                order.span(),
                "a recursion has no order of its own",
            ));
        }
        if tail(&cte.query)?.limit.is_some() {
            let fault = Fault::new(cte.alias.name.span, "a recursion cannot be limited");
            return Err(fault.hint("limit the query that selects from it"));
        }
        let query = Query::from_source(Source::UnionAll(vec![first, second]));
        Ok(Some((unique, query)))
    }
}

/// The columns of a source as its alias calls them.
pub(super) fn columns(
    own: Option<Vec<SmolStr>>,
    alias: &ast::TableAlias,
) -> Result<Option<Vec<Column>>> {
    let Some(own) = own else {
        return match alias.columns.first() {
            None => Ok(None),
            Some(first) => {
                let message = "the columns have no order: they are `*` of a collection";
                Err(Fault::new(first.name.span, message))
            }
        };
    };
    if let Some(extra) = alias.columns.get(own.len()) {
        let message = format!("there are only {} columns", own.len());
        return Err(Fault::new(extra.name.span, message));
    }
    let mut columns: Vec<Column> = Vec::new();
    for (i, field) in own.into_iter().enumerate() {
        let name = match alias.columns.get(i) {
            Some(column) => column_name(&column.name)?,
            None => field.clone(),
        };
        if columns.iter().any(|known| known.name == name) {
            let message = format!("two columns are called `{name}`");
            return Err(Fault::new(alias.name.span, message));
        }
        columns.push(Column { name, field });
    }
    Ok(Some(columns))
}

/// Whether a source is called as the alias of a table says.
pub(super) fn is_called(named: &Named, name: &ast::Ident) -> bool {
    means(name, &named.name)
}
