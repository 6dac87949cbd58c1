//! Random cases: a query and a history of messages for it, both from one seed.
//!
//! Domains are small, so that joins and groups hit and keys come back; among the values are those
//! that engines get wrong: null beside missing, `1` beside `1.0` and `"1"`, integers a float cannot
//! hold, text whose order differs in UTF-16.

use super::naive::evaluate_within;
use super::queries;
use super::store::Store;
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// A query and what happens while it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) query: Value,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Messages that come at once.
    Batch(Vec<Value>),
    /// The clock moves to these milliseconds.
    Clock(i64),
    /// Another window of the ordered rows is asked for.
    Window { offset: u64, limit: Option<u64> },
}

impl Case {
    /// Where the clock stands before anything happens; none for a query that does not ask for it.
    pub(crate) fn start(&self) -> Option<i64> {
        let asks = self.query.to_string().contains(r#""name":"now""#);
        asks.then_some(START)
    }
}

/// A query after the window was moved.
pub(crate) fn with_window(query: &Value, offset: u64, limit: Option<u64>) -> Value {
    let mut query = query.clone();
    query["offset"] = json!(offset);
    match limit {
        Some(limit) => query["limit"] = json!(limit),
        None => _ = query.as_object_mut().unwrap().remove("limit"),
    }
    query
}

const START: i64 = 1000;

/// How much work evaluating a case may be, so that many run in a short time.
const STEPS: u64 = 12_000;

/// The types of generated values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ty {
    /// A small number, exact in binary: sums of these are exact.
    Num,
    /// A whole number, perhaps beyond 2^53; not summed twice.
    Big,
    /// Any other number: never summed, never printed as text.
    Real,
    Str,
    Bool,
    /// A number, text or boolean.
    Mixed,
    /// Milliseconds, near those of the clock.
    Time,
    Arr,
    Obj,
}

/// The columns that hold keys of rows.
pub(crate) const LINKS: [&str; 3] = ["from", "link", "to"];

/// The collections and their columns. The rows of "visits" are often equal: work for `distinct`.
pub(crate) const COLLECTIONS: [(&str, &[(&str, Ty)]); 4] = [
    (
        "people",
        &[
            ("big", Ty::Big),
            ("flag", Ty::Bool),
            ("g", Ty::Str),
            ("link", Ty::Str),
            ("mixed", Ty::Mixed),
            ("n", Ty::Num),
            ("obj", Ty::Obj),
            ("tags", Ty::Arr),
        ],
    ),
    (
        "orders",
        &[
            ("big", Ty::Big),
            ("g", Ty::Str),
            ("link", Ty::Str),
            ("m", Ty::Num),
            ("mixed", Ty::Mixed),
            ("n", Ty::Num),
            ("obj", Ty::Obj),
            ("at", Ty::Time),
        ],
    ),
    (
        "edges",
        &[
            ("Z", Ty::Num),
            ("at", Ty::Time),
            ("from", Ty::Str),
            ("g", Ty::Str),
            ("to", Ty::Str),
        ],
    ),
    (
        "visits",
        &[("flag", Ty::Bool), ("g", Ty::Str), ("n", Ty::Num)],
    ),
];

pub(crate) const KEYS: [&str; 9] = ["1", "2", "3", "4", "9", "10", "é", "a\"b", "x,y"];

/// The case of a seed. One that is much work or ends without rows, or often one with a single row,
/// gives way to another.
pub(crate) fn case(seed: u64) -> Case {
    let mut rng = Rng::with_seed(seed);
    let clock = rng.u32(..100) < 9;
    let mut tries = 12;
    loop {
        let query = queries::query(&mut rng, clock);
        let batches = history(&mut rng);
        if clock && !query.to_string().contains(r#""name":"now""#) {
            continue;
        }
        let Some(rows) = evaluate_within(&query, &folded(&batches), STEPS) else {
            continue;
        };
        tries -= 1;
        if tries <= 0 || rows.len() > 1 || (rows.len() == 1 && rng.bool()) {
            let steps = steps(&mut rng, &query, batches, clock);
            return Case { seed, query, steps };
        }
    }
}

/// The state at the end of a history; the clock stands in the middle of its times.
fn folded(batches: &[Vec<Value>]) -> Store {
    let mut store = Store::default();
    store.set_clock(3000);
    for batch in batches {
        store.apply(batch);
    }
    store.finish();
    store
}

