//! A stream, a database on it, a live query, and changes that are visible before they are confirmed:
//! `cargo run --example quickstart`.

use serde::{Deserialize, Serialize};
use std::{error::Error, io};
use tailwater::db::{StreamDb, append_mutations};
use tailwater::stream::{CreateOptions, DurableStream};
use tailwater::{Collection, query::Query, server::Server};

#[derive(Serialize, Deserialize, Collection)]
#[collection(name = "users", type = "user", key = "id")]
struct User {
    id: String,
    name: String,
    age: i64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut io::stdout()).await
}

pub(crate) async fn run(out: &mut impl io::Write) -> Result<(), Box<dyn Error>> {
    let server = Server::start().await?;
    let stream = DurableStream::new(server.stream_url("people"))?;
    stream.create(CreateOptions::json()).await?;
    let db = StreamDb::builder(stream).collection::<User>().open()?;
    db.preload().await?;
    let adults = db.live(Query::from::<User>("u").filter(|u| u.age.gte(18)))?;
    for (id, name, age) in [("1", "Ada", 36), ("2", "Alan", 41), ("3", "Tim", 7)] {
        let (id, name) = (id.into(), name.into());
        let change = db.mutate(|tx| tx.insert(&User { id, name, age }), append_mutations)?;
        writeln!(out, "{} adults at once", adults.len())?;
        change.is_persisted().await?;
    }
    for user in adults.rows()? {
        writeln!(out, "{} is {}", user.name, user.age)?;
    }
    Ok(())
}
