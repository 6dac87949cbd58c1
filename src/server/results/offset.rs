//! Offsets of results: which result, and after which step.

use std::fmt;

/// A place in the stream of a result, or of several. As text it sorts like the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offset {
    /// In which count the steps have their numbers. It outlives the process where what came in can be
    /// taken in again by the same steps.
    pub(crate) incarnation: u64,
    /// All steps up to this one are known.
    pub(crate) epoch: u64,
    /// Which results: a hash of their names and queries.
    pub(crate) set: u64,
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Offset {
            incarnation,
            epoch,
            set,
        } = self;
        write!(f, "{incarnation:016}_{epoch:016}_{set:016x}")
    }
}

impl Offset {
    /// Reads what `to_string` gives, and what it gave in earlier versions, which is no place by now.
    pub(crate) fn parse(text: &str) -> Option<Offset> {
        let (incarnation, rest) = text.split_once('_')?;
        let (epoch, set) = rest.split_once('_').unwrap_or((rest, "00000000"));
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if ![8, 16].contains(&set.len()) || !set.bytes().all(is_hex) {
            return None;
        }
        let number = |digits: &str| -> Option<u64> {
            let right = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_digit());
            right.then(|| digits.parse().ok()).flatten()
        };
        Some(Offset {
            incarnation: number(incarnation)?,
            epoch: number(epoch)?,
            set: u64::from_str_radix(set, 16).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_sort_like_places_and_come_back() {
        let place = |incarnation, epoch, set| Offset {
            incarnation,
            epoch,
            set,
        };
        let places = [
            place(9, 0, 0),
            place(9, 10, 7),
            place(9, 11, 7),
            place(10, 2, 0),
            place(10, 1 << 40, u64::MAX),
        ];
        let texts = places.map(|place| place.to_string());
        assert!(texts.is_sorted());
        assert_eq!(texts.map(|text| Offset::parse(&text)), places.map(Some));
        for text in [
            "",
            "-1",
            "now",
            "1_2",
            "0000000000000001_000000000000000x_0000000000000001",
            "0000000000000001_0000000000000001_7",
            "0000000000000001_0000000000000001_+000000000000001",
            "0000000000000001_0000000000000001_000000000000000g",
        ] {
            assert_eq!(Offset::parse(text), None, "{text}");
        }
    }
}
