//! NEXMark's stream of persons, auctions and bids: 300,000 events loaded, 100,000 more as changes.
//! Nothing is updated or deleted. Bids, which have no id, get a number; the side input of q13 is a
//! collection of its own, loaded first.

use std::io;
use std::path::Path;

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event;
use serde_json::{Value, json};

use crate::lines::{self, insert};

/// How many rows the side input of q13 has.
const SIDE: usize = 1_000;

pub(crate) fn write(dir: &Path, quick: bool) -> io::Result<()> {
    let (load, changes) = if quick {
        (30_000, 10_000)
    } else {
        (300_000, 100_000)
    };
    let side = (0..SIDE).map(|key| {
        let row = json!({"number": key, "value": format!("side {key}")});
        insert("side", &key.to_string(), row)
    });
    // The default rate is 10,000 events a second; slower time makes windows of 10 seconds count.
    let config = NexmarkConfig {
        first_rate: 1_000,
        next_rate: 1_000,
        base_time: 1_700_000_000_000,
        ..NexmarkConfig::default()
    };
    let mut events = EventGenerator::new(config).enumerate().map(message);
    let loaded = events.by_ref().take(load);
    lines::write(&dir.join("load.jsonl"), side.chain(loaded))?;
    lines::write(&dir.join("changes.jsonl"), events.take(changes))
}

fn message((number, event): (usize, Event)) -> Value {
    match event {
        Event::Person(p) => {
            let row = json!({
                "id": p.id, "name": p.name, "emailAddress": p.email_address, "creditCard": p.credit_card,
                "city": p.city, "state": p.state.to_uppercase(), "dateTime": p.date_time, "extra": p.extra,
            });
            insert("person", &p.id.to_string(), row)
        }
        Event::Auction(a) => {
            let row = json!({
                "id": a.id, "itemName": a.item_name, "description": a.description, "initialBid": a.initial_bid,
                "reserve": a.reserve, "dateTime": a.date_time, "expires": a.expires, "seller": a.seller,
                "category": a.category, "extra": a.extra,
            });
            insert("auction", &a.id.to_string(), row)
        }
        Event::Bid(b) => {
            let row = json!({
                "auction": b.auction, "bidder": b.bidder, "price": b.price, "channel": b.channel,
                "url": b.url, "dateTime": b.date_time, "extra": b.extra,
            });
            insert("bid", &format!("b{number:08}"), row)
        }
    }
}
