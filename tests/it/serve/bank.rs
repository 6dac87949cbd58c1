//! Random transfers between accounts, and readers that come and go: whatever a reader has seen, no
//! money was lost or made, in one result and between several.

use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tailwater::server::Queries;
use tailwater::stream::{Live, Offset, ReadOptions};

use super::support::{Folded, PATIENCE, Site, delete, put, until};
use crate::support::{agg, from, order_desc, path};

const ACCOUNTS: usize = 40;
const EACH: i64 = 100;
const NAMES: [&str; 4] = ["accounts", "richest", "total", "by-branch"];

fn account(index: usize) -> String {
    format!("{index:02}")
}

fn queries() -> [(&'static str, Value); 4] {
    let fields = json!({"branch": path("accounts.branch"), "balance": path("accounts.balance")});
    [
        ("accounts", json!({"from": from("accounts")})),
        (
            "richest",
            json!({"from": from("accounts"), "select": fields,
                   "orderBy": [order_desc("accounts.balance")], "limit": 7}),
        ),
        (
            "total",
            json!({"from": from("accounts"), "select": {"sum": agg("sum", "accounts.balance"),
                                                         "n": agg("count", "accounts.balance")}}),
        ),
        (
            "by-branch",
            json!({"from": from("accounts"), "groupBy": [path("accounts.branch")],
                   "select": {"branch": path("accounts.branch"),
                              "sum": agg("sum", "accounts.balance")}}),
        ),
    ]
}

/// What must be so at every moment.
fn check(folded: &Folded) {
    let sum = |name: &str, field: &str| -> i64 {
        let rows = folded.rows(name).iter();
        rows.map(|(_, value)| value[field].as_i64().unwrap()).sum()
    };
    for (name, field) in [
        ("accounts", "balance"),
        ("total", "sum"),
        ("by-branch", "sum"),
    ] {
        if folded.results.contains_key(name) {
            assert_eq!(
                sum(name, field),
                ACCOUNTS as i64 * EACH,
                "{name}: {folded:?}"
            );
        }
    }
    if folded.results.len() < NAMES.len() {
        return;
    }
    // The results are of one moment.
    let mut accounts: Vec<(&str, i64)> = folded
        .rows("accounts")
        .iter()
        .map(|(key, value)| (key.as_str(), value["balance"].as_i64().unwrap()))
        .collect();
    assert_eq!(folded.rows("total")[0].1["n"], accounts.len());
    accounts.sort_by_key(|(key, balance)| (-balance, *key));
    let richest: Vec<(&str, i64)> = folded
        .rows("richest")
        .iter()
        .map(|(key, value)| (key.as_str(), value["balance"].as_i64().unwrap()))
        .collect();
    assert_eq!(richest, accounts[..7.min(accounts.len())]);
}

/// Follows results, goes away at random and comes back with the last offset, until it has what the
/// server has at the end.
async fn read(site: Site, names: &[&str], mode: Live, seed: u64, end: &str) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let mut folded = Folded::default();
    let mut offset = Offset::START;
    let mut batches = 0;
    loop {
        let stream = site.result(names);
        let mut reader = stream.read(ReadOptions::from(offset.clone()).live(mode));
        for _ in 0..rng.u32(1..30) {
            let batch = tokio::time::timeout(PATIENCE, reader.next()).await;
            let Some(batch) = batch.expect("the reader goes on") else {
                break;
            };
            let batch = batch.unwrap();
            folded.take(&batch);
            check(&folded);
            assert!(batch.offset.as_str() >= offset.as_str());
            offset = batch.offset;
            batches += 1;
            let last = folded.rows("accounts").iter().chain(folded.rows("richest"));
            if last.into_iter().any(|(_, value)| value["branch"] == end) {
                for name in names {
                    assert_eq!(folded.rows(name), site.rows(name).await, "{name}");
                }
                return batches;
            }
        }
        drop(reader);
        tokio::time::sleep(Duration::from_millis(rng.u64(0..30))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reader_ever_sees_a_part_of_a_transfer() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let (server, site) = Site::start(Queries::new()).await;
    for (name, query) in queries() {
        site.query(name, &query).await;
    }
    let mut balances = [EACH; ACCOUNTS];
    let row = |index: usize, balance: i64| {
        let value = json!({"branch": format!("b{}", index % 5), "balance": balance});
        put("accounts", &account(index), value)
    };
    let all: Vec<Value> = (0..ACCOUNTS).map(|index| row(index, EACH)).collect();
    site.append(&all).await;
    site.await_rows("total", |rows| {
        rows.first().is_some_and(|row| row.1["n"] == ACCOUNTS)
    })
    .await;

    let mut readers = Vec::new();
    for (number, mode) in [Live::Off, Live::LongPoll, Live::Sse, Live::Sse]
        .into_iter()
        .enumerate()
    {
        for names in [&NAMES[..1], &NAMES[..]] {
            let site = site.clone();
            let seed = rng.u64(..) + number as u64;
            readers.push(tokio::spawn(async move {
                read(site, names, mode, seed, "end").await
            }));
        }
    }
    for _ in 0..400 {
        let mut messages = Vec::new();
        for _ in 0..rng.usize(1..4) {
            let (a, b) = (rng.usize(..ACCOUNTS), rng.usize(..ACCOUNTS));
            let amount = rng.i64(1..50);
            balances[a] -= amount;
            balances[b] += amount;
            for index in [a, b] {
                // Some are closed and opened again within the step.
                if rng.u8(..8) == 0 {
                    messages.push(delete("accounts", &account(index)));
                }
                messages.push(row(index, balances[index]));
            }
        }
        site.append(&messages).await;
        if rng.u8(..4) == 0 {
            tokio::time::sleep(Duration::from_millis(rng.u64(0..8))).await;
        }
    }
    let richest = (0..ACCOUNTS).max_by_key(|index| balances[*index]).unwrap();
    let end = json!({"branch": "end", "balance": balances[richest]});
    site.append(&[put("accounts", &account(richest), end)])
        .await;
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    until(async || (site.describe("total").await["readers"] == 0).then_some(())).await;
    server.shutdown().await;
}
