//! Our operators against differential's own: after every tick of random histories, both must have
//! brought the same tuples.
//!
//! Plans run as they do in an engine: actions go through a store, whose changes are fed to the
//! dataflows of one runtime.

mod differential;
mod world;

use std::sync::Arc;

use crate::plan::{Aggregate, Expr, Join, Label, Node, OrderKey, Scan};
use crate::query::{AggregateFunction, Function, JoinKind};
use crate::schema::CollectionDef;
use crate::store::Action;
use crate::value::{Direction, Nulls, Value};
use world::{History, World};

/// Runs queries that come one after the other while rows change.
fn run<const N: usize>(
    seed: u64,
    ticks: usize,
    nodes: impl Fn([&Arc<CollectionDef>; N]) -> Vec<Node>,
) {
    let (mut world, mut queries) = (World::new(), Vec::new());
    let mut history = History::new(&world, N, 12, seed);
    let mut nodes = nodes(std::array::from_fn(|i| &world.collections[i]));
    history.rng.shuffle(&mut nodes);
    let mut waiting = nodes.iter();
    while queries.len() < nodes.len() {
        let some = nodes.len().div_ceil(4);
        queries.extend(waiting.by_ref().take(some).map(|node| world.check(node)));
        for _ in 0..ticks / 4 {
            let batch = history.batch();
            world.tick(batch, &mut queries);
        }
    }
}

fn column(source: usize, column: usize) -> Expr {
    Expr::Column {
        source,
        column,
        label: Label::default(),
    }
}

fn call(function: Function, a: Expr, b: impl Into<Value>) -> Expr {
    Expr::Call(function, vec![a, Expr::Const(b.into())])
}

fn scan(collection: &Arc<CollectionDef>, filter: &[Expr]) -> Node {
    Node::Scan(Scan {
        collection: collection.clone(),
        filter: filter.to_vec(),
    })
}

/// A join on pairs of a column of a left and one of a right source, each by its place.
fn join(
    kind: JoinKind,
    left: &Node,
    right: &Node,
    on: &[[(usize, usize); 2]],
    residual: &[Expr],
) -> Node {
    let keys = |side: usize| {
        on.iter()
            .map(|pair| column(pair[side].0, pair[side].1))
            .collect()
    };
    Node::Join(Box::new(Join {
        kind,
        left: left.clone(),
        right: right.clone(),
        left_arity: left.arity(),
        right_arity: right.arity(),
        left_keys: keys(0),
        right_keys: keys(1),
        residual: residual.to_vec(),
    }))
}

const KINDS: [JoinKind; 6] = [
    JoinKind::Inner,
    JoinKind::Left,
    JoinKind::Right,
    JoinKind::Full,
    JoinKind::Semi,
    JoinKind::Anti,
];

#[test]
fn self_joins() {
    run(1, 120, |[a]| {
        let less = Expr::Call(Function::Gt, vec![column(1, 3), column(0, 3)]);
        let some = scan(a, &[call(Function::Gt, column(0, 3), 5)]);
        let all = scan(a, &[]);
        let mut nodes = vec![join(JoinKind::Cross, &all, &all, &[], &[])];
        for kind in KINDS {
            for residual in [&[][..], std::slice::from_ref(&less)] {
                nodes.push(join(kind, &all, &all, &[[(0, 1), (0, 1)]], residual));
                nodes.push(join(kind, &all, &all, &[[(0, 4), (0, 0)]], residual));
                nodes.push(join(
                    kind,
                    &some,
                    &all,
                    &[[(0, 1), (0, 1)], [(0, 2), (0, 2)]],
                    residual,
                ));
            }
        }
        nodes
    });
}

#[test]
fn joins_of_two_collections() {
    run(2, 120, |[a, b]| {
        let filters = [
            call(Function::Eq, column(0, 2), 1),
            call(Function::Gt, column(0, 1), 0),
        ];
        let (all_a, all_b) = (scan(a, &[]), scan(b, &[]));
        let (some_a, some_b) = (scan(a, &filters[..1]), scan(b, &filters[1..]));
        let greater = Expr::Call(Function::Gt, vec![column(0, 3), column(1, 3)]);
        let mut nodes = vec![join(JoinKind::Cross, &some_a, &some_b, &[], &[])];
        for kind in KINDS {
            for (left, right) in [(&all_a, &all_b), (&some_a, &all_b), (&all_b, &some_a)] {
                for residual in [&[][..], std::slice::from_ref(&greater)] {
                    nodes.push(join(kind, left, right, &[[(0, 1), (0, 1)]], residual));
                    nodes.push(join(kind, left, right, &[[(0, 0), (0, 4)]], residual));
                }
            }
        }
        nodes
    });
}

