//! Tuples in an order of which only the first are sorted.
//!
//! A window shows the first tuples of an order, and most changes happen behind it. What is not near
//! the window lies in heaps between bounds, unsorted, and a heap is sorted when the window comes to it.
//! There, a tuple costs the start of its sort key and an append, where a sorted set costs the whole
//! key and a way through the tree.

use differential_dataflow::consolidation::consolidate;

use super::Ordered;
use crate::dataflow::Diff;
use crate::plan::OrderKey;
use crate::ranked::RankedSet;
use crate::value::{Heap, Tuple};

/// So many more tuples are sorted than the window needs, so that it can lose some.
const SPARE: usize = if cfg!(debug_assertions) { 2 } else { 64 };
/// A heap of so many entries is divided, or of as many as there are heaps: one's place is found among
/// few large ones or many small ones.
const LARGE: usize = if cfg!(debug_assertions) { 8 } else { 1024 };

/// A tuple that came or left, by the prefix of its sort key.
pub(super) type Entry = ((u64, Tuple), Diff);

/// A set of tuples, of which the first are sorted.
#[derive(Default)]
pub(super) struct PartlySorted {
    /// The first ones: those with prefixes below all bounds.
    pub(super) sorted: RankedSet<Ordered>,
    /// The others, from the highest bound to the lowest.
    heaps: Vec<Unsorted>,
    /// So many may be sorted, as it was found that they cannot be told apart.
    tied: usize,
    /// What the entries of the heaps take.
    bytes: usize,
}

/// So many entries are allocated at once: a heap that grew as a list does would be copied to ever new
/// memory, and with it the time of a change would have spikes.
const SEGMENT: usize = if cfg!(debug_assertions) { 3 } else { 64 };

/// Tuples with prefixes from a bound up to the next one.
#[derive(Default)]
struct Unsorted {
    bound: u64,
    /// All but the last are full. A tuple that left stands twice, until the heap is tidied up.
    segments: Vec<Vec<Entry>>,
    left: usize,
    /// With so many entries it is divided.
    full: usize,
}

impl Unsorted {
    fn new(bound: u64, entries: Vec<Entry>, full: usize) -> Unsorted {
        let mut heap = Unsorted {
            bound,
            full: full.max(2 * entries.len()),
            ..Unsorted::default()
        };
        entries.into_iter().for_each(|entry| heap.push(entry));
        heap
    }

    fn len(&self) -> usize {
        let last = self.segments.last().map_or(SEGMENT, Vec::len);
        (self.segments.len() * SEGMENT + last) - SEGMENT
    }

    fn push(&mut self, entry: Entry) {
        self.left += usize::from(entry.1 < 0);
        match self.segments.last_mut() {
            Some(last) if last.len() < SEGMENT => last.push(entry),
            _ => {
                let mut last = Vec::with_capacity(SEGMENT);
                last.push(entry);
                self.segments.push(last);
            }
        }
    }

    /// Takes all entries out that did not both come and leave.
    fn take(&mut self) -> Vec<Entry> {
        let segments = std::mem::take(&mut self.segments);
        let mut entries: Vec<Entry> = segments.into_iter().flatten().collect();
        if std::mem::take(&mut self.left) > 0 {
            consolidate(&mut entries);
        }
        entries
    }

    /// What its entries take. Tuples of one window are of one length.
    fn bytes(&self) -> usize {
        let first = self.segments.first().and_then(|segment| segment.first());
        let tuple = first.map_or(0, |((_, tuple), _)| tuple.heap());
        let segment = SEGMENT * size_of::<Entry>();
        let list = self.segments.capacity() * size_of::<Vec<Entry>>();
        list + self.segments.len() * segment + self.len() * tuple
    }
}

fn prefix(entry: &Entry) -> u64 {
    entry.0.0
}

/// Takes the entries out that are not below a bound.
fn split_off(entries: &mut Vec<Entry>, bound: u64) -> Vec<Entry> {
    let above = entries.extract_if(.., |entry| prefix(entry) >= bound);
    above.collect()
}

/// A bound with about `count` entries below it and some above; `None` if all have one prefix.
fn bound(entries: &mut [Entry], count: usize) -> Option<u64> {
    let (below, middle, above) = entries.select_nth_unstable_by_key(count, prefix);
    let middle = prefix(middle);
    if below.iter().any(|entry| prefix(entry) < middle) {
        return Some(middle);
    }
    let above = above.iter().map(prefix);
    above.filter(|prefix| *prefix > middle).min()
}

impl PartlySorted {
    pub(super) fn is_empty(&self) -> bool {
        self.sorted.len() == 0 && self.heaps.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.sorted.bytes() + self.heaps.capacity() * size_of::<Unsorted>() + self.bytes
    }

