//! A sorted set that knows positions: insert, remove, rank and n-th element in logarithmic time.
//!
//! A B+ tree whose inner nodes count the elements below them. Windows and ordered results stand on
//! it: a change to an ordered query costs the same at the top of a million rows as at the end.

use crate::value::Heap;

/// A sorted set with positions.
#[derive(Debug)]
pub(crate) struct RankedSet<T> {
    root: Node<T>,
    /// What the nodes and the elements hold on the heap.
    bytes: usize,
}

#[derive(Debug)]
enum Node<T> {
    Leaf(Vec<T>),
    Inner(Vec<Child<T>>),
}

#[derive(Debug)]
struct Child<T> {
    /// Not above any element of the child; unused in the first child of a node.
    low: T,
    count: usize,
    node: Node<T>,
}

const LEAF: usize = 64;
const INNER: usize = 32;
/// Up to here, a leaf has room for the next power of two.
const FEW: usize = 4;

impl<T> Default for RankedSet<T> {
    fn default() -> Self {
        RankedSet {
            root: Node::Leaf(Vec::new()),
            bytes: 0,
        }
    }
}

impl<T> Node<T> {
    /// What the node itself takes, without what is below it.
    fn bytes(&self) -> usize {
        match self {
            Node::Leaf(elements) => elements.capacity() * size_of::<T>(),
            Node::Inner(children) => room(children),
        }
    }
}

fn room<T>(children: &Vec<Child<T>>) -> usize {
    children.capacity() * size_of::<Child<T>>()
}

impl<T: Ord + Clone + Heap> Node<T> {
    fn count(&self) -> usize {
        match self {
            Node::Leaf(elements) => elements.len(),
            Node::Inner(children) => children.iter().map(|c| c.count).sum(),
        }
    }

    /// Elements or children.
    fn width(&self) -> usize {
        match self {
            Node::Leaf(elements) => elements.len(),
            Node::Inner(children) => children.len(),
        }
    }

    fn low(&self) -> &T {
        match self {
            Node::Leaf(elements) => &elements[0],
            Node::Inner(children) => children[0].node.low(),
        }
    }

    fn is_overfull(&self) -> bool {
        self.width()
            >= if matches!(self, Node::Leaf(_)) {
                LEAF
            } else {
                INNER
            }
    }

    fn is_underfull(&self) -> bool {
        self.width()
            < if matches!(self, Node::Leaf(_)) {
                LEAF / 4
            } else {
                INNER / 4
            }
    }

    /// Takes the upper half off. Both have no more room than they need: where elements come in
    /// order, nothing ever comes to the lower one again.
    fn split(&mut self) -> Child<T> {
        fn halve<T>(all: &mut Vec<T>) -> Vec<T> {
            let upper = all.split_off(all.len() / 2);
            all.shrink_to_fit();
            upper
        }
        let node = match self {
            Node::Leaf(elements) => Node::Leaf(halve(elements)),
            Node::Inner(children) => Node::Inner(halve(children)),
        };
        Child {
            low: node.low().clone(),
            count: node.count(),
            node,
        }
    }

    /// Appends a right neighbour of the same height.
    fn append(&mut self, right: Child<T>) {
        match (self, right.node) {
            (Node::Leaf(left), Node::Leaf(mut right)) => left.append(&mut right),
            (Node::Inner(left), Node::Inner(mut children)) => {
                // From now on the first child's bound counts.
                children[0].low = right.low;
                left.append(&mut children);
            }
            _ => unreachable!("neighbours have the same height"),
        }
    }

    fn insert(&mut self, element: T, bytes: &mut usize) -> Result<(), T> {
        match self {
            Node::Leaf(elements) => match elements.binary_search(&element) {
                Ok(_) => Err(element),
                Err(place) => {
                    let room = elements.capacity();
                    *bytes += element.heap();
                    // Very many sets are very small ones.
                    if elements.len() == elements.capacity() && elements.len() < FEW {
                        elements.reserve_exact(elements.len().max(1));
                    }
                    elements.insert(place, element);
                    *bytes += (elements.capacity() - room) * size_of::<T>();
                    Ok(())
                }
            },
            Node::Inner(children) => {
                let place = child_of(children, &element);
                let child = &mut children[place];
                child.node.insert(element, bytes)?;
                child.count += 1;
                if child.node.is_overfull() {
                    split_child(children, place, bytes);
                }
                Ok(())
            }
        }
    }