#[test]
fn joins_over_joins() {
    run(3, 40, |[a, b, c]| {
        let [a, b, c] = [a, b, c].map(|collection| scan(collection, &[]));
        let greater = Expr::Call(Function::Gt, vec![column(0, 3), column(2, 3)]);
        let mut nodes = Vec::new();
        let pairing = KINDS.iter().copied().filter(|kind| !kind.is_test());
        for inner in pairing {
            let pairs = join(inner, &a, &b, &[[(0, 1), (0, 2)]], &[]);
            let other = join(JoinKind::Left, &b, &a, &[[(0, 4), (0, 0)]], &[]);
            let fields = vec![column(0, 1), column(1, 3)];
            let source = Node::Project {
                input: Box::new(pairs.clone()),
                branch: None,
                fields,
            };
            for outer in KINDS {
                nodes.push(join(outer, &pairs, &c, &[[(1, 1), (0, 1)]], &[]));
                nodes.push(join(
                    outer,
                    &c,
                    &pairs,
                    &[[(0, 4), (0, 0)]],
                    std::slice::from_ref(&greater),
                ));
                nodes.push(join(
                    outer,
                    &pairs,
                    &a,
                    &[[(1, 4), (0, 0)]],
                    std::slice::from_ref(&greater),
                ));
            }
            nodes.push(join(inner, &pairs, &other, &[[(1, 0), (0, 0)]], &[]));
            nodes.push(join(inner, &source, &a, &[[(0, 1), (0, 1)]], &[]));
        }
        nodes
    });
}

fn aggregates(argument: &Expr) -> Vec<Aggregate> {
    use AggregateFunction::*;
    let of = |function, more: &[Expr]| Aggregate {
        function,
        args: [std::slice::from_ref(argument), more].concat(),
    };
    let plain = [
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
    ];
    let ordered = [column(0, 2), Expr::Const("desc".into())];
    let mut all: Vec<Aggregate> = plain
        .into_iter()
        .map(|function| of(function, &[]))
        .collect();
    all.push(of(Quantile, &[Expr::Const(0.3.into())]));
    all.push(of(ArrayAgg, &ordered));
    all.push(of(First, &ordered));
    all.push(of(Last, &ordered[..1]));
    all
}

#[test]
fn aggregates_projections_and_distinct_rows() {
    run(4, 160, |[a, b]| {
        let (a, b) = (
            scan(a, &[]),
            scan(b, &[call(Function::Gt, column(0, 3), 8)]),
        );
        let pairs = join(JoinKind::Full, &a, &b, &[[(0, 1), (0, 1)]], &[]);
        let mut nodes = Vec::new();
        for node in [a, b, pairs] {
            let last = node.arity() - 1;
            let filter = |source, place| vec![call(Function::Gt, column(source, place), 0)];
            let input = || Box::new(node.clone());
            for keys in [
                vec![],
                vec![column(last, 1)],
                vec![column(0, 2), column(last, 1)],
            ] {
                let mut wanted = aggregates(&column(0, 3));
                wanted.extend(aggregates(&column(last, 2)));
                nodes.push(Node::Distinct {
                    input: input(),
                    keyed: true,
                    fields: keys.clone(),
                });
                nodes.push(Node::Project {
                    input: input(),
                    branch: None,
                    fields: keys.clone(),
                });
                nodes.push(Node::Aggregate {
                    input: input(),
                    keys,
                    aggregates: wanted,
                });
            }
            let groups = nodes.last().unwrap().clone();
            nodes.push(Node::Filter {
                input: Box::new(groups),
                predicates: filter(0, 3),
            });
            nodes.push(Node::Filter {
                input: input(),
                predicates: filter(last, 2),
            });
        }
        nodes
    });
}

