//! Plans as textbook dataflows of `join_map`, `antijoin`, `reduce` and `distinct` over plain values.
//!
//! Nothing here knows of rows, sort keys, arrangements, or ticks that concern nobody, and
//! expressions are evaluated by other code than ours.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use differential_dataflow::VecCollection;
use differential_dataflow::input::{Input, InputSession};
use timely::communication::Allocator;
use timely::communication::allocator::Thread;
use timely::dataflow::{ProbeHandle, Scope};
use timely::worker::Worker;

use super::world::each_row;
use crate::dataflow::{Diff, Time};
use crate::plan::{Aggregate, Expr, Join, Node, OrderKey, Scan};
use crate::query::{AggregateFunction, Function, JoinKind};
use crate::store::Changes;
use crate::value::{Direction, Nulls, Row, Value, ValueRef};

/// A tuple by value.
pub(super) type Plain = Vec<Option<Vec<Value>>>;
type Plains<'s> = VecCollection<'s, Time, Plain, Diff>;
type Session = InputSession<Time, Plain, Diff>;

pub(super) fn plain(tuple: &[Option<Row>]) -> Plain {
    let values = |row: &Row| row.columns().iter().map(ValueRef::to_owned).collect();
    tuple.iter().map(|row| row.as_ref().map(values)).collect()
}

/// A tuple of one row of a key and fields; missing values at the end are not there.
fn one_row(key: Value, fields: impl IntoIterator<Item = Value>) -> Plain {
    let mut row: Vec<Value> = std::iter::once(key).chain(fields).collect();
    while let Some(Value::Missing) = row.last() {
        row.pop();
    }
    vec![Some(row)]
}

fn concat(left: &Plain, right: &Plain) -> Plain {
    left.iter().chain(right).cloned().collect()
}

fn nullish(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Missing)
}

/// The keys of a tuple's rows, null for the unmatched side of a join.
fn keys(tuple: &Plain) -> Vec<Value> {
    tuple
        .iter()
        .map(|row| row.as_ref().map_or(Value::Null, |row| row[0].clone()))
        .collect()
}

fn eval(expr: &Expr, tuple: &Plain) -> Value {
    match expr {
        Expr::Column { source, column, .. } => {
            let row = tuple[*source].as_ref();
            row.and_then(|row| row.get(*column))
                .cloned()
                .unwrap_or_default()
        }
        Expr::Const(value) => value.clone(),
        Expr::Call(function, args) => {
            let (a, b) = (eval(&args[0], tuple), eval(&args[1], tuple));
            match function {
                _ if nullish(&a) || nullish(&b) => Value::Null,
                Function::Eq => (a == b).into(),
                Function::Gt => (a > b).into(),
                other => unreachable!("{other:?} is not used here"),
            }
        }
        other => unreachable!("{other} is not used here"),
    }
}

fn eval_all(exprs: &[Expr], tuple: &Plain) -> Vec<Value> {
    exprs.iter().map(|expr| eval(expr, tuple)).collect()
}

fn passes(predicates: &[Expr], tuple: &Plain) -> bool {
    predicates
        .iter()
        .all(|p| eval(p, tuple) == Value::Bool(true))
}

fn compare(order: &[OrderKey], a: &Plain, b: &Plain) -> Ordering {
    let component = |OrderKey {
                         expr,
                         direction,
                         nulls,
                         ..
                     }: &OrderKey| {
        let (a, b) = (eval(expr, a), eval(expr, b));
        let place = |v: &Value| {
            if nullish(v) == (*nulls == Nulls::First) {
                0
            } else {
                1
            }
        };
        place(&a).cmp(&place(&b)).then_with(|| match direction {
            _ if nullish(&a) => Ordering::Equal,
            Direction::Asc => a.cmp(&b),
            Direction::Desc => b.cmp(&a),
        })
    };
    let ordered = order.iter().map(component).find(|o| o.is_ne());
    ordered.unwrap_or_else(|| keys(a).cmp(&keys(b)))
}

