//! What is selected: named values, and `*`.

use smol_str::{SmolStr, format_smolstr};
use sqlparser::ast::{
    self, SelectItem, SelectItemQualifiedWildcardKind, Spanned, WildcardAdditionalOptions,
};
use sqlparser::tokenizer::Span;

use super::block::{Lowering, Source, field};
use super::error::{Fault, Result};
use super::names::{column_name, find, simple};
use crate::query::Expr;

/// A part of the result.
pub(super) enum Item {
    /// A named value, as it is over the rows of the sources.
    Column {
        name: SmolStr,
        expr: Expr,
        span: Span,
    },
    /// All fields of a source whose columns nobody knows.
    All { alias: SmolStr, span: Span },
}

impl Item {
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Item::Column { name, .. } => Some(name),
            Item::All { .. } => None,
        }
    }

    pub(super) fn expr(&self) -> Option<&Expr> {
        match self {
            Item::Column { expr, .. } => Some(expr),
            Item::All { .. } => None,
        }
    }
}

impl Lowering {
    pub(super) fn items(&mut self, projection: &[SelectItem]) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for (i, item) in projection.iter().enumerate() {
            match item {
                SelectItem::UnnamedExpr(e) => {
                    let name = self.name_of(e, i)?;
                    self.column(name, e, &mut items)?;
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.column(column_name(alias)?, expr, &mut items)?;
                }
                SelectItem::Wildcard(options) => {
                    plain_star(options)?;
                    let span = options.wildcard_token.0.span;
                    let sources = self.block().sources.clone();
                    let merged = self.merged();
                    if sources.iter().all(|source| source.columns.is_some()) {
                        items.extend(merged.iter().map(|(name, expr)| Item::Column {
                            name: name.clone(),
                            expr: expr.clone(),
                            span,
                        }));
                    }
                    for source in &sources {
                        star(source, &merged, span, &mut items);
                    }
                    if sources.iter().any(|source| source.columns.is_none()) {
                        items.extend(merged.into_iter().map(|(name, expr)| Item::Column {
                            name,
                            expr,
                            span,
                        }));
                    }
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) => {
                    plain_star(options)?;
                    let ident = simple(name)?;
                    let sources = &self.block().sources;
                    let names = sources.iter().map(|source| source.name.as_str());
                    let Some(place) = find(ident, names.clone()) else {
                        let message = format!("unknown source `{}`", ident.value);
                        let fault = Fault::new(ident.span, message);
                        return Err(fault.suggest(&ident.value, names));
                    };
                    let source = sources[place].clone();
                    star(&source, &[], ident.span, &mut items);
                }
                other => return Err(Fault::new(other.span(), "this cannot be selected")),
            }
        }
        for (i, item) in items.iter().enumerate() {
            let Item::Column { name, span, .. } = item else {
                continue;
            };
            let open = items[..i]
                .iter()
                .any(|other| matches!(other, Item::All { .. }));
            let same = |other: &Item| matches!(other, Item::Column { name: n, .. } if n == name);
            if !open && items[..i].iter().any(same) {
                let message = format!("two columns are called `{name}`");
                return Err(Fault::new(*span, message).hint("give one of them a name with AS"));
            }
        }
        Ok(items)
    }

    fn column(&mut self, name: SmolStr, e: &ast::Expr, items: &mut Vec<Item>) -> Result<()> {
        let expr = self.plain(e)?;
        let span = e.span();
        if self.is_outer(&expr) {
            let message = "a column of the query around can only stand in WHERE of a subquery";
            return Err(Fault::new(span, message));
        }
        items.push(Item::Column { name, expr, span });
        Ok(())
    }

    /// The name that an expression has without being given one.
    fn name_of(&self, e: &ast::Expr, place: usize) -> Result<SmolStr> {
        let ident = match e {
            ast::Expr::Identifier(name) => Some(name),
            ast::Expr::CompoundIdentifier(path) => path.last(),
            ast::Expr::Nested(inner) => return self.name_of(inner, place),
            ast::Expr::Cast { expr, .. } => return self.name_of(expr, place),
            ast::Expr::Function(f) => {
                let name = simple(&f.name)?;
                return Ok(name.value.to_lowercase().into());
            }
            ast::Expr::BinaryOp {
                op: ast::BinaryOperator::Arrow | ast::BinaryOperator::LongArrow,
                right,
                ..
            } => {
                let name = super::expr::text_of(right);
                return Ok(
                    name.map_or_else(|| format_smolstr!("column{}", place + 1), SmolStr::from)
                );
            }
            _ => None,
        };
        let known = |name: &str| {
            self.blocks
                .last()
                .into_iter()
                .flat_map(|block| &block.sources)
                .find_map(|source| {
                    let columns = source.columns.as_ref()?;
                    let found = columns
                        .iter()
                        .find(|column| column.name.eq_ignore_ascii_case(name));
                    found.map(|column| column.name.clone())
                })
        };
        match ident {
            Some(ident) if ident.quote_style.is_none() && known(&ident.value).is_some() => {
                Ok(known(&ident.value).unwrap_or_default())
            }
            Some(ident) if ident.value.starts_with('$') => {
                Ok(ident.value.trim_start_matches('$').into())
            }
            Some(ident) => column_name(ident),
            None => Ok(match e {
                ast::Expr::Case { .. } => "case".into(),
                ast::Expr::Exists { .. } => "exists".into(),
                ast::Expr::Extract { .. } => "extract".into(),
                // Functions with a syntax of their own.
                ast::Expr::Ceil { .. } => "ceil".into(),
                ast::Expr::Floor { .. } => "floor".into(),
                ast::Expr::Position { .. } => "position".into(),
                ast::Expr::Substring { shorthand, .. } => match shorthand {
                    true => "substr".into(),
                    false => "substring".into(),
                },
                ast::Expr::Trim { .. } => "trim".into(),
                _ => format_smolstr!("column{}", place + 1),
            }),
        }
    }
}

/// All columns of a source, but for those of `USING`.
fn star(source: &Source, merged: &[(SmolStr, Expr)], span: Span, items: &mut Vec<Item>) {
    let Some(columns) = &source.columns else {
        items.push(Item::All {
            alias: source.alias.clone(),
            span,
        });
        return;
    };
    for column in columns {
        if !merged.iter().any(|(name, _)| *name == column.name) {
            items.push(Item::Column {
                name: column.name.clone(),
                expr: field(&source.alias, &column.field),
                span,
            });
        }
    }
}

fn plain_star(options: &WildcardAdditionalOptions) -> Result<()> {
    let plain = WildcardAdditionalOptions {
        wildcard_token: options.wildcard_token.clone(),
        ..WildcardAdditionalOptions::default()
    };
    match *options == plain {
        true => Ok(()),
        false => {
            let message = "`*` is all columns here, without exceptions";
            Err(Fault::new(options.wildcard_token.0.span, message))
        }
    }
}
