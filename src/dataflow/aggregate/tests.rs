//! Aggregates after random histories against aggregates of what is left, over values of all types.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::plan::Label;
use crate::query::AggregateFunction::{self, *};
use crate::value::ValueRef;
use crate::value::from_json;

fn column(column: usize) -> Expr {
    Expr::Column {
        source: 0,
        column,
        label: Label::default(),
    }
}

fn aggregate(function: AggregateFunction, more: &[Expr]) -> Wanted {
    Wanted {
        function,
        args: [&[column(2)], more].concat(),
    }
}

fn all() -> Vec<Wanted> {
    let desc = Expr::Const("desc".into());
    let mut all: Vec<Wanted> = [
        Count,
        Sum,
        Avg,
        Min,
        Max,
        CountDistinct,
        Stddev,
        Median,
        ArrayAgg,
        First,
        Last,
    ]
    .map(|function| aggregate(function, &[]))
    .into();
    for p in [0.0, 0.25, 0.9, 1.0] {
        all.push(aggregate(Quantile, &[Expr::Const(p.into())]));
    }
    for function in [ArrayAgg, First, Last] {
        all.push(aggregate(function, &[column(3)]));
        all.push(aggregate(function, &[column(3), desc.clone()]));
    }
    // What another argument keeps in the same orders, but for one.
    for function in [ArrayAgg, First, Last] {
        for order in [&[][..], &[column(3)], &[column(2)]] {
            all.push(Wanted {
                function,
                args: [&[column(4)], order].concat(),
            });
        }
    }
    all
}

/// The values of the aggregates by group.
#[derive(Default)]
struct Groups(BTreeMap<Value, Row>);

impl Groups {
    fn follow(&mut self, operator: &mut Aggregate, mut changes: Updates) {
        let mut output = Updates::new();
        operator.step(&mut changes, &mut output);
        for (tuple, diff) in output {
            let row = tuple[0].clone().expect("a group is a row");
            let key = row.get(0).to_owned();
            match diff {
                1 => assert!(self.0.insert(key, row).is_none()),
                _ => assert_eq!(self.0.remove(&key), Some(row)),
            }
        }
    }
}

fn value(rng: &mut fastrand::Rng) -> Value {
    match rng.u32(..14) {
        0 => Value::Null,
        1 => Value::Missing,
        2 => rng.bool().into(),
        3 => ["", "a", "12", "é"][rng.usize(..4)].into(),
        4 => Value::from(vec![rng.i32(0..2)]),
        5 => Value::object([("a", Value::from(rng.i32(0..2)))]),
        6 => Value::Int(i128::from(u64::MAX) - rng.i128(0..3)),
        7 => Value::float((rng.f64() - 0.5) * 10f64.powi(rng.i32(-30..30))),
        8 => Value::float([f64::NAN, f64::INFINITY, 1e308, -1e308][rng.usize(..4)]),
        _ => Value::float(f64::from(rng.i32(-8..8)) / 4.0),
    }
}

/// The textbook's aggregates of the rows of a group.
fn check(wanted: &Wanted, rows: &[&Row], found: ValueRef<'_>) {
    let Expr::Column { column: of, .. } = wanted.args[0] else {
        unreachable!("all are of columns");
    };
    let mut rows: Vec<&&Row> = rows
        .iter()
        .filter(|row| !row.get(of).is_nullish())
        .collect();
    if let Some(Expr::Column { column, .. }) = wanted.args.get(1) {
        rows.sort_by(|a, b| {
            let (a, b) = (a.get(*column), b.get(*column));
            let nulls = b.is_nullish().cmp(&a.is_nullish());
            nulls.then_with(|| match wanted.args.len() {
                _ if a.is_nullish() => std::cmp::Ordering::Equal,
                2 => a.cmp(&b),
                _ => b.cmp(&a),
            })
        });
    }
    let values: Vec<ValueRef<'_>> = rows.iter().map(|row| row.get(of)).collect();
    let mut numbers: Vec<f64> = values.iter().filter_map(|v| v.as_f64()).collect();
    numbers.retain(|n| !n.is_nan());
    numbers.sort_by(f64::total_cmp);
    let expected = match wanted.function {
        CountDistinct => Value::from(values.iter().collect::<BTreeSet<_>>().len() as i64),
        Count => Value::from(values.len() as i64),
        Min => values.iter().min().map_or(Value::Null, |v| (*v).to_owned()),
        Max => values.iter().max().map_or(Value::Null, |v| (*v).to_owned()),
        ArrayAgg => Value::array(values),
        First => values.first().map_or(Value::Null, |v| (*v).to_owned()),
        Last => values.last().map_or(Value::Null, |v| (*v).to_owned()),
        Median | Quantile if numbers.is_empty() => Value::Null,
        Median | Quantile => {
            let p = match wanted.args.get(1) {
                Some(Expr::Const(p)) => p.as_ref().as_f64().unwrap(),
                _ => 0.5,
            };
            let place = p * (numbers.len() - 1) as f64;
            let (low, high) = (
                numbers[place.floor() as usize],
                numbers[place.ceil() as usize],
            );
            let part = place.fract();
            let between = low * (1.0 - part) + high * part;
            let found = found.as_f64().unwrap();
            let near = (found - between).abs() <= (low.abs() + high.abs()) * 1e-15;
            return assert!(
                near || found == between || low == high,
                "{found}, not {between}"
            );
        }
        Sum | Avg | Stddev => return,
    };
    assert_eq!(found, expected.as_ref(), "{:?}", wanted.function);
}

