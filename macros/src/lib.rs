//! Derive macros of tailwater: Rust types as collections, and as results of queries.

mod attributes;
mod case;
mod collection;
mod columns;
mod fields;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct a collection, whose rows are its values in serde's form.
///
/// ```ignore
/// #[derive(Serialize, Deserialize, Collection)]
/// #[collection(name = "users", type = "user", key = "id")]
/// struct User {
///     id: String,
///     name: String,
///     country: Option<String>,
/// }
/// ```
///
/// | attribute | what it says | without |
/// |---|---|---|
/// | `name` | the collection's name, which queries use | the struct's name in `snake_case` |
/// | `type` | the `type` of its events | the collection's name |
/// | `key` | the field that holds the key | `id` |
///
/// Serde's attributes count: fields are named as on the wire, and skipped ones have no column. A
/// field with `with` and the like has a column of JSON values, as only serde knows its type on the
/// wire, and one with `default` may be null.
///
/// It makes `UserColumns`, which closures of the query builder receive, and, as
/// `#[derive(Projection)]` does, `UserSelect`.
#[proc_macro_derive(Collection, attributes(collection, serde))]
pub fn derive_collection(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    collection::derive(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a struct something that a query's `select` fills.
///
/// ```ignore
/// #[derive(Serialize, Deserialize, Projection)]
/// struct Line {
///     name: String,
///     text: Option<String>,
/// }
/// let lines = query.select(|u, m| LineSelect { name: u.name, text: m.text });
/// ```
///
/// It makes `LineSelect`, which has an expression for each field of `Line`, and `LineColumns`, the
/// columns of a subquery that selects it. Fields are named as serde names them.
#[proc_macro_derive(Projection, attributes(serde))]
pub fn derive_projection(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    columns::derive(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
