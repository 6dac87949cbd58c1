//! Databases in a simulation: their engines run on its thread, command by command, and say what they do.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, LazyLock};
use std::thread::ThreadId;

use super::core::{Command, Core};
use super::keep::Keeping;
use super::{StreamDb, lock};
use crate::stream::Batch;
use crate::system;

/// What an engine does.
#[derive(Clone, Debug)]
pub(crate) enum Did {
    /// It takes messages in; a `cursor` names the answer that brought them.
    Takes {
        cursor: Option<String>,
        position: u64,
        /// Whether nothing is shown of what came before them.
        loading: bool,
    },
    /// A step shows messages.
    Stepped(Step),
    /// A step shows another time.
    Ticked(Step),
    /// It did what it was told to.
    Turned,
}

/// What a step stands for.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) incarnation: u64,
    pub(crate) epoch: u64,
    /// The number of messages that were taken in up to its end.
    pub(crate) position: u64,
    pub(crate) offset: String,
    /// The stream's id.
    pub(crate) id: Option<String>,
    pub(crate) clock: i64,
    /// Whether steps are to be made again after it.
    pub(crate) again: bool,
}

impl Step {
    fn of(core: &Core) -> Step {
        let keeping = core.intake.keeping.as_ref();
        Step {
            incarnation: core.shared.incarnation(),
            epoch: core.epoch(),
            position: core.intake.position,
            offset: lock(&core.shared.offset).to_string(),
            id: keeping.and_then(|keeping| keeping.id().map(str::to_owned)),
            clock: core.engine.clock(),
            again: keeping.is_some_and(Keeping::is_repeating),
        }
    }
}

struct Adopted {
    core: RefCell<Core>,
    inbox: Receiver<Command>,
}

thread_local! {
    static ENGINES: RefCell<Vec<Rc<Adopted>>> = const { RefCell::new(Vec::new()) };
    /// What was done, and by the engine of which database.
    static DONE: RefCell<Vec<(usize, Did)>> = const { RefCell::new(Vec::new()) };
}

/// Takes an engine over, in the place of a thread.
pub(super) fn adopt(core: Core, inbox: Receiver<Command>) {
    let core = RefCell::new(core);
    ENGINES.with_borrow_mut(|engines| engines.push(Rc::new(Adopted { core, inbox })));
}

/// A thread that is none of those which ask.
pub(super) fn another_thread() -> ThreadId {
    static OTHER: LazyLock<ThreadId> = LazyLock::new(|| std::thread::spawn(|| {}).thread().id());
    *OTHER
}

/// Lets all engines do all that they were told to, as somebody waits for an answer.
pub(super) fn drive() {
    if system::simulated::is_on() {
        while (0..count()).any(turn) {}
    }
}

/// How many engines there are.
pub(crate) fn count() -> usize {
    ENGINES.with_borrow(|engines| engines.len())
}

/// Lets an engine do one thing; false if there is nothing to do.
pub(crate) fn turn(which: usize) -> bool {
    let Some(adopted) = ENGINES.with_borrow(|engines| engines.get(which).cloned()) else {
        return false;
    };
    let Ok(mut core) = adopted.core.try_borrow_mut() else {
        return false;
    };
    let command = match adopted.inbox.try_recv() {
        Ok(command) => Ok(command),
        Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        Err(TryRecvError::Empty) if core.is_due() => Err(RecvTimeoutError::Timeout),
        Err(TryRecvError::Empty) => return false,
    };
    core.turn(command);
    note(&core, Did::Turned);
    if core.is_stopped() {
        core.abandon_transactions();
        drop(core);
        ENGINES.with_borrow_mut(|engines| engines.retain(|other| !Rc::ptr_eq(other, &adopted)));
    }
    true
}

/// What was done since the last time, and by the engine of which database.
pub(crate) fn take_done() -> Vec<(usize, Did)> {
    DONE.take()
}

/// Ends all engines at once, as a process does that is killed.
pub(crate) fn kill() {
    drop(ENGINES.take());
    drop(DONE.take());
}

fn note(core: &Core, did: Did) {
    if system::simulated::is_on() {
        let of = Arc::as_ptr(&core.shared) as usize;
        DONE.with_borrow_mut(|done| done.push((of, did)));
    }
}

pub(super) fn takes(core: &Core, batch: &Batch) {
    let cursor = batch.cursor.clone();
    let position = core.intake.position;
    let did = Did::Takes {
        cursor,
        position,
        loading: core.intake.loading.is_some(),
    };
    note(core, did);
}

pub(super) fn stepped(core: &Core) {
    note(core, Did::Stepped(Step::of(core)));
}

pub(super) fn ticked(core: &Core) {
    note(core, Did::Ticked(Step::of(core)));
}

impl StreamDb {
    /// Whether a transaction was seen.
    pub(crate) fn has_seen(&self, txid: &str) -> bool {
        self.inner.shared.txids.has(&txid.into())
    }
}
