//! Recursive queries, in differential's own operators.
//!
//! Differential keeps, for every round of the iteration, what it derived, so that a row that leaves
//! takes along just what no other derivation upholds. What does not depend on the recursion is
//! computed outside of it, by the operators that all other queries use.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use differential_dataflow::AsCollection;
use differential_dataflow::VecCollection;
use differential_dataflow::consolidation::consolidate;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::operators::iterate::Variable;
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::implementations::spine_fueled::SpineBatch;
use differential_dataflow::trace::implementations::{ValBatcher, ValBuilder, ValSpine};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Filter;
use timely::order::Product;
use timely::progress::frontier::AntichainRef;

use super::budget::{Meter, TUPLE};
use super::builder::Builder;
use super::distinct::Rows;
use super::join::{concat, cost};
use super::project::{self, Project};
use super::streams::Streams;
use super::{Diff, Net, Time, Tuples, Updates};
use crate::plan::{Expr, Join, Node, Recursive, join_key};
use crate::value::{Row, Tuple, single};

/// A tick, and a round of the iteration within it.
type Round = Product<Time, u64>;
type Collection<'s, T> = VecCollection<'s, T, Tuple, Diff>;
/// Tuples by key. One type for all uses, as each one costs seconds to compile.
type Keyed<'s> = Arranged<'s, Trace>;
type Trace = TraceAgent<ValSpine<Vec<u8>, Tuple, Round, Diff>>;

/// About what a trace keeps of a change: the tuple, its round and diff, its part of a key, and a row
/// that nobody else has.
const RECORD: usize = size_of::<(Tuple, Round, Diff)>() + 64;

/// Builds the definitions of a recursion, and binds their numbers to what they come to.
pub(super) fn build<'s>(
    recursive: &Recursive,
    meter: Meter,
    builder: &mut Builder<'_, Streams<'s>>,
) {
    let ids: Vec<usize> = recursive.definitions.iter().map(|(id, _)| *id).collect();
    let mut constants = VecDeque::new();
    for (_, node) in &recursive.definitions {
        outside(node, &ids, builder, &mut constants);
    }
    let (outer, max, cut) = (
        builder.fabric.scope,
        recursive.max_rounds,
        builder.cut.clone(),
    );
    let mut traces = Vec::new();
    let finished: Vec<Collection<'s, Time>> = outer.iterative::<u64, _, _>(|inner| {
        let (mut variables, mut bound) = (Vec::new(), HashMap::new());
        for id in &ids {
            let (variable, rows) = Variable::new(inner, Product::new(Default::default(), 1));
            variables.push(variable);
            bound.insert(*id, rows);
        }
        let constants = constants.into_iter().map(|tuples| tuples.enter(inner));
        let mut inside = Inside {
            constants: constants.collect(),
            bound,
            ids: &ids,
            meter: meter.clone(),
            traces: &mut traces,
        };
        let mut finished = Vec::new();
        for ((_, node), variable) in recursive.definitions.iter().zip(variables) {
            let rows = inside.node(node);
            let (cut, meter) = (cut.clone(), meter.clone());
            // One round more shows whether anything would come after the last one.
            let feedback = rows.inner.clone().filter(move |(_, time, diff)| {
                if time.inner > max {
                    cut.set(cut.get() + diff);
                }
                time.inner <= max && !meter.is_stopped()
            });
            variable.set(feedback.as_collection());
            let within = rows.inner.filter(move |(_, time, _)| time.inner <= max);
            finished.push(within.as_collection().leave(outer));
        }
        finished
    });
    let held = Rc::new(Held { meter, traces });
    for (id, rows) in ids.into_iter().zip(finished) {
        let rows = by_tick(rows, held.clone());
        builder.bound.insert(id, (rows, Net::Always));
    }
}

/// What the recursion keeps.
struct Held {
    meter: Meter,
    traces: Vec<Trace>,
}

