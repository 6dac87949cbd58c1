//! Random aggregates and window functions.

use super::{Column, Dialect, Generator, Source, Type, is_constant, pick};

impl Generator<'_> {
    /// A value of the rows around; whether one that depends on the row's place was there before.
    pub(super) fn window(&mut self, of: Type, sources: &[Source], placed: &mut bool) -> String {
        // In an order in which rows in one place are the same.
        let all: Vec<String> = sources
            .iter()
            .flat_map(|s| &s.columns)
            .map(|c| c.text.clone())
            .collect();
        let by: Vec<String> = all
            .iter()
            .map(|column| {
                let direction = pick(self.rng, &["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
                format!("{column}{direction}")
            })
            .collect();
        let partition = match self.one_in(3) {
            true => String::new(),
            false => {
                let by = self.some_type();
                match self.leaf(by, sources) {
                    key if is_constant(&key) => String::new(),
                    key => format!("PARTITION BY {key} "),
                }
            }
        };
        let some = self.some_type();
        let some = self.leaf(some, sources);
        let mut value = self.leaf(of, sources);
        if of == Type::Str && is_constant(&value) {
            value += "::text";
        }
        let total = format!("ORDER BY {}", by.join(", "));
        // What peers share may be ordered by less.
        let less = match is_constant(&some) {
            true => String::new(),
            false => format!("ORDER BY {some}"),
        };
        if !std::mem::replace(placed, true) {
            return self.of_place(of, &value, &format!("{partition}{total}"));
        }
        match (of, self.rng.u8(0..4)) {
            (Type::Int, 0) if !less.is_empty() => format!("rank() OVER ({partition}{less})"),
            (Type::Int, 1) if !less.is_empty() => format!("dense_rank() OVER ({partition}{less})"),
            (Type::Int, 2) => format!("count({some}) OVER ({partition}{less})"),
            (Type::Num, 0 | 1) => format!("avg({value}) OVER ({partition}{less})"),
            (Type::Int | Type::Num, _) => format!("sum({value}) OVER ({partition}{less})"),
            (Type::Bool, _) => format!("bool_or({value}) OVER ({partition}{less})"),
            (_, 0 | 1) => format!("min({value}) OVER ({partition}{less})"),
            _ => format!("max({value}) OVER ({partition}{less})"),
        }
    }

    /// A value that depends on the row's place: rows that are the same may have different ones, so of
    /// two such values nobody says which go together.
    fn of_place(&mut self, of: Type, value: &str, window: &str) -> String {
        let n = self.rng.u8(0..3);
        match (of, self.rng.u8(0..4)) {
            (Type::Int, 0) => format!("row_number() OVER ({window})"),
            (Type::Int | Type::Num, 1) => {
                let frame = pick(
                    self.rng,
                    &[
                        "ROWS UNBOUNDED PRECEDING",
                        "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
                        "ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING",
                        "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                        "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                    ],
                );
                let sum = pick(self.rng, &["sum", "min", "max"]);
                format!("{sum}({value}) OVER ({window} {frame})")
            }
            (_, 0..3) => format!("lag({value}, {n}) OVER ({window})"),
            _ => format!("lead({value}, {n}, {}) OVER ({window})", self.constant(of)),
        }
    }

    /// A value of a group.
    pub(super) fn of_group(&mut self, of: Type, sources: &[Source], keys: &[Column]) -> String {
        let own: Vec<&Column> = keys.iter().filter(|key| key.of == of).collect();
        if !own.is_empty() && self.rng.bool() {
            return own[self.rng.usize(..own.len())].text.clone();
        }
        let mut aggregate = match of {
            Type::Int => {
                let (i, any) = (self.expr(of, sources, 1, false), self.some_type());
                let any = self.leaf(any, sources);
                match self.rng.u8(0..6) {
                    0 => "count(*)".into(),
                    1 => format!("count({any})"),
                    2 => format!("count(DISTINCT {any})"),
                    3 => format!("sum({i})"),
                    4 => format!("min({i})"),
                    _ => format!("max({i})"),
                }
            }
            Type::Num if self.dialect == Dialect::Postgres && self.one_in(3) => {
                let x = self.expr(of, sources, 1, false);
                match self.rng.bool() {
                    true => format!("percentile_cont(0.5) WITHIN GROUP (ORDER BY {x})"),
                    // What the last digits are, nobody says.
                    false => return format!("round(stddev({x})::numeric, 6)"),
                }
            }
            Type::Num => {
                let x = self.expr(of, sources, 1, false);
                format!("{}({x})", pick(self.rng, &["sum", "avg", "min", "max"]))
            }
            Type::Str | Type::Date | Type::Time => {
                let s = self.expr(of, sources, 1, false);
                format!("{}({s})", pick(self.rng, &["min", "max"]))
            }
            Type::Bool => {
                let p = self.expr(of, sources, 1, false);
                format!("{}({p})", pick(self.rng, &["bool_and", "bool_or"]))
            }
        };
        if self.one_in(4) {
            aggregate += &format!(" FILTER (WHERE {})", self.simple_condition(sources, 1));
        }
        aggregate
    }
}
