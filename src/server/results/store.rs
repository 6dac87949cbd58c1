//! Queries that came over HTTP, kept as files so that they are there after a restart.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde_json::value::RawValue;

use crate::query::QueryFile;

/// Keeps a query.
pub(super) fn put(directory: &Path, name: &str, file: &QueryFile) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let text = to_json(file)?;
    // The old one is there until the new one is complete.
    let part = directory.join(format!("{name}.part"));
    let mut out = File::create(&part)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(part, directory.join(format!("{name}.json")))
}

/// Keeps a query no longer.
pub(super) fn remove(directory: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(directory.join(format!("{name}.json"))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// The query's clauses, and beside them what belongs to it.
fn to_json(file: &QueryFile) -> io::Result<String> {
    let query = file.query.to_json().map_err(io::Error::other)?;
    let mut fields = serde_json::Map::new();
    let beside = [
        ("source", file.source.clone().map(serde_json::Value::from)),
        ("view", file.view.clone()),
    ];
    for (name, value) in beside {
        fields.extend(value.map(|value| (name.to_owned(), value)));
    }
    let mut text = serde_json::to_string(&fields)?;
    if !fields.is_empty() {
        // Both are objects; the query's order of fields is kept.
        text.pop();
        text.push(',');
        text.push_str(query.trim_start().trim_start_matches('{'));
        return Ok(text);
    }
    let raw = RawValue::from_string(query)?;
    Ok(raw.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let from = r#""from":{"type":"collectionRef","collection":"t","alias":"t"}"#;
        for beside in ["", r#""source":"a/b","#, r#""view":{"title":"T"},"#] {
            let file = QueryFile::from_json(&format!("{{{beside}{from}}}")).unwrap();
            let again = QueryFile::from_json(&to_json(&file).unwrap()).unwrap();
            assert_eq!(again, file, "{beside}");
        }
    }
}
