//! Queries inside of queries: as sources, as values, and in themselves.

use serde::{Deserialize, Serialize};
use tailwater::query::{Query, include, include_one};
use tailwater::{Collection, Projection};

use super::model::*;
use super::{World, put};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Projection)]
struct PerUser {
    user: Option<String>,
    n: i64,
}

#[test]
fn a_subquery_has_the_columns_of_its_projection() {
    let mut world = World::of(&all());
    let per_user = Query::from::<Message>("m")
        .group_by(|m| m.user_id)
        .select(|m| PerUserSelect {
            user: m.user_id,
            n: m.id.count(),
        });
    let busy = Query::from_query("p", per_user.clone()).filter(|p| p.n.gt(1));
    assert_eq!(
        world.once(busy),
        [PerUser {
            user: Some("1".into()),
            n: 2
        }]
    );
    let named = Query::from::<User>("u")
        .left_join_query("p", per_user, |u, p| u.id.eq(p.user))
        .select(|u, p| (u.name, p.n, p))
        .order_by_selected(|x| x.0);
    let rows = world.once(named);
    assert_eq!((rows[0].1, rows[2].1, &rows[2].2), (Some(2), None, &None));
    assert_eq!(
        rows[1].2,
        Some(PerUser {
            user: Some("2".into()),
            n: 1
        })
    );
}

#[test]
fn a_subquery_has_the_columns_of_a_tuple_or_of_one_value() {
    let mut world = World::of(&all());
    let per_user = Query::from::<Message>("m")
        .group_by(|m| m.user_id)
        .select(|m| (m.user_id, m.id.count()));
    let mean = Query::from_query("x", per_user.clone()).select(|x| x.1.avg());
    assert_eq!(world.once(mean), [Some(4.0 / 3.0)]);
    let whole = Query::from_query("x", per_user).filter(|x| x.0.is_null());
    assert_eq!(world.once(whole), [(None, 1)]);
    let texts = Query::from::<Message>("m").select(|m| m.text);
    let short = Query::from_query("t", texts.clone()).filter(|t| t.length().lt(5));
    assert_eq!(world.once(short), ["hey", "lost"]);
    let pairs = Query::from_query("t", texts)
        .join::<Message>("m", |t, m| t.eq(m.text))
        .filter(|_, m| m.id.eq("a"));
    assert_eq!(
        world.once(pairs),
        [("hello".to_owned(), messages()[0].clone())]
    );
}

#[test]
fn a_join_is_a_source() {
    let mut world = World::of(&all());
    let joined = Query::from::<User>("u").left_join::<Message>("m", |u, m| u.id.eq(m.user_id));
    let lost = Query::from_query("x", joined)
        .filter(|x| x.1.id.is_missing().or(x.1.id.is_null()))
        .select(|x| (x.0.name, x.1));
    assert_eq!(world.once(lost), [("Cyd".to_owned(), None)]);
}

#[test]
fn unions_have_the_columns_of_their_queries() {
    let mut world = World::of(&all());
    let names = Query::union_all([
        Query::from::<User>("u")
            .select(|u| (u.name, u.id))
            .subquery(),
        Query::from::<Message>("m")
            .select(|m| (m.text, m.id))
            .subquery(),
    ])
    .filter(|x| x.0.like("%o%"))
    .order_by(|x| x.0);
    let names: Vec<String> = world.once(names).into_iter().map(|x| x.0).collect();
    assert_eq!(names, ["Bob", "hello", "lost", "world"]);
    let values = Query::union_all([
        Query::from::<User>("u").select(|u| u.name).subquery(),
        Query::from::<Message>("m").select(|m| m.text).subquery(),
    ])
    .filter(|x| x.length().eq(3));
    assert_eq!(world.once(values), ["Ada", "Bob", "Cyd", "hey"]);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Projection)]
struct Author {
    name: String,
    texts: Vec<String>,
    best: Option<Message>,
    pairs: Vec<(String, f64)>,
}

#[test]
fn includes_are_vecs_and_options() {
    let mut world = World::of(&all());
    let live = world.live(Query::from::<User>("u").select(|u| {
        let of_user = Query::from::<Message>("m").filter(|m| m.user_id.eq(u.id));
        AuthorSelect {
            name: u.name,
            texts: include(of_user.clone().select(|m| m.text)),
            best: include_one(of_user.clone().order_by(|m| m.score.desc())),
            pairs: include(
                of_user
                    .order_by(|m| m.text.desc())
                    .select(|m| (m.text, m.score)),
            ),
        }
    }));
    let rows = world.rows(&live);
    let ada = Author {
        name: "Ada".into(),
        texts: vec!["hello".into(), "world".into()],
        best: Some(messages()[1].clone()),
        pairs: vec![("world".into(), 2.5), ("hello".into(), 1.5)],
    };
    assert_eq!(rows[0], ada);
    let cyd = Author {
        name: "Cyd".into(),
        texts: vec![],
        best: None,
        pairs: vec![],
    };
    assert_eq!(rows[2], cyd);
    world.apply(&[put(&message("b", Some("3"), "world", 2.5))]);
    let rows = world.rows(&live);
    assert_eq!(
        (&rows[0].texts[..], &rows[2].texts[..]),
        (&["hello".to_owned()][..], &["world".to_owned()][..])
    );
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Collection)]
struct Edge {
    id: String,
    from: String,
    to: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Collection)]
#[collection(key = "from")]
struct Reach {
    from: String,
    to: String,
}

#[test]
fn a_query_refers_to_itself() {
    let mut world = World::default();
    let edge = |id: &str, from: &str, to: &str| {
        put(&Edge {
            id: id.into(),
            from: from.into(),
            to: to.into(),
        })
    };
    world.apply(&[
        edge("1", "a", "b"),
        edge("2", "b", "c"),
        edge("3", "x", "y"),
    ]);
    let near = Query::from::<Edge>("e").select(|e| ReachSelect {
        from: e.from,
        to: e.to,
    });
    let far = Query::from::<Reach>("r")
        .join::<Edge>("n", |r, n| r.to.eq(n.from))
        .select(|r, n| ReachSelect {
            from: r.from,
            to: n.to,
        });
    let reach = Query::union_all([near.subquery(), far.subquery()]);
    let from_a = Query::from::<Reach>("r")
        .with_recursive::<Reach>(reach)
        .max_rounds(100)
        .filter(|r| r.from.eq("a"))
        .select(|r| r.to)
        .order_by_selected(|to| to.asc());
    let live = world.live(from_a);
    assert_eq!(world.rows(&live), ["b", "c"]);
    world.apply(&[edge("4", "c", "x")]);
    assert_eq!(world.rows(&live), ["b", "c", "x", "y"]);
}
