//! JSON lines into batches.

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::Engine;
use crate::protocol::{Message, MessageError};
use crate::schema::Catalog;
use crate::store::{Action, DecodeError, Decoder};

/// Messages that take effect in one step.
pub type Batch = Vec<Action>;

/// A message that was not taken, and where it stood.
#[derive(Debug)]
pub struct Reject {
    /// The line, from 1.
    pub line: u64,
    /// The place in the line's array, from 1; `None` for a line that is one message.
    pub message: Option<usize>,
    /// What is wrong with it.
    pub error: DecodeError,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(message) = self.message {
            write!(f, ", message {message}")?;
        }
        write!(f, ": {}", self.error)
    }
}

/// Groups JSON lines into batches: a line that is an array is one, consecutive objects form batches
/// of a given size. Messages of one transaction (`txid`) in a row are never parted.
///
/// ```
/// use std::sync::Arc;
/// use tailwater::{engine::BatchReader, schema::Catalog};
/// let mut reader = BatchReader::new(Arc::new(Catalog::open()), 1000);
/// let mut batches = Vec::new();
/// reader.line(r#"{"type":"user","key":"1","headers":{"operation":"delete"}}"#, &mut batches);
/// reader.line("[]", &mut batches);
/// assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0]);
/// ```
#[derive(Debug)]
pub struct BatchReader {
    decoder: Decoder,
    size: usize,
    open: Batch,
    /// Messages in the open batch, those of unknown types included.
    messages: usize,
    /// The transaction of the last message of the open batch.
    txid: Option<SmolStr>,
    lines: u64,
    rejects: Vec<Reject>,
}

impl BatchReader {
    /// A reader that makes batches of `size` objects, at least one.
    pub fn new(catalog: Arc<Catalog>, size: usize) -> BatchReader {
        BatchReader {
            decoder: Decoder::new(catalog),
            size: size.max(1),
            open: Batch::new(),
            messages: 0,
            txid: None,
            lines: 0,
            rejects: Vec::new(),
        }
    }

    /// Reads a line and appends the batches that it completes. Blank lines are skipped, and what
    /// is wrong is kept for [`BatchReader::take_rejects`].
    pub fn line(&mut self, text: &str, batches: &mut Vec<Batch>) {
        self.lines += 1;
        let text = text.trim();
        if text.starts_with('[') {
            self.flush(batches);
            if let Some(batch) = self.array(text) {
                batches.push(batch);
            }
        } else if !text.is_empty() {
            self.object(text, batches);
        }
    }

    /// Ends the open batch.
    pub fn flush(&mut self, batches: &mut Vec<Batch>) {
        if self.messages > 0 {
            batches.push(std::mem::take(&mut self.open));
            self.messages = 0;
            self.txid = None;
        }
    }

    /// What was not taken since the last call.
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.rejects)
    }

    fn reject(&mut self, message: Option<usize>, error: DecodeError) {
        self.rejects.push(Reject {
            line: self.lines,
            message,
            error,
        });
    }

    fn array(&mut self, text: &str) -> Option<Batch> {
        let messages: Vec<&RawValue> = match serde_json::from_str(text) {
            Ok(messages) => messages,
            Err(error) => {
                self.reject(None, MessageError::Json(error).into());
                return None;
            }
        };
        let mut batch = Batch::with_capacity(messages.len());
        for (i, message) in messages.into_iter().enumerate() {
            match self.decoder.decode(message.get()) {
                Ok(action) => batch.extend(action),
                Err(error) => self.reject(Some(i + 1), error),
            }
        }
        Some(batch)
    }

    fn object(&mut self, text: &str, batches: &mut Vec<Batch>) {
        let decoded = Message::decode(text)
            .map_err(DecodeError::from)
            .and_then(|message| {
                let txid = match &message {
                    Message::Change(change) => change.txid.as_deref().map(SmolStr::from),
                    // A control message stands with the transaction around it.
                    Message::Control(..) => self.txid.clone(),
                };
                Ok((txid, self.decoder.action(message)?))
            });
        let (txid, action) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => return self.reject(None, error),
        };
        if self.messages >= self.size && (txid.is_none() || txid != self.txid) {
            self.flush(batches);
        }
        self.open.extend(action);
        self.messages += 1;
        self.txid = txid;
        // Within a transaction, more may follow.
        if self.messages >= self.size && self.txid.is_none() {
            self.flush(batches);
        }
    }
}

impl Engine {
    /// Decodes messages, each a JSON text, into one batch.
    ///
    /// # Errors
    ///
    /// At the first text that is not a message, or whose value is not a row of its collection.
    pub fn decode<'t>(
        &self,
        messages: impl IntoIterator<Item = &'t str>,
    ) -> Result<Batch, DecodeError> {
        let mut decoder = Decoder::new(self.catalog().clone());
        messages
            .into_iter()
            .filter_map(|text| decoder.decode(text).transpose())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(size: usize, lines: &[&str]) -> (Vec<usize>, Vec<String>) {
        let mut reader = BatchReader::new(Arc::new(Catalog::open()), size);
        let mut batches = Vec::new();
        lines
            .iter()
            .for_each(|line| reader.line(line, &mut batches));
        reader.flush(&mut batches);
        let rejects = reader
            .take_rejects()
            .iter()
            .map(Reject::to_string)
            .collect();
        (batches.iter().map(Vec::len).collect(), rejects)
    }

    fn put(txid: &str) -> String {
        format!(r#"{{"type":"t","key":"k","value":{{}},"headers":{{"operation":"insert"{txid}}}}}"#)
    }

    #[test]
    fn objects_are_grouped_and_arrays_stand_alone() {
        let one = &put("");
        let array = &format!("[{one},{one}]");
        assert_eq!(
            sizes(2, &[one, one, one, "", array, "[]", one]).0,
            [2, 1, 2, 0, 1]
        );
        assert_eq!(sizes(1, &[one, one]).0, [1, 1]);
    }

    #[test]
    fn transactions_stay_whole() {
        let (a, b, none) = (&put(r#","txid":"a""#), &put(r#","txid":"b""#), &put(""));
        assert_eq!(sizes(2, &[a, a, a, b, b, none, none]).0, [3, 2, 2]);
        assert_eq!(sizes(1, &[none, a, a, none]).0, [1, 2, 1]);
    }

    #[test]
    fn bad_messages_are_named_and_the_rest_stays() {
        let one = &put("");
        let array = &format!(r#"[{one},{{"headers":{{}}}},{one}]"#);
        let (batches, rejects) = sizes(2, &[one, "{oops", one, array, "[1"]);
        assert_eq!(batches, [2, 2]);
        assert_eq!(
            rejects,
            [
                "line 2: not valid JSON: key must be a string at line 1 column 2",
                "line 4, message 2: field `headers.operation` is missing",
                "line 5: not valid JSON: EOF while parsing a list at line 1 column 2",
            ]
        );
    }
}
