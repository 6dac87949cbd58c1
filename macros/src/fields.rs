//! The fields of a struct as columns.

use quote::format_ident;
use syn::ext::IdentExt;
use syn::{
    Data, DeriveInput, Error, Fields, GenericArgument, Ident, PathArguments, Result, Type,
    Visibility,
};

use crate::attributes::Serde;
use crate::case::rename_field;

/// A field that is on the wire.
pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) visibility: &'a Visibility,
    /// Its name on the wire.
    pub(crate) name: String,
    /// Its type.
    ty: &'a Type,
    /// Whether the wire has it in another form than its type's own.
    pub(crate) custom: bool,
    /// Whether it may be missing on the wire.
    pub(crate) default: bool,
}

impl<'a> Field<'a> {
    /// Whether it is an `Option`.
    pub(crate) fn is_option(&self) -> bool {
        optional(self.ty).is_some()
    }

    /// The type of values that are not null.
    pub(crate) fn base(&self) -> &'a Type {
        optional(self.ty).unwrap_or(self.ty)
    }
}

/// The fields of a struct that are on the wire.
pub(crate) fn fields(input: &DeriveInput) -> Result<Vec<Field<'_>>> {
    let Data::Struct(data) = &input.data else {
        let message = "a row is a struct with named fields, not an enum or a union";
        return Err(Error::new_spanned(&input.ident, message));
    };
    let Fields::Named(named) = &data.fields else {
        let message = "a row is a struct with named fields: its columns";
        return Err(Error::new_spanned(&input.ident, message));
    };
    if !input.generics.params.is_empty() {
        let message = "a row's type cannot have parameters, as its columns have one type each";
        return Err(Error::new_spanned(&input.generics, message));
    }
    let serde = Serde::read(&input.attrs)?;
    if let Some((span, name)) = serde.other_type {
        let message = format!("with serde's `{name}` a row has other fields than the struct");
        return Err(Error::new(span, message));
    }
    let mut fields = Vec::new();
    for field in &named.named {
        let of_field = Serde::read(&field.attrs)?;
        if let Some(span) = of_field.flatten {
            let message = "a flattened field has no column of its own: list its fields here";
            return Err(Error::new(span, message));
        }
        let Some(ident) = field.ident.as_ref().filter(|_| !of_field.skip) else {
            continue;
        };
        let plain = ident.unraw().to_string();
        let renamed = |rule: &String| rename_field(rule, &plain);
        fields.push(Field {
            ident,
            visibility: &field.vis,
            name: of_field
                .rename
                .or_else(|| serde.rename_all.as_ref().map(renamed))
                .unwrap_or_else(|| plain.clone()),
            ty: &field.ty,
            custom: of_field.custom,
            default: serde.default || of_field.default,
        });
    }
    Ok(fields)
}

/// The type that an `Option` is of.
fn optional(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else {
        return None;
    };
    let last = path.path.segments.last()?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) if last.ident == "Option" => {
            match arguments.args.first()? {
                GenericArgument::Type(inner) => Some(inner),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The name of a type that goes with a struct.
pub(crate) fn companion(input: &DeriveInput, suffix: &str) -> Ident {
    format_ident!("{}{suffix}", input.ident.unraw(), span = input.ident.span())
}
