//! Rows and tuples: what flows through the dataflow.
//!
//! A row is one allocation, shared by the store, arrangements and results through a 16-byte handle
//! of an inline hash and a thin pointer. Half of the hash is the key's and half the content's: tables
//! by key need not look at the row, and rows order by hash first, since sorting and merging need *some*
//! total order, not the semantic one, and this one almost never follows the pointer.
//! Measured by `benches/compare` against the same bytes without the inline hash.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use foldhash::quality::FixedState;
use smallvec::SmallVec;
use triomphe::ThinArc;

use super::packed::{Seq, SeqBuilder, decode, element};
use super::{Value, ValueRef};

/// An immutable row: column 0 is the row's key, the fields follow.
#[derive(Clone)]
pub struct Row {
    /// Above the key's, below that of all columns.
    hash: u64,
    bytes: ThinArc<(), u8>,
}

/// The rows of the joined sources, in the order of the query's clauses; `None` for the unmatched
/// side of an outer join. A joined row is this list of handles and is projected when it is read.
pub type Tuple = SmallVec<[Option<Row>; 2]>;

/// A tuple of one row.
#[inline]
pub(crate) fn single(row: Row) -> Tuple {
    Tuple::from_buf_and_len([Some(row), None], 1)
}

/// Another handle of a tuple: what `clone` does, without going through an iterator for the few rows
/// that most tuples have.
#[inline]
pub(crate) fn share(tuple: &Tuple) -> Tuple {
    match &tuple[..] {
        [row] => Tuple::from_buf_and_len([row.clone(), None], 1),
        [left, right] => Tuple::from_buf([left.clone(), right.clone()]),
        _ => tuple.clone(),
    }
}

/// Hashes bytes with a key that is drawn once per process, so that inputs cannot be made to collide.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    static STATE: OnceLock<FixedState> = OnceLock::new();
    let state = STATE.get_or_init(|| {
        let seed = std::hash::RandomState::new().hash_one(0u8);
        FixedState::with_seed(seed)
    });
    #[cfg(test)]
    crate::work::add(1);
    let mut hasher = state.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// Hashes rows or tuples by the content hashes in their handles, which are keyed already.
#[inline]
pub(crate) fn hash_handles<T: std::hash::Hash>(rows: &T) -> u64 {
    foldhash::fast::FixedState::with_seed(0).hash_one(rows)
}

impl Row {
    /// A row of the builder's values; trailing missing columns are dropped. Empties the builder;
    /// `scratch` is only there to be used again.
    pub fn new(builder: &mut SeqBuilder, scratch: &mut Vec<u8>) -> Row {
        builder.trim_missing();
        scratch.clear();
        builder.finish(scratch);
        Row::from_bytes(scratch)
    }

    /// A row of a key and fields.
    pub fn of<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> Row {
        let mut builder = SeqBuilder::default();
        values.into_iter().for_each(|v| builder.push(v));
        Row::new(&mut builder, &mut Vec::new())
    }

    /// A row of the bytes of another one.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Row {
        let [key, all] = [element(bytes, 0), bytes].map(|part| hash_bytes(part) as u32);
        Row {
            hash: u64::from(key) << 32 | u64::from(all),
            bytes: ThinArc::from_header_and_slice((), bytes),
        }
    }

    /// The hash of the row's key: what [`hash_bytes`] gives, as far as it fits.
    #[inline]
    pub(crate) fn key_hash(&self) -> u32 {
        (self.hash >> 32) as u32
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        #[cfg(test)]
        crate::work::add(1);
        &self.bytes.slice
    }

    /// How many bytes it takes on the heap: its values, a length, and the count of its handles.
    pub(crate) fn size(&self) -> usize {
        (2 * size_of::<usize>() + self.bytes.slice.len()).next_multiple_of(size_of::<usize>())
    }

    /// The columns; past the last one all are missing.
    #[inline]
    pub fn columns(&self) -> Seq<'_> {
        Seq::new(self.bytes())
    }

    /// The value of a column.
    #[inline]
    pub fn get(&self, column: usize) -> ValueRef<'_> {
        decode(self.encoded(column))
    }

    /// The encoded value of a column: equal bytes are equal values.
    #[inline]
    pub fn encoded(&self, column: usize) -> &[u8] {
        element(self.bytes(), column)
    }

    /// The row's key, encoded.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.encoded(0)
    }

    /// Whether another row has the same key.
    #[inline]
    pub(crate) fn has_key_of(&self, other: &Row) -> bool {
        self.key_hash() == other.key_hash() && (self.is_same(other) || self.key() == other.key())
    }

    /// Whether it is the very same row, not only an equal one.
    #[inline]
    pub fn is_same(&self, other: &Row) -> bool {
        self.bytes.as_ptr() == other.bytes.as_ptr()
    }
}

impl PartialEq for Row {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Row {}

impl PartialOrd for Row {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Row {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        #[cfg(test)]
        crate::work::add(1);
        self.hash.cmp(&other.hash).then_with(|| {
            if self.is_same(other) {
                Ordering::Equal
            } else {
                self.bytes().cmp(other.bytes())
            }
        })
    }
}

impl std::hash::Hash for Row {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        #[cfg(test)]
        crate::work::add(1);
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.columns().iter().map(ValueRef::to_owned))
            .finish()
    }
}

impl FromIterator<Value> for Row {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Row {
        let values: Vec<Value> = values.into_iter().collect();
        Row::of(values.iter().map(Value::as_ref))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_small() {
        assert_eq!(size_of::<Row>(), 16);
        assert_eq!(size_of::<Option<Row>>(), 16);
        assert_eq!(size_of::<Tuple>(), 40);
    }

    #[test]
    fn equal_content_is_an_equal_row() {
        let a: Row = [Value::from("k"), Value::float(1.0), Value::Missing]
            .into_iter()
            .collect();
        let b: Row = [Value::from("k"), Value::from(1)].into_iter().collect();
        let c: Row = [Value::from("k"), Value::from("1")].into_iter().collect();
        assert_eq!(a, b);
        assert_eq!(a.cmp(&b), Ordering::Equal);
        assert_ne!(a, c);
        assert_eq!(a.get(1), ValueRef::Int(1));
        assert_eq!(a.get(7), ValueRef::Missing);
    }
}
