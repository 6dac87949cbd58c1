//! The queries of TPC-H over its own rows, as many as a scale factor says, while orders come and go.
//!
//! `TAILWATER_TPCH_SCALE` is the scale factor; time and memory are printed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tailwater::engine::{Engine, QueryId};
use tailwater::query::{Query, QueryFile};
use tpchgen::generators as tpch;

use super::judges::{DuckDb, Judge, Tables};
use super::oracle::{columns, listed, same_result};
use super::tpch::{tables, text};

/// Batches of changes, and how many orders come, and go, in each.
const BATCHES: usize = 3;
const ORDERS: usize = 25;

/// Rows a batch has while all are loaded.
const LOADED: usize = 5_000;

/// A row of a table with its key.
struct Row {
    table: &'static str,
    key: String,
    value: Value,
}

impl Row {
    fn new(table: &'static str, key: impl ToString, value: Value) -> Row {
        let key = key.to_string();
        Row { table, key, value }
    }

    fn insert(&self) -> Value {
        json!({"type": self.table, "key": self.key, "value": self.value, "headers": {"operation": "insert"}})
    }

    fn delete(&self) -> Value {
        json!({"type": self.table, "key": self.key, "headers": {"operation": "delete"}})
    }
}

fn decimal(of: tpchgen::decimal::TPCHDecimal) -> f64 {
    of.to_string().parse().expect("a number")
}

fn text_of(of: impl ToString) -> String {
    of.to_string()
}

/// Calls back with each row; an order with its lines at once.
fn rows(scale: f64, mut each: impl FnMut(Vec<Row>)) {
    let mut one = |row: Row| each(vec![row]);
    for r in tpch::RegionGenerator::new(scale, 1, 1).iter() {
        let value = json!({"r_regionkey": r.r_regionkey, "r_name": r.r_name});
        one(Row::new("region", r.r_regionkey, value));
    }
    for n in tpch::NationGenerator::new(scale, 1, 1).iter() {
        let value =
            json!({"n_nationkey": n.n_nationkey, "n_name": n.n_name, "n_regionkey": n.n_regionkey});
        one(Row::new("nation", n.n_nationkey, value));
    }
    for s in tpch::SupplierGenerator::new(scale, 1, 1).iter() {
        let value = json!({
            "s_suppkey": s.s_suppkey, "s_name": text_of(s.s_name), "s_address": text_of(s.s_address),
            "s_nationkey": s.s_nationkey, "s_phone": text_of(s.s_phone), "s_acctbal": decimal(s.s_acctbal),
            "s_comment": s.s_comment,
        });
        one(Row::new("supplier", s.s_suppkey, value));
    }
    for p in tpch::PartGenerator::new(scale, 1, 1).iter() {
        let value = json!({
            "p_partkey": p.p_partkey, "p_name": text_of(&p.p_name), "p_mfgr": text_of(p.p_mfgr),
            "p_brand": text_of(p.p_brand), "p_type": p.p_type, "p_size": p.p_size, "p_container": p.p_container,
        });
        one(Row::new("part", p.p_partkey, value));
    }
    for (n, s) in tpch::PartSuppGenerator::new(scale, 1, 1).iter().enumerate() {
        let value = json!({
            "ps_partkey": s.ps_partkey, "ps_suppkey": s.ps_suppkey, "ps_availqty": s.ps_availqty,
            "ps_supplycost": decimal(s.ps_supplycost),
        });
        one(Row::new("partsupp", n, value));
    }
    for c in tpch::CustomerGenerator::new(scale, 1, 1).iter() {
        let value = json!({
            "c_custkey": c.c_custkey, "c_name": text_of(c.c_name), "c_address": text_of(&c.c_address),
            "c_nationkey": c.c_nationkey, "c_phone": text_of(&c.c_phone), "c_acctbal": decimal(c.c_acctbal),
            "c_mktsegment": c.c_mktsegment, "c_comment": c.c_comment,
        });
        one(Row::new("customer", c.c_custkey, value));
    }
    let mut lines = tpch::LineItemGenerator::new(scale, 1, 1).iter().peekable();
    for o in tpch::OrderGenerator::new(scale, 1, 1).iter() {
        let value = json!({
            "o_orderkey": o.o_orderkey, "o_custkey": o.o_custkey, "o_orderstatus": text_of(o.o_orderstatus),
            "o_totalprice": decimal(o.o_totalprice), "o_orderdate": text_of(o.o_orderdate),
            "o_orderpriority": o.o_orderpriority, "o_shippriority": o.o_shippriority, "o_comment": o.o_comment,
        });
        let mut sale = vec![Row::new("orders", o.o_orderkey, value)];
        while let Some(l) = lines.next_if(|line| line.l_orderkey == o.o_orderkey) {
            let value = json!({
                "l_orderkey": l.l_orderkey, "l_partkey": l.l_partkey, "l_suppkey": l.l_suppkey,
                "l_quantity": l.l_quantity, "l_extendedprice": decimal(l.l_extendedprice),
                "l_discount": decimal(l.l_discount), "l_tax": decimal(l.l_tax), "l_returnflag": l.l_returnflag,
                "l_linestatus": l.l_linestatus, "l_shipdate": text_of(l.l_shipdate),
                "l_commitdate": text_of(l.l_commitdate), "l_receiptdate": text_of(l.l_receiptdate),
                "l_shipinstruct": l.l_shipinstruct, "l_shipmode": l.l_shipmode,
            });
            sale.push(Row::new(
                "lineitem",
                format!("{}-{}", l.l_orderkey, l.l_linenumber),
                value,
            ));
        }
        each(sale);
    }
}

