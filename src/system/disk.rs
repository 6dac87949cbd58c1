//! A disk of a simulation: what was not brought to it may be lost or torn when the machine goes down.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use fastrand::Rng;

/// What is torn is torn in blocks of so many bytes.
const BLOCK: usize = 64;

#[derive(Debug, Default)]
struct Inode {
    content: Vec<u8>,
    /// What of it is there for certain.
    synced: Vec<u8>,
}

type Files = BTreeMap<PathBuf, Arc<Mutex<Inode>>>;

#[derive(Debug, Default)]
struct State {
    files: Files,
    /// The names that are there for certain.
    synced: Files,
    /// After so many operations, the process is killed in the middle of the next one.
    left: Option<u32>,
    full: bool,
    /// Counts processes: handles of earlier ones are of no use.
    process: u64,
    dead: bool,
    random: Option<Rng>,
}

/// A handle of the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub(crate) fn new(random: Rng) -> Disk {
        let disk = Disk::default();
        disk.state().random = Some(random);
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no simulation goes on after a panic")
    }

    /// Kills the process after some operations, in the middle of the next one.
    pub(crate) fn kill_after(&self, operations: u32) {
        self.state().left = Some(operations);
    }

    /// Whether the process was killed in the middle of something.
    pub(crate) fn is_dead(&self) -> bool {
        self.state().dead
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// What a process leaves is there for the next one.
    pub(crate) fn end_process(&self) {
        let mut state = self.state();
        state.process += 1;
        state.dead = false;
        state.left = None;
    }

    /// Leaves what is there after the machine went down.
    pub(crate) fn lose(&self) {
        let state = &mut *self.state();
        let random = state.random.get_or_insert_with(|| Rng::with_seed(0));
        let mut files = Files::new();
        let paths: Vec<PathBuf> = (state.files.keys().chain(state.synced.keys()))
            .cloned()
            .collect();
        for path in paths {
            // Each name is what it was for certain, or what it has become since.
            let side = if random.bool() {
                &state.files
            } else {
                &state.synced
            };
            if let Some(file) = side.get(&path) {
                files.insert(path, file.clone());
            }
        }
        for file in files.values() {
            let mut file = file.lock().expect("nobody panicked");
            let file = &mut *file;
            if file.content == file.synced {
                continue;
            }
            match random.u32(..4) {
                0 => file.content.clone_from(&file.synced),
                1 => {}
                kind => {
                    let same = (file.content.iter().zip(&file.synced))
                        .take_while(|(a, b)| a == b)
                        .count();
                    let end = random.usize(same..=file.content.len());
                    if kind == 2 {
                        file.content.truncate(end);
                    } else {
                        let upto = (end + BLOCK).min(file.content.len());
                        file.content[end..upto].fill(0);
                    }
                }
            }
            file.synced.clone_from(&file.content);
        }
        state.files = files.clone();
        state.synced = files;
    }

    /// Takes note of an operation; whether it is to be done by half, as the process is killed.
    fn operate(&self, process: Option<u64>, grows: bool) -> io::Result<bool> {
        let mut state = self.state();
        if state.dead || process.is_some_and(|process| process != state.process) {
            return Err(io::Error::other("the process is gone"));
        }
        if let Some(left) = &mut state.left {
            if *left == 0 {
                state.dead = true;
                return Ok(true);
            }
            *left -= 1;
        }
        if grows && state.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(false)
    }

    fn file(&self, inode: Arc<Mutex<Inode>>) -> File {
        File::Simulated(Handle {
            process: self.state().process,
            disk: self.clone(),
            inode,
            at: 0,
        })
    }

    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        killed(self.operate(None, true)?)?;
        // The same file, if there was one: its content goes.
        let mut state = self.state();
        let inode = state.files.entry(path.to_owned()).or_default().clone();
        inode.lock().expect("nobody panicked").content.clear();
        drop(state);
        Ok(self.file(inode))
    }

    pub(super) fn open(&self, path: &Path) -> io::Result<File> {
        let found = self.state().files.get(path).cloned();
        Ok(self.file(found.ok_or(io::ErrorKind::NotFound)?))
    }

    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.state().files.get(path).cloned();
        let found = found.ok_or(io::ErrorKind::NotFound)?;
        let content = found.lock().expect("nobody panicked").content.clone();
        Ok(content)
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let half = self.operate(None, false)?;
        let mut state = self.state();
        // All of it or nothing.
        if !half || state.random.as_mut().is_some_and(Rng::bool) {
            let file = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.files.insert(to.to_owned(), file);
        }
        drop(state);
        killed(half)
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        killed(self.operate(None, false)?)?;
        let removed = self.state().files.remove(path);
        removed.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    pub(super) fn sync_directory(&self) -> io::Result<()> {
        killed(self.operate(None, false)?)?;
        let mut state = self.state();
        state.synced = state.files.clone();
        Ok(())
    }
}

fn killed(half: bool) -> io::Result<()> {
    match half {
        true => Err(io::Error::other("the process is killed")),
        false => Ok(()),
    }
}

/// A file, of the system or of a simulation.
#[derive(Debug)]
pub(crate) enum File {
    Real(fs::File),
    Simulated(Handle),
}

#[derive(Debug)]
pub(crate) struct Handle {
    disk: Disk,
    process: u64,
    inode: Arc<Mutex<Inode>>,
    at: usize,
}

impl From<fs::File> for File {
    fn from(file: fs::File) -> File {
        File::Real(file)
    }
}

impl Handle {
    fn inode(&self) -> MutexGuard<'_, Inode> {
        self.inode.lock().expect("nobody panicked")
    }
}

impl File {
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        match self {
            File::Real(file) => file.sync_all(),
            File::Simulated(file) => {
                killed(file.disk.operate(Some(file.process), false)?)?;
                let mut inode = file.inode();
                inode.synced = inode.content.clone();
                Ok(())
            }
        }
    }

    pub(crate) fn set_len(&self, length: u64) -> io::Result<()> {
        match self {
            File::Real(file) => file.set_len(length),
            File::Simulated(file) => {
                killed(file.disk.operate(Some(file.process), false)?)?;
                file.inode().content.resize(length as usize, 0);
                Ok(())
            }
        }
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            File::Real(file) => file.write(bytes),
            File::Simulated(file) => {
                let half = file.disk.operate(Some(file.process), true)?;
                let written = match half {
                    true => bytes.len() / 2,
                    false => bytes.len(),
                };
                file.inode().content.extend_from_slice(&bytes[..written]);
                killed(half)?;
                Ok(written)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            File::Real(file) => file.flush(),
            File::Simulated(_) => Ok(()),
        }
    }
}

impl Read for File {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            File::Real(file) => file.read(bytes),
            File::Simulated(file) => {
                let inode = file.inode.lock().expect("nobody panicked");
                let rest = &inode.content[file.at.min(inode.content.len())..];
                let count = rest.len().min(bytes.len());
                bytes[..count].copy_from_slice(&rest[..count]);
                file.at += count;
                Ok(count)
            }
        }
    }
}
