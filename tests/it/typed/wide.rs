//! Wide rows and long joins: what the types of the builder cost the compiler shows here.

use serde::{Deserialize, Serialize};
use tailwater::query::Query;
use tailwater::{Collection, Projection};

use super::{World, put};

/// Twenty columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Collection)]
#[collection(name = "wide")]
struct Wide {
    id: String,
    next: Option<String>,
    a: i64,
    b: i64,
    c: f64,
    d: f64,
    e: String,
    f: String,
    g: bool,
    h: bool,
    i: Option<i64>,
    j: Option<i64>,
    k: Option<f64>,
    l: Option<f64>,
    m: Option<String>,
    n: Option<String>,
    o: Vec<i64>,
    p: Vec<String>,
    q: u32,
    r: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Projection)]
struct Summary {
    a: i64,
    b: Option<i64>,
    c: f64,
    d: Option<f64>,
    e: Option<String>,
    f: Option<String>,
    g: i64,
    h: i64,
    i: Option<i64>,
    j: Option<i64>,
    k: Option<f64>,
    l: Option<f64>,
    m: Option<String>,
    n: Option<String>,
    o: i64,
    p: Vec<String>,
    q: u64,
    r: Option<u8>,
    s: Option<f64>,
    t: Option<f64>,
}

#[test]
fn twenty_columns_and_six_joins() {
    let mut world = World::default();
    let row = |id: &str, next: Option<&str>| {
        put(&Wide {
            id: id.into(),
            next: next.map(Into::into),
            g: true,
            ..Wide::default()
        })
    };
    world.apply(&[row("1", Some("2")), row("2", Some("3")), row("3", None)]);
    let summary = Query::from::<Wide>("t")
        .left_join::<Wide>("u", |t, u| t.next.eq(u.id).and(t.a.lte(u.a)))
        .left_join::<Wide>("v", |_, u, v| u.next.eq(v.id).and(u.b.lte(v.b)))
        .left_join::<Wide>("w", |_, _, v, w| v.next.eq(w.id).and(v.c.lte(w.c)))
        .left_join::<Wide>("x", |_, _, _, w, x| w.next.eq(x.id).and(w.d.lte(x.d)))
        .left_join::<Wide>("y", |_, _, _, _, x, y| x.next.eq(y.id).and(x.q.lte(y.q)))
        .left_join::<Wide>("z", |_, _, _, _, _, y, z| y.next.eq(z.id).and(y.r.lte(z.r)))
        .filter(|t, u, _, _, _, _, _| {
            t.g.and(t.h.not())
                .and(t.e.eq(""))
                .and(u.e.coalesce("").eq(""))
        })
        .group_by(|t, _, _, _, _, _, _| (t.g, t.h))
        .having(|t, u, _, _, _, _, _| t.id.count().gt(0).and(u.id.count().gt(0)))
        .order_by(|t, _, _, _, _, _, _| (t.g, t.h.desc()))
        .select(|t, u, v, w, x, y, z| SummarySelect {
            a: t.a.sum(),
            b: u.b.max(),
            c: t.c.sum(),
            d: u.d.avg(),
            e: v.e.min(),
            f: w.f.max(),
            g: u.id.count(),
            h: v.id.count_distinct(),
            i: x.i.min(),
            j: y.j.max(),
            k: z.k.median(),
            l: z.l.quantile(0.5),
            m: z.m.first(),
            n: z.n.last(),
            o: u.o.length().sum(),
            p: v.id.array_agg(),
            q: t.q.sum(),
            r: t.r.max(),
            s: t.a.sum().div(t.id.count()),
            t: t.c.stddev(),
        });
    let rows = world.once(summary);
    assert_eq!(
        (rows.len(), rows[0].g, rows[0].h, &rows[0].p[..]),
        (1, 2, 1, &["3".to_owned()][..])
    );
}
