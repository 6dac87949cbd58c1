//! The packed sequence: one byte string that holds a list of values with an offset table.
//!
//! Rows, arrays and objects are all packed sequences, so that a column is reached in constant time
//! and a projection copies encoded values without decoding them.
//!
//! Layout: `[w: u8] [n: w bytes] [end offset: w bytes] * n [data]`, little endian, where `w` is 1,
//! 2 or 4, the smallest that holds both the count and the length of the data. An element is a tag
//! byte and a payload; a *missing* element has no bytes at all. Encodings are canonical: equal
//! values have equal bytes (integral floats are integers, object keys are sorted), so equality,
//! hashing and joining work on bytes.

#[cfg(any(feature = "http", test))]
use super::INTEGERS;
use super::{Value, ValueRef};

const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const INT: u8 = 4;
const FLOAT: u8 = 5;
const STR: u8 = 6;
const ARRAY: u8 = 7;
const OBJECT: u8 = 8;

/// A borrowed packed sequence.
#[derive(Clone, Copy, Debug)]
pub struct Seq<'a> {
    bytes: &'a [u8],
}

/// The number of `WIDTH` bytes at a place.
#[inline(always)]
fn number<const WIDTH: usize>(bytes: &[u8], at: usize) -> usize {
    let bytes = bytes[at..at + WIDTH].iter().rev();
    bytes.fold(0, |n, byte| n << 8 | usize::from(*byte))
}

#[inline(always)]
fn element_of<const WIDTH: usize>(bytes: &[u8], i: usize) -> &[u8] {
    let len = number::<WIDTH>(bytes, 1);
    if i >= len {
        return &[];
    }
    let (ends, data) = (1 + WIDTH, 1 + WIDTH + WIDTH * len);
    let start = match i {
        0 => 0,
        i => number::<WIDTH>(bytes, ends + WIDTH * (i - 1)),
    };
    &bytes[data + start..data + number::<WIDTH>(bytes, ends + WIDTH * i)]
}

/// The encoded element of a packed sequence at `i`, as [`Seq::encoded`] gives it.
#[inline]
pub(super) fn element(bytes: &[u8], i: usize) -> &[u8] {
    #[cfg(test)]
    crate::work::add(1);
    match bytes[0] {
        // Nearly all sequences are short.
        1 => element_of::<1>(bytes, i),
        _ => wide_element(bytes, i),
    }
}

#[inline(never)]
fn wide_element(bytes: &[u8], i: usize) -> &[u8] {
    match bytes[0] {
        2 => element_of::<2>(bytes, i),
        _ => element_of::<4>(bytes, i),
    }
}

impl<'a> Seq<'a> {
    /// A packed sequence made by [`SeqBuilder`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Seq { bytes }
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        match self.bytes[0] {
            1 => number::<1>(self.bytes, 1),
            2 => number::<2>(self.bytes, 1),
            _ => number::<4>(self.bytes, 1),
        }
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The encoded element at `i`; no bytes where it is missing or past the end.
    #[inline]
    pub fn encoded(&self, i: usize) -> &'a [u8] {
        element(self.bytes, i)
    }

    /// The element at `i`; missing past the end.
    #[inline]
    pub fn get(&self, i: usize) -> ValueRef<'a> {
        decode(self.encoded(i))
    }

    /// All elements in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = ValueRef<'a>> {
        (0..self.len()).map(move |i| self.get(i))
    }
}

/// Reads one encoded value.
#[inline]
pub fn decode(bytes: &[u8]) -> ValueRef<'_> {
    let Some((&tag, payload)) = bytes.split_first() else {
        return ValueRef::Missing;
    };
    match tag {
        NULL => ValueRef::Null,
        FALSE => ValueRef::Bool(false),
        TRUE => ValueRef::Bool(true),
        INT => ValueRef::Int(decode_int(payload)),
        FLOAT => ValueRef::Float(f64::from_le_bytes(payload.try_into().expect("8 bytes"))),
        STR => ValueRef::Str(std::str::from_utf8(payload).expect("strings are stored as UTF-8")),
        ARRAY => ValueRef::Array(Array(payload)),
        _ => ValueRef::Object(Object(payload)),
    }
}

/// Values lie within each other so deep at most, as in JSON text that is read.
#[cfg(any(feature = "http", test))]
const DEEPEST: usize = 128;