impl Held {
    fn update(&self) {
        let mut records = 0;
        for trace in &self.traces {
            trace.map_spans(|span| records += span.inner.as_ref().map_or(0, |batch| batch.len()));
        }
        self.meter.hold(records * RECORD);
    }
}

fn is_recursive(node: &Node, ids: &[usize]) -> bool {
    node.any(&mut |n| matches!(n, Node::Bound(id) if ids.contains(id)))
}

/// Builds what does not depend on the recursion, in the order in which [`Inside::node`] meets it.
fn outside<'s>(
    node: &Node,
    ids: &[usize],
    builder: &mut Builder<'_, Streams<'s>>,
    found: &mut VecDeque<Collection<'s, Time>>,
) {
    if is_recursive(node, ids) {
        let inputs = node.inputs().into_iter();
        inputs.for_each(|input| outside(input, ids, builder, found));
    } else {
        let tuples = builder.input(node, true);
        // The rounds run on the first worker alone.
        let (tuples, _) = builder.gather(tuples);
        found.push_back(timed(tuples));
    }
}

/// The operators within the iteration.
struct Inside<'i, 'n> {
    meter: Meter,
    traces: &'n mut Vec<Trace>,
    constants: VecDeque<Collection<'i, Round>>,
    bound: HashMap<usize, Collection<'i, Round>>,
    ids: &'n [usize],
}

impl<'i> Inside<'i, '_> {
    fn node(&mut self, node: &Node) -> Collection<'i, Round> {
        if !is_recursive(node, self.ids) {
            return self.constants.pop_front().expect("built in this order");
        }
        match node {
            Node::Bound(id) => self.bound[id].clone(),
            Node::Filter { input, predicates } => {
                let filter = project::Filter {
                    predicates: predicates.clone(),
                };
                self.node(input).filter(move |tuple| filter.accepts(tuple))
            }
            Node::Project {
                input,
                fields,
                branch,
            } => {
                let meter = self.meter.clone();
                let mut project =
                    Project::new(fields.clone(), branch.clone(), false, meter.clone());
                let row = move |tuple| made(project.row(&tuple), &meter);
                self.node(input).flat_map(row)
            }
            Node::Union(inputs) => {
                let mut inputs = inputs.iter();
                let first = self.node(inputs.next().expect("a union has branches"));
                inputs.fold(first, |tuples, input| tuples.concat(self.node(input)))
            }
            Node::Distinct {
                input,
                fields,
                keyed,
            } => {
                debug_assert!(keyed, "only contexts of includes have no key");
                let mut rows = Rows::new(fields.clone(), true);
                let meter = self.meter.clone();
                let rows = self.node(input).flat_map(move |tuple| {
                    let row = rows.row(&tuple);
                    let key = row.key().to_vec();
                    made(row, &meter).map(|tuple| (key, tuple))
                });
                let rows = self.arrange(rows);
                let rows = self.traced(distinct(rows));
                rows.as_collection(|_, tuple| tuple.clone())
            }
            Node::Join(join) => {
                let (left, right) = (self.node(&join.left), self.node(&join.right));
                self.join(join, left, right)
            }
            Node::Scan(_)
            | Node::Common { .. }
            | Node::Clock { .. }
            | Node::Aggregate { .. }
            | Node::Window { .. }
            | Node::Over { .. }
            | Node::Include(_)
            | Node::Recursive(_) => unreachable!("the planner refuses these within a recursion"),
        }
    }

    fn arrange(&mut self, tuples: VecCollection<'i, Round, (Vec<u8>, Tuple), Diff>) -> Keyed<'i> {
        self.traced(arrange_core(
            tuples.inner,
            Pipeline,
            "Arrange",
            ValBatcher::new,
        ))
    }

    /// Remembers what is kept, without keeping it from being compacted.
    fn traced(&mut self, keyed: Keyed<'i>) -> Keyed<'i> {
        let mut trace = keyed.trace.clone();
        trace.set_logical_compaction(AntichainRef::new(&[]));
        trace.set_physical_compaction(AntichainRef::new(&[]));
        self.traces.push(trace);
        keyed
    }

    fn join(
        &mut self,
        join: &Join,
        left: Collection<'i, Round>,
        right: Collection<'i, Round>,
    ) -> Collection<'i, Round> {
        let meter = self.meter.clone();
        let keyed = |tuples: Collection<'i, Round>, keys: &[Expr]| {
            let (keys, meter) = (keys.to_vec(), meter.clone());
            tuples.flat_map(move |tuple| {
                let mut scratch = Vec::new();
                let there = meter.spend(RECORD);
                let key = join_key(&keys, &tuple, &mut scratch)
                    .filter(|_| there)?
                    .to_vec();
                Some((key, tuple))
            })
        };
        let (left, right) = (keyed(left, &join.left_keys), keyed(right, &join.right_keys));
        let (left, right) = (self.arrange(left), self.arrange(right));
        let filter = project::Filter {
            predicates: join.residual.clone(),
        };
        let cost = cost(join.left_arity + join.right_arity);
        left.join_core(right, move |_, left, right| {
            let joined = concat(left, right);
            (filter.accepts(&joined) && meter.spend(cost)).then_some(joined)
        })
    }
}