#[test]
fn histories_leave_what_is_left() {
    for seed in 0..6 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let wanted = all();
        let new = || Aggregate::new(vec![column(1)], wanted.clone());
        let (mut operator, mut groups) = (new(), Groups::default());
        let mut rows: BTreeMap<u32, Row> = BTreeMap::new();
        for step in 0..120 {
            let mut changes = Updates::new();
            for _ in 0..rng.usize(1..12) {
                let key = rng.u32(..if seed < 3 { 12 } else { 300 });
                // Mostly a change of one field, sometimes of none that is read.
                let mut fields = [(); 4].map(|()| value(&mut rng));
                fields[0] = rng.i32(0..2).into();
                if let Some(old) = rows.get(&key)
                    && rng.bool()
                {
                    let changed = rng.usize(..4);
                    for i in (0..4).filter(|i| *i != changed) {
                        fields[i] = old.get(i + 1).to_owned();
                    }
                }
                let shrinks = step % 40 > 30;
                let gone = rng.u32(..10) < if shrinks { 9 } else { 2 };
                let row: Row = std::iter::once(Value::from(i64::from(key)))
                    .chain(fields)
                    .collect();
                let old = match gone {
                    true => rows.remove(&key),
                    false => rows.insert(key, row.clone()),
                };
                let old = old.map(|row| (Tuple::from_elem(Some(row), 1), -1));
                changes.extend(old);
                if !gone {
                    changes.push((Tuple::from_elem(Some(row), 1), 1));
                }
            }
            // Operators before this one may bring changes in any order.
            rng.shuffle(&mut changes);
            groups.follow(&mut operator, changes);
            let mut fresh = Groups::default();
            let each = rows
                .values()
                .map(|row| (Tuple::from_elem(Some(row.clone()), 1), 1));
            fresh.follow(&mut new(), each.collect());
            assert_eq!(groups.0, fresh.0, "step {step} of seed {seed}");
            for (key, group) in &groups.0 {
                let of_group = |row: &&Row| Value::array([row.get(1)]) == *key;
                let members: Vec<&Row> = rows.values().filter(of_group).collect();
                for (i, wanted) in wanted.iter().enumerate() {
                    check(wanted, &members, group.get(2 + i));
                }
            }
        }
    }
}

/// The aggregates of all of these values.
fn of(values: &[&str], wanted: Wanted) -> String {
    let mut operator = Aggregate::new(Vec::new(), vec![wanted]);
    let mut groups = Groups::default();
    let row = |(i, text): (usize, &&str)| -> Row {
        let value = match *text {
            "undefined" => Value::Missing,
            text => from_json(text).unwrap(),
        };
        [Value::from(i as i64), Value::Null, value]
            .into_iter()
            .collect()
    };
    let rows = values.iter().enumerate().map(row);
    groups.follow(
        &mut operator,
        rows.map(|row| (Tuple::from_elem(Some(row), 1), 1))
            .collect(),
    );
    groups.0.into_values().next().unwrap().get(1).to_string()
}

