//! Offsets: a position in a stream as text that sorts like the position.

/// The text of a position, in the form of the protocol's reference server: two numbers of 16
/// digits, of which ours is the second one.
pub(crate) fn to_text(position: u64) -> String {
    format!("{:016}_{position:016}", 0)
}

/// The position of an offset. One that this server cannot have given out, but that has the right
/// form, is behind every tail.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (first, second) = text.split_once('_')?;
    let number = |digits: &str| -> Option<u64> {
        let right = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit());
        right.then(|| digits.parse().ok()).flatten()
    };
    match (number(first)?, number(second)?) {
        (0, position) => Some(position),
        _ => Some(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_sort_like_positions_and_come_back() {
        let positions = [0, 1, 9, 10, 1 << 20, 1 << 40, 9_999_999_999_999_999];
        let texts = positions.map(to_text);
        assert!(texts.is_sorted());
        assert_eq!(texts.map(|text| parse(&text)), positions.map(Some));
    }

    #[test]
    fn other_texts_are_no_offsets() {
        for text in [
            "",
            "0",
            "-1",
            "now",
            "1_2",
            "0000000000000000_000000000000000x",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("0000000000000000_+000000000000001"), None);
        assert_eq!(parse("0000000000000001_0000000000000000"), Some(u64::MAX));
    }
}
