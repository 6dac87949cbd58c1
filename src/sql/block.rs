//! What is known while a statement is lowered.

use std::collections::BTreeSet;

use smol_str::{SmolStr, format_smolstr};
use sqlparser::ast;
use sqlparser::tokenizer::Span;

use super::error::{Fault, Result};
use crate::query::{Expr, Function, Join, Over, Query};
use crate::value::Value;

/// How deep expressions and queries may be nested: the engine walks them recursively.
const MAX_DEPTH: usize = 100;
/// What a statement may grow to, in expressions: some of SQL's are written out more than once.
const MAX_SIZE: usize = 200_000;

/// A statement that is being lowered.
#[derive(Default)]
pub(super) struct Lowering {
    /// The queries of `WITH`, the innermost last.
    pub(super) named: Vec<Named>,
    /// The blocks around the place, the innermost last.
    pub(super) blocks: Vec<Block>,
    pub(super) clause: Clause,
    aliases: BTreeSet<SmolStr>,
    depth: usize,
    /// Queries in each other.
    pub(super) queries: usize,
    size: usize,
}

/// A query of `WITH`.
pub(super) struct Named {
    pub(super) name: SmolStr,
    pub(super) columns: Option<Vec<Column>>,
    pub(super) body: Body,
    /// What a use of it costs.
    pub(super) size: usize,
}

#[derive(Clone)]
pub(super) enum Body {
    /// It stands wherever it is named.
    Query(Box<Query>),
    /// It is defined in terms of itself under this name; whether it was referred to.
    Recursive(SmolStr, bool),
}

/// Where in a block an expression stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Clause {
    #[default]
    Select,
    On,
    Where,
    GroupBy,
    Having,
    OrderBy,
    /// The arguments of an aggregate.
    Aggregate,
}

impl Clause {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Clause::Select => "SELECT",
            Clause::On => "ON",
            Clause::Where => "WHERE",
            Clause::GroupBy => "GROUP BY",
            Clause::Having => "HAVING",
            Clause::OrderBy => "ORDER BY",
            Clause::Aggregate => "an aggregate",
        }
    }
}

/// One `SELECT`.
#[derive(Default)]
pub(super) struct Block {
    pub(super) sources: Vec<Source>,
    /// The columns of `USING`.
    pub(super) merged: Vec<(SmolStr, Expr)>,
    /// What subqueries among the expressions add.
    pub(super) joins: Vec<Join>,
    /// What subqueries that are conditions add, behind all other joins.
    pub(super) semis: Vec<Join>,
    /// Those subqueries, each with what it depends on.
    pub(super) values: Vec<(SmolStr, Vec<Expr>)>,
    /// The windows of its functions with `OVER`.
    pub(super) windows: Vec<Over>,
    /// The windows of `WINDOW`.
    pub(super) named_windows: Vec<(ast::Ident, ast::WindowSpec)>,
    /// Whether names of the block around it mean nothing in it.
    pub(super) closed: bool,
}

/// A source of rows in a `FROM`.
#[derive(Clone)]
pub(super) struct Source {
    /// What the statement calls it.
    pub(super) name: SmolStr,
    /// What the query calls it; no other source of the statement has this name.
    pub(super) alias: SmolStr,
    /// Its columns, where the statement says what they are.
    pub(super) columns: Option<Vec<Column>>,
}

/// A column of a subquery.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) name: SmolStr,
    /// The field that it is in the subquery's rows.
    pub(super) field: SmolStr,
}

/// An expression, and whether it is known to be a time.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub(super) expr: Expr,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Any,
    /// `YYYY-MM-DD`.
    Date,
    /// Milliseconds.
    Time,
}

impl From<Expr> for Typed {
    fn from(expr: Expr) -> Typed {
        Typed {
            expr,
            kind: Kind::Any,
        }
    }
}

impl Lowering {
    pub(super) fn statement(mut self, statement: &ast::Query) -> Result<Query> {
        Ok(self.query(statement, &super::query::Purpose::Rows)?.query)
    }