#[test]
fn windows() {
    run(5, 60, |[a, b]| {
        let (a, b) = (scan(a, &[]), scan(b, &[]));
        let pairs = join(JoinKind::Left, &a, &b, &[[(0, 1), (0, 1)]], &[]);
        let fields = vec![column(0, 1), column(0, 2)];
        let project = Node::Project {
            input: Box::new(pairs.clone()),
            branch: None,
            fields: fields.clone(),
        };
        let distinct = Node::Distinct {
            input: Box::new(pairs.clone()),
            keyed: true,
            fields,
        };
        let order = |place, nulls| OrderKey {
            expr: column(0, place),
            direction: if place == 1 {
                Direction::Desc
            } else {
                Direction::Asc
            },
            nulls,
            collation: None,
        };
        let orders = [
            vec![],
            vec![order(1, Nulls::First), order(3, Nulls::Last)],
            vec![order(2, Nulls::First), order(1, Nulls::Last)],
        ];
        let mut nodes = Vec::new();
        for input in [a, pairs, project, distinct] {
            for order in &orders {
                for (offset, limit) in [
                    (0, Some(1)),
                    (2, Some(4)),
                    (7, Some(30)),
                    (3, None),
                    (1, Some(0)),
                ] {
                    let (input, order) = (Box::new(input.clone()), order.clone());
                    nodes.push(Node::Window {
                        input,
                        partition: Vec::new(),
                        order,
                        offset,
                        limit,
                    });
                }
            }
        }
        nodes
    });
}

#[test]
fn late_queries_share_arrangements() {
    let mut world = World::new();
    let mut history = History::new(&world, 2, 40, 6);
    let [a, b, _] = world
        .collections
        .each_ref()
        .map(|collection| scan(collection, &[]));
    let some = scan(
        &world.collections[0],
        &[call(Function::Gt, column(0, 3), 8)],
    );
    let on = [[(0, 1), (0, 1)]];
    let mut queries = Vec::new();
    let steps = [
        (Some(join(JoinKind::Inner, &a, &b, &on, &[])), 2),
        (Some(join(JoinKind::Full, &b, &a, &on, &[])), 2),
        (Some(join(JoinKind::Left, &some, &b, &on, &[])), 3),
        (Some(join(JoinKind::Right, &a, &a, &on, &[])), 3),
        // The oldest query goes each time: the left join is the only one with `some`.
        (None, 3),
        (None, 3),
        (None, 1),
        (Some(join(JoinKind::Full, &b, &a, &on, &[])), 2),
        (None, 2),
        (None, 0),
    ];
    for (node, arrangements) in steps {
        match node {
            Some(node) => queries.push(world.check(&node)),
            None => world.runtime.drop_dataflow(queries.remove(0).dataflow),
        }
        assert_eq!(world.store.arrangement_count(), arrangements);
        for _ in 0..20 {
            let batch = history.batch();
            world.tick(batch, &mut queries);
        }
    }
}

/// How many changes an update brings out of a window, an aggregate and a join over `size` rows.
fn update_among(size: i32) -> [usize; 3] {
    let mut world = World::new();
    let [a, b, _] = world.collections.clone();
    let put = |collection: &CollectionDef, key: i32, value: i32| Action::Put {
        collection: collection.id(),
        row: [key, 0, value].map(Value::from).into_iter().collect(),
    };
    let rows = (0..size)
        .map(|i| put(&a, i, i))
        .chain([put(&b, 0, 0)])
        .collect();
    world.apply(rows, std::iter::empty());
    let (a_rows, b_rows) = (scan(&a, &[]), scan(&b, &[]));
    let by_value = OrderKey {
        expr: column(0, 2),
        direction: Direction::Asc,
        nulls: Nulls::First,
        collation: None,
    };
    let (input, limit) = (Box::new(a_rows.clone()), Some(10));
    let nodes = [
        Node::Window {
            input: input.clone(),
            partition: Vec::new(),
            order: vec![by_value],
            offset: 10,
            limit,
        },
        Node::Aggregate {
            input,
            keys: vec![column(0, 1)],
            aggregates: aggregates(&column(0, 2)),
        },
        join(JoinKind::Left, &a_rows, &b_rows, &[[(0, 1), (0, 1)]], &[]),
    ];
    let mut dataflows = nodes.each_ref().map(|node| world.install(node));
    dataflows
        .iter_mut()
        .for_each(|dataflow| dataflow.output().clear());
    let mut changes = Vec::new();
    for i in 0..20 {
        // The first row becomes the last one, and the first one again.
        let update = put(&a, 0, if i % 2 == 0 { 1_000_000 } else { 0 });
        world.apply(vec![update], dataflows.iter_mut());
        changes.push(
            dataflows
                .each_mut()
                .map(|dataflow| dataflow.output().drain(..).len()),
        );
    }
    assert!(changes.iter().all(|c| *c == changes[0]), "{changes:?}");
    changes[0]
}

#[test]
fn an_update_brings_out_the_same_among_many_rows() {
    assert_eq!(update_among(100), [2, 2, 2]);
    assert_eq!(update_among(100_000), [2, 2, 2]);
}