    fn remove(&mut self, element: &T, bytes: &mut usize) -> bool {
        match self {
            Node::Leaf(elements) => match elements.binary_search(element) {
                Ok(place) => {
                    *bytes -= elements.remove(place).heap();
                    true
                }
                Err(_) => false,
            },
            Node::Inner(children) => {
                let place = child_of(children, element);
                if !children[place].node.remove(element, bytes) {
                    return false;
                }
                children[place].count -= 1;
                if children[place].node.is_underfull() && children.len() > 1 {
                    let left = place.saturating_sub(1);
                    let right = children.remove(left + 1);
                    let merged = &mut children[left];
                    merged.count += right.count;
                    *bytes -= merged.node.bytes() + right.node.bytes();
                    merged.node.append(right);
                    *bytes += merged.node.bytes();
                    if merged.node.is_overfull() {
                        split_child(children, left, bytes);
                    }
                }
                true
            }
        }
    }
}

/// Puts the upper half of a child after it.
fn split_child<T: Ord + Clone + Heap>(
    children: &mut Vec<Child<T>>,
    place: usize,
    bytes: &mut usize,
) {
    let child = &mut children[place];
    let before = child.node.bytes();
    let right = child.node.split();
    child.count -= right.count;
    let after = child.node.bytes() + right.node.bytes();
    let room_before = room(children);
    children.insert(place + 1, right);
    *bytes = *bytes + after + room(children) - before - room_before;
}

/// The child that an element belongs to.
fn child_of<T: Ord>(children: &[Child<T>], element: &T) -> usize {
    #[cfg(test)]
    crate::work::add(1);
    children[1..].partition_point(|child| child.low <= *element)
}

impl<T: Ord + Clone + Heap> RankedSet<T> {
    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.root.count()
    }

    /// What it takes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an element; false if it is there already.
    pub(crate) fn insert(&mut self, element: T) -> bool {
        self.try_insert(element).is_ok()
    }

    /// Adds an element, or gives it back if it is there already.
    pub(crate) fn try_insert(&mut self, element: T) -> Result<(), T> {
        let inserted = self.root.insert(element, &mut self.bytes);
        if self.root.is_overfull() {
            self.bytes -= self.root.bytes();
            let right = self.root.split();
            self.bytes += self.root.bytes() + right.node.bytes();
            let left = std::mem::replace(&mut self.root, Node::Leaf(Vec::new()));
            let left = Child {
                low: left.low().clone(),
                count: left.count(),
                node: left,
            };
            self.root = Node::Inner(vec![left, right]);
            self.bytes += self.root.bytes();
        }
        inserted
    }

    /// Removes an element; false if it is not there.
    pub(crate) fn remove(&mut self, element: &T) -> bool {
        let removed = self.root.remove(element, &mut self.bytes);
        if let Node::Inner(children) = &mut self.root
            && children.len() == 1
        {
            self.bytes -= room(children);
            self.root = children.pop().expect("one child").node;
        }
        removed
    }

    /// How many elements are smaller.
    pub(crate) fn rank(&self, element: &T) -> usize {
        let (mut node, mut before) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(elements) => return before + elements.partition_point(|e| e < element),
                Node::Inner(children) => {
                    #[cfg(test)]
                    crate::work::add(children.len() as u64);
                    let place = child_of(children, element);
                    before += children[..place].iter().map(|c| c.count).sum::<usize>();
                    node = &children[place].node;
                }
            }
        }
    }

    /// The element with `index` smaller ones.
    pub(crate) fn get(&self, mut index: usize) -> Option<&T> {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(elements) => return elements.get(index),
                Node::Inner(children) => {
                    let below = |child: &&Child<T>| {
                        #[cfg(test)]
                        crate::work::add(1);
                        let skip = index >= child.count;
                        if skip {
                            index -= child.count;
                        }
                        !skip
                    };
                    node = &children.iter().find(below)?.node;
                }
            }
        }
    }

    /// All elements in order.
    pub(crate) fn iter(&self) -> Iter<'_, T> {
        self.iter_from(0)
    }

    /// The elements in order, without the first `skip`.
    pub(crate) fn iter_from(&self, mut skip: usize) -> Iter<'_, T> {
        let mut iter = Iter {
            inner: Vec::new(),
            leaf: [].iter(),
        };
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(elements) => {
                    iter.leaf = elements.get(skip..).unwrap_or_default().iter();
                    return iter;
                }
                Node::Inner(children) => {
                    let mut place = 0;
                    while place + 1 < children.len() && skip >= children[place].count {
                        #[cfg(test)]
                        crate::work::add(1);
                        skip -= children[place].count;
                        place += 1;
                    }
                    iter.inner.push(children[place + 1..].iter());
                    node = &children[place].node;
                }
            }
        }
    }
}

