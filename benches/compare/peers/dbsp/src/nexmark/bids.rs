//! Queries that look at one bid at a time, and at the last of each bidder and auction.

use dbsp::operator::Max;
use dbsp::utils::{Tup2, Tup3};
use serde_json::json;

use super::{Bid, Bids};
use crate::live::{Subscriber, subscriber};

const HOUR: i64 = 3_600_000;

pub(super) fn q0(bids: &Bids) -> Subscriber {
    subscriber(
        bids,
        |_, b| json!({"auction": b.auction, "bidder": b.bidder, "price": b.price, "dateTime": b.time, "extra": b.extra}),
    )
}

/// Thousandths of the price in the other currency.
fn dollars(bid: &Bid) -> i64 {
    bid.price * 908
}

pub(super) fn q1(bids: &Bids) -> Subscriber {
    let rows = bids.map_index(|(number, b)| (*number, Tup2(dollars(b), b.clone())));
    subscriber(&rows, |_, Tup2(price, b)| {
        let price = *price as f64 / 1e3;
        json!({"auction": b.auction, "bidder": b.bidder, "price": price, "dateTime": b.time, "extra": b.extra})
    })
}

pub(super) fn q2(bids: &Bids) -> Subscriber {
    let rows = bids
        .filter(|(_, b)| b.auction % 123 == 0)
        .map_index(|(number, b)| (*number, Tup2(b.auction, b.price)));
    subscriber(
        &rows,
        |_, Tup2(auction, price)| json!({"auction": auction, "price": price}),
    )
}

pub(super) fn q14(bids: &Bids) -> Subscriber {
    let rows = bids
        .filter(|(_, b)| (1_000_000_001..50_000_000_000).contains(&dollars(b)))
        .map_index(|(number, b)| {
            let kind = match b.time / HOUR % 24 {
                8..=18 => "dayTime",
                ..=6 | 20.. => "nightTime",
                _ => "otherTime",
            };
            let count = b.extra.bytes().filter(|c| *c == b'c').count() as i64;
            (*number, Tup3(kind.to_owned(), count, b.clone()))
        });
    subscriber(&rows, |_, Tup3(kind, count, b)| {
        let price = dollars(b) as f64 / 1e3;
        json!({
            "auction": b.auction, "bidder": b.bidder, "price": price, "bidTimeType": kind,
            "dateTime": b.time, "extra": b.extra, "cCounts": count,
        })
    })
}

pub(super) fn q18(bids: &Bids) -> Subscriber {
    let last = bids
        .map_index(|(number, b)| {
            let row = Tup3(b.time, *number, b.clone());
            (Tup2(b.bidder, b.auction), row)
        })
        .aggregate(Max);
    subscriber(&last, |_, Tup3(_, _, b)| {
        json!({
            "auction": b.auction, "bidder": b.bidder, "price": b.price, "channel": b.channel,
            "url": b.url, "dateTime": b.time, "extra": b.extra,
        })
    })
}
