//! What a database keeps on disk, so that it need not read the whole stream when it starts again.
//!
//! | file | what it is for |
//! |---|---|
//! | `file` | a snapshot as a file |
//! | `steps` | the steps that readers may have seen |
//! | `task` | when a snapshot is written |

mod file;
mod steps;
mod task;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::core::Core;
use super::lock;
use crate::schema::Catalog;
use crate::store::{Action, Store};
use crate::stream::{Identity, Offset};
use crate::system::files;
use crate::value::{Row, ValueRef};
#[cfg(feature = "fuzzing")]
pub(crate) use file::rows_of;
use file::{Capture, Description, Part, primary_key};
pub(crate) use steps::next_incarnation;
use steps::{Again, Base, Of, Step, Steps};
pub(super) use task::KeepTask;

/// When it starts again, the number of a step is so much higher than that of the last one that was
/// noted: between them may have been steps in which nothing came in, which are not noted.
const JUMP: u64 = 1 << 32;
/// The number of the step from which steps are counted.
const FIRST: u64 = 1;

/// Where and how often a database keeps a snapshot of itself; see [`Builder::keep`](super::Builder::keep).
///
/// ```
/// # use std::time::Duration;
/// use tailwater::db::{Keep, StreamDb};
/// let keep = Keep::in_directory("/var/lib/orders").every(Duration::from_secs(300));
/// let db = StreamDb::builder("http://127.0.0.1:4437/v1/stream/orders").keep(keep);
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is given to a builder"]
pub struct Keep {
    directory: PathBuf,
    every: Duration,
    after_bytes: u64,
    /// How the stream is called, if not by its URL.
    name: Option<String>,
    /// Whether steps are noted, too, so that they can be made again.
    steps: bool,
}

impl Keep {
    /// In a directory, which no other database uses and which is made if it is missing.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Keep {
        Keep {
            directory: directory.into(),
            every: Duration::from_secs(60),
            after_bytes: 1 << 20,
            name: None,
            steps: false,
        }
    }

    /// How long after a snapshot the next one is written at the soonest; a minute by default.
    pub fn every(mut self, interval: Duration) -> Keep {
        self.every = interval.max(Duration::from_millis(1));
        self
    }

    /// How many bytes of messages have to be read before the next snapshot is worth it; 1 MiB by
    /// default. A snapshot that is longer waits for as many bytes as it has itself, so that writing
    /// snapshots takes at most about as much of the disk as the stream does.
    pub fn after_bytes(mut self, bytes: u64) -> Keep {
        self.after_bytes = bytes;
        self
    }

    /// Calls the stream by a name that stays when its URL does not.
    #[cfg(feature = "serve")]
    pub(crate) fn name(mut self, name: &str) -> Keep {
        self.name = Some(name.to_owned());
        self
    }

    /// Notes steps, too, and makes them again.
    #[cfg(feature = "serve")]
    pub(crate) fn steps(mut self) -> Keep {
        self.steps = true;
        self
    }

    /// Whether steps will be made again, unless it turns out that they do not fit.
    pub(super) fn has_steps(&self) -> bool {
        self.steps && Steps::are_there(&self.directory)
    }
}

impl<P: Into<PathBuf>> From<P> for Keep {
    fn from(directory: P) -> Keep {
        Keep::in_directory(directory)
    }
}

/// What is known of the snapshot that a database keeps; see [`StreamDb::kept`](super::StreamDb::kept).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// Where the rows came from that the database started with, if from a snapshot.
    pub resumed: Option<Offset>,
    /// Why the snapshot that was there was set aside, as a file `snapshot.rejected`.
    pub rejected: Option<String>,
    /// When this process wrote the last one.
    pub written: Option<SystemTime>,
    /// How long the engine stood still for that.
    pub paused: Duration,
    /// How many bytes the snapshot has that is there; 0 if there is none.
    pub bytes: u64,
    /// Why the last attempt to write came to nothing. It is made again.
    pub error: Option<String>,
}

