//! Queries over one collection.

use tailwater::Collection;
use tailwater::query::builder::QueryBuilder;
use tailwater::query::{Query, closure, lit, now, text, when};

use super::model::*;
use super::{World, delete, put};

#[test]
fn a_collection_knows_its_names_and_keys() {
    assert_eq!((User::NAME, User::EVENT_TYPE), ("users", "user"));
    assert_eq!(
        (Message::NAME, Message::EVENT_TYPE),
        ("messages", "messages")
    );
    assert_eq!((User::PRIMARY_KEY, users()[1].key()), ("id", "2".into()));
}

#[test]
fn rows_come_back_as_they_went_in() {
    let mut world = World::of(&all());
    let live = world.live(Query::from::<User>("u"));
    assert_eq!(world.rows(&live), users());
    world.apply(&[delete::<User>("2"), put(&user("4", "Dee", 1, None))]);
    let ids: Vec<String> = world.rows(&live).into_iter().map(|u| u.id).collect();
    assert_eq!(ids, ["1", "3", "4"]);
}

#[test]
fn filters_order_and_windows() {
    let mut world = World::of(&all());
    let adults = Query::from::<User>("u")
        .filter(|u| u.active.eq(true).and(u.age.gt(18)))
        .order_by(|u| u.age.desc());
    let names = |rows: Vec<User>| -> String { rows.into_iter().map(|u| u.name + " ").collect() };
    let all = world.live(adults.clone());
    let first = world.live(adults.clone().limit(1));
    let second = world.live(adults.clone().offset(1).limit(5));
    let one = world.live(adults.find_one());
    assert_eq!(names(world.rows(&all)), "Ada Bob ");
    assert_eq!(names(world.rows(&first)), "Ada ");
    assert_eq!(names(world.rows(&second)), "Bob ");
    assert_eq!(names(world.rows(&one)), "Ada ");
    world.apply(&[put(&user("4", "Eve", 99, None)), delete::<User>("2")]);
    assert_eq!(names(world.rows(&all)), "Eve Ada ");
    assert_eq!(names(world.rows(&first)), "Eve ");
    assert_eq!(names(world.rows(&second)), "Ada ");
    assert_eq!(names(world.rows(&one)), "Eve ");
}

#[test]
fn conditions_of_every_type() {
    let mut world = World::of(&all());
    type Users = QueryBuilder<(UserColumns,)>;
    let mut ids = |users: fn(Users) -> Users| -> String {
        let rows = world.once(users(Query::from::<User>("u")).select(|u| u.id));
        rows.concat()
    };
    assert_eq!(ids(|q| q.filter(|u| u.role.eq(Role::Admin))), "1");
    assert_eq!(ids(|q| q.filter(|u| u.country.eq("de"))), "3");
    assert_eq!(ids(|q| q.filter(|u| u.country.ne("de"))), "1");
    assert_eq!(
        ids(|q| q.filter(|u| u.country.is_null().or(u.country.is_missing()))),
        "2"
    );
    assert_eq!(
        ids(|q| q.filter(|u| u.country.coalesce("xx").eq("xx"))),
        "2"
    );
    assert_eq!(ids(|q| q.filter(|u| u.country.eq(None::<String>))), "");
    assert_eq!(ids(|q| q.filter(|u| u.name.in_list(["Ada", "Cyd"]))), "13");
    assert_eq!(
        ids(|q| q.filter(|u| u.age.in_list([lit(20), u.age.sub(0)]))),
        "123"
    );
    assert_eq!(ids(|q| q.filter(|u| u.active.not())), "3");
    assert_eq!(ids(|q| q.filter(|u| u.name.like("_o%"))), "2");
    assert_eq!(ids(|q| q.filter(|u| u.name.upper().starts_with("AD"))), "1");
    assert_eq!(ids(|q| q.filter(|u| u.age.add(4).mul(2).gte(80))), "13");
    assert_eq!(ids(|q| q.filter(|u| u.age.div(3).lt(7.0))), "2");
    assert_eq!(ids(|q| q.filter(|u| u.tags.length().eq(2))), "1");
    assert_eq!(
        ids(|q| q.filter(|u| u.tags.eq(vec!["a".to_owned(), "b".to_owned()]))),
        "1"
    );
    assert_eq!(
        ids(|q| q.filter(|u| u.home_address.fields().city.eq("Vienna"))),
        "1"
    );
    assert_eq!(
        ids(|q| q.filter(|u| u.home_address.field::<String>("city").eq("Vienna"))),
        "1"
    );
    assert_eq!(
        ids(|q| q.filter(|u| closure("even", u.age, |age: i64| age % 2 == 0))),
        "123"
    );
    assert_eq!(
        ids(
            |q| q.filter(|u| closure("same", (u.country, u.age), |(country, age)| {
                country.is_none() && age == 20
            }))
        ),
        "2"
    );
    assert_eq!(ids(|q| q.filter(|u| u.age.gt(now()))), "123");
}

#[test]
fn selections_of_expressions() {
    let mut world = World::of(&all());
    let rows = world.once(Query::from::<User>("u").select(|u| {
        let group = when(u.age.lt(30), text("young"))
            .when(u.age.gt(38), u.country)
            .otherwise(None);
        (
            u.name.concat("!"),
            u.country,
            u.age.div(0),
            group,
            (u.role, u.tags),
            lit(7),
        )
    }));
    let expected = vec![
        (
            "Ada!".to_owned(),
            Some("at".to_owned()),
            None,
            None,
            (Role::Admin, Some(users()[0].tags.clone())),
            7,
        ),
        (
            "Bob!".into(),
            None,
            None,
            Some("young".into()),
            (Role::Member, Some(vec![])),
            7,
        ),
        (
            "Cyd!".into(),
            Some("de".into()),
            None,
            Some("de".into()),
            (Role::Member, Some(vec![])),
            7,
        ),
    ];
    assert_eq!(rows, expected);
    let names = Query::from::<User>("u")
        .select(|u| u.name)
        .map(|name| name.len());
    assert_eq!(world.once(names), [3, 3, 3]);
    let countries = Query::from::<User>("u").select(|u| u.country).distinct();
    assert_eq!(
        world.once(countries.order_by_selected(|x| x.desc())),
        [None, Some("de".into()), Some("at".into())]
    );
}

#[test]
fn a_row_that_is_not_of_the_type_is_an_error_with_its_place() {
    let mut world = World::of(&[
        r#"{"type":"users","key":"1","value":{"id":"1","homeAddress":{"city":7}},"headers":{"operation":"insert"}}"#.into(),
    ]);
    let live = world.live(Query::from::<User>("u"));
    let error = |world: &World| {
        let view = world.engine.view(live.id).unwrap();
        live.query.row()(view.nth(0).unwrap().value().as_ref()).unwrap_err()
    };
    assert_eq!(
        error(&world).to_string(),
        "homeAddress.city: invalid type: integer `7`, expected a string"
    );
    world.apply(&[
        r#"{"type":"users","key":"1","value":{"id":"1"},"headers":{"operation":"update"}}"#.into(),
    ]);
    assert_eq!(error(&world).to_string(), "row: missing field `name`");
}
