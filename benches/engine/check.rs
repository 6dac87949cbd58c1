//! What each query must answer, computed from scratch over all rows: the judge of every engine, and
//! the canonical form of a result line.
//!
//! A canonical line is the row's value as JSON with its fields sorted by name, no spaces, missing
//! fields left out, and a number without a fraction written without one (`1000`, not `1000.0`).
//! Lines of unordered results are sorted as text.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use crate::workload::{Event, Op, Query, User, quote};

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

    fn event_lines<'a>(&self, events: impl IntoIterator<Item = &'a Event>) -> Vec<String> {
        let line = |e: &Event| {
            event_line(
                &e.id,
                &e.user_id,
                &e.language,
                e.title.as_deref(),
                e.bytes,
                e.timestamp,
            )
        };
        events.into_iter().map(line).collect()
    }
}

pub(crate) fn expected(query: Query, state: &State) -> Vec<String> {
    let events = || state.events.values();
    let mut lines: Vec<String> = match query {
        Query::Q1 => state.event_lines(events().filter(|e| e.language == "en" && e.bytes > 500)),
        Query::Q2 => {
            let mut groups: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
            events().for_each(|e| groups.entry(&e.language).or_default().push(e.bytes));
            let mut groups: Vec<_> = groups.into_iter().collect();
            groups.sort_by_key(|(language, bytes)| (Reverse(bytes.len()), *language));
            groups
                .iter()
                .map(|(language, bytes)| {
                    language_line(language, bytes.len() as i64, bytes.iter().sum())
                })
                .collect()
        }
        Query::Q3 => events()
            .filter_map(|e| Some((e, state.users.get(&e.user_id)?)))
            .map(|(e, u)| joined_line(&e.id, e.title.as_deref(), e.bytes, &u.name))
            .collect(),
        Query::Q4 => {
            let mut all: Vec<&Event> = events().collect();
            all.sort_by_key(|e| (Reverse(e.timestamp), &e.id));
            state.event_lines(all.into_iter().take(50))
        }
        Query::Q5 => {
            let mut groups: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
            for event in events() {
                if let Some(user) = state.users.get(&event.user_id).filter(|u| u.active) {
                    groups.entry(&user.country).or_default().push(event.bytes);
                }
            }
            let line = |(country, bytes): (&str, Vec<i64>)| {
                let (min, max) = (bytes.iter().min().copied(), bytes.iter().max().copied());
                country_line(
                    country,
                    bytes.len() as i64,
                    bytes.iter().sum(),
                    min.unwrap_or(0),
                    max.unwrap_or(0),
                )
            };
            groups.into_iter().map(line).collect()
        }
    };
    if !query.ordered() {
        lines.sort_unstable();
    }
    lines
}

/// Where a result first differs from what it must be, for a message; `None` if it is right.
pub(crate) fn difference(query: Query, state: &State, result: &[String]) -> Option<String> {
    let expected = expected(query, state);
    if expected.is_empty() {
        return Some(format!(
            "{}: the work gives it no rows, which tells nothing",
            query.name()
        ));
    }
    let at = (0..expected.len().max(result.len())).find(|&i| expected.get(i) != result.get(i))?;
    let (is, must) = (result.get(at), expected.get(at));
    Some(format!(
        "{}: row {at} of {} is {is:?}, must be {must:?} of {}",
        query.name(),
        result.len(),
        expected.len()
    ))
}

pub(crate) fn event_line(
    id: &str,
    user: &str,
    language: &str,
    title: Option<&str>,
    bytes: i64,
    timestamp: i64,
) -> String {
    let (id, user, language) = (quote(id), quote(user), quote(language));
    let title = title_field(title);
    format!(
        r#"{{"bytes":{bytes},"id":{id},"language":{language},"timestamp":{timestamp},{title}"userId":{user}}}"#
    )
}

pub(crate) fn language_line(language: &str, n: i64, bytes: i64) -> String {
    format!(
        r#"{{"bytes":{bytes},"language":{},"n":{n}}}"#,
        quote(language)
    )
}

pub(crate) fn joined_line(id: &str, title: Option<&str>, bytes: i64, name: &str) -> String {
    let line = format!(
        r#"{{"bytes":{bytes},"id":{},"name":{},{}"#,
        quote(id),
        quote(name),
        title_field(title)
    );
    format!("{}}}", line.trim_end_matches(','))
}

pub(crate) fn country_line(country: &str, n: i64, sum: i64, min: i64, max: i64) -> String {
    let (avg, country) = (sum as f64 / n as f64, quote(country));
    format!(r#"{{"avg":{avg},"country":{country},"max":{max},"min":{min},"n":{n},"sum":{sum}}}"#)
}

fn title_field(title: Option<&str>) -> String {
    title
        .map(|t| format!(r#""title":{},"#, quote(t)))
        .unwrap_or_default()
}
