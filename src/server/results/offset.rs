//! Offsets of results: which result, and after which step.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

/// A place in the stream of a result, or of several. As text it sorts like the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offset {
    /// Which result of the name; of several results the latest one's, as each newer one is greater.
    pub(crate) generation: u64,
    /// All steps up to this one are known.
    pub(crate) epoch: u64,
    /// Which results, where it is one of several: a hash of their generations; else 0.
    pub(crate) set: u32,
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}_{:016}", self.generation, self.epoch)?;
        match self.set {
            0 => Ok(()),
            set => write!(f, "_{set:08x}"),
        }
    }
}

impl Offset {
    /// Reads what `to_string` gives.
    pub(crate) fn parse(text: &str) -> Option<Offset> {
        let (generation, rest) = text.split_once('_')?;
        let (epoch, set) = match rest.split_once('_') {
            Some((epoch, set)) if set.len() == 8 => (epoch, u32::from_str_radix(set, 16).ok()?),
            Some(_) => return None,
            None => (rest, 0),
        };
        let number = |digits: &str| -> Option<u64> {
            let right = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_digit());
            right.then(|| digits.parse().ok()).flatten()
        };
        Some(Offset {
            generation: number(generation)?,
            epoch: number(epoch)?,
            set,
        })
    }
}

/// A number for a new result, greater than all before it, those of earlier processes included:
/// microseconds since 1970, which have 16 digits until the year 2286.
pub(crate) fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0);
    let next = |last: u64| Some(now.max(last + 1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    now.max(last.unwrap_or(0) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_sort_like_places_and_come_back() {
        let place = |generation, epoch, set| Offset {
            generation,
            epoch,
            set,
        };
        let places = [
            place(9, 0, 0),
            place(9, 10, 7),
            place(9, 11, 7),
            place(10, 2, 0),
            place(10, 1 << 40, u32::MAX),
        ];
        let texts = places.map(|place| place.to_string());
        assert!(texts.is_sorted());
        assert_eq!(texts.map(|text| Offset::parse(&text)), places.map(Some));
        for text in [
            "",
            "-1",
            "now",
            "1_2",
            "0000000000000001_000000000000000x",
            "0000000000000001_0000000000000001_7",
            "0000000000000001_0000000000000001_0000000g",
        ] {
            assert_eq!(Offset::parse(text), None, "{text}");
        }
    }

    #[test]
    fn generations_grow() {
        let first = next_generation();
        let rest: Vec<u64> = (0..1000).map(|_| next_generation()).collect();
        assert!(first < rest[0] && rest.is_sorted_by(|a, b| a < b));
        assert_eq!(first.to_string().len(), 16);
    }
}