/// The elements of a [`RankedSet`] in order.
#[derive(Debug)]
pub(crate) struct Iter<'a, T> {
    inner: Vec<std::slice::Iter<'a, Child<T>>>,
    leaf: std::slice::Iter<'a, T>,
}

impl<'a, T> Iter<'a, T> {
    fn descend(&mut self, mut node: &'a Node<T>) {
        loop {
            match node {
                Node::Leaf(elements) => return self.leaf = elements.iter(),
                Node::Inner(children) => {
                    let mut children = children.iter();
                    node = &children.next().expect("inner nodes are not empty").node;
                    self.inner.push(children);
                }
            }
        }
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            #[cfg(test)]
            crate::work::add(1);
            if let Some(element) = self.leaf.next() {
                return Some(element);
            }
            match self.inner.last_mut()?.next() {
                Some(child) => self.descend(&child.node),
                None => {
                    self.inner.pop();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn agrees_with_a_plain_set() {
        for (seed, range) in [(1, 50), (2, 2_000), (3, 100_000)] {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut set, mut model) = (RankedSet::default(), BTreeSet::new());
            for step in 0..30_000 {
                let element = rng.u32(0..range);
                // Grow, shrink to nothing, grow again.
                if rng.u32(0..10) < [7, 2, 6][step / 10_000] {
                    assert_eq!(set.insert(element), model.insert(element));
                } else {
                    // Mostly remove what is there.
                    let element = model.range(element..).next().copied().unwrap_or(element);
                    assert_eq!(set.remove(&element), model.remove(&element));
                }
                if step % 500 == 0 {
                    assert!(set.iter().eq(model.iter()));
                    assert_eq!(set.len(), model.len());
                    for (i, element) in model.iter().enumerate() {
                        assert_eq!(set.get(i), Some(element));
                        assert_eq!(set.rank(element), i);
                    }
                    for skip in [1, 63, 64, 1000, model.len()] {
                        assert!(set.iter_from(skip).eq(model.iter().skip(skip)));
                    }
                    assert_eq!(set.get(model.len()), None);
                    assert_eq!(set.rank(&u32::MAX), model.len());
                }
            }
        }
    }

    /// What the nodes take, counted one by one.
    fn counted<T>(node: &Node<T>) -> usize {
        let below = match node {
            Node::Leaf(_) => 0,
            Node::Inner(children) => children.iter().map(|child| counted(&child.node)).sum(),
        };
        node.bytes() + below
    }

    #[test]
    fn its_bytes_are_those_of_its_nodes() {
        let (mut rng, mut set) = (fastrand::Rng::with_seed(4), RankedSet::default());
        for step in 0..40_000 {
            let element = rng.u32(0..5_000);
            if rng.u32(0..10) < [7, 1, 6, 0][step / 10_000] {
                set.insert(element);
            } else if let Some(&there) = set.get(rng.usize(..set.len().max(1))) {
                set.remove(&there);
            }
            if step % 100 == 0 {
                assert_eq!(set.bytes(), counted(&set.root));
            }
        }
        assert_eq!(set.len(), 0);
        assert!(set.bytes() <= LEAF * size_of::<u32>(), "{}", set.bytes());
    }

    #[test]
    fn elements_that_come_in_order_leave_no_room() {
        let mut set = RankedSet::default();
        (0..100_000u32).for_each(|i| assert!(set.insert(i)));
        // Beside the elements there are the inner nodes.
        let least = set.len() * size_of::<u32>();
        assert!(set.bytes() < least * 3 / 2, "{} of {least}", set.bytes());
        for i in 0..100_000 {
            set.remove(&i);
        }
        assert!(set.bytes() <= LEAF * size_of::<u32>(), "{}", set.bytes());
    }

    #[test]
    fn sorted_input_fills_and_empties() {
        let mut set = RankedSet::default();
        (0..10_000u32).for_each(|i| assert!(set.insert(i)));
        assert!(set.iter().copied().eq(0..10_000));
        (0..10_000).for_each(|i| assert!(set.remove(&i)));
        assert_eq!(set.len(), 0);
        (0..100).rev().for_each(|i| assert!(set.insert(i)));
        assert!(set.iter().copied().eq(0..100));
    }
}
