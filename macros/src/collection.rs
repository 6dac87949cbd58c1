//! `#[derive(Collection)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{DeriveInput, Error, LitStr, Result};

use crate::case::snake;
use crate::columns;
use crate::fields::{Field, companion, fields};

#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    event_type: Option<LitStr>,
    key: Option<LitStr>,
}

impl Options {
    fn read(input: &DeriveInput) -> Result<Options> {
        let mut options = Options::default();
        for attribute in &input.attrs {
            if !attribute.path().is_ident("collection") {
                continue;
            }
            attribute.parse_nested_meta(|meta| {
                let name = meta.path.get_ident().map(ToString::to_string);
                let option = match name.as_deref() {
                    Some("name") => &mut options.name,
                    Some("type") => &mut options.event_type,
                    Some("key") => &mut options.key,
                    _ => return Err(meta.error("there are `name`, `type` and `key`")),
                };
                let text: LitStr = meta.value()?.parse()?;
                if text.value().is_empty() {
                    return Err(Error::new(text.span(), "this must not be empty"));
                }
                match option.replace(text) {
                    None => Ok(()),
                    Some(_) => Err(meta.error("this is said twice")),
                }
            })?;
        }
        Ok(options)
    }
}

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let options = Options::read(input)?;
    let fields = fields(input)?;
    let ident = &input.ident;
    let text = |text: &LitStr| text.value();
    let name = options
        .name
        .as_ref()
        .map_or_else(|| snake(&ident.unraw().to_string()), text);
    let event_type = options
        .event_type
        .as_ref()
        .map_or_else(|| name.clone(), text);
    let key = key(input, options.key.as_ref(), &fields)?;
    let (key_ident, key_name) = (key.ident, &key.name);
    let columns = companion(input, "Columns");
    let of_fields = columns::of_fields(input, &fields);
    Ok(quote! {
        #of_fields

        #[automatically_derived]
        impl ::tailwater::schema::Collection for #ident {
            const NAME: &'static str = #name;
            const EVENT_TYPE: &'static str = #event_type;
            const PRIMARY_KEY: &'static str = #key_name;

            type Columns = #columns;

            fn columns(alias: &str) -> #columns {
                ::tailwater::query::builder::ColumnSet::at(
                    ::tailwater::query::builder::Path::of(alias),
                )
            }

            fn key(&self) -> ::std::string::String {
                ::tailwater::schema::key_text(&self.#key_ident)
            }
        }
    })
}

/// The field of the key: named as in Rust or as on the wire.
fn key<'f, 'i>(
    input: &DeriveInput,
    wanted: Option<&LitStr>,
    fields: &'f [Field<'i>],
) -> Result<&'f Field<'i>> {
    let name = wanted.map_or_else(|| "id".to_owned(), LitStr::value);
    let by_ident = fields.iter().find(|field| field.ident.unraw() == name);
    let found = by_ident.or_else(|| fields.iter().find(|field| field.name == name));
    found.ok_or_else(|| match wanted {
        Some(wanted) => Error::new(wanted.span(), format!("there is no field `{name}`")),
        None => Error::new_spanned(
            &input.ident,
            "there is no field `id`: name the key's field, as in `#[collection(key = \"email\")]`",
        ),
    })
}