/// An aggregate of a group's tuples, whose values are numbers that floats add up exactly.
fn aggregate(wanted: &Aggregate, tuples: &[(&Option<Plain>, Diff)]) -> Value {
    use AggregateFunction::*;
    let mut known: Vec<&Plain> = tuples
        .iter()
        .filter_map(|(tuple, count)| Some((tuple.as_ref()?, *count)))
        .flat_map(|(tuple, count)| std::iter::repeat_n(tuple, count as usize))
        .filter(|tuple| !nullish(&eval(&wanted.args[0], tuple)))
        .collect();
    if matches!(wanted.function, ArrayAgg | First | Last) {
        let order = wanted.args.get(1).map(|expr| OrderKey {
            expr: expr.clone(),
            direction: match wanted.args.get(2) {
                Some(_) => Direction::Desc,
                None => Direction::Asc,
            },
            nulls: Nulls::First,
            collation: None,
        });
        let order: Vec<OrderKey> = order.into_iter().collect();
        known.sort_by(|a, b| compare(&order, a, b));
    }
    let values: Vec<Value> = known.iter().map(|t| eval(&wanted.args[0], t)).collect();
    let floats = || {
        values
            .iter()
            .map(|v| v.as_ref().as_f64().expect("a number"))
    };
    let n = values.len() as f64;
    let quantile = |p: f64| {
        let mut sorted: Vec<f64> = floats().collect();
        sorted.sort_by(f64::total_cmp);
        let place = p * (n - 1.0);
        let (low, high) = (
            sorted[place.floor() as usize],
            sorted[place.ceil() as usize],
        );
        Value::float(low + (high - low) * place.fract())
    };
    match wanted.function {
        Count => Value::from(values.len() as i64),
        Sum => Value::float(floats().sum()),
        CountDistinct => Value::from(values.into_iter().collect::<BTreeSet<_>>().len() as i64),
        ArrayAgg => Value::from(values),
        _ if values.is_empty() => Value::Null,
        Avg => Value::float(floats().sum::<f64>() / n),
        Min => values.into_iter().min().unwrap_or_default(),
        Max => values.into_iter().max().unwrap_or_default(),
        First => values[0].clone(),
        Last => values[values.len() - 1].clone(),
        Median => quantile(0.5),
        Quantile => quantile(0.3),
        Stddev if n < 2.0 => Value::Null,
        Stddev => {
            let (sum, squares) = (floats().sum::<f64>(), floats().map(|f| f * f).sum::<f64>());
            Value::float(((n * squares - sum * sum) / (n * (n - 1.0))).sqrt())
        }
    }
}

/// The collections of a model's dataflow and the ways into them.
type Inputs<'s> = BTreeMap<usize, (Session, Plains<'s>)>;

/// A plan in differential's operators.
fn differential<'s>(node: &Node, scope: Scope<'s, Time>, inputs: &mut Inputs<'s>) -> Plains<'s> {
    match node.clone() {
        Node::Scan(Scan { collection, filter }) => {
            let input = inputs.entry(collection.id());
            let (_, rows) = input.or_insert_with(|| scope.new_collection());
            rows.clone().filter(move |tuple| passes(&filter, tuple))
        }
        Node::Filter { input, predicates } => {
            differential(&input, scope, inputs).filter(move |tuple| passes(&predicates, tuple))
        }
        Node::Project { input, fields, .. } => {
            differential(&input, scope, inputs).map(move |tuple| {
                let key = match &tuple[..] {
                    [Some(row)] => row[0].clone(),
                    _ => keys(&tuple).into(),
                };
                one_row(key, eval_all(&fields, &tuple))
            })
        }
        Node::Distinct { input, fields, .. } => {
            let rows = differential(&input, scope, inputs).map(move |tuple| {
                let fields = eval_all(&fields, &tuple);
                one_row(fields.clone().into(), fields)
            });
            rows.distinct()
        }
        Node::Join(join) => differential_join(&join, scope, inputs),
        Node::Aggregate {
            input,
            keys,
            aggregates,
        } => {
            let global = keys.is_empty();
            let tuples = differential(&input, scope, inputs);
            let mut members = tuples.map(move |tuple| (eval_all(&keys, &tuple), Some(tuple)));
            if global {
                members = members.concat(scope.new_collection_from([(Vec::new(), None)]).1);
            }
            let groups = members.reduce(move |_, members, output| {
                let values = aggregates.iter().map(|wanted| aggregate(wanted, members));
                output.push((values.collect::<Vec<Value>>(), 1));
            });
            groups.map(|(key, values)| one_row(key.clone().into(), key.into_iter().chain(values)))
        }
        Node::Window {
            input,
            order,
            offset,
            limit,
            ..
        } => {
            let all = differential(&input, scope, inputs).map(|tuple| ((), tuple));
            let stretch = all.reduce(move |_, tuples, output| {
                let mut sorted: Vec<&Plain> = tuples.iter().map(|(tuple, _)| *tuple).collect();
                sorted.sort_by(|a, b| compare(&order, a, b));
                let stretch = sorted
                    .into_iter()
                    .skip(offset)
                    .take(limit.unwrap_or(usize::MAX));
                output.extend(stretch.map(|tuple| (tuple.clone(), 1)));
            });
            stretch.map(|((), tuple)| tuple)
        }
        other => unreachable!("{other:?} is not used here"),
    }
}

