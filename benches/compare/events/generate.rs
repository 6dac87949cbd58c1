//! The seeded stream of state changes.
//!
//! [`Workload`] is an iterator of [`Op`]s: first the users, then the events (the load), then the
//! changes (40 % event inserts, 45 % event updates, 10 % event deletes, 5 % user updates). The same
//! sizes and seed give the same ops on every machine. An op carries the new value only, as a
//! state-change protocol does: engines keep the old values themselves. [`JsonLines`] gives them as
//! State Protocol messages.

use std::collections::HashSet;
use std::fmt::Write;

use fastrand::Rng;

pub(crate) const SEED: u64 = 0x7a11_3a7e;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    users: usize,
    events: usize,
    pub(crate) changes: usize,
}

impl Sizes {
    pub(crate) fn of(quick: bool) -> Sizes {
        let part = if quick { 10 } else { 1 };
        Sizes {
            users: 10_000 / part,
            events: 200_000 / part,
            changes: 100_000 / part,
        }
    }

    pub(crate) fn loaded(&self) -> usize {
        self.users + self.events
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) active: bool,
    pub(crate) age: i64,
    pub(crate) country: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) language: String,
    pub(crate) title: Option<String>,
    pub(crate) bytes: i64,
    pub(crate) timestamp: i64,
}

/// A change of one row. A put inserts or replaces.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    PutUser(User),
    PutEvent(Event),
    DeleteEvent(String),
}

/// Languages and their share in percent.
const LANGUAGES: [(&str, u32); 12] = [
    ("en", 45),
    ("de", 10),
    ("fr", 9),
    ("es", 8),
    ("ru", 7),
    ("ja", 6),
    ("zh", 5),
    ("it", 4),
    ("pt", 3),
    ("pl", 1),
    ("nl", 1),
    ("sv", 1),
];
const COUNTRIES: [&str; 30] = [
    "US", "IN", "DE", "BR", "GB", "FR", "JP", "CN", "ES", "IT", "MX", "CA", "RU", "KR", "ID", "TR",
    "PL", "NL", "AU", "AR", "SE", "CH", "AT", "BE", "NG", "EG", "ZA", "VN", "TH", "NO",
];
const FIRST: [&str; 16] = [
    "Ada", "Grace", "Edsger", "Barbara", "Alan", "Zoë", "José", "Mei", "Ravi", "Olga", "Kofi",
    "Lena", "Hugo", "Inès", "Tom", "Yuki",
];
const LAST: [&str; 16] = [
    "Müller", "Smith", "García", "Tanaka", "Okafor", "Novak", "Silva", "Rossi", "Kim", "Dubois",
    "Khan", "Larsen", "Li", "Haddad", "Moreau", "Ivanova",
];
const TOPIC: [&str; 12] = [
    "History of",
    "List of",
    "Geography of",
    "Music of",
    "Economy of",
    "Talk about",
    "Battle of",
    "Culture of",
    "Rivers of",
    "Art in",
    "Trains in",
    "Birds of",
];
const TITLES: u64 = 50_000;
/// Milliseconds: the first event, the step from one event to the next, and how far one may be out
/// of order.
const EPOCH: i64 = 1_700_000_000_000;
const STEP: i64 = 250;
const JITTER: u64 = 30_000;

pub(crate) struct Workload {
    sizes: Sizes,
    seed: u64,
    rng: Rng,
    given: usize,
    users: Vec<User>,
    events: u64,
    /// The numbers of the events that exist, in no particular order.
    live: Vec<u32>,
}

impl Workload {
    pub(crate) fn new(sizes: Sizes, seed: u64) -> Workload {
        Workload {
            sizes,
            seed,
            rng: Rng::with_seed(seed),
            given: 0,
            users: Vec::new(),
            events: 0,
            live: Vec::new(),
        }
    }

    fn new_user(&mut self) -> User {
        let rng = &mut self.rng;
        let user = User {
            id: format!("u{}", self.users.len()),
            name: person(rng),
            active: rng.u32(..100) < 70,
            age: rng.i64(13..90),
            country: country(rng),
        };
        self.users.push(user.clone());
        user
    }

    fn changed_user(&mut self) -> User {
        let user = self.rng.usize(..self.users.len());
        let (rng, user) = (&mut self.rng, &mut self.users[user]);
        user.age += 1;
        match rng.u32(..100) {
            0..40 => user.name = person(rng),
            40..75 => user.active = !user.active,
            75..95 => user.country = country(rng),
            _ => {}
        }
        user.clone()
    }

