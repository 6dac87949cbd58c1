//! Plans as timely dataflows. The only place that names timely and differential.
//!
//! Every query is a dataflow with a clock of its own: one tick is one batch that concerns it, so a
//! query that a change does not touch costs nothing. The data are differential's `(tuple, diff)`;
//! as all changes of a container share one time, it travels with the container. The operators of
//! the hot path are our own, one a file, as pure state machines over one tick's changes, which the
//! tests compare with differential's operators.

mod aggregate;
mod distinct;
mod exact_sum;
mod join;
#[cfg(test)]
mod model;
mod operator;
mod project;
mod window;

use std::cell::RefCell;
use std::rc::Rc;

use timely::communication::Allocator;
use timely::communication::allocator::Thread;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Input as _;
use timely::dataflow::operators::vec::input::Handle;
use timely::dataflow::{ProbeHandle, Scope, Stream};
use timely::worker::Worker;

use crate::plan::{Node, Scan};
use crate::store::Store;
use crate::value::Tuple;
use operator::{Pool, binary, unary, unary_eager};
pub(crate) use window::Ordered;

/// A query's clock: the number of the batch that concerns it.
pub(crate) type Time = u64;
/// How many times a tuple came, or left where negative.
pub(crate) type Diff = isize;
/// Changes of one tick.
pub(crate) type Updates = Vec<(Tuple, Diff)>;

type Tuples<'s> = Stream<'s, Time, Updates>;

/// The worker that runs dataflows on the caller's thread.
pub(crate) struct Runtime {
    worker: Worker,
    pool: Pool,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("dataflows", &self.worker.installed_dataflows().len())
            .finish()
    }
}

/// A scan of a running query and the way into its dataflow.
pub(crate) struct Feed {
    /// What it reads.
    pub(crate) scan: Scan,
    handle: Handle<Time, (Tuple, Diff)>,
    buffer: Updates,
}

impl Feed {
    /// Sends a change of this tick. The tuple must pass the scan's filter.
    #[inline]
    pub(crate) fn send(&mut self, tuple: Tuple, diff: Diff) {
        self.buffer.push((tuple, diff));
    }
}

/// A running query.
pub(crate) struct Dataflow {
    index: usize,
    /// The scans, in the order of [`crate::plan::Plan::scans`].
    pub(crate) feeds: Vec<Feed>,
    probe: ProbeHandle<Time>,
    time: Time,
    output: Rc<RefCell<Updates>>,
    net: Net,
    /// How many feeds had something in the last tick.
    fed: usize,
}

/// When a tick's updates hold each tuple only once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Net {
    Always,
    /// When a single feed had something: what meets in a join does so once.
    OneFeed,
    Never,
}

impl std::fmt::Debug for Dataflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataflow")
            .field("index", &self.index)
            .field("time", &self.time)
            .finish()
    }
}

impl Default for Runtime {
    fn default() -> Self {
        // Without a clock: nothing here parks, and wasm has none.
        let allocator = Allocator::Thread(Thread::default());
        let worker = Worker::new(timely::WorkerConfig::default(), allocator, None);
        Runtime {
            worker,
            pool: Pool::default(),
        }
    }
}

impl Runtime {
    /// Builds the dataflow of a plan's nodes. Its first tick must bring all current rows.
    pub(crate) fn install(&mut self, root: &Node, store: &mut Store) -> Dataflow {
        let index = self.worker.next_dataflow_index();
        let output: Rc<RefCell<Updates>> = Rc::default();
        let buffer = output.clone();
        let (feeds, probe, net) = self.worker.dataflow::<Time, _, _>(|scope| {
            let mut builder = Builder {
                scope,
                store,
                pool: self.pool.clone(),
                feeds: Vec::new(),
            };
            let (tuples, net) = builder.node(root);
            (builder.feeds, sink(tuples, self.pool.clone(), buffer), net)
        });
        Dataflow {
            index,
            feeds,
            probe,
            time: 0,
            output,
            net,
            fed: 0,
        }
    }

    /// Begins a dataflow's tick with what was fed to it. Several may run at once.
    pub(crate) fn begin(&mut self, dataflow: &mut Dataflow) {
        dataflow.time += 1;
        dataflow.fed = 0;
        for feed in &mut dataflow.feeds {
            if !feed.buffer.is_empty() {
                dataflow.fed += 1;
                feed.handle.send_batch(&mut feed.buffer);
                feed.buffer = self.pool.get();
            }
            feed.handle.advance_to(dataflow.time);
        }
    }

    /// Works until the dataflow's tick is done.
    pub(crate) fn finish(&mut self, dataflow: &Dataflow) {
        while dataflow.probe.less_than(&dataflow.time) {
            self.worker.step();
        }
    }