/// Whether bytes from elsewhere are a packed sequence whose first element is a text, as all code here
/// takes for granted of a row.
#[cfg(any(feature = "http", test))]
pub(crate) fn is_row(bytes: &[u8]) -> bool {
    is_seq(bytes, DEEPEST) && matches!(Seq::new(bytes).encoded(0), [STR, ..])
}

#[cfg(any(feature = "http", test))]
fn is_seq(bytes: &[u8], depth: usize) -> bool {
    let width = match bytes.first() {
        Some(&width @ (1 | 2 | 4)) => width as usize,
        _ => return false,
    };
    if depth == 0 || bytes.len() < 1 + width {
        return false;
    }
    let seq = Seq::new(bytes);
    let ends = &bytes[1 + width..];
    let Some(data) = (seq.len().checked_mul(width)).and_then(|room| ends.len().checked_sub(room))
    else {
        return false;
    };
    let mut start = 0;
    for i in 0..seq.len() {
        let end = match width {
            1 => number::<1>(ends, i),
            2 => number::<2>(ends, 2 * i),
            _ => number::<4>(ends, 4 * i),
        };
        if end < start || end > data || !is_value(seq.encoded(i), depth - 1) {
            return false;
        }
        start = end;
    }
    start == data
}

#[cfg(any(feature = "http", test))]
fn is_value(bytes: &[u8], depth: usize) -> bool {
    let Some((&tag, payload)) = bytes.split_first() else {
        return true;
    };
    match tag {
        NULL | FALSE | TRUE => payload.is_empty(),
        INT => payload.len() <= 9 && INTEGERS.contains(&decode_int(payload)),
        FLOAT => payload.len() == 8,
        STR => std::str::from_utf8(payload).is_ok(),
        ARRAY => is_seq(payload, depth),
        OBJECT => {
            let is_key = |i: usize| matches!(Seq::new(payload).encoded(2 * i), [STR, ..]);
            is_seq(payload, depth)
                && Seq::new(payload).len().is_multiple_of(2)
                && (0..Seq::new(payload).len() / 2).all(is_key)
        }
        _ => false,
    }
}

/// Whether an encoded value is null or missing.
#[inline]
pub(crate) fn is_nullish(encoded: &[u8]) -> bool {
    matches!(encoded, [] | [NULL])
}

/// Whether an encoded value is this one.
#[inline]
pub(crate) fn encoded_is(encoded: &[u8], value: ValueRef<'_>) -> bool {
    match (encoded.split_first(), value) {
        (Some((&tag, text)), ValueRef::Str(s)) => tag == STR && text == s.as_bytes(),
        _ => decode(encoded) == value,
    }
}

/// The encoded value, if it is an integer of 64 bits.
#[inline]
pub(crate) fn small_integer(encoded: &[u8]) -> Option<i64> {
    match encoded {
        [INT, payload @ ..] if payload.len() <= 8 => Some(decode_small(payload)),
        _ => None,
    }
}

#[inline]
fn decode_small(payload: &[u8]) -> i64 {
    if payload.is_empty() {
        return 0;
    }
    let bytes = payload.iter().rev();
    let unsigned = bytes.fold(0, |n, byte| n << 8 | u64::from(*byte));
    let unused = 64 - 8 * payload.len();
    (unsigned << unused) as i64 >> unused
}

/// Integers are stored in the fewest bytes of two's complement; zero takes none.
#[inline]
fn decode_int(payload: &[u8]) -> i128 {
    let last = match payload {
        [.., last] if payload.len() > 8 => *last,
        small => return decode_small(small).into(),
    };
    let mut bytes = [if last & 0x80 != 0 { 0xff } else { 0 }; 16];
    bytes[..payload.len()].copy_from_slice(payload);
    i128::from_le_bytes(bytes)
}

fn encode_int(i: i128, out: &mut Vec<u8>) {
    out.push(INT);
    if i != 0 {
        // One bit more than the magnitude, for the sign.
        let bits = 129
            - if i < 0 {
                (!i).leading_zeros()
            } else {
                i.leading_zeros()
            } as usize;
        out.extend_from_slice(&i.to_le_bytes()[..bits.div_ceil(8)]);
    }
}

