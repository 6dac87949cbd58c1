//! Sort keys: values as bytes whose plain comparison is the order a query asks for.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::heap::Heap;
use super::{Collation, Seq, Value, ValueRef};

/// One row's place in an order: bytes whose comparison compares the rows.
///
/// No key is a prefix of another one, so the first bytes may be compared as a number.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey {
    first: u64,
    rest: SmallVec<[u8; 16]>,
}

impl Clone for SortKey {
    #[inline]
    fn clone(&self) -> Self {
        SortKey {
            first: self.first,
            // All at once, where `clone` copies byte by byte.
            rest: SmallVec::from_slice(&self.rest),
        }
    }
}

/// So many bytes may be compared as a number.
const PREFIX: usize = size_of::<u64>();

fn prefix(bytes: &[u8]) -> u64 {
    let first = &bytes[..bytes.len().min(PREFIX)];
    let mut padded = [0; PREFIX];
    padded[..first.len()].copy_from_slice(first);
    u64::from_be_bytes(padded)
}

impl SortKey {
    fn new(bytes: &[u8]) -> SortKey {
        SortKey {
            first: prefix(bytes),
            rest: SmallVec::from_slice(&bytes[bytes.len().min(PREFIX)..]),
        }
    }

    /// The first bytes as a number: keys order by it first.
    pub(crate) fn prefix(&self) -> u64 {
        self.first
    }

    /// The prefix of a key that begins with an integer, as most orders do, without making the key;
    /// `None` of what else it begins with.
    #[inline]
    pub(crate) fn prefix_of(value: ValueRef<'_>, direction: Direction) -> Option<u64> {
        let ValueRef::Int(i) = value else { return None };
        if i.unsigned_abs() >= EXACT {
            return None;
        }
        let number = u64::from(NUMBER) << 48 | ordered(i as i64 as f64) >> 16;
        let number = match direction {
            Direction::Asc => number,
            Direction::Desc => !number & ((1 << 56) - 1),
        };
        Some(u64::from(PRESENT) << 56 | number)
    }

    /// How many of its bytes are on the heap.
    pub(super) fn spilled(&self) -> usize {
        self.rest.heap()
    }
}

/// Ascending or descending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Smallest first.
    #[default]
    Asc,
    /// Greatest first.
    Desc,
}

impl Direction {
    /// The name in query JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Asc => "asc",
            Direction::Desc => "desc",
        }
    }
}

/// Where null and missing stand, whatever the direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Nulls {
    /// Before all other values.
    #[default]
    First,
    /// After all other values.
    Last,
}

/// Builds [`SortKey`]s component by component.
#[derive(Default, Debug)]
pub struct SortKeyBuilder {
    bytes: Bytes,
}

/// Room for most keys on the stack, so that a key is allocated once at most.
type Bytes = SmallVec<[u8; 128]>;

// No encoding is a prefix of another: a list ends with END, which is smaller than any tag.
const END: u8 = 0;
const NULL: u8 = 1;
const MISSING: u8 = 2;
const BOOL: u8 = 3;
const NUMBER: u8 = 4;
const STR: u8 = 5;
const ARRAY: u8 = 6;
const OBJECT: u8 = 7;
const NULLS_FIRST: u8 = 0;
const PRESENT: u8 = 1;
const NULLS_LAST: u8 = 2;

impl SortKeyBuilder {
    /// Appends one component of an `orderBy`: null and missing tie. Strings go by code point, or by
    /// a collation.
    pub fn push(
        &mut self,
        value: ValueRef<'_>,
        direction: Direction,
        nulls: Nulls,
        collation: Option<&Collation>,
    ) {
        if value.is_nullish() {
            self.bytes.push(match nulls {
                Nulls::First => NULLS_FIRST,
                Nulls::Last => NULLS_LAST,
            });
            return;
        }
        self.bytes.push(PRESENT);
        let start = self.bytes.len();
        match (value, collation) {
            (ValueRef::Str(s), Some(collation)) => {
                self.bytes.push(STR);
                encode_bytes(&collation.key(s), &mut self.bytes);
            }
            _ => encode(value, &mut self.bytes),
        }
        if direction == Direction::Desc {
            self.bytes[start..].iter_mut().for_each(|b| *b = !*b);
        }
    }

    /// Appends a component that breaks ties: ascending in the total order of values.
    pub fn push_key(&mut self, value: ValueRef<'_>) {
        encode(value, &mut self.bytes);
    }

    /// Whether there are enough bytes for the prefix of the key.
    pub(crate) fn has_prefix(&self) -> bool {
        self.bytes.len() >= PREFIX
    }

    /// The [`SortKey::prefix`] of the bytes so far.
    pub(crate) fn prefix(&self) -> u64 {
        prefix(&self.bytes)
    }

    /// The key, leaving the builder empty.
    pub fn finish(&mut self) -> SortKey {
        #[cfg(test)]
        crate::work::add(1);
        let key = SortKey::new(&self.bytes);
        self.bytes.clear();
        key
    }
}

