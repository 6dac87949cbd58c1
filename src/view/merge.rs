//! Two change sets as one.

use hashbrown::HashTable;

use super::change::{ChangeSet, Moved, Replaced, key_hash, retain_visible, same_key};
use crate::value::Tuple;

/// How positions shift across a change set: the rows that it does not name stay in order.
struct Shift {
    /// The positions of the named rows on this side, ascending.
    from: Vec<usize>,
    /// Of each named row on the other side, how many rows that are not named stand before it.
    before: Vec<usize>,
}

impl Shift {
    fn new(from: impl Iterator<Item = usize>, to: impl Iterator<Item = usize>) -> Shift {
        let sorted = |positions: &mut dyn Iterator<Item = usize>| {
            let mut positions: Vec<usize> = positions.collect();
            positions.sort_unstable();
            positions
        };
        let (mut from, mut to) = (from, to);
        let to = sorted(&mut to);
        Shift {
            from: sorted(&mut from),
            before: to.iter().enumerate().map(|(i, at)| at - i).collect(),
        }
    }

    /// The position on the other side of a row that is not named.
    fn map(&self, position: usize) -> usize {
        let rank = position - self.from.partition_point(|at| *at < position);
        rank + self.before.partition_point(|before| *before <= rank)
    }
}

/// A tuple with the key of the change.
fn tuple(change: &Replaced) -> &Tuple {
    let tuple = change.new.as_ref().or(change.old.as_ref());
    tuple.expect("a change has a row")
}

fn old_index(change: &Replaced) -> Option<usize> {
    change.moved.as_ref()?.old_index
}

fn new_index(change: &Replaced) -> Option<usize> {
    change.moved.as_ref()?.new_index
}

impl ChangeSet {
    /// This change set and the one that came next, as one: at most one change of a key, positions
    /// before the first and after the second.
    #[must_use]
    pub fn then(&self, next: &ChangeSet) -> ChangeSet {
        let (first, second) = (&self.changes, &next.changes);
        let back = Shift::new(
            first.iter().filter_map(new_index),
            first.iter().filter_map(old_index),
        );
        let forth = Shift::new(
            second.iter().filter_map(old_index),
            second.iter().filter_map(new_index),
        );
        let hash = |change: &Replaced| key_hash(tuple(change));
        let same = |a: &Replaced, b: &Replaced| same_key(tuple(a), tuple(b));
        let mut by_key = HashTable::<usize>::with_capacity(first.len());
        for (i, change) in first.iter().enumerate() {
            by_key.insert_unique(hash(change), i, |&i| hash(&first[i]));
        }
        let mut matched = vec![false; first.len()];
        let mut changes = Vec::with_capacity(first.len() + second.len());
        for change in second.iter() {
            let known = by_key.find(hash(change), |&i| same(&first[i], change));
            let known = known.map(|&i| (matched[i] = true, &first[i]).1);
            let moved = |moved: &Moved| Moved {
                old_index: match known {
                    Some(known) => old_index(known),
                    None => moved.old_index.map(|at| back.map(at)),
                },
                new_index: moved.new_index,
                // A row that went and came back may have been passed by others meanwhile.
                reordered: moved.reordered || known.is_some_and(Replaced::shifts),
            };
            changes.push(Replaced {
                old: known.map_or(&change.old, |known| &known.old).clone(),
                new: change.new.clone(),
                moved: change.moved.as_deref().map(|m| Box::new(moved(m))),
            });
        }
        for (change, _) in first.iter().zip(&matched).filter(|(_, matched)| !**matched) {
            let mut change = change.clone();
            if let Some(moved) = &mut change.moved {
                moved.new_index = moved.new_index.map(|at| forth.map(at));
            }
            changes.push(change);
        }
        // What came and went.
        changes.retain(|change| change.old.is_some() || change.new.is_some());
        retain_visible(&mut changes, &next.plan);
        ChangeSet::new(next.plan.clone(), next.ordered, changes)
    }

    /// Change sets that came one after the other, as one.
    pub fn merge(sets: impl IntoIterator<Item = impl AsRef<ChangeSet>>) -> Option<ChangeSet> {
        let mut sets: Vec<ChangeSet> = sets.into_iter().map(|set| set.as_ref().clone()).collect();
        // Neighbours in pairs, so that no change is looked at more often than the logarithm says.
        while sets.len() > 1 {
            let pairs = sets.chunks(2);
            sets = pairs
                .map(|pair| match pair {
                    [first, second] => first.then(second),
                    rest => rest[0].clone(),
                })
                .collect();
        }
        sets.pop()
    }
}
