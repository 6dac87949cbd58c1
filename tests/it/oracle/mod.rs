//! An independent judge of query results: it folds the same messages into plain maps and evaluates
//! the query from scratch, with nothing of the engine in it. `generate` makes random cases,
//! `shrink` makes a failing one small.

mod aggregates;
mod evaluate;
mod expressions;
mod functions;
mod generate;
mod naive;
mod queries;
mod recursion;
mod select;
mod shrink;
mod sources;
mod store;
mod value;

#[cfg(test)]
mod statistics;
#[cfg(test)]
mod tests;

#[allow(unused_imports)] // what the tests beside this module use
pub(crate) use self::{
    generate::{Case, case},
    naive::{evaluate, same_rows},
    shrink::shrink,
    store::Store,
};
