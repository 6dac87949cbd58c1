//! Structs that circuits can carry.

/// Derives for each struct what rows in a circuit need.
macro_rules! rows {
    ($(struct $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        #[derive(
            Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            size_of::SizeOf, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, feldera_macros::IsNone,
        )]
        #[archive_attr(derive(PartialEq, Eq, PartialOrd, Ord))]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
    )*};
}

pub(crate) use rows;