/// Puts steps of the clock, and of the window where it can move, between the batches.
fn steps(rng: &mut Rng, query: &Value, batches: Vec<Vec<Value>>, clock: bool) -> Vec<Step> {
    let windowed = query["orderBy"].is_array()
        && query["limit"].is_number()
        && query.get("singleResult").is_none();
    let moving = windowed && rng.u32(..100) < 40;
    let mut now = START;
    let mut steps = Vec::new();
    for (i, batch) in batches.into_iter().enumerate() {
        steps.push(Step::Batch(batch));
        if clock && i > 1 && rng.u32(..100) < 60 {
            now += [0, 1, 249, 250, 250, 500, 500, 750, 999, 1500][rng.usize(..10)];
            steps.push(Step::Clock(now));
        }
        if moving && rng.u32(..100) < 30 {
            let limit = (rng.u32(..100) < 85).then(|| rng.u64(..=6));
            let offset = rng.u64(..=4);
            steps.push(Step::Window { offset, limit });
        }
    }
    steps
}

/// A random value of a type, for a row or a literal.
pub(crate) fn sample(rng: &mut Rng, ty: Ty) -> Value {
    let values = match ty {
        Ty::Time => return json!(250 * rng.i64(2..=24)),
        Ty::Num | Ty::Real => json!([
            0, 0, 1, 1, 2, 2, 3, 4, -1, 5, 1.0, 2.0, 0.5, 1.5, 0.25, 2.25, -0.75
        ]),
        Ty::Big => json!([
            0,
            1,
            9007199254740991u64,
            9007199254740992u64,
            9007199254740992.0,
            9007199254740993u64,
            9007199254740993u64,
            i64::MAX,
            i64::MAX as u64 + 1,
            u64::MAX,
            i64::MIN,
            -9007199254740993i64
        ]),
        Ty::Str => json!([
            "x", "x", "x", "y", "y", "z", "X", "é", "É", "", "10", "9", "1", "straße", "\u{ff5e}",
            "😀", " x "
        ]),
        Ty::Bool => json!([true, true, false]),
        Ty::Mixed => json!([1, 1, 1.0, "1", true, false, "x", "x", 0, "", 1.5, 2, "10"]),
        Ty::Arr => json!([
            [],
            [1],
            [1.0],
            [1, 2],
            ["x"],
            ["x", 1],
            [null],
            [[1]],
            [0, "y", true]
        ]),
        Ty::Obj => json!([
            {}, {"p": 1}, {"p": 1.0}, {"p": 2, "q": "x"}, {"p": 2, "q": "x"}, {"p": null, "q": "x"},
            {"q": "y"}, {"p": 0.5, "q": null}
        ]),
    };
    values[rng.usize(..values.as_array().unwrap().len())].clone()
}

pub(crate) fn row(rng: &mut Rng, columns: &[(&str, Ty)]) -> Value {
    let mut row = json!({});
    for (name, ty) in columns {
        match rng.u32(..100) {
            0..8 => row[name] = Value::Null,
            8..16 => {}
            _ if LINKS.contains(name) => row[name] = json!(KEYS[rng.usize(..6)]),
            _ => row[name] = sample(rng, *ty),
        }
    }
    row
}

/// What a history is made with.
struct History<'a> {
    rng: &'a mut Rng,
    /// Messages that were decided on and wait for room in a batch.
    waiting: VecDeque<Value>,
    /// The rows as they roughly are (resets and snapshots are not followed): what updates and
    /// deletes aim at.
    known: Vec<(usize, &'static str, Value)>,
    said: Vec<Value>,
}

/// Batches of messages.
pub(crate) fn history(rng: &mut Rng) -> Vec<Vec<Value>> {
    let mut history = History {
        rng,
        waiting: VecDeque::new(),
        known: Vec::new(),
        said: Vec::new(),
    };
    for collection in 0..COLLECTIONS.len() {
        for _ in 0..history.rng.usize(4..=8) {
            history.insert(collection);
        }
    }
    history.rng.shuffle(history.waiting.make_contiguous());
    let count = history.rng.usize(6..=12);
    (0..count).map(|i| history.batch(i < 4)).collect()
}

