//! Messages, and files of them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

pub(crate) fn insert(collection: &str, key: &str, value: Value) -> Value {
    json!({"type": collection, "key": key, "value": value, "headers": {"operation": "insert"}})
}

pub(crate) fn delete(collection: &str, key: &str) -> Value {
    json!({"type": collection, "key": key, "headers": {"operation": "delete"}})
}

/// A file of lines: each a message, or an array of messages that are one transaction.
pub(crate) fn write(path: &Path, lines: impl Iterator<Item = Value>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for line in lines {
        writeln!(file, "{line}")?;
    }
    file.flush()
}