/// The pairs, and of the sides that are kept what is in no pair.
fn differential_join<'s>(
    join: &Join,
    scope: Scope<'s, Time>,
    inputs: &mut Inputs<'s>,
) -> Plains<'s> {
    let left = differential(&join.left, scope, inputs);
    let right = differential(&join.right, scope, inputs);
    let by_key = |tuples: &Plains<'s>, keys: &[Expr]| {
        let keys = keys.to_vec();
        let keyed = tuples
            .clone()
            .map(move |tuple| (eval_all(&keys, &tuple), tuple));
        keyed.filter(|(key, _)| !key.iter().any(nullish))
    };
    let residual = join.residual.clone();
    let pairs = by_key(&left, &join.left_keys)
        .join_map(by_key(&right, &join.right_keys), |_, l, r| {
            (l.clone(), r.clone())
        })
        .filter(move |(l, r)| passes(&residual, &concat(l, r)));
    if join.kind.is_test() {
        let matched = pairs.map(|(l, _)| l).distinct();
        return match join.kind {
            JoinKind::Semi => matched,
            _ => left.map(|l| (l, ())).antijoin(matched).map(|(l, ())| l),
        };
    }
    let mut tuples = pairs.clone().map(|(l, r)| concat(&l, &r));
    if join.kind.keeps_left() {
        let no_right = vec![None; join.right_arity];
        let matched = pairs.clone().map(|(l, _)| l).distinct();
        let unmatched = left.map(|l| (l, ())).antijoin(matched);
        tuples = tuples.concat(unmatched.map(move |(l, ())| concat(&l, &no_right)));
    }
    if join.kind.keeps_right() {
        let no_left = vec![None; join.left_arity];
        let matched = pairs.map(|(_, r)| r).distinct();
        let unmatched = right.map(|r| (r, ())).antijoin(matched);
        tuples = tuples.concat(unmatched.map(move |(r, ())| concat(&no_left, &r)));
    }
    tuples
}

/// A running model of a plan.
pub(super) struct Model {
    worker: Worker,
    inputs: BTreeMap<usize, Session>,
    probe: ProbeHandle<Time>,
    pub(super) time: Time,
    updates: Rc<RefCell<Vec<(Plain, Diff)>>>,
    pub(super) tuples: BTreeMap<Plain, Diff>,
}

impl Model {
    pub(super) fn new(node: &Node) -> Model {
        let allocator = Allocator::Thread(Thread::default());
        let mut worker = Worker::new(timely::WorkerConfig::default(), allocator, None);
        let updates: Rc<RefCell<Vec<(Plain, Diff)>>> = Rc::default();
        let sink = updates.clone();
        let (inputs, probe) = worker.dataflow(|scope| {
            let mut inputs = Inputs::new();
            let tuples = differential(node, scope, &mut inputs);
            let out =
                tuples.inspect(move |(t, _, diff)| sink.borrow_mut().push((t.clone(), *diff)));
            let sessions = inputs
                .into_iter()
                .map(|(id, (session, _))| (id, session))
                .collect();
            (sessions, out.probe().0)
        });
        Model {
            worker,
            inputs,
            probe,
            time: 0,
            updates,
            tuples: BTreeMap::new(),
        }
    }

    pub(super) fn tick(&mut self, changes: &BTreeMap<usize, Changes>) {
        self.time += 1;
        for (id, input) in &mut self.inputs {
            each_row(changes, *id, |row, diff| {
                input.update(plain(std::slice::from_ref(row)), diff)
            });
            input.advance_to(self.time);
            input.flush();
        }
        while self.probe.less_than(&self.time) {
            self.worker.step();
        }
        for (tuple, diff) in self.updates.take() {
            *self.tuples.entry(tuple).or_default() += diff;
        }
        self.tuples.retain(|_, count| *count != 0);
    }
}
