//! The last ranges of a log as server-sent events, so that all who follow it share the bytes.

use std::collections::VecDeque;

use bytes::Bytes;

use super::log::Tail;

/// Ranges that were encoded since the log last changed.
#[derive(Debug, Default)]
pub(crate) struct Frames(VecDeque<(Key, Frame)>);

/// What a frame depends on, besides the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) start: u64,
    pub(crate) tail: Tail,
    pub(crate) cursor: u64,
}

/// A range as events.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) events: Bytes,
    /// Where to go on.
    pub(crate) end: u64,
    /// The tail that was known.
    pub(crate) tail: Tail,
    /// The tail was reached.
    pub(crate) up_to_date: bool,
    /// Nothing follows, ever.
    pub(crate) closed: bool,
}

/// Followers who were at the tail need one; a few are for those who are just behind.
const MOST: usize = 4;

impl Frames {
    pub(crate) fn get(&self, key: Key) -> Option<Frame> {
        let (_, frame) = self.0.iter().find(|(known, _)| *known == key)?;
        Some(frame.clone())
    }

    pub(crate) fn put(&mut self, key: Key, frame: Frame) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((key, frame));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
