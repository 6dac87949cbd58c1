//! Operators on one thread, without loops: steps that are done one after the other.
//!
//! A tick goes through all of them before the next one begins. So nobody need ask how far others
//! are, and a change costs what the operators do with it: of timely's streams, this is most of what
//! a change of one row takes.

use std::cell::RefCell;
use std::rc::Rc;

use differential_dataflow::consolidation::consolidate;

use super::budget::{Budget, Meter};
use super::builder::{Builder, Inlet, Valve};
use super::clock::Clock;
use super::exchange::Target;
use super::fabric::Fabric;
use super::operator::{Binary, Pool, Unary};
use super::outlet::Outlet;
use super::window::Window;
use super::{Origin, Updates};
use crate::plan::{Node, Recursive};
use crate::store::Store;

/// The steps of one dataflow, each after those that it reads.
struct Steps {
    steps: Vec<Step>,
    /// Who reads what, by [`Wire`].
    readers: Vec<Vec<Reader>>,
    pool: Pool,
}

/// What one step brings out, or one input.
#[derive(Clone, Copy)]
struct Wire(usize);

#[derive(Clone, Copy)]
enum Reader {
    /// A step that has one input, or its left one.
    Left(usize),
    Right(usize),
    Result,
}

struct Step {
    operator: Operator,
    meter: Meter,
    /// What waits at its inputs.
    left: Updates,
    right: Updates,
    output: Wire,
    /// Whether it must be done although nothing waits.
    due: bool,
}

enum Operator {
    Unary(Box<dyn Unary>),
    Binary(Box<dyn Binary>),
}

impl Operator {
    fn bytes(&self) -> usize {
        match self {
            Operator::Unary(operator) => operator.bytes(),
            Operator::Binary(operator) => operator.bytes(),
        }
    }
}

impl Step {
    fn run(&mut self, changes: &mut Updates) {
        let (left, right) = (&mut self.left, &mut self.right);
        match &mut self.operator {
            Operator::Unary(operator) => self.meter.step([left], changes, |[input], changes| {
                operator.step(input, changes);
                operator.bytes()
            }),
            Operator::Binary(operator) => {
                let step = |[left, right]: [&mut Updates; 2], changes: &mut Updates| {
                    operator.step(left, right, changes);
                    operator.bytes()
                };
                self.meter.step([left, right], changes, step);
            }
        }
    }
}

impl Steps {
    fn wire(&mut self) -> Wire {
        self.readers.push(Vec::new());
        Wire(self.readers.len() - 1)
    }

    fn step(&mut self, inputs: &[Wire], meter: Meter, operator: Operator, due: bool) -> Wire {
        let (place, output) = (self.steps.len(), self.wire());
        let sides = [Reader::Left(place), Reader::Right(place)];
        for (wire, side) in inputs.iter().zip(sides) {
            self.readers[wire.0].push(side);
        }
        meter.hold(operator.bytes());
        self.steps.push(Step {
            operator,
            meter,
            left: Updates::new(),
            right: Updates::new(),
            output,
            due,
        });
        output
    }

    /// Gives changes to all that read a wire, and leaves none.
    fn deliver(&mut self, wire: Wire, changes: &mut Updates, result: &mut Updates) {
        let steps = &mut self.steps;
        let mut readers = self.readers[wire.0].iter().peekable();
        while let Some(reader) = readers.next() {
            let waiting = match reader {
                Reader::Left(step) => &mut steps[*step].left,
                Reader::Right(step) => &mut steps[*step].right,
                Reader::Result => &mut *result,
            };
            if readers.peek().is_some() {
                if waiting.capacity() == 0 {
                    *waiting = self.pool.get();
                }
                waiting.extend_from_slice(changes);
            } else if waiting.is_empty() {
                std::mem::swap(waiting, changes);
            } else {
                waiting.append(changes);
            }
        }
        changes.clear();
        self.pool.put(changes);
    }

    fn run(&mut self, result: &mut Updates) {
        for place in 0..self.steps.len() {
            let step = &mut self.steps[place];
            if step.left.is_empty() && step.right.is_empty() && !step.due {
                continue;
            }
            step.due = false;
            let (output, mut changes) = (step.output, self.pool.get());
            step.run(&mut changes);
            self.pool.put(&mut step.left);
            self.pool.put(&mut step.right);
            self.deliver(output, &mut changes, result);
        }
    }
}

impl Fabric for Steps {
    type Tuples = Wire;
    type Entry = Wire;

    fn peers(&self) -> usize {
        1
    }

    fn input(&mut self) -> (Wire, Wire) {
        let wire = self.wire();
        (wire, wire)
    }

    fn exchange(&mut self, tuples: Wire, _: Target) -> Wire {
        tuples
    }

    fn unary(&mut self, tuples: Wire, meter: Meter, operator: impl Unary) -> Wire {
        let operator = Operator::Unary(Box::new(operator));
        self.step(&[tuples], meter, operator, false)
    }

