//! The timely operators of the baseline: inputs, arrangement, aggregate, ordered window, sink.
//!
//! Aggregate and window keep their own state and act on data as it arrives instead of waiting for
//! the frontier. That is right because ticks are run one at a time, and because what they emit
//! telescopes: a tick that reaches them in several parts gives intermediate rows that cancel at the
//! sink. Changes of one collection arrive in the order in which they were made.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::rc::Rc;

use differential_dataflow::operators::arrange::{Arranged, TraceAgent, arrangement::arrange_core};
use differential_dataflow::trace::implementations::{ValBatcher, ValSpine};
use differential_dataflow::{AsCollection, Data, VecCollection};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::{Input as _, input::Handle};

pub(crate) type T = u64;
pub(crate) type R = isize;

/// An input that allocates nothing for a small tick (differential's `InputSession` reserves room
/// for 1,024 rows at each flush).
pub(crate) struct Input<D: Data> {
    handle: Handle<T, (D, T, R)>,
    buffer: Vec<(D, T, R)>,
}

impl<D: Data> Input<D> {
    pub(crate) fn new(scope: Scope<'_, T>) -> (Input<D>, VecCollection<'_, T, D, R>) {
        let (handle, stream) = scope.new_input();
        (
            Input {
                handle,
                buffer: Vec::new(),
            },
            stream.as_collection(),
        )
    }

    pub(crate) fn replace(&mut self, old: Option<D>, new: Option<D>) {
        if old == new {
            return;
        }
        let time = *self.handle.time();
        self.buffer.extend(old.map(|row| (row, time, -1)));
        self.buffer.extend(new.map(|row| (row, time, 1)));
        if self.buffer.len() >= 1024 {
            self.handle.send_batch(&mut self.buffer);
        }
    }

    pub(crate) fn advance(&mut self, to: T) {
        self.handle.send_batch(&mut self.buffer);
        self.buffer.clear();
        self.handle.advance_to(to);
    }
}

/// Arranged by the first component, on this worker, without the exchange that `arrange_by_key`
/// makes.
pub(crate) fn arrange<K: Data, V: Data>(
    rows: VecCollection<'_, T, (K, V), R>,
) -> Arranged<'_, TraceAgent<ValSpine<K, V, T, R>>> {
    arrange_core::<_, _, ValBatcher<K, V, T, R>, _>(
        rows.inner,
        Pipeline,
        "Arrange",
        ValBatcher::new,
    )
}

pub(crate) type Changes<D> = Vec<(D, R)>;

/// What a query said since it was last taken, and the first time for which it may say more.
pub(crate) struct Output<D> {
    changes: Rc<RefCell<Changes<D>>>,
    reached: Rc<Cell<T>>,
}

impl<D> Default for Output<D> {
    fn default() -> Output<D> {
        Output {
            changes: Rc::default(),
            reached: Rc::default(),
        }
    }
}

impl<D> Output<D> {
    pub(crate) fn changes(&self) -> RefMut<'_, Changes<D>> {
        self.changes.borrow_mut()
    }

    pub(crate) fn reached(&self) -> T {
        self.reached.get()
    }
}

