//! Values of the rows around a row: numbers and ranks, neighbours, running and moving aggregates.
//!
//! The rows of a part stand in their order. A part in which something changed is gone through once;
//! only rows whose values differ are told of.

use differential_dataflow::consolidation::consolidate;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::aggregate::Sliding;
use super::operator::Unary;
use super::{Diff, Updates};
use crate::plan::{self, Expr, Node, OrderKey, OverValue, encode_all, peer_key, sort_key};
use crate::query::{Frame, OverFunction};
use crate::value::{Heap, Row, SeqBuilder, SortKey, Tuple, Value, single};

type Key = SmallVec<[u8; 24]>;

/// A row at its place.
struct Placed {
    place: SortKey,
    /// Equal for rows in one place of the order.
    peers: SortKey,
    input: Tuple,
    /// What was last said of it; nothing yet of a new one.
    output: Option<Tuple>,
}

pub(super) struct Over {
    fields: usize,
    partition: Vec<Expr>,
    order: Vec<OrderKey>,
    values: Vec<OverValue>,
    consolidated: bool,
    parts: HashMap<Key, Vec<Placed>, foldhash::fast::RandomState>,
    /// What the parts hold.
    heap: usize,
    builder: SeqBuilder,
    scratch: Vec<u8>,
}

impl Over {
    /// The operator of a [`Node::Over`].
    pub(super) fn new(node: &Node, consolidated: bool) -> Self {
        let Node::Over {
            fields,
            partition,
            order,
            values,
            ..
        } = node
        else {
            unreachable!("the node computes values of rows around")
        };
        Over {
            fields: *fields,
            partition: partition.clone(),
            order: order.clone(),
            values: values.clone(),
            consolidated,
            parts: HashMap::default(),
            heap: 0,
            builder: SeqBuilder::default(),
            scratch: Vec::new(),
        }
    }

    fn placed(&self, input: Tuple) -> Placed {
        Placed {
            place: sort_key(&self.order, &input),
            peers: peer_key(&self.order, &input).finish(),
            input,
            output: None,
        }
    }

    /// The row of a tuple with the values behind its fields.
    fn with_values(&mut self, tuple: &Tuple, values: impl Iterator<Item = Value>) -> Tuple {
        if let Some(row) = &tuple[0] {
            (0..=self.fields).for_each(|column| self.builder.push_encoded(row.encoded(column)));
        }
        values.for_each(|value| self.builder.push(value.as_ref()));
        let row = Row::new(&mut self.builder, &mut self.scratch);
        single(row)
    }

    fn apply(&mut self, rows: &mut Vec<Placed>, changes: Vec<(Tuple, Diff)>, output: &mut Updates) {
        let (gone, came): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(_, diff)| *diff < 0);
        let mut gone: Vec<Placed> = gone.into_iter().map(|(t, _)| self.placed(t)).collect();
        gone.sort_unstable_by(|a, b| a.place.cmp(&b.place));
        let mut gone = gone.into_iter().peekable();
        // Both are in order.
        rows.retain(|row| match gone.next_if(|g| g.place == row.place) {
            Some(_) => {
                output.extend(row.output.clone().map(|tuple| (tuple, -1)));
                false
            }
            None => true,
        });
        debug_assert!(gone.next().is_none(), "a row that leaves was there");
        rows.extend(came.into_iter().map(|(tuple, _)| self.placed(tuple)));
        rows.sort_by(|a, b| a.place.cmp(&b.place));
        let mut columns: Vec<std::vec::IntoIter<Value>> = Vec::with_capacity(self.values.len());
        for value in &self.values {
            columns.push(computed(value, rows).into_iter());
        }
        for row in rows {
            let values = columns.iter_mut().filter_map(Iterator::next);
            let new = self.with_values(&row.input, values);
            if row.output.as_ref() != Some(&new) {
                output.extend(row.output.take().map(|old| (old, -1)));
                output.push((new.clone(), 1));
                row.output = Some(new);
            }
        }
    }
}

