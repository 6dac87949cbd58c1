//! One aggregate of rows that come and go.

use super::state::{Keep, Read, Standing, State, needs};
use crate::dataflow::Diff;
use crate::plan::{Aggregate, Expr, OrderKey};
use crate::value::{Tuple, Value};

/// An aggregate, and what is kept of the rows that are in it.
pub(in crate::dataflow) struct Sliding {
    expr: Expr,
    orders: Vec<Vec<OrderKey>>,
    keep: Keep,
    read: Read,
    state: State,
}

impl Sliding {
    pub(in crate::dataflow) fn new(aggregate: &Aggregate) -> Sliding {
        let mut orders = Vec::new();
        let (keep, read) = needs(aggregate, &mut orders);
        Sliding {
            orders,
            expr: aggregate.args[0].clone(),
            state: keep.nothing(),
            keep,
            read,
        }
    }

    /// Adds a row, or takes it away.
    pub(in crate::dataflow) fn add(&mut self, tuple: &Tuple, diff: Diff) {
        let value = self.expr.eval(tuple);
        if !value.as_ref().is_nullish() {
            let mut standing = Standing::new(&self.orders, tuple);
            let state = &mut self.state;
            state.add(&self.keep, value.as_ref(), &mut standing, diff);
        }
    }

    pub(in crate::dataflow) fn value(&self) -> Value {
        self.state.read(&self.read, None, &self.expr)
    }
}