/// Appends the encoding of a value to `out`; a missing value appends nothing.
#[inline]
pub fn encode(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value {
        ValueRef::Missing => {}
        ValueRef::Null => out.push(NULL),
        ValueRef::Bool(b) => out.push(if b { TRUE } else { FALSE }),
        ValueRef::Int(i) => encode_int(i, out),
        ValueRef::Float(f) => match Value::float(f) {
            Value::Int(i) => encode_int(i, out),
            _ => {
                out.push(FLOAT);
                // One bit pattern for every NaN.
                let f = if f.is_nan() { f64::NAN } else { f };
                out.extend_from_slice(&f.to_le_bytes());
            }
        },
        ValueRef::Str(s) => {
            out.push(STR);
            out.extend_from_slice(s.as_bytes());
        }
        ValueRef::Array(a) => {
            out.push(ARRAY);
            out.extend_from_slice(a.0);
        }
        ValueRef::Object(o) => {
            out.push(OBJECT);
            out.extend_from_slice(o.0);
        }
    }
}

/// A borrowed JSON array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Array<'a>(pub(crate) &'a [u8]);

impl<'a> Array<'a> {
    /// The elements as a packed sequence.
    pub fn seq(self) -> Seq<'a> {
        Seq::new(self.0)
    }

    /// All elements in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = ValueRef<'a>> {
        self.seq().iter()
    }
}

/// A borrowed JSON object: keys and values in turn, sorted by key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Object<'a>(pub(crate) &'a [u8]);

impl<'a> Object<'a> {
    /// The number of entries.
    pub fn len(self) -> usize {
        Seq::new(self.0).len() / 2
    }

    /// Whether there are no entries.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of `key`; missing where there is none.
    pub fn get(self, key: &str) -> ValueRef<'a> {
        let seq = Seq::new(self.0);
        let (mut low, mut high) = (0, seq.len() / 2);
        while low < high {
            let mid = low + (high - low) / 2;
            match seq.encoded(2 * mid)[1..].cmp(key.as_bytes()) {
                std::cmp::Ordering::Less => low = mid + 1,
                std::cmp::Ordering::Greater => high = mid,
                std::cmp::Ordering::Equal => return seq.get(2 * mid + 1),
            }
        }
        ValueRef::Missing
    }

    /// The entry at a place in the order of keys.
    pub fn entry(self, i: usize) -> Option<(&'a str, ValueRef<'a>)> {
        let seq = Seq::new(self.0);
        match seq.get(2 * i) {
            ValueRef::Str(key) => Some((key, seq.get(2 * i + 1))),
            _ => None,
        }
    }

    /// All entries, by key.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (&'a str, ValueRef<'a>)> {
        let seq = Seq::new(self.0);
        (0..seq.len() / 2).map(move |i| match seq.get(2 * i) {
            ValueRef::Str(key) => (key, seq.get(2 * i + 1)),
            other => unreachable!("object keys are strings, not {other:?}"),
        })
    }
}

/// Builds a packed sequence element by element. Reusable: [`SeqBuilder::finish`] empties it.
#[derive(Default, Debug, Clone)]
pub struct SeqBuilder {
    data: Vec<u8>,
    ends: Vec<u32>,
}

