//! The operators without state: filter and project.

use differential_dataflow::AsCollection;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::Tuples;
use crate::plan::{Expr, key_of};
use crate::value::{Row, SeqBuilder, Tuple};

/// Applies `logic` to each update, in place of a tuple; `None` drops it.
fn map<'s>(tuples: Tuples<'s>, name: &str, mut logic: Box<dyn FnMut(Tuple) -> Option<Tuple>>) -> Tuples<'s> {
    let stream = tuples.inner.unary(Pipeline, name, move |_, _| {
        move |input, output| {
            input.for_each(|capability, data| {
                let mapped = data.drain(..).filter_map(|(tuple, time, diff)| Some((logic(tuple)?, time, diff)));
                output.session(&capability).give_iterator(mapped);
            });
        }
    });
    stream.as_collection()
}

/// The tuples for which all predicates are exactly true.
pub(super) fn filter(tuples: Tuples<'_>, predicates: Vec<Expr>) -> Tuples<'_> {
    let passes = move |tuple: &Tuple| predicates.iter().all(|p| p.test(tuple));
    map(tuples, "Filter", Box::new(move |tuple| passes(&tuple).then_some(tuple)))
}

/// One row a tuple: its key, then the fields.
pub(super) fn project(tuples: Tuples<'_>, fields: Vec<Expr>) -> Tuples<'_> {
    let (mut builder, mut scratch) = (SeqBuilder::default(), Vec::new());
    let project = move |tuple: Tuple| {
        builder.push(key_of(&tuple).as_ref());
        fields.iter().for_each(|field| field.push_to(&tuple, &mut builder));
        Some(Tuple::from_elem(Some(Row::new(&mut builder, &mut scratch)), 1))
    };
    map(tuples, "Project", Box::new(project))
}