/// A value of each row.
fn computed(value: &OverValue, rows: &[Placed]) -> Vec<Value> {
    let number = |n: usize| Value::int(n as i128);
    match value.function {
        OverFunction::RowNumber => (1..=rows.len()).map(number).collect(),
        OverFunction::Rank | OverFunction::DenseRank => {
            let dense = value.function == OverFunction::DenseRank;
            let (mut ranks, mut rank) = (Vec::with_capacity(rows.len()), 0);
            for (i, row) in rows.iter().enumerate() {
                if i == 0 || rows[i - 1].peers != row.peers {
                    rank = if dense { rank + 1 } else { i + 1 };
                }
                ranks.push(number(rank));
            }
            ranks
        }
        OverFunction::Lag | OverFunction::Lead => {
            let back = value.function == OverFunction::Lag;
            let by = match value.args.get(1) {
                Some(Expr::Const(Value::Int(by))) => usize::try_from(*by).unwrap_or(usize::MAX),
                _ => 1,
            };
            let neighbour = |(i, row): (usize, &Placed)| {
                let place = match back {
                    true => i.checked_sub(by),
                    false => i.checked_add(by),
                };
                let found = place.and_then(|place| rows.get(place));
                let value = match (found, value.args.get(2)) {
                    (Some(found), _) => value.args[0].eval(&found.input).into_value(),
                    (None, Some(default)) => default.eval(&row.input).into_value(),
                    (None, None) => Value::Null,
                };
                match value {
                    Value::Missing => Value::Null,
                    value => value,
                }
            };
            rows.iter().enumerate().map(neighbour).collect()
        }
        OverFunction::Aggregate(function) => {
            let aggregate = plan::Aggregate {
                function,
                args: value.args.clone(),
            };
            aggregated(&aggregate, value.frame, rows)
        }
    }
}

/// An aggregate of the frame of each row. Both ends only ever move on.
fn aggregated(aggregate: &plan::Aggregate, frame: Frame, rows: &[Placed]) -> Vec<Value> {
    let mut sliding = Sliding::new(aggregate);
    let (mut start, mut end) = (0, 0);
    let mut values: Vec<Value> = Vec::with_capacity(rows.len());
    for i in 0..rows.len() {
        let to_start = frame.before.map_or(0, |n| i.saturating_sub(n));
        let mut to_end = match frame.after {
            Some(n) => i.saturating_add(n).saturating_add(1).min(rows.len()),
            None => rows.len(),
        };
        if frame.peers {
            let last = &rows[to_end - 1].peers;
            let behind = rows[to_end..].iter().take_while(|row| row.peers == *last);
            to_end = match end > to_end {
                true => end,
                false => to_end + behind.count(),
            };
        }
        let moved = start < to_start || end < to_end || i == 0;
        while end < to_end {
            sliding.add(&rows[end].input, 1);
            end += 1;
        }
        while start < to_start {
            sliding.add(&rows[start].input, -1);
            start += 1;
        }
        match values.last() {
            Some(last) if !moved => values.push(last.clone()),
            _ => values.push(sliding.value()),
        }
    }
    values
}

impl Unary for Over {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        if !self.consolidated {
            consolidate(input);
        }
        let mut changed: HashMap<Key, Vec<(Tuple, Diff)>, foldhash::fast::RandomState> =
            HashMap::default();
        let mut key = Vec::new();
        for (tuple, diff) in input.drain(..) {
            key.clear();
            encode_all(&self.partition, &tuple, &mut key);
            let part = changed.entry(Key::from_slice(&key)).or_default();
            part.push((tuple, diff));
        }
        for (key, changes) in changed {
            let mut rows = self.parts.remove(&key).unwrap_or_default();
            self.heap -= held(&key, &rows);
            self.apply(&mut rows, changes, output);
            if !rows.is_empty() {
                self.heap += held(&key, &rows);
                self.parts.insert(key, rows);
            }
        }
        if self.parts.capacity() > 64 && self.parts.len() < self.parts.capacity() / 8 {
            self.parts.shrink_to_fit();
        }
        if output.len() > 1 {
            consolidate(output);
        }
    }

    fn bytes(&self) -> usize {
        self.parts.allocation_size() + self.heap
    }
}

/// What a part holds on the heap; nothing without rows.
fn held(key: &Key, rows: &Vec<Placed>) -> usize {
    if rows.is_empty() {
        return 0;
    }
    let made = |tuple: &Tuple| tuple.iter().flatten().map(Row::size).sum::<usize>();
    let row = |row: &Placed| {
        let output = row.output.as_ref().map_or(0, made);
        row.place.heap() + row.peers.heap() + row.input.heap() + output
    };
    let room = rows.capacity() * size_of::<Placed>();
    key.heap() + room + rows.iter().map(row).sum::<usize>()
}