impl SeqBuilder {
    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: ValueRef<'_>) {
        encode(value, &mut self.data);
        self.ends.push(self.data.len() as u32);
    }

    /// Appends a value that is encoded already.
    #[inline]
    pub fn push_encoded(&mut self, encoded: &[u8]) {
        self.data.extend_from_slice(encoded);
        self.ends.push(self.data.len() as u32);
    }

    /// Appends what another builder has, an array unless it is one value, and empties that.
    pub(crate) fn push_one_or_array(&mut self, of: &mut SeqBuilder) {
        match of.ends.len() {
            1 => {
                self.push_encoded(&of.data);
                of.clear();
            }
            _ => self.push_array(of),
        }
    }

    /// Appends the array of what another builder has, and empties that.
    pub(crate) fn push_array(&mut self, of: &mut SeqBuilder) {
        self.data.push(ARRAY);
        of.finish(&mut self.data);
        self.ends.push(self.data.len() as u32);
    }

    /// The number of elements so far.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Drops missing elements from the end, which makes rows of a growing set of columns canonical.
    pub fn trim_missing(&mut self) {
        while let Some(&last) = self.ends.last() {
            let before = self.ends.len().checked_sub(2).map_or(0, |i| self.ends[i]);
            if last != before {
                break;
            }
            self.ends.pop();
        }
    }

    /// Appends the packed sequence to `out` and empties the builder.
    ///
    /// # Panics
    ///
    /// If the data is longer than 4 GiB; input limits lie far below.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        assert!(
            u32::try_from(self.data.len()).is_ok(),
            "a packed sequence holds at most 4 GiB"
        );
        let largest = self.data.len().max(self.ends.len());
        let width: u8 = match largest {
            0..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        };
        let w = width as usize;
        out.reserve(1 + w + w * self.ends.len() + self.data.len());
        out.push(width);
        out.extend_from_slice(&(self.ends.len() as u32).to_le_bytes()[..w]);
        match width {
            1 => out.extend(self.ends.iter().map(|&end| end as u8)),
            2 => self
                .ends
                .iter()
                .for_each(|end| out.extend_from_slice(&end.to_le_bytes()[..2])),
            _ => self
                .ends
                .iter()
                .for_each(|end| out.extend_from_slice(&end.to_le_bytes())),
        }
        out.extend_from_slice(&self.data);
        self.clear();
    }

    /// Empties the builder and keeps its memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_size_come_back() {
        let mut cases = vec![0, i64::MIN as i128, i64::MAX as i128, u64::MAX as i128];
        for shift in 0..64 {
            for near in [-1, 0, 1] {
                cases.push((1i128 << shift) + near);
                cases.push(-(1i128 << shift) + near);
            }
        }
        for i in cases {
            let mut bytes = Vec::new();
            encode(ValueRef::Int(i), &mut bytes);
            assert_eq!(decode(&bytes), ValueRef::Int(i));
        }
    }

    #[test]
    fn wide_sequences_switch_their_offsets() {
        for (n, text) in [
            (0, 0),
            (3, 10),
            (3, 300),
            (300, 1),
            (70_000, 2),
            (2, 70_000),
        ] {
            let mut builder = SeqBuilder::default();
            let text = "x".repeat(text);
            (0..n).for_each(|_| builder.push(ValueRef::Str(&text)));
            let mut bytes = Vec::new();
            builder.finish(&mut bytes);
            let seq = Seq::new(&bytes);
            assert_eq!(seq.len(), n);
            assert!(seq.iter().all(|v| v == ValueRef::Str(&text)));
            assert_eq!(seq.get(n), ValueRef::Missing);
        }
    }

    #[test]
    fn bytes_from_elsewhere_are_looked_at() {
        let text = r#"{"a":[1,-7,2.5,null,true,"ü",{"b":{}}],"c":9007199254740993,"d":"x"}"#;
        let value = crate::value::from_json(text).unwrap();
        let row = crate::value::Row::of([ValueRef::Str("key"), ValueRef::Missing, value.as_ref()]);
        let bytes = row.bytes().to_vec();
        assert!(is_row(&bytes));
        for end in 0..bytes.len() {
            assert!(!is_row(&bytes[..end]), "{end}");
        }
        // What is taken for a row can be read, whatever it says.
        let (mut random, mut taken) = (fastrand::Rng::with_seed(7), 0);
        for _ in 0..20_000 {
            let mut bytes = bytes.clone();
            for _ in 0..random.usize(1..3) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            if is_row(&bytes) {
                taken += 1;
                let row = crate::value::Row::from_bytes(&bytes);
                assert!(!format!("{row:?}").is_empty());
                row.columns()
                    .iter()
                    .for_each(|v| drop(v.to_owned().to_string()));
            }
        }
        assert!(taken > 0);
    }

    #[test]
    fn missing_elements_take_no_bytes_and_trim() {
        let mut builder = SeqBuilder::default();
        for v in [
            ValueRef::Missing,
            ValueRef::Null,
            ValueRef::Missing,
            ValueRef::Missing,
        ] {
            builder.push(v);
        }
        builder.trim_missing();
        let mut bytes = Vec::new();
        builder.finish(&mut bytes);
        assert_eq!(Seq::new(&bytes).len(), 2);
        assert_eq!(Seq::new(&bytes).get(0), ValueRef::Missing);
        assert_eq!(Seq::new(&bytes).get(1), ValueRef::Null);
    }
}
