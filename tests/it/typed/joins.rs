//! Joins of all kinds, and what becomes of unmatched sides.

use serde::{Deserialize, Serialize};
use tailwater::query::Query;
use tailwater::{Collection, Projection};

use super::model::*;
use super::{World, put};

fn pairs(rows: Vec<(Option<User>, Option<Message>)>) -> String {
    let mut pairs: Vec<String> = rows
        .into_iter()
        .map(|(user, message)| {
            let side = |id: Option<String>| id.unwrap_or("-".into());
            side(user.map(|u| u.id)) + &side(message.map(|m| m.id))
        })
        .collect();
    pairs.sort();
    pairs.join(" ")
}

#[test]
fn rows_of_joins_are_tuples() {
    let mut world = World::of(&all());
    let users = Query::from::<User>("u");
    let inner = users
        .clone()
        .join::<Message>("m", |u, m| u.id.eq(m.user_id));
    let inner: Vec<(User, Message)> = world.once(inner);
    let some = inner.into_iter().map(|(u, m)| (Some(u), Some(m))).collect();
    assert_eq!(pairs(some), "1a 1b 2c");
    let left = users
        .clone()
        .left_join::<Message>("m", |u, m| u.id.eq(m.user_id));
    let left: Vec<(User, Option<Message>)> = world.once(left);
    assert_eq!(
        pairs(left.into_iter().map(|(u, m)| (Some(u), m)).collect()),
        "1a 1b 2c 3-"
    );
    let right = users
        .clone()
        .right_join::<Message>("m", |u, m| u.id.eq(m.user_id));
    let right: Vec<(Option<User>, Message)> = world.once(right);
    assert_eq!(
        pairs(right.into_iter().map(|(u, m)| (u, Some(m))).collect()),
        "-d 1a 1b 2c"
    );
    let full = users
        .clone()
        .full_join::<Message>("m", |u, m| u.id.eq(m.user_id));
    let full: Vec<(Option<User>, Option<Message>)> = world.once(full);
    assert_eq!(pairs(full), "-d 1a 1b 2c 3-");
    let cross: Vec<(User, Message)> = world.once(users.cross_join::<Message>("m"));
    assert_eq!(cross.len(), 12);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Projection)]
struct Line {
    name: String,
    text: Option<String>,
    user: User,
    message: Option<Message>,
    address: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Projection)]
struct Place {
    city: Option<String>,
}

#[test]
fn a_projection_holds_columns_rows_and_structs() {
    let mut world = World::of(&all());
    let lines = Query::from::<User>("u")
        .left_join::<Message>("m", |u, m| u.id.eq(m.user_id).and(m.score.gt(2.0)))
        .order_by(|u, m| (u.name.desc(), m.text))
        .select(|u, m| LineSelect {
            name: u.name,
            text: m.text,
            user: u,
            message: m,
            address: PlaceSelect {
                city: u.home_address.fields().city,
            },
        });
    let live = world.live(lines);
    let line = |user: usize, message: Option<usize>, city: Option<&str>| {
        let (user, message) = (
            users()[user].clone(),
            message.map(|i| messages()[i].clone()),
        );
        Line {
            name: user.name.clone(),
            text: message.as_ref().map(|m| m.text.clone()),
            user,
            message,
            address: Some(Place {
                city: city.map(Into::into),
            }),
        }
    };
    let expected = [
        line(2, None, None),
        line(1, Some(2), None),
        line(0, Some(1), Some("Vienna")),
    ];
    assert_eq!(world.rows(&live), expected);
    world.apply(&[put(&message("b", None, "world", 2.5))]);
    assert_eq!(world.rows(&live)[2], line(0, None, Some("Vienna")));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Collection)]
#[collection(name = "links")]
struct Link {
    id: String,
    to: Option<String>,
}

#[test]
fn six_sources_join() {
    let mut world = World::default();
    let link = |id: &str, to: Option<&str>| {
        put(&Link {
            id: id.into(),
            to: to.map(Into::into),
        })
    };
    world.apply(&[
        link("a", Some("b")),
        link("b", Some("c")),
        link("c", Some("d")),
        link("d", None),
    ]);
    let chain = Query::from::<Link>("a")
        .join::<Link>("b", |a, b| a.to.eq(b.id))
        .join::<Link>("c", |_, b, c| b.to.eq(c.id))
        .left_join::<Link>("d", |_, _, c, d| c.to.eq(d.id))
        .left_join::<Link>("e", |_, _, _, d, e| d.to.eq(e.id))
        .left_join::<Link>("f", |_, _, _, _, e, f| e.to.eq(f.id))
        .order_by(|a, _, _, _, _, _| a.id)
        .select(|a, b, c, d, e, f| (a.id, b.id, c.id, d.id, e.id, f));
    let rows = world.once(chain);
    let text = |s: &str| s.to_owned();
    assert_eq!(
        rows,
        [
            (text("a"), text("b"), text("c"), Some(text("d")), None, None),
            (text("b"), text("c"), text("d"), None, None, None),
        ]
    );
}
