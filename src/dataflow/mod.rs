//! Plans as timely dataflows. The only place that names timely and differential.
//!
//! Every query is a dataflow with a clock of its own: one tick is one batch that concerns it, so a
//! query that a change does not touch costs nothing. The data are differential's `(tuple, diff)`;
//! as all changes of a container share one time, it travels with the container. The operators of
//! the hot path are our own, one a file, as pure state machines over one tick's changes, which the
//! tests compare with differential's operators.

mod aggregate;
mod builder;
mod clock;
mod distinct;
mod exact_sum;
mod include;
mod join;
#[cfg(test)]
mod model;
mod operator;
mod over;
mod project;
mod recursive;
mod union;
mod window;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use timely::communication::Allocator;
use timely::communication::allocator::Thread;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::input::Handle;
use timely::dataflow::{ProbeHandle, Stream};
use timely::worker::Worker;

use crate::plan::{Node, Scan};
use crate::store::Store;
use crate::value::Tuple;
use builder::Builder;
use clock::Clock;
use operator::Pool;
pub(crate) use window::Ordered;
use window::Window;

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
    inlet: Inlet,
}

impl Feed {
    /// Sends a change of this tick. The tuple must pass the scan's filter.
    #[inline]
    pub(crate) fn send(&mut self, tuple: Tuple, diff: Diff) {
        self.inlet.buffer.push((tuple, diff));
    }
}

/// A way into a dataflow, and what waits for the next tick.
struct Inlet {
    handle: Handle<Time, (Tuple, Diff)>,
    buffer: Updates,
}

impl Inlet {
    fn new(handle: Handle<Time, (Tuple, Diff)>) -> Inlet {
        Inlet {
            handle,
            buffer: Updates::new(),
        }
    }

    /// Lets in what waits, up to a time; whether there was anything.
    fn open(&mut self, time: Time, pool: &Pool) -> bool {
        let any = !self.buffer.is_empty();
        if any {
            self.handle.send_batch(&mut self.buffer);
            self.buffer = pool.get();
        }
        self.handle.advance_to(time);
        any
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
    clocks: Vec<Valve<Clock>>,
    window: Option<Valve<Window>>,
    /// How many rows a recursion would have derived after its last round.
    cut: Rc<Cell<Diff>>,
}

/// Where changes that come from no row enter a dataflow: behind the operator whose state causes them.
struct Valve<O> {
    operator: Rc<RefCell<O>>,
    inlet: Inlet,
}

/// When a tick's updates hold each tuple only once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Net {
    Never,
    /// When a single feed had something: what meets in a join does so once.
    OneFeed,
    Always,
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
    /// Builds the dataflow of a plan's nodes, its clock standing at a time in milliseconds. Its first
    /// tick must bring all current rows.
    pub(crate) fn install(&mut self, root: &Node, store: &mut Store, now: i64) -> Dataflow {
        let index = self.worker.next_dataflow_index();
        let output: Rc<RefCell<Updates>> = Rc::default();
        let buffer = output.clone();
        let pool = self.pool.clone();
        self.worker.dataflow::<Time, _, _>(|scope| {
            let mut builder = Builder::new(scope, store, pool.clone(), now);
            let (tuples, net) = builder.root(root);
            Dataflow {
                index,
                probe: sink(tuples, pool, buffer),
                time: 0,
                output,
                net,
                fed: 0,
                feeds: builder.feeds,
                clocks: builder.clocks,
                window: builder.window,
                cut: builder.cut,
            }
        })
    }

    /// Begins a dataflow's tick with what was fed to it. Several may run at once.
    pub(crate) fn begin(&mut self, dataflow: &mut Dataflow) {
        dataflow.time += 1;
        let feeds = dataflow.feeds.iter_mut().map(|feed| &mut feed.inlet);
        let clocks = dataflow.clocks.iter_mut().map(|valve| &mut valve.inlet);
        let window = dataflow.window.iter_mut().map(|valve| &mut valve.inlet);
        let (time, pool) = (dataflow.time, &self.pool);
        let inlets = feeds.chain(clocks).chain(window);
        dataflow.fed = inlets
            .map(|inlet| usize::from(inlet.open(time, pool)))
            .sum();
    }

    /// Works until the dataflow's tick is done.
    pub(crate) fn finish(&mut self, dataflow: &Dataflow) {
        while dataflow.probe.less_than(&dataflow.time) {
            self.worker.step();
        }
    }

    /// Lets the dataflow's clock stand at another time; whether that changes anything.
    ///
    /// The conditions take turns, those that others depend on first, each in a tick of its own: so
    /// none sees what another one does as a second container in one tick.
    pub(crate) fn set_clock(&mut self, dataflow: &mut Dataflow, now: i64) -> bool {
        let mut ticks = 0;
        for i in 0..dataflow.clocks.len() {
            let Valve { operator, inlet } = &mut dataflow.clocks[i];
            operator.borrow_mut().set(now, &mut inlet.buffer);
            if !inlet.buffer.is_empty() {
                self.begin(dataflow);
                self.finish(dataflow);
                ticks += 1;
            }
        }
        if ticks > 1 {
            differential_dataflow::consolidation::consolidate(&mut dataflow.output.borrow_mut());
        }
        ticks > 0
    }

    /// Removes a dataflow and frees all it held.
    pub(crate) fn drop_dataflow(&mut self, dataflow: Dataflow) {
        let Dataflow {
            index,
            feeds,
            probe,
            clocks,
            window,
            ..
        } = dataflow;
        drop((feeds, probe, clocks, window));
        self.worker.drop_dataflow(index);
    }
}

impl Dataflow {
    /// Whether it depends on the clock.
    pub(crate) fn has_clock(&self) -> bool {
        !self.clocks.is_empty()
    }

    /// Moves the window of the result; false if there is none that could be moved.
    pub(crate) fn set_window(&mut self, offset: usize, limit: Option<usize>) -> bool {
        let Some(valve) = &mut self.window else {
            return false;
        };
        let mut window = valve.operator.borrow_mut();
        window.set(offset, limit, &mut valve.inlet.buffer);
        true
    }

    /// Whether a recursion ended before its fixed point.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.get() != 0
    }

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
