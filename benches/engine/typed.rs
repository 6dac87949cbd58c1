//! The baseline `differential`: the five queries as an engineer who knows differential-dataflow
//! writes them by hand.
//!
//! It is the limit that a general engine is measured against, so nothing in it is dynamic: rows are
//! structs of integers and interned strings, queries are code. The current rows live in hash maps
//! outside of the dataflow and give the retractions. All queries stand in one dataflow with one
//! tick an epoch. Joins are differential's own over arrangements, and of Q3 and Q5 the arrangements
//! are shared when both are there. Aggregates and the ordered window are custom operators
//! (`operators.rs`). Columns that no query needs are dropped before an arrangement. What a query
//! says in a tick is consolidated at its sink and applied to the subscriber's own copy of the
//! result, a hash map or an ordered map.

use std::cell::{RefCell, RefMut};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use differential_dataflow::Data;
use differential_dataflow::consolidation::consolidate;
use timely::communication::{Allocator, allocator::Thread};
use timely::dataflow::Scope;
use timely::worker::Worker;

use crate::check::{country_line, event_line, joined_line, language_line};
use crate::operators::{Agg, Changes, Input, Output, T, aggregate, arrange, sink, window};
use crate::workload::{Op, Query};

/// An interned string; 0 is the missing one.
type Symbol = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventRow {
    id: Symbol,
    user: Symbol,
    language: Symbol,
    title: Symbol,
    bytes: i64,
    timestamp: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UserRow {
    id: Symbol,
    name: Symbol,
    country: Symbol,
    active: bool,
    age: i64,
}

/// What the joins need of an event and of a user; the key is the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EventSide {
    id: Symbol,
    title: Symbol,
    bytes: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UserSide {
    name: Symbol,
    country: Symbol,
    active: bool,
}

/// A row of Q3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Joined {
    id: Symbol,
    title: Symbol,
    name: Symbol,
    bytes: i64,
}

pub(crate) enum Prepared {
    User(UserRow),
    Event(EventRow),
    Delete(Symbol),
}

pub(crate) struct Typed {
    worker: Worker,
    now: T,
    names: Rc<RefCell<Names>>,
    users: SymbolMap<UserRow>,
    events: SymbolMap<EventRow>,
    user_input: Option<Input<UserRow>>,
    event_input: Input<EventRow>,
    live: Vec<(Query, Box<dyn Live>)>,
}

impl Typed {
    pub(crate) fn new(queries: &[Query]) -> Typed {
        let mut worker = Worker::new(
            timely::WorkerConfig::default(),
            Allocator::Thread(Thread::default()),
            None,
        );
        let names = Rc::new(RefCell::new(Names::default()));
        let (user_input, event_input, live) =
            worker.dataflow(|scope| build(scope, queries, &names));
        let (users, events) = Default::default();
        Typed {
            worker,
            now: 0,
            names,
            users,
            events,
            user_input,
            event_input,
            live,
        }
    }

    /// Interns strings. Not part of what is measured, as decoding is not for any engine.
    pub(crate) fn prepare(&mut self, ops: &[Op]) -> Vec<Prepared> {
        let names = &mut *self.names.borrow_mut();
        let prepare = |op: &Op| match op {
            Op::PutUser(u) => Prepared::User(UserRow {
                id: names.symbol(&u.id),
                name: names.symbol(&u.name),
                country: names.symbol(&u.country),
                active: u.active,
                age: u.age,
            }),
            Op::PutEvent(e) => Prepared::Event(EventRow {
                id: names.symbol(&e.id),
                user: names.symbol(&e.user_id),
                language: names.symbol(&e.language),
                title: e.title.as_deref().map_or(0, |t| names.symbol(t)),
                bytes: e.bytes,
                timestamp: e.timestamp,
            }),
            Op::DeleteEvent(id) => Prepared::Delete(names.symbol(id)),
        };
        ops.iter().map(prepare).collect()
    }

    /// One tick: the changes go in, every subscriber's result is up to date when it returns.
    pub(crate) fn apply(&mut self, ops: &[Prepared]) {
        for op in ops {
            match *op {
                Prepared::User(new) => {
                    let old = self.users.insert(new.id, new);
                    if let Some(input) = &mut self.user_input {
                        input.replace(old, Some(new));
                    }
                }
                Prepared::Event(new) => self
                    .event_input
                    .replace(self.events.insert(new.id, new), Some(new)),
                Prepared::Delete(id) => self.event_input.replace(self.events.remove(&id), None),
            }
        }
        self.now += 1;
        self.event_input.advance(self.now);
        if let Some(input) = &mut self.user_input {
            input.advance(self.now);
        }
        while self.live.iter().any(|(_, live)| live.reached() < self.now) {
            self.worker.step();
        }
        for (_, live) in &mut self.live {
            live.settle();
        }
    }

