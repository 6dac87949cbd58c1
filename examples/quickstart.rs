//! A stream, a database on it, a live query, and a change that is visible before it is confirmed:
//! `cargo run --example quickstart`.

use serde::{Deserialize, Serialize};
use tailwater::Collection;
use tailwater::db::{StreamDb, append_mutations};
use tailwater::query::Query;
use tailwater::server::Server;
use tailwater::stream::{CreateOptions, DurableStream, Live};

#[derive(Clone, Debug, Serialize, Deserialize, Collection)]
#[collection(name = "users", type = "user", key = "id")]
struct User {
    id: String,
    name: String,
    age: i64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start().await?;
    let stream = DurableStream::new(server.stream_url("people"))?;
    stream.create(CreateOptions::json()).await?;

    let db = StreamDb::builder(stream)
        .collection::<User>()
        .live(Live::Sse)
        .open()?;
    db.preload().await?;
    let adults = db.live(
        Query::from::<User>("u")
            .filter(|u| u.age.gte(18))
            .order_by(|u| u.age.desc()),
    )?;

    for (id, name, age) in [("1", "Ada", 36), ("2", "Alan", 41), ("3", "Tim", 7)] {
        let user = User {
            id: id.into(),
            name: name.into(),
            age,
        };
        let change = db.mutate(|tx| tx.insert(&user), append_mutations)?;
        println!("{} adults at once", adults.len());
        change.is_persisted().await?;
    }
    for user in adults.rows()? {
        println!("{} is {}", user.name, user.age);
    }
    Ok(())
}
