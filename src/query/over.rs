//! Values of a row that depend on others: those before and after it in an order.

use super::error::QueryError;
use super::function::AggregateFunction;
use super::ir::{Expr, OrderBy};
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// A value of each row of a result, made of the rows around it: SQL's window functions.
///
/// Paths in its expressions start with a field of the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Over {
    /// What is computed.
    pub function: OverFunction,
    /// Of what.
    pub args: Vec<Expr>,
    /// What the rows have in common that are looked at together; nothing for all of them.
    pub partition_by: Vec<Expr>,
    /// Their order; ties are broken by key.
    pub order_by: Vec<OrderBy>,
    /// Which of them an aggregate is computed of.
    pub frame: Frame,
}

/// What an [`Over`] computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OverFunction {
    /// The row's place, from 1.
    RowNumber,
    /// The place of the first row of the same order, from 1.
    Rank,
    /// How many different orders there are up to the row's.
    DenseRank,
    /// `lag(x[, n[, default]])`: the value of the row so many before, by default one; null where
    /// there is none and no default.
    Lag,
    /// `lead(x[, n[, default]])`: the value of the row so many behind.
    Lead,
    /// An aggregate of the rows of the frame.
    Aggregate(AggregateFunction),
}

/// The rows around a row of which an aggregate is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// How many before it; all without a number.
    pub before: Option<usize>,
    /// How many behind it; all without a number.
    pub after: Option<usize>,
    /// Whether the rows that stand in the same place of the order as the last one belong to it, too.
    pub peers: bool,
}

impl Default for Frame {
    /// All rows up to this one and its peers.
    fn default() -> Frame {
        Frame {
            before: None,
            after: Some(0),
            peers: true,
        }
    }
}

impl OverFunction {
    const PLACES: [(&str, OverFunction); 5] = [
        ("rowNumber", OverFunction::RowNumber),
        ("rank", OverFunction::Rank),
        ("denseRank", OverFunction::DenseRank),
        ("lag", OverFunction::Lag),
        ("lead", OverFunction::Lead),
    ];

    /// The name in query JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            OverFunction::Aggregate(function) => function.as_str(),
            OverFunction::RowNumber => "rowNumber",
            OverFunction::Rank => "rank",
            OverFunction::DenseRank => "denseRank",
            OverFunction::Lag => "lag",
            OverFunction::Lead => "lead",
        }
    }

    pub(super) fn parse(name: &str) -> Option<OverFunction> {
        let place = Self::PLACES.iter().find(|(known, _)| *known == name);
        let aggregate = || AggregateFunction::parse(name).map(OverFunction::Aggregate);
        place.map(|(_, function)| *function).or_else(aggregate)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        let places = Self::PLACES.iter().map(|(name, _)| *name);
        places.chain(AggregateFunction::names())
    }
}

impl Over {
    /// Checks the number of arguments, and those that must be constant.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        let (low, high) = match self.function {
            OverFunction::Aggregate(function) => {
                return Expr::Aggregate(function, self.args.clone()).check();
            }
            OverFunction::RowNumber | OverFunction::Rank | OverFunction::DenseRank => (0, 0),
            OverFunction::Lag | OverFunction::Lead => (1, 3),
        };
        let (name, n) = (self.function.as_str(), self.args.len());
        super::function::check_arity(name, low, high, n)
            .map_err(|message| QueryError::new("args", message))?;
        match self.args.get(1) {
            None => Ok(()),
            Some(Expr::Value(Value::Int(i))) if (0..1 << 32).contains(i) => Ok(()),
            Some(_) => {
                let message = "must be a constant whole number from 0 on";
                Err(QueryError::new("args[1]", message))
            }
        }
    }
}
