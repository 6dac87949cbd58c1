//! The workload `events`.

use dbsp::operator::{MapHandle, Max, Min, Update};
use dbsp::utils::{Tup0, Tup2, Tup3};
use dbsp::{RootCircuit, ZWeight};
use serde_json::{Value, json};

use crate::engine::{Subscribers, World};
use crate::live::{Indexed, ordered, subscriber};
use crate::row::rows;
use crate::shared::{self, Message};

rows! {
    struct User {
        name: String,
        active: bool,
        age: i64,
        country: String,
    }

    struct Event {
        id: String,
        user: String,
        language: String,
        title: Option<String>,
        bytes: i64,
        timestamp: i64,
    }

    struct EventSide {
        id: String,
        title: Option<String>,
        bytes: i64,
    }
}

pub(crate) struct Events {
    users: MapHandle<String, User, User>,
    events: MapHandle<String, Event, Event>,
}

pub(crate) enum Change {
    User(String, Update<User, User>),
    Event(String, Update<Event, Event>),
}

impl World for Events {
    type Change = Change;

    fn decode(message: &Message<'_>) -> Change {
        let key = message.key.to_owned();
        if message.kind == "users" {
            let user = message.row().map(|user: shared::events::User<'_>| User {
                name: user.name.into(),
                active: user.active,
                age: user.age,
                country: user.country.into(),
            });
            return Change::User(key, user.map_or(Update::Delete, Update::Insert));
        }
        let event = message.row().map(|event: shared::events::Event<'_>| Event {
            id: key.clone(),
            user: event.user_id.into(),
            language: event.language.into(),
            title: event.title.map(Into::into),
            bytes: event.bytes,
            timestamp: event.timestamp,
        });
        Change::Event(key, event.map_or(Update::Delete, Update::Insert))
    }

    fn build(circuit: &RootCircuit, queries: &[String]) -> (Events, Subscribers) {
        let asked = |name: &str| queries.iter().any(|query| query == name);
        let (users, user_input) = circuit.add_input_map::<String, User, User, _>(|old, new| {
            old.clone_from(new);
        });
        let (events, event_input) = circuit.add_input_map::<String, Event, Event, _>(|old, new| {
            old.clone_from(new);
        });
        let mut live: Subscribers = Vec::new();
        if asked("Q1") {
            let rows = events.filter(|(_, e)| e.language == "en" && e.bytes > 500);
            live.push(("Q1".into(), subscriber(&rows, |_, e| event_line(e))));
        }
        if asked("Q2") {
            let groups = events
                .map_index(|(_, e)| (e.language.clone(), e.bytes))
                .aggregate_linear(|bytes| Tup2(1 as ZWeight, *bytes));
            let rows = groups.map_index(|(language, agg)| (Tup2(-agg.0, language.clone()), agg.1));
            let line = |key: &Tup2<i64, String>, bytes: &i64| json!({"language": key.1, "n": -key.0, "bytes": bytes});
            live.push(("Q2".into(), ordered(&rows, line)));
        }
        if asked("Q4") {
            // The latest first, ties by id, which is an event's first field.
            let rows = events
                .map_index(|(_, e)| (Tup0(), Tup2(-e.timestamp, e.clone())))
                .topk_asc(50)
                .map_index(|(_, Tup2(time, e))| (Tup2(*time, e.id.clone()), e.clone()));
            live.push(("Q4".into(), ordered(&rows, |_, e| event_line(e))));
        }
        if asked("Q3") {
            let sides = events.map_index(|(_, e)| {
                let side = EventSide {
                    id: e.id.clone(),
                    title: e.title.clone(),
                    bytes: e.bytes,
                };
                (e.user.clone(), side)
            });
            let names = users.map_index(|(id, u)| (id.clone(), u.name.clone()));
            let rows = sides.join_index(&names, |_, e, name| {
                let row = Tup3(e.title.clone(), e.bytes, name.clone());
                Some((e.id.clone(), row))
            });
            let line =
                |id: &String, Tup3(title, bytes, name): &Tup3<Option<String>, i64, String>| json!({"id": id, "title": title, "bytes": bytes, "name": name});
            live.push(("Q3".into(), subscriber(&rows, line)));
        }
        if asked("Q5") {
            live.push((
                "Q5".into(),
                subscriber(&countries(&users, &events), country_line),
            ));
        }
        let world = Events {
            users: user_input,
            events: event_input,
        };
        (world, live)
    }

    fn push(&self, change: Change) {
        match change {
            Change::User(id, update) => self.users.push(id, update),
            Change::Event(id, update) => self.events.push(id, update),
        }
    }
}

/// Count and sum, min and max.
type Aggregates = Tup2<Tup2<ZWeight, i64>, Tup2<i64, i64>>;

fn countries(
    users: &Indexed<String, User>,
    events: &Indexed<String, Event>,
) -> Indexed<String, Aggregates> {
    let bytes = events.map_index(|(_, e)| (e.user.clone(), e.bytes));
    let countries = users
        .filter(|(_, u)| u.active)
        .map_index(|(id, u)| (id.clone(), u.country.clone()));
    let bytes = bytes.join_index(&countries, |_, bytes, country| {
        Some((country.clone(), *bytes))
    });
    let linear = bytes.aggregate_linear(|bytes| Tup2(1 as ZWeight, *bytes));
    let (least, most) = (bytes.aggregate(Min), bytes.aggregate(Max));
    let extremes = least.join_index(&most, |country, min, max| {
        Some((country.clone(), Tup2(*min, *max)))
    });
    linear.join_index(&extremes, |country, linear, extremes| {
        Some((country.clone(), Tup2(linear.clone(), extremes.clone())))
    })
}

fn country_line(country: &String, Tup2(linear, extremes): &Aggregates) -> Value {
    let (Tup2(n, sum), Tup2(min, max)) = (linear, extremes);
    let avg = *sum as f64 / *n as f64;
    json!({"country": country, "n": n, "sum": sum, "avg": avg, "min": min, "max": max})
}

fn event_line(e: &Event) -> Value {
    json!({"id": e.id, "userId": e.user, "language": e.language, "title": e.title, "bytes": e.bytes, "timestamp": e.timestamp})
}
