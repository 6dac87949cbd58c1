//! A chat room of four collections in one stream, with a reader of its own. `cargo run --example chat`.

use std::error::Error;
use std::io::{Write, stdout};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tailwater::Collection;
use tailwater::db::{StreamDb, append_mutations};
use tailwater::query::{Query, include};
use tailwater::server::Server;
use tailwater::stream::{CreateOptions, DurableStream};

#[derive(Serialize, Deserialize, Collection)]
#[collection(name = "users", type = "user", key = "id")]
struct User {
    id: String,
    name: String,
}

#[derive(Serialize, Deserialize, Collection)]
#[collection(name = "messages", type = "message", key = "id")]
struct Message {
    id: String,
    user_id: String,
    text: String,
}

#[derive(Serialize, Deserialize, Collection)]
#[collection(name = "reactions", type = "reaction", key = "id")]
struct Reaction {
    id: String,
    message_id: String,
    emoji: String,
}

#[derive(Serialize, Deserialize, Collection)]
#[collection(name = "typing", type = "typing", key = "user_id")]
struct Typing {
    user_id: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut stdout()).await
}

async fn join(stream: &DurableStream) -> Result<StreamDb, Box<dyn Error>> {
    let db = StreamDb::builder(stream.clone())
        .collection::<User>()
        .collection::<Message>()
        .collection::<Reaction>()
        .collection::<Typing>()
        .open()?;
    db.preload().await?;
    Ok(db)
}

pub(crate) async fn run(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let server = Server::start().await?;
    let stream = DurableStream::new(server.stream_url("chat"))?;
    stream.create(CreateOptions::json()).await?;

    let (ada, reader) = (join(&stream).await?, join(&stream).await?);
    let lines = Query::from::<Message>("m").join::<User>("u", |m, u| m.user_id.eq(u.id));
    let lines = reader.live(lines.select(|m, u| {
        let of_message = Query::from::<Reaction>("r").filter(|r| r.message_id.eq(m.id));
        (u.name, m.text, include(of_message.select(|r| r.emoji)))
    }))?;
    let typing = Query::from::<Typing>("t").join::<User>("u", |t, u| t.user_id.eq(u.id));
    let typing = reader.live(typing.select(|_, u| u.name))?;
    let (mut of_lines, mut of_typing) = (lines.subscribe(), typing.subscribe());
    of_lines.next().await;
    of_typing.next().await;

    // A transaction is one step for whoever reads: nobody sees a part of it.
    let tx = ada.transaction()?;
    let (id, name) = ("ada".into(), "Ada".into());
    tx.insert(&User { id, name })?;
    let user_id = "ada".into();
    tx.insert(&Typing { user_id })?;
    tx.commit(append_mutations).await?;
    of_typing.next().await;
    writeln!(out, "{} is typing", typing.rows()?.join(", "))?;

    let tx = ada.transaction()?;
    let (id, user_id, text) = ("1".into(), "ada".into(), "Hello!".into());
    tx.insert(&Message { id, user_id, text })?;
    tx.delete::<Typing>("ada")?;
    tx.commit(append_mutations).await?;
    of_lines.next().await;
    writeln!(out, "{} message, {} typing", lines.len(), typing.len())?;

    let tx = ada.transaction()?;
    for (id, emoji) in [("1", "👋"), ("2", "🎉")] {
        tx.insert(&Reaction {
            id: id.into(),
            message_id: "1".into(),
            emoji: emoji.into(),
        })?;
    }
    tx.commit(append_mutations).await?;
    of_lines.next().await;
    for (name, text, reactions) in lines.rows()? {
        writeln!(out, "{name}: {text} {}", reactions.concat())?;
    }
    Ok(())
}
