//! What a plan's operators are put together on.

use std::cell::RefCell;
use std::rc::Rc;

use super::budget::Meter;
use super::builder::Builder;
use super::exchange::Target;
use super::operator::{Binary, Unary};
use crate::plan::Recursive;

/// Timely's streams, or the steps of one thread. The operators are the same.
pub(super) trait Fabric: Sized {
    /// What an operator brings out, on its way to those that read it. A tick has it once at most.
    type Tuples: Clone;
    /// Where changes get in that no operator brings out.
    type Entry;

    /// How many workers there are.
    fn peers(&self) -> usize;

    fn input(&mut self) -> (Self::Entry, Self::Tuples);

    /// Brings tuples to the workers that they are for.
    fn exchange(&mut self, tuples: Self::Tuples, target: Target) -> Self::Tuples;

    /// Runs an operator on the changes of each tick that brings any.
    fn unary(&mut self, tuples: Self::Tuples, meter: Meter, operator: impl Unary) -> Self::Tuples;

    /// As [`Fabric::unary`], but on the first worker it runs in the first tick in any case.
    fn eager(&mut self, tuples: Self::Tuples, meter: Meter, operator: impl Unary) -> Self::Tuples;

    /// Runs an operator on the changes of both inputs of each tick.
    fn binary(
        &mut self,
        left: Self::Tuples,
        right: Self::Tuples,
        meter: Meter,
        operator: impl Binary,
    ) -> Self::Tuples;

    /// An operator behind which changes get in, in ticks of their own.
    fn valve<O: Unary>(
        &mut self,
        tuples: Self::Tuples,
        meter: Meter,
        operator: Rc<RefCell<O>>,
    ) -> (Self::Entry, Self::Tuples);

    /// Builds a recursion, and binds the numbers of its definitions to what they come to.
    fn recursive(builder: &mut Builder<'_, Self>, recursive: &Recursive, meter: Meter);
}