    /// Whether tuples with this prefix are not among the sorted ones.
    pub(super) fn is_behind(&self, prefix: u64) -> bool {
        self.heaps.last().is_some_and(|heap| heap.bound <= prefix)
    }

    /// Takes note of a tuple behind the sorted ones that came or left.
    pub(super) fn defer(&mut self, entry: Entry) {
        let place = self
            .heaps
            .partition_point(|heap| heap.bound > prefix(&entry));
        let heap = &mut self.heaps[place];
        self.bytes -= heap.bytes();
        heap.push(entry);
        if 3 * heap.left > heap.len() {
            let entries = heap.take();
            if entries.is_empty() {
                self.heaps.remove(place);
                return;
            }
            entries.into_iter().for_each(|entry| heap.push(entry));
        }
        if heap.len() >= heap.full {
            self.divide(place);
        } else {
            self.bytes += heap.bytes();
        }
    }

    /// Divides a heap, whose bytes are not counted, in two.
    fn divide(&mut self, place: usize) {
        let full = LARGE.max(self.heaps.len());
        let heap = &mut self.heaps[place];
        let mut entries = heap.take();
        let count = entries.len();
        let bound = match 2 * count > full {
            true => bound(&mut entries, count / 2),
            false => None,
        };
        let above = bound.map(|bound| {
            let above = split_off(&mut entries, bound);
            Unsorted::new(bound, above, full)
        });
        *heap = Unsorted::new(heap.bound, entries, full);
        self.bytes += heap.bytes();
        if let Some(above) = above {
            self.bytes += above.bytes();
            self.heaps.insert(place, above);
        }
    }

    /// Sorts so many tuples, if there are.
    pub(super) fn cover(&mut self, order: &[OrderKey], count: usize) {
        // With none at all, what came and left would stay for ever.
        let count = count.max(1);
        while self.sorted.len() < count
            && let Some(mut heap) = self.heaps.pop()
        {
            self.bytes -= heap.bytes();
            let mut next = heap.take();
            let wanted = count.saturating_add(SPARE) - self.sorted.len();
            // Halves of halves: what is taken next time was looked at twice, whatever lies behind it.
            while next.len() / 2 > wanted {
                let half = next.len() / 2;
                let Some(bound) = bound(&mut next, half) else {
                    break;
                };
                let above = split_off(&mut next, bound);
                let heap = Unsorted::new(bound, above, LARGE.max(self.heaps.len()));
                self.bytes += heap.bytes();
                self.heaps.push(heap);
            }
            self.sort(order, next);
        }
    }

    fn sort(&mut self, order: &[OrderKey], entries: Vec<Entry>) {
        for ((_, tuple), _) in entries {
            let inserted = self.sorted.insert(Ordered::new(order, tuple));
            debug_assert!(inserted, "a tuple comes once");
        }
    }

    /// Takes tuples in that came before the bounds; so many must be sorted.
    pub(super) fn take_in(&mut self, order: &[OrderKey], mut came: Vec<Entry>, count: usize) {
        let kept = count.saturating_add(SPARE);
        if came.len() / 2 > kept
            && let Some(bound) = bound(&mut came, kept)
        {
            let behind = split_off(&mut came, bound);
            self.lower(bound, behind);
        }
        self.sort(order, came);
        self.cover(order, count);
        self.relax(count);
    }

    /// Lets go of the order of most tuples that need not be sorted, if they are many.
    pub(super) fn relax(&mut self, count: usize) {
        let kept = count.saturating_add(SPARE);
        if self.sorted.len() / 2 <= kept || self.sorted.len() < self.tied {
            return;
        }
        let prefix = |i: usize| self.sorted.get(i).map(|ordered| ordered.place.prefix());
        let middle = prefix(kept);
        let mut cut = self.first(|prefix| Some(prefix) >= middle);
        if cut < count.max(1) {
            cut = self.first(|prefix| Some(prefix) > middle);
        }
        match prefix(cut) {
            Some(bound) => self.lower(bound, Vec::new()),
            None => self.tied = 2 * self.sorted.len(),
        }
    }

