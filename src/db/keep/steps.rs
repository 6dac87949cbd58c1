//! The steps that readers may have seen, so that the same ones can be made again.
//!
//! A result is a function of its query and of the messages that were taken in. To go on where a reader
//! was, it is enough to know after which message each step ended: the file has a line that says what it
//! follows, then an entry for each step, written before anybody is told of the step. A process that dies
//! leaves what it wrote with the system, so that nothing has to wait for the disk; when the system itself
//! was started anew, the last entries may be missing, and the file is not believed.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::system::files::{self, File};
use crate::system::{self, boot};

/// So many steps are made again at most; those before them are made as one.
const MOST: usize = 4096;
/// The file is written anew when it has so many entries.
const LONGEST: usize = 64 << 10;
const ENTRY: usize = 24;
/// When the clock does not say it, the next count is at most so much higher: some minutes.
const SOME: u64 = 1 << 30;
/// The version of the file. Another version of this crate may compute other results.
const VERSION: &str = concat!("2 ", env!("CARGO_PKG_VERSION"));

/// A step of the engine that took messages in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) epoch: u64,
    /// The number of messages up to its end.
    pub(super) position: u64,
    /// Of the messages up to its end, by which others in their place are told from them.
    pub(super) messages: u32,
}

impl Step {
    fn to_bytes(self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..8].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.position.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.messages.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..20]);
        bytes[20..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; ENTRY]) -> Option<Step> {
        let number = |at: usize| {
            let part = bytes[at..at + 8].try_into().unwrap_or_default();
            u64::from_le_bytes(part)
        };
        let step = Step {
            epoch: number(0),
            position: number(8),
            messages: number(16) as u32,
        };
        (step.to_bytes() == *bytes).then_some(step)
    }
}

/// What the steps took in, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Of {
    pub(super) stream: String,
    /// Without one nobody knows whether the stream still has the messages that it had.
    pub(super) id: Option<String>,
    pub(super) schema_version: u64,
}

/// What the entries follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Base {
    #[serde(flatten)]
    pub(super) of: Of,
    pub(super) incarnation: u64,
    /// The incarnation and last step of the snapshot that they follow; none if they follow the start
    /// of the stream.
    pub(super) snapshot: Option<(u64, u64)>,
    /// The step that the snapshot stands for.
    pub(super) epoch: u64,
}

#[derive(Serialize, Deserialize)]
struct FirstLine {
    version: String,
    /// Names the run of the operating system.
    boot: String,
    /// Whether entries were left out between the base and the first one.
    cut: bool,
    #[serde(flatten)]
    base: Base,
}

/// The file that is written to.
#[derive(Debug)]
pub(super) struct Steps {
    path: PathBuf,
    /// None when it cannot be written.
    file: Option<File>,
    base: Base,
    /// The entries, or the last of them.
    kept: VecDeque<Step>,
    cut: bool,
    length: usize,
}

/// What is to be made again.
pub(super) struct Again {
    pub(super) steps: Steps,
    /// The first one stands for all before it.
    pub(super) queue: VecDeque<Step>,
}

impl Steps {
    fn path(directory: &Path) -> PathBuf {
        directory.join("steps")
    }

    /// Whether there may be steps to be made again.
    pub(super) fn are_there(directory: &Path) -> bool {
        files::exists(&Steps::path(directory))
    }

    /// Begins a file in the place of the one there is, and says so if that cannot be written.
    pub(super) fn begin(directory: &Path, base: Base) -> (Steps, io::Result<()>) {
        let mut steps = Steps {
            path: Steps::path(directory),
            file: None,
            base,
            kept: VecDeque::new(),
            cut: false,
            length: 0,
        };
        let written = steps.rewrite();
        if written.is_err() {
            steps.forget();
        }
        (steps, written)
    }

    /// Counts anew, after the next snapshot. What was noted no longer holds.
    pub(super) fn begin_again(&mut self, incarnation: u64) {
        self.forget();
        self.kept.clear();
        self.cut = false;
        self.base.incarnation = incarnation;
    }

