//! What threads meet with. `tests/threads` has other ones under the same names, which try the orders in
//! which threads may run.

pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
