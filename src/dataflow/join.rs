//! Join: inner, left, right, full, cross, semi and anti, with further conditions.
//!
//! In a tick, first the right side's changes meet the left side as it was, then the left side's
//! changes meet the right side as it is. Pairs that would come and leave in one tick are left out by
//! inner joins, so that what they bring out is net. Each side is an index by join key: an arrangement
//! that queries share where the side is a collection, a private one otherwise. Null and missing keys
//! match nothing.

mod semi;

use std::cell::RefCell;
use std::rc::Rc;

use differential_dataflow::consolidation::consolidate;
use smallvec::SmallVec;

use super::budget::{Meter, TUPLE};
use super::operator::Binary;
use super::{Diff, Updates, is_net};
use crate::plan::{Expr, Join as Plan, join_key};
use crate::query::JoinKind;
use crate::store::{Arrangement, Index};
use crate::value::{Heap, Row, Tuple};

type Key = SmallVec<[u8; 24]>;

/// The rows of one side by join key.
pub(super) enum Side {
    /// Kept by the store; it shows the state after the tick.
    Shared(Rc<RefCell<Arrangement>>),
    /// Kept by the operator.
    Private {
        index: Index<Tuple>,
        consolidated: bool,
    },
}

impl Side {
    pub(super) fn shared(arrangement: Rc<RefCell<Arrangement>>) -> Self {
        Side::Shared(arrangement)
    }

    pub(super) fn private(consolidated: bool) -> Self {
        Side::Private {
            index: Index::default(),
            consolidated,
        }
    }

    fn consolidate(&self, updates: &mut Updates) {
        if matches!(
            self,
            Side::Private {
                consolidated: false,
                ..
            }
        ) {
            consolidate(updates);
        }
        debug_assert!(is_net(updates), "the plan says when it is net");
    }

    fn update(&mut self, key: &[u8], tuple: &Tuple, diff: Diff) {
        if let Side::Private { index, .. } = self {
            debug_assert!(diff.abs() == 1, "tuples are unique by key");
            if diff > 0 {
                index.insert(key, tuple.clone());
            } else {
                let removed = index.remove(key, tuple);
                debug_assert!(removed, "a tuple that leaves was there");
            }
        }
    }

    /// What it holds; an arrangement is the store's.
    fn bytes(&self) -> usize {
        match self {
            Side::Shared(_) => 0,
            Side::Private { index, .. } => index.bytes(),
        }
    }

    fn len(&self, key: &[u8]) -> isize {
        let len = match self {
            Side::Shared(arrangement) => arrangement.borrow().get(key).len(),
            Side::Private { index, .. } => index.get(key).len(),
        };
        len as isize
    }

    /// Looks at the tuples of a key as long as that gives true; whether it did for all.
    fn all(&self, key: &[u8], mut f: impl FnMut(&[Option<Row>]) -> bool) -> bool {
        match self {
            Side::Shared(arrangement) => {
                let arrangement = arrangement.borrow();
                let mut rows = arrangement.get(key).iter();
                rows.all(|row| f(std::slice::from_ref(row)))
            }
            Side::Private { index, .. } => index.get(key).iter().all(|tuple| f(tuple)),
        }
    }
}

/// What a tick changes in the left side, where the right side changes under the same key.
#[derive(Default)]
struct Undo {
    /// Before the first tick there was nothing.
    everything: bool,
    /// Whether the left side shows the state after the tick already.
    done: bool,
    changes: Map<Key, KeyChanges>,
}

/// What a tick changes among the tuples of one key.
#[derive(Default)]
struct KeyChanges {
    came: Set<Tuple>,
    left: Set<Tuple>,
    /// On the right side.
    right_came: Set<Tuple>,
}

type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::RandomState>;
type Set<K> = hashbrown::HashSet<K, foldhash::fast::RandomState>;

impl Undo {
    /// As [`Side::all`], of the left side's tuples before the tick.
    fn all(&self, side: &Side, key: &[u8], mut f: impl FnMut(&[Option<Row>]) -> bool) -> bool {
        if self.everything {
            return true;
        }
        match self.changes.get(key) {
            Some(changes) if self.done => {
                side.all(key, |tuple| changes.came.contains(tuple) || f(tuple))
                    && changes.left.iter().all(|tuple| f(tuple))
            }
            _ => side.all(key, f),
        }
    }

