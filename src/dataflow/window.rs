//! Order by, offset and limit: the tuples in a stretch of the order.
//!
//! All tuples stand in a set that knows positions, so that each change moves at most one tuple into
//! the window and one out of it, wherever it happens, in logarithmic time.

use differential_dataflow::consolidation::consolidate;

use super::Updates;
use super::operator::Unary;
use crate::plan::{OrderKey, sort_key};
use crate::ranked::RankedSet;
use crate::value::{SortKey, Tuple};

/// The window from `offset` up to `end` of the ordered tuples.
pub(super) struct Window {
    order: Vec<OrderKey>,
    offset: usize,
    /// One past the last position; `usize::MAX` without a limit.
    end: usize,
    consolidated: bool,
    tuples: RankedSet<Ordered>,
}

/// A tuple at its place. Places are unique, as they end in the tuple's key.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    pub(crate) place: SortKey,
    pub(crate) tuple: Tuple,
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

impl Window {
    pub(super) fn new(
        order: Vec<OrderKey>,
        offset: usize,
        limit: Option<usize>,
        consolidated: bool,
    ) -> Self {
        let end = limit.map_or(usize::MAX, |limit| offset.saturating_add(limit));
        Window {
            order,
            offset,
            end,
            consolidated,
            tuples: RankedSet::default(),
        }
    }

    fn emit(&self, position: usize, diff: isize, output: &mut Updates) {
        if let Some(ordered) = self.tuples.get(position) {
            output.push((ordered.tuple.clone(), diff));
        }
    }

    fn remove(&mut self, ordered: &Ordered, output: &mut Updates) {
        let position = self.tuples.rank(ordered);
        if position < self.end {
            // What stood at the window's start moves out, unless it is the tuple itself.
            self.emit(position.max(self.offset), -1, output);
            self.emit(self.end, 1, output);
        }
        let removed = self.tuples.remove(ordered);
        debug_assert!(removed, "a tuple that leaves was there");
    }

    fn insert(&mut self, ordered: Ordered, output: &mut Updates) {
        let position = self.tuples.rank(&ordered);
        let inserted = self.tuples.insert(ordered);
        debug_assert!(inserted, "a tuple comes once");
        if position < self.end {
            self.emit(position.max(self.offset), 1, output);
            self.emit(self.end, -1, output);
        }
    }
}

impl Unary for Window {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        if self.end == self.offset {
            return input.clear();
        }
        if !self.consolidated {
            consolidate(input);
        }
        let size = self.end.saturating_sub(self.offset);
        if size <= input.len() {
            return self.step_at_once(input, output);
        }
        // A row that changed leaves its place before it takes it again.
        for (tuple, _) in input.iter().filter(|(_, diff)| *diff < 0) {
            let leaving = self.ordered(tuple.clone());
            self.remove(&leaving, output);
        }
        for (tuple, _) in input.drain(..).filter(|(_, diff)| *diff > 0) {
            let coming = self.ordered(tuple);
            self.insert(coming, output);
        }
        if output.len() > 1 {
            consolidate(output);
        }
    }
}

impl Window {
    fn ordered(&self, tuple: Tuple) -> Ordered {
        Ordered {
            place: sort_key(&self.order, &tuple),
            tuple,
        }
    }

    /// Compares the windows before and after a tick with more changes than the window is long.
    fn step_at_once(&mut self, input: &mut Updates, output: &mut Updates) {
        let window = |tuples: &RankedSet<Ordered>, diff| -> Updates {
            let stretch = tuples.iter_from(self.offset).take(self.end - self.offset);
            stretch
                .map(|ordered| (ordered.tuple.clone(), diff))
                .collect()
        };
        output.extend(window(&self.tuples, -1));
        for (tuple, _) in input.iter().filter(|(_, diff)| *diff < 0) {
            let removed = self.tuples.remove(&Ordered {
                place: sort_key(&self.order, tuple),
                tuple: tuple.clone(),
            });
            debug_assert!(removed, "a tuple that leaves was there");
        }
        for (tuple, _) in input.drain(..).filter(|(_, diff)| *diff > 0) {
            let inserted = self.tuples.insert(Ordered {
                place: sort_key(&self.order, &tuple),
                tuple,
            });
            debug_assert!(inserted, "a tuple comes once");
        }
        output.extend(window(&self.tuples, 1));
        consolidate(output);
    }
}
