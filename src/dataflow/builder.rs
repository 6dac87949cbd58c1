//! From a plan's nodes to operators.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::budget::{Budget, Meter};
use super::clock::Clock;
use super::exchange::Target;
use super::fabric::Fabric;
use super::operator::Unary;
use super::window::Window;
use super::{Diff, Net, Origin, Updates};
use super::{aggregate, distinct, include, join, over, project, union};
use crate::plan::{Expr, Node};
use crate::store::Store;

/// A way into a dataflow.
pub(super) struct Inlet<E> {
    pub(super) entry: E,
    pub(super) meter: Meter,
}

/// Where changes that come from no row enter a dataflow: behind the operator whose state causes them.
pub(super) struct Valve<O, E> {
    pub(super) operator: Rc<RefCell<O>>,
    pub(super) inlet: Inlet<E>,
    pub(super) buffer: Updates,
}

/// What a node brings out, and when it is net.
pub(super) type Out<F> = (<F as Fabric>::Tuples, Net);

/// Builds the operators of one query.
pub(super) struct Builder<'a, F: Fabric> {
    pub(super) fabric: F,
    store: &'a mut Store,
    now: i64,
    pub(super) budget: Budget,
    /// Whether somebody keeps the tuples of the node that is being built.
    kept: bool,
    pub(super) feeds: Vec<(Origin, Inlet<F::Entry>)>,
    pub(super) clocks: Vec<Valve<Clock, F::Entry>>,
    /// Of the window that the result is.
    pub(super) window: Option<Valve<Window, F::Entry>>,
    /// What numbers stand for.
    pub(super) bound: HashMap<usize, Out<F>>,
    pub(super) cut: Rc<Cell<Diff>>,
    /// How many operators bring out something whatever comes in.
    pub(super) eager: usize,
    /// Whether an operator looks into an arrangement of the store.
    pub(super) reads_arrangements: bool,
}

impl<'a, F: Fabric> Builder<'a, F> {
    pub(super) fn new(fabric: F, store: &'a mut Store, now: i64, budget: Budget) -> Self {
        Builder {
            fabric,
            store,
            now,
            budget,
            kept: true,
            feeds: Vec::new(),
            clocks: Vec::new(),
            window: None,
            bound: HashMap::new(),
            cut: Rc::default(),
            eager: 0,
            reads_arrangements: false,
        }
    }

    /// The tuples of the result, on the first worker.
    pub(super) fn result(&mut self, node: &Node) -> Out<F> {
        let tuples = self.root(node);
        self.gather(tuples)
    }

    /// Brings tuples to the first worker.
    pub(super) fn gather(&mut self, tuples: Out<F>) -> Out<F> {
        self.bring(tuples, Target::First)
    }

    /// Brings tuples with the same values of some expressions to one worker.
    fn by(&mut self, tuples: Out<F>, exprs: &[Expr]) -> Out<F> {
        let target = match exprs {
            [] => Target::First,
            exprs => Target::Hashed(exprs.to_vec()),
        };
        self.bring(tuples, target)
    }

    fn bring(&mut self, (tuples, net): Out<F>, target: Target) -> Out<F> {
        match self.fabric.peers() {
            1 => (tuples, net),
            _ => (self.fabric.exchange(tuples, target), Net::Always),
        }
    }

    /// The books of an operator.
    pub(super) fn meter(&self, node: &Node) -> Meter {
        self.budget.meter(node.line())
    }

    /// The tuples of a node that the operator on top of it keeps, or does not.
    pub(super) fn input(&mut self, node: &Node, kept: bool) -> Out<F> {
        let before = std::mem::replace(&mut self.kept, kept);
        let tuples = self.node(node);
        self.kept = before;
        tuples
    }

    /// The tuples of the result, whose window can be moved.
    fn root(&mut self, node: &Node) -> Out<F> {
        match node {
            Node::Window { input, .. } if node.is_window() => {
                let (tuples, net) = self.input(input, true);
                let net = net.max(self.net_of_several());
                let window = Window::new(node, net == Net::Always);
                let (tuples, valve) = self.valve(tuples, node, window);
                self.window = Some(valve);
                (tuples, Net::Always)
            }
            Node::Include(include) => {
                let parents = self.root(&include.input);
                self.include(include, node, parents)
            }
            Node::Recursive(recursive) => {
                F::recursive(self, recursive, self.meter(node));
                self.root(&recursive.input)
            }
            node => self.node(node),
        }
    }

