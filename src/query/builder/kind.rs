//! What the type of an expression tells besides its values: whether they may be null, and whether
//! it is of a row or of a group.

use std::fmt::Debug;

/// Whether values may be null or missing.
pub trait Nullability: Copy + Debug + Default + Send + Sync + 'static {
    /// The Rust type of values.
    type Of<T>;
    /// May be null where one of two may.
    type Or<N: Nullability>: Nullability;
}

/// Values are there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Required;

/// Values may be null or missing, and are `Option`s in Rust.
#[derive(Clone, Copy, Debug, Default)]
pub struct Optional;

impl Nullability for Required {
    type Of<T> = T;
    type Or<N: Nullability> = N;
}

impl Nullability for Optional {
    type Of<T> = Option<T>;
    type Or<N: Nullability> = Optional;
}

/// Whether an expression is computed of a row or of a group.
pub trait Kind: 'static {
    /// Of groups where one of two is.
    type And<K: Kind>: Kind;
}

/// Computed of a row.
#[derive(Clone, Copy, Debug)]
pub struct Scalar;

/// Computed of all rows of a group.
#[derive(Clone, Copy, Debug)]
pub struct Aggregate;

impl Kind for Scalar {
    type And<K: Kind> = K;
}

impl Kind for Aggregate {
    type And<K: Kind> = Aggregate;
}
