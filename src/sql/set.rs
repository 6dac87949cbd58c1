//! `UNION`, `INTERSECT` and `EXCEPT`.

use smol_str::SmolStr;
use sqlparser::ast::{SetExpr, SetOperator, SetQuantifier, Spanned};
use sqlparser::tokenizer::Span;

use super::block::{Lowering, call, field};
use super::error::{Fault, Result};
use super::query::{Rows, object, source_of};
use crate::query::{Expr, Function, Join, JoinKind, Query, Source};

impl Lowering {
    pub(super) fn operation(
        &mut self,
        op: SetOperator,
        quantifier: SetQuantifier,
        left: &SetExpr,
        right: &SetExpr,
    ) -> Result<Rows> {
        let all = match quantifier {
            SetQuantifier::All => true,
            SetQuantifier::None | SetQuantifier::Distinct => false,
            other => {
                return Err(Fault::new(
                    right.span(),
                    format!("{op} {other} is not supported"),
                ));
            }
        };
        match (op, all) {
            (SetOperator::Union, _) => self.union(left, right, all),
            (SetOperator::Intersect | SetOperator::Except | SetOperator::Minus, false) => {
                self.restricted(op, left, right)
            }
            _ => {
                let fault = Fault::new(right.span(), format!("{op} ALL is not supported"));
                Err(fault.hint(format!("{op} looks at different rows")))
            }
        }
    }

    fn union(&mut self, left: &SetExpr, right: &SetExpr, all: bool) -> Result<Rows> {
        // Of a chain, one union: in the end, equal rows are one anyway.
        let (mut branches, mut rest) = (vec![right], left);
        while let SetExpr::SetOperation {
            op: SetOperator::Union,
            set_quantifier,
            left,
            right,
        } = rest
            && (!all || *set_quantifier == SetQuantifier::All)
        {
            branches.push(right);
            rest = left;
        }
        branches.push(rest);
        branches.reverse();
        let mut queries = Vec::new();
        let mut columns = None;
        for (i, branch) in branches.iter().enumerate() {
            let rows = self.body(branch)?;
            if i == 0 {
                columns = rows.columns.clone();
                queries.push(rows.query);
            } else {
                queries.push(self.like_first(rows, columns.as_deref(), branch.span())?);
            }
        }
        let mut query = Query::from_source(Source::UnionAll(queries));
        if !all {
            query.distinct = true;
            if let Some(columns) = &columns {
                let column = |name: &SmolStr| (name.clone(), Expr::Ref(vec![name.clone()]));
                query.select = object(columns.iter().map(column));
            }
        }
        Ok(Rows::new(query, columns))
    }

    /// The query with the names of the first one's columns: SQL goes by position.
    pub(super) fn like_first(
        &mut self,
        rows: Rows,
        first: Option<&[SmolStr]>,
        span: Span,
    ) -> Result<Query> {
        match (first, rows.columns) {
            (None, None) => Ok(rows.query),
            (Some(first), Some(columns)) if first.len() == columns.len() => {
                Ok(self.renamed(rows.query, &columns, first))
            }
            (Some(first), Some(columns)) => {
                let message = format!(
                    "{} columns here, and {} in the first query",
                    columns.len(),
                    first.len()
                );
                Err(Fault::new(span, message))
            }
            _ => {
                let message = "one query has `*` of a collection, another one names its columns";
                Err(Fault::new(span, message).hint("name the columns in all of them"))
            }
        }
    }

    /// The query with other names for its columns.
    pub(super) fn renamed(&mut self, query: Query, from: &[SmolStr], to: &[SmolStr]) -> Query {
        if from == to {
            return query;
        }
        let alias = self.alias("q");
        let column = |(from, to): (&SmolStr, &SmolStr)| (to.clone(), field(&alias, from));
        let mut outer = Query::from_source(source_of(query, &alias));
        outer.select = object(from.iter().zip(to).map(column));
        outer
    }

    /// `INTERSECT` and `EXCEPT`: rows with or without an equal one, where nulls are equal.
    fn restricted(&mut self, op: SetOperator, left: &SetExpr, right: &SetExpr) -> Result<Rows> {
        let first = self.body(left)?;
        let second = self.body(right)?;
        let second = self.like_first(second, first.columns.as_deref(), right.span())?;
        let (l, r) = (self.alias("l"), self.alias("r"));
        let whole = |alias: &SmolStr| match &first.columns {
            Some(columns) => {
                let fields = columns.iter().map(|name| field(alias, name));
                Expr::Call(Function::Array, fields.collect())
            }
            None => Expr::Ref(vec![alias.clone()]),
        };
        let on = call(Function::Eq, [whole(&l), whole(&r)]);
        let mut query = Query::from_source(source_of(first.query, &l));
        query.joins.push(Join {
            kind: match op {
                SetOperator::Intersect => JoinKind::Semi,
                _ => JoinKind::Anti,
            },
            source: source_of(second, &r),
            on: Some(on),
        });
        query.select = match &first.columns {
            Some(columns) => object(columns.iter().map(|name| (name.clone(), field(&l, name)))),
            None => None,
        };
        query.distinct = true;
        Ok(Rows::new(query, first.columns))
    }
}