    /// The first position of a prefix that is far enough.
    fn first(&self, is_far: impl Fn(u64) -> bool) -> usize {
        let (mut low, mut high) = (0, self.sorted.len());
        while low < high {
            let middle = low.midpoint(high);
            let ordered = self.sorted.get(middle).expect("it is within the set");
            match is_far(ordered.place.prefix()) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        low
    }

    /// Sets a bound below all others, with what is known to be behind it.
    fn lower(&mut self, bound: u64, mut behind: Vec<Entry>) {
        self.tied = 0;
        let first = self.first(|prefix| prefix >= bound);
        let leaving: Vec<Ordered> = self.sorted.iter_from(first).cloned().collect();
        for ordered in leaving {
            self.sorted.remove(&ordered);
            behind.push(((ordered.place.prefix(), ordered.tuple), 1));
        }
        match self.heaps.last_mut() {
            Some(heap) if heap.len() + behind.len() <= LARGE / 2 => {
                self.bytes -= heap.bytes();
                heap.bound = bound;
                behind.into_iter().for_each(|entry| heap.push(entry));
                self.bytes += heap.bytes();
            }
            _ => {
                let heap = Unsorted::new(bound, behind, LARGE.max(self.heaps.len()));
                self.bytes += heap.bytes();
                self.heaps.push(heap);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Expr, Label, sort_prefix};
    use crate::value::{Direction, Nulls, Row, Value};

    fn order() -> [OrderKey; 1] {
        [OrderKey {
            expr: Expr::Column {
                source: 0,
                column: 1,
                label: Label::default(),
            },
            direction: Direction::Desc,
            nulls: Nulls::First,
            collation: None,
        }]
    }

    fn tuple(key: u32, value: &Value) -> Tuple {
        let row: Row = [Value::from(key), value.clone()].into_iter().collect();
        Tuple::from_elem(Some(row), 1)
    }

    /// Whatever comes and goes, the first ones are sorted, and the books are right.
    #[test]
    fn the_first_are_those_of_the_sorted_whole() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (order, count) = (order(), rng.usize(0..12));
            // Texts have their prefixes in common, numbers have not.
            let values: Vec<Value> = match seed % 3 {
                0 => (0..rng.u32(1..200)).map(Value::from).collect(),
                1 => (0..40)
                    .map(|i| Value::from(format!("a long prefix {i}")))
                    .collect(),
                _ => vec![Value::Null, 1.into(), 2.into()],
            };
            let mut set = PartlySorted::default();
            let mut all: Vec<Tuple> = Vec::new();
            for key in 0..rng.u32(10..400) {
                let comes = all.is_empty() || rng.u32(0..5) > 1;
                if comes && rng.u32(0..20) == 0 {
                    let many = (0..rng.u32(1..60))
                        .map(|i| tuple(1000 * (key + 1) + i, rng.choice(&values).unwrap()));
                    let many: Vec<Tuple> = many.collect();
                    all.extend(many.iter().cloned());
                    let mut near = Vec::new();
                    for tuple in many {
                        let entry = ((sort_prefix(&order, &tuple), tuple), 1);
                        match set.is_behind(prefix(&entry)) {
                            true => set.defer(entry),
                            false => near.push(entry),
                        }
                    }
                    set.take_in(&order, near, count);
                } else if comes {
                    let tuple = tuple(key, rng.choice(&values).unwrap());
                    all.push(tuple.clone());
                    let prefix = sort_prefix(&order, &tuple);
                    match set.is_behind(prefix) {
                        true => set.defer(((prefix, tuple), 1)),
                        false => drop(set.sorted.insert(Ordered::new(&order, tuple))),
                    }
                    set.relax(count);
                } else {
                    let tuple = all.swap_remove(rng.usize(..all.len()));
                    let prefix = sort_prefix(&order, &tuple);
                    match set.is_behind(prefix) {
                        true => set.defer(((prefix, tuple), -1)),
                        false => assert!(set.sorted.remove(&Ordered::new(&order, tuple))),
                    }
                    set.cover(&order, count);
                }
                let mut expected: Vec<Ordered> = all
                    .iter()
                    .map(|t| Ordered::new(&order, t.clone()))
                    .collect();
                expected.sort();
                assert!(set.sorted.len() >= count.min(all.len()), "seed {seed}");
                assert!(
                    set.sorted.iter().eq(expected.iter().take(set.sorted.len())),
                    "seed {seed}"
                );
                let bytes: usize = set.heaps.iter().map(Unsorted::bytes).sum();
                assert_eq!(set.bytes, bytes, "seed {seed}");
                assert!(
                    set.heaps.is_sorted_by(|a, b| a.bound > b.bound),
                    "seed {seed}"
                );
            }
            let entries = set
                .heaps
                .iter()
                .flat_map(|heap| heap.segments.iter().flatten());
            let rest: isize = entries.map(|entry| entry.1).sum();
            assert_eq!(set.sorted.len() + rest as usize, all.len(), "seed {seed}");
            if seed % 3 == 0 && all.len() > 60 && count < 4 {
                assert!(
                    set.sorted.len() < all.len() / 2,
                    "seed {seed}: most need not be sorted"
                );
            }
            while let Some(tuple) = all.pop() {
                let prefix = sort_prefix(&order, &tuple);
                match set.is_behind(prefix) {
                    true => set.defer(((prefix, tuple), -1)),
                    false => assert!(set.sorted.remove(&Ordered::new(&order, tuple))),
                }
                set.cover(&order, count);
            }
            assert!(set.is_empty(), "seed {seed}");
        }
    }
}
