//! The operators without state: filter and project.

use super::Updates;
use super::operator::Unary;
use crate::plan::{Expr, key_of};
use crate::value::{Row, SeqBuilder, Tuple, Value};

/// The tuples for which all predicates are exactly true.
pub(super) struct Filter {
    pub(super) predicates: Vec<Expr>,
}

impl Filter {
    pub(super) fn accepts(&self, tuple: &Tuple) -> bool {
        self.predicates.iter().all(|p| p.test(tuple))
    }
}

impl Unary for Filter {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        output.extend(input.drain(..).filter(|(tuple, _)| self.accepts(tuple)));
    }
}

/// One row a tuple: its key, then the fields. In a union the key is that of the branch and its own.
pub(super) struct Project {
    fields: Vec<Expr>,
    branch: Option<Value>,
    builder: SeqBuilder,
    scratch: Vec<u8>,
}

impl Project {
    pub(super) fn new(fields: Vec<Expr>, branch: Option<Value>) -> Self {
        Project {
            fields,
            branch,
            builder: SeqBuilder::default(),
            scratch: Vec::new(),
        }
    }
}

impl Project {
    pub(super) fn tuple(&mut self, tuple: &Tuple) -> Tuple {
        let mut key = key_of(tuple);
        if let Some(branch) = &self.branch {
            key = Value::array([branch.as_ref(), key.as_ref()]);
        }
        self.builder.push(key.as_ref());
        self.fields
            .iter()
            .for_each(|field| field.push_to(tuple, &mut self.builder));
        let row = Row::new(&mut self.builder, &mut self.scratch);
        Tuple::from_elem(Some(row), 1)
    }
}

impl Unary for Project {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        for (tuple, diff) in input.drain(..) {
            output.push((self.tuple(&tuple), diff));
        }
    }
}
