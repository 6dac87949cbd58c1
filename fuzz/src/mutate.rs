//! Seeded changes of inputs: a round's input depends on the target, the seed and the round alone.

use fastrand::Rng;

/// What makes texts of the formats interesting.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ":",
    "\"",
    "'",
    "\\",
    "\n",
    "\r",
    "\0",
    " ",
    "%",
    "_",
    "-",
    ".",
    "$",
    "/",
    "null",
    "true",
    "-1",
    "0",
    "1e308",
    "1e999",
    "9007199254740993",
    "18446744073709551616",
    "-9223372036854775808",
    "\u{feff}",
    "😀",
    "\u{1}",
    "\\ud800",
    "\"type\":",
    "\"headers\":{}",
    "\"operation\":\"delete\"",
    "\"value\":{}",
    "\"control\":\"reset\"",
    "snapshot-start",
    "snapshot-end",
    "{\"type\":\"val\",\"value\":1}",
    "{\"type\":\"ref\",\"path\":[\"t\",\"a\"]}",
    "\"from\":{\"type\":\"collectionRef\",\"collection\":\"t\",\"alias\":\"t\"}",
    "\"limit\":",
    "\"offset\":",
    "\"where\":[",
    "\"select\":{",
    "\"orderBy\":[",
    "\"groupBy\":[",
    "withRecursive",
    "queryRef",
    "unionAll",
    "unionFrom",
    "includesSubquery",
    "conditionalSelect",
    "concat",
    "regexMatch",
    "like",
    "dateTrunc",
    "strftime",
    "substring",
    "replace",
    "round",
    "power",
    "arrayAgg",
    "quantile",
    "$selected",
    "$key",
    " AND ",
    " OR ",
    " NOT ",
    "SELECT ",
    " FROM t ",
    " JOIN u ON u.id = t.id ",
    " WHERE ",
    " GROUP BY ",
    " HAVING ",
    " ORDER BY ",
    " LIMIT ",
    " UNION ALL ",
    " WITH RECURSIVE ",
    " CASE WHEN ",
    " OVER (",
    "count(*)",
    "::int",
    "--",
    "/*",
    "data: ",
    "event: control\n",
    "\r\n\r\n",
    "HTTP/1.1",
    "content-length: ",
    "transfer-encoding: chunked\r\n",
    "../",
    "%2e%2e%2f",
    "%00",
    "?offset=",
    "-1",
    "now",
    "&live=sse",
    "stream-ttl: ",
    "producer-epoch: ",
    "authorization: Bearer x\r\n",
    "if-none-match: *\r\n",
];
/// Inputs are not made longer than this by single changes.
const LONGEST: usize = 256 << 10;

pub(crate) struct Mutator(Rng);

impl Mutator {
    pub(crate) fn new(target: &str, seed: u64, round: u64) -> Mutator {
        let name = target
            .bytes()
            .fold(seed, |mix, byte| mix.wrapping_mul(31) ^ u64::from(byte));
        Mutator(Rng::with_seed(
            name.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ round,
        ))
    }

    pub(crate) fn input(mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.0.choice(corpus).cloned().unwrap_or_default();
        for _ in 0..1 + self.0.usize(..1 + self.0.clone().usize(..8)) {
            self.change(&mut input, corpus);
        }
        input
    }

    /// A part of an input.
    fn part(&mut self, input: &[u8]) -> std::ops::Range<usize> {
        let start = self.0.usize(..=input.len());
        let most = (input.len() - start).min(if self.0.bool() { 16 } else { 4096 });
        start..start + self.0.usize(..=most)
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.0.usize(..=input.len());
        match self.0.u8(..10) {
            0 if at < input.len() => input[at] ^= 1 << self.0.u8(..8),
            1 if at < input.len() => input[at] = self.0.u8(..),
            2 => drop(input.drain(self.part(&input.clone()))),
            3 => {
                let word = self.0.choice(WORDS).expect("there are words");
                drop(input.splice(at..at, word.bytes()));
            }
            // Another word in the place of a part.
            4 => {
                let word = self.0.choice(WORDS).expect("there are words").bytes();
                let part = self.part(&input.clone());
                drop(input.splice(part, word));
            }
            // A part again, elsewhere.
            5 => {
                let part = input[self.part(&input.clone())].to_vec();
                drop(input.splice(at..at, part));
            }
            // A part very often: lists that are long, parentheses that are deep.
            6 => {
                let part = self.part(&input.clone());
                let times = 1 << self.0.u32(..12);
                let often = input[part.clone()].repeat(times);
                if input.len() + often.len() < LONGEST {
                    drop(input.splice(part, often));
                }
            }
            // A part around itself.
            7 => {
                let (open, close) = *self
                    .0
                    .choice(&[("(", ")"), ("[", "]"), ("{\"a\":", "}")])
                    .expect("some");
                let times = 1 << self.0.u32(..10);
                let part = self.part(&input.clone());
                let inner = &input[part.clone()];
                let wrapped = [
                    open.repeat(times).as_bytes(),
                    inner,
                    close.repeat(times).as_bytes(),
                ]
                .concat();
                if input.len() + wrapped.len() < LONGEST {
                    drop(input.splice(part, wrapped));
                }
            }
            // The beginning of this one and the end of another.
            8 => {
                let other = self.0.choice(corpus).cloned().unwrap_or_default();
                let from = self.0.usize(..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            // Some part of another one within this one.
            _ => {
                let other = self.0.choice(corpus).cloned().unwrap_or_default();
                let part = self.part(&other);
                drop(input.splice(at..at, other[part].to_vec()));
            }
        }
    }
}