/// A row as tuple, if there is memory left for it.
fn made(row: Row, meter: &Meter) -> Option<Tuple> {
    let is_left = meter.spend(TUPLE + row.size());
    is_left.then(|| single(row))
}

/// One tuple of each key. Tuples of a key are equal.
fn distinct(tuples: Keyed<'_>) -> Keyed<'_> {
    tuples.reduce_abelian::<_, ValBuilder<Vec<u8>, Tuple, Round, Diff>, _, _, _>(
        "Distinct",
        |_, input, output: &mut Vec<(Tuple, Diff)>| {
            if let Some((tuple, _)) = input.iter().find(|(_, count)| *count > 0) {
                output.push(((*tuple).clone(), 1));
            }
        },
        |chunk, key, updates| {
            chunk.clear();
            let keyed = |(tuple, time, diff)| ((key.clone(), tuple), time, diff);
            chunk.extend(updates.drain(..).map(keyed));
        },
    )
}

/// Gives each change the time of the container it travels in.
fn timed(tuples: Tuples<'_>) -> Collection<'_, Time> {
    let timed = tuples.unary(Pipeline, "Timed", |_, _| {
        |input, output| {
            input.for_each(|capability, data| {
                let Some(capability) = capability.retain_least(0) else {
                    return;
                };
                let time = *capability.time();
                let mut changes: Vec<(Tuple, Time, Diff)> = std::mem::take(data)
                    .into_iter()
                    .map(|(tuple, diff)| (tuple, time, diff))
                    .collect();
                output.session(&capability).give_container(&mut changes);
            });
        }
    });
    timed.as_collection()
}

/// Puts the changes of each tick into one container, consolidated.
fn by_tick(rows: Collection<'_, Time>, held: Rc<Held>) -> Tuples<'_> {
    let mut waiting: std::collections::BTreeMap<Time, Updates> = Default::default();
    rows.inner.unary_frontier(Pipeline, "ByTick", move |_, _| {
        let mut capabilities = CapabilitySet::<Time>::new();
        move |(input, frontier), output| {
            input.for_each(|capability, data| {
                if let Some(capability) = capability.retain_least(0) {
                    capabilities.insert(capability);
                }
                for (tuple, time, diff) in std::mem::take(data) {
                    waiting.entry(time).or_default().push((tuple, diff));
                }
            });
            while let Some(entry) = waiting.first_entry()
                && !frontier.less_equal(entry.key())
            {
                let (time, mut changes) = entry.remove_entry();
                consolidate(&mut changes);
                if !changes.is_empty() {
                    held.meter.went(&changes);
                    let capability = capabilities.delayed(&time);
                    output.session(&capability).give_container(&mut changes);
                }
            }
            capabilities.downgrade(waiting.keys().next().as_slice().iter().copied());
            held.update();
        }
    })
}