/// What the engine's thread knows of what is kept.
pub(super) struct Keeping {
    keep: Keep,
    stream: String,
    id: Option<String>,
    /// None if no steps are noted, or they cannot be written until the next snapshot.
    steps: Option<Steps>,
    /// Steps to be made again.
    again: VecDeque<Step>,
    /// What came in of the next one of those.
    part: Vec<Action>,
    /// How often the stream was begun again.
    begun: u64,
}

impl Keeping {
    pub(super) fn new(keep: Keep, url: &str) -> Keeping {
        Keeping {
            stream: keep.name.clone().unwrap_or_else(|| url.to_owned()),
            keep,
            id: None,
            steps: None,
            again: VecDeque::new(),
            part: Vec::new(),
            begun: 0,
        }
    }

    /// How many messages there are to the end of the next step to be made again, if it ends within
    /// some of them.
    pub(super) fn step_within(&self, position: u64, messages: usize) -> Option<usize> {
        let next = self.again.front()?;
        let count = usize::try_from(next.position - position).ok()?;
        (count <= messages).then_some(count)
    }

    /// The stream's id, if it has one that is known.
    #[cfg(all(test, feature = "serve"))]
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(super) fn is_repeating(&self) -> bool {
        !self.again.is_empty()
    }

    /// Holds what belongs to the next step.
    pub(super) fn hold(&mut self, actions: Vec<Action>) {
        self.part.extend(actions);
    }

    /// Whether a snapshot is one of the stream as it is now.
    fn check(
        &self,
        snapshot: &Description,
        now: &Identity,
        version: u64,
        catalog: &Catalog,
    ) -> Result<(), String> {
        let known = |what: &Option<String>| what.clone().unwrap_or_else(|| "unknown".into());
        if snapshot.schema_version != version || snapshot.open != catalog.is_open() {
            return Err("it was made with another schema".into());
        }
        if snapshot.stream != self.stream {
            return Err(format!("it is of the stream {}", snapshot.stream));
        }
        if snapshot.id != now.id {
            let (old, new) = (known(&snapshot.id), known(&now.id));
            return Err(format!("it is of the stream with the id {old}, not {new}"));
        }
        let offset = Offset::from(snapshot.offset.as_str());
        if !now.reaches(&offset) {
            return Err(format!("the stream ends before its offset {offset}"));
        }
        for collection in catalog.collections().iter().filter(|_| !catalog.is_open()) {
            let has = |part: &Part| {
                part.name == *collection.name()
                    && part.event_type == *collection.event_type()
                    && part.primary_key == primary_key(collection)
            };
            if !snapshot.collections.iter().any(has) {
                let name = collection.name();
                return Err(format!(
                    "it has no collection `{name}` as the schema has it"
                ));
            }
        }
        Ok(())
    }
}

impl Core {
    /// Takes over what was kept, before anything is read. Gives where to begin to read.
    pub(super) fn restore(&mut self, now: &Identity, schema_version: u64) -> Offset {
        let start = lock(&self.shared.offset).clone();
        let Some(mut keeping) = self.intake.keeping.take() else {
            return start;
        };
        keeping.id.clone_from(&now.id);
        let directory = keeping.keep.directory.clone();
        if let Err(error) = files::create_directory(&directory) {
            lock(&self.shared.kept).error = Some(error.to_string());
        }
        let catalog = self.shared.catalog.clone();
        let mut store = Store::new(catalog.clone());
        let check = |d: &Description| keeping.check(d, now, schema_version, &catalog);
        let snapshot = match file::read(&directory, &mut store, check) {
            Ok(snapshot) => snapshot,
            Err(misfit) => {
                self.set_aside(&keeping, &misfit.to_string());
                store = Store::new(catalog);
                None
            }
        };
        let mut begin = (None, (0, 0));
        if let Some(snapshot) = snapshot {
            let offset = Offset::from(snapshot.offset.as_str());
            begin = (
                Some((snapshot.incarnation, snapshot.epoch)),
                (snapshot.position, snapshot.messages),
            );
            (self.intake.position, self.intake.messages) = begin.1;
            self.intake.txids = snapshot.txids;
            self.intake.settled = offset.clone();
            self.shared.dead_letters.restore(snapshot.dead_letters);
            let mut kept = lock(&self.shared.kept);
            kept.resumed = Some(offset.clone());
            kept.bytes = file::length(&directory);
            drop(kept);
            *lock(&self.shared.offset) = offset;
            self.intake.loading = Some(store);
        }
        if keeping.keep.steps {
            self.resume_steps(&mut keeping, begin, schema_version);
        }
        self.intake.keeping = Some(keeping);
        self.repeat_if_due();
        lock(&self.shared.offset).clone()
    }

