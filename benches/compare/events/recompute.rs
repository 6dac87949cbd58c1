//! What each query must answer, computed from scratch over all rows: the judge of every engine.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::generate::{Event, Op, User, quote};

#[derive(Default)]
pub(crate) struct State {
    users: HashMap<String, User>,
    events: HashMap<String, Event>,
}

impl State {
    pub(crate) fn of(ops: impl Iterator<Item = Op>) -> State {
        let mut state = State::default();
        for op in ops {
            match op {
                Op::PutUser(user) => drop(state.users.insert(user.id.clone(), user)),
                Op::PutEvent(event) => drop(state.events.insert(event.id.clone(), event)),
                Op::DeleteEvent(id) => drop(state.events.remove(&id)),
            }
        }
        state
    }
}

/// The rows as JSON objects, in the query's order if it has one.
pub(crate) fn expected(query: &str, state: &State) -> Vec<String> {
    let events = || state.events.values();
    match query {
        "Q1" => events()
            .filter(|e| e.language == "en" && e.bytes > 500)
            .map(event_line)
            .collect(),
        "Q2" => {
            let mut groups: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
            events().for_each(|e| groups.entry(&e.language).or_default().push(e.bytes));
            let mut groups: Vec<_> = groups.into_iter().collect();
            groups.sort_by_key(|(language, bytes)| (Reverse(bytes.len()), *language));
            let line = |(language, bytes): &(&str, Vec<i64>)| {
                let (n, sum, language) = (bytes.len(), bytes.iter().sum::<i64>(), quote(language));
                format!(r#"{{"language":{language},"n":{n},"bytes":{sum}}}"#)
            };
            groups.iter().map(line).collect()
        }
        "Q3" => events()
            .filter_map(|e| Some(joined_line(e, state.users.get(&e.user_id)?)))
            .collect(),
        "Q4" => {
            let mut all: Vec<&Event> = events().collect();
            all.sort_by_key(|e| (Reverse(e.timestamp), &e.id));
            all.into_iter().take(50).map(event_line).collect()
        }
        "Q5" => {
            let mut groups: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
            for event in events() {
                if let Some(user) = state.users.get(&event.user_id).filter(|u| u.active) {
                    groups.entry(&user.country).or_default().push(event.bytes);
                }
            }
            groups
                .iter()
                .map(|(c, bytes)| country_line(c, bytes))
                .collect()
        }
        _ => unreachable!("the workload has five queries"),
    }
}

fn event_line(e: &Event) -> String {
    let (id, user, language) = (quote(&e.id), quote(&e.user_id), quote(&e.language));
    let (title, bytes, timestamp) = (title_field(e), e.bytes, e.timestamp);
    format!(
        r#"{{"id":{id},"userId":{user},"language":{language},{title}"bytes":{bytes},"timestamp":{timestamp}}}"#
    )
}

fn joined_line(e: &Event, u: &User) -> String {
    let (id, name, title, bytes) = (quote(&e.id), quote(&u.name), title_field(e), e.bytes);
    format!(r#"{{"id":{id},{title}"bytes":{bytes},"name":{name}}}"#)
}

fn country_line(country: &str, bytes: &[i64]) -> String {
    let (n, sum) = (bytes.len(), bytes.iter().sum::<i64>());
    let extreme = |value: Option<&i64>| value.copied().unwrap_or(0);
    let (min, max) = (extreme(bytes.iter().min()), extreme(bytes.iter().max()));
    let (avg, country) = (sum as f64 / n as f64, quote(country));
    format!(r#"{{"country":{country},"n":{n},"sum":{sum},"avg":{avg},"min":{min},"max":{max}}}"#)
}

fn title_field(e: &Event) -> String {
    let title = e.title.as_deref();
    title
        .map(|t| format!(r#""title":{},"#, quote(t)))
        .unwrap_or_default()
}
