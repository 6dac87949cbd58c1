//! TPC-H's rows, and its refresh functions: new orders with their lines come in, old ones go, in
//! turn, each order a transaction.
//!
//! Rows have the columns that Q1, Q3, Q5, Q6 and Q10 ask for. Money is in cents and rates are in
//! percent, as integers: what a DECIMAL is inside, so that every engine's sums are exact.

use std::io;
use std::path::Path;

use fastrand::Rng;
use serde_json::{Value, json};
use tpchgen::generators::{
    CustomerGenerator, LineItem, LineItemGenerator, NationGenerator, Order, OrderGenerator,
    RegionGenerator, SupplierGenerator,
};

use crate::lines::{self, delete, insert};

const SEED: u64 = 0x7a11_3a7e;

/// An order and its lines as messages.
struct Sale {
    key: String,
    lines: Vec<String>,
    messages: Vec<Value>,
}

pub(crate) fn write(dir: &Path, quick: bool) -> io::Result<()> {
    let scale = if quick { 0.005 } else { 0.05 };
    let mut sales = sales(scale);
    // A tenth comes in later.
    let fresh = sales.split_off(sales.len() * 9 / 10);
    let rows = sales.iter().flat_map(|sale| sale.messages.iter().cloned());
    lines::write(
        &dir.join("load.jsonl"),
        dimensions(scale).into_iter().chain(rows),
    )?;

    let mut rng = Rng::with_seed(SEED);
    rng.shuffle(&mut sales);
    let changes = fresh.into_iter().zip(sales).flat_map(|(new, old)| {
        let mut gone = vec![delete("orders", &old.key)];
        gone.extend(old.lines.iter().map(|line| delete("lineitem", line)));
        [Value::Array(new.messages), Value::Array(gone)]
    });
    lines::write(&dir.join("changes.jsonl"), changes)
}

fn dimensions(scale: f64) -> Vec<Value> {
    let mut rows = Vec::new();
    for r in RegionGenerator::new(scale, 1, 1).iter() {
        let row = json!({"r_regionkey": r.r_regionkey, "r_name": r.r_name});
        rows.push(insert("region", &r.r_regionkey.to_string(), row));
    }
    for n in NationGenerator::new(scale, 1, 1).iter() {
        let row =
            json!({"n_nationkey": n.n_nationkey, "n_name": n.n_name, "n_regionkey": n.n_regionkey});
        rows.push(insert("nation", &n.n_nationkey.to_string(), row));
    }
    for s in SupplierGenerator::new(scale, 1, 1).iter() {
        let row = json!({"s_suppkey": s.s_suppkey, "s_nationkey": s.s_nationkey});
        rows.push(insert("supplier", &s.s_suppkey.to_string(), row));
    }
    for c in CustomerGenerator::new(scale, 1, 1).iter() {
        let row = json!({
            "c_custkey": c.c_custkey, "c_name": c.c_name.to_string(), "c_address": c.c_address.to_string(),
            "c_nationkey": c.c_nationkey, "c_phone": c.c_phone.to_string(), "c_acctbal": c.c_acctbal.0,
            "c_mktsegment": c.c_mktsegment, "c_comment": c.c_comment,
        });
        rows.push(insert("customer", &c.c_custkey.to_string(), row));
    }
    rows
}

fn sales(scale: f64) -> Vec<Sale> {
    let mut lines = LineItemGenerator::new(scale, 1, 1).iter().peekable();
    let orders = OrderGenerator::new(scale, 1, 1);
    let sale = |order: Order<'_>| {
        let key = order.o_orderkey.to_string();
        let mut sale = Sale {
            lines: Vec::new(),
            messages: vec![order_message(&key, &order)],
            key,
        };
        while let Some(line) = lines.next_if(|line| line.l_orderkey == order.o_orderkey) {
            let key = format!("{}-{}", line.l_orderkey, line.l_linenumber);
            sale.messages.push(line_message(&key, &line));
            sale.lines.push(key);
        }
        sale
    };
    orders.iter().map(sale).collect()
}

fn order_message(key: &str, o: &Order<'_>) -> Value {
    let row = json!({
        "o_orderkey": o.o_orderkey, "o_custkey": o.o_custkey, "o_orderdate": o.o_orderdate.to_string(),
        "o_shippriority": o.o_shippriority,
    });
    insert("orders", key, row)
}

fn line_message(key: &str, l: &LineItem<'_>) -> Value {
    let row = json!({
        "l_orderkey": l.l_orderkey, "l_suppkey": l.l_suppkey, "l_quantity": l.l_quantity,
        "l_extendedprice": l.l_extendedprice.0, "l_discount": l.l_discount.0, "l_tax": l.l_tax.0,
        "l_returnflag": l.l_returnflag, "l_linestatus": l.l_linestatus, "l_shipdate": l.l_shipdate.to_string(),
    });
    insert("lineitem", key, row)
}
