//! Tuples move to the worker that keeps what they meet.
//!
//! The worker of a tuple is found by a hash that all processes agree on. Where several workers send,
//! a tick's tuples arrive in pieces and in any order: they wait for the tick's end and become one
//! consolidated container, so that operators see what they see with a single worker.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::io::Write;

use differential_dataflow::consolidation::consolidate;
use timely::communication::Push;
use timely::container::{Accountable, NoopBuilder};
use timely::dataflow::channels::pact::{DistributorPact, Pipeline};
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message, Stamp};
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::generic::Operator;

use super::{Time, Tuples, Updates};
use crate::plan::{Expr, encode_all};
use crate::value::{Row, Tuple};

/// Which worker a tuple goes to.
pub(super) enum Target {
    /// The one that has the subscribers.
    First,
    /// The one that has all tuples with the same values of these expressions.
    Hashed(Vec<Expr>),
}

impl Target {
    fn worker(&self, tuple: &Tuple, peers: usize, scratch: &mut Vec<u8>) -> usize {
        match self {
            Target::First => 0,
            Target::Hashed(exprs) => {
                scratch.clear();
                encode_all(exprs, tuple, scratch);
                let hash = foldhash::quality::FixedState::with_seed(0).hash_one(&scratch[..]);
                (hash % peers as u64) as usize
            }
        }
    }
}

/// Tuples on their way to one worker.
#[derive(Default)]
struct Parcel {
    target: usize,
    updates: Updates,
}

impl Accountable for Parcel {
    fn record_count(&self) -> i64 {
        self.updates.len() as i64
    }
}

impl Addressed for Parcel {
    fn target(&self) -> usize {
        self.target
    }
}

/// A container that goes to one worker as a whole.
pub(super) trait Addressed: Default {
    /// The worker.
    fn target(&self) -> usize;
}

/// Brings containers to the worker that they are for.
pub(super) struct Carrier;

impl<C: Addressed> Distributor<C> for Carrier {
    fn partition<T: Clone, P: Push<Message<T, C>>>(
        &mut self,
        container: &mut C,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let target = container.target();
        Message::push_at(container, stamp.clone(), &mut pushers[target]);
    }

    fn flush<T: Clone, P: Push<Message<T, C>>>(&mut self, _: &Stamp<T>, _: &mut [P]) {}
}

/// Moves tuples to their workers.
pub(super) fn exchange(tuples: Tuples<'_>, target: Target) -> Tuples<'_> {
    let peers = tuples.scope().peers();
    let mut scratch = Vec::new();
    let parcels = tuples.unary::<NoopBuilder<Parcel>, _, _, _>(Pipeline, "Send", move |_, _| {
        let mut parcels: Vec<Updates> = vec![Updates::new(); peers];
        move |input, output| {
            input.for_each(|capability, data| {
                for (tuple, diff) in data.drain(..) {
                    let worker = target.worker(&tuple, peers, &mut scratch);
                    parcels[worker].push((tuple, diff));
                }
                let mut session = output.session_with_builder(&capability);
                for (target, updates) in parcels.iter_mut().enumerate() {
                    if !updates.is_empty() {
                        let updates = std::mem::take(updates);
                        session.give_container(&mut Parcel { target, updates });
                    }
                }
            });
        }
    });
    let mut waiting: BTreeMap<Time, Updates> = BTreeMap::new();
    let pact = DistributorPact(|_| Carrier);
    parcels.unary_frontier(pact, "Receive", move |_, _| {
        let mut capabilities = CapabilitySet::<Time>::new();
        move |(input, frontier), output| {
            input.for_each(|capability, parcel: &mut Parcel| {
                if let Some(capability) = capability.retain_least(0) {
                    let updates = waiting.entry(*capability.time()).or_default();
                    updates.append(&mut parcel.updates);
                    capabilities.insert(capability);
                }
            });
            while let Some(entry) = waiting.first_entry()
                && !frontier.less_equal(entry.key())
            {
                let (time, mut changes) = entry.remove_entry();
                consolidate(&mut changes);
                if !changes.is_empty() {
                    let capability = capabilities.delayed(&time);
                    output.session(&capability).give_container(&mut changes);
                }
            }
            capabilities.downgrade(waiting.keys().next().as_slice().iter().copied());
        }
    })
}

/// Stands for the row of an unmatched side.
const NO_ROW: u32 = u32::MAX;

/// Between processes: the target, the number of tuples; of each its diff, the number of its rows,
/// and their bytes, each behind their number.
impl ContainerBytes for Parcel {
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        let mut rest = &bytes[..];
        let mut word = |len: usize| {
            let (head, tail) = rest.split_at(len);
            rest = tail;
            head
        };
        fn number(bytes: &[u8]) -> u32 {
            u32::from_le_bytes(bytes.try_into().expect("four bytes"))
        }
        let target = number(word(4)) as usize;
        let len = number(word(4)) as usize;
        let mut updates = Updates::with_capacity(len);
        for _ in 0..len {
            let diff = i64::from_le_bytes(word(8).try_into().expect("eight bytes")) as isize;
            let rows = number(word(4));
            let mut tuple = Tuple::new();
            for _ in 0..rows {
                let row = match number(word(4)) {
                    NO_ROW => None,
                    len => Some(Row::from_bytes(word(len as usize))),
                };
                tuple.push(row);
            }
            updates.push((tuple, diff));
        }
        Parcel { target, updates }
    }

    fn length_in_bytes(&self) -> usize {
        padded(self.len())
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        // The writer is memory of the length that was asked for.
        self.write(writer).expect("there is room for the parcel");
    }
}

fn padded(len: usize) -> usize {
    len.next_multiple_of(8)
}

impl Parcel {
    fn len(&self) -> usize {
        let row = |row: &Option<Row>| 4 + row.as_ref().map_or(0, |row| row.bytes().len());
        let tuple = |(tuple, _): &(Tuple, _)| 12 + tuple.iter().map(row).sum::<usize>();
        8 + self.updates.iter().map(tuple).sum::<usize>()
    }

    fn write<W: Write>(&self, writer: &mut W) -> std::io::Result<()> {
        let number = |n: usize| (n as u32).to_le_bytes();
        writer.write_all(&number(self.target))?;
        writer.write_all(&number(self.updates.len()))?;
        for (tuple, diff) in &self.updates {
            writer.write_all(&(*diff as i64).to_le_bytes())?;
            writer.write_all(&number(tuple.len()))?;
            for row in tuple {
                match row {
                    None => writer.write_all(&NO_ROW.to_le_bytes())?,
                    Some(row) => {
                        writer.write_all(&number(row.bytes().len()))?;
                        writer.write_all(row.bytes())?;
                    }
                }
            }
        }
        let len = self.len();
        writer.write_all(&[0; 8][..padded(len) - len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn parcels_arrive_as_they_were() {
        let row = |n: i64| Some([Value::from("k"), Value::from(n)].into_iter().collect());
        let updates = vec![
            (Tuple::from_vec(vec![row(1), None, row(3)]), -1),
            (Tuple::new(), 2),
            (Tuple::from_elem(row(1), 1), 1),
        ];
        let parcel = Parcel { target: 3, updates };
        let mut bytes = Vec::new();
        parcel.into_bytes(&mut bytes);
        assert_eq!(bytes.len(), parcel.length_in_bytes());
        let mut owner = timely::bytes::arc::BytesMut::from(bytes);
        let len = parcel.length_in_bytes();
        let there = Parcel::from_bytes(owner.extract_to(len));
        assert_eq!(
            (there.target, there.updates),
            (parcel.target, parcel.updates)
        );
    }
}
