//! Counts work, so that tests can say what a change costs without a clock.

use std::cell::Cell;

thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Counts steps: a column read, a comparison, an expression evaluated, a hash, a node looked at.
#[inline]
pub(crate) fn add(steps: u64) {
    DONE.set(DONE.get() + steps);
}

/// How many steps `f` takes on this thread.
pub(crate) fn of<T>(f: impl FnOnce() -> T) -> (u64, T) {
    let before = DONE.get();
    let result = f();
    (DONE.get() - before, result)
}
