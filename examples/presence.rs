//! Presence: who is online, as everybody tells of themselves. `cargo run --example presence`.

use std::error::Error;
use std::io::{Write, stdout};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tailwater::Collection;
use tailwater::db::StreamDb;
use tailwater::query::Query;
use tailwater::schema::StateSchema;
use tailwater::server::Server;
use tailwater::stream::{CreateOptions, DurableStream};

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Online,
    Away,
}

#[derive(Serialize, Deserialize, Collection)]
#[collection(name = "presence", type = "presence", key = "user_id")]
#[serde(rename_all = "camelCase")]
struct Presence {
    user_id: String,
    status: Status,
    last_seen: i64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut stdout()).await
}

pub(crate) async fn run(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let server = Server::start().await?;
    let stream = DurableStream::new(server.stream_url("room"))?;
    stream.create(CreateOptions::json()).await?;

    let schema = StateSchema::builder().collection::<Presence>().build()?;
    let db = StreamDb::builder(stream.clone()).schema(&schema).open()?;
    db.preload().await?;
    let online = db.live(
        Query::from::<Presence>("p")
            .filter(|p| p.status.eq(Status::Online))
            .order_by(|p| p.last_seen.desc()),
    )?;
    let mut changes = online.subscribe();
    changes.next().await;

    // What clients append. A row is replaced by the next event of its key.
    let presence = schema.events::<Presence>()?;
    for (user_id, status, last_seen) in [
        ("kyle", Status::Online, 1),
        ("ada", Status::Online, 2),
        ("kyle", Status::Online, 3),
        ("ada", Status::Away, 4),
    ] {
        let row = Presence {
            user_id: user_id.into(),
            status,
            last_seen,
        };
        stream.append_json(&presence.upsert(&row).build()?).await?;
        changes.next().await;
        let who: Vec<String> = online.rows()?.into_iter().map(|p| p.user_id).collect();
        writeln!(out, "online: {}", who.join(", "))?;
    }
    Ok(())
}
