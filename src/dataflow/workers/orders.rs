//! What the first worker tells the others: a dataflow whose stream reaches all of them in order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::container::{Accountable, CapacityContainerBuilder};
use timely::dataflow::ProbeHandle;
use timely::dataflow::channels::ContainerBytes;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::core::input::{Handle, Input};
use timely::dataflow::operators::generic::Operator;
use timely::worker::Worker;

use crate::dataflow::Time;
use crate::dataflow::exchange::{Addressed, Carrier};
use crate::plan::Node;
use crate::schema::Columns;

/// What a worker is to do.
#[derive(Clone)]
pub(super) enum Order {
    /// To build the dataflow of a plan, its clock standing at a time in milliseconds.
    Install(Arc<Node>, i64),
    /// What a [`Text`] says, for a worker of another process.
    Text(Arc<str>),
}

/// What goes to other processes, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) enum Text {
    /// As [`Order::Install`].
    Install { plan: String, now: i64 },
    /// The columns that collections have now, by the collections' numbers.
    Columns(Vec<NamedColumns>),
}

/// The columns of a collection.
#[derive(Serialize, Deserialize)]
pub(super) struct NamedColumns {
    pub(super) collection: usize,
    pub(super) name: String,
    pub(super) columns: Columns,
}

/// An order on its way to one worker.
#[derive(Clone, Default)]
pub(super) struct Letter {
    pub(super) target: usize,
    pub(super) order: Option<Order>,
}

impl Accountable for Letter {
    fn record_count(&self) -> i64 {
        i64::from(self.order.is_some())
    }
}

impl Addressed for Letter {
    fn target(&self) -> usize {
        self.target
    }
}

/// The target, the length of the text, the text.
impl ContainerBytes for Letter {
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        let number = |at: usize| {
            let bytes = bytes[at..at + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(bytes) as usize
        };
        let text = String::from_utf8_lossy(&bytes[16..16 + number(8)]);
        Letter {
            target: number(0),
            order: Some(Order::Text(text.into())),
        }
    }

    fn length_in_bytes(&self) -> usize {
        (16 + self.text().len()).next_multiple_of(8)
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let text = self.text();
        let padding = self.length_in_bytes() - 16 - text.len();
        let written = writer
            .write_all(&(self.target as u64).to_le_bytes())
            .and_then(|()| writer.write_all(&(text.len() as u64).to_le_bytes()))
            .and_then(|()| writer.write_all(text.as_bytes()))
            .and_then(|()| writer.write_all(&[0; 8][..padding]));
        // The writer is memory of the length that was asked for.
        written.expect("there is room for the letter");
    }
}

impl Letter {
    fn text(&self) -> &str {
        match &self.order {
            Some(Order::Text(text)) => text,
            _ => unreachable!("plans go to other processes as text"),
        }
    }
}

/// The orders that came and were not carried out yet.
pub(super) type Inbox = Rc<RefCell<VecDeque<Order>>>;

/// Where the first worker puts its orders in.
pub(super) type Outbox = Handle<Time, CapacityContainerBuilder<Letter>>;

/// Builds the dataflow that brings the orders: what the first worker puts in, all others find in
/// their inbox.
pub(super) fn post(worker: &mut Worker) -> (Outbox, Inbox, ProbeHandle<Time>) {
    let inbox = Inbox::default();
    let arriving = inbox.clone();
    worker.dataflow::<Time, _, _>(|scope| {
        let (outbox, letters) = scope.new_input::<Letter>();
        let pact = DistributorPact(|_| Carrier);
        let arrived = letters.unary::<CapacityContainerBuilder<Letter>, _, _, _>(
            pact,
            "Orders",
            move |_, _| {
                move |input, _| {
                    input.for_each(|_, letter: &mut Letter| {
                        arriving.borrow_mut().extend(letter.order.take());
                    });
                }
            },
        );
        (outbox, inbox, arrived.probe().0)
    })
}
