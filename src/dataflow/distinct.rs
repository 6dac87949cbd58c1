//! Distinct: one row for all tuples with equal fields.

use hashbrown::HashTable;

use super::Updates;
use super::operator::Unary;
use crate::plan::Expr;
use crate::value::{Array, Row, Seq, SeqBuilder, Tuple, ValueRef, hash_handles};

/// Counts the tuples of each row.
pub(super) struct Distinct {
    rows: Rows,
    counts: HashTable<(Row, isize)>,
    /// What the rows take that it made.
    made: usize,
}

/// Makes rows of tuples: the array of the fields as key, if they are keyed, then the fields.
pub(super) struct Rows {
    fields: Vec<Expr>,
    keyed: bool,
    builder: SeqBuilder,
    scratch: Vec<u8>,
    key: Vec<u8>,
}

impl Rows {
    pub(super) fn new(fields: Vec<Expr>, keyed: bool) -> Self {
        Rows {
            fields,
            keyed,
            builder: SeqBuilder::default(),
            scratch: Vec::new(),
            key: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, tuple: &Tuple) -> Row {
        self.scratch.clear();
        self.fields
            .iter()
            .for_each(|f| f.push_to(tuple, &mut self.builder));
        self.builder.finish(&mut self.scratch);
        self.builder.push(match self.keyed {
            true => ValueRef::Array(Array(&self.scratch)),
            false => ValueRef::Missing,
        });
        let fields = Seq::new(&self.scratch);
        (0..fields.len()).for_each(|i| self.builder.push_encoded(fields.encoded(i)));
        Row::new(&mut self.builder, &mut self.key)
    }
}

impl Distinct {
    pub(super) fn new(fields: Vec<Expr>, keyed: bool) -> Self {
        Distinct {
            rows: Rows::new(fields, keyed),
            counts: HashTable::new(),
            made: 0,
        }
    }
}

impl Unary for Distinct {
    fn step(&mut self, input: &mut Updates, output: &mut Updates) {
        let mut updates: Vec<(Row, isize)> = input
            .drain(..)
            .map(|(tuple, diff)| (self.rows.row(&tuple), diff))
            .collect();
        differential_dataflow::consolidation::consolidate(&mut updates);
        for (row, diff) in updates {
            let entry = self.counts.entry(
                hash_handles(&row),
                |(known, _)| *known == row,
                |(row, _)| hash_handles(row),
            );
            let mut entry = entry.or_insert_with(|| (row.clone(), 0));
            let count = &mut entry.get_mut().1;
            let before = *count;
            *count += diff;
            let after = *count;
            if after == 0 {
                entry.remove();
            }
            let change = isize::from(after > 0) - isize::from(before > 0);
            match change {
                1 => self.made += row.size(),
                -1 => self.made -= row.size(),
                _ => {}
            }
            if change != 0 {
                output.push((Tuple::from_elem(Some(row), 1), change));
            }
        }
        if self.counts.capacity() > 64 && self.counts.len() < self.counts.capacity() / 8 {
            self.counts.shrink_to_fit(|(row, _)| hash_handles(row));
        }
    }

    fn bytes(&self) -> usize {
        self.counts.allocation_size() + self.made
    }
}
