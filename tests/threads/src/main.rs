//! Where the engine's thread and the readers of a live query meet: `src/db/live/hub.rs` itself, with
//! locks that let one thread run at a time, in thousands of random orders. A failure prints the order,
//! to be run again.
//!
//! `cargo run --release --manifest-path tests/threads/Cargo.toml`

use shuttle::thread;

use db::live::story::Engine;

/// Orders to try of each case.
const ORDERS: usize = 20_000;
/// What the file takes from around it.
#[path = "../../../src/db"]
mod db {
    pub(crate) mod changes {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum ChangesKind {
            Initial,
            Resync,
        }
    }

    pub(crate) mod error {
        #[derive(Clone, Debug)]
        pub(crate) struct DbError;
    }

    pub(crate) mod threads {
        pub(crate) use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
    }

    #[path = "live"]
    pub(crate) mod live {
        #[allow(dead_code, reason = "not all of it is tried")]
        pub(crate) mod hub;
        #[path = "../../../tests/threads/src/story.rs"]
        pub(crate) mod story;
    }

    pub(crate) fn lock<T>(mutex: &threads::Mutex<T>) -> threads::MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

mod view {
    use shuttle::sync::Arc;

    /// Changes of one number: what it was and what it is.
    #[derive(Clone, Debug)]
    pub(crate) struct ChangeSet(pub(crate) u64, pub(crate) u64);

    impl ChangeSet {
        pub(crate) fn len(&self) -> usize {
            1
        }

        pub(crate) fn is_empty(&self) -> bool {
            false
        }

        pub(crate) fn merge(steps: impl Iterator<Item = Arc<ChangeSet>>) -> Option<ChangeSet> {
            steps.map(|step| (*step).clone()).reduce(|first, next| {
                assert_eq!(first.1, next.0, "steps are put together in their order");
                ChangeSet(first.0, next.1)
            })
        }
    }
}

fn main() {
    for (initial, limit, apart) in [
        (true, 100, 100),
        (false, 100, 100),
        (true, 100, 1),
        (false, 100, 0),
        (true, 2, 100),
        (false, 1, 0),
    ] {
        let story = move || {
            let engine = Engine::new();
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let engine = engine.clone();
                    thread::spawn(move || engine.read(initial, limit, apart))
                })
                .collect();
            engine.run();
            for reader in readers {
                reader.join().unwrap();
            }
        };
        shuttle::check_random(story, ORDERS);
        shuttle::check_pct(story, ORDERS, 3);
        println!(
            "initial {initial}, at most {limit}, {apart} apart: {} orders",
            2 * ORDERS
        );
    }
}