    pub(crate) fn result(&self, query: Query) -> Vec<String> {
        let live = self.live.iter().find(|(q, _)| *q == query);
        let mut lines = live
            .map(|(_, live)| live.lines(&self.names.borrow()))
            .unwrap_or_default();
        if !query.ordered() {
            lines.sort_unstable();
        }
        lines
    }
}

type Built = (
    Option<Input<UserRow>>,
    Input<EventRow>,
    Vec<(Query, Box<dyn Live>)>,
);

fn build(scope: Scope<'_, T>, queries: &[Query], names: &Rc<RefCell<Names>>) -> Built {
    let (event_input, events) = Input::new(scope);
    let (q3, q5) = (queries.contains(&Query::Q3), queries.contains(&Query::Q5));
    let mut live: Vec<(Query, Box<dyn Live>)> = Vec::new();

    if queries.contains(&Query::Q1) {
        let en = names.borrow_mut().symbol("en");
        let out = Output::default();
        sink(events.clone(), &out, move |e: EventRow| {
            (e.language == en && e.bytes > 500).then_some(e)
        });
        live.push((Query::Q1, Keyed::boxed(out, |e| e.id, render_event)));
    }
    if queries.contains(&Query::Q2) {
        let out = Output::default();
        sink(
            aggregate(events.clone(), false, |e| Some((e.language, e.bytes))),
            &out,
            Some,
        );
        let names = names.clone();
        let order =
            move |&(language, agg): &(Symbol, Agg)| (Reverse(agg.n), names.borrow().rank(language));
        let line = |(language, agg): &(Symbol, Agg), names: &Names| {
            language_line(names.text(*language), agg.n, agg.sum)
        };
        live.push((Query::Q2, Ordered::boxed(out, order, line)));
    }
    if queries.contains(&Query::Q4) {
        let out = Output::default();
        let names = names.clone();
        let order = move |e: &EventRow| (Reverse(e.timestamp), names.borrow().rank(e.id));
        sink(window(events.clone(), 50, order.clone()), &out, Some);
        live.push((Query::Q4, Ordered::boxed(out, order, render_event)));
    }
    if !q3 && !q5 {
        return (None, event_input, live);
    }

    let (user_input, users) = Input::new(scope);
    let events = arrange(events.map(|e: EventRow| {
        (
            e.user,
            EventSide {
                id: e.id,
                title: e.title,
                bytes: e.bytes,
            },
        )
    }));
    let users = arrange(users.flat_map(move |u: UserRow| {
        let name = if q3 { u.name } else { 0 };
        let country = if q5 { u.country } else { 0 };
        let active = u.active || !q5;
        (q3 || active).then_some((
            u.id,
            UserSide {
                name,
                country,
                active,
            },
        ))
    }));
    if q3 {
        let out = Output::default();
        let joined = events
            .clone()
            .join_core(users.clone(), |_, e: &EventSide, u: &UserSide| {
                Some(Joined {
                    id: e.id,
                    title: e.title,
                    name: u.name,
                    bytes: e.bytes,
                })
            });
        sink(joined, &out, Some);
        let line = |j: &Joined, names: &Names| {
            joined_line(
                names.text(j.id),
                names.title(j.title),
                j.bytes,
                names.text(j.name),
            )
        };
        live.push((Query::Q3, Keyed::boxed(out, |j| j.id, line)));
    }
    if q5 {
        let out = Output::default();
        let joined = events.join_core(users, |_, e: &EventSide, u: &UserSide| {
            u.active.then_some((u.country, e.bytes))
        });
        sink(
            aggregate(joined, true, |&(country, bytes)| Some((country, bytes))),
            &out,
            Some,
        );
        let line = |(country, a): &(Symbol, Agg), names: &Names| {
            country_line(names.text(*country), a.n, a.sum, a.min, a.max)
        };
        live.push((Query::Q5, Keyed::boxed(out, |(country, _)| *country, line)));
    }
    (Some(user_input), event_input, live)
}

fn render_event(e: &EventRow, names: &Names) -> String {
    let (id, user, language) = (names.text(e.id), names.text(e.user), names.text(e.language));
    event_line(
        id,
        user,
        language,
        names.title(e.title),
        e.bytes,
        e.timestamp,
    )
}

/// A subscriber: takes what its query said in a tick into its own copy of the result.
trait Live {
    fn reached(&self) -> T;
    fn settle(&mut self);
    fn lines(&self, names: &Names) -> Vec<String>;
}