    /// Goes on with the file that is there, if that follows a snapshot (its incarnation and last step, or
    /// none: the start) of a stream, after so many messages with that checksum. Else, the incarnation in it, if any.
    pub(super) fn resume(
        directory: &Path,
        of: &Of,
        snapshot: Option<(u64, u64)>,
        (position, messages): (u64, u32),
    ) -> Result<Again, u64> {
        let path = Steps::path(directory);
        let bytes = files::read(&path).map_err(|_| 0u64)?;
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(0u64)?;
        let first: FirstLine = serde_json::from_slice(&bytes[..end]).map_err(|_| 0u64)?;
        let base = first.base;
        let other = base.incarnation;
        let same_run = !first.boot.is_empty() && first.boot == boot();
        if first.version != VERSION || !same_run {
            return Err(other);
        }
        if base.of != *of || of.id.is_none() {
            return Err(other);
        }
        // From which step on all entries are needed.
        let from = match snapshot {
            // A later snapshot than the one that the file was begun with.
            Some((incarnation, epoch)) if incarnation == other && epoch >= base.epoch => epoch,
            snapshot if snapshot == base.snapshot => base.epoch,
            _ => return Err(other),
        };
        let mut kept = VecDeque::new();
        let (entries, _) = bytes[end + 1..].as_chunks::<ENTRY>();
        let mut before = Step {
            epoch: 0,
            position: 0,
            messages: 0,
        };
        for entry in entries {
            let step = Step::from_bytes(entry).ok_or(other)?;
            if step.epoch <= before.epoch || step.position < before.position {
                return Err(other);
            }
            before = step;
            kept.push_back(step);
        }
        let mut queue: VecDeque<Step> = kept.iter().copied().filter(|s| s.epoch > from).collect();
        if queue.front().is_some_and(|first| first.position < position) {
            return Err(other);
        }
        let missing = first.cut && queue.len() == kept.len();
        if !missing && queue.len() < MOST {
            let epoch = from;
            queue.push_front(Step {
                epoch,
                position,
                messages,
            });
        }
        queue.drain(..queue.len().saturating_sub(MOST));
        if queue.is_empty() {
            return Err(other);
        }
        let file = files::append(&path).map_err(|_| other)?;
        let steps = Steps {
            path,
            file: Some(file),
            base,
            length: kept.len(),
            cut: first.cut,
            kept,
        };
        let mut again = Again { steps, queue };
        // An entry that was written by half would spoil those that follow.
        if !(bytes.len() - end - 1).is_multiple_of(ENTRY) {
            again.steps.rewrite().map_err(|_| other)?;
        }
        again.steps.shorten();
        Ok(again)
    }

    pub(super) fn incarnation(&self) -> u64 {
        self.base.incarnation
    }

    /// Notes a step that is about to be made. False if that cannot be written: then the file is gone.
    pub(super) fn note(&mut self, step: Step) -> bool {
        self.kept.push_back(step);
        self.shorten();
        self.length += 1;
        let written = match &mut self.file {
            Some(_) if self.length > LONGEST => self.rewrite(),
            Some(file) => file.write_all(&step.to_bytes()),
            None => return true,
        };
        if written.is_err() {
            self.forget();
        }
        written.is_ok()
    }

    fn shorten(&mut self) {
        if self.kept.len() > MOST {
            self.cut = true;
            self.kept.drain(..self.kept.len() - MOST);
        }
    }

    /// Follows a snapshot from now on.
    pub(super) fn follow(&mut self, id: Option<String>, epoch: u64) -> io::Result<()> {
        self.base.of.id = id;
        self.base.snapshot = Some((self.base.incarnation, epoch));
        self.base.epoch = epoch;
        let before = self.kept.partition_point(|step| step.epoch <= epoch);
        if before > 0 {
            self.cut = false;
        }
        self.kept.drain(..before);
        let written = self.rewrite();
        if written.is_err() {
            self.forget();
        }
        written
    }

    /// Writes the file anew. What was there stays until then.
    fn rewrite(&mut self) -> io::Result<()> {
        let first = FirstLine {
            version: VERSION.to_owned(),
            boot: boot(),
            cut: self.cut,
            base: self.base.clone(),
        };
        let mut bytes = serde_json::to_vec(&first)?;
        bytes.push(b'\n');
        for step in &self.kept {
            bytes.extend_from_slice(&step.to_bytes());
        }
        let part = self.path.with_extension("part");
        let mut file = files::create(&part)?;
        file.write_all(&bytes)?;
        files::rename(&part, &self.path)?;
        self.file = Some(file);
        self.length = self.kept.len();
        Ok(())
    }

    /// Makes sure that nobody goes by a file that lacks steps, until it follows a snapshot.
    fn forget(&mut self) {
        if let Some(file) = self.file.take() {
            let _ = file.set_len(0);
        }
        let _ = files::remove(&self.path);
    }
}