    /// Goes one level down.
    pub(super) fn deeper<T>(
        &mut self,
        span: Span,
        f: impl FnOnce(&mut Lowering) -> Result<T>,
    ) -> Result<T> {
        if self.depth == MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} deep");
            return Err(Fault::new(span, message).hint("put a part of it into a query of WITH"));
        }
        self.depth += 1;
        self.grow(1, span)?;
        let result = f(self);
        self.depth -= 1;
        result
    }

    /// Counts what the query grows by.
    pub(super) fn grow(&mut self, by: usize, span: Span) -> Result<()> {
        self.size = self.size.saturating_add(by);
        match self.size > MAX_SIZE {
            true => Err(Fault::new(span, "the statement becomes too large")),
            false => Ok(()),
        }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// A copy of what is written once and needed twice.
    pub(super) fn copy(&mut self, expr: &Expr, span: Span) -> Result<Expr> {
        let mut size = 0;
        expr.any(&mut |_| {
            size += 1;
            false
        });
        self.grow(size, span)?;
        Ok(expr.clone())
    }

    /// An alias like a name that no other source has.
    pub(super) fn alias(&mut self, name: &str) -> SmolStr {
        let mut alias: SmolStr = name.into();
        let mut n = 1;
        while !self.aliases.insert(alias.clone()) {
            n += 1;
            alias = format_smolstr!("{name}_{n}");
        }
        alias
    }

    /// In a clause, with what it allows.
    pub(super) fn within<T>(
        &mut self,
        clause: Clause,
        f: impl FnOnce(&mut Lowering) -> Result<T>,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.clause, clause);
        let result = f(self);
        self.clause = before;
        result
    }

    pub(super) fn block(&mut self) -> &mut Block {
        self.blocks
            .last_mut()
            .expect("expressions stand in a block")
    }

    /// Whether an expression refers to the block around this one.
    pub(super) fn is_outer(&self, expr: &Expr) -> bool {
        let block = self.blocks.last().expect("expressions stand in a block");
        let here = |alias: &SmolStr| {
            alias == super::window::OVER
                || block.sources.iter().any(|s| s.alias == *alias)
                || block.values.iter().any(|(a, _)| a == alias)
        };
        expr.any(&mut |e| matches!(e, Expr::Ref(path) if !here(&path[0])))
    }
}

/// A call without a check, for calls that are right by construction.
pub(super) fn call(function: Function, args: impl IntoIterator<Item = Expr>) -> Expr {
    Expr::Call(function, args.into_iter().collect())
}

pub(super) fn value(value: impl Into<Value>) -> Expr {
    Expr::Value(value.into())
}

/// A field of a source.
pub(super) fn field(alias: &SmolStr, name: &str) -> Expr {
    Expr::Ref(vec![alias.clone(), name.into()])
}

/// Whether an expression refers to rows at all.
pub(super) fn has_refs(expr: &Expr) -> bool {
    expr.any(&mut |e| matches!(e, Expr::Ref(_)))
}

/// All of the conditions.
pub(super) fn all(mut conditions: Vec<Expr>) -> Option<Expr> {
    match conditions.len() {
        0 | 1 => conditions.pop(),
        _ => Some(Expr::Call(Function::And, conditions)),
    }
}

/// With null for what is missing: SQL does not tell one from the other.
pub(super) fn settled(expr: Expr) -> Expr {
    match is_settled(&expr) {
        true => expr,
        false => call(Function::Coalesce, [expr]),
    }
}

fn is_settled(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::Aggregate(..) => true,
        Expr::Call(Function::Upper | Function::Lower | Function::NullIf, args) => {
            is_settled(&args[0])
        }
        Expr::Call(Function::CaseWhen, args) => {
            let (pairs, default) = args.as_chunks::<2>();
            pairs.iter().all(|[_, v]| is_settled(v)) && default.iter().all(is_settled)
        }
        Expr::Call(..) => true,
        _ => false,
    }
}

/// Whether a value is null or missing.
pub(super) fn is_null(expr: Expr) -> Expr {
    call(Function::IsNull, [settled(expr)])
}
