//! Recursive queries, in differential's own operators.
//!
//! Differential keeps, for every round of the iteration, what it derived, so that a row that leaves
//! takes along just what no other derivation upholds. What does not depend on the recursion is
//! computed outside of it, by the operators that all other queries use.

use std::collections::{HashMap, VecDeque};

use differential_dataflow::AsCollection;
use differential_dataflow::VecCollection;
use differential_dataflow::consolidation::consolidate;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::operators::iterate::Variable;
use differential_dataflow::trace::implementations::{ValBatcher, ValBuilder, ValSpine};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Filter;
use timely::order::Product;

use super::builder::Builder;
use super::distinct::Rows;
use super::join::concat;
use super::project::{self, Project};
use super::{Diff, Net, Time, Tuples, Updates};
use crate::plan::{Expr, Join, Node, Recursive, encode_join_key};
use crate::value::Tuple;

/// A tick, and a round of the iteration within it.
type Round = Product<Time, u64>;
type Collection<'s, T> = VecCollection<'s, T, Tuple, Diff>;
/// Tuples by key. One type for all uses, as each one costs seconds to compile.
type Keyed<'s> = Arranged<'s, TraceAgent<ValSpine<Vec<u8>, Tuple, Round, Diff>>>;

/// Builds the definitions of a recursion, and binds their numbers to what they come to.
pub(super) fn build<'s>(recursive: &Recursive, builder: &mut Builder<'_, 's>) {
    let ids: Vec<usize> = recursive.definitions.iter().map(|(id, _)| *id).collect();
    let mut constants = VecDeque::new();
    for (_, node) in &recursive.definitions {
        outside(node, &ids, builder, &mut constants);
    }
    let (outer, max, cut) = (builder.scope, recursive.max_rounds, builder.cut.clone());
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
        };
        let mut finished = Vec::new();
        for ((_, node), variable) in recursive.definitions.iter().zip(variables) {
            let rows = inside.node(node);
            let cut = cut.clone();
            // One round more shows whether anything would come after the last one.
            let feedback = rows.inner.clone().filter(move |(_, time, diff)| {
                if time.inner > max {
                    cut.set(cut.get() + diff);
                }
                time.inner <= max
            });
            variable.set(feedback.as_collection());
            let within = rows.inner.filter(move |(_, time, _)| time.inner <= max);
            finished.push(within.as_collection().leave(outer));
        }
        finished
    });
    for (id, rows) in ids.into_iter().zip(finished) {
        builder.bound.insert(id, (by_tick(rows), Net::Always));
    }
}

fn is_recursive(node: &Node, ids: &[usize]) -> bool {
    node.any(&mut |n| matches!(n, Node::Bound(id) if ids.contains(id)))
}

/// Builds what does not depend on the recursion, in the order in which [`Inside::node`] meets it.
fn outside<'s>(
    node: &Node,
    ids: &[usize],
    builder: &mut Builder<'_, 's>,
    found: &mut VecDeque<Collection<'s, Time>>,
) {
    if is_recursive(node, ids) {
        let inputs = node.inputs().into_iter();
        inputs.for_each(|input| outside(input, ids, builder, found));
    } else {
        let (tuples, _) = builder.node(node);
        found.push_back(timed(tuples));
    }
}

/// The operators within the iteration.
struct Inside<'i, 'n> {
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
                let mut project = Project::new(fields.clone(), branch.clone());
                self.node(input).map(move |tuple| project.tuple(&tuple))
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
                let rows = self.node(input).map(move |tuple| {
                    let row = rows.row(&tuple);
                    (row.key().to_vec(), Tuple::from_elem(Some(row), 1))
                });
                distinct(arrange(rows))
            }
            Node::Join(join) => {
                let (left, right) = (self.node(&join.left), self.node(&join.right));
                self::join(join, left, right)
            }
            Node::Scan(_)
            | Node::Clock { .. }
            | Node::Aggregate { .. }
            | Node::Window { .. }
            | Node::Over { .. }
            | Node::Include(_)
            | Node::Recursive(_) => unreachable!("the planner refuses these within a recursion"),
        }
    }
}

fn arrange<'i>(tuples: VecCollection<'i, Round, (Vec<u8>, Tuple), Diff>) -> Keyed<'i> {
    arrange_core(tuples.inner, Pipeline, "Arrange", ValBatcher::new)
}

/// One tuple of each key. Tuples of a key are equal.
fn distinct(tuples: Keyed<'_>) -> Collection<'_, Round> {
    let reduced: Keyed<'_> = tuples
        .reduce_abelian::<_, ValBuilder<Vec<u8>, Tuple, Round, Diff>, _, _, _>(
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
        );
    reduced.as_collection(|_, tuple| tuple.clone())
}

fn join<'i>(
    join: &Join,
    left: Collection<'i, Round>,
    right: Collection<'i, Round>,
) -> Collection<'i, Round> {
    let keyed = |tuples: Collection<'i, Round>, keys: &[Expr]| {
        let keys = keys.to_vec();
        arrange(tuples.flat_map(move |tuple| {
            let mut key = Vec::new();
            encode_join_key(&keys, &tuple, &mut key).then_some((key, tuple))
        }))
    };
    let (left, right) = (keyed(left, &join.left_keys), keyed(right, &join.right_keys));
    let filter = project::Filter {
        predicates: join.residual.clone(),
    };
    left.join_core(right, move |_, left, right| {
        let joined = concat(left, right);
        filter.accepts(&joined).then_some(joined)
    })
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
                let mut changes: Vec<(Tuple, Time, Diff)> = data
                    .drain(..)
                    .map(|(tuple, diff)| (tuple, time, diff))
                    .collect();
                output.session(&capability).give_container(&mut changes);
            });
        }
    });
    timed.as_collection()
}

/// Puts the changes of each tick into one container, consolidated.
fn by_tick(rows: Collection<'_, Time>) -> Tuples<'_> {
    let mut waiting: std::collections::BTreeMap<Time, Updates> = Default::default();
    rows.inner.unary_frontier(Pipeline, "ByTick", move |_, _| {
        let mut capabilities = CapabilitySet::<Time>::new();
        move |(input, frontier), output| {
            input.for_each(|capability, data| {
                if let Some(capability) = capability.retain_least(0) {
                    capabilities.insert(capability);
                }
                for (tuple, time, diff) in data.drain(..) {
                    waiting.entry(time).or_default().push((tuple, diff));
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
