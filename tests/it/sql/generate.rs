//! Random statements over three small tables, and histories of their rows.
//!
//! Statements are typed, as DuckDB wants them to be, and say nothing that the two are meant to differ
//! in: `docs/sql.md` lists that.

use fastrand::Rng;
use serde_json::{Map, Value, json};

const TABLES: [&str; 3] = ["one", "two", "three"];
const KEYS: [&str; 8] = ["1", "2", "3", "4", "10", "a", "B", "x,y"];
const DAYS: [&str; 6] = [
    "1969-12-31",
    "2023-12-31",
    "2024-01-31",
    "2024-02-29",
    "2024-03-01",
    "2025-12-29",
];
const TIMES: [&str; 6] = [
    "1969-12-31T23:59:59.750Z",
    "2023-12-31T12:30:15.250Z",
    "2024-01-31T06:00:00Z",
    "2024-02-29T23:59:59Z",
    "2024-03-01T00:00:00Z",
    "2024-03-31T01:30:00Z",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Int,
    Num,
    Str,
    Bool,
}

const TYPES: [Type; 4] = [Type::Int, Type::Num, Type::Str, Type::Bool];

/// A statement, and whether its result has an order.
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) ordered: bool,
}

/// A column that can be named, and its type.
#[derive(Clone, Debug)]
struct Column {
    text: String,
    of: Type,
}

/// A source in scope: the name, its columns, whether it is a table with dates.
#[derive(Clone, Debug)]
struct Source {
    name: String,
    columns: Vec<Column>,
    is_table: bool,
}

pub(crate) struct Generator<'r> {
    rng: &'r mut Rng,
    names: usize,
    /// The queries of WITH: name, and columns as they are called.
    named: Vec<(String, Vec<Column>)>,
}

/// A statement of a seed's.
pub(crate) fn statement(rng: &mut Rng) -> Statement {
    let mut generator = Generator {
        rng,
        names: 0,
        named: Vec::new(),
    };
    generator.statement()
}

/// Batches of messages.
pub(crate) fn history(rng: &mut Rng) -> Vec<Vec<Value>> {
    let absent = rng.u8(0..3);
    (0..rng.usize(3..6))
        .map(|n| {
            let most = if n == 0 { 20 } else { 8 };
            (0..rng.usize(1..=most))
                .map(|_| message(rng, absent))
                .collect()
        })
        .collect()
}

