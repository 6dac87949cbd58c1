//! Rows of the workload `tpch`.

use std::borrow::Cow;

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Region<'a> {
    pub(crate) r_regionkey: i64,
    #[serde(borrow)]
    pub(crate) r_name: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(crate) struct Nation<'a> {
    pub(crate) n_nationkey: i64,
    pub(crate) n_regionkey: i64,
    #[serde(borrow)]
    pub(crate) n_name: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(crate) struct Supplier {
    pub(crate) s_suppkey: i64,
    pub(crate) s_nationkey: i64,
}

#[derive(Deserialize)]
pub(crate) struct Customer<'a> {
    pub(crate) c_custkey: i64,
    pub(crate) c_nationkey: i64,
    pub(crate) c_acctbal: i64,
    #[serde(borrow)]
    pub(crate) c_name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) c_address: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) c_phone: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) c_mktsegment: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) c_comment: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(crate) struct Order<'a> {
    pub(crate) o_orderkey: i64,
    pub(crate) o_custkey: i64,
    pub(crate) o_shippriority: i64,
    #[serde(borrow)]
    pub(crate) o_orderdate: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(crate) struct LineItem<'a> {
    pub(crate) l_orderkey: i64,
    pub(crate) l_suppkey: i64,
    pub(crate) l_quantity: i64,
    pub(crate) l_extendedprice: i64,
    pub(crate) l_discount: i64,
    pub(crate) l_tax: i64,
    #[serde(borrow)]
    pub(crate) l_returnflag: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) l_linestatus: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) l_shipdate: Cow<'a, str>,
}

/// `1994-01-31` as 19940131.
pub(crate) fn date(text: &str) -> i64 {
    let digits = text.bytes().filter(u8::is_ascii_digit);
    digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
}

/// 19940131 as `1994-01-31`.
pub(crate) fn date_text(date: i64) -> String {
    format!(
        "{:04}-{:02}-{:02}",
        date / 10_000,
        date / 100 % 100,
        date % 100
    )
}
