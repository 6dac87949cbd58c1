//! Expressions that only PostgreSQL has as Tailwater has them.

use super::{Generator, Source, Type, pick};

impl Generator<'_> {
    /// A table's column that is no column of a type here: JSON, or a time as it is kept.
    fn column_of(&mut self, column: &str, sources: &[Source]) -> Option<String> {
        let table = self.table(sources)?;
        Some(format!("{}.{column}", table.name))
    }

    /// An expression of operands that are nested `depth` deep.
    pub(super) fn of_postgres(&mut self, of: Type, sources: &[Source], depth: u32) -> String {
        let json = self.column_of("o", sources);
        let mut sub = |of| self.expr(of, sources, depth, false);
        let (a, b, s) = (sub(of), sub(of), sub(Type::Str));
        let (d, t) = (sub(Type::Date), sub(Type::Time));
        let n = self.rng.i32(1..40);
        match of {
            Type::Int => match (self.rng.u8(0..14), json) {
                (0, _) => format!("div({a}, nullif({b}, 0))"),
                (1, _) => format!("mod({a}, nullif({b}, 0))"),
                (2, _) => format!("position('a' IN {s})"),
                (3, _) => format!("strpos({s}, 'b')"),
                (4, _) => format!("char_length({s})"),
                (5, _) => format!(
                    "CAST({} AS integer)",
                    self.expr(Type::Bool, sources, depth, false)
                ),
                (6, _) => {
                    let part = pick(
                        self.rng,
                        &["isodow", "hour", "minute", "year", "week", "quarter"],
                    );
                    format!("date_part('{part}', {t})::bigint")
                }
                (7, _) => format!("extract(doy FROM {d})::integer"),
                (8, _) => format!("({d} - DATE '2024-02-01')"),
                (9, _) => format!("(- {a})"),
                (10, Some(o)) => format!("({o} ->> 'n')::bigint"),
                (11, Some(o)) => format!("CAST({o} #>> '{{in,n}}' AS integer)"),
                (12, _) => format!("CASE {a} WHEN 1 THEN 10 WHEN {b} THEN 20 ELSE {b} END"),
                _ => format!("extract(epoch FROM {d})::bigint"),
            },
            Type::Num => match (self.rng.u8(0..9), json) {
                // Halves of floats go to the even neighbour there.
                (0, _) => format!("round({a}::numeric)::float8"),
                (1, _) => format!("sqrt(abs({a}))"),
                (2, _) => format!("power({a}, 2)"),
                (3, _) => format!("extract(second FROM {t})::float8"),
                (4, _) => format!("extract(epoch FROM {t})::float8"),
                (5, _) => format!("round({a}::numeric, 1)::float8"),
                (6, Some(o)) => format!("({o} ->> 'f')::float8"),
                (7, _) => format!("{}::float8", self.expr(Type::Int, sources, depth, false)),
                _ => format!("(- {a})"),
            },
            Type::Str => match (self.rng.u8(0..11), json) {
                (0, _) => format!("left({a}, 2)"),
                (1, _) => format!("trim({a} || ' ')"),
                (2, _) => format!("btrim(' ' || {a})"),
                (3, _) => format!("substring({a} FROM 2)"),
                (4, _) => format!("substr({a}, 0, 2)"),
                (5, _) => format!("({a} || {})", self.expr(Type::Int, sources, depth, false)),
                (6, _) => format!(
                    "CAST({} AS text)",
                    self.expr(Type::Bool, sources, depth, false)
                ),
                (7, Some(o)) => format!(
                    "({o} ->> '{}')",
                    pick(self.rng, &["k", "n", "f", "q", "none"])
                ),
                (8, Some(o)) => format!("({o} #>> '{{in,k}}')"),
                (9, _) => format!("CAST({d} AS text)"),
                _ => format!("greatest({a}, {b})"),
            },
            Type::Date => match self.rng.u8(0..5) {
                0 => format!("(CAST({a} AS date) + {n})"),
                1 => format!("(CAST({a} AS date) - {n})"),
                2 => format!("CAST({t} AS date)"),
                3 => format!("least({a}, {b})"),
                _ => format!("coalesce({a}, {b})"),
            },
            Type::Time => {
                let unit = pick(
                    self.rng,
                    &["hour", "day", "week", "month", "quarter", "year"],
                );
                match self.rng.u8(0..6) {
                    0 => format!("date_trunc('{unit}', {a})"),
                    1 => format!("date_trunc('{unit}', {d}::timestamp)"),
                    2 => format!("({a} + INTERVAL '{n} hours')"),
                    3 => format!("({a} - INTERVAL '{n} months')"),
                    4 => format!("({d} + INTERVAL '1 month')"),
                    _ => format!("CAST({d} AS timestamp)"),
                }
            }
            Type::Bool => {
                let (x, y) = (
                    self.expr(Type::Bool, sources, 0, false),
                    self.expr(Type::Bool, sources, 0, false),
                );
                match (self.rng.u8(0..11), json) {
                    (0, _) => format!("({s} ~ '^a')"),
                    (1, _) => format!("({s} ~* 'B$')"),
                    (2, _) => format!("({s} !~ '[ab]')"),
                    (3, _) => format!("({s} !~* 'x|b')"),
                    (4, _) => format!("starts_with({s}, 'a')"),
                    (5, Some(o)) => format!("({o} ->> 'q')::boolean"),
                    (6, Some(o)) => format!("({o} ->> 'k' = {s})"),
                    (7, _) => format!("(({x}) IS UNKNOWN)"),
                    (8, _) => format!("(({x}) = ({y}))"),
                    (9, _) => format!("({t} < {d})"),
                    _ => format!("(NOT ({x}))"),
                }
            }
        }
    }
}