    /// Goes on with the steps that were noted, or begins anew to note them.
    fn resume_steps(
        &mut self,
        keeping: &mut Keeping,
        (snapshot, upto): (Option<(u64, u64)>, (u64, u32)),
        schema_version: u64,
    ) {
        let directory = &keeping.keep.directory;
        let of = Of {
            stream: keeping.stream.clone(),
            id: keeping.id.clone(),
            schema_version,
        };
        match Steps::resume(directory, &of, snapshot, upto) {
            Ok(Again { steps, queue }) => {
                self.shared.set_incarnation(steps.incarnation());
                keeping.steps = Some(steps);
                keeping.again = queue;
            }
            Err(last) => {
                let incarnation = next_incarnation(last);
                self.shared.set_incarnation(incarnation);
                self.engine.go_to(FIRST);
                let base = Base {
                    of,
                    incarnation,
                    snapshot,
                    epoch: FIRST,
                };
                let (steps, begun) = Steps::begin(directory, base);
                keeping.steps = Some(steps);
                if let Err(error) = begun {
                    self.cannot_write(&error);
                }
            }
        }
    }

    fn cannot_write(&self, error: &std::io::Error) {
        lock(&self.shared.kept).error = Some(error.to_string());
    }

    fn set_aside(&self, keeping: &Keeping, why: &str) {
        let was_there = file::set_aside(&keeping.keep.directory);
        let mut kept = lock(&self.shared.kept);
        kept.bytes = 0;
        match was_there {
            Ok(true) => kept.rejected = Some(why.to_owned()),
            Ok(false) => {}
            Err(error) => kept.rejected = Some(format!("{why}; it cannot be set aside: {error}")),
        }
    }

    /// Makes a step again that was made before the database was started, if all of it is there.
    pub(super) fn repeat_if_due(&mut self) {
        let position = self.intake.position;
        while let Some(keeping) = &mut self.intake.keeping
            && keeping.step_within(position, 0).is_some()
            && let Some(step) = keeping.again.pop_front()
        {
            if step.messages != self.intake.messages {
                // There are as many messages, but other ones.
                return self.stop_repeating();
            }
            let part = std::mem::take(&mut keeping.part);
            let is_last = keeping.again.is_empty();
            self.engine.go_to(step.epoch - 1);
            let actions = match self.intake.loading.take() {
                Some(mut rows) => {
                    rows.apply(part);
                    rows.into_actions()
                }
                None => part,
            };
            self.confirm(&[], actions);
            self.shared.set_first_step(step.epoch);
            if is_last {
                self.engine.go_to(step.epoch + JUMP);
                self.note_step(step.epoch + JUMP);
            }
        }
    }

    /// Goes on without making steps again: the stream no longer has the messages that they took in.
    pub(super) fn stop_repeating(&mut self) {
        let Some(keeping) = &mut self.intake.keeping else {
            return;
        };
        let part = std::mem::take(&mut keeping.part);
        keeping.again.clear();
        let next = next_incarnation(self.shared.incarnation());
        self.shared.set_incarnation(next);
        if let Some(steps) = &mut keeping.steps {
            steps.begin_again(next);
        }
        match &mut self.intake.loading {
            Some(rows) => drop(rows.apply(part)),
            None => self.confirm(&[], part),
        }
    }

