//! The timely operator of counts and sums by group, of which it keeps nothing else.

use std::collections::HashMap;
use std::hash::Hash;

use differential_dataflow::{AsCollection, Data, VecCollection};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use crate::operators::{R, T};

/// How many rows a group has, and the sums of their numbers.
pub(crate) type Totals<const N: usize> = (i64, [i64; N]);

/// A group without rows is not there.
pub(crate) fn totals<'s, D, K, const N: usize>(
    rows: VecCollection<'s, T, D, R>,
    part: impl Fn(D) -> (K, [i64; N]) + 'static,
) -> VecCollection<'s, T, (K, Totals<N>), R>
where
    D: Data,
    K: Data + Hash,
    [i64; N]: Data,
{
    type Out<K, const N: usize> = CapacityContainerBuilder<Vec<((K, Totals<N>), T, R)>>;
    let mut groups: HashMap<K, Totals<N>> = HashMap::new();
    let mut touched: HashMap<K, Totals<N>> = HashMap::new();
    let stream = rows
        .inner
        .unary::<Out<K, N>, _, _, _>(Pipeline, "Totals", move |_, _| {
            move |input, output| {
                input.for_each(|capability, data| {
                    let Some(capability) = capability.retain_least(0) else {
                        return;
                    };
                    for (row, _, r) in data.drain(..) {
                        let (key, numbers) = part(row);
                        let group = groups.entry(key.clone()).or_insert((0, [0; N]));
                        touched.entry(key).or_insert(*group);
                        group.0 += r as i64;
                        for (sum, number) in group.1.iter_mut().zip(numbers) {
                            *sum += number * r as i64;
                        }
                    }
                    let time = *capability.time();
                    let mut session = output.session(&capability);
                    for (key, old) in touched.drain() {
                        let new = groups[&key];
                        if new.0 == 0 {
                            groups.remove(&key);
                        }
                        if old == new {
                            continue;
                        }
                        if old.0 != 0 {
                            session.give(((key.clone(), old), time, -1));
                        }
                        if new.0 != 0 {
                            session.give(((key, new), time, 1));
                        }
                    }
                });
            }
        });
    stream.as_collection()
}
