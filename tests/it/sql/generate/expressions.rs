//! Random expressions and conditions of one row.

use super::{DAYS, Dialect, Generator, Source, TIMES, Type, pick};

impl Generator<'_> {
    pub(super) fn expr(
        &mut self,
        of: Type,
        sources: &[Source],
        depth: u32,
        subqueries: bool,
    ) -> String {
        if depth == 0 || self.one_in(3) {
            return match self.one_in(6) {
                true => self.constant(of),
                false => self.leaf(of, sources),
            };
        }
        if subqueries && self.one_in(12) {
            return self.scalar(of, sources);
        }
        if self.one_in(6) {
            let condition = self.simple_condition(sources, depth - 1);
            let (a, b) = (
                self.expr(of, sources, depth - 1, false),
                self.expr(of, sources, depth - 1, false),
            );
            return match self.rng.u8(0..4) {
                0 => format!("CASE WHEN {condition} THEN {a} ELSE {b} END"),
                1 => format!("CASE WHEN {condition} THEN {a} END"),
                2 => format!("coalesce({a}, {b})"),
                _ => format!("nullif({a}, {b})"),
            };
        }
        let postgres = self.dialect == Dialect::Postgres;
        if postgres && (matches!(of, Type::Date | Type::Time) || self.one_in(2)) {
            return self.of_postgres(of, sources, depth - 1);
        }
        let mut sub = |of| self.expr(of, sources, depth - 1, false);
        match of {
            Type::Int => {
                let (a, b) = (sub(Type::Int), sub(Type::Int));
                match self.rng.u8(0..9) {
                    0 => format!("({a} + {b})"),
                    1 => format!("({a} - {b})"),
                    2 => format!("({a} * {b})"),
                    // There it stops where there is nothing to divide by.
                    3 if postgres => format!("({a} % nullif({b}, 0))"),
                    3 => format!("({a} % {b})"),
                    4 => format!("abs({a})"),
                    5 => format!(
                        "length({})",
                        self.expr(Type::Str, sources, depth - 1, false)
                    ),
                    6 => format!(
                        "CAST({} AS BIGINT)",
                        self.expr(Type::Num, sources, depth - 1, false)
                    ),
                    7 => format!("greatest({a}, {b})"),
                    _ => match self.table(sources) {
                        Some(table) => {
                            let part = pick(
                                self.rng,
                                &["year", "month", "day", "quarter", "dow", "doy", "week"],
                            );
                            let field = pick(self.rng, &["day", "tm"]);
                            format!("extract({part} FROM {}.{field})", table.name)
                        }
                        None => a,
                    },
                }
            }
            Type::Num => {
                let (a, b) = (sub(Type::Num), sub(Type::Num));
                match self.rng.u8(0..8) {
                    0 => format!("({a} + {b})"),
                    1 => format!("({a} - {b})"),
                    2 => format!("({a} * {b})"),
                    3 => format!("({a} / 4)"),
                    4 => format!("floor({a})"),
                    5 => format!("ceil({a})"),
                    6 => format!("least({a}, {b})"),
                    // There the quotient of integers is an integer.
                    _ => format!(
                        "({} / {})",
                        self.expr(Type::Int, sources, depth - 1, false),
                        if postgres { "2::float8" } else { "2" }
                    ),
                }
            }
            Type::Str => {
                let (a, b) = (sub(Type::Str), sub(Type::Str));
                match self.rng.u8(0..8) {
                    0 => format!("({a} || {b})"),
                    1 => format!("upper({a})"),
                    2 => format!("lower({a})"),
                    3 => format!("substring({a} FROM 1 FOR 2)"),
                    4 => format!("replace({a}, 'a', 'xy')"),
                    5 => format!("concat({a}, {b})"),
                    6 => format!(
                        "CAST({} AS VARCHAR)",
                        self.expr(Type::Int, sources, depth - 1, false)
                    ),
                    _ => match self.table(sources) {
                        Some(table) => format!("CAST({}.day AS VARCHAR)", table.name),
                        None => a,
                    },
                }
            }
            _ => format!("({})", self.simple_condition(sources, depth - 1)),
        }
    }

    /// A condition without subqueries.
    pub(super) fn simple_condition(&mut self, sources: &[Source], depth: u32) -> String {
        let of = match self.some_type() {
            Type::Bool => Type::Int,
            of => of,
        };
        let depth = depth.min(1);
        let a = self.expr(of, sources, depth, false);
        let b = self.expr(of, sources, depth, false);
        let not = pick(self.rng, &["", "NOT "]);
        match self.rng.u8(0..14) {
            0 => format!("{a} IS {not}NULL"),
            1 => format!("{a} IS {not}DISTINCT FROM {b}"),
            2 => {
                let c = self.constant(of);
                format!("{a} {not}BETWEEN {c} AND {b}")
            }
            3 => {
                let (c, d) = (self.constant(of), self.constant(of));
                let null = pick(self.rng, &["", ", NULL"]);
                format!("{a} {not}IN ({c}, {d}{null})")
            }
            4 => {
                let s = self.expr(Type::Str, sources, depth, false);
                let pattern = pick(
                    self.rng,
                    &[
                        "'a%'",
                        "'%b'",
                        "'_'",
                        "'%'",
                        "'a!%%' ESCAPE '!'",
                        "'%!_' ESCAPE '!'",
                    ],
                );
                let like = pick(self.rng, &["LIKE", "ILIKE"]);
                format!("{s} {not}{like} {pattern}")
            }
            5 => {
                let p = self.leaf(Type::Bool, sources);
                let what = pick(self.rng, &["TRUE", "FALSE"]);
                format!("{p} IS {not}{what}")
            }
            6 if depth > 0 => {
                let (c, d) = (
                    self.simple_condition(sources, 0),
                    self.simple_condition(sources, 0),
                );
                let op = pick(self.rng, &["AND", "OR"]);
                format!("{not}({c} {op} {d})")
            }
            7 => self.leaf(Type::Bool, sources),
            8 | 9 => match self.table(sources) {
                Some(table) => self.of_times(&table.name),
                None => format!("{a} < {b}"),
            },
            _ => {
                let op = pick(self.rng, &["=", "=", "<>", "<", "<=", ">", ">="]);
                format!("{a} {op} {b}")
            }
        }
    }

    fn of_times(&mut self, table: &str) -> String {
        let op = pick(self.rng, &["=", "<", "<=", ">", ">=", "<>"]);
        let (day, at) = (
            pick(self.rng, &DAYS),
            pick(self.rng, &TIMES).trim_end_matches('Z'),
        );
        let n = self.rng.i32(1..15);
        let unit = pick(self.rng, &["day", "month", "year", "week"]);
        match self.rng.u8(0..6) {
            0 => format!("{table}.day {op} DATE '{day}'"),
            1 => format!("{table}.tm {op} TIMESTAMP '{at}'"),
            2 => format!("{table}.day + INTERVAL '{n} {unit}' {op} DATE '{day}'"),
            3 => {
                let unit = pick(self.rng, &["day", "month", "year", "hour"]);
                format!("{table}.tm {op} DATE '{day}' - INTERVAL '{n}' {unit}")
            }
            4 => format!("date_trunc('{unit}', {table}.tm) {op} TIMESTAMP '{at}'"),
            _ => format!("CAST({table}.tm AS DATE) {op} CAST({table}.day AS DATE)"),
        }
    }
}