    /// As [`Undo::all`], without those that leave.
    fn all_staying(
        &self,
        side: &Side,
        key: &[u8],
        mut f: impl FnMut(&[Option<Row>]) -> bool,
    ) -> bool {
        if self.everything {
            return true;
        }
        match self.changes.get(key) {
            Some(KeyChanges { came, left, .. }) => {
                let other = if self.done { came } else { left };
                side.all(key, |tuple| other.contains(tuple) || f(tuple))
            }
            None => side.all(key, f),
        }
    }

    /// The right side's tuples after the tick that were there before, too.
    fn all_old(&self, right: &Side, key: &[u8], mut f: impl FnMut(&[Option<Row>]) -> bool) -> bool {
        match self.changes.get(key) {
            Some(KeyChanges { right_came, .. }) => {
                right.all(key, |tuple| right_came.contains(tuple) || f(tuple))
            }
            None => right.all(key, f),
        }
    }
}

pub(super) struct Join {
    kind: JoinKind,
    left_arity: usize,
    right_arity: usize,
    left_keys: Vec<Expr>,
    right_keys: Vec<Expr>,
    residual: Vec<Expr>,
    left: Side,
    right: Side,
    /// How many partners each tuple of a kept side has; only where a residual condition makes the
    /// partners of one key differ.
    left_partners: Map<Tuple, isize>,
    right_partners: Map<Tuple, isize>,
    fresh: bool,
    /// What a joined tuple takes on its way.
    cost: usize,
    meter: Meter,
}

/// What a tuple of some rows takes on its way.
pub(super) fn cost(arity: usize) -> usize {
    TUPLE + Tuple::from_elem(None, arity).heap()
}

pub(super) fn concat(left: &[Option<Row>], right: &[Option<Row>]) -> Tuple {
    if let ([left], [right]) = (left, right) {
        return Tuple::from_buf([left.clone(), right.clone()]);
    }
    let mut tuple = Tuple::with_capacity(left.len() + right.len());
    tuple.extend(left.iter().cloned());
    tuple.extend(right.iter().cloned());
    tuple
}

static NONE: [Option<Row>; 64] = [const { None }; 64];

/// Changes with their keys, by key. Those without a key are handed to `no_key`.
fn by_key(
    updates: &mut Updates,
    keys: &[Expr],
    mut no_key: impl FnMut(Tuple, Diff),
) -> Vec<(Key, Tuple, Diff)> {
    let (mut keyed, mut scratch) = (Vec::with_capacity(updates.len()), Vec::new());
    for (tuple, diff) in updates.drain(..) {
        match join_key(keys, &tuple, &mut scratch).map(Key::from_slice) {
            Some(key) => keyed.push((key, tuple, diff)),
            None => no_key(tuple, diff),
        }
    }
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    keyed
}

impl Join {
    pub(super) fn new(plan: &Plan, left: Side, right: Side, meter: Meter) -> Self {
        Join {
            kind: plan.kind,
            left_arity: plan.left_arity,
            right_arity: plan.right_arity,
            left_keys: plan.left_keys.clone(),
            right_keys: plan.right_keys.clone(),
            residual: plan.residual.clone(),
            left,
            right,
            left_partners: Map::default(),
            right_partners: Map::default(),
            fresh: true,
            cost: cost(plan.left_arity + plan.right_arity),
            meter,
        }
    }

    fn matches(&self, joined: &Tuple) -> bool {
        self.residual.iter().all(|p| p.test(joined))
    }

    fn undo(&mut self, left: &Updates, right: &Updates) -> Undo {
        let mut undo = Undo {
            everything: self.fresh,
            done: matches!(self.left, Side::Shared(_)),
            ..Undo::default()
        };
        self.fresh = false;
        let nets = matches!(self.kind, JoinKind::Inner | JoinKind::Cross);
        let both = !left.is_empty() && !right.is_empty();
        if undo.everything || !both || !(undo.done || nets) {
            return undo;
        }
        // Only keys under which both sides change matter, and these are found from the smaller one.
        let mut sides = [(true, left), (false, right)];
        if right.len() < left.len() {
            sides.reverse();
        }
        let mut scratch = Vec::new();
        for (i, (is_left, updates)) in sides.into_iter().enumerate() {
            let keys = match is_left {
                true => &self.left_keys,
                false => &self.right_keys,
            };
            for (tuple, diff) in updates {
                let Some(key) = join_key(keys, tuple, &mut scratch) else {
                    continue;
                };
                let changes = match i {
                    0 => Some(undo.changes.entry(Key::from_slice(key)).or_default()),
                    _ => undo.changes.get_mut(key),
                };
                let Some(changes) = changes else { continue };
                let set = match (is_left, *diff > 0) {
                    (true, true) => &mut changes.came,
                    (true, false) => &mut changes.left,
                    (false, true) if nets => &mut changes.right_came,
                    _ => continue,
                };
                set.insert(tuple.clone());
            }
        }
        undo
    }

