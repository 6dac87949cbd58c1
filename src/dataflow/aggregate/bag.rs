//! A sorted multiset that knows positions.

use crate::ranked::RankedSet;
use crate::value::Heap;

/// Values in order, each as often as it came.
#[derive(Debug)]
pub(super) struct Bag<T> {
    /// Equal values are told apart by numbers from 0 on.
    set: RankedSet<(T, u32)>,
}

impl<T> Default for Bag<T> {
    fn default() -> Self {
        Bag {
            set: RankedSet::default(),
        }
    }
}

impl<T: Ord + Clone + Heap> Bag<T> {
    /// Adds a value so many times, or takes it away where negative.
    pub(super) fn add(&mut self, value: T, times: isize) {
        if times == 1 {
            // Most values come once.
            if let Err((value, _)) = self.set.try_insert((value, 0)) {
                let count = self.count(&value);
                self.set.insert((value, count));
            }
            return;
        }
        for _ in 0..times {
            let count = self.count(&value);
            self.set.insert((value.clone(), count));
        }
        for _ in times..0 {
            let last = self.count(&value).checked_sub(1);
            let removed = last.is_some_and(|last| self.set.remove(&(value.clone(), last)));
            debug_assert!(removed, "what leaves was there");
        }
    }

    /// What it takes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.set.bytes()
    }

    fn count(&self, value: &T) -> u32 {
        let rank = |number| self.set.rank(&(value.clone(), number));
        (rank(u32::MAX) - rank(0)) as u32
    }

    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    /// The value with `index` values before it.
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.set.get(index).map(|(value, _)| value)
    }

    /// All values in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.set.iter().map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_sorted_list() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut bag, mut list) = (Bag::default(), Vec::new());
        for step in 0..20_000 {
            let grows = rng.u32(..10) < if step < 10_000 { 6 } else { 4 };
            if grows || list.is_empty() {
                let (value, times) = (rng.u32(..50), rng.usize(1..4));
                bag.add(value, times as isize);
                list.extend(std::iter::repeat_n(value, times));
            } else {
                bag.add(list.swap_remove(rng.usize(..list.len())), -1);
            }
            if step % 100 == 0 {
                list.sort();
                assert!(bag.iter().eq(&list));
                assert_eq!(bag.len(), list.len());
                let middle = list.len() / 2;
                assert_eq!(bag.get(middle), list.get(middle));
            }
        }
    }
}
