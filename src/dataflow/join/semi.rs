//! Semi and anti joins: left tuples by whether they have a partner.

use super::{Diff, Join, Map, Undo, Updates, by_key, concat, join_key};
use crate::query::JoinKind;
use crate::value::Tuple;

impl Join {
    pub(super) fn test(
        &mut self,
        left: &mut Updates,
        right: &mut Updates,
        undo: &Undo,
        output: &mut Updates,
    ) {
        match self.residual.is_empty() {
            true => self.test_keys(left, right, undo, output),
            false => self.test_partners(left, right, undo, output),
        }
    }

    /// What a tuple's first or last partner changes.
    fn turned(&self, gained: bool) -> Diff {
        match gained == (self.kind == JoinKind::Semi) {
            true => 1,
            false => -1,
        }
    }

    /// Whether a tuple is there, by whether it has partners.
    fn stays(&self, partners: bool) -> bool {
        partners == (self.kind == JoinKind::Semi)
    }

    /// On equalities alone, whether a tuple has a partner depends on its key only.
    fn test_keys(
        &mut self,
        left: &mut Updates,
        right: &mut Updates,
        undo: &Undo,
        output: &mut Updates,
    ) {
        let keyed = by_key(right, &self.right_keys, |_, _| {});
        for run in keyed.chunk_by(|a, b| a.0 == b.0) {
            let key = &run[0].0;
            run.iter()
                .for_each(|(_, tuple, diff)| self.right.update(key, tuple, *diff));
            let after = self.right.len(key);
            let before = after - run.iter().map(|(.., diff)| diff).sum::<isize>();
            if (before == 0) != (after == 0) {
                let turned = self.turned(before == 0);
                undo.all(&self.left, key, |tuple| {
                    output.push((Tuple::from(tuple), turned));
                    true
                });
            }
        }
        let mut scratch = Vec::new();
        for (tuple, diff) in left.drain(..) {
            let key = join_key(&self.left_keys, &tuple, &mut scratch);
            if let Some(key) = key {
                self.left.update(key, &tuple, diff);
            }
            if self.stays(key.is_some_and(|key| self.right.len(key) > 0)) {
                output.push((tuple, diff));
            }
        }
    }

    /// With further conditions, each left tuple counts its partners.
    fn test_partners(
        &mut self,
        left: &mut Updates,
        right: &mut Updates,
        undo: &Undo,
        output: &mut Updates,
    ) {
        let mut partners: Map<Tuple, isize> = std::mem::take(&mut self.left_partners);
        let mut scratch = Vec::new();
        for (tuple, diff) in right.drain(..) {
            let Some(key) = join_key(&self.right_keys, &tuple, &mut scratch) else {
                continue;
            };
            self.right.update(key, &tuple, diff);
            undo.all(&self.left, key, |partner| {
                if !self.matches(&concat(partner, &tuple)) {
                    return true;
                }
                let count = partners.get_mut(partner).expect("left tuples are counted");
                let before = *count;
                *count += diff;
                if (before == 0) != (*count == 0) {
                    output.push((Tuple::from(partner), self.turned(before == 0)));
                }
                true
            });
        }
        for (tuple, diff) in left.drain(..) {
            let mut found = 0;
            if let Some(key) = join_key(&self.left_keys, &tuple, &mut scratch) {
                self.left.update(key, &tuple, diff);
                self.right.all(key, |partner| {
                    found += isize::from(self.matches(&concat(&tuple, partner)));
                    true
                });
                match diff > 0 {
                    true => partners.insert(tuple.clone(), found),
                    false => partners.remove(&tuple),
                };
            }
            if self.stays(found > 0) {
                output.push((tuple, diff));
            }
        }
        if partners.capacity() > 64 && partners.len() < partners.capacity() / 8 {
            partners.shrink_to_fit();
        }
        self.left_partners = partners;
    }
}
