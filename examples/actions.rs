//! Optimistic actions: visible at once, confirmed by the stream, or taken back. `cargo run --example actions`.

use std::error::Error;
use std::io::{Write, stdout};

use serde::{Deserialize, Serialize};
use tailwater::Collection;
use tailwater::db::StreamDb;
use tailwater::schema::StateSchema;
use tailwater::server::Server;
use tailwater::stream::{CreateOptions, DurableStream};

#[derive(Clone, Serialize, Deserialize, Collection)]
#[collection(name = "users", type = "user", key = "id")]
struct User {
    id: String,
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut stdout()).await
}

pub(crate) async fn run(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let server = Server::start().await?;
    let stream = DurableStream::new(server.stream_url("users"))?;
    stream.create(CreateOptions::json()).await?;
    let schema = StateSchema::builder().collection::<User>().build()?;
    let db = StreamDb::builder(stream).schema(&schema).open()?;
    db.preload().await?;
    let users = db.collection::<User>()?;

    // What is changed at once, and what makes it last: an event with a txid, and its return.
    let events = schema.events::<User>()?;
    let add_user = db.action(
        |tx, user: &User| tx.insert(user),
        move |context, user| {
            let events = events.clone();
            async move {
                let txid = format!("add {}", user.id);
                let event = events.insert(&user).txid(&txid).build()?;
                context.expect_txid(&txid);
                context.stream().append_json(&event).await?;
                Ok(context.await_txid(txid).await?)
            }
        },
    );
    // What was changed, as events with a txid of their own: the same in short.
    let rename = db.action(
        |tx, (id, name): &(&str, &str)| tx.update::<User>(*id, |user| user.name = (*name).into()),
        |context, _| async move { context.append_mutations().await },
    );
    let refused = db.action(
        |tx, id: &&str| tx.delete::<User>(*id),
        |_, _| async { Err("users are never removed".into()) },
    );

    let kyle = User {
        id: "1".into(),
        name: "Kyle".into(),
    };
    let added = add_user.call(kyle)?;
    writeln!(out, "{} user at once", users.len())?;
    added.is_persisted().await?;
    writeln!(out, "{} after the stream had it", added.state())?;

    rename.call(("1", "Kyle Mathews"))?.is_persisted().await?;
    let removed = refused.call("1")?;
    if let Err(error) = removed.is_persisted().await {
        writeln!(out, "{}: {error}", removed.state())?;
    }
    for user in users.rows()? {
        writeln!(out, "{} is {}", user.id, user.name)?;
    }
    Ok(())
}