    /// Removes a dataflow and frees all it held.
    pub(crate) fn drop_dataflow(&mut self, dataflow: Dataflow) {
        let Dataflow {
            index,
            feeds,
            probe,
            ..
        } = dataflow;
        drop((feeds, probe));
        self.worker.drop_dataflow(index);
    }
}

impl Dataflow {
    /// What the last tick brought out: at most one change of a tuple, its diff 1 or -1. To be
    /// emptied by the caller.
    pub(crate) fn output(&mut self) -> std::cell::RefMut<'_, Updates> {
        let mut updates = self.output.borrow_mut();
        let net = self.net == Net::Always || (self.net == Net::OneFeed && self.fed <= 1);
        if !net && updates.len() > 1 {
            differential_dataflow::consolidation::consolidate(&mut updates);
        }
        updates
    }
}

struct Builder<'a, 's> {
    scope: Scope<'s, Time>,
    store: &'a mut Store,
    pool: Pool,
    feeds: Vec<Feed>,
}

impl<'s> Builder<'_, 's> {
    /// The tuples of a node.
    fn node(&mut self, node: &Node) -> (Tuples<'s>, Net) {
        match node {
            Node::Scan(scan) => {
                let (handle, stream) = self.scope.new_input();
                self.feeds.push(Feed {
                    scan: scan.clone(),
                    handle,
                    buffer: Updates::new(),
                });
                (stream, Net::Always)
            }
            Node::Filter { input, predicates } => {
                let (tuples, net) = self.node(input);
                let operator = project::Filter {
                    predicates: predicates.clone(),
                };
                (unary(tuples, "Filter", self.pool.clone(), operator), net)
            }
            Node::Project { input, fields } => {
                // A change in what is not projected comes as the same row twice.
                let (tuples, _) = self.node(input);
                (
                    unary(
                        tuples,
                        "Project",
                        self.pool.clone(),
                        project::Project::new(fields.clone()),
                    ),
                    Net::Never,
                )
            }
            Node::Join(join) => {
                let (left, left_net) = self.node(&join.left);
                let (right, right_net) = self.node(&join.right);
                let mut side = |node: &Node, keys, net| match node {
                    Node::Scan(scan) => join::Side::shared(self.store.arrange(scan, keys)),
                    _ => join::Side::private(net == Net::Always),
                };
                let left_side = side(&join.left, &join.left_keys, left_net);
                let right_side = side(&join.right, &join.right_keys, right_net);
                let operator = join::Join::new(join, left_side, right_side);
                let outer = join.kind.keeps_left() || join.kind.keeps_right();
                let net = if outer && !join.residual.is_empty() {
                    Net::Never
                } else {
                    Net::OneFeed
                };
                (
                    binary(left, right, "Join", self.pool.clone(), operator),
                    net,
                )
            }
            Node::Aggregate {
                input,
                keys,
                aggregates,
            } => {
                let (tuples, _) = self.node(input);
                let operator = aggregate::Aggregate::new(keys.clone(), aggregates.clone());
                let groups = match keys.is_empty() {
                    true => unary_eager(tuples, "Aggregate", operator),
                    false => unary(tuples, "Aggregate", self.pool.clone(), operator),
                };
                (groups, Net::Always)
            }
            Node::Distinct { input, fields } => {
                let (tuples, _) = self.node(input);
                let operator = distinct::Distinct::new(fields.clone());
                (
                    unary(tuples, "Distinct", self.pool.clone(), operator),
                    Net::Always,
                )
            }
            Node::Window {
                input,
                order,
                offset,
                limit,
            } => {
                let (tuples, net) = self.node(input);
                let operator =
                    window::Window::new(order.clone(), *offset, *limit, net == Net::Always);
                (
                    unary(tuples, "Window", self.pool.clone(), operator),
                    Net::Always,
                )
            }
        }
    }
}

/// Moves the updates out of the dataflow.
fn sink(tuples: Tuples<'_>, pool: Pool, output: Rc<RefCell<Updates>>) -> ProbeHandle<Time> {
    // `probe` wants a container type, though nothing is ever sent.
    type Nothing = timely::container::CapacityContainerBuilder<Vec<()>>;
    let sink = tuples.unary::<Nothing, _, _, _>(Pipeline, "Sink", move |_, _| {
        move |input, _| {
            input.for_each(|_, data| {
                let mut output = output.borrow_mut();
                if output.is_empty() {
                    std::mem::swap(&mut *output, data)
                } else {
                    output.append(data)
                }
                pool.put(data);
            });
        }
    });
    sink.probe().0
}
