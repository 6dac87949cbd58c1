//! The batches of a producer between being filled and being acknowledged, without any input or
//! output: which one may be sent when, under which epoch and sequence, and what an answer means.

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::error::StreamError;
use super::super::offset::Offset;

/// Epochs and sequences are integers that JavaScript can hold.
pub(super) const MAX_NUMBER: u64 = (1 << 53) - 1;

/// What bounds the batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) batch_bytes: usize,
    pub(super) batch_items: usize,
    pub(super) in_flight: usize,
}

/// A batch that is to be sent now.
#[derive(Clone, Debug)]
pub(super) struct Send {
    /// Which batch it is, in the order of appending; stays the same when the epoch changes.
    pub(super) number: u64,
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) items: Vec<Bytes>,
    pub(super) close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be sent.
    Waiting,
    InFlight,
    /// It came before an earlier one; to be sent again when an earlier one is there.
    Early,
}

#[derive(Debug)]
struct Batch {
    items: Vec<Bytes>,
    bytes: usize,
    close: bool,
    state: State,
    /// The first batch that was not acknowledged when this one was sent.
    sent_behind: u64,
}

#[derive(Debug)]
pub(super) struct Window {
    limits: Limits,
    auto_claim: bool,
    epoch: u64,
    /// The items of the batch that is being filled.
    open: Vec<Bytes>,
    open_bytes: usize,
    /// Sealed batches from the first one that is not acknowledged.
    batches: VecDeque<Batch>,
    /// The number of the first of them.
    first: u64,
    /// The number of the batch with sequence 0 in this epoch.
    base: u64,
    in_flight: usize,
    /// Whether the server has taken a batch of this epoch. Before that, only one may be on its way:
    /// an epoch has to begin with sequence 0.
    established: bool,
    /// The epoch to claim when nothing of the old one is on its way.
    claim: Option<u64>,
    failure: Option<StreamError>,
    /// Where the stream ended behind the last batch that was acknowledged.
    end: Option<Offset>,
}

impl Window {
    pub(super) fn new(limits: Limits, epoch: u64, auto_claim: bool) -> Window {
        Window {
            limits,
            auto_claim,
            epoch,
            open: Vec::new(),
            open_bytes: 0,
            batches: VecDeque::new(),
            first: 0,
            base: 0,
            in_flight: 0,
            established: false,
            claim: None,
            failure: None,
            end: None,
        }
    }

    /// Takes an item into the open batch, or into the next one if it does not fit.
    pub(super) fn push(&mut self, item: Bytes) {
        if self.open_bytes + item.len() > self.limits.batch_bytes {
            self.seal();
        }
        self.open_bytes += item.len();
        self.open.push(item);
        if self.open.len() >= self.limits.batch_items || self.open_bytes >= self.limits.batch_bytes
        {
            self.seal();
        }
    }

    /// Ends the open batch.
    pub(super) fn seal(&mut self) {
        if !self.open.is_empty() {
            self.seal_as(false);
        }
    }

    /// Ends the open batch, and closes the stream behind it.
    pub(super) fn seal_and_close(&mut self) {
        self.seal_as(true);
    }

    fn seal_as(&mut self, close: bool) {
        self.batches.push_back(Batch {
            items: std::mem::take(&mut self.open),
            bytes: std::mem::take(&mut self.open_bytes),
            close,
            state: State::Waiting,
            sent_behind: 0,
        });
    }

    /// Whether items wait for their batch to be full.
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether more items are welcome.
    pub(super) fn has_room(&self) -> bool {
        let sealed: usize = self.batches.iter().map(|b| b.bytes.max(1)).sum();
        self.failure.is_some()
            || (self.batches.len() <= self.limits.in_flight
                && sealed
                    <= self
                        .limits
                        .batch_bytes
                        .saturating_mul(self.limits.in_flight))
    }

    /// The number behind the last sealed batch: all before it are acknowledged when
    /// [`acknowledged`](Self::acknowledged) has come there.
    pub(super) fn sealed(&self) -> u64 {
        self.first + self.batches.len() as u64
    }

    /// The number of the first batch that is not acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.first
    }

    /// How many items were pushed and are not acknowledged.
    pub(super) fn unacknowledged_items(&self) -> u64 {
        let sealed: usize = self.batches.iter().map(|batch| batch.items.len()).sum();
        (sealed + self.open.len()) as u64
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn end(&self) -> Option<&Offset> {
        self.end.as_ref()
    }

    pub(super) fn failure(&self) -> Option<&StreamError> {
        self.failure.as_ref()
    }

    /// Gives up: nothing more is sent.
    pub(super) fn fail(&mut self, error: StreamError) {
        self.failure.get_or_insert(error);
    }

    /// The next batch to send, which counts as on its way from now on.
    pub(super) fn next(&mut self) -> Option<Send> {
        if self.failure.is_some() {
            return None;
        }
        if let Some(epoch) = self.claim {
            // Answers under the old epoch still tell which batches are there.
            if self.in_flight > 0 {
                return None;
            }
            self.claim = None;
            self.epoch = epoch;
            self.base = self.first;
            self.established = false;
            // An acknowledged batch behind one that is not cannot be: the server takes them in order.
            self.batches
                .iter_mut()
                .for_each(|batch| batch.state = State::Waiting);
        }
        let limit = if self.established {
            self.limits.in_flight
        } else {
            1
        };
        if self.in_flight >= limit {
            return None;
        }
        let place = self
            .batches
            .iter()
            .position(|batch| batch.state == State::Waiting)?;
        let batch = &mut self.batches[place];
        batch.state = State::InFlight;
        batch.sent_behind = self.first;
        self.in_flight += 1;
        let number = self.first + place as u64;
        Some(Send {
            number,
            epoch: self.epoch,
            seq: number - self.base,
            items: batch.items.clone(),
            close: batch.close,
        })
    }

    /// Takes the answer to a batch that was sent.
    pub(super) fn settle(&mut self, number: u64, answer: Result<Option<Offset>, StreamError>) {
        self.in_flight -= 1;
        let Some(place) = number.checked_sub(self.first) else {
            // An answer to a later batch has told already that this one is there.
            return;
        };
        let place = place as usize;
        match answer {
            Ok(end) => {
                // The server takes batches in order, so those before this one are there too.
                self.batches.drain(..=place);
                self.first = number + 1;
                self.established = true;
                self.end = end.or(self.end.take());
                for batch in &mut self.batches {
                    if batch.state == State::Early {
                        batch.state = State::Waiting;
                    }
                }
            }
            Err(StreamError::Fenced { current, .. }) if self.auto_claim && current < MAX_NUMBER => {
                self.batches[place].state = State::Waiting;
                self.claim = self.claim.max(Some(current + 1));
            }
            // The server waited for an earlier batch, which was on its way or is to be sent. If it
            // had been acknowledged before this one was sent, the server has lost it.
            Err(StreamError::SequenceGap { expected, sent, .. })
                if expected < sent && self.base + expected >= self.batches[place].sent_behind =>
            {
                // Answers overtake each other: the earlier ones may all be there by now.
                self.batches[place].state = match place {
                    0 => State::Waiting,
                    _ => State::Early,
                };
            }
            Err(error) => self.fail(error),
        }
    }
}

#[cfg(test)]
mod tests;
