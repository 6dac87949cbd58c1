//! A worker of this thread, and the dataflows that it runs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use differential_dataflow::consolidation::consolidate;
use timely::communication::Allocator;
use timely::communication::allocator::Thread;
use timely::dataflow::ProbeHandle;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::input::Handle;
use timely::worker::Worker;

use super::budget::{self, Budget, Left, Timing};
use super::builder::{Builder, Inlet, Valve};
use super::clock::Clock;
use super::operator::Pool;
use super::outlet::Outlet;
use super::streams::Streams;
use super::window::Window;
use super::{Diff, Origin, Time, Tuples, Updates};
use crate::plan::Node;
use crate::store::Store;
use crate::value::Tuple;

/// A worker of this thread. Where there are several, this one has the sources and the results of
/// all dataflows, and the others run the same dataflows beside it.
pub(super) struct Local {
    pub(super) worker: Worker,
    pub(super) pool: Pool,
    /// How many bytes are left to all dataflows together.
    left: Left,
    timing: Timing,
}

/// So long a worker waits for the others before it looks whether they are still there.
const PATIENCE: Duration = Duration::from_millis(50);

type Entry = Handle<Time, (Tuple, Diff)>;

impl Inlet<Entry> {
    /// Lets in what waits, up to a time; whether there was anything.
    fn open(&mut self, buffer: &mut Updates, time: Time, pool: &Pool) -> bool {
        let any = !buffer.is_empty();
        if any {
            self.meter.enter(buffer);
            self.entry.send_batch(buffer);
            pool.put(buffer);
            *buffer = pool.get_small();
        }
        self.entry.advance_to(time);
        any
    }
}

/// A dataflow that runs on this thread.
pub(super) struct Running {
    index: usize,
    inlets: Vec<Inlet<Entry>>,
    probe: ProbeHandle<Time>,
    time: Time,
    clocks: Vec<Valve<Clock, Entry>>,
    window: Option<Valve<Window, Entry>>,
    /// How many rows a recursion would have derived after its last round.
    cut: Rc<Cell<Diff>>,
    pub(super) outlet: Outlet,
}

impl Default for Local {
    fn default() -> Self {
        // Without a clock: nothing here parks, and wasm has none.
        let allocator = Allocator::Thread(Thread::default());
        Local::new(Worker::new(
            timely::WorkerConfig::default(),
            allocator,
            None,
        ))
    }
}

impl Local {
    pub(super) fn new(worker: Worker) -> Local {
        Local {
            worker,
            pool: Pool::default(),
            left: budget::unlimited(),
            timing: Timing::default(),
        }
    }

    /// Builds the dataflow of a plan's nodes, its clock standing at a time in milliseconds, and says
    /// what it is to be fed. Its first tick must bring all current rows.
    pub(super) fn install(
        &mut self,
        root: &Node,
        store: &mut Store,
        now: i64,
    ) -> (Running, Vec<Origin>) {
        let index = self.worker.next_dataflow_index();
        let output: Rc<RefCell<Updates>> = Rc::default();
        let buffer = output.clone();
        let pool = self.pool.clone();
        let budget = self.budget();
        self.worker.dataflow::<Time, _, _>(|scope| {
            let mut builder = {
                let pool = pool.clone();
                Builder::new(Streams { scope, pool }, store, now, budget)
            };
            let (tuples, net) = builder.result(root);
            let (origins, inlets) = builder.feeds.into_iter().unzip();
            let running = Running {
                index,
                probe: sink(tuples, pool.clone(), buffer),
                time: 0,
                inlets,
                clocks: builder.clocks,
                window: builder.window,
                cut: builder.cut,
                outlet: Outlet {
                    changes: output,
                    net,
                    fed: 0,
                    eager: builder.eager,
                    parts: None,
                    budget: builder.budget,
                    pool,
                },
            };
            (running, origins)
        })
    }

