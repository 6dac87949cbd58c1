//! Groups and their aggregates.

use serde::{Deserialize, Serialize};
use tailwater::Projection;
use tailwater::query::Query;

use super::model::*;
use super::{World, delete, put};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Projection)]
struct Statistics {
    user: Option<String>,
    n: i64,
    texts: i64,
    sum: f64,
    avg: Option<f64>,
    min: Option<f64>,
    max: Option<String>,
    median: Option<f64>,
    quantile: Option<f64>,
    stddev: Option<f64>,
    all: Vec<String>,
    worst_first: Vec<String>,
    best: Option<String>,
    first: Option<String>,
    last: Option<String>,
    score_per_message: Option<f64>,
}

#[test]
fn every_aggregate_has_its_type() {
    let mut world = World::of(&all());
    let live = world.live(
        Query::from::<Message>("m")
            .group_by(|m| m.user_id)
            .select(|m| StatisticsSelect {
                user: m.user_id,
                n: m.id.count(),
                texts: m.text.length().count_distinct(),
                sum: m.score.sum(),
                avg: m.score.avg(),
                min: m.score.min(),
                max: m.text.max(),
                median: m.score.median(),
                quantile: m.score.quantile(0.25),
                stddev: m.score.stddev(),
                all: m.text.array_agg(),
                worst_first: m.text.array_agg_by(m.score.desc()),
                best: m.text.last_by(m.score.asc()),
                first: m.text.first(),
                last: m.text.last(),
                score_per_message: m.score.sum().div(m.id.count().typed()),
            })
            .having(|m| m.score.sum().lt(8.0).and(m.id.count().gt(0)))
            .order_by(|m| (m.id.count().desc(), m.user_id)),
    );
    let rows = world.rows(&live);
    let expected = Statistics {
        user: Some("1".into()),
        n: 2,
        texts: 1,
        sum: 4.0,
        avg: Some(2.0),
        min: Some(1.5),
        max: Some("world".into()),
        median: Some(2.0),
        quantile: Some(1.75),
        stddev: Some(0.5f64.sqrt()),
        all: vec!["hello".into(), "world".into()],
        worst_first: vec!["world".into(), "hello".into()],
        best: Some("world".into()),
        first: Some("hello".into()),
        last: Some("world".into()),
        score_per_message: Some(2.0),
    };
    assert_eq!(rows[0], expected);
    assert_eq!((rows[1].user.as_deref(), rows[1].stddev), (Some("2"), None));
    assert_eq!(rows.len(), 2);
    world.apply(&[
        delete::<Message>("c"),
        put(&message("d", None, "lost", 0.0)),
    ]);
    let rows = world.rows(&live);
    assert_eq!((rows[1].user.as_deref(), rows[1].sum), (None, 0.0));
}

#[test]
fn one_group_of_all_rows() {
    let mut world = World::default();
    let totals = Query::from::<User>("u").select(|u| {
        (
            u.id.count(),
            u.age.sum(),
            u.age.avg(),
            u.age.min(),
            u.country.max(),
        )
    });
    let live = world.live(totals);
    assert_eq!(world.rows(&live), [(0, 0, None, None, None)]);
    world.apply(&all());
    assert_eq!(
        world.rows(&live),
        [(3, 96, Some(32.0), Some(20), Some("de".into()))]
    );
}

#[test]
fn groups_have_several_keys() {
    let mut world = World::of(&all());
    let groups = Query::from::<User>("u")
        .group_by(|u| (u.active, u.age.gte(30)))
        .select(|u| (u.active, u.age.gte(30), u.id.count()))
        .order_by_selected(|x| (x.0, x.1));
    assert_eq!(
        world.once(groups),
        [(false, true, 1), (true, false, 1), (true, true, 1)]
    );
}
