//! The queries of NEXMark in SQL give what those give that were written by hand as JSON; those that
//! JSON cannot say give what DuckDB gives.

use std::path::Path;

use fastrand::Rng;
use serde_json::{Value, json};
use tailwater::engine::Engine;
use tailwater::query::{Query, QueryFile};

use super::judges::{DuckDb, Judge, Tables};
use super::oracle::{by_engine, same_result};

/// Those with windows, which JSON by hand has not.
const IN_SQL_ONLY: [u32; 2] = [6, 11];

const ALL: [u32; 18] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18];

/// Some on each side of what queries ask.
const PRICES: [i64; 6] = [90, 9_999, 10_000, 2_000_000, 2_100_000, 60_000_000];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn sql(n: u32) -> String {
    read(&format!("queries/nexmark/q{n:02}.sql"))
}

/// Of what a history is made.
struct Shape {
    /// When things happen, each for half a minute.
    hours: &'static [i64],
    sellers: u64,
    auctions: u64,
    bids: u64,
}

/// Days change, and day becomes night.
const VARIED: Shape = Shape {
    hours: &[0, 8, 11, 21, 22],
    sellers: 10,
    auctions: 12,
    bids: 90,
};

/// Sellers have many auctions that end.
const BUSY: Shape = Shape {
    hours: &[0],
    sellers: 2,
    auctions: 30,
    bids: 250,
};

/// A row of a collection, of values that are few enough to meet.
fn row(rng: &mut Rng, shape: &Shape, collection: &str, n: u64) -> Value {
    let hour = shape.hours[rng.usize(..shape.hours.len())];
    let start = 1_700_000_000_000 + hour * 3_600_000;
    let at = start + rng.i64(0..30_000);
    let name = |rng: &mut Rng, names: &[&str]| names[rng.usize(..names.len())].to_owned();
    match collection {
        "person" => json!({
            "id": n, "name": name(rng, &["Ada", "Bea", "Cem"]), "emailAddress": format!("{n}@example.org"),
            "creditCard": "1234", "city": name(rng, &["Bend", "Boise"]),
            "state": name(rng, &["OR", "ID", "CA", "NY"]), "dateTime": at, "extra": "p",
        }),
        "auction" => json!({
            "id": n * 41, "itemName": name(rng, &["pot", "pan"]), "description": "d", "initialBid": rng.u32(1..100),
            "reserve": rng.u32(100..200), "dateTime": at, "expires": at + rng.i64(0..20_000),
            "seller": rng.u64(..shape.sellers), "category": rng.u32(9..12), "extra": "a",
        }),
        "side" => json!({"number": n * 41 % 1000, "value": format!("side {}", rng.u8(0..3))}),
        _ => json!({
            "auction": rng.u64(..shape.auctions) * 41, "bidder": rng.u64(..10),
            "price": PRICES[rng.usize(..6)] + rng.i64(0..2),
            "channel": name(rng, &["Google", "Apple"]), "url": format!("https://example.org/{n}"),
            "dateTime": at, "extra": name(rng, &["abc", "cccc", "", "xyz"]),
        }),
    }
}

/// Rows come, change and go.
fn history(rng: &mut Rng, shape: &Shape) -> Vec<Vec<Value>> {
    let batch = |n: usize, rng: &mut Rng| {
        let most = if n == 0 { 2 * shape.bids } else { 30 };
        let message = |_| {
            let (collection, rows) = match rng.u8(0..20) {
                0..2 => ("person", 10),
                2..5 => ("auction", shape.auctions),
                5 => ("side", 12),
                _ => ("bid", shape.bids),
            };
            let n = rng.u64(..rows);
            let row = row(rng, shape, collection, n);
            match rng.u8(0..6) {
                0 => {
                    json!({"type": collection, "key": n.to_string(), "headers": {"operation": "delete"}})
                }
                _ => {
                    json!({"type": collection, "key": n.to_string(), "value": row, "headers": {"operation": "upsert"}})
                }
            }
        };
        (0..most).map(message).collect()
    };
    (0..12).map(|n| batch(n, rng)).collect()
}

/// A query's rows after a batch: the names of fields in their order are those of the query.
type Result = Vec<(String, Value)>;

fn results(engine: &Engine, live: tailwater::engine::QueryId) -> Result {
    let view = engine.view(live).unwrap();
    let row = |row: tailwater::view::ResultRow<'_>| {
        let text = serde_json::to_string(&row.json()).unwrap();
        (String::new(), serde_json::from_str(&text).unwrap())
    };
    view.rows().map(row).collect()
}

#[test]
fn sql_gives_what_json_by_hand_gives_after_every_batch() {
    let by_hand = ALL.into_iter().filter(|n| !IN_SQL_ONLY.contains(n));
    let mut with_rows = [0; 19];
    for seed in 0..8 {
        let mut engine = Engine::new();
        let mut install = |query: &Query| engine.install(query).unwrap();
        let pairs: Vec<_> = by_hand
            .clone()
            .map(|n| {
                let json = read(&format!("benches/compare/queries/nexmark/q{n}.json"));
                let file = QueryFile::from_sql(&sql(n)).unwrap_or_else(|e| panic!("q{n}: {e}"));
                let title = file.view.unwrap()["title"].clone();
                assert!(
                    title
                        .as_str()
                        .unwrap()
                        .starts_with(&format!("NEXMark q{n}: "))
                );
                (
                    n,
                    install(&Query::from_json(&json).unwrap()),
                    install(&file.query),
                )
            })
            .collect();
        let batches = history(&mut Rng::with_seed(seed), &VARIED);
        for (number, messages) in batches.iter().enumerate() {
            let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
            let batch = engine.decode(texts.iter().map(String::as_str)).unwrap();
            engine.apply(batch);
            for (n, by_hand, by_sql) in &pairs {
                let (by_hand, by_sql) = (results(&engine, *by_hand), results(&engine, *by_sql));
                with_rows[*n as usize] += usize::from(!by_hand.is_empty());
                same_result("by hand", by_sql, by_hand, false)
                    .unwrap_or_else(|e| panic!("q{n}, seed {seed}, batch {number}: {e}"));
            }
        }
    }
    let empty: Vec<u32> = by_hand.filter(|n| with_rows[*n as usize] < 20).collect();
    assert!(empty.is_empty(), "hardly any rows ever: {empty:?}");
}

#[test]
fn windows_over_bids_are_what_duckdb_says() {
    let tables = Tables::new(json!({
        "auction": {"id": "BIGINT", "dateTime": "BIGINT", "expires": "BIGINT", "seller": "BIGINT"},
        "bid": {"auction": "BIGINT", "bidder": "BIGINT", "price": "BIGINT", "dateTime": "BIGINT"},
    }));
    let mut duckdb = DuckDb::start(&tables);
    for seed in 0..4 {
        let mut batches = history(&mut Rng::with_seed(seed), &BUSY);
        for batch in &mut batches {
            batch.retain(|message| message["type"] == "auction" || message["type"] == "bid");
        }
        for n in IN_SQL_ONLY {
            let expected = duckdb.snapshots(&sql(n), &batches, &tables).unwrap();
            let found = by_engine(&sql(n), &batches).unwrap_or_else(|e| panic!("q{n}: {e}"));
            assert!(found.last().is_some_and(|rows| rows.len() > 1), "q{n}");
            for (batch, (found, expected)) in found.into_iter().zip(expected).enumerate() {
                same_result("DuckDB", found, expected, false)
                    .unwrap_or_else(|e| panic!("q{n}, seed {seed}, batch {batch}: {e}"));
            }
        }
    }
}
