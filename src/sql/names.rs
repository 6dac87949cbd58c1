//! Names: of sources, columns and paths into them.

use smol_str::SmolStr;
use sqlparser::ast::{Ident, ObjectName, Spanned};
use sqlparser::tokenizer::Span;

use super::block::{Block, Column, Lowering, Source};
use super::error::{Fault, Result};
use crate::query::Expr;

/// Whether a name in the text means a known one: exactly, or whatever the case if it is not quoted.
pub(super) fn means(ident: &Ident, known: &str) -> bool {
    ident.value == known || (ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case(known))
}

/// The place of the name that is meant: an exact one comes first.
pub(super) fn find<'a>(
    ident: &Ident,
    known: impl DoubleEndedIterator<Item = &'a str> + ExactSizeIterator + Clone,
) -> Option<usize> {
    let exact = known.clone().rposition(|name| name == ident.value);
    exact.or_else(|| known.clone().rposition(|name| means(ident, name)))
}

/// The one part of a name.
pub(super) fn simple(name: &ObjectName) -> Result<&Ident> {
    match &name.0[..] {
        [part] => part.as_ident(),
        _ => None,
    }
    .ok_or_else(|| {
        let fault = Fault::new(name.span(), format!("`{name}` has more than one part"));
        fault.hint("a name with dots is quoted as a whole: \"a.b\"")
    })
}

/// A name that the query model can have.
pub(super) fn name(ident: &Ident) -> Result<SmolStr> {
    match ident.value.as_str() {
        "" => Err(Fault::new(ident.span, "a name must not be empty")),
        s if s.starts_with('$') => {
            let message = format!("`{s}`: names with `$` are reserved");
            Err(Fault::new(ident.span, message))
        }
        s => Ok(s.into()),
    }
}

/// A name of an output column.
pub(super) fn column_name(ident: &Ident) -> Result<SmolStr> {
    let name = name(ident)?;
    match name.contains('.') || name.starts_with("__SPREAD_SENTINEL__") {
        true => Err(Fault::new(
            ident.span,
            format!("a column cannot be called `{name}`"),
        )),
        false => Ok(name),
    }
}

pub(super) fn span_of(idents: &[Ident]) -> Span {
    Span::union_iter(idents.iter().map(|ident| ident.span))
}

fn strings(idents: &[Ident]) -> impl Iterator<Item = SmolStr> + '_ {
    idents.iter().map(|ident| ident.value.as_str().into())
}

impl Source {
    /// A column, or a path into it.
    fn column(&self, path: &[Ident]) -> Result<Expr> {
        let mut full = vec![self.alias.clone()];
        match &self.columns {
            None => full.extend(strings(path)),
            Some(columns) => {
                let names = columns.iter().map(|column| column.name.as_str());
                let found = find(&path[0], names.clone());
                let Some(place) = found else {
                    let message = format!("`{}` has no column `{}`", self.name, path[0].value);
                    let fault = Fault::new(path[0].span, message);
                    return Err(fault.suggest(&path[0].value, names));
                };
                full.push(columns[place].field.clone());
                full.extend(strings(&path[1..]));
            }
        }
        Ok(Expr::Ref(full))
    }

    fn has(&self, column: &Ident) -> bool {
        let has = |columns: &Vec<Column>| columns.iter().any(|known| means(column, &known.name));
        self.columns.as_ref().is_some_and(has)
    }
}

impl Lowering {
    /// What a name means: a column of this block, or of the one around it.
    pub(super) fn resolve(&self, path: &[Ident]) -> Result<Expr> {
        if path.len() > 1
            && let Some(found) = self.look(path, Self::qualified)?
        {
            return Ok(found);
        }
        if let Some(found) = self.look(path, Self::unqualified)? {
            return Ok(found);
        }
        let block = self.blocks.last();
        let names = block.iter().flat_map(|block| &block.sources);
        let name = &path[0].value;
        let fault = match path.len() {
            1 => {
                let fault = Fault::new(path[0].span, format!("unknown column `{name}`"));
                let columns = names.filter_map(|source| source.columns.as_ref()).flatten();
                return Err(fault.suggest(name, columns.map(|column| column.name.as_str())));
            }
            _ => Fault::new(path[0].span, format!("unknown source `{name}`")),
        };
        Err(match &names.clone().collect::<Vec<_>>()[..] {
            [source] if source.columns.is_none() => fault.hint(format!(
                "the source is called `{0}`; a path into a column is `{0}.{name}.{1}`",
                source.name, path[1].value
            )),
            _ => fault.suggest(name, names.map(|source| source.name.as_str())),
        })
    }

    /// Looks a name up in this block, then in the one around it.
    fn look(
        &self,
        path: &[Ident],
        find: fn(&Block, &[Ident]) -> Result<Option<Expr>>,
    ) -> Result<Option<Expr>> {
        for (distance, block) in self.blocks.iter().rev().enumerate() {
            if let Some(found) = find(block, path)? {
                if distance > 1 {
                    let message = format!(
                        "`{}` belongs to a query that is more than one level further out",
                        path[0].value
                    );
                    return Err(Fault::new(span_of(path), message));
                }
                return Ok(Some(found));
            }
            if block.closed {
                break;
            }
        }
        Ok(None)
    }

    /// A column of the source that the first name is.
    fn qualified(block: &Block, path: &[Ident]) -> Result<Option<Expr>> {
        let names = block.sources.iter().map(|source| source.name.as_str());
        let place = find(&path[0], names);
        place.map_or(Ok(None), |place| {
            block.sources[place].column(&path[1..]).map(Some)
        })
    }

    /// A column of the only source that can have it.
    fn unqualified(block: &Block, path: &[Ident]) -> Result<Option<Expr>> {
        let sources = &block.sources;
        if let [name] = path
            && let Some((_, merged)) = block.merged.iter().find(|(known, _)| means(name, known))
        {
            return Ok(Some(merged.clone()));
        }
        let known: Vec<&Source> = sources.iter().filter(|s| s.has(&path[0])).collect();
        // Of several names, the first would more likely be a source that is not there.
        let open = |source: &&Source| source.columns.is_none() && path.len() == 1;
        let open: Vec<&Source> = sources.iter().filter(open).collect();
        match (&known[..], &open[..]) {
            ([source], []) | ([], [source]) => source.column(path).map(Some),
            ([], []) => Ok(None),
            _ => {
                let name = &path[0].value;
                let one = known.first().or(open.first()).map_or("", |s| &s.name);
                let message = format!("`{name}` could be a column of several sources");
                let fault = Fault::new(span_of(path), message);
                Err(fault.hint(format!("say of which one, as in `{one}.{name}`")))
            }
        }
    }
}
