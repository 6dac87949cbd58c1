//! An engine that makes steps, and readers that must know them all.

use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::sync::{Arc, RwLock};

use super::hub::{Found, Hub, Queue};
use crate::db::lock;
use crate::view::ChangeSet;

/// Steps that the engine makes.
const STEPS: u64 = 5;

pub(crate) struct Engine {
    /// The step, and the number that is the result; they change together.
    result: RwLock<(u64, u64)>,
    hub: Hub,
    over: AtomicBool,
}

impl Engine {
    pub(crate) fn new() -> Arc<Engine> {
        Arc::new(Engine {
            result: RwLock::new((0, 100)),
            hub: Hub::default(),
            over: AtomicBool::new(false),
        })
    }

    pub(crate) fn run(&self) {
        for epoch in 1..=STEPS {
            let number = 100 + epoch;
            *self.result.write().unwrap() = (epoch, number);
            // A moment in which the result is newer than what readers were told.
            let changes = Arc::new(ChangeSet(number - 1, number));
            self.hub
                .publish(epoch, std::time::SystemTime::UNIX_EPOCH, &changes);
        }
        self.over.store(true, Ordering::SeqCst);
        self.hub.wake();
    }

    /// Reads as a subscription does, to the end; `limit` and `apart` are its bounds.
    pub(crate) fn read(&self, initial: bool, limit: usize, apart: usize) {
        let queue = Arc::new(Queue::new(initial, limit));
        self.hub.add(&queue);
        let (mut epoch, mut number) = *self.result.read().unwrap();
        queue.begin(epoch);
        let mut known = !initial;
        loop {
            let over = || self.over.load(Ordering::SeqCst);
            match queue.take(apart, over, || Some(*self.result.read().unwrap())) {
                Ok(Found::All(_, at, all)) => {
                    assert!(at >= epoch, "rows never go back");
                    (epoch, number, known) = (at, all, true);
                }
                Ok(Found::Step(at, changes)) => {
                    assert!(known && at > epoch, "a step comes once, and in order");
                    assert_eq!(changes.0, number, "no step is left out");
                    (epoch, number) = (at, changes.1);
                }
                Err(Some(state)) => drop(queue.arrived.wait(state).unwrap()),
                Err(None) => break,
            }
        }
        assert_eq!(
            *self.result.read().unwrap(),
            (epoch, number),
            "the end is known"
        );
        assert!(lock(&queue.state).steps.is_empty());
    }
}
