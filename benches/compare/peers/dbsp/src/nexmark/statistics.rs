//! Queries that group bids.

use dbsp::ZWeight;
use dbsp::operator::{Max, Min};
use dbsp::utils::{Tup0, Tup2, Tup3, Tup4, Tup5};
use serde_json::{Value, json};

use super::{Bid, Bids, window};
use crate::live::{Indexed, Subscriber, subscriber};

const DAY: i64 = 86_400_000;

pub(super) fn q5(bids: &Bids) -> Subscriber {
    let counts = bids
        .flat_map_index(|(_, b)| {
            let (auction, start) = (b.auction, window(b.time, 2_000));
            (0..5).map(move |hop| (Tup2(auction, start - 2_000 * hop), Tup0()))
        })
        .aggregate_linear(|_| 1 as ZWeight);
    let most = counts
        .map_index(|(Tup2(_, start), num)| (*start, *num))
        .aggregate(Max)
        .map_index(|(start, num)| (Tup2(*start, *num), Tup0()));
    let rows = counts
        .map_index(|(Tup2(auction, start), num)| (Tup2(*start, *num), *auction))
        .join_index(&most, |Tup2(start, num), auction, _| {
            Some((Tup2(*auction, *start), *num))
        });
    subscriber(
        &rows,
        |Tup2(auction, start), num| json!({"auction": auction, "start": start, "num": num}),
    )
}

pub(super) fn q7(bids: &Bids) -> Subscriber {
    let most = bids
        .map_index(|(_, b)| (window(b.time, 10_000), b.price))
        .aggregate(Max)
        .map_index(|(start, price)| (Tup2(*start, *price), Tup0()));
    let rows = bids
        .map_index(|(number, b)| {
            let row = Tup5(*number, b.auction, b.bidder, b.time, b.extra.clone());
            (Tup2(window(b.time, 10_000), b.price), row)
        })
        .join_index(&most, |Tup2(_, price), bid, _| {
            Some((bid.0, Tup2(*price, bid.clone())))
        });
    subscriber(
        &rows,
        |_, Tup2(price, Tup5(_, auction, bidder, time, extra))| json!({"auction": auction, "price": price, "bidder": bidder, "dateTime": time, "extra": extra}),
    )
}

pub(super) fn q12(bids: &Bids) -> Subscriber {
    let counts = bids
        .map_index(|(_, b)| (Tup2(b.bidder, window(b.time, 10_000)), Tup0()))
        .aggregate_linear(|_| 1 as ZWeight);
    subscriber(
        &counts,
        |Tup2(bidder, start), bids| json!({"bidder": bidder, "start": start, "bids": bids}),
    )
}

/// 1 to 3.
fn rank(price: i64) -> i64 {
    match price {
        ..10_000 => 1,
        10_000..1_000_000 => 2,
        _ => 3,
    }
}

/// How many in all, and of each rank.
type Ranked = Tup4<i64, i64, i64, i64>;

/// What one bid adds.
fn ranked(rank: i64) -> Ranked {
    let of = |this| i64::from(rank == this);
    Tup4(1, of(1), of(2), of(3))
}

/// A channel, or none, and a day.
type Group = Tup2<String, i64>;
/// Counts of bids, distinct bidders, distinct auctions.
type Statistics = Tup3<Ranked, Ranked, Ranked>;

fn statistics(bids: &Bids, group: fn(&Bid) -> Group) -> Indexed<Group, Statistics> {
    let counts = bids
        .map_index(move |(_, b)| (group(b), rank(b.price)))
        .aggregate_linear(|rank| ranked(*rank));
    let distinct = |member: fn(&Bid) -> i64| {
        // A member counts in all, as rank 0, and in each of its ranks.
        bids.flat_map_index(move |(_, b)| {
            [0, rank(b.price)].map(|rank| (group(b), Tup2(rank, member(b))))
        })
        .distinct()
        .aggregate_linear(|Tup2(rank, _)| match rank {
            0 => Tup4(1, 0, 0, 0),
            rank => {
                let Tup4(_, a, b, c) = ranked(*rank);
                Tup4(0, a, b, c)
            }
        })
    };
    let (bidders, auctions) = (distinct(|b| b.bidder), distinct(|b| b.auction));
    counts
        .join_index(&bidders, |group, counts, bidders| {
            Some((group.clone(), Tup2(counts.clone(), bidders.clone())))
        })
        .join_index(&auctions, |group, Tup2(counts, bidders), auctions| {
            let row = Tup3(counts.clone(), bidders.clone(), auctions.clone());
            Some((group.clone(), row))
        })
}

fn statistics_line(Tup3(counts, bidders, auctions): &Statistics) -> Value {
    json!({
        "totalBids": counts.0, "rank1Bids": counts.1, "rank2Bids": counts.2, "rank3Bids": counts.3,
        "totalBidders": bidders.0, "rank1Bidders": bidders.1, "rank2Bidders": bidders.2, "rank3Bidders": bidders.3,
        "totalAuctions": auctions.0, "rank1Auctions": auctions.1, "rank2Auctions": auctions.2,
        "rank3Auctions": auctions.3,
    })
}

pub(super) fn q15(bids: &Bids) -> Subscriber {
    let rows = statistics(bids, |b| Tup2(String::new(), window(b.time, DAY)));
    subscriber(&rows, |Tup2(_, day), row| {
        let mut line = statistics_line(row);
        line["day"] = json!(day);
        line
    })
}

pub(super) fn q16(bids: &Bids) -> Subscriber {
    fn group(bid: &Bid) -> Group {
        Tup2(bid.channel.clone(), window(bid.time, DAY))
    }
    let minutes = bids
        .map_index(|(_, b)| (group(b), window(b.time, 60_000)))
        .aggregate(Max);
    let rows = statistics(bids, group).join_index(&minutes, |group, row, minute| {
        Some((group.clone(), Tup2(row.clone(), *minute)))
    });
    subscriber(&rows, |Tup2(channel, day), Tup2(row, minute)| {
        let mut line = statistics_line(row);
        line["channel"] = json!(channel);
        line["day"] = json!(day);
        line["minute"] = json!(minute);
        line
    })
}

pub(super) fn q17(bids: &Bids) -> Subscriber {
    let prices = bids.map_index(|(_, b)| (Tup2(b.auction, window(b.time, DAY)), b.price));
    let counts = prices.aggregate_linear(|price| Tup2(ranked(rank(*price)), *price));
    let (least, most) = (prices.aggregate(Min), prices.aggregate(Max));
    let rows = counts
        .join_index(&least, |group, row, min| {
            Some((group.clone(), Tup2(row.clone(), *min)))
        })
        .join_index(&most, |group, Tup2(row, min), max| {
            Some((group.clone(), Tup3(row.clone(), *min, *max)))
        });
    subscriber(&rows, |Tup2(auction, day), Tup3(Tup2(n, sum), min, max)| {
        json!({
            "auction": auction, "day": day, "totalBids": n.0, "rank1Bids": n.1, "rank2Bids": n.2,
            "rank3Bids": n.3, "minPrice": min, "maxPrice": max, "avgPrice": *sum as f64 / n.0 as f64,
            "sumPrice": sum,
        })
    })
}
