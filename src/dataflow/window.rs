//! Order by, offset and limit: the tuples in a stretch of the order.
//!
//! The first tuples stand in a set that knows positions, so that each change moves at most one tuple into
//! the window and one out of it, wherever it happens, in logarithmic time; [`partly`] has the others. The
//! tuples may be parted; then each part has a set and a window of its own.

mod partly;

use differential_dataflow::consolidation::consolidate;
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use smallvec::SmallVec;

use super::operator::Unary;
use super::{Diff, Updates, is_net};
use crate::plan::{Expr, Node, OrderKey, encode_all, sort_key, sort_prefix};
use crate::ranked::RankedSet;
use crate::value::{Heap, SortKey, Tuple, share};

use partly::{Entry, PartlySorted};

type Key = SmallVec<[u8; 24]>;

/// The window of the ordered tuples, or of each part of them.
pub(super) struct Window {
    order: Vec<OrderKey>,
    partition: Vec<Expr>,
    stretch: Stretch,
    consolidated: bool,
    /// All tuples, if they are not parted.
    whole: PartlySorted,
    parts: HashMap<Key, PartlySorted, foldhash::fast::RandomState>,
    /// What the parts and their keys hold on the heap.
    heap: usize,
}

/// The positions from `offset` up to `end`.
#[derive(Clone, Copy)]
struct Stretch {
    offset: usize,
    /// One past the last position; `usize::MAX` without a limit.
    end: usize,
}

/// A tuple at its place. Places are unique, as they end in the tuple's key.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    pub(crate) place: SortKey,
    pub(crate) tuple: Tuple,
}

impl Ordered {
    fn new(order: &[OrderKey], tuple: Tuple) -> Ordered {
        Ordered {
            place: sort_key(order, &tuple),
            tuple,
        }
    }
}

impl Heap for Ordered {
    fn heap(&self) -> usize {
        self.place.heap() + self.tuple.heap()
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(test)]
        crate::work::add(1);
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
        #[cfg(test)]
        crate::work::add(1);
        self.place.cmp(&other.place)
    }
}

impl Stretch {
    fn new(offset: usize, limit: Option<usize>) -> Stretch {
        Stretch {
            offset,
            end: limit.map_or(usize::MAX, |limit| offset.saturating_add(limit)),
        }
    }

    fn len(self) -> usize {
        self.end - self.offset
    }

    /// The tuples in the stretch, with a diff.
    fn emit(self, tuples: &RankedSet<Ordered>, diff: Diff, output: &mut Updates) {
        let inside = tuples.iter_from(self.offset).take(self.len());
        output.extend(inside.map(|ordered| (share(&ordered.tuple), diff)));
    }

    fn emit_at(position: usize, tuples: &RankedSet<Ordered>, diff: Diff, output: &mut Updates) {
        if let Some(ordered) = tuples.get(position) {
            output.push((share(&ordered.tuple), diff));
        }
    }

    fn remove(self, tuples: &mut RankedSet<Ordered>, ordered: &Ordered, output: &mut Updates) {
        let position = tuples.rank(ordered);
        if position < self.end {
            // What stood at the window's start moves out, unless it is the tuple itself.
            Self::emit_at(position.max(self.offset), tuples, -1, output);
            Self::emit_at(self.end, tuples, 1, output);
        }
        let removed = tuples.remove(ordered);
        debug_assert!(removed, "a tuple that leaves was there");
    }

    fn insert(self, tuples: &mut RankedSet<Ordered>, ordered: Ordered, output: &mut Updates) {
        let position = tuples.rank(&ordered);
        let inserted = tuples.insert(ordered);
        debug_assert!(inserted, "a tuple comes once");
        if position < self.end {
            Self::emit_at(position.max(self.offset), tuples, 1, output);
            Self::emit_at(self.end, tuples, -1, output);
        }
    }

