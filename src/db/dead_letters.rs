//! Messages that were not taken.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::lock;
use crate::stream::Offset;

/// How much of a message is kept, in bytes.
const EXCERPT: usize = 1024;

/// A message that was not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
#[error("message {index} after offset `{offset}`: {reason}")]
#[non_exhaustive]
pub struct DeadLetter {
    /// Where the batch begins that it came in.
    pub offset: Offset,
    /// Its place in the batch, from 0.
    pub index: usize,
    /// The beginning of its text, up to 1 KiB.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl DeadLetter {
    pub(super) fn new(offset: Offset, index: usize, text: &str, reason: &dyn ToString) -> Self {
        let end = (0..=EXCERPT.min(text.len())).rfind(|end| text.is_char_boundary(*end));
        DeadLetter {
            offset,
            index,
            text: text[..end.unwrap_or(0)].to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// The messages that a database did not take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetters {
    /// How many there were.
    pub total: u64,
    /// The latest of them, oldest first.
    pub latest: Vec<DeadLetter>,
}

/// The last messages that were not taken, and how many there were.
#[derive(Debug)]
pub(super) struct DeadLetterBox {
    capacity: usize,
    state: Mutex<(u64, VecDeque<DeadLetter>)>,
}

impl DeadLetterBox {
    pub(super) fn new(capacity: usize) -> DeadLetterBox {
        DeadLetterBox {
            capacity,
            state: Mutex::default(),
        }
    }

    pub(super) fn put(&self, letter: DeadLetter) {
        let (total, latest) = &mut *lock(&self.state);
        *total += 1;
        latest.push_back(letter);
        if latest.len() > self.capacity {
            latest.pop_front();
        }
    }

    /// Takes over those of an earlier run.
    pub(super) fn restore(&self, letters: DeadLetters) {
        let (total, latest) = &mut *lock(&self.state);
        *total = letters.total;
        let more = letters.latest.len().saturating_sub(self.capacity);
        *latest = letters.latest.into_iter().skip(more).collect();
    }

    /// Forgets all, as they will come again.
    pub(super) fn clear(&self) {
        *lock(&self.state) = Default::default();
    }

    pub(super) fn get(&self) -> DeadLetters {
        let (total, latest) = &*lock(&self.state);
        DeadLetters {
            total: *total,
            latest: latest.iter().cloned().collect(),
        }
    }
}
