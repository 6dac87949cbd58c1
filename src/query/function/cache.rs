//! The few things that were read from text last, such as regular expressions and time zones.

use smol_str::SmolStr;

/// How many texts are remembered; a query has a handful, and each may take a megabyte.
const CAPACITY: usize = 16;

/// What was made of the texts that were asked for last.
pub(super) struct Cache<T> {
    entries: Vec<(SmolStr, T)>,
}

impl<T: Clone> Cache<T> {
    pub(super) const fn new() -> Self {
        Cache {
            entries: Vec::new(),
        }
    }

    /// What `make` makes of the text, now or earlier.
    pub(super) fn get(&mut self, text: &str, make: impl FnOnce(&str) -> T) -> T {
        match self.entries.iter().rposition(|(known, _)| known == text) {
            Some(place) if place + 1 == self.entries.len() => {}
            Some(place) => {
                let last = self.entries.len() - 1;
                self.entries.swap(place, last);
            }
            None => {
                if self.entries.len() == CAPACITY {
                    self.entries.remove(0);
                }
                self.entries.push((text.into(), make(text)));
            }
        }
        self.entries[self.entries.len() - 1].1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_once_and_forgets_in_time() {
        let (mut cache, mut made) = (Cache::new(), 0);
        for _ in 0..3 {
            for text in ["1", "2", "3"] {
                let number = cache.get(text, |text| {
                    made += 1;
                    text.parse::<i32>().unwrap()
                });
                assert_eq!(number.to_string(), text);
            }
        }
        assert_eq!(made, 3);
        for i in 0..100 {
            assert_eq!(
                cache.get(&i.to_string(), |_| -i),
                if (1..4).contains(&i) { i } else { -i }
            );
        }
        assert_eq!(cache.entries.len(), CAPACITY);
    }
}
