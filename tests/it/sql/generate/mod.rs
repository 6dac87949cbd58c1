//! Random statements over three small tables, and histories of their rows.
//!
//! Statements are typed, as the judges want them to be, and say nothing that they and Tailwater are
//! meant to differ in: `docs/sql.md` lists that.

mod expressions;
mod groups;
mod postgres;
mod values;

use fastrand::Rng;

use self::values::{DAYS, TABLES, TIMES, pick};
pub(crate) use self::values::{history, tables};

/// Whom the statements are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    DuckDb,
    Postgres,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Int,
    Num,
    Str,
    Bool,
    /// For PostgreSQL only, as is the next.
    Date,
    Time,
}

const TYPES: [Type; 6] = [
    Type::Int,
    Type::Num,
    Type::Str,
    Type::Bool,
    Type::Date,
    Type::Time,
];

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
    dialect: Dialect,
    names: usize,
    /// The queries of WITH: name, and columns as they are called.
    named: Vec<(String, Vec<Column>)>,
}

/// A statement of a seed's.
pub(crate) fn statement(rng: &mut Rng, dialect: Dialect) -> Statement {
    let mut generator = Generator {
        rng,
        dialect,
        names: 0,
        named: Vec::new(),
    };
    generator.statement()
}

impl Generator<'_> {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(0..n) == 0
    }

    fn some_type(&mut self) -> Type {
        match self.dialect {
            Dialect::DuckDb => pick(self.rng, &TYPES[..4]),
            Dialect::Postgres => pick(self.rng, &TYPES),
        }
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
                .map(|_| self.some_type())
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
                .map(|_| self.some_type())
                .collect(),
        };
        let grouped = self.one_in(3);
        let keys: Vec<Column> = match grouped {
            true => (0..self.rng.usize(0..3))
                .map(|_| {
                    let of = self.some_type();
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
        let (windowed, mut placed) = (!grouped && self.one_in(5), self.one_in(3));
        for of in &types {
            let text = match grouped {
                false if windowed && self.one_in(2) => self.window(*of, &sources, &mut placed),
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
                    // PostgreSQL has full joins by equalities only.
                    let more = self.dialect == Dialect::DuckDb || kind != "FULL JOIN";
                    if more && self.one_in(3) {
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
        let mut columns = columns.to_vec();
        if self.dialect == Dialect::Postgres {
            let times = [("day", "date", Type::Date), ("tm", "timestamp", Type::Time)];
            columns.extend(times.map(|(column, cast, of)| Column {
                text: format!("CAST({name}.{column} AS {cast})"),
                of,
            }));
        }
        let source = Source {
            name: name.clone(),
            columns,
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
                &["0.25::float8", "0.5::float8", "2::float8", "(-1.5)::float8"],
            )
            .into(),
            Type::Str => pick(self.rng, &["''", "'a'", "'b'", "'ab'", "'é'"]).into(),
            Type::Bool => pick(self.rng, &["TRUE", "FALSE"]).into(),
            Type::Date => format!("DATE '{}'", pick(self.rng, &DAYS)),
            Type::Time => format!("TIMESTAMP '{} 12:00:00'", pick(self.rng, &DAYS)),
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
}

/// Whether a text names no column.
fn is_constant(text: &str) -> bool {
    !text.contains('.') || text.contains("::float8") && !text.contains(".x")
}
