//! The attributes of serde that change what is on the wire.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, LitStr, Result, Token, parenthesized};

use crate::case::RULES;

/// What serde's attributes say of a struct or a field.
#[derive(Default)]
pub(crate) struct Serde {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<String>,
    /// It is not read from the wire.
    pub(crate) skip: bool,
    /// The wire has something else than the Rust type's own serde form.
    pub(crate) custom: bool,
    /// What is missing on the wire has a default.
    pub(crate) default: bool,
    /// Where `flatten` stands.
    pub(crate) flatten: Option<Span>,
    /// Where the wire form is said to be that of another type.
    pub(crate) other_type: Option<(Span, String)>,
}

impl Serde {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Serde> {
        let mut serde = Serde::default();
        for attribute in attributes {
            if attribute.path().is_ident("serde") {
                attribute.parse_nested_meta(|meta| serde.one(&meta))?;
            }
        }
        Ok(serde)
    }

    fn one(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let Some(name) = meta.path.get_ident().map(ToString::to_string) else {
            return ignore(meta);
        };
        match name.as_str() {
            "rename" => self.rename = both(meta)?.map(|name| name.value()),
            "rename_all" => {
                if let Some(rule) = both(meta)? {
                    // Serde itself tells of a rule that it does not know.
                    self.rename_all = RULES.contains(&&*rule.value()).then(|| rule.value());
                }
            }
            "skip" | "skip_deserializing" => self.skip = true,
            "default" => {
                self.default = true;
                ignore(meta)?;
            }
            "flatten" => self.flatten = Some(meta.path.span()),
            "with" | "serialize_with" | "deserialize_with" => {
                self.custom = true;
                ignore(meta)?;
            }
            "from" | "try_from" | "into" | "transparent" => {
                self.other_type = Some((meta.path.span(), name));
                ignore(meta)?;
            }
            _ => ignore(meta)?,
        }
        Ok(())
    }
}

/// Reads over what an attribute says.
fn ignore(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        let content;
        parenthesized!(content in meta.input);
        content.parse::<proc_macro2::TokenStream>()?;
    }
    Ok(())
}

/// A name that is the same for writing and reading.
fn both(meta: &ParseNestedMeta<'_>) -> Result<Option<LitStr>> {
    if !meta.input.peek(syn::token::Paren) {
        return meta.value()?.parse().map(Some);
    }
    let (mut serialize, mut deserialize) = (None::<LitStr>, None::<LitStr>);
    meta.parse_nested_meta(|meta| {
        let name: LitStr = meta.value()?.parse()?;
        match meta.path.is_ident("serialize") {
            true => serialize = Some(name),
            false => deserialize = Some(name),
        }
        Ok(())
    })?;
    match (serialize, deserialize) {
        (Some(a), Some(b)) if a.value() == b.value() => Ok(Some(a)),
        _ => Err(Error::new(
            meta.path.span(),
            "a row is written and read by the same names: give one name for both",
        )),
    }
}
