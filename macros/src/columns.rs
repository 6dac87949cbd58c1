//! The columns of a struct, and the struct of expressions that a `select` fills it with.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Result};

use crate::fields::{Field, companion, fields};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    Ok(of_fields(input, &fields(input)?))
}

/// The columns and the selection of a struct with these fields.
pub(crate) fn of_fields(input: &DeriveInput, fields: &[Field<'_>]) -> TokenStream {
    let columns = columns(input, fields);
    let select = select(input, fields);
    let (ident, columns_ident) = (&input.ident, companion(input, "Columns"));
    quote! {
        #columns
        #select
        #[automatically_derived]
        impl ::tailwater::query::builder::Projection for #ident {
            type Columns = #columns_ident;
        }
    }
}

fn columns(input: &DeriveInput, fields: &[Field<'_>]) -> TokenStream {
    let (ident, visibility) = (&input.ident, &input.vis);
    let (columns, builder) = (companion(input, "Columns"), builder());
    let doc = format!("The columns of [`{ident}`].");
    let declared = fields.iter().map(|field| {
        let (visibility, ident, ty) = (field.visibility, field.ident, column_type(field));
        let doc = format!("The column `{}`.", field.name);
        quote! { #[doc = #doc] #visibility #ident: #ty, }
    });
    let made = fields.iter().map(|field| {
        let (ident, name) = (field.ident, &field.name);
        quote! { #ident: #builder::ColumnSet::at(path.field(#name)), }
    });
    quote! {
        #[doc = #doc]
        #[allow(dead_code, private_interfaces)]
        #[derive(Clone, Copy, Debug)]
        #visibility struct #columns<__N: #builder::Nullability = #builder::Required> {
            #(#declared)*
            __row: #builder::Column<#ident, __N>,
        }

        #[automatically_derived]
        impl<__N: #builder::Nullability> #builder::Expression for #columns<__N> {
            type Type = #ident;
            type Null = __N;
            type Kind = #builder::Scalar;
            type Columns = Self;
            const IS_OBJECT: bool = true;

            fn into_ir(self) -> ::tailwater::query::Expr {
                #builder::Expression::into_ir(self.__row)
            }
        }

        #[automatically_derived]
        impl<__N: #builder::Nullability> #builder::ColumnSet for #columns<__N> {
            type Optional = #columns<#builder::Optional>;

            fn at(path: #builder::Path) -> Self {
                #columns {
                    #(#made)*
                    __row: #builder::Column::at_path(path),
                }
            }

            fn optional(self) -> Self::Optional {
                #builder::ColumnSet::at(self.__row.path())
            }
        }
    }
}

/// Where what the code uses is.
fn builder() -> TokenStream {
    quote!(::tailwater::query::builder)
}

/// The type of a field's values in a query: of what the wire has, where that is not its type's own
/// form.
fn value_type(field: &Field<'_>) -> TokenStream {
    match (field.base(), field.custom) {
        (_, true) => quote!(::tailwater::value::Value),
        (ty, false) => quote!(#ty),
    }
}

/// The type of a field's column.
fn column_type(field: &Field<'_>) -> TokenStream {
    let (ty, builder) = (value_type(field), builder());
    match field.is_option() || field.default {
        true => quote!(#builder::Column<#ty, #builder::Optional>),
        false => quote!(#builder::Column<#ty, __N>),
    }
}

/// What an expression must be to fill a field.
fn bound(field: &Field<'_>) -> TokenStream {
    let (ty, builder) = (value_type(field), builder());
    match field.is_option() {
        true => quote!(#builder::Fills<::std::option::Option<#ty>>),
        false => quote!(#builder::Fills<#ty>),
    }
}

fn select(input: &DeriveInput, fields: &[Field<'_>]) -> TokenStream {
    let (ident, visibility, builder) = (&input.ident, &input.vis, builder());
    let (select, columns) = (companion(input, "Select"), companion(input, "Columns"));
    let doc = format!("Expressions for the fields of [`{ident}`], for a query's `select`.");
    let params: Vec<_> = (0..fields.len()).map(|i| format_ident!("__F{i}")).collect();
    let bounds: Vec<_> = fields.iter().map(bound).collect();
    let declared = fields.iter().zip(&params).map(|(field, param)| {
        let (visibility, ident) = (field.visibility, field.ident);
        let doc = format!("What fills `{}`.", field.name);
        quote! { #[doc = #doc] #visibility #ident: #param, }
    });
    let entries = fields.iter().map(|field| {
        let (ident, name) = (field.ident, &field.name);
        quote! { (#name, #builder::Expression::into_ir(self.#ident)) }
    });
    let kind = params
        .iter()
        .rev()
        .fold(quote!(#builder::Scalar), |kind, param| {
            let of_param = quote!(<#param as #builder::Expression>::Kind);
            quote!(<#of_param as #builder::Kind>::And<#kind>)
        });
    quote! {
        #[doc = #doc]
        #[allow(dead_code, private_bounds)]
        #[derive(Clone, Debug)]
        #visibility struct #select<#(#params: #bounds),*> {
            #(#declared)*
        }

        #[automatically_derived]
        #[allow(private_bounds)]
        impl<#(#params: #bounds),*> #builder::Expression for #select<#(#params),*> {
            type Type = #ident;
            type Null = #builder::Required;
            type Kind = #kind;
            type Columns = #columns;
            const IS_OBJECT: bool = true;

            fn into_ir(self) -> ::tailwater::query::Expr {
                let entries: ::std::vec::Vec<(&str, ::tailwater::query::Expr)> =
                    ::std::vec![#(#entries),*];
                ::tailwater::query::Expr::object(entries)
            }
        }
    }
}
