//! Queries that join auctions, persons, bids and the side input.

use dbsp::ZWeight;
use dbsp::operator::{Max, Min};
use dbsp::utils::{Tup0, Tup2, Tup4, Tup5};
use serde_json::json;

use super::{Auction, Bids, Person, window};
use crate::live::{Indexed, Subscriber, subscriber};

type Auctions = Indexed<i64, Auction>;
type Persons = Indexed<i64, Person>;

pub(super) fn q3(auctions: &Auctions, persons: &Persons) -> Subscriber {
    let auctions = auctions
        .filter(|(_, a)| a.category == 10)
        .map_index(|(id, a)| (a.seller, *id));
    let persons = persons.filter(|(_, p)| ["OR", "ID", "CA"].contains(&p.state.as_str()));
    let rows = auctions.join_index(&persons, |_, id, p| Some((*id, p.clone())));
    subscriber(
        &rows,
        |id, p| json!({"name": p.name, "city": p.city, "state": p.state, "id": id}),
    )
}

/// Bids by auction that were made in its time: price, time, number, bidder.
fn valid(auctions: &Auctions, bids: &Bids) -> Indexed<i64, Tup4<i64, i64, i64, i64>> {
    let periods = auctions.map_index(|(id, a)| (*id, Tup2(a.time, a.expires)));
    bids.map_index(|(number, b)| (b.auction, Tup4(b.price, b.time, *number, b.bidder)))
        .join_index(&periods, |auction, bid, Tup2(start, end)| {
            (*start..=*end)
                .contains(&bid.1)
                .then(|| (*auction, bid.clone()))
        })
}

pub(super) fn q4(auctions: &Auctions, bids: &Bids) -> Subscriber {
    let last = valid(auctions, bids)
        .map_index(|(auction, bid)| (*auction, bid.0))
        .aggregate(Max);
    let categories = auctions.map_index(|(id, a)| (*id, a.category));
    let average = last
        .join_index(&categories, |_, price, category| Some((*category, *price)))
        .aggregate_linear(|price| Tup2(1 as ZWeight, *price));
    subscriber(
        &average,
        |category, Tup2(n, sum)| json!({"category": category, "final": *sum as f64 / *n as f64}),
    )
}

pub(super) fn q8(auctions: &Auctions, persons: &Persons) -> Subscriber {
    let sellers = auctions
        .map_index(|(_, a)| (Tup2(a.seller, window(a.time, 10_000)), Tup0()))
        .distinct();
    let rows = persons
        .map_index(|(id, p)| (Tup2(*id, window(p.time, 10_000)), p.name.clone()))
        .join_index(&sellers, |Tup2(id, start), name, _| {
            Some((*id, Tup2(name.clone(), *start)))
        });
    subscriber(
        &rows,
        |id, Tup2(name, start)| json!({"id": id, "name": name, "start": start}),
    )
}

pub(super) fn q9(auctions: &Auctions, bids: &Bids) -> Subscriber {
    let winners = valid(auctions, bids)
        .map_index(|(auction, Tup4(price, time, number, bidder))| {
            (*auction, Tup4(-price, *time, *number, *bidder))
        })
        .aggregate(Min);
    let rows = winners.join_index(auctions, |id, bid, auction| {
        Some((*id, Tup2(auction.clone(), bid.clone())))
    });
    subscriber(&rows, |id, Tup2(a, Tup4(price, time, _, bidder))| {
        json!({
            "id": id, "itemName": a.item, "description": a.description, "initialBid": a.initial,
            "reserve": a.reserve, "dateTime": a.time, "expires": a.expires, "seller": a.seller,
            "category": a.category, "bidder": bidder, "price": -price, "bidTime": time,
        })
    })
}

pub(super) fn q13(bids: &Bids, side: &Indexed<i64, String>) -> Subscriber {
    let rows = bids
        .map_index(|(number, b)| {
            let row = Tup5(*number, b.auction, b.bidder, b.price, b.time);
            (b.auction % 1_000, row)
        })
        .join_index(side, |_, bid, value| {
            Some((bid.0, Tup2(bid.clone(), value.clone())))
        });
    subscriber(
        &rows,
        |_, Tup2(Tup5(_, auction, bidder, price, time), value)| json!({"auction": auction, "bidder": bidder, "price": price, "dateTime": time, "value": value}),
    )
}