    /// Applies the changes of a tick to the tuples, and says how the stretch changes.
    fn apply(
        self,
        tuples: &mut PartlySorted,
        order: &[OrderKey],
        changes: &mut [Entry],
        output: &mut Updates,
    ) {
        // With more changes than the stretch is long, it is cheaper to compare it as a whole.
        let at_once = self.len() <= changes.len();
        if at_once {
            self.emit(&tuples.sorted, -1, output);
        }
        // A row that changed leaves its place before it takes it again.
        let take = |change: &mut Entry| ((change.0.0, std::mem::take(&mut change.0.1)), change.1);
        for change in changes.iter_mut().filter(|(_, diff)| *diff < 0) {
            let ((prefix, tuple), diff) = take(change);
            if tuples.is_behind(prefix) {
                tuples.defer(((prefix, tuple), diff));
                continue;
            }
            let ordered = Ordered::new(order, tuple);
            if at_once {
                let removed = tuples.sorted.remove(&ordered);
                debug_assert!(removed, "a tuple that leaves was there");
            } else {
                tuples.cover(order, self.end.saturating_add(1));
                self.remove(&mut tuples.sorted, &ordered, output);
            }
        }
        let mut near = Vec::new();
        for change in changes.iter_mut().filter(|(_, diff)| *diff > 0) {
            let ((prefix, tuple), diff) = take(change);
            if tuples.is_behind(prefix) {
                tuples.defer(((prefix, tuple), diff));
            } else if at_once {
                near.push(((prefix, tuple), diff));
            } else {
                self.insert(&mut tuples.sorted, Ordered::new(order, tuple), output);
                tuples.relax(self.end);
            }
        }
        if at_once {
            tuples.take_in(order, near, self.end);
            self.emit(&tuples.sorted, 1, output);
        }
    }
}

impl Window {
    /// The operator of a [`Node::Window`].
    pub(super) fn new(node: &Node, consolidated: bool) -> Self {
        let Node::Window {
            partition,
            order,
            offset,
            limit,
            ..
        } = node
        else {
            unreachable!("the node is a window")
        };
        Window {
            order: order.clone(),
            partition: partition.clone(),
            stretch: Stretch::new(*offset, *limit),
            consolidated,
            whole: PartlySorted::default(),
            parts: HashMap::default(),
            heap: 0,
        }
    }

    /// Moves the window of all tuples, and says what comes into it and what leaves.
    pub(super) fn set(&mut self, offset: usize, limit: Option<usize>, output: &mut Updates) {
        let new = Stretch::new(offset, limit);
        let old = std::mem::replace(&mut self.stretch, new);
        self.whole.cover(&self.order, new.end);
        // What both have in common need not be looked at.
        let before = |stretch: Stretch, end: usize| Stretch {
            end: stretch.end.min(end).max(stretch.offset),
            ..stretch
        };
        let after = |stretch: Stretch, start: usize| Stretch {
            offset: stretch.offset.max(start).min(stretch.end),
            ..stretch
        };
        for (stretch, other, diff) in [(old, new, -1), (new, old, 1)] {
            if other.offset >= other.end {
                stretch.emit(&self.whole.sorted, diff, output);
            } else {
                before(stretch, other.offset).emit(&self.whole.sorted, diff, output);
                after(stretch, other.end).emit(&self.whole.sorted, diff, output);
            }
        }
    }
}

impl Unary for Window {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        if !self.consolidated {
            consolidate(input);
        }
        debug_assert!(is_net(input), "the plan says when it is net");
        let stretch = self.stretch;
        let order = &self.order;
        let entry = |tuple: Tuple, diff| ((sort_prefix(order, &tuple), tuple), diff);
        if self.partition.is_empty() {
            let changes = input.drain(..).map(|(tuple, diff)| entry(tuple, diff));
            let mut changes: SmallVec<[_; 2]> = changes.collect();
            stretch.apply(&mut self.whole, order, &mut changes, output);
        } else {
            let mut keyed: Vec<(Key, Tuple, Diff)> = Vec::with_capacity(input.len());
            let mut scratch = Vec::new();
            for (tuple, diff) in input.drain(..) {
                scratch.clear();
                encode_all(&self.partition, &tuple, &mut scratch);
                keyed.push((Key::from_slice(&scratch), tuple, diff));
            }
            keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            for part in keyed.chunk_by_mut(|a, b| a.0 == b.0) {
                let key = &part[0].0;
                let key_heap = key.heap();
                let tuples = match self.parts.entry_ref(key) {
                    EntryRef::Occupied(entry) => {
                        self.heap -= entry.get().bytes() + key_heap;
                        entry.into_mut()
                    }
                    EntryRef::Vacant(entry) => entry.insert(PartlySorted::default()),
                };
                let mut changes: SmallVec<[_; 2]> = part
                    .iter_mut()
                    .map(|(_, tuple, diff)| entry(std::mem::take(tuple), *diff))
                    .collect();
                stretch.apply(tuples, order, &mut changes, output);
                match tuples.is_empty() {
                    true => drop(self.parts.remove(&part[0].0)),
                    false => self.heap += tuples.bytes() + key_heap,
                }
            }
            if self.parts.capacity() > 64 && self.parts.len() < self.parts.capacity() / 8 {
                self.parts.shrink_to_fit();
            }
        }
        if output.len() > 1 {
            consolidate(output);
        }
    }

    fn bytes(&self) -> usize {
        self.whole.bytes() + self.parts.allocation_size() + self.heap
    }
}
