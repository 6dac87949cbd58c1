//! The queries of TPC-H: each is read and planned, and gives what DuckDB gives.

use std::path::Path;

use fastrand::Rng;
use serde_json::{Value, json};
use tailwater::plan::Plan;
use tailwater::query::{Query, QueryFile};
use tailwater::schema::Catalog;

use super::judges::{DuckDb, Judge, Tables};
use super::oracle::{by_engine, same_result};

/// Those that are not within the query model, and why.
const NOT_MAINTAINED: [(u32, &str); 0] = [];

pub(super) fn text(n: u32) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("queries/tpch/q{n:02}.sql"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn all_queries_are_read_and_planned() {
    for n in 1..=22 {
        let text = text(n);
        let outside = NOT_MAINTAINED.iter().find(|(number, _)| *number == n);
        let file = QueryFile::from_sql(&text);
        match (file, outside) {
            (Ok(file), None) => {
                let plan = Plan::new(&file.query, &Catalog::open());
                assert!(plan.is_ok(), "Q{n}: {plan:?}");
                let json = file.query.to_json().unwrap();
                assert_eq!(Query::from_json(&json).as_ref(), Ok(&file.query), "Q{n}");
                let title = file.view.unwrap()["title"].clone();
                assert!(
                    title
                        .as_str()
                        .unwrap()
                        .starts_with(&format!("TPC-H Q{n}: "))
                );
            }
            (Err(error), Some((_, reason))) => assert_eq!(error.message, *reason, "Q{n}"),
            (Err(error), None) => panic!("Q{n}: {error}"),
            (Ok(_), Some(_)) => panic!("Q{n} is within the model by now"),
        }
    }
}

/// Tables, their columns with types, and what they are filled from.
pub(super) fn tables() -> Tables {
    let dates = "DATE";
    Tables::new(json!({
        "region": {"r_regionkey": "BIGINT", "r_name": "VARCHAR"},
        "nation": {"n_nationkey": "BIGINT", "n_name": "VARCHAR", "n_regionkey": "BIGINT"},
        "supplier": {"s_suppkey": "BIGINT", "s_name": "VARCHAR", "s_address": "VARCHAR",
            "s_nationkey": "BIGINT", "s_phone": "VARCHAR", "s_acctbal": "DOUBLE", "s_comment": "VARCHAR"},
        "part": {"p_partkey": "BIGINT", "p_name": "VARCHAR", "p_mfgr": "VARCHAR", "p_brand": "VARCHAR",
            "p_type": "VARCHAR", "p_size": "BIGINT", "p_container": "VARCHAR"},
        "partsupp": {"ps_partkey": "BIGINT", "ps_suppkey": "BIGINT", "ps_availqty": "BIGINT",
            "ps_supplycost": "DOUBLE"},
        "customer": {"c_custkey": "BIGINT", "c_name": "VARCHAR", "c_address": "VARCHAR",
            "c_nationkey": "BIGINT", "c_phone": "VARCHAR", "c_acctbal": "DOUBLE",
            "c_mktsegment": "VARCHAR", "c_comment": "VARCHAR"},
        "orders": {"o_orderkey": "BIGINT", "o_custkey": "BIGINT", "o_orderstatus": "VARCHAR",
            "o_totalprice": "DOUBLE", "o_orderdate": dates, "o_orderpriority": "VARCHAR",
            "o_shippriority": "BIGINT", "o_comment": "VARCHAR"},
        "lineitem": {"l_orderkey": "BIGINT", "l_partkey": "BIGINT", "l_suppkey": "BIGINT",
            "l_quantity": "BIGINT", "l_extendedprice": "DOUBLE", "l_discount": "DOUBLE",
            "l_tax": "DOUBLE", "l_returnflag": "VARCHAR", "l_linestatus": "VARCHAR",
            "l_shipdate": dates, "l_commitdate": dates, "l_receiptdate": dates,
            "l_shipinstruct": "VARCHAR", "l_shipmode": "VARCHAR"},
    }))
}

/// How many rows a table has at most.
const ROWS: [(&str, usize); 8] = [
    ("region", 4),
    ("nation", 8),
    ("supplier", 6),
    ("part", 8),
    ("partsupp", 30),
    // Some without orders.
    ("customer", 12),
    ("orders", 50),
    ("lineitem", 250),
];

/// A value of a column of the row with a number: of few, so that all queries find something.
fn value(rng: &mut Rng, column: &str, row: usize) -> Value {
    let texts = |rng: &mut Rng, of: &[&str]| json!(of[rng.usize(..of.len())]);
    let (_, name) = column.split_once('_').unwrap();
    match (column, name) {
        ("r_name", _) => json!(["EUROPE", "ASIA", "AMERICA", "AFRICA"][row % 4]),
        ("n_name", _) => json!(
            [
                "FRANCE",
                "GERMANY",
                "BRAZIL",
                "CANADA",
                "SAUDI ARABIA",
                "CHINA",
                "INDIA",
                "PERU"
            ][row % 8]
        ),
        ("n_regionkey", _) => json!([0, 0, 2, 2, 3, 1, 1, 2][row % 8]),
        (
            "r_regionkey" | "n_nationkey" | "s_suppkey" | "p_partkey" | "c_custkey" | "o_orderkey",
            _,
        ) => json!(row),
        ("s_nationkey", _) => json!([3, 4, 5, 1, 0, 2][row % 6]),
        (_, "nationkey") => json!([0, 1, 2, 3, 4, 5, 5, 6][rng.usize(..8)]),
        (_, "suppkey") => json!(rng.usize(..6)),
        (_, "partkey") => json!(rng.usize(..8)),
        (_, "custkey") => json!(rng.usize(..8)),
        (_, "orderkey") => json!(rng.usize(..50)),
        (_, "phone") => texts(rng, &["13-1", "31-2", "23-3", "44-4"]),
        ("p_name", _) => texts(rng, &["forest green", "green lime", "navy", "forest red"]),
        (_, "name" | "address" | "mfgr") => json!(format!("{name} {row}")),
        (_, "brand") => json!(["Brand#12", "Brand#23", "Brand#34", "Brand#45"][row % 4]),
        (_, "type") => texts(
            rng,
            &[
                "ECONOMY ANODIZED STEEL",
                "PROMO BRASS",
                "MEDIUM POLISHED TIN",
                "LARGE BRASS",
            ],
        ),
        (_, "size") => json!([3, 9, 14, 15][row % 4]),
        (_, "container") => json!(["SM CASE", "MED BOX", "LG PKG", "LG PKG"][row % 4]),
        (_, "quantity") => json!(rng.usize(1..90)),
        (_, "availqty") => json!(rng.usize(1..200)),
        (_, "shippriority") => json!(rng.usize(..2)),
        (_, "discount") => json!([0.04, 0.06, 0.1][rng.usize(..3)]),
        (_, "tax") => json!([0.0, 0.02][rng.usize(..2)]),
        (_, "extendedprice" | "totalprice" | "supplycost" | "acctbal") => {
            json!(rng.i32(-20..2000) as f64 / 4.0)
        }
        (_, "returnflag") => texts(rng, &["R", "A", "N"]),
        (_, "linestatus" | "orderstatus") => texts(rng, &["F", "O"]),
        (_, "mktsegment") => texts(rng, &["BUILDING", "MACHINERY"]),
        (_, "orderpriority") => texts(rng, &["1-URGENT", "2-HIGH", "5-LOW"]),
        (_, "shipinstruct") => texts(rng, &["DELIVER IN PERSON", "NONE"]),
        (_, "shipmode") => texts(rng, &["MAIL", "SHIP", "AIR", "AIR REG"]),
        (_, "comment") => texts(rng, &["special requests", "Customer Complaints", "fine"]),
        (_, "orderdate" | "shipdate" | "commitdate" | "receiptdate") => {
            let (year, month) = (rng.usize(1993..1997), rng.usize(1..13));
            json!(format!("{year}-{month:02}-{:02}", rng.usize(1..28)))
        }
        other => unreachable!("{other:?}"),
    }
}

/// The rows come in some batches, then some of them change or go.
fn batches(rng: &mut Rng, tables: &Tables) -> Vec<Vec<Value>> {
    let mut messages = Vec::new();
    for (table, rows) in ROWS {
        for row in 0..rows {
            messages.push(message(rng, tables, table, row));
        }
    }
    rng.shuffle(&mut messages);
    let mut batches: Vec<Vec<Value>> = messages.chunks(120).map(<[Value]>::to_vec).collect();
    for _ in 0..4 {
        let change = |rng: &mut Rng| {
            let (table, rows) = ROWS[rng.usize(..ROWS.len())];
            let row = rng.usize(..rows);
            match rng.u8(0..3) {
                0 => {
                    json!({"type": table, "key": row.to_string(), "headers": {"operation": "delete"}})
                }
                _ => message(rng, tables, table, row),
            }
        };
        batches.push((0..12).map(|_| change(rng)).collect());
    }
    batches
}

fn message(rng: &mut Rng, tables: &Tables, table: &str, row: usize) -> Value {
    let columns = tables.columns(table).map(|(column, _)| column);
    let row_value: Value = columns
        .map(|column| (column.to_owned(), value(rng, column, row)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({"type": table, "key": row.to_string(), "value": row_value, "headers": {"operation": "upsert"}})
}

#[test]
fn results_equal_duckdbs_after_every_batch() {
    let tables = tables();
    let mut duckdb = DuckDb::start(&tables);
    let mut with_rows = [0; 23];
    for seed in 0..2 {
        let mut rng = Rng::with_seed(seed);
        let batches = batches(&mut rng, &tables);
        for n in 1..=22 {
            let sql = text(n);
            let expected = duckdb.snapshots(&sql, &batches, &tables);
            let expected = expected.unwrap_or_else(|e| panic!("Q{n}: {e}"));
            let found = by_engine(&sql, &batches).unwrap_or_else(|e| panic!("Q{n}: {e}"));
            for (batch, (found, expected)) in found.into_iter().zip(expected).enumerate() {
                let some =
                    |row: &(String, Value)| row.1.as_array().unwrap().iter().any(|v| !v.is_null());
                with_rows[n as usize] += usize::from(found.iter().any(some));
                // Not all orders are total.
                same_result("DuckDB", found, expected, false).unwrap_or_else(|e| {
                    panic!("Q{n}, seed {seed}, after {} batches: {e}", batch + 1)
                });
            }
        }
    }
    let empty: Vec<usize> = (1..=22).filter(|n| with_rows[*n] == 0).collect();
    assert!(empty.is_empty(), "no rows ever: {empty:?}");
}
