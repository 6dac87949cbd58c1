//! What runs for a query, and what each of its steps did.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use super::flows::FlowId;
use super::{Engine, Materialized, QueryId, read};
use crate::dataflow::{Did, OperatorFigures};
use crate::plan::{Arranged, Explanation, Expr, Figures, Join, Node};

/// Whether the time is taken, and what results took of it: operators keep their own.
#[derive(Debug, Default)]
pub(super) struct Timing {
    on: bool,
    results: BTreeMap<FlowId, u64>,
}

impl Timing {
    #[inline]
    pub(super) fn begin(&self) -> Option<Instant> {
        self.on.then(Instant::now)
    }

    #[inline]
    pub(super) fn end(&mut self, flow: FlowId, begun: Option<Instant>) {
        if let Some(begun) = begun {
            *self.results.entry(flow).or_default() += begun.elapsed().as_nanos() as u64;
        }
    }

    pub(super) fn forget(&mut self, flow: FlowId) {
        self.results.remove(&flow);
    }
}

/// Systems without a clock.
const HAS_CLOCK: bool = !cfg!(all(target_family = "wasm", target_os = "unknown"));

impl Engine {
    /// The plan of a query for people and tools, with what it shares with other queries, and the
    /// arrangements that it reads.
    pub fn explain(&self, id: QueryId) -> Option<Explanation> {
        self.look(id, false)
    }

    /// As [`Engine::explain`], with what each step did since it was started: changes in and out, the
    /// time it took if that was [asked for](Engine::set_timing), the memory it holds.
    ///
    /// It costs what the plan is long; what is told is counted anyway, once a batch. What queries
    /// have in common is told with each of them. Of queries on several workers
    /// ([`Engine::with_workers`]) only the result is told, and the rounds of a recursion are not
    /// timed. A step that is shared with another query from some time on counts from then.
    ///
    /// ```
    /// use tailwater::engine::Engine;
    /// use tailwater::query::Query;
    ///
    /// let mut engine = Engine::new();
    /// engine.set_timing(true);
    /// let adults = engine.install(&Query::from_json(
    ///     r#"{"from":{"type":"collectionRef","collection":"user","alias":"u"},
    ///         "select":{"n":{"type":"agg","name":"count","args":[{"type":"ref","path":["u","age"]}]}},
    ///         "where":[{"type":"func","name":"gt","args":[{"type":"ref","path":["u","age"]},{"type":"val","value":17}]}]}"#,
    /// )?)?;
    /// engine.apply(engine.decode([
    ///     r#"{"type":"user","key":"1","value":{"age":36},"headers":{"operation":"insert"}}"#,
    ///     r#"{"type":"user","key":"2","value":{"age":7},"headers":{"operation":"insert"}}"#,
    /// ])?);
    /// let result = engine.analyze(adults).unwrap();
    /// let count = result.inputs[0].figures.as_ref().unwrap();
    /// // One row came in, and the row of 0 went for that of 1; the first 0 was the start.
    /// assert_eq!((count.rows_in, count.rows_out, count.steps), (Some(1), 3, 2));
    /// assert!(count.nanos > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn analyze(&self, id: QueryId) -> Option<Explanation> {
        self.look(id, true)
    }

    /// Lets the steps of all queries take the time they need, or no longer. It costs two looks at
    /// the clock for each step that has something to do in a batch. Off by default; where there is
    /// no clock (`wasm32-unknown-unknown`) it stays off.
    pub fn set_timing(&mut self, on: bool) {
        self.timing.on = on && HAS_CLOCK;
        self.flows.set_timing(self.timing.on);
    }

    fn look(&self, id: QueryId, analyze: bool) -> Option<Explanation> {
        let flow = *self.queries.get(&id)?;
        let owners = |flow: &FlowId| match &self.results[flow] {
            Materialized::View(_, owners) => owners.len(),
            Materialized::Nothing(..) => 1,
        };
        let of_part = |part: &Node| {
            let having = self.flows.having(part)?;
            Some(having.iter().map(owners).sum())
        };
        let (plan, changed) = match &self.results[&flow] {
            Materialized::View(view, _) => {
                let view = read(view);
                (view.plan().clone(), view.changed())
            }
            Materialized::Nothing(watch, _) => (watch.plan().clone(), 0),
        };
        let mut result = plan.explain_shared(owners(&flow), &of_part);
        let mut looking = Looking {
            engine: self,
            analyze,
            operators: HashMap::new(),
            recursion: Vec::new(),
        };
        looking.at(&mut result.inputs[0], flow, self.flows.built(flow));
        if analyze {
            let input = result.inputs[0].figures.as_ref();
            result.figures = Some(Figures {
                rows_in: input.map(|input| input.rows_out),
                rows_out: changed,
                steps: input.map_or(0, |input| input.steps),
                nanos: self.timing.results.get(&flow).copied().unwrap_or(0),
                bytes: self.result_bytes(flow),
                rows: Some(self.result_rows(flow)),
                per_second: None,
            });
        }
        Some(result)
    }

    /// The arrangements of collections that a join reads.
    fn arranged(&self, join: &Join) -> Vec<Arranged> {
        let side = |side, node: &Node, keys: &[Expr]| {
            let Node::Scan(scan) = node else {
                return None;
            };
            let mut sizes = self.store.sizes();
            let size = sizes.find(|size| size.id == scan.collection.id())?;
            let mut indexes = size.indexes();
            let index = indexes.find(|index| index.keys == keys && index.filter == scan.filter)?;
            let texts = |exprs: &[Expr]| exprs.iter().map(ToString::to_string).collect();
            Some(Arranged::new(
                side,
                scan.collection.name(),
                texts(index.keys),
                texts(index.filter),
                (index.rows, index.bytes),
            ))
        };
        let left = side("left", &join.left, &join.left_keys);
        let right = side("right", &join.right, &join.right_keys);
        left.into_iter().chain(right).collect()
    }
}

