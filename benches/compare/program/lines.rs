//! Changes from a file: a line is one message, or an array of messages that are one transaction.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::value::RawValue;

pub(crate) struct Lines {
    reader: BufReader<File>,
}

/// One line.
pub(crate) struct Change(String);

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Lines> {
        let reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        Ok(Lines { reader })
    }

    pub(crate) fn change(&mut self) -> io::Result<Option<Change>> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line)?;
        Ok((read > 0).then_some(Change(line)))
    }

    /// As many changes as make a batch of `size` messages, at most `limit`; none at the end.
    pub(crate) fn batch(&mut self, limit: usize, size: usize) -> io::Result<Vec<Change>> {
        let (mut changes, mut messages) = (Vec::new(), 0);
        while changes.len() < limit && messages < size {
            let Some(change) = self.change()? else {
                break;
            };
            messages += change.count();
            changes.push(change);
        }
        Ok(changes)
    }
}

impl Change {
    pub(crate) fn messages(&self) -> Result<Vec<&str>, Box<dyn Error>> {
        let text = self.0.trim_end();
        if !text.starts_with('[') {
            return Ok(vec![text]);
        }
        let messages: Vec<&RawValue> = serde_json::from_str(text)?;
        Ok(messages.into_iter().map(RawValue::get).collect())
    }

    /// How many messages; every one has its headers.
    fn count(&self) -> usize {
        if self.0.starts_with('[') {
            self.0.matches("\"headers\":{").count()
        } else {
            1
        }
    }
}