    /// Begins a dataflow's tick with what its feeds have. Several may run at once.
    pub(super) fn begin<'f>(
        &mut self,
        running: &mut Running,
        feeds: impl IntoIterator<Item = &'f mut Updates>,
    ) {
        running.time += 1;
        let (time, pool) = (running.time, &self.pool);
        let (mut feeds, mut fed) = (feeds.into_iter(), 0);
        for inlet in &mut running.inlets {
            match feeds.next() {
                Some(buffer) => fed += usize::from(inlet.open(buffer, time, pool)),
                None => inlet.entry.advance_to(time),
            }
        }
        for valve in &mut running.clocks {
            fed += usize::from(valve.inlet.open(&mut valve.buffer, time, pool));
        }
        if let Some(valve) = &mut running.window {
            fed += usize::from(valve.inlet.open(&mut valve.buffer, time, pool));
        }
        running.outlet.begin(fed);
    }

    /// Works until the dataflow's tick is done, as long as the other workers do.
    pub(super) fn finish(&mut self, running: &Running, lost: impl Fn() -> bool) {
        let time = running.time;
        self.work_while(|| running.probe.less_than(&time), lost);
    }

    fn work_while(&mut self, busy: impl Fn() -> bool, lost: impl Fn() -> bool) {
        let alone = self.worker.peers() == 1;
        while busy() && !lost() {
            if alone {
                self.worker.step();
            } else {
                self.worker.step_or_park(Some(PATIENCE));
            }
        }
    }

    /// Lets the dataflow's clock stand at another time; whether that changes anything.
    ///
    /// The conditions take turns, those that others depend on first, each in a tick of its own: so
    /// none sees what another one does as a second container in one tick.
    pub(super) fn set_clock(
        &mut self,
        running: &mut Running,
        now: i64,
        lost: impl Fn() -> bool,
    ) -> bool {
        let mut ticks = 0;
        for i in 0..running.clocks.len() {
            let Valve {
                operator, buffer, ..
            } = &mut running.clocks[i];
            operator.borrow_mut().set(now, buffer);
            if !buffer.is_empty() {
                self.begin(running, []);
                self.finish(running, &lost);
                ticks += 1;
            }
        }
        if ticks > 1 {
            consolidate(&mut running.outlet.changes.borrow_mut());
        }
        ticks > 0
    }

    /// Moves the window of the result, in a tick of its own; false if there is none that could be
    /// moved.
    pub(super) fn set_window(
        &mut self,
        running: &mut Running,
        offset: usize,
        limit: Option<usize>,
        lost: impl Fn() -> bool,
    ) -> bool {
        let Some(valve) = &mut running.window else {
            return false;
        };
        let mut window = valve.operator.borrow_mut();
        window.set(offset, limit, &mut valve.buffer);
        drop(window);
        self.begin(running, []);
        self.finish(running, lost);
        true
    }

    /// Removes a dataflow and frees all it held.
    pub(super) fn drop_dataflow(&mut self, running: Running, lost: impl Fn() -> bool) {
        let Running {
            index,
            inlets,
            probe,
            clocks,
            window,
            ..
        } = running;
        drop((inlets, clocks, window));
        if self.worker.peers() > 1 {
            // It ends on all workers when nothing can come any more.
            self.work_while(|| !probe.done(), lost);
        }
        self.worker.drop_dataflow(index);
    }
}

impl Local {
    /// Sets how many bytes there may be, and of these are held, in all dataflows and beside them.
    pub(super) fn set_limit(&mut self, limit: Option<usize>, held: usize) {
        self.left.set(budget::left(limit, held));
    }

    /// Books for one more dataflow.
    pub(super) fn budget(&self) -> Budget {
        Budget::new(self.left.clone(), self.timing.clone())
    }

    /// Lets operators take the time, or not.
    pub(super) fn set_timing(&mut self, on: bool) {
        self.timing.set(on);
    }

    /// The bytes of containers that wait for the next tick.
    pub(super) fn bytes(&self) -> usize {
        self.pool.bytes()
    }
}

impl Running {
    /// Whether it depends on the clock.
    pub(super) fn has_clock(&self) -> bool {
        !self.clocks.is_empty()
    }

    /// Whether a recursion ended before its fixed point.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.get() != 0
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