fn encode(value: ValueRef<'_>, out: &mut Bytes) {
    match value {
        ValueRef::Null => out.push(NULL),
        ValueRef::Missing => out.push(MISSING),
        ValueRef::Bool(b) => out.extend_from_slice(&[BOOL, b as u8]),
        ValueRef::Int(i) if i.unsigned_abs() < EXACT => encode_number(i as i64 as f64, 0, out),
        ValueRef::Int(i) => {
            // The greatest float that is not above the integer, then how far above it is: floats
            // of this range lie at most 2048 apart.
            let mut below = i as f64;
            if below as i128 > i {
                below = below.next_down();
            }
            encode_number(below, (i - below as i128) as u16, out);
        }
        ValueRef::Float(f) => match Value::float(f) {
            Value::Int(i) => encode(ValueRef::Int(i), out),
            _ => encode_number(f, 0, out),
        },
        ValueRef::Str(s) => {
            out.push(STR);
            // UTF-8 orders by code point.
            encode_bytes(s.as_bytes(), out);
        }
        ValueRef::Array(a) => {
            out.push(ARRAY);
            encode_all(a.seq(), out);
        }
        ValueRef::Object(o) => {
            out.push(OBJECT);
            encode_all(Seq::new(o.0), out);
        }
    }
}

fn encode_all(seq: Seq<'_>, out: &mut Bytes) {
    seq.iter().for_each(|v| encode(v, out));
    out.push(END);
}

/// Integers below are exact as floats.
const EXACT: u128 = 1 << 53;

/// Flips all bits of negative numbers and the sign bit of others, so that bits compare as the floats do.
fn ordered(f: f64) -> u64 {
    let bits = f.to_bits();
    if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    }
}

fn encode_number(f: f64, above: u16, out: &mut Bytes) {
    // Every NaN becomes the greatest.
    let f = if f.is_nan() { f64::NAN } else { f };
    let mut bytes = [NUMBER; 11];
    bytes[1..9].copy_from_slice(&ordered(f).to_be_bytes());
    bytes[9..].copy_from_slice(&above.to_be_bytes());
    out.extend_from_slice(&bytes);
}

/// END and its escape are escaped so that END can end the bytes.
fn encode_bytes(bytes: &[u8], out: &mut Bytes) {
    if bytes.iter().any(|b| *b <= 1) {
        for &b in bytes {
            match b {
                0 | 1 => out.extend_from_slice(&[1, b + 1]),
                _ => out.push(b),
            }
        }
    } else {
        out.extend_from_slice(bytes);
    }
    out.push(END);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rng: &mut fastrand::Rng, depth: u32) -> Value {
        match rng.u32(..if depth > 0 { 12 } else { 9 }) {
            0 => Value::Null,
            1 => Value::Bool(rng.bool()),
            2 => Value::from(rng.i64(-3..3)),
            3 => Value::Int(((1i128 << rng.u32(50..64)) + rng.i128(-3..3)).min(u64::MAX as i128)),
            4 => Value::Int((-(1i128 << rng.u32(50..63)) + rng.i128(-3..3)).max(i64::MIN as i128)),
            5 => Value::float(rng.i64(-20..20) as f64 / 4.0),
            6 => Value::float(f64::from_bits(rng.u64(..))),
            7 => Value::float((1u64 << rng.u32(50..63)) as f64 + rng.i32(-4..4) as f64),
            8 => {
                let n = rng.usize(..4);
                (0..n)
                    .map(|_| rng.choice(['\0', '\u{1}', 'a', 'b', 'é', '😀']).unwrap())
                    .collect::<String>()
                    .into()
            }
            9 | 10 => {
                let values: Vec<Value> = (0..rng.usize(..3))
                    .map(|_| random(rng, depth - 1))
                    .collect();
                Value::from(values)
            }
            _ => Value::object(
                (0..rng.usize(..3))
                    .map(|_| (["a", "b", "c"][rng.usize(..3)], random(rng, depth - 1))),
            ),
        }
    }

    #[test]
    fn bytes_compare_as_values_do() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..200_000 {
            let (a, b) = (random(&mut rng, 2), random(&mut rng, 2));
            let mut key = |v: &Value, direction| {
                let mut builder = SortKeyBuilder::default();
                match direction {
                    Some(direction) => builder.push(v.as_ref(), direction, Nulls::First, None),
                    None => builder.push_key(v.as_ref()),
                }
                // What follows must not matter unless the values are equal.
                builder.push_key(ValueRef::Int(rng.i128(0..9)));
                builder.finish()
            };
            if a == b {
                continue;
            }
            let expected = a.cmp(&b);
            assert_eq!(key(&a, None).cmp(&key(&b, None)), expected, "{a} {b}");
            assert_eq!(
                key(&a, Some(Direction::Asc)).cmp(&key(&b, Some(Direction::Asc))),
                expected,
                "{a} {b}"
            );
            for direction in [Direction::Asc, Direction::Desc] {
                if let Some(prefix) = SortKey::prefix_of(a.as_ref(), direction) {
                    assert_eq!(key(&a, Some(direction)).prefix(), prefix, "{a}");
                }
            }
            let nullish = a.as_ref().is_nullish() || b.as_ref().is_nullish();
            let desc = if nullish {
                expected
            } else {
                expected.reverse()
            };
            assert_eq!(
                key(&a, Some(Direction::Desc)).cmp(&key(&b, Some(Direction::Desc))),
                desc,
                "{a} {b}"
            );
        }
    }
}