    fn inner(
        &mut self,
        left: &mut Updates,
        right: &mut Updates,
        undo: &Undo,
        output: &mut Updates,
    ) {
        let mut scratch = Vec::new();
        let mut emit = |join: &Join, tuple: Tuple, diff| {
            if !join.matches(&tuple) {
                return true;
            }
            output.push((tuple, diff));
            join.meter.spend(join.cost)
        };
        for (tuple, diff) in right.drain(..) {
            if let Some(key) = join_key(&self.right_keys, &tuple, &mut scratch) {
                self.right.update(key, &tuple, diff);
                let mut emit = |row: &[_]| emit(self, concat(row, &tuple), diff);
                let done = match diff > 0 {
                    true => undo.all_staying(&self.left, key, &mut emit),
                    false => undo.all(&self.left, key, &mut emit),
                };
                if !done {
                    return;
                }
            }
        }
        for (tuple, diff) in left.drain(..) {
            if let Some(key) = join_key(&self.left_keys, &tuple, &mut scratch) {
                self.left.update(key, &tuple, diff);
                let mut emit = |row: &[_]| emit(self, concat(&tuple, row), diff);
                let done = match diff > 0 {
                    true => self.right.all(key, &mut emit),
                    false => undo.all_old(&self.right, key, &mut emit),
                };
                if !done {
                    return;
                }
            }
        }
    }

    /// Outer joins on equalities alone: whether a tuple has a partner depends on its key only.
    fn outer(
        &mut self,
        left: &mut Updates,
        right: &mut Updates,
        undo: &Undo,
        output: &mut Updates,
    ) {
        let (keeps_left, keeps_right) = (self.kind.keeps_left(), self.kind.keeps_right());
        let (no_left, no_right) = (&NONE[..self.left_arity], &NONE[..self.right_arity]);
        // How the unmatched rows of the other side change when a key's rows become some or none.
        let turn = |before: isize, after: isize| (after == 0) as isize - (before == 0) as isize;

        let keyed = by_key(right, &self.right_keys, |tuple, diff| {
            if keeps_right {
                output.push((concat(no_left, &tuple), diff));
            }
        });
        for run in keyed.chunk_by(|a, b| a.0 == b.0) {
            let key = &run[0].0;
            run.iter()
                .for_each(|(_, tuple, diff)| self.right.update(key, tuple, *diff));
            let after = self.right.len(key);
            let turned = turn(
                after - run.iter().map(|(.., diff)| diff).sum::<isize>(),
                after,
            );
            let mut partners = false;
            let done = undo.all(&self.left, key, |partner| {
                partners = true;
                output.extend(
                    run.iter()
                        .map(|(_, tuple, diff)| (concat(partner, tuple), *diff)),
                );
                if keeps_left && turned != 0 {
                    output.push((concat(partner, no_right), turned));
                }
                self.meter.spend(self.cost * (run.len() + 1))
            });
            if !done {
                return;
            }
            if keeps_right && !partners {
                output.extend(
                    run.iter()
                        .map(|(_, tuple, diff)| (concat(no_left, tuple), *diff)),
                );
            }
        }

        let keyed = by_key(left, &self.left_keys, |tuple, diff| {
            if keeps_left {
                output.push((concat(&tuple, no_right), diff));
            }
        });
        for run in keyed.chunk_by(|a, b| a.0 == b.0) {
            let key = &run[0].0;
            run.iter()
                .for_each(|(_, tuple, diff)| self.left.update(key, tuple, *diff));
            let after = self.left.len(key);
            let turned = turn(
                after - run.iter().map(|(.., diff)| diff).sum::<isize>(),
                after,
            );
            let mut partners = false;
            let done = self.right.all(key, |partner| {
                partners = true;
                output.extend(
                    run.iter()
                        .map(|(_, tuple, diff)| (concat(tuple, partner), *diff)),
                );
                if keeps_right && turned != 0 {
                    output.push((concat(no_left, partner), turned));
                }
                self.meter.spend(self.cost * (run.len() + 1))
            });
            if !done {
                return;
            }
            if keeps_left && !partners {
                output.extend(
                    run.iter()
                        .map(|(_, tuple, diff)| (concat(tuple, no_right), *diff)),
                );
            }
        }
    }

