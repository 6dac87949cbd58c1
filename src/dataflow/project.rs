//! The operators without state: filter and project.

use super::Updates;
use super::budget::{Meter, TUPLE};
use super::operator::Unary;
use crate::plan::{Expr, key_of};
use crate::value::{Row, SeqBuilder, Tuple, Value, single};

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

    fn bytes(&self) -> usize {
        0
    }
}

/// One row a tuple: its key, then the fields. In a union the key is that of the branch and its own.
pub(super) struct Project {
    fields: Vec<Expr>,
    branch: Option<Value>,
    builder: SeqBuilder,
    scratch: Vec<u8>,
    /// What the rows take that it made and that are still there, if somebody keeps them.
    made: Option<isize>,
    meter: Meter,
}

impl Project {
    /// `kept` says whether the rows stay anywhere.
    pub(super) fn new(fields: Vec<Expr>, branch: Option<Value>, kept: bool, meter: Meter) -> Self {
        Project {
            made: kept.then_some(0),
            meter,
            fields,
            branch,
            builder: SeqBuilder::default(),
            scratch: Vec::new(),
        }
    }
}

impl Project {
    pub(super) fn row(&mut self, tuple: &Tuple) -> Row {
        let mut key = key_of(tuple);
        if let Some(branch) = &self.branch {
            key = Value::array([branch.as_ref(), key.as_ref()]);
        }
        self.builder.push(key.as_ref());
        self.fields
            .iter()
            .for_each(|field| field.push_to(tuple, &mut self.builder));
        Row::new(&mut self.builder, &mut self.scratch)
    }
}

impl Unary for Project {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        for (tuple, diff) in input.drain(..) {
            let row = self.row(&tuple);
            let size = row.size();
            if let Some(made) = &mut self.made {
                *made += diff * size as isize;
            }
            if !self.meter.spend(TUPLE + size) {
                return;
            }
            output.push((single(row), diff));
        }
    }

    fn bytes(&self) -> usize {
        self.made.map_or(0, |made| made.max(0) as usize)
    }
}
