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
    let columns = companion(input, "Columns");
    let doc = format!("The columns of [`{ident}`].");
    let declared = fields.iter().map(|field| {
        let (visibility, ident, ty) = (field.visibility, field.ident, column_type(field));
        let doc = format!("The column `{}`.", field.name);
        quote! { #[doc = #doc] #visibility #ident: #ty, }
    });
    let made = fields.iter().map(|field| {
        let (ident, name) = (field.ident, &field.name);
        quote! { #ident: ColumnSet::at(path.field(#name)), }
    });
    quote! {
        #[doc = #doc]
        #[allow(dead_code)]
        #[derive(Clone, Copy, Debug)]
        #visibility struct #columns<
            N: ::tailwater::query::builder::Nullability = ::tailwater::query::builder::Required,
        > {
            #(#declared)*
            __row: ::tailwater::query::builder::Column<#ident, N>,
        }

        #[automatically_derived]
        const _: () = {
            use ::tailwater::query::builder::{
                Column, ColumnSet, Expression, Nullability, Optional, Path, Scalar,
            };

            impl<N: Nullability> Expression for #columns<N> {
                type Type = #ident;
                type Null = N;
                type Kind = Scalar;
                type Columns = Self;
                const IS_OBJECT: bool = true;

                fn into_ir(self) -> ::tailwater::query::Expr {
                    Expression::into_ir(self.__row)
                }
            }

            impl<N: Nullability> ColumnSet for #columns<N> {
                type Optional = #columns<Optional>;

                fn at(path: Path) -> Self {
                    #columns {
                        #(#made)*
                        __row: Column::at_path(path),
                    }
                }

                fn optional(self) -> #columns<Optional> {
                    ColumnSet::at(self.__row.path())
                }
            }
        };
    }
}

/// The type of a field's column.
fn column_type(field: &Field<'_>) -> TokenStream {
    let builder = quote!(::tailwater::query::builder);
    match (field.base(), field.custom) {
        ((_, false), true) => quote!(#builder::Column<::tailwater::value::Value, N>),
        ((_, true), true) => {
            quote!(#builder::Column<::tailwater::value::Value, #builder::Optional>)
        }
        ((ty, false), false) => quote!(#builder::Column<#ty, N>),
        ((ty, true), false) => quote!(#builder::Column<#ty, #builder::Optional>),
    }
}

fn select(input: &DeriveInput, fields: &[Field<'_>]) -> TokenStream {
    let (ident, visibility) = (&input.ident, &input.vis);
    let (select, columns) = (companion(input, "Select"), companion(input, "Columns"));
    let doc = format!("Expressions for the fields of [`{ident}`], for a query's `select`.");
    let params: Vec<_> = (0..fields.len()).map(|i| format_ident!("F{i}")).collect();
    let bounds: Vec<_> = fields.iter().map(bound).collect();
    let declared = fields.iter().zip(&params).map(|(field, param)| {
        let (visibility, ident) = (field.visibility, field.ident);
        let doc = format!("What fills `{}`.", field.name);
        quote! { #[doc = #doc] #visibility #ident: #param, }
    });
    let entries = fields.iter().map(|field| {
        let (ident, name) = (field.ident, &field.name);
        quote! { (#name, Expression::into_ir(self.#ident)) }
    });
    let kind = params.iter().rev().fold(
        quote!(Scalar),
        |kind, param| quote!(<<#param as Expression>::Kind as Kind>::And<#kind>),
    );
    quote! {
        #[doc = #doc]
        #[allow(dead_code)]
        #[derive(Clone, Debug)]
        #visibility struct #select<#(#params: #bounds),*> {
            #(#declared)*
        }

        #[automatically_derived]
        const _: () = {
            use ::tailwater::query::Expr;
            use ::tailwater::query::builder::{Expression, Kind, Required, Scalar};

            impl<#(#params: #bounds),*> Expression for #select<#(#params),*> {
                type Type = #ident;
                type Null = Required;
                type Kind = #kind;
                type Columns = #columns;
                const IS_OBJECT: bool = true;

                fn into_ir(self) -> Expr {
                    let entries: ::std::vec::Vec<(&str, Expr)> = ::std::vec![#(#entries),*];
                    Expr::object(entries)
                }
            }
        };
    }
}

/// What an expression must be to fill a field.
fn bound(field: &Field<'_>) -> TokenStream {
    let ty = field.ty;
    let ty = match (field.base(), field.custom) {
        ((_, false), true) => quote!(::tailwater::value::Value),
        ((_, true), true) => quote!(::std::option::Option<::tailwater::value::Value>),
        (_, false) => quote!(#ty),
    };
    quote!(::tailwater::query::builder::Fills<#ty>)
}
