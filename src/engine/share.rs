//! Which parts of plans queries can have in common.

use std::collections::HashSet;
use std::hash::BuildHasher;

use crate::plan::Node;

/// A hash by which equal nodes are found. Only within one engine.
pub(super) fn hash_of(node: &impl std::hash::Hash) -> u64 {
    foldhash::fast::FixedState::with_seed(0).hash_one(node)
}

/// Whether it is worth to compute the node once for all queries that have it, and right: it keeps
/// state, depends on nothing around it, and not on the clock, which moves in ticks of each query's own.
pub(super) fn is_sharable(node: &Node) -> bool {
    let keeps_state = matches!(
        node,
        Node::Join(_)
            | Node::Aggregate { .. }
            | Node::Distinct { .. }
            | Node::Over { .. }
            | Node::Window { .. }
            | Node::Union(_)
            | Node::Include(_)
            | Node::Recursive(_)
    );
    keeps_state && !node.any(&mut |n| matches!(n, Node::Clock { .. })) && is_closed(node)
}

/// The hashes of the parts that a plan has more than once and could have in common.
pub(super) fn repeated(plan: &Node) -> HashSet<u64> {
    let (mut once, mut repeated) = (HashSet::new(), HashSet::new());
    plan.any(&mut |node| {
        if is_sharable(node) {
            let hash = hash_of(node);
            if !once.insert(hash) {
                repeated.insert(hash);
            }
        }
        false
    });
    repeated
}

/// Whether all that is bound in a node is bound by it.
fn is_closed(node: &Node) -> bool {
    let mut bound = Vec::new();
    node.any(&mut |n| {
        match n {
            Node::Include(include) => bound.push(include.id),
            Node::Recursive(recursive) => {
                bound.extend(recursive.definitions.iter().map(|(id, _)| *id));
            }
            _ => {}
        }
        false
    });
    !node.any(&mut |n| matches!(n, Node::Bound(id) if !bound.contains(id)))
}

/// The inputs, to be changed, from left to right; of a recursion and of an include the one that the
/// result's window is found in comes last.
pub(super) fn inputs_mut(node: &mut Node) -> Vec<&mut Node> {
    match node {
        Node::Scan(_) | Node::Bound(_) | Node::Common { .. } => Vec::new(),
        Node::Filter { input, .. }
        | Node::Clock { input, .. }
        | Node::Aggregate { input, .. }
        | Node::Project { input, .. }
        | Node::Distinct { input, .. }
        | Node::Over { input, .. }
        | Node::Window { input, .. } => vec![input],
        Node::Join(join) => vec![&mut join.left, &mut join.right],
        Node::Union(inputs) => inputs.iter_mut().collect(),
        Node::Include(include) => vec![&mut include.child, &mut include.input],
        Node::Recursive(recursive) => {
            let definitions = recursive.definitions.iter_mut().map(|(_, node)| node);
            definitions.chain([&mut recursive.input]).collect()
        }
    }
}

/// The numbers of the common parts that a node reads, each once.
pub(super) fn reads(built: &Node) -> Vec<u64> {
    let mut commons = Vec::new();
    built.any(&mut |node| {
        if let Node::Common { id, .. } = node {
            commons.push(*id);
        }
        false
    });
    commons.sort_unstable();
    commons.dedup();
    commons
}