    /// What an event is at first depends on its number only, so that an update can start from it
    /// without keeping it.
    fn first_event(&self, number: u64) -> Event {
        let mut rng = Rng::with_seed(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Event {
            id: format!("e{number}"),
            user_id: self.some_user(&mut rng),
            language: language(&mut rng),
            title: title(&mut rng),
            bytes: rng.i64(0..2_000),
            timestamp: time(&mut rng, number),
        }
    }

    fn new_event(&mut self) -> Event {
        let event = self.first_event(self.events);
        self.live.push(self.events as u32);
        self.events += 1;
        event
    }

    /// An edit: new bytes always, the other columns now and then, the time sometimes to now.
    fn changed_event(&mut self) -> Event {
        let at = self.rng.usize(..self.live.len());
        let mut event = self.first_event(u64::from(self.live[at]));
        event.bytes = self.rng.i64(0..2_000);
        if self.rng.u32(..100) < 30 {
            event.title = title(&mut self.rng);
        }
        if self.rng.u32(..100) < 10 {
            event.language = language(&mut self.rng);
        }
        if self.rng.u32(..100) < 10 {
            event.timestamp = time(&mut self.rng, self.events);
        }
        if self.rng.u32(..100) < 5 {
            let mut rng = self.rng.fork();
            event.user_id = self.some_user(&mut rng);
        }
        event
    }

    /// Skewed: with 10,000 users and 200,000 events the busiest user has about 2,000 events, half
    /// of the users fewer than 15.
    fn some_user(&self, rng: &mut Rng) -> String {
        let place = rng.f64().powi(2);
        format!("u{}", (place * self.sizes.users as f64) as usize)
    }
}

impl Iterator for Workload {
    type Item = Op;

    fn next(&mut self) -> Option<Op> {
        let at = self.given;
        self.given += 1;
        let Sizes {
            users,
            events,
            changes,
            ..
        } = self.sizes;
        if at < users {
            return Some(Op::PutUser(self.new_user()));
        }
        if at < users + events {
            return Some(Op::PutEvent(self.new_event()));
        }
        if at >= users + events + changes {
            return None;
        }
        Some(match self.rng.u32(..100) {
            0..40 => Op::PutEvent(self.new_event()),
            40..85 => Op::PutEvent(self.changed_event()),
            85..95 => {
                let at = self.rng.usize(..self.live.len());
                Op::DeleteEvent(format!("e{}", self.live.swap_remove(at)))
            }
            _ => Op::PutUser(self.changed_user()),
        })
    }
}

fn person(rng: &mut Rng) -> String {
    format!(
        "{} {}",
        FIRST[rng.usize(..FIRST.len())],
        LAST[rng.usize(..LAST.len())]
    )
}

fn country(rng: &mut Rng) -> String {
    let (a, b) = (rng.usize(..COUNTRIES.len()), rng.usize(..COUNTRIES.len()));
    COUNTRIES[a.min(b)].to_owned()
}

fn language(rng: &mut Rng) -> String {
    let mut left = rng.u32(..100);
    for (name, share) in LANGUAGES {
        if left < share {
            return name.to_owned();
        }
        left -= share;
    }
    unreachable!("the shares add up to 100")
}

fn title(rng: &mut Rng) -> Option<String> {
    let number = rng.u64(..TITLES);
    (rng.u32(..100) < 90).then(|| {
        format!(
            "{} place {number}",
            TOPIC[(number % TOPIC.len() as u64) as usize]
        )
    })
}

fn time(rng: &mut Rng, number: u64) -> i64 {
    EPOCH + number as i64 * STEP + rng.u64(..JITTER) as i64
}

/// The text as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..='\x1f' => write!(out, "\\u{:04x}", c as u32).expect("a string"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

fn message(op: &Op, operation: &str) -> String {
    let (collection, key, value) = match op {
        Op::PutUser(u) => {
            let User {
                id,
                name,
                active,
                age,
                country,
            } = u;
            let (name, country) = (quote(name), quote(country));
            let value = format!(
                r#"{{"id":{},"name":{name},"active":{active},"age":{age},"country":{country}}}"#,
                quote(id)
            );
            ("users", id, Some(value))
        }
        Op::PutEvent(e) => {
            let mut value = format!(
                r#"{{"id":{},"userId":{},"language":{}"#,
                quote(&e.id),
                quote(&e.user_id),
                quote(&e.language)
            );
            if let Some(title) = &e.title {
                write!(value, r#","title":{}"#, quote(title)).expect("a string");
            }
            write!(
                value,
                r#","bytes":{},"timestamp":{}}}"#,
                e.bytes, e.timestamp
            )
            .expect("a string");
            ("events", &e.id, Some(value))
        }
        Op::DeleteEvent(id) => ("events", id, None),
    };
    let value = value
        .map(|v| format!(r#""value":{v},"#))
        .unwrap_or_default();
    format!(
        r#"{{"type":"{collection}","key":{},{value}"headers":{{"operation":"{operation}"}}}}"#,
        quote(key)
    )
}

/// Messages with `insert`, `update` and `delete` for ops given in order: one op alone does not tell
/// whether its key is known.
#[derive(Default)]
pub(crate) struct JsonLines {
    known: HashSet<String>,
}

impl JsonLines {
    pub(crate) fn line(&mut self, op: &Op) -> String {
        // Users and events share the set: their keys start with another letter.
        let operation = match op {
            Op::DeleteEvent(id) => {
                self.known.remove(id);
                "delete"
            }
            Op::PutUser(User { id, .. }) | Op::PutEvent(Event { id, .. }) => {
                if self.known.insert(id.clone()) {
                    "insert"
                } else {
                    "update"
                }
            }
        };
        message(op, operation)
    }
}