type Line<D> = fn(&D, &Names) -> String;

/// A result without order, by a symbol.
struct Keyed<D> {
    out: Output<D>,
    key: fn(&D) -> Symbol,
    line: Line<D>,
    rows: SymbolMap<D>,
}

impl<D: Data> Keyed<D> {
    fn boxed(out: Output<D>, key: fn(&D) -> Symbol, line: Line<D>) -> Box<dyn Live> {
        Box::new(Keyed {
            out,
            key,
            line,
            rows: SymbolMap::default(),
        })
    }
}

impl<D: Data> Live for Keyed<D> {
    fn reached(&self) -> T {
        self.out.reached()
    }

    fn settle(&mut self) {
        let (key, rows) = (self.key, &mut self.rows);
        settle(&self.out, key, |key, row| match row {
            Some(row) => drop(rows.insert(key, row)),
            None => drop(rows.remove(&key)),
        });
    }

    fn lines(&self, names: &Names) -> Vec<String> {
        self.rows
            .values()
            .map(|row| (self.line)(row, names))
            .collect()
    }
}

/// A result in order: its key tells the place, with ties broken.
struct Ordered<D, F> {
    out: Output<D>,
    order: F,
    line: Line<D>,
    rows: BTreeMap<(Reverse<i64>, u64), D>,
}

impl<D: Data, F: Fn(&D) -> (Reverse<i64>, u64) + 'static> Ordered<D, F> {
    fn boxed(out: Output<D>, order: F, line: Line<D>) -> Box<dyn Live> {
        Box::new(Ordered {
            out,
            order,
            line,
            rows: BTreeMap::new(),
        })
    }
}

impl<D: Data, F: Fn(&D) -> (Reverse<i64>, u64)> Live for Ordered<D, F> {
    fn reached(&self) -> T {
        self.out.reached()
    }

    fn settle(&mut self) {
        let rows = &mut self.rows;
        settle(&self.out, &self.order, |key, row| match row {
            Some(row) => drop(rows.insert(key, row)),
            None => drop(rows.remove(&key)),
        });
    }

    fn lines(&self, names: &Names) -> Vec<String> {
        self.rows
            .values()
            .map(|row| (self.line)(row, names))
            .collect()
    }
}

/// Consolidates a tick's output; every key that changed is given once, with its new row or none.
/// Rows with the same key are neighbours because every row type compares by its key first.
fn settle<D: Data, K: PartialEq>(
    out: &Output<D>,
    key: impl Fn(&D) -> K,
    mut change: impl FnMut(K, Option<D>),
) {
    let mut changes: RefMut<'_, Changes<D>> = out.changes();
    consolidate(&mut *changes);
    let mut left = changes.drain(..).peekable();
    while let Some((row, r)) = left.next() {
        let this = key(&row);
        match left.next_if(|(next, _)| key(next) == this) {
            Some((next, _)) => change(this, Some(if r > 0 { row } else { next })),
            None => change(this, (r > 0).then_some(row)),
        }
    }
}

/// The interner.
struct Names {
    symbols: HashMap<Rc<str>, Symbol>,
    texts: Vec<Rc<str>>,
}

impl Default for Names {
    fn default() -> Names {
        Names {
            symbols: HashMap::new(),
            texts: vec!["".into()],
        }
    }
}

impl Names {
    fn symbol(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.symbols.get(text) {
            return *symbol;
        }
        let (text, symbol): (Rc<str>, _) = (text.into(), self.texts.len() as Symbol);
        self.texts.push(text.clone());
        self.symbols.insert(text, symbol);
        symbol
    }

    fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol as usize]
    }

    fn title(&self, symbol: Symbol) -> Option<&str> {
        (symbol != 0).then(|| self.text(symbol))
    }

    /// A number that sorts as the text does; the texts that break ties here (ids, languages) are
    /// short.
    fn rank(&self, symbol: Symbol) -> u64 {
        let text = self.text(symbol).as_bytes();
        let mut bytes = [0; 8];
        bytes[..text.len()].copy_from_slice(text);
        u64::from_be_bytes(bytes)
    }
}

pub(crate) type SymbolMap<V> = HashMap<Symbol, V, BuildHasherDefault<SymbolHasher>>;

/// Symbols are dense; one multiplication spreads them.
#[derive(Default)]
pub(crate) struct SymbolHasher(u64);

impl Hasher for SymbolHasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only symbols are hashed")
    }

    fn write_u32(&mut self, symbol: u32) {
        self.0 = u64::from(symbol)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
