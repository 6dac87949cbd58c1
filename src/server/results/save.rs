//! Query files that are written for people: new ones into the folder of queries, and over old ones only
//! when that is meant.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::check::Language;
use super::folder::DASHBOARD;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    #[error("the server has no folder of queries")]
    NoFolder,
    #[error("`{DASHBOARD}` is the layout of the page")]
    Reserved,
    #[error("there is a file `{0}` already")]
    Exists(String),
    #[error("the file cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// The files of a query that are there.
pub(crate) fn files(folder: &Path, name: &str) -> Vec<String> {
    let named = |language: Language| format!("{name}.{}", language.extension());
    let both = [Language::Sql, Language::Json].map(named);
    let there = |file: &String| fs::symlink_metadata(folder.join(file)).is_ok();
    both.into_iter().filter(there).collect()
}

/// Writes a query's file; its name was checked to be one of a query. With `replace` it takes the place
/// of what is there. Gives the file's name.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    text: &str,
    replace: bool,
) -> Result<String, SaveError> {
    if name == DASHBOARD {
        return Err(SaveError::Reserved);
    }
    let language = Language::of(text);
    let file = format!("{name}.{}", language.extension());
    let old = files(folder, name);
    if let (Some(old), false) = (old.first(), replace) {
        return Err(SaveError::Exists(old.clone()));
    }
    // Nobody reads it before it is complete: files with a dot in front are no queries.
    let part = folder.join(format!(".{name}.part"));
    let target = folder.join(&file);
    let written = put(&part, text).and_then(|()| match replace {
        true => fs::rename(&part, &target),
        // Unlike a rename, a link takes no place that somebody else has taken meanwhile.
        false => fs::hard_link(&part, &target),
    });
    if !replace || written.is_err() {
        let _ = fs::remove_file(&part);
    }
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(SaveError::Exists(file));
        }
        Err(error) => return Err(error.into()),
    }
    // In the other language it would be the same query twice.
    for other in old.iter().filter(|old| **old != file) {
        fs::remove_file(folder.join(other))?;
    }
    Ok(file)
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    let mut out = File::create(path)?;
    out.write_all(text.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_once_unless_they_are_to_be_replaced() {
        let folder = std::env::temp_dir().join(format!("tailwater-save-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!(write(&folder, "a", "SELECT 1", false).unwrap(), "a.sql");
        assert_eq!(read("a.sql"), "SELECT 1\n");
        let refused = write(&folder, "a", "{}", false).unwrap_err();
        assert_eq!(refused.to_string(), "there is a file `a.sql` already");
        assert_eq!(read("a.sql"), "SELECT 1\n");
        assert_eq!(write(&folder, "a", "{}", true).unwrap(), "a.json");
        assert_eq!(files(&folder, "a"), ["a.json"]);
        assert!(matches!(
            write(&folder, DASHBOARD, "{}", true),
            Err(SaveError::Reserved)
        ));
        let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert_eq!(left.len(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
