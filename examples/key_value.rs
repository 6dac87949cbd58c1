//! A key/value store: settings by name, and one of them watched. `cargo run --example key_value`.

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

#[derive(Serialize, Deserialize, Collection)]
#[collection(name = "config", type = "config", key = "key")]
struct Config {
    key: String,
    value: String,
}

impl Config {
    fn new(key: &str, value: &str) -> Config {
        Config {
            key: key.into(),
            value: value.into(),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut stdout()).await
}

pub(crate) async fn run(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let server = Server::start().await?;
    let stream = DurableStream::new(server.stream_url("config"))?;
    stream.create(CreateOptions::json()).await?;

    let schema = StateSchema::builder().collection::<Config>().build()?;
    let config = schema.events::<Config>()?;
    let db = StreamDb::builder(stream.clone()).schema(&schema).open()?;
    db.preload().await?;

    // One value, and what becomes of it.
    let theme = Query::from::<Config>("c").filter(|c| c.key.eq("theme"));
    let theme = db.live(theme.find_one())?;
    let mut changes = theme.subscribe();
    changes.next().await;

    // A set value is an event in the stream; whoever reads the stream has it.
    for row in [
        Config::new("theme", "dark"),
        Config::new("font", "mono"),
        Config::new("theme", "light"),
    ] {
        let event = config.upsert(&row).txid(&row.value).build()?;
        stream.append_json(&event).await?;
        db.await_txid(&row.value, None).await?;
        // Setting the font changes nothing here.
        while let Some(set) = changes.try_next() {
            for change in set.iter() {
                let (before, now) = (change.previous()?, change.value()?);
                let before = before.map_or("nothing".into(), |row| row.value);
                writeln!(out, "the theme was {before} and is {}", now.value)?;
            }
        }
    }

    stream
        .append_json(&config.delete().key("font").txid("gone").build()?)
        .await?;
    db.await_txid("gone", None).await?;
    for row in db.collection::<Config>()?.rows()? {
        writeln!(out, "{} = {}", row.key, row.value)?;
    }
    Ok(())
}
