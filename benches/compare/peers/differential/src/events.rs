//! The workload `events`. Of Q3 and Q5 the arrangements are shared when both are there.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use timely::dataflow::Scope;

use crate::engine::World;
use crate::live::{Live, subscriber};
use crate::operators::{Agg, Output, T, aggregate, arrange, sink, window};
use crate::shared::{self, Message};
use crate::table::Table;
use crate::text::{Names, Text, TextMap};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event<S> {
    id: S,
    user: S,
    language: S,
    title: S,
    bytes: i64,
    timestamp: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct User<S> {
    id: S,
    name: S,
    country: S,
    active: bool,
    age: i64,
}

/// What the joins need of an event and of a user; the key is the user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EventSide<S> {
    id: S,
    title: S,
    bytes: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UserSide<S> {
    name: S,
    country: S,
    active: bool,
}

/// A row of Q3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Joined<S> {
    id: S,
    title: S,
    name: S,
    bytes: i64,
}

#[derive(Default)]
pub(crate) struct Events<S: Text> {
    names: Names,
    users: Table<S, User<S>, S::Hash>,
    events: Table<S, Event<S>, S::Hash>,
}

pub(crate) enum Change<S> {
    User(S, Option<User<S>>),
    Event(S, Option<Event<S>>),
}

type ByKey<S, D> = TextMap<S, D>;
/// By a number, greatest first, and then by a text.
type Ordered<S, D> = BTreeMap<(Reverse<i64>, <S as Text>::Rank), D>;

impl<S: Text> World for Events<S> {
    type Change = Change<S>;

    fn decode(&mut self, message: &Message<'_>) -> Change<S> {
        let of = |text: &str| S::of(text, &self.names);
        let id = of(message.key);
        if message.kind == "users" {
            let user = message.row().map(|user: shared::events::User<'_>| User {
                id: id.clone(),
                name: of(&user.name),
                country: of(&user.country),
                active: user.active,
                age: user.age,
            });
            return Change::User(id, user);
        }
        let event = message.row().map(|event: shared::events::Event<'_>| Event {
            id: id.clone(),
            user: of(&event.user_id),
            language: of(&event.language),
            title: event.title.map(|title| of(&title)).unwrap_or_default(),
            bytes: event.bytes,
            timestamp: event.timestamp,
        });
        Change::Event(id, event)
    }

    fn apply(&mut self, change: Change<S>) {
        match change {
            Change::User(id, row) => self.users.set(id, row),
            Change::Event(id, row) => self.events.set(id, row),
        }
    }

    fn advance(&mut self, to: T) {
        self.users.advance(to);
        self.events.advance(to);
    }

    fn build(&mut self, scope: Scope<'_, T>, queries: &[String]) -> Vec<(String, Box<dyn Live>)> {
        let asked = |name: &str| queries.iter().any(|query| query == name);
        let mut live: Vec<(String, Box<dyn Live>)> = Vec::new();
        let names = &self.names;
        let events = self.events.input(scope);

        if asked("Q1") {
            let (out, en) = (Output::default(), S::of("en", names));
            sink(events.clone(), &out, move |e: Event<S>| {
                (e.language == en && e.bytes > 500).then_some(e)
            });
            let live1 = subscriber::<ByKey<S, _>, _, _>(out, |e| e.id.clone(), event_line(names));
            live.push(("Q1".into(), live1));
        }
        if asked("Q2") {
            let out = Output::default();
            let groups = aggregate::<_, _, S::Hash>(events.clone(), false, |e: &Event<S>| {
                (e.language.clone(), e.bytes)
            });
            sink(groups, &out, Some);
            let (ranks, texts) = (names.clone(), names.clone());
            let order = move |(language, agg): &(S, Agg)| (Reverse(agg.n), language.rank(&ranks));
            let line = move |(language, agg): &(S, Agg)| json!({"language": language.text(&texts), "n": agg.n, "bytes": agg.sum});
            live.push((
                "Q2".into(),
                subscriber::<Ordered<S, _>, _, _>(out, order, line),
            ));
        }
        if asked("Q4") {
            let (out, ranks) = (Output::default(), names.clone());
            let order = move |e: &Event<S>| (Reverse(e.timestamp), e.id.rank(&ranks));
            sink(window(events.clone(), 50, order.clone()), &out, Some);
            let live4 = subscriber::<Ordered<S, _>, _, _>(out, order, event_line(names));
            live.push(("Q4".into(), live4));
        }
        let (q3, q5) = (asked("Q3"), asked("Q5"));
        if !q3 && !q5 {
            return live;
        }

        let events = arrange(events.map(|e: Event<S>| {
            let side = EventSide {
                id: e.id,
                title: e.title,
                bytes: e.bytes,
            };
            (e.user, side)
        }));
        let users = self.users.input(scope);
        let users = arrange(users.flat_map(move |u: User<S>| {
            let side = UserSide {
                name: if q3 { u.name } else { S::default() },
                country: if q5 { u.country } else { S::default() },
                active: u.active || !q5,
            };
            (q3 || side.active).then_some((u.id, side))
        }));
        if q3 {
            let out = Output::default();
            let joined = events.clone().join_core(users.clone(), |_, e, u| {
                Some(Joined {
                    id: e.id.clone(),
                    title: e.title.clone(),
                    name: u.name.clone(),
                    bytes: e.bytes,
                })
            });
            sink(joined, &out, Some);
            let texts = names.clone();
            let line = move |j: &Joined<S>| {
                let (id, name) = (j.id.text(&texts), j.name.text(&texts));
                json!({"id": id, "title": missing(j.title.text(&texts)), "bytes": j.bytes, "name": name})
            };
            let live3 = subscriber::<ByKey<S, _>, _, _>(out, |j: &Joined<S>| j.id.clone(), line);
            live.push(("Q3".into(), live3));
        }
        if q5 {
            let out = Output::default();
            let joined = events.join_core(users, |_, e: &EventSide<S>, u: &UserSide<S>| {
                u.active.then(|| (u.country.clone(), e.bytes))
            });
            let groups = aggregate::<_, _, S::Hash>(joined, true, |row: &(S, i64)| row.clone());
            sink(groups, &out, Some);
            let texts = names.clone();
            let line = move |(country, a): &(S, Agg)| {
                let avg = a.sum as f64 / a.n as f64;
                json!({"country": country.text(&texts), "n": a.n, "sum": a.sum, "avg": avg, "min": a.min, "max": a.max})
            };
            let key = |(country, _): &(S, Agg)| country.clone();
            live.push(("Q5".into(), subscriber::<ByKey<S, _>, _, _>(out, key, line)));
        }
        live
    }
}

fn event_line<S: Text>(names: &Names) -> impl Fn(&Event<S>) -> Value + 'static {
    let names = names.clone();
    move |e| {
        let (id, user) = (e.id.text(&names), e.user.text(&names));
        let (language, title) = (e.language.text(&names), missing(e.title.text(&names)));
        json!({"id": id, "userId": user, "language": language, "title": title, "bytes": e.bytes, "timestamp": e.timestamp})
    }
}

fn missing(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
