//! An independent judge of query results: it folds the same messages into plain maps and evaluates
//! the query from scratch, with nothing of the engine in it. `generate` makes random cases,
//! `shrink` makes a failing one small.

mod aggregates;
mod children;
mod evaluate;
mod expressions;
mod functions;
mod generate;
mod naive;
mod over;
mod parts;
mod projections;
mod queries;
mod recursion;
mod recursions;
mod select;
mod shrink;
mod sources;
mod store;
mod strict;
mod times;
mod value;

#[cfg(test)]
mod include_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod statistics;
#[cfg(test)]
mod tests;

#[allow(unused_imports)] // what the tests beside this module use
pub(crate) use self::{
    generate::{COLLECTIONS, Case, KEYS, Step, case, history, row, with_window},
    naive::{evaluate, same_rows},
    shrink::shrink,
    store::Store,
};
