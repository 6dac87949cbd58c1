//! The operators without state: filter and project.

use super::Updates;
use super::budget::{Meter, TUPLE};
use super::operator::Unary;
use crate::plan::{Expr, push_key};
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
    keys: [SeqBuilder; 2],
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
            keys: Default::default(),
            scratch: Vec::new(),
        }
    }
}

impl Project {
    pub(super) fn row(&mut self, tuple: &Tuple) -> Row {
        let [key, parts] = &mut self.keys;
        match &self.branch {
            None => push_key(tuple, &mut self.builder, parts),
            Some(branch) => {
                key.push(branch.as_ref());
                push_key(tuple, key, parts);
                self.builder.push_array(key);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::budget::{Budget, Timing, unlimited};
    use crate::plan::key_of;
    use crate::value::ValueRef;

    fn meter() -> Meter {
        Budget::new(unlimited(), Timing::default()).meter(String::new())
    }

    #[test]
    fn a_row_has_the_key_of_its_tuple() {
        let row = |key: ValueRef<'_>| Some(Row::of([key, ValueRef::Int(7)]));
        let (text, number) = (row(ValueRef::Str("a")), row(ValueRef::Int(1)));
        let unkeyed = row(ValueRef::Missing);
        let field = Expr::Const(Value::from(5));
        let project = |branch| Project::new(vec![field.clone()], branch, false, meter());
        for tuple in [
            vec![text.clone()],
            vec![None],
            vec![unkeyed.clone()],
            vec![text.clone(), number.clone()],
            vec![None, number],
            vec![text, unkeyed.clone()],
            vec![unkeyed.clone(), unkeyed],
        ] {
            let tuple = Tuple::from(tuple);
            let key = match &tuple[..] {
                // A row that is alone has its own key, even if it has none.
                [Some(row)] => row.get(0).to_owned(),
                _ => key_of(&tuple),
            };
            assert_eq!(project(None).row(&tuple).get(0), key.as_ref());
            let branch = Value::from("branch");
            let both = Value::array([branch.as_ref(), key.as_ref()]);
            assert_eq!(project(Some(branch)).row(&tuple).get(0), both.as_ref());
        }
    }
}
