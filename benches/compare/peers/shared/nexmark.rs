//! Rows of the workload `nexmark`, as much of them as queries ask for.

use std::borrow::Cow;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Person<'a> {
    pub(crate) id: i64,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) city: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) state: Cow<'a, str>,
    pub(crate) date_time: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Auction<'a> {
    pub(crate) id: i64,
    #[serde(borrow)]
    pub(crate) item_name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) description: Cow<'a, str>,
    pub(crate) initial_bid: i64,
    pub(crate) reserve: i64,
    pub(crate) date_time: i64,
    pub(crate) expires: i64,
    pub(crate) seller: i64,
    pub(crate) category: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bid<'a> {
    pub(crate) auction: i64,
    pub(crate) bidder: i64,
    pub(crate) price: i64,
    #[serde(borrow)]
    pub(crate) channel: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) url: Cow<'a, str>,
    pub(crate) date_time: i64,
    #[serde(borrow)]
    pub(crate) extra: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(crate) struct Side<'a> {
    pub(crate) number: i64,
    #[serde(borrow)]
    pub(crate) value: Cow<'a, str>,
}
