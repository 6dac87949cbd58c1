//! How many bytes a value holds on the heap, for the books about memory.

use smallvec::SmallVec;

use super::order::SortKey;
use super::{Row, Value};

/// The bytes on the heap that a value holds alone.
///
/// A row's bytes are shared by all its handles: who makes a row counts them ([`Row::size`]), its
/// handles hold nothing.
pub(crate) trait Heap {
    fn heap(&self) -> usize;
}

impl Heap for Row {
    #[inline]
    fn heap(&self) -> usize {
        0
    }
}

impl Heap for Option<Row> {
    #[inline]
    fn heap(&self) -> usize {
        0
    }
}

impl Heap for u8 {
    #[inline]
    fn heap(&self) -> usize {
        0
    }
}

impl Heap for u32 {
    #[inline]
    fn heap(&self) -> usize {
        0
    }
}

impl Heap for Value {
    fn heap(&self) -> usize {
        /// The counts of an `Arc`.
        const COUNTS: usize = 2 * size_of::<usize>();
        match self {
            Value::Str(s) if s.is_heap_allocated() => COUNTS + s.len(),
            Value::Array(packed) | Value::Object(packed) => COUNTS + packed.0.len(),
            _ => 0,
        }
    }
}

/// Of tuples and keys, whose elements hold nothing on the heap. Equal ones hold equally much, so that
/// what is taken away is what was added; they are made with room for just what they are.
impl<A: smallvec::Array> Heap for SmallVec<A> {
    #[inline]
    fn heap(&self) -> usize {
        match self.len() > self.inline_size() {
            true => self.len() * size_of::<A::Item>(),
            false => 0,
        }
    }
}

impl Heap for SortKey {
    #[inline]
    fn heap(&self) -> usize {
        self.spilled()
    }
}

impl<A: Heap, B: Heap> Heap for (A, B) {
    #[inline]
    fn heap(&self) -> usize {
        self.0.heap() + self.1.heap()
    }
}

/// About what a map or set of the standard library of `len` entries takes: its nodes have room for 11,
/// and are two thirds full.
pub(crate) fn btree_bytes<T>(len: usize) -> usize {
    let leaf = 11 * size_of::<T>() + 2 * size_of::<usize>();
    match len {
        0 => 0,
        1..=11 => leaf,
        // One inner node, which also has 12 edges, for about seven leaves.
        _ => len.div_ceil(7) * (leaf + (leaf + 12 * size_of::<usize>()) / 7),
    }
}
