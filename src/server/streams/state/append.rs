//! Appending to streams and closing them, with what producers say.

use std::sync::Arc;

use super::State;
use crate::server::streams::command::{Append, Appended, Refusal};
use crate::server::streams::record::{Claim, Producer};

/// Producers may be forgotten when they were silent for so long and room is needed.
const PRODUCER_SECONDS: u64 = 7 * 24 * 60 * 60;

impl State {
    pub(crate) fn append(&mut self, append: Append) -> Result<Appended, Refusal> {
        let Append {
            stream: id,
            content,
            close,
            seq,
            claim,
        } = append;
        let stream = self.streams.get_mut(&id).ok_or(Refusal::Missing)?;
        stream.check()?;
        stream.log.clock().touch();
        let closed = stream.record.closed;
        let mut appended = Appended {
            end: stream.end,
            closed,
            producer: None,
            duplicate: true,
        };
        let verdict = claim.as_ref().map_or(Ok(Verdict::Next), |claim| {
            judge(claim, stream.producers.get(&*claim.producer))
        });
        match verdict {
            Err(stale @ Refusal::StaleEpoch { .. }) => return Err(stale),
            // A retry, also of what closed the stream.
            Ok(Verdict::Duplicate { epoch, highest })
                if !closed || !close || stream.record.closed_by == claim =>
            {
                appended.producer = Some((epoch, highest));
                return Ok(appended);
            }
            Ok(Verdict::Next) if closed && close && content.is_none() && claim.is_none() => {
                return Ok(appended);
            }
            _ if closed => return Err(Refusal::Closed { end: stream.end }),
            Ok(_) => {}
            Err(refusal) => return Err(refusal),
        }
        if let (Some(seq), Some(last)) = (&seq, &stream.record.seq)
            && seq.as_bytes() <= last.as_bytes()
        {
            return Err(Refusal::Seq { last: last.clone() });
        }
        if let Some(claim) = &claim {
            let name: Arc<str> = claim.producer.as_str().into();
            let now = jiff::Timestamp::now().as_second().max(0) as u64;
            let most = self.most.producers;
            if !stream.producers.contains_key(&name) && stream.producers.len() >= most {
                stream
                    .producers
                    .retain(|_, known| known.used + PRODUCER_SECONDS > now);
                if stream.producers.len() >= most {
                    return Err(Refusal::TooManyProducers { most });
                }
            }
            let producer = Producer {
                epoch: claim.epoch,
                seq: claim.seq,
                used: now,
            };
            stream.producers.insert(name.clone(), producer);
            self.changes
                .streams
                .entry(id)
                .or_default()
                .producers
                .insert(name);
            appended.producer = Some((claim.epoch, claim.seq));
        }
        let change = self.changes.streams.entry(id).or_default();
        if seq.is_some() {
            stream.record.seq = seq;
            change.record = true;
        }
        if close {
            stream.record.closed = true;
            stream.record.closed_by = claim;
            change.record = true;
        }
        if let Some(content) = content {
            change.chunks.push(stream.append(content));
        }
        appended.end = stream.end;
        appended.closed = close;
        appended.duplicate = false;
        Ok(appended)
    }
}

/// What a producer's claim amounts to, if it is no fault.
enum Verdict {
    Next,
    Duplicate { epoch: u64, highest: u64 },
}

fn judge(claim: &Claim, known: Option<&Producer>) -> Result<Verdict, Refusal> {
    let &Claim { epoch, seq, .. } = claim;
    let expected = match known {
        Some(known) if epoch < known.epoch => {
            return Err(Refusal::StaleEpoch { known: known.epoch });
        }
        Some(known) if epoch > known.epoch && seq != 0 => return Err(Refusal::EpochStart { seq }),
        Some(known) if epoch == known.epoch && seq <= known.seq => {
            return Ok(Verdict::Duplicate {
                epoch,
                highest: known.seq,
            });
        }
        Some(known) if epoch == known.epoch => known.seq + 1,
        _ => 0,
    };
    if seq == expected {
        Ok(Verdict::Next)
    } else {
        Err(Refusal::Gap {
            expected,
            received: seq,
        })
    }
}