    /// The tuples of a node.
    pub(super) fn node(&mut self, node: &Node) -> Out<F> {
        match node {
            Node::Scan(scan) => self.feed(node, Origin::Scan(scan.clone())),
            Node::Common { id, .. } => self.feed(node, Origin::Common(*id)),
            Node::Bound(id) => self.bound[id].clone(),
            Node::Filter { input, predicates } => {
                let (tuples, net) = self.node(input);
                let predicates = predicates.clone();
                let operator = project::Filter { predicates };
                (self.unary(tuples, self.meter(node), operator), net)
            }
            Node::Clock { input, condition } => {
                let (tuples, net) = self.input(input, true);
                let net = net.max(self.net_of_several());
                let clock = Clock::new(condition.clone(), self.now, net == Net::Always);
                let (tuples, valve) = self.valve(tuples, node, clock);
                self.clocks.push(valve);
                (tuples, net.min(Net::OneFeed))
            }
            Node::Project {
                input,
                fields,
                branch,
            } => {
                // A change in what is not projected comes as the same row twice.
                let (tuples, _) = self.input(input, false);
                let (fields, branch) = (fields.clone(), branch.clone());
                let meter = self.meter(node);
                let operator = project::Project::new(fields, branch, self.kept, meter.clone());
                (self.unary(tuples, meter, operator), Net::Never)
            }
            Node::Union(inputs) => {
                let mut inputs = inputs.iter();
                let first = inputs.next().expect("a union has branches");
                let first = self.node(first);
                inputs.fold(first, |(left, _), input| {
                    let (right, _) = self.node(input);
                    let meter = self.meter(node);
                    let merged = self.fabric.binary(left, right, meter, union::Union);
                    (merged, Net::Never)
                })
            }
            Node::Join(join) => {
                let left = self.input(&join.left, true);
                let (left, left_net) = self.by(left, &join.left_keys);
                let right = self.input(&join.right, true);
                let (right, right_net) = self.by(right, &join.right_keys);
                let alone = self.fabric.peers() == 1;
                let mut side = |node: &Node, keys, net| match node {
                    Node::Scan(scan) if alone => {
                        self.reads_arrangements = true;
                        join::Side::shared(self.store.arrange(scan, keys))
                    }
                    _ => join::Side::private(net == Net::Always),
                };
                let left_side = side(&join.left, &join.left_keys, left_net);
                let right_side = side(&join.right, &join.right_keys, right_net);
                let meter = self.meter(node);
                let operator = join::Join::new(join, left_side, right_side, meter.clone());
                let kind = join.kind;
                let outer = kind.keeps_left() || kind.keeps_right() || kind.is_test();
                let is_bound = |node: &Node| node.any(&mut |n| matches!(n, Node::Bound(_)));
                // What is bound may bring one feed to both sides.
                let both = is_bound(&join.left) && is_bound(&join.right);
                let net = match outer {
                    false => Net::Always,
                    true if !join.residual.is_empty() || both => Net::Never,
                    true => Net::OneFeed,
                };
                let joined = self.fabric.binary(left, right, meter, operator);
                (joined, net)
            }
            Node::Aggregate {
                input,
                keys,
                aggregates,
            } => {
                let kept = aggregates.iter().any(aggregate::keeps_tuples);
                let tuples = self.input(input, kept);
                let (tuples, _) = self.by(tuples, keys);
                let meter = self.meter(node);
                let operator = aggregate::Aggregate::new(keys.clone(), aggregates.clone());
                let groups = match keys.is_empty() {
                    true => {
                        self.eager += 1;
                        self.fabric.eager(tuples, meter, operator)
                    }
                    false => self.unary(tuples, meter, operator),
                };
                (groups, Net::Always)
            }
            Node::Distinct {
                input,
                fields,
                keyed,
            } => {
                let tuples = self.input(input, false);
                let (tuples, _) = self.by(tuples, fields);
                let operator = distinct::Distinct::new(fields.clone(), *keyed);
                (self.unary(tuples, self.meter(node), operator), Net::Always)
            }
            Node::Over {
                input, partition, ..
            } => {
                let tuples = self.input(input, true);
                let (tuples, net) = self.by(tuples, partition);
                let operator = over::Over::new(node, net == Net::Always);
                (self.unary(tuples, self.meter(node), operator), Net::Always)
            }
            Node::Window {
                input, partition, ..
            } => {
                let tuples = self.input(input, true);
                let (tuples, net) = self.by(tuples, partition);
                let operator = Window::new(node, net == Net::Always);
                (self.unary(tuples, self.meter(node), operator), Net::Always)
            }
            Node::Include(include) => {
                let parents = self.input(&include.input, true);
                self.include(include, node, parents)
            }
            Node::Recursive(recursive) => {
                F::recursive(self, recursive, self.meter(node));
                self.node(&recursive.input)
            }
        }
    }

    fn feed(&mut self, node: &Node, origin: Origin) -> Out<F> {
        let (entry, tuples) = self.fabric.input();
        let meter = self.meter(node);
        self.feeds.push((origin, Inlet { entry, meter }));
        (tuples, Net::Always)
    }

    /// What came from several workers is net.
    fn net_of_several(&self) -> Net {
        match self.fabric.peers() {
            1 => Net::Never,
            _ => Net::Always,
        }
    }

    fn unary(&mut self, tuples: F::Tuples, meter: Meter, operator: impl Unary) -> F::Tuples {
        self.fabric.unary(tuples, meter, operator)
    }

    fn include(&mut self, include: &crate::plan::Include, node: &Node, parents: Out<F>) -> Out<F> {
        self.bound.insert(include.id, parents.clone());
        let children = self.input(&include.child, true);
        let (children, child_net) = self.by(children, &include.child_context);
        let (parents, net) = self.by(parents, &include.context);
        let nets = [net, child_net].map(|net| net == Net::Always);
        let meter = self.meter(node);
        let operator = include::Include::new(include, nets, meter.clone());
        let tuples = self.fabric.binary(parents, children, meter, operator);
        (tuples, Net::Always)
    }

    /// An operator whose state changes by other ways than its input too, in ticks of their own.
    fn valve<O: Unary>(
        &mut self,
        tuples: F::Tuples,
        node: &Node,
        operator: O,
    ) -> (F::Tuples, Valve<O, F::Entry>) {
        let operator = Rc::new(RefCell::new(operator));
        // Whoever moves it does so on the first worker.
        let (tuples, _) = self.gather((tuples, Net::Never));
        let meter = self.meter(node);
        let (entry, tuples) = self.fabric.valve(tuples, meter.clone(), operator.clone());
        let valve = Valve {
            operator,
            inlet: Inlet { entry, meter },
            buffer: Updates::new(),
        };
        (tuples, valve)
    }
}