    /// Notes a step before it is made.
    pub(super) fn note_step(&mut self, epoch: u64) {
        let step = Step {
            epoch,
            position: self.intake.position,
            messages: self.intake.messages,
        };
        if let Some(keeping) = &mut self.intake.keeping
            && let Some(steps) = &mut keeping.steps
            && !steps.note(step)
        {
            let error = "the steps cannot be written: readers begin again after a restart";
            lock(&self.shared.kept).error = Some(error.to_owned());
        }
    }

    /// Keeps nothing of what came before the stream was begun again.
    pub(super) fn forget_kept(&mut self) {
        let Some(mut keeping) = self.intake.keeping.take() else {
            return;
        };
        self.set_aside(&keeping, "the stream no longer has what followed it");
        if keeping.is_repeating() {
            let next = next_incarnation(self.shared.incarnation());
            self.shared.set_incarnation(next);
        }
        if let Some(steps) = &mut keeping.steps {
            steps.begin_again(self.shared.incarnation());
        }
        keeping.again.clear();
        keeping.part.clear();
        keeping.begun += 1;
        (self.intake.position, self.intake.messages) = (0, 0);
        self.intake.keeping = Some(keeping);
    }

    /// Takes note of which stream it is that is read from the start again.
    pub(super) fn set_identity(&mut self, now: &Identity) {
        if let Some(keeping) = &mut self.intake.keeping {
            keeping.id.clone_from(&now.id);
        }
    }

    /// What a snapshot has, if the rows are all that was read.
    pub(super) fn capture(&self, schema_version: u64) -> Option<Capture> {
        let (keeping, store) = (self.intake.keeping.as_ref()?, self.engine.store());
        if self.intake.loading.is_some() || keeping.is_repeating() || store.is_unsettled() {
            return None;
        }
        let (mut collections, mut rows) = (Vec::new(), Vec::new());
        for collection in store.catalog().collections() {
            let keyed = |row: &&Row| matches!(row.get(0), ValueRef::Str(_));
            let of: Vec<Row> = store
                .synced_rows(&collection)
                .filter(keyed)
                .cloned()
                .collect();
            collections.push(Part::of(&collection, of.len()));
            rows.push(of);
        }
        let description = Description {
            schema_version,
            open: store.catalog().is_open(),
            stream: keeping.stream.clone(),
            id: keeping.id.clone(),
            offset: self.intake.settled.to_string(),
            position: self.intake.position,
            messages: self.intake.messages,
            incarnation: self.shared.incarnation(),
            epoch: self.epoch(),
            txids: self.shared.txids.latest(),
            dead_letters: self.shared.dead_letters.get(),
            collections,
        };
        Some(Capture {
            description,
            begun: keeping.begun,
            rows,
        })
    }

    /// Puts a snapshot that was written in its place. False if the stream was begun again since it was
    /// captured: it may be of messages that the stream has no longer.
    pub(super) fn place_snapshot(&self, begun: u64) -> std::io::Result<bool> {
        match &self.intake.keeping {
            Some(keeping) if keeping.begun == begun => {
                file::place(&keeping.keep.directory).map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// Takes note that a snapshot is on disk.
    pub(super) fn captured(&mut self, id: Option<String>, incarnation: u64, epoch: u64) {
        let Some(keeping) = &mut self.intake.keeping else {
            return;
        };
        if keeping.id != id || incarnation != self.shared.incarnation() {
            return;
        }
        if let Some(steps) = &mut keeping.steps
            && let Err(error) = steps.follow(id, epoch)
        {
            self.cannot_write(&error);
        }
    }
}
