//! Files, which in a simulation are in memory and break as it says.

use std::fs;
use std::io;
use std::path::Path;

#[cfg(all(test, feature = "serve"))]
use super::simulated;

#[cfg(not(all(test, feature = "serve")))]
pub(crate) use std::fs::File;

#[cfg(all(test, feature = "serve"))]
pub(crate) use super::disk::File;

#[cfg(all(test, feature = "serve"))]
macro_rules! on_simulated {
    ($disk:ident => $does:expr) => {
        if let Some($disk) = simulated::disk() {
            return $does;
        }
    };
}

#[cfg(not(all(test, feature = "serve")))]
macro_rules! on_simulated {
    ($disk:ident => $does:expr) => {};
}

/// A file of the system as one of this module.
#[allow(clippy::useless_conversion)]
fn real(file: io::Result<fs::File>) -> io::Result<File> {
    file.map(File::from)
}

/// A new file, or an old one without its content.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    on_simulated!(disk => disk.create(path));
    real(fs::File::create(path))
}

/// A file to read.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    on_simulated!(disk => disk.open(path));
    real(fs::File::open(path))
}

/// A file to write to at its end.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    on_simulated!(disk => disk.open(path));
    real(fs::File::options().append(true).open(path))
}

/// The whole content of a file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    on_simulated!(disk => disk.read(path));
    fs::read(path)
}

pub(crate) fn length(path: &Path) -> io::Result<u64> {
    on_simulated!(disk => Ok(disk.read(path)?.len() as u64));
    Ok(fs::metadata(path)?.len())
}

pub(crate) fn exists(path: &Path) -> bool {
    on_simulated!(disk => disk.read(path).is_ok());
    path.exists()
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    on_simulated!(disk => disk.rename(from, to));
    fs::rename(from, to)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    on_simulated!(disk => disk.remove(path));
    fs::remove_file(path)
}

pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    on_simulated!(_disk => Ok(()));
    fs::create_dir_all(path)
}

/// Makes renames within a directory last.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    on_simulated!(disk => disk.sync_directory());
    match cfg!(unix) {
        true => fs::File::open(path)?.sync_all(),
        false => Ok(()),
    }
}