/// A number for the steps of a database, greater than all before it, those of earlier processes
/// included: microseconds since 1970, which have 16 digits until the year 2286.
///
/// When the clock went back, it is some number behind the one before: what was written of that may be lost
/// with the machine, and who counts on from an older one is not to come to the same.
pub(crate) fn next_incarnation(after: u64) -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = system::time().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_micros() as u64);
    let some = 1 + system::random() % SOME;
    let next = |last: u64| match now > last.max(after) {
        true => now,
        false => last.max(after) + some,
    };
    #[cfg(all(test, feature = "serve"))]
    if let Some(number) = system::simulated::next_number(next) {
        return number;
    }
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        Some(next(last))
    });
    next(last.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn of(stream: &str, id: Option<&str>) -> Of {
        Of {
            stream: stream.into(),
            id: id.map(str::to_owned),
            schema_version: 3,
        }
    }

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Dir {
            let path = std::env::temp_dir().join(format!("steps-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Dir(path)
        }

        fn begin(&self, snapshot: Option<(u64, u64)>) -> Steps {
            let base = Base {
                of: of("events", Some("id")),
                incarnation: 50,
                snapshot,
                epoch: 1,
            };
            let (steps, begun) = Steps::begin(&self.0, base);
            begun.unwrap();
            steps
        }

        fn resume(&self, snapshot: Option<(u64, u64)>, position: u64) -> Result<Vec<Step>, u64> {
            let again = Steps::resume(&self.0, &of("events", Some("id")), snapshot, (position, 0))?;
            Ok(again.queue.into())
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn step(epoch: u64, position: u64) -> Step {
        Step {
            epoch,
            position,
            messages: 0,
        }
    }

    /// Whether the system says which run of it this is.
    fn is_known() -> bool {
        !boot().is_empty()
    }

    #[test]
    fn steps_come_back_after_what_they_follow() {
        if !is_known() {
            return;
        }
        let dir = Dir::new("follow");
        assert_eq!(dir.resume(None, 0), Err(0));
        let mut steps = dir.begin(None);
        for n in 2..6 {
            assert!(steps.note(step(n, n * 10)));
        }
        let all: Vec<Step> = [step(1, 0)]
            .into_iter()
            .chain((2..6).map(|n| step(n, n * 10)))
            .collect();
        assert_eq!(dir.resume(None, 0), Ok(all));
        // Of a snapshot that was written meanwhile.
        let later = [step(4, 40), step(5, 50)].to_vec();
        assert_eq!(dir.resume(Some((50, 4)), 40), Ok(later.clone()));
        assert_eq!(dir.resume(Some((49, 4)), 40), Err(50), "another count");
        steps.follow(Some("id".into()), 4).unwrap();
        assert_eq!(dir.resume(Some((50, 4)), 40), Ok(later));
        assert_eq!(dir.resume(Some((50, 3)), 30), Err(50), "an older snapshot");
        assert_eq!(dir.resume(None, 0), Err(50));
        let schema = Of {
            schema_version: 4,
            ..of("events", Some("id"))
        };
        let others = [of("other", Some("id")), of("events", Some("7")), schema];
        for other in others {
            assert!(Steps::resume(&dir.0, &other, Some((50, 4)), (40, 0)).is_err());
        }
        steps.follow(None, 4).unwrap();
        let unknown = Steps::resume(&dir.0, &of("events", None), Some((50, 4)), (40, 0));
        assert!(unknown.is_err());
    }

    #[test]
    fn the_last_of_many_steps_are_kept() {
        if !is_known() {
            return;
        }
        let dir = Dir::new("many");
        let mut steps = dir.begin(Some((7, 7)));
        let most = MOST as u64;
        let last = LONGEST as u64 + 500;
        for n in 2..=last {
            assert!(steps.note(step(n, n)));
        }
        let queue = dir.resume(Some((7, 7)), 0).unwrap();
        assert_eq!((queue.len(), queue[0].epoch), (MOST, last - most + 1));
        assert!(fs::metadata(dir.0.join("steps")).unwrap().len() < (2 * LONGEST * ENTRY) as u64);
        // What was left out cannot be told apart from a snapshot in the middle of it.
        let queue = dir.resume(Some((50, 100)), 100).unwrap();
        assert_eq!((queue.len(), queue[0].epoch), (MOST, last - most + 1));
    }

    #[test]
    fn torn_entries_are_not_believed() {
        if !is_known() {
            return;
        }
        let dir = Dir::new("torn");
        let path = dir.0.join("steps");
        let mut steps = dir.begin(None);
        (2..5).for_each(|n| assert!(steps.note(step(n, n))));
        let whole = fs::read(&path).unwrap();
        // The last one was not written to its end, so that nobody was told of it.
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let mut again = Steps::resume(&dir.0, &of("events", Some("id")), None, (0, 0)).unwrap();
        assert_eq!(again.queue.len(), 3);
        assert!(again.steps.note(step(9, 9)));
        assert_eq!(dir.resume(None, 0).unwrap().last(), Some(&step(9, 9)));
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for at in first..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(dir.resume(None, 0), Err(50), "byte {at}");
        }
        let text = String::from_utf8_lossy(&whole[..first]).replace(&boot(), "another run");
        fs::write(&path, [text.as_bytes(), &whole[first..]].concat()).unwrap();
        assert_eq!(dir.resume(None, 0), Err(50));
    }

    #[test]
    fn without_its_file_it_counts_until_the_next_snapshot() {
        if !is_known() {
            return;
        }
        let dir = Dir::new("lost");
        let mut steps = dir.begin(None);
        steps.forget();
        assert!(!dir.0.join("steps").exists());
        assert!(steps.note(step(2, 2)) && steps.note(step(3, 3)));
        steps.follow(Some("id".into()), 2).unwrap();
        assert_eq!(
            dir.resume(Some((50, 2)), 2),
            Ok([step(2, 2), step(3, 3)].to_vec())
        );
    }

    #[test]
    fn a_clock_that_went_back_makes_no_number_twice() {
        let now = next_incarnation(0);
        assert_eq!(now.to_string().len(), 16);
        let far = now + 1_000_000_000_000;
        let after = next_incarnation(far);
        assert!(after > far && after <= far + SOME);
        let rest: Vec<u64> = (0..100).map(|_| next_incarnation(0)).collect();
        assert!(after < rest[0] && rest.is_sorted_by(|a, b| a < b));
    }
}