    /// Outer joins with further conditions: each kept tuple counts its partners.
    fn outer_residual(
        &mut self,
        left: &mut Updates,
        right: &mut Updates,
        undo: &Undo,
        output: &mut Updates,
    ) {
        let (keeps_left, keeps_right) = (self.kind.keeps_left(), self.kind.keeps_right());
        let (no_left, no_right) = (&NONE[..self.left_arity], &NONE[..self.right_arity]);
        let mut left_partners = std::mem::take(&mut self.left_partners);
        let mut right_partners = std::mem::take(&mut self.right_partners);
        /// Counts a partner that came or went; how the tuple's unmatched row changes.
        fn count(partners: &mut Map<Tuple, isize>, tuple: &[Option<Row>], diff: Diff) -> Diff {
            let count = partners.get_mut(tuple).expect("kept tuples are counted");
            *count += diff;
            if diff > 0 && *count == diff {
                -1
            } else if diff < 0 && *count == 0 {
                1
            } else {
                0
            }
        }
        fn settle(partners: &mut Map<Tuple, isize>, tuple: &Tuple, found: isize, diff: Diff) {
            if diff > 0 {
                partners.insert(tuple.clone(), found);
            } else {
                partners.remove(tuple);
            }
        }
        let mut scratch = Vec::new();
        for (tuple, diff) in right.drain(..) {
            let mut found = 0;
            if let Some(key) = join_key(&self.right_keys, &tuple, &mut scratch) {
                self.right.update(key, &tuple, diff);
                let done = undo.all(&self.left, key, |partner| {
                    let joined = concat(partner, &tuple);
                    let matches = self.matches(&joined);
                    if matches {
                        found += 1;
                        output.push((joined, diff));
                        if keeps_left {
                            let turned = count(&mut left_partners, partner, diff);
                            output
                                .extend((turned != 0).then(|| (concat(partner, no_right), turned)));
                        }
                    }
                    !matches || self.meter.spend(2 * self.cost)
                });
                if !done {
                    return;
                }
                if keeps_right {
                    settle(&mut right_partners, &tuple, found, diff);
                }
            }
            if keeps_right && found == 0 {
                output.push((concat(no_left, &tuple), diff));
            }
        }
        for (tuple, diff) in left.drain(..) {
            let mut found = 0;
            if let Some(key) = join_key(&self.left_keys, &tuple, &mut scratch) {
                self.left.update(key, &tuple, diff);
                let done = self.right.all(key, |partner| {
                    let joined = concat(&tuple, partner);
                    let matches = self.matches(&joined);
                    if matches {
                        found += 1;
                        output.push((joined, diff));
                        if keeps_right {
                            let turned = count(&mut right_partners, partner, diff);
                            output
                                .extend((turned != 0).then(|| (concat(no_left, partner), turned)));
                        }
                    }
                    !matches || self.meter.spend(2 * self.cost)
                });
                if !done {
                    return;
                }
                if keeps_left {
                    settle(&mut left_partners, &tuple, found, diff);
                }
            }
            if keeps_left && found == 0 {
                output.push((concat(&tuple, no_right), diff));
            }
        }
        for partners in [&mut left_partners, &mut right_partners] {
            if partners.capacity() > 64 && partners.len() < partners.capacity() / 8 {
                partners.shrink_to_fit();
            }
        }
        self.left_partners = left_partners;
        self.right_partners = right_partners;
    }
}

impl Binary for Join {
    fn step(&mut self, left: &mut Updates, right: &mut Updates, output: &mut Updates) {
        self.left.consolidate(left);
        self.right.consolidate(right);
        let undo = self.undo(left, right);
        match self.kind {
            JoinKind::Inner | JoinKind::Cross => self.inner(left, right, &undo, output),
            JoinKind::Semi | JoinKind::Anti => self.test(left, right, &undo, output),
            _ if self.residual.is_empty() => self.outer(left, right, &undo, output),
            _ => self.outer_residual(left, right, &undo, output),
        }
    }

    fn bytes(&self) -> usize {
        let tuples = |partners: &Map<Tuple, isize>, arity| {
            partners.allocation_size() + partners.len() * (cost(arity) - TUPLE)
        };
        self.left.bytes()
            + self.right.bytes()
            + tuples(&self.left_partners, self.left_arity)
            + tuples(&self.right_partners, self.right_arity)
    }
}
