//! Statistics that follow a stream: edits of encyclopedias by language, most first.
//! `cargo run --example languages`.

use std::error::Error;
use std::io::{Write, stdout};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tailwater::db::StreamDb;
use tailwater::query::Query;
use tailwater::schema::StateSchema;
use tailwater::server::Server;
use tailwater::stream::{CreateOptions, DurableStream};
use tailwater::{Collection, Projection};

#[derive(Serialize, Deserialize, Collection)]
#[collection(name = "edits", type = "edit", key = "id")]
struct Edit {
    id: String,
    language: String,
    bytes: i64,
}

#[derive(Serialize, Deserialize, Projection)]
struct Language {
    language: String,
    edits: i64,
    bytes: i64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut stdout()).await
}

pub(crate) async fn run(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let server = Server::start().await?;
    let stream = DurableStream::new(server.stream_url("edits"))?;
    stream.create(CreateOptions::json()).await?;
    let schema = StateSchema::builder().collection::<Edit>().build()?;
    let edits = schema.events::<Edit>()?;
    let edit = |id: i64, language: &str, bytes| {
        let (id, language) = (id.to_string(), language.into());
        edits
            .insert(&Edit {
                id,
                language,
                bytes,
            })
            .build()
    };
    for (id, language, bytes) in [(1, "en", 40), (2, "de", 7), (3, "en", 2), (4, "fr", 30)] {
        stream.append_json(&edit(id, language, bytes)?).await?;
    }

    let db = StreamDb::builder(stream.clone()).schema(&schema).open()?;
    db.preload().await?;
    let languages = db.live(
        Query::from::<Edit>("e")
            .group_by(|e| e.language)
            .select(|e| LanguageSelect {
                language: e.language,
                edits: e.id.count(),
                bytes: e.bytes.sum(),
            })
            .order_by_selected(|l| (l.edits.desc(), l.language)),
    )?;
    for row in languages.rows()? {
        writeln!(out, "{}: {} ({} bytes)", row.language, row.edits, row.bytes)?;
    }

    // What comes later costs what it changes, and says where in the order it does.
    let mut changes = languages.subscribe();
    changes.next().await;
    for (id, language, bytes) in [(5, "fr", 11), (6, "fr", 1), (7, "eo", 9)] {
        stream.append_json(&edit(id, language, bytes)?).await?;
        let Some(set) = changes.next().await else {
            break;
        };
        for change in set.iter() {
            let (row, place) = (change.value()?, change.index().unwrap_or_default() + 1);
            writeln!(
                out,
                "{:?} {place}. {} ({})",
                change.kind(),
                row.language,
                row.edits
            )?;
        }
    }
    Ok(())
}