fn message(rng: &mut Rng, absent: u8) -> Value {
    let (table, key) = (pick(rng, &TABLES), pick(rng, &KEYS));
    if rng.u8(0..4) == 0 {
        return json!({"type": table, "key": key, "headers": {"operation": "delete"}});
    }
    let mut value = Map::new();
    let fields = [
        ("i", json!(pick(rng, &[0, 1, 1, 2, 3, -1]))),
        ("j", json!(pick(rng, &[0, 1, 2, 2, 5, 10]))),
        (
            "x",
            json!(pick(rng, &[0.0, 1.0, 0.25, 0.5, 2.5, -0.75, -1.5])),
        ),
        (
            "s",
            json!(pick(
                rng,
                &["", "a", "b", "ab", "B", "Abc", "é", "a%b", "a_"]
            )),
        ),
        ("p", json!(pick(rng, &[true, true, false]))),
        ("day", json!(pick(rng, &DAYS))),
        ("tm", json!(pick(rng, &TIMES))),
    ];
    for (name, field) in fields {
        match (rng.u8(0..5), absent) {
            (0, 0) => _ = value.insert(name.into(), Value::Null),
            (0, 1) => {}
            (0, _) if rng.bool() => _ = value.insert(name.into(), Value::Null),
            (0, _) => {}
            _ => _ = value.insert(name.into(), field),
        }
    }
    json!({"type": table, "key": key, "value": value, "headers": {"operation": "upsert"}})
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

impl Generator<'_> {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(0..n) == 0
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn statement(&mut self) -> Statement {
        let mut with = Vec::new();
        if self.one_in(8) {
            with.push(self.recursion());
        } else if self.one_in(5) {
            let name = self.name("w");
            let (sql, columns) = self.query(1);
            with.push(format!("{name} AS ({sql})"));
            self.named.push((name, columns));
        }
        let (body, columns) = self.query(2);
        let mut sql = match with.is_empty() {
            true => body,
            false => format!("WITH RECURSIVE {} {body}", with.join(", ")),
        };
        let ordered = self.one_in(2);
        if ordered {
            sql += &self.order(&columns);
        }
        Statement { sql, ordered }
    }

    /// By all columns, so that rows in one place are the same.
    fn order(&mut self, columns: &[Column]) -> String {
        let mut by: Vec<String> = Vec::new();
        for (n, column) in columns.iter().enumerate() {
            let direction = pick(self.rng, &["", " ASC", " DESC"]);
            let nulls = pick(self.rng, &["", "", " NULLS FIRST", " NULLS LAST"]);
            let what = match self.rng.bool() {
                true => column.text.clone(),
                false => (n + 1).to_string(),
            };
            by.push(format!("{what}{direction}{nulls}"));
        }
        self.rng.shuffle(&mut by);
        let mut sql = format!(" ORDER BY {}", by.join(", "));
        if self.one_in(2) {
            sql += &format!(" LIMIT {}", self.rng.usize(0..6));
        }
        if self.one_in(3) {
            sql += &format!(" OFFSET {}", self.rng.usize(0..4));
        }
        sql
    }

    fn recursion(&mut self) -> String {
        let name = self.name("r");
        let column = |text: &str| Column {
            text: text.into(),
            of: Type::Int,
        };
        let union = pick(self.rng, &["UNION", "UNION"]);
        if self.rng.bool() {
            self.named.push((name.clone(), vec![column("n")]));
            let (table, most) = (pick(self.rng, &TABLES), self.rng.i32(1..6));
            return format!(
                "{name}(n) AS (SELECT i FROM {table} {union} SELECT n + 1 FROM {name} WHERE n < {most})"
            );
        }
        self.named
            .push((name.clone(), vec![column("a"), column("b")]));
        let table = pick(self.rng, &TABLES);
        format!(
            "{name} AS (SELECT i AS a, j AS b FROM {table} {union} \
             SELECT r.a, e.j AS b FROM {name} r JOIN {table} e ON e.i = r.b)"
        )
    }

    /// A query without an order, and its columns.
    fn query(&mut self, depth: u32) -> (String, Vec<Column>) {
        if depth > 0 && self.one_in(6) {
            let types: Vec<Type> = (0..self.rng.usize(1..3))
                .map(|_| pick(self.rng, &TYPES))
                .collect();
            let (left, columns) = self.select(depth - 1, Some(&types));
            let (right, _) = self.select(depth - 1, Some(&types));
            let op = pick(self.rng, &["UNION ALL", "UNION", "INTERSECT", "EXCEPT"]);
            return (format!("{left} {op} {right}"), columns);
        }
        self.select(depth, None)
    }

    fn select(&mut self, depth: u32, types: Option<&[Type]>) -> (String, Vec<Column>) {
        let (from, sources) = self.from(depth);
        let filter = match self.one_in(3) {
            true => String::new(),
            false => format!(" WHERE {}", self.condition(&sources, depth)),
        };
        let types: Vec<Type> = match types {
            Some(types) => types.to_vec(),
            None => (0..self.rng.usize(1..4))
                .map(|_| pick(self.rng, &TYPES))
                .collect(),
        };
        let grouped = self.one_in(3);
        let keys: Vec<Column> = match grouped {
            true => (0..self.rng.usize(0..3))
                .map(|_| {
                    let of = pick(self.rng, &TYPES);
                    let text = match self.one_in(3) {
                        true => self.expr(of, &sources, 1, false),
                        false => self.leaf(of, &sources),
                    };
                    Column { text, of }
                })
                .filter(|key| !is_constant(&key.text))
                .collect(),
            false => Vec::new(),
        };
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        let windowed = !grouped && self.one_in(5);
        for of in &types {
            let text = match grouped {
                false if windowed && self.one_in(2) => self.window(*of, &sources),
                true => self.of_group(*of, &sources, &keys),
                false => self.expr(*of, &sources, 2, depth > 0),
            };
            let name = self.name("c");
            items.push(format!("{text} AS {name}"));
            columns.push(Column {
                text: name,
                of: *of,
            });
        }
        let distinct = match self.one_in(5) {
            true => "DISTINCT ",
            false => "",
        };
        let mut sql = format!("SELECT {distinct}{} FROM {from}{filter}", items.join(", "));
        if grouped {
            if !keys.is_empty() {
                let keys: Vec<&str> = keys.iter().map(|key| key.text.as_str()).collect();
                sql += &format!(" GROUP BY {}", keys.join(", "));
            }
            let aggregated = sql.contains("count(") || !keys.is_empty();
            if aggregated && self.one_in(3) {
                let (a, b) = (
                    self.of_group(Type::Int, &sources, &keys),
                    self.of_group(Type::Int, &sources, &keys),
                );
                let op = pick(self.rng, &["<", ">=", "=", "<>"]);
                sql += &format!(" HAVING {a} {op} {b}");
            }
        }
        (sql, columns)
    }

    fn from(&mut self, depth: u32) -> (String, Vec<Source>) {
        let (mut text, first) = self.source(depth);
        let mut sources = vec![first];
        for _ in 0..pick(self.rng, &[0, 0, 0, 1, 1, 2]) {
            let (next, source) = self.source(depth);
            let kind = pick(
                self.rng,
                &[
                    "JOIN",
                    "JOIN",
                    "LEFT JOIN",
                    "LEFT JOIN",
                    "RIGHT JOIN",
                    "FULL JOIN",
                    "CROSS JOIN",
                ],
            );
            if kind == "CROSS JOIN" {
                text += &format!(" CROSS JOIN {next}");
                sources.push(source);
                continue;
            }
            let of = pick(self.rng, &[Type::Int, Type::Int, Type::Str]);
            let (a, b) = (
                self.leaf(of, &sources),
                self.leaf(of, std::slice::from_ref(&source)),
            );
            let link = match is_constant(&a) || is_constant(&b) {
                true => None,
                false => Some(format!("{a} = {b}")),
            };
            sources.push(source);
            match link {
                Some(link) => {
                    text += &format!(" {kind} {next} ON {link}");
                    if self.one_in(3) {
                        text += &format!(" AND {}", self.simple_condition(&sources, 1));
                    }
                }
                None => text += &format!(" CROSS JOIN {next}"),
            }
        }
        (text, sources)
    }

    fn source(&mut self, depth: u32) -> (String, Source) {
        let name = self.name("t");
        if depth > 0 && self.one_in(5) {
            let (sql, columns) = self.query(depth - 1);
            let source = self.named_source(&name, columns);
            return (format!("({sql}) AS {name}"), source);
        }
        if !self.named.is_empty() && self.one_in(3) {
            let (with, columns) = self.named[self.rng.usize(..self.named.len())].clone();
            let source = self.named_source(&name, columns);
            return (format!("{with} {name}"), source);
        }
        let columns = [
            ("i", Type::Int),
            ("j", Type::Int),
            ("x", Type::Num),
            ("s", Type::Str),
            ("p", Type::Bool),
        ];
        let columns = columns.map(|(column, of)| Column {
            text: format!("{name}.{column}"),
            of,
        });
        let source = Source {
            name: name.clone(),
            columns: columns.to_vec(),
            is_table: true,
        };
        (format!("{} AS {name}", pick(self.rng, &TABLES)), source)
    }

    fn named_source(&self, name: &str, columns: Vec<Column>) -> Source {
        let columns = columns.into_iter().map(|column| Column {
            text: format!("{name}.{}", column.text),
            of: column.of,
        });
        Source {
            name: name.into(),
            columns: columns.collect(),
            is_table: false,
        }
    }

    fn constant(&mut self, of: Type) -> String {
        match of {
            Type::Int => pick(self.rng, &["0", "1", "2", "3", "-1"]).into(),
            Type::Num => pick(
                self.rng,
                &["0.25::DOUBLE", "0.5::DOUBLE", "2::DOUBLE", "(-1.5)::DOUBLE"],
            )
            .into(),
            Type::Str => pick(self.rng, &["''", "'a'", "'b'", "'ab'", "'é'"]).into(),
            Type::Bool => pick(self.rng, &["TRUE", "FALSE"]).into(),
        }
    }

    /// A column of a type, or a constant where there is none.
    fn leaf(&mut self, of: Type, sources: &[Source]) -> String {
        let all: Vec<&Column> = sources
            .iter()
            .flat_map(|s| &s.columns)
            .filter(|c| c.of == of)
            .collect();
        match all.is_empty() {
            true => self.constant(of),
            false => all[self.rng.usize(..all.len())].text.clone(),
        }
    }

    fn table<'s>(&mut self, sources: &'s [Source]) -> Option<&'s Source> {
        let tables: Vec<&Source> = sources.iter().filter(|s| s.is_table).collect();
        match tables.is_empty() {
            true => None,
            false => Some(tables[self.rng.usize(..tables.len())]),
        }
    }

    fn expr(&mut self, of: Type, sources: &[Source], depth: u32, subqueries: bool) -> String {
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
        let mut sub = |of| self.expr(of, sources, depth - 1, false);
        match of {
            Type::Int => {
                let (a, b) = (sub(Type::Int), sub(Type::Int));
                match self.rng.u8(0..9) {
                    0 => format!("({a} + {b})"),
                    1 => format!("({a} - {b})"),
                    2 => format!("({a} * {b})"),
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
                    _ => format!("({} / 2)", self.expr(Type::Int, sources, depth - 1, false)),
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
            Type::Bool => format!("({})", self.simple_condition(sources, depth - 1)),
        }
    }

    /// A condition without subqueries.
    fn simple_condition(&mut self, sources: &[Source], depth: u32) -> String {
        let of = pick(self.rng, &[Type::Int, Type::Int, Type::Num, Type::Str]);
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

    fn condition(&mut self, sources: &[Source], depth: u32) -> String {
        let mut parts = Vec::new();
        for _ in 0..pick(self.rng, &[1, 1, 2, 3]) {
            parts.push(match depth > 0 && self.one_in(4) {
                true => self.subquery(sources),
                false => self.simple_condition(sources, 1),
            });
        }
        let op = pick(self.rng, &[" AND ", " AND ", " OR "]);
        parts.join(op)
    }

    /// A condition on the rows of another query.
    fn subquery(&mut self, sources: &[Source]) -> String {
        let not = pick(self.rng, &["", "NOT "]);
        let (from, inner) = self.source(0);
        let inner = [inner];
        let of = pick(self.rng, &[Type::Int, Type::Int, Type::Str]);
        let (a, b) = (self.leaf(of, &inner), self.leaf(of, sources));
        if is_constant(&a) || is_constant(&b) {
            return "TRUE".into();
        }
        let more = match self.one_in(3) {
            true => format!(" AND {}", self.simple_condition(&inner, 1)),
            false => String::new(),
        };
        match self.rng.u8(0..5) {
            0 | 1 => {
                // Such a link is possible where the subquery is a condition of its own.
                format!("{not}EXISTS (SELECT 1 FROM {from} WHERE {a} = {b}{more})")
            }
            2 => {
                let condition = self.simple_condition(&inner, 1);
                format!("{b} {not}IN (SELECT {a} FROM {from} WHERE {condition})")
            }
            3 => {
                let (c, d) = (self.leaf(Type::Int, &inner), self.leaf(Type::Int, sources));
                match is_constant(&c) || is_constant(&d) {
                    true => "TRUE".into(),
                    false => format!("{b} {not}IN (SELECT {a} FROM {from} WHERE {c} = {d}{more})"),
                }
            }
            _ => {
                let scalar = self.scalar(Type::Int, sources);
                let (op, e) = (
                    pick(self.rng, &["=", "<", ">="]),
                    self.leaf(Type::Int, sources),
                );
                format!("{e} {op} {scalar}")
            }
        }
    }

    /// A subquery that is a value.
    fn scalar(&mut self, of: Type, sources: &[Source]) -> String {
        let (from, inner) = self.source(0);
        let inner = [inner];
        let value = self.of_group(of, &inner, &[]);
        if is_constant(&value) {
            return self.leaf(of, sources);
        }
        let (a, b) = (self.leaf(Type::Int, &inner), self.leaf(Type::Int, sources));
        let filter = match (self.rng.u8(0..3), is_constant(&a) || is_constant(&b)) {
            (0 | 1, false) => format!(" WHERE {a} = {b}"),
            _ => String::new(),
        };
        format!("(SELECT {value} FROM {from}{filter})")
    }

    /// A value of the rows around.
    fn window(&mut self, of: Type, sources: &[Source]) -> String {
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
                let by = pick(self.rng, &TYPES);
                match self.leaf(by, sources) {
                    key if is_constant(&key) => String::new(),
                    key => format!("PARTITION BY {key} "),
                }
            }
        };
        let some = pick(self.rng, &TYPES);
        let some = self.leaf(some, sources);
        let value = self.leaf(of, sources);
        let total = format!("ORDER BY {}", by.join(", "));
        // What peers share may be ordered by less.
        let less = match is_constant(&some) {
            true => String::new(),
            false => format!("ORDER BY {some}"),
        };
        let n = self.rng.u8(0..3);
        match (of, self.rng.u8(0..6)) {
            (Type::Int, 0) if !less.is_empty() => format!("rank() OVER ({partition}{less})"),
            (Type::Int, 1) if !less.is_empty() => format!("dense_rank() OVER ({partition}{less})"),
            (Type::Int, 2) => format!("count({some}) OVER ({partition}{less})"),
            (Type::Int | Type::Num, 3) => {
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
                format!("{sum}({value}) OVER ({partition}{total} {frame})")
            }
            (Type::Int | Type::Num, 4) => format!("sum({value}) OVER ({partition}{less})"),
            (Type::Num, 5) => format!("avg({value}) OVER ({partition}{less})"),
            (_, 0..3) => format!("lag({value}, {n}) OVER ({partition}{total})"),
            _ => format!(
                "lead({value}, {n}, {}) OVER ({partition}{total})",
                self.constant(of)
            ),
        }
    }

    /// A value of a group.
    fn of_group(&mut self, of: Type, sources: &[Source], keys: &[Column]) -> String {
        let own: Vec<&Column> = keys.iter().filter(|key| key.of == of).collect();
        if !own.is_empty() && self.rng.bool() {
            return own[self.rng.usize(..own.len())].text.clone();
        }
        let mut aggregate = match of {
            Type::Int => {
                let (i, any) = (self.expr(of, sources, 1, false), pick(self.rng, &TYPES));
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
            Type::Num => {
                let x = self.expr(of, sources, 1, false);
                format!("{}({x})", pick(self.rng, &["sum", "avg", "min", "max"]))
            }
            Type::Str => {
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

/// Whether a text names no column.
fn is_constant(text: &str) -> bool {
    !text.contains('.') || text.contains("::DOUBLE") && !text.contains(".x")
}