/// Finds the operators that nodes became.
struct Looking<'e> {
    engine: &'e Engine,
    analyze: bool,
    /// Of each flow, the operators of each name, in the order in which they were built.
    operators: HashMap<FlowId, HashMap<String, VecDeque<OperatorFigures>>>,
    /// The numbers of the recursions around, whose rounds have no operators of their own.
    recursion: Vec<usize>,
}

impl<'e> Looking<'e> {
    /// Adds to a step what is known of what a flow runs for it.
    fn at(&mut self, step: &mut Explanation, mut flow: FlowId, mut built: &'e Node) {
        let engine = self.engine;
        if let Node::Common { id, .. } = built {
            flow = *id;
            built = engine.flows.built(flow);
            // A query may have it several times.
            self.operators.remove(&flow);
        }
        if let Node::Join(join) = built {
            step.arrangements = engine.arranged(join);
        }
        let around = self.recursion.len();
        if let Node::Recursive(recursive) = built {
            let ids = recursive.definitions.iter().map(|(id, _)| *id);
            self.recursion.extend(ids);
        }
        let (last, mut union) = (step.inputs.len().saturating_sub(1), None);
        for (place, (step, input)) in step.inputs.iter_mut().zip(built.inputs()).enumerate() {
            if place == last {
                // What is made of a recursion is outside of it.
                self.recursion.truncate(around);
            }
            self.at(step, flow, input);
            // A union of many is a chain of unions of two, built as their inputs are.
            if matches!(built, Node::Union(_)) && place > 0 {
                let nanos = union.map_or(0, |(did, _): (Did, usize)| did.nanos);
                union = self.operator(flow, built);
                if let Some((did, _)) = &mut union {
                    did.nanos += nanos;
                }
            }
        }
        if !self.analyze {
            return;
        }
        let found = match built {
            Node::Union(_) => union,
            _ => self.operator(flow, built),
        };
        let Some((did, bytes)) = found else { return };
        let rows_in = match built {
            Node::Scan(_) => None,
            Node::Union(_) | Node::Recursive(_) => {
                let inputs = step
                    .inputs
                    .iter()
                    .filter_map(|input| input.figures.as_ref());
                Some(inputs.map(|input| input.rows_out).sum())
            }
            _ => Some(did.came),
        };
        step.figures = Some(Figures {
            rows_in,
            rows_out: did.went,
            steps: did.ticks,
            nanos: did.nanos,
            bytes,
            ..Figures::default()
        });
    }

    /// The next operator of a flow that does what a node says.
    fn operator(&mut self, flow: FlowId, node: &Node) -> Option<(Did, usize)> {
        let engine = self.engine;
        let in_rounds = |n: &Node| matches!(n, Node::Bound(id) if self.recursion.contains(id));
        if !self.analyze || (!matches!(node, Node::Recursive(_)) && node.any(&mut { in_rounds })) {
            return None;
        }
        let operators = self.operators.entry(flow).or_insert_with(|| {
            let mut operators: HashMap<String, VecDeque<_>> = HashMap::new();
            for operator in engine.flows.operators(flow) {
                let same = operators.entry(operator.name.clone()).or_default();
                same.push_back(operator);
            }
            operators
        });
        let operator = operators.get_mut(&node.line())?.pop_front()?;
        Some((operator.did, operator.bytes))
    }
}
