//! Union: the changes of two inputs as those of one.

use super::Updates;
use super::operator::Binary;

/// Puts the changes of a tick together, as every stream carries one container a tick.
pub(super) struct Union;

impl Binary for Union {
    fn step(&mut self, left: &mut Updates, right: &mut Updates, output: &mut Updates) {
        output.append(left);
        output.append(right);
    }

    fn bytes(&self) -> usize {
        0
    }
}
