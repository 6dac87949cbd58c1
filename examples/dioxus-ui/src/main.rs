//! A user interface that shows a live query: a Dioxus signal that follows `LiveQuery::watch`. It renders
//! to text, so that it runs anywhere; with a renderer of Dioxus the components stay as they are.

use std::error::Error;
use std::time::Duration;

use dioxus::core::NoOpMutations;
use dioxus::prelude::*;
use serde::{Deserialize, Serialize};
use tailwater::Collection;
use tailwater::db::{LiveQuery, StreamDb, append_mutations};
use tailwater::query::Query;
use tailwater::server::Server;
use tailwater::stream::{CreateOptions, DurableStream};

#[derive(Clone, Serialize, Deserialize, Collection)]
#[collection(name = "users", type = "user", key = "id")]
struct User {
    id: String,
    name: String,
}

/// The rows of a live query as a signal. A step that comes while a frame is drawn is in the next one.
fn use_rows<T: 'static>(live: impl FnOnce() -> LiveQuery<T>) -> Signal<Vec<T>> {
    let live = use_hook(live);
    let mut rows = use_signal(Vec::new);
    use_future(move || {
        let live = live.clone();
        async move {
            let mut changed = live.watch();
            loop {
                match live.rows() {
                    Ok(new) => rows.set(new),
                    Err(error) => eprintln!("{error}"),
                }
                if changed.changed().await.is_err() {
                    break;
                }
            }
        }
    });
    rows
}

fn users() -> Element {
    let db = use_context::<StreamDb>();
    let all = Query::from::<User>("u").order_by(|u| u.name);
    let users = use_rows(move || db.live(all).expect("the query holds"));
    rsx! {
        h1 { "{users.read().len()} users" }
        ul {
            for user in users.read().iter() {
                li { key: "{user.id}", "{user.name}" }
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start().await?;
    let stream = DurableStream::new(server.stream_url("users"))?;
    stream.create(CreateOptions::json()).await?;
    let db = StreamDb::builder(stream).collection::<User>().open()?;
    db.preload().await?;

    // What happens elsewhere meanwhile.
    let writer = db.clone();
    tokio::spawn(async move {
        for (id, name) in [("1", "Grace"), ("2", "Ada"), ("3", "Alan")] {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let (id, name) = (id.into(), name.into());
            if let Err(error) = writer.mutate(|tx| tx.insert(&User { id, name }), append_mutations)
            {
                eprintln!("{error}");
            }
        }
    });

    let mut dom = VirtualDom::new(users).with_root_context(db.clone());
    dom.rebuild_in_place();
    while db.query_once(Query::from::<User>("u"))?.len() < 3 {
        dom.wait_for_work().await;
        dom.render_immediate(&mut NoOpMutations);
        println!("{}", dioxus_ssr::render(&dom));
    }
    Ok(())
}
