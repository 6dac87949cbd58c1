//! The engine `sqlite`: a database in memory with indexes and statistics, prepared statements, one
//! transaction a step, after which every query is run again and its rows are read.

#[path = "../../shared/message.rs"]
mod message;
#[path = "../../../program/mod.rs"]
mod program;

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde_json::{Map, Value as Json};

use message::Message;
use program::{Engine, Work};

fn main() -> Result<(), Box<dyn Error>> {
    let work = Work::from_args(std::env::args().skip(2))?;
    work.run::<Sqlite>(rusqlite::version())
}

struct Sqlite {
    dir: PathBuf,
    connection: Connection,
    tables: HashMap<String, Table>,
    queries: Vec<Query>,
}

struct Table {
    columns: Vec<String>,
    put: String,
    delete: String,
}

struct Query {
    name: String,
    sql: String,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// The table, and its row's values or the key that goes.
struct Change {
    table: String,
    key: String,
    values: Option<Vec<Value>>,
}

impl Sqlite {
    fn read(&self, file: &str) -> String {
        let file = self.dir.join("queries").join(file);
        fs::read_to_string(file).expect("the file is there")
    }

    fn write(&mut self, batch: &mut Vec<Change>) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for change in batch.drain(..) {
            let table = &self.tables[&change.table];
            match change.values {
                Some(values) => transaction
                    .prepare_cached(&table.put)?
                    .execute(params_from_iter(values))?,
                None => transaction
                    .prepare_cached(&table.delete)?
                    .execute([change.key])?,
            };
        }
        transaction.commit()
    }

    fn ask(&mut self) -> rusqlite::Result<()> {
        for query in &mut self.queries {
            let mut statement = self.connection.prepare_cached(&query.sql)?;
            let width = statement.column_count();
            let names = statement.column_names();
            query.columns = names.into_iter().map(str::to_owned).collect();
            let rows = statement.query_map([], |row| (0..width).map(|i| row.get(i)).collect())?;
            query.rows = rows.collect::<rusqlite::Result<_>>()?;
        }
        Ok(())
    }
}

impl Engine for Sqlite {
    type Batch = Vec<Change>;

    fn new(workload: &Path) -> Self {
        let connection = Connection::open_in_memory().expect("memory is there");
        let mut sqlite = Sqlite {
            dir: workload.to_owned(),
            connection,
            tables: HashMap::new(),
            queries: Vec::new(),
        };
        let schema = sqlite.read("schema.sql") + &sqlite.read("index.sql");
        let connection = &sqlite.connection;
        connection.execute_batch(&schema).expect("the schema holds");
        sqlite.tables = tables(connection).expect("the tables are there");
        sqlite
    }

    fn install(&mut self, queries: &[String]) {
        for name in queries {
            self.queries.push(Query {
                name: name.clone(),
                sql: self.read(&format!("{name}.sql")),
                columns: Vec::new(),
                rows: Vec::new(),
            });
        }
        self.ask().expect("the query holds");
    }

    fn prepare(&mut self, messages: &[&str]) -> Vec<Change> {
        let decode = |text: &&str| {
            let message = Message::parse(text);
            let row: Option<Map<String, Json>> = message.row();
            let columns = &self.tables[message.kind].columns;
            let values = row.map(|row| values(message.key, &row, columns));
            Change {
                table: message.kind.to_owned(),
                key: message.key.to_owned(),
                values,
            }
        };
        messages.iter().map(decode).collect()
    }

    fn apply(&mut self, batch: &mut Vec<Change>) {
        self.load(batch);
        self.ask().expect("the query holds");
    }

    fn load(&mut self, batch: &mut Vec<Change>) {
        self.write(batch).expect("the rows hold");
    }

    fn loaded(&mut self) {
        self.connection.execute_batch("ANALYZE").expect("it can");
        self.ask().expect("the query holds");
    }

    fn rows(&mut self, query: &str) -> Vec<String> {
        let query = self.queries.iter().find(|q| q.name == query);
        let query = query.expect("the query is installed");
        let line = |row: &Vec<Value>| {
            let fields = query.columns.iter().zip(row);
            let object: Map<_, _> = fields.map(|(n, v)| (n.clone(), json(v))).collect();
            Json::Object(object).to_string()
        };
        query.rows.iter().map(line).collect()
    }
}

/// The first column is the key.
fn tables(connection: &Connection) -> rusqlite::Result<HashMap<String, Table>> {
    let mut tables = HashMap::new();
    let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?;
    for name in names {
        let name = name?;
        let mut info = connection.prepare("SELECT name FROM pragma_table_info(?)")?;
        let columns = info.query_map([&name], |row| row.get::<_, String>(0))?;
        let columns: Vec<String> = columns.collect::<rusqlite::Result<_>>()?;
        let marks = vec!["?"; columns.len()].join(",");
        let set = |column: &String| format!("\"{column}\"=excluded.\"{column}\"");
        let sets: Vec<String> = columns[1..].iter().map(set).collect();
        let (key, sets) = (&columns[0], sets.join(","));
        let put = format!(
            "INSERT INTO {name} VALUES ({marks}) ON CONFLICT (\"{key}\") DO UPDATE SET {sets}"
        );
        let delete = format!("DELETE FROM {name} WHERE \"{key}\" = ?");
        let table = Table {
            columns,
            put,
            delete,
        };
        tables.insert(name, table);
    }
    Ok(tables)
}

fn values(key: &str, row: &Map<String, Json>, columns: &[String]) -> Vec<Value> {
    let mut values = vec![Value::Text(key.to_owned())];
    values.extend(columns[1..].iter().map(|column| match row.get(column) {
        Some(Json::Bool(bool)) => Value::Integer((*bool).into()),
        Some(Json::String(text)) => Value::Text(text.clone()),
        Some(Json::Number(number)) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Real(number.as_f64().unwrap_or_default()),
        },
        _ => Value::Null,
    }));
    values
}

fn json(value: &Value) -> Json {
    match value {
        Value::Integer(integer) => (*integer).into(),
        Value::Real(real) => (*real).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Null | Value::Blob(_) => Json::Null,
    }
}
