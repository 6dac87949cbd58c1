//! How batches of the stream become steps of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use crc32fast::Hasher;
use smol_str::SmolStr;

use super::core::{Core, caught};
use super::dead_letters::DeadLetter;
use super::error::DbError;
use super::keep::Keeping;
use super::lock;
use super::shared::Shared;
use super::snapshot::{FORMAT, Snapshot, SnapshotCollection};
use super::status::Status;
use crate::engine::Engine;
use crate::protocol::{Message, RawChange};
use crate::store::{Action, DecodeError, Decoder, Store};
use crate::stream::{Batch, Items, Offset};

type Hook<A> = Option<Box<A>>;

/// Code of the application that sees what comes. It runs on the engine's thread.
#[derive(Default)]
pub(super) struct Hooks {
    pub(super) before_batch: Hook<dyn FnMut(&Batch) + Send>,
    pub(super) event: Hook<dyn FnMut(&RawChange<'_>) + Send>,
    pub(super) batch: Hook<dyn FnMut(&Batch) + Send>,
}

/// What is known of the stream beside the rows.
pub(super) struct Intake {
    decoder: Decoder,
    hooks: Hooks,
    strict: bool,
    url: String,
    /// The rows until the stream is up to date for the first time.
    pub(super) loading: Option<Store>,
    /// Transactions of which the rows are not visible yet.
    pub(super) txids: Vec<SmolStr>,
    /// The snapshots that are open: of a collection each, or of whatever occurs.
    snapshots: BTreeSet<Option<usize>>,
    /// Transactions whose rows wait for the end of a snapshot.
    held: Vec<SmolStr>,
    /// Up to where the rows tell all that was read.
    pub(super) settled: Offset,
    /// The `timestamp` of the last message that had one; empty before.
    timestamp: String,
    /// The number of messages up to the end of what was taken in.
    pub(super) position: u64,
    /// A checksum of those messages.
    pub(super) messages: u32,
    pub(super) keeping: Option<Keeping>,
}

impl Intake {
    /// An intake that starts with a store's rows, at an offset.
    pub(super) fn new(
        rows: Store,
        offset: Offset,
        hooks: Hooks,
        strict: bool,
        url: String,
        keeping: Option<Keeping>,
    ) -> Intake {
        Intake {
            decoder: Decoder::new(rows.catalog().clone()),
            hooks,
            strict,
            url,
            loading: Some(rows),
            txids: Vec::new(),
            snapshots: BTreeSet::new(),
            held: Vec::new(),
            settled: offset,
            timestamp: String::new(),
            position: 0,
            messages: 0,
            keeping,
        }
    }

    /// Decodes some messages of a batch, and takes note of transactions and of what is wrong.
    fn decode(
        &mut self,
        batch: &Batch,
        which: Range<usize>,
        shared: &Shared,
    ) -> Result<Vec<Action>, DbError> {
        let mut actions = Vec::with_capacity(which.len());
        let messages = batch.items.json().enumerate();
        self.position += which.len() as u64;
        let mut checksum = Hasher::new_with_initial(self.messages);
        for (index, text) in messages.skip(which.start).take(which.len()) {
            checksum.update(text.as_bytes());
            shared
                .read_bytes
                .fetch_add(text.len() as u64, Ordering::Relaxed);
            match self.message(text)? {
                Ok(action) => actions.extend(action),
                Err(error) => {
                    let offset = lock(&shared.offset).clone();
                    let letter = DeadLetter::new(offset, index, text, &error);
                    if self.strict {
                        return Err(letter.into());
                    }
                    shared.dead_letters.put(letter);
                }
            }
        }
        self.messages = checksum.finalize();
        Ok(actions)
    }

    fn message(&mut self, text: &str) -> Result<Result<Option<Action>, DecodeError>, DbError> {
        let message = match Message::decode(text) {
            Ok(message) => message,
            Err(error) => return Ok(Err(error.into())),
        };
        let mut txid = None;
        if let Message::Change(change) = &message {
            txid = change.txid.as_deref().map(SmolStr::from);
            if let Some(time) = &change.timestamp {
                self.timestamp.clear();
                self.timestamp.push_str(time);
            }
            if let Some(hook) = &mut self.hooks.event {
                caught("the hook `on_event`", || hook(change))?;
            }
        }
        let action = self.decoder.action(message);
        if let Ok(action) = &action {
            self.note(action.as_ref(), txid);
        }
        Ok(action)
    }

    /// Takes note of the transaction of a message, which is visible when its snapshot ends.
    fn note(&mut self, action: Option<&Action>, txid: Option<SmolStr>) {
        let open = &mut self.snapshots;
        match action {
            Some(Action::Put { collection, .. } | Action::Delete { collection, .. })
                if open.contains(&Some(*collection)) || open.contains(&None) =>
            {
                self.held.extend(txid);
                return;
            }
            Some(Action::SnapshotStart(of)) => {
                open.insert(*of);
            }
            Some(Action::SnapshotEnd(of)) => {
                open.remove(of);
            }
            Some(Action::Reset) => open.clear(),
            _ => self.txids.extend(txid),
        }
        if open.is_empty() {
            self.txids.append(&mut self.held);
        }
    }
}

impl Core {
    /// Takes in a batch of the stream, which arrived at some time; whether to go on reading.
    pub(super) fn take(&mut self, batch: &Batch, arrived: SystemTime) -> bool {
        self.arrived = Some(arrived);
        #[cfg(all(test, feature = "serve"))]
        super::simulated::takes(self, batch);
        #[cfg(feature = "server")]
        let _span = tracing::debug_span!("batch", stream = self.intake.url, offset = %batch.offset)
            .entered();
        let taken = self.try_take(batch);
        self.arrived = None;
        self.shared.see_event_time(&self.intake.timestamp);
        if let Err(error) = &taken {
            self.shared.set_status(Status::Error(error.clone()));
        }
        taken.is_ok()
    }

