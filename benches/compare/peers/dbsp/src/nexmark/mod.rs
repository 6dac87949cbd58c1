//! The workload `nexmark`: its rows and inputs.

mod bids;
mod joins;
mod statistics;

use dbsp::operator::{MapHandle, Update};
use dbsp::{DBData, RootCircuit};

use crate::engine::{Subscribers, World};
use crate::live::Indexed;
use crate::row::rows;
use crate::shared::Message;
use crate::shared::nexmark as row;

rows! {
    struct Person {
        id: i64,
        name: String,
        city: String,
        state: String,
        time: i64,
    }

    struct Auction {
        id: i64,
        item: String,
        description: String,
        initial: i64,
        reserve: i64,
        time: i64,
        expires: i64,
        seller: i64,
        category: i64,
    }

    struct Bid {
        auction: i64,
        bidder: i64,
        price: i64,
        channel: String,
        url: String,
        time: i64,
        extra: String,
    }
}

/// Bids by their number.
type Bids = Indexed<i64, Bid>;

pub(crate) struct Nexmark {
    persons: MapHandle<i64, Person, Person>,
    auctions: MapHandle<i64, Auction, Auction>,
    bids: MapHandle<i64, Bid, Bid>,
    side: MapHandle<i64, String, String>,
}

pub(crate) enum Change {
    Person(i64, Update<Person, Person>),
    Auction(i64, Update<Auction, Auction>),
    Bid(i64, Update<Bid, Bid>),
    Side(i64, Update<String, String>),
}

/// The start of the window of so many milliseconds.
fn window(time: i64, size: i64) -> i64 {
    time - time % size
}

fn update<V: DBData>(row: Option<V>) -> Update<V, V> {
    row.map_or(Update::Delete, Update::Insert)
}

impl World for Nexmark {
    type Change = Change;

    fn decode(message: &Message<'_>) -> Change {
        let key = message.key.trim_start_matches('b');
        let key = key.parse().expect("the key is a number");
        match message.kind {
            "person" => {
                let person = |p: row::Person<'_>| Person {
                    id: p.id,
                    name: p.name.into(),
                    city: p.city.into(),
                    state: p.state.into(),
                    time: p.date_time,
                };
                Change::Person(key, update(message.row().map(person)))
            }
            "auction" => {
                let auction = |a: row::Auction<'_>| Auction {
                    id: a.id,
                    item: a.item_name.into(),
                    description: a.description.into(),
                    initial: a.initial_bid,
                    reserve: a.reserve,
                    time: a.date_time,
                    expires: a.expires,
                    seller: a.seller,
                    category: a.category,
                };
                Change::Auction(key, update(message.row().map(auction)))
            }
            "bid" => {
                let bid = |b: row::Bid<'_>| Bid {
                    auction: b.auction,
                    bidder: b.bidder,
                    price: b.price,
                    channel: b.channel.into(),
                    url: b.url.into(),
                    time: b.date_time,
                    extra: b.extra.into(),
                };
                Change::Bid(key, update(message.row().map(bid)))
            }
            _ => {
                let side = message.row::<row::Side<'_>>();
                let side = side.map(|side| (side.number, side.value.into_owned()));
                let (number, value) = side.unzip();
                Change::Side(number.unwrap_or(key), update(value))
            }
        }
    }

    fn build(circuit: &RootCircuit, queries: &[String]) -> (Nexmark, Subscribers) {
        let (persons, person_input) = circuit.add_input_map(Person::clone_from);
        let (auctions, auction_input) = circuit.add_input_map(Auction::clone_from);
        let (bids, bid_input) = circuit.add_input_map(Bid::clone_from);
        let (side, side_input) = circuit.add_input_map(String::clone_from);
        let build = |name: &String| {
            let live = match name.as_str() {
                "q0" => bids::q0(&bids),
                "q1" => bids::q1(&bids),
                "q2" => bids::q2(&bids),
                "q3" => joins::q3(&auctions, &persons),
                "q4" => joins::q4(&auctions, &bids),
                "q5" => statistics::q5(&bids),
                "q7" => statistics::q7(&bids),
                "q8" => joins::q8(&auctions, &persons),
                "q9" => joins::q9(&auctions, &bids),
                "q12" => statistics::q12(&bids),
                "q13" => joins::q13(&bids, &side),
                "q14" => bids::q14(&bids),
                "q15" => statistics::q15(&bids),
                "q16" => statistics::q16(&bids),
                "q17" => statistics::q17(&bids),
                _ => bids::q18(&bids),
            };
            (name.clone(), live)
        };
        let live = queries.iter().map(build).collect();
        let world = Nexmark {
            persons: person_input,
            auctions: auction_input,
            bids: bid_input,
            side: side_input,
        };
        (world, live)
    }

    fn push(&self, change: Change) {
        match change {
            Change::Person(key, update) => self.persons.push(key, update),
            Change::Auction(key, update) => self.auctions.push(key, update),
            Change::Bid(key, update) => self.bids.push(key, update),
            Change::Side(key, update) => self.side.push(key, update),
        }
    }
}
