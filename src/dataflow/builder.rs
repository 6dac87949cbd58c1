//! From a plan's nodes to operators.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use timely::dataflow::Scope;
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::vec::Input as _;

use super::clock::Clock;
use super::operator::{Pool, Unary, binary, unary, unary_eager};
use super::window::Window;
use super::{Diff, Feed, Inlet, Net, Time, Tuples, Valve};
use super::{aggregate, distinct, include, join, over, project, recursive, union};
use crate::plan::Node;
use crate::store::Store;

/// Builds the operators of one query.
pub(super) struct Builder<'a, 's> {
    pub(super) scope: Scope<'s, Time>,
    store: &'a mut Store,
    pub(super) pool: Pool,
    now: i64,
    pub(super) feeds: Vec<Feed>,
    pub(super) clocks: Vec<Valve<Clock>>,
    /// Of the window that the result is.
    pub(super) window: Option<Valve<Window>>,
    /// What numbers stand for.
    pub(super) bound: HashMap<usize, (Tuples<'s>, Net)>,
    pub(super) cut: Rc<Cell<Diff>>,
}

impl<'a, 's> Builder<'a, 's> {
    pub(super) fn new(
        scope: Scope<'s, Time>,
        store: &'a mut Store,
        pool: Pool,
        now: i64,
    ) -> Builder<'a, 's> {
        Builder {
            scope,
            store,
            pool,
            now,
            feeds: Vec::new(),
            clocks: Vec::new(),
            window: None,
            bound: HashMap::new(),
            cut: Rc::default(),
        }
    }

    /// The tuples of the result, whose window can be moved.
    pub(super) fn root(&mut self, node: &Node) -> (Tuples<'s>, Net) {
        match node {
            Node::Window {
                input, partition, ..
            } if partition.is_empty() => {
                let (tuples, net) = self.node(input);
                let window = Window::new(node, net == Net::Always);
                let (tuples, valve) = self.valve(tuples, "Window", window);
                self.window = Some(valve);
                (tuples, Net::Always)
            }
            Node::Include(include) => {
                let parents = self.root(&include.input);
                self.include(include, parents)
            }
            Node::Recursive(recursive) => {
                recursive::build(recursive, self);
                self.root(&recursive.input)
            }
            node => self.node(node),
        }
    }

    /// The tuples of a node.
    pub(super) fn node(&mut self, node: &Node) -> (Tuples<'s>, Net) {
        match node {
            Node::Scan(scan) => {
                let (handle, stream) = self.scope.new_input();
                self.feeds.push(Feed {
                    scan: scan.clone(),
                    inlet: Inlet::new(handle),
                });
                (stream, Net::Always)
            }
            Node::Bound(id) => self.bound[id].clone(),
            Node::Filter { input, predicates } => {
                let (tuples, net) = self.node(input);
                let predicates = predicates.clone();
                (
                    self.unary(tuples, "Filter", project::Filter { predicates }),
                    net,
                )
            }
            Node::Clock { input, condition } => {
                let (tuples, net) = self.node(input);
                let clock = Clock::new(condition.clone(), self.now, net == Net::Always);
                let (tuples, valve) = self.valve(tuples, "Clock", clock);
                self.clocks.push(valve);
                (tuples, net.min(Net::OneFeed))
            }
            Node::Project {
                input,
                fields,
                branch,
            } => {
                // A change in what is not projected comes as the same row twice.
                let (tuples, _) = self.node(input);
                let operator = project::Project::new(fields.clone(), branch.clone());
                (self.unary(tuples, "Project", operator), Net::Never)
            }
            Node::Union(inputs) => {
                let mut inputs = inputs.iter();
                let first = inputs.next().expect("a union has branches");
                let first = self.node(first);
                inputs.fold(first, |(left, _), input| {
                    let (right, _) = self.node(input);
                    let merged = binary(left, right, "Union", self.pool.clone(), union::Union);
                    (merged, Net::Never)
                })
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
                let kind = join.kind;
                let outer = kind.keeps_left() || kind.keeps_right() || kind.is_test();
                let is_bound = |node: &Node| node.any(&mut |n| matches!(n, Node::Bound(_)));
                // What is bound may bring one feed to both sides.
                let both = is_bound(&join.left) && is_bound(&join.right);
                let net = match (outer && !join.residual.is_empty()) || both {
                    true => Net::Never,
                    false => Net::OneFeed,
                };
                let joined = binary(left, right, "Join", self.pool.clone(), operator);
                (joined, net)
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
                    false => self.unary(tuples, "Aggregate", operator),
                };
                (groups, Net::Always)
            }
            Node::Distinct {
                input,
                fields,
                keyed,
            } => {
                let (tuples, _) = self.node(input);
                let operator = distinct::Distinct::new(fields.clone(), *keyed);
                (self.unary(tuples, "Distinct", operator), Net::Always)
            }
            Node::Over { input, .. } => {
                let (tuples, net) = self.node(input);
                let operator = over::Over::new(node, net == Net::Always);
                (self.unary(tuples, "Over", operator), Net::Always)
            }
            Node::Window { input, .. } => {
                let (tuples, net) = self.node(input);
                let operator = Window::new(node, net == Net::Always);
                (self.unary(tuples, "Window", operator), Net::Always)
            }
            Node::Include(include) => {
                let parents = self.node(&include.input);
                self.include(include, parents)
            }
            Node::Recursive(recursive) => {
                recursive::build(recursive, self);
                self.node(&recursive.input)
            }
        }
    }

    fn unary(&self, tuples: Tuples<'s>, name: &str, operator: impl Unary) -> Tuples<'s> {
        unary(tuples, name, self.pool.clone(), operator)
    }

    fn include(
        &mut self,
        include: &crate::plan::Include,
        parents: (Tuples<'s>, Net),
    ) -> (Tuples<'s>, Net) {
        self.bound.insert(include.id, parents.clone());
        let (children, child_net) = self.node(&include.child);
        let (parents, net) = parents;
        let nets = [net, child_net].map(|net| net == Net::Always);
        let operator = include::Include::new(include, nets);
        let tuples = binary(parents, children, "Include", self.pool.clone(), operator);
        (tuples, Net::Always)
    }

    /// An operator whose state changes by other ways than its input too, in ticks of their own.
    fn valve<O: Unary>(
        &mut self,
        tuples: Tuples<'s>,
        name: &str,
        operator: O,
    ) -> (Tuples<'s>, Valve<O>) {
        let operator = Rc::new(RefCell::new(operator));
        let (handle, injected) = self.scope.new_input();
        let tuples = self.unary(tuples, name, operator.clone());
        let valve = Valve {
            operator,
            inlet: Inlet::new(handle),
        };
        (self.scope.concatenate([tuples, injected]), valve)
    }
}
