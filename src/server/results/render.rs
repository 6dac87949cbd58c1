//! Results as messages of the State Protocol.

use bytes::Bytes;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::protocol::{Control, Operation};
use crate::view::{Change, ChangeKind, ChangeSet, ResultRow, ResultRows};

/// What a step changed in a result: messages with commas between them.
pub(crate) fn delta(name: &str, epoch: u64, changes: &ChangeSet) -> Bytes {
    let mut out = Vec::with_capacity(changes.len() * 128);
    for change in changes.iter() {
        separate(&mut out);
        write(&mut out, &changed(name, epoch, &change));
    }
    out.into()
}

/// All rows of results after a step, each as a snapshot: messages with commas between them.
pub(crate) fn snapshot(results: &[(&str, &ResultRows)], epoch: u64) -> Bytes {
    let rows: usize = results.iter().map(|(_, rows)| rows.len()).sum();
    let mut out = Vec::with_capacity((rows + 2 * results.len()) * 128);
    for (name, rows) in results {
        separate(&mut out);
        write(&mut out, &control(name, Control::SnapshotStart));
        let ordered = rows.plan().ordered;
        for (index, row) in rows.iter().enumerate() {
            separate(&mut out);
            let message = Message {
                name,
                key: row.key(),
                row: Some(row),
                headers: Headers::Change {
                    operation: Operation::Insert,
                    epoch,
                    index: ordered.then_some(index),
                    previous: None,
                },
            };
            write(&mut out, &message);
        }
        separate(&mut out);
        write(&mut out, &control(name, Control::SnapshotEnd));
    }
    out.into()
}

fn separate(out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b',');
    }
}

fn write(out: &mut Vec<u8>, message: &impl Serialize) {
    // Values have no maps with other keys than texts, and memory does not fail.
    serde_json::to_writer(out, message).expect("a message is JSON");
}

fn control(name: &str, control: Control) -> impl Serialize {
    Controlling {
        name,
        headers: Headers::Control(control),
    }
}

fn changed<'a>(name: &'a str, epoch: u64, change: &Change<'a>) -> Message<'a> {
    let operation = match change.kind() {
        ChangeKind::Insert => Operation::Insert,
        ChangeKind::Update => Operation::Update,
        ChangeKind::Delete => Operation::Delete,
    };
    Message {
        name,
        key: change.key(),
        row: change.row(),
        headers: Headers::Change {
            operation,
            epoch,
            index: change.index(),
            previous: change.previous_index(),
        },
    }
}

struct Message<'a> {
    name: &'a str,
    key: String,
    row: Option<ResultRow<'a>>,
    headers: Headers,
}

impl Serialize for Message<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut message = out.serialize_struct("Message", 4)?;
        message.serialize_field("type", self.name)?;
        message.serialize_field("key", &self.key)?;
        if let Some(row) = &self.row {
            message.serialize_field("value", &row.json())?;
        }
        message.serialize_field("headers", &self.headers)?;
        message.end()
    }
}

#[derive(Serialize)]
struct Controlling<'a> {
    #[serde(rename = "type")]
    name: &'a str,
    headers: Headers,
}

enum Headers {
    Control(Control),
    Change {
        operation: Operation,
        epoch: u64,
        index: Option<usize>,
        previous: Option<usize>,
    },
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut headers = out.serialize_struct("Headers", 4)?;
        match self {
            Headers::Control(control) => headers.serialize_field("control", control.as_str())?,
            Headers::Change {
                operation,
                epoch,
                index,
                previous,
            } => {
                headers.serialize_field("operation", operation.as_str())?;
                headers.serialize_field("epoch", epoch)?;
                if let Some(index) = index {
                    headers.serialize_field("index", index)?;
                }
                if let Some(previous) = previous {
                    headers.serialize_field("previousIndex", previous)?;
                }
            }
        }
        headers.end()
    }
}