impl History<'_> {
    fn batch(&mut self, first: bool) -> Vec<Value> {
        let size = match self.rng.u32(..10) {
            _ if first => 8,
            0 => 0,
            1..=4 => self.rng.usize(1..=2),
            _ => self.rng.usize(2..=8),
        };
        let mut batch = Vec::new();
        while batch.len() < size {
            if self.waiting.is_empty() {
                self.step();
            }
            if let Some(message) = self.waiting.pop_front() {
                self.said.push(message.clone());
                batch.push(message);
            }
        }
        batch
    }

    /// Decides on what happens next.
    fn step(&mut self) {
        let collection = self.rng.usize(..COLLECTIONS.len());
        match self.rng.u32(..1000) {
            0..8 => self.reset(),
            8..30 => self.snapshot(),
            30..260 => self.insert(collection),
            260..300 => self.one_key(collection),
            300..370 if !self.said.is_empty() => {
                let again = self.said[self.rng.usize(..self.said.len())].clone();
                if again["headers"]["control"].is_null() {
                    self.waiting.push_back(again);
                }
            }
            370..410 => self.change(collection, "99", "update"),
            410..440 => self.remove(collection, "98"),
            440..640 => {
                if let Some((collection, key, _)) = self.some_known() {
                    self.remove(collection, key);
                }
            }
            _ => self.update(),
        }
    }

    fn some_known(&mut self) -> Option<(usize, &'static str, Value)> {
        (!self.known.is_empty()).then(|| self.known[self.rng.usize(..self.known.len())].clone())
    }

    fn insert(&mut self, collection: usize) {
        let key = KEYS[self.rng.usize(..KEYS.len())];
        let operation = if self.rng.u32(..10) == 0 {
            "upsert"
        } else {
            "insert"
        };
        self.change(collection, key, operation);
    }

    fn change(&mut self, collection: usize, key: &'static str, operation: &str) {
        let value = row(self.rng, COLLECTIONS[collection].1);
        self.put(collection, key, value, operation);
    }

    fn put(&mut self, collection: usize, key: &'static str, value: Value, operation: &str) {
        self.known.retain(|(c, k, _)| (*c, *k) != (collection, key));
        self.known.push((collection, key, value.clone()));
        let name = COLLECTIONS[collection].0;
        self.waiting.push_back(
            json!({"type": name, "key": key, "value": value, "headers": {"operation": operation}}),
        );
    }

    fn remove(&mut self, collection: usize, key: &'static str) {
        let name = COLLECTIONS[collection].0;
        let mut message = json!({"type": name, "key": key, "headers": {"operation": "delete"}});
        if let Some(at) = self
            .known
            .iter()
            .position(|(c, k, _)| (*c, *k) == (collection, key))
        {
            let (_, _, old) = self.known.swap_remove(at);
            if self.rng.bool() {
                message["old_value"] = old;
            }
        }
        self.waiting.push_back(message);
    }

    /// Changes one column of a known row, or all, or none.
    fn update(&mut self) {
        let Some((collection, key, mut value)) = self.some_known() else {
            return;
        };
        let columns = COLLECTIONS[collection].1;
        let column = self.rng.usize(..columns.len());
        match self.rng.u32(..10) {
            0 => {}
            1 | 2 => value = row(self.rng, columns),
            _ => {
                let fields = value.as_object_mut().unwrap();
                fields.remove(columns[column].0);
                fields.append(
                    row(self.rng, &columns[column..=column])
                        .as_object_mut()
                        .unwrap(),
                );
            }
        }
        self.put(collection, key, value, "update");
    }

    /// Several messages about one key in a row.
    fn one_key(&mut self, collection: usize) {
        let key = KEYS[self.rng.usize(..KEYS.len())];
        for _ in 0..self.rng.usize(2..=4) {
            if self.rng.u32(..3) == 0 {
                self.remove(collection, key)
            } else {
                self.change(collection, key, "update")
            }
        }
    }

    fn control(&mut self, name: &str) {
        self.waiting
            .push_back(json!({"headers": {"control": name}}));
    }

    /// A reset, and mostly something after it.
    fn reset(&mut self) {
        self.control("reset");
        match self.rng.u32(..4) {
            0 => {}
            1 => self.snapshot(),
            _ => self.refill(),
        }
    }

    fn snapshot(&mut self) {
        self.control("snapshot-start");
        self.refill();
        match self.rng.u32(..12) {
            0 => return self.reset(),
            1 => {
                self.control("snapshot-start");
                self.refill();
            }
            _ => {}
        }
        self.control("snapshot-end");
    }

    /// Rows for one or two collections.
    fn refill(&mut self) {
        for _ in 0..self.rng.usize(1..=2) {
            let collection = self.rng.usize(..COLLECTIONS.len());
            for _ in 0..self.rng.usize(1..=6) {
                self.insert(collection);
            }
            if self.rng.u32(..4) == 0 {
                self.remove(collection, KEYS[0]);
            }
        }
    }
}