/// Both sides, and how long they took.
struct Sides {
    engine: Engine,
    duckdb: DuckDb,
    tables: Tables,
    queries: Vec<(String, Query, QueryId)>,
    ours: Duration,
    theirs: Duration,
}

impl Sides {
    fn new() -> Sides {
        let tables = tables();
        let mut engine = Engine::new();
        let install = |n| {
            let sql = text(n);
            let query = QueryFile::from_sql(&sql).unwrap().query;
            let live = engine.install(&query).unwrap();
            (sql, query, live)
        };
        Sides {
            queries: (1..=22).map(install).collect(),
            duckdb: DuckDb::start(&tables),
            engine,
            tables,
            ours: Duration::ZERO,
            theirs: Duration::ZERO,
        }
    }

    fn apply(&mut self, messages: &[Value]) {
        let start = Instant::now();
        let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
        let batch = self
            .engine
            .decode(texts.iter().map(String::as_str))
            .unwrap();
        self.engine.apply(batch);
        self.ours += start.elapsed();
        self.duckdb.run(&self.tables.apply(messages)).unwrap();
    }

    fn compare(&mut self, after: &str) {
        let start = Instant::now();
        let statements: Vec<String> = self.queries.iter().map(|(sql, ..)| sql.clone()).collect();
        let expected = self.duckdb.run(&statements).unwrap();
        self.theirs += start.elapsed();
        for (n, expected) in expected.into_iter().enumerate() {
            let (_, query, live) = &self.queries[n];
            let found = listed(&self.engine.view(*live).unwrap(), &columns(query));
            // Not all orders are total.
            same_result("DuckDB", found, expected, false)
                .unwrap_or_else(|e| panic!("Q{}, after {after}: {e}", n + 1));
        }
    }
}

#[test]
fn results_at_scale_equal_duckdbs() {
    let scale = std::env::var("TAILWATER_TPCH_SCALE").unwrap_or("0.01".into());
    let scale: f64 = scale.parse().expect("a number");
    let mut sides = Sides::new();
    // Some orders come later, some of the others go later.
    let every = (scale * 1_500_000.0) as usize / (BATCHES * ORDERS);
    let (mut fresh, mut old, mut orders) = (Vec::new(), Vec::new(), 0);
    let (mut batch, mut loaded) = (Vec::new(), 0);
    rows(scale, |rows| {
        if rows[0].table == "orders" {
            orders += 1;
            match orders % every {
                0 if fresh.len() < BATCHES * ORDERS => return fresh.push(rows),
                1 if old.len() < BATCHES * ORDERS => {
                    old.push(rows.iter().map(Row::delete).collect::<Vec<_>>());
                }
                _ => {}
            }
        }
        batch.extend(rows.iter().map(Row::insert));
        loaded += rows.len();
        if batch.len() >= LOADED {
            sides.apply(&std::mem::take(&mut batch));
        }
    });
    sides.apply(&batch);
    let load = std::mem::take(&mut sides.ours);
    sides.compare("the load");

    let inserts = |sale: &Vec<Row>| sale.iter().map(Row::insert).collect::<Vec<_>>();
    for (n, (fresh, old)) in fresh.chunks(ORDERS).zip(old.chunks(ORDERS)).enumerate() {
        sides.apply(&fresh.iter().flat_map(inserts).collect::<Vec<_>>());
        sides.apply(&old.concat());
        sides.compare(&format!("{} changes", n + 1));
    }
    // All as it was.
    let removed = |sale: &Vec<Row>| sale.iter().map(Row::delete).collect::<Vec<_>>();
    sides.apply(&fresh.iter().flat_map(removed).collect::<Vec<_>>());
    sides.compare("the last change");
    let changes = 2 * BATCHES + 1;
    eprintln!(
        "scale {scale}: {loaded} rows in {load:.1?}, {changes} batches of changes in {:.1?}; DuckDB answered {} times in {:.1?}; {}",
        sides.ours,
        BATCHES + 2,
        sides.theirs,
        peak_memory(),
    );
}

/// What the process had at most, where the system says so.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.unwrap_or("memory unknown").replace('\t', " ")
}