    fn eager(&mut self, tuples: Wire, meter: Meter, operator: impl Unary) -> Wire {
        let operator = Operator::Unary(Box::new(operator));
        self.step(&[tuples], meter, operator, true)
    }

    fn binary(&mut self, left: Wire, right: Wire, meter: Meter, operator: impl Binary) -> Wire {
        let operator = Operator::Binary(Box::new(operator));
        self.step(&[left, right], meter, operator, false)
    }

    fn valve<O: Unary>(
        &mut self,
        tuples: Wire,
        meter: Meter,
        operator: Rc<RefCell<O>>,
    ) -> (Wire, Wire) {
        let output = self.unary(tuples, meter, operator);
        (output, output)
    }

    fn recursive(_: &mut Builder<'_, Self>, _: &Recursive, _: Meter) {
        unreachable!("recursions run on timely's streams");
    }
}

/// A dataflow of steps that runs.
pub(super) struct Stepped {
    steps: Steps,
    inlets: Vec<Inlet<Wire>>,
    clocks: Vec<Valve<Clock, Wire>>,
    window: Option<Valve<Window, Wire>>,
    takes_parts: bool,
    pub(super) outlet: Outlet,
}

/// Lets in what waits; whether there was anything.
fn open(
    inlet: &Inlet<Wire>,
    buffer: &mut Updates,
    steps: &mut Steps,
    result: &mut Updates,
) -> bool {
    if buffer.is_empty() {
        return false;
    }
    inlet.meter.enter(buffer);
    steps.deliver(inlet.entry, buffer, result);
    *buffer = steps.pool.get_small();
    true
}

impl Stepped {
    /// Whether a plan's nodes can be built of steps.
    pub(super) fn can(root: &Node) -> bool {
        !root.any(&mut |node| matches!(node, Node::Recursive(_)))
    }

    /// Builds the dataflow of a plan's nodes, its clock standing at a time in milliseconds, and says
    /// what it is to be fed. Its first tick must bring all current rows.
    pub(super) fn new(
        root: &Node,
        store: &mut Store,
        now: i64,
        pool: Pool,
        budget: Budget,
    ) -> (Stepped, Vec<Origin>) {
        let steps = Steps {
            steps: Vec::new(),
            readers: Vec::new(),
            pool,
        };
        let mut builder = Builder::new(steps, store, now, budget);
        let (Wire(result), net) = builder.result(root);
        builder.fabric.readers[result].push(Reader::Result);
        let (origins, inlets) = builder.feeds.into_iter().unzip();
        let pool = builder.fabric.pool.clone();
        let stepped = Stepped {
            steps: builder.fabric,
            inlets,
            clocks: builder.clocks,
            window: builder.window,
            takes_parts: !builder.reads_arrangements,
            outlet: Outlet {
                changes: Rc::default(),
                net,
                fed: 0,
                eager: builder.eager,
                parts: None,
                budget: builder.budget,
                pool,
            },
        };
        (stepped, origins)
    }

    pub(super) fn takes_parts(&self) -> bool {
        self.takes_parts
    }

    /// Begins a tick with what the feeds have.
    pub(super) fn begin<'f>(&mut self, feeds: impl IntoIterator<Item = &'f mut Updates>) {
        let mut result = self.outlet.changes.borrow_mut();
        let mut fed = 0;
        for (inlet, buffer) in self.inlets.iter().zip(feeds) {
            fed += usize::from(open(inlet, buffer, &mut self.steps, &mut result));
        }
        drop(result);
        self.outlet.begin(fed);
    }

    /// Does the steps of a tick.
    pub(super) fn finish(&mut self) {
        self.steps.run(&mut self.outlet.changes.borrow_mut());
    }

    /// Lets the dataflow's clock stand at another time; whether that changes anything.
    ///
    /// The conditions take turns, those that others depend on first, each in a tick of its own.
    pub(super) fn set_clock(&mut self, now: i64) -> bool {
        let result = &mut self.outlet.changes.borrow_mut();
        let mut ticks = 0;
        for valve in &mut self.clocks {
            valve.operator.borrow_mut().set(now, &mut valve.buffer);
            if open(&valve.inlet, &mut valve.buffer, &mut self.steps, result) {
                self.steps.run(result);
                ticks += 1;
            }
        }
        self.outlet.fed = 1;
        if ticks > 1 {
            consolidate(result);
        }
        ticks > 0
    }

    /// Moves the window of the result, in a tick of its own; false if there is none that could be
    /// moved.
    pub(super) fn set_window(&mut self, offset: usize, limit: Option<usize>) -> bool {
        let Some(valve) = &mut self.window else {
            return false;
        };
        let result = &mut self.outlet.changes.borrow_mut();
        let mut window = valve.operator.borrow_mut();
        window.set(offset, limit, &mut valve.buffer);
        drop(window);
        open(&valve.inlet, &mut valve.buffer, &mut self.steps, result);
        self.steps.run(result);
        self.outlet.fed = 1;
        true
    }

    /// Whether it depends on the clock.
    pub(super) fn has_clock(&self) -> bool {
        !self.clocks.is_empty()
    }
}