/// The end of a query: filters, collects and notes the frontier, which saves a probe.
pub(crate) fn sink<D: Data, E: 'static>(
    rows: VecCollection<'_, T, D, R>,
    out: &Output<E>,
    mut keep: impl FnMut(D) -> Option<E> + 'static,
) {
    let (changes, reached) = (out.changes.clone(), out.reached.clone());
    rows.inner.sink(Pipeline, "Sink", move |(input, frontier)| {
        input.for_each(|_, data| {
            changes.borrow_mut().extend(
                data.drain(..)
                    .filter_map(|(row, _, r)| Some((keep(row)?, r))),
            );
        });
        reached.set(frontier.frontier().first().copied().unwrap_or(T::MAX));
    });
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Agg {
    pub(crate) n: i64,
    pub(crate) sum: i64,
    pub(crate) min: i64,
    pub(crate) max: i64,
}

struct Group<K> {
    key: K,
    n: i64,
    sum: i64,
    values: BTreeMap<i64, R>,
    shown: Option<Agg>,
    touched: bool,
}

impl<K> Group<K> {
    fn new(key: K) -> Group<K> {
        Group {
            key,
            n: 0,
            sum: 0,
            values: BTreeMap::new(),
            shown: None,
            touched: false,
        }
    }

    fn add(&mut self, value: i64, r: R, extremes: bool) {
        self.n += r as i64;
        self.sum += value * r as i64;
        if extremes {
            let count = self.values.entry(value).or_default();
            *count += r;
            if *count == 0 {
                self.values.remove(&value);
            }
        }
    }

    fn agg(&self) -> Option<Agg> {
        let min = self.values.first_key_value().map_or(0, |(v, _)| *v);
        let max = self.values.last_key_value().map_or(0, |(v, _)| *v);
        (self.n != 0).then_some(Agg {
            n: self.n,
            sum: self.sum,
            min,
            max,
        })
    }
}

/// Count and sum in place, and if `extremes` are asked for, min and max by an ordered multiset.
pub(crate) fn aggregate<'s, D, K, H>(
    rows: VecCollection<'s, T, D, R>,
    extremes: bool,
    part: impl Fn(&D) -> (K, i64) + 'static,
) -> VecCollection<'s, T, (K, Agg), R>
where
    D: Data,
    K: Data + Hash,
    H: BuildHasher + Default + 'static,
{
    type Out<K> = CapacityContainerBuilder<Vec<((K, Agg), T, R)>>;
    let mut groups: Vec<Group<K>> = Vec::new();
    let mut places: HashMap<K, usize, H> = HashMap::default();
    let mut touched: Vec<usize> = Vec::new();
    let stream = rows
        .inner
        .unary::<Out<K>, _, _, _>(Pipeline, "Aggregate", move |_, _| {
            move |input, output| {
                input.for_each(|capability, data| {
                    let Some(capability) = capability.retain_least(0) else {
                        return;
                    };
                    for (row, _, r) in data.drain(..) {
                        let (key, value) = part(&row);
                        let place = match places.get(&key) {
                            Some(place) => *place,
                            None => {
                                groups.push(Group::new(key.clone()));
                                places.insert(key, groups.len() - 1);
                                groups.len() - 1
                            }
                        };
                        let group = &mut groups[place];
                        group.add(value, r, extremes);
                        if !std::mem::replace(&mut group.touched, true) {
                            touched.push(place);
                        }
                    }
                    let time = *capability.time();
                    let mut session = output.session(&capability);
                    for place in touched.drain(..) {
                        let group = &mut groups[place];
                        group.touched = false;
                        let new = group.agg();
                        let old = std::mem::replace(&mut group.shown, new);
                        if old != new {
                            session.give_iterator(
                                old.into_iter()
                                    .map(|agg| ((group.key.clone(), agg), time, -1)),
                            );
                            session.give_iterator(
                                new.into_iter()
                                    .map(|agg| ((group.key.clone(), agg), time, 1)),
                            );
                        }
                    }
                });
            }
        });
    stream.as_collection()
}

/// The first `limit` rows by an order without ties. The window is read again only if a change is at
/// or before its end.
pub(crate) fn window<'s, D: Data, K: Ord + Clone + 'static>(
    rows: VecCollection<'s, T, D, R>,
    limit: usize,
    order: impl Fn(&D) -> K + 'static,
) -> VecCollection<'s, T, D, R> {
    type Out<D> = CapacityContainerBuilder<Vec<(D, T, R)>>;
    let mut index: BTreeMap<K, D> = BTreeMap::new();
    let mut shown: Vec<(K, D)> = Vec::new();
    let mut next: Vec<(K, D)> = Vec::new();
    let stream = rows
        .inner
        .unary::<Out<D>, _, _, _>(Pipeline, "Window", move |_, _| {
            move |input, output| {
                input.for_each(|capability, data| {
                    let Some(capability) = capability.retain_least(0) else {
                        return;
                    };
                    let end = shown
                        .last()
                        .filter(|_| shown.len() == limit)
                        .map(|(key, _)| key.clone());
                    let mut touched = false;
                    for (row, _, r) in data.drain(..) {
                        let key = order(&row);
                        touched |= end.as_ref().is_none_or(|end| key <= *end);
                        if r > 0 {
                            index.insert(key, row);
                        } else {
                            index.remove(&key);
                        }
                    }
                    if !touched {
                        return;
                    }
                    let first = index.iter().take(limit);
                    next.extend(first.map(|(key, row)| (key.clone(), row.clone())));
                    let time = *capability.time();
                    let mut session = output.session(&capability);
                    let (mut old, mut new) = (shown.iter().peekable(), next.iter().peekable());
                    loop {
                        let (gone, come) = match (old.peek(), new.peek()) {
                            (None, None) => break,
                            (Some(a), Some(b)) if a.0 == b.0 => (old.next(), new.next()),
                            (Some(a), b) if b.is_none_or(|b| a.0 < b.0) => (old.next(), None),
                            _ => (None, new.next()),
                        };
                        if gone.map(|(_, row)| row) != come.map(|(_, row)| row) {
                            session.give_iterator(
                                gone.into_iter().map(|(_, row)| (row.clone(), time, -1)),
                            );
                            session.give_iterator(
                                come.into_iter().map(|(_, row)| (row.clone(), time, 1)),
                            );
                        }
                    }
                    std::mem::swap(&mut shown, &mut next);
                    next.clear();
                });
            }
        });
    stream.as_collection()
}