#[test]
fn aggregates_skip_what_they_should() {
    let quantile = |p: f64| aggregate(Quantile, &[Expr::Const(p.into())]);
    let plain = |function| aggregate(function, &[]);
    let none: &[&str] = &["null", "undefined"];
    for (values, wanted, expected) in [
        (none, plain(CountDistinct), "0"),
        (none, plain(Stddev), "null"),
        (none, plain(Median), "null"),
        (none, quantile(0.5), "null"),
        (none, plain(ArrayAgg), "[]"),
        (none, plain(First), "null"),
        (none, plain(Last), "null"),
        (&["1", "1.0", "\"1\"", "null"], plain(CountDistinct), "2"),
        (&["2", "\"4\"", "true"], plain(Stddev), "1.5275252316519468"),
        (&["2"], plain(Stddev), "null"),
        (&["2", "\"x\""], plain(Stddev), "null"),
        (
            &["5", "\"9\"", "true", "[8]", "1", "null"],
            plain(Median),
            "3",
        ),
        (&["1", "2"], plain(Median), "1.5"),
        (
            &["18446744073709551615", "0", "18446744073709551615"],
            plain(Median),
            "18446744073709551615",
        ),
        (&["1e308", "-1e308"], plain(Median), "0"),
        (&["1", "2", "3", "4"], quantile(0.9), "3.7"),
        (&["1", "2", "3", "4"], quantile(1.0), "4"),
        (&["\"a\"", "false"], plain(Median), "null"),
        (&["3", "null", "\"x\"", "1"], plain(ArrayAgg), "[3,\"x\",1]"),
        (&["3", "null", "1"], plain(Last), "1"),
        (&["null", "3", "1"], plain(First), "3"),
        (
            &["3", "1", "2"],
            aggregate(ArrayAgg, &[column(2)]),
            "[1,2,3]",
        ),
        (
            &["3", "1", "2"],
            aggregate(First, &[column(2), Expr::Const("desc".into())]),
            "3",
        ),
    ] {
        let function = wanted.function;
        assert_eq!(of(values, wanted), expected, "{function:?} of {values:?}");
    }
}

#[test]
fn only_what_is_needed_is_kept() {
    let kept = |wanted: Vec<Wanted>| {
        let operator = Aggregate::new(vec![column(1)], wanted);
        operator
            .arguments
            .iter()
            .map(|a| a.keeps.len())
            .sum::<usize>()
    };
    let plain = |function| aggregate(function, &[]);
    assert_eq!(kept(vec![plain(Count)]), 1);
    assert_eq!(kept([Min, Max, CountDistinct].map(plain).into()), 1);
    assert_eq!(kept([Sum, Avg].map(plain).into()), 1);
    assert_eq!(kept([First, Last, ArrayAgg].map(plain).into()), 1);
    assert_eq!(kept(all()), 11);
}

/// The rows of a group are kept once, whatever is asked of the last of them.
#[test]
fn arguments_keep_the_same_tuples_together() {
    let last = |of: usize| Wanted {
        function: Last,
        args: vec![column(of), column(3)],
    };
    let tuple = |i: i64, missing: bool| {
        let value = |i: i64| if missing { Value::Null } else { Value::from(i) };
        let row: Row = [i.into(), 0.into(), i.into(), (i % 7).into(), value(i)]
            .into_iter()
            .collect();
        (Tuple::from_elem(Some(row), 1), 1)
    };
    let bytes = |of: &[usize], missing: bool| {
        let wanted = of.iter().map(|of| last(*of)).collect();
        let mut operator = Aggregate::new(vec![column(1)], wanted);
        let mut changes: Updates = (0..1000).map(|i| tuple(i, missing)).collect();
        operator.step(&mut changes, &mut Updates::new());
        operator.bytes()
    };
    let (one, two) = (bytes(&[2], false), bytes(&[2, 4], false));
    assert!(two < one + 500, "{two} bytes, not {one}");
    let apart = bytes(&[2, 4], true);
    assert!(apart < one + 500, "{apart} bytes, not {one}");
}

/// However many orders there are, and whichever of them is kept together with others.
#[test]
fn very_many_orders_are_kept_apart() {
    let first = |of: usize, order: usize| Wanted {
        function: First,
        args: vec![column(of), column(order)],
    };
    let orders = 4..154;
    let wanted = orders.clone().map(|order| first(2, order));
    let wanted: Vec<Wanted> = wanted.chain([first(3, 4), first(3, 100)]).collect();
    let mut operator = Aggregate::new(vec![column(1)], wanted);
    let row = |r: usize| -> Row {
        let of_order = |order: usize| (r + order) % 3;
        let fields = [r, 0, r, r].into_iter().chain(orders.clone().map(of_order));
        fields.map(|n| Value::from(n as i64)).collect()
    };
    let mut groups = Groups::default();
    let rows = (0..3).map(|r| (Tuple::from_elem(Some(row(r)), 1), 1));
    groups.follow(&mut operator, rows.collect());
    let group = groups.0.into_values().next().expect("there is one group");
    for (i, order) in orders.chain([4, 100]).enumerate() {
        let expected = Value::from(((3 - order % 3) % 3) as i64);
        assert_eq!(group.get(2 + i), expected.as_ref(), "order {order}");
    }
}
