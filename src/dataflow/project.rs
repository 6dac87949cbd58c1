//! The operators without state: filter and project.

use super::Updates;
use super::operator::Unary;
use crate::plan::{Expr, key_of};
use crate::value::{Row, SeqBuilder, Tuple};

/// The tuples for which all predicates are exactly true.
pub(super) struct Filter {
    pub(super) predicates: Vec<Expr>,
}

impl Unary for Filter {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        let passes = |tuple: &Tuple| self.predicates.iter().all(|p| p.test(tuple));
        output.extend(input.drain(..).filter(|(tuple, _)| passes(tuple)));
    }
}

/// One row a tuple: its key, then the fields.
pub(super) struct Project {
    fields: Vec<Expr>,
    builder: SeqBuilder,
    scratch: Vec<u8>,
}

impl Project {
    pub(super) fn new(fields: Vec<Expr>) -> Self {
        Project {
            fields,
            builder: SeqBuilder::default(),
            scratch: Vec::new(),
        }
    }
}

impl Unary for Project {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        for (tuple, diff) in input.drain(..) {
            self.builder.push(key_of(&tuple).as_ref());
            self.fields
                .iter()
                .for_each(|field| field.push_to(&tuple, &mut self.builder));
            let row = Row::new(&mut self.builder, &mut self.scratch);
            output.push((Tuple::from_elem(Some(row), 1), diff));
        }
    }
}