    fn try_take(&mut self, batch: &Batch) -> Result<(), DbError> {
        let intake = &mut self.intake;
        if let Some(hook) = &mut intake.hooks.before_batch {
            caught("the hook `on_before_batch`", || hook(batch))?;
        }
        if matches!(&batch.items, Items::Bytes(bytes) if !bytes.is_empty()) {
            let url = intake.url.clone();
            return Err(DbError::NotJson { url });
        }
        let complete = batch.up_to_date || batch.closed;
        let rest = self.repeat_steps(batch)?;
        let intake = &mut self.intake;
        let mut actions = intake.decode(batch, rest, &self.shared)?;
        if let Some(hook) = &mut intake.hooks.batch {
            caught("the hook `on_batch`", || hook(batch))?;
        }
        if let Some(keeping) = intake.keeping.as_mut().filter(|k| k.is_repeating()) {
            keeping.hold(std::mem::take(&mut actions));
            if !complete {
                self.advance(batch, false);
                return Ok(());
            }
            self.stop_repeating();
        }
        match self.intake.loading.take() {
            Some(mut rows) => {
                rows.apply(actions);
                let settled = !rows.is_unsettled();
                if complete {
                    self.load(rows.into_actions());
                } else {
                    self.intake.loading = Some(rows);
                }
                self.advance(batch, settled);
            }
            None => {
                let confirmed = self.pending.confirmed_by(&self.intake.txids);
                if !actions.is_empty() || !confirmed.is_empty() {
                    self.tick_if_needed();
                    self.note_step(self.epoch() + 1);
                    self.confirm(&confirmed, actions);
                }
                let settled = !self.engine.store().is_unsettled();
                self.advance(batch, settled);
            }
        }
        if complete && !self.shared.status().is_ready() {
            self.begin_effects();
            self.shared.set_status(Status::Ready);
        }
        Ok(())
    }

    /// Makes the steps again that end in a batch. Gives the messages that are left.
    fn repeat_steps(&mut self, batch: &Batch) -> Result<Range<usize>, DbError> {
        let mut rest = 0..batch.items.json().len();
        while let Some(keeping) = &self.intake.keeping
            && let Some(count) = keeping.step_within(self.intake.position, rest.len())
        {
            let which = rest.start..rest.start + count;
            rest.start = which.end;
            let actions = self.intake.decode(batch, which, &self.shared)?;
            if let Some(keeping) = &mut self.intake.keeping {
                keeping.hold(actions);
            }
            self.repeat_if_due();
        }
        Ok(rest)
    }

    /// Shows all rows there are, in place of those from before the stream was begun again.
    fn load(&mut self, mut actions: Vec<Action>) {
        let confirmed = self.pending.confirmed_by(&self.intake.txids);
        let vanished = actions.is_empty();
        let had_rows = self.shared.was_ready() || self.shared.first_step() > 0;
        if had_rows {
            actions.insert(0, Action::Reset);
        }
        self.tick_if_needed();
        self.note_step(self.epoch() + 1);
        self.confirm(&confirmed, actions);
        *lock(&self.shared.again) = None;
        if vanished && had_rows {
            // A reset waits for what follows it.
            self.step(Engine::finish);
            #[cfg(all(test, feature = "serve"))]
            super::simulated::stepped(self);
        }
    }

    /// Forgets how far the stream was read: it begins anew. Rows stay until it was read up to date.
    pub(super) fn begin_again(&mut self) {
        self.forget_kept();
        self.shared.dead_letters.clear();
        let intake = &mut self.intake;
        intake.loading = Some(Store::new(self.shared.catalog.clone()));
        intake.snapshots.clear();
        intake.held.clear();
        intake.txids.clear();
        intake.settled = Offset::START;
    }

    /// Takes note of where the stream was taken in to, and of the transactions that are visible.
    fn advance(&mut self, batch: &Batch, settled: bool) {
        *lock(&self.shared.offset) = batch.offset.clone();
        if settled {
            self.intake.settled = batch.offset.clone();
        }
        if self.intake.loading.is_none() {
            self.shared
                .txids
                .see(std::mem::take(&mut self.intake.txids));
        }
    }

    /// The rows of all collections, and where to go on reading.
    pub(super) fn snapshot(&self, schema_version: u64) -> Result<Snapshot, DbError> {
        if self.intake.loading.is_some() {
            return Err(DbError::NotReady);
        }
        let mut collections = BTreeMap::new();
        let store = self.engine.store();
        for collection in store.catalog().collections() {
            collections.insert(
                collection.name().to_string(),
                SnapshotCollection::new(&collection, store),
            );
        }
        Ok(Snapshot {
            format: FORMAT,
            schema_version,
            open: store.catalog().is_open(),
            offset: self.intake.settled.to_string(),
            collections,
        })
    }
}
